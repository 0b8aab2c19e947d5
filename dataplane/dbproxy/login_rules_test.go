package dbproxy

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy/account"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

func TestLoginRules(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	keyFile := write("key", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})))
	mapping := write("mapping", `{"user_map": [{"original_user": "a", "mapped_user": "b"}]}`)
	for _, c := range []struct {
		authenticator, options string
		want                   loginRules
		fault                  string
	}{
		{"", "", loginRules{}, ""},
		{"MariaDBAuth, ed25519auth", " ed_mode=sha256 , match_host=0,", loginRules{plugins: []string{authMariaDB, authEd25519}, edBySHA2: true, ignoreHost: true}, ""},
		{"mysqlauth", "clear_pw_passthrough=true", loginRules{plugins: []string{authMariaDB}, passthrough: true}, ""},
		{"pamauth", "pam_use_cleartext_plugin=on,pam_mode=password", loginRules{plugins: []string{authPAM}, clearDialog: true}, ""},
		{"", "lower_case_table_names=2,skip_authentication=yes", loginRules{lowerCase: 2, skip: true}, ""},
		{"", "lower_case_table_names=true", loginRules{lowerCase: 1}, ""},
		{"", "ed_rsa_privkey_path=" + keyFile + ",ed_rsa_pubkey_path=x", loginRules{key: key}, ""},
		{"", "lower_case_table_names=3", loginRules{}, "authenticator_options lower_case_table_names must be 0, 1 or 2"},
		{"", "match_host=perhaps", loginRules{}, "authenticator_options match_host must be true or false"},
		{"", "match_host", loginRules{}, `authenticator_options "match_host" must be name=value`},
		{"", "speed=high", loginRules{}, "authenticator_options speed is not an option"},
		{"", "ed_mode=x", loginRules{}, "authenticator_options ed_mode must be"},
		{"", "pam_mode=suid", loginRules{}, "authenticator_options pam_mode can only be password"},
		{"", "ed_rsa_privkey_path=" + mapping, loginRules{}, "authenticator_options ed_rsa_privkey_path holds no key"},
		{"mariadbauth,pamauth", "clear_pw_passthrough=1", loginRules{}, "authenticator_options clear_pw_passthrough cannot"},
		{"gssapiauth", "", loginRules{}, "authenticator gssapiauth is not supported"},
		{"magic", "", loginRules{}, `authenticator "magic" is not known`},
	} {
		got, err := newLoginRules(param.MustParse(ListenerSpecs(), map[string]any{"authenticator": c.authenticator, "authenticator_options": c.options}))
		switch {
		case c.fault != "":
			if err == nil || !strings.HasPrefix(err.Error(), c.fault) {
				t.Errorf("%q %q: %v\nwant %s", c.authenticator, c.options, err, c.fault)
			}
		case err == nil && c.want.key != nil && c.want.key.Equal(got.key) && got.key != c.want.key:
			// What was computed of two keys that are equal need not be.
			got.key = c.want.key
			if !reflect.DeepEqual(*got, c.want) {
				t.Errorf("%q %q: %+v", c.authenticator, c.options, got)
			}
		case err != nil || !reflect.DeepEqual(*got, c.want):
			t.Errorf("%q %q: %+v, %v", c.authenticator, c.options, got, err)
		}
	}
	for name, given := range map[string]map[string]any{
		"user_mapping_file":       {"user_mapping_file": "/nowhere"},
		"proxy_protocol_networks": {"proxy_protocol_networks": "everywhere"},
		"connection_metadata":     {"connection_metadata": []any{"x"}},
	} {
		if _, err := newLoginRules(param.MustParse(ListenerSpecs(), given)); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, unchecked := range []string{"clear_pw_passthrough=1", "skip_authentication=1"} {
		given := map[string]any{"user_mapping_file": mapping, "authenticator_options": unchecked}
		if _, err := newLoginRules(param.MustParse(ListenerSpecs(), given)); err == nil {
			t.Errorf("anybody is mapped with %s", unchecked)
		}
	}
}

func TestMapped(t *testing.T) {
	m, err := account.ParseMapping([]byte(`{"user_map": [{"original_user": "a", "mapped_user": "b"}, {"original_user": "c", "mapped_user": "d"}],
		"server_credentials": [{"mapped_user": "b", "password": "x"}, {"mapped_user": "e", "password": "y"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	own := wire.Password("own")
	for user, want := range map[string]identity{
		"a": {user: "b", credentials: wire.Password("x")}, "c": {user: "d", credentials: wire.Password("")},
		"e": {user: "e", credentials: wire.Password("y")}, "f": {user: "f", credentials: own},
	} {
		id := identity{user: user, credentials: own}
		if id.mapped(m); id != want {
			t.Errorf("%s becomes %s", user, id.user)
		}
	}
}

func TestVersions(t *testing.T) {
	server := func(version string) *Server {
		s := newServer("s")
		if version != "" {
			s.learn(&wire.Greeting{Version: version, Capabilities: usualCaps})
		}
		return s
	}
	for _, c := range []struct {
		configured string
		servers    []string
		want       string
		mode       sqlclass.Mode
	}{
		{"", nil, fallbackVersion, 0},
		{"4.0 mine", []string{"8.0.33"}, "4.0 mine", sqlclass.MySQL},
		{"", []string{"", "5.5.5-10.11.6-MariaDB-log", "11.4.2-MariaDB"}, "5.5.5-10.11.6-MariaDB-log", sqlclass.MariaDB},
		{"", []string{"10.4.32-MariaDB", "10.11.6-MariaDB"}, "5.5.5-10.4.32-MariaDB", 0},
		{"", []string{"11.8.1-MariaDB", "11.4.2-MariaDB"}, "11.4.2-MariaDB", sqlclass.MariaDB | sqlclass.MariaDB11},
		{"", []string{"8.0.9", "8.0.33"}, "8.0.9", sqlclass.MySQL},
		{"", []string{"5.7.44-log"}, "5.7.44-log", 0},
	} {
		var servers []*Server
		for _, v := range c.servers {
			servers = append(servers, server(v))
		}
		if got := greetingVersion(c.configured, lowestVersion(servers)); got != c.want {
			t.Errorf("%q: %q", c.servers, got)
		}
		if got := beginMode(wire.CharsetUTF8MB4, 0, servers, false); got != c.mode|sqlclass.UnknownSQLMode {
			t.Errorf("%q: mode %b", c.servers, got)
		}
	}
}

func TestOffers(t *testing.T) {
	maria, mysql, unknown := newServer("maria"), newServer("mysql"), newServer("unknown")
	maria.learn(&wire.Greeting{Capabilities: (usualCaps | wire.CapBulkOperations | wire.CapCompress | wire.CapSSL) &^ wire.CapMySQL})
	mysql.learn(&wire.Greeting{Capabilities: (usualCaps | wire.CapQueryAttributes) &^ wire.CapDeprecateEOF})
	if got := offers([]*Server{unknown}); got != usualCaps {
		t.Errorf("of nobody: %#x", uint64(got))
	}
	if got := offers([]*Server{unknown, maria}); got != usualCaps&^wire.CapMySQL|wire.CapBulkOperations {
		t.Errorf("of one: %#x", uint64(got))
	}
	if got := offers([]*Server{mysql, maria}); got != usualCaps&^(wire.CapMySQL|wire.CapDeprecateEOF) {
		t.Errorf("of both: %#x", uint64(got))
	}
}

func TestBeginMode(t *testing.T) {
	server := func(globals map[string]string) *Server {
		s := newServer("s")
		s.learn(&wire.Greeting{Version: "10.11.6-MariaDB"})
		s.globals.Store(&globals)
		return s
	}
	strict := server(map[string]string{"sql_mode": "STRICT_TRANS_TABLES", "init_connect": "", "character_set_client": "latin1"})
	ansi := server(map[string]string{"sql_mode": "ANSI_QUOTES"})
	initial := server(map[string]string{"sql_mode": "", "init_connect": "SET x = 1"})
	const m = sqlclass.MariaDB
	for _, c := range []struct {
		charset byte
		caps    wire.Capability
		servers []*Server
		oracle  bool
		want    sqlclass.Mode
	}{
		{45, 0, []*Server{strict}, false, m},
		{33, wire.CapIgnoreSpace, []*Server{strict}, false, m | sqlclass.IgnoreSpace},
		{8, 0, []*Server{ansi}, false, m | sqlclass.ANSIQuotes | sqlclass.OtherCharset},
		{28, 0, []*Server{ansi}, false, m | sqlclass.ANSIQuotes | sqlclass.UnsafeCharset},
		{45, 0, []*Server{ansi, strict}, false, m | sqlclass.UnknownSQLMode},
		{45, 0, []*Server{initial}, false, m | sqlclass.UnknownSQLMode | sqlclass.UnsafeCharset},
		{45, 0, []*Server{strict}, true, m | sqlclass.Oracle | sqlclass.ANSIQuotes | sqlclass.IgnoreSpace},
		{255, 0, []*Server{strict}, false, m | sqlclass.OtherCharset}, // the server's own
	} {
		if got := beginMode(c.charset, c.caps, c.servers, c.oracle); got != c.want {
			t.Errorf("%+v: %b", c, got)
		}
	}
}

func TestPasswordsAreBounded(t *testing.T) {
	var p passwords
	for i := range maxPasswords + 100 {
		p.add(account.Name{User: fmt.Sprint(i)}, "stored", "secret")
	}
	if len(p.known) != maxPasswords {
		t.Errorf("%d remembered", len(p.known))
	}
	scramble := wire.NewScramble()
	token := wire.HashSHA2("secret").Token(scramble[:])
	last := account.Name{User: fmt.Sprint(maxPasswords + 99)}
	if got, ok := p.find(last, "stored", scramble[:], token); !ok || got != "secret" {
		t.Error("the last one is forgotten")
	}
	if _, ok := p.find(last, "changed", scramble[:], token); ok {
		t.Error("a password that has changed is known")
	}
}

// FuzzLoginRules: no option makes the proxy fall.
func FuzzLoginRules(f *testing.F) {
	f.Add("mariadbauth,pamauth", "match_host=0,ed_mode=sha256", "10.0.0.0/8,*")
	f.Fuzz(func(t *testing.T, authenticator, options, from string) {
		if strings.Contains(options, "path") {
			return
		}
		if list, err := parseAuthenticators(authenticator); err == nil {
			r := loginRules{plugins: list}
			if r.parseOptions(options) == nil && r.passthrough && len(list) > 1 {
				t.Fatal("passed through with several authenticators")
			}
		}
		if n, err := parseNetworks(from); err == nil && (n.all || n.local) && len(from) == 0 {
			t.Fatal("nothing contains something")
		}
	})
}

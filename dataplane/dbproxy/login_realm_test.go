package dbproxy_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/account"
	"github.com/backplane/backplane/dataplane/dbproxy/builtin"
	"github.com/backplane/backplane/dataplane/dbproxy/proxytest"
	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
	"github.com/backplane/backplane/testbed"
)

// TestLogins is about what goes beyond what a server does.
func TestLogins(t *testing.T) {
	r := newRealm(t, "proxy-protocol-networks=127.0.0.1")
	for _, c := range []struct {
		name string
		test func(*testing.T, *realm)
	}{
		{"command line", commandLine}, {"TLS", tlsLogins}, {"change of user", changeOfUser}, {"new accounts", newAccounts},
		{"ed25519", ed25519Logins}, {"PROXY", proxyHeaders}, {"passed through", passedThrough}, {"pool", poolOfUsers},
		{"service user", serviceUser}, {"users", users}, {"rules of hosts and databases", hostRules}, {"metadata", serverMetadata},
		{"sources of accounts", accountSources}, {"sql_mode", sqlMode},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, r) })
	}
}

// mariadb runs the command line client, and returns what it says.
func mariadb(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "mariadb", append([]string{"--no-defaults", "--batch", "--skip-column-names"}, args...)...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func expect(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func commandLine(t *testing.T, r *realm) {
	dir := t.TempDir()
	cert, key := r.cert.Files(t, dir, "proxy", "")
	p := r.proxy(t, proxytest.Options{})
	secure := r.proxy(t, proxytest.Options{Listener: map[string]any{"ssl": true, "ssl_cert": cert, "ssl_key": key}})
	local := filepath.Join(dir, "sock")
	p.Config.Listeners = append(p.Config.Listeners, dbproxy.ListenerConfig{
		Name: "local", Service: "service", Params: proxytest.Parse(t, dbproxy.ListenerSpecs(), map[string]any{"socket": local}),
	})
	p.Apply(t, p.Config)
	tcp := []string{"--host=127.0.0.1", "--protocol=tcp", "--port=" + p.Port(t), "--user=app", "--execute=SELECT CURRENT_USER(), DATABASE()"}
	with := func(more ...string) []string { return append(more, tcp...) }
	expect(t, mariadb(t, with("--password=secret", "--database=shop")...), "app@%\tshop")
	expect(t, mariadb(t, with("--password=secret", "--default-auth=caching_sha2_password")...), "app@%\tNULL")
	expect(t, mariadb(t, with("--password=secret", "--default-auth=mysql_clear_password")...), "app@%\tNULL")
	expect(t, mariadb(t, with("--password=wrong")...), "ERROR 1045 (28000): Access denied for user 'app'@'127.0.0.1' (using password: YES)")
	expect(t, mariadb(t, tcp...), "ERROR 1045 (28000): Access denied for user 'app'@'127.0.0.1' (using password: NO)")
	expect(t, mariadb(t, with("--password=secret", "--database=nowhere")...), "ERROR 1044 (42000): Access denied for user 'app'@'%' to database 'nowhere'")
	tcp[2] = "--port=" + secure.Port(t)
	tcp[4] = "--execute=SHOW STATUS LIKE 'nothing'; SELECT CURRENT_USER()"
	expect(t, mariadb(t, with("--password=secret", "--ssl", "--tls-version=TLSv1.2")...), "app@%")
	expect(t, mariadb(t, with("--password=secret", "--ssl", "--tls-version=TLSv1.3")...), "app@%")
	expect(t, mariadb(t, with("--password=secret", "--skip-ssl")...), "ERROR 1045 (28000): Access without SSL denied")
	expect(t, mariadb(t, "--socket="+local, "--user=app", "--password=secret", "--execute=SELECT CURRENT_USER()"), "app@%")
	expect(t, mariadb(t, "--socket="+local, "--user=app", "--password=wrong"), "ERROR 1045 (28000): Access denied for user 'app'@'localhost' (using password: YES)")
}

func tlsLogins(t *testing.T, r *realm) {
	dir := t.TempDir()
	cert, key := r.cert.Files(t, dir, "proxy", "")
	ca := filepath.Join(dir, "clients.crt")
	testbed.Write(t, ca, r.clients.PEM)
	issued := r.clients.Issue(t, "someone")
	mine := issued.TLS(t)
	strange := testbed.NewCA(t).Issue(t, "someone")
	for _, c := range []struct {
		name   string
		params map[string]any
		client *tls.Config
		ok     bool
	}{
		{"versions and ciphers", map[string]any{"ssl_version": "TLSv12", "ssl_cipher": "ECDHE-ECDSA-AES256-GCM-SHA384"}, &tls.Config{}, true},
		{"an old version", map[string]any{"ssl_version": "TLSv13"}, &tls.Config{MaxVersion: tls.VersionTLS12}, false},
		{"a version left out", map[string]any{"ssl_version": "TLSv11,TLSv13"}, &tls.Config{MaxVersion: tls.VersionTLS12}, false},
		{"another cipher", map[string]any{"ssl_version": "TLSv12", "ssl_cipher": "ECDHE-ECDSA-AES256-GCM-SHA384"},
			&tls.Config{CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}, false},
		{"no certificate", map[string]any{"ssl_ca": ca, "ssl_verify_peer_certificate": true}, &tls.Config{}, false},
		{"certificate", map[string]any{"ssl_ca": ca, "ssl_verify_peer_certificate": true}, &tls.Config{Certificates: []tls.Certificate{mine}}, true},
		{"strange certificate", map[string]any{"ssl_ca": ca}, &tls.Config{Certificates: []tls.Certificate{strange.TLS(t)}}, false},
	} {
		params := map[string]any{"ssl": true, "ssl_cert": cert, "ssl_key": key}
		for k, v := range c.params {
			params[k] = v
		}
		p := r.proxy(t, proxytest.Options{Listener: params})
		trust := x509.NewCertPool()
		trust.AppendCertsFromPEM([]byte(r.ca.PEM))
		c.client.RootCAs, c.client.ServerName = trust, "127.0.0.1"
		got := client{addr: p.Addr(t), user: "app", password: "secret", tls: c.client}.connect(t)
		if ok := got == "app@127.0.0.1 as app@% in "; ok != c.ok {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

// wired is a client that speaks the protocol by itself.
func wired(t *testing.T, addr string, o wire.LoginOptions) (*wire.Conn, *wire.LoginResult) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(proxytest.Patience)); err != nil {
		t.Fatal(err)
	}
	c := wire.NewConn(nc, wire.PeerServer)
	r, err := wire.Login(t.Context(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	return c, r
}

// value asks for one value.
func value(t *testing.T, c *wire.Conn, caps wire.Capability, sql string) string {
	t.Helper()
	if err := errors.Join(c.WriteCommand(wire.ComQuery, []byte(sql)...), c.Flush()); err != nil {
		t.Fatal(err)
	}
	var reply wire.Reply
	var got string
	reply.Start(wire.ComQuery, caps)
	for !reply.Done() {
		p, err := c.ReadPacket()
		if err != nil {
			t.Fatal(err)
		}
		kind, err := reply.Feed(p, len(p))
		if err != nil {
			t.Fatal(err)
		}
		if kind == wire.KindRow {
			cursor := wire.NewCursor(p)
			v, _ := cursor.Value()
			got = string(v)
		}
	}
	if err := reply.Err(); err != nil {
		t.Fatal(err)
	}
	return got
}

func changeOfUser(t *testing.T, r *realm) {
	p := r.proxy(t, proxytest.Options{Settings: map[string]any{"skip_name_resolve": true}})
	const who = "SELECT CONCAT(CURRENT_USER(), ' ', IFNULL(DATABASE(), '-'), ' ', @@character_set_client, ' ', IFNULL(@a, '-'))"
	c, result := wired(t, p.Addr(t), wire.LoginOptions{User: "app", Credentials: wire.Password("secret"), Database: "shop"})
	value(t, c, result.Capabilities, "SELECT @a := 1")
	expect(t, value(t, c, result.Capabilities, who), "app@% shop utf8mb4 1")
	for want, o := range map[string]wire.LoginOptions{
		"host@127.0.0.1 - latin1 -": {User: "host", Credentials: wire.Password("here"), Charset: wire.CharsetLatin1},
		"app@% shop utf8mb4 -":      {User: "app", Credentials: wire.HashNative("secret").Credentials(), Database: "shop", Attributes: []wire.Attribute{{Name: "a", Value: "b"}}},
		"empty@% - utf8mb4 -":       {User: "empty", Credentials: wire.Password("")},
	} {
		if _, err := wire.LoginAgain(c, o, result.Capabilities, nil); err != nil {
			t.Fatalf("%s: %v", want, err)
		}
		expect(t, value(t, c, result.Capabilities, who), want)
		if list := p.Sessions(); len(list) != 1 || list[0].User() != o.User {
			t.Errorf("%s: %d sessions, of %q", want, len(list), list[0].User())
		}
	}
	_, err := wire.LoginAgain(c, wire.LoginOptions{User: "app", Credentials: wire.Password("wrong")}, result.Capabilities, nil)
	var refused *wire.ServerError
	if !errors.As(err, &refused) || refused.Message != "Access denied for user 'app'@'127.0.0.1' (using password: YES)" {
		t.Errorf("wrong password: %v", err)
	}
	if _, err := c.ReadPacket(); err == nil {
		t.Error("the session goes on")
	}
}

func newAccounts(t *testing.T, r *realm) {
	p := r.proxy(t, proxytest.Options{})
	slow := r.proxy(t, proxytest.Options{Settings: map[string]any{"users_refresh_time": "-1s"}})
	late := client{user: "late", password: "one", database: "late"}
	connect := func(p *proxytest.Proxy, password string) string {
		late.addr, late.password = p.Addr(t), password
		return late.connect(t)
	}
	const denied = "Error 1045 (28000): Access denied for user 'late'@'127.0.0.1' (using password: YES)"
	const welcome = "late@127.0.0.1 as late@% in late"
	expect(t, connect(p, "one"), denied)
	r.Exec(t, "CREATE DATABASE late", "CREATE USER late@'%' IDENTIFIED BY 'one'")
	expect(t, connect(p, "one"), "Error 1044 (42000): Access denied for user 'late'@'%' to database 'late'")
	r.Exec(t, "GRANT ALL ON late.* TO late@'%'")
	expect(t, connect(p, "one"), welcome)
	r.Exec(t, "SET PASSWORD FOR late@'%' = PASSWORD('two')")
	expect(t, connect(p, "one"), denied) // of the server, which knows
	expect(t, connect(p, "two"), welcome)
	expect(t, connect(slow, "two"), denied)
	service, _ := slow.Service("service")
	before := service.UsersUpdated()
	if err := service.Reload(t.Context()); err != nil || !service.UsersUpdated().After(before) {
		t.Fatal(err)
	}
	expect(t, connect(slow, "two"), welcome)
	r.Exec(t, "DROP USER late@'%'", "DROP DATABASE late")
}

func ed25519Logins(t *testing.T, r *realm) {
	file := filepath.Join(t.TempDir(), "mapping.json")
	testbed.Write(t, file, `{"user_map": [{"original_user": "ed", "mapped_user": "backend"}],
		"server_credentials": [{"mapped_user": "backend", "password": "hidden", "plugin": "mysql_native_password"}]}`)
	mapped := r.proxy(t, proxytest.Options{Listener: map[string]any{"user_mapping_file": file, "authenticator": "ed25519auth,mariadbauth"}})
	sha := r.proxy(t, proxytest.Options{Listener: map[string]any{"authenticator_options": "ed_mode=sha256"}})
	c := client{addr: mapped.Addr(t), user: "ed", password: "secret", database: "shop"}
	expect(t, c.connect(t), "backend@127.0.0.1 as backend@% in shop")
	c.password = "wrong"
	expect(t, c.connect(t), "Error 1045 (28000): Access denied for user 'ed'@'127.0.0.1' (using password: YES)")
	c.user, c.password = "app", "secret"
	expect(t, c.connect(t), "app@127.0.0.1 as app@% in shop")
	c.user, c.addr = "ed", sha.Addr(t)
	for range 2 {
		expect(t, c.connect(t), "ed@127.0.0.1 as ed@% in shop")
	}
	c.password = "wrong"
	expect(t, c.connect(t), "Error 1045 (28000): Access denied for user 'ed'@'127.0.0.1' (using password: YES)")
}

func proxyHeaders(t *testing.T, r *realm) {
	out := r.proxy(t, proxytest.Options{
		Listener: map[string]any{"proxy_protocol_networks": "127.0.0.1"}, ServerParams: map[string]any{"proxy_protocol": true},
	})
	in := r.proxy(t, proxytest.Options{Listener: map[string]any{"proxy_protocol_networks": "127.0.0.1"}})
	const header = "PROXY TCP4 192.0.2.7 192.0.2.1 1000 2000\r\n"
	c := client{addr: out.Addr(t), user: "away", password: "secret", header: header}
	expect(t, c.connect(t), "away@192.0.2.7 as away@192.0.2.% in ")
	c.header = ""
	expect(t, c.connect(t), "Error 1045 (28000): Access denied for user 'away'@'127.0.0.1' (using password: YES)")
	c.addr, c.header = in.Addr(t), header // the server does not know, and refuses the proxy's address
	expect(t, c.connect(t), "Error 1045 (28000): Access denied for user 'away'@'127.0.0.1' (using password: YES)")
	c.user, c.header = "app", "PROXY TCP6 2001:db8::7 2001:db8::1 1000 2000\r\n"
	expect(t, c.connect(t), "app@127.0.0.1 as app@% in ")
	c.addr = out.Addr(t)
	expect(t, c.connect(t), "app@2001:db8::7 as app@% in ")
	c.header, c.from = "", "127.0.0.5"
	expect(t, c.connect(t), "app@127.0.0.5 as app@% in ")

	local := filepath.Join(t.TempDir(), "sock")
	out.Config.Listeners = append(out.Config.Listeners, dbproxy.ListenerConfig{
		Name: "local", Service: "service", Params: proxytest.Parse(t, dbproxy.ListenerSpecs(), map[string]any{"socket": local, "proxy_protocol_networks": "localhost"}),
	})
	out.Apply(t, out.Config)
	c = client{addr: local, user: "app", password: "secret", change: func(c *mysql.Config) { c.Net = "unix" }}
	expect(t, c.connect(t), "app@127.0.0.1 as app@% in ") // the server is told that the client is not known
	c.header = header
	expect(t, c.connect(t), "app@192.0.2.7 as app@% in ")
}

func passedThrough(t *testing.T, r *realm) {
	p := r.proxy(t, proxytest.Options{Listener: map[string]any{"authenticator": "mariadbauth", "authenticator_options": "clear_pw_passthrough=true"}})
	c := client{addr: p.Addr(t), password: "secret", change: func(c *mysql.Config) { c.AllowCleartextPasswords = true }}
	for _, user := range []string{"app", "ed"} {
		c.user = user
		expect(t, c.connect(t), user+"@127.0.0.1 as "+user+"@% in ")
	}
	c.password = "wrong"
	expect(t, c.connect(t), "Error 1045 (28000): Access denied for user 'ed'@'127.0.0.1' (using password: YES)")
	srv := p.Backend(t, 0)
	if n := srv.Statistics().FailedLogins; n == 0 {
		t.Error("no failed logins on the server")
	}
}

func poolOfUsers(t *testing.T, r *realm) {
	p := r.proxy(t, proxytest.Options{ServerParams: map[string]any{"persistpoolmax": 5, "persistmaxtime": "100s"}})
	c := client{addr: p.Addr(t)}
	for _, who := range []client{{user: "app", password: "secret", database: "shop"}, {user: "empty"}, {user: "host", password: "here"}, {user: "app", password: "secret"}} {
		c.user, c.password, c.database = who.user, who.password, who.database
		account := "%"
		if who.user == "host" {
			account = "127.0.0.1"
		}
		expect(t, c.connect(t), who.user+"@127.0.0.1 as "+who.user+"@"+account+" in "+who.database)
		proxytest.Eventually(t, "no sessions", func() bool { return len(p.Sessions()) == 0 })
	}
	if n := p.Backend(t, 0).Statistics().Reused; n != 3 {
		t.Errorf("%d connections used again", n)
	}
}

func serviceUser(t *testing.T, r *realm) {
	p := r.proxy(t, proxytest.Options{})
	service, _ := p.Service("service")
	r.Exec(t, "SET PASSWORD FOR service@'%' = PASSWORD('fresh')")
	defer r.Exec(t, "SET PASSWORD FOR service@'%' = PASSWORD('service')")
	if err := service.Reload(t.Context()); err == nil {
		t.Error("accounts are read with a wrong password")
	}
	set := func(password, previous string) error {
		c := p.Config
		given := map[string]any{"user": "service", "password": password, "enable_root_user": true}
		c.Services = []dbproxy.ServiceConfig{c.Services[0]}
		c.Services[0].Params = proxytest.Parse(t, c.Services[0].Params.Specs(), given)
		c.Services[0].PreviousPassword = previous
		p.Apply(t, c)
		return service.Reload(t.Context())
	}
	if err := set("future", "fresh"); err != nil {
		t.Errorf("the previous password: %v", err)
	}
	if err := set("fresh", ""); err != nil {
		t.Errorf("the new password: %v", err)
	}
}

func users(t *testing.T, r *realm) {
	p := r.proxy(t, proxytest.Options{})
	service, _ := p.Service("service")
	seen := map[string]bool{}
	for _, u := range service.Users() {
		seen[u.User+"@"+u.Host] = true
		switch u.User {
		case "ed":
			if u.Plugin != "ed25519" || u.TLS || u.Super || u.Global {
				t.Errorf("%+v", u)
			}
		case "roled":
			if u.DefaultRole != "reader" {
				t.Errorf("%+v", u)
			}
		case "certified":
			if !u.TLS {
				t.Errorf("%+v", u)
			}
		case "root":
			if !u.Super || !u.Global {
				t.Errorf("%+v", u)
			}
		}
	}
	if !seen["app@%"] || !seen["net@127.0.0.0/255.255.255.0"] || seen["reader@"] || service.UsersUpdated().IsZero() {
		t.Errorf("%v, updated %s", seen, service.UsersUpdated())
	}
}

func hostRules(t *testing.T, r *realm) {
	away := client{user: "away", password: "secret"}
	// The server would refuse it as well: what is seen is that the proxy does not.
	p := r.proxy(t, proxytest.Options{Listener: map[string]any{"authenticator_options": "match_host=false"}})
	away.addr = p.Addr(t)
	away.connect(t)
	if n := p.Backend(t, 0).Statistics().FailedLogins; n == 0 {
		t.Error("match_host=false: the proxy refuses")
	}
	strict := r.proxy(t, proxytest.Options{Service: map[string]any{"localhost_match_wildcard_host": false}})
	c := client{addr: strict.Addr(t), user: "app", password: "secret"}
	expect(t, c.connect(t), "Error 1045 (28000): Access denied for user 'app'@'127.0.0.1' (using password: YES)")
	c.user, c.password = "host", "here"
	expect(t, c.connect(t), "host@127.0.0.1 as host@127.0.0.1 in ")
	lower := r.proxy(t, proxytest.Options{Listener: map[string]any{"authenticator_options": "lower_case_table_names=1"}})
	expect(t, client{addr: lower.Addr(t), user: "app", password: "secret", database: "SHOP"}.connect(t), "app@127.0.0.1 as app@% in shop")
	rootless := r.proxy(t, proxytest.Options{Service: map[string]any{"enable_root_user": false}})
	expect(t, client{addr: rootless.Addr(t), user: "root", password: r.Password}.connect(t),
		"Error 1045 (28000): Access denied for user 'root'@'127.0.0.1' (using password: YES)")
}

func serverMetadata(t *testing.T, r *realm) {
	p := r.proxy(t, proxytest.Options{Listener: map[string]any{"connection_metadata": []any{"max_allowed_packet=auto", "x=y"}}})
	_, result := wired(t, p.Addr(t), wire.LoginOptions{User: "app", Credentials: wire.Password("secret"), Capabilities: wire.CapSessionTrack})
	told := map[string]string{}
	for list := result.OK.State.Changes(); ; {
		ch, ok, err := list.Next()
		if !ok || err != nil {
			break
		}
		told[string(ch.Name)] = string(ch.Value)
	}
	if told["max_allowed_packet"] != "16777216" || told["x"] != "y" {
		t.Errorf("told %v", told)
	}
	if v := result.Greeting.Version; !strings.HasPrefix(v, "5.5.5-10.11.") || result.Greeting.Capabilities.Has(wire.CapMySQL) {
		t.Errorf("greeting %q, %#x", v, uint64(result.Greeting.Capabilities))
	}
}

func accountSources(t *testing.T, r *realm) {
	closed := testbed.FreePort(t)
	c := client{user: "app", password: "secret"}
	c.addr = r.proxy(t, proxytest.Options{ServerParams: map[string]any{"extra_port": closed}}).Addr(t)
	expect(t, c.connect(t), "app@127.0.0.1 as app@% in ")
	p := r.proxy(t, proxytest.Options{ServerParams: map[string]any{"port": closed, "extra_port": r.Port}})
	if service, _ := p.Service("service"); len(service.Users()) == 0 {
		t.Error("no accounts by the extra port")
	}
	second := testbed.StartMariaDB(t, testbed.MariaDBOptions{Password: "root"})
	second.Exec(t, "CREATE USER service@'%' IDENTIFIED BY 'service'", "GRANT SELECT ON mysql.* TO service@'%'", "CREATE USER elsewhere@'%'")
	for all, want := range map[bool]bool{true: true, false: false} {
		p := proxytest.Start(t, proxytest.Options{
			Modules: builtin.Modules(), Servers: []*testbed.MariaDB{r.MariaDB, second}, User: "service", Password: "service",
			Service: map[string]any{"auth_all_servers": all},
		})
		service, _ := p.Service("service")
		got := slices.ContainsFunc(service.Users(), func(u account.Listed) bool { return u.User == "elsewhere" })
		if got != want {
			t.Errorf("auth_all_servers %v: accounts of the second server are known: %v", all, got)
		}
	}
}

func sqlMode(t *testing.T, r *realm) {
	r.Exec(t, "SET GLOBAL sql_mode = 'ANSI_QUOTES'")
	defer r.Exec(t, "SET GLOBAL sql_mode = DEFAULT")
	p := r.proxy(t, proxytest.Options{})
	wired(t, p.Addr(t), wire.LoginOptions{User: "app", Credentials: wire.Password("secret")})
	if got := p.Sessions()[0].Mode(); got != sqlclass.ANSIQuotes|sqlclass.MariaDB {
		t.Errorf("mode %b", got)
	}
}

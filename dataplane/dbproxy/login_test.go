package dbproxy

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/param"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
	"github.com/backplane/backplane/testbed"
)

// nowhere is a router without servers: all requests go well.
type nowhere struct{}

func (nowhere) Session(s *Session) (Handler, error) { return nowhereSession{s}, nil }
func (nowhere) Diagnostics() map[string]any         { return nil }

type nowhereSession struct{ session *Session }

func (n nowhereSession) Handle(r *Request, to Answer) error { return Acknowledge(r, to) }
func (n nowhereSession) Close()                             {}

// house is a proxy of which only the logins are of interest: its accounts are
// in a file, and there are no servers.
type house struct {
	*Proxy
	config Config
	addr   string
}

const accountsFile = `{"user": [
	{"user": "app", "host": "%", "password": "14E65567ABDB5135D0CFD9A70B3032C179A49EE7", "default_role": "", "super_priv": true, "global_db_priv": true},
	{"user": "few", "host": "%", "password": "14E65567ABDB5135D0CFD9A70B3032C179A49EE7"},
	{"user": "sha", "host": "%", "plugin": "caching_sha2_password", "authentication_string": "SHA2STORED"},
	{"user": "ed", "host": "%", "plugin": "ed25519", "authentication_string": "ED25519STORED"},
	{"user": "pam", "host": "%", "plugin": "pam", "authentication_string": "mariadb"},
	{"user": "other", "host": "%", "plugin": "parsec", "authentication_string": "x"},
	{"user": "remote", "host": "192.0.2.7", "password": "14E65567ABDB5135D0CFD9A70B3032C179A49EE7"},
	{"user": "six", "host": "2001:db8::7", "password": "14E65567ABDB5135D0CFD9A70B3032C179A49EE7"},
	{"user": "none", "host": "%"}
], "db": [{"user": "few", "host": "%", "db": "shop"}]}`

func newHouse(t testing.TB, listener, service, settings map[string]any) *house {
	t.Helper()
	dir := t.TempDir()
	accounts := filepath.Join(dir, "accounts.json")
	text := strings.NewReplacer("SHA2STORED", storedSHA2, "ED25519STORED", storedEd25519).Replace(accountsFile)
	if err := os.WriteFile(accounts, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	parse := func(specs param.Specs, base, more map[string]any) param.Set {
		for k, v := range more {
			base[k] = v
		}
		set, faults := param.Parse(specs, base)
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		return set
	}
	p := New(Options{
		Modules: Modules{Routers: map[string]RouterModule{"nowhere": {New: func(RouterOptions) (Router, error) { return nowhere{}, nil }}}},
		Logger:  slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	h := &house{Proxy: p}
	h.config = Config{
		Settings: parse(SettingsSpecs(), map[string]any{"skip_name_resolve": true}, settings),
		Services: []ServiceConfig{{Name: "s", Router: "nowhere", Params: parse(ServiceSpecs(), map[string]any{
			"user": "u", "password": "p", "user_accounts_file": accounts, "user_accounts_file_usage": "file_only_always",
		}, service)}},
		Listeners: []ListenerConfig{{Name: "l", Service: "s", Params: parse(ListenerSpecs(), map[string]any{"address": "127.0.0.1"}, listener)}},
	}
	if err := p.Apply(t.Context(), h.config); err != nil {
		t.Fatal(err)
	}
	l, _ := p.Listener("l")
	h.addr = l.Addr().String()
	return h
}

// dial connects.
func (h *house) dial(t testing.TB, header string) *wire.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	c := wire.NewConn(nc, wire.PeerServer)
	if err := errors.Join(c.WriteRaw([]byte(header)), c.Flush()); err != nil {
		t.Fatal(err)
	}
	return c
}

// login logs in.
func (h *house) login(t testing.TB, o wire.LoginOptions) (*wire.Conn, *wire.LoginResult, error) {
	t.Helper()
	return h.loginVia(t, "", o)
}

func (h *house) loginVia(t testing.TB, header string, o wire.LoginOptions) (*wire.Conn, *wire.LoginResult, error) {
	t.Helper()
	c := h.dial(t, header)
	r, err := wire.Login(t.Context(), c, o)
	return c, r, err
}

// ping tells whether the session works.
func ping(t testing.TB, c *wire.Conn) {
	t.Helper()
	if err := errors.Join(c.WriteCommand(wire.ComPing), c.Flush()); err != nil {
		t.Fatal(err)
	}
	p, err := c.ReadPacket()
	if err != nil || len(p) == 0 || p[0] != 0 {
		t.Fatalf("ping: %q, %v", p, err)
	}
}

// only returns the one session that there is.
func (h *house) only(t testing.TB) *Session {
	t.Helper()
	list := h.Sessions()
	if len(list) != 1 {
		t.Fatalf("%d sessions", len(list))
	}
	return list[0]
}

func code(t testing.TB, err error) uint16 {
	t.Helper()
	var e *wire.ServerError
	if !errors.As(err, &e) {
		t.Fatalf("not refused: %v", err)
	}
	return e.Code
}

const (
	secret = wire.Password("secret")
	// What servers store for it.
	storedSHA2    = "$A$005$abcdefghijklmnopqrstYy1cVJ5jT.fk4HyAGlowRhOkI55As4SAesbspXHQvFD"
	storedEd25519 = "ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY"
)

func TestLoginGreeting(t *testing.T) {
	h := newHouse(t, map[string]any{"connection_metadata": []any{"color=blue", "unknown=auto"}}, map[string]any{"version_string": "8.1-mine"}, nil)
	caps := wire.CapSessionTrack | wire.CapDeprecateEOF | wire.CapMultiStatements
	c, r, err := h.login(t, wire.LoginOptions{User: "app", Credentials: secret, Database: "shop", Capabilities: caps, Attributes: []wire.Attribute{{Name: "a", Value: "b"}}})
	if err != nil {
		t.Fatal(err)
	}
	s := h.only(t)
	if r.Greeting.Version != "8.1-mine" || r.Greeting.ConnectionID != s.ID() || !r.OK.Status.Has(wire.StatusAutocommit) {
		t.Errorf("greeting %+v, %+v", r.Greeting, r.OK)
	}
	if offered := r.Greeting.Capabilities; offered.Has(wire.CapSSL) || offered&(wire.CapCompress|wire.CapZstd) != 0 {
		t.Errorf("offers %#x", offered)
	}
	told := map[string]string{}
	for list := r.OK.State.Changes(); ; {
		ch, ok, err := list.Next()
		if !ok || err != nil {
			break
		}
		told[string(ch.Name)] = string(ch.Value)
	}
	if len(told) != 3 || told["color"] != "blue" || told["threads_connected"] != "1" || told["connection_id"] == "" {
		t.Errorf("told %v", told)
	}
	ping(t, c)
	if s.User() != "app" || s.database != "shop" || len(s.attributes) != 1 || !s.caps.Has(caps) || s.charset != wire.CharsetUTF8MB4 {
		t.Errorf("%q %q %v %#x %d", s.User(), s.database, s.attributes, s.caps, s.charset)
	}
	_, r, err = h.login(t, wire.LoginOptions{User: "app", Credentials: secret})
	if err != nil || len(r.OK.State) != 0 {
		t.Errorf("told without being asked: %+v, %v", r, err)
	}
}

func TestLoginPlugins(t *testing.T) {
	ca := testbed.NewCA(t)
	cert, key := ca.Issue(t, "127.0.0.1").Files(t, t.TempDir(), "proxy", "")
	secured := map[string]any{"ssl": true, "ssl_cert": cert, "ssl_key": key}
	trusting := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // a test
	with := func(options ...string) map[string]any {
		m := map[string]any{"authenticator_options": strings.Join(options, ",")}
		for k, v := range secured {
			m[k] = v
		}
		return m
	}
	for _, c := range []struct {
		name     string
		listener map[string]any
		user     string
		password wire.Credentials
		tls      bool
		want     uint16 // error
		plugin   string
	}{
		{"native", nil, "app", secret, false, 0, wire.PluginNative},
		{"native by hash", nil, "app", wire.HashNative("secret").Credentials(), false, 0, wire.PluginNative},
		{"native, wrong", nil, "app", wire.Password("Secret"), false, 1045, ""},
		{"sha2 by RSA", nil, "sha", secret, false, 0, wire.PluginSHA2},
		{"sha2 by RSA, wrong", nil, "sha", wire.Password("Secret"), false, 1045, ""},
		{"sha2, empty", nil, "sha", wire.Password(""), false, 1045, ""},
		{"sha2 under TLS", secured, "sha", secret, true, 0, wire.PluginSHA2},
		{"sha2 under TLS, wrong", secured, "sha", wire.Password("Secret"), true, 1045, ""},
		{"ed25519 without a mapping", nil, "ed", secret, false, 1045, ""},
		{"ed25519 as sha2", with("ed_mode=sha256"), "ed", secret, true, 0, wire.PluginSHA2},
		{"ed25519 as sha2, wrong", with("ed_mode=sha256"), "ed", wire.Password("Secret"), true, 1045, ""},
		{"pam, not mentioned", secured, "pam", secret, true, 1045, ""},
		{"other plugin", nil, "other", secret, false, 1045, ""},
		{"no password", nil, "none", wire.Password(""), false, 0, wire.PluginNative},
		{"TLS demanded", secured, "app", secret, false, 1045, ""},
		{"passed through", with("clear_pw_passthrough=1"), "anybody", secret, true, 0, wire.PluginClear},
		{"passed through, root", with("clear_pw_passthrough=1"), "root", secret, true, 1045, ""},
		{"not checked", with("skip_authentication=true"), "sha", wire.Password("any"), true, 0, wire.PluginSHA2},
		{"native is checked", with("skip_authentication=true"), "app", wire.Password("any"), true, 1045, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t, c.listener, nil, nil)
			for try := range 2 { // the second time by what is remembered
				o := wire.LoginOptions{User: c.user, Credentials: c.password, AskServerKey: true, AllowClear: true}
				if c.tls {
					o.TLS = trusting
				}
				conn, r, err := h.login(t, o)
				if c.want != 0 {
					if got := code(t, err); got != c.want {
						t.Errorf("%d: %v", try, err)
					}
					continue
				}
				if err != nil || r.Plugin != c.plugin {
					t.Fatalf("%d: %+v, %v", try, r, err)
				}
				ping(t, conn)
			}
		})
	}
}

func TestLoginRemembersPasswords(t *testing.T) {
	h := newHouse(t, nil, nil, nil)
	hash := wire.HashSHA2("secret").Credentials()
	if _, _, err := h.login(t, wire.LoginOptions{User: "sha", Credentials: hash, AskServerKey: true}); !errors.Is(err, wire.ErrPlugin) {
		t.Fatalf("a password that was never proved: %v", err)
	}
	if _, _, err := h.login(t, wire.LoginOptions{User: "sha", Credentials: secret, AskServerKey: true}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.login(t, wire.LoginOptions{User: "sha", Credentials: hash}); err != nil {
		t.Errorf("the token alone: %v", err)
	}
	if _, _, err := h.login(t, wire.LoginOptions{User: "sha", Credentials: wire.Password("wrong"), AskServerKey: true}); code(t, err) != wire.ErrCodeAccessDenied {
		t.Error(err)
	}
}

// Passwords in clear are asked of who is here, not of who comes from afar by
// way of a neighbour.
func TestLoginInClear(t *testing.T) {
	h := newHouse(t, map[string]any{"proxy_protocol_networks": "127.0.0.1", "authenticator_options": "clear_pw_passthrough=1"}, nil, nil)
	o := wire.LoginOptions{User: "app", Credentials: secret, AllowClear: true}
	for header, asked := range map[string]bool{
		"": true, "PROXY TCP4 127.0.0.2 127.0.0.1 1000 2000\r\n": true, "PROXY TCP4 192.0.2.7 192.0.2.1 1000 2000\r\n": false,
	} {
		// The client sends none in clear here, but tells what it was asked for.
		switch _, r, err := h.loginVia(t, header, o); {
		case !asked:
			if got := code(t, err); got != wire.ErrCodeAccessDenied {
				t.Errorf("%q: %v", header, err)
			}
		case err != nil || r.Plugin != wire.PluginClear:
			t.Errorf("%q: %+v, %v", header, r, err)
		}
	}
}

func TestLoginRefusals(t *testing.T) {
	h := newHouse(t, nil, nil, nil)
	for _, c := range []struct{ user, password, database, want string }{
		{"app", "wrong", "", "error 1045 (28000): Access denied for user 'app'@'127.0.0.1' (using password: YES)"},
		{"app", "", "", "error 1045 (28000): Access denied for user 'app'@'127.0.0.1' (using password: NO)"},
		{"nobody", "", "", "error 1045 (28000): Access denied for user 'nobody'@'127.0.0.1' (using password: NO)"},
		{"root", "secret", "", "error 1045 (28000): Access denied for user 'root'@'127.0.0.1' (using password: YES)"},
		{"remote", "secret", "", "error 1045 (28000): Access denied for user 'remote'@'127.0.0.1' (using password: YES)"},
		{"few", "secret", "other", "error 1044 (42000): Access denied for user 'few'@'%' to database 'other'"},
		{strings.Repeat("u", 200) + "\xff", "secret", "", "error 1045 (28000): Access denied for user '" + strings.Repeat("u", 128) + "'@'127.0.0.1' (using password: YES)"},
	} {
		_, _, err := h.login(t, wire.LoginOptions{User: c.user, Credentials: wire.Password(c.password), Database: c.database})
		if err == nil || err.Error() != c.want {
			t.Errorf("%v\nwant %s", err, c.want)
		}
	}
	service, _ := h.Service("s")
	if n := service.Statistics().FailedLogins; n != 7 {
		t.Errorf("%d failed logins", n)
	}
}

func TestLoginBlocksHosts(t *testing.T) {
	h := newHouse(t, map[string]any{"proxy_protocol_networks": "127.0.0.1"}, nil, map[string]any{"max_auth_errors_until_block": 2})
	const from = "PROXY TCP4 192.0.2.7 192.0.2.1 1000 2000\r\n"
	for range 2 {
		if _, _, err := h.loginVia(t, from, wire.LoginOptions{User: "remote", Credentials: wire.Password("wrong")}); code(t, err) != wire.ErrCodeAccessDenied {
			t.Fatal(err)
		}
	}
	if _, _, err := h.loginVia(t, from, wire.LoginOptions{User: "remote", Credentials: secret}); code(t, err) != wire.ErrCodeHostBlocked {
		t.Error(err)
	}
	if _, _, err := h.login(t, wire.LoginOptions{User: "app", Credentials: secret}); err != nil {
		t.Errorf("another host: %v", err)
	}
	for range 2 {
		if _, _, err := h.login(t, wire.LoginOptions{User: "app", Credentials: wire.Password("wrong")}); code(t, err) != wire.ErrCodeAccessDenied {
			t.Fatal(err)
		}
	}
	h.config.Listeners[0].Params = param.MustParse(ListenerSpecs(), map[string]any{"address": "127.0.0.1"})
	if err := h.Apply(t.Context(), h.config); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.login(t, wire.LoginOptions{User: "app", Credentials: secret}); code(t, err) != wire.ErrCodeHostBlocked {
		t.Errorf("before the greeting: %v", err)
	}
}

func TestLoginWaitsNoLonger(t *testing.T) {
	h := newHouse(t, nil, nil, map[string]any{"auth_read_timeout": "1s"})
	c := h.dial(t, "")
	if _, err := c.ReadPacket(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ReadPacket(); !errors.Is(err, io.EOF) { // and no deadline of this end
		t.Errorf("a silent client: %v", err)
	}
	good, _, err := h.login(t, wire.LoginOptions{User: "app", Credentials: secret})
	if err != nil {
		t.Fatal(err)
	}
	silent := h.dial(t, "")
	for err == nil {
		_, err = silent.ReadPacket()
	}
	ping(t, good) // who is logged in may be silent for longer
}

// waitFor polls until ok.
func waitFor(t testing.TB, ok func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	for !ok() {
		select {
		case <-deadline:
			t.Fatal("waited in vain")
		case <-time.After(time.Millisecond):
		}
	}
}

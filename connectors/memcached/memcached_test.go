package memcached_test

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/conformance"
	"github.com/backplane/backplane/connectors/memcached"
	"github.com/backplane/backplane/testbed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type cfg = conformance.Config

// asciiPassword is the nasty one without colon and space, where memcached would
// end it.
var asciiPassword = strings.NewReplacer(":", "", " ", "").Replace(testbed.NastyPassword)

var (
	asciiUsers = map[string]string{"app": asciiPassword}
	saslUsers  = map[string]string{"app": testbed.NastyPassword}
	ascii      = cfg{"auth": "ascii", "password": asciiPassword}
)

func at(port int) cfg { return cfg{"port": float64(port)} }

// over lays several changes over each other.
func over(changes ...cfg) cfg {
	out := cfg{}
	for _, c := range changes {
		for k, v := range c {
			out[k] = v
		}
	}
	return out
}

func TestConformance(t *testing.T) {
	main := testbed.StartMemcached(t, testbed.MemcachedOptions{Users: saslUsers, SASL: true})
	conformance.Run(t, conformance.Backend{
		Connector: memcached.New(),
		Good: cfg{"host": "127.0.0.1", "port": float64(main.Port), "auth": "sasl",
			"username": "app", "password": testbed.NastyPassword},
		At:    func(host string, port int) cfg { return cfg{"host": host, "port": float64(port)} },
		Cases: append(append(loginCases(t), tlsCases(t)...), severalCases(t)...),
		Invalid: []conformance.Invalid{
			{Name: "no server at all", Change: cfg{"host": nil, "port": nil}, Fields: []string{"servers"}},
			{Name: "both forms", Change: cfg{"servers": []any{"a:1"}}, Fields: []string{"host"}},
			{Name: "servers and a port", Change: cfg{"servers": []any{"a:1"}, "host": nil}, Fields: []string{"port"}},
			{Name: "an empty list", Change: cfg{"servers": []any{}, "host": nil, "port": nil}, Fields: []string{"servers"}},
			{Name: "a bad entry", Change: cfg{"servers": []any{"a:1", "b:0"}, "host": nil, "port": nil}, Fields: []string{"servers"}},
			{Name: "an entry with a scheme", Change: cfg{"servers": []any{"memcached://a:1"}, "host": nil, "port": nil}, Fields: []string{"servers"}},
			{Name: "an entry with a bare colon", Change: cfg{"servers": []any{"a:"}, "host": nil, "port": nil}, Fields: []string{"servers"}},
			{Name: "servers as text", Change: cfg{"servers": "a:1", "host": nil, "port": nil}, Fields: []string{"servers"}},
			{Name: "a login without its kind", Change: cfg{"auth": nil}, Fields: []string{"auth"}},
			{Name: "a kind without a login", Change: cfg{"username": nil, "password": nil}, Fields: []string{"username", "password"}},
			{Name: "another kind", Change: cfg{"auth": "digest"}, Fields: []string{"auth"}},
			{Name: "a user name with a space", Change: over(ascii, cfg{"username": "a b"}), Fields: []string{"username"}},
			{Name: "half a client certificate", Change: cfg{"tls_client_cert": "x"}, Fields: []string{"tls_client_cert"}},
		},
	})
}

func loginCases(t *testing.T) []conformance.Case {
	none := cfg{"auth": nil, "username": nil, "password": nil}
	wrong := cfg{"password": "wrong"}
	start := func(o testbed.MemcachedOptions) cfg { return at(testbed.StartMemcached(t, o).Port) }
	openAt := start(testbed.MemcachedOptions{})
	asciiAt := start(testbed.MemcachedOptions{Users: asciiUsers})
	return []conformance.Case{
		{Name: "SASL: version and clear password are told", Warning: "plaintext_credentials", Check: func(t *testing.T, r connectors.Report, _ *connectors.Failure) {
			if r.ServerVersion == "" || len(r.Peers) != 1 || r.Peers[0].Version != r.ServerVersion {
				t.Errorf("report %+v", r)
			}
		}},
		{Name: "SASL: wrong password", Change: wrong, Want: connectors.AuthFailed, Stage: connectors.StageAuth},
		{Name: "SASL: unknown user", Change: cfg{"username": "nobody"}, Want: connectors.AuthFailed},
		{Name: "SASL: no login", Change: none, Want: connectors.AuthRequired, Stage: connectors.StageAuth, Contain: "sasl", Timeout: time.Second},
		{Name: "SASL: ascii configured", Change: ascii, Want: connectors.AuthUnsupported, Contain: "SASL", Timeout: time.Second},
		{Name: "ascii", Change: over(ascii, asciiAt), Warning: "plaintext_credentials"},
		{Name: "ascii: wrong password", Change: over(ascii, asciiAt, wrong), Want: connectors.AuthFailed, Stage: connectors.StageAuth},
		{Name: "ascii: password that memcached would cut", Change: over(asciiAt, cfg{"auth": "ascii"}), Want: connectors.AuthFailed, Contain: "space or colon"},
		{Name: "ascii: no login", Change: over(asciiAt, none), Want: connectors.AuthRequired, Stage: connectors.StageAuth},
		{Name: "ascii: SASL configured", Change: asciiAt, Want: connectors.Timeout, Stage: connectors.StageGreeting, Contain: "ascii", Timeout: time.Second},
		{Name: "open", Change: over(openAt, none)},
		{Name: "open: ascii login", Change: over(ascii, openAt), Warning: "password_not_needed", Check: notSent},
		{Name: "open: SASL login", Change: openAt, Warning: "password_not_needed", Check: notSent},
	}
}

func notSent(t *testing.T, r connectors.Report, _ *connectors.Failure) {
	t.Helper()
	if len(r.Warnings) != 1 {
		t.Errorf("the password was sent: %+v", r.Warnings)
	}
}

func tlsCases(t *testing.T) []conformance.Case {
	ca := testbed.NewCA(t)
	trust := over(ascii, cfg{"use_tls": true, "tls_ca": ca.PEM})
	start := func(c testbed.Cert, client *testbed.CA) cfg {
		return at(testbed.StartMemcached(t, testbed.MemcachedOptions{Users: asciiUsers, Cert: &c, ClientCA: client}).Port)
	}
	own, client := ca.Issue(t, "127.0.0.1"), ca.Issue(t, "client")
	ownAt, otherAt, mutualAt := start(own, nil), start(ca.Issue(t, "other.example"), nil), start(own, ca)
	return []conformance.Case{
		{Name: "TLS", Change: over(trust, ownAt), Check: func(t *testing.T, r connectors.Report, _ *connectors.Failure) {
			if !r.TLS.Used || !r.TLS.Verified || len(r.Warnings) > 0 {
				t.Errorf("report %+v", r)
			}
		}},
		{Name: "TLS untrusted", Change: over(ascii, ownAt, cfg{"use_tls": true}), Want: connectors.TLSUntrusted, Stage: connectors.StageTLS},
		{Name: "TLS unverified", Change: over(ascii, ownAt, cfg{"use_tls": true, "tls_skip_verify": true}), Warning: "tls_unverified"},
		{Name: "TLS wrong name", Change: over(trust, otherAt), Want: connectors.TLSHostname, Contain: "other.example"},
		{Name: "TLS expired", Change: over(trust, start(ca.IssueExpired(t, "127.0.0.1"), nil)), Want: connectors.TLSExpired},
		{Name: "TLS to a plain port", Change: trust, Want: connectors.TLSHandshake, OneOf: []connectors.Code{connectors.Timeout}, Stage: connectors.StageTLS, Contain: "plain text", Timeout: time.Second},
		{Name: "plain to a TLS port", Change: ownAt, Want: connectors.TLSRequired, OneOf: []connectors.Code{connectors.Closed}, Contain: "use_tls"},
		{Name: "client certificate", Change: over(trust, mutualAt, cfg{"tls_client_cert": client.CertPEM, "tls_client_key": client.KeyPEM})},
		{Name: "client certificate missing", Change: over(trust, mutualAt), Want: connectors.TLSHandshake, OneOf: []connectors.Code{connectors.Closed}, Contain: "certificate"},
	}
}

func severalCases(t *testing.T) []conformance.Case {
	a, b := testbed.StartMemcached(t, testbed.MemcachedOptions{}), testbed.StartMemcached(t, testbed.MemcachedOptions{})
	servers := func(list ...any) cfg {
		return cfg{"servers": list, "host": nil, "port": nil, "auth": nil, "username": nil, "password": nil}
	}
	dead := testbed.Addr(testbed.ClosedPort(t))
	peers := func(t *testing.T, r connectors.Report, errors ...bool) {
		t.Helper()
		if len(r.Peers) != len(errors) {
			t.Fatalf("peers %+v", r.Peers)
		}
		for i, bad := range errors {
			if p := r.Peers[i]; (p.Error != "") != bad || (p.Version == "") != bad {
				t.Errorf("peer %d: %+v", i, p)
			}
		}
	}
	return []conformance.Case{
		{Name: "several servers", Change: servers(testbed.Addr(a.Port), testbed.Addr(b.Port)), Check: func(t *testing.T, r connectors.Report, _ *connectors.Failure) {
			peers(t, r, false, false)
		}},
		{Name: "one of several is down", Change: servers(testbed.Addr(a.Port), dead, testbed.Addr(b.Port)), Want: connectors.Refused, Stage: connectors.StageConnect,
			Contain: dead + " (1 of 3 servers failed)", Check: func(t *testing.T, r connectors.Report, _ *connectors.Failure) { peers(t, r, false, true, false) }},
		{Name: "all are down, each in its way", Change: servers("no-such-host.invalid", dead, testbed.Addr(testbed.SilentPeer(t))), Want: connectors.DNSFailure, Timeout: time.Second,
			Contain: "3 of 3", Check: func(t *testing.T, r connectors.Report, _ *connectors.Failure) {
				peers(t, r, true, true, true)
				for i, want := range []string{"Host not found", "Connection refused", "Timed out (greeting)"} {
					if !strings.HasPrefix(r.Peers[i].Error, want) {
						t.Errorf("peer %d: %q, want %q", i, r.Peers[i].Error, want)
					}
				}
			}},
		{Name: "too many connections", Change: servers(testbed.Addr(testbed.BannerPeer(t, "ERROR Too many open connections\r\n"))), Want: connectors.ServerBusy},
		{Name: "a Redis server", Change: servers(testbed.Addr(testbed.StartRedis(t, testbed.RedisOptions{}).Port)), Want: connectors.ProtocolMismatch, Contain: "Redis"},
		{Name: "a text server that knows no version", Change: servers(testbed.Addr(testbed.BannerPeer(t, "ERROR\r\n"))), Want: connectors.ProtocolMismatch},
	}
}

func TestServers(t *testing.T) {
	list := []any{"cache.example.com:11212", "10.0.0.1", "[::1]:11213", "::1", "[fe80::1]"}
	_, faults := memcached.New().Spec().Validate(map[string]any{"servers": list}, connectors.Env{})
	if len(faults) > 0 {
		t.Errorf("refused: %+v", faults)
	}
}

func TestHostForm(t *testing.T) {
	got, faults := memcached.New().Spec().Validate(map[string]any{"host": "cache.example.com"}, connectors.Env{})
	want := connectors.Config{
		"host": "cache.example.com", "port": int64(11211), "auth": "none", "use_tls": false,
		"pool_size": int64(5), "timeout_ms": int64(1000), "tls_skip_verify": false,
	}
	if len(faults) > 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v (%v), want %v", got, faults, want)
	}
}

// TestNothingStored makes sure that a login to a server without one does not
// leave the password in the cache.
func TestNothingStored(t *testing.T) {
	s := testbed.StartMemcached(t, testbed.MemcachedOptions{})
	for _, auth := range []string{"ascii", "sasl"} {
		c := connectors.Config{"host": "127.0.0.1", "port": int64(s.Port), "auth": auth, "username": "app", "password": testbed.NastyPassword}
		if _, f := connectors.Run(context.Background(), memcached.New(), c, connectors.Env{}, 0); f != nil {
			t.Fatalf("%s: %v", auth, f)
		}
	}
	if stats := ask(t, s, "stats items\r\nquit\r\n"); stats != "END\r\n" {
		t.Errorf("stored: %q", stats)
	}
}

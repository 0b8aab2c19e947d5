package redis_test

import (
	"reflect"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/conformance"
	"github.com/backplane/backplane/connectors/redis"
	"github.com/backplane/backplane/testbed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type cfg = conformance.Config

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
	ca := testbed.NewCA(t)
	cert := ca.Issue(t, "127.0.0.1")
	main := testbed.StartRedis(t, testbed.RedisOptions{
		Password: testbed.NastyPassword, Cert: &cert,
		Users: []testbed.RedisUser{
			{Name: "app", Password: testbed.NastyPassword, Rules: "on ~* +@all"},
			{Name: "off", Password: testbed.NastyPassword, Rules: "off ~* +@all"},
			{Name: "noping", Password: testbed.NastyPassword, Rules: "on ~* +get"},
		},
	})
	conformance.Run(t, conformance.Backend{
		Connector: redis.New(),
		Good:      cfg{"host": "127.0.0.1", "port": float64(main.Port), "password": testbed.NastyPassword, "database": float64(3)},
		At:        func(host string, port int) cfg { return cfg{"host": host, "port": float64(port)} },
		Cases: append(append(loginCases(), tlsCases(t, ca, main)...),
			serverCases(t, main)...),
		Invalid: []conformance.Invalid{
			{Name: "a user without password", Change: cfg{"username": "app", "password": nil}, Fields: []string{"password"}},
			{Name: "a user with an empty password", Change: cfg{"username": "app", "password": ""}, Fields: []string{"password"}},
			{Name: "half a client certificate", Change: cfg{"tls_client_cert": cert.CertPEM}, Fields: []string{"tls_client_cert"}},
			{Name: "several faults at once", Change: cfg{"database": float64(256), "pool_size": float64(0)}, Fields: []string{"database", "pool_size"}},
			{Name: "a negative database", Change: cfg{"database": float64(-1)}, Fields: []string{"database"}},
		},
	})
}

func loginCases() []conformance.Case {
	return []conformance.Case{
		{Name: "version and clear password are told", Warning: "plaintext_credentials", Check: func(t *testing.T, r connectors.Report, _ *connectors.Failure) {
			if r.ServerVersion == "" || r.TLS.Used {
				t.Errorf("report %+v", r)
			}
		}},
		{Name: "wrong password", Change: cfg{"password": "wrong"}, Want: connectors.AuthFailed, Stage: connectors.StageAuth},
		{Name: "no password", Change: cfg{"password": nil}, Want: connectors.AuthRequired, Stage: connectors.StageAuth},
		{Name: "named user", Change: cfg{"username": "app"}},
		{Name: "unknown user", Change: cfg{"username": "nobody"}, Want: connectors.AuthFailed},
		{Name: "user that is switched off", Change: cfg{"username": "off"}, Want: connectors.AuthFailed},
		{Name: "user who may not ping", Change: cfg{"username": "noping", "database": nil}, Warning: "restricted"},
		{Name: "user who may not select", Change: cfg{"username": "noping"}, Want: connectors.PermissionDenied, Stage: connectors.StageSelect},
		{Name: "database that does not exist", Change: cfg{"database": float64(99)}, Want: connectors.DatabaseMissing, Stage: connectors.StageSelect, Contain: `"99"`},
	}
}

func tlsCases(t *testing.T, ca *testbed.CA, main *testbed.Redis) []conformance.Case {
	trust := cfg{"use_tls": true, "tls_ca": ca.PEM}
	other, expired := ca.Issue(t, "other.example"), ca.IssueExpired(t, "127.0.0.1")
	own := ca.Issue(t, "127.0.0.1")
	client := ca.Issue(t, "client")
	start := func(c testbed.Cert, o testbed.RedisOptions) cfg {
		o.Cert, o.Password = &c, testbed.NastyPassword
		return at(testbed.StartRedis(t, o).TLSPort)
	}
	otherAt := start(other, testbed.RedisOptions{TLSOnly: true})
	mutual := start(own, testbed.RedisOptions{TLSOnly: true, ClientCA: ca})
	return []conformance.Case{
		{Name: "TLS", Change: over(trust, at(main.TLSPort)), Check: func(t *testing.T, r connectors.Report, _ *connectors.Failure) {
			if !r.TLS.Used || !r.TLS.Verified || r.TLS.PeerNotAfter.IsZero() || len(r.Warnings) > 0 {
				t.Errorf("report %+v", r)
			}
		}},
		{Name: "TLS untrusted", Change: over(at(main.TLSPort), cfg{"use_tls": true}), Want: connectors.TLSUntrusted, Stage: connectors.StageTLS},
		{Name: "TLS unverified", Change: over(at(main.TLSPort), cfg{"use_tls": true, "tls_skip_verify": true}), Warning: "tls_unverified"},
		{Name: "TLS wrong name", Change: over(trust, otherAt), Want: connectors.TLSHostname, Contain: "other.example"},
		{Name: "TLS name given", Change: over(trust, otherAt, cfg{"tls_server_name": "other.example"})},
		{Name: "TLS expired", Change: over(trust, start(expired, testbed.RedisOptions{TLSOnly: true})), Want: connectors.TLSExpired},
		{Name: "TLS to a plain port", Change: trust, Want: connectors.Timeout, Stage: connectors.StageTLS, Contain: "plain text", Timeout: time.Second},
		{Name: "plain to a TLS port", Change: at(main.TLSPort), Want: connectors.TLSRequired, OneOf: []connectors.Code{connectors.Closed}, Contain: "use_tls"},
		{Name: "client certificate", Change: over(trust, mutual, cfg{"tls_client_cert": client.CertPEM, "tls_client_key": client.KeyPEM})},
		{Name: "client certificate missing", Change: over(trust, mutual), Want: connectors.TLSHandshake, OneOf: []connectors.Code{connectors.Closed}, Contain: "certificate"},
	}
}

func serverCases(t *testing.T, main *testbed.Redis) []conformance.Case {
	start := func(o testbed.RedisOptions) cfg { return at(testbed.StartRedis(t, o).Port) }
	nasty := testbed.NastyPassword
	old := testbed.RedisOptions{Password: nasty, Config: []string{`rename-command HELLO ""`}}
	oldAt := start(old)
	return []conformance.Case{
		{Name: "password that is not needed", Change: start(testbed.RedisOptions{}), Warning: "password_not_needed"},
		{Name: "no password, none needed", Change: over(start(testbed.RedisOptions{}), cfg{"password": nil})},
		{Name: "before HELLO", Change: oldAt},
		{Name: "before HELLO, wrong password", Change: over(oldAt, cfg{"password": "wrong"}), Want: connectors.AuthFailed},
		{Name: "before HELLO, no password", Change: over(oldAt, cfg{"password": nil, "database": nil}), Want: connectors.AuthRequired, Stage: connectors.StageAuth},
		{Name: "before HELLO, password that is not needed", Change: start(testbed.RedisOptions{Config: old.Config}), Want: connectors.InvalidConfig, Contain: "no password"},
		{Name: "replica", Change: over(start(testbed.RedisOptions{Password: nasty, Config: []string{
			"replicaof 127.0.0.1 " + portText(main), "masterauth wrong"}}), cfg{"database": nil}), Warning: "read_only"},
		{Name: "replica without data", Change: start(testbed.RedisOptions{Password: nasty, Config: []string{
			"replicaof 127.0.0.1 " + portText(main), "masterauth wrong", "replica-serve-stale-data no"}}), Want: connectors.ServerBusy},
		{Name: "cluster has one database", Change: start(testbed.RedisOptions{Password: nasty, Cluster: true}), Want: connectors.InvalidConfig, Contain: "Cluster"},
		{Name: "too many clients", Change: full(t), Want: connectors.ServerBusy},
		{Name: "sentinel", Change: over(start(testbed.RedisOptions{Sentinel: true}), cfg{"password": nil, "database": nil}), Want: connectors.ProtocolMismatch, Contain: "Sentinel"},
	}
}

func TestSeedExample(t *testing.T) {
	got, faults := redis.New().Spec().Validate(map[string]any{
		"host": "localhost", "port": float64(6379), "password": nil, "database": float64(0), "use_tls": false, "pool_size": float64(10),
	}, connectors.Env{})
	want := connectors.Config{
		"host": "localhost", "port": int64(6379), "database": int64(0), "use_tls": false,
		"pool_size": int64(10), "connection_timeout": int64(5), "tls_skip_verify": false,
	}
	if len(faults) > 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v (%v), want %v", got, faults, want)
	}
}

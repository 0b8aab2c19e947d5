package postgres_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/conformance"
	"github.com/backplane/backplane/connectors/postgres"
	"github.com/backplane/backplane/testbed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type config = conformance.Config

func at(host string, port int) config { return config{"host": host, "port": int64(port)} }

func base(port int) config {
	return config{"host": "127.0.0.1", "port": int64(port), "database": "shop", "username": "app", "password": testbed.NastyPassword}
}

// startPlain starts a server without TLS that knows one user per way to log in
// or to be turned away.
func startPlain(t *testing.T) *testbed.Postgres {
	t.Helper()
	s := testbed.StartPostgres(t, testbed.PostgresOptions{HBA: []string{
		"host all rejected 127.0.0.1/32 reject",
		"hostssl all tlsonly 127.0.0.1/32 scram-sha-256",
		"host all hashed 127.0.0.1/32 md5",
		"host all clear 127.0.0.1/32 password",
		"host all trusted,ghost 127.0.0.1/32 trust",
	}})
	users(t, s)
	s.Exec(t, "ALTER ROLE crowded CONNECTION LIMIT 0", "ALTER ROLE barred NOLOGIN",
		"CREATE DATABASE private", "REVOKE CONNECT ON DATABASE private FROM PUBLIC",
		"CREATE DATABASE frozen ALLOW_CONNECTIONS false")
	return s
}

func users(t *testing.T, s *testbed.Postgres) {
	t.Helper()
	for _, name := range []string{"app", "rejected", "tlsonly", "clear", "trusted", "crowded", "barred"} {
		s.CreateUser(t, name, testbed.NastyPassword)
	}
	s.Exec(t, "SET password_encryption = md5", `CREATE USER hashed PASSWORD 'p@:/?#%&+ "''\äß€-word'`)
	s.CreateDatabase(t, "shop", "app")
}

func TestConformance(t *testing.T) {
	s := startPlain(t)
	conformance.Run(t, conformance.Backend{
		Connector: postgres.New(),
		Good:      base(s.Port),
		At:        at,
		Cases: []conformance.Case{
			{Name: "in clear", Change: config{"ssl_mode": "disable"}, Check: plainAndVersion},
			{Name: "prefer falls back where there is no TLS", Change: config{"ssl_mode": "prefer"}, Check: plainAndVersion},
			{Name: "allow", Change: config{"ssl_mode": "allow"}, Check: plainAndVersion},
			{Name: "wrong password", Change: config{"password": "wrong"}, Want: connectors.AuthFailed, Stage: connectors.StageAuth},
			{Name: "wrong password in mode allow", Change: config{"password": "wrong", "ssl_mode": "allow"}, Want: connectors.AuthFailed},
			{Name: "no password", Change: config{"password": nil}, Want: connectors.AuthFailed},
			{Name: "unknown user", Change: config{"username": "nobody"}, Want: connectors.AuthFailed},
			{Name: "unknown trusted user", Change: config{"username": "ghost"}, Want: connectors.AuthFailed, Check: hidesRole},
			{Name: "missing database", Change: config{"database": `no"such`}, Want: connectors.DatabaseMissing, Stage: connectors.StageSelect, Contain: `Database "no\"such" does not exist`},
			{Name: "barred from the database", Change: config{"database": "private"}, Want: connectors.PermissionDenied, Contain: "private"},
			{Name: "database closed to all", Change: config{"database": "frozen"}, Want: connectors.ServerBusy},
			{Name: "role may not log in", Change: config{"username": "barred"}, Want: connectors.PermissionDenied},
			{Name: "rejected by the access rules", Change: config{"username": "rejected"}, Want: connectors.PermissionDenied, Contain: "pg_hba.conf"},
			{Name: "rejected in clear", Change: config{"username": "rejected", "ssl_mode": "disable"}, Want: connectors.TLSRequired},
			{Name: "too many connections", Change: config{"username": "crowded"}, Want: connectors.ServerBusy},
			{Name: "trusted without a password", Change: config{"username": "trusted", "password": nil}},
			{Name: "MD5 login", Change: config{"username": "hashed"}},
			{Name: "MD5 login with a wrong password", Change: config{"username": "hashed", "password": "wrong"}, Want: connectors.AuthFailed},
			{Name: "password in clear", Change: config{"username": "clear"}, Warning: "plaintext_credentials"},
			{Name: "TLS demanded of a plain server", Change: config{"ssl_mode": "require"}, Want: connectors.TLSNotSupported, Stage: connectors.StageTLS},
			{Name: "verified TLS demanded of a plain server", Change: config{"ssl_mode": "verify-full"}, Want: connectors.TLSNotSupported},
			{Name: "use_ssl demands TLS", Change: config{"use_ssl": true}, Want: connectors.TLSNotSupported},
		},
		Invalid: []conformance.Invalid{
			{Name: "an unknown ssl_mode", Change: config{"ssl_mode": "required"}, Fields: []string{"ssl_mode"}},
			{Name: "a contradiction about TLS", Change: config{"ssl_mode": "disable", "use_ssl": true}, Fields: []string{"ssl_mode"}},
			{Name: "skipping what the mode verifies", Change: config{"ssl_mode": "verify-ca", "tls_skip_verify": true}, Fields: []string{"tls_skip_verify"}},
			{Name: "half a client certificate", Change: config{"tls_client_key": "x"}, Fields: []string{"tls_client_cert"}},
			{Name: "a host with a port", Change: config{"host": "db:5432"}, Fields: []string{"host"}},
			{Name: "a long database name", Change: config{"database": strings.Repeat("x", 64)}, Fields: []string{"database"}},
			{Name: "several faults", Change: config{"host": "", "port": "x", "pool_size": float64(0)}, Fields: []string{"host", "port", "pool_size"}},
		},
	})
}

func TestTLS(t *testing.T) {
	ca, stranger := testbed.NewCA(t), testbed.NewCA(t)
	cert := ca.Issue(t, "127.0.0.1", "localhost")
	s := testbed.StartPostgres(t, testbed.PostgresOptions{Cert: &cert, ClientCA: ca, RequireTLS: true, HBA: []string{
		"hostnossl all rejected 127.0.0.1/32 scram-sha-256",
		"hostssl all rejected 127.0.0.1/32 reject",
		"hostssl all clear 127.0.0.1/32 password",
		"hostssl all trusted 127.0.0.1/32 cert",
	}})
	users(t, s)
	old := ca.IssueExpired(t, "127.0.0.1")
	expired := testbed.StartPostgres(t, testbed.PostgresOptions{Cert: &old})
	client := ca.Issue(t, "trusted")
	full := func(change config) config {
		return conformance.With(config{"ssl_mode": "verify-full", "tls_ca": ca.PEM}, change)
	}
	conformance.Run(t, conformance.Backend{
		Connector: postgres.New(),
		Good:      conformance.With(base(s.Port), full(nil)),
		At:        at,
		Cases: []conformance.Case{
			{Name: "verify-full", Check: verified},
			{Name: "verify-full by name", Change: config{"host": "localhost"}, Check: verified},
			{Name: "verify-ca does not mind the name", Change: config{"ssl_mode": "verify-ca", "tls_server_name": "other.example"}, Check: verified},
			{Name: "require checks nothing", Change: config{"ssl_mode": "require", "tls_ca": nil}, Warning: "tls_unverified"},
			{Name: "prefer takes TLS", Change: config{"ssl_mode": "prefer", "tls_ca": nil}, Warning: "tls_unverified"},
			{Name: "allow takes TLS when refused in clear", Change: config{"ssl_mode": "allow", "tls_ca": nil}, Warning: "tls_unverified"},
			{Name: "prefer takes clear when TLS is refused", Change: config{"ssl_mode": "prefer", "username": "rejected"}, Check: plainAndVersion},
			{Name: "wrong password in mode allow", Change: config{"ssl_mode": "allow", "password": "wrong"}, Want: connectors.AuthFailed},
			{Name: "wrong password in clear in mode prefer", Change: config{"ssl_mode": "prefer", "username": "rejected", "password": "wrong"}, Want: connectors.AuthFailed},
			{Name: "refused under TLS", Change: config{"username": "rejected"}, Want: connectors.PermissionDenied, Contain: "pg_hba.conf"},
			{Name: "in clear against a server that requires TLS", Change: config{"ssl_mode": "disable"}, Want: connectors.TLSRequired, Contain: "ssl_mode"},
			{Name: "untrusted certificate", Change: config{"tls_ca": stranger.PEM}, Want: connectors.TLSUntrusted, Stage: connectors.StageTLS},
			{Name: "untrusted by the system", Change: config{"tls_ca": nil}, Want: connectors.TLSUntrusted},
			{Name: "untrusted with verify-ca", Change: config{"tls_ca": stranger.PEM, "ssl_mode": "verify-ca"}, Want: connectors.TLSUntrusted},
			{Name: "certificate for another host", Change: config{"tls_server_name": "other.example"}, Want: connectors.TLSHostname, Contain: "localhost"},
			{Name: "expired certificate", Change: at("127.0.0.1", expired.Port), Want: connectors.TLSExpired},
			{Name: "password in clear under TLS", Change: config{"username": "clear"}, Check: func(t *testing.T, r connectors.Report, _ *connectors.Failure) {
				if len(r.Warnings) != 0 {
					t.Errorf("warnings %+v", r.Warnings)
				}
			}},
			{Name: "client certificate", Change: config{"username": "trusted", "password": nil, "tls_client_cert": client.CertPEM, "tls_client_key": client.KeyPEM}},
			{Name: "no client certificate", Change: config{"username": "trusted"}, Want: connectors.PermissionDenied},
		},
	})
}

func TestStandbyIsReadOnly(t *testing.T) {
	s := testbed.StartPostgres(t, testbed.PostgresOptions{})
	s.Stop()
	testbed.Write(t, filepath.Join(s.Data, "standby.signal"), "")
	s.Restart(t)
	spec := postgres.New().Spec()
	c, faults := spec.Validate(conformance.With(base(s.Port), config{"username": s.User, "database": "postgres"}), connectors.Env{})
	if faults != nil {
		t.Fatal(faults)
	}
	r, f := connectors.Run(t.Context(), postgres.New(), c, connectors.Env{}, 0)
	if f != nil {
		t.Fatal(f)
	}
	if len(r.Warnings) != 1 || r.Warnings[0].Code != "read_only" {
		t.Errorf("warnings %+v", r.Warnings)
	}
}

func plainAndVersion(t *testing.T, r connectors.Report, _ *connectors.Failure) {
	if r.TLS.Used || len(r.Warnings) != 0 {
		t.Errorf("TLS %+v, warnings %+v", r.TLS, r.Warnings)
	}
	if r.ServerVersion == "" || r.ServerVersion[0] < '1' || r.ServerVersion[0] > '9' {
		t.Errorf("version %q", r.ServerVersion)
	}
}

func verified(t *testing.T, r connectors.Report, _ *connectors.Failure) {
	if !r.TLS.Used || !r.TLS.Verified || r.TLS.Version == "" || r.TLS.PeerNotAfter.IsZero() || len(r.Warnings) != 0 {
		t.Errorf("TLS %+v, warnings %+v", r.TLS, r.Warnings)
	}
}

func hidesRole(t *testing.T, _ connectors.Report, f *connectors.Failure) {
	if strings.Contains(f.Error()+f.Hint, "ghost") {
		t.Errorf("%q tells whether the role exists", f)
	}
}

func TestExampleConfig(t *testing.T) {
	var raw map[string]any
	err := json.Unmarshal([]byte(`{"host": "localhost", "port": 5432, "database": "myapp", "username": "app_user",
		"password": "secret", "ssl_mode": "prefer", "pool_size": 10}`), &raw)
	if err != nil {
		t.Fatal(err)
	}
	c, faults := postgres.New().Spec().Validate(raw, connectors.Env{})
	if faults != nil {
		t.Fatal(faults)
	}
	if c.Int("port") != 5432 || c.String("ssl_mode") != "prefer" || c.Int("pool_size") != 10 || c.String("password") != "secret" {
		t.Errorf("got %v", c)
	}
	delete(raw, "ssl_mode")
	delete(raw, "port")
	if c, _ = postgres.New().Spec().Validate(raw, connectors.Env{}); c.String("ssl_mode") != "prefer" || c.Int("port") != 5432 {
		t.Errorf("defaults: got %v", c)
	}
}

package mysql_test

import (
	"encoding/json"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/conformance"
	"github.com/backplane/backplane/connectors/mysql"
	"github.com/backplane/backplane/testbed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type config = conformance.Config

func at(host string, port int) config { return config{"host": host, "port": int64(port)} }

func base(port int) config {
	return config{"host": "127.0.0.1", "port": int64(port), "database": "shop", "username": "app", "password": testbed.NastyPassword}
}

// quoted is testbed.NastyPassword as a string literal of SQL.
const quoted = `'p@:/?#%&+ "\'\\äß€-word'`

// startWith starts a server with an account per way to log in or to be turned
// away.
func startWith(t *testing.T, o testbed.MariaDBOptions) *testbed.MariaDB {
	t.Helper()
	s := testbed.StartMariaDB(t, o)
	s.CreateUser(t, "app", testbed.NastyPassword)
	s.CreateDatabase(t, "shop", "app")
	s.Exec(t,
		"INSTALL SONAME 'auth_pam'",
		"CREATE DATABASE private",
		"CREATE USER wide IDENTIFIED BY "+quoted, "GRANT SELECT ON *.* TO wide",
		"CREATE USER empty IDENTIFIED BY ''", "GRANT ALL ON shop.* TO empty",
		"CREATE USER signed IDENTIFIED VIA ed25519 USING PASSWORD("+quoted+")", "GRANT ALL ON shop.* TO signed",
		"CREATE USER crypt IDENTIFIED BY "+quoted+" REQUIRE SSL", "GRANT ALL ON shop.* TO crypt",
		"CREATE USER certified IDENTIFIED BY "+quoted+" REQUIRE X509", "GRANT ALL ON shop.* TO certified",
		"CREATE USER socket IDENTIFIED VIA unix_socket",
		"CREATE USER dialog IDENTIFIED VIA pam",
		"CREATE USER locked IDENTIFIED BY "+quoted+" ACCOUNT LOCK",
		"CREATE USER expired IDENTIFIED BY "+quoted+" PASSWORD EXPIRE", "GRANT ALL ON shop.* TO expired",
		"CREATE USER crowded IDENTIFIED BY "+quoted+" WITH MAX_CONNECTIONS_PER_HOUR 1", "GRANT ALL ON shop.* TO crowded",
	)
	return s
}

func TestConformance(t *testing.T) {
	s := startWith(t, testbed.MariaDBOptions{})
	conformance.Run(t, conformance.Backend{
		Connector:   mysql.New(),
		Good:        base(s.Port),
		At:          at,
		ServerFirst: true,
		Cases: []conformance.Case{
			{Name: "in clear", Change: config{"use_ssl": false}, Check: plainAndVersion},
			{Name: "preferred falls back where there is no TLS", Change: config{"ssl_mode": "preferred"}, Check: plainAndVersion},
			{Name: "wrong password", Change: config{"password": "wrong"}, Want: connectors.AuthFailed, Stage: connectors.StageAuth, Contain: "requires TLS"},
			{Name: "no password", Change: config{"password": nil}, Want: connectors.AuthFailed},
			{Name: "unknown user", Change: config{"username": "nobody"}, Want: connectors.AuthFailed},
			{Name: "empty password", Change: config{"username": "empty", "password": nil}},
			{Name: "ed25519 login", Change: config{"username": "signed"}},
			{Name: "ed25519 login with a wrong password", Change: config{"username": "signed", "password": "wrong"}, Want: connectors.AuthFailed},
			{Name: "account that requires TLS", Change: config{"username": "crypt"}, Want: connectors.AuthFailed, Contain: "requires TLS"},
			{Name: "account of the local socket", Change: config{"username": "socket"}, Want: connectors.AuthFailed},
			{Name: "unsupported login", Change: config{"username": "dialog"}, Want: connectors.AuthUnsupported, Contain: "dialog"},
			{Name: "locked account", Change: config{"username": "locked"}, Want: connectors.PermissionDenied},
			{Name: "expired password", Change: config{"username": "expired"}, Want: connectors.AuthFailed},
			{Name: "the only login of the hour", Change: config{"username": "crowded"}},
			{Name: "exhausted account", Change: config{"username": "crowded"}, Want: connectors.ServerBusy},
			{Name: "missing database", Change: config{"username": "wide", "database": `no"such`}, Want: connectors.DatabaseMissing, Stage: connectors.StageSelect, Contain: `Database "no\"such" does not exist`},
			{Name: "missing database without global rights", Change: config{"database": "missing"}, Want: connectors.PermissionDenied, Contain: "does not exist or is not allowed"},
			{Name: "barred from the database", Change: config{"database": "private"}, Want: connectors.PermissionDenied, Stage: connectors.StageSelect, Contain: "private"},
			{Name: "TLS demanded of a plain server", Change: config{"use_ssl": true}, Want: connectors.TLSNotSupported, Stage: connectors.StageTLS},
			{Name: "unverified TLS demanded of a plain server", Change: config{"ssl_mode": "required"}, Want: connectors.TLSNotSupported},
		},
		Invalid: []conformance.Invalid{
			{Name: "an unknown ssl_mode", Change: config{"ssl_mode": "require"}, Fields: []string{"ssl_mode"}},
			{Name: "TLS both on and off", Change: config{"use_ssl": true, "ssl_mode": "disabled"}, Fields: []string{"ssl_mode"}},
			{Name: "TLS both off and on", Change: config{"use_ssl": false, "ssl_mode": "verify_ca"}, Fields: []string{"ssl_mode"}},
			{Name: "skipping what the mode verifies", Change: config{"ssl_mode": "verify_identity", "tls_skip_verify": true}, Fields: []string{"tls_skip_verify"}},
			{Name: "half a client certificate", Change: config{"tls_client_key": "x"}, Fields: []string{"tls_client_cert"}},
			{Name: "a host with a scheme", Change: config{"host": "mysql://db"}, Fields: []string{"host"}},
			{Name: "several faults", Change: config{"host": "", "port": "x", "pool_size": float64(1001)}, Fields: []string{"host", "port", "pool_size"}},
		},
	})
	s.Exec(t, "SET GLOBAL read_only = 1")
	if r, f := try(t, base(s.Port)); f != nil || len(r.Warnings) != 1 || r.Warnings[0].Code != "read_only" {
		t.Errorf("read-only server: %v, warnings %+v", f, r.Warnings)
	}
}

func TestTLS(t *testing.T) {
	ca, stranger := testbed.NewCA(t), testbed.NewCA(t)
	cert := ca.Issue(t, "127.0.0.1", "localhost")
	s := startWith(t, testbed.MariaDBOptions{Cert: &cert, ClientCA: ca, RequireTLS: true})
	client := ca.Issue(t, "certified")
	conformance.Run(t, conformance.Backend{
		Connector:   mysql.New(),
		Good:        conformance.With(base(s.Port), config{"use_ssl": true, "tls_ca": ca.PEM}),
		At:          at,
		ServerFirst: true,
		Cases: []conformance.Case{
			{Name: "use_ssl verifies", Check: verified},
			{Name: "verified by name", Change: config{"host": "localhost", "ssl_mode": "verify_identity"}, Check: verified},
			{Name: "verify_ca does not mind the name", Change: config{"ssl_mode": "verify_ca", "tls_server_name": "other.example"}, Check: verified},
			{Name: "required checks nothing", Change: config{"ssl_mode": "required", "tls_ca": nil}, Warning: "tls_unverified"},
			{Name: "use_ssl may skip the check", Change: config{"tls_skip_verify": true, "tls_ca": nil}, Warning: "tls_unverified"},
			{Name: "preferred takes TLS", Change: config{"ssl_mode": "preferred", "tls_ca": nil}, Warning: "tls_unverified"},
			{Name: "wrong password", Change: config{"password": "wrong"}, Want: connectors.AuthFailed, Check: func(t *testing.T, _ connectors.Report, f *connectors.Failure) {
				if strings.Contains(f.Hint, "TLS") {
					t.Errorf("hint %q blames TLS", f.Hint)
				}
			}},
			// MariaDB says no more than "access denied"; MySQL has an error of its own.
			{Name: "in clear against a server that requires TLS", Change: config{"use_ssl": nil}, Want: connectors.AuthFailed, Contain: "requires TLS"},
			{Name: "account that requires TLS", Change: config{"username": "crypt"}},
			{Name: "ed25519 login", Change: config{"username": "signed"}},
			{Name: "client certificate", Change: config{"username": "certified", "tls_client_cert": client.CertPEM, "tls_client_key": client.KeyPEM}},
			{Name: "no client certificate", Change: config{"username": "certified"}, Want: connectors.AuthFailed},
			{Name: "untrusted certificate", Change: config{"tls_ca": stranger.PEM}, Want: connectors.TLSUntrusted, Stage: connectors.StageTLS},
			{Name: "untrusted by the system", Change: config{"tls_ca": nil}, Want: connectors.TLSUntrusted},
			{Name: "untrusted with verify_ca", Change: config{"ssl_mode": "verify_ca", "tls_ca": stranger.PEM}, Want: connectors.TLSUntrusted},
			{Name: "certificate for another host", Change: config{"tls_server_name": "other.example"}, Want: connectors.TLSHostname, Contain: "localhost"},
		},
	})
	s.UseCert(t, ca.IssueExpired(t, "127.0.0.1"))
	good := conformance.With(base(s.Port), config{"use_ssl": true, "tls_ca": ca.PEM})
	if _, f := try(t, good); f == nil || f.Code != connectors.TLSExpired {
		t.Errorf("expired certificate: %v", f)
	}
	if _, f := try(t, conformance.With(good, config{"ssl_mode": "verify_ca"})); f == nil || f.Code != connectors.TLSExpired {
		t.Errorf("expired certificate with verify_ca: %v", f)
	}
}

func try(t *testing.T, raw config) (connectors.Report, *connectors.Failure) {
	t.Helper()
	c, faults := mysql.New().Spec().Validate(raw, connectors.Env{})
	if faults != nil {
		t.Fatal(faults)
	}
	return connectors.Run(t.Context(), mysql.New(), c, connectors.Env{}, 0)
}

func plainAndVersion(t *testing.T, r connectors.Report, _ *connectors.Failure) {
	if r.TLS.Used || len(r.Warnings) != 0 {
		t.Errorf("TLS %+v, warnings %+v", r.TLS, r.Warnings)
	}
	if !strings.Contains(r.ServerVersion, "MariaDB") || strings.HasPrefix(r.ServerVersion, "5.5.5-") {
		t.Errorf("version %q", r.ServerVersion)
	}
}

func verified(t *testing.T, r connectors.Report, _ *connectors.Failure) {
	if !r.TLS.Used || !r.TLS.Verified || r.TLS.Version == "" || r.TLS.PeerNotAfter.IsZero() || len(r.Warnings) != 0 {
		t.Errorf("TLS %+v, warnings %+v", r.TLS, r.Warnings)
	}
}

func TestExampleConfig(t *testing.T) {
	var raw map[string]any
	err := json.Unmarshal([]byte(`{"host": "localhost", "port": 3306, "database": "myapp", "username": "app_user",
		"password": "secret", "use_ssl": false, "pool_size": 10}`), &raw)
	if err != nil {
		t.Fatal(err)
	}
	c, faults := mysql.New().Spec().Validate(raw, connectors.Env{})
	if faults != nil {
		t.Fatal(faults)
	}
	if c.Int("port") != 3306 || c.Bool("use_ssl") || !c.Has("use_ssl") || c.Int("pool_size") != 10 || c.String("password") != "secret" {
		t.Errorf("got %v", c)
	}
	delete(raw, "use_ssl")
	delete(raw, "port")
	if c, _ = mysql.New().Spec().Validate(raw, connectors.Env{}); c.Int("port") != 3306 || c.Has("ssl_mode") {
		t.Errorf("defaults: got %v", c)
	}
}

package postgres_test

import (
	"bytes"
	"testing"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/conformance"
	"github.com/backplane/backplane/testbed"
)

// Administrator and tools speak the TLS that the configuration asks for.
func TestProvisioningUnderTLS(t *testing.T) {
	ca, stranger := testbed.NewCA(t), testbed.NewCA(t)
	cert, client := ca.Issue(t, "localhost", "127.0.0.1"), ca.Issue(t, "landlord")
	s := testbed.StartPostgres(t, testbed.PostgresOptions{Cert: &cert, ClientCA: ca, RequireTLS: true})
	s.Exec(t, "CREATE ROLE landlord LOGIN CREATEROLE CREATEDB PASSWORD 'secret'")
	good := conformance.With(adminOf(s, "landlord", "secret"), config{"ssl_mode": "verify-full", "tls_ca": ca.PEM})
	for name, change := range map[string]config{
		"verify-full":             nil,
		"verify-full by name":     {"host": "localhost"},
		"verify-ca":               {"ssl_mode": "verify-ca", "tls_server_name": "other.example"},
		"require":                 {"ssl_mode": "require", "tls_ca": nil},
		"require with another CA": {"ssl_mode": "require", "tls_ca": stranger.PEM},
		"prefer":                  {"ssl_mode": "prefer", "tls_ca": nil},
		"allow":                   {"ssl_mode": "allow", "tls_ca": nil},
		"a client certificate":    {"tls_client_cert": client.CertPEM, "tls_client_key": client.KeyPEM},
	} {
		t.Run(name, func(t *testing.T) { provisionOnce(t, conformance.With(good, change)) })
	}
	for name, tc := range map[string]struct {
		change config
		want   connectors.Code
	}{
		"another CA":       {config{"tls_ca": stranger.PEM}, connectors.TLSUntrusted},
		"another name":     {config{"tls_server_name": "other.example"}, connectors.TLSHostname},
		"in clear":         {config{"ssl_mode": "disable", "tls_ca": nil}, connectors.TLSRequired},
		"a wrong password": {config{"password": "wrong"}, connectors.AuthFailed},
	} {
		t.Run(name, func(t *testing.T) {
			server, err := openAs(t, conformance.With(good, tc.change))
			if err == nil {
				server.Close()
			}
			if f, ok := err.(*connectors.Failure); !ok || f.Code != tc.want || connectors.MayPass(err) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

// provisionOnce makes, dumps, loads and drops a database.
func provisionOnce(t *testing.T, admin config) {
	server := openServer(t, admin)
	var dump bytes.Buffer
	for _, step := range []func() error{
		func() error { return server.CreateDatabase(t.Context(), "shop") },
		func() error {
			return server.PutLogin(t.Context(), connectors.Login{Database: "shop", User: "owner", Password: "x", Privilege: connectors.Owner})
		},
		func() error { return server.Dump(t.Context(), "shop", &dump) },
		func() error { return server.Load(t.Context(), "shop", &dump) },
		func() error { return server.DropLogin(t.Context(), "shop", "owner") },
		func() error { return server.DropDatabase(t.Context(), "shop") },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
}

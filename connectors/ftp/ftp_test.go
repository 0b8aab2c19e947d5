package ftp_test

import (
	"slices"
	"testing"
	"time"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/conformance"
	"github.com/backplane/backplane/connectors/ftp"
	"github.com/backplane/backplane/testbed"
)

// ftpServers are the real ones, each with a habit of its own.
type ftpServers struct {
	ca    *testbed.CA
	local testbed.Cert

	plain, optional, strict, tls12, noTickets, noReuse, implicit, old, other, otherImplicit *testbed.FTP
}

func startFTP(t *testing.T) ftpServers {
	t.Helper()
	ca := testbed.NewCA(t)
	local := ca.Issue(t, "127.0.0.1", "localhost")
	expired, elsewhere := ca.IssueExpired(t, "127.0.0.1"), ca.Issue(t, "files.example.org")
	s := ftpServers{
		ca: ca, local: local,
		plain:         testbed.StartFTP(t, testbed.FTPOptions{}),
		optional:      testbed.StartFTP(t, testbed.FTPOptions{Cert: &local}),
		strict:        testbed.StartFTP(t, testbed.FTPOptions{Cert: &local, RequireTLS: true}),
		tls12:         testbed.StartFTP(t, testbed.FTPOptions{Cert: &local, RequireTLS: true, TLS12: true, Tickets: true}),
		noTickets:     testbed.StartFTP(t, testbed.FTPOptions{Cert: &local, RequireTLS: true, TLS12: true}),
		noReuse:       testbed.StartFTP(t, testbed.FTPOptions{Cert: &local, RequireTLS: true, NoSessionReuse: true}),
		implicit:      testbed.StartFTP(t, testbed.FTPOptions{Cert: &local, ImplicitTLS: true}),
		old:           testbed.StartFTP(t, testbed.FTPOptions{Cert: &expired}),
		other:         testbed.StartFTP(t, testbed.FTPOptions{Cert: &elsewhere}),
		otherImplicit: testbed.StartFTP(t, testbed.FTPOptions{Cert: &elsewhere, ImplicitTLS: true}),
	}
	for _, server := range []*testbed.FTP{s.plain, s.strict} {
		server.Mkdir(t, "uploads äß", 0o755)
		server.Mkdir(t, "closed", 0)
		server.Mkdir(t, "blind", 0o311)
		testbed.Write(t, server.Dir+"/file", "hello")
	}
	return s
}

func goodFTP(s *testbed.FTP) change {
	return change{"host": "127.0.0.1", "port": port(s.Port), "username": s.Username, "password": s.Password}
}

func TestConformanceFTP(t *testing.T) {
	s := startFTP(t)
	conformance.Run(t, conformance.Backend{
		Connector:   ftp.New(),
		ServerFirst: true,
		Good:        goodFTP(s.plain),
		At:          at,
		Cases: slices.Concat(pathCases(), []conformance.Case{
			{Name: "the password in clear is warned of", Warning: "plaintext_credentials"},
			{Name: "a server with TLS at will connects", Change: change{"port": port(s.optional.Port)}},
			{Name: "wrong password", Change: change{"password": "not-the-password"}, Want: connectors.AuthFailed, Stage: connectors.StageAuth},
			{Name: "wrong user", Change: change{"username": "nobody"}, Want: connectors.AuthFailed, Stage: connectors.StageAuth},
			{Name: "no TLS where it is needed", Change: change{"port": port(s.strict.Port)}, Want: connectors.TLSRequired, Contain: "ftps"},
			{Name: "no TLS against a port for implicit TLS", Change: change{"port": port(s.implicit.Port)}, Want: connectors.Timeout,
				Stage: connectors.StageGreeting, Contain: "990", Timeout: time.Second},
		}),
		Invalid: []conformance.Invalid{
			{Name: "no password", Change: dropped("password"), Fields: []string{"password"}},
			{Name: "active mode", Change: change{"passive_mode": false}, Fields: []string{"passive_mode"}},
			{Name: "options of SFTP", Change: change{"private_key": "x", "private_key_passphrase": "x",
				"host_key": "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU", "host_key_policy": "insecure"},
				Fields: []string{"private_key", "private_key_passphrase", "host_key", "host_key_policy"}},
			{Name: "options of TLS", Change: change{"tls_ca": s.ca.PEM, "tls_mode": "implicit"}, Fields: []string{"tls_ca", "tls_mode"}},
			{Name: "an unknown protocol", Change: change{"protocol": "tftp"}, Fields: []string{"protocol"}},
		},
	})
}

func TestConformanceFTPS(t *testing.T) {
	s := startFTP(t)
	conformance.Run(t, conformance.Backend{
		Connector:   ftp.New(),
		ServerFirst: true,
		Good:        merge(goodFTP(s.strict), change{"protocol": "ftps", "tls_ca": s.ca.PEM}),
		At:          at,
		Cases: slices.Concat(pathCases(), []conformance.Case{
			{Name: "TLS is told", Check: func(t *testing.T, r connectors.Report, _ *connectors.Failure) {
				if !r.TLS.Used || !r.TLS.Verified || r.TLS.PeerNotAfter.IsZero() || len(r.Warnings) > 0 {
					t.Errorf("TLS is told as %+v, warnings %+v", r.TLS, r.Warnings)
				}
			}},
			{Name: "a server with TLS at will connects", Change: change{"port": port(s.optional.Port)}},
			{Name: "TLS 1.2 connects", Change: change{"port": port(s.tls12.Port)}},
			{Name: "TLS 1.2 sessions that only a number could resume", Change: change{"port": port(s.noTickets.Port)}, Want: connectors.Closed,
				Stage: connectors.StageVerify, Contain: "tickets"},
			{Name: "a server without session reuse connects", Change: change{"port": port(s.noReuse.Port)}},
			{Name: "implicit TLS connects", Change: change{"port": port(s.implicit.Port), "tls_mode": "implicit"}},
			{Name: "an unverified certificate is warned of", Change: change{"tls_skip_verify": true, "tls_ca": nil}, Warning: "tls_unverified"},
			{Name: "a given server name connects", Change: change{"port": port(s.other.Port), "tls_server_name": "files.example.org"}},
			{Name: "wrong password", Change: change{"password": "not-the-password"}, Want: connectors.AuthFailed, Stage: connectors.StageAuth},
			{Name: "wrong password with implicit TLS",
				Change: change{"port": port(s.implicit.Port), "tls_mode": "implicit", "password": "not-the-password"}, Want: connectors.AuthFailed},
			{Name: "an untrusted certificate", Change: dropped("tls_ca"), Want: connectors.TLSUntrusted, Stage: connectors.StageTLS},
			{Name: "a certificate for another host", Change: change{"port": port(s.other.Port)}, Want: connectors.TLSHostname, Contain: "files.example.org"},
			{Name: "a certificate for another host from the start",
				Change: change{"port": port(s.otherImplicit.Port), "tls_mode": "implicit"}, Want: connectors.TLSHostname},
			{Name: "an expired certificate", Change: change{"port": port(s.old.Port)}, Want: connectors.TLSExpired},
			{Name: "TLS against a server without", Change: change{"port": port(s.plain.Port)}, Want: connectors.TLSNotSupported, Stage: connectors.StageTLS},
			{Name: "implicit TLS against a port for explicit", Change: change{"tls_mode": "implicit"}, Want: connectors.TLSHandshake, Contain: "explicit"},
			{Name: "explicit TLS against a port for implicit", Change: change{"port": port(s.implicit.Port)}, Want: connectors.Timeout,
				Stage: connectors.StageGreeting, Contain: "implicit", Timeout: time.Second},
		}),
		Invalid: []conformance.Invalid{
			{Name: "a client certificate without its key", Change: change{"tls_client_cert": s.local.CertPEM}, Fields: []string{"tls_client_cert"}},
			{Name: "authorities that are none", Change: change{"tls_ca": "hello"}, Fields: []string{"tls_ca"}},
			{Name: "a private key", Change: change{"private_key": "x"}, Fields: []string{"private_key"}},
		},
	})
}

func pathCases() []conformance.Case {
	return []conformance.Case{
		{Name: "a directory connects", Change: change{"base_path": "/uploads äß"}},
		{Name: "a directory below connects", Change: change{"base_path": "uploads äß"}},
		{Name: "a missing directory", Change: change{"base_path": "/no/such"}, Want: connectors.PathMissing, Stage: connectors.StageSelect,
			Contain: `Path "/no/such" does not exist`},
		{Name: "a file for a directory", Change: change{"base_path": "/file"}, Want: connectors.PathMissing, Contain: "not a directory"},
		{Name: "a directory that may not be entered", Change: change{"base_path": "/closed"}, Want: connectors.PermissionDenied, Stage: connectors.StageSelect},
		{Name: "a directory that may not be listed", Change: change{"base_path": "/blind"}, Want: connectors.PermissionDenied, Stage: connectors.StageVerify},
	}
}

func TestFullServerIsBusy(t *testing.T) {
	s := testbed.StartFTP(t, testbed.FTPOptions{MaxClients: 1})
	s.HoldLogin(t)
	if _, f := try(t, goodFTP(s), connectors.Env{}, 5*time.Second); f == nil || f.Code != connectors.ServerBusy {
		t.Errorf("got %v, want %s", f, connectors.ServerBusy)
	}
}

func TestLargeListingIsNotReadToItsEnd(t *testing.T) {
	ca := testbed.NewCA(t)
	cert := ca.Issue(t, "127.0.0.1")
	s := testbed.StartFTP(t, testbed.FTPOptions{Cert: &cert})
	fill(t, s.Dir, 6000)
	for name, c := range map[string]change{"ftp": nil, "ftps": {"protocol": "ftps", "tls_ca": ca.PEM}} {
		if _, f := try(t, merge(goodFTP(s), c), connectors.Env{}, 0); f != nil {
			t.Errorf("%s: not connected: %v", name, f)
		}
	}
}

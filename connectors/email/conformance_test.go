package email_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/conformance"
	"github.com/backplane/backplane/connectors/email"
	"github.com/backplane/backplane/testbed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type change = conformance.Config

func port(n int) float64 { return float64(n) }

// refused is an address that nobody may send as.
const refused = "boss@example.com"

// servers are the real ones, each with a habit of its own.
type servers struct {
	ca    *testbed.CA
	local testbed.Cert

	full, strict, implicit, open, noTLS, loginOnly, gone, old, other, otherImplicit *testbed.SMTP
}

func startServers(t *testing.T) servers {
	t.Helper()
	ca := testbed.NewCA(t)
	local := ca.Issue(t, "127.0.0.1", "localhost")
	expired, elsewhere := ca.IssueExpired(t, "127.0.0.1"), ca.Issue(t, "mail.example.org")
	all := []string{"PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2"}
	start := func(o testbed.SMTPOptions) *testbed.SMTP { return testbed.StartSMTP(t, o) }
	return servers{
		ca: ca, local: local,
		full:          start(testbed.SMTPOptions{Cert: &local, Mechanisms: all, RequireAuth: true, RefuseSender: refused}),
		strict:        start(testbed.SMTPOptions{Cert: &local, Mechanisms: all, AuthOnlyTLS: true, RequireTLS: true}),
		implicit:      start(testbed.SMTPOptions{Cert: &local, ImplicitTLS: true, Mechanisms: all}),
		open:          start(testbed.SMTPOptions{}),
		noTLS:         start(testbed.SMTPOptions{Mechanisms: all}),
		loginOnly:     start(testbed.SMTPOptions{Cert: &local, Mechanisms: []string{"LOGIN"}}),
		gone:          start(testbed.SMTPOptions{Greeting: "554 No SMTP service here"}),
		old:           start(testbed.SMTPOptions{Cert: &expired}),
		other:         start(testbed.SMTPOptions{Cert: &elsewhere}),
		otherImplicit: start(testbed.SMTPOptions{Cert: &elsewhere, ImplicitTLS: true}),
	}
}

func TestConformance(t *testing.T) {
	s := startServers(t)
	conformance.Run(t, conformance.Backend{
		Connector:   email.New(),
		ServerFirst: true,
		Good: change{
			"host": "127.0.0.1", "port": port(s.full.Port), "encryption": "starttls",
			"username": s.full.Username, "password": s.full.Password, "tls_ca": s.ca.PEM,
			"from_address": "noreply@example.com", "from_name": "My App",
		},
		At:      func(host string, n int) change { return change{"host": host, "port": port(n)} },
		Cases:   slices.Concat(goodCases(s), refusedCases(s), tlsCases(s)),
		Invalid: invalid(s),
	})
}

func goodCases(s servers) []conformance.Case {
	return []conformance.Case{
		{Name: "PLAIN connects", Change: change{"auth": "plain"}},
		{Name: "LOGIN connects", Change: change{"auth": "login"}},
		{Name: "CRAM-MD5 connects", Change: change{"auth": "cram-md5"}},
		{Name: "XOAUTH2 connects", Change: change{"auth": "xoauth2"}},
		{Name: "implicit TLS connects", Change: change{"encryption": "tls", "port": port(s.implicit.Port)},
			Check: func(t *testing.T, r connectors.Report, _ *connectors.Failure) {
				if !r.TLS.Used || !r.TLS.Verified || r.TLS.PeerNotAfter.IsZero() {
					t.Errorf("TLS is told as %+v", r.TLS)
				}
			}},
		{Name: "a server for encrypted logins only connects", Change: change{"port": port(s.strict.Port)}},
		{Name: "no TLS and no login connects", Change: none(s.open.Port, nil)},
		{Name: "only LOGIN offered connects", Change: change{"port": port(s.loginOnly.Port)}},
		{Name: "an unverified certificate is warned of", Change: merge(change{"tls_skip_verify": true}, dropped("tls_ca")), Warning: "tls_unverified"},
		{Name: "PLAIN in clear is warned of", Change: unencrypted(s.full.Port, "plain"), Warning: "plaintext_credentials"},
		{Name: "LOGIN in clear is warned of", Change: unencrypted(s.full.Port, "login"), Warning: "plaintext_credentials"},
		{Name: "auto in clear hides the password", Change: unencrypted(s.full.Port, "auto"), Check: noWarning("plaintext_credentials")},
		{Name: "CRAM-MD5 in clear needs no leave", Change: merge(unencrypted(s.full.Port, "cram-md5"), change{"allow_plaintext_auth": false}), Check: noWarning("plaintext_credentials")},
	}
}

func refusedCases(s servers) []conformance.Case {
	return []conformance.Case{
		{Name: "wrong password", Change: change{"password": "not-the-password"}, Want: connectors.AuthFailed, Stage: connectors.StageAuth},
		{Name: "wrong user", Change: change{"username": "nobody@example.com"}, Want: connectors.AuthFailed, Stage: connectors.StageAuth},
		{Name: "wrong password with LOGIN", Change: change{"auth": "login", "password": "not-the-password"}, Want: connectors.AuthFailed},
		{Name: "wrong password with CRAM-MD5", Change: change{"auth": "cram-md5", "password": "not-the-password"}, Want: connectors.AuthFailed},
		{Name: "wrong token with XOAUTH2", Change: change{"auth": "xoauth2", "password": "not-the-token"}, Want: connectors.AuthFailed},
		{Name: "no login where one is needed", Change: dropped("username", "password"), Want: connectors.AuthRequired, Stage: connectors.StageVerify},
		{Name: "a method the server lacks", Change: change{"auth": "scram-sha-256"}, Want: connectors.AuthUnsupported, Contain: "CRAM-MD5"},
		{Name: "logins only under TLS", Change: unencrypted(s.strict.Port, "auto"), Want: connectors.AuthUnsupported, Contain: "STARTTLS", Stage: connectors.StageAuth},
		{Name: "only readable logins, and no leave for them",
			Change: change{"encryption": "none", "port": port(s.loginOnly.Port), "auth": "cram-md5"}, Want: connectors.AuthUnsupported, Contain: "LOGIN"},
		{Name: "no login offered at all", Change: unencrypted(s.open.Port, "auto"), Want: connectors.AuthUnsupported, Contain: "PIPELINING"},
		{Name: "a sender that is not allowed", Change: change{"from_address": refused}, Want: connectors.PermissionDenied,
			Stage: connectors.StageVerify, Contain: "not allowed to send as " + refused},
		{Name: "a server that turns clients away", Change: none(s.gone.Port, nil), Want: connectors.PermissionDenied, Stage: connectors.StageGreeting},
	}
}

func tlsCases(s servers) []conformance.Case {
	return []conformance.Case{
		{Name: "an untrusted certificate", Change: dropped("tls_ca"), Want: connectors.TLSUntrusted, Stage: connectors.StageTLS},
		{Name: "a certificate for another host", Change: change{"port": port(s.other.Port)}, Want: connectors.TLSHostname, Contain: "mail.example.org"},
		{Name: "a certificate for another host from the start",
			Change: change{"port": port(s.otherImplicit.Port), "encryption": "tls"}, Want: connectors.TLSHostname},
		{Name: "an expired certificate", Change: change{"port": port(s.old.Port)}, Want: connectors.TLSExpired},
		{Name: "STARTTLS against a server without", Change: change{"port": port(s.noTLS.Port)}, Want: connectors.TLSNotSupported, Stage: connectors.StageTLS},
		{Name: "TLS against a port for STARTTLS", Change: change{"encryption": "tls"}, Want: connectors.TLSHandshake, Contain: "587"},
		{Name: "STARTTLS against a port for TLS", Change: change{"port": port(s.implicit.Port)}, Want: connectors.Timeout,
			Stage: connectors.StageGreeting, Contain: "465", Timeout: time.Second},
		{Name: "no encryption where it is needed", Change: none(s.strict.Port, nil), Want: connectors.TLSRequired, Contain: "starttls"},
	}
}

func invalid(s servers) []conformance.Invalid {
	return []conformance.Invalid{
		{Name: "a user without a password", Change: dropped("password"), Fields: []string{"password"}},
		{Name: "a password without a user", Change: dropped("username"), Fields: []string{"username"}},
		{Name: "a method without a user", Change: change{"username": nil, "password": nil, "auth": "plain"}, Fields: []string{"username"}},
		{Name: "a login in clear", Change: change{"encryption": "none"}, Fields: []string{"allow_plaintext_auth"}},
		{Name: "a login in clear by a readable method", Change: change{"encryption": "none", "auth": "xoauth2"}, Fields: []string{"allow_plaintext_auth"}},
		{Name: "several faults at once", Change: change{"port": float64(0), "encryption": "ssl", "from_address": "x"},
			Fields: []string{"port", "encryption", "from_address"}},
		{Name: "a sender with a name", Change: change{"from_address": "Me <me@example.com>"}, Fields: []string{"from_address"}},
		{Name: "a sender without a domain", Change: change{"from_address": "root"}, Fields: []string{"from_address"}},
		{Name: "a bad reply address", Change: change{"reply_to": "a@b, c@d"}, Fields: []string{"reply_to"}},
		{Name: "a greeting name with an underscore", Change: change{"helo": "my_host"}, Fields: []string{"helo"}},
		{Name: "a greeting name that is a bare address", Change: change{"helo": "10.0.0.1"}, Fields: []string{"helo"}},
		{Name: "eleven retries", Change: change{"max_retries": float64(11)}, Fields: []string{"max_retries"}},
		{Name: "a timeout of nothing", Change: change{"timeout_seconds": float64(0)}, Fields: []string{"timeout_seconds"}},
		{Name: "a client certificate without its key", Change: change{"tls_client_cert": s.local.CertPEM}, Fields: []string{"tls_client_cert"}},
	}
}

// none is a change to a server without encryption or login.
func none(n int, more change) change {
	return merge(merge(change{"encryption": "none", "port": port(n)}, dropped("username", "password", "tls_ca")), more)
}

// unencrypted is a change to a login in clear.
func unencrypted(n int, method string) change {
	return change{"encryption": "none", "port": port(n), "allow_plaintext_auth": true, "auth": method}
}

// dropped is a change that removes keys.
func dropped(keys ...string) change {
	c := change{}
	for _, k := range keys {
		c[k] = nil
	}
	return c
}

// merge lays b over a, keeping the removals of both.
func merge(a, b change) change {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

func noWarning(code string) func(*testing.T, connectors.Report, *connectors.Failure) {
	return func(t *testing.T, r connectors.Report, _ *connectors.Failure) {
		t.Helper()
		for _, w := range r.Warnings {
			if w.Code == code {
				t.Errorf("warning %q is out of place", code)
			}
		}
	}
}

func TestSeedExampleValidates(t *testing.T) {
	c, faults := email.New().Spec().Validate(map[string]any{
		"host": "smtp.example.com", "port": float64(587), "username": "sender@example.com", "password": "app-password",
		"encryption": "starttls", "from_address": "noreply@example.com", "from_name": "My App",
	}, connectors.Env{})
	if len(faults) > 0 {
		t.Fatalf("refused: %+v", faults)
	}
	if c.Int("port") != 587 || c.Int("timeout_seconds") != 30 || c.Int("max_retries") != 3 || c.String("auth") != "auto" {
		t.Errorf("validated to %v", c)
	}
}

func TestPortFollowsEncryption(t *testing.T) {
	for encryption, want := range map[string]int64{"starttls": 587, "tls": 465, "none": 25} {
		for _, given := range []int64{0, 2525} {
			raw := map[string]any{"host": "h", "from_address": "a@b", "encryption": encryption}
			if given != 0 {
				raw["port"], want = given, given
			}
			c, faults := email.New().Spec().Validate(raw, connectors.Env{})
			if len(faults) > 0 || c.Int("port") != want {
				t.Errorf("%s with port %d: got %v, faults %+v", encryption, given, c, faults)
			}
		}
	}
}

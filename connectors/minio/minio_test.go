package minio_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/conformance"
	"github.com/backplane/backplane/connectors/minio"
	"github.com/backplane/backplane/testbed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type cfg = conformance.Config

func at(port int) cfg { return cfg{"endpoint": testbed.Addr(port)} }

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
	main := testbed.StartMinIO(t, testbed.MinIOOptions{})
	main.Bucket(t, "uploads")
	main.Bucket(t, "other")
	conformance.Run(t, conformance.Backend{
		Connector: minio.New(),
		Good: cfg{"endpoint": testbed.Addr(main.Port), "access_key": main.AccessKey, "secret_key": main.SecretKey,
			"bucket": "uploads", "use_ssl": false},
		At: func(host string, port int) cfg {
			return cfg{"endpoint": strings.Replace(testbed.Addr(port), "127.0.0.1", host, 1)}
		},
		Cases:   append(append(keyCases(t, main), tlsCases(t)...), foreignCases(t)...),
		Invalid: invalid(),
	})
}

func keyCases(t *testing.T, main *testbed.MinIO) []conformance.Case {
	limited := func(actions, resource string) cfg {
		k := main.Limited(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[`+actions+`],"Resource":["arn:aws:s3:::`+resource+`"]}]}`)
		return cfg{"access_key": k.AccessKey, "secret_key": k.SecretKey, "session_token": k.SessionToken}
	}
	list, none := limited(`"s3:ListBucket","s3:GetBucketLocation"`, "uploads"), limited(`"s3:GetObject"`, "uploads/*")
	noBucket := cfg{"bucket": nil}
	return []conformance.Case{
		{Name: "server is named", Check: func(t *testing.T, r connectors.Report, _ *connectors.Failure) {
			if r.ServerVersion != "MinIO" || r.TLS.Used || len(r.Warnings) > 0 {
				t.Errorf("report %+v", r)
			}
		}},
		{Name: "list of buckets", Change: noBucket},
		{Name: "endpoint as URL", Change: cfg{"endpoint": "http://" + testbed.Addr(main.Port) + "/", "use_ssl": nil}},
		{Name: "path style", Change: cfg{"path_style": "path"}},
		{Name: "wrong secret key", Change: cfg{"secret_key": "wrong-wrong"}, Want: connectors.AuthFailed, Stage: connectors.StageAuth},
		{Name: "wrong secret key, list of buckets", Change: over(noBucket, cfg{"secret_key": "wrong-wrong"}), Want: connectors.AuthFailed},
		{Name: "unknown access key", Change: cfg{"access_key": "nobody"}, Want: connectors.AuthFailed},
		{Name: "bucket that does not exist", Change: cfg{"bucket": "missing"}, Want: connectors.BucketMissing, Stage: connectors.StageSelect, Contain: `"missing"`},
		{Name: "temporary keys", Change: list, Warning: "plaintext_credentials"},
		{Name: "temporary keys, broken token", Change: over(list, cfg{"session_token": "broken-token"}), Want: connectors.AuthFailed},
		{Name: "temporary keys without token", Change: over(list, cfg{"session_token": nil}), Want: connectors.AuthFailed},
		{Name: "keys for another bucket", Change: over(list, cfg{"bucket": "other"}), Want: connectors.PermissionDenied, Stage: connectors.StageSelect, Contain: "does not exist or"},
		{Name: "limited keys, bucket that does not exist", Change: over(list, cfg{"bucket": "missing"}), Want: connectors.PermissionDenied, Contain: "does not exist or"},
		{Name: "keys that may not list", Change: none, Want: connectors.PermissionDenied, Contain: "s3:ListBucket"},
		{Name: "keys that may not list, no bucket", Change: over(noBucket, none), Want: connectors.PermissionDenied, Contain: "Name a bucket"},
	}
}

func tlsCases(t *testing.T) []conformance.Case {
	ca := testbed.NewCA(t)
	cert := ca.Issue(t, "127.0.0.1")
	s := testbed.StartMinIO(t, testbed.MinIOOptions{Cert: &cert, CA: ca, Region: "eu-test-1"})
	s.Bucket(t, "uploads")
	tlsAt := over(at(s.Port), cfg{"region": "eu-test-1"})
	trust := cfg{"use_ssl": true, "tls_ca": ca.PEM}
	// A handshake that fails needs no MinIO behind it.
	otherAt := at(testbed.TLSPeer(t, ca.Issue(t, "other.example")))
	expiredAt := at(testbed.TLSPeer(t, ca.IssueExpired(t, "127.0.0.1")))
	return []conformance.Case{
		{Name: "TLS", Change: over(tlsAt, trust), Check: func(t *testing.T, r connectors.Report, _ *connectors.Failure) {
			if !r.TLS.Used || !r.TLS.Verified || len(r.Warnings) > 0 {
				t.Errorf("report %+v", r)
			}
		}},
		{Name: "TLS by URL", Change: over(tlsAt, cfg{"endpoint": "https://" + testbed.Addr(s.Port), "use_ssl": nil, "tls_ca": ca.PEM})},
		{Name: "TLS untrusted", Change: over(tlsAt, cfg{"use_ssl": true}), Want: connectors.TLSUntrusted, Stage: connectors.StageTLS},
		{Name: "TLS unverified", Change: over(tlsAt, cfg{"use_ssl": true, "tls_skip_verify": true}), Warning: "tls_unverified"},
		{Name: "TLS wrong name", Change: over(trust, otherAt), Want: connectors.TLSHostname, Contain: "other.example"},
		{Name: "TLS expired", Change: over(trust, expiredAt), Want: connectors.TLSExpired},
		{Name: "TLS to a plain port", Change: trust, Want: connectors.TLSHandshake, Stage: connectors.StageTLS, Contain: "plain text"},
		{Name: "plain to a TLS port", Change: tlsAt, Want: connectors.TLSRequired, Contain: "use_ssl"},
		{Name: "wrong region", Change: over(tlsAt, trust, cfg{"region": "us-east-1"}), Want: connectors.InvalidConfig, Contain: "Set region to eu-test-1"},
		{Name: "silence behind TLS", Change: over(trust, at(testbed.TLSPeer(t, cert))), Want: connectors.Timeout, Stage: connectors.StageGreeting, Timeout: time.Second},
	}
}

func invalid() []conformance.Invalid {
	var out []conformance.Invalid
	for _, e := range []string{"", "host:", "host:0", "host:99999", "host/path", "ftp://host", "http://user@host", "http://host/path", "host?x", "ho st", "http://", "[::1", "a@b:1", "::1:x"} {
		out = append(out, conformance.Invalid{Name: "endpoint " + e, Change: cfg{"endpoint": e}, Fields: []string{"endpoint"}})
	}
	for _, b := range []string{"ab", "Uploads", "up_loads", "-uploads", "up..loads", "10.0.0.1", strings.Repeat("x", 64), "a/b"} {
		out = append(out, conformance.Invalid{Name: "bucket " + b, Change: cfg{"bucket": b}, Fields: []string{"bucket"}})
	}
	return append(out,
		conformance.Invalid{Name: "a scheme against use_ssl", Change: cfg{"endpoint": "https://host"}, Fields: []string{"use_ssl"}},
		conformance.Invalid{Name: "use_ssl against a scheme", Change: cfg{"endpoint": "http://host", "use_ssl": true}, Fields: []string{"use_ssl"}},
		conformance.Invalid{Name: "empty keys", Change: cfg{"access_key": "", "secret_key": ""}, Fields: []string{"access_key", "secret_key"}},
		conformance.Invalid{Name: "a style", Change: cfg{"path_style": "host"}, Fields: []string{"path_style"}},
		conformance.Invalid{Name: "half a client certificate", Change: cfg{"tls_client_cert": "x"}, Fields: []string{"tls_client_cert"}},
	)
}

func TestSeedExample(t *testing.T) {
	got, faults := minio.New().Spec().Validate(map[string]any{
		"endpoint": "minio.example.com:9000", "access_key": "minioadmin", "secret_key": "minioadmin", "use_ssl": true, "bucket": "uploads",
	}, connectors.Env{})
	want := connectors.Config{
		"endpoint": "minio.example.com:9000", "access_key": "minioadmin", "secret_key": "minioadmin", "use_ssl": true, "bucket": "uploads",
		"region": "us-east-1", "path_style": "auto", "tls_skip_verify": false,
	}
	if len(faults) > 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v (%v), want %v", got, faults, want)
	}
}

func TestEndpoints(t *testing.T) {
	for endpoint, ssl := range map[string]bool{
		"s3.amazonaws.com": false, "https://s3.amazonaws.com": true, "HTTPS://host:9000/": true, "http://10.0.0.1:9000": false,
		"[::1]:9000": false, "::1": false, "minio_1:9000": false,
	} {
		got, faults := minio.New().Spec().Validate(map[string]any{"endpoint": endpoint, "access_key": "a", "secret_key": "s"}, connectors.Env{})
		if len(faults) > 0 || got.Bool("use_ssl") != ssl || !got.Has("use_ssl") {
			t.Errorf("%s: %v %v", endpoint, got, faults)
		}
	}
}

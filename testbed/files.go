package testbed

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
)

func mkdir(t TB, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatalf("testbed: %v", err)
	}
}

func link(t TB, target, name string) {
	t.Helper()
	if err := os.Link(target, name); err != nil {
		t.Fatalf("testbed: %v", err)
	}
}

// clientTransport trusts ca alone (nil for no HTTPS) and keeps no connection
// open, so that a test leaves nothing behind.
func clientTransport(t TB, ca *CA) *http.Transport {
	t.Helper()
	tr := &http.Transport{DisableKeepAlives: true}
	if ca != nil {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM([]byte(ca.PEM))
		tr.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return tr
}

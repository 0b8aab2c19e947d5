package dbproxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/param"
	"github.com/backplane/backplane/testbed"
)

// issuer makes certificates, in chains of any length.
type issuer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string // the certificate, and those of the issuers above but the first
}

var validity = time.Now() // certificates are valid for a day around it

func (i *issuer) issue(t *testing.T, serial int64, name string, authority bool) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: validity.Add(-12 * time.Hour), NotAfter: validity.Add(12 * time.Hour),
		IsCA: authority, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	parent, signer := template, key
	if i != nil {
		parent, signer = i.cert, i.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	made := &issuer{cert: cert, key: key, pem: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
	if i != nil && i.cert.Issuer.String() != i.cert.Subject.String() {
		made.pem += i.pem
	}
	return made
}

func (i *issuer) files(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(i.key)
	if err != nil {
		t.Fatal(err)
	}
	pair := testbed.Cert{CertPEM: i.pem, KeyPEM: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))}
	return pair.Files(t, dir, name, "")
}

func (i *issuer) revoke(t *testing.T, until time.Time, serials ...int64) string {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: validity.Add(-12 * time.Hour), NextUpdate: until}
	for _, n := range serials {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(n), RevocationTime: validity})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, i.cert, i.key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
}

// handshake tells what becomes of TLS between two ends.
func handshake(t *testing.T, client, server *tls.Config) error {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	done := make(chan error, 1)
	go func() {
		c := tls.Server(far, server)
		err := c.HandshakeContext(t.Context())
		if err == nil {
			_, err = c.Write([]byte("x"))
		}
		far.Close()
		done <- err
	}()
	c := tls.Client(near, client)
	_, err := c.Read(make([]byte, 1))
	near.Close()
	return errors.Join(err, <-done)
}

func expectTLS(t *testing.T, name string, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v", name, err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("%s: %v\nwant %s", name, err, want)
	}
}

func TestTLSParameters(t *testing.T) {
	dir := t.TempDir()
	cert, key := (*issuer)(nil).issue(t, 1, "x", true).files(t, dir, "x")
	all := map[string]any{"ssl_cert": cert, "ssl_key": key, "ssl_ca": cert}
	with := func(more map[string]any) map[string]any {
		for k, v := range all {
			if _, there := more[k]; !there {
				more[k] = v
			}
		}
		return more
	}
	for _, c := range []struct {
		name   string
		given  map[string]any
		on     bool
		fault  string
		server string // fault for a server, where it is another
	}{
		{"nothing", map[string]any{}, false, "", ""},
		{"files turn it on", with(map[string]any{}), true, "", ""},
		{"by its older name", map[string]any{"ssl_cert": cert, "ssl_key": key, "ssl_ca_cert": cert}, true, "", ""},
		{"files are not all", map[string]any{"ssl_cert": cert, "ssl_key": key}, false, "ssl_ca must be given", ""},
		{"just an authority", map[string]any{"ssl_ca": cert}, false, "ssl_cert must be given", ""},
		{"with ssl two will do", map[string]any{"ssl": true, "ssl_cert": cert, "ssl_key": key}, true, "", ""},
		{"off", with(map[string]any{"ssl": false}), false, "", ""},
		{"no files", map[string]any{"ssl": true}, true, "ssl_cert must be given", "-"},
		{"no key", map[string]any{"ssl": true, "ssl_cert": cert}, true, "ssl_key must be given", ""},
		{"not a certificate", map[string]any{"ssl": true, "ssl_cert": key, "ssl_key": key}, true, "ssl_cert", ""},
		{"missing authority", with(map[string]any{"ssl": true, "ssl_ca": "/nowhere"}), true, "ssl_ca", ""},
		{"no authority", with(map[string]any{"ssl": true, "ssl_ca": key}), true, "ssl_ca holds no certificate", ""},
		{"cipher", with(map[string]any{"ssl_cipher": "nonsense"}), true, "ssl_cipher names", ""},
		{"ciphers of TLS 1.3", with(map[string]any{"ssl_cipher": "TLS_AES_128_GCM_SHA256", "ssl_version": "TLSv12"}), true, "ssl_cipher has no cipher", ""},
	} {
		cfg, err := listenerTLS(param.MustParse(ListenerSpecs(), c.given))
		expectTLS(t, c.name, err, c.fault)
		if err == nil && (cfg != nil) != c.on {
			t.Errorf("%s: on is %v", c.name, cfg != nil)
		}
		c.given["address"] = "127.0.0.1"
		srv, err := newServerConfig(ServerConfig{Params: param.MustParse(ServerSpecs(), c.given)}, "")
		switch c.server {
		case "-":
			c.fault = ""
		case "":
		default:
			c.fault = c.server
		}
		expectTLS(t, c.name+", server", err, c.fault)
		if err == nil && (srv.tls != nil) != c.on {
			t.Errorf("%s, server: on is %v", c.name, srv.tls != nil)
		}
	}
}

func TestTLSOfClients(t *testing.T) {
	dir := t.TempDir()
	root := (*issuer)(nil).issue(t, 1, "root", true)
	other := (*issuer)(nil).issue(t, 1, "other", true)
	middle := root.issue(t, 2, "middle", true)
	leaf, deep := root.issue(t, 3, "leaf", false), middle.issue(t, 4, "deep", false)
	cert, key := root.issue(t, 9, "proxy", false).files(t, dir, "proxy")
	write := func(name string, text ...string) string {
		path := filepath.Join(dir, name)
		testbed.Write(t, path, strings.Join(text, ""))
		return path
	}
	ca := write("ca", root.pem)
	later := validity.Add(time.Hour)
	for _, c := range []struct {
		name   string
		given  map[string]any
		client *issuer
		want   string
	}{
		{"a certificate", nil, leaf, ""},
		{"none", nil, nil, ""},
		{"of somebody else", nil, other.issue(t, 3, "stranger", false), "unknown authority"},
		{"none where it is demanded", map[string]any{"ssl_verify_peer_certificate": true}, nil, "certificate"},
		{"in a chain", map[string]any{"ssl_cert_verify_depth": 1}, deep, ""},
		{"in too long a chain", map[string]any{"ssl_cert_verify_depth": 0}, deep, errTLSDepth.Error()},
		{"in a short chain", map[string]any{"ssl_cert_verify_depth": 0}, leaf, ""},
		{"not revoked", map[string]any{"ssl_crl": write("1", root.revoke(t, later, 7))}, leaf, ""},
		{"revoked", map[string]any{"ssl_crl": write("2", root.revoke(t, later, 7, 3))}, leaf, "is revoked"},
		{"no list of the issuer", map[string]any{"ssl_crl": write("3", other.revoke(t, later))}, leaf, "there is no list"},
		{"an old list", map[string]any{"ssl_crl": write("4", root.revoke(t, validity.Add(-time.Hour)))}, leaf, "has expired"},
		{"its issuer revoked", map[string]any{"ssl_crl": write("5", root.revoke(t, later, 2), middle.revoke(t, later))}, deep, "is revoked"},
		{"both lists", map[string]any{"ssl_crl": write("6", root.revoke(t, later), middle.revoke(t, later))}, deep, ""},
	} {
		given := map[string]any{"ssl": true, "ssl_cert": cert, "ssl_key": key, "ssl_ca": ca}
		for k, v := range c.given {
			given[k] = v
		}
		server, err := listenerTLS(param.MustParse(ListenerSpecs(), given))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		client := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the other end is what is tested
		if c.client != nil {
			file, key := c.client.files(t, dir, "client")
			pair, err := tls.LoadX509KeyPair(file, key)
			if err != nil {
				t.Fatal(err)
			}
			client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
		expectTLS(t, c.name, handshake(t, client, server), c.want)
	}
	for _, bad := range []string{write("7", root.pem), "/nowhere", write("8", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")} {
		_, err := listenerTLS(param.MustParse(ListenerSpecs(), map[string]any{"ssl": true, "ssl_cert": cert, "ssl_key": key, "ssl_crl": bad}))
		expectTLS(t, bad, err, "ssl_crl")
	}
}

func TestTLSOfServers(t *testing.T) {
	dir := t.TempDir()
	root, other := (*issuer)(nil).issue(t, 1, "root", true), (*issuer)(nil).issue(t, 1, "other", true)
	ca, strange := filepath.Join(dir, "ca"), filepath.Join(dir, "strange")
	testbed.Write(t, ca, root.pem)
	testbed.Write(t, strange, other.pem)
	middle := root.issue(t, 2, "middle", true)
	cert, key := middle.issue(t, 3, "server", false).files(t, dir, "server")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		given map[string]any
		want  string
	}{
		{"unverified", map[string]any{}, ""},
		{"unverified, of somebody else", map[string]any{"ssl_ca": strange}, ""},
		{"verified", map[string]any{"ssl_ca": ca, "ssl_verify_peer_certificate": true}, ""},
		{"of somebody else", map[string]any{"ssl_ca": strange, "ssl_verify_peer_certificate": true}, "unknown authority"},
		{"name", map[string]any{"ssl_ca": ca, "ssl_verify_peer_host": true}, ""},
		{"another name", map[string]any{"address": "127.0.0.2", "ssl_ca": ca, "ssl_verify_peer_host": true}, "127.0.0.2"},
		{"another name, which is not asked for", map[string]any{"address": "127.0.0.2", "ssl_ca": ca, "ssl_verify_peer_certificate": true}, ""},
		{"too long a chain", map[string]any{"ssl_ca": ca, "ssl_verify_peer_certificate": true, "ssl_cert_verify_depth": 0}, errTLSDepth.Error()},
	} {
		given := map[string]any{"address": "127.0.0.1", "ssl": true}
		for k, v := range c.given {
			given[k] = v
		}
		srv, err := newServerConfig(ServerConfig{Params: param.MustParse(ServerSpecs(), given)}, "")
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second connection is a resumed one
			expectTLS(t, c.name, handshake(t, srv.tls, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}), c.want)
		}
	}
}

// FuzzRevoked: no list makes the proxy fall.
func FuzzRevoked(f *testing.F) {
	f.Add([]byte("-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		lists, err := parseRevoked(text)
		if err == nil && len(lists) == 0 {
			t.Fatal("no list, and no error")
		}
	})
}

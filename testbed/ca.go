package testbed

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// CA is a certificate authority of a test.
type CA struct {
	PEM  string // the authority's certificate
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Cert is an issued certificate.
type Cert struct{ CertPEM, KeyPEM string }

// NewCA makes an authority that nobody else trusts.
func NewCA(t TB) *CA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Backplane test authority"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	cert, _ := x509.ParseCertificate(der)
	return &CA{PEM: block("CERTIFICATE", der), cert: cert, key: key}
}

// Issue makes a certificate for names (host names or IP addresses), valid now.
func (ca *CA) Issue(t TB, names ...string) Cert {
	t.Helper()
	return ca.issue(t, time.Now().Add(24*time.Hour), names)
}

// IssueExpired makes a certificate whose validity ended an hour ago.
func (ca *CA) IssueExpired(t TB, names ...string) Cert {
	t.Helper()
	return ca.issue(t, time.Now().Add(-time.Hour), names)
}

func (ca *CA) issue(t TB, notAfter time.Time, names []string) Cert {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: names[0]},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: notAfter,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else {
			tmpl.DNSNames = append(tmpl.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	return Cert{CertPEM: block("CERTIFICATE", der), KeyPEM: block("PRIVATE KEY", keyDER)}
}

// Files writes the pair into dir as name.crt and name.key, the key readable by
// owner ("" for the current user) alone.
func (c Cert) Files(t TB, dir, name, owner string) (cert, key string) {
	t.Helper()
	cert, key = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	Write(t, cert, c.CertPEM)
	if err := os.WriteFile(key, []byte(c.KeyPEM), 0o600); err != nil {
		t.Fatalf("testbed: %v", err)
	}
	if owner != "" && os.Getuid() == 0 {
		uid, gid := ids(t, owner)
		if err := os.Chown(key, uid, gid); err != nil {
			t.Fatalf("testbed: %v", err)
		}
	}
	return cert, key
}

// TLS is the pair for a Go listener.
func (c Cert) TLS(t TB) tls.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair([]byte(c.CertPEM), []byte(c.KeyPEM))
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	return pair
}

func serial() *big.Int {
	n, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	return n
}

func block(typ string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}))
}

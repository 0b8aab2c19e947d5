package entity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"slices"
	"testing"
	"time"
)

// pair is a certificate with its key.
type pair struct{ cert, key, public, digest string }

// certs are made once: keys take time.
var certs = struct{ rsa, otherRSA, ec, ca, expired pair }{
	rsa:      newPair(rsaKey(), false, time.Hour),
	otherRSA: newPair(rsaKey(), false, time.Hour),
	ec:       newPair(ecKey(), false, time.Hour),
	ca:       newPair(ecKey(), true, time.Hour),
	expired:  newPair(ecKey(), true, -time.Hour),
}

func rsaKey() crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

func ecKey() crypto.Signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

func newPair(key crypto.Signer, isCA bool, life time.Duration) pair {
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "test"},
		NotBefore:             time.Now().Add(-24 * time.Hour),
		NotAfter:              time.Now().Add(life),
		BasicConstraintsValid: true,
		IsCA:                  isCA,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(der)
	return pair{
		cert:   string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		key:    string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
		public: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
		digest: hex.EncodeToString(sum[:]),
	}
}

func TestCertificates(t *testing.T) {
	ec := `"cert_alt":` + quote(certs.ec.cert) + `,"key_alt":` + quote(certs.ec.key)
	encrypted := string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte{1}}))
	checkRows(t, "certificates", []row{
		{`{` + ec + `}`, ""},
		{`{"cert":` + quote(certs.rsa.cert+certs.ca.cert) + `}`, ""}, // a chain
		{`{"cert":null}`, one("cert: required field missing")},
		{`{"key":null}`, one("key: required field missing")},
		{`{"cert":"x"}`, one("cert: invalid certificate: not a certificate in PEM")},
		{`{"key":"x"}`, one("key: invalid key: not a private key in PEM")},
		{`{"key":` + quote(certs.rsa.public) + `}`, one("key: invalid key: not a private key in PEM")},
		{`{"key":` + quote(encrypted) + `}`, one("key: invalid key: it is encrypted")},
		{`{"key":` + quote(certs.otherRSA.key) + `}`, one("certificate does not match key")},
		{`{"cert_alt":` + quote(certs.ec.cert) + `}`, one("all or none of these fields must be set: 'cert_alt', 'key_alt'")},
		{`{"cert_alt":` + quote(certs.ec.cert) + `,"key_alt":` + quote(certs.rsa.key) + `}`,
			one("alternative certificate does not match key")},
		{`{"cert_alt":` + quote(certs.otherRSA.cert) + `,"key_alt":` + quote(certs.otherRSA.key) + `}`,
			one("certificate and alternative certificate need to have different type (e.g. RSA and ECDSA), " +
				"the provided certificates were both of the same type")},
	})
}

func TestKeyFormats(t *testing.T) {
	rsaKey, ecKey := rsaKey().(*rsa.PrivateKey), ecKey().(*ecdsa.PrivateKey)
	ec, err := x509.MarshalECPrivateKey(ecKey)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	for _, c := range []struct{ cert, key string }{
		{newPair(rsaKey, false, time.Hour).cert, block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey))},
		{newPair(ecKey, false, time.Hour).cert, block("EC PARAMETERS", []byte{6, 0}) + block("EC PRIVATE KEY", ec)},
	} {
		checkRows(t, "certificates", []row{{`{"cert":` + quote(c.cert) + `,"key":` + quote(c.key) + `}`, ""}})
	}
	checkRows(t, "certificates", []row{
		{`{"key":` + quote(block("PRIVATE KEY", []byte{1})) + `}`, one("key: invalid key: not an RSA, ECDSA or Ed25519 key")},
		{`{"cert":` + quote(block("CERTIFICATE", []byte{1})) + `}`, one("cert: invalid certificate: x509: malformed certificate")},
	})
	public := block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey))
	checkRows(t, "jwts", []row{
		{`{"algorithm":"RS256","rsa_public_key":` + quote(public) + `}`, ""},
		{`{"algorithm":"RS256","rsa_public_key":` + quote(certs.rsa.cert) + `}`, ""},
	})
}

func TestCACertificates(t *testing.T) {
	checkRows(t, "ca_certificates", []row{
		{`{"cert_digest":"x"}`, ""},
		{`{"cert":"x"}`, one("cert: invalid certificate: not a certificate in PEM")},
		{`{"cert":` + quote(certs.ca.cert+certs.ca.cert) + `}`, one("please submit only one certificate at a time")},
		{`{"cert":` + quote(certs.expired.cert) + `}`, one(`certificate expired, "Not After" time is in the past`)},
		{`{"cert":` + quote(certs.ec.cert) + `}`,
			one(`certificate does not appear to be a CA because it is missing the "CA" basic constraint`)},
	})
}

func TestTakeSNIs(t *testing.T) {
	for _, c := range []struct {
		doc   string
		names []string
		given bool
		wrong string
	}{
		{`{}`, nil, false, ""},
		{`{"snis":null}`, nil, true, ""},
		{`{"snis":[]}`, nil, true, ""},
		{`{"snis":["b.c","*.a","b.c"]}`, []string{"*.a", "b.c"}, true, ""},
		{`{"snis":"a"}`, nil, true, one("snis: expected a set")},
		{`{"snis":["a","1.2.3.4"]}`, nil, true, one("snis.2: must not be an IP")},
	} {
		doc := decode(t, c.doc)
		names, given, wrong := TakeSNIs(doc)
		if len(doc) != 0 || !slices.Equal(names, c.names) || given != c.given ||
			(wrong == nil) != (c.wrong == "") || wrong != nil && wrong.Error() != c.wrong {
			t.Errorf("%s: %q %v %v, left %v", c.doc, names, given, wrong, doc)
		}
	}
}

func TestSNIs(t *testing.T) {
	checkRows(t, "snis", []row{
		{`{"name":"*.a.b"}`, ""},
		{`{"name":"a.*"}`, ""},
		{`{"name":"*"}`, ""},
		{`{"name":null}`, one("name: required field missing")},
		{`{"name":"a.*.b"}`, one("name: wildcard must be leftmost or rightmost character")},
		{`{"name":"*.a.*"}`, one("name: only one wildcard must be specified")},
		{`{"name":"1.2.3.4"}`, one("name: must not be an IP")},
		{`{"name":"::1"}`, one("name: must not be an IP")},
		{`{"name":"a:80"}`, one("name: must not have a port")},
		{`{"name":"a b"}`, one("name: invalid value: a b")},
		{`{"certificate":null}`, one("certificate: required field missing")},
		{`{"certificate":{}}`, one("certificate.id: missing primary key")},
	})
}

package entity

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

var certificates = &Collection{
	Name:     "certificates",
	Singular: "certificate",
	Record: &schema.Record{
		Name: "certificates",
		Fields: append(times(),
			schema.Field{Name: "cert", Type: schema.String, Required: true, Check: schema.Text(certificatePEM)},
			schema.Field{Name: "key", Type: schema.String, Required: true, Hidden: true, Check: schema.Text(keyPEM)},
			schema.Field{Name: "cert_alt", Type: schema.String, Check: schema.Text(certificatePEM)},
			schema.Field{Name: "key_alt", Type: schema.String, Hidden: true, Check: schema.Text(keyPEM)},
			schema.Tags(),
		),
		Checks: []schema.Check{
			schema.MutuallyRequired("cert_alt", "key_alt"),
			{Needs: []string{"cert", "key"}, Func: keysMatch},
			{Needs: []string{"cert", "cert_alt", "key_alt"}, Func: alternativesMatch},
		},
		Inputs: []schema.Field{certificateSNIs},
	},
}

// certificateSNIs are the names that clients send and get with a certificate.
var certificateSNIs = schema.Field{
	Name: "snis", Type: schema.Set,
	Elements: &schema.Field{Type: schema.String, Check: schema.WildcardServerName},
}

// TakeSNIs takes the names out of a certificate that a client sent: sorted,
// without duplicates. They are not given if the client said nothing of them,
// and none if it said null.
func TakeSNIs(doc map[string]any) (names []string, given bool, wrong *schema.Violations) {
	v, given := doc["snis"]
	delete(doc, "snis")
	if message := certificateSNIs.Validate(v); message != nil {
		return nil, true, &schema.Violations{Fields: map[string]any{"snis": message}}
	}
	names = listOf(v)
	slices.Sort(names)
	return slices.Compact(names), given, nil
}

var snis = &Collection{
	Name:     "snis",
	Singular: "sni",
	Key:      "name",
	Foreign:  []ForeignKey{{Field: "certificate", Collection: "certificates", Cascade: true}},
	Unique:   []Unique{{Fields: []string{"name"}}},
	Record: &schema.Record{
		Name: "snis",
		Fields: append(times(),
			schema.Field{Name: "name", Type: schema.String, Required: true, Unique: true, Check: schema.WildcardServerName},
			schema.Tags(),
			reference("certificate", "certificates", true),
		),
	},
}

var caCertificates = &Collection{
	Name:     "ca_certificates",
	Singular: "ca_certificate",
	Unique:   []Unique{{Fields: []string{"cert_digest"}}},
	derive: func(doc, _, _ map[string]any) *schema.Violations {
		cert, _ := doc["cert"].(string)
		doc["cert_digest"] = Digest(cert)
		return nil
	},
	Record: &schema.Record{
		Name: "ca_certificates",
		Fields: append(times(),
			schema.Field{Name: "cert", Type: schema.String, Required: true, Check: schema.Text(certificatePEM)},
			schema.Field{Name: "cert_digest", Type: schema.String, Unique: true},
			schema.Tags(),
		),
		Checks: []schema.Check{{Needs: []string{"cert"}, Func: isAuthority}},
	},
}

// Digest is the SHA-256 of the first certificate in a text, in hexadecimal; ""
// if there is none.
func Digest(cert string) string {
	c, err := parseCertificate(cert)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

func parseCertificate(s string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(s))
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("not a certificate in PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

// certificatePEM wants one or more certificates.
func certificatePEM(s string) error {
	if _, err := parseCertificate(s); err != nil {
		return fmt.Errorf("invalid certificate: %w", err)
	}
	return nil
}

// keyPEM wants a private key. What the text is stays out of the error.
func keyPEM(s string) error {
	for rest := []byte(s); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return errors.New("invalid key: not a private key in PEM")
		}
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
			return errors.New("invalid key: it is encrypted")
		case block.Type == "PRIVATE KEY" || strings.HasSuffix(block.Type, " PRIVATE KEY"):
			if !isPrivateKey(block.Bytes) {
				return errors.New("invalid key: not an RSA, ECDSA or Ed25519 key")
			}
			return nil
		}
	}
}

func isPrivateKey(der []byte) bool {
	if _, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return true
	}
	if _, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return true
	}
	_, err := x509.ParseECPrivateKey(der)
	return err == nil
}

func pairs(doc map[string]any, cert, key string) bool {
	c, _ := doc[cert].(string)
	k, _ := doc[key].(string)
	_, err := tls.X509KeyPair([]byte(c), []byte(k))
	return err == nil
}

func keysMatch(doc map[string]any, report func(field, message string)) {
	if !pairs(doc, "cert", "key") {
		report("", "certificate does not match key")
	}
}

func alternativesMatch(doc map[string]any, report func(field, message string)) {
	if doc["cert_alt"] == nil || doc["key_alt"] == nil {
		return
	}
	if !pairs(doc, "cert_alt", "key_alt") {
		report("", "alternative certificate does not match key")
	}
	cert, _ := doc["cert"].(string)
	alt, _ := doc["cert_alt"].(string)
	c, err := parseCertificate(cert)
	a, errAlt := parseCertificate(alt)
	if err == nil && errAlt == nil && c.PublicKeyAlgorithm == a.PublicKeyAlgorithm {
		report("", "certificate and alternative certificate need to have different type (e.g. RSA and ECDSA), "+
			"the provided certificates were both of the same type")
	}
}

func isAuthority(doc map[string]any, report func(field, message string)) {
	s, _ := doc["cert"].(string)
	if strings.Count(s, "-----BEGIN CERTIFICATE-----") > 1 {
		report("", "please submit only one certificate at a time")
		return
	}
	c, err := parseCertificate(s)
	switch {
	case err != nil:
	case c.NotAfter.Before(time.Now()):
		report("", `certificate expired, "Not After" time is in the past`)
	case !c.BasicConstraintsValid || !c.IsCA:
		report("", `certificate does not appear to be a CA because it is missing the "CA" basic constraint`)
	}
}

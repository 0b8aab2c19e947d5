package account

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"strings"
)

// Demand is what the connection of an account has to be like: REQUIRE in SQL.
type Demand struct {
	Required    bool // TLS
	Certificate bool // a valid certificate of the client
	Cipher      string
	Issuer      string
	Subject     string
}

// demand reads the columns ssl_type and those beside it. An unknown type asks
// for all there is, so that nobody gets in by a mistake.
func demand(kind, cipher, issuer, subject string) Demand {
	switch strings.ToUpper(kind) {
	case "", "0":
		return Demand{}
	case "ANY", "1":
		return Demand{Required: true}
	case "SPECIFIED", "3":
		return Demand{
			Required: true, Certificate: issuer != "" || subject != "",
			Cipher: cipher, Issuer: issuer, Subject: subject,
		}
	}
	return Demand{Required: true, Certificate: true}
}

// ClientTLS is what the connection of a client is like. The zero value is one
// without TLS.
type ClientTLS struct {
	Used     bool
	Cipher   string // as OpenSSL names it
	Verified bool   // the client showed a certificate and it is valid
	Issuer   string // one line, as /C=SE/CN=ca
	Subject  string
}

// TLSOf describes a connection after its handshake.
func TLSOf(state tls.ConnectionState) ClientTLS {
	c := ClientTLS{Used: true, Cipher: OpenSSLCipher(tls.CipherSuiteName(state.CipherSuite))}
	if len(state.VerifiedChains) > 0 && len(state.PeerCertificates) > 0 {
		leaf := state.PeerCertificates[0]
		c.Verified, c.Issuer, c.Subject = true, oneLine(leaf.RawIssuer), oneLine(leaf.RawSubject)
	}
	return c
}

// unmet says what of a demand a connection lacks; AsFound when nothing.
func (d Demand) unmet(c ClientTLS) Reason {
	switch {
	case d.Required && !c.Used:
		return NeedsTLS
	case d.Certificate && !c.Verified:
		return NeedsCertificate
	case d.Cipher != "" && d.Cipher != c.Cipher:
		return WrongCipher
	case d.Issuer != "" && d.Issuer != c.Issuer, d.Subject != "" && d.Subject != c.Subject:
		return WrongCertificate
	}
	return AsFound
}

// OpenSSLCipher turns the registered name of a cipher suite into the one of
// OpenSSL, which accounts and configurations are made with. Those of TLS 1.3 have one name only.
func OpenSSLCipher(name string) string {
	exchange, cipher, found := strings.Cut(strings.TrimPrefix(name, "TLS_"), "_WITH_")
	if !found {
		return name
	}
	cipher = strings.NewReplacer(
		"3DES_EDE_CBC", "DES-CBC3", "CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305",
		"AES_128_CBC", "AES128", "AES_256_CBC", "AES256", "AES_128", "AES128", "AES_256", "AES256",
	).Replace(cipher)
	cipher = strings.ReplaceAll(cipher, "_", "-")
	if exchange == "RSA" {
		return cipher
	}
	return strings.ReplaceAll(exchange, "_", "-") + "-" + cipher
}

// shortNames are what OpenSSL calls the parts of a distinguished name.
var shortNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L",
	"2.5.4.8": "ST", "2.5.4.9": "street", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title",
	"2.5.4.42": "GN", "2.5.4.17": "postalCode", "1.2.840.113549.1.9.1": "emailAddress",
	"0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID",
}

// oneLine writes a distinguished name as X509_NAME_oneline of OpenSSL does,
// which is the form that REQUIRE ISSUER and SUBJECT take.
func oneLine(raw []byte) string {
	var name pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &name); err != nil || len(rest) > 0 {
		return ""
	}
	var out strings.Builder
	for _, set := range name {
		for _, part := range set {
			short, ok := shortNames[part.Type.String()]
			if !ok {
				short = part.Type.String()
			}
			out.WriteString("/" + short + "=")
			for _, b := range []byte(fmt.Sprint(part.Value)) {
				if b < ' ' || b > '~' {
					fmt.Fprintf(&out, `\x%02X`, b)
				} else {
					out.WriteByte(b)
				}
			}
		}
	}
	return out.String()
}

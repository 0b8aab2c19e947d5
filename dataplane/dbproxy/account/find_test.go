package account

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"strings"
	"testing"
)

// someLogins holds accounts of each kind that Find tells apart.
func someLogins() *Table {
	var list []Account
	list = append(list, accounts("root", "%")...)
	list = append(list, accounts("app", "%", "192.0.2.%", "localhost")...)
	list = append(list, accounts("wild", "%")...)
	list = append(list, accounts("wild", "127.%")...)
	list = append(list, accounts("net", "127.0.0.0/255.0.0.0")...)
	list = append(list, accounts("", "192.0.2.9", "198.51.100.%")...)
	list = append(list, Account{Name: Name{User: "locked", Host: "%"}, Locked: true})
	list = append(list, Account{Name: Name{User: "role"}, Role: true})
	list = append(list, Account{Name: Name{User: "tls", Host: "%"}, TLS: demand("ANY", "", "", "")})
	list = append(list, Account{Name: Name{User: "x509", Host: "%"}, TLS: demand("X509", "", "", "")})
	list = append(list, Account{Name: Name{User: "exact", Host: "%"}, TLS: demand("SPECIFIED", "TLS_AES_128_GCM_SHA256", "/CN=ca", "/CN=me")})
	return New(Data{Accounts: list})
}

func TestFind(t *testing.T) {
	table := someLogins()
	explicit := Options{LocalExplicit: true}
	any := Options{IgnoreHost: true}
	plain := ClientTLS{Used: true, Cipher: "TLS_AES_128_GCM_SHA256"}
	mine := plain
	mine.Verified, mine.Issuer, mine.Subject = true, "/CN=ca", "/CN=me"
	other := mine
	other.Subject = "/CN=you"
	weak := mine
	weak.Cipher = "AES128-SHA"
	for _, c := range []struct {
		user, client string
		o            Options
		want         string // name of the account, or the reason
	}{
		{"root", "192.0.2.1", Options{}, "root may not log in here"},
		{"root", "192.0.2.1", Options{EnableRoot: true}, "'root'@'%'"},
		{"app", "192.0.2.1", Options{}, "'app'@'192.0.2.%'"},
		{"app", "::ffff:192.0.2.1", Options{}, "'app'@'192.0.2.%'"},
		{"app", "192.0.2.9", Options{}, "''@'192.0.2.9'"}, // the more specific host wins over the name
		{"app", "192.0.3.1", Options{}, "'app'@'%'"},
		{"app", "127.0.0.1", Options{}, "'app'@'localhost'"},
		{"app", "127.0.0.1", Options{SkipNameResolve: true}, "'app'@'%'"},
		{"app", "", Options{SkipNameResolve: true}, "'app'@'localhost'"},
		{"APP", "192.0.2.1", Options{}, "no account of that name for that host"},
		{"new", "192.0.2.1", Options{}, "no account of that name for that host"},
		{"new", "198.51.100.3", Options{}, "''@'198.51.100.%'"},
		{"", "198.51.100.3", Options{}, "''@'198.51.100.%'"},
		{"role", "203.0.113.1", Options{}, "no account of that name for that host"},
		{"wild", "127.0.0.1", Options{}, "'wild'@'127.%'"},
		{"wild", "127.0.0.1", explicit, "no account of that name for that host"},
		{"wild", "", explicit, "no account of that name for that host"},
		{"wild", "192.0.2.1", explicit, "'wild'@'%'"},
		{"net", "127.0.0.1", explicit, "no account of that name for that host"},
		{"app", "127.0.0.1", explicit, "'app'@'localhost'"},
		{"net", "203.0.113.1", any, "'net'@'127.0.0.0/255.0.0.0'"},
		{"app", "203.0.113.1", any, "'app'@'localhost'"},
		{"new", "203.0.113.1", any, "''@'192.0.2.9'"},
		{"locked", "192.0.2.1", Options{}, "the account is locked"},
		{"tls", "192.0.2.1", Options{}, "the account demands TLS"},
		{"tls", "192.0.2.1", Options{TLS: plain}, "'tls'@'%'"},
		{"x509", "192.0.2.1", Options{TLS: plain}, "the account demands a valid client certificate"},
		{"x509", "192.0.2.1", Options{TLS: other}, "'x509'@'%'"},
		{"exact", "192.0.2.1", Options{TLS: plain}, "the account demands a valid client certificate"},
		{"exact", "192.0.2.1", Options{TLS: other}, "the account demands another issuer or subject"},
		{"exact", "192.0.2.1", Options{TLS: weak}, "the account demands another cipher"},
		{"exact", "192.0.2.1", Options{TLS: mine}, "'exact'@'%'"},
	} {
		m := table.Find(c.user, addr(t, c.client), func() string { return "" }, c.o)
		got := m.Reason.String()
		if m.OK() {
			got = m.Account.String()
		}
		if got != c.want {
			t.Errorf("%q from %q with %+v: %s, want %s", c.user, c.client, c.o, got, c.want)
		}
	}
	if m := table.Find("locked", addr(t, "192.0.2.1"), nil, Options{}); m.Account == nil || m.OK() {
		t.Errorf("of a locked account %+v is told", m)
	}
	if m := New(Data{}).Find("app", addr(t, "192.0.2.1"), nil, Options{}); m.Reason != NoUser {
		t.Errorf("without accounts: %s", m.Reason)
	}
	if m := Empty().Find("app", addr(t, "192.0.2.1"), nil, Options{}); m.Reason != NotLoaded {
		t.Errorf("before the first load: %s", m.Reason)
	}
}

func TestSecretsArePrintedNowhere(t *testing.T) {
	a := Account{Methods: []Method{{Plugin: NativePassword, Text: "*HASH"}}}
	table := New(Data{Accounts: []Account{a}})
	mapping := &Mapping{credentials: map[string]Credential{"u": {Password: "*HASH"}}}
	for _, v := range []any{a, &a, a.Methods, a.Methods[0], table, mapping, table.Find("", addr(t, ""), nil, Options{}), Login{User: "u", Password: "*HASH"}, Credential{Password: "*HASH"}} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
			if text := fmt.Sprintf(format, v); strings.Contains(text, "HASH") {
				t.Errorf("%s of %T shows the secret: %s", format, v, text)
			}
		}
	}
}

func TestTLSOf(t *testing.T) {
	raw, err := asn1.Marshal(pkix.Name{
		Country: []string{"SE"}, Organization: []string{"Åker, Inc"}, CommonName: "me",
		ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: "me@example.com"}},
	}.ToRDNSequence())
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{RawSubject: raw, RawIssuer: raw}
	state := tls.ConnectionState{
		CipherSuite:      tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		PeerCertificates: []*x509.Certificate{leaf},
	}
	if got := TLSOf(state); got != (ClientTLS{Used: true, Cipher: "ECDHE-RSA-AES128-GCM-SHA256"}) {
		t.Errorf("a certificate that was not verified counts: %+v", got)
	}
	state.VerifiedChains = [][]*x509.Certificate{{leaf}}
	const want = `/C=SE/O=\xC3\x85ker, Inc/CN=me/emailAddress=me@example.com`
	if got := TLSOf(state); !got.Verified || got.Subject != want || got.Issuer != want {
		t.Errorf("got %+v, want %s", got, want)
	}
	for suite, want := range map[uint16]string{
		tls.TLS_AES_128_GCM_SHA256:                        "TLS_AES_128_GCM_SHA256",
		tls.TLS_CHACHA20_POLY1305_SHA256:                  "TLS_CHACHA20_POLY1305_SHA256",
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:       "ECDHE-ECDSA-AES256-GCM-SHA384",
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256:   "ECDHE-RSA-CHACHA20-POLY1305",
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-ECDSA-CHACHA20-POLY1305",
		tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA:            "ECDHE-RSA-AES256-SHA",
		tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256:         "ECDHE-RSA-AES128-SHA256",
		tls.TLS_RSA_WITH_AES_128_GCM_SHA256:               "AES128-GCM-SHA256",
		tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA:                 "DES-CBC3-SHA",
	} {
		if got := OpenSSLCipher(tls.CipherSuiteName(suite)); got != want {
			t.Errorf("%s is called %s, want %s", tls.CipherSuiteName(suite), got, want)
		}
	}
}

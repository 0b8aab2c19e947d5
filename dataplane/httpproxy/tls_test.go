package httpproxy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

// issued is a certificate with its key.
type issued struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a certificate; without an issuer it is an authority's own.
func issue(t *testing.T, by *issued, names ...string) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: slices.Concat(names, []string{"CA"})[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: len(names) == 0, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issued{cert, key}
}

func (i *issued) pem(t *testing.T) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(i.key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.cert.Raw})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func (i *issued) entity(t *testing.T) *entity.Certificate {
	t.Helper()
	c := &entity.Certificate{ID: uuid.New()}
	c.Cert, c.Key = i.pem(t)
	return c
}

func (i *issued) authority(t *testing.T) *entity.CACertificate {
	t.Helper()
	cert, _ := i.pem(t)
	return &entity.CACertificate{ID: uuid.New(), Cert: cert}
}

// shownCertificate is the name in the certificate that is shown under a name.
func shownCertificate(t *testing.T, addr net.Addr, sni string) string {
	t.Helper()
	c, err := tls.Dial("tcp", addr.String(), &tls.Config{ServerName: sni, InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName
}

func TestSNI(t *testing.T) {
	var entities []any
	var certs []*entity.Certificate
	for _, name := range []string{"a.example.com", "*.example.com", "a.*", "*"} {
		cert := issue(t, nil, name).entity(t)
		certs = append(certs, cert)
		entities = append(entities, cert,
			&entity.SNI{ID: uuid.New(), Name: name, Certificate: entity.Reference{ID: cert.ID}})
	}
	all := entities[len(entities)-1].(*entity.SNI)
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(entities[:len(entities)-2]...))
	for sni, want := range map[string]string{
		"a.example.com": "a.example.com", "A.Example.COM": "a.example.com", "b.example.com": "*.example.com",
		"c.b.example.com": "localhost", "a.net": "a.*", "b.net": "localhost", "": "localhost",
	} {
		if got := shownCertificate(t, g.TLSAddr(), sni); got != want {
			t.Errorf("%q is shown %s", sni, got)
		}
	}
	g.Put(certs[3], all)
	if got := shownCertificate(t, g.TLSAddr(), "b.net"); got != "*" {
		t.Errorf("a name for all: %s", got)
	}
	// Another certificate for the same name, by the certificate and by the SNI.
	other := *certs[0]
	other.Cert, other.Key = issue(t, nil, "other").pem(t)
	g.Put(&other)
	if got := shownCertificate(t, g.TLSAddr(), "a.example.com"); got != "other" {
		t.Errorf("a certificate that was changed: %s", got)
	}
	moved := *entities[1].(*entity.SNI)
	moved.Name = "moved.org"
	g.Put(&moved)
	for sni, want := range map[string]string{"moved.org": "other", "a.example.com": "*.example.com"} {
		if got := shownCertificate(t, g.TLSAddr(), sni); got != want {
			t.Errorf("%q is shown %s after a move", sni, got)
		}
	}
	g.Remove(httpproxy.Key{Kind: httpproxy.SNIs, ID: moved.ID})
	if got := shownCertificate(t, g.TLSAddr(), "moved.org"); got != "*" {
		t.Errorf("a name that is gone: %s", got)
	}
	bad := &entity.Certificate{ID: uuid.New(), Cert: other.Cert, Key: certs[1].Key}
	var e *httpproxy.EntityError
	if err := g.Update(httpproxy.Update{Put: gatewaytest.All(bad)}); !errors.As(err, &e) || e.ID != bad.ID {
		t.Errorf("a key of another certificate: %v", err)
	}
}

func TestUpstreamTLS(t *testing.T) {
	ca, otherCA := issue(t, nil), issue(t, nil)
	server, client := issue(t, ca, "up.example"), issue(t, ca, "client")
	clients := x509.NewCertPool()
	clients.AddCert(ca.cert)
	up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) > 0 {
			w.Header().Set("X-Client", r.TLS.PeerCertificates[0].Subject.CommonName)
		}
		gatewaytest.EchoHandler("tls").ServeHTTP(w, r)
	}))
	up.TLS = &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{server.cert.Raw}, PrivateKey: server.key}},
		ClientAuth:   tls.VerifyClientCertIfGiven, ClientCAs: clients,
	}
	up.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	up.StartTLS()
	t.Cleanup(up.Close)

	caEntity, otherEntity, clientEntity := ca.authority(t), otherCA.authority(t), client.entity(t)
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(caEntity, otherEntity, clientEntity))
	yes, zero := true, 0
	for name, c := range map[string]struct {
		change       func(*entity.Service)
		host         string
		status       int
		shown, asSNI string
	}{
		"not verified":   {func(*entity.Service) {}, "any.example", 200, "", "any.example"},
		"verified":       {func(s *entity.Service) { s.TLSVerify, s.CACertificates = &yes, []uuid.UUID{caEntity.ID} }, "up.example", 200, "", "up.example"},
		"other name":     {func(s *entity.Service) { s.TLSVerify, s.CACertificates = &yes, []uuid.UUID{caEntity.ID} }, "any.example", 502, "", ""},
		"other CA":       {func(s *entity.Service) { s.TLSVerify, s.CACertificates = &yes, []uuid.UUID{otherEntity.ID} }, "up.example", 502, "", ""},
		"system's CAs":   {func(s *entity.Service) { s.TLSVerify = &yes }, "up.example", 502, "", ""},
		"CA that is not": {func(s *entity.Service) { s.TLSVerify, s.CACertificates = &yes, []uuid.UUID{uuid.New()} }, "up.example", 502, "", ""},
		"depth": {func(s *entity.Service) {
			s.TLSVerify, s.TLSVerifyDepth, s.CACertificates = &yes, &zero, []uuid.UUID{caEntity.ID}
		}, "up.example", 200, "", "up.example"},
		"client": {func(s *entity.Service) { s.ClientCertificate = &entity.Reference{ID: clientEntity.ID} }, "up.example", 200, "client", "up.example"},
	} {
		s := gatewaytest.Service(up.URL, c.change, func(s *entity.Service) { s.Retries = 0 })
		g.Put(s, gatewaytest.Route(s, "/"+s.ID.String(), func(r *entity.Route) { r.PreserveHost = true }))
		res := g.Get("/"+s.ID.String(), "Host", c.host)
		if res.StatusCode != c.status || res.Header.Get("X-Client") != c.shown {
			t.Errorf("%s: %s, shown %q: %s", name, res.Status, res.Header.Get("X-Client"), res.Text)
		}
		if c.status == 200 && res.Asked(t).SNI != c.asSNI {
			t.Errorf("%s: the server name is %q", name, res.Asked(t).SNI)
		}
	}
	// The certificate of an upstream, when the service has none.
	entities := gatewaytest.Upstream("pool", up.URL)
	entities[0].(*entity.Upstream).ClientCertificate = &entity.Reference{ID: clientEntity.ID}
	s := gatewaytest.Service("https://pool")
	g.Put(entities, s, gatewaytest.Route(s, "/pool"))
	if res := g.Get("/pool"); res.Header.Get("X-Client") != "client" {
		t.Errorf("the upstream's certificate: %s %v", res.Status, res.Header)
	}
}

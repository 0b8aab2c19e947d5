package httpproxy

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// certificate is a certificate that was read: with its key, and another one
// of another type of key if there is one.
type certificate struct {
	pairs  []*tls.Certificate
	digest [sha256.Size]byte
}

func newCertificate(c *entity.Certificate) (*certificate, error) {
	made := &certificate{digest: sha256.Sum256([]byte(strings.Join([]string{c.Cert, c.Key, c.CertAlt, c.KeyAlt}, "\x00")))}
	for _, p := range [][2]string{{c.Cert, c.Key}, {c.CertAlt, c.KeyAlt}} {
		if p[0] == "" {
			continue
		}
		pair, err := tls.X509KeyPair([]byte(p[0]), []byte(p[1]))
		if err != nil {
			return nil, errors.New("the certificate and its key cannot be read, or do not match")
		}
		made.pairs = append(made.pairs, &pair)
	}
	if len(made.pairs) == 0 {
		return nil, errors.New("there is no certificate")
	}
	return made, nil
}

// forClient is the pair that a client can make use of, the first one if none.
func (c *certificate) forClient(hello *tls.ClientHelloInfo) *tls.Certificate {
	if len(c.pairs) > 1 && hello.SupportsCertificate(c.pairs[0]) != nil && hello.SupportsCertificate(c.pairs[1]) == nil {
		return c.pairs[1]
	}
	return c.pairs[0]
}

// forServer is the pair that a server accepts, an empty one if it accepts none.
func (c *certificate) forServer(info *tls.CertificateRequestInfo) *tls.Certificate {
	if c != nil {
		for _, pair := range c.pairs {
			if info.SupportsCertificate(pair) == nil {
				return pair
			}
		}
	}
	return &tls.Certificate{}
}

// authority is a CA certificate that was read.
type authority struct {
	cert   *x509.Certificate
	digest [sha256.Size]byte
}

func newAuthority(c *entity.CACertificate) (*authority, error) {
	block, _ := pem.Decode([]byte(c.Cert))
	if block == nil {
		return nil, errors.New("the certificate cannot be read")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, errors.New("the certificate cannot be read")
	}
	return &authority{cert, sha256.Sum256(cert.Raw)}, nil
}

// certificateFor finds the certificate of a server name: under the name itself,
// then with a wildcard in the place of its first label, then of its last, then
// under "*". It is nil if there is none.
func (s *snapshot) certificateFor(name string) *certificate {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name != "" {
		if c, ok := s.certs.get(name); ok {
			return c
		}
		if _, rest, ok := strings.Cut(name, "."); ok {
			if c, ok := s.certs.get("*." + rest); ok {
				return c
			}
		}
		if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
			if c, ok := s.certs.get(name[:dot] + ".*"); ok {
				return c
			}
		}
	}
	c, _ := s.certs.get("*")
	return c
}

func (b *build) putCertificate(v *entity.Certificate) {
	made, err := newCertificate(v)
	if err != nil {
		b.fault(Certificates, v.ID, err)
		made = nil
	}
	b.certs[v.ID] = made
	if made != nil {
		b.clientCerts.put(v.ID, made)
	} else {
		b.clientCerts.del(v.ID)
	}
	b.certificateChanged(v.ID)
}

func (b *build) dropCertificate(id uuid.UUID) {
	if _, ok := b.certs[id]; ok {
		delete(b.certs, id)
		b.clientCerts.del(id)
		b.certificateChanged(id)
	}
}

func (b *build) certificateChanged(id uuid.UUID) {
	for sni := range b.snisOf[id] {
		b.dirtyNames[sniName(b.snis[sni])] = sni
	}
	b.dirtyServices.addAll(b.servicesOf[id])
	b.dirtyUpstreams.addAll(b.upstreamsOf[id])
}

func (b *build) putAuthority(v *entity.CACertificate) {
	made, err := newAuthority(v)
	if err != nil {
		b.fault(CACertificates, v.ID, err)
		made = nil
	}
	b.cas[v.ID] = made
	b.dirtyServices.addAll(b.servicesOf[v.ID])
}

func (b *build) dropAuthority(id uuid.UUID) {
	if _, ok := b.cas[id]; ok {
		delete(b.cas, id)
		b.dirtyServices.addAll(b.servicesOf[id])
	}
}

func sniName(s *entity.SNI) string { return strings.ToLower(s.Name) }

func (b *build) putSNI(id uuid.UUID, v *entity.SNI) {
	if old := b.snis[id]; old != nil {
		b.snisOf.del(old.Certificate.ID, id)
		delete(b.snis, id)
		if _, ok := b.dirtyNames[sniName(old)]; !ok {
			b.dirtyNames[sniName(old)] = uuid.Nil
		}
	}
	if v != nil {
		b.snis[id] = v
		b.snisOf.add(v.Certificate.ID, id)
		b.dirtyNames[sniName(v)] = id
	}
}

func (b *build) makeNames() {
	txn := b.next.certs.txn()
	for name, id := range b.dirtyNames {
		var cert *certificate
		// The SNI may have gone, or have another name, after it was noted down.
		if sni := b.snis[id]; sni != nil && sniName(sni) == name {
			cert = b.certs[sni.Certificate.ID]
		}
		if cert == nil {
			txn.del(name)
		} else {
			txn.put(name, cert)
		}
	}
	b.next.certs = txn.table
}

// upstreamTLS is how the gateway speaks TLS with upstreams.
type upstreamTLS struct {
	verify bool
	depth  int  // of chains, -1 for any
	trusts bool // that there are roots of its own; otherwise the system's count
	roots  []*x509.Certificate
	// hasClient tells that there is a certificate of the gateway's, which is nil
	// if it cannot be used.
	hasClient bool
	client    *certificate
	// key tells apart connections that must not be used for each other.
	key [sha256.Size]byte
}

// serviceTLS is how the gateway speaks TLS with a service.
func (b *build) serviceTLS(s *entity.Service) *upstreamTLS {
	t := &upstreamTLS{verify: s.TLSVerify != nil && *s.TLSVerify, depth: -1, trusts: len(s.CACertificates) > 0}
	sum := sha256.New()
	if t.verify {
		if s.TLSVerifyDepth != nil {
			t.depth = *s.TLSVerifyDepth
		}
		sum.Write([]byte{1, byte(t.depth), byte(len(s.CACertificates))})
		for _, id := range s.CACertificates {
			if ca := b.cas[id]; ca != nil {
				t.roots = append(t.roots, ca.cert)
				sum.Write(ca.digest[:])
			}
		}
	}
	if s.ClientCertificate != nil {
		t.hasClient = true
		if t.client = b.certs[s.ClientCertificate.ID]; t.client != nil {
			sum.Write(t.client.digest[:])
		}
	}
	sum.Sum(t.key[:0])
	return t
}

// withClient is how to speak with a service behind an upstream that has a
// certificate for it. The service's own goes first.
func (t *upstreamTLS) withClient(c *certificate) *upstreamTLS {
	if c == nil || t.hasClient {
		return t
	}
	with := *t
	with.client, with.hasClient = c, true
	with.key = sha256.Sum256(append(t.key[:], c.digest[:]...))
	return &with
}

// config is what a connection to a host begins with.
func (t *upstreamTLS) config(host string, protocols ...string) *tls.Config {
	c := &tls.Config{
		ServerName:         host,
		NextProtos:         protocols,
		MinVersion:         tls.VersionTLS12,
		ClientSessionCache: tls.NewLRUClientSessionCache(16),
		// What is to be verified is verified below, because of the depth, or
		// not at all, which is the default of services.
		InsecureSkipVerify: true,
		GetClientCertificate: func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return t.client.forServer(info), nil
		},
	}
	if t.verify {
		c.VerifyConnection = func(s tls.ConnectionState) error { return t.check(s, host) }
	}
	return c
}

// check verifies the chain of a server.
func (t *upstreamTLS) check(s tls.ConnectionState, host string) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("the upstream has shown no certificate")
	}
	o := x509.VerifyOptions{DNSName: host, Intermediates: x509.NewCertPool()}
	if t.trusts {
		o.Roots = x509.NewCertPool()
		for _, root := range t.roots {
			o.Roots.AddCert(root)
		}
	}
	for _, c := range s.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	chains, err := s.PeerCertificates[0].Verify(o)
	if err != nil {
		return err
	}
	if t.depth < 0 {
		return nil
	}
	for _, chain := range chains {
		// The server's own certificate and the root do not count.
		if len(chain)-2 <= t.depth {
			return nil
		}
	}
	return errors.New("the chain of the upstream's certificate is too long")
}

package dbproxy

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/backplane/backplane/dataplane/dbproxy/account"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
)

// serverConfig is what a server is at one time.
type serverConfig struct {
	ServerConfig
	params param.Set
	tls    *tls.Config // nil without TLS
	local  string      // address to connect from, "" for any
}

func newServerConfig(c ServerConfig, local string) (*serverConfig, error) {
	sc := &serverConfig{ServerConfig: c, params: c.Params, local: local}
	var err error
	sc.tls, err = serverTLS(c.Params)
	return sc, err
}

// tlsClient is how connections to the server begin TLS; nil for in clear.
func (srv *Server) tlsClient() (*tls.Config, error) { return srv.config.Load().tls, nil }

// usesTLS tells whether TLS is on. Files without ssl turn it on, and all of
// them must be there then ("ssl", MaxScale Configuration Guide 2.2); with ssl
// it is certificate and key, which a client can do without.
func usesTLS(params param.Set) (bool, error) {
	files := []string{"ssl_cert", "ssl_key", "ssl_ca"}
	if params.Has("ssl") {
		return params.Bool("ssl"), nil
	}
	if !slices.ContainsFunc(files, params.Has) {
		return false, nil
	}
	for _, name := range files {
		if params.String(name) == "" {
			return false, param.Fault{Name: name, Message: "must be given as well: TLS takes a key, a certificate and the certificates of authorities"}
		}
	}
	return true, nil
}

// serverTLS is how connections to a server begin TLS; nil for in clear.
func serverTLS(params param.Set) (*tls.Config, error) {
	on, err := usesTLS(params)
	if !on || err != nil {
		return nil, err
	}
	cfg, rules, err := commonTLS(params)
	if err != nil {
		return nil, err
	}
	if params.Has("ssl_cert") || params.Has("ssl_key") {
		if cfg.Certificates, err = certificate(params); err != nil {
			return nil, err
		}
	}
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	cfg.ServerName = strings.Trim(params.String("address"), "[]")
	roots, err := authorities(params)
	if err != nil {
		return nil, err
	}
	cfg.RootCAs = roots
	host := params.Bool("ssl_verify_peer_host")
	rules.verify = params.Bool("ssl_verify_peer_certificate") || host
	rules.roots = roots
	if host {
		rules.host = cfg.ServerName
	}
	// Chain and name are checked by the rules, each only if it is asked for.
	cfg.InsecureSkipVerify = true
	cfg.VerifyConnection = rules.server
	return cfg, nil
}

// listenerTLS is how connections of clients begin TLS; nil for in clear.
func listenerTLS(params param.Set) (*tls.Config, error) {
	on, err := usesTLS(params)
	if !on || err != nil {
		return nil, err
	}
	cfg, rules, err := commonTLS(params)
	if err != nil {
		return nil, err
	}
	if cfg.Certificates, err = certificate(params); err != nil {
		return nil, err
	}
	if cfg.ClientCAs, err = authorities(params); err != nil {
		return nil, err
	}
	if path := params.String("ssl_crl"); path != "" {
		if rules.revoked, err = readRevoked(path); err != nil {
			return nil, param.Fault{Name: "ssl_crl", Message: err.Error()}
		}
	}
	switch {
	case params.Bool("ssl_verify_peer_certificate"):
		if cfg.ClientCAs == nil {
			return nil, param.Fault{Name: "ssl_ca", Message: "must be given to verify certificates of clients"}
		}
		cfg.ClientAuth = tls.RequireAndVerifyClientCert
	case cfg.ClientCAs != nil:
		cfg.ClientAuth = tls.VerifyClientCertIfGiven // accounts may demand one
	}
	cfg.VerifyConnection = rules.client
	return cfg, nil
}

// commonTLS is what both ends have.
func commonTLS(params param.Set) (*tls.Config, *tlsRules, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	rules := &tlsRules{depth: int(params.Int("ssl_cert_verify_depth"))}
	if list := params.List("ssl_version"); len(list) > 0 && !slices.Contains(list, "MAX") {
		for _, name := range list {
			rules.versions = append(rules.versions, versionNumbers[name])
		}
		cfg.MinVersion, cfg.MaxVersion = slices.Min(rules.versions), slices.Max(rules.versions)
	}
	if text := params.String("ssl_cipher"); text != "" {
		if err := limitCiphers(cfg, text); err != nil {
			return nil, nil, err
		}
	}
	return cfg, rules, nil
}

var versionNumbers = map[string]uint16{"TLSv10": tls.VersionTLS10, "TLSv11": tls.VersionTLS11, "TLSv12": tls.VersionTLS12, "TLSv13": tls.VersionTLS13}

// limitCiphers allows the ciphers of a list alone. Which ones TLS 1.3 has is
// not a matter of configuration: they are all good.
func limitCiphers(cfg *tls.Config, text string) error {
	known := map[string]*tls.CipherSuite{}
	for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		known[account.OpenSSLCipher(suite.Name)] = suite
		known[suite.Name] = suite
	}
	only13 := true
	for name := range strings.FieldsFuncSeq(text, func(c rune) bool { return strings.ContainsRune(":, ", c) }) {
		suite := known[name]
		if suite == nil {
			return param.Fault{Name: "ssl_cipher", Message: "names a cipher that is not known: " + name}
		}
		if slices.Equal(suite.SupportedVersions, []uint16{tls.VersionTLS13}) {
			continue
		}
		only13 = false
		cfg.CipherSuites = append(cfg.CipherSuites, suite.ID)
	}
	if only13 {
		if cfg.MaxVersion != 0 && cfg.MaxVersion < tls.VersionTLS13 {
			return param.Fault{Name: "ssl_cipher", Message: "has no cipher for the versions in ssl_version"}
		}
		cfg.MinVersion = tls.VersionTLS13
	}
	return nil
}

func certificate(params param.Set) ([]tls.Certificate, error) {
	for _, name := range []string{"ssl_cert", "ssl_key"} {
		if params.String(name) == "" {
			return nil, param.Fault{Name: name, Message: "must be given for TLS"}
		}
	}
	pair, err := tls.LoadX509KeyPair(params.String("ssl_cert"), params.String("ssl_key"))
	if err != nil {
		return nil, param.Fault{Name: "ssl_cert", Message: err.Error()}
	}
	return []tls.Certificate{pair}, nil
}

// authorities are the certificates in ssl_ca, nil when it is not given.
func authorities(params param.Set) (*x509.CertPool, error) {
	path := params.String("ssl_ca")
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, param.Fault{Name: "ssl_ca", Message: err.Error()}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, param.Fault{Name: "ssl_ca", Message: "holds no certificate: " + path}
	}
	return pool, nil
}

// tlsRules are what is checked of a connection beyond what package tls does by
// itself.
type tlsRules struct {
	versions []uint16 // all when empty
	depth    int      // of authorities between a certificate and one trusted
	revoked  revoked
	// Of servers:
	verify bool
	roots  *x509.CertPool // the system's when nil
	host   string         // "" when the name is not checked
}

var (
	errTLSVersion = errors.New("this version of TLS is not in ssl_version")
	errTLSDepth   = errors.New("the chain of certificates is longer than ssl_cert_verify_depth")
)

// common checks version and chains. It is called for resumed connections too.
func (r *tlsRules) common(state *tls.ConnectionState, chains [][]*x509.Certificate) error {
	if len(r.versions) > 0 && !slices.Contains(r.versions, state.Version) {
		return errTLSVersion
	}
	if len(chains) == 0 {
		return nil
	}
	fault := errTLSDepth
	for _, chain := range chains {
		if len(chain)-2 > r.depth {
			continue
		}
		if fault = r.revoked.check(chain); fault == nil {
			return nil
		}
	}
	return fault
}

// client checks a client's connection, of which tls has verified the chains.
func (r *tlsRules) client(state tls.ConnectionState) error {
	return r.common(&state, state.VerifiedChains)
}

// server checks a server's connection.
func (r *tlsRules) server(state tls.ConnectionState) error {
	if !r.verify {
		return r.common(&state, nil)
	}
	if len(state.PeerCertificates) == 0 {
		return errors.New("the server has no certificate")
	}
	options := x509.VerifyOptions{Roots: r.roots, DNSName: r.host, Intermediates: x509.NewCertPool()}
	for _, c := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	chains, err := state.PeerCertificates[0].Verify(options)
	if err != nil {
		return err
	}
	return r.common(&state, chains)
}

// Package tlsconf opens listeners that serve TLS from files, and puts changed
// files in force without a restart.
//
// It is under internal, not under server, because the configuration checks the
// same files before the start, and the data planes, which know nothing of the
// server, listen too.
package tlsconf

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// maxFile bounds what is read of a file, so that a wrong path cannot fill the
// memory.
const maxFile = 1 << 20

// ClientAuth says whether clients must show a certificate.
type ClientAuth string

// The modes of client certificates.
const (
	Required ClientAuth = "required"
	Optional ClientAuth = "optional" // but a certificate that is shown must be good
)

// Files name what a listener serves TLS from. The zero value is plaintext.
type Files struct {
	Cert     string     // certificate chain, PEM
	Key      string     // its private key, PEM
	ClientCA string     // authorities of client certificates, PEM; empty: none is asked for
	Auth     ClientAuth // with ClientCA; empty is Required
}

// Enabled reports whether anything is set, so that TLS is meant.
func (f Files) Enabled() bool { return f.Cert != "" || f.Key != "" || f.ClientCA != "" }

// Check reads the files and reports every fault. There is none when nothing is
// set.
func (f Files) Check() error {
	if !f.Enabled() {
		return f.checkAuth()
	}
	_, err := f.load()
	return err
}

func (f Files) checkAuth() error {
	if f.Auth == "" || f.Auth == Required || f.Auth == Optional {
		return nil
	}
	return fmt.Errorf("client certificates can be %s or %s, not %q", Required, Optional, f.Auth)
}

// material is what the files held at one time.
type material struct {
	pair   tls.Certificate
	auth   tls.ClientAuthType
	pool   *x509.CertPool
	digest [sha256.Size]byte
}

// load reads the files. The digest of what they hold is returned with errors
// as well, so that one fault is told once.
func (f Files) load() (material, error) {
	m := material{auth: tls.NoClientCert}
	var faults []error
	switch {
	case f.Cert == "" && f.Key == "":
		faults = append(faults, errors.New("a client authority needs a certificate and a key as well"))
	case f.Key == "":
		faults = append(faults, fmt.Errorf("certificate %s is set without its key", f.Cert))
	case f.Cert == "":
		faults = append(faults, fmt.Errorf("key %s is set without its certificate", f.Key))
	}
	cert, certErr := read("certificate", f.Cert)
	key, keyErr := read("key", f.Key)
	faults = append(faults, certErr, keyErr)
	if cert != nil && key != nil {
		var err error
		if m.pair, err = pair(f, cert, key); err != nil {
			faults = append(faults, err)
		}
	}
	authority, err := read("client authority", f.ClientCA)
	faults = append(faults, err)
	if authority != nil {
		if m.pool, err = pool(authority); err != nil {
			faults = append(faults, fmt.Errorf("client authority %s: %w", f.ClientCA, err))
		}
	}
	faults = append(faults, f.checkAuth())
	switch {
	case f.ClientCA != "" && f.Auth == Optional:
		m.auth = tls.VerifyClientCertIfGiven
	case f.ClientCA != "":
		m.auth = tls.RequireAndVerifyClientCert
	}
	err = errors.Join(faults...)
	m.digest = digest(cert, key, authority, err)
	return m, err
}

// read returns the content of a file; nil when there is none or it cannot be
// read.
func read(what, path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	fault := func(err error) error {
		var p *os.PathError
		if errors.As(err, &p) {
			err = p.Err // the path is said already
		}
		return fmt.Errorf("%s %s: %w", what, path, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fault(err)
	}
	if !info.Mode().IsRegular() { // a pipe would block, and can be read once only
		return nil, fault(errors.New("not a regular file"))
	}
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, fault(err)
	}
	defer f.Close() //nolint:errcheck // only read
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, fault(err)
	case len(content) > maxFile:
		return nil, fault(errors.New("larger than 1 MiB"))
	case len(content) == 0:
		return nil, fault(errors.New("empty"))
	}
	return content, nil
}

// pair parses a certificate and its key, and tells which of them is wrong.
func pair(f Files, cert, key []byte) (tls.Certificate, error) {
	p, err := tls.X509KeyPair(cert, key)
	if err == nil {
		return p, nil
	}
	if _, parseErr := certificates(cert); parseErr != nil {
		return p, fmt.Errorf("certificate %s: %w", f.Cert, parseErr)
	}
	if !parses(key) {
		return p, fmt.Errorf("key %s: no PEM private key without a passphrase", f.Key)
	}
	return p, fmt.Errorf("certificate %s and key %s do not belong together", f.Cert, f.Key)
}

// parses reports whether text holds a private key of a kind that TLS takes.
func parses(text []byte) bool {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if _, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			return true
		}
		if _, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
			return true
		}
		if _, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
			return true
		}
	}
	return false
}

// certificates parses every certificate in PEM text.
func certificates(text []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d is damaged", len(all)+1)
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, errors.New("no PEM certificate in it")
	}
	return all, nil
}

// pool holds the authorities in PEM text. Unlike x509.AppendCertsFromPEM it
// takes all of them or none, so that no client is refused for a damaged line.
func pool(text []byte) (*x509.CertPool, error) {
	all, err := certificates(text)
	if err != nil {
		return nil, err
	}
	p := x509.NewCertPool()
	for _, c := range all {
		p.AddCert(c)
	}
	return p, nil
}

func digest(cert, key, authority []byte, err error) [sha256.Size]byte {
	h := sha256.New()
	for _, part := range [][]byte{cert, key, authority} {
		sum := sha256.Sum256(part)
		h.Write(sum[:])
	}
	if err != nil {
		io.WriteString(h, err.Error())
	}
	return [sha256.Size]byte(h.Sum(nil))
}

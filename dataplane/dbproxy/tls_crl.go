package dbproxy

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"
)

// revoked are the lists of certificates that authorities have taken back, by
// the name of the authority. A nil one checks nothing.
type revoked map[string][]*revokedList

type revokedList struct {
	list    *x509.RevocationList
	serials map[string]bool
}

// readRevoked reads the lists in a file (RFC 7468, section 5).
func readRevoked(path string) (revoked, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	lists, err := parseRevoked(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return lists, nil
}

func parseRevoked(text []byte) (revoked, error) {
	lists := revoked{}
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		if block.Type != "X509 CRL" {
			continue
		}
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, err
		}
		l := &revokedList{list: list, serials: make(map[string]bool, len(list.RevokedCertificateEntries))}
		for _, entry := range list.RevokedCertificateEntries {
			l.serials[string(entry.SerialNumber.Bytes())] = true
		}
		lists[string(list.RawIssuer)] = append(lists[string(list.RawIssuer)], l)
	}
	if len(lists) == 0 {
		return nil, errors.New("holds no list of revoked certificates")
	}
	return lists, nil
}

// check looks for each certificate of a chain but the last one in the list of
// its authority. There must be a list, and it must be in force, as OpenSSL
// demands with lists for the whole chain.
func (r revoked) check(chain []*x509.Certificate) error {
	if r == nil {
		return nil
	}
	for i, c := range chain[:len(chain)-1] {
		if err := r.one(c, chain[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (r revoked) one(c, issuer *x509.Certificate) error {
	fault := fmt.Errorf("there is no list of revoked certificates of %s", issuer.Subject)
	for _, l := range r[string(issuer.RawSubject)] {
		if err := l.list.CheckSignatureFrom(issuer); err != nil {
			fault = fmt.Errorf("the list of revoked certificates of %s: %w", issuer.Subject, err)
			continue
		}
		if until := l.list.NextUpdate; !until.IsZero() && time.Now().After(until) {
			fault = fmt.Errorf("the list of revoked certificates of %s has expired", issuer.Subject)
			continue
		}
		if l.serials[string(c.SerialNumber.Bytes())] {
			return fmt.Errorf("the certificate of %s is revoked", c.Subject)
		}
		fault = nil
	}
	return fault
}

package minio

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/backplane/backplane/connectors"
)

var errEndpoint = errors.New("must be host, host:port, or an http or https URL of both without a path")

// endpoint is a parsed address of a store.
type endpoint struct {
	scheme string // "http", "https", or "" when the text has none
	host   string // without brackets
	port   string // "" for the scheme's own
}

func parseEndpoint(s string) (endpoint, error) {
	var e endpoint
	rest := s
	if scheme, after, ok := strings.Cut(s, "://"); ok {
		e.scheme = strings.ToLower(scheme)
		if e.scheme != "http" && e.scheme != "https" {
			return e, errEndpoint
		}
		rest = strings.TrimSuffix(after, "/")
	}
	if strings.ContainsAny(rest, "/?#@%") {
		return e, errEndpoint
	}
	if _, err := netip.ParseAddr(rest); err == nil {
		e.host = rest // an IPv6 address may come without brackets when no port follows
		return e, nil
	}
	u, err := url.Parse("//" + rest)
	if err != nil {
		return e, errEndpoint
	}
	e.host, e.port = u.Hostname(), u.Port()
	if strings.HasSuffix(rest, ":") && e.port == "" {
		return e, errEndpoint
	}
	if n, err := strconv.ParseUint(e.port, 10, 16); e.port != "" && (err != nil || n == 0) {
		return e, errEndpoint
	}
	if connectors.CheckHost(e.host, connectors.Env{}) != nil {
		return e, errEndpoint
	}
	return e, nil
}

func checkEndpoint(value any, _ connectors.Env) error {
	s, _ := value.(string)
	_, err := parseEndpoint(s)
	return err
}

// address is host:port to dial.
func (e endpoint) address(host string, tls bool) string {
	port := e.port
	if port == "" {
		port = "80"
		if tls {
			port = "443"
		}
	}
	return net.JoinHostPort(host, port)
}

// ipLike are bucket names that a host could take for an address.
var ipLike = regexp.MustCompile(`^\d+\.\d+\.\d+\.\d+$`)

func checkBucket(value any, _ connectors.Env) error {
	s, _ := value.(string)
	if s3utils.CheckValidBucketNameStrict(s) != nil || ipLike.MatchString(s) {
		return errors.New("must be a bucket name: 3 to 63 lower case letters, digits, dots and hyphens, first and last a letter or digit")
	}
	return nil
}

package registry

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/backplane/backplane/internal/errs"
)

const (
	// DocumentPath is where services have their document if nothing is said.
	DocumentPath = "/openapi.json"

	defaultPort     = 80
	maxDomain       = 512
	maxHost         = 253
	maxDocumentPath = 1024
)

// reserved are first segments of paths that are the gateway's own, or those of
// the API that services are registered with.
var reserved = []string{"service", "services", "docs", "redoc", "openapi.json", "health", "metrics"}

// auths are the plugins that can protect operations.
var auths = []string{"jwt", "key-auth", "basic-auth"}

var (
	serviceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	label       = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`)
	// numeric labels at the end are what some resolvers take for an address.
	numeric = regexp.MustCompile(`^([0-9]+|0[xX][0-9A-Fa-f]*)$`)
)

// domain is where a service is, without its port.
type domain struct {
	scheme string
	host   string // an address without brackets, or a name
}

// String is the domain as clients see it.
func (d domain) String() string {
	if strings.Contains(d.host, ":") {
		return d.scheme + "://[" + d.host + "]"
	}
	return d.scheme + "://" + d.host
}

// parseDomain reads scheme and host. What is wrong with them is told as the end
// of a sentence; "" if nothing is.
func parseDomain(text string) (d domain, wrong string) {
	scheme, rest, ok := strings.Cut(text, "://")
	d.scheme = strings.ToLower(scheme)
	switch {
	case text == "":
		return d, "is required"
	case len(text) > maxDomain:
		return d, "must not be longer than " + strconv.Itoa(maxDomain) + " characters"
	case !ok || d.scheme != "http" && d.scheme != "https":
		return d, "must begin with http:// or https://"
	}
	rest = strings.TrimSuffix(rest, "/")
	switch {
	case strings.Contains(rest, "@"):
		return d, "must have no user and password"
	case strings.Contains(rest, "?"):
		return d, "must have no query"
	case strings.Contains(rest, "#"):
		return d, "must have no fragment"
	case strings.ContainsAny(rest, `/\`):
		return d, "must have no path"
	}
	d.host, wrong = parseHost(rest)
	return d, wrong
}

// parseHost reads an address, with or without brackets, or a name.
func parseHost(text string) (host, wrong string) {
	const port = "must have no port: it has a field of its own"
	inner, bracketed := strings.CutPrefix(text, "[")
	if bracketed {
		end := strings.IndexByte(inner, ']')
		if end >= 0 && strings.HasPrefix(inner[end:], "]:") {
			return "", port
		}
		if end < 0 || end != len(inner)-1 {
			return "", "must have an address in its brackets"
		}
		inner = inner[:end]
	}
	if ip, err := netip.ParseAddr(inner); err == nil {
		switch {
		case ip.Zone() != "":
			return "", "must have no zone in its address"
		case bracketed && ip.Is4():
			return "", "must have brackets around addresses of IPv6 alone"
		}
		return ip.String(), ""
	}
	switch {
	case bracketed:
		return "", "must have an address in its brackets"
	case strings.Contains(text, ":"):
		return "", port
	case text == "":
		return "", "must have a host"
	case !isHostName(text):
		return "", "must have a host that is an address or a name of letters, digits and hyphens"
	}
	return strings.ToLower(text), ""
}

func isHostName(text string) bool {
	labels := strings.Split(text, ".")
	return len(text) <= maxHost && !slices.ContainsFunc(labels, func(l string) bool { return !label.MatchString(l) }) &&
		!numeric.MatchString(labels[len(labels)-1])
}

// checkName tells what is wrong with the name of a service, "" if nothing is.
func checkName(name string) string {
	switch {
	case name == "":
		return "is required"
	case !serviceName.MatchString(name):
		return "must be a letter or digit and up to 63 letters, digits, dots, underscores and hyphens"
	case slices.Contains(reserved, name):
		return "must not be one of " + strings.Join(reserved, ", ")
	}
	return ""
}

// checkDocumentPath tells what is wrong with the path of a document, "" if
// nothing is. It may have a query.
func checkDocumentPath(path string) string {
	u, err := url.ParseRequestURI(path)
	switch {
	case len(path) > maxDocumentPath:
		return "must not be longer than " + strconv.Itoa(maxDocumentPath) + " characters"
	case err != nil || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || u.Host != "" || strings.ContainsFunc(path, func(c rune) bool { return c <= ' ' || c > '~' || c == '#' }):
		return "must be a path that begins with a slash, such as " + DocumentPath
	}
	return ""
}

// settings are what users say of a service.
type settings struct {
	name         string
	domain       string
	port         int32
	documentPath string
	auth         string // "" for the default
	// Whether requests and responses are checked against the document.
	requests, responses bool
}

// normal are the settings as they are stored, or what is wrong with them.
func (s settings) normal() (settings, domain, []errs.Field) {
	var faults []errs.Field
	fault := func(field, wrong string) {
		if wrong != "" {
			faults = append(faults, errs.Field{Path: field, Message: wrong})
		}
	}
	d, wrong := parseDomain(s.domain)
	fault("domain", wrong)
	fault("name_service", checkName(s.name))
	if s.port < 1 || s.port > 65535 {
		fault("port", "must be 1 to 65535")
	}
	if s.documentPath == "" {
		s.documentPath = DocumentPath
	}
	fault("document_path", checkDocumentPath(s.documentPath))
	if s.auth != "" && !slices.Contains(auths, s.auth) {
		fault("auth", "must be one of "+strings.Join(auths, ", "))
	}
	s.domain = d.String()
	return s, d, faults
}

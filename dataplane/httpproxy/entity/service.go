package entity

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

const maxTimeout = 1<<31 - 2

// protocols are those that services and routes may have.
var protocols = []any{"grpc", "grpcs", "http", "https", "tcp", "tls", "tls_passthrough", "udp"}

var services = &Collection{
	Name:     "services",
	Singular: "service",
	Key:      "name",
	Foreign:  []ForeignKey{{Field: "client_certificate", Collection: "certificates"}},
	Unique:   []Unique{{Fields: []string{"name"}}},
	expand:   expandURL,
	Record: &schema.Record{
		Name: "services",
		Fields: append(times(),
			name("name"),
			schema.Int("retries", 0, 32767, 5),
			schema.Field{Name: "protocol", Type: schema.String, Required: true, Default: "http", OneOf: protocols},
			schema.Field{Name: "host", Type: schema.String, Required: true, Check: schema.HostName},
			schema.Field{Name: "port", Type: schema.Integer, Required: true, Default: 80, Between: schema.Between(0, 65535)},
			schema.Field{Name: "path", Type: schema.String, StartsWith: "/", Check: schema.Path},
			schema.Int("connect_timeout", 1, maxTimeout, 60000),
			schema.Int("write_timeout", 1, maxTimeout, 60000),
			schema.Int("read_timeout", 1, maxTimeout, 60000),
			schema.Tags(),
			reference("client_certificate", "certificates", false),
			schema.Field{Name: "tls_verify", Type: schema.Boolean},
			schema.Int("tls_verify_depth", 0, 64, nil),
			schema.Field{Name: "ca_certificates", Type: schema.Array, Elements: &schema.Field{Type: schema.String, UUID: true}},
			schema.Bool("enabled", true),
		),
		Checks: []schema.Check{
			schema.NullIf("protocol", []any{"tcp", "tls", "udp", "grpc", "grpcs"}, "path"),
			schema.NullUnless("protocol", withCertificate, "client_certificate"),
			schema.NullUnless("protocol", withTLS, "tls_verify"),
			schema.NullUnless("protocol", withTLS, "tls_verify_depth"),
			schema.NullUnless("protocol", withTLS, "ca_certificates"),
		},
		Inputs: []schema.Field{{Name: "url", Type: schema.String}},
	},
}

// withTLS are the protocols of services that may say how TLS is used.
var withTLS = []any{"https", "tls"}

// withCertificate are the protocols of services that may have a certificate to
// show: documents have it before the protocol becomes one with TLS.
var withCertificate = []any{"http", "https", "tls"}

var (
	urlScheme = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*):`)
	digits    = regexp.MustCompile(`^[0-9]{1,9}$`)
)

// expandURL replaces "url" with what it stands for. What is wrong with it is
// told of those fields.
func expandURL(doc map[string]any) {
	v, ok := doc["url"]
	delete(doc, "url")
	if !ok {
		return
	}
	if v == nil {
		if _, said := doc["host"]; !said {
			doc["host"] = nil // an empty URL has none
		}
		return
	}
	rest := fmt.Sprint(v)
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i]
	}
	doc["protocol"], doc["host"], doc["port"], doc["path"] = "http", nil, int64(80), nil
	if m := urlScheme.FindStringSubmatch(rest); m != nil {
		doc["protocol"] = strings.ToLower(m[1])
		rest = rest[len(m[0]):]
	}
	if doc["protocol"] == "https" {
		doc["port"] = int64(443)
	}
	if authority, ok := strings.CutPrefix(rest, "//"); ok {
		rest = ""
		if i := strings.IndexByte(authority, '/'); i >= 0 {
			authority, rest = authority[:i], authority[i:]
		}
		expandAuthority(doc, authority)
	}
	if rest != "" {
		doc["path"] = rest
	}
}

func expandAuthority(doc map[string]any, authority string) {
	authority = authority[strings.LastIndexByte(authority, '@')+1:]
	host, port := authority, ""
	if i := strings.LastIndexByte(authority, ':'); i > strings.LastIndexByte(authority, ']') {
		host, port = authority[:i], authority[i+1:]
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	if host != "" {
		doc["host"] = host
	}
	if n, err := strconv.ParseInt(port, 10, 64); err == nil && digits.MatchString(port) {
		doc["port"] = n
	} else if port != "" {
		doc["port"] = port
	}
}

// listOf is a value as the strings in it; others are left out.
func listOf(v any) []string {
	list, _ := v.([]any)
	var s []string
	for _, e := range list {
		if e, ok := e.(string); ok {
			s = append(s, e)
		}
	}
	return s
}

// containsAny tells whether two lists have a string in common.
func containsAny(list []string, of ...string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return slices.Contains(of, s) })
}

package entity

import (
	"errors"
	"slices"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// groups are the protocols that a route may have together.
var groups = [][]string{{"http", "https"}, {"tcp", "tls", "udp"}, {"tls_passthrough"}, {"grpc", "grpcs"}}

var routes = &Collection{
	Name:     "routes",
	Singular: "route",
	Key:      "name",
	Foreign:  []ForeignKey{{Field: "service", Collection: "services"}},
	Unique:   []Unique{{Fields: []string{"name"}}},
	Record: &schema.Record{
		Name: "routes",
		Fields: append(times(),
			name("name"),
			schema.Field{Name: "protocols", Type: schema.Set, Required: true, MinLen: 1, Default: []any{"http", "https"},
				Elements: &schema.Field{Type: schema.String, OneOf: protocols}, Check: oneGroup},
			schema.Field{Name: "methods", Type: schema.Set,
				Elements: &schema.Field{Type: schema.String, Match: "^%u+$", Check: schema.Method}},
			schema.Strings("hosts", schema.WildcardHost),
			schema.Strings("paths", schema.RoutePath),
			headers(),
			schema.Field{Name: "https_redirect_status_code", Type: schema.Integer, Required: true, Default: 426,
				OneOf: []any{426, 301, 302, 307, 308}},
			schema.Field{Name: "regex_priority", Type: schema.Integer, Default: 0},
			schema.Bool("strip_path", true),
			schema.Choice("path_handling", "v0", "v0", "v1"),
			schema.Bool("preserve_host", false),
			schema.Bool("request_buffering", true),
			schema.Bool("response_buffering", true),
			schema.Field{Name: "snis", Type: schema.Set,
				Elements: &schema.Field{Type: schema.String, Check: schema.WildcardServerName}},
			addresses("sources"),
			addresses("destinations"),
			schema.Tags(),
			reference("service", "services", false),
		),
		Checks:  []schema.Check{{Needs: []string{"protocols"}, Func: snisNeedTLS}, {Needs: []string{"protocols"}, Func: fitsProtocols}},
		Prepare: stripPath,
	},
}

func headers() schema.Field {
	return schema.Field{
		Name: "headers", Type: schema.Map,
		Keys:   &schema.Field{Type: schema.String, Check: routeHeader},
		Values: &schema.Field{Type: schema.Array, Elements: &schema.Field{Type: schema.String}},
	}
}

func routeHeader(v any) error {
	if s, _ := v.(string); strings.EqualFold(s, "host") {
		return errors.New("cannot contain 'host' header, which must be specified in the 'hosts' attribute")
	}
	return schema.HeaderName(v)
}

// addresses is a set of addresses, of which the ip or the port may be missing.
func addresses(name string) schema.Field {
	return schema.Field{
		Name: name, Type: schema.Set,
		Elements: &schema.Field{
			Type: schema.RecordT,
			Fields: []schema.Field{
				{Name: "ip", Type: schema.String, Check: schema.IPOrCIDR},
				schema.Int("port", 0, 65535, nil),
			},
			Checks: []schema.Check{schema.AtLeastOneOf("ip", "port")},
		},
	}
}

// oneGroup wants protocols of one group.
func oneGroup(v any) error {
	list := listOf(v)
	var found []string
	for _, g := range groups {
		if containsAny(list, g...) {
			found = append(found, "("+schema.Quoted(g)+")")
		}
	}
	if len(found) > 1 {
		return errors.New("these sets are mutually exclusive: " + strings.Join(found, ", "))
	}
	return nil
}

// stripPath is what a route does with its path if nothing is said.
func stripPath(doc map[string]any) {
	if _, said := doc["strip_path"]; !said && containsAny(listOf(doc["protocols"]), "grpc", "grpcs") {
		doc["strip_path"] = false
	}
}

func snisNeedTLS(route map[string]any, report func(field, message string)) {
	if !schema.Empty(route["snis"]) && !containsAny(listOf(route["protocols"]), "grpcs", "https", "tls", "tls_passthrough") {
		report("snis", "length must be 0")
		report("", "'snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or 'tls_passthrough'")
	}
}

// matchers are what routes of some protocols have: those that they must have
// one of, and those that they cannot have.
type matchers struct {
	protocols []string // the first one that the route has decides
	oneOf     []string
	barred    []string
	name      string // of the protocols, in messages
}

var allMatchers = []matchers{
	{[]string{"https"}, []string{"methods", "hosts", "headers", "paths", "snis"}, []string{"sources", "destinations"}, "'http' or 'https'"},
	{[]string{"http"}, []string{"methods", "hosts", "headers", "paths"}, []string{"sources", "destinations"}, "'http' or 'https'"},
	{[]string{"tcp", "tls", "udp"}, []string{"sources", "destinations", "snis"}, []string{"methods", "hosts", "paths", "headers"},
		"'tcp', 'tls', 'tls_passthrough' or 'udp'"},
	{[]string{"tls_passthrough"}, []string{"snis"}, []string{"methods", "hosts", "paths", "headers"},
		"'tcp', 'tls', 'tls_passthrough' or 'udp'"},
	{[]string{"grpcs"}, []string{"hosts", "headers", "paths", "snis"}, []string{"methods", "sources", "destinations"}, "'grpc' or 'grpcs'"},
	{[]string{"grpc"}, []string{"hosts", "headers", "paths"}, []string{"methods", "sources", "destinations"}, "'grpc' or 'grpcs'"},
}

func fitsProtocols(route map[string]any, report func(field, message string)) {
	has := listOf(route["protocols"])
	i := slices.IndexFunc(allMatchers, func(m matchers) bool { return containsAny(has, m.protocols...) })
	if i < 0 {
		return
	}
	m := allMatchers[i]
	for _, field := range m.barred {
		if route[field] != nil {
			report(field, "cannot set '"+field+"' when 'protocols' is "+m.name)
		}
	}
	if m.barred[0] == "methods" && m.oneOf[0] == "hosts" && route["strip_path"] == true {
		report("strip_path", "cannot set 'strip_path' when 'protocols' is "+m.name)
	}
	if slices.ContainsFunc(m.oneOf, func(field string) bool { return !schema.Empty(route[field]) }) {
		return
	}
	switch protocol := m.protocols[0]; protocol {
	case "tls_passthrough":
		report("", "must set snis when 'protocols' is 'tls_passthrough'")
	case "tcp":
		report("", "must set one of "+schema.Quoted(m.oneOf)+" when 'protocols' is 'tcp', 'tls' or 'udp'")
	default:
		report("", "must set one of "+schema.Quoted(m.oneOf)+" when 'protocols' is '"+protocol+"'")
	}
}

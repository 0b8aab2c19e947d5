package entity

import (
	"slices"
	"unicode/utf8"

	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// hashInputs are what requests may be hashed by.
var hashInputs = []any{"none", "consumer", "ip", "header", "cookie", "path", "query_arg", "uri_capture"}

var upstreams = &Collection{
	Name:     "upstreams",
	Singular: "upstream",
	Key:      "name",
	Foreign:  []ForeignKey{{Field: "client_certificate", Collection: "certificates"}},
	Unique:   []Unique{{Fields: []string{"name"}}},
	expand:   impliedAlgorithm,
	Record: &schema.Record{
		Name: "upstreams",
		Fields: append(times(),
			schema.Field{Name: "name", Type: schema.String, Required: true, Unique: true, Check: schema.Text(upstreamName)},
			schema.Choice("algorithm", "round-robin", "consistent-hashing", "least-connections", "round-robin", "latency"),
			schema.Choice("hash_on", "none", hashInputs...),
			schema.Choice("hash_fallback", "none", hashInputs...),
			schema.Field{Name: "hash_on_header", Type: schema.String, Check: schema.HeaderName},
			schema.Field{Name: "hash_fallback_header", Type: schema.String, Check: schema.HeaderName},
			schema.Field{Name: "hash_on_cookie", Type: schema.String, Check: schema.CookieName},
			schema.Field{Name: "hash_on_cookie_path", Type: schema.String, StartsWith: "/", Default: "/", Check: schema.Path},
			schema.Field{Name: "hash_on_query_arg", Type: schema.String},
			schema.Field{Name: "hash_fallback_query_arg", Type: schema.String},
			schema.Field{Name: "hash_on_uri_capture", Type: schema.String},
			schema.Field{Name: "hash_fallback_uri_capture", Type: schema.String},
			schema.Int("slots", 10, 65536, 10000),
			healthChecks(),
			schema.Tags(),
			schema.Field{Name: "host_header", Type: schema.String, Check: schema.HostPort},
			reference("client_certificate", "certificates", false),
			schema.Field{Name: "use_srv_name", Type: schema.Boolean, Default: false},
		),
		Checks: hashChecks(),
	},
}

// message is an error that clients are told word for word, in the API's own
// wording.
type message string

func (m message) Error() string { return string(m) }

func upstreamName(s string) error {
	switch a, err := schema.ParseAddress(s); {
	case err != nil:
		return message("Invalid name; must be a valid hostname")
	case a.IP.IsValid():
		return message("Invalid name; no ip addresses allowed")
	case a.Port >= 0:
		return message("Invalid name; no port allowed")
	}
	return nil
}

// hashChecks are the rules of what requests are hashed by.
func hashChecks() []schema.Check {
	var checks []schema.Check
	for _, input := range []string{"header", "query_arg", "uri_capture"} {
		checks = append(checks,
			schema.RequiredIf("hash_on", input, "hash_on_"+input),
			schema.RequiredIf("hash_fallback", input, "hash_fallback_"+input))
	}
	checks = append(checks,
		schema.RequiredIf("hash_on", "cookie", "hash_on_cookie"),
		schema.RequiredIf("hash_fallback", "cookie", "hash_on_cookie"),
		schema.OneOfIf("hash_on", "none", "hash_fallback", "none"),
		schema.OneOfIf("hash_on", "cookie", "hash_fallback", "none"))
	for _, input := range []any{"consumer", "ip", "path"} {
		others := slices.DeleteFunc(slices.Clone(hashInputs), func(v any) bool { return v == input })
		checks = append(checks, schema.OneOfIf("hash_on", input, "hash_fallback", others...))
	}
	for _, input := range []string{"header", "query_arg", "uri_capture"} {
		checks = append(checks, schema.Distinct("hash_on_"+input, "hash_fallback_"+input))
	}
	return checks
}

// impliedAlgorithm sets the algorithm that a choice of what requests are hashed
// by implies, unless another algorithm is chosen, for which nothing is hashed.
func impliedAlgorithm(doc map[string]any) {
	if algorithm := doc["algorithm"]; algorithm == "least-connections" || algorithm == "latency" {
		doc["hash_on"] = "none"
		return
	}
	switch hashOn, _ := doc["hash_on"].(string); hashOn {
	case "":
	case "none":
		doc["algorithm"] = "round-robin"
	default:
		doc["algorithm"] = "consistent-hashing"
	}
}

func healthChecks() schema.Field {
	return schema.Nested("healthchecks",
		schema.Field{Name: "threshold", Type: schema.Number, Between: schema.Between(0, 100), Default: 0},
		schema.Nested("active",
			checkType(),
			seconds("timeout", 1),
			schema.Int("concurrency", 1, 1<<31, 10),
			schema.Field{Name: "http_path", Type: schema.String, StartsWith: "/", Default: "/", Check: schema.Path},
			schema.Field{Name: "https_sni", Type: schema.String, Check: schema.ServerName},
			schema.Bool("https_verify_certificate", true),
			schema.Field{Name: "headers", Type: schema.Map,
				Keys:   &schema.Field{Type: schema.String, Check: schema.HeaderName},
				Values: &schema.Field{Type: schema.Array, Elements: &schema.Field{Type: schema.String}}},
			schema.Nested("healthy", seconds("interval", 0), counter("successes"), statuses(200, 302)),
			schema.Nested("unhealthy", seconds("interval", 0), counter("tcp_failures"), counter("timeouts"),
				counter("http_failures"), statuses(429, 404, 500, 501, 502, 503, 504, 505)),
		),
		schema.Nested("passive",
			checkType(),
			schema.Nested("healthy", counter("successes"), statuses(200, 201, 202, 203, 204, 205, 206, 207, 208, 226,
				300, 301, 302, 303, 304, 305, 306, 307, 308)),
			schema.Nested("unhealthy", counter("tcp_failures"), counter("timeouts"), counter("http_failures"),
				statuses(429, 500, 503)),
		),
	)
}

func checkType() schema.Field {
	return schema.Choice("type", "http", "tcp", "http", "https", "grpc", "grpcs")
}

func seconds(name string, byDefault int) schema.Field {
	return schema.Field{Name: name, Type: schema.Number, Between: schema.Between(0, 65535), Default: byDefault}
}

func counter(name string) schema.Field { return schema.Int(name, 0, 255, 0) }

func statuses(byDefault ...int) schema.Field {
	return schema.Field{
		Name: "http_statuses", Type: schema.Array, Default: byDefault,
		Elements: &schema.Field{Type: schema.Integer, Between: schema.Between(100, 999)},
	}
}

var targets = &Collection{
	Name:       "targets",
	Singular:   "target",
	Key:        "target",
	Foreign:    []ForeignKey{{Field: "upstream", Collection: "upstreams", Cascade: true}},
	Unique:     []Unique{{Fields: []string{"upstream", "target"}}},
	Fractional: true,
	derive: func(doc, _, _ map[string]any) *schema.Violations {
		target, _ := doc["target"].(string)
		doc["target"] = TargetAddress(target)
		return nil
	},
	Record: &schema.Record{
		Name: "targets",
		Fields: []schema.Field{
			schema.ID(),
			{Name: "created_at", Type: schema.Number, Auto: true},
			{Name: "updated_at", Type: schema.Number, Auto: true},
			reference("upstream", "upstreams", true),
			{Name: "target", Type: schema.String, Required: true, Check: schema.Text(targetAddress)},
			schema.Int("weight", 0, 65535, 100),
			schema.Tags(),
		},
	},
}

func targetAddress(s string) error {
	if _, err := schema.ParseAddress(s); err == nil {
		return nil
	}
	if !utf8.ValidString(s) {
		return message("Invalid target; not a valid hostname or ip address")
	}
	return message("Invalid target ('" + s + "'); not a valid hostname or ip address")
}

// defaultTargetPort is the port of targets that say none.
const defaultTargetPort = 8000

// TargetAddress is the address of a target as it is stored: with its port, and
// IPv6 expanded in brackets. What is no address stays as it is.
func TargetAddress(s string) string {
	a, err := schema.ParseAddress(s)
	if err != nil {
		return s
	}
	if a.Port < 0 {
		a.Port = defaultTargetPort
	}
	return a.String()
}

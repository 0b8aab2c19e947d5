// Package cors is the plugin cors: it tells browsers which other sites may use
// what is behind the gateway ("CORS protocol" of the Fetch standard).
package cors

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

var allMethods = []string{"GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT"}

// Module is the plugin.
func Module() httpproxy.PluginModule {
	methods := schema.Strings("methods", nil)
	methods.Default = allMethods
	for _, m := range allMethods {
		methods.Elements.OneOf = append(methods.Elements.OneOf, m)
	}
	return httpproxy.PluginModule{
		Name: "cors", Version: "1.0.0", Priority: 2000, NoConsumer: true,
		Config: schema.Record{Fields: []schema.Field{
			schema.Strings("origins", schema.Text(checkOrigin)),
			schema.Strings("headers", nil),
			schema.Strings("exposed_headers", nil),
			methods,
			{Name: "max_age", Type: schema.Number},
			schema.Bool("credentials", false),
			schema.Bool("private_network", false),
			schema.Bool("preflight_continue", false),
			schema.Bool("allow_origin_absent", true),
		}},
		New: newPlugin,
	}
}

// checkOrigin wants an origin, or a regular expression of them.
func checkOrigin(s string) error {
	if _, err := newOrigin(s); err != nil {
		return errors.New("invalid regex: '" + s + "' (" + err.Error() + ")")
	}
	return nil
}

type config struct {
	Origins           []string `json:"origins"`
	Headers           []string `json:"headers"`
	ExposedHeaders    []string `json:"exposed_headers"`
	Methods           []string `json:"methods"`
	MaxAge            *float64 `json:"max_age"`
	Credentials       bool     `json:"credentials"`
	PrivateNetwork    bool     `json:"private_network"`
	PreflightContinue bool     `json:"preflight_continue"`
	AllowOriginAbsent bool     `json:"allow_origin_absent"`
}

type plugin struct {
	config
	origins                           origins
	headers, exposed, methods, maxAge string
}

func newPlugin(o httpproxy.PluginOptions) (httpproxy.Plugin, error) {
	p := &plugin{}
	if err := json.Unmarshal(o.Config, &p.config); err != nil {
		return nil, err
	}
	if len(p.Methods) == 0 {
		p.Methods = allMethods
	}
	p.headers, p.exposed = strings.Join(p.Headers, ","), strings.Join(p.ExposedHeaders, ",")
	p.methods = strings.Join(p.Methods, ",")
	if p.MaxAge != nil {
		p.maxAge = strconv.FormatFloat(*p.MaxAge, 'f', -1, 64)
	}
	var err error
	p.origins, err = newOrigins(p.Origins)
	return p, err
}

// Access implements httpproxy.Accesser: it answers preflights.
func (p *plugin) Access(x *httpproxy.Exchange) error {
	asked := &x.Request.Header
	if x.Request.Method != http.MethodOptions || !asked.Has("Origin") || !asked.Has("Access-Control-Request-Method") {
		return nil
	}
	x.SetValue(p, true)
	if p.PreflightContinue {
		return nil
	}
	x.Exit(http.StatusOK, "", nil)
	h := &x.Response.Header
	p.allowOrigin(asked, h)
	headers := p.headers
	if headers == "" {
		headers = asked.Join("Access-Control-Request-Headers")
	}
	if headers != "" {
		h.Set("Access-Control-Allow-Headers", headers)
	}
	h.Set("Access-Control-Allow-Methods", p.methods)
	if p.maxAge != "" {
		h.Set("Access-Control-Max-Age", p.maxAge)
	}
	if p.PrivateNetwork && asked.Get("Access-Control-Request-Private-Network") == "true" {
		h.Set("Access-Control-Allow-Private-Network", "true")
	}
	return nil
}

// Respond implements httpproxy.Responder.
func (p *plugin) Respond(x *httpproxy.Exchange) error {
	if x.Value(p) != nil {
		return nil // a preflight, which is answered
	}
	asked, h := &x.Request.Header, &x.Response.Header
	if !p.AllowOriginAbsent && !asked.Has("Origin") {
		return nil
	}
	p.allowOrigin(asked, h)
	if p.exposed != "" {
		h.Set("Access-Control-Expose-Headers", p.exposed)
	}
	return nil
}

// allowOrigin tells which site may use the response.
func (p *plugin) allowOrigin(asked, h *httpproxy.Header) {
	from := asked.Get("Origin")
	allowed, varies := p.origins.allowed(from)
	if allowed == "*" && p.Credentials && from != "" {
		// A browser that shows credentials does not take "*" for an answer.
		allowed, varies = from, true
	}
	if varies {
		addVary(h)
	}
	if allowed == "" {
		h.Del("Access-Control-Allow-Origin")
	} else {
		h.Set("Access-Control-Allow-Origin", allowed)
	}
	if p.Credentials && allowed != "*" && allowed != "" {
		h.Set("Access-Control-Allow-Credentials", "true")
	} else {
		h.Del("Access-Control-Allow-Credentials")
	}
}

// addVary tells caches that the response depends on the origin.
func addVary(h *httpproxy.Header) {
	for field := range h.Values("Vary") {
		for name := range strings.SplitSeq(field, ",") {
			if name = strings.TrimSpace(name); name == "*" || strings.EqualFold(name, "Origin") {
				return
			}
		}
	}
	h.Add("Vary", "Origin")
}

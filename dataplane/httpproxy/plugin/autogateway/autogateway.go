// Package autogateway is the plugin auto-gateway: it makes a service that
// knows nothing of the gateway reachable below a prefix, and speaks for it where
// it does not answer.
package autogateway

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/answer"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
	"github.com/backplane/backplane/dataplane/httpproxy/urlpath"
)

// GatewayHost is the field of requests that has the host that the client has
// asked for.
const GatewayHost = "gateway_host"

// Module is the plugin. It is run after what decides whether a request may pass,
// and before what changes requests, which sees the path as the service gets it.
func Module() httpproxy.PluginModule {
	methods := schema.Strings("methods", schema.Method)
	methods.Description = "The methods that the path has."
	return httpproxy.PluginModule{
		Name: "auto-gateway", Version: "1.0.0", Priority: 860, NoConsumer: true,
		Config: schema.Record{Name: "auto-gateway", Fields: []schema.Field{
			{Name: "prefix", Type: schema.String, Required: true, Check: schema.Text(checkPrefix),
				Description: "What the paths of the service begin with at the gateway, such as `/users`. It is taken off."},
			{Name: "auth", Type: schema.String, Default: "", MinLen: -1, OneOf: []any{"", "jwt", "key-auth", "basic-auth"},
				Description: "The plugin that protects the service. Where it refuses, clients are told what is wrong in the words " +
					"of the service's kind; empty leaves its own."},
			{Name: "unauthorized_status", Type: schema.Integer, Default: 403, OneOf: []any{403, 401},
				Description: "The status for clients that do not show a credential that is right."},
			{Name: "paths", Type: schema.Array,
				Description: "The paths that the service has, without the prefix. The plugin then answers all requests: it is meant " +
					"for a route that gets those that no other route of the service has taken.",
				Elements: &schema.Field{Type: schema.RecordT, Fields: []schema.Field{
					{Name: "path", Type: schema.String, Required: true, Check: schema.Text(checkTemplate),
						Description: "A template such as `/items/{item_id}`."},
					methods,
				}}},
			{Name: "guarded", Type: schema.Array,
				Description: "Paths that the service has, without the prefix, and that are not to be reached by the routes of others: a request " +
					"is answered with 404 whose path is one of them for a service that takes `%2F` for a slash, or what follows a `;` for no " +
					"part of a segment.",
				Elements: &schema.Field{Type: schema.RecordT, Fields: []schema.Field{
					{Name: "path", Type: schema.String, Required: true, Check: schema.Text(checkTemplate),
						Description: "A template such as `/items/{item_id}`."},
					methods,
					{Name: "protected", Type: schema.Boolean, Default: false, Required: true,
						Description: "Requests that have shown a credential may reach it."},
				}}},
		}},
		New: newPlugin,
	}
}

// checkPrefix wants a path in normal form, without a slash at its end.
func checkPrefix(s string) error {
	if err := schema.Path(s); err != nil {
		return err
	}
	if normal, ok := urlpath.Normalize(s); !ok || normal != s || strings.HasSuffix(s, "/") {
		return errors.New("should be a path in normal form without a slash at the end")
	}
	return nil
}

func checkTemplate(s string) error {
	if !strings.HasPrefix(s, "/") {
		return errors.New("should start with: /")
	}
	return nil
}

type config struct {
	Prefix             string `json:"prefix"`
	Auth               string `json:"auth"`
	UnauthorizedStatus int    `json:"unauthorized_status"`
	Paths              []struct {
		Path    string   `json:"path"`
		Methods []string `json:"methods"`
	} `json:"paths"`
	Guarded []struct {
		Path      string   `json:"path"`
		Methods   []string `json:"methods"`
		Protected bool     `json:"protected"`
	} `json:"guarded"`
}

// plugin is an instance.
type plugin struct {
	config
	paths *segment // nil if requests are not answered
	guard *guard   // nil if no path is guarded
}

func newPlugin(o httpproxy.PluginOptions) (httpproxy.Plugin, error) {
	p := &plugin{}
	if err := json.Unmarshal(o.Config, &p.config); err != nil {
		return nil, err
	}
	if p.Paths != nil {
		p.paths = &segment{}
		for _, known := range p.Paths {
			p.paths.put(known.Path, known.Methods)
		}
	}
	for _, known := range p.Guarded {
		if p.guard == nil {
			p.guard = &guard{}
		}
		p.guard.put(known.Path, known.Methods, known.Protected)
	}
	p.Paths, p.Guarded = nil, nil
	return p, nil
}

// Access implements httpproxy.Accesser.
func (p *plugin) Access(x *httpproxy.Exchange) error {
	below, ok := strings.CutPrefix(x.Request.Path, p.Prefix)
	ok = ok && (below == "" || below[0] == '/')
	switch {
	case ok && climbs(below):
		x.Refuse(http.StatusBadRequest, "Invalid path")
		return nil
	case p.paths != nil:
		p.answer(x, below, ok)
		return nil
	case ok && p.guard != nil && p.guard.keeps(x, below):
		x.Refuse(http.StatusNotFound, "Not Found")
		return nil
	}
	if x.StripPrefix(p.Prefix) {
		x.SetValue(p, true)
	}
	x.Request.Header.Set(GatewayHost, x.Request.Host)
	return nil
}

// hidden are what some take for a slash, or the start of parameters of a
// segment.
var hidden = strings.NewReplacer("%2F", "/", `\`, "/", "%3B", ";")

// climbs tells whether a path in normal form has a ".." that only who decodes it
// further sees. Behind it could be what the service does not show.
func climbs(path string) bool {
	if !strings.Contains(path, "..") {
		return false
	}
	for s := range strings.SplitSeq(hidden.Replace(path), "/") {
		if s, _, _ = strings.Cut(s, ";"); s == ".." {
			return true
		}
	}
	return false
}

// answer answers a request that no route has taken.
func (p *plugin) answer(x *httpproxy.Exchange, below string, ok bool) {
	var methods []string
	if ok {
		methods = p.paths.allowed(below)
	}
	switch {
	case methods == nil && ok && p.redirect(x, below):
	case methods == nil, has(methods, x.Request.Method) && x.Request.Method != http.MethodOptions:
		x.Refuse(http.StatusNotFound, "Not Found")
	case x.Request.Method == http.MethodOptions:
		x.Exit(http.StatusNoContent, "", nil)
		x.Response.Header.Set("Allow", strings.Join(methods, ", "))
	default:
		x.Refuse(http.StatusMethodNotAllowed, "Method Not Allowed")
		x.Response.Header.Set("Allow", strings.Join(methods, ", "))
	}
}

// redirect sends the client to the same path with a slash at its end, or without
// one, if the service has that.
func (p *plugin) redirect(x *httpproxy.Exchange, below string) bool {
	if answer.IsGRPC(x) || below == "/" {
		return false
	}
	other, cut := strings.CutSuffix(below, "/")
	if !cut {
		other = below + "/"
	}
	if p.paths.allowed(other) == nil {
		return false
	}
	to := urlpath.Escape(p.Prefix + other)
	if x.Request.HasQuery {
		to += "?" + x.Request.Query
	}
	x.Exit(http.StatusTemporaryRedirect, "", nil)
	x.Response.Header.Set("Location", to)
	return true
}

// Package requesttermination is the plugin request-termination: requests are
// answered with what is configured.
package requesttermination

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strconv"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/answer"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/query"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// Module is the plugin.
func Module() httpproxy.PluginModule {
	status := schema.Int("status_code", 100, 599, 503)
	status.Required = true
	return httpproxy.PluginModule{
		Name: "request-termination", Version: "1.0.0", Priority: 2,
		Config: schema.Record{
			Fields: []schema.Field{
				status,
				{Name: "message", Type: schema.String},
				schema.Bool("echo", false),
				{Name: "content_type", Type: schema.String},
				{Name: "body", Type: schema.String},
				{Name: "trigger", Type: schema.String, Check: schema.HeaderName},
			},
			Checks: []schema.Check{{Func: check}},
		},
		New: newPlugin,
	}
}

// check is the rules between the fields.
func check(record map[string]any, report func(field, message string)) {
	has := func(name string) bool { return !schema.Empty(record[name]) }
	switch {
	case has("message") && (has("content_type") || has("body")):
		report("", "message cannot be used with content_type or body")
	case has("content_type") && !has("body"):
		report("", "content_type requires a body")
	case record["echo"] == true && (has("content_type") || has("body")):
		report("", "echo cannot be used with content_type and body")
	}
}

type config struct {
	StatusCode  int    `json:"status_code"`
	Message     string `json:"message"`
	Echo        bool   `json:"echo"`
	ContentType string `json:"content_type"`
	Body        string `json:"body"`
	Trigger     string `json:"trigger"`
}

type plugin struct {
	config
	body []byte // of the answer, nil for none
}

func newPlugin(o httpproxy.PluginOptions) (httpproxy.Plugin, error) {
	p := &plugin{}
	if err := json.Unmarshal(o.Config, &p.config); err != nil {
		return nil, err
	}
	if p.Message == "" {
		p.Message = defaultMessage(p.StatusCode)
	}
	switch {
	case p.Body != "":
		p.body = []byte(p.Body)
		if p.ContentType == "" {
			p.ContentType = answer.ContentType
		}
	case p.Message != "":
		p.body = answer.Message(p.Message)
	}
	return p, nil
}

// defaultMessage is what goes with a status, "" for nothing.
func defaultMessage(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "Unauthorized"
	case http.StatusNotFound:
		return "Not found"
	case http.StatusMethodNotAllowed:
		return "Method not allowed"
	case http.StatusInternalServerError:
		return "An unexpected error occurred"
	case http.StatusBadGateway:
		return "Bad Gateway"
	case http.StatusServiceUnavailable:
		return "Service unavailable"
	}
	return ""
}

// Access implements httpproxy.Accesser.
func (p *plugin) Access(x *httpproxy.Exchange) error {
	if p.Trigger != "" && !x.Request.Header.Has(p.Trigger) && !query.Has(x.Request.Query, p.Trigger) {
		return nil
	}
	switch {
	case p.Echo:
		return p.echo(x)
	case p.Body != "":
		x.Exit(p.StatusCode, p.ContentType, p.body)
	case p.body == nil:
		x.Exit(p.StatusCode, "", nil)
	default:
		answer.Send(x, p.StatusCode, p.Message, p.body)
	}
	return nil
}

// maxEchoed bounds the bodies that are sent back.
const maxEchoed = 1 << 20

// echoed is the answer that has the request.
type echoed struct {
	Message string        `json:"message,omitempty"`
	Request echoedRequest `json:"request"`
	Route   any           `json:"matched_route,omitempty"`
	Service any           `json:"matched_service,omitempty"`
}

type echoedRequest struct {
	Method  string              `json:"method"`
	Scheme  string              `json:"scheme"`
	Host    string              `json:"host"`
	Port    int                 `json:"port"`
	Path    string              `json:"path"`
	Query   string              `json:"query"`
	Headers map[string][]string `json:"headers"`
	Body    string              `json:"raw_body"`
}

// echo answers with what was asked.
func (p *plugin) echo(x *httpproxy.Exchange) error {
	r := &x.Request
	body, err := r.ReadBody(maxEchoed)
	switch {
	case errors.Is(err, httpproxy.ErrTooLarge):
		x.Refuse(http.StatusRequestEntityTooLarge, "Payload too large")
		return nil
	case err != nil:
		x.Refuse(http.StatusBadRequest, "Bad request")
		return nil
	}
	e := echoed{Message: p.Message, Request: echoedRequest{
		Method: r.Method, Scheme: r.Scheme, Host: r.Host, Port: int(r.Local.Port()),
		Path: r.RawPath, Query: r.Query, Headers: map[string][]string{}, Body: string(body),
	}}
	if host, port, err := net.SplitHostPort(r.Host); err == nil {
		e.Request.Host = host
		if n, err := strconv.Atoi(port); err == nil {
			e.Request.Port = n
		}
	}
	for _, f := range r.Header.Fields() {
		name := http.CanonicalHeaderKey(f.Name)
		e.Request.Headers[name] = append(e.Request.Headers[name], f.Value)
	}
	if x.Route != nil {
		e.Route = x.Route
	}
	if x.Service != nil {
		e.Service = x.Service
	}
	if answer.IsGRPC(x) {
		x.Refuse(p.StatusCode, p.Message)
	} else {
		x.Exit(p.StatusCode, answer.ContentType, answer.JSON(e))
	}
	return nil
}

// Package responsetransformer is the plugin response-transformer: it changes the
// headers and the JSON bodies of responses.
package responsetransformer

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/transform"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// maxBody bounds the bodies that are changed. What is longer is not passed on:
// what should be taken out of it would get out.
const maxBody = 64 << 20

// Module is the kind of plugin.
func Module() httpproxy.PluginModule {
	return httpproxy.PluginModule{
		Name: "response-transformer", Version: "3.10.0", Priority: 800, Config: configSchema(), New: newPlugin,
	}
}

func configSchema() schema.Record {
	types := schema.Field{
		Name: "json_types", Type: schema.Array, Required: true, Default: []string{},
		Elements: &schema.Field{Type: schema.String, OneOf: []any{"boolean", "number", "string"}},
	}
	values := func(name string) schema.Field {
		return schema.Nested(name,
			transform.List("json", transform.Valued), types, transform.List("headers", transform.HeaderPair))
	}
	return schema.Record{Name: "response-transformer", Fields: []schema.Field{
		schema.Nested("remove", transform.List("json", nil), transform.List("headers", transform.HeaderName)),
		schema.Nested("rename", transform.List("json", transform.Valued), transform.List("headers", transform.HeaderRename)),
		values("replace"), values("add"), values("append"),
	}}
}

// lists are what is done in one way.
type lists struct {
	JSON    []string `json:"json"`
	Types   []string `json:"json_types"`
	Headers []string `json:"headers"`
}

// plugin is an instance.
type plugin struct{ headers, json transform.Edits }

func newPlugin(o httpproxy.PluginOptions) (httpproxy.Plugin, error) {
	var c struct{ Remove, Rename, Replace, Add, Append lists }
	if err := json.Unmarshal(o.Config, &c); err != nil {
		return nil, err
	}
	p := &plugin{}
	for _, l := range []struct {
		from          *lists
		headers, json *[]transform.Edit
	}{
		{&c.Remove, &p.headers.Remove, &p.json.Remove},
		{&c.Rename, &p.headers.Rename, &p.json.Rename},
		{&c.Replace, &p.headers.Replace, &p.json.Replace},
		{&c.Add, &p.headers.Add, &p.json.Add},
		{&c.Append, &p.headers.Append, &p.json.Append},
	} {
		*l.headers, *l.json = transform.Parse(l.from.Headers), typed(l.from)
	}
	return p, nil
}

// typed are the edits of JSON: those whose value is not of its type are left
// out.
func typed(l *lists) []transform.Edit {
	var edits []transform.Edit
	for i, e := range transform.Parse(l.JSON) {
		if i < len(l.Types) {
			switch l.Types[i] {
			case "boolean":
				e.JSON = e.Value == "true"
			case "number":
				n := json.Number(e.Value)
				if !json.Valid([]byte(e.Value)) || n == "" || (n[0] != '-' && (n[0] < '0' || n[0] > '9')) {
					continue
				}
				e.JSON = n
			}
		}
		edits = append(edits, e)
	}
	return edits
}

// Respond implements httpproxy.Responder.
func (p *plugin) Respond(x *httpproxy.Exchange) error {
	r := &x.Response
	changed := !p.json.Empty() && transform.IsJSON(r.Header.Get("Content-Type"))
	if !p.headers.Empty() {
		p.headers.Apply(transform.Header{Header: &r.Header})
	}
	if !changed || bodiless(x) || r.Header.Has("Content-Encoding") {
		return nil
	}
	body, err := r.ReadBody(maxBody)
	if err != nil {
		return fmt.Errorf("the body of a response cannot be read: %w", err)
	}
	o, err := transform.ParseObject(body)
	if err != nil {
		x.Log().Warn("the body of a response is not changed", "plugin", "response-transformer", "request_id", x.ID, "error", err)
		return nil
	}
	p.json.Apply(o)
	if body, err = o.Bytes(); err != nil {
		return err
	}
	r.SetBody(body)
	return nil
}

// bodiless tells whether the client gets no body anyway.
func bodiless(x *httpproxy.Exchange) bool {
	s := x.Response.Status
	return x.Request.Method == http.MethodHead || s == http.StatusNoContent || s == http.StatusNotModified || s < 200 ||
		x.Response.ContentLength == 0
}

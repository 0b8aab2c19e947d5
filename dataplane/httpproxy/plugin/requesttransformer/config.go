package requesttransformer

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/transform"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

func configSchema() schema.Record {
	values := func(name string, more ...schema.Field) schema.Field {
		return schema.Nested(name, append([]schema.Field{
			hidden(transform.List("body", templated(transform.Valued))),
			hidden(transform.List("headers", templated(transform.HeaderPair))),
			hidden(transform.List("querystring", templated(transform.Valued))),
		}, more...)...)
	}
	return schema.Record{Name: "request-transformer", Fields: []schema.Field{
		{Name: "http_method", Type: schema.String, Match: "^%u+$", Check: schema.Method},
		schema.Nested("remove", transform.List("body", nil), transform.List("headers", transform.HeaderName),
			transform.List("querystring", nil)),
		schema.Nested("rename", transform.List("body", templated(transform.Valued)),
			transform.List("headers", templated(transform.HeaderPair)),
			transform.List("querystring", templated(transform.Valued))),
		values("replace", schema.Field{Name: "uri", Type: schema.String, Check: schema.Text(func(s string) error {
			return checkTemplate(s)
		})}),
		values("add"), values("append"),
	}}
}

// hidden keeps the entries secret: what upstreams want to be shown, such as keys,
// is in them.
func hidden(f schema.Field) schema.Field {
	f.Elements.Hidden = true
	return f
}

// templated wants the value of an entry to be a template as well.
func templated(check func(entry string) error) func(entry string) error {
	return func(entry string) error {
		if err := check(entry); err != nil {
			return err
		}
		_, value, _ := strings.Cut(entry, ":")
		return checkTemplate(value)
	}
}

func checkTemplate(s string) error {
	if _, err := parseTemplate(s); err != nil {
		return fmt.Errorf("value is not in supported format, error:%w", err) // without the value, which may be secret
	}
	return nil
}

// lists are what is done in one way.
type lists struct {
	Body        []string `json:"body"`
	Headers     []string `json:"headers"`
	Querystring []string `json:"querystring"`
	URI         string   `json:"uri"`
}

// edits are edits of which some values are templates.
type edits struct {
	transform.Edits
	templates []*template // in step with all entries of Edits, nil for none
}

// with are the edits with the values of a request.
func (e *edits) with(from values) *transform.Edits {
	if e.templates == nil {
		return &e.Edits
	}
	n := 0
	fill := func(list []transform.Edit) []transform.Edit {
		filled := append([]transform.Edit(nil), list...)
		for i := range filled {
			if t := e.templates[n]; t != nil {
				filled[i].Value = t.render(from)
			}
			n++
		}
		return filled
	}
	return &transform.Edits{
		Remove: fill(e.Remove), Rename: fill(e.Rename), Replace: fill(e.Replace), Add: fill(e.Add), Append: fill(e.Append),
	}
}

// compile reads the templates.
func (e *edits) compile() (err error) {
	var all []*template
	found := false
	e.All(func(list []transform.Edit) {
		for i := range list {
			t, wrong := parseTemplate(list[i].Value)
			if wrong != nil {
				err = wrong
			}
			all, found = append(all, t), found || t != nil
		}
	})
	if found {
		e.templates = all
	}
	return err
}

func newPlugin(o httpproxy.PluginOptions) (httpproxy.Plugin, error) {
	var c struct {
		Method                               string `json:"http_method"`
		Remove, Rename, Replace, Add, Append lists
	}
	if err := json.Unmarshal(o.Config, &c); err != nil {
		return nil, err
	}
	p := &plugin{method: c.Method}
	for _, part := range []struct {
		edits *edits
		of    func(l *lists) []string
	}{
		{&p.headers, func(l *lists) []string { return l.Headers }},
		{&p.query, func(l *lists) []string { return l.Querystring }},
		{&p.body, func(l *lists) []string { return l.Body }},
	} {
		part.edits.Edits = transform.Edits{
			Remove: transform.Parse(part.of(&c.Remove)), Rename: transform.Parse(part.of(&c.Rename)),
			Replace: transform.Parse(part.of(&c.Replace)), Add: transform.Parse(part.of(&c.Add)),
			Append: transform.Parse(part.of(&c.Append)),
		}
		if err := part.edits.compile(); err != nil {
			return nil, err
		}
	}
	if c.Replace.URI != "" {
		t, err := parseTemplate(c.Replace.URI)
		if err != nil {
			return nil, err
		}
		if t == nil {
			t = &template{parts: []part{{text: c.Replace.URI}}}
		}
		p.uri = t
	}
	return p, nil
}

package oasvalidation

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/oasvalidation/jsonschema"
	"github.com/backplane/backplane/dataplane/httpproxy/urlpath"
)

// FuzzDocument reads any document: it is taken or refused, and no request does
// harm to one that is taken.
func FuzzDocument(f *testing.F) {
	for _, document := range []string{
		api("3.0.3", answering), yamlDocument, schemaOf("3.1.0", item), "openapi: 3.1.0\npaths: {/a/{id}: &a {post: {requestBody: {content: {'*/*': {schema: {}}}}}}, /b: *a}",
		allStyles[0].document("3.0.3"), allStyles[30].document("3.1.0"), allStyles[31].document("3.1.0"),
	} {
		f.Add(document)
	}
	f.Fuzz(func(t *testing.T, document string) {
		d, err := load(&config{APISpec: document, APISpecEncoded: true, IncludeBasePath: true})
		if err != nil {
			return
		}
		p := &plugin{document: d}
		p.request = jsonschema.Options{Direction: jsonschema.Request, All: true}
		ask(p, "POST", "/a/1", "page=1&p[a]=b", "1", "application/json", `{"name":"a"}`)
		ask(p, "GET", "/a", "R=1", "R,1", "application/x-www-form-urlencoded", "a=1")
	})
}

// FuzzRequest checks any request against a document with all styles and kinds of
// bodies.
func FuzzRequest(f *testing.F) {
	document := requestDocument(f)
	g := struct{ strict, lenient *plugin }{document(false), document(true)}
	f.Add("GET", "/p/5", "p=1", "x", "", "")
	for _, s := range allStyles {
		for _, value := range append(s.good, s.bad...) {
			switch s.in {
			case "path":
				f.Add("GET", "/p/"+value, "", "", "", "")
			case "query":
				f.Add("GET", "/q", value, "", "", "")
			default:
				f.Add("GET", "/h", "", value, "", "")
			}
		}
	}
	f.Add("POST", "/b", "", "", "application/json", `{"name":"a","tags":["a"]}`)
	f.Add("POST", "/b", "", "", "application/x-www-form-urlencoded", `name=a&tags=b&d[a]=1&c=1,2`)
	f.Add("POST", "/b", "", "", "multipart/form-data; boundary=b", parts(`name="name"`+"\r\n\r\nx", `name="f"; filename="f"`+"\r\n\r\nx"))
	f.Fuzz(func(t *testing.T, method, path, query, header, contentType, body string) {
		path, ok := urlpath.Normalize(path)
		if !ok {
			return
		}
		strict := ask(g.strict, method, path, query, header, contentType, body)
		lenient := ask(g.lenient, method, path, query, header, contentType, body)
		for _, faults := range [...][]fault{strict, lenient} {
			if len(faults) == 0 {
				continue
			}
			_ = texts(faults)
			if _, err := json.Marshal(detailList(faults)); err != nil {
				t.Error(err)
			}
		}
	})
}

// requestDocument makes plugins for a document with all styles and kinds of
// bodies.
func requestDocument(t testing.TB) func(lenient bool) *plugin {
	paths := map[string]any{}
	byPlace := map[string][]any{}
	for i, s := range allStyles {
		var schema any
		if err := json.Unmarshal([]byte(s.schema), &schema); err != nil {
			t.Fatal(err)
		}
		p := map[string]any{"name": "p", "in": s.in, "style": s.style, "explode": s.explode, "schema": schema}
		if s.in != "path" {
			p["name"] = []string{"p", "R", "q"}[i%3] + string(rune('a'+i%26))
		}
		byPlace[s.in] = append(byPlace[s.in], p)
	}
	paths["/q"] = map[string]any{"get": map[string]any{"parameters": byPlace["query"]}}
	paths["/h"] = map[string]any{"get": map[string]any{"parameters": append(byPlace["header"], byPlace["cookie"]...)}}
	for i, p := range byPlace["path"] {
		template := []string{"/p/{p}", "/{p}.x/y", "/z/{q}-{p}"}[i%3]
		paths[template] = map[string]any{"get": map[string]any{"parameters": []any{p}}}
	}
	var schema any
	if err := json.Unmarshal([]byte(item), &schema); err != nil {
		t.Fatal(err)
	}
	media := map[string]any{"schema": schema, "encoding": map[string]any{"c": map[string]any{"explode": false, "style": "form"}, "d": map[string]any{"style": "deepObject"}}}
	paths["/b"] = map[string]any{"post": map[string]any{"requestBody": map[string]any{"content": map[string]any{"*/*": media}}}}
	document, err := json.Marshal(map[string]any{"openapi": "3.0.3", "paths": paths})
	if err != nil {
		t.Fatal(err)
	}
	return func(lenient bool) *plugin {
		c := settings{"api_spec": string(document), "collect_all_errors": true, "query_parameter_check": true, "header_parameter_check": true}
		if lenient {
			c["coercion"] = "pydantic"
		}
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		r := configSchema()
		p, err := newPlugin(httpproxy.PluginOptions{Config: gatewaytest.CompleteConfig(t, &r, string(b)), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return p.(*plugin)
	}
}

// ask is what a plugin finds wrong with a request.
func ask(p *plugin, method, path, query, header, contentType, body string) []fault {
	x := &httpproxy.Exchange{Request: httpproxy.Request{Method: method, Path: path, Query: query}}
	h := &x.Request.Header
	h.Add("Cookie", header)
	for _, name := range [...]string{"P", "pa", "Ra", "qa", "X-H"} {
		h.Add(name, header)
	}
	h.Add("Content-Type", contentType)
	f := p.document.paths.find(method, path)
	if f.operation == nil {
		return nil
	}
	faults := p.checkParameters(x, &f)
	b := f.operation.body
	if b == nil || body == "" {
		return faults
	}
	if m := b.get(typeOf(contentType)); m != nil && m.schema != nil && checked(typeOf(contentType)) {
		faults = append(faults, m.check(contentType, []byte(body), p.request)...)
	}
	if c, ok := f.operation.response(http.StatusOK); ok {
		_ = c.get(contentType)
	}
	return faults
}

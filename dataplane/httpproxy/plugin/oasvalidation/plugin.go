package oasvalidation

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/oasvalidation/jsonschema"
)

// plugin is an instance.
type plugin struct {
	config
	document       *document
	allowedHeaders map[string]bool
	request        jsonschema.Options
	response       jsonschema.Options
}

func newPlugin(o httpproxy.PluginOptions) (httpproxy.Plugin, error) {
	p := &plugin{}
	if err := json.Unmarshal(o.Config, &p.config); err != nil {
		return nil, err
	}
	var err error
	if p.document, err = load(&p.config); err != nil {
		return nil, err
	}
	p.APISpec = ""
	p.Prefix = strings.TrimSuffix(p.Prefix, "/")
	p.allowedHeaders = commaList(p.AllowedHeaderParameters)
	all := p.CollectAll || p.DetailErrors
	lenient := p.Coercion == "pydantic"
	p.request = jsonschema.Options{Direction: jsonschema.Request, All: all, Lenient: lenient}
	p.response = jsonschema.Options{Direction: jsonschema.Response, All: all, Lenient: lenient}
	for _, note := range p.document.notes {
		o.Log.Warn("a part of an API document cannot be checked", "what", note)
	}
	return p, nil
}

// Access implements httpproxy.Accesser.
func (p *plugin) Access(x *httpproxy.Exchange) error {
	path, ok := strings.CutPrefix(x.Request.Path, p.Prefix)
	if ok = ok && (path == "" || path[0] == '/'); path == "" {
		path = "/"
	}
	var f found
	if ok {
		f = p.document.paths.find(x.Request.Method, path)
	}
	if f.operation == nil {
		p.unknown(x, &f)
		return nil
	}
	if p.ValidateResponse {
		x.SetValue(p, f.operation)
	}
	faults := p.checkParameters(x, &f)
	if (len(faults) == 0 || p.request.All) && p.ValidateBody && f.operation.body != nil && !bare(&x.Request) {
		inBody, answered := p.checkBody(x, f.operation.body)
		if answered {
			return nil
		}
		faults = append(faults, inBody...)
	}
	if len(faults) > 0 {
		p.refuse(x, faults)
	}
	return nil
}

// bare tells of a request to change the protocol that has no body. One that has a
// body may be answered as if it did not ask.
func bare(r *httpproxy.Request) bool { return r.Upgrade != "" && r.ContentLength == 0 }

// unknown deals with a request for what the document does not have.
func (p *plugin) unknown(x *httpproxy.Exchange, f *found) {
	if p.UnknownOperation == "pass" {
		return
	}
	status, err := http.StatusNotFound, "path not found in api specification"
	if f.methods != nil {
		status, err = http.StatusMethodNotAllowed, "method not found in api specification"
	}
	if p.NotifyOnlyRequest {
		p.notify(x, "a request does not fit the API document", err)
		return
	}
	var allow []string
	for method := range f.methods {
		allow = append(allow, method)
	}
	slices.Sort(allow)
	p.answerUnknown(x, status, err)
	if allow != nil {
		x.Response.Header.Set("Allow", strings.Join(allow, ", "))
	}
}

// checkParameters tells what is wrong with the parameters of a request.
func (p *plugin) checkParameters(x *httpproxy.Exchange, f *found) []fault {
	o, r := f.operation, &x.Request
	in := &input{names: f.names, path: f.values, header: &r.Header}
	if len(o.query) > 0 || p.QueryCheck {
		in.query = parseQuery(r.Query)
	}
	if len(o.cookie) > 0 {
		in.cookies = parseCookies(&r.Header)
	}
	var faults []fault
	if p.HeaderCheck {
		faults = p.unknownHeaders(x, o)
	}
	if p.QueryCheck && (len(faults) == 0 || p.request.All) {
		faults = append(faults, p.unknownQuery(in, o)...)
	}
	for _, group := range [...]struct {
		wanted     bool
		parameters []*parameter
	}{{p.ValidatePath, o.path}, {p.ValidateQuery, o.query}, {p.ValidateHeader, o.header}, {p.ValidateHeader, o.cookie}} {
		if !group.wanted {
			continue
		}
		for _, parameter := range group.parameters {
			if len(faults) > 0 && !p.request.All {
				return faults
			}
			faults = append(faults, parameter.check(in, p.request)...)
		}
	}
	return faults
}

// added are fields that the gateway adds to requests.
var added = []string{
	"x-consumer-id", "x-consumer-custom-id", "x-consumer-username", "x-consumer-groups", "x-credential-identifier",
	"x-anonymous-consumer", "x-forwarded-prefix", "gateway_host", "cookie",
}

// unknownHeaders are the fields that the document does not have.
func (p *plugin) unknownHeaders(x *httpproxy.Exchange, o *operation) []fault {
	var faults []fault
	for _, f := range x.Request.Header.Fields() {
		name := strings.ToLower(f.Name)
		at := place{"header", name}
		if o.known[at] || p.document.secret[at] || p.allowedHeaders[name] || slices.Contains(added, name) {
			continue
		}
		faults = append(faults, fault{in: "header", name: f.Name, unknown: true})
	}
	return faults
}

// unknownQuery are the query parameters that the document does not have.
func (p *plugin) unknownQuery(in *input, o *operation) []fault {
	var faults []fault
	seen := map[string]bool{}
	for _, one := range in.query {
		at := place{"query", one.name}
		if seen[one.name] || o.known[at] || p.document.secret[at] || slices.ContainsFunc(o.query, func(p *parameter) bool { return p.holds(one.name) }) {
			continue
		}
		seen[one.name] = true
		faults = append(faults, fault{in: "query", name: one.name, unknown: true})
	}
	return faults
}

// holds tells whether a query parameter of a name is a part of this one.
func (p *parameter) holds(name string) bool {
	switch {
	case p.style == "deepObject":
		return strings.HasPrefix(name, p.name+"[")
	case p.style == "form" && p.explode && !p.content && p.schema != nil && p.schema.Kinds()&jsonschema.Object != 0:
		names, open := p.schema.Properties()
		return open || slices.Contains(names, name)
	}
	return false
}

// checkBody tells what is wrong with the body of a request, and whether that was
// answered.
func (p *plugin) checkBody(x *httpproxy.Exchange, b *body) (faults []fault, answered bool) {
	r := &x.Request
	if r.ContentLength == 0 {
		if b.required {
			faults = bodyFaults([]jsonschema.Fault{{Keyword: "required"}})
		}
		return faults, false
	}
	if len(b.contents) == 0 {
		return nil, false
	}
	contentType := r.Header.Get("Content-Type")
	mediaType := typeOf(contentType)
	m := b.get(contentType)
	for other := range r.Header.Values("Content-Type") {
		if other != contentType {
			m = nil // which counts is not for the client to choose
		}
	}
	if m != nil && (m.schema == nil || !checked(mediaType)) {
		return nil, false
	}
	if m == nil && r.ContentLength > 0 {
		return []fault{wrongType(b)}, false
	}
	data, err := r.ReadBody(p.MaxBody)
	switch {
	case errors.Is(err, httpproxy.ErrTooLarge) && m == nil:
		return []fault{wrongType(b)}, false
	case errors.Is(err, httpproxy.ErrTooLarge):
		return nil, p.tooLarge(x)
	case err != nil:
		return nil, false // who reads it next meets the same error, and deals with it
	case len(data) == 0 && b.required:
		return bodyFaults([]jsonschema.Fault{{Keyword: "required"}}), false
	case len(data) == 0:
		return nil, false
	case m == nil:
		return []fault{wrongType(b)}, false
	}
	data, err = unpack(r.Header.Join("Content-Encoding"), data, p.MaxBody)
	switch {
	case errors.Is(err, httpproxy.ErrTooLarge):
		return nil, p.tooLarge(x)
	case errors.Is(err, errEncoding):
		return nil, p.fail(x, http.StatusUnsupportedMediaType, err.Error())
	case err != nil:
		return bodyFaults([]jsonschema.Fault{unreadable(contentType, err)}), false
	}
	outside(x, len(data), func() { faults = m.check(contentType, data, p.request) })
	return faults, false
}

// wrongType is the fault of a body of a type that the document does not have.
func wrongType(b *body) fault {
	return fault{in: "body", Fault: jsonschema.Fault{Keyword: "content", Limit: b.types()}}
}

// maxInside is how much is checked without letting other requests go first.
const maxInside = 16 << 10

// outside checks so many bytes.
func outside(x *httpproxy.Exchange, size int, check func()) {
	if size <= maxInside {
		check()
	} else {
		x.Outside(check)
	}
}

// Respond implements httpproxy.Responder.
func (p *plugin) Respond(x *httpproxy.Exchange) error {
	o, _ := x.Value(p).(*operation)
	r := &x.Response
	if o == nil || r.Source != httpproxy.FromService || x.Request.Method == http.MethodHead || r.Status < 200 {
		return nil
	}
	switch r.Status {
	case http.StatusNoContent, http.StatusPartialContent, http.StatusNotModified:
		return nil
	}
	contentType := r.Header.Get("Content-Type")
	c, ok := o.response(r.Status)
	if !ok || !isJSON(contentType) {
		return nil
	}
	m := c.get(contentType)
	if m == nil || m.schema == nil {
		return nil
	}
	encoding := r.Header.Join("Content-Encoding")
	if _, err := unpack(encoding, nil, 0); errors.Is(err, errEncoding) {
		return nil
	}
	data, err := r.ReadBody(p.MaxBody)
	if err != nil {
		return nil // what is too long passes, and what is broken is found to be so by who reads it
	}
	data, err = unpack(encoding, data, p.MaxBody)
	if errors.Is(err, httpproxy.ErrTooLarge) {
		return nil
	}
	var faults []fault
	if err != nil {
		faults = bodyFaults([]jsonschema.Fault{unreadable(contentType, err)})
	} else {
		outside(x, len(data), func() { faults = m.check(contentType, data, p.response) })
	}
	if len(faults) > 0 {
		p.refuseResponse(x, faults)
	}
	return nil
}

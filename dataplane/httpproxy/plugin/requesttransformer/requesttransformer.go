// Package requesttransformer is the plugin request-transformer: it changes
// requests before they go to the upstream.
package requesttransformer

import (
	"errors"
	"net/http"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/header"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/transform"
	"github.com/backplane/backplane/dataplane/httpproxy/urlpath"
)

// maxBody bounds the bodies that are changed. What is longer is refused: what
// should be taken out of it would pass.
const maxBody = 32 << 20

// Module is the kind of plugin.
func Module() httpproxy.PluginModule {
	return httpproxy.PluginModule{
		Name: "request-transformer", Version: "3.10.0", Priority: 801, Config: configSchema(), New: newPlugin,
	}
}

// plugin is an instance.
type plugin struct {
	method               string
	uri                  *template
	headers, query, body edits
}

// original gives templates the values that a request came with.
type original struct {
	x     *httpproxy.Exchange
	query arguments
	read  bool
}

// value implements values.
func (o *original) value(from source, name string, number int) (string, bool) {
	switch from {
	case fromHeaders:
		return headerValue(o.x, name)
	case fromQuery:
		if !o.read {
			o.query, o.read = parseArguments(o.x.Request.Query), true
		}
		return o.query.get(name)
	case fromCaptures:
		c := &o.x.Captures
		if number < 0 {
			return c.Named(name)
		}
		if number < len(c.Numbered) {
			return c.Numbered[number], true
		}
	}
	return "", false
}

// inPath gives values that go into a path: what would end it is escaped.
// Captures are of a path themselves.
type inPath struct{ *original }

var pathEscapes = strings.NewReplacer("%", "%25", "?", "%3F", "#", "%23")

// value implements values.
func (v inPath) value(from source, name string, number int) (string, bool) {
	s, ok := v.original.value(from, name, number)
	if from != fromCaptures {
		s = pathEscapes.Replace(s)
	}
	return s, ok
}

// headerValue finds a field by its name, in which "_" may stand for "-".
func headerValue(x *httpproxy.Exchange, name string) (string, bool) {
	h := &x.Request.Header
	if strings.EqualFold(name, "host") {
		return x.Request.Host, true
	}
	if h.Has(name) {
		return h.Get(name), true
	}
	if name = strings.ReplaceAll(name, "_", "-"); h.Has(name) {
		return h.Get(name), true
	}
	return "", false
}

// Access implements httpproxy.Accesser. All values are taken from the request
// before the first change.
func (p *plugin) Access(x *httpproxy.Exchange) error {
	from := &original{x: x}
	headers, query, body := p.headers.with(from), p.query.with(from), p.body.with(from)
	path := ""
	if p.uri != nil {
		path = p.uri.render(inPath{from})
	}
	if !validHeaders(headers) {
		x.Refuse(http.StatusBadRequest, "Bad request")
		return nil
	}
	if p.uri != nil && !replacePath(x, path) {
		x.Refuse(http.StatusBadRequest, "Bad request")
		return nil
	}
	if !p.changeMethod(x) {
		return nil
	}
	if !headers.Empty() {
		headers.Apply(headerTarget{transform.Header{Header: &x.Request.Header}, x})
	}
	if !body.Empty() && !changeBody(x, body) {
		return nil
	}
	if !query.Empty() {
		args := parseArguments(x.Upstream.Query)
		query.Apply(&args)
		setQuery(x, args)
	}
	return nil
}

func setQuery(x *httpproxy.Exchange, args arguments) {
	x.Upstream.Query = args.encode()
	x.Upstream.HasQuery = x.Upstream.Query != ""
}

// validHeaders tells whether the values that a client may have a say in can be
// sent.
func validHeaders(e *transform.Edits) bool {
	valid := true
	for _, list := range [][]transform.Edit{e.Replace, e.Add, e.Append} {
		for i := range list {
			valid = valid && header.ValidValue(list[i].Value)
		}
	}
	for i := range e.Rename {
		valid = valid && (e.Rename[i].Value == "" || header.ValidName(e.Rename[i].Value))
	}
	return valid
}

func replacePath(x *httpproxy.Exchange, path string) bool {
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	path, ok := urlpath.Normalize(path)
	if ok {
		x.Upstream.Path = path
	}
	return ok
}

// changeMethod changes the method. A form goes into the query where the method
// has no use for a body.
func (p *plugin) changeMethod(x *httpproxy.Exchange) bool {
	if p.method == "" {
		return true
	}
	if p.method == http.MethodHead && x.Request.Method != http.MethodHead {
		x.SetValue(p, madeHead{})
	}
	x.Request.Method = p.method
	if p.method != http.MethodGet && p.method != http.MethodHead && p.method != http.MethodTrace ||
		kindOf(x.Request.Header.Get("Content-Type")) != formBody {
		return true
	}
	data, ok := readBody(x)
	if !ok {
		return false
	}
	if form := parseArguments(string(data)); len(form) > 0 {
		setQuery(x, append(parseArguments(x.Upstream.Query), form...))
	}
	return true
}

// madeHead is the value of an Exchange whose client has not asked with HEAD.
type madeHead struct{}

// Respond implements httpproxy.Responder. A client that has not asked with HEAD
// waits for a body, which upstreams only tell the length of.
func (p *plugin) Respond(x *httpproxy.Exchange) error {
	if x.Value(p) != nil && x.Response.Source == httpproxy.FromService {
		x.Response.SetBody(nil)
	}
	return nil
}

// headerTarget is the fields of a request. Host is not among them.
type headerTarget struct {
	transform.Header
	x *httpproxy.Exchange
}

// Has implements transform.Target.
func (h headerTarget) Has(name string) bool { return isHost(name) || h.Header.Has(name) }

// Rename implements transform.Target.
func (h headerTarget) Rename(name, to string) {
	if !isHost(name) && !isHost(to) {
		h.Header.Rename(name, to)
	}
}

// Set implements transform.Target: it is Replace that sets a Host, as Add does
// not see that there is none.
func (h headerTarget) Set(e *transform.Edit) {
	if isHost(e.Name) {
		h.x.Upstream.HostHeader = e.Value
	} else {
		h.Header.Set(e)
	}
}

// Append implements transform.Target.
func (h headerTarget) Append(e *transform.Edit) {
	if !isHost(e.Name) {
		h.Header.Append(e)
	}
}

func isHost(name string) bool { return len(name) == 4 && strings.EqualFold(name, "host") }

// The kinds of bodies.
const (
	otherBody = iota
	jsonBody
	formBody
	multipartBody
)

func kindOf(contentType string) int {
	name, _, _ := strings.Cut(contentType, ";")
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "application/json":
		return jsonBody
	case "application/x-www-form-urlencoded":
		return formBody
	case "multipart/form-data":
		return multipartBody
	}
	return otherBody
}

// readBody reads the body, and answers the request if it cannot.
func readBody(x *httpproxy.Exchange) ([]byte, bool) {
	data, err := x.Request.ReadBody(maxBody)
	switch {
	case err == nil:
		return data, true
	case errors.Is(err, httpproxy.ErrTooLarge):
		x.Refuse(http.StatusRequestEntityTooLarge, "Payload too large")
	default:
		x.Refuse(http.StatusBadRequest, "Bad request")
	}
	return nil, false
}

// changeBody changes the body. One that is not what it is said to be is left
// alone.
func changeBody(x *httpproxy.Exchange, e *transform.Edits) bool {
	contentType := x.Request.Header.Get("Content-Type")
	kind := kindOf(contentType)
	if kind == otherBody {
		return true
	}
	data, ok := readBody(x)
	if !ok {
		return false
	}
	changed, err := changedBody(kind, contentType, data, e)
	if err != nil {
		x.Log().Debug("the body of a request is not changed", "plugin", "request-transformer", "request_id", x.ID, "error", err)
		return true
	}
	x.Request.SetBody(changed)
	return true
}

func changedBody(kind int, contentType string, data []byte, e *transform.Edits) ([]byte, error) {
	switch kind {
	case jsonBody:
		o := transform.Object{}
		if len(data) > 0 {
			var err error
			if o, err = transform.ParseObject(data); err != nil {
				return nil, err
			}
		}
		e.Apply(o)
		if len(data) == 0 && len(o) == 0 {
			return data, nil
		}
		return o.Bytes()
	case formBody:
		args := parseArguments(string(data))
		e.Apply(&args)
		return []byte(args.encode()), nil
	default:
		p, err := parseParts(contentType, data)
		if err != nil {
			return nil, err
		}
		e.Apply(p)
		if len(data) == 0 && len(p.list) == 0 {
			return data, nil
		}
		return p.encode(), nil
	}
}

// Package proxycache is the plugin proxy-cache: it keeps responses and answers
// with them.
package proxycache

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/header"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// Module is the kind of plugin.
func Module() httpproxy.PluginModule {
	return httpproxy.PluginModule{
		Name: "proxy-cache", Version: "3.10.0", Priority: 100, Config: configSchema(), New: newPlugin,
	}
}

func configSchema() schema.Record {
	return schema.Record{Name: "proxy-cache", Fields: []schema.Field{
		{Name: "response_code", Type: schema.Array, Required: true, Default: []int{200, 301, 404}, MinLen: 1,
			Elements: &schema.Field{Type: schema.Integer, Between: schema.Between(100, 900)}},
		{Name: "request_method", Type: schema.Array, Required: true, Default: []string{"GET", "HEAD"},
			Elements: &schema.Field{Type: schema.String, OneOf: []any{"HEAD", "GET", "POST", "PATCH", "PUT"}}},
		{Name: "content_type", Type: schema.Array, Required: true, Default: []string{"text/plain", "application/json"},
			Elements: &schema.Field{Type: schema.String}},
		{Name: "cache_ttl", Type: schema.Integer, Above: schema.Above(0), Default: 300},
		{Name: "strategy", Type: schema.String, Required: true, OneOf: []any{"memory"}},
		schema.Bool("cache_control", false),
		{Name: "ignore_uri_case", Type: schema.Boolean, Default: false},
		{Name: "storage_ttl", Type: schema.Integer},
		schema.Nested("memory",
			schema.Field{Name: "dictionary_name", Type: schema.String, Required: true, Default: "kong_db_cache"}),
		schema.Strings("vary_query_params", nil),
		schema.Strings("vary_headers", nil),
		schema.Nested("response_headers",
			schema.Field{Name: "age", Type: schema.Boolean, Default: true},
			schema.Field{Name: "X-Cache-Status", Type: schema.Boolean, Default: true},
			schema.Field{Name: "X-Cache-Key", Type: schema.Boolean, Default: true}),
	}}
}

// config is the configuration.
type config struct {
	ResponseCode    []int    `json:"response_code"`
	RequestMethod   []string `json:"request_method"`
	ContentType     []string `json:"content_type"`
	CacheTTL        int64    `json:"cache_ttl"`
	CacheControl    bool     `json:"cache_control"`
	IgnoreURICase   bool     `json:"ignore_uri_case"`
	StorageTTL      *int64   `json:"storage_ttl"`
	VaryQueryParams []string `json:"vary_query_params"`
	VaryHeaders     []string `json:"vary_headers"`
	ResponseHeaders struct {
		Age    *bool `json:"age"`
		Status *bool `json:"X-Cache-Status"`
		Key    *bool `json:"X-Cache-Key"`
	} `json:"response_headers"`
}

// plugin is an instance.
type plugin struct {
	id         uuid.UUID
	config     config
	cache      *Cache
	ttl        time.Duration
	types      []mediaType
	varyParams map[string]bool // nil for all
	showAge    bool
	showStatus bool
	showKey    bool
}

type mediaType struct {
	name   string
	params map[string]string
}

func newPlugin(o httpproxy.PluginOptions) (httpproxy.Plugin, error) {
	p := &plugin{id: o.ID, cache: Of(o.Host)}
	if err := json.Unmarshal(o.Config, &p.config); err != nil {
		return nil, err
	}
	c := &p.config
	p.ttl = time.Duration(c.CacheTTL) * time.Second
	if c.CacheTTL == 0 {
		p.ttl = 300 * time.Second
	}
	for _, t := range c.ContentType {
		if m, ok := parseType(t); ok {
			p.types = append(p.types, m)
		}
	}
	for i, name := range c.VaryHeaders {
		c.VaryHeaders[i] = strings.ToLower(name)
	}
	slices.Sort(c.VaryHeaders)
	for _, name := range c.VaryQueryParams {
		if p.varyParams == nil {
			p.varyParams = map[string]bool{}
		}
		p.varyParams[name] = true
	}
	shown := func(b *bool) bool { return b != nil && *b }
	h := &c.ResponseHeaders
	p.showAge, p.showStatus, p.showKey = shown(h.Age), shown(h.Status), shown(h.Key)
	return p, nil
}

func parseType(s string) (mediaType, bool) {
	name, params, err := mime.ParseMediaType(s)
	if err != nil {
		return mediaType{}, false
	}
	for k, v := range params {
		params[k] = strings.ToLower(v)
	}
	return mediaType{name, params}, true
}

// request is what is known about a request until its response is there.
type request struct {
	key    string // "" if it has none
	status string // X-Cache-Status
	hit    *Entry
}

// Access implements httpproxy.Accesser.
func (p *plugin) Access(x *httpproxy.Exchange) error {
	r := &request{status: "Bypass"}
	x.SetValue(p, r)
	cc := parseControl(&x.Request.Header)
	if !p.cacheable(x, &cc) {
		return nil
	}
	r.key, r.status = p.key(x), "Miss"
	e := p.cache.get(r.key, x.Started)
	switch {
	case e == nil || !e.fits(x):
		if p.config.CacheControl && cc.onlyIfCached {
			x.Refuse(http.StatusGatewayTimeout, "Gateway Timeout")
		}
	case !p.usable(e, &cc, x.Started):
		r.status = "Refresh"
		if p.config.CacheControl && cc.onlyIfCached {
			x.Refuse(http.StatusGatewayTimeout, "Gateway Timeout")
		}
	default:
		r.status, r.hit = "Hit", e
		p.answer(x, e)
	}
	return nil
}

// cacheable tells whether a request may be answered with what was kept.
func (p *plugin) cacheable(x *httpproxy.Exchange, cc *directives) bool {
	switch {
	case x.Request.Upgrade != "" || !slices.Contains(p.config.RequestMethod, x.Request.Method):
		return false
	case !p.config.CacheControl:
		return true
	}
	return !cc.noStore && !cc.noCache && !x.Request.Header.Has("Authorization")
}

// usable tells whether a response is fresh enough for a request.
func (p *plugin) usable(e *Entry, cc *directives, now time.Time) bool {
	age := max(now.Sub(e.Stored), 0)
	if !p.config.CacheControl {
		return age <= p.ttl
	}
	switch stale := age - e.TTL; {
	case cc.maxAge >= 0 && age > cc.maxAge:
		return false
	case cc.minFresh >= 0 && -stale < cc.minFresh:
		return false
	case stale >= 0:
		return cc.maxStale >= 0 && stale <= cc.maxStale
	}
	return true
}

// fits tells whether a response is for a request by what it says that it
// depends on (RFC 9111, 4.1).
func (e *Entry) fits(x *httpproxy.Exchange) bool {
	for _, v := range e.vary {
		if x.Request.Header.Join(v.name) != v.value {
			return false
		}
	}
	return true
}

// answer answers with what was kept.
func (p *plugin) answer(x *httpproxy.Exchange, e *Entry) {
	x.Exit(e.Status, "", e.Body)
	h := &x.Response.Header
	for _, f := range e.Header {
		h.Add(f.Name, f.Value)
	}
	if x.Request.Method == http.MethodHead {
		x.Response.ContentLength = e.Length
	}
	if p.showAge {
		h.Set("Age", strconv.FormatInt(int64(max(x.Started.Sub(e.Stored), 0)/time.Second), 10))
	}
}

// Respond implements httpproxy.Responder.
func (p *plugin) Respond(x *httpproxy.Exchange) error {
	r, _ := x.Value(p).(*request)
	if r == nil {
		return nil
	}
	if r.hit == nil && r.key != "" {
		if !p.keep(x, r) {
			r.status = "Bypass"
		}
	}
	if p.showStatus {
		x.Response.Header.Set("X-Cache-Status", r.status)
	}
	if p.showKey && r.key != "" {
		x.Response.Header.Set("X-Cache-Key", r.key)
	}
	return nil
}

// keep keeps the response once it has passed, if it may.
func (p *plugin) keep(x *httpproxy.Exchange, r *request) bool {
	res := &x.Response
	if res.Source != httpproxy.FromService || !slices.Contains(p.config.ResponseCode, res.Status) || !p.fitsType(res) {
		return false
	}
	now := time.Now()
	e := &Entry{Plugin: p.id, Status: res.Status, Stored: now, TTL: p.ttl, Length: res.ContentLength}
	if p.config.CacheControl {
		cc := parseControl(&res.Header)
		if cc.private || cc.noStore || cc.noCache {
			return false
		}
		if e.TTL = cc.lifetime(&res.Header, now); e.TTL <= 0 {
			return false
		}
	}
	e.Kept = e.TTL
	if s := p.config.StorageTTL; s != nil {
		e.Kept = time.Duration(*s) * time.Second
	}
	if !e.takeVary(x) {
		return false
	}
	e.takeHeader(&res.Header)
	if x.Request.Method == http.MethodHead || res.ContentLength == 0 {
		p.cache.put(r.key, e)
		return true
	}
	if res.ContentLength > maxEntry {
		return false
	}
	res.Body = &recorder{body: res.Body, length: res.ContentLength, entry: e, keep: func() { p.cache.put(r.key, e) }}
	return true
}

func (p *plugin) fitsType(res *httpproxy.Response) bool {
	is, ok := parseType(res.Header.Get("Content-Type"))
	if !ok {
		return false
	}
	return slices.ContainsFunc(p.types, func(m mediaType) bool {
		if m.name != is.name && m.name != "*/*" && !(strings.HasSuffix(m.name, "/*") && strings.HasPrefix(is.name, m.name[:len(m.name)-1])) {
			return false
		}
		if len(m.params) != len(is.params) {
			return false
		}
		for k, v := range m.params {
			if is.params[k] != v {
				return false
			}
		}
		return true
	})
}

// takeVary takes down what of the request the response depends on; false if on
// everything.
func (e *Entry) takeVary(x *httpproxy.Exchange) bool {
	for value := range x.Response.Header.Values("Vary") {
		for name := range strings.SplitSeq(value, ",") {
			switch name = strings.TrimSpace(name); name {
			case "":
			case "*":
				return false
			default:
				e.vary = append(e.vary, vary{strings.ToLower(name), strings.Clone(x.Request.Header.Join(name))})
			}
		}
	}
	return true
}

// notKept are the fields that concern one connection or one answer.
var notKept = [...]string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
	"Content-Length", "Age", "X-Cache-Status", "X-Cache-Key",
}

// takeHeader copies the fields that are kept.
func (e *Entry) takeHeader(h *httpproxy.Header) {
	e.Header = make([]httpproxy.Field, 0, h.Len())
	for _, f := range h.Fields() {
		if !slices.ContainsFunc(notKept[:], func(name string) bool { return header.EqualName(name, f.Name) }) {
			e.Header = append(e.Header, httpproxy.Field{Name: strings.Clone(f.Name), Value: strings.Clone(f.Value)})
		}
	}
}

// recorder copies a body as it passes, and keeps the response when it has
// passed whole. One that is too long passes all the same.
type recorder struct {
	body   io.Reader
	length int64 // -1 if it is not known
	entry  *Entry
	keep   func()
	over   bool
}

// Read implements io.Reader.
func (r *recorder) Read(b []byte) (int, error) {
	n, err := r.body.Read(b)
	if r.over {
		return n, err
	}
	if len(r.entry.Body)+n > maxEntry {
		r.stop()
		return n, err
	}
	r.entry.Body = append(r.entry.Body, b[:n]...)
	have := int64(len(r.entry.Body))
	switch {
	case err == io.EOF && (r.length < 0 || have == r.length), err == nil && have == r.length:
		r.over = true
		r.keep()
	case err != nil:
		r.stop()
	}
	return n, err
}

func (r *recorder) stop() {
	r.over = true
	r.entry.Body = nil
}

// Package logrecord makes a JSON object of a request that has ended, as the
// plugins that log write it.
package logrecord

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy"
)

// Workspace is the one that everything is in.
const Workspace = "default"

// record is the object.
type record struct {
	Request       request         `json:"request"`
	Response      response        `json:"response"`
	Latencies     latencies       `json:"latencies"`
	Tries         []try           `json:"tries"`
	Route         json.RawMessage `json:"route,omitempty"`
	Service       json.RawMessage `json:"service,omitempty"`
	Consumer      *consumer       `json:"consumer,omitempty"`
	Authenticated *authenticated  `json:"authenticated_entity,omitempty"`
	ClientIP      string          `json:"client_ip"`
	StartedAt     int64           `json:"started_at"`
	UpstreamURI   string          `json:"upstream_uri"`
	Upstream      string          `json:"upstream_status"`
	Source        string          `json:"source"`
	Workspace     string          `json:"workspace"`
	WorkspaceName string          `json:"workspace_name"`
}

type request struct {
	ID      string         `json:"id"`
	Method  string         `json:"method"`
	URI     string         `json:"uri"`
	URL     string         `json:"url"`
	Query   map[string]any `json:"querystring"`
	Headers map[string]any `json:"headers"`
	Size    int64          `json:"size"`
	TLS     *tlsInfo       `json:"tls,omitempty"`
}

type tlsInfo struct {
	Version string `json:"version"`
	Cipher  string `json:"cipher"`
	Verify  string `json:"client_verify"`
}

type response struct {
	Status  int            `json:"status"`
	Headers map[string]any `json:"headers"`
	Size    int64          `json:"size"`
}

// latencies are in milliseconds.
type latencies struct {
	Request int64 `json:"request"`
	Kong    int64 `json:"kong"`
	Proxy   int64 `json:"proxy"`
	Receive int64 `json:"receive"`
}

type try struct {
	Start   int64  `json:"balancer_start"`
	StartNs int64  `json:"balancer_start_ns"`
	IP      string `json:"ip"`
	Port    int    `json:"port"`
	State   string `json:"state,omitempty"`
	Code    int    `json:"code,omitempty"`
}

type consumer struct {
	ID       uuid.UUID `json:"id"`
	Username string    `json:"username,omitempty"`
	CustomID string    `json:"custom_id,omitempty"`
	Tags     []string  `json:"tags,omitempty"`
}

type authenticated struct {
	ID string `json:"id"`
}

// Serializer makes records. It may be used by many at once.
type Serializer struct {
	mu       sync.RWMutex
	entities map[any]json.RawMessage // of routes and services, by their addresses
}

// maxEntities bounds what a Serializer remembers: entities that were changed are
// among them.
const maxEntities = 4096

// Append appends the record of a request, with custom fields, which may be nil.
func (s *Serializer) Append(b []byte, x *httpproxy.Exchange, custom *Fields) ([]byte, error) {
	var r any = s.record(x)
	if custom != nil && !custom.empty() {
		var err error
		if r, err = custom.apply(r); err != nil {
			return nil, err
		}
	}
	out := bytes.NewBuffer(b)
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

func (s *Serializer) record(x *httpproxy.Exchange) *record {
	q, a := &x.Request, &x.Response
	l := Measure(x)
	r := &record{
		Request: request{
			ID: x.ID, Method: q.Method, URI: q.Target, URL: requestURL(q),
			Query: query(q.Query), Headers: headers(&q.Header, q.Host), Size: l.RequestSize, TLS: tlsOf(q.TLS),
		},
		Response: response{Status: a.Status, Headers: headers(&a.Header, ""), Size: l.ResponseSize},
		Latencies: latencies{
			Request: l.Request.Milliseconds(), Kong: l.Gateway.Milliseconds(), Proxy: -1, Receive: l.Receive.Milliseconds(),
		},
		Tries: tries(x.Tries), ClientIP: q.Client.String(), StartedAt: x.Started.UnixMilli(),
		Source: "kong", Workspace: Workspace, WorkspaceName: Workspace,
	}
	if l.HasUpstream {
		r.Latencies.Proxy = l.Upstream.Milliseconds()
	}
	if a.Source == httpproxy.FromService {
		r.Source = "upstream"
	}
	if len(x.Tries) > 0 {
		r.UpstreamURI = x.Upstream.Path
		if x.Upstream.HasQuery {
			r.UpstreamURI += "?" + x.Upstream.Query
		}
		r.Upstream = upstreamStatus(x.Tries)
	}
	if x.Route != nil {
		r.Route = s.entity(x.Route)
	}
	if x.Service != nil {
		r.Service = s.entity(x.Service)
	}
	if c := x.Consumer; c != nil {
		r.Consumer = &consumer{c.ID, c.Username, c.CustomID, c.Tags}
	}
	if x.Credential != nil {
		r.Authenticated = &authenticated{x.Credential.ID.String()}
	}
	return r
}

// entity is the JSON of a route or a service.
func (s *Serializer) entity(v any) json.RawMessage {
	s.mu.RLock()
	data := s.entities[v]
	s.mu.RUnlock()
	if data != nil {
		return data
	}
	data, err := json.Marshal(withoutBlanks(v))
	if err != nil {
		return json.RawMessage("null")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entities == nil || len(s.entities) >= maxEntities {
		s.entities = map[any]json.RawMessage{}
	}
	s.entities[v] = data
	return data
}

// withoutBlanks is an entity without what is not set.
func withoutBlanks(v any) any {
	data, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		return nil
	}
	for k, field := range m {
		if field == nil || field == "" {
			delete(m, k)
		}
	}
	return m
}

// redacted are the fields that prove who somebody is.
func redacted(name string) bool {
	return strings.EqualFold(name, "Authorization") || strings.EqualFold(name, "Proxy-Authorization")
}

// headers are the fields of a message by their names in lower case: a string,
// or an array where there is more than one.
func headers(h *httpproxy.Header, host string) map[string]any {
	m := make(map[string]any, h.Len()+1)
	if host != "" {
		m["host"] = host
	}
	for _, f := range h.Fields() {
		value := f.Value
		if redacted(f.Name) {
			value = "REDACTED"
		}
		put(m, strings.ToLower(f.Name), value)
	}
	return m
}

func put(m map[string]any, name string, value any) {
	switch had := m[name].(type) {
	case nil:
		m[name] = value
	case []any:
		m[name] = append(had, value)
	default:
		m[name] = []any{had, value}
	}
}

// query are the arguments by their names: true without a value.
func query(s string) map[string]any {
	m := map[string]any{}
	for part := range strings.SplitSeq(s, "&") {
		if part == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		if u, err := url.QueryUnescape(name); err == nil {
			name = u
		}
		if !ok {
			put(m, name, true)
			continue
		}
		if u, err := url.QueryUnescape(value); err == nil {
			value = u
		}
		put(m, name, value)
	}
	return m
}

// requestURL is the whole URL, with the port that it came to.
func requestURL(q *httpproxy.Request) string {
	host := q.Host
	if _, _, err := net.SplitHostPort(host); err != nil && q.Local.IsValid() {
		host += ":" + strconv.Itoa(int(q.Local.Port()))
	}
	if strings.HasPrefix(q.Target, "/") {
		return q.Scheme + "://" + host + q.Target
	}
	return q.Target
}

func tlsOf(s *tls.ConnectionState) *tlsInfo {
	if s == nil {
		return nil
	}
	info := &tlsInfo{Version: strings.Replace(tls.VersionName(s.Version), "TLS ", "TLSv", 1), Cipher: tls.CipherSuiteName(s.CipherSuite), Verify: "NONE"}
	if len(s.VerifiedChains) > 0 {
		info.Verify = "SUCCESS"
	}
	return info
}

func tries(all []httpproxy.Try) []try {
	made := make([]try, len(all))
	for i, t := range all {
		made[i] = try{Start: t.Began.UnixMilli(), StartNs: t.Began.UnixNano()}
		if host, port, err := net.SplitHostPort(t.Address); err == nil {
			made[i].IP = host
			made[i].Port, _ = strconv.Atoi(port)
		}
		if t.Err != nil {
			made[i].State, made[i].Code = "failed", codeOf(t.Err)
		}
	}
	return made
}

// codeOf is the status that a failed try stands for.
func codeOf(err error) int {
	var t interface{ Timeout() bool }
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &t) && t.Timeout() {
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway
}

// upstreamStatus are the statuses of all tries.
func upstreamStatus(all []httpproxy.Try) string {
	statuses := make([]string, len(all))
	for i, t := range all {
		status := t.Status
		if t.Err != nil {
			status = codeOf(t.Err)
		}
		statuses[i] = strconv.Itoa(status)
	}
	return strings.Join(statuses, ", ")
}

// Measures are the times that a request took, and its sizes.
type Measures struct {
	// Request is the time from the first byte to the last one, Gateway what the
	// gateway took of it before the upstream was asked and after it has
	// answered, Upstream until the upstream has answered, Receive until its
	// response was passed on.
	Request, Gateway, Upstream, Receive time.Duration
	// HasUpstream tells whether an upstream has answered.
	HasUpstream bool
	// Sizes of the messages with their heads, about.
	RequestSize, ResponseSize int64
}

// Measure measures a request that has ended.
func Measure(x *httpproxy.Exchange) Measures {
	m := Measures{Request: since(x.Ended, x.Started)}
	m.RequestSize = int64(len(x.Request.Method)+len(x.Request.Target)+len(x.Request.Host)+20) + size(&x.Request.Header) +
		max(x.Request.ContentLength, 0)
	m.ResponseSize = 17 + size(&x.Response.Header) + x.Response.Sent
	if x.HeadReceived.IsZero() {
		m.Gateway = m.Request
		return m
	}
	m.HasUpstream = true
	m.Upstream = since(x.HeadReceived, x.Accessed)
	m.Receive = since(x.Ended, x.HeadReceived)
	m.Gateway = since(x.Accessed, x.Started)
	return m
}

func since(end, start time.Time) time.Duration {
	if end.IsZero() || start.IsZero() {
		return 0
	}
	return max(end.Sub(start), 0)
}

func size(h *httpproxy.Header) int64 {
	n := 2
	for _, f := range h.Fields() {
		n += len(f.Name) + len(f.Value) + 4
	}
	return int64(n)
}

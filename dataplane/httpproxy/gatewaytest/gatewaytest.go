// Package gatewaytest starts gateways for tests, with what they are configured
// with and with upstreams that tell what they were asked.
package gatewaytest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// Gateway is a Proxy that runs until the end of a test.
type Gateway struct {
	*httpproxy.Proxy
	// URL is where it is without TLS, and SecureURL with TLS: neither has a
	// slash at its end.
	URL, SecureURL string
	// Client trusts any certificate, follows no redirects, asks for no
	// compression, and speaks HTTP/2 with SecureURL.
	Client *http.Client
	// Stop ends the gateway, and waits for it.
	Stop func()

	t       testing.TB
	modules []httpproxy.PluginModule
}

// Start starts a gateway. It listens at free ports; logs go to the test's log
// unless there is a logger.
func Start(t testing.TB, o httpproxy.Options, e httpproxy.Entities) *Gateway {
	t.Helper()
	if o.HTTP == "" {
		o.HTTP = "127.0.0.1:0"
	}
	if o.HTTPS == "" {
		o.HTTPS = "127.0.0.1:0"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	p, err := httpproxy.New(o)
	if err != nil {
		t.Fatal(err)
	}
	g := &Gateway{
		Proxy: p, URL: "http://" + p.Addr().String(), SecureURL: "https://" + p.TLSAddr().String(),
		t: t, modules: o.Modules,
	}
	g.complete(&e)
	if err := p.Update(httpproxy.Update{Put: e}); err != nil {
		_ = p.Close()
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	transport := &http.Transport{
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true},
		ForceAttemptHTTP2:  true,
		DisableCompression: true,
	}
	g.Client = &http.Client{
		Transport: transport, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	stopped := false
	g.Stop = func() {
		if stopped {
			return
		}
		stopped = true
		transport.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() { g.Stop() })
	return g
}

// Put puts entities.
func (g *Gateway) Put(entities ...any) {
	g.t.Helper()
	e := All(entities...)
	g.complete(&e)
	if err := g.Update(httpproxy.Update{Put: e}); err != nil {
		g.t.Fatal(err)
	}
}

// Remove takes entities out.
func (g *Gateway) Remove(keys ...httpproxy.Key) {
	g.t.Helper()
	if err := g.Update(httpproxy.Update{Remove: keys}); err != nil {
		g.t.Fatal(err)
	}
}

// complete fills the configurations of plugins up with defaults.
func (g *Gateway) complete(e *httpproxy.Entities) {
	g.t.Helper()
	for _, p := range e.Plugins {
		for i := range g.modules {
			if g.modules[i].Name != p.Name {
				continue
			}
			config := CompleteConfig(g.t, &g.modules[i].Config, string(p.Config))
			p.Config = config
		}
	}
}

// CompleteConfig fills a configuration up with the defaults of its schema, and
// fails the test if it is not valid.
func CompleteConfig(t testing.TB, r *schema.Record, config string) json.RawMessage {
	t.Helper()
	doc, err := schema.Decode([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	m, _ := doc.(map[string]any)
	m = r.Complete(m)
	if v := r.Validate(m); v != nil {
		t.Fatalf("the configuration %s is not valid: %v", config, v)
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Response is a response that was read to its end.
type Response struct {
	*http.Response
	Text string
}

// JSON decodes the body.
func (r *Response) JSON(t testing.TB) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(r.Text), &m); err != nil {
		t.Fatalf("the body is no JSON object: %v\n%s", err, r.Text)
	}
	return m
}

// Get asks for a path. The fields of the header are names and values in turn;
// one named Host is the request's host.
func (g *Gateway) Get(path string, header ...string) *Response {
	g.t.Helper()
	return g.Do(http.MethodGet, path, "", header...)
}

// Do sends a request to a path, or to a whole URL, with a body that may be "".
func (g *Gateway) Do(method, path, body string, header ...string) *Response {
	g.t.Helper()
	if strings.HasPrefix(path, "/") {
		path = g.URL + path
	}
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(g.t.Context(), method, path, reader)
	if err != nil {
		g.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if strings.EqualFold(header[i], "Host") {
			req.Host = header[i+1]
		} else {
			req.Header.Add(header[i], header[i+1])
		}
	}
	return g.Send(req)
}

// Send sends a request.
func (g *Gateway) Send(req *http.Request) *Response {
	g.t.Helper()
	res, err := g.Client.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return &Response{res, string(b)}
}

// Asked is what an Echo was asked.
type Asked struct {
	Method string              `json:"method"`
	Target string              `json:"target"` // path and query as they were sent
	Host   string              `json:"host"`
	Proto  string              `json:"proto"`
	Header map[string][]string `json:"header"`
	Body   string              `json:"body"`
	Peer   string              `json:"peer"`
	SNI    string              `json:"sni"`
}

// Asked decodes what an Echo has answered.
func (r *Response) Asked(t testing.TB) Asked {
	t.Helper()
	var a Asked
	if err := json.Unmarshal([]byte(r.Text), &a); err != nil {
		t.Fatalf("%s: this is not from the echo: %s", r.Status, r.Text)
	}
	return a
}

// Echo starts an upstream that answers with what it was asked, as JSON. It has
// the header "X-Echo: name".
func Echo(t testing.TB, name string) string {
	return Serve(t, EchoHandler(name))
}

// EchoHandler is the handler of Echo.
func EchoHandler(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a := Asked{
			Method: r.Method, Target: r.RequestURI, Host: r.Host, Proto: r.Proto, Header: r.Header, Body: string(body),
			Peer: r.RemoteAddr,
		}
		if r.TLS != nil {
			a.SNI = r.TLS.ServerName
		}
		w.Header().Set("X-Echo", name)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(a)
	})
}

// Serve starts an upstream that ends with the test, and gives its URL.
func Serve(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// ServeTLS starts an upstream with TLS. The pool has its certificate, which is
// for example.com.
func ServeTLS(t testing.TB, h http.Handler) (url string, pool *x509.Certificate) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL, s.Certificate()
}

// ServeTCP starts an upstream on TCP that gives each connection to serve, and
// closes it afterwards.
func ServeTCP(t testing.TB, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return "http://" + l.Addr().String()
}

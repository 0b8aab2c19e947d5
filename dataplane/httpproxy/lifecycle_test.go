package httpproxy_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

// TestDrain is that requests under way end well when the gateway does, while
// connections without one are closed.
func TestDrain(t *testing.T) {
	asked, answer := make(chan struct{}, 2), make(chan struct{})
	s := gatewaytest.Service(gatewaytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-answer
		_, _ = io.WriteString(w, "done")
	})))
	g := gatewaytest.Start(t, httpproxy.Options{Drain: time.Minute}, gatewaytest.All(s, gatewaytest.Route(s, "/")))
	idle, err := net.Dial("tcp", g.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	var clients sync.WaitGroup
	for _, base := range []string{g.URL, g.SecureURL} {
		clients.Go(func() {
			res, err := g.Client.Get(base)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			if b, err := io.ReadAll(res.Body); string(b) != "done" {
				t.Errorf("%s %q %v", res.Status, b, err)
			}
		})
		<-asked
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		g.Stop()
	}()
	if _, err := idle.Read(make([]byte, 1)); err == nil {
		t.Error("a connection without a request is open")
	}
	if _, err := net.Dial("tcp", g.Addr().String()); err == nil {
		t.Error("connections are taken in")
	}
	select {
	case <-stopped:
		t.Error("it has not waited for the requests")
	default:
	}
	close(answer)
	clients.Wait()
	<-stopped
	if err := g.Update(httpproxy.Update{}); err == nil {
		t.Error("a gateway that has ended is updated")
	}
}

// TestDrainHasAnEnd is that requests which take too long are cut off, and
// tunnels as well.
func TestDrainHasAnEnd(t *testing.T) {
	asked := make(chan struct{})
	hung, _ := script(t, func(nc net.Conn, r *http.Request) {
		asked <- struct{}{}
		hang(nc, r)
	})
	s := gatewaytest.Service(hung)
	ws := gatewaytest.Service(gatewaytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := websocket.Accept(w, r, nil); err == nil {
			_, _, _ = c.Read(r.Context())
		}
	})))
	g := gatewaytest.Start(t, httpproxy.Options{Drain: time.Millisecond}, gatewaytest.All(s, ws,
		gatewaytest.Route(s, "/"), gatewaytest.Route(ws, "/ws")))
	c, _, err := websocket.Dial(t.Context(), g.URL+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	failed := make(chan struct{})
	go func() {
		defer close(failed)
		if res, err := g.Client.Get(g.URL); err == nil {
			res.Body.Close()
		}
	}()
	<-asked
	g.Stop()
	<-failed
	if _, _, err := c.Read(t.Context()); err == nil {
		t.Error("the tunnel is open")
	}
}

// TestSlowClients is that clients which say nothing, or too little, are let go.
func TestSlowClients(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "a"))
	const soon = 50 * time.Millisecond
	g := gatewaytest.Start(t, httpproxy.Options{HeadTimeout: soon, IdleTimeout: soon, BodyTimeout: soon},
		gatewaytest.All(s, gatewaytest.Route(s, "/")))
	for sent, want := range map[string]string{
		"":                 "",
		"GET / HTTP/1.1\r": "408",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1": "408",
	} {
		got := raw(t, g, sent)
		if want == "" && got != "" || want != "" && !strings.HasPrefix(got, "HTTP/1.1 "+want) && got != "" {
			t.Errorf("%.30q: %q", sent, got)
		}
	}
	for _, sent := range []string{"", "x"} { // instead of a handshake
		nc, err := net.Dial("tcp", g.TLSAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(nc, sent)
		if _, err := nc.Read(make([]byte, 1)); err == nil {
			t.Errorf("TLS after %q: it answers", sent)
		}
		_ = nc.Close()
	}
}

// TestPipelining is several requests at once on one connection.
func TestPipelining(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "a"))
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/a")))
	got := raw(t, g, "GET /a/1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /a/2 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"+
		"GET /b HTTP/1.1\r\nHost: h\r\n\r\nGET /a/3 HTTP/1.0\r\n\r\n")
	in := bufio.NewReader(strings.NewReader(got))
	for _, want := range []string{`"/1"`, `"hi"`, "no Route", `"/3"`} {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(b), want) {
			t.Errorf("%q instead of %s: %v", b, want, err)
		}
	}
	if n, err := in.Peek(1); err != io.EOF {
		t.Errorf("there is more: %q", n)
	}
}

// TestStaleState is that nothing of a request is seen by the next one of its
// connection.
func TestStaleState(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "a"))
	type key struct{}
	g := gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{consumerBy(3),
		accesser("check", 2, func(x *httpproxy.Exchange) error {
			if x.Value(key{}) != nil || x.Response.Header.Len() > 0 || x.Consumer != nil && x.Request.Header.Get("User") == "" {
				x.Refuse(http.StatusConflict, "something is left")
			}
			x.SetValue(key{}, x.ID)
			x.Response.Header.Set("X-Early", "1")
			return nil
		})}}, gatewaytest.All(s, gatewaytest.Route(s, "/"), gatewaytest.Consumer("joe", ""),
		gatewaytest.Plugin("auth", "{}"), gatewaytest.Plugin("check", "{}")))
	ids := map[string]bool{}
	for _, user := range []string{"joe", "", "joe", ""} {
		res := g.Do(http.MethodPost, "/", "x", "User", user)
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s %s", res.Status, res.Text)
		}
		ids[res.Header.Get("X-Kong-Request-Id")] = true
	}
	if len(ids) != 4 {
		t.Errorf("%d IDs", len(ids))
	}
}

// lines is a writer that can be read meanwhile.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func TestAccessLog(t *testing.T) {
	var log lines
	s := gatewaytest.Service(gatewaytest.Echo(t, "a"), func(s *entity.Service) { s.Name = "svc" })
	r := gatewaytest.Route(s, "/a")
	g := gatewaytest.Start(t, httpproxy.Options{
		AccessLog: slog.New(slog.NewJSONHandler(&log, nil)), Modules: []httpproxy.PluginModule{consumerBy(1)},
	}, gatewaytest.All(s, r, gatewaytest.Consumer("joe", ""), gatewaytest.Plugin("auth", "{}")))
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	res := g.Get("/a/b?apikey=secret", "Traceparent", trace, "User", "joe")
	if got := res.Asked(t).Header["Traceparent"]; len(got) != 1 || got[0] != trace {
		t.Errorf("the upstream got the traceparent %q", got)
	}
	g.Get("/nothing", "Traceparent", "nonsense")
	g.Stop()
	var got []map[string]any
	for line := range strings.Lines(log.b.String()) {
		m := map[string]any{}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		got = append(got, m)
	}
	if len(got) != 2 || strings.Contains(log.b.String(), "secret") {
		t.Fatalf("the log is\n%s", log.b.String())
	}
	for k, want := range map[string]any{
		"request_id": res.Header.Get("X-Kong-Request-Id"), "method": "GET", "path": "/a/b", "status": 200.0, "service": "svc",
		"route": r.ID.String(), "consumer": "joe", "source": "service", "client": "127.0.0.1",
		"trace_id": "0af7651916cd43dd8448eb211c80319c", "sent": float64(len(res.Text)),
	} {
		if got[0][k] != want {
			t.Errorf("%s is %v instead of %v", k, got[0][k], want)
		}
	}
	if got[1]["status"] != 404.0 || got[1]["trace_id"] != nil || got[1]["source"] != "exit" {
		t.Errorf("the second is %v", got[1])
	}
}

func TestStatistics(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "a"))
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/")))
	g.Get("/")
	g.Do(http.MethodGet, g.SecureURL, "")
	g.Get("/")
	n := g.Statistics()
	if n.Requests != 3 || n.Accepted != 2 || n.Active != 2 {
		t.Errorf("%+v", n)
	}
	g.Client.CloseIdleConnections()
	waitFor(t, func() bool { return g.Statistics().Active == 0 })
}

// TestHost is what plugins may use of the gateway.
func TestHost(t *testing.T) {
	type state struct{ _ int }
	ended := make(chan struct{})
	var states []*state
	module := httpproxy.PluginModule{Name: "p", New: func(o httpproxy.PluginOptions) (httpproxy.Plugin, error) {
		states = append(states, o.Host.Shared("p", func() any { return new(state) }).(*state))
		if len(states) == 1 {
			o.Host.Go(func(ctx context.Context) {
				<-ctx.Done()
				close(ended)
			})
		}
		return access(func(*httpproxy.Exchange) error { return nil }), nil
	}}
	g := gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{module}}, httpproxy.Entities{})
	a, b := gatewaytest.Plugin("p", "{}"), gatewaytest.Plugin("p", "{}")
	g.Put(a)
	g.Put(b)
	if len(states) != 2 || states[0] != states[1] {
		t.Errorf("the states are %v", states)
	}
	g.Stop()
	<-ended
}

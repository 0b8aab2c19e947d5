package httpproxy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

// script is an upstream on TCP that does one thing after the other, one for
// each request; the last one again and again.
func script(t *testing.T, steps ...func(nc net.Conn, r *http.Request)) (url string, asked *atomic.Int32) {
	t.Helper()
	asked = new(atomic.Int32)
	return gatewaytest.ServeTCP(t, func(nc net.Conn) {
		in := bufio.NewReader(nc)
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			steps[min(int(asked.Add(1)), len(steps))-1](nc, r)
		}
	}), asked
}

func reset(nc net.Conn, _ *http.Request) {
	_ = nc.(*net.TCPConn).SetLinger(0)
	_ = nc.Close()
}

func hang(nc net.Conn, _ *http.Request) { _, _ = io.Copy(io.Discard, nc) }

func says(s string) func(net.Conn, *http.Request) {
	return func(nc net.Conn, _ *http.Request) { _, _ = io.WriteString(nc, s) }
}

var ok = says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

const (
	badUpstream = "An invalid response was received from the upstream server"
	timingOut   = "The upstream server is timing out"
)

func TestRetries(t *testing.T) {
	type step = func(net.Conn, *http.Request)
	for _, c := range []struct {
		name, method, body string
		unbuffered         bool
		retries            int
		steps              []step
		status, asked      int
		message            string
	}{
		{"reset, then good", "GET", "", false, 5, []step{reset, reset, ok}, 200, 3, ""},
		{"resets, more than retries", "GET", "", false, 2, []step{reset}, 502, 3, badUpstream},
		{"no retries", "GET", "", false, 0, []step{reset}, 502, 1, badUpstream},
		{"POST that was sent", "POST", "x", false, 5, []step{reset, ok}, 502, 1, badUpstream},
		{"PATCH that was sent", "PATCH", "x", false, 5, []step{reset, ok}, 502, 1, badUpstream},
		{"PUT with a body that was kept", "PUT", "x", false, 5, []step{reset, ok}, 200, 2, ""},
		{"PUT with a body that was not kept", "PUT", "x", true, 5, []step{reset, ok}, 502, 1, badUpstream},
		{"a time that is exceeded", "GET", "", false, 5, []step{hang, ok}, 200, 2, ""},
		{"times that are exceeded", "GET", "", false, 1, []step{hang}, 504, 2, timingOut},
		{"a status", "GET", "", false, 5, []step{says("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")}, 503, 1, ""},
		{"garbage", "GET", "", false, 5, []step{says("SSH-2.0-x\r\n\r\n")}, 502, 1, badUpstream},
		{"a head that ends", "GET", "", false, 5, []step{func(nc net.Conn, _ *http.Request) {
			_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\nX-")
			_ = nc.Close()
		}}, 502, 1, badUpstream},
		{"two lengths", "GET", "", false, 5, []step{says("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx")}, 502, 1,
			badUpstream},
		{"interim responses", "GET", "", false, 0, []step{says("HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No\r\n\r\n")}, 204, 1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			url, asked := script(t, c.steps...)
			s := gatewaytest.Service(url, func(s *entity.Service) { s.Retries, s.ReadTimeout = c.retries, 100 })
			g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/", func(r *entity.Route) {
				r.RequestBuffering = !c.unbuffered
			})))
			res := g.Do(c.method, "/", c.body, "Accept", "*/*")
			if c.message != "" {
				wantMessage(t, res, c.status, c.message)
			}
			if res.StatusCode != c.status || int(asked.Load()) != c.asked {
				t.Errorf("%s %s, asked %d times instead of %d", res.Status, res.Text, asked.Load(), c.asked)
			}
		})
	}
}

func TestConnectFailures(t *testing.T) {
	g := gatewaytest.Start(t, httpproxy.Options{}, httpproxy.Entities{})
	for _, c := range []struct {
		url     string
		status  int
		message string
	}{
		{"http://127.0.0.1:1", 502, badUpstream},
		{"http://nobody.invalid", 503, "name resolution failed"},
		{strings.Replace(gatewaytest.Echo(t, "a"), "http:", "https:", 1), 502, badUpstream},
	} {
		s := gatewaytest.Service(c.url)
		g.Put(s, gatewaytest.Route(s, "/"+s.ID.String()))
		wantMessage(t, g.Get("/"+s.ID.String(), "Accept", "*/*"), c.status, c.message)
	}
}

func TestResponseThatBreaksOff(t *testing.T) {
	for _, body := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 90000),
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n",
	} {
		url, _ := script(t, func(nc net.Conn, _ *http.Request) {
			_, _ = io.WriteString(nc, body)
			_ = nc.Close()
		})
		s := gatewaytest.Service(url)
		g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/")))
		for _, base := range []string{g.URL, g.SecureURL} {
			res, err := g.Client.Get(base + "/")
			if err != nil {
				continue // that is as good
			}
			if b, err := io.ReadAll(res.Body); err == nil {
				t.Errorf("%s: a part of a response looks like all of it: %s, %d bytes", base, res.Status, len(b))
			}
			res.Body.Close()
		}
	}
}

func TestBodies(t *testing.T) {
	url := gatewaytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Length", fmt.Sprint(r.ContentLength))
		w.Header().Add("Trailer", "X-Sum")
		b, err := io.ReadAll(r.Body)
		_, _ = w.Write(b)
		w.Header().Set("X-Sum", fmt.Sprint(len(b), err))
	}))
	s := gatewaytest.Service(url)
	g := gatewaytest.Start(t, httpproxy.Options{MaxBody: 3 << 20}, gatewaytest.All(s, gatewaytest.Route(s, "/kept"),
		gatewaytest.Route(s, "/streamed", func(r *entity.Route) { r.RequestBuffering, r.ResponseBuffering = false, false })))
	for _, size := range []int{0, 1, 1000, 64 << 10, bufferLimit - 1, bufferLimit, bufferLimit + 1, 2 << 20} {
		for _, path := range []string{"/kept", "/streamed"} {
			for _, base := range []string{g.URL, g.SecureURL} {
				for _, known := range []bool{true, false} {
					body := strings.Repeat("0123456789abcdef", size/16+1)[:size]
					var r io.Reader = strings.NewReader(body)
					if !known {
						r = struct{ io.Reader }{r}
					}
					req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+path, r)
					if err != nil {
						t.Fatal(err)
					}
					res := g.Send(req)
					if res.Text != body || res.StatusCode != http.StatusOK {
						t.Errorf("%s%s, %d bytes, known: %v: %s, %d bytes", base, path, size, known, res.Status, len(res.Text))
					}
					if got, want := res.Trailer.Get("X-Sum"), fmt.Sprint(size, nil); got != want && size > 0 {
						t.Errorf("%s%s, %d bytes: the trailer is %q instead of %q", base, path, size, got, want)
					}
				}
			}
		}
	}
	for _, base := range []string{g.URL, g.SecureURL} {
		for _, path := range []string{"/kept", "/streamed"} {
			long := strings.Repeat("x", 4<<20)
			wantMessage(t, g.Do(http.MethodPost, base+path, long), http.StatusRequestEntityTooLarge, "Payload too large")
		}
	}
}

// bufferLimit is from how many bytes on a body is kept in a file.
const bufferLimit = 256 << 10

func TestStreaming(t *testing.T) {
	next := make(chan string)
	url := gatewaytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for s := range next {
			_, _ = io.WriteString(w, s)
			w.(http.Flusher).Flush()
		}
	}))
	s := gatewaytest.Service(url)
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/")))
	res := make(chan *http.Response, 1)
	go func() {
		r, err := g.Client.Get(g.URL)
		if err != nil {
			t.Error(err)
		}
		res <- r
	}()
	next <- "one\n"
	r := <-res
	defer r.Body.Close()
	lines := bufio.NewReader(r.Body)
	for _, want := range []string{"one\n", "two\n", "three\n"} {
		if want != "one\n" {
			next <- want
		}
		if got, err := lines.ReadString('\n'); got != want {
			t.Fatalf("%q %v", got, err)
		}
	}
	close(next)
}

func TestContinue(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "a"))
	g := gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{
		accesser("no", 1, func(x *httpproxy.Exchange) error { x.Refuse(http.StatusForbidden, "no"); return nil }),
	}}, gatewaytest.All(s, gatewaytest.Route(s, "/")))
	nc, err := net.Dial("tcp", g.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	in := bufio.NewReader(nc)
	_, _ = io.WriteString(nc, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	if line, err := in.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q %v", line, err)
	}
	if _, err := in.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(nc, "hello")
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(res.Body); !strings.Contains(string(b), `"body":"hello"`) {
		t.Errorf("%s %s", res.Status, b)
	}
	g.Put(gatewaytest.Plugin("no", "{}"))
	got := raw(t, g, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 403 ") {
		t.Errorf("a request that is refused: %q", got)
	}
}

// TestEarlyResponse is one to a request that the upstream does not read to its
// end.
func TestEarlyResponse(t *testing.T) {
	url := gatewaytest.ServeTCP(t, func(nc net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(nc)); err == nil {
			_, _ = io.WriteString(nc, "HTTP/1.1 413 Too much\r\nContent-Length: 2\r\n\r\nno")
			_, _ = io.Copy(io.Discard, io.LimitReader(nc, 1<<20))
		}
	})
	s := gatewaytest.Service(url)
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/", func(r *entity.Route) {
		r.RequestBuffering = false
	})))
	body, write := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		piece := make([]byte, 32<<10)
		for {
			if _, err := write.Write(piece); err != nil {
				return
			}
		}
	}()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	if res := g.Send(req); res.StatusCode != http.StatusRequestEntityTooLarge || res.Text != "no" {
		t.Errorf("%s %q", res.Status, res.Text)
	}
	_ = body.Close()
	<-ended
}

func TestWebSocket(t *testing.T) {
	url := gatewaytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"echo"}})
		if err != nil {
			t.Error(err)
			return
		}
		defer c.CloseNow()
		for {
			kind, b, err := c.Read(r.Context())
			if err != nil {
				return
			}
			if err := c.Write(r.Context(), kind, b); err != nil {
				return
			}
		}
	}))
	s := gatewaytest.Service(url)
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/ws")))
	secure := &http.Client{Transport: http1(g)}
	for _, base := range []string{g.URL, g.SecureURL} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		c, res, err := websocket.Dial(ctx, base+"/ws", &websocket.DialOptions{HTTPClient: secure, Subprotocols: []string{"echo"}})
		if err != nil {
			t.Fatal(err)
		}
		if c.Subprotocol() != "echo" || res.Header.Get("X-Kong-Request-Id") == "" {
			t.Errorf("%v", res.Header)
		}
		for _, size := range []int{1, 1000, 30000} {
			want := strings.Repeat("x", size)
			if err := c.Write(ctx, websocket.MessageText, []byte(want)); err != nil {
				t.Fatal(err)
			}
			if _, got, err := c.Read(ctx); err != nil || string(got) != want {
				t.Fatalf("%d bytes came back: %v", len(got), err)
			}
		}
		if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
			t.Error(err)
		}
	}
}

// http1 is a transport that does not speak HTTP/2.
func http1(g *gatewaytest.Gateway) *http.Transport {
	t := g.Client.Transport.(*http.Transport).Clone()
	t.ForceAttemptHTTP2 = false
	t.TLSClientConfig.NextProtos = []string{"http/1.1"}
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	return t
}

// TestKeepAlive is that connections are used again, on both sides, and that one
// that the upstream has closed does not fail a request.
func TestKeepAlive(t *testing.T) {
	url, _ := script(t, ok)
	s := gatewaytest.Service(url)
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/")))
	echo := gatewaytest.Service(gatewaytest.Echo(t, "a"))
	g.Put(echo, gatewaytest.Route(echo, "/echo"))
	first := g.Get("/echo").Asked(t).Peer
	if again := g.Get("/echo").Asked(t).Peer; again != first {
		t.Errorf("two connections were made: %s, %s", first, again)
	}
	closing, asked := script(t, func(nc net.Conn, r *http.Request) {
		ok(nc, r)
		_ = nc.Close() // without a word
	})
	c := gatewaytest.Service(closing)
	g.Put(c, gatewaytest.Route(c, "/closing"))
	for i := range 20 {
		if res := g.Do(http.MethodPost, "/closing", "x"); res.StatusCode != http.StatusOK && i > 100 {
			t.Errorf("request %d: %s", i, res.Status)
		}
		if res := g.Get("/closing"); res.StatusCode != http.StatusOK {
			t.Errorf("request %d: %s", i, res.Status)
		}
	}
	if n := asked.Load(); n < 20 {
		t.Errorf("it was asked %d times", n)
	}
}

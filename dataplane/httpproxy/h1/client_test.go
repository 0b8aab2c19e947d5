package h1

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

func TestClientWithNetHTTP(t *testing.T) {
	upstream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Seen", fmt.Sprintf("%s %s %s %d/%s", r.Method, r.RequestURI, r.Host, r.ContentLength, r.Trailer.Get("Sum")))
		if r.ContentLength < 0 {
			w.Header().Set("Trailer", "X-Sum")
			w.(http.Flusher).Flush()
			defer w.Header().Set("X-Sum", "42")
		} else {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		}
		w.Write(body)
	})
	s := httptest.NewServer(upstream)
	defer s.Close()
	nc, err := net.Dial("tcp", s.Listener.Addr().String())
	must(t, err)
	t.Run("TCP", func(t *testing.T) { testClient(t, nc) })
	s = httptest.NewTLSServer(upstream)
	defer s.Close()
	nc, err = tls.Dial("tcp", s.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	must(t, err)
	t.Run("TLS", func(t *testing.T) { testClient(t, nc) })
}

func testClient(t *testing.T, nc net.Conn) {
	c := NewClient(nc, Options{ReadTimeout: time.Minute, WriteTimeout: time.Minute})
	defer c.Close()
	w := newResponse()
	for _, size := range []int{0, 1, 1000, 15 << 10, 16 << 10, 64 << 10, 1 << 20} {
		for _, chunked := range []bool{false, true} {
			what := fmt.Sprintf("%d bytes, chunked: %v", size, chunked)
			sent := bytes.Repeat([]byte("0123456789abcde\n"), size/16+1)[:size]
			r := newRequest()
			r.Method, r.Path, r.Host, r.Body, r.ContentLength = "POST", "/p?q=1", "h:80", bytes.NewReader(sent), int64(size)
			if chunked {
				r.ContentLength = -1
				r.Header.Add("Trailer", "Sum")
				r.Trailer.Add("Sum", "6")
			}
			if err := c.WriteRequest(r); err == ErrBodyPending {
				must(t, c.WriteRest())
			} else if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if err := c.ReadResponse(w); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if c.Reusable() && size > 1<<10 {
				t.Errorf("%s: reusable before the body is read", what)
			}
			got, err := io.ReadAll(w.Body)
			if err != nil || !bytes.Equal(got, sent) || !c.Alive() {
				t.Fatalf("%s: %d bytes came back, %v, alive: %v", what, len(got), err, c.Alive())
			}
			want := fmt.Sprintf("POST /p?q=1 h:80 %d/%s", r.ContentLength, r.Trailer.Get("Sum"))
			if seen := w.Header.Get("Seen"); seen != want || w.Status != 200 || w.Reason != "OK" {
				t.Errorf("%s: %q, want %q", what, seen, want)
			}
			if chunked && w.Trailer.Get("X-Sum") != "42" {
				t.Errorf("%s: trailers %s", what, fields(w.Trailer))
			}
		}
	}
}

func TestResponses(t *testing.T) {
	for _, c := range []struct {
		name, method, said string
		body               string
		length             int64
		reusable           bool
	}{
		{"length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc", 3, true},
		{"chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "abc", -1, true},
		{"until close", "GET", "HTTP/1.1 200 OK\r\n\r\nabc", "abc", -1, false},
		{"close", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", "abc", 3, false},
		{"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc", 3, false},
		{"HTTP/1.0 keep-alive", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: Keep-Alive\r\n\r\nabc", "abc", 3, true},
		{"more than the body", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\n\r\n", "abc", 3, false},
		{"HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "", 3, true},
		{"HEAD, chunks", "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "", -1, true},
		{"204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", "", 0, true},
		{"204 with a length", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc", "", 0, false},
		{"204 with no length", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "", 0, true},
		{"304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", "", 3, true},
		{"interim", "GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", 0, true},
		{"no reason", "GET", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "", 0, true},
	} {
		for _, piece := range []int{0, 1} {
			cl := NewClient(&script{said: c.said, piece: piece}, Options{})
			must(t, cl.WriteRequest(&Request{Method: c.method, Path: "/", Host: "h"}))
			w := newResponse()
			if err := cl.ReadResponse(w); err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			body, err := io.ReadAll(w.Body)
			if string(body) != c.body || w.ContentLength != c.length || w.Header.Len() != 0 || err != nil {
				t.Errorf("%s: %q, length %d, %s, %v", c.name, body, w.ContentLength, fields(w.Header), err)
			}
			// In pieces, what there is beside the body is seen by Alive.
			if cl.Reusable() != c.reusable && (piece == 0 || c.name != "more than the body") {
				t.Errorf("%s: reusable: %v", c.name, cl.Reusable())
			}
		}
	}
}

func TestBadResponses(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, said := range []string{
		"\r\n" + ok + "\r\n", "hello\r\n\r\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n",
		"HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 +20 OK\r\n\r\n", "HTTP/1.1 099 OK\r\n\r\n", "http/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 O\x00K\r\n\r\n",
		"HTTP/1.1 200 OK\n\n", ok + "A: b\n\r\n", ok + "A : b\r\n\r\n", ok + " A: b\r\n\r\n", ok + "A: b\r\n c\r\n\r\n", ok + "A: b\rc\r\n\r\n",
		ok + "A\r\n\r\n", ok + ": b\r\n\r\n",
		ok + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", ok + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		ok + "Content-Length: -1\r\n\r\n", ok + "Content-Length: 3, 3\r\n\r\nabc", ok + "Transfer-Encoding: gzip, chunked\r\n\r\n",
		ok + "Transfer-Encoding: identity\r\n\r\n", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 100),
		ok + strings.Repeat("A: b\r\n", 1001) + "\r\n", ok + "A: " + strings.Repeat("b", 65<<10) + "\r\n\r\n",
	} {
		c := NewClient(&script{said: said}, Options{})
		must(t, c.WriteRequest(&Request{Method: "GET", Path: "/", Host: "h"}))
		var pe *ProtocolError
		if err := c.ReadResponse(newResponse()); !errors.As(err, &pe) || c.Reusable() {
			t.Errorf("%.60q: %v, reusable: %v", said, err, c.Reusable())
		}
	}
}

func TestUpgradeOfClient(t *testing.T) {
	nc := &script{said: "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: a\r\n\r\nfirst"}
	c := NewClient(nc, Options{})
	must(t, c.WriteRequest(&Request{Method: "GET", Path: "/", Host: "h", Upgrade: "websocket"}))
	if got := nc.written.String(); got != "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n" {
		t.Errorf("%q", got)
	}
	w := newResponse()
	must(t, c.ReadResponse(w))
	if _, read := c.Hijack(); w.Status != 101 || w.Upgrade != "websocket" || string(read) != "first" || c.Reusable() {
		t.Errorf("%d %q %q", w.Status, w.Upgrade, read)
	}
}

func TestRequestForms(t *testing.T) {
	for _, c := range []struct {
		r    Request
		want string
	}{
		{Request{Method: "GET", Path: "/?"}, "GET /? HTTP/1.1\r\nHost: h\r\n\r\n"},
		{Request{Method: "POST", Path: "/"}, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"},
		{Request{Method: "OPTIONS", Path: "*"}, "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"},
		{Request{Method: "GET", Path: "/", Close: true, Trailers: true}, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close, TE\r\nTE: trailers\r\n\r\n"},
		{Request{Method: "GET", Path: "/", ContentLength: 3, Body: strings.NewReader("abc")}, "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"},
		{Request{Method: "GET", Path: "/", ContentLength: -1, Body: strings.NewReader("abc")}, "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
	} {
		nc := &script{}
		c.r.Host = "h"
		err := NewClient(nc, Options{}).WriteRequest(&c.r)
		if got := nc.written.String(); got != c.want || err != nil || nc.writes != 1 {
			t.Errorf("%q in %d writes, %v; want %q", got, nc.writes, err, c.want)
		}
	}
	for _, r := range []Request{
		{Method: "G T", Path: "/", Host: "h"}, {Method: "", Path: "/", Host: "h"}, {Method: "CONNECT", Path: "/", Host: "h"},
		{Method: "GET", Path: "", Host: "h"}, {Method: "GET", Path: "a", Host: "h"}, {Method: "GET", Path: "*", Host: "h"},
		{Method: "GET", Path: "/ HTTP/1.1\r\nA: b\r\n", Host: "h"}, {Method: "GET", Path: "/#a", Host: "h"}, {Method: "GET", Path: "/%zz", Host: "h"},
		{Method: "GET", Path: "/", Host: ""}, {Method: "GET", Path: "/", Host: "h\r\nA: b"}, {Method: "GET", Path: "/", Host: "u@h"},
		{Method: "GET", Path: "/", Host: "h", Upgrade: "a\r\nB: c"},
	} {
		nc := &script{}
		err := NewClient(nc, Options{}).WriteRequest(&r)
		var fe *FieldError
		if !errors.As(err, &fe) || nc.writes > 0 {
			t.Errorf("%+v: %v, %q", r, err, nc.written.String())
		}
	}
}

// client is one on one end of a connection; the other one is returned.
func client(t *testing.T, o Options) (*Client, net.Conn) {
	t.Helper()
	a, b := tcpPair(t)
	must(t, b.SetDeadline(time.Now().Add(time.Minute)))
	return NewClient(a, o), b
}

func TestClientErrors(t *testing.T) {
	get := &Request{Method: "GET", Path: "/", Host: "h"}
	for _, c := range []struct {
		name  string
		peer  func(net.Conn)
		cause error // nil: not to be told
		began bool
	}{
		{"closed", func(nc net.Conn) { nc.Close() }, nil, false},
		{"closed after the request", func(nc net.Conn) { nc.Read(make([]byte, 1000)); nc.Close() }, io.EOF, false},
		{"closed in the head", func(nc net.Conn) {
			nc.Read(make([]byte, 1000))
			io.WriteString(nc, "HTTP/1.1 200 OK\r\n")
			nc.Close()
		}, io.ErrUnexpectedEOF, true},
		{"silent", func(net.Conn) {}, os.ErrDeadlineExceeded, false},
	} {
		cl, peer := client(t, Options{ReadTimeout: 50 * time.Millisecond})
		done := make(chan struct{})
		go func() { defer close(done); c.peer(peer) }()
		err := cl.WriteRequest(get)
		if err == nil {
			err = cl.ReadResponse(newResponse())
		}
		<-done
		var ce *ConnError
		if !errors.As(err, &ce) || ce.Began != c.began || c.cause != nil && !errors.Is(err, c.cause) || cl.Reusable() {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for _, c := range []struct {
		said  string
		cause error
	}{
		{"Content-Length: 4\r\n\r\nabc", io.ErrUnexpectedEOF},
		{"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", io.ErrUnexpectedEOF},
		{"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", io.ErrUnexpectedEOF},
		{"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", nil},
	} {
		cl := NewClient(&script{said: "HTTP/1.1 200 OK\r\n" + c.said}, Options{})
		must(t, cl.WriteRequest(get))
		w := newResponse()
		must(t, cl.ReadResponse(w))
		_, err := io.ReadAll(w.Body)
		var pe *ProtocolError
		if c.cause == nil && !errors.As(err, &pe) || c.cause != nil && !errors.Is(err, c.cause) || cl.Reusable() {
			t.Errorf("%q: %v", c.said, err)
		}
	}
}

// waiting is a body whose rest comes once a channel is closed.
type waiting struct {
	first *strings.Reader
	until chan struct{}
	rest  *strings.Reader
}

func (w *waiting) Read(p []byte) (int, error) {
	if w.first.Len() > 0 {
		return w.first.Read(p)
	}
	<-w.until
	return w.rest.Read(p)
}

// TestPendingBody: what has to be waited for may be sent while a response is
// waited for. A body that is there is sent at once.
func TestPendingBody(t *testing.T) {
	c, peer := client(t, Options{})
	body := &waiting{strings.NewReader("abc"), make(chan struct{}), strings.NewReader("def")}
	if err := c.WriteRequest(&Request{Method: "POST", Path: "/", Host: "h", ContentLength: 6, Body: body}); err != ErrBodyPending {
		t.Fatal(err)
	}
	rest := make(chan error)
	go func() { rest <- c.WriteRest() }()
	io.WriteString(peer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	w := newResponse()
	must(t, c.ReadResponse(w))
	close(body.until)
	if got, err := io.ReadAll(w.Body); string(got) != "ok" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	must(t, <-rest)
	if !c.Reusable() {
		t.Error("it cannot be used again")
	}
	if err := c.WriteRequest(&Request{Method: "POST", Path: "/", Host: "h", ContentLength: 3, Body: strings.NewReader("abc")}); err != nil {
		t.Errorf("what is there: %v", err)
	}
}

func TestEarlyResponses(t *testing.T) {
	c, peer := client(t, Options{})
	io.WriteString(peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
	eventually(t, func() bool { return !c.silent() })
	body := &waiting{strings.NewReader("abc"), make(chan struct{}), strings.NewReader("def")}
	if err := c.WriteRequest(&Request{Method: "POST", Path: "/", Host: "h", ContentLength: -1, Body: body}); err != ErrBodyPending {
		t.Fatal(err)
	}
	w := newResponse()
	must(t, c.ReadResponse(w))
	rest := make(chan error)
	go func() { rest <- c.WriteRest() }()
	io.WriteString(peer, "3\r\nabc\r\n0\r\n\r\n")
	got, err := io.ReadAll(w.Body)
	if string(got) != "abc" || err != nil || c.Reusable() {
		t.Errorf("%q, %v, reusable: %v", got, err, c.Reusable())
	}
	close(body.until)
	must(t, <-rest)
	if !c.Reusable() {
		t.Error("not reusable")
	}
	const want = "3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
	c.Close()
	said, err := io.ReadAll(peer)
	if !strings.HasSuffix(string(said), want) || err != nil {
		t.Errorf("%q, %v", said, err)
	}
}

func TestAlive(t *testing.T) {
	for name, end := range map[string]func(net.Conn){
		"closed":  func(nc net.Conn) { nc.Close() },
		"talking": func(nc net.Conn) { io.WriteString(nc, "HTTP/1.1 408 Request Timeout\r\n\r\n") },
	} {
		c, peer := client(t, Options{ReadTimeout: 20 * time.Millisecond})
		must(t, c.WriteRequest(&Request{Method: "GET", Path: "/", Host: "h"}))
		io.WriteString(peer, "HTTP/1.1 204 No Content\r\n\r\n")
		must(t, c.ReadResponse(newResponse()))
		must(t, c.nc.SetReadDeadline(time.Now().Add(-time.Second))) // that of the last read has passed
		if !c.Alive() || c.in != nil {
			t.Errorf("%s: alive: %v; a buffer is held: %v", name, c.Alive(), c.in != nil)
		}
		end(peer)
		eventually(t, func() bool { return !c.Alive() })
	}
}

func TestCopy(t *testing.T) {
	a, b := tcpPair(t)
	x, y := tcpPair(t)
	go func() {
		io.Copy(a, strings.NewReader(strings.Repeat("abc", 100_000)))
		a.Close()
	}()
	copied := make(chan error)
	go func() {
		_, err := Copy(x, b)
		x.Close()
		copied <- err
	}()
	got, err := io.ReadAll(y)
	if len(got) != 300_000 || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	must(t, <-copied)
}

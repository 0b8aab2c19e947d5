package h1

import (
	"bufio"
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

	"github.com/backplane/backplane/dataplane/httpproxy/header"
)

// echo answers requests with what they were.
func echo(c *Server) {
	defer c.Linger()
	r, w := newRequest(), newResponse()
	for c.KeepAlive() {
		if err := c.ReadRequest(r); err != nil {
			var refused *ProtocolError
			if errors.As(err, &refused) {
				w.Header.Reset()
				w.Status, w.Body, w.ContentLength = refused.Status, nil, 0
				_, _ = c.WriteResponse(w)
			}
			return
		}
		w.Header.Reset()
		w.Header.Add("Seen", r.Method+" "+r.Path+" "+r.Host+" "+fields(r.Header))
		w.Status, w.ContentLength, w.Body, w.Trailer = 200, r.ContentLength, r.Body, r.Trailer
		if _, err := c.WriteResponse(w); err != nil {
			return
		}
	}
}

func TestServerWithNetHTTP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Run("TCP", func(t *testing.T) { testServer(t, l, "http") })
	other := httptest.NewTLSServer(nil) // it has a certificate
	defer other.Close()
	l, err = net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	config := &tls.Config{Certificates: other.TLS.Certificates}
	t.Run("TLS", func(t *testing.T) { testServer(t, tls.NewListener(l, config), "https") })
}

func testServer(t *testing.T, l net.Listener, scheme string) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			echo(NewServer(nc, Options{IdleTimeout: time.Minute, ReadTimeout: time.Minute, WriteTimeout: time.Minute}))
		}
	}()
	transport := &http.Transport{MaxConnsPerHost: 1, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	for _, size := range []int{-1, 0, 1, 1000, 15 << 10, 16 << 10, 64 << 10, 1 << 20} {
		for _, chunked := range []bool{false, true} {
			what := fmt.Sprintf("%d bytes, chunked: %v", size, chunked)
			sent := bytes.Repeat([]byte("0123456789abcde\n"), max(size, 0)/16+1)[:max(size, 0)]
			var body io.Reader
			if size >= 0 {
				body = bytes.NewReader(sent)
			}
			if chunked {
				body = io.MultiReader(bytes.NewReader(sent))
			}
			q, err := http.NewRequest("POST", scheme+"://"+l.Addr().String()+"/p?q=1", body)
			must(t, err)
			q.Header.Set("X-A", "b")
			if chunked {
				q.Trailer = http.Header{"X-Sum": {"42"}}
			}
			w, err := client.Do(q)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			got, err := io.ReadAll(w.Body)
			w.Body.Close()
			if err != nil || !bytes.Equal(got, sent) {
				t.Fatalf("%s: %d bytes came back, %v", what, len(got), err)
			}
			if seen := w.Header.Get("Seen"); !strings.HasPrefix(seen, "POST /p?q=1 "+l.Addr().String()) || !strings.Contains(seen, "X-A=b") {
				t.Errorf("%s: %q", what, seen)
			}
			if chunked && w.Trailer.Get("X-Sum") != "42" {
				t.Errorf("%s: trailers %v", what, w.Trailer)
			}
		}
	}
	l.Close()
	transport.CloseIdleConnections()
	<-done
}

// answers are the responses that a server gives to what is said to it.
func answers(t *testing.T, said string, piece int, methods ...string) (got []string, left string) {
	t.Helper()
	nc := &script{said: said, piece: piece}
	echo(NewServer(nc, Options{}))
	in := bufio.NewReader(strings.NewReader(nc.written.String()))
	for i := 0; ; i++ {
		method := "GET"
		if i < len(methods) {
			method = methods[i]
		}
		w, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			rest, _ := io.ReadAll(in)
			return got, string(rest)
		}
		b, err := io.ReadAll(w.Body)
		must(t, err)
		got = append(got, fmt.Sprintf("%d %s close=%v %s", w.StatusCode, w.Proto, w.Close, b))
	}
}

func TestKeepAlive(t *testing.T) {
	for _, c := range []struct {
		name, said string
		methods    []string
		want       []string
	}{
		{
			name: "pipelined",
			said: "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc\r\nPOST /3 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nde\r\n1\r\nf\r\n0\r\nA: b\r\n\r\nGET /4 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /5 HTTP/1.1\r\nHost: h\r\n\r\n",
			want: []string{"200 HTTP/1.1 close=false ", "200 HTTP/1.1 close=false abc", "200 HTTP/1.1 close=false def", "200 HTTP/1.1 close=true "},
		},
		{
			name: "HTTP/1.0",
			said: "GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\nGET /3 HTTP/1.0\r\n\r\n",
			want: []string{"200 HTTP/1.1 close=false ", "200 HTTP/1.1 close=true "},
		},
		{
			name:    "HEAD",
			said:    "HEAD /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nabGET /2 HTTP/1.1\r\nHost: h\r\n\r\n",
			methods: []string{"HEAD"},
			want:    []string{"200 HTTP/1.1 close=false ", "200 HTTP/1.1 close=false "},
		},
		{
			name: "refused",
			said: "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\nHost: h\r\n\r\n",
			want: []string{"200 HTTP/1.1 close=false ", "400 HTTP/1.1 close=true "},
		},
	} {
		for _, piece := range []int{0, 1, 7} {
			got, left := answers(t, c.said, piece, c.methods...)
			if fmt.Sprint(got) != fmt.Sprint(c.want) || left != "" {
				t.Errorf("%s, in pieces of %d:\ngot  %q, then %q\nwant %q", c.name, piece, got, left, c.want)
			}
		}
	}
}

// serve starts a server on one end of a connection; the other one is returned.
func serve(t *testing.T, o Options) (*Server, net.Conn) {
	t.Helper()
	a, b := tcpPair(t)
	must(t, b.SetDeadline(time.Now().Add(time.Minute)))
	return NewServer(a, o), b
}

func TestContinue(t *testing.T) {
	for _, ask := range []bool{true, false} {
		c, peer := serve(t, Options{})
		io.WriteString(peer, "PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n")
		r := newRequest()
		must(t, c.ReadRequest(r))
		if !r.ExpectContinue || r.Header.Len() != 0 {
			t.Fatalf("%+v", r)
		}
		in := bufio.NewReader(peer)
		if ask {
			read := make(chan string)
			go func() {
				b, _ := io.ReadAll(r.Body)
				read <- string(b)
			}()
			line, err := in.ReadString('\n')
			if line != "HTTP/1.1 100 Continue\r\n" {
				t.Fatalf("%q, %v", line, err)
			}
			in.ReadString('\n')
			io.WriteString(peer, "ab")
			if got := <-read; got != "ab" {
				t.Fatalf("body %q", got)
			}
		}
		w := newResponse()
		w.Status = 204
		_, err := c.WriteResponse(w)
		must(t, err)
		if c.KeepAlive() != ask {
			t.Errorf("asked for the body: %v, keep-alive: %v", ask, c.KeepAlive())
		}
		if !ask {
			if _, err := r.Body.Read(make([]byte, 1)); err == nil {
				t.Error("the body is asked for after the response")
			}
		}
		w2, err := http.ReadResponse(in, nil)
		must(t, err)
		if w2.Close == ask {
			t.Errorf("asked for the body: %v, close: %v", ask, w2.Close)
		}
	}
}

func TestUnreadBodies(t *testing.T) {
	for _, c := range []struct {
		name, framing, body string
		keep                bool // is known before the body
		next                bool
	}{
		{"short", "Content-Length: 5", "12345", true, true},
		{"long", "Content-Length: 5000", strings.Repeat("a", 5000), false, false},
		{"short chunks", "Transfer-Encoding: chunked", "5\r\n12345\r\n0\r\n\r\n", true, true},
		{"long chunks", "Transfer-Encoding: chunked", strings.Repeat("1\r\n1\r\n", 200_000) + "0\r\n\r\n", true, false},
		{"bad chunks", "Transfer-Encoding: chunked", "5\r\n1234567\r\n0\r\n\r\n", true, false},
	} {
		said := "PUT /1 HTTP/1.1\r\nHost: h\r\n" + c.framing + "\r\n\r\n" + c.body + "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n"
		s := NewServer(&script{said: said}, Options{Drain: 1000})
		r, w := newRequest(), newResponse()
		must(t, s.ReadRequest(r))
		w.Status = 200
		if _, err := s.WriteResponse(w); err != nil || s.KeepAlive() != c.keep {
			t.Errorf("%s: keep-alive: %v, %v", c.name, s.KeepAlive(), err)
		}
		err := s.ReadRequest(r)
		if (err == nil) != c.next || err == nil && r.Path != "/2" || err != nil && !errors.Is(err, io.EOF) {
			t.Errorf("%s: the next request: %s, %v", c.name, r.Path, err)
		}
	}
}

func TestServerTimeouts(t *testing.T) {
	const soon = 20 * time.Millisecond
	for _, c := range []struct {
		name  string
		o     Options
		said  string
		began bool
		body  bool
	}{
		{"idle", Options{IdleTimeout: soon}, "", false, false},
		{"head", Options{IdleTimeout: time.Hour, HeadTimeout: soon}, "GET / HTTP/1.1\r\nHost: h\r\n", true, false},
		{"body", Options{ReadTimeout: soon}, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\na", true, true},
	} {
		s, peer := serve(t, c.o)
		io.WriteString(peer, c.said)
		r := newRequest()
		err := s.ReadRequest(r)
		if c.body {
			must(t, err)
			_, err = io.ReadAll(r.Body)
		}
		var ce *ConnError
		if !errors.As(err, &ce) || !errors.Is(err, os.ErrDeadlineExceeded) || ce.Began != c.began {
			t.Errorf("%s: %v", c.name, err)
		}
		if s.in != nil && !c.began {
			t.Errorf("%s: a buffer is held", c.name)
		}
	}
}

func TestShutdown(t *testing.T) {
	s, _ := serve(t, Options{})
	read := make(chan error)
	r := newRequest()
	go func() { read <- s.ReadRequest(r) }()
	eventually(t, func() bool { return s.state.Load() == idle })
	s.Shutdown()
	if err := <-read; !errors.Is(err, io.EOF) || s.KeepAlive() {
		t.Errorf("an idle connection: %v", err)
	}
	s, peer := serve(t, Options{})
	io.WriteString(peer, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	must(t, s.ReadRequest(r))
	s.Shutdown()
	w := newResponse()
	w.Status = 200
	_, err := s.WriteResponse(w)
	must(t, err)
	got, err := http.ReadResponse(bufio.NewReader(peer), nil)
	must(t, err)
	if !got.Close || s.KeepAlive() {
		t.Errorf("close: %v, keep-alive: %v", got.Close, s.KeepAlive())
	}
}

func TestHijack(t *testing.T) {
	nc := &script{said: "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\nfirst"}
	s := NewServer(nc, Options{})
	r, w := newRequest(), newResponse()
	must(t, s.ReadRequest(r))
	if r.Upgrade != "websocket" || fields(r.Header) != "Sec-WebSocket-Key=k" {
		t.Fatalf("%q, %q", r.Upgrade, fields(r.Header))
	}
	w.Status, w.Upgrade = 101, r.Upgrade
	w.Header.Add("Sec-WebSocket-Accept", "a")
	_, err := s.WriteResponse(w)
	must(t, err)
	if got := nc.written.String(); got != "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" {
		t.Errorf("%q", got)
	}
	if got, read := s.Hijack(); got != net.Conn(nc) || string(read) != "first" || s.KeepAlive() {
		t.Errorf("%v, %q", got, read)
	}
}

func TestResponseForms(t *testing.T) {
	body := func() io.Reader { return strings.NewReader("abc") }
	trailer := &header.Header{}
	trailer.Add("Sum", "6")
	trailer.Add("Host", "dropped")
	for _, c := range []struct {
		name, method, version string
		w                     Response
		want                  string
		keep                  bool
	}{
		{"length", "GET", "1.1", Response{Status: 200, ContentLength: 3, Body: body()}, "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 3\r\n\r\nabc", true},
		{"chunks", "GET", "1.1", Response{Status: 200, ContentLength: -1, Body: body(), Trailer: trailer}, "HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nSum: 6\r\n\r\n", true},
		{"until close", "GET", "1.0", Response{Status: 200, ContentLength: -1, Body: body()}, "HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\nabc", false},
		{"HEAD", "HEAD", "1.1", Response{Status: 200, ContentLength: 3, Body: body()}, "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 3\r\n\r\n", true},
		{"HEAD, length unknown", "HEAD", "1.1", Response{Status: 200, ContentLength: -1, Body: body()}, "HTTP/1.1 200 OK\r\nA: b\r\n\r\n", true},
		{"204", "GET", "1.1", Response{Status: 204, ContentLength: 3, Body: body()}, "HTTP/1.1 204 No Content\r\nA: b\r\n\r\n", true},
		{"304", "GET", "1.1", Response{Status: 304, ContentLength: 3, Body: body()}, "HTTP/1.1 304 Not Modified\r\nA: b\r\nContent-Length: 3\r\n\r\n", true},
		{"no body", "GET", "1.1", Response{Status: 599, Reason: "Odd", ContentLength: -1}, "HTTP/1.1 599 Odd\r\nA: b\r\nContent-Length: 0\r\n\r\n", true},
		{"close", "GET", "1.1", Response{Status: 200, Body: nil, Close: true}, "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", false},
		{"426", "GET", "1.1", Response{Status: 426, Upgrade: "TLS/1.2, HTTP/1.1"}, "HTTP/1.1 426 Upgrade Required\r\nA: b\r\nContent-Length: 0\r\nConnection: Upgrade\r\nUpgrade: TLS/1.2, HTTP/1.1\r\n\r\n", true},
	} {
		nc := &script{said: c.method + " / HTTP/" + c.version + "\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"}
		s := NewServer(nc, Options{})
		must(t, s.ReadRequest(newRequest()))
		if c.version == "1.0" {
			c.want = strings.Replace(c.want, "Connection: keep-alive\r\n", "", 1)
		}
		c.w.Header = &header.Header{}
		c.w.Header.Add("A", "b")
		for _, name := range []string{"Connection", "content-length", "TRANSFER-ENCODING", "Upgrade", "Keep-Alive"} {
			c.w.Header.Add(name, "dropped")
		}
		sent, err := s.WriteResponse(&c.w)
		if got := nc.written.String(); got != c.want || err != nil || s.KeepAlive() != c.keep || nc.writes != 1 {
			t.Errorf("%s: %q in %d writes, keep-alive: %v, %v", c.name, got, nc.writes, s.KeepAlive(), err)
		}
		if want := int64(strings.Count(c.want, "abc") * 3); sent != want {
			t.Errorf("%s: %d bytes sent", c.name, sent)
		}
	}
}

// failing is a body that fails after a part.
type failing struct{ io.Reader }

func (f failing) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err == io.EOF {
		err = errors.ErrUnsupported
	}
	return n, err
}

func TestFailingBodies(t *testing.T) {
	for _, c := range []struct {
		name   string
		body   io.Reader
		length int64
		cause  error
		want   string
	}{
		{"shorter than told", strings.NewReader("abc"), 4, ErrBodyLength, ""},
		{"fails", failing{strings.NewReader("abc")}, 4, errors.ErrUnsupported, "Content-Length: 4\r\n\r\nabc"},
		{"fails in chunks", failing{strings.NewReader("abc")}, -1, errors.ErrUnsupported, "chunked\r\n\r\n3\r\nabc\r\n"},
	} {
		nc := &script{said: "GET / HTTP/1.1\r\nHost: h\r\n\r\n"}
		s := NewServer(nc, Options{})
		must(t, s.ReadRequest(newRequest()))
		_, err := s.WriteResponse(&Response{Status: 200, ContentLength: c.length, Body: c.body})
		var source *SourceError
		if !errors.As(err, &source) || !errors.Is(err, c.cause) || s.KeepAlive() || s.Responded() != (c.want != "") {
			t.Errorf("%s: %v, responded: %v", c.name, err, s.Responded())
		}
		if got := nc.written.String(); !strings.HasSuffix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

func TestFieldsThatCannotBeWritten(t *testing.T) {
	for _, f := range [][2]string{{"A", "b\r\nC: d"}, {"A", "b\nC"}, {"A", "\x00"}, {"A\r\nB", "c"}, {"A:", "b"}, {"", "b"}, {"A b", "c"}} {
		h := &header.Header{}
		h.Add(f[0], f[1])
		nc := &script{said: "GET / HTTP/1.1\r\nHost: h\r\n\r\n"}
		s := NewServer(nc, Options{})
		must(t, s.ReadRequest(newRequest()))
		_, err := s.WriteResponse(&Response{Status: 200, Header: h})
		var fe *FieldError
		if !errors.As(err, &fe) || nc.written.Len() > 0 || s.Responded() {
			t.Errorf("response with %q: %v, %q", f, err, nc.written.String())
		}
		if _, err := s.WriteResponse(&Response{Status: 500}); err != nil {
			t.Errorf("another response after %q: %v", f, err)
		}
		err = NewClient(nc, Options{}).WriteRequest(&Request{Method: "GET", Path: "/", Host: "h", Header: h})
		if !errors.As(err, &fe) {
			t.Errorf("request with %q: %v", f, err)
		}
	}
}

func TestWriteInfo(t *testing.T) {
	nc := &script{said: "GET / HTTP/1.1\r\nHost: h\r\n\r\n"}
	s := NewServer(nc, Options{})
	must(t, s.ReadRequest(newRequest()))
	h := &header.Header{}
	h.Add("Link", "</a>")
	must(t, s.WriteInfo(103, h))
	_, err := s.WriteResponse(&Response{Status: 204})
	must(t, err)
	if got := nc.written.String(); got != "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n" {
		t.Errorf("%q", got)
	}
	if err := s.WriteInfo(103, h); err == nil {
		t.Error("an interim response after the final one")
	}
}

func TestLinger(t *testing.T) {
	s, peer := serve(t, Options{Drain: 10})
	io.WriteString(peer, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 400000\r\n\r\n"+strings.Repeat("a", 200_000))
	must(t, s.ReadRequest(newRequest()))
	_, err := s.WriteResponse(&Response{Status: 413, ContentLength: 3, Body: strings.NewReader("big")})
	must(t, err)
	closed := make(chan error)
	go func() { closed <- s.Linger() }()
	io.WriteString(peer, strings.Repeat("a", 200_000))
	got, err := io.ReadAll(peer)
	if !strings.HasSuffix(string(got), "big") || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	peer.Close()
	must(t, <-closed)
}

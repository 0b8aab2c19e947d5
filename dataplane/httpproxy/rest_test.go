package httpproxy_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

// way is how a client reaches the gateway.
type way struct {
	name   string
	loops  int
	secure bool
	h2     bool
}

var ways = []way{{name: "loops"}, {name: "goroutines", loops: -1}, {name: "TLS", secure: true}, {name: "TLS without loops", secure: true, loops: -1}, {name: "HTTP2", secure: true, h2: true}}

// upload is a request whose body is sent piece by piece.
type upload struct {
	*io.PipeWriter
	response chan *http.Response
	err      chan error
}

// begin begins to send a request.
func (w way) begin(t *testing.T, g *gatewaytest.Gateway) *upload {
	t.Helper()
	url := g.URL
	if w.secure {
		url = g.SecureURL
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: w.h2}
	if !w.h2 {
		transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	t.Cleanup(transport.CloseIdleConnections)
	body, to := io.Pipe()
	t.Cleanup(func() { _ = to.Close() })
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	u := &upload{to, make(chan *http.Response, 1), make(chan error, 1)}
	go func() {
		res, err := transport.RoundTrip(req)
		u.response <- res
		u.err <- err
	}()
	return u
}

// head waits for the head of the response.
func (u *upload) head(t *testing.T) *http.Response {
	t.Helper()
	select {
	case res := <-u.response:
		if err := <-u.err; err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = res.Body.Close() })
		return res
	case <-time.After(10 * time.Second):
		t.Fatal("there is no response")
	}
	return nil
}

func (w way) start(t *testing.T, upstream string, change ...func(*entity.Service)) *gatewaytest.Gateway {
	t.Helper()
	s := gatewaytest.Service(upstream, change...)
	return gatewaytest.Start(t, httpproxy.Options{Loops: w.loops}, gatewaytest.All(s,
		gatewaytest.Route(s, "/", func(r *entity.Route) { r.RequestBuffering = false })))
}

func everyWay(t *testing.T, test func(t *testing.T, w way)) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			test(t, w)
		})
	}
}

// TestRefusedUpload: an upstream that answers before it has the whole request is
// heard, also by a client that sends nothing more until then.
func TestRefusedUpload(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		upstream := gatewaytest.ServeTCP(t, func(nc net.Conn) {
			in := bufio.NewReader(nc)
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			if _, err := io.ReadFull(r.Body, make([]byte, 5)); err == nil {
				_, _ = io.WriteString(nc, "HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nmuch")
			}
			_, _ = io.Copy(io.Discard, in)
		})
		u := w.begin(t, w.start(t, upstream))
		_, _ = io.WriteString(u, "piece")
		res := u.head(t)
		if body, err := io.ReadAll(res.Body); res.StatusCode != http.StatusRequestEntityTooLarge || string(body) != "much" || err != nil {
			t.Errorf("%s %q, %v", res.Status, body, err)
		}
	})
}

// TestBothWays: an upstream that answers each piece of a request is heard piece
// by piece.
func TestBothWays(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		upstream := gatewaytest.Serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			c := http.NewResponseController(rw)
			_ = c.EnableFullDuplex()
			rw.WriteHeader(http.StatusOK)
			_ = c.Flush()
			piece := make([]byte, 64)
			for {
				n, err := r.Body.Read(piece)
				_, _ = rw.Write(piece[:n])
				_ = c.Flush()
				if err != nil {
					return
				}
			}
		}))
		u := w.begin(t, w.start(t, upstream))
		res := u.head(t) // before anything is sent
		for i := range 5 {
			sent := fmt.Sprintf("piece %d", i)
			if _, err := io.WriteString(u, sent); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(sent))
			if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != sent {
				t.Fatalf("%q, %v", got, err)
			}
		}
		_ = u.Close()
		if rest, err := io.ReadAll(res.Body); len(rest) > 0 || err != nil {
			t.Errorf("at the end there is %q, %v", rest, err)
		}
	})
}

// TestLongUpload: an upstream may take its time as long as it is being sent
// something, and no longer afterwards than otherwise. The connection to it is
// used again.
func TestLongUpload(t *testing.T) {
	const timeout = 150 * time.Millisecond
	everyWay(t, func(t *testing.T, w way) {
		var connections, requests atomic.Int32
		upstream := gatewaytest.ServeTCP(t, func(nc net.Conn) {
			connections.Add(1)
			in := bufio.NewReader(nc)
			for {
				r, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				body, err := io.ReadAll(r.Body)
				if err != nil {
					return
				}
				if requests.Add(1) < 4 {
					fmt.Fprintf(nc, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n%02d", len(body))
				}
			}
		})
		g := w.start(t, upstream, func(s *entity.Service) { s.ReadTimeout, s.Retries = timeout.Milliseconds(), 0 })
		send := func(pause time.Duration) (int, string) {
			u := w.begin(t, g)
			tick := time.NewTicker(pause)
			defer tick.Stop()
			for range 10 {
				<-tick.C
				if _, err := io.WriteString(u, "x"); err != nil {
					break
				}
			}
			_ = u.Close()
			res := u.head(t)
			body, err := io.ReadAll(res.Body)
			if err != nil {
				t.Error(err)
			}
			return res.StatusCode, string(body)
		}
		for _, pause := range []time.Duration{timeout / 5, time.Millisecond, timeout / 3} {
			if status, body := send(pause); status != http.StatusOK || body != "10" {
				t.Errorf("%d %s", status, body)
			}
		}
		if n := connections.Load(); n > 2 {
			t.Errorf("%d connections were made", n)
		}
		if status, _ := send(timeout / 5); status != http.StatusGatewayTimeout {
			t.Errorf("an upstream that says nothing: %d", status)
		}
	})
}

// TestUploadBreaksOff: the upstream is told when a client leaves in the midst of
// a request, and a client is told what is wrong with its own.
func TestUploadBreaksOff(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		left := make(chan error, 1)
		upstream := gatewaytest.ServeTCP(t, func(nc net.Conn) {
			r, err := http.ReadRequest(bufio.NewReader(nc))
			if err == nil {
				_, err = io.ReadAll(r.Body)
			}
			left <- err
		})
		u := w.begin(t, w.start(t, upstream))
		_, _ = io.WriteString(u, "piece")
		select {
		case <-u.response:
			t.Error("there is a response")
		case <-left:
			t.Error("the request has ended")
		case <-time.After(50 * time.Millisecond): // the gateway waits for both sides by now
		}
		_ = u.CloseWithError(io.ErrUnexpectedEOF)
		select {
		case err := <-left:
			if err == nil {
				t.Error("the upstream has got a whole request")
			}
		case <-time.After(10 * time.Second):
			t.Error("the upstream waits still")
		}
	})
	w := way{name: "loops"}
	g := w.start(t, gatewaytest.ServeTCP(t, func(nc net.Conn) { _, _ = io.Copy(io.Discard, nc) }))
	nc, err := net.Dial("tcp", g.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_, _ = io.WriteString(nc, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\npiece\r\n")
	pause := time.NewTimer(50 * time.Millisecond)
	<-pause.C
	_, _ = io.WriteString(nc, "no chunk\r\n")
	res, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), "Bad request") {
		t.Errorf("what is no chunk is answered %s %s", res.Status, body)
	}
}

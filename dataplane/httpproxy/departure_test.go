package httpproxy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

// entries are the lines of an access log.
func (l *lines) entries(t *testing.T) (all []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		m := map[string]any{}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

// silent is an upstream that answers requests for /good, and hangs on others:
// asked tells of those, and left of the end of their connections.
func silent(t *testing.T) (url string, asked, left chan struct{}) {
	asked, left = make(chan struct{}, 8), make(chan struct{}, 8)
	url, _ = script(t, func(nc net.Conn, r *http.Request) {
		if r.URL.Path == "/good" {
			ok(nc, r)
			return
		}
		asked <- struct{}{}
		hang(nc, r)
		left <- struct{}{}
	})
	return url, asked, left
}

// TestClientsThatLeave is that an upstream which is silent is let go when the
// client leaves, by closing the connection or by resetting it, and that others
// go on.
func TestClientsThatLeave(t *testing.T) {
	const get, post = "GET /hang HTTP/1.1\r\nHost: a\r\n\r\n", "POST /hang HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
	for _, secure := range []bool{false, true} {
		for how, leave := range map[string]func(net.Conn){
			"close": func(nc net.Conn) { _ = nc.Close() },
			"reset": func(nc net.Conn) {
				if tc, ok := nc.(*tls.Conn); ok {
					nc = tc.NetConn()
				}
				reset(nc, nil)
			},
		} {
			for _, request := range []string{get, post} {
				t.Run(fmt.Sprintf("%s %.4s TLS %v", how, request, secure), func(t *testing.T) {
					t.Parallel()
					testLeaving(t, secure, request, leave)
				})
			}
		}
	}
}

func testLeaving(t *testing.T, secure bool, request string, leave func(net.Conn)) {
	var log lines
	url, asked, left := silent(t)
	s := gatewaytest.Service(url)
	g := gatewaytest.Start(t, httpproxy.Options{AccessLog: slog.New(slog.NewJSONHandler(&log, nil))},
		gatewaytest.All(s, gatewaytest.Route(s, "/")))
	g.Get("/good") // so that a connection is there, which is used again
	addr := g.Addr()
	if secure {
		addr = g.TLSAddr()
	}
	nc, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	if secure {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	}
	if _, err := io.WriteString(nc, request); err != nil {
		t.Fatal(err)
	}
	<-asked
	leave(nc)
	<-left
	if res := g.Get("/good"); res.StatusCode != http.StatusOK {
		t.Errorf("the next request: %s", res.Status)
	}
	g.Client.CloseIdleConnections()
	waitFor(t, func() bool { return g.Statistics().Active == 0 })
	g.Stop()
	var statuses []any
	for _, e := range log.entries(t) {
		statuses = append(statuses, e["status"])
		if e["path"] == "/hang" && (e["status"] != 499.0 || e["tries"] != 1.0) {
			t.Errorf("of the client that left the log says %v", e)
		}
	}
	if len(statuses) != 3 {
		t.Errorf("the statuses are %v", statuses)
	}
}

// TestHalfClosed is that a client which says that it will ask nothing more gets
// its responses.
func TestHalfClosed(t *testing.T) {
	url, _ := script(t, ok)
	s := gatewaytest.Service(url)
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/")))
	for range 20 {
		nc, err := net.Dial("tcp", g.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(nc, strings.Repeat("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 3))
		if err := nc.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(nc)
		for i := range 3 {
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatalf("response %d: %v", i, err)
			}
			if b, err := io.ReadAll(res.Body); string(b) != "ok" || err != nil {
				t.Errorf("%s %q %v", res.Status, b, err)
			}
		}
		if b, err := io.ReadAll(in); len(b) > 0 || err != nil {
			t.Errorf("there is more: %q %v", b, err)
		}
		_ = nc.Close()
	}
}

// TestLeavingPlugins is that what plugins wait for ends with the client, too.
func TestLeavingPlugins(t *testing.T) {
	waits, ended := make(chan struct{}), make(chan error, 1)
	s := gatewaytest.Service(gatewaytest.Echo(t, "a"))
	g := gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{
		accesser("wait", 1, func(x *httpproxy.Exchange) error {
			x.Outside(func() {
				close(waits)
				<-x.Context().Done()
			})
			ended <- context.Cause(x.Context())
			return nil
		}),
	}}, gatewaytest.All(s, gatewaytest.Route(s, "/"), gatewaytest.Plugin("wait", "{}")))
	nc, err := net.Dial("tcp", g.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(nc, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-waits
	_ = nc.Close()
	if err := <-ended; err == nil {
		t.Error("the context has not ended")
	}
}

package httpproxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

// TestHeadThatBreaksOff: nothing of a head that cannot be read, or of interim
// responses, is in what the client is answered in its place.
func TestHeadThatBreaksOff(t *testing.T) {
	for name, sent := range map[string]string{
		"malformed": "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nX-Part: 1\r\nno field\r\n\r\n",
		"interim":   "HTTP/1.1 103 Early Hints\r\nX-Part: 1\r\n\r\nHTTP",
	} {
		t.Run(name, func(t *testing.T) {
			url, _ := script(t, func(nc net.Conn, r *http.Request) {
				says(sent)(nc, r)
				_ = nc.Close()
			})
			s := gatewaytest.Service(url, func(s *entity.Service) { s.Retries = 0 })
			g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/")))
			res := g.Get("/", "Accept", "application/json")
			wantMessage(t, res, http.StatusBadGateway, badUpstream)
			for _, field := range []string{"X-Part", "Content-Encoding"} {
				if v := res.Header.Get(field); v != "" {
					t.Errorf("%s is %q", field, v)
				}
			}
		})
	}
}

// TestSwitchBeforeTheEnd: an upstream cannot change the protocol while the
// request is being sent, whose body would be read as two things at once.
func TestSwitchBeforeTheEnd(t *testing.T) {
	url := gatewaytest.ServeTCP(t, func(nc net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(nc)); err == nil {
			_, _ = io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
			_, _ = io.Copy(nc, nc)
		}
	})
	s := gatewaytest.Service(url)
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/")))
	nc, err := net.Dial("tcp", g.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_, _ = io.WriteString(nc, "POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 1000000\r\n\r\n")
	answered := make(chan struct{})
	var sent sync.WaitGroup
	sent.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-answered:
				return
			case <-tick.C:
				_, _ = nc.Write([]byte("x"))
			}
		}
	})
	res, err := http.ReadResponse(bufio.NewReader(nc), nil)
	close(answered)
	sent.Wait()
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusBadGateway || res.Header.Get("Upgrade") != "" {
		t.Errorf("%s %v", res.Status, res.Header)
	}
}

// TestPanicLetsUpstreamGo: a fault in the gateway costs the request its
// connection, which is closed.
func TestPanicLetsUpstreamGo(t *testing.T) {
	ended := make(chan struct{}, 2)
	url := gatewaytest.ServeTCP(t, func(nc net.Conn) {
		in := bufio.NewReader(nc)
		if r, err := http.ReadRequest(in); err == nil {
			ok(nc, r)
			_, _ = io.Copy(io.Discard, in)
			ended <- struct{}{}
		}
	})
	s := gatewaytest.Service(url)
	g := gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{
		responder("after", 1, func(x *httpproxy.Exchange) error {
			if x.Request.Path == "/after" {
				x.Response.Body, x.Response.ContentLength = panicking{}, -1
			}
			return nil
		}),
		accesser("before", 1, func(x *httpproxy.Exchange) error {
			if x.Request.Path == "/before" {
				x.Request.Body, x.Request.ContentLength = panicking{}, -1
			}
			return nil
		}),
	}}, gatewaytest.All(s, gatewaytest.Route(s, "/", func(r *entity.Route) { r.RequestBuffering, r.StripPath = false, false }),
		gatewaytest.Plugin("before", "{}"), gatewaytest.Plugin("after", "{}")))
	for _, path := range []string{"/after", "/before"} {
		if res, err := g.Client.Get(g.URL + path); err == nil {
			_ = res.Body.Close()
		}
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Errorf("%s: the connection is still open", path)
		}
	}
}

// TestPanicInBodyOfGRPC is of a body that is read by net/http.
func TestPanicInBodyOfGRPC(t *testing.T) {
	s := gatewaytest.Service("grpc://" + grpcServer(t))
	g := gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{
		accesser("body", 1, func(x *httpproxy.Exchange) error {
			x.Request.Body, x.Request.ContentLength = panicking{}, -1
			return nil
		}),
	}}, gatewaytest.All(s, grpcRoute(s, "grpcs"), gatewaytest.Plugin("body", "{}")))
	res := g.Do(http.MethodPost, g.SecureURL+"/test.Echo/Both", "x", "Content-Type", "application/grpc", "TE", "trailers")
	if res.StatusCode != http.StatusOK || res.Header.Get("Grpc-Status") == "0" {
		t.Errorf("%s %v", res.Status, res.Header)
	}
}

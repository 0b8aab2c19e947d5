package httpproxy_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

// TestPrefixOfAnyBytes: what a client can put into a path is no reason to fail.
func TestPrefixOfAnyBytes(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "a"))
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, `~/a[^/]*`)))
	res := g.Get("/a%0d%0aX-Evil:%201/b")
	if got := res.Asked(t).Header; got["X-Forwarded-Prefix"][0] != "/a%0D%0AX-Evil:%201" || got["X-Evil"] != nil {
		t.Errorf("%v", got)
	}
}

// TestTrailersOfRequests: what comes after the plugins have seen a request does
// not reach the upstream.
func TestTrailersOfRequests(t *testing.T) {
	seen := make(chan http.Header, 1)
	url := gatewaytest.Serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		seen <- r.Trailer
	}))
	s := gatewaytest.Service(url)
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/", func(r *entity.Route) {
		r.RequestBuffering = false
	})))
	raw(t, g, "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTrailer: X-Consumer-ID\r\nTransfer-Encoding: chunked\r\n\r\n"+
		"1\r\nx\r\n0\r\nX-Consumer-ID: 1\r\n\r\n")
	if got := <-seen; len(got) != 0 {
		t.Errorf("the upstream has got %v", got)
	}
}

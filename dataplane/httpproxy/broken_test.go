package httpproxy_test

import (
	"net"
	"net/http"
	"testing"

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

package httpproxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

type route = func(*entity.Route)

func protocols(p ...string) route { return func(r *entity.Route) { r.Protocols = p } }

// wantMessage fails the test unless a response is a local one with a message.
func wantMessage(t *testing.T, res *gatewaytest.Response, status int, message string) {
	t.Helper()
	if res.StatusCode != status {
		t.Errorf("status %d instead of %d: %s", res.StatusCode, status, res.Text)
		return
	}
	body := res.JSON(t)
	if body["message"] != message {
		t.Errorf("the message is %q instead of %q", body["message"], message)
	}
	if id := res.Header.Get("X-Kong-Request-Id"); id == "" || body["request_id"] != id {
		t.Errorf("the body has the ID %v, the header %q", body["request_id"], id)
	}
	if res.Header.Get("Server") != "kong/3.10.0" || res.Header.Get("X-Kong-Response-Latency") == "" {
		t.Errorf("the header of a local answer: %v", res.Header)
	}
}

func TestNoRoute(t *testing.T) {
	off := gatewaytest.Service("http://127.0.0.1:1", func(s *entity.Service) { s.Enabled = false })
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(
		off, gatewaytest.Route(off, "/off"), gatewaytest.Route(nil, "/nobody"),
	))
	wantMessage(t, g.Get("/"), http.StatusNotFound, "no Route matched with those values")
	wantMessage(t, g.Get("/off"), http.StatusNotFound, "no Route matched with those values")
	wantMessage(t, g.Get("/nobody"), http.StatusServiceUnavailable, "no Service found with those values")
	wantMessage(t, g.Get("/%00"), http.StatusBadRequest, "Bad request")
	if res := g.Do(http.MethodHead, "/", ""); res.StatusCode != http.StatusNotFound || res.Text != "" {
		t.Errorf("HEAD: %s %q", res.Status, res.Text)
	}
	on := *off
	on.Enabled = true
	g.Put(&on)
	if res := g.Get("/off"); res.StatusCode != http.StatusBadGateway {
		t.Errorf("the service is on, and its upstream is not there: %s", res.Status)
	}
}

func TestProtocols(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "a"))
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s,
		gatewaytest.Route(s, "/secure", protocols("https")),
		gatewaytest.Route(s, "/moved", protocols("https"), func(r *entity.Route) { r.HTTPSRedirectStatusCode = 308 }),
		gatewaytest.Route(s, "/plain", protocols("http")),
		gatewaytest.Route(s, "/grpc", protocols("grpc", "grpcs"), func(r *entity.Route) { r.StripPath = false }),
		gatewaytest.Route(s, "/sgrpc", protocols("grpcs"), func(r *entity.Route) { r.StripPath = false }),
	))
	res := g.Get("/secure")
	wantMessage(t, res, http.StatusUpgradeRequired, "Please use HTTPS protocol")
	if res.Header.Get("Upgrade") != "TLS/1.2, HTTP/1.1" || !strings.Contains(res.Header.Get("Connection"), "Upgrade") {
		t.Errorf("426 has the header %v", res.Header)
	}
	res = g.Get("/moved/x?y", "Host", "example.com:8000")
	if got := res.Header.Get("Location"); res.StatusCode != 308 || got != "https://example.com/moved/x?y" || res.Text != "" {
		t.Errorf("redirected to %q: %s %q", got, res.Status, res.Text)
	}
	for _, path := range []string{"/secure", "/plain"} {
		if res := g.Do(http.MethodGet, g.SecureURL+path, ""); res.StatusCode != http.StatusOK || res.ProtoMajor != 2 {
			t.Errorf("%s over TLS: %s", path, res.Status)
		}
	}
	res = g.Get("/grpc")
	wantMessage(t, res, http.StatusUpgradeRequired, "Please use HTTP2 protocol")
	wantMessage(t, g.Do(http.MethodPost, g.SecureURL+"/grpc", "x"), http.StatusUnsupportedMediaType,
		"Non-gRPC request matched gRPC route")
	h2c := &http.Transport{Protocols: new(http.Protocols)}
	h2c.Protocols.SetUnencryptedHTTP2(true)
	defer h2c.CloseIdleConnections()
	g.Client.Transport = h2c
	res = g.Do(http.MethodPost, "/sgrpc/m", "x", "Content-Type", "application/grpc")
	if res.StatusCode != http.StatusOK || res.Header.Get("Grpc-Status") != "1" || res.Text != "" {
		t.Errorf("gRPC without TLS: %s %v", res.Status, res.Header)
	}
}

func TestRequestToUpstream(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "a") + "/base")
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s,
		gatewaytest.Route(s, "/strip"),
		gatewaytest.Route(s, "/whole", func(r *entity.Route) { r.StripPath = false; r.PreserveHost = true }),
	))
	res := g.Do(http.MethodPost, "/strip/a%20b/%2Fc?q=%20&r", "body", "Host", "example.com:81",
		"X-Forwarded-For", "1.2.3.4", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil", "X-Forwarded-Port", "1",
		"X-Forwarded-Path", "/evil", "X-Forwarded-Prefix", "/evil", "X-Real-IP", "9.9.9.9", "Via", "1.1 other",
		"Connection", "X-Secret", "X-Secret", "s", "Keep-Alive", "timeout=5", "Proxy", "x", "Proxy-Connection", "close",
		"TE", "trailers", "X-Kong-Request-Id", "spoofed", "Cookie", "a=b")
	asked := res.Asked(t)
	if asked.Target != "/base/a%20b/%2Fc?q=%20&r" || asked.Body != "body" || asked.Method != http.MethodPost {
		t.Errorf("it was asked %+v", asked)
	}
	port := g.URL[strings.LastIndexByte(g.URL, ':')+1:]
	for name, want := range map[string]string{
		"X-Forwarded-For": "1.2.3.4, 127.0.0.1", "X-Real-Ip": "127.0.0.1", "X-Forwarded-Proto": "http",
		"X-Forwarded-Host": "example.com", "X-Forwarded-Port": port, "X-Forwarded-Path": "/strip/a%20b/%2Fc",
		"X-Forwarded-Prefix": "/strip", "Via": "1.1 other, 1.1 kong/3.10.0", "X-Secret": "", "Keep-Alive": "",
		"Proxy": "", "Proxy-Connection": "", "Te": "trailers", "Cookie": "a=b", "Content-Length": "4",
		"X-Kong-Request-Id": res.Header.Get("X-Kong-Request-Id"),
	} {
		if got := strings.Join(asked.Header[name], "|"); got != want {
			t.Errorf("%s is %q instead of %q", name, got, want)
		}
	}
	if want := strings.TrimPrefix(strings.TrimSuffix(s.Host, "/"), "http://"); !strings.HasPrefix(asked.Host, want+":") {
		t.Errorf("the host is %q", asked.Host)
	}
	for name, want := range map[string]string{
		"X-Kong-Request-Id": "^[0-9a-f]{32}$", "Via": "^1.1 kong/3.10.0$", "X-Kong-Upstream-Latency": "^[0-9]+$",
		"X-Kong-Proxy-Latency": "^[0-9]+$", "Server": "^$", "X-Kong-Response-Latency": "^$",
	} {
		if got := res.Header.Get(name); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("the response has %s: %q", name, got)
		}
	}
	asked = g.Do(http.MethodGet, g.SecureURL+"/whole/x?", "", "Host", "example.com:81").Asked(t)
	if asked.Host != "example.com:81" || asked.Target != "/base/whole/x?" {
		t.Errorf("it was asked %+v", asked)
	}
	if got := asked.Header["Via"]; len(got) != 1 || got[0] != "2 kong/3.10.0" {
		t.Errorf("Via of a request of HTTP/2: %q", got)
	}
	if _, ok := asked.Header["X-Forwarded-Prefix"]; ok || asked.Header["X-Forwarded-Proto"][0] != "https" {
		t.Errorf("the header is %v", asked.Header)
	}
}

func TestTrustedPeer(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "a"))
	var client string
	module := accesser("see", 10, func(x *httpproxy.Exchange) error { client = x.Request.Client.String(); return nil })
	g := gatewaytest.Start(t, httpproxy.Options{
		TrustedIPs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")},
		Modules:    []httpproxy.PluginModule{module},
	}, gatewaytest.All(s, gatewaytest.Route(s, "/", protocols("https")), gatewaytest.Plugin("see", "{}")))
	asked := g.Get("/", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "h", "X-Forwarded-Port", "7",
		"X-Forwarded-For", "6.6.6.6, 5.5.5.5, 10.1.1.1").Asked(t)
	for name, want := range map[string]string{
		"X-Forwarded-Proto": "https", "X-Forwarded-Host": "h", "X-Forwarded-Port": "7", "X-Real-Ip": "5.5.5.5",
		"X-Forwarded-For": "6.6.6.6, 5.5.5.5, 10.1.1.1, 127.0.0.1",
	} {
		if got := strings.Join(asked.Header[name], "|"); got != want {
			t.Errorf("%s is %q instead of %q", name, got, want)
		}
	}
	if client != "5.5.5.5" {
		t.Errorf("the client is %s", client)
	}
}

func TestErrorForms(t *testing.T) {
	g := gatewaytest.Start(t, httpproxy.Options{}, httpproxy.Entities{})
	for accept, want := range map[string]string{
		"text/html": "text/html; charset=utf-8", "text/plain": "text/plain; charset=utf-8",
		"application/xml": "application/xml; charset=utf-8", "application/json": "application/json; charset=utf-8",
	} {
		if got := g.Get("/", "Accept", accept).Header.Get("Content-Type"); got != want {
			t.Errorf("%s: %s", accept, got)
		}
	}
	dead := gatewaytest.Service("http://127.0.0.1:1", func(s *entity.Service) { s.Retries = 0 })
	g.Put(dead, gatewaytest.Route(dead, "/dead"))
	if got := g.Get("/dead"); got.Header.Get("Content-Type") != "text/plain; charset=utf-8" ||
		!strings.HasPrefix(got.Text, "An invalid response was received from the upstream server\nrequest_id: ") {
		t.Errorf("neither Accept nor Content-Type: %v %s", got.Header, got.Text)
	}
	wantMessage(t, g.Get("/dead", "Accept", "*/*"), http.StatusBadGateway,
		"An invalid response was received from the upstream server")
}

// raw sends bytes on a connection of its own and gives what comes back.
func raw(t *testing.T, g *gatewaytest.Gateway, request string) string {
	t.Helper()
	nc, err := net.Dial("tcp", g.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := io.WriteString(nc, request); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(nc)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestUnreadableRequests(t *testing.T) {
	g := gatewaytest.Start(t, httpproxy.Options{}, httpproxy.Entities{})
	long := strings.Repeat("x", 70<<10)
	for request, want := range map[string]string{
		"nonsense\r\n\r\n":                                       "400",
		"GET / HTTP/1.1\r\n\r\n":                                 "400",
		"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n":             "400",
		"GET /" + long[:9<<10] + " HTTP/1.1\r\nHost: a\r\n":      "414",
		"GET / HTTP/1.1\r\nHost: a\r\nX: " + long:                "431",
		"GET / HTTP/3.0\r\nHost: a\r\n\r\n":                      "505",
		"GET / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n":     "417",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n": "404",
	} {
		got := raw(t, g, request)
		res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(got)), nil)
		if err != nil {
			t.Errorf("%.40q: %v: %q", request, err, got)
			continue
		}
		if fmt.Sprint(res.StatusCode) != want || res.Header.Get("Server") != "kong/3.10.0" {
			t.Errorf("%.40q: %s %v", request, res.Status, res.Header)
		}
	}
}

package httpproxy_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

func TestDate(t *testing.T) {
	dated, _ := script(t, says("HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: up\r\nContent-Length: 0\r\n\r\n"))
	undated, _ := script(t, ok)
	a, b := gatewaytest.Service(dated), gatewaytest.Service(undated)
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(a, b, gatewaytest.Route(a, "/a"), gatewaytest.Route(b, "/b")))
	if h := g.Get("/a").Header; h.Get("Date") != "Sun, 06 Nov 1994 08:49:37 GMT" || h.Get("Server") != "up" {
		t.Errorf("the upstream's Date and Server: %v", h)
	}
	for _, path := range []string{"/b", "/none"} {
		at, err := time.Parse(http.TimeFormat, g.Get(path).Header.Get("Date"))
		if err != nil || time.Since(at) > time.Hour {
			t.Errorf("%s: %v %v", path, at, err)
		}
	}
}

func TestTargets(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "a"))
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "", func(r *entity.Route) {
		r.Hosts = []string{"h"}
	})))
	for target, want := range map[string]string{
		"GET /a":                `"target":"/a"`,
		"GET http://h/a?b":      `"target":"/a?b"`,
		"GET http://h?b":        `"target":"/?b"`,
		"GET http://h":          `"target":"/"`,
		"OPTIONS *":             "HTTP/1.1 200 OK",
		"GET /a/../../b/./c//":  `"target":"/b/c/"`,
		"GET /%2e%2e/a%2Fb":     `"target":"/a%2Fb"`,
		"GET /a%5C..%5Cb;c=%3B": `"target":"/a%5C..%5Cb;c=%3B"`,
		"GET /a%00":             `Bad request`,
		"GET /%zz":              `Bad request`,
	} {
		got := raw(t, g, target+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s", target, got)
		}
	}
}

// TestSlowBody is a client that does not send the body that it has told of.
func TestSlowBody(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "a"))
	g := gatewaytest.Start(t, httpproxy.Options{BodyTimeout: 100 * time.Millisecond}, gatewaytest.All(s, gatewaytest.Route(s, "/")))
	for _, base := range []string{g.URL, g.SecureURL} {
		body, w := io.Pipe()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base, body)
		if err != nil {
			t.Fatal(err)
		}
		if res := g.Send(req); res.StatusCode != http.StatusRequestTimeout {
			t.Errorf("%s: %s", base, res.Status)
		}
		_ = w.Close()
	}
}

// TestClientsThatGo is that an exchange ends when its client goes in the midst
// of it, and that others go on.
func TestClientsThatGo(t *testing.T) {
	endless := gatewaytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		piece := make([]byte, 32<<10)
		for {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	}))
	s := gatewaytest.Service(endless)
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/")))
	for _, base := range []string{g.URL, g.SecureURL} {
		res, err := g.Client.Get(base)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, res.Body, 1<<20); err != nil {
			t.Error(err)
		}
		_ = res.Body.Close()
	}
	waitFor(t, func() bool { n := g.Statistics(); return n.Writing == 0 && n.Reading == 0 })
}

// TestCancelledStreams is that the upstream is let go when a client of HTTP/2
// does not want the response any more.
func TestCancelledStreams(t *testing.T) {
	asked, left := make(chan struct{}), make(chan struct{})
	url, _ := script(t, func(nc net.Conn, r *http.Request) {
		close(asked)
		hang(nc, r)
		close(left)
	})
	s := gatewaytest.Service(url)
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/")))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.SecureURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res, err := g.Client.Do(req); err == nil {
		t.Errorf("there is a response: %s", res.Status)
		_ = res.Body.Close()
	}
	<-left
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("oh") }

// TestPanicElsewhere is that a fault which is no plugin's call costs its request
// and nothing else.
func TestPanicElsewhere(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "a"))
	g := gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{
		responder("body", 1, func(x *httpproxy.Exchange) error {
			if x.Request.HasQuery {
				x.Response.Body, x.Response.ContentLength = panicking{}, -1
			}
			return nil
		}),
	}}, gatewaytest.All(s, gatewaytest.Route(s, "/"), gatewaytest.Plugin("body", "{}")))
	for _, base := range []string{g.URL, g.SecureURL} {
		if res, err := g.Client.Get(base + "/?"); err == nil {
			if b, err := io.ReadAll(res.Body); err == nil {
				t.Errorf("%s %q", res.Status, b)
			}
			_ = res.Body.Close()
		}
		if res := g.Do(http.MethodGet, base+"/", ""); res.StatusCode != http.StatusOK {
			t.Errorf("the next request: %s", res.Status)
		}
	}
}

// TestNoTypeIsMadeUp is that a response without Content-Type stays without.
func TestNoTypeIsMadeUp(t *testing.T) {
	url, _ := script(t, says("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"))
	s := gatewaytest.Service(url)
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/")))
	for _, base := range []string{g.URL, g.SecureURL} {
		if res := g.Get(base + "/"); res.Text != "<html>" || res.Header["Content-Type"] != nil {
			t.Errorf("%s: %s %q", res.Proto, res.Text, res.Header["Content-Type"])
		}
	}
}

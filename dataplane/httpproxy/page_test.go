package httpproxy_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

func document(text string) *entity.Page {
	return &entity.Page{
		Path: "/openapi.json", ContentType: "application/json", Body: []byte(text), ETag: `"` + text + `"`,
		Header: map[string]string{"Cache-Control": "no-cache", "Content-Security-Policy": "default-src 'none'"},
	}
}

func TestPages(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "echo"))
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/openapi.json/below")))
	setPages(t, g, []*entity.Page{document("{}"), {Path: "/docs/", ContentType: "text/html; charset=utf-8", Body: []byte("<html>")}})
	for _, c := range []struct {
		method, path, ifNoneMatch string
		status                    int
		body                      string
	}{
		{"GET", "/openapi.json", "", 200, "{}"},
		{"GET", "/openapi.json?a=b", "", 200, "{}"},
		{"HEAD", "/openapi.json", "", 200, ""},
		{"GET", "/x/..//%6fpenapi.json", "", 200, "{}"},
		{"GET", "/openapi.json", `"{}"`, 304, ""},
		{"HEAD", "/openapi.json", `"{}"`, 304, ""},
		{"GET", "/openapi.json", `"a,b", W/"{}"`, 304, ""},
		{"GET", "/openapi.json", `"x","{}"`, 304, ""},
		{"GET", "/openapi.json", `*`, 304, ""},
		{"GET", "/openapi.json", `"{"`, 200, "{}"},
		{"GET", "/openapi.json", `"other`, 200, "{}"},
		{"GET", "/openapi.json", `{}`, 200, "{}"},
		{"GET", "/docs/", `*`, 200, "<html>"}, // it has no tag
		{"GET", "/docs", "", 404, ""},
		{"GET", "/openapi.json/", "", 404, ""},
		{"GET", "/OPENAPI.JSON", "", 404, ""},
		{"GET", "/openapi%2Ejson%2F", "", 404, ""},
		{"POST", "/openapi.json", "", 405, ""},
		{"OPTIONS", "/openapi.json", "", 405, ""},
		{"POST", "/nowhere", "", 404, ""},
	} {
		for _, base := range []string{g.URL, g.SecureURL} {
			var header []string
			if c.ifNoneMatch != "" {
				header = []string{"If-None-Match", c.ifNoneMatch}
			}
			res := g.Do(c.method, base+c.path, "", header...)
			if res.StatusCode != c.status || c.status < 400 && res.Text != c.body {
				t.Errorf("%s %s %s: %s %q", c.method, c.path, c.ifNoneMatch, res.Status, res.Text)
			}
			if c.status == 405 && res.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: Allow: %q", c.method, c.path, res.Header.Get("Allow"))
			}
			if c.status < 400 && strings.HasPrefix(c.path, "/openapi") {
				wantDocument(t, res, c.method)
			}
		}
	}
	if asked := g.Get("/openapi.json/below/x").Asked(t); asked.Target != "/x" {
		t.Errorf("the route below a page: %q", asked.Target)
	}
}

// wantDocument looks at the header of a response with document("{}").
func wantDocument(t *testing.T, res *gatewaytest.Response, method string) {
	t.Helper()
	h, contentType := res.Header, "application/json"
	if res.StatusCode == http.StatusNotModified {
		contentType = ""
	} else if res.ContentLength != 2 {
		t.Errorf("%s: the length is %d", method, res.ContentLength)
	}
	if h.Get("ETag") != `"{}"` || h.Get("Cache-Control") != "no-cache" || h.Get("Content-Type") != contentType ||
		h.Get("Content-Security-Policy") != "default-src 'none'" || h.Get("X-Kong-Request-Id") == "" {
		t.Errorf("%s %s: %v", method, res.Status, h)
	}
}

func setPages(t *testing.T, g *gatewaytest.Gateway, pages []*entity.Page) {
	t.Helper()
	if err := g.Update(httpproxy.Update{Pages: pages}); err != nil {
		t.Fatal(err)
	}
}

// TestPagesChange is that pages come and go with the other things of an Update.
func TestPagesChange(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "echo"))
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All())
	want := func(when string, status int, text string) {
		t.Helper()
		if res := g.Get("/openapi.json"); res.StatusCode != status || status == 200 && text != "" && res.Text != text {
			t.Errorf("%s: %s %s", when, res.Status, res.Text)
		}
	}
	want("without pages", 404, "")
	setPages(t, g, []*entity.Page{document("1")})
	want("put", 200, "1")
	setPages(t, g, []*entity.Page{document("2")})
	want("replaced", 200, "2")
	everything := gatewaytest.Route(s, "/")
	g.Put(s, everything)
	if res := g.Get("/openapi.json"); res.Header.Get("X-Echo") != "echo" {
		t.Errorf("a route: %s", res.Text)
	}
	g.Remove(httpproxy.Key{Kind: httpproxy.Routes, ID: everything.ID})
	want("after other updates", 200, "2")
	setPages(t, g, []*entity.Page{})
	want("taken out", 404, "")
	setPages(t, g, []*entity.Page{document("3")})
	if err := g.Update(httpproxy.Update{Reset: true}); err != nil {
		t.Fatal(err)
	}
	want("after a reset", 404, "")
	if err := g.Update(httpproxy.Update{Reset: true, Pages: []*entity.Page{document("4")}}); err != nil {
		t.Fatal(err)
	}
	want("put with a reset", 200, "4")
}

// TestPagesAreAnswers is that plugins for everything and logs see pages.
func TestPagesAreAnswers(t *testing.T) {
	var seen traces
	var log bytes.Buffer
	g := gatewaytest.Start(t, httpproxy.Options{
		Modules:   []httpproxy.PluginModule{seen.module("p", 1)},
		AccessLog: slog.New(slog.NewJSONHandler(&log, nil)),
	}, gatewaytest.All(gatewaytest.Plugin("p", `{"label":"all"}`)))
	setPages(t, g, []*entity.Page{document("{}")})
	g.Get("/openapi.json")
	g.Stop()
	if got := seen.take(); got != "<pall .pall" {
		t.Errorf("the plugin saw %q", got)
	}
	if line := log.String(); !strings.Contains(line, `"path":"/openapi.json"`) || !strings.Contains(line, `"status":200`) ||
		!strings.Contains(line, `"source":"exit"`) || !strings.Contains(line, `"sent":2`) {
		t.Errorf("the log has %s", line)
	}
}

package requesttermination

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

func start(t *testing.T, config string) *gatewaytest.Gateway {
	return gatewaytest.Plugged(t, []httpproxy.PluginModule{Module()}, gatewaytest.Plugin("request-termination", config))
}

func TestRequestsAreAnsweredAsConfigured(t *testing.T) {
	const json = "application/json; charset=utf-8"
	for _, c := range []struct {
		name, config      string
		status            int
		contentType, body string
	}{
		{"by default", `{}`, 503, json, `{"message":"Service unavailable"}`},
		{"with a status", `{"status_code":404}`, 404, json, `{"message":"Not found"}`},
		{"with a status that has no message", `{"status_code":418}`, 418, "", ``},
		{"with a message", `{"status_code":403,"message":"So \"long\""}`, 403, json, `{"message":"So \"long\""}`},
		{"with a body", `{"body":"{\"a\":1}"}`, 503, json, `{"a":1}`},
		{"with a body of a type", `{"status_code":200,"body":"<p>","content_type":"text/html"}`, 200, "text/html", `<p>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := start(t, c.config)
			for range 2 { // what is sent is not used up
				res := g.Get("/", "Accept", "text/html")
				if res.StatusCode != c.status || res.Text != c.body || res.Header.Get("Content-Type") != c.contentType {
					t.Errorf("%s %q %v", res.Status, res.Text, res.Header)
				}
				if res.Header.Get("X-Echo") != "" {
					t.Error("the upstream was asked")
				}
			}
		})
	}
}

func TestATriggerMustBeThere(t *testing.T) {
	g := start(t, `{"trigger":"x-stop"}`)
	for _, c := range []struct {
		name, path string
		header     []string
		status     int
	}{
		{"nowhere", "/", nil, 200},
		{"in the header", "/", []string{"X-Stop", ""}, 503},
		{"in the query", "/?a&x-stop", nil, 503},
		{"in the query with a value", "/?x-stop=no", nil, 503},
		{"elsewhere", "/x-stop?a=x-stop", []string{"X", "x-stop"}, 200},
	} {
		if res := g.Get(c.path, c.header...); res.StatusCode != c.status {
			t.Errorf("%s: %s", c.name, res.Status)
		}
	}
}

func TestRequestsAreEchoed(t *testing.T) {
	g := start(t, `{"echo":true,"status_code":202,"message":"seen","trigger":"x"}`)
	res := g.Do(http.MethodPost, "/p%20q?x=1", "hello", "X-A", "1", "X-A", "2", "Host", "shop.test:8000")
	if res.StatusCode != 202 || res.JSON(t)["message"] != "seen" {
		t.Fatalf("%s %s", res.Status, res.Text)
	}
	asked := res.JSON(t)["request"].(map[string]any)
	for name, want := range map[string]any{
		"method": "POST", "scheme": "http", "host": "shop.test", "port": 8000.0, "path": "/p%20q", "query": "x=1", "raw_body": "hello",
	} {
		if asked[name] != want {
			t.Errorf("%s is %v", name, asked[name])
		}
	}
	if values := asked["headers"].(map[string]any)["X-A"].([]any); len(values) != 2 {
		t.Errorf("the fields are %v", asked["headers"])
	}
	if route := res.JSON(t)["matched_route"].(map[string]any); route["paths"].([]any)[0] != "/" {
		t.Errorf("the route is %v", route)
	}
	if res := g.Send(chunked(t, g.URL+"/?x", maxEchoed+1)); res.StatusCode != 413 {
		t.Errorf("a body that is too long: %s", res.Status)
	}
}

// chunked is a request whose length is not told.
func chunked(t *testing.T, url string, length int) *http.Request {
	t.Helper()
	body := struct{ *bytes.Reader }{bytes.NewReader(make([]byte, length))}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFieldsThatExcludeEachOther(t *testing.T) {
	m := Module()
	for config, want := range map[string]string{
		`{"message":"a","body":"b"}`:                 "schema violation (message cannot be used with content_type or body)",
		`{"message":"a","content_type":"text/html"}`: "schema violation (message cannot be used with content_type or body)",
		`{"content_type":"text/html"}`:               "schema violation (content_type requires a body)",
		`{"echo":true,"body":"b"}`:                   "schema violation (echo cannot be used with content_type and body)",
		`{"status_code":99}`:                         "schema violation (status_code: value should be between 100 and 599)",
		`{"trigger":"a b"}`:                          "schema violation (trigger: bad header name 'a b', allowed characters are A-Z, a-z, 0-9, '_', and '-')",
	} {
		if got := gatewaytest.Violations(t, &m.Config, config); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", config, got, want)
		}
	}
}

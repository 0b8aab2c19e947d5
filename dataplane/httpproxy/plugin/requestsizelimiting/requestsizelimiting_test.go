package requestsizelimiting

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

func TestBodiesAreBounded(t *testing.T) {
	const small, large = 1 << 10, 1<<20 + 1
	for _, c := range []struct {
		name, config string
		length       int
		chunked      bool
		status       int
		message      string
	}{
		{"by default", `{}`, large, false, 200, ""},
		{"as many bytes as may be", `{"allowed_payload_size":1024,"size_unit":"bytes"}`, small, false, 200, ""},
		{"one byte more", `{"allowed_payload_size":1023,"size_unit":"bytes"}`, small, false, 413, tooLarge},
		{"as many kilobytes", `{"allowed_payload_size":1,"size_unit":"kilobytes"}`, small, false, 200, ""},
		{"too many kilobytes", `{"allowed_payload_size":1,"size_unit":"kilobytes"}`, small + 1, false, 413, tooLarge},
		{"too many megabytes", `{"allowed_payload_size":1}`, large, false, 413, tooLarge},
		{"of unknown length", `{"allowed_payload_size":1}`, large - 1, true, 200, ""},
		{"of unknown length and too long", `{"allowed_payload_size":1}`, large, true, 413, tooLarge},
		{"of unknown length and a little too long", `{"allowed_payload_size":0}`, 1, true, 413, tooLarge},
		{"of a length that must be known", `{"require_content_length":true}`, small, true, 411, "A valid Content-Length header is required"},
		{"of a length that is known", `{"require_content_length":true}`, small, false, 200, ""},
		{"none where nothing may be", `{"allowed_payload_size":0,"require_content_length":true}`, 0, false, 200, ""},
		{"more than can be counted", `{"allowed_payload_size":9007199254740993}`, small, false, 200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, buffered := range []bool{true, false} {
				s := gatewaytest.Service(gatewaytest.Echo(t, ""))
				g := gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{Module()}}, gatewaytest.All(
					s, gatewaytest.Route(s, "/", func(r *entity.Route) { r.RequestBuffering = buffered }),
					gatewaytest.Plugin("request-size-limiting", c.config)))
				res := g.Send(request(t, g.URL, c.length, c.chunked))
				if res.StatusCode != c.status {
					t.Fatalf("buffered %v: %s %s", buffered, res.Status, res.Text)
				}
				if c.status == 200 && len(res.Asked(t).Body) != c.length {
					t.Errorf("buffered %v: the upstream got %d bytes", buffered, len(res.Asked(t).Body))
				}
				if c.status != 200 && res.JSON(t)["message"] != c.message {
					t.Errorf("buffered %v: the answer is %s", buffered, res.Text)
				}
			}
		})
	}
}

func request(t *testing.T, url string, length int, chunked bool) *http.Request {
	t.Helper()
	body := bytes.NewReader(bytes.Repeat([]byte{'x'}, length))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	if chunked {
		r.ContentLength = -1
	}
	return r
}

func TestWhoAsksBeforeItSendsIsToldNotTo(t *testing.T) {
	g := gatewaytest.Plugged(t, []httpproxy.PluginModule{Module()},
		gatewaytest.Plugin("request-size-limiting", `{"allowed_payload_size":1,"size_unit":"kilobytes"}`))
	for length, status := range map[int]int{1024: 200, 1025: 417} {
		r := request(t, g.URL, length, false)
		r.Header.Set("Expect", "100-continue")
		if res := g.Send(r); res.StatusCode != status {
			t.Errorf("%d bytes: %s %s", length, res.Status, res.Text)
		}
	}
}

func TestUnits(t *testing.T) {
	m := Module()
	if got := gatewaytest.Violations(t, &m.Config, `{"size_unit":"gigabytes"}`); got !=
		"schema violation (size_unit: expected one of: megabytes, kilobytes, bytes)" {
		t.Error(got)
	}
}

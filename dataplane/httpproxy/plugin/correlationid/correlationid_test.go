package correlationid

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

func start(t *testing.T, config string, more ...any) *gatewaytest.Gateway {
	return gatewaytest.Plugged(t, []httpproxy.PluginModule{Module()}, append(more, gatewaytest.Plugin("correlation-id", config))...)
}

const uuidPattern = `[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`

func TestRequestsGetAnID(t *testing.T) {
	for _, c := range []struct{ name, config, field, pattern string }{
		{"by default", `{}`, "Kong-Request-ID", uuidPattern + "#[0-9]+"},
		{"a UUID", `{"generator":"uuid"}`, "Kong-Request-ID", uuidPattern},
		{"a tracker", `{"generator":"tracker"}`, "Kong-Request-ID", `127\.0\.0\.1-[0-9]+-[0-9]+-[0-9]+-[0-9]+-[0-9]+\.[0-9]{3}`},
		{"under another name", `{"header_name":"X-Trace"}`, "X-Trace", uuidPattern + "#[0-9]+"},
		{"no name", `{"header_name":null}`, "Kong-Request-ID", uuidPattern + "#[0-9]+"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := start(t, c.config)
			seen := map[string]bool{}
			for range 3 {
				res := g.Get("/", c.field, "  ")
				id := http.Header(res.Asked(t).Header).Get(c.field)
				if !regexp.MustCompile("^"+c.pattern+"$").MatchString(id) || seen[id] {
					t.Errorf("the upstream sees %q", id)
				}
				seen[id] = true
				if got := res.Header.Get(c.field); got != "" {
					t.Errorf("the client sees %q", got)
				}
			}
		})
	}
}

func TestAnIDThatIsThereIsKept(t *testing.T) {
	g := start(t, `{"echo_downstream":true}`)
	res := g.Get("/", "kong-request-id", "mine")
	if got := res.Asked(t).Header["Kong-Request-Id"]; len(got) != 1 || got[0] != "mine" {
		t.Errorf("the upstream sees %v", got)
	}
	if got := res.Header.Get("Kong-Request-ID"); got != "mine" {
		t.Errorf("the client sees %q", got)
	}
}

func TestClientsSeeTheIDAsConfigured(t *testing.T) {
	g := start(t, `{"echo_downstream":true}`)
	res := g.Get("/")
	if id := http.Header(res.Asked(t).Header).Get("Kong-Request-ID"); id == "" || id != res.Header.Get("Kong-Request-ID") {
		t.Errorf("the upstream sees %q, the client %v", id, res.Header)
	}
}

func TestRequestsWithoutARouteHaveAnIDToo(t *testing.T) {
	s := gatewaytest.Service("http://127.0.0.1:1")
	g := gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{Module()}},
		gatewaytest.All(s, gatewaytest.Route(s, "/a"), gatewaytest.Plugin("correlation-id", `{"echo_downstream":true}`)))
	res := g.Get("/b")
	if res.StatusCode != 404 || res.Header.Get("Kong-Request-ID") == "" {
		t.Errorf("%s %v", res.Status, res.Header)
	}
	if got := g.Get("/b", "Kong-Request-ID", "mine").Header.Get("Kong-Request-ID"); got != "mine" {
		t.Errorf("the client sees %q", got)
	}
}

func TestTheCounterSurvivesAChangeOfTheConfiguration(t *testing.T) {
	p := gatewaytest.Plugin("correlation-id", `{"echo_downstream":true}`)
	g := gatewaytest.Plugged(t, []httpproxy.PluginModule{Module()}, p)
	first := g.Get("/").Header.Get("Kong-Request-ID")
	changed := entity.Plugin(*p)
	changed.Config = []byte(`{"echo_downstream":true,"header_name":"X-Trace"}`)
	g.Put(&changed)
	second := g.Get("/").Header.Get("X-Trace")
	prefix, n, _ := strings.Cut(first, "#")
	if n != "1" || second != prefix+"#2" {
		t.Errorf("%q, then %q", first, second)
	}
}

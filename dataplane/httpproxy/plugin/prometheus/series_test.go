package prometheus

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

// eventually waits until metrics are so: they are measured after the response.
func eventually(t *testing.T, lines func() []string, so func(lines []string) bool) {
	t.Helper()
	deadline, tick := time.After(10*time.Second), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !so(lines()) {
		select {
		case <-deadline:
			t.Fatalf("it does not come about: %s", strings.Join(lines(), "\n"))
		case <-tick.C:
		}
	}
}

// labelled are the lines of the metrics of requests with a label.
func labelled(lines []string, label string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(l string) bool {
		return !strings.Contains(l, "workspace=") || !strings.Contains(l, label+",") && !strings.Contains(l, label+"}")
	})
}

// TestSeriesGoWithTheirEntities: of what is not there any more nothing is told,
// and all is told of the rest.
func TestSeriesGoWithTheirEntities(t *testing.T) {
	echo := gatewaytest.Echo(t, "echo")
	service := func(name string) *entity.Service {
		return gatewaytest.Service(echo, func(s *entity.Service) { s.Name = name })
	}
	route := func(s *entity.Service, name string) *entity.Route {
		return gatewaytest.Route(s, "/"+name, func(r *entity.Route) { r.Name = name })
	}
	stays, goes, unnamed, other := service("stays"), service("goes"), service(""), service("")
	bob := gatewaytest.Consumer("bob", "")
	r1, r2, r3, r4, r5 := route(stays, "r1"), route(stays, "r2"), route(goes, "r3"), route(unnamed, "r4"), route(other, "r5")
	g, lines := start(t, stays, goes, unnamed, other, bob, r1, r2, r3, r4, r5, gatewaytest.Plugin("prometheus",
		`{"status_code_metrics":true,"latency_metrics":true,"bandwidth_metrics":true,"per_consumer":true}`))
	everywhere := func() {
		for _, path := range []string{"/r1", "/r2", "/r3", "/r4", "/r5"} {
			g.Get(path)
			g.Get(path, "X-Who", "bob")
		}
	}
	everywhere()
	const requests = "kong_http_requests_total"
	eventually(t, lines, func(l []string) bool { return len(of(l, requests)) == 10 })
	before := lines()
	count := func(label string) int { return len(labelled(before, label)) }
	if count("service=stays") == 0 || count("service=goes") == 0 || count("consumer=bob") == 0 || count("route=r4") == 0 {
		t.Fatalf("there is not enough to begin with: %s", strings.Join(before, "\n"))
	}

	g.Remove(httpproxy.Key{Kind: httpproxy.Routes, ID: r2.ID})
	got := lines()
	if left := labelled(got, "route=r2"); len(left) != 0 {
		t.Errorf("of a route that has gone there is %v", left)
	}
	if left := labelled(got, "route=r1"); len(left) != count("route=r1") {
		t.Errorf("of one that is there: %v", left)
	}
	g.Remove(httpproxy.Key{Kind: httpproxy.Services, ID: goes.ID}, httpproxy.Key{Kind: httpproxy.Routes, ID: r3.ID})
	if left := labelled(lines(), "service=goes"); len(left) != 0 {
		t.Errorf("of a service that has gone there is %v", left)
	}
	// Another one has the same host, which it is called by.
	g.Remove(httpproxy.Key{Kind: httpproxy.Services, ID: unnamed.ID}, httpproxy.Key{Kind: httpproxy.Routes, ID: r4.ID})
	if got = lines(); len(labelled(got, "route=r4")) != 0 || len(labelled(got, "route=r5")) != count("route=r5") {
		t.Errorf("of two services with one host: %v", labelled(got, "route=r5"))
	}
	g.Remove(httpproxy.Key{Kind: httpproxy.Consumers, ID: bob.ID})
	if got = lines(); len(labelled(got, "consumer=bob")) != 0 || len(labelled(got, "route=r1")) == 0 || len(of(labelled(got, "route=r1"), "kong_request_latency_ms")) == 0 {
		t.Errorf("of a consumer that has gone there is %v, of others %v", labelled(got, "consumer=bob"), labelled(got, "route=r1"))
	}
	renamed := *r1
	renamed.Name = "r9"
	g.Put(&renamed)
	if left := labelled(lines(), "route=r1"); len(left) != 0 {
		t.Errorf("under a name that has gone there is %v", left)
	}
	g.Get("/r1")
	eventually(t, lines, func(l []string) bool { return len(of(labelled(l, "route=r9"), requests)) == 1 })
}

// TestSeriesComeAgain: an entity that takes the place of one that has gone
// begins anew, and is told of.
func TestSeriesComeAgain(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "echo"), func(s *entity.Service) { s.Name = "s" })
	named := func(r *entity.Route) { r.Name = "again" }
	first := gatewaytest.Route(s, "/again", named)
	g, lines := start(t, s, first, gatewaytest.Plugin("prometheus", `{"status_code_metrics":true}`))
	const line = "kong_http_requests_total{code=200,consumer=,route=again,service=s,source=service,workspace=default} "
	once := func(l []string) bool { return slices.Contains(l, line+"1") }
	g.Get("/again")
	eventually(t, lines, once)
	g.Remove(httpproxy.Key{Kind: httpproxy.Routes, ID: first.ID})
	if got := of(lines(), line); len(got) != 0 {
		t.Errorf("there is %v", got)
	}
	g.Put(gatewaytest.Route(s, "/again", named))
	g.Get("/again")
	eventually(t, lines, once)
}

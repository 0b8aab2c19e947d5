package httpproxy_test

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/balance"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

func TestUpstream(t *testing.T) {
	entities := gatewaytest.Upstream("pool", gatewaytest.Echo(t, "a"), gatewaytest.Echo(t, "b"))
	u := entities[0].(*entity.Upstream)
	s := gatewaytest.Service("http://pool:1234/base")
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/"), entities))
	seen := map[string]int{}
	for range 10 {
		res := g.Get("/x")
		seen[res.Header.Get("X-Echo")]++
		asked := res.Asked(t)
		if !strings.HasPrefix(asked.Host, "127.0.0.1:") || asked.Target != "/base/x" {
			t.Fatalf("it was asked %+v", asked)
		}
	}
	if seen["a"] != 5 || seen["b"] != 5 {
		t.Errorf("shares: %v", seen)
	}
	with := *u
	with.HostHeader = "host.example:99"
	g.Put(&with)
	if asked := g.Get("/").Asked(t); asked.Host != "host.example:99" {
		t.Errorf("host_header: %q", asked.Host)
	}
	// No target is left to use: none, none with weight, and then no upstream.
	light := *entities[1].(*entity.Target)
	light.Weight = 0
	g.Put(&light)
	g.Remove(httpproxy.Key{Kind: httpproxy.Targets, ID: entities[2].(*entity.Target).ID})
	wantMessage(t, g.Get("/", "Accept", "*/*"), http.StatusServiceUnavailable, "failure to get a peer from the ring-balancer")
	g.Remove(httpproxy.Key{Kind: httpproxy.Targets, ID: light.ID})
	wantMessage(t, g.Get("/", "Accept", "*/*"), http.StatusServiceUnavailable, "failure to get a peer from the ring-balancer")
	g.Remove(httpproxy.Key{Kind: httpproxy.Upstreams, ID: u.ID})
	if _, ok := g.UpstreamStatus(u.ID); ok {
		t.Error("an upstream that is gone has a status")
	}
	if err := g.SetTargetHealth(u.ID, light.Target, netip.AddrPort{}, true); err != httpproxy.ErrNoUpstream {
		t.Error(err)
	}
}

// names is a resolver of fixed names.
type names map[string][]netip.Addr

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if a, ok := n[host]; ok {
		return slices.Clone(a), nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func (n names) LookupSRV(context.Context, string, string, string) (string, []*net.SRV, error) {
	return "", nil, &net.DNSError{Err: "no such host", IsNotFound: true}
}

func TestNamesOfHosts(t *testing.T) {
	url := gatewaytest.Echo(t, "a")
	port := url[strings.LastIndexByte(url, ':'):]
	g := gatewaytest.Start(t, httpproxy.Options{Resolver: names{"up.example": {netip.MustParseAddr("127.0.0.1")}}}, httpproxy.Entities{})
	plain, lost := gatewaytest.Service("http://up.example"+port), gatewaytest.Service("http://lost.example")
	pooled, nowhere := gatewaytest.Service("http://pool"), gatewaytest.Service("http://nowhere")
	g.Put(plain, lost, pooled, nowhere, gatewaytest.Route(plain, "/plain"), gatewaytest.Route(lost, "/lost"),
		gatewaytest.Route(pooled, "/pooled"), gatewaytest.Route(nowhere, "/nowhere"),
		gatewaytest.Upstream("pool", "up.example"+port), gatewaytest.Upstream("nowhere", "lost.example:80"))
	for _, path := range []string{"/plain", "/pooled"} {
		if asked := g.Get(path).Asked(t); asked.Host != "up.example"+port {
			t.Errorf("%s: the host is %q", path, asked.Host)
		}
	}
	for _, path := range []string{"/lost", "/nowhere"} {
		wantMessage(t, g.Get(path, "Accept", "*/*"), http.StatusServiceUnavailable, "name resolution failed")
	}
}

// TestPassiveChecks is that failures of requests are told to the balancer.
func TestPassiveChecks(t *testing.T) {
	resets, asked := script(t, reset)
	entities := gatewaytest.Upstream("pool", resets, gatewaytest.Echo(t, "good"))
	u := entities[0].(*entity.Upstream)
	u.HealthChecks.Passive.Unhealthy.TCPFailures = 2
	s := gatewaytest.Service("http://pool")
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/"), entities))
	for range 20 {
		if res := g.Get("/"); res.StatusCode != http.StatusOK {
			t.Fatalf("a retry goes to the other target: %s", res.Status)
		}
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("the bad target was asked %d times", n)
	}
	status, ok := g.UpstreamStatus(u.ID)
	if !ok || status.Weight.Available != 100 {
		t.Errorf("%+v", status)
	}
	bad := entities[1].(*entity.Target)
	if err := g.SetTargetHealth(u.ID, bad.Target, netip.AddrPort{}, true); err != nil {
		t.Error(err)
	}
	if all := g.Upstreams(); len(all) != 1 || all[0].Name != "pool" || all[0].Health != balance.Healthy {
		t.Errorf("%+v", all)
	}
}

func TestHashing(t *testing.T) {
	for on, ask := range map[string]func(g *gatewaytest.Gateway, v string) *gatewaytest.Response{
		"header":      func(g *gatewaytest.Gateway, v string) *gatewaytest.Response { return g.Get("/u/x", "X-Hash", v) },
		"query_arg":   func(g *gatewaytest.Gateway, v string) *gatewaytest.Response { return g.Get("/u/x?a=b&k%65y=" + v) },
		"path":        func(g *gatewaytest.Gateway, v string) *gatewaytest.Response { return g.Get("/u/" + v) },
		"uri_capture": func(g *gatewaytest.Gateway, v string) *gatewaytest.Response { return g.Get("/u/" + v + "?" + v) },
		"consumer":    func(g *gatewaytest.Gateway, v string) *gatewaytest.Response { return g.Get("/u/x", "User", v) },
		"cookie": func(g *gatewaytest.Gateway, v string) *gatewaytest.Response {
			return g.Get("/u/x", "Cookie", "a=b; session="+v)
		},
	} {
		entities := gatewaytest.Upstream("pool", gatewaytest.Echo(t, "a"), gatewaytest.Echo(t, "b"), gatewaytest.Echo(t, "c"))
		u := entities[0].(*entity.Upstream)
		u.Algorithm, u.HashOn, u.HashOnHeader, u.HashOnQueryArg, u.HashOnURICapture = "consistent-hashing", on, "x-hash", "key", "user"
		u.HashOnCookie = "session"
		s := gatewaytest.Service("http://pool")
		r := gatewaytest.Route(s, "~/u/(?<user>[a-z0-9]+)")
		g := gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{consumerBy(1)}},
			gatewaytest.All(s, r, entities, gatewaytest.Plugin("auth", "{}")))
		where, used := map[string]string{}, map[string]bool{}
		for round := range 3 {
			for i := range 12 {
				v := string(rune('a'+i)) + "1"
				if round == 0 {
					g.Put(gatewaytest.Consumer(v, ""))
				}
				echo := ask(g, v).Header.Get("X-Echo")
				if where[v] != "" && where[v] != echo {
					t.Errorf("%s: %q went to %s and %s", on, v, where[v], echo)
				}
				where[v], used[echo] = echo, true
			}
		}
		if len(used) < 2 {
			t.Errorf("%s: all went to %v", on, used)
		}
		if on == "cookie" {
			if set := g.Get("/u/x").Header.Get("Set-Cookie"); !strings.HasPrefix(set, "session=") || !strings.Contains(set, "HttpOnly") {
				t.Errorf("Set-Cookie: %q", set)
			}
		}
	}
}

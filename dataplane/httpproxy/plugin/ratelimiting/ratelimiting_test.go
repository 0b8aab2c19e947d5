package ratelimiting

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// named finds out consumers by the header X-Who.
func named() httpproxy.PluginModule {
	return httpproxy.PluginModule{Name: "named", Priority: 1000, New: func(httpproxy.PluginOptions) (httpproxy.Plugin, error) {
		return namedPlugin{}, nil
	}}
}

type namedPlugin struct{}

func (namedPlugin) Access(x *httpproxy.Exchange) error {
	if c := x.View().Consumer(x.Request.Header.Get("X-Who")); c != nil {
		x.SetConsumer(c, x.View().Credential(entity.KeyAuth, x.Request.Header.Get("X-Key")))
	}
	return nil
}

func start(t *testing.T, entities ...any) *gatewaytest.Gateway {
	t.Helper()
	return gatewaytest.Plugged(t, []httpproxy.PluginModule{Module(), named()}, append(entities, gatewaytest.Plugin("named", `{}`))...)
}

// statuses are the answers to requests, of which each is header fields.
func statuses(g *gatewaytest.Gateway, requests ...[]string) string {
	var all []string
	for _, header := range requests {
		all = append(all, strconv.Itoa(g.Get("/", header...).StatusCode))
	}
	return strings.Join(all, " ")
}

func TestLimit(t *testing.T) {
	g := start(t, gatewaytest.Plugin("rate-limiting", `{"hour": 2, "year": 5}`))
	for i, want := range []map[string]string{
		{"X-RateLimit-Limit-Hour": "2", "X-RateLimit-Remaining-Hour": "1", "X-RateLimit-Limit-Year": "5",
			"X-RateLimit-Remaining-Year": "4", "RateLimit-Limit": "2", "RateLimit-Remaining": "1", "Retry-After": ""},
		{"X-RateLimit-Remaining-Hour": "0", "X-RateLimit-Remaining-Year": "3", "RateLimit-Remaining": "0", "Retry-After": ""},
		{"X-RateLimit-Remaining-Hour": "0", "X-RateLimit-Remaining-Year": "3", "RateLimit-Remaining": "0"},
		// What is refused does not count.
		{"X-RateLimit-Remaining-Hour": "0", "X-RateLimit-Remaining-Year": "3", "RateLimit-Remaining": "0"},
	} {
		res := g.Get("/")
		for name, value := range want {
			if got := res.Header.Get(name); got != value {
				t.Errorf("request %d: %s is %q, not %q", i, name, got, value)
			}
		}
		reset, err := strconv.Atoi(res.Header.Get("RateLimit-Reset"))
		if err != nil || reset < 1 || reset > 3600 {
			t.Errorf("request %d: RateLimit-Reset is %q", i, res.Header.Get("RateLimit-Reset"))
		}
		switch {
		case i < 2 && res.StatusCode != http.StatusOK:
			t.Errorf("request %d: %s", i, res.Status)
		case i >= 2 && (res.StatusCode != http.StatusTooManyRequests || res.JSON(t)["message"] != "API rate limit exceeded"):
			t.Errorf("request %d: %s %s", i, res.Status, res.Text)
		case i >= 2 && res.Header.Get("Retry-After") != res.Header.Get("RateLimit-Reset"):
			t.Errorf("request %d: Retry-After is %q", i, res.Header.Get("Retry-After"))
		}
	}
}

func TestLimitBy(t *testing.T) {
	ann, bob := gatewaytest.Consumer("ann", ""), gatewaytest.Consumer("bob", "")
	one, two := gatewaytest.Key(ann, "k1"), gatewaytest.Key(ann, "k2")
	asAnn, asBob, asNobody := []string{"X-Who", "ann"}, []string{"X-Who", "bob"}, []string(nil)
	for _, test := range []struct {
		name, config string
		requests     [][]string
		want         string
	}{
		{"consumers have limits of their own", `{"year": 1}`, [][]string{asAnn, asBob, asAnn, asBob}, "200 200 429 429"},
		{"without a consumer the address counts", `{"year": 1}`, [][]string{asNobody, asAnn, asNobody}, "200 200 429"},
		{"credentials have limits of their own", `{"year": 1, "limit_by": "credential"}`,
			[][]string{append(asAnn, "X-Key", "k1"), append(asAnn, "X-Key", "k2"), append(asAnn, "X-Key", "k1")}, "200 200 429"},
		{"an address has one limit for all consumers", `{"year": 1, "limit_by": "ip"}`, [][]string{asAnn, asBob}, "200 429"},
		{"a service has one limit for all", `{"year": 1, "limit_by": "service"}`, [][]string{asAnn, asBob}, "200 429"},
		{"values of a header have limits of their own", `{"year": 1, "limit_by": "header", "header_name": "X-Team"}`,
			[][]string{{"X-Team", "a"}, {"x-team", "b"}, {"X-Team", "a"}, nil, nil}, "200 200 429 200 429"},
		{"a path has one limit for all", `{"year": 1, "limit_by": "path", "path": "/"}`, [][]string{asAnn, asBob}, "200 429"},
		{"the status can be another one", `{"year": 1, "error_code": 503}`, [][]string{nil, nil}, "200 503"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := start(t, ann, bob, one, two, gatewaytest.Plugin("rate-limiting", test.config))
			if got := statuses(g, test.requests...); got != test.want {
				t.Errorf("%s, not %s", got, test.want)
			}
		})
	}
}

func TestOtherPathsAreLimitedByAddress(t *testing.T) {
	g := start(t, gatewaytest.Plugin("rate-limiting", `{"year": 1, "limit_by": "path", "path": "/a"}`))
	for i, path := range []string{"/a", "/b", "/c"} {
		want := []int{200, 200, 429}[i]
		if res := g.Get(path); res.StatusCode != want {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
}

func TestRequestsAtOnceDoNotExceedTheLimit(t *testing.T) {
	g := start(t, gatewaytest.Plugin("rate-limiting", `{"year": 10}`))
	var passed atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 10 {
				res, err := g.Client.Get(g.URL)
				if err != nil {
					t.Error(err)
					return
				}
				_ = res.Body.Close()
				if res.StatusCode == http.StatusOK {
					passed.Add(1)
				}
			}
		})
	}
	all.Wait()
	if n := passed.Load(); n != 10 {
		t.Errorf("%d have passed", n)
	}
}

func TestAnswer(t *testing.T) {
	g := start(t, gatewaytest.Plugin("rate-limiting", `{"day": 1, "hide_client_headers": true, "error_message": "slow down"}`))
	g.Get("/")
	res := g.Get("/")
	if res.StatusCode != http.StatusTooManyRequests || res.JSON(t)["message"] != "slow down" {
		t.Errorf("%s %s", res.Status, res.Text)
	}
	for _, name := range []string{"X-RateLimit-Limit-Day", "X-RateLimit-Remaining-Day", "RateLimit-Limit", "Retry-After"} {
		if v := res.Header.Get(name); v != "" {
			t.Errorf("%s is not hidden: %q", name, v)
		}
	}
}

func TestCountsSurviveAChangeOfTheConfiguration(t *testing.T) {
	p := gatewaytest.Plugin("rate-limiting", `{"year": 2}`)
	g := start(t, p)
	g.Get("/")
	changed := *p
	changed.Config = json.RawMessage(`{"year": 3, "policy": "cluster"}`)
	g.Put(&changed)
	if got := statuses(g, nil, nil, nil); got != "200 200 429" {
		t.Error(got)
	}
}

func TestAllWindowsAreTold(t *testing.T) {
	g := start(t, gatewaytest.Plugin("rate-limiting",
		`{"second": 100, "minute": 100, "hour": 100, "day": 100, "month": 100, "year": 100.5}`))
	res := g.Get("/")
	for _, name := range []string{"Second", "Minute", "Hour", "Day", "Month"} {
		if res.Header.Get("X-RateLimit-Limit-"+name) != "100" || res.Header.Get("X-RateLimit-Remaining-"+name) != "99" {
			t.Errorf("%s: %v", name, res.Header)
		}
	}
	if res.Header.Get("X-RateLimit-Limit-Year") != "101" {
		t.Errorf("a part of a request is a request: %v", res.Header)
	}
}

func TestConfig(t *testing.T) {
	r := configSchema()
	for _, test := range []struct{ config, want string }{
		{`{"second": 1}`, ""},
		{`{}`, "at least one of these fields must be non-empty"},
		{`{"second": 0}`, "value must be greater than 0"},
		{`{"minute": 1, "second": 2}`, "The limit for minute(1.0) cannot be lower than the limit for second(2.0)"},
		{`{"minute": 1, "policy": "redis"}`, "redis"},
		{`{"minute": 1, "policy": "redis", "redis_host": "h"}`, ""},
		{`{"minute": 1, "limit_by": "header"}`, "header_name"},
		{`{"minute": 1, "limit_by": "path"}`, "path"},
		{`{"minute": 1, "limit_by": "moon"}`, "expected one of"},
		{`{"minute": 1, "error_code": 42}`, "error_code"},
	} {
		got := gatewaytest.Violations(t, &r, test.config)
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, not %q", test.config, got, test.want)
		}
	}
}

func TestOldNamesAreNewOnes(t *testing.T) {
	r := configSchema()
	doc, err := schema.DecodeObject([]byte(`{"minute": 1, "policy": "redis", "redis_host": "h", "redis_port": 7, "redis_timeout": 8,
		"redis_username": "u", "redis_password": "p", "redis_database": 9, "redis_ssl": true, "redis_ssl_verify": true,
		"redis_server_name": "s"}`))
	if err != nil {
		t.Fatal(err)
	}
	done := r.Complete(doc)
	want, _ := schema.DecodeObject([]byte(`{"host": "h", "port": 7, "timeout": 8, "username": "u", "password": "p",
		"database": 9, "ssl": true, "ssl_verify": true, "server_name": "s"}`))
	if !schema.Equal(done["redis"], want) {
		t.Errorf("%v", done["redis"])
	}
	if !schema.Equal(r.Complete(done), done) {
		t.Error("a complete configuration is completed to another one")
	}
}

func BenchmarkLocal(b *testing.B) {
	c := newCounters()
	limits := []limit{{minute, 1 << 40, ""}, {hour, 1 << 40, ""}}
	k := key{kind: byAddress, id: netip.MustParseAddr("192.0.2.1").As16()}
	now := noon
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		var used usage
		for pb.Next() {
			_, _ = c.take(b.Context(), &k, now, limits, &used)
		}
	})
}

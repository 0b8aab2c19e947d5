package httpproxy_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

// TestUpdateUnderLoad changes everything there is while requests come, none of
// which may fail.
func TestUpdateUnderLoad(t *testing.T) {
	var seen traces
	urls := []string{gatewaytest.Echo(t, "0"), gatewaytest.Echo(t, "1")}
	upstream := gatewaytest.Upstream("pool", urls...)
	plain, pooled := gatewaytest.Service(urls[0]), gatewaytest.Service("http://pool")
	g := gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{seen.module("p", 1)}}, gatewaytest.All(
		plain, pooled, upstream, gatewaytest.Route(plain, "/plain"), gatewaytest.Route(pooled, "/pool"),
	))
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var served atomic.Int64
	for i := range 4 {
		clients.Go(func() {
			path := []string{"/plain", "/pool"}[i%2]
			base := []string{g.URL, g.SecureURL}[i/2]
			for ctx.Err() == nil {
				res, err := g.Client.Get(base + path)
				if err != nil {
					t.Error(err)
					return
				}
				b, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || res.StatusCode != http.StatusOK {
					t.Errorf("%s %v: %s", res.Status, err, b)
					return
				}
				served.Add(1)
			}
		})
	}
	plugin := gatewaytest.Plugin("p", `{"label":"0"}`)
	for i := range 200 {
		s := *plain
		s.ReadTimeout = int64(50000 + i)
		p := *plugin
		p.Config = []byte(fmt.Sprintf(`{"label":"%d"}`, i/2))
		r := gatewaytest.Route(&s, fmt.Sprintf("/other/%d", i))
		u := *upstream[0].(*entity.Upstream)
		u.Slots = 1000 + i
		target := *upstream[1].(*entity.Target)
		target.Weight = 1 + i
		before := served.Load()
		g.Put(&s, &p, r, &u, &target)
		if i%10 == 9 {
			waitFor(t, func() bool { return served.Load() > before+4 })
		}
	}
	cancel()
	clients.Wait()
	g.Stop()
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if len(seen.shut) != 100 || len(map[string]bool{seen.shut[0]: true, seen.shut[99]: true}) != 2 {
		t.Errorf("%d instances of the plugin were closed instead of 100", len(seen.shut))
	}
}

// TestInstancesInUse is that a plugin is not closed while a request uses it,
// nor replaced when its configuration is the same.
func TestInstancesInUse(t *testing.T) {
	var seen traces
	asked, answer := make(chan struct{}), make(chan struct{})
	s := gatewaytest.Service(gatewaytest.Serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-answer
	})))
	p := gatewaytest.Plugin("p", `{"label":"1"}`)
	g := gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{seen.module("p", 1)}},
		gatewaytest.All(s, gatewaytest.Route(s, "/"), p))
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.Get("/")
	}()
	<-asked
	same, other := *p, *p
	same.Tags = []string{"x"}
	g.Put(&same)
	other.Config = []byte(`{"label":"2"}`)
	g.Put(&other)
	other2 := other
	other2.Enabled = false
	g.Put(&other2) // nothing uses it: it may be closed only after the first one
	close(answer)
	<-done
	waitFor(t, func() bool { seen.mu.Lock(); defer seen.mu.Unlock(); return len(seen.shut) == 2 })
	if got := seen.take(); got != "p1 <p1 .p1" {
		t.Errorf("the phases were %q", got)
	}
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if got := strings.Join(seen.shut, " "); got != "p1 p2" {
		t.Errorf("closed were %q", got)
	}
}

// TestManyRoutes is that one change among many routes touches one of them. What
// it takes is in BenchmarkUpdate.
func TestManyRoutes(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "a"))
	var e httpproxy.Entities
	e.Services = append(e.Services, s)
	for i := range 5000 {
		e.Routes = append(e.Routes, gatewaytest.Route(s, fmt.Sprintf("/r/%d/", i)))
	}
	g := gatewaytest.Start(t, httpproxy.Options{}, e)
	for _, i := range []int{0, 1, 2500, 4999} {
		if res := g.Get(fmt.Sprintf("/r/%d/x", i)); res.StatusCode != http.StatusOK {
			t.Errorf("route %d: %s", i, res.Status)
		}
	}
	off := *s
	off.Enabled = false
	g.Put(&off)
	if res := g.Get("/r/7/"); res.StatusCode != http.StatusNotFound {
		t.Errorf("the service is off: %s", res.Status)
	}
	g.Put(s)
	if res := g.Get("/r/7/"); res.StatusCode != http.StatusOK {
		t.Errorf("the service is on: %s", res.Status)
	}
	if err := g.Update(httpproxy.Update{Reset: true, Put: gatewaytest.All(s, e.Routes[1])}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{404, 200, 404} {
		if res := g.Get(fmt.Sprintf("/r/%d/", i)); res.StatusCode != want {
			t.Errorf("after a reset, route %d: %s", i, res.Status)
		}
	}
	bad := gatewaytest.Route(s, "~/(")
	if err := g.Update(httpproxy.Update{Put: gatewaytest.All(bad, gatewaytest.Route(s, "/good"))}); err == nil ||
		!strings.Contains(err.Error(), bad.ID.String()) {
		t.Errorf("a regular expression that does not compile: %v", err)
	}
	if res := g.Get("/good"); res.StatusCode != http.StatusOK {
		t.Errorf("what is beside it: %s", res.Status)
	}
}

// BenchmarkUpdate is one change among 100,000 routes.
func BenchmarkUpdate(b *testing.B) {
	s := gatewaytest.Service("http://127.0.0.1:1")
	var seen traces
	p, err := httpproxy.New(httpproxy.Options{Modules: []httpproxy.PluginModule{seen.module("p", 1)}})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	var e httpproxy.Entities
	for i := range 100000 {
		if i%10 == 0 {
			s = gatewaytest.Service("http://127.0.0.1:1")
			e.Services = append(e.Services, s)
			c := gatewaytest.Consumer(fmt.Sprint("c", i), "")
			e.Consumers = append(e.Consumers, c)
			e.Credentials = append(e.Credentials, gatewaytest.Key(c, fmt.Sprint("k", i)))
		}
		e.Routes = append(e.Routes, gatewaytest.Route(s, fmt.Sprintf("/r/%d/", i)))
	}
	if err := p.Update(httpproxy.Update{Put: e}); err != nil {
		b.Fatal(err)
	}
	plugin := gatewaytest.Plugin("p", `{"label":"x"}`)
	plugin.Service = &entity.Reference{ID: s.ID}
	for name, change := range map[string]func(i int) httpproxy.Entities{
		"route": func(i int) httpproxy.Entities {
			r := *e.Routes[i%len(e.Routes)]
			r.Paths = []string{fmt.Sprintf("/x/%d", i)}
			return gatewaytest.All(&r)
		},
		"service": func(i int) httpproxy.Entities {
			s := *e.Services[i%len(e.Services)]
			s.Port = i % 65536
			return gatewaytest.All(&s)
		},
		"plugin": func(i int) httpproxy.Entities {
			p := *plugin
			p.ID, p.Config = uuid.UUID{byte(i % 16)}, []byte(fmt.Sprintf(`{"label":"%d"}`, i))
			return gatewaytest.All(&p)
		},
		"consumer": func(i int) httpproxy.Entities {
			c := *e.Consumers[i%len(e.Consumers)]
			return gatewaytest.All(&c)
		},
	} {
		b.Run(name, func(b *testing.B) {
			i := 0
			for b.Loop() {
				i++
				if err := p.Update(httpproxy.Update{Put: change(i)}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

package gateway_test

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/balance"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/server/store"
)

const patience = 20 * time.Second

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come about", what)
		}
		<-tick.C
	}
}

// onOneStore runs a test with two processes, on each kind of store that can have
// them.
func onOneStore(t *testing.T, f func(t *testing.T, a, b *world)) {
	t.Helper()
	t.Parallel()
	for name, fresh := range stores(t) {
		if name == "SQLite" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := fresh(t)
			f(t, newWorld(t, u, t.TempDir()), newWorld(t, u, t.TempDir()))
		})
	}
}

// TestProcesses: what one process changes, all serve.
func TestProcesses(t *testing.T) {
	onOneStore(t, func(t *testing.T, a, b *world) {
		a.follow(t)
		stop := b.follow(t)
		same := func() bool { return maps.Equal(a.plane.state(t), b.plane.state(t)) }
		made(t, a, "CreateService", `{"name":"s","host":"h"}`)
		made(t, a, "CreateConsumer", `{"username":"ann"}`)
		must(t, a, "CreateKeyAuth", `{"consumer":"ann","document":{"key":"`+marker+`"}}`)
		eventually(t, "the first change", same)
		for i := range 20 {
			// Both change the same: the last one counts, for both.
			must(t, []*world{a, b}[i%2], "UpdateService", fmt.Sprintf(`{"id":"s","document":{"port":%d}}`, 1000+i))
		}
		eventually(t, "the last of many changes", same)
		must(t, b, "DeleteConsumer", `{"id":"ann"}`)
		eventually(t, "a removal", func() bool { return same() && len(a.plane.state(t)) == 1 })
		stop()
		told := a.plane.told
		made(t, a, "CreateRoute", `{"paths":["/"]}`)
		if a.plane.told != told+1 {
			t.Errorf("for one change the data plane was told of %d things", a.plane.told-told)
		}
		if err := a.store.Change(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Change.Delete().Exec(t.Context()) // as if it were long ago
			return err
		}); err != nil {
			t.Fatal(err)
		}
		b.follow(t)
		made(t, a, "CreateRoute", `{"paths":["/"]}`)
		eventually(t, "what was missed", func() bool { return same() && len(b.plane.state(t)) == 3 })
	})
}

// TestActsInProcesses: what one process is told of which the store keeps nothing,
// all do, once, and with what was there before.
func TestActsInProcesses(t *testing.T) {
	onOneStore(t, func(t *testing.T, a, b *world) {
		made(t, a, "CreateUpstream", `{"name":"u"}`)
		id := must(t, a, "CreateTarget", `{"upstream":"u","document":{"target":"h:1"}}`)["id"].(string)
		planes := make([]*busy, 2)
		for i, w := range []*world{a, b} {
			planes[i] = &busy{cached: map[string]object{"one": {}, "two": {}, "three": {}}, status: balance.Status{
				Targets: []balance.TargetStatus{{Target: &entity.Target{ID: uuid.MustParse(id), Target: fmt.Sprint("known-here:", i)}}},
			}}
			if err := w.Start(t.Context(), planes[i]); err != nil {
				t.Fatal(err)
			}
			w.follow(t)
		}
		both := func(what, first, second string) {
			t.Helper()
			eventually(t, what, func() bool { return planes[0].was() == first && planes[1].was() == second })
		}
		must(t, a, "SetTargetUnhealthy", `{"upstream":"u","target":"h:1"}`)
		both("health", "[known-here:0 invalid AddrPort unhealthy] 3", "[known-here:1 invalid AddrPort unhealthy] 3")
		must(t, b, "SetTargetHealthy", `{"upstream":"u","target":"h:1","address":"127.0.0.1:1"}`)
		set := func(i int) string {
			return fmt.Sprintf("[known-here:%d invalid AddrPort unhealthy known-here:%d 127.0.0.1:1 healthy] ", i, i)
		}
		both("health again", set(0)+"3", set(1)+"3")
		must(t, b, "DeleteCacheEntry", `{"key":"one"}`)
		both("an entry", set(0)+"2", set(1)+"2")
		planes[0].DeleteCacheEntry(uuid.Nil, "two")
		if got := said(call(t, a, "DeleteCacheEntry", `{"key":"two"}`)); got != notThere {
			t.Errorf("what this process does not have: %s", got)
		}
		both("what the other alone has", set(0)+"1", set(1)+"1")
		must(t, a, "PurgeCaches", `{}`)
		both("all", set(0)+"0", set(1)+"0")
	})
}

// TestServicesOfTheCatalogue: a host that is a service of the catalogue is its
// address, and follows it.
func TestServicesOfTheCatalogue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", t.TempDir())
	w.follow(t)
	of := uuid.New()
	put := func(config connectors.Config) {
		w.catalog.mu.Lock()
		w.catalog.id, w.catalog.config = of, config
		w.catalog.mu.Unlock()
		if err := w.store.Change(t.Context(), func(tx *store.Tx) error {
			tx.Emit(store.Event{Kind: "updated", ServiceID: of, Project: store.DefaultProject, Payload: []byte{}})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	host := of.String() + ".catalog"
	o := must(t, w, "CreateService", `{"document":{"name":"s","port":5,"host":"`+host+`"}}`)
	id := o["id"].(string)
	address := func() string {
		s := w.plane.of(httpproxy.Services, id).(*entity.Service)
		return fmt.Sprint(s.Host, ":", s.Port)
	}
	made(t, w, "CreateUpstream", `{"name":"u"}`)
	at := must(t, w, "CreateTarget", `{"upstream":"u","document":{"target":"`+host+`:5"}}`)["id"].(string)
	target := func() string { return w.plane.of(httpproxy.Targets, at).(*entity.Target).Target }
	if got := address(); got != host+":5" || o["host"] != host || target() != host+":5" {
		t.Errorf("before it is there: %s, %s", got, target())
	}
	for _, tt := range []struct {
		config connectors.Config
		want   string
	}{
		{connectors.Config{"host": "db.test", "port": int64(5432)}, "db.test:5432"},
		{connectors.Config{"host": "db.test"}, "db.test:5"},
		{connectors.Config{"endpoint": "store.test:9000"}, "store.test:9000"},
		{connectors.Config{"endpoint": "https://store.test"}, "store.test:443"},
	} {
		put(tt.config)
		eventually(t, tt.want, func() bool { return address() == tt.want && target() == tt.want })
	}
	put(connectors.Config{"host": "2001:db8::1", "port": int64(1)})
	eventually(t, "an address of IPv6", func() bool { return target() == "[2001:0db8:0000:0000:0000:0000:0000:0001]:1" })
	holds(t, "the target", must(t, w, "GetTarget", `{"upstream":"u","id":"`+at+`"}`), `{"target":"`+host+`:5"}`)
	must(t, w, "UpdateTarget", `{"upstream":"u","id":"`+at+`","document":{"target":"plain.test:5"}}`)
	must(t, w, "UpdateService", `{"id":"s","document":{"host":"plain.test"}}`)
	put(connectors.Config{"host": "later.test"})
	made(t, w, "CreateRoute", `{"paths":["/"]}`)
	if got := address(); got != "plain.test:5" || target() != "plain.test:5" {
		t.Errorf("a host that is no service any more: %s, %s", got, target())
	}
}

// TestGenerationInProcesses: what one process generates, others serve, and all
// of it at once.
func TestGenerationInProcesses(t *testing.T) {
	onOneStore(t, func(t *testing.T, a, b *world) {
		var paths []string
		for i := range 1200 {
			paths = append(paths, fmt.Sprint(i))
		}
		gen := generation(api("a", paths...))
		gen.Pages = []*entity.Page{{Path: "/openapi.json", Body: []byte("{}")}}
		// Of the changes that are read at once, those of the generation are
		// the last, and not all.
		if err := a.store.Change(t.Context(), func(tx *store.Tx) error {
			for range 998 {
				tx.Emit(store.Event{Kind: store.IdentityEvent, Payload: []byte("{}")})
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		generate(t, a, gen)
		before := b.plane.toldTimes()
		b.follow(t)
		same := func() bool {
			return maps.Equal(a.plane.state(t), b.plane.state(t)) && len(a.plane.state(t)) == 1203 && b.plane.page("/openapi.json") == "{}"
		}
		eventually(t, "the first generation", same)
		if b.plane.toldTimes() != before+1 {
			t.Errorf("the data plane was told %d times", b.plane.toldTimes()-before)
		}
		must(t, b, "DeleteRoute", `{"id":"a.7"}`)
		if got := generate(t, a, gen); got != "1 0 0" {
			t.Errorf("after a removal by the other: %s", got)
		}
		eventually(t, "what the other had removed", same)
		if got := generate(t, b, gen); got != "0 0 0" {
			t.Errorf("by the other: %s", got)
		}
		gen.Pages[0].Body = []byte("[]")
		generate(t, a, gen)
		eventually(t, "the other page", func() bool { return b.plane.page("/openapi.json") == "[]" && b.plane.page("/docs/") == "docs" })
	})
}

package registry_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/server/gateway"
	"github.com/backplane/backplane/server/gateway/registry"
	"github.com/backplane/backplane/server/store"
)

// gate is a document that is not served until it is opened.
type gate struct {
	open  chan struct{}
	asked atomic.Int32
	then  http.HandlerFunc
}

func newGate(then http.HandlerFunc) *gate { return &gate{open: make(chan struct{}), then: then} }

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.asked.Add(1)
	select {
	case <-g.open:
		g.then(w, r)
	case <-r.Context().Done():
	}
}

// TestRefreshesAreShared: who calls while a refresh runs waits for the next one,
// with all others who do, and is told of what was registered before the call.
func TestRefreshesAreShared(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *registry.Options) { o.Timeout = patience })
	g := newGate(document("GET /items/"))
	w.register(t, "slow", newUpstream(t, g.ServeHTTP).port(t))
	first := w.registry.Join(t)
	eventually(t, "the first refresh fetches", func() bool { return g.asked.Load() == 1 })
	late := newUpstream(t, document("GET /items/"))
	w.register(t, "late", late.port(t))
	second, third := w.registry.Join(t), w.registry.Join(t)
	if second != third || second == first {
		t.Error("those who wait for the next refresh do not share it")
	}
	close(g.open)
	if out := first.Wait(t); out.GetUsable() != 1 {
		t.Errorf("the first came to %v", out)
	}
	if out := second.Wait(t); out.GetServices() != 2 || out.GetUsable() != 2 || late.fetches() != 1 {
		t.Errorf("the second came to %v, with %d fetches", out, late.fetches())
	}
	w.want(t, http.MethodGet, "/late/items/", http.StatusOK, "GET /items/")
}

// TestTheRefreshGoesOnWithoutItsCaller: what somebody began is done, whether he
// waits for it or not.
func TestTheRefreshGoesOnWithoutItsCaller(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *registry.Options) { o.Timeout = patience })
	g := newGate(document("GET /items/"))
	id := w.register(t, "Shop", newUpstream(t, g.ServeHTTP).port(t))
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := w.RefreshServices(ctx, &gatewayv1.RefreshServicesRequest{})
		left <- err
	}()
	eventually(t, "the refresh fetches", func() bool { return g.asked.Load() == 1 })
	leave()
	if err := <-left; status.Code(err) != codes.Canceled {
		t.Errorf("who leaves is told %v", err)
	}
	close(g.open)
	eventually(t, "the service is served", func() bool { got, _ := w.get(t, http.MethodGet, "/Shop/items/"); return got == http.StatusOK })
	if got := w.details(t, id); got.GetService().GetStatusCode() != 200 {
		t.Errorf("it is %v", got)
	}
}

// TestClose ends refreshes under way; those who wait are told.
func TestClose(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *registry.Options) { o.Timeout = patience })
	g := newGate(document("GET /items/"))
	w.register(t, "Shop", newUpstream(t, g.ServeHTTP).port(t))
	told := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := w.RefreshServices(t.Context(), &gatewayv1.RefreshServicesRequest{})
			told <- err
		}()
	}
	eventually(t, "the refresh fetches", func() bool { return g.asked.Load() == 1 && w.registry.Waiting() })
	w.registry.Close()
	for range 2 {
		if err := <-told; status.Code(err) != codes.Unavailable {
			t.Errorf("who waits is told %v", err)
		}
	}
	if _, err := w.RefreshServices(t.Context(), &gatewayv1.RefreshServicesRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("who comes later is told %v", err)
	}
}

// TestServicesSettle: a little after a change the service is served as it is then,
// and nobody else is asked.
func TestServicesSettle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *registry.Options) { o.Every, o.Settle = time.Hour, 10*time.Millisecond })
	one, two := newUpstream(t, document("GET /one")), newUpstream(t, document("GET /two"))
	w.register(t, "First", one.port(t))
	served := func(path string, status int) func() bool {
		return func() bool { got, _ := w.get(t, http.MethodGet, path); return got == status }
	}
	eventually(t, "it is served", served("/First/one", http.StatusOK))
	fetches := one.fetches()
	second := w.register(t, "Second", one.port(t))
	eventually(t, "the second is served", served("/Second/one", http.StatusOK))
	port, name := two.port(t), "Other"
	if _, err := w.UpdateRegistration(t.Context(), &gatewayv1.UpdateRegistrationRequest{IdService: second, Port: &port, NameService: &name}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is served as it is now", served("/Other/two", http.StatusOK))
	w.want(t, http.MethodGet, "/Second/one", http.StatusNotFound, "")
	if got := one.fetches(); got != fetches+1 {
		t.Errorf("the first was asked %d times more than needed", got-fetches-1)
	}
	if _, err := w.UnregisterService(t.Context(), &gatewayv1.UnregisterServiceRequest{IdService: second}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is served no more", served("/Other/two", http.StatusNotFound))
	if got := w.details(t, second); !got.GetService().GetDelete() || len(got.GetService().GetUrls()) != 0 {
		t.Errorf("it is not to be seen as marked: %v", got)
	}
	w.want(t, http.MethodGet, "/First/one", http.StatusOK, "GET /one")
	if out := w.refresh(t); out.GetServices() != 1 {
		t.Errorf("a call for a refresh leaves it there: %v", out)
	}
	if _, err := w.GetRegistration(t.Context(), &gatewayv1.GetRegistrationRequest{IdService: second}); code(err) != 3 {
		t.Errorf("it is not gone: %v", err)
	}
}

// counting counts what is generated.
type counting struct {
	registry.Generator
	calls atomic.Int32
}

func (c *counting) Generate(ctx context.Context, g gateway.Generation, also func(context.Context, *store.Tx) error) (gateway.Outcome, error) {
	c.calls.Add(1)
	return c.Generator.Generate(ctx, g, also)
}

// TestByTheClock: documents are fetched at the start and again and again; nothing
// is made or written where nothing has changed, and users' changes to what is
// generated are set right.
func TestByTheClock(t *testing.T) {
	t.Parallel()
	c := &counting{}
	w := newWorld(t, func(o *registry.Options) {
		c.Generator = o.Generator
		o.Generator, o.Every, o.Settle = c, 20*time.Millisecond, time.Hour
	})
	u := newUpstream(t, document("GET /items/"))
	id := w.register(t, "Shop", u.port(t))
	w.run(t)
	eventually(t, "it is served", func() bool { got, _ := w.get(t, http.MethodGet, "/Shop/items/"); return got == http.StatusOK })
	eventually(t, "it has settled", func() bool { return u.fetches() >= 4 })
	calls, checked := c.calls.Load(), w.details(t, id).GetCheckedAt()
	revision, _, err := w.store.CurrentRevision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	records, err := w.store.AuditRecord.Query().Count(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fetches := u.fetches()
	eventually(t, "it is looked at again", func() bool { return u.fetches() >= fetches+5 })
	after, _, err := w.store.CurrentRevision(t.Context())
	if n, more := w.store.AuditRecord.Query().Count(t.Context()); errors.Join(err, more) != nil || n != records || after != revision || c.calls.Load() != calls {
		t.Errorf("without a change, %d generations, %d records, %d revisions more", c.calls.Load()-calls, n-records, after-revision)
	}
	if got := w.details(t, id).GetCheckedAt(); !got.AsTime().Equal(checked.AsTime()) {
		t.Errorf("it is noted each time that it was looked at")
	}
	if _, err := w.DeleteRoute(t.Context(), &gatewayv1.DeleteRouteRequest{Id: "Shop.get-items"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the route is made again", func() bool { got, _ := w.get(t, http.MethodGet, "/Shop/items/"); return got == http.StatusOK })
	u.says(document("GET /other"))
	eventually(t, "the new document is served", func() bool { got, _ := w.get(t, http.MethodGet, "/Shop/other"); return got == http.StatusOK })

	// Who marks a service as deleted sees it for a while.
	if _, err := w.UnregisterService(t.Context(), &gatewayv1.UnregisterServiceRequest{IdService: id}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is served no more", func() bool { got, _ := w.get(t, http.MethodGet, "/Shop/other"); return got == http.StatusNotFound })
	if got := w.details(t, id); !got.GetService().GetDelete() {
		t.Errorf("it is %v", got)
	}
	if err := w.store.RegisteredService.UpdateOneID(id).AddDeletedAt(-2 * time.Minute.Microseconds()).Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is gone", func() bool {
		_, err := w.GetRegistration(t.Context(), &gatewayv1.GetRegistrationRequest{IdService: id})
		return code(err) == 3
	})
}

// TestStoredRoutesServeAtOnce: a start does not wait for documents, nor do routes
// go that cannot be fetched then.
func TestStoredRoutesServeAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	u := newUpstream(t, document("GET /items/"))
	first := openWorld(t, "", dir)
	id := first.register(t, "Shop", u.port(t))
	first.refresh(t)
	first.registry.Close()
	first.store.Close()
	g := newGate(text(500, ""))
	u.says(g.ServeHTTP)
	w := openWorld(t, "", dir, func(o *registry.Options) { o.Every, o.Timeout = time.Hour, patience })
	w.run(t)
	eventually(t, "the start fetches", func() bool { return g.asked.Load() == 1 })
	w.want(t, http.MethodGet, "/Shop/items/", http.StatusOK, "GET /items/")
	w.want(t, http.MethodGet, "/openapi.json", http.StatusOK, "")
	close(g.open)
	eventually(t, "the status is known", func() bool { return w.details(t, id).GetService().GetStatusCode() == 500 })
	w.want(t, http.MethodGet, "/Shop/items/", http.StatusOK, "GET /items/")
}

// TestAllAtOnce registers, changes, deletes and refreshes at once. In the end all
// is as the last calls left it.
func TestAllAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *registry.Options) { o.Every, o.Settle = 15*time.Millisecond, time.Millisecond })
	w.run(t)
	one, two := newUpstream(t, document("GET /one")), newUpstream(t, document("GET /two"))
	const workers, rounds = 4, 5
	var all sync.WaitGroup
	for i := range workers {
		all.Go(func() {
			for round := range rounds {
				name := fmt.Sprintf("s%d-%d", i, round)
				id := w.register(t, name, one.port(t))
				port := two.port(t)
				if _, err := w.UpdateRegistration(t.Context(), &gatewayv1.UpdateRegistrationRequest{IdService: id, Port: &port}); err != nil {
					t.Error(err)
				}
				if round%2 == 0 {
					w.refresh(t)
				}
				if round > 0 {
					if _, err := w.UnregisterService(t.Context(), &gatewayv1.UnregisterServiceRequest{IdService: id}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	if out := w.refresh(t); out.GetServices() != workers || out.GetUsable() != workers {
		t.Errorf("the last refresh came to %v", out)
	}
	for i := range workers {
		w.want(t, http.MethodGet, fmt.Sprintf("/s%d-0/two", i), http.StatusOK, "GET /two")
		w.want(t, http.MethodGet, fmt.Sprintf("/s%d-1/two", i), http.StatusNotFound, "")
	}
	// A service, its route, the rest, and two plugins.
	if n, err := w.store.GatewayObject.Query().Count(t.Context()); err != nil || n != 5*workers {
		t.Errorf("%d entities, %v", n, err)
	}
}

package registry_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/server/gateway/registry"
	"github.com/backplane/backplane/testbed"
)

// TestProcessesOnOneStore: what is registered in one process is refreshed in
// another, also at the same time, and both serve it. On each kind of store that
// several processes can use.
func TestProcessesOnOneStore(t *testing.T) {
	t.Parallel()
	postgres, mariadb := testbed.StartPostgres(t, testbed.PostgresOptions{}), testbed.StartMariaDB(t, testbed.MariaDBOptions{})
	postgres.CreateDatabase(t, "registry", postgres.User)
	mariadb.Exec(t, "CREATE DATABASE registry")
	maria := url.URL{Scheme: "mysql", User: url.UserPassword(mariadb.User, mariadb.Password), Host: testbed.Addr(mariadb.Port), Path: "/registry"}
	for name, at := range map[string]string{"PostgreSQL": postgres.AdminURL("registry"), "MariaDB": maria.String()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testProcesses(t, openWorld(t, at, t.TempDir()), openWorld(t, at, t.TempDir(), func(o *registry.Options) { o.Every = 50 * time.Millisecond }))
		})
	}
}

func testProcesses(t *testing.T, one, two *world) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var followers sync.WaitGroup
	for _, w := range []*world{one, two} {
		followers.Go(func() { w.store.Follow(ctx, func(error) {}) })
		followers.Go(func() { w.gateway.Follow(ctx) })
	}
	t.Cleanup(func() { stop(); followers.Wait() })
	u := newUpstream(t, document("GET /items/", "!GET /safe"))
	nul := newUpstream(t, text(200, `{"openapi":"3.1.0","info":{"title":"\u0000","version":"😀"},"tags":[{"name":"open","x-auto-generate-in-api-gateway":true}],
		"paths":{"/x":{"get":{"tags":["open"],"operationId":"a\u0000😀","responses":{"200":{"description":"\u0000"}}}},"/y{":7,"/\u0000":{"get":{"tags":["open"]}}}}`))
	ids := []int64{one.register(t, "Odd", nul.port(t))}
	for i := range 5 {
		ids = append(ids, one.register(t, fmt.Sprintf("service%d", i), u.port(t)))
	}
	two.run(t)
	var both sync.WaitGroup
	for range 3 {
		for _, w := range []*world{one, two} {
			both.Go(func() {
				if out, err := w.RefreshServices(t.Context(), &gatewayv1.RefreshServicesRequest{}); err != nil || out.GetUsable() != int32(len(ids)) {
					t.Errorf("the refresh came to %v %v", out, err)
				}
			})
		}
	}
	both.Wait()
	served := func(w *world, path string, status int) func() bool {
		return func() bool { got, _ := w.get(t, http.MethodGet, path); return got == status }
	}
	for _, w := range []*world{one, two} {
		eventually(t, "a service is served", served(w, "/service4/items/", http.StatusOK))
		eventually(t, "an odd service is served", served(w, "/Odd/x", http.StatusOK))
		eventually(t, "the document is served", served(w, "/openapi.json", http.StatusOK))
	}
	if got := two.details(t, ids[0]); got.GetService().GetStatusCode() != 200 || len(got.GetFaults()) < 2 || got.GetVersion() != "😀" {
		t.Errorf("the odd one is %v", got)
	}
	u.says(document("GET /items/", "GET /new"))
	for _, w := range []*world{one, two} {
		eventually(t, "the new document is served, without a call", served(w, "/service0/new", http.StatusOK))
	}
	for _, id := range ids {
		if _, err := two.UnregisterService(t.Context(), &gatewayv1.UnregisterServiceRequest{IdService: id}); err != nil {
			t.Fatal(err)
		}
	}
	one.refresh(t)
	for _, w := range []*world{one, two} {
		eventually(t, "it is gone", served(w, "/service0/items/", http.StatusNotFound))
		eventually(t, "the document is gone", served(w, "/openapi.json", http.StatusNotFound))
	}
	if _, err := two.ListRegistrations(t.Context(), &gatewayv1.ListRegistrationsRequest{}); code(err) != 2 {
		t.Errorf("services are left: %v", err)
	}
}

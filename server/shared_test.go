package server_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	"github.com/backplane/backplane/internal/config"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// TestSharedStore runs two servers on one store.
func TestSharedStore(t *testing.T) {
	t.Parallel()
	for name, k := range kinds(t) {
		if !k.shared {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, _ := k.fresh(t)
			key := func(c *config.Config) { c.MasterKey = strings.Repeat("7a", 32) }
			var servers [2]*servertest.Server
			var all sync.WaitGroup
			for i := range servers { // both make the schema, at the same time
				all.Go(func() { servers[i] = servertest.Start(t, servertest.Options{Store: u, Adjust: key}) })
			}
			all.Wait()
			if servers[0] == nil || servers[1] == nil {
				t.FailNow()
			}
			sharedReads(t, servers[0], servers[1])
			sharedMonitor(t, servers[0], servers[1])
		})
	}
}

func sharedReads(t *testing.T, a, b *servertest.Server) {
	t.Helper()
	w := openWatch(t, a, "")
	stream, err := a.Catalog.WatchServices(servertest.Context(t), &catalogv1.WatchServicesRequest{Index: proto.Uint64(w.index)})
	if err != nil {
		t.Fatal(err)
	}
	id := b.Create(t, redisBody("shared", testbed.ClosedPort(t), "password", "hidden-word"))["id"].(string)
	if _, service := w.want(t, "created"); service["id"] != id {
		t.Errorf("the event is of %v", service["id"])
	}
	if ev, err := stream.Recv(); err != nil || ev.GetService().GetId() != id {
		t.Errorf("over gRPC: %v, %v", ev, err)
	}
	for i := range 5 { // never what was there before
		want := fmt.Sprint("round ", i)
		put(t, b, id, object{"description": want})
		if got := a.Get(t, id)["description"]; got != want {
			t.Errorf("read %q after %q was written", got, want)
		}
	}
	if r := a.Do(t, "POST", "/api/services/"+id+"/test", nil).Data(t); r["code"] != "refused" {
		t.Errorf("the secret of the one is no good to the other: %v", r)
	}
	wantError(t, a.Do(t, "POST", "/api/services", sqlite("SHARED")), 409, errs.NameTaken)
	wantError(t, a.Do(t, "PUT", "/api/services/"+id, object{"name": "x"}, "If-Match", `"1"`), 412, errs.VersionMismatch)
	b.Do(t, "DELETE", "/api/services/"+id, nil).Good(t)
	wantError(t, a.Do(t, "GET", "/api/services/"+id, nil), 404, errs.NotFound)
}

// checksBy tells how many connection tests of a type a server has made.
func checksBy(t *testing.T, s *servertest.Server, serviceType string) (n int) {
	t.Helper()
	for line := range strings.Lines(string(s.Do(t, "GET", "/metrics", nil).Body)) {
		if strings.HasPrefix(line, `backplane_connection_test_duration_seconds_count{service_type="`+serviceType+`"}`) {
			if _, err := fmt.Sscan(line[strings.LastIndex(line, " ")+1:], &n); err != nil {
				t.Fatal(err)
			}
		}
	}
	return n
}

func sharedMonitor(t *testing.T, a, b *servertest.Server) {
	t.Helper()
	for i := range 6 { // each is checked within two seconds of its creation
		a.Create(t, sqlite(fmt.Sprintf("monitored %d", i), "check", object{"interval": "3600s"}))
	}
	servertest.Eventually(t, "every service was checked", func() bool {
		return len(a.Do(t, "GET", "/api/services?status=unknown", nil).List(t)) == 0
	})
	byA, byB := checksBy(t, a, "sqlite"), checksBy(t, b, "sqlite")
	if byA+byB != 6 || byA != 0 && byB != 0 {
		t.Errorf("one made %d checks and the other %d, want 6 by one alone", byA, byB)
	}
	// When the one that does it ends, the other goes on.
	holder, other := a, b
	if byB > 0 {
		holder, other = b, a
	}
	if err := holder.Close(); err != nil {
		t.Error(err)
	}
	id := other.Create(t, sqlite("taken over", "check", object{"interval": "10s"}))["id"].(string)
	servertest.Eventually(t, "the other takes over", func() bool { return other.Get(t, id)["health"].(object)["status"] != "unknown" })
}

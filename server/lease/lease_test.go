package lease

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backplane/backplane/server/store"
	"github.com/backplane/backplane/testbed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

func openStore(t *testing.T, url string) *store.Store {
	t.Helper()
	st, err := store.Open(t.Context(), url, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

// worker tells when its work begins and ends.
type worker struct {
	begun, ended chan struct{}
	leave        context.CancelFunc
}

func start(t *testing.T, st *store.Store, holder string) *worker {
	t.Helper()
	ctx, leave := context.WithCancel(context.Background())
	w := &worker{begun: make(chan struct{}, 100), ended: make(chan struct{}, 100), leave: leave}
	c := claim{st, slog.New(slog.DiscardHandler), "job", holder, 5 * time.Second, 20 * time.Millisecond, 10 * time.Millisecond}
	over := make(chan struct{})
	go func() {
		defer close(over)
		c.hold(ctx, func(ctx context.Context) {
			w.begun <- struct{}{}
			<-ctx.Done()
			w.ended <- struct{}{}
		})
	}()
	t.Cleanup(func() { leave(); <-over })
	return w
}

func within(t *testing.T, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(patience):
		t.Fatalf("waited %s in vain: %s", patience, what)
	}
}

func TestHold(t *testing.T) {
	url := testbed.StartPostgres(t, testbed.PostgresOptions{}).AdminURL("postgres")
	one, two := openStore(t, url), openStore(t, url)
	first := start(t, one, "first")
	within(t, "the first works", first.begun)
	second := start(t, two, "second")
	// What somebody else takes is lost.
	n, err := one.Lease.Update().SetHolder("thief").SetExpiresAt(time.Now().Add(time.Hour).UnixMicro()).Save(t.Context())
	if err != nil || n != 1 {
		t.Fatalf("%d leases, %v", n, err)
	}
	within(t, "the first loses the lease", first.ended)
	if len(first.begun)+len(second.begun) > 0 {
		t.Error("somebody works without the lease")
	}
	if err := one.Release(t.Context(), "job", "thief"); err != nil {
		t.Fatal(err)
	}
	holder, other := first, second
	select {
	case <-first.begun:
	case <-second.begun:
		holder, other = second, first
	case <-time.After(patience):
		t.Fatal("nobody works once the lease is free")
	}
	if len(other.begun) > 0 {
		t.Error("both work")
	}
	holder.leave()
	within(t, "the work of who leaves ends", holder.ended)
	within(t, "the other takes over", other.begun)
}

func TestHoldAlone(t *testing.T) {
	st := openStore(t, "")
	// Of a process that has died.
	if _, err := st.Acquire(t.Context(), "job", "dead", time.Hour); err != nil {
		t.Fatal(err)
	}
	w := start(t, st, "alive")
	within(t, "the only process works", w.begun)
}

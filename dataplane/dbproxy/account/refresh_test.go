package account

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// loads is a LoadFunc that tells of each load and takes some time for it.
type loads struct {
	mu    sync.Mutex
	count int
	fail  error
	takes time.Duration
}

func (l *loads) load(ctx context.Context) (*Table, error) {
	l.mu.Lock()
	l.count++
	n, fail, takes := l.count, l.fail, l.takes
	l.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if fail != nil {
		return nil, fail
	}
	return New(Data{Accounts: make([]Account, n)}), nil
}

func (l *loads) set(fail error, takes time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail, l.takes = fail, takes
}

func (l *loads) n() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

// refresher runs one in the bubble of a test until it ends.
func refresher(t *testing.T, l *loads, o RefreshOptions) (*Refresher, context.CancelFunc) {
	t.Helper()
	o.Load, o.Logger = l.load, slog.New(slog.DiscardHandler)
	r := NewRefresher(o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return r, cancel
}

func TestRefresherByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &loads{}
		r, _ := refresher(t, l, RefreshOptions{Interval: time.Minute})
		synctest.Wait()
		if !r.Table().Loaded() || l.n() != 1 {
			t.Fatalf("after the start: %d loads", l.n())
		}
		<-time.After(150 * time.Second)
		synctest.Wait()
		if l.n() != 3 || r.Table().Accounts() != 3 {
			t.Errorf("after two and a half minutes: %d loads, table %d", l.n(), r.Table().Accounts())
		}
		l.set(errors.New("down"), 0)
		<-time.After(time.Minute)
		synctest.Wait()
		if l.n() != 4 || r.Table().Accounts() != 3 {
			t.Errorf("a load that fails changes the table: %d loads, table %d", l.n(), r.Table().Accounts())
		}
	})
}

func TestRefresherWithoutClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &loads{}
		r, _ := refresher(t, l, RefreshOptions{})
		<-time.After(24 * time.Hour)
		synctest.Wait()
		if l.n() != 1 {
			t.Errorf("%d loads in a day", l.n())
		}
		if err := r.Reload(t.Context()); err != nil || r.Table().Accounts() != 2 {
			t.Errorf("reload: %v, table %d", err, r.Table().Accounts())
		}
		l.set(errors.New("down"), 0)
		if err := r.Reload(t.Context()); err == nil || err.Error() != "down" {
			t.Errorf("a reload that fails: %v", err)
		}
	})
}

func TestReloadsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &loads{takes: time.Second}
		r, _ := refresher(t, l, RefreshOptions{})
		synctest.Wait() // the first load is under way
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if err := r.Reload(t.Context()); err != nil {
					t.Error(err)
				}
				if n := r.Table().Accounts(); n != 2 {
					t.Errorf("reload returned with table %d", n)
				}
			})
		}
		all.Wait()
		if l.n() != 2 {
			t.Errorf("%d loads", l.n())
		}
	})
}

func TestRefreshAfterFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &loads{}
		r, _ := refresher(t, l, RefreshOptions{AfterFailure: 30 * time.Second})
		synctest.Wait()
		seen := r.Table()
		if r.AfterFailure(t.Context(), seen) || l.n() != 1 {
			t.Errorf("right after the start: %d loads", l.n())
		}
		if !r.AfterFailure(t.Context(), Empty()) || l.n() != 1 {
			t.Error("a login that saw an older table is not tried again")
		}
		<-time.After(30 * time.Second)
		l.set(nil, time.Second)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if !r.AfterFailure(t.Context(), seen) {
					t.Error("no newer table")
				}
			})
		}
		all.Wait()
		if l.n() != 2 {
			t.Errorf("%d loads for failures at one time", l.n())
		}
		<-time.After(30 * time.Second)
		l.set(errors.New("down"), 0)
		if r.AfterFailure(t.Context(), r.Table()) || l.n() != 3 {
			t.Errorf("a load that fails is worth another try, after %d loads", l.n())
		}
	})
	for _, c := range []struct {
		after time.Duration
		want  int
	}{{0, 6}, {-1, 1}} {
		synctest.Test(t, func(t *testing.T) {
			l := &loads{}
			r, _ := refresher(t, l, RefreshOptions{AfterFailure: c.after})
			synctest.Wait()
			for range 5 {
				if got := r.AfterFailure(t.Context(), r.Table()); got != (c.after == 0) {
					t.Errorf("after %d: %v", c.after, got)
				}
			}
			if l.n() != c.want {
				t.Errorf("after %d: %d loads", c.after, l.n())
			}
		})
	}
}

func TestRefresherEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &loads{takes: time.Hour}
		r, end := refresher(t, l, RefreshOptions{Timeout: time.Minute})
		waiter := make(chan error, 1)
		go func() { waiter <- r.Reload(t.Context()) }()
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Reload(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a waiter in a hurry: %v", err)
		}
		end()
		if err := <-waiter; !errors.Is(err, ErrEnded) && !errors.Is(err, context.Canceled) {
			t.Errorf("a waiter at the end: %v", err)
		}
		synctest.Wait()
		if err := r.Reload(t.Context()); !errors.Is(err, ErrEnded) {
			t.Errorf("after the end: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		l := &loads{takes: time.Hour}
		r, _ := refresher(t, l, RefreshOptions{Timeout: time.Minute})
		begun := time.Now()
		if err := r.Reload(t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > 2*time.Minute {
			t.Errorf("a server that hangs: %v after %s", err, time.Since(begun))
		}
	})
}

// TestTimesAreChanged: a Refresher that runs takes up other times.
func TestTimesAreChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &loads{}
		r, _ := refresher(t, l, RefreshOptions{AfterFailure: -1})
		pass := func(d time.Duration, want int) {
			t.Helper()
			<-time.After(d)
			synctest.Wait()
			if n := l.n(); n != want {
				t.Errorf("%d loads, want %d", n, want)
			}
		}
		pass(time.Hour, 1)
		r.SetTimes(time.Minute, -1)
		pass(150*time.Second, 3)
		r.SetTimes(time.Minute, -1) // the same: the clock goes on
		pass(30*time.Second, 4)
		if r.AfterFailure(t.Context(), r.Table()) {
			t.Error("a failure has led to a load")
		}
		r.SetTimes(0, 0)
		pass(time.Hour, 4)
		if !r.AfterFailure(t.Context(), r.Table()) {
			t.Error("a failure has led to no load")
		}
		pass(time.Hour, 5)
	})
}

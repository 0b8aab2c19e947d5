// Package lease makes one of the processes on a store do what must be done
// once.
package lease

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/server/store"
)

const (
	ttl   = 30 * time.Second
	renew = 10 * time.Second
	// again is how soon work that has ended by itself is begun anew.
	again = time.Second
)

// Hold runs work while this process holds the named lease, again and again
// until ctx ends. The context of work ends when the lease is lost. Where no
// other process can use the store, there is nothing to wait for.
func Hold(ctx context.Context, st *store.Store, log *slog.Logger, name string, work func(context.Context)) {
	holder := uuid.NewString()
	for ctx.Err() == nil {
		if st.Exclusive() {
			work(ctx)
			wait(ctx, again)
			continue
		}
		held, err := st.Acquire(ctx, name, holder, ttl)
		if err != nil && ctx.Err() == nil {
			log.ErrorContext(ctx, "take a lease", "lease", name, "error", err)
		}
		if !held {
			wait(ctx, renew)
			continue
		}
		whileHeld(ctx, st, log, name, holder, work)
		wait(ctx, again)
	}
}

func whileHeld(ctx context.Context, st *store.Store, log *slog.Logger, name, holder string, work func(context.Context)) {
	held, lost := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() {
		defer lost()
		for wait(held, renew) {
			if ok, err := st.Acquire(held, name, holder, ttl); !ok {
				if err != nil && held.Err() == nil {
					log.ErrorContext(held, "renew a lease", "lease", name, "error", err)
				}
				return
			}
		}
	})
	work(held)
	lost()
	all.Wait()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := st.Release(end, name, holder); err != nil {
		log.WarnContext(ctx, "release a lease", "lease", name, "error", err)
	}
}

// wait reports whether d passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

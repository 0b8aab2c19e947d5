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
	usualTTL   = 30 * time.Second
	usualRenew = 10 * time.Second
	// usualPause is how long it takes until work that has ended by itself is
	// begun anew.
	usualPause = time.Second
)

// claim is one process's claim to a lease.
type claim struct {
	st                *store.Store
	log               *slog.Logger
	name, holder      string
	ttl, renew, pause time.Duration
}

// Hold runs work while this process holds the named lease, again and again
// until ctx ends. The context of work ends when the lease is lost. Where no
// other process can use the store, there is nothing to wait for.
func Hold(ctx context.Context, st *store.Store, log *slog.Logger, name string, work func(context.Context)) {
	claim{st, log, name, uuid.NewString(), usualTTL, usualRenew, usualPause}.hold(ctx, work)
}

func (c claim) hold(ctx context.Context, work func(context.Context)) {
	for ctx.Err() == nil {
		if c.st.Exclusive() {
			work(ctx)
			wait(ctx, c.pause)
			continue
		}
		held, err := c.st.Acquire(ctx, c.name, c.holder, c.ttl)
		if err != nil && ctx.Err() == nil {
			c.log.ErrorContext(ctx, "take a lease", "lease", c.name, "error", err)
		}
		if !held {
			wait(ctx, c.renew)
			continue
		}
		c.whileHeld(ctx, work)
		wait(ctx, c.pause)
	}
}

func (c claim) whileHeld(ctx context.Context, work func(context.Context)) {
	held, lost := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() {
		defer lost()
		for wait(held, c.renew) {
			if ok, err := c.st.Acquire(held, c.name, c.holder, c.ttl); !ok {
				if err != nil && held.Err() == nil {
					c.log.ErrorContext(held, "renew a lease", "lease", c.name, "error", err)
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
	if err := c.st.Release(end, c.name, c.holder); err != nil {
		c.log.WarnContext(ctx, "release a lease", "lease", c.name, "error", err)
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

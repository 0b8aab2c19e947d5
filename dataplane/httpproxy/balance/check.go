package balance

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// restartChecks has active checks done as the upstream says. b.mu is held.
func (b *Balancer) restartChecks() {
	if b.checking != nil {
		b.checking()
		b.checking = nil
	}
	active := &b.upstream.HealthChecks.Active
	if active.Healthy.Interval <= 0 && active.Unhealthy.Interval <= 0 {
		return
	}
	ctx, cancel := context.WithCancel(b.pool.ctx)
	b.checking = cancel
	for _, healthy := range []bool{true, false} {
		interval := active.Unhealthy.Interval
		if healthy {
			interval = active.Healthy.Interval
		}
		if interval > 0 {
			b.pool.running.Go(func() {
				every(ctx, seconds(interval), func(ctx context.Context) { b.checkAll(ctx, healthy) })
			})
		}
	}
}

func seconds(s float64) time.Duration {
	return max(time.Duration(s*float64(time.Second)), time.Millisecond)
}

// checkAll checks the addresses that are healthy, or those that are not.
func (b *Balancer) checkAll(ctx context.Context, healthy bool) {
	s := b.current.Load()
	room := make(chan struct{}, max(s.upstream.HealthChecks.Active.Concurrency, 1))
	var checking sync.WaitGroup
	defer checking.Wait()
	for _, m := range s.members {
		if m.health.ok() != healthy {
			continue
		}
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return
		}
		checking.Go(func() {
			b.check(ctx, s.upstream, m.address)
			<-room
		})
	}
}

// check checks one address and counts what it finds.
func (b *Balancer) check(ctx context.Context, u *entity.Upstream, a *address) {
	active := &u.HealthChecks.Active
	timed, cancel := context.WithTimeout(ctx, seconds(active.Timeout))
	defer cancel()
	status, err := b.pool.probe(timed, u, a)
	switch {
	case ctx.Err() != nil: // nobody wants to know any more
	case isTimeout(err) || timed.Err() != nil && err != nil:
		b.count(a, timeout, active.Unhealthy.Timeouts)
	case errors.Is(err, errNotServing):
		b.count(a, httpFailure, active.Unhealthy.HTTPFailures)
	case err != nil:
		b.count(a, tcpFailure, active.Unhealthy.TCPFailures)
	case status == 0:
		b.count(a, success, active.Healthy.Successes)
	default:
		b.countStatus(a, status, &active.Healthy, &active.Unhealthy)
	}
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

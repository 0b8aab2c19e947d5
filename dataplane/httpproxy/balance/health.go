package balance

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// health is whether an address is healthy and what was counted of it, in one
// word: a counter for each event, eight bits wide, and above them unhealthy.
type health struct{ word atomic.Uint64 }

// An event is what is counted.
type event uint8

const (
	success event = iota
	tcpFailure
	timeout
	httpFailure
)

const (
	counter   = uint64(0xff)
	successes = counter << (8 * success)
	unhealthy = uint64(1) << 32
	failures  = unhealthy - 1 - successes
)

func (h *health) ok() bool { return h.word.Load()&unhealthy == 0 }

// count counts an event, and tells whether the address has become healthy or
// unhealthy by it. A limit of 0 counts nothing.
func (h *health) count(e event, limit int) bool {
	if limit <= 0 {
		return false
	}
	for {
		was := h.word.Load()
		switch {
		case e == success && was&(failures|unhealthy) == 0:
			return false // nothing to make good
		case e != success && was&unhealthy != 0 && was&successes == 0:
			return false // as bad as can be
		}
		is := was &^ successes
		if e == success {
			is = was &^ failures
		}
		n := is>>(8*e)&counter + 1
		switch {
		case n < uint64(limit):
			is += 1 << (8 * e)
		case e == success:
			is = 0
		default:
			is = unhealthy
		}
		if h.word.CompareAndSwap(was, is) {
			return (was^is)&unhealthy != 0
		}
	}
}

// set makes the address healthy or not, with nothing counted, and tells whether
// that is a change.
func (h *health) set(ok bool) bool {
	is := unhealthy
	if ok {
		is = 0
	}
	return (h.word.Swap(is)^is)&unhealthy != 0
}

// checksHealth tells whether health counts for an upstream.
func checksHealth(u *entity.Upstream) bool {
	a, p := &u.HealthChecks.Active, &u.HealthChecks.Passive
	return a.Healthy.Interval > 0 || a.Unhealthy.Interval > 0 ||
		p.Unhealthy.TCPFailures > 0 || p.Unhealthy.Timeouts > 0 || p.Unhealthy.HTTPFailures > 0
}

// Outcome is how a try has ended.
type Outcome struct {
	// Status is that of the response, 0 if there was none.
	Status int
	// Timeout tells that there was none because of the time it took, and not
	// because the connection failed.
	Timeout bool
	// Took is the time until the head of the response.
	Took time.Duration
}

// Report tells how a try with the peer has ended.
func (p *Peer) Report(o Outcome) {
	if p.balancer == nil {
		return
	}
	s := p.balancer.current.Load()
	if o.Status != 0 && s.upstream.Algorithm == latency {
		p.address.speed.observe(o.Took, p.balancer.pool.since())
	}
	if !s.checks {
		return
	}
	good, bad := &s.upstream.HealthChecks.Passive.Healthy, &s.upstream.HealthChecks.Passive.Unhealthy
	switch {
	case o.Timeout || o.Status == 504:
		p.balancer.count(p.address, timeout, bad.Timeouts)
	case o.Status == 0:
		p.balancer.count(p.address, tcpFailure, bad.TCPFailures)
	default:
		p.balancer.countStatus(p.address, o.Status, good, bad)
	}
}

// countStatus counts what the lists say of a status: nothing if it is in none.
func (b *Balancer) countStatus(a *address, status int, good *entity.Healthy, bad *entity.Unhealthy) {
	switch {
	case slices.Contains(good.HTTPStatuses, status):
		b.count(a, success, good.Successes)
	case slices.Contains(bad.HTTPStatuses, status):
		b.count(a, httpFailure, bad.HTTPFailures)
	}
}

func (b *Balancer) count(a *address, e event, limit int) {
	if a.health.count(e, limit) {
		b.flipped(a)
	}
}

// flipped lets picks know that an address is healthy or is not any more.
func (b *Balancer) flipped(a *address) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.addresses[a.addressKey] != a {
		return
	}
	b.rebuild()
	b.pool.options.Log.Info("the health of an upstream's address has changed",
		"upstream", b.upstream.Name, "host", a.host, "address", a.text, "healthy", a.health.ok())
}

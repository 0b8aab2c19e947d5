package balance

import (
	"cmp"
	"context"
	"net"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// Balancer picks addresses of one upstream. It is used by many goroutines at
// once.
type Balancer struct {
	pool    *Pool
	current atomic.Pointer[state]
	turn    atomic.Uint64 // of the wheel

	mu        sync.Mutex // of what is below
	upstream  *entity.Upstream
	targets   []target
	names     map[string]*name
	addresses map[addressKey]*address
	resolving context.CancelFunc // nil while there are no names
	wake      chan struct{}      // there are names that were never looked up
	checking  context.CancelFunc // nil while there are no active checks
	closed    bool
}

// target is a target as it is used.
type target struct {
	*entity.Target
	host string
	port uint16
}

// addressKey tells addresses of an upstream apart: what is known of one, such
// as its health, stays when the upstream is updated.
type addressKey struct {
	host string // of the target
	found
}

// address is an address of an upstream with all that is known of it.
type address struct {
	addressKey
	text   string       // the address
	active atomic.Int64 // requests under way
	health health
	speed  speed
}

// member is an address that may be picked.
type member struct {
	*address
	weight int
}

// state is what is picked from. It never changes but for what addresses hold.
type state struct {
	upstream  *entity.Upstream
	checks    bool // health counts
	members   []member
	available []member
	total     int // weights of members and of those available
	left      int
	wheel     []uint32 // indexes of available
	ring      *ring    // of members

	err error // why nothing can be picked
	// pending is closed when names were looked up for the first time; it is nil
	// unless nothing can be picked before.
	pending chan struct{}
}

// Upstream is what the balancer was made of, or updated to.
func (b *Balancer) Upstream() *entity.Upstream { return b.current.Load().upstream }

// Update changes the upstream and its targets. What is known of addresses that
// stay is kept.
func (b *Balancer) Update(u *entity.Upstream, targets []*entity.Target) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	was := b.upstream
	b.upstream = u
	b.targets = b.targets[:0]
	for _, t := range targets {
		b.targets = append(b.targets, parseTarget(t))
	}
	slices.SortFunc(b.targets, func(a, b target) int {
		return cmp.Or(cmp.Compare(a.CreatedAt, b.CreatedAt), slices.Compare(a.ID[:], b.ID[:]))
	})
	b.updateNames(was != nil && was.UseSRVName != u.UseSRVName)
	b.rebuild()
	if was == nil || !reflect.DeepEqual(was.HealthChecks.Active, u.HealthChecks.Active) {
		b.restartChecks()
	}
}

func parseTarget(t *entity.Target) target {
	host, port, err := net.SplitHostPort(t.Target)
	n, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil {
		return target{Target: t, host: t.Target, port: defaultPort}
	}
	return target{Target: t, host: host, port: uint16(n)}
}

// defaultPort is that of targets without one.
const defaultPort = 8000

// Close ends what the balancer does by itself. It may be used to the end of
// requests under way.
func (b *Balancer) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if s := *b.current.Load(); s.pending != nil {
		close(s.pending)
		s.pending, s.err = nil, ErrName
		b.current.Store(&s)
	}
	for _, cancel := range []context.CancelFunc{b.resolving, b.checking} {
		if cancel != nil {
			cancel()
		}
	}
}

// rebuild makes the next state. b.mu is held.
func (b *Balancer) rebuild() {
	was := b.current.Load()
	s := &state{upstream: b.upstream, checks: checksHealth(b.upstream)}
	used := make(map[addressKey]*address, len(b.addresses))
	pending, unnamed := false, false
	for _, t := range b.targets {
		found, err := b.resolved(t)
		pending = pending || err == errPending && t.Weight > 0
		unnamed = unnamed || err != nil && t.Weight > 0
		for _, f := range found {
			a := b.address(t, f)
			used[a.addressKey] = a
			if !s.checks {
				a.health.set(true)
			}
			if t.Weight > 0 {
				s.add(member{a, t.Weight})
			}
		}
	}
	b.addresses = used
	s.finish(was, pending, unnamed)
	b.current.Store(s)
	if was != nil && was.pending != nil && was.pending != s.pending {
		close(was.pending)
	}
}

// address is the one that was found, or that is known already. b.mu is held.
func (b *Balancer) address(t target, f found) *address {
	key := addressKey{t.host, f}
	if a := b.addresses[key]; a != nil {
		return a
	}
	a := &address{addressKey: key, text: f.addr.String()}
	if b.upstream.Algorithm == latency {
		a.speed.begin(b.addresses, b.pool.since())
	}
	return a
}

func (s *state) add(m member) {
	s.members = append(s.members, m)
	s.total += m.weight
	if !s.checks || m.health.ok() {
		s.available = append(s.available, m)
		s.left += m.weight
	}
}

// finish works out how to pick, once all members are there.
func (s *state) finish(was *state, pending, unnamed bool) {
	usable := s.left > 0 && 100*float64(s.left) > s.upstream.HealthChecks.Threshold*float64(s.total)
	switch {
	case usable:
	case len(s.members) == 0 && pending:
		s.err = errPending
		if was != nil {
			s.pending = was.pending
		}
		if s.pending == nil {
			s.pending = make(chan struct{})
		}
	case len(s.members) == 0 && unnamed:
		s.err = ErrName
	default:
		s.err = ErrPeer
	}
	switch {
	case s.upstream.Algorithm == consistentHashing:
		if was != nil && was.ring != nil && was.upstream.Slots == s.upstream.Slots && slices.Equal(was.members, s.members) {
			s.ring = was.ring
		} else {
			s.ring = newRing(s.members, s.upstream.Slots)
		}
	case s.upstream.Algorithm != leastConnections && s.upstream.Algorithm != latency:
		s.wheel = newWheel(s.available)
	}
}

// The algorithms; any other is round-robin.
const (
	consistentHashing = "consistent-hashing"
	leastConnections  = "least-connections"
	latency           = "latency"
)

package balance

import (
	"context"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// hostKey is a host that is no upstream, with a port.
type hostKey struct {
	host string
	port uint16
}

// plainHost is what is known of such a host.
type plainHost struct {
	current atomic.Pointer[hostState]
	turn    atomic.Uint64
	used    atomic.Int64 // when it was picked last, since the Pool began

	mu sync.Mutex // held while the name is looked up for a request
}

type hostState struct {
	peers  []Peer
	failed time.Duration // when the name could not be looked up, while there are no peers
}

// hostTable finds plain hosts. Its parts are locked for themselves, so that
// requests seldom meet.
type hostTable [64]struct {
	mu    sync.RWMutex
	hosts map[hostKey]*plainHost
}

func (t *hostTable) get(key hostKey) *plainHost {
	part := &t[hash(key.host)%uint64(len(t))]
	part.mu.RLock()
	h := part.hosts[key]
	part.mu.RUnlock()
	if h != nil {
		return h
	}
	part.mu.Lock()
	defer part.mu.Unlock()
	if h = part.hosts[key]; h == nil {
		if part.hosts == nil {
			part.hosts = map[hostKey]*plainHost{}
		}
		h = &plainHost{}
		part.hosts[key] = h
	}
	return h
}

// retain keeps those of which f says so.
func (t *hostTable) retain(f func(hostKey, *plainHost) bool) {
	for i := range t {
		t[i].mu.Lock()
		maps.DeleteFunc(t[i].hosts, func(k hostKey, h *plainHost) bool { return !f(k, h) })
		t[i].mu.Unlock()
	}
}

const (
	// forgetAfter is when hosts are forgotten that nobody asks for.
	forgetAfter = 10 * time.Minute
	// failedFor is how long a name that could not be looked up is not looked up
	// again for a request.
	failedFor = time.Second
)

// PickHost picks an address of a host that is no upstream, the next one each
// time. It waits for the name to be looked up, no longer than the context, if it
// was not before.
func (p *Pool) PickHost(ctx context.Context, host string, port uint16) (Peer, error) {
	if peer, ok := p.KnownHost(host, port); ok {
		return peer, nil
	}
	key := hostKey{host, port}
	h := p.hosts.get(key)
	s := p.firstPeers(ctx, h, key)
	if len(s.peers) == 0 {
		if err := ctx.Err(); err != nil {
			return Peer{}, err
		}
		return Peer{}, ErrName
	}
	return h.next(s), nil
}

// KnownHost is PickHost for those that need not wait: whether it is one of them
// is the second result.
func (p *Pool) KnownHost(host string, port uint16) (Peer, bool) {
	h := p.hosts.get(hostKey{host, port})
	now := p.since()
	if h.used.Load() < int64(now-time.Second) {
		h.used.Store(int64(now))
	}
	s := h.current.Load()
	if s == nil || len(s.peers) == 0 {
		return Peer{}, false
	}
	return h.next(s), true
}

func (h *plainHost) next(s *hostState) Peer {
	if len(s.peers) == 1 {
		return s.peers[0]
	}
	return s.peers[(h.turn.Add(1)-1)%uint64(len(s.peers))]
}

// firstPeers looks a host up while requests wait for it.
func (p *Pool) firstPeers(ctx context.Context, h *plainHost, key hostKey) *hostState {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.current.Load(); s != nil && (len(s.peers) > 0 || p.since()-s.failed < failedFor) {
		return s
	}
	s := p.hostPeers(ctx, key)
	if len(s.peers) > 0 || ctx.Err() == nil {
		h.current.Store(s)
	}
	return s
}

func (p *Pool) hostPeers(ctx context.Context, key hostKey) *hostState {
	records, err := p.lookUp(ctx, key.host, false)
	s := &hostState{failed: p.since()}
	if err != nil {
		return s
	}
	for _, r := range records {
		port := key.port
		if r.port != 0 {
			port = r.port
		}
		a := netip.AddrPortFrom(r.ip, port)
		s.peers = append(s.peers, Peer{Addr: a, Address: a.String(), Host: key.host, Weight: 1})
	}
	return s
}

// tendHosts looks the names of hosts up again, and forgets those that nobody
// asks for.
func (p *Pool) tendHosts() {
	every(p.ctx, p.options.ResolveEvery, func(ctx context.Context) {
		names := map[hostKey]*plainHost{}
		p.hosts.retain(func(key hostKey, h *plainHost) bool {
			if p.since()-time.Duration(h.used.Load()) > forgetAfter {
				return false
			}
			s := h.current.Load()
			if _, err := netip.ParseAddr(key.host); err != nil && s != nil && len(s.peers) > 0 {
				names[key] = h
			}
			return true
		})
		var looking sync.WaitGroup
		defer looking.Wait()
		room := make(chan struct{}, resolveAtOnce)
		for key, h := range names {
			room <- struct{}{}
			looking.Go(func() {
				if s := p.hostPeers(ctx, key); len(s.peers) > 0 { // else the addresses of before are kept
					h.current.Store(s)
				}
				<-room
			})
		}
	})
}

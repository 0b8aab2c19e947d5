package balance

import (
	"context"
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
	key := hostKey{host, port}
	v, ok := p.hosts.Load(key)
	if !ok {
		v, _ = p.hosts.LoadOrStore(key, &plainHost{})
	}
	h := v.(*plainHost)
	now := p.since()
	if h.used.Load() < int64(now-time.Second) {
		h.used.Store(int64(now))
	}
	s := h.current.Load()
	if s == nil || len(s.peers) == 0 {
		if s = p.firstPeers(ctx, h, key); len(s.peers) == 0 {
			if err := ctx.Err(); err != nil {
				return Peer{}, err
			}
			return Peer{}, ErrName
		}
	}
	if len(s.peers) == 1 {
		return s.peers[0], nil
	}
	return s.peers[(h.turn.Add(1)-1)%uint64(len(s.peers))], nil
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
		var looking sync.WaitGroup
		defer looking.Wait()
		room := make(chan struct{}, resolveAtOnce)
		for k, v := range p.hosts.Range {
			key, h := k.(hostKey), v.(*plainHost)
			if p.since()-time.Duration(h.used.Load()) > forgetAfter {
				p.hosts.Delete(key)
				continue
			}
			s := h.current.Load()
			if _, err := netip.ParseAddr(key.host); err == nil || s == nil || len(s.peers) == 0 {
				continue
			}
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

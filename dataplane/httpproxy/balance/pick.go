package balance

import (
	"context"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
)

// Input is what a pick depends on, and remembers from one try of a request to
// the next.
type Input struct {
	// Request is asked for what requests are told apart by; nil has nothing.
	Request Request
	// Cookie is the value of the cookie that was made up because the request
	// has none, and SetCookie the Set-Cookie field that the response must have
	// for it; "" if none was.
	Cookie, SetCookie string

	tried []*address
}

// Request is a request whose like go to the same target.
type Request interface {
	// HashValue is the value of a source, "" if the request has none: consumer,
	// ip, path, or by a name header, cookie, query_arg, uri_capture.
	HashValue(source, name string) string
}

// Reset makes an Input fit for another request; it keeps memory.
func (in *Input) Reset() {
	clear(in.tried)
	*in = Input{tried: in.tried[:0]}
}

func (in *Input) hasTried(a *address) bool { return slices.Contains(in.tried, a) }

// Peer is an address that was picked. It must be released once.
type Peer struct {
	Addr    netip.AddrPort
	Address string // Addr as text
	// Host is the name that the address was found under, or the address itself
	// without its port.
	Host   string
	Weight int

	balancer *Balancer // nil for hosts that are no upstream
	address  *address
}

// Pending tells whether Pick would wait now.
func (b *Balancer) Pending() bool { return b.current.Load().pending != nil }

// Pick picks an address. It is called again, with the same Input, for each try
// of a request. It waits for names only while no address is known, no longer
// than the context.
func (b *Balancer) Pick(ctx context.Context, in *Input) (Peer, error) {
	s := b.current.Load()
	for s.pending != nil {
		select {
		case <-s.pending:
			s = b.current.Load()
		case <-ctx.Done():
			return Peer{}, ctx.Err()
		case <-b.pool.ctx.Done():
			return Peer{}, ErrName
		}
	}
	if s.err != nil {
		return Peer{}, s.err
	}
	var m *member
	switch s.upstream.Algorithm {
	case consistentHashing:
		m = s.hashed(in)
	case leastConnections:
		m = s.leastBusy(in, b.turn.Add(1))
	case latency:
		m = s.fastest(in, b.pool)
	default:
		m = &s.available[s.wheel[(b.turn.Add(1)-1)%uint64(len(s.wheel))]]
	}
	if m == nil {
		return Peer{}, ErrPeer
	}
	m.active.Add(1)
	in.tried = append(in.tried, m.address)
	return Peer{Addr: m.addr, Address: m.text, Host: m.name, Weight: m.weight, balancer: b, address: m.address}, nil
}

// Release tells that the request does not use the peer any more.
func (p *Peer) Release() {
	if p.address != nil {
		p.address.active.Add(-1)
	}
}

// leastBusy is the member with the fewest requests for its weight: of equals
// the next one in turn.
func (s *state) leastBusy(in *Input, turn uint64) *member {
	n := uint64(len(s.available))
	for range 2 {
		var best *member
		var busy int64
		for i := range n {
			m := &s.available[(turn+i)%n]
			if in.hasTried(m.address) {
				continue
			}
			active := m.active.Load() + 1
			if best == nil || active*int64(best.weight) < busy*int64(m.weight) {
				best, busy = m, active
			}
		}
		if best != nil {
			return best
		}
		in.tried = in.tried[:0] // all have failed: they are tried again
	}
	return nil
}

// fastest is the member that answers soonest for its weight: of many the better
// of two, so that not all requests go to the same.
func (s *state) fastest(in *Input, p *Pool) *member {
	now := p.since()
	n := len(s.available)
	if n > 2 && len(in.tried) == 0 {
		i, j := rand.IntN(n), rand.IntN(n-1)
		if j >= i {
			j++
		}
		a, b := &s.available[i], &s.available[j]
		if b.score(now) < a.score(now) {
			return b
		}
		return a
	}
	for range 2 {
		var best *member
		least := math.Inf(1)
		from := rand.IntN(n)
		for i := range n {
			m := &s.available[(from+i)%n]
			if in.hasTried(m.address) {
				continue
			}
			if score := m.score(now); score < least {
				best, least = m, score
			}
		}
		if best != nil {
			return best
		}
		in.tried = in.tried[:0]
	}
	return nil
}

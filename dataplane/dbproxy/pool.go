package dbproxy

import (
	"slices"
	"sync"
	"time"
)

// pool keeps connections to a server that no session uses (persistpoolmax,
// persistmaxtime). Who takes one logs in anew on it.
type pool struct {
	mu      sync.Mutex
	idle    []pooled // the youngest one last
	highest int
	max     int
	age     time.Duration
}

type pooled struct {
	*Backend
	since time.Time
}

// configure sets the limits, and closes what exceeds them.
func (p *pool) configure(most int, age time.Duration) {
	p.mu.Lock()
	p.max, p.age = most, age
	if age <= 0 {
		p.max = 0
	}
	var over []pooled
	if n := len(p.idle) - p.max; n > 0 {
		over, p.idle = p.idle[:n:n], p.idle[n:]
	}
	p.mu.Unlock()
	closeAll(over)
}

// put keeps a connection, if there is room. One that the server knows as that
// of a certain client is of no use to others.
func (p *pool) put(b *Backend) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b.proxied != "" || len(p.idle) >= p.max {
		return false
	}
	b.Conn.Bind(nil) //nolint:errcheck // that never fails
	b.Conn.Recycle()
	p.idle = append(p.idle, pooled{b, time.Now()})
	p.highest = max(p.highest, len(p.idle))
	return true
}

// hasRoom tells whether put would keep the connection.
func (p *pool) hasRoom(b *Backend) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return b.proxied == "" && len(p.idle) < p.max
}

// shrink closes the oldest connections of more than so many.
func (p *pool) shrink(most int) {
	p.mu.Lock()
	var over []pooled
	if n := len(p.idle) - max(most, 0); n > 0 {
		over = slices.Clone(p.idle[:n])
		p.idle = slices.Delete(p.idle, 0, n)
	}
	p.mu.Unlock()
	closeAll(over)
}

// take returns the youngest connection that a session can use, nil when there
// is none.
func (p *pool) take(s *Session) *Backend {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.idle) - 1; i >= 0; i-- {
		if e := p.idle[i]; e.fits(s) && time.Since(e.since) < p.age {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			return e.Backend
		}
	}
	return nil
}

// expire closes what has been idle for too long, or all.
func (p *pool) expire(all bool) {
	p.mu.Lock()
	n := 0
	for n < len(p.idle) && (all || time.Since(p.idle[n].since) >= p.age) {
		n++
	}
	old := p.idle[:n:n]
	p.idle = p.idle[n:]
	p.mu.Unlock()
	closeAll(old)
}

func closeAll(list []pooled) {
	for _, e := range list {
		e.quit()
	}
}

func (p *pool) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}

func (p *pool) peak() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.highest
}

// fits tells whether a pooled connection speaks as the session's client does.
func (b *Backend) fits(s *Session) bool { return b.caps == s.caps && b.proxied == "" }

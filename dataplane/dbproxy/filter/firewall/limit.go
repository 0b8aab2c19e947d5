package firewall

import (
	"sync"
	"time"
)

// limit is how many queries a client may make: more than count within period
// match, and so do all those of the time hold after them. Clients are told
// apart by user and host, whatever their sessions.
type limit struct {
	count        int
	period, hold time.Duration

	mu      sync.Mutex
	clients map[string]*pace
	swept   time.Time
}

// pace is how fast a client goes.
type pace struct {
	since, until time.Time // of the counting, and of the refusal
	count        int
}

func newLimit(count int, period, hold time.Duration) *limit {
	return &limit{count: count, period: period, hold: hold, clients: map[string]*pace{}}
}

// exceeded counts a query and tells whether it is one too many.
func (l *limit) exceeded(client string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	p := l.clients[client]
	if p == nil {
		p = &pace{since: now}
		l.clients[client] = p
	}
	if now.Before(p.until) {
		return true
	}
	if now.Sub(p.since) >= l.period {
		p.since, p.count = now, 0
	}
	p.count++
	if p.count <= l.count {
		return false
	}
	p.until = now.Add(l.hold)
	p.since, p.count = p.until, 0
	return true
}

// sweep forgets clients that have gone.
func (l *limit) sweep(now time.Time) {
	if now.Sub(l.swept) < l.period {
		return
	}
	l.swept = now
	for client, p := range l.clients {
		if now.Sub(p.since) >= l.period && !now.Before(p.until) {
			delete(l.clients, client)
		}
	}
}

package account

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// BlockTime is how long a host is refused.
	BlockTime = 60 * time.Second
	// maxHosts bounds the hosts that are remembered in each of two
	// generations.
	maxHosts = 1 << 15
)

// Blocker refuses hosts that failed to log in too often in a row
// (max_auth_errors_until_block). Clients over a Unix socket are never refused.
type Blocker struct {
	max  atomic.Int64
	used atomic.Bool // spares the lock as long as nobody has failed

	mu sync.Mutex
	// What is remembered moves from the young generation to the old one and
	// then is forgotten: after some time, or when there is too much of it.
	young, old map[netip.Addr]failures
	since      time.Time // the young generation
}

type failures struct {
	count int64
	last  time.Time
}

// NewBlocker makes a Blocker that allows so many failures; 0 allows any.
func NewBlocker(allowed int) *Blocker {
	b := &Blocker{young: map[netip.Addr]failures{}, since: time.Now()}
	b.SetMax(allowed)
	return b
}

// SetMax changes how many failures are allowed.
func (b *Blocker) SetMax(allowed int) { b.max.Store(int64(allowed)) }

// network is what counts as one host. Whoever has an IPv6 address has at least
// 2^64 of them.
func network(client netip.Addr) netip.Addr {
	client = client.Unmap().WithZone("")
	if client.Is6() {
		prefix, err := client.Prefix(64)
		if err == nil && !client.IsLoopback() {
			return prefix.Addr()
		}
	}
	return client
}

// Blocked tells whether a client is to be refused.
func (b *Blocker) Blocked(client netip.Addr) bool {
	allowed := b.max.Load()
	if allowed <= 0 || !client.IsValid() || !b.used.Load() {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.find(network(client))
	return f.count >= allowed && time.Since(f.last) < BlockTime
}

// Failed counts a failed login. Failures are forgotten BlockTime after the
// last one.
func (b *Blocker) Failed(client netip.Addr) {
	if b.max.Load() <= 0 || !client.IsValid() {
		return
	}
	host, now := network(client), time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used.Store(true)
	f := b.find(host)
	if now.Sub(f.last) >= BlockTime {
		f.count = 0
	}
	if len(b.young) >= maxHosts || now.Sub(b.since) >= BlockTime {
		b.old, b.young, b.since = b.young, map[netip.Addr]failures{}, now
	}
	b.young[host] = failures{count: f.count + 1, last: now}
}

// Hosts is how many hosts are remembered.
func (b *Blocker) Hosts() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.young) + len(b.old)
}

func (b *Blocker) find(host netip.Addr) failures {
	if f, ok := b.young[host]; ok {
		return f
	}
	return b.old[host]
}

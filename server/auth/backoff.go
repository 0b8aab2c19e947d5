package auth

import (
	"math"
	"net/netip"
	"strings"
	"sync"
	"time"
)

const (
	// freeFailures are the wrong passwords that cost nothing.
	freeFailures = 5
	// freeFromAddress are those of one address, whatever the user.
	freeFromAddress = 50
	maxBackoff      = time.Minute
	forgetAfter     = 15 * time.Minute
	backoffMax      = 50_000 // entries
)

// backoff slows down who guesses passwords: per user and address, so that the
// right user is let in from elsewhere, and per address for all users together.
// Users that do not exist are treated like those that do.
type backoff struct {
	now func() time.Time

	mu      sync.Mutex
	entries map[attempts]*failures
}

// attempts are what is counted: those of one user from one network, or, with
// anyone set, all from there.
type attempts struct {
	username, network string
	anyone            bool
}

type failures struct {
	count int
	last  time.Time
	until time.Time
}

func newBackoff() *backoff { return &backoff{now: time.Now, entries: map[attempts]*failures{}} }

// maxUsername is longer than any name that a user can have: what is beyond it
// would only take memory.
const maxUsername = 64

func backoffKeys(username, address string) (both, alone attempts) {
	network := address
	if addr, err := netip.ParseAddr(address); err == nil && addr.Unmap().Is6() {
		// Whoever has one IPv6 address has the 2^64 around it.
		if prefix, err := addr.Prefix(64); err == nil {
			network = prefix.String()
		}
	}
	username = strings.Clone(username[:min(len(username), maxUsername+1)])
	return attempts{username: username, network: network}, attempts{network: network, anyone: true}
}

// wait is how long the next attempt has to wait; 0 for none.
func (b *backoff) wait(username, address string) time.Duration {
	both, alone := backoffKeys(username, address)
	b.mu.Lock()
	defer b.mu.Unlock()
	var longest time.Duration
	for _, key := range []attempts{both, alone} {
		if f := b.entries[key]; f != nil {
			longest = max(longest, f.until.Sub(b.now()))
		}
	}
	return longest
}

// failed notes a wrong password.
func (b *backoff) failed(username, address string) {
	both, alone := backoffKeys(username, address)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.note(both, freeFailures)
	b.note(alone, freeFromAddress)
}

func (b *backoff) note(key attempts, free int) {
	now := b.now()
	f := b.entries[key]
	if f == nil || now.Sub(f.last) > forgetAfter {
		if len(b.entries) >= backoffMax {
			b.forget(now)
		}
		f = &failures{}
		b.entries[key] = f
	}
	f.count++
	f.last = now
	if over := f.count - free; over > 0 {
		f.until = now.Add(min(maxBackoff, time.Duration(math.Exp2(float64(min(over, 10)-1)))*time.Second))
	}
}

// forget drops what is old, and everything when that is not enough.
func (b *backoff) forget(now time.Time) {
	for key, f := range b.entries {
		if now.Sub(f.last) > forgetAfter {
			delete(b.entries, key)
		}
	}
	if len(b.entries) >= backoffMax {
		clear(b.entries)
	}
}

// succeeded forgets the failures of a user at an address.
func (b *backoff) succeeded(username, address string) {
	both, _ := backoffKeys(username, address)
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.entries, both)
}

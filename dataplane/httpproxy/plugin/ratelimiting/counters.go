package ratelimiting

import (
	"context"
	"hash/maphash"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// key is what requests are counted under: the part of the traffic that the
// plugin is for, and who they are from.
type key struct {
	route, service uuid.UUID
	kind           identity
	id             [16]byte // of an entity, or an address
	text           string   // of headers and paths
}

const (
	shardCount = 64
	// maxPerShard bounds the memory that clients can make the counters take.
	maxPerShard = 1 << 14
	sweepPause  = 10 * time.Second
)

// counters count requests in memory. They are spread so that requests of
// different clients seldom wait for each other.
type counters struct {
	seed   maphash.Seed
	shards [shardCount]shard
}

type shard struct {
	mu      sync.Mutex
	entries map[key]*entry
}

// entry counts the requests of one key.
type entry struct {
	windows [windowCount]count
	end     int64 // of the last window
}

// count is the number of requests in a window.
type count struct {
	start, used int64
	unsynced    int64 // of them are not known in Redis yet
}

func newCounters() *counters {
	c := &counters{seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].entries = map[key]*entry{}
	}
	return c
}

func (c *counters) shard(k *key) *shard {
	var h uint64
	if k.text != "" {
		h = maphash.String(c.seed, k.text)
	} else {
		h = maphash.Bytes(c.seed, k.id[:])
	}
	return &c.shards[h%shardCount]
}

// take implements store.
func (c *counters) take(_ context.Context, k *key, now time.Time, limits []limit, used *usage) (bool, error) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entry(k, now.Unix()).take(now, limits, used), nil
}

// entry is the entry of a key, made if there is none.
func (s *shard) entry(k *key, now int64) *entry {
	e := s.entries[*k]
	if e == nil {
		if len(s.entries) >= maxPerShard {
			s.makeRoom(now)
		}
		e = &entry{}
		kept := *k
		kept.text = strings.Clone(k.text) // it may be a part of a whole request
		s.entries[kept] = e
	}
	return e
}

// take counts a request unless a limit is reached, which it tells. The usage is
// what it was before.
func (e *entry) take(now time.Time, limits []limit, used *usage) (full bool) {
	for i := range limits {
		at := spanAt(limits[i].window, now)
		c := &e.windows[limits[i].window]
		if c.start != at.start {
			*c = count{start: at.start}
		}
		used[i] = c.used
		full = full || c.used >= limits[i].most
		e.end = max(e.end, at.end)
	}
	if full {
		return true
	}
	for i := range limits {
		c := &e.windows[limits[i].window]
		c.used++
		c.unsynced++
	}
	return false
}

// maxLooked bounds how many entries are looked at for room: that is done for each
// new client while there is none.
const maxLooked = 16

// makeRoom takes out what is over of some entries, and one of them if nothing is.
func (s *shard) makeRoom(now int64) {
	looked := 0
	var last key
	for k, e := range s.entries {
		if e.end <= now {
			delete(s.entries, k)
		}
		last = k
		if looked++; looked == maxLooked {
			break
		}
	}
	if len(s.entries) >= maxPerShard {
		delete(s.entries, last)
	}
}

func (s *shard) sweep(now int64) {
	for k, e := range s.entries {
		if e.end <= now {
			delete(s.entries, k)
		}
	}
}

// run takes out what is over until ctx ends.
func (c *counters) run(ctx context.Context) {
	tick := time.NewTicker(sweepPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for i := range c.shards {
				s := &c.shards[i]
				s.mu.Lock()
				s.sweep(now.Unix())
				s.mu.Unlock()
			}
		}
	}
}

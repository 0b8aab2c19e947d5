package proxycache

import (
	"container/list"
	"hash/maphash"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy"
)

const (
	shardCount = 16
	// memory is how much a gateway keeps, and maxEntry how much of one response.
	memory   = 128 << 20
	maxEntry = memory / shardCount
	// entrySize is about what an entry takes besides its parts.
	entrySize = 512
)

// Entry is a response that is kept. It is never changed.
type Entry struct {
	Plugin uuid.UUID // by which it was kept
	Status int
	Header []httpproxy.Field
	Body   []byte
	// Length is what the response says about its body's length, which has not
	// to be that of Body for HEAD.
	Length int64
	Stored time.Time
	// TTL is how long it is fresh, and Kept how long it is there.
	TTL, Kept time.Duration

	vary []vary
}

// vary is a field of the request that the response depends on.
type vary struct{ name, value string }

// size is about how much memory the entry takes.
func (e *Entry) size() int {
	n := entrySize + len(e.Body)
	for _, f := range e.Header {
		n += 32 + len(f.Name) + len(f.Value)
	}
	for _, v := range e.vary {
		n += 32 + len(v.name) + len(v.value)
	}
	return n
}

// Cache is the responses that the instances of the plugin keep in a gateway.
// Its methods may be called from anywhere.
type Cache struct {
	seed   maphash.Seed
	shards [shardCount]shard
}

// shard is a part of a Cache, which forgets what was not asked for the longest
// when there is too much.
type shard struct {
	mu      sync.Mutex
	entries map[string]*list.Element // of *item
	order   list.List                // the latest first
	size    int
}

type item struct {
	key string
	*Entry
}

// Of is the cache of a gateway.
func Of(h httpproxy.Host) *Cache {
	return h.Shared("proxy-cache", func() any { return newCache() }).(*Cache)
}

func newCache() *Cache {
	c := &Cache{seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].entries = map[string]*list.Element{}
	}
	return c
}

func (c *Cache) shard(key string) *shard { return &c.shards[maphash.String(c.seed, key)%shardCount] }

// Get is the response under a key (X-Cache-Key), nil if there is none.
func (c *Cache) Get(key string) *Entry { return c.get(key, time.Now()) }

func (c *Cache) get(key string, now time.Time) *Entry {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.entries[key]
	if at == nil {
		return nil
	}
	e := at.Value.(*item)
	if now.Sub(e.Stored) >= e.Kept {
		s.drop(at)
		return nil
	}
	s.order.MoveToFront(at)
	return e.Entry
}

// put keeps a response, unless it is too large.
func (c *Cache) put(key string, e *Entry) {
	size := e.size() + len(key)
	if size > maxEntry {
		return
	}
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.entries[key]; at != nil {
		s.drop(at)
	}
	for s.size+size > maxEntry {
		s.drop(s.order.Back())
	}
	s.entries[key] = s.order.PushFront(&item{key, e})
	s.size += size
}

func (s *shard) drop(at *list.Element) {
	e := s.order.Remove(at).(*item)
	delete(s.entries, e.key)
	s.size -= e.size() + len(e.key)
}

// Purge forgets the response under a key, and tells whether there was one.
func (c *Cache) Purge(key string) bool {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.entries[key]
	if at != nil {
		s.drop(at)
	}
	return at != nil
}

// PurgePlugin forgets what an instance of the plugin has kept.
func (c *Cache) PurgePlugin(id uuid.UUID) {
	c.purge(func(e *Entry) bool { return e.Plugin == id })
}

// PurgeAll forgets everything.
func (c *Cache) PurgeAll() { c.purge(func(*Entry) bool { return true }) }

func (c *Cache) purge(what func(e *Entry) bool) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for at := s.order.Front(); at != nil; {
			next := at.Next()
			if what(at.Value.(*item).Entry) {
				s.drop(at)
			}
			at = next
		}
		s.mu.Unlock()
	}
}

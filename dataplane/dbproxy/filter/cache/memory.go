package cache

import (
	"container/list"
	"sync"
	"time"
)

// key stands for a statement and all that its result depends on.
type key [32]byte

// result is an answer that is kept. It is not changed once it is there.
type result struct {
	packets [][]byte
	ends    []int // which packets carry status flags
	size    int64
	tables  []string
	stored  time.Time
}

// item is a result in the cache.
type item struct {
	*result
	key     key
	refresh time.Time // until when somebody is taken to fetch it anew; zero for nobody
}

// counts are what a cache tells of itself.
type counts struct {
	Hits, Misses, Stores, Evictions, Invalidations, Items, Size int64
}

// memory keeps results in memory; those not used for longest go first.
type memory struct {
	maxCount, maxSize int64 // 0 for any

	mu       sync.Mutex
	items    map[key]*list.Element // of *item
	order    *list.List            // the one used last in front
	tables   map[string]map[key]struct{}
	size     int64
	counts   counts
	sequence uint64            // counts invalidations
	changed  map[string]uint64 // the last one of a table
	cleared  uint64            // the last one of everything
}

func newMemory(maxCount, maxSize int64) *memory {
	return &memory{
		maxCount: maxCount, maxSize: maxSize, items: map[key]*list.Element{}, order: list.New(),
		tables: map[string]map[key]struct{}{}, changed: map[string]uint64{},
	}
}

// refreshTime is how long a refresh may take before somebody else tries.
const refreshTime = 30 * time.Second

// get returns a result no older than hard. One older than soft is for whoever
// asks first to fetch anew, while others still get it.
func (m *memory) get(k key, now time.Time, soft, hard time.Duration) (r *result, stale bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.items[k]
	if e == nil {
		m.counts.Misses++
		return nil, false
	}
	it := e.Value.(*item) //nolint:errcheck // the list has nothing else
	age := now.Sub(it.stored)
	if hard > 0 && (soft <= 0 || soft > hard) {
		soft = hard
	}
	switch {
	case hard > 0 && age >= hard:
		m.counts.Misses++
		return nil, true
	case soft > 0 && age >= soft && !now.Before(it.refresh):
		it.refresh = now.Add(refreshTime)
		m.counts.Misses++
		return nil, true
	}
	m.order.MoveToFront(e)
	m.counts.Hits++
	return it.result, false
}

// failed lets somebody else fetch a result anew.
func (m *memory) failed(k key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.items[k]; e != nil {
		e.Value.(*item).refresh = time.Time{} //nolint:errcheck // the list has nothing else
	}
}

// since is the count of invalidations, which a reader takes before it reads.
func (m *memory) since() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sequence
}

// put keeps a result, unless one of its tables was written to since it was
// asked for, or it is too big.
func (m *memory) put(k key, r *result, since uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.maxSize > 0 && r.size > m.maxSize || m.cleared > since {
		return
	}
	for _, t := range r.tables {
		if m.changed[t] > since {
			return
		}
	}
	m.remove(m.items[k])
	for m.maxCount > 0 && int64(len(m.items)) >= m.maxCount || m.maxSize > 0 && m.size+r.size > m.maxSize {
		m.remove(m.order.Back())
		m.counts.Evictions++
	}
	m.items[k] = m.order.PushFront(&item{result: r, key: k})
	m.size += r.size
	m.counts.Stores++
	for _, t := range r.tables {
		if m.tables[t] == nil {
			m.tables[t] = map[key]struct{}{}
		}
		m.tables[t][k] = struct{}{}
	}
}

func (m *memory) remove(e *list.Element) {
	if e == nil {
		return
	}
	it := m.order.Remove(e).(*item) //nolint:errcheck // the list has nothing else
	delete(m.items, it.key)
	m.size -= it.size
	for _, t := range it.tables {
		if delete(m.tables[t], it.key); len(m.tables[t]) == 0 {
			delete(m.tables, t)
		}
	}
}

// maxChanged is how many tables are remembered as written to.
const maxChanged = 10000

// invalidate forgets the results of tables.
func (m *memory) invalidate(tables []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sequence++
	if len(m.changed)+len(tables) > maxChanged {
		clear(m.changed)
		m.cleared = m.sequence // what is being read now is not kept
	}
	for _, t := range tables {
		m.changed[t] = m.sequence
		for k := range m.tables[t] {
			m.remove(m.items[k])
			m.counts.Invalidations++
		}
	}
}

// clear forgets all.
func (m *memory) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sequence++
	m.cleared = m.sequence
	m.counts.Invalidations += int64(len(m.items))
	clear(m.items)
	clear(m.tables)
	clear(m.changed)
	m.order.Init()
	m.size = 0
}

// statistics are the counts up to now.
func (m *memory) statistics() counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.counts
	c.Items, c.Size = int64(len(m.items)), m.size
	return c
}

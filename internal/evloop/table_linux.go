package evloop

import (
	"sync"
	"sync/atomic"
)

const chunkSize = 512

type chunk [chunkSize]atomic.Pointer[Conn]

// table finds connections by their file descriptors, without a lock.
type table struct {
	mu     sync.Mutex
	closed bool
	chunks atomic.Pointer[[]*chunk]
}

// get returns the connection of a descriptor, nil if there is none.
func (t *table) get(fd int) *Conn {
	chunks := t.chunks.Load()
	if chunks == nil || fd < 0 || fd/chunkSize >= len(*chunks) {
		return nil
	}
	return (*chunks)[fd/chunkSize][fd%chunkSize].Load()
}

// add takes a connection in, and tells whether that may be.
func (t *table) add(c *Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	var chunks []*chunk
	if p := t.chunks.Load(); p != nil {
		chunks = *p
	}
	if n := c.fd/chunkSize + 1; n > len(chunks) {
		grown := make([]*chunk, n)
		for i := copy(grown, chunks); i < n; i++ {
			grown[i] = new(chunk)
		}
		t.chunks.Store(&grown)
		chunks = grown
	}
	chunks[c.fd/chunkSize][c.fd%chunkSize].Store(c)
	return true
}

// remove forgets a connection. Its descriptor must not be closed before.
func (t *table) remove(c *Conn) {
	if chunks := t.chunks.Load(); chunks != nil && c.fd/chunkSize < len(*chunks) {
		(*chunks)[c.fd/chunkSize][c.fd%chunkSize].CompareAndSwap(c, nil)
	}
}

// close returns all connections and refuses others from then on.
func (t *table) close() (all []*Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if p := t.chunks.Load(); p != nil {
		for _, chunk := range *p {
			for i := range chunk {
				if c := chunk[i].Load(); c != nil {
					all = append(all, c)
				}
			}
		}
	}
	return all
}

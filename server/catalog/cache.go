package catalog

import (
	"sync"

	"github.com/google/uuid"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
)

// cacheMax bounds the services kept for reading; at about 2 KiB each.
const cacheMax = 4096

// readCache keeps services as they were last read. It is used only where this
// process alone changes the store, and therefore always true. The messages in
// it are shared: nobody may change them.
type readCache struct {
	enabled bool

	mu         sync.RWMutex
	generation uint64 // moves on with every change, so that a slow reader cannot put an old state back
	byID       map[uuid.UUID]*catalogv1.GetServiceResponse
}

func newReadCache(enabled bool) *readCache {
	return &readCache{enabled: enabled, byID: map[uuid.UUID]*catalogv1.GetServiceResponse{}}
}

func (c *readCache) get(id uuid.UUID) (s *catalogv1.GetServiceResponse, generation uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.byID[id], c.generation
}

func (c *readCache) put(id uuid.UUID, s *catalogv1.GetServiceResponse, generation uint64) {
	if !c.enabled {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation != c.generation {
		return
	}
	if len(c.byID) >= cacheMax {
		for old := range c.byID {
			delete(c.byID, old)
			break
		}
	}
	c.byID[id] = s
}

func (c *readCache) drop(id uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	delete(c.byID, id)
}

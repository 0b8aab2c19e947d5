package httpproxy

import (
	"context"
	"net"
	"sync"
)

// conns are the connections with clients that speak HTTP/1, and tunnels.
type conns struct {
	mu    sync.Mutex
	open  map[net.Conn]interface{ Shutdown() }
	drain bool          // no more are taken
	empty chan struct{} // closed when drain is set and there are none
}

// add takes a connection in, unless the Proxy ends.
func (c *conns) add(nc net.Conn, s interface{ Shutdown() }) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drain {
		return false
	}
	if c.open == nil {
		c.open = map[net.Conn]interface{ Shutdown() }{}
	}
	c.open[nc] = s
	return true
}

func (c *conns) remove(nc net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.open[nc]; !ok {
		return
	}
	delete(c.open, nc)
	if c.drain && len(c.open) == 0 {
		close(c.empty)
	}
}

// shutdown lets connections end with the requests that are under way, and
// closes those that have not ended when ctx does.
func (c *conns) shutdown(ctx context.Context) {
	c.mu.Lock()
	if !c.drain {
		c.drain, c.empty = true, make(chan struct{})
		if len(c.open) == 0 {
			close(c.empty)
		}
		for _, s := range c.open {
			s.Shutdown()
		}
	}
	c.mu.Unlock()
	select {
	case <-c.empty:
		return
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for nc := range c.open {
		_ = nc.Close()
	}
}

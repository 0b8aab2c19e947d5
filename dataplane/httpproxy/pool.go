package httpproxy

import (
	"crypto/tls"
	"net"
	"sync"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy/h1"
	"github.com/backplane/backplane/internal/evloop"
)

// lane is connections to one address that no request uses: those of an event
// loop, or those of goroutines.
type lane struct {
	mu   sync.Mutex
	idle []*upstreamConn // the one used last is at the end
	gone bool            // the pool is not asked any more
	_    [64]byte        // loops do not slow each other down
}

// upstreamConn is a connection to an upstream.
type upstreamConn struct {
	client *h1.Client
	t      *transport
	pool   *pool
	nc     net.Conn
	events *evloop.Conn // nc, or what is beneath; nil where it is not on an event loop
	lane   *lane        // of who uses it
	uses   int
	since  time.Time // when it was last used
	// rest is what is sent of a body while the response is waited for, or read;
	// nil if there is nothing.
	rest *rest
}

// laneOf is the number of a task's lane, 0 where there is none.
func laneOf(t *evloop.Task) int {
	if t == nil {
		return 0
	}
	return 1 + t.Loop()
}

// take gives a connection that was used before, nil if there is none. Those of
// the task's own loop come first; what goroutines use is never a task's.
func (p *pool) take(task *evloop.Task, now time.Time, check bool) *upstreamConn {
	own := laneOf(task)
	if c := p.lanes[own].take(task, now, check); c != nil || own == 0 {
		return c
	}
	for i := 1; i < len(p.lanes); i++ {
		if i == own {
			continue
		}
		if c := p.lanes[i].take(task, now, check); c != nil {
			c.lane = &p.lanes[own]
			return c
		}
	}
	return nil
}

func (l *lane) take(task *evloop.Task, now time.Time, check bool) *upstreamConn {
	for {
		l.mu.Lock()
		n := len(l.idle)
		if n == 0 {
			l.mu.Unlock()
			return nil
		}
		c := l.idle[n-1]
		l.idle[n-1] = nil
		l.idle = l.idle[:n-1]
		l.mu.Unlock()
		if c.events != nil {
			_ = c.events.Bind(task) // what fails here fails again when it is used
		}
		if (!check && now.Sub(c.since) < surelyAlive) || c.client.Alive() {
			return c
		}
		c.close()
	}
}

// give takes a connection back.
func (p *pool) give(c *upstreamConn) {
	if c.events != nil {
		_ = c.events.Bind(nil) // it never fails
	}
	l, most := c.lane, max(1, c.t.p.options.KeepAlive/max(1, len(p.lanes)-1))
	l.mu.Lock()
	full := l.gone || len(l.idle) >= most
	if !full {
		l.idle = append(l.idle, c)
	}
	l.mu.Unlock()
	if full {
		c.close()
	}
}

// closeIdle closes what was not used since a time, and tells whether nothing is
// left.
func (p *pool) closeIdle(since time.Time) (empty bool) {
	empty = true
	for i := range p.lanes {
		l := &p.lanes[i]
		l.mu.Lock()
		old := 0
		for old < len(l.idle) && l.idle[old].since.Before(since) {
			l.idle[old].close()
			old++
		}
		l.idle = append(l.idle[:0:0], l.idle[old:]...)
		empty = empty && len(l.idle) == 0
		l.mu.Unlock()
	}
	return empty
}

// abandon ends what waits for the connection. It may be called from anywhere.
func (c *upstreamConn) abandon() {
	nc := c.nc
	if tc, ok := nc.(*tls.Conn); ok {
		nc = tc.NetConn() // which waits for nobody
	}
	_ = nc.Close()
}

// end has connections closed that requests still use, once they do not: nobody
// would find them here, nor close them later.
func (p *pool) end() {
	for i := range p.lanes {
		l := &p.lanes[i]
		l.mu.Lock()
		l.gone = true
		for _, c := range l.idle {
			c.close()
		}
		l.idle = nil
		l.mu.Unlock()
	}
}

func (c *upstreamConn) close() {
	_ = c.nc.Close()
	c.t.forget(c.nc)
}

package dbproxy

import (
	"net"
	"runtime"

	"github.com/backplane/backplane/internal/evloop"
)

// Sessions run on event loops, as tasks of them, where the system has that;
// elsewhere each has a goroutine. What a session does that is not a matter of
// reading and writing its own connections runs outside its loop.

// startLoops starts the event loops, once there is a configuration.
func (p *Proxy) startLoops() {
	if p.loops.Load() != nil {
		return
	}
	// More loops than that get in each other's way: the kernel's part of the
	// work is the bigger one, and the other processors are well used for it.
	if g, err := evloop.New(runtime.GOMAXPROCS(0) / 2); err == nil {
		p.loops.Store(g)
	}
}

// endLoops ends them, after all sessions.
func (p *Proxy) endLoops() {
	if g := p.loops.Load(); g != nil {
		g.Close() //nolint:errcheck // it never fails
	}
}

// carried is a connection for sessions: the same one on an event loop where
// there is one.
func (p *Proxy) carried(nc net.Conn) net.Conn {
	if g := p.loops.Load(); g != nil {
		if c, err := g.Adopt(nc); err == nil {
			return c
		}
	}
	return nc
}

// carry runs a session.
func (p *Proxy) carry(s *Session) {
	g := p.loops.Load()
	if g == nil {
		p.running.Go(s.run)
		return
	}
	p.running.Add(1)
	g.Go(func(t *evloop.Task) {
		defer p.running.Done()
		s.task = t
		if err := s.client.Bind(t); err != nil {
			s.client.Close() // the session finds out
		}
		s.run()
	})
}

// Outside runs f where it may take its time, or wait for something, without
// holding up other sessions. Filters and routers have it for what is not a
// matter of the session's own connections.
func (s *Session) Outside(f func()) { s.task.Outside(f) }

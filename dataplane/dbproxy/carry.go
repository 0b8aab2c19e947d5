package dbproxy

import (
	"net"
	"runtime"

	"github.com/backplane/backplane/internal/evloop"
)

// Sessions run on event loops, as tasks of them, where the system has that;
// elsewhere each has a goroutine. What a session does that is not a matter of
// reading and writing its own connections runs outside its loop.

// Threads is on how many event loops sessions run where the setting threads is
// not given.
func Threads() int { return evloop.DefaultLoops() }

// loops are the event loops that there have been. The last ones take new
// sessions.
type loops struct {
	groups []*evloop.Group
	n      int
}

// setThreads sets on how many event loops sessions run that begin from now on.
// The others stay on theirs. p.applying is held.
func (p *Proxy) setThreads(n int) {
	if n <= 0 {
		n = Threads()
	}
	if n == p.loops.n {
		return
	}
	// A server has a thread for each session, and so have most clients.
	g, err := evloop.New(evloop.Options{Loops: n, Crowd: runtime.NumCPU()/2 + 1, Gather: true})
	if err != nil {
		p.log.Debug("sessions are carried by goroutines", "reason", err)
		return
	}
	p.loops.n = n
	p.loops.groups = append(p.loops.groups, g)
	p.carrier.Store(g)
}

// Threads is on how many event loops new sessions run. Where there are none it
// is the number of processors, any of which runs them.
func (p *Proxy) Threads() int {
	if g := p.carrier.Load(); g != nil {
		return g.Loops()
	}
	return runtime.GOMAXPROCS(0)
}

// endLoops ends all event loops, after all sessions.
func (p *Proxy) endLoops() {
	for _, g := range p.loops.groups {
		g.Close() //nolint:errcheck // it never fails
	}
}

// carried is a connection of a session's: the same one on an event loop where
// the session is on one.
func carried(g *evloop.Group, nc net.Conn) net.Conn {
	if g != nil {
		if c, err := g.Adopt(nc); err == nil {
			return c
		}
	}
	return nc
}

// carry runs a session.
func (p *Proxy) carry(s *Session) {
	if s.carrier == nil {
		p.running.Go(s.run)
		return
	}
	p.running.Add(1)
	s.carrier.Go(func(t *evloop.Task) {
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

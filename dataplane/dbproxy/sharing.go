package dbproxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// Sessions that idle let others have their connections, if their service says
// so ("Connection sharing", MaxScale Configuration Guide). A session gives up
// connections itself, when it is woken between two requests: only its router
// knows what would be lost with them.

// ErrNoRoom is why a server is not connected to when as many connections as
// there may be are in use.
var ErrNoRoom = fmt.Errorf("%w: max_routing_connections is reached", ErrUnusable)

// ErrNoTurn is what a client is told that has waited for a connection for as
// long as multiplex_timeout says.
var ErrNoTurn = &wire.ServerError{Code: wire.ErrCodeUnknown, State: wire.StateCommunication, Message: "Timed out when waiting for a connection"}

const (
	// offerAfter is how long a session is idle at least before its connections
	// go to the pool although nobody waits for one.
	offerAfter = time.Second
	// askAgain is how soon others are asked for room when those who were did
	// not make any, askLatest how late.
	askAgain  = 20 * time.Millisecond
	askLatest = time.Second
	// askAtOnce is how many sessions are asked at once at least.
	askAtOnce = 4
)

// sharesAfter is how long a session is idle before others may have its
// connections; negative is never.
func (s *Service) sharesAfter() time.Duration {
	return s.Params().Duration("idle_session_pool_time")
}

// Sharing tells whether sessions of the service give up their connections when
// they idle, and wait for those of others.
func (s *Service) Sharing() bool { return s.sharesAfter() >= 0 }

// Turn is until when a request that comes now may wait for a connection, the
// zero time when it may not.
func (s *Session) Turn() time.Time {
	if !s.service.Sharing() {
		return time.Time{}
	}
	return s.now().Add(s.service.Params().Duration("multiplex_timeout"))
}

// Await is Connect that waits until then for room at the server.
func (s *Session) Await(ctx context.Context, srv *Server, until time.Time) (*Backend, error) {
	return srv.connect(ctx, s, until)
}

// idle is for how long the session has been waiting for its client.
func (s *Session) idle(now time.Duration) (idle time.Duration, since int64) {
	since = s.wait.since.Load()
	if since == 0 {
		return 0, 0
	}
	return max(now-time.Duration(since), 0), since
}

// offer wakes a session that is idle for long enough to put its connections
// into the pool, once while it is idle.
func (s *Session) offer(idle time.Duration, since int64) {
	after := s.service.sharesAfter()
	if after < 0 || idle < max(after, offerAfter) || s.wait.offered.Swap(since) == since {
		return
	}
	s.wake()
}

// Limited tells whether there is a limit to the connections to the server.
func (b *Backend) Limited() bool { return b.server.limit() > 0 }

// Spare tells whether others should have the connection while the session
// idles: one who waits for room at the server, or the server's pool.
func (b *Backend) Spare() bool {
	after := b.session.service.sharesAfter()
	idle, since := b.session.idle(b.session.proxy.clock())
	if after < 0 || since == 0 || idle < after {
		return false
	}
	return b.server.room.wanted() || idle >= max(after, offerAfter) && b.server.pool.hasRoom(b)
}

// ask wakes sessions that may make room at the server for those who wait, the
// longest idle ones first, and tells when to ask again. A session that did not
// make room is not asked again before its next request.
func (srv *Server) ask(waiting int) (again time.Duration) {
	candidates, again := srv.candidates()
	slices.SortFunc(candidates, func(a, b candidate) int { return cmp.Compare(a.since, b.since) })
	for i, c := range candidates {
		again = askAgain
		if i >= max(waiting, askAtOnce) {
			break
		}
		c.asked.Store(c.since)
		c.session.wake()
	}
	return again
}

// candidate is a session that may make room.
type candidate struct {
	session *Session
	asked   *atomic.Int64
	since   int64 // when it began to idle
}

// candidates are the sessions that can be asked to make room, and when there
// may be others.
func (srv *Server) candidates() (list []candidate, next time.Duration) {
	next = askLatest
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for b := range srv.backends {
		now := b.session.proxy.clock()
		after := b.session.service.sharesAfter()
		idle, since := b.session.idle(now)
		switch {
		case after < 0:
		case since == 0 && after == 0:
			list = append(list, candidate{b.session, &b.asked, int64(now)}) // as soon as it has answered
		case idle < after:
			next = min(next, max(after-idle, askAgain))
		case b.asked.Load() != since:
			list = append(list, candidate{b.session, &b.asked, since})
		}
	}
	return list, next
}

// lend is a connection for something that the proxy does on a server for the
// session, and how to give it back. Where there is no room it is the one that
// the session has there, or it is waited for.
func (s *Session) lend(srv *Server) (b *Backend, giveBack func(), err error) {
	b, err = s.Connect(s.ctx, srv)
	if errors.Is(err, ErrNoRoom) {
		for _, own := range s.connections() {
			if own.server == srv && !own.Broken() && own.Reply.Done() {
				return own, func() {}, nil
			}
		}
		if until := s.Turn(); !until.IsZero() {
			b, err = s.Await(s.ctx, srv, until)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	return b, b.Close, nil
}

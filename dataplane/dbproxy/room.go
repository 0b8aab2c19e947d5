package dbproxy

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// room counts the places that sessions have at a server, of which there may be
// a limit (max_routing_connections), and keeps those who wait for one in line.
// Who has a place may have a connection. Connections in the pool need none, but
// make way when the server could otherwise have more than the limit.
type room struct {
	mu    sync.Mutex
	taken int64
	line  []*waiter // the first one asks others to make room
}

// waiter waits for a place.
type waiter struct {
	turn chan struct{} // something has changed for it
	in   bool          // it has its place
}

// enter takes a place, unless there is none or others wait for one.
func (r *room) enter(limit int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if limit > 0 && (r.taken >= limit || len(r.line) > 0) {
		return false
	}
	r.taken++
	return true
}

// leave gives a place back.
func (r *room) leave(limit int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken--
	r.admit(limit)
}

// admit gives places that there are to those who wait. The lock is held.
func (r *room) admit(limit int64) {
	for len(r.line) > 0 && (limit <= 0 || r.taken < limit) {
		w := r.line[0]
		r.line = slices.Delete(r.line, 0, 1)
		r.taken++
		w.in = true
		w.tell()
	}
	if len(r.line) > 0 {
		r.line[0].tell()
	}
}

func (w *waiter) tell() {
	select {
	case w.turn <- struct{}{}:
	default: // it has not looked since it was told last
	}
}

// join gets in line.
func (r *room) join() *waiter {
	w := &waiter{turn: make(chan struct{}, 1)}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.line = append(r.line, w)
	return w
}

// look tells whether a waiter has its place by now, and otherwise whether it is
// the first in line and how many wait.
func (r *room) look(w *waiter, limit int64) (in, first bool, waiting int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.admit(limit) // which may be another one than it was
	return w.in, len(r.line) > 0 && r.line[0] == w, len(r.line)
}

// quit ends the waiting. It tells whether the waiter has its place after all.
func (r *room) quit(w *waiter) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w.in {
		return true
	}
	r.line = slices.DeleteFunc(r.line, func(other *waiter) bool { return other == w })
	if len(r.line) > 0 {
		r.line[0].tell()
	}
	return false
}

// wanted tells whether somebody waits for a place.
func (r *room) wanted() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.line) > 0
}

func (r *room) places() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.taken
}

// limit is how many connections there may be at most, 0 for any number.
func (srv *Server) limit() int64 { return srv.Params().Int("max_routing_connections") }

// enter takes a place at the server and waits for one until then.
func (srv *Server) enter(ctx context.Context, until time.Time) error {
	if srv.room.enter(srv.limit()) {
		return nil
	}
	if !until.After(time.Now()) {
		return fmt.Errorf("%s: %w", srv.name, ErrNoRoom)
	}
	w := srv.room.join()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		in, first, waiting := srv.room.look(w, srv.limit())
		if in {
			return nil
		}
		left := time.Until(until)
		if left <= 0 {
			if srv.room.quit(w) {
				return nil
			}
			return fmt.Errorf("%s: %w: nobody has made room", srv.name, ErrNoRoom)
		}
		if first {
			left = min(left, srv.ask(waiting))
		}
		timer.Reset(left)
		select {
		case <-ctx.Done():
			if srv.room.quit(w) {
				srv.room.leave(srv.limit())
			}
			return context.Cause(ctx)
		case <-w.turn:
		case <-timer.C:
		}
	}
}

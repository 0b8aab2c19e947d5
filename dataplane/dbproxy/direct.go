package dbproxy

import (
	"errors"
	"os"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
	"github.com/backplane/backplane/internal/evloop"
)

// Direct is what a handler implements that hands most requests to one server
// as they are. Where it is the only handler of a session, requests that change
// nothing in the session itself need not come to Handle.
type Direct interface {
	// Direct returns where a request goes, which is counted by that, or nil if
	// it is to come to Handle. The connection must be one that CanPass. Direct
	// must not wait.
	Direct() *Backend
}

// direct is how far a session has come with a request that passes without its
// task: by steps on the loop (evloop.Task.Serve). A step that cannot go on leaves
// the rest to the task, which finds here what that is.
type direct struct {
	step    func() evloop.Next // nil where there are no steps
	handler Direct
	backend *Backend // that has the request, nil while there is none
	begun   time.Time
	sent    bool  // all of the request
	over    bool  // the answer has come, and only that may have to be sent yet
	err     error // that a step has met
}

// under tells whether there is a request for finishDirect.
func (d *direct) under() bool { return d.backend != nil }

// prepareDirect finds out whether requests can pass without the task.
func (s *Session) prepareDirect() {
	s.direct = direct{}
	handler, ok := s.chain.(Direct)
	if ok && len(s.handlers) == 1 && s.config.retain <= 0 && s.task != nil && s.client.CanTry() {
		s.direct.handler, s.direct.step = handler, s.step
	}
}

// serve has requests pass without the task until there is something for it: a
// request of another kind, one under way (direct.under), or a call of wake.
func (s *Session) serve() {
	if s.direct.step == nil || !s.task.Inside() || s.client.Expect() {
		return
	}
	s.task.Serve(s.direct.step)
}

// step goes on with what has come from the client or the server.
func (s *Session) step() evloop.Next {
	if !s.direct.under() {
		return s.stepRequest()
	}
	return s.stepAnswer()
}

// stepRequest passes a request on.
func (s *Session) stepRequest() evloop.Next {
	p, err := s.client.TryPacket()
	switch {
	case err == evloop.ErrAgain:
		if s.client.Expect() {
			return evloop.Again
		}
		return evloop.Wait
	case err != nil:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			s.direct.err = err
		}
		return evloop.Resume
	case p == nil || !passes(p):
		return evloop.Resume
	}
	if !s.wait.state.CompareAndSwap(sessionWaits, sessionWorks) {
		return evloop.Resume // it was woken
	}
	d := &s.direct
	b := d.handler.Direct()
	if b == nil {
		return evloop.Resume
	}
	s.wait.since.Store(0)
	r := &s.request
	r.session, r.Command, r.Packet, r.Head, r.streamed, r.classified = s, wire.Command(p[0]), p, p, false, false
	d.begun = s.remember(r)
	s.service.operations.Add(s.Place(), 1)
	b.begin(r.Command)
	r.Packet, r.Head = nil, nil
	d.backend = b
	s.client.Hand(b.Conn)
	if d.sent = b.Conn.TryFlush(); !d.sent {
		return evloop.Resume
	}
	if b.Reply.Done() { // there is none
		return s.stepEnd()
	}
	if b.Conn.Expect() {
		return evloop.Again
	}
	return evloop.Wait
}

// passes tells whether a request is none that the session itself has to see to.
func passes(p []byte) bool {
	switch wire.Command(p[0]) {
	case wire.ComQuery:
		return !mayBeKill(p)
	case wire.ComPing, wire.ComStmtPrepare, wire.ComStmtExecute, wire.ComStmtFetch, wire.ComStmtReset, wire.ComStmtClose, wire.ComStmtSendLongData:
		return true
	}
	return false
}

// stepAnswer passes on what has come of the answer.
func (s *Session) stepAnswer() evloop.Next {
	d := &s.direct
	b := d.backend
	s.server = b.server
	switch err := b.Conn.TryRelayReply(s.client, &b.Reply); {
	case err == evloop.ErrAgain:
		if b.Conn.Expect() {
			return evloop.Again
		}
		return evloop.Wait
	case err != nil:
		d.err = err
		return evloop.Resume
	case !b.Reply.Done():
		return evloop.Resume
	}
	s.answered(&b.Reply)
	return s.stepEnd()
}

// stepEnd ends a request and waits for the next one.
func (s *Session) stepEnd() evloop.Next {
	d := &s.direct
	b := d.backend
	b.end()
	b.touch()
	s.service.operations.Add(s.Place(), -1)
	s.completed(d.begun)
	if !s.client.TryFlush() {
		d.over = true
		return evloop.Resume
	}
	s.client.SetSequence(0)
	s.wait.since.Store(s.idleSince())
	if s.renewal.Load() != nil || !s.wait.state.CompareAndSwap(sessionWorks, sessionWaits) {
		d.over = true // and the session has something to see to
		return evloop.Resume
	}
	d.backend = nil
	if s.client.Expect() {
		return evloop.Again
	}
	return evloop.Wait
}

// finishDirect does for a request that is under way what is left to do.
func (s *Session) finishDirect() error {
	d := &s.direct
	b, err := d.backend, d.err
	d.backend, d.err = nil, nil
	if !d.over {
		if err == nil && !d.sent {
			err = b.Conn.Flush()
		}
		if err == nil {
			err = b.Receive(&s.toClient)
		} else {
			err = b.failed(err)
		}
		s.service.operations.Add(s.Place(), -1)
		if err != nil {
			return err
		}
		s.completed(d.begun)
	}
	d.over = false
	return s.client.Flush()
}

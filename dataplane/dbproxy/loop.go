package dbproxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"os"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// Waker is what a handler implements that wants to know when the state of a
// server has changed that the session has a connection to, when such a
// connection was cut, or when connections have been idle for long. It is called
// between requests. An error ends the session.
type Waker interface{ Wake() error }

var (
	errKilled  = errors.New("killed")
	errIdle    = errors.New("idle for longer than wait_timeout")
	errStopped = errors.New("the proxy ends")
)

// run is the whole life of a session.
func (s *Session) run() {
	err := s.begin()
	for err == nil {
		err = s.command()
	}
	if cause := context.Cause(s.ctx); cause != nil {
		err = cause
	}
	s.finish(err)
}

// begin logs the client in and connects to servers.
func (s *Session) begin() error {
	if err := s.login(s.ctx); err != nil {
		return err
	}
	s.toClient.session = s
	s.introduce()
	s.client.SetLimit(wire.DefaultLimit)
	if d := s.service.Params().Duration("net_write_timeout"); d > 0 {
		if err := s.client.SetWriteTimeout(d); err != nil {
			return err
		}
	}
	s.config = s.service.current()
	s.limit = wire.MaxPeek
	chain, err := s.service.open(s)
	if err != nil {
		s.tell(refusal(err))
		return err
	}
	s.chain = chain
	s.prepareDirect()
	return s.welcome()
}

// introduce lets others know who has logged in.
func (s *Session) introduce() {
	s.diag.mu.Lock()
	defer s.logLogin()
	defer s.diag.mu.Unlock()
	s.diag.user, s.diag.db, s.diag.attributes = s.user, s.database, s.attributes
	if state, ok := s.client.TLS(); ok {
		s.diag.cipher = tls.CipherSuiteName(state.CipherSuite)
	}
}

// refusal is what a client is told of an error.
func refusal(err error) *wire.ServerError {
	var se *wire.ServerError
	if errors.As(err, &se) {
		return se
	}
	return &wire.ServerError{Code: wire.ErrCodeUnknown, State: wire.StateCommunication, Message: "Lost connection to the backend server"}
}

// tell sends an error, if it can still be.
func (s *Session) tell(e *wire.ServerError) {
	if s.client.Torn() {
		return
	}
	s.client.SetWriteDeadline(time.Now().Add(quitTimeout)) //nolint:errcheck // the write fails then
	if s.client.WritePacket(e.Append(nil)) == nil {
		s.client.Flush() //nolint:errcheck // the client has gone
	}
}

// command reads one command and sees to its answer.
func (s *Session) command() error {
	head, size, err := s.await()
	if err != nil {
		return err
	}
	if s.direct.under() {
		return s.finishDirect()
	}
	r := &s.request
	*r = Request{session: s, Hints: r.Hints[:0], Head: head}
	if size == 0 {
		return &wire.ServerError{Code: wire.ErrCodeUnknownCommand, State: wire.StateCommunication, Message: "Unknown command"}
	}
	r.Command = wire.Command(head[0])
	if size <= s.limit {
		if r.Packet, err = s.client.ReadPacket(); err != nil {
			return err
		}
		r.Head = r.Packet
	} else {
		r.streamed = true
	}
	begun := s.remember(r)
	if err := s.dispatch(r); err != nil {
		return err
	}
	s.completed(begun)
	return s.client.Flush()
}

// await waits for the next command, and does meanwhile what it is woken for.
func (s *Session) await() (head []byte, size int, err error) {
	w := &s.wait
	s.client.SetSequence(0)
	if s.moment.IsZero() {
		s.moment = s.now()
	}
	w.since.Store(s.idleSince())
	defer w.since.Store(0)
	for {
		if err := s.renew(); err != nil {
			return nil, 0, err
		}
		if s.rest() {
			if s.serve(); s.direct.under() {
				return nil, 0, nil
			}
			if s.direct.err == nil {
				head, size, err = s.client.Peek(wire.MinHead)
			} else {
				err = s.direct.err
			}
			woken := s.rise()
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				if woken {
					w.state.Store(sessionWoken) // it looks after itself once this is done
				}
				return head, size, err
			}
		}
		if cause := context.Cause(s.ctx); cause != nil {
			return nil, 0, cause
		}
		for _, h := range s.handlers {
			if h, ok := h.(Waker); ok {
				if err := h.Wake(); err != nil {
					return nil, 0, err
				}
			}
		}
	}
}

// rest begins to wait, unless the session was woken in the meantime.
func (s *Session) rest() bool {
	w := &s.wait
	if w.state.CompareAndSwap(sessionWorks, sessionWaits) {
		return true
	}
	w.state.Store(sessionWorks)
	return false
}

// idleSince is when the session began to wait, in ns of the proxy's clock.
func (s *Session) idleSince() int64 { return max(int64(s.moment.Sub(s.proxy.began)), 1) }

// rise ends the waiting, and tells whether the session was woken.
func (s *Session) rise() bool {
	w := &s.wait
	if w.state.Swap(sessionWorks) != sessionWoken {
		return false
	}
	w.mu.Lock() // who has woken it has set the deadline then
	defer w.mu.Unlock()
	s.client.SetReadDeadline(time.Time{}) //nolint:errcheck // the next read tells
	return true
}

// wake makes the session look after itself as soon as it waits for its client.
// It may be called from anywhere.
func (s *Session) wake() {
	w := &s.wait
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state.Swap(sessionWoken) == sessionWaits {
		s.client.SetReadDeadline(time.Unix(1, 0)) //nolint:errcheck // a closed one wakes as well
	}
}

// Kill ends the session. It may be called from anywhere.
func (s *Session) Kill() { s.stop(errKilled) }

// stop ends the session for a reason.
func (s *Session) stop(cause error) {
	s.end(cause)
	s.client.Close()
	for _, b := range s.connections() {
		b.Kill()
	}
}

// finish gives back what the session holds.
func (s *Session) finish(err error) {
	var ce *wire.ConnError
	badly := false
	if s.chain != nil && err != nil && err != io.EOF && !(errors.As(err, &ce) && ce.Conn == s.client) {
		switch {
		case errors.Is(err, errIdle), errors.Is(err, errStopped), errors.Is(err, errKilled):
		default:
			s.tell(refusal(err))
		}
		badly = true
	}
	for _, h := range s.handlers {
		h.Close()
	}
	s.client.Close()
	s.client.Recycle()
	s.end(io.EOF)
	s.config.release()
	s.renewal.Swap(nil).release()
	s.logEnd(err, badly)
	s.proxy.forget(s)
	s.service.finished(s)
}

// dispatch gives a request to whom it is for.
func (s *Session) dispatch(r *Request) error {
	s.service.operations.Add(s.Place(), 1)
	defer s.service.operations.Add(s.Place(), -1)
	switch r.Command {
	case wire.ComQuit:
		return io.EOF
	case wire.ComChangeUser:
		refused, err := s.changeUser(r)
		if err != nil {
			return err
		}
		if refused != nil {
			return refused // a server ends the connection as well
		}
	case wire.ComQuery:
		if handled, err := s.kill(r); handled || err != nil {
			return err
		}
	case wire.ComProcessKill:
		return s.processKill(r)
	case wire.ComBinlogDump, wire.ComBinlogDumpGTID, wire.ComTableDump, wire.ComRegisterSlave:
		if !s.listener.allowsReplication() {
			return Refuse(r, &s.toClient, &wire.ServerError{Code: wire.ErrCodeFeatureDisabled, State: wire.StateGeneral, Message: "Replication protocol is disabled"})
		}
	}
	return s.chain.Handle(r, &s.toClient)
}

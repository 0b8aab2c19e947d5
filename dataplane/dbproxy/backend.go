package dbproxy

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// Backend is a connection to a server, logged in as the user of a session. It
// is used by the session alone.
type Backend struct {
	Conn *wire.Conn
	// Reply is how far the answer to the last request has come.
	Reply wire.Reply

	server     *Server
	session    *Session
	service    *serverCounts // of the server within the service; never nil
	id         uint32        // of the connection, as the server counts
	caps       wire.Capability
	negotiated wire.Capability // caps with those of the login
	proxied    string          // the client's address that the server was told
	version    string
	cipher     string
	opened     time.Time
	used       time.Time
	busy       bool // counted among the operations
	broken     bool
	placed     bool         // it has a place at the server, to be given back
	asked      atomic.Int64 // since when the session was idle that was asked for it last
	cut        atomic.Bool  // closed by another goroutine
}

// Server is the server at the other end.
func (b *Backend) Server() *Server { return b.server }

// ConnectionID is the connection's number on the server.
func (b *Backend) ConnectionID() uint32 { return b.id }

// Broken tells whether the connection is of no use any more.
func (b *Backend) Broken() bool { return b.broken || b.cut.Load() }

// CanPass tells whether requests can pass without Send and Receive (Direct).
func (b *Backend) CanPass() bool { return !b.Broken() && b.Conn.CanTry() }

// Send sends a request, of which the answer is to be received before the next
// one is sent. A streamed request is taken off the client's connection.
func (b *Backend) Send(r *Request) error {
	b.begin(r.Command)
	b.Conn.SetSequence(0)
	var err error
	if r.streamed {
		client := b.session.client
		client.FlushOnWait(b.Conn)
		_, err = client.RelayPacket(b.Conn)
		client.FlushOnWait(nil)
		r.streamed, r.Head, r.Packet = false, nil, nil
	} else {
		err = b.Conn.WritePacket(r.Packet)
	}
	if err == nil {
		err = b.Conn.Flush()
	}
	return b.failed(err)
}

// begin counts a request.
func (b *Backend) begin(cmd wire.Command) {
	b.Reply.Start(cmd, b.session.caps)
	b.session.logSent(b, cmd)
	place := b.session.Place()
	b.server.counts.requests.Add(place, 1)
	b.service.requests.Add(place, 1)
	if !b.Reply.Done() {
		b.busy = true
		b.server.counts.operations.Add(place, 1)
	}
}

// end counts the end of an answer.
func (b *Backend) end() {
	if b.busy {
		b.busy = false
		b.server.counts.operations.Add(b.session.Place(), -1)
	}
}

// Receive takes the whole answer to what was sent and gives it to to, or to
// nobody when to is nil. A file that the server asks for is taken from the
// client.
func (b *Backend) Receive(to Answer) error {
	if to != nil {
		b.session.server = b.server
	}
	err := b.receive(to)
	b.end()
	b.touch()
	return b.failed(err)
}

// touch notes that the connection was used. The time is read but twice for a
// request.
func (b *Backend) touch() {
	if s := b.session; s.working {
		b.used, s.last = s.moment, b
	} else {
		b.used = s.now()
	}
}

func (b *Backend) receive(to Answer) error {
	s := b.session
	if b.Reply.Done() {
		return nil // there is none
	}
	for !b.Reply.Done() {
		var err error
		switch to {
		case nil:
			err = b.Conn.RelayReply(nil, &b.Reply)
		case Answer(&s.toClient):
			err = b.Conn.RelayReply(s.client, &b.Reply)
		default:
			err = b.packets(to)
		}
		if err != nil {
			return err
		}
		if b.Reply.AwaitsClient() {
			if err := b.clientsTurn(to); err != nil {
				return err
			}
		}
	}
	if to == Answer(&s.toClient) {
		s.answered(&b.Reply)
	}
	return nil
}

// packets gives an answer on in whole packets.
func (b *Backend) packets(to Answer) error {
	b.Conn.SetLimit(maxAnswerPacket)
	b.Conn.FlushOnWait(b.session.client)
	defer b.Conn.FlushOnWait(nil)
	for !b.Reply.Done() && !b.Reply.AwaitsClient() {
		p, err := b.Conn.ReadPacket()
		if err != nil {
			return err
		}
		kind, err := b.Reply.Feed(p, len(p))
		if err != nil {
			return &wire.ConnError{Conn: b.Conn, Op: "read", Err: err}
		}
		if err := to.Packet(kind, p, &b.Reply); err != nil {
			return err
		}
	}
	return nil
}

// clientsTurn passes on the file that the server asks for. Of who swallows the
// answer it gets an empty one.
func (b *Backend) clientsTurn(to Answer) error {
	if !b.Reply.AwaitsFile() {
		return &wire.ConnError{Conn: b.Conn, Op: "read", Err: wire.ErrUnexpected}
	}
	if to == nil {
		if err := b.Conn.WritePacket(nil); err != nil {
			return err
		}
	} else {
		client := b.session.client
		if err := client.Flush(); err != nil {
			return err
		}
		client.FlushOnWait(b.Conn)
		_, err := client.RelayFile(b.Conn)
		client.FlushOnWait(nil)
		if err != nil {
			return err
		}
	}
	b.Reply.ClientSent()
	return b.Conn.Flush()
}

// Exchange is Send and Receive.
func (b *Backend) Exchange(r *Request, to Answer) error {
	if err := b.Send(r); err != nil {
		return err
	}
	return b.Receive(to)
}

// Command sends a command of the proxy's own and swallows the answer, which is
// then in Reply. What the server refuses is a *wire.ServerError, after which
// the connection goes on.
func (b *Backend) Command(cmd wire.Command, arg ...byte) error {
	if err := b.WriteCommand(cmd, arg...); err != nil {
		return err
	}
	if err := b.Conn.Flush(); err != nil {
		return b.failed(err)
	}
	if err := b.Receive(nil); err != nil {
		return err
	}
	return b.Reply.Err()
}

// WriteCommand is the first half of Command: it neither flushes nor waits, so
// that another command can be sent with it. Of each the answer is received on
// its own, after Expect.
func (b *Backend) WriteCommand(cmd wire.Command, arg ...byte) error {
	b.begin(cmd)
	return b.failed(b.Conn.WriteCommand(cmd, arg...))
}

// Expect makes Reply ready for the answer to a command that was sent together
// with another one.
func (b *Backend) Expect(cmd wire.Command) {
	b.end()
	b.begin(cmd)
	b.Conn.SetSequence(1)
}

// failed notes that the connection is of no use when an error is its own.
func (b *Backend) failed(err error) error {
	if err == nil {
		return nil // without the memory that what follows takes
	}
	var ce *wire.ConnError
	if errors.As(err, &ce) && ce.Conn == b.Conn {
		b.broken = true
		b.end()
	}
	return err
}

// Own tells whether an error is one of this connection, rather than of the
// client's.
func (b *Backend) Own(err error) bool {
	var ce *wire.ConnError
	return errors.As(err, &ce) && ce.Conn == b.Conn
}

// Idle is for how long nothing was sent.
func (b *Backend) Idle() time.Duration {
	if s := b.session; s.working {
		return s.moment.Sub(b.used)
	}
	return b.session.now().Sub(b.used)
}

// Close ends the connection, or gives it to the server's pool.
func (b *Backend) Close() {
	if b.session.last == b {
		b.session.last = nil
	}
	b.end()
	srv, placed := b.server, b.placed
	b.placed = false
	srv.remove(b)
	if b.Broken() || !b.Reply.Done() || !srv.pool.put(b) {
		b.quit()
	}
	if placed { // another session may have the connection by now
		srv.room.leave(srv.limit())
	}
}

// quit says goodbye and closes the connection.
func (b *Backend) quit() {
	if !b.Broken() && b.Reply.Done() {
		b.Conn.SetWriteDeadline(time.Now().Add(quitTimeout)) //nolint:errcheck // it is closed anyway
		if b.Conn.WriteCommand(wire.ComQuit) == nil {
			b.Conn.Flush() //nolint:errcheck // it is closed anyway
		}
	}
	b.broken = true
	b.Conn.Close()
	b.Conn.Recycle()
}

// Kill closes the connection from another goroutine.
func (b *Backend) Kill() {
	b.cut.Store(true)
	b.Conn.Close()
}

const (
	// maxAnswerPacket is what servers send at most in one packet.
	maxAnswerPacket = 1 << 30
	quitTimeout     = time.Second
)

// Connect connects to a server as the session's user, with the session's
// database, or takes a connection from the server's pool. What the server
// refuses is a *wire.ServerError.
func (s *Session) Connect(ctx context.Context, srv *Server) (*Backend, error) {
	return srv.connect(ctx, s, time.Time{})
}

package dbproxy

import (
	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// Request is a command of a client on its way to a backend. It is valid until
// its handler returns, and is used again for the next command.
type Request struct {
	Command wire.Command
	// Packet is the payload, command byte included. It is nil when the request
	// is Streamed. A filter may put another one in its place (SetSQL).
	Packet []byte
	// Head is the beginning of the payload, also of a streamed one, of which
	// it may be changed in place. Otherwise it is Packet.
	Head []byte
	// Hints are what filters want of the router, the most important one first.
	Hints []Hint

	session    *Session
	streamed   bool
	class      sqlclass.Class
	classified bool
}

// Streamed tells whether the payload is still on the client's connection,
// because it is too big to be held: from there it goes to the backend in
// pieces. No filter can read it, and no router can classify it.
func (r *Request) Streamed() bool { return r.streamed }

// Session is the session that the request is of.
func (r *Request) Session() *Session { return r.session }

// SQL is the text of COM_QUERY and COM_STMT_PREPARE. ok is false for other
// commands and for text that is streamed.
func (r *Request) SQL() (text []byte, ok bool) {
	if r.Command != wire.ComQuery && r.Command != wire.ComStmtPrepare || r.streamed {
		return nil, false
	}
	return r.Packet[1:], true
}

// SetSQL gives the request another text, in memory that the caller leaves to
// the request.
func (r *Request) SetSQL(text []byte) {
	p := make([]byte, 1, 1+len(text))
	p[0] = byte(r.Command)
	r.Packet = append(p, text...)
	r.Head, r.classified = r.Packet, false
}

// Class is what the text does, found out when it is first asked for. It is the
// zero Class, which belongs to the master, where there is no text.
func (r *Request) Class() *sqlclass.Class {
	if !r.classified {
		r.class = sqlclass.Class{}
		if text, ok := r.SQL(); ok {
			r.class = sqlclass.Classify(text, r.session.Mode())
		}
		r.classified = true
	}
	return &r.class
}

// HintKind is what a hint asks for.
type HintKind uint8

// The kinds of hints ("Hint Syntax", MaxScale).
const (
	HintMaster HintKind = iota + 1
	HintSlave
	HintLast
	HintAll
	HintServer // Value is its name
	HintParam  // Name = Value, of which there is max_slave_replication_lag
)

// Hint is what a filter wants of the router. Routers follow hints where they
// can, and ignore those that name a server that is not there.
type Hint struct {
	Kind        HintKind
	Name, Value string
}

// Answer takes an answer to a request, packet by packet.
type Answer interface {
	// Packet takes the next packet: what it is, and its whole payload, which
	// is valid until Packet returns and may be changed in place. reply tells
	// how far the answer has come, with the packet counted.
	Packet(kind wire.Kind, payload []byte, reply *wire.Reply) error
}

// Handler answers the requests of one session: a filter or a router.
type Handler interface {
	// Handle gives the answer to the request to to, or to the next handler. An
	// error ends the session; what the client is to be told first is a
	// *wire.ServerError.
	Handle(r *Request, to Answer) error
	// Close is called once, at the end of the session.
	Close()
}

func commandOf(payload []byte) wire.Command {
	if len(payload) == 0 {
		return wire.ComSleep
	}
	return wire.Command(payload[0])
}

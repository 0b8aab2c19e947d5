package filter

import (
	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// lastPrepared stands for the statement that was prepared last, in commands of
// clients that do not wait for its number.
const lastPrepared = 0xffffffff

// prepared is what a filter knows of the prepared statements of a session. It
// is an Answer that learns the number of a new one.
type prepared[T any] struct {
	known map[uint32]T
	last  uint32
	fresh T
	to    dbproxy.Answer
}

// prepare hands the preparation of a statement on and notes what is known of it.
func (p *prepared[T]) prepare(next dbproxy.Handler, r *dbproxy.Request, to dbproxy.Answer, what T) error {
	p.fresh, p.to = what, to
	err := next.Handle(r, p)
	var none T
	p.fresh, p.to = none, nil
	return err
}

// Packet implements dbproxy.Answer.
func (p *prepared[T]) Packet(kind wire.Kind, payload []byte, reply *wire.Reply) error {
	if kind == wire.KindPrepared {
		if err := p.note(payload); err != nil {
			return err
		}
	}
	if p.to == nil {
		return nil
	}
	return p.to.Packet(kind, payload, reply)
}

// note keeps what is known of the statement that has just got its number. That
// is read from the packet, which a router may have changed: reply tells the
// number on the server.
func (p *prepared[T]) note(payload []byte) error {
	statement, err := wire.ParsePrepared(payload)
	if err != nil {
		return err
	}
	if p.known == nil {
		p.known = map[uint32]T{}
	}
	p.last = statement.ID
	p.known[p.last] = p.fresh
	return nil
}

// of is what is known of the statement that a command is about. Statements that
// the command ends are forgotten.
func (p *prepared[T]) of(r *dbproxy.Request) (what T, ok bool) {
	switch r.Command {
	case wire.ComChangeUser, wire.ComResetConnection:
		clear(p.known)
		return what, false
	}
	id, err := wire.StatementID(r.Head)
	if err != nil {
		return what, false
	}
	if id == lastPrepared {
		id = p.last
	}
	what, ok = p.known[id]
	if r.Command == wire.ComStmtClose {
		delete(p.known, id)
	}
	return what, ok
}

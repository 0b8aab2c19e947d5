package masking

import (
	"bytes"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// handler is the filter of one session.
type handler struct {
	filter  *maskingFilter
	session *dbproxy.Session
	next    dbproxy.Handler

	// rules are those for the user, of the file's rules all.
	rules rules
	all   *rules
	user  string

	answer     answer
	statements map[uint32]*statement // by the id that the client knows
	last       *statement            // the one prepared last
}

// statement is what is known of the columns of a prepared one: servers do not
// always define them again, and never for rows that are fetched.
type statement struct{ columns []wire.Column }

// layout is what the columns of a result are like.
type layout struct {
	types  []wire.Type
	rules  []*rule // nil for columns that are shown
	masked bool    // there is one that is not
}

// Handle implements dbproxy.Handler.
func (h *handler) Handle(r *dbproxy.Request, to dbproxy.Answer) error {
	h.choose()
	switch r.Command {
	case wire.ComChangeUser, wire.ComResetConnection:
		h.statements, h.last = nil, nil
		return h.next.Handle(r, to)
	case wire.ComStmtClose:
		if id, err := wire.StatementID(r.Head); err == nil {
			delete(h.statements, id)
		}
		return h.next.Handle(r, to)
	}
	if refusal := h.refusal(r); refusal != nil {
		return dbproxy.Refuse(r, to, refusal)
	}
	if to == nil || len(h.rules) == 0 && !h.needed(r.Command) {
		return h.next.Handle(r, to)
	}
	a := &h.answer
	*a = answer{handler: h, to: to, binary: r.Command != wire.ComQuery && r.Command != wire.ComProcessInfo}
	if a.statement = h.statement(r); a.statement != nil {
		for i := range a.statement.columns {
			a.add(&a.statement.columns[i])
		}
	}
	return h.next.Handle(r, a)
}

// needed tells whether what the answer says must be kept for when there are
// rules.
func (h *handler) needed(cmd wire.Command) bool {
	switch cmd {
	case wire.ComStmtPrepare, wire.ComStmtExecute, wire.ComStmtBulkExecute, wire.ComStmtFetch:
		return true
	}
	return false
}

// choose finds the rules for the user, once for each file and user.
func (h *handler) choose() {
	all, user := h.filter.rules.Load(), h.session.User()
	if all == h.all && user == h.user {
		return
	}
	h.all, h.user = all, user
	h.rules = all.of(user, h.session.Remote())
}

// statement is what is known of the statement that a request is about.
func (h *handler) statement(r *dbproxy.Request) *statement {
	id, err := wire.StatementID(r.Head)
	switch {
	case err != nil:
		return nil
	case id == wire.LastPrepared:
		return h.last
	}
	return h.statements[id]
}

// prepared notes a new statement.
func (h *handler) prepared(id uint32) *statement {
	if h.statements == nil {
		h.statements = map[uint32]*statement{}
	}
	h.last = &statement{}
	h.statements[id] = h.last
	return h.last
}

// Close implements dbproxy.Handler.
func (h *handler) Close() {}

// answer masks the results in an answer on its way to the client.
type answer struct {
	handler   *handler
	to        dbproxy.Answer
	binary    bool
	statement *statement // where the columns are kept for later, nil if nowhere
	layout    layout
}

// Packet implements dbproxy.Answer.
func (a *answer) Packet(kind wire.Kind, payload []byte, reply *wire.Reply) error {
	var err error
	switch kind {
	case wire.KindPrepared:
		err = a.prepared(payload)
	case wire.KindColumnCount:
		err = a.begin(payload)
	case wire.KindColumn:
		err = a.column(payload)
	case wire.KindRow:
		err = a.row(payload)
	}
	if err != nil {
		return err
	}
	return a.to.Packet(kind, payload, reply)
}

func (a *answer) prepared(payload []byte) error {
	p, err := wire.ParsePrepared(payload)
	if err != nil {
		return err
	}
	a.statement = a.handler.prepared(p.ID)
	a.layout = layout{}
	return nil
}

// begin is the start of a result. Where the server does not define the columns
// again, they are those of before.
func (a *answer) begin(payload []byte) error {
	n, err := wire.ParseColumnCount(payload, a.handler.session.Capabilities())
	switch {
	case err != nil:
		return err
	case n.Definitions:
		a.layout = layout{}
		if a.statement != nil {
			a.statement.columns = nil
		}
	case len(a.layout.types) != n.Columns:
		return cannotMask
	}
	return nil
}

func (a *answer) column(payload []byte) error {
	caps := a.handler.session.Capabilities()
	if a.statement == nil {
		c, err := wire.ParseColumn(payload, caps)
		a.add(&c)
		return err
	}
	c, err := wire.ParseColumn(bytes.Clone(payload), caps)
	a.statement.columns = append(a.statement.columns, c)
	a.add(&c)
	return err
}

// add adds a column to the layout.
func (a *answer) add(c *wire.Column) {
	r := a.handler.rules.column(c)
	if r != nil && !maskable(c.Type) {
		if a.handler.filter.warnTypes {
			a.handler.filter.log.Warn("A column cannot be masked because of its type", "column", string(c.Name),
				"table", string(c.OrgTable), "database", string(c.Schema), "type", int(c.Type))
		}
		r = nil
	}
	a.layout.types = append(a.layout.types, c.Type)
	a.layout.rules = append(a.layout.rules, r)
	a.layout.masked = a.layout.masked || r != nil
}

// cannotMask ends a session whose result cannot be masked.
var cannotMask = &wire.ServerError{Code: wire.ErrCodeUnknown, State: wire.StateGeneral, Message: "A result that is to be masked cannot be read"}

func (a *answer) row(payload []byte) error {
	l := &a.layout
	switch {
	case len(l.types) == 0 && len(a.handler.rules) > 0: // fetched, of a statement that is not known
		return cannotMask
	case !l.masked:
		return nil
	case len(payload) >= wire.MaxPayload:
		if a.handler.filter.passLarge {
			return nil
		}
		return &wire.ServerError{Code: wire.ErrCodeUnknown, State: wire.StateGeneral, Message: "A row that is to be masked is too large"}
	}
	var err error
	if a.binary {
		err = maskBinary(payload, l.rules, l.types, a.handler.filter.key)
	} else {
		err = maskText(payload, l.rules, a.handler.filter.key)
	}
	if err != nil {
		return cannotMask
	}
	return nil
}

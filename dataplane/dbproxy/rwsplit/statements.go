package rwsplit

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// statement is one that was prepared in binary. The client has one number for
// it, each server its own.
type statement struct {
	id     uint32
	packet []byte // COM_STMT_PREPARE
	class  sqlclass.Class
	params int
	types  []byte // of the parameters, as the client has told them last
	told   uint32 // how often it has told others

	ids   []uint32 // by the slots of the servers; 0: not prepared there
	knows []uint32 // which types the servers were told

	cursor   *conn // where rows are to be fetched
	long     *conn // where long data was sent
	gone     bool  // it was sent to a connection that is lost
	streamed bool  // an execution was too long to be held, so that nothing can be added to it
	closed   bool  // by the client
	uses     int   // numbers that the client has for it (reuse_prepared_statements)
	key      string
	answer   [][]byte // to COM_STMT_PREPARE, to be given again
}

// lost forgets what a server had of the statement.
func (st *statement) lost(c *conn) {
	st.ids[c.slot], st.knows[c.slot] = 0, 0
	if st.cursor == c {
		st.cursor = nil
	}
	if st.long == c {
		st.long, st.gone = nil, true
	}
}

// prepareOn prepares a statement on a server.
func (h *session) prepareOn(c *conn, st *statement) error {
	err := c.b.Command(wire.ComStmtPrepare, st.packet[1:]...)
	var refused *wire.ServerError
	if errors.As(err, &refused) {
		return nil // it may go on without the statement
	}
	if err != nil {
		return err
	}
	return h.prepared(c, st)
}

// prepared notes the number that a server has given to a statement.
func (h *session) prepared(c *conn, st *statement) error {
	p := c.b.Reply.Prepared()
	if int(p.Params) != st.params {
		return closeNumber(c, p.ID)
	}
	st.ids[c.slot], st.knows[c.slot] = p.ID, 0
	return nil
}

func closeOn(c *conn, st *statement) error {
	id := st.ids[c.slot]
	st.ids[c.slot] = 0
	return closeNumber(c, id)
}

func closeNumber(c *conn, id uint32) error {
	if err := c.b.WriteCommand(wire.ComStmtClose, byte(id), byte(id>>8), byte(id>>16), byte(id>>24)); err != nil {
		return err
	}
	return c.b.Conn.Flush()
}

// find is the statement of a number.
func (h *session) find(head []byte) (*statement, uint32) {
	id, err := wire.StatementID(head)
	if err != nil {
		return nil, 0
	}
	if id == wire.LastPrepared {
		return h.newest, id
	}
	return h.statements[id], id
}

func unknownStatement(k *call, id uint32) error {
	name := strconv.FormatUint(uint64(id), 10)
	return dbproxy.Refuse(k.r, k.to, &wire.ServerError{
		Code: wire.ErrCodeUnknownStmt, State: wire.StateGeneral, Message: fmt.Sprintf("Unknown prepared statement handler (%s) given to mysqld_stmt_execute", name),
	})
}

// execute routes the execution of a statement by what the statement does.
func (h *session) execute(k *call) error {
	st, id := h.find(k.r.Head)
	if st == nil {
		return h.executeUnknown(k, id)
	}
	k.stmt, k.class, k.text = st, &st.class, st.packet[1:]
	k.types = st.noteTypes(k.r.Head)
	if st.gone {
		st.gone = false
		return refuse(k, &wire.ServerError{Code: wire.ErrCodeUnknown, State: wire.StateGeneral, Message: "The data of the parameters was lost with its server"})
	}
	if c := st.long; c != nil {
		st.long = nil
		return h.executeLong(c, k)
	}
	st.cursor = nil
	if err := h.route(k); err != nil {
		return err
	}
	if c := h.previous; c != nil && c.b != nil && c.b.Reply.Command() == wire.ComStmtExecute && c.b.Reply.Status().Has(wire.StatusCursorExists) && !c.b.Reply.Failed() {
		st.cursor = c
	}
	return nil
}

// executeUnknown lets the master refuse the execution of a statement that does
// not exist, so that SHOW WARNINGS tells of it as well.
func (h *session) executeUnknown(k *call, id uint32) error {
	c := h.master
	if k.packet == nil || c == nil || h.trxConn != nil || id == wire.LastPrepared || h.options.reuse {
		return unknownStatement(k, id)
	}
	// The number may be that of another one there.
	for _, st := range h.statements {
		if st.ids[c.slot] == id {
			return unknownStatement(k, id)
		}
	}
	for i := range h.history.entries {
		if st := h.history.entries[i].prepares; st != nil && st.ids[c.slot] == id {
			return unknownStatement(k, id)
		}
	}
	for i := range h.trx.entries {
		if st := h.trx.entries[i].stmt; st != nil && st.ids[c.slot] == id {
			return unknownStatement(k, id)
		}
	}
	return h.write(k)
}

// executeLong executes where the data of parameters is.
func (h *session) executeLong(c *conn, k *call) error {
	if c == h.master {
		return h.write(k)
	}
	if c == h.trxConn {
		return h.inTransaction(k)
	}
	return h.at(c, k)
}

const (
	executeHead = 10  // of COM_STMT_EXECUTE, before the bitmap of NULLs
	bulkHead    = 7   // of COM_STMT_BULK_EXECUTE
	bulkTypes   = 128 // flag of it: the types are told
)

// noteTypes keeps the types of the parameters, if the packet tells them, which
// clients do once. A server that was not there must be told later.
func (st *statement) noteTypes(head []byte) (told bool) {
	if st.params == 0 {
		return true
	}
	at, told := st.typesAt(head)
	if !told {
		return false
	}
	if len(head) < at+2*st.params {
		st.types = nil // too many to be seen
		st.told++
		return true
	}
	if types := head[at : at+2*st.params]; !bytes.Equal(types, st.types) || st.told == 0 {
		st.types = append(st.types[:0], types...)
		st.told++
	}
	return true
}

// typesAt is where the types stand or would stand, and whether they do.
func (st *statement) typesAt(head []byte) (at int, told bool) {
	if len(head) > 0 && wire.Command(head[0]) == wire.ComStmtBulkExecute {
		return bulkHead, len(head) >= bulkHead && (uint16(head[5])|uint16(head[6])<<8)&bulkTypes != 0
	}
	at = executeHead + (st.params+7)/8
	return at + 1, len(head) > at && head[at] == 1
}

// errTypes is why a statement cannot be executed.
var errTypes = &wire.ServerError{Code: wire.ErrCodeUnknown, State: wire.StateGeneral, Message: "The types of the parameters are not known to the server"}

// address makes the packet of a statement's execution one for a server.
func (h *session) address(c *conn, k *call) error {
	st := k.stmt
	if st.ids[c.slot] == 0 {
		if err := h.prepareOn(c, st); err != nil {
			return err
		}
		if st.ids[c.slot] == 0 {
			if err := c.b.Reply.Err(); err != nil {
				return err
			}
			return errTypes
		}
	}
	if k.packet == nil {
		if !k.types && st.knows[c.slot] != st.told {
			return errTypes
		}
		st.knows[c.slot] = st.told
		return wire.SetStatementID(k.r.Head, st.ids[c.slot])
	}
	packet, err := h.addressed(c, st, k.packet, k.types)
	k.r.Packet, k.r.Head = packet, packet
	return err
}

// addressed is the packet with the server's number of the statement, and with
// the types of the parameters where the server does not know them.
func (h *session) addressed(c *conn, st *statement, packet []byte, types bool) ([]byte, error) {
	if st.params > 0 && !types && st.knows[c.slot] != st.told {
		if len(st.types) != 2*st.params {
			return packet, errTypes
		}
		packet = h.withTypes(st, packet)
	}
	if len(packet) > 0 && wire.Command(packet[0]) != wire.ComStmtReset {
		st.knows[c.slot] = st.told
	}
	return packet, wire.SetStatementID(packet, st.ids[c.slot])
}

// withTypes puts the types into a packet that does not have them.
func (h *session) withTypes(st *statement, packet []byte) []byte {
	at, _ := st.typesAt(packet)
	if len(packet) < at {
		return packet // the server will refuse it
	}
	h.scratch = append(append(append(h.scratch[:0], packet[:at]...), st.types...), packet[at:]...)
	if wire.Command(packet[0]) == wire.ComStmtBulkExecute {
		h.scratch[5] |= bulkTypes
	} else {
		h.scratch[at-1] = 1
	}
	return h.scratch
}

// prepare prepares a statement on all servers.
func (h *session) prepare(k *call) error {
	h.newest = nil
	if k.r.Streamed() {
		return dbproxy.Refuse(k.r, k.to, &wire.ServerError{Code: wire.ErrCodePacketTooLarge, State: wire.StateCommunication, Message: "The statement is too long to be prepared"})
	}
	key := ""
	if h.options.reuse {
		key = fmt.Sprintf("%s\x00%d\x00%s", h.client.Database(), h.settings, k.packet[1:])
		if st := h.reusable[key]; st != nil && st.cursor == nil && st.long == nil {
			return h.prepareAgain(k, st)
		}
	}
	st := &statement{
		packet: bytes.Clone(k.packet), class: *k.r.Class(), key: key, uses: 1,
		ids: make([]uint32, len(h.conns)), knows: make([]uint32, len(h.conns)),
	}
	h.lastID = h.lastID%(math.MaxInt32-1) + 1
	st.id = h.lastID
	k.text = st.packet[1:]
	h.patch = patch{to: k.to, id: st.id, statement: st, keep: h.options.reuse}
	k.to = &h.patch
	return h.everywherePrepared(k, st)
}

// everywherePrepared sends COM_STMT_PREPARE to all servers and keeps their
// numbers.
func (h *session) everywherePrepared(k *call, st *statement) error {
	if err := h.everywhere(k); err != nil {
		return err
	}
	main := h.previous
	if main == nil || main.b == nil || main.b.Reply.Command() != wire.ComStmtPrepare || main.b.Reply.Failed() {
		return nil
	}
	st.params = int(main.b.Reply.Prepared().Params)
	for i := range h.conns {
		c := &h.conns[i]
		if !c.connected() || c.applied != h.history.last || c.b.Reply.Command() != wire.ComStmtPrepare || c.b.Reply.Failed() || !c.b.Reply.Done() {
			continue
		}
		if err := h.prepared(c, st); err != nil {
			h.drop(c)
		}
	}
	current := h.history.last
	h.history.add(entry{packet: st.packet, prepares: st})
	for i := range h.conns {
		if c := &h.conns[i]; c.b != nil && c.applied == current {
			c.applied = h.history.last
		}
	}
	if h.statements == nil {
		h.statements = map[uint32]*statement{}
	}
	h.statements[st.id], h.newest = st, st
	if h.options.reuse {
		if h.reusable == nil {
			h.reusable = map[string]*statement{}
		}
		h.reusable[st.key] = st
	}
	return nil
}

// prepareAgain gives the client another number for a statement that the
// servers have (reuse_prepared_statements).
func (h *session) prepareAgain(k *call, st *statement) error {
	h.lastID = h.lastID%(math.MaxInt32-1) + 1
	st.uses++
	st.closed = false
	h.statements[h.lastID], h.newest = st, st
	h.patch = patch{to: k.to, id: h.lastID}
	answer := make([][]byte, len(st.answer))
	for i, p := range st.answer {
		answer[i] = slices.Clone(p) // who gets it may change it
	}
	return dbproxy.Reply(k.r, &h.patch, answer...)
}

// patch puts the client's number of a statement into the answer to
// COM_STMT_PREPARE.
type patch struct {
	to        dbproxy.Answer
	id        uint32
	statement *statement
	keep      bool
}

// Packet implements dbproxy.Answer.
func (p *patch) Packet(kind wire.Kind, payload []byte, reply *wire.Reply) error {
	if kind == wire.KindPrepared {
		payload[1], payload[2], payload[3], payload[4] = byte(p.id), byte(p.id>>8), byte(p.id>>16), byte(p.id>>24)
	}
	if p.keep {
		p.statement.answer = append(p.statement.answer, bytes.Clone(payload))
	}
	return p.to.Packet(kind, payload, reply)
}

// closeStatement closes a statement on all servers. There is no answer.
func (h *session) closeStatement(k *call) error {
	st, id := h.find(k.r.Head)
	if st == nil {
		return nil
	}
	if id == wire.LastPrepared {
		id = h.lastID
	}
	delete(h.statements, id)
	if h.newest == st {
		h.newest = nil
	}
	if st.uses--; st.uses > 0 || h.options.reuse {
		return nil
	}
	h.history.closed(st)
	for i := range h.conns {
		c := &h.conns[i]
		if c.connected() && st.ids[i] != 0 {
			if closeOn(c, st) != nil {
				h.drop(c)
			}
		}
	}
	return nil
}

// longData sends data of a parameter to where the statement will be executed:
// the master, or the server of a transaction that only reads.
func (h *session) longData(k *call) error {
	st, _ := h.find(k.r.Head)
	if st == nil {
		return h.discard(k)
	}
	k.stmt, k.types = st, true
	c := st.long
	if c == nil && !st.gone {
		if c = h.trxConn; c == nil {
			c, _ = h.writer() //nolint:errcheck // the execution tells
		}
	}
	if c == nil || !c.connected() {
		st.gone = true
		return h.discard(k)
	}
	told := st.knows[c.slot]
	err := h.send(c, k)
	st.knows[c.slot] = told
	if err == nil {
		st.long = c
		return nil
	}
	if lost(c, err) {
		h.drop(c)
		st.gone = true
		return nil
	}
	return err
}

// discard drops a request without an answer.
func (h *session) discard(k *call) error {
	if k.r.Streamed() {
		return dbproxy.Refuse(k.r, nil, errTypes)
	}
	return nil
}

// resetStatement resets a statement where it was prepared.
func (h *session) resetStatement(k *call) error {
	st, id := h.find(k.r.Head)
	if st == nil {
		return unknownStatement(k, id)
	}
	st.long, st.cursor, st.gone = nil, nil, false
	for i := range h.conns {
		c := &h.conns[i]
		if !c.connected() || st.ids[i] == 0 {
			continue
		}
		id := st.ids[i]
		if err := c.b.Command(wire.ComStmtReset, byte(id), byte(id>>8), byte(id>>16), byte(id>>24)); err != nil && lost(c, err) {
			h.drop(c)
		}
	}
	return dbproxy.Acknowledge(k.r, k.to)
}

// fetch fetches rows from where the statement was executed.
func (h *session) fetch(k *call) error {
	st, id := h.find(k.r.Head)
	if st == nil {
		return unknownStatement(k, id)
	}
	k.class, k.text = &st.class, st.packet[1:]
	c := st.cursor
	if c == nil {
		var err error
		if c, err = h.writer(); err != nil {
			return err
		}
		if c == nil || st.ids[c.slot] == 0 {
			return unknownStatement(k, id)
		}
	}
	if err := wire.SetStatementID(k.r.Head, st.ids[c.slot]); err != nil {
		return err
	}
	k.stmt = nil // its number is there already
	if err := h.at(c, k); err != nil {
		return err
	}
	if c.b != nil && !c.b.Reply.Failed() && c.b.Reply.Status().Has(wire.StatusLastRowSent) {
		st.cursor = nil
	}
	return nil
}

package rwsplit

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// trxLog is what a transaction has done so far, so that it can be done again
// elsewhere (transaction_replay, optimistic_trx).
type trxLog struct {
	entries []logged
	size    int64
	over    bool // it cannot be done again: it is too big, or not all of it is known
}

// logged is a statement of a transaction.
type logged struct {
	packet []byte
	stmt   *statement
	types  bool   // the packet tells the types of the parameters
	sum    uint32 // of the answer
}

func (l *trxLog) reset() {
	clear(l.entries)
	l.entries, l.size, l.over = l.entries[:0], 0, false
}

// logs tells whether a statement on the master may belong to a transaction
// that must be kept.
func (h *session) logs(k *call) bool {
	if !h.options.replay {
		return false
	}
	return h.state.trx == readWrite || h.state.autocommitOff || k.class.Is(sqlclass.TypeBeginTrx) || k.class.Has(sqlclass.FlagMulti) || k.class == &nothing
}

// writeLogged sends a statement to the master and keeps it.
func (h *session) writeLogged(c *conn, k *call) error {
	if h.state.trx == noTransaction {
		h.trx.reset()
	}
	err := h.exchangeLogged(c, k)
	if err == nil {
		h.after(c, k, atMaster)
		return nil
	}
	switch {
	case (lost(c, err) || errors.Is(err, errDeadlock)) && h.state.trx != noTransaction:
		return h.replay(k, err, true)
	case lost(c, err) && c.b.Reply.Size() == 0 && k.packet != nil && k.class.Op == sqlclass.OpBegin && !k.class.Has(sqlclass.FlagMulti) && k.tries < h.options.attempts:
		k.tries++
		h.drop(c)
		return h.write(k) // nothing has been done yet that could be done twice
	}
	return h.failed(c, k, err)
}

// errDeadlock is why a transaction is done again on the same server.
var errDeadlock = errors.New("the server has ended the transaction because of a deadlock")

// exchangeLogged is exchange of which the statement is kept, with a checksum of
// the answer.
func (h *session) exchangeLogged(c *conn, k *call) error {
	h.recorder = recorder{to: k.to, mode: h.options.checksum}
	packet := bytes.Clone(k.packet) // its memory may be used again while it is answered
	if err := h.send(c, k); err != nil {
		return err
	}
	if err := h.breaks(c); err != nil {
		return err
	}
	if err := c.b.Receive(&h.recorder); err != nil {
		return err
	}
	if k.class.Op == sqlclass.OpXA {
		packet = nil // its names are those of the whole server
	}
	h.log(logged{packet: packet, stmt: k.stmt, types: k.types, sum: h.recorder.sum})
	return nil
}

// breaks waits for the answer and looks whether it ends the transaction in a
// way that leads to doing it again.
func (h *session) breaks(c *conn) error {
	if !h.options.replay || h.state.trx == noTransaction {
		return nil
	}
	switch code, err := failing(c); {
	case err != nil:
		return err
	case code == wire.ErrCodeServerShutdown, code == wire.ErrCodeConnectionKilled:
		return &wire.ConnError{Conn: c.b.Conn, Op: "read", Err: errDying}
	case code == wire.ErrCodeDeadlock && h.options.deadlocks:
		if err := c.b.Receive(nil); err != nil {
			return err
		}
		return errDeadlock
	}
	return nil
}

// log keeps a statement.
func (h *session) log(l logged) {
	t := &h.trx
	if t.over {
		return
	}
	t.size += int64(len(l.packet))
	if l.packet == nil || t.size > h.options.replaySize || h.recorder.file {
		if t.size > h.options.replaySize {
			h.router.counts.tooBig.Add(1)
		}
		clear(t.entries)
		t.entries, t.over = t.entries[:0], true
		return
	}
	t.entries = append(t.entries, l)
}

// replay does a transaction again, and then the statement that has not been
// answered, or not wholly.
func (h *session) replay(k *call, cause error, sent bool) error {
	kind, told := h.state.trx, h.recorder
	if !sent {
		told = recorder{}
	}
	unsafe := sent && k.class.Is(sqlclass.TypeCommit) && h.options.safeCommit && !errors.Is(cause, errDeadlock)
	if k.packet == nil || h.trx.over || len(h.trx.entries) == 0 || unsafe {
		h.leave()
		return fmt.Errorf("%w: %w", errTrxLost, cause)
	}
	deadline := time.Now().Add(h.options.replayTime)
	for range h.options.attempts {
		if !errors.Is(cause, errDeadlock) && !errors.Is(cause, errMismatch) {
			h.leave()
		}
		h.state.trx, h.state.xa, h.trxConn = noTransaction, false, nil
		c, err := h.replayServer(k, kind, deadline)
		if err != nil || c == nil {
			break
		}
		cause = h.redo(c)
		if cause == nil {
			h.state.trx = kind
			if kind != readWrite && c != h.master {
				h.trxConn = c
			} else {
				h.state.trx = readWrite
			}
			cause = h.again(c, k, told)
		}
		switch {
		case cause == nil:
			h.router.counts.replayed.Add(1)
			return nil
		case errors.Is(cause, errMismatch):
			if !h.options.mismatches || told.packets > 0 {
				return cause
			}
			if c.b.Command(wire.ComQuery, []byte("ROLLBACK")...) != nil {
				h.drop(c)
			}
		case errors.Is(cause, errDeadlock):
		case lost(c, cause):
			h.drop(c)
		default:
			return cause
		}
		if time.Now().After(deadline) {
			break
		}
	}
	h.leave()
	return fmt.Errorf("%w: %w", errTrxLost, cause)
}

// leave gives up the connection of a transaction.
func (h *session) leave() {
	c := h.trxConn
	if c == nil {
		c = h.master
	}
	if c != nil && h.state.trx != noTransaction {
		h.drop(c)
	}
}

// replayServer waits for a server to do a transaction again on.
func (h *session) replayServer(k *call, kind transaction, deadline time.Time) (*conn, error) {
	for {
		var c *conn
		var err error
		if kind == readWrite {
			c, err = h.writer()
		} else {
			c, err = h.reader(k)
		}
		if c != nil || err != nil {
			return c, err
		}
		if time.Now().After(deadline) || !h.pause() {
			return nil, errNoMaster
		}
	}
}

// redo does the statements of the transaction again. The answers must be what
// they were.
func (h *session) redo(c *conn) error {
	for i := range h.trx.entries {
		l := &h.trx.entries[i]
		packet := l.packet
		if l.stmt != nil {
			if l.stmt.ids[c.slot] == 0 {
				if err := h.prepareOn(c, l.stmt); err != nil {
					return err
				}
			}
			var err error
			if packet, err = h.addressed(c, l.stmt, packet, l.types); err != nil {
				return err
			}
		}
		h.recorder = recorder{mode: h.options.checksum}
		if err := c.b.WriteCommand(wire.Command(packet[0]), packet[1:]...); err != nil {
			return err
		}
		if err := c.b.Conn.Flush(); err != nil {
			return err
		}
		if err := c.b.Receive(&h.recorder); err != nil {
			return err
		}
		if c.b.Reply.ErrorCode() == wire.ErrCodeDeadlock && h.options.deadlocks && h.recorder.sum != l.sum {
			return errDeadlock
		}
		if h.recorder.sum != l.sum {
			return fmt.Errorf("%w: statement %d of %d", errMismatch, i+1, len(h.trx.entries))
		}
	}
	for i := range h.trx.entries {
		if st := h.trx.entries[i].stmt; st != nil && st.uses == 0 && st.ids[c.slot] != 0 {
			if err := closeOn(c, st); err != nil { // the client has done so
				return err
			}
		}
	}
	return nil
}

// again sends the statement that was interrupted. What the client has of its
// answer must be the same.
func (h *session) again(c *conn, k *call, told recorder) error {
	h.recorder = recorder{to: k.to, mode: h.options.checksum, skip: told.packets, prefix: told.sum}
	packet := bytes.Clone(k.packet)
	if err := h.send(c, k); err != nil {
		return err
	}
	if told.packets == 0 {
		if err := h.breaks(c); err != nil {
			return err
		}
	}
	if err := c.b.Receive(&h.recorder); err != nil {
		return err
	}
	if h.recorder.packets < told.packets {
		return errMismatch
	}
	h.log(logged{packet: packet, stmt: k.stmt, types: k.types, sum: h.recorder.sum})
	h.after(c, k, atMaster)
	return nil
}

// recorder makes a checksum of an answer that it gives on.
type recorder struct {
	to      dbproxy.Answer // nil for nobody
	mode    string
	sum     uint32
	packets uint64 // so far
	skip    uint64 // packets that the client has already, of which the checksum must be prefix
	prefix  uint32
	file    bool // the server has asked for a file
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Packet implements dbproxy.Answer.
func (r *recorder) Packet(kind wire.Kind, payload []byte, reply *wire.Reply) error {
	r.packets++
	switch kind {
	case wire.KindOK, wire.KindEOF:
		r.outcome(kind, reply)
	case wire.KindError:
		var code [2]byte
		binary.LittleEndian.PutUint16(code[:], reply.ErrorCode())
		r.sum = crc32.Update(r.sum, castagnoli, code[:])
	case wire.KindProgress:
	case wire.KindLocalFile:
		r.file = true
	default:
		r.sum = crc32.Update(r.sum, castagnoli, payload)
	}
	if r.packets < r.skip {
		return nil
	}
	if r.packets == r.skip {
		if r.sum != r.prefix {
			return errMismatch
		}
		return nil
	}
	if r.to == nil {
		return nil
	}
	return r.to.Packet(kind, payload, reply)
}

// outcome adds what an OK packet tells, but for what may differ between
// servers.
func (r *recorder) outcome(kind wire.Kind, reply *wire.Reply) {
	if r.mode == checksumResultOnly && reply.Rows() == 0 {
		return
	}
	var b [20]byte
	b[0] = byte(kind)
	binary.LittleEndian.PutUint64(b[1:], reply.AffectedRows())
	if r.mode != checksumNoInsertID {
		binary.LittleEndian.PutUint64(b[9:], reply.LastInsertID())
	}
	binary.LittleEndian.PutUint16(b[17:], reply.Warnings())
	r.sum = crc32.Update(r.sum, castagnoli, b[:])
}

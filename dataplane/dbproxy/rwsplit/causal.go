package rwsplit

import (
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// sharedGTID is a position that has all writes of all sessions of the service.
// Writes are counted, and the position is asked for by the first who reads
// after one.
type sharedGTID struct {
	writes atomic.Uint64
	known  atomic.Pointer[sharedTarget]
}

// sharedTarget has all of the first so many writes.
type sharedTarget struct {
	target
	writes uint64
}

// reset forgets the position.
func (g *sharedGTID) reset() { g.known.Store(&sharedTarget{writes: g.writes.Load()}) }

// put keeps a position, unless a later one is known.
func (g *sharedGTID) put(t *sharedTarget) {
	for {
		old := g.known.Load()
		if old != nil && old.writes > t.writes || g.known.CompareAndSwap(old, t) {
			return
		}
	}
}

// wrote notes a write of the session, which is not confirmed to the client
// yet.
func (h *session) wrote() {
	switch h.options.causal {
	case causalLocal, causalFast:
		h.written = true
	case causalGlobal, causalFastGlobal:
		h.router.causal.writes.Add(1)
	}
}

// Statements by which the master is asked for a position. A session that has
// written through another connection has no position of its own.
const (
	askOwn = "SELECT IF(@@last_gtid = '', @@gtid_current_pos, @@last_gtid)"
	askAll = "SELECT @@gtid_current_pos"
)

// locate finds out which position reads must find (causal_reads). Without an
// answer only the master will do: then ok is false.
func (h *session) locate() (ok bool, err error) {
	switch h.options.causal {
	case causalLocal, causalFast:
		if !h.written {
			return true, nil
		}
		if ok, err = h.ask(askOwn); ok {
			h.written = false
		}
		return ok, err
	case causalUniversal, causalFastUniversal:
		return h.ask(askAll)
	case causalGlobal, causalFastGlobal:
		shared := &h.router.causal
		writes, known := shared.writes.Load(), shared.known.Load()
		if known == nil && writes == 0 {
			return true, nil
		}
		if known != nil && known.writes >= writes {
			h.wanted = known.target
			return true, nil
		}
		if ok, err = h.ask(askAll); ok {
			shared.put(&sharedTarget{h.wanted, writes})
		}
		return ok, err
	}
	return true, nil
}

// ask asks the master for a position.
func (h *session) ask(statement string) (ok bool, err error) {
	c, err := h.writer()
	if c == nil || err != nil {
		return false, err
	}
	text, err := h.evaluate(c, statement)
	if err != nil {
		var refused *wire.ServerError
		if !errors.As(err, &refused) {
			h.drop(c)
		}
		return false, nil
	}
	if text == h.wanted.text {
		return true, nil
	}
	h.wanted, ok = newTarget(text)
	return ok, nil
}

// evaluate asks a server for one value.
func (h *session) evaluate(c *conn, statement string) (string, error) {
	h.value = value{}
	if err := c.b.WriteCommand(wire.ComQuery, []byte(statement)...); err != nil {
		return "", err
	}
	if err := c.b.Conn.Flush(); err != nil {
		return "", err
	}
	if err := c.b.Receive(&h.value); err != nil {
		return "", err
	}
	return h.value.text, c.b.Reply.Err()
}

// value takes the first column of the first row of an answer.
type value struct {
	text string
	rows int
}

// Packet implements dbproxy.Answer.
func (v *value) Packet(kind wire.Kind, payload []byte, _ *wire.Reply) error {
	if kind == wire.KindRow {
		if v.rows++; v.rows == 1 {
			c := wire.NewCursor(payload)
			v.text = string(c.Bytes())
		}
	}
	return nil
}

// fast tells whether reads go only to servers that are known to have the
// position, instead of waiting.
func (h *session) fast() bool {
	switch h.options.causal {
	case causalFast, causalFastGlobal, causalFastUniversal:
		return true
	}
	return false
}

// fresh tells whether a replica may have what a read must find.
func (h *session) fresh(c *conn) bool {
	return h.wanted.text == "" || !h.fast() || c.gtid.has(c.server.GTID(), &h.wanted)
}

// await waits until a replica has what a read must find. It tells whether that
// came.
func (h *session) await(c *conn) (bool, error) {
	if c == h.master || h.wanted.text == "" || h.options.causal == causalNone || c.seen == h.wanted.text || c.gtid.has(c.server.GTID(), &h.wanted) {
		return true, nil
	}
	seconds := strconv.FormatFloat(h.options.causalTimeout.Seconds(), 'f', -1, 64)
	got, err := h.evaluate(c, fmt.Sprintf("SELECT MASTER_GTID_WAIT('%s', %s)", h.wanted.text, seconds))
	if err != nil {
		var refused *wire.ServerError
		if errors.As(err, &refused) {
			return false, nil
		}
		return false, err
	}
	if got != "0" {
		return false, nil
	}
	c.seen = h.wanted.text
	return true, nil
}

package rwsplit

import (
	"errors"
	"strconv"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// turn is how a request comes to a connection where others have them all
// (idle_session_pool_time, multiplex_timeout).
type turn struct {
	until time.Time // how long it waits, once it has begun to
	full  bool      // a server had no room
	over  bool      // it has waited in vain
}

// newTurn forgets which servers had no room.
func (h *session) newTurn() {
	if !h.turn.full {
		return
	}
	h.turn = turn{}
	for i := range h.conns {
		h.conns[i].full = false
	}
}

// noRoom notes that a server has no room.
func (h *session) noRoom(c *conn) {
	c.full, h.turn.full = true, true
}

// makeRoom waits for room at one of the servers that had none and that fit. It
// tells whether to look for a server again.
func (h *session) makeRoom(fits func(*conn) bool) (again bool) {
	if !h.turn.full || h.turn.over {
		return false
	}
	for i := range h.conns {
		c := &h.conns[(h.next+i)%len(h.conns)]
		if !c.full || c.b != nil {
			continue
		}
		c.full = false
		if fits(c) {
			h.waitFor(c)
			return true
		}
		c.full = true
	}
	return false
}

// roomForRead is makeRoom for a read. A session that cannot give up its master
// reads from it instead of holding it while it waits.
func (h *session) roomForRead(maxLag time.Duration) (again bool) {
	if !h.turn.full || h.master != nil && h.isMaster(h.master) && !h.mayShare() {
		return false
	}
	return h.makeRoom(func(c *conn) bool { return h.readable(c, maxLag) })
}

// waitFor waits for room at a server and connects to it. Who waits holds
// nothing meanwhile that others may wait for, if it can.
func (h *session) waitFor(c *conn) {
	if h.mayShare() {
		for i := range h.conns {
			if other := &h.conns[i]; other != c && other.b != nil && other.b.Limited() {
				h.give(other)
			}
		}
	}
	if h.turn.until.IsZero() {
		h.turn.until = h.client.Turn()
	}
	b, err := h.client.Await(h.client.Context(), c.server, h.turn.until)
	switch {
	case err == nil:
		h.connected(c, b)
	case errors.Is(err, dbproxy.ErrNoRoom):
		h.noRoom(c)
		h.turn.over = true
	default:
		c.retry = time.Now().Add(h.options.retryAfter)
	}
}

// inVain answers a request that has waited for a connection in vain.
func (h *session) inVain(k *call) error {
	if h.options.failureMode == errorOnWrite {
		return refuse(k, dbproxy.ErrNoTurn)
	}
	return dbproxy.ErrNoTurn
}

// share gives up the connections that others should have, if the session has
// been idle for long enough and loses nothing.
func (h *session) share() {
	if !h.options.share {
		return
	}
	for i := range h.conns {
		c := &h.conns[i]
		if c.b != nil && c.b.Spare() && h.mayShare() {
			h.give(c)
		}
	}
}

// mayShare tells whether the session's connections can be given up and made
// again without a difference.
func (h *session) mayShare() bool {
	st, past := &h.state, &h.history
	switch {
	case !h.options.share, h.traces.kept, h.traces.counting, h.traces.warned:
	case h.options.historyOff, past.off, past.lost, past.pruned, past.once:
	case st.trx != noTransaction, h.trxConn != nil, st.xa, st.autocommitOff, st.serializableNext:
	case st.pinned, st.locked, st.temporary, st.ownVariables:
	case h.client.Status().Has(wire.StatusInTransaction):
	case h.master != nil && !h.mayReconnect():
	default:
		return h.statementsCanMove()
	}
	return false
}

// statementsCanMove tells whether the statements that the client has prepared
// can be prepared elsewhere and go on there.
func (h *session) statementsCanMove() bool {
	for _, st := range h.statements {
		known := st.params == 0 || st.told == 0 || len(st.types) == 2*st.params
		if st.cursor != nil || st.long != nil || st.streamed || !known {
			return false
		}
	}
	return true
}

// give gives a connection up. What of it can be asked for and set again is.
func (h *session) give(c *conn) {
	if c == h.master && h.traces.insertID {
		id, err := h.evaluate(c, "SELECT LAST_INSERT_ID()")
		var refused *wire.ServerError
		if errors.As(err, &refused) {
			return
		}
		if _, bad := strconv.ParseUint(id, 10, 64); err == nil && bad == nil && id != "0" {
			h.traces.lastInsert = id
		} else {
			h.traces.lastInsert = ""
		}
		h.traces.insertID = false
	}
	h.traces.given = h.traces.given || c == h.previous
	h.drop(c)
}

// restore makes a new connection like one that was given up, as far as that is
// not in the history.
func (h *session) restore(c *conn) error {
	c.fresh = false
	if !h.options.share {
		return nil
	}
	var err error
	if c.warned {
		// Or SHOW WARNINGS would tell of the history: what uses a table ends that.
		err = c.b.Command(wire.ComQuery, []byte("SELECT 1 FROM (SELECT 1) AS t")...)
	}
	if id := h.traces.lastInsert; err == nil && id != "" {
		err = c.b.Command(wire.ComQuery, []byte("SET last_insert_id = "+id)...)
	}
	if err != nil {
		h.drop(c)
	}
	return err
}

// errGiven is the answer to who asks about a statement before, on a connection
// that others have by now.
var errGiven = &wire.ServerError{
	Code: wire.ErrCodeUnknown, State: wire.StateGeneral, Message: "The session has given up its connection (idle_session_pool_time) and does not know what the statement before did",
}

// asksInVain tells whether a statement asks about the one before, which cannot
// be told any more. A session that asks once may ask again, and shares no more.
func (h *session) asksInVain(k *call) bool {
	if !h.options.share || !k.class.Has(sqlclass.FlagPrevious) || !asksPrevious(k.text) {
		return false
	}
	h.traces.kept = true
	return h.traces.given
}

package rwsplit

import (
	"errors"
	"fmt"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// conn is what a session has of one server: a connection, or none at present.
type conn struct {
	slot      int
	server    *dbproxy.Server
	stats     *serverStats
	secondary bool

	b       *dbproxy.Backend // nil when there is no connection
	applied uint64           // position in the history
	seen    string           // position in replication that it has been waited for
	gtid    coverage
	banned  bool      // it is not to be used again by this session
	retry   time.Time // it is not to be tried again before
	full    bool      // the server had no room for the request
	fresh   bool      // the connection has not been restored yet
	warned  bool      // by the history

	// For the statistics.
	used    bool
	active  time.Duration
	selects int64
}

// connected tells whether there is a connection that can be used.
func (c *conn) connected() bool { return c.b != nil && !c.b.Broken() }

// errDiffers is why a connection is not used: what changed the session had
// another result on it.
var errDiffers = errors.New("a command of the session had another result")

// errNoHistory is why no new connection is made: it could not be made like the
// others.
var errNoHistory = errors.New("the history of the session is not complete")

// ready connects to a server if need be and makes the connection like the
// others.
func (h *session) ready(c *conn) error {
	if c.b != nil && (c.b.Broken() || c.b.Idle() > h.options.idleUnproven && !c.b.Conn.Alive()) {
		h.drop(c)
		if c.banned {
			return errNoHistory
		}
	}
	if c.b == nil {
		if err := h.connect(c); err != nil {
			return err
		}
	}
	if c.applied != h.history.last {
		if err := h.catchUp(c); err != nil {
			return err
		}
	}
	if c.fresh {
		return h.restore(c)
	}
	return nil
}

// connect makes a connection.
func (h *session) connect(c *conn) error {
	if !h.history.complete() {
		return errNoHistory
	}
	b, err := h.client.Connect(h.client.Context(), c.server)
	switch {
	case err == nil:
		h.connected(c, b)
	case h.options.share && errors.Is(err, dbproxy.ErrNoRoom):
		h.noRoom(c)
	default:
		c.retry = time.Now().Add(h.options.retryAfter)
	}
	return err
}

// connected notes a new connection.
func (h *session) connected(c *conn, b *dbproxy.Backend) {
	c.b, c.applied, c.used, c.seen, c.fresh, c.full = b, 0, true, "", true, false
	c.warned = false
}

// catchUp runs the commands that a connection has not had yet.
func (h *session) catchUp(c *conn) error {
	var err error
	closing := false
	for i := range h.history.entries {
		e := &h.history.entries[i]
		if e.position <= c.applied {
			continue
		}
		if err = h.repeat(c, e); err != nil {
			break
		}
		c.warned = c.warned || c.b.Reply.Warnings() > 0 || c.b.Reply.Failed()
		closing = closing || e.executes != nil && e.executes.closed
	}
	if closing && err == nil {
		err = h.closeRepeated(c)
	}
	if err != nil {
		var refused *wire.ServerError
		if errors.As(err, &refused) {
			h.client.Logger().Warn("a server is left out of the session", "server", c.server.Name(), "error", err)
			c.banned = true
			err = fmt.Errorf("%w: %w", errDiffers, err)
		}
		h.drop(c)
		c.retry = time.Now().Add(h.options.retryAfter)
		return err
	}
	c.applied = h.history.last
	return nil
}

// repeat runs one command of the history.
func (h *session) repeat(c *conn, e *entry) error {
	switch {
	case e.prepares != nil:
		return h.prepareOn(c, e.prepares)
	case e.executes != nil:
		if e.executes.ids[c.slot] == 0 {
			return &wire.ServerError{Code: wire.ErrCodeUnknownStmt, State: wire.StateGeneral, Message: "the statement could not be prepared"}
		}
		if err := wire.SetStatementID(e.packet, e.executes.ids[c.slot]); err != nil {
			return err
		}
	}
	return c.b.Command(wire.Command(e.packet[0]), e.packet[1:]...)
}

// closeRepeated closes the statements that were prepared for nothing but what
// they did to the session.
func (h *session) closeRepeated(c *conn) error {
	for i := range h.history.entries {
		if st := h.history.entries[i].prepares; st != nil && st.closed && st.ids[c.slot] != 0 {
			if err := closeOn(c, st); err != nil {
				return err
			}
		}
	}
	return nil
}

// drop gives a connection up.
func (h *session) drop(c *conn) {
	if c.b == nil {
		return
	}
	c.b.Close()
	c.b = nil
	c.applied = 0
	if h.options.historyOff {
		c.banned = true // it could not be made like the others again
	}
	for _, st := range h.statements {
		st.lost(c)
	}
	for _, st := range h.reusable {
		st.lost(c)
	}
	for i := range h.trx.entries {
		if st := h.trx.entries[i].stmt; st != nil {
			st.lost(c)
		}
	}
	for i := range h.history.entries {
		if st := h.history.entries[i].prepares; st != nil {
			st.lost(c)
		}
	}
	if h.master == c {
		h.master = nil
	}
	if h.previous == c {
		h.previous = nil
	}
}

// ban gives a connection up for good.
func (h *session) ban(c *conn, why string) {
	h.client.Logger().Warn("a server is left out of the session", "server", c.server.Name(), "reason", why)
	c.banned = true
	h.drop(c)
}

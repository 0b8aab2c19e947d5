package rwsplit

import (
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// Wake implements dbproxy.Waker: it gives up connections that are not to be
// used any more, and keeps the others from being idle for too long.
func (h *session) Wake() error {
	h.newTurn()
	keep := h.router.service.Params().Duration("connection_keepalive")
	for i := range h.conns {
		c := &h.conns[i]
		if c.b == nil {
			continue
		}
		if err := h.inspect(c, keep); err != nil {
			return err
		}
	}
	if h.options.failureMode == failInstantly && h.master == nil && (h.joined || !h.options.lazy) {
		if c := h.candidate(); c == nil || !h.options.reconnect {
			return errNoMaster
		}
	}
	h.share()
	return nil
}

// inspect looks whether a connection is still to be used.
func (h *session) inspect(c *conn, keep time.Duration) error {
	st := c.server.Status()
	open := c == h.trxConn || c == h.master && h.bound()
	switch {
	case !h.alive(c) || !st.Has(dbproxy.Running):
		h.drop(c)
		if open && !h.options.replay {
			return errTrxLost
		}
	case st.Has(dbproxy.Maintenance):
		if !open {
			h.drop(c)
		}
	case c == h.master && !st.Has(dbproxy.Master):
		if open && !h.options.replay {
			return errTrxLost
		}
		if !open {
			h.release(c)
		}
	case c != h.master && !open && (st&(dbproxy.Master|dbproxy.Slave) == 0 || h.late(c)):
		h.drop(c)
	case keep > 0 && c.b.Idle() >= keep/2:
		if err := c.b.Command(wire.ComPing); err != nil {
			h.drop(c)
		}
	}
	return nil
}

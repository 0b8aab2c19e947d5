package rwsplit

import (
	"errors"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// beginOnReplica begins a transaction on a server that reads may go to.
func (h *session) beginOnReplica(k *call, p place) error {
	for {
		c, err := h.reader(k)
		if err != nil {
			return err
		}
		if c == nil || c == h.master {
			return h.write(k)
		}
		if found, err := h.await(c); err != nil {
			h.drop(c)
			continue
		} else if !found {
			return h.write(k)
		}
		h.trx.reset()
		if p == beginOptimistic || h.options.replay {
			err = h.exchangeLogged(c, k)
		} else {
			err = h.exchange(c, k)
		}
		if err == nil {
			h.begun(c, k, p)
			return nil
		}
		var refused *wire.ServerError
		if errors.As(err, &refused) {
			return h.write(k)
		}
		if !lost(c, err) || c.b.Reply.Size() > 0 || k.packet == nil {
			return h.failed(c, k, err)
		}
		h.drop(c) // nothing has happened yet
	}
}

// begun notes that a transaction has begun on a replica.
func (h *session) begun(c *conn, k *call, p place) {
	h.account(c, k)
	if c.b.Reply.Failed() || !c.b.Reply.Status().Has(wire.StatusInTransaction) {
		h.trx.reset()
		return
	}
	h.consumed()
	h.trxConn, h.state.trx = c, readOnly
	if p == beginOptimistic {
		h.state.trx = optimistic
		h.router.counts.readWrite.Add(1)
	} else {
		h.router.counts.readOnly.Add(1)
	}
}

// inTransaction sends a statement to the server of a transaction that is not
// on the master.
func (h *session) inTransaction(k *call) error {
	c := h.trxConn
	if c == nil || !h.alive(c) {
		if h.options.replay {
			return h.replay(k, errTrxLost, false)
		}
		return errTrxLost
	}
	if err := h.upToDate(c); err != nil {
		return errTrxLost
	}
	var err error
	if h.options.replay || h.state.trx == optimistic {
		err = h.exchangeLogged(c, k)
	} else {
		err = h.exchange(c, k)
	}
	if err != nil {
		if lost(c, err) && h.options.replay {
			return h.replay(k, err, true)
		}
		return h.failed(c, k, err)
	}
	h.after(c, k, atTransaction)
	return nil
}

// finish ends a transaction that has only read, as the statement that follows
// would end it.
func (h *session) finish() error {
	c := h.trxConn
	h.ended()
	if c == nil || !c.connected() {
		return nil
	}
	if err := c.b.Command(wire.ComQuery, []byte("COMMIT")...); err != nil {
		h.drop(c) // which ends it as well
	}
	return nil
}

// migrate takes an optimistic transaction to the master, because of a statement
// that may write: it is undone where it was, and done again there.
func (h *session) migrate(k *call) error {
	c := h.trxConn
	if c != nil && c.connected() {
		if err := c.b.Command(wire.ComQuery, []byte("ROLLBACK")...); err != nil {
			h.drop(c)
		}
	}
	h.trxConn, h.state.trx = nil, noTransaction
	if h.trx.over {
		return errTrxLost
	}
	master, err := h.writer()
	if err != nil {
		return err
	}
	if master == nil {
		h.trx.reset()
		return h.withoutMaster(k)
	}
	if err := h.redo(master); err != nil {
		if errors.Is(err, errMismatch) {
			return err
		}
		return h.failed(master, k, err)
	}
	h.state.trx = readWrite
	return h.route(k)
}

package rwsplit

import (
	"fmt"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// everywhere sends a request to all servers of the session. The client gets the
// answer of one; a server that answers otherwise is not used again.
func (h *session) everywhere(k *call) error {
	h.router.counts.all.Add(1)
	p := patience{session: h}
	for {
		main, err := h.speaker(k)
		if err != nil {
			return err
		}
		if main == nil {
			if p.wait() {
				continue
			}
			return h.withoutServer(k)
		}
		again, err := h.toAll(main, k)
		if !again {
			return err
		}
	}
}

// speaker is the server whose answer the client gets: that of the transaction,
// the master, or else one that is connected or can be.
func (h *session) speaker(k *call) (*conn, error) {
	if c := h.trxConn; c != nil {
		if !h.alive(c) {
			return nil, errTrxLost
		}
		return c, h.upToDate(c)
	}
	if h.bound() || h.master != nil || !h.options.lazy || h.options.masterReads {
		if c, err := h.writer(); c != nil || err != nil {
			return c, err
		}
	}
	for i := range h.conns {
		if c := &h.conns[i]; c.b != nil && h.ready(c) == nil {
			return c, nil
		}
	}
	return h.reader(k)
}

// toAll sends a request to all connections and takes the answers. again tells
// that the main one was lost before it said anything, and no other was
// connected.
func (h *session) toAll(main *conn, k *call) (again bool, err error) {
	before := h.history.last
	for i := range h.conns {
		c := &h.conns[i]
		if c == main || c.b == nil || c.applied == before {
			continue
		}
		_ = h.ready(c) // or it is left out
	}
	if err = h.send(main, k); err != nil && !lost(main, err) {
		return false, h.failed(main, k, err)
	}
	for i := range h.conns {
		c := &h.conns[i]
		if c == main || !c.connected() || c.applied != before {
			continue
		}
		if sendErr := h.send(c, k); sendErr != nil {
			h.drop(c)
		}
	}
	if err == nil {
		err = main.b.Receive(k.to)
	}
	if err != nil && lost(main, err) {
		if main, err = h.another(main, k, before, err); main == nil {
			return err == nil, err
		}
	}
	if err != nil {
		return false, err
	}
	h.compare(main, k, before)
	h.settled(main, k)
	return false, nil
}

// another gives the client the answer of another server when that of the main
// one is lost. Without one, and without an error, the request can be sent
// again.
func (h *session) another(main *conn, k *call, before uint64, cause error) (*conn, error) {
	said := main.b.Reply.Size() > 0
	fatal := said || h.bound() || h.trxConn == main || main == h.master && h.options.failureMode == failInstantly
	h.drop(main)
	if fatal {
		return nil, fmt.Errorf("%w: %s: %w", errLost, main.server.Name(), cause)
	}
	for i := range h.conns {
		c := &h.conns[i]
		if !c.connected() || c.applied != before || c.b.Reply.Done() {
			continue
		}
		err := c.b.Receive(k.to)
		if err == nil {
			return c, nil
		}
		if !lost(c, err) || c.b.Reply.Size() > 0 {
			return nil, err
		}
		h.drop(c)
	}
	return nil, nil
}

// compare takes the other answers.
func (h *session) compare(main *conn, k *call, before uint64) {
	reply := &main.b.Reply
	failed, code := reply.Failed(), reply.ErrorCode()
	differs := k.r.Command == wire.ComQuery || k.r.Command == wire.ComStmtExecute || k.r.Command == wire.ComInitDB || k.r.Command == wire.ComSetOption
	differs = differs && !k.class.Has(sqlclass.FlagSelectIntoFile) && k.changesSession()
	for i := range h.conns {
		c := &h.conns[i]
		if c == main || !c.connected() || c.applied != before || c.b.Reply.Done() {
			continue
		}
		if err := c.b.Receive(nil); err != nil {
			h.drop(c)
			continue
		}
		if other := &c.b.Reply; differs && (other.Failed() != failed || other.ErrorCode() != code) {
			h.ban(c, fmt.Sprintf("it answered %s otherwise than %s", k.r.Command, main.server.Name()))
		}
	}
}

// changesSession tells whether a request that goes everywhere does so because
// of what it does.
func (k *call) changesSession() bool {
	switch k.r.Command {
	case wire.ComInitDB, wire.ComSetOption:
		return true
	}
	return k.class.Target(false) == sqlclass.TargetAll
}

// settled remembers what all servers have done.
func (h *session) settled(main *conn, k *call) {
	h.previous = main
	h.noteStatus(main, k, true)
	if h.options.share {
		h.leaves(main, k, atAll)
	}
	if main.b.Reply.Failed() || !k.changesSession() {
		return
	}
	h.effects(k, atAll)
	if k.class.Op == sqlclass.OpDeallocate && k.name != "" && h.history.deallocate(k.name) {
		return
	}
	if !worthKeeping(k) {
		return
	}
	current := h.history.last
	h.history.add(newEntry(k))
	if !k.class.Is(sqlclass.TypeUserVarWrite) {
		h.settings++
	}
	for i := range h.conns {
		if c := &h.conns[i]; c.b != nil && c.applied == current {
			c.applied = h.history.last
		}
	}
}

// changeUser makes all connections those of another user, or of the same one
// anew.
func (h *session) changeUser(k *call) error {
	h.forget()
	main, err := h.speaker(k)
	if h.turn.over {
		return dbproxy.ErrNoTurn
	}
	if err != nil || main == nil {
		return errNoServer
	}
	if err := main.b.ChangeUser(); err != nil {
		return err
	}
	for i := range h.conns {
		c := &h.conns[i]
		if c == main || c.b == nil {
			continue
		}
		if c.b.Broken() || c.b.ChangeUser() != nil {
			h.drop(c)
		}
	}
	h.fresher()
	h.noteStatus(main, k, true)
	ok := wire.OK{Status: wire.StatusAutocommit}
	return dbproxy.Reply(k.r, k.to, ok.Append(nil, h.client.Capabilities(), false))
}

// resetConnection makes all connections as they were at first.
func (h *session) resetConnection(k *call) error {
	h.forget()
	h.fresher()
	return h.everywhere(k)
}

// forget forgets what the servers forget.
func (h *session) forget() {
	if c := h.trxConn; c != nil && c.b == nil {
		h.trxConn = nil
	}
	h.history.clear(h.options.historyOff)
	clear(h.statements)
	clear(h.reusable)
	clear(h.named)
	clear(h.temporary)
	h.newest, h.trxConn = nil, nil
	h.traces = traces{}
	h.trx.reset()
	h.state = state{masterVariables: h.options.variablesOnMaster, autocommitOff: h.state.autocommitOff, optimism: h.options.optimistic}
}

// fresher tells that all connections are like new ones.
func (h *session) fresher() {
	for i := range h.conns {
		if c := &h.conns[i]; c.b != nil {
			c.applied = h.history.last
		}
	}
}

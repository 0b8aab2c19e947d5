package rwsplit

import (
	"errors"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// isMaster tells whether a server is a master that may be used.
func (h *session) isMaster(c *conn) bool {
	return c.server.Status()&(dbproxy.Master|dbproxy.Running|dbproxy.Maintenance) == dbproxy.Master|dbproxy.Running
}

// alive tells whether there is a connection that can be used, as far as that
// can be known.
func (h *session) alive(c *conn) bool {
	return c.connected() && (c.b.Idle() <= h.options.idleUnproven || c.b.Conn.Alive())
}

// bound tells whether the session has something on its master that cannot be
// had elsewhere.
func (h *session) bound() bool { return h.state.trx == readWrite || h.state.xa || h.state.locked }

// writer is the session's master, ready; nil when there is none. An error
// means that something is lost with the one that there was.
func (h *session) writer() (*conn, error) {
	if h.bound() {
		c := h.master
		if c == nil || !h.alive(c) || c.server.Status()&(dbproxy.Master|dbproxy.Running) != dbproxy.Master|dbproxy.Running {
			return nil, errTrxLost
		}
		return c, h.upToDate(c)
	}
	if c := h.master; c != nil {
		if h.isMaster(c) && h.alive(c) && h.upToDate(c) == nil {
			return c, nil
		}
		h.release(c)
	}
	if h.joined && !h.mayReconnect() {
		return nil, nil
	}
	for range 3*len(h.conns) + 1 { // each may be tried, waited for and tried again
		c := h.candidate()
		if c == nil {
			if !h.makeRoom(func(c *conn) bool { return h.isMaster(c) && h.usable(c) }) {
				break
			}
			continue
		}
		if h.ready(c) == nil {
			if h.joined {
				h.forgetTemporary()
			}
			h.adopt(c)
			return c, nil
		}
	}
	return nil, nil
}

// upToDate runs what a connection has not had yet.
func (h *session) upToDate(c *conn) error {
	if c.applied == h.history.last {
		return nil
	}
	return h.catchUp(c)
}

// release gives up a master that is not to be used as such any more. As a
// replica it may go on.
func (h *session) release(c *conn) {
	st := c.server.Status()
	if st.Has(dbproxy.Slave|dbproxy.Running) && !st.Has(dbproxy.Master) && !st.Has(dbproxy.Maintenance) && h.alive(c) {
		h.master = nil
		return
	}
	h.drop(c)
	h.master = nil
}

// mayReconnect tells whether the session may go on with another connection to
// a master.
func (h *session) mayReconnect() bool {
	return h.options.reconnect && h.history.complete() && !(h.options.strictTemporary && h.state.temporary)
}

// write sends a request to the master.
func (h *session) write(k *call) error {
	p := patience{session: h}
	for {
		c, err := h.writer()
		switch {
		case err != nil:
			if h.options.replay && h.state.trx == readWrite {
				return h.replay(k, err, false)
			}
			return err
		case c == nil:
			if p.wait() {
				continue
			}
			return h.withoutMaster(k)
		case h.logs(k):
			return h.writeLogged(c, k)
		}
		if err = h.exchange(c, k); err != nil {
			return h.failed(c, k, err)
		}
		h.after(c, k, atMaster)
		return nil
	}
}

// withoutMaster answers a request that needs a master when there is none
// (master_failure_mode).
func (h *session) withoutMaster(k *call) error {
	if h.turn.over {
		return h.inVain(k)
	}
	if h.options.failureMode == errorOnWrite && !(h.joined && h.state.temporary && h.options.strictTemporary) {
		return refuse(k, errReadOnly)
	}
	return errNoMaster
}

// withoutServer answers a request for which there is no server at all.
func (h *session) withoutServer(k *call) error {
	if h.turn.over {
		return h.inVain(k)
	}
	if h.options.failureMode == errorOnWrite {
		return refuse(k, errNoServer)
	}
	return errNoServer
}

// refuse answers with an error, unless the command has no answer.
func refuse(k *call, e *wire.ServerError) error {
	if !k.r.Command.Answered() {
		return e
	}
	return dbproxy.Refuse(k.r, k.to, e)
}

// patience is how long a request waits for a server (delayed_retry).
type patience struct {
	session *session
	until   time.Time
}

// retryInterval is how often a server is looked for.
const retryInterval = 20 * time.Millisecond

// wait waits a little, and tells whether to try again.
func (p *patience) wait() bool {
	h := p.session
	if !h.options.delayed || h.turn.over {
		return false
	}
	now := time.Now()
	if p.until.IsZero() {
		p.until = now.Add(h.options.delay)
	}
	return now.Before(p.until) && h.pause()
}

// pause waits a little, and tells whether the session goes on.
func (h *session) pause() bool {
	ended := false
	h.client.Outside(func() {
		timer := time.NewTimer(retryInterval)
		defer timer.Stop()
		select {
		case <-h.client.Context().Done():
			ended = true
		case <-timer.C:
		}
	})
	if ended {
		return false
	}
	for i := range h.conns {
		h.conns[i].retry = time.Time{}
	}
	return true
}

// hinted follows the hints that filters have given. It tells whether one was
// followed.
func (h *session) hinted(k *call, p place) (handled bool, err error) {
	if h.state.trx == optimistic || h.state.trx != noTransaction && h.options.replay {
		return false, nil // it must be possible to do the transaction again
	}
	control := k.class.Op == sqlclass.OpBegin || k.class.Op == sqlclass.OpCommit || k.class.Op == sqlclass.OpRollback
	for _, hint := range k.r.Hints {
		var c *conn
		switch hint.Kind {
		case dbproxy.HintMaster:
			if c, err = h.writer(); err != nil {
				return true, err
			}
			if c != nil && !(control && h.trxConn != nil) {
				return true, h.write(k)
			}
			continue
		case dbproxy.HintAll:
			if !control {
				return true, h.everywhere(k)
			}
			continue
		case dbproxy.HintLast:
			c = h.previous
		case dbproxy.HintSlave:
			c = h.aReplica(k)
		case dbproxy.HintServer:
			c = h.serverNamed(hint.Value)
		}
		if c == nil || control {
			continue
		}
		if p == atReplica {
			if done, err := h.readFrom(c, k, false); done {
				return true, err
			}
			return true, h.read(k) // it is lost
		}
		return true, h.at(c, k)
	}
	return false, nil
}

// aReplica is the best replica, nil when there is none.
func (h *session) aReplica(k *call) *conn {
	limit := h.lagLimit(k)
	h.onlyReplicas = true
	defer func() { h.onlyReplicas = false }()
	for range len(h.conns) {
		c := h.choose(limit)
		if c == nil || h.ready(c) == nil {
			return c
		}
	}
	return nil
}

// serverNamed is the server of a name, ready; nil when it cannot be used.
func (h *session) serverNamed(name string) *conn {
	for i := range h.conns {
		c := &h.conns[i]
		if c.server.Name() != name {
			continue
		}
		if c == h.master {
			c, err := h.writer()
			if err != nil {
				return nil
			}
			return c
		}
		if h.usable(c) && h.ready(c) == nil {
			return c
		}
	}
	return nil
}

// lost tells whether an error is the loss of a server's connection.
func lost(c *conn, err error) bool {
	var ce *wire.ConnError
	return errors.As(err, &ce) && c.b != nil && ce.Conn == c.b.Conn
}

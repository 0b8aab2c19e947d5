package rwsplit

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// read sends a statement that only reads to a replica, or to where else reads
// may go, and to another server when that one is lost.
func (h *session) read(k *call) error {
	p := patience{session: h}
	for {
		c, err := h.reader(k)
		if err != nil {
			return err
		}
		if c == nil {
			if p.wait() {
				continue
			}
			return h.withoutServer(k)
		}
		if done, err := h.readFrom(c, k, false); done {
			return err
		}
	}
}

// reader is the server for a read, ready; nil when there is none.
func (h *session) reader(k *call) (*conn, error) {
	if h.options.causal != causalNone {
		if ok, err := h.locate(); err != nil {
			return nil, err
		} else if !ok {
			return h.writer()
		}
	}
	limit := h.options.maxLag
	if len(k.r.Hints) > 0 {
		limit = h.lagLimit(k)
	}
	for range 3*len(h.conns) + 1 { // each may be tried, waited for and tried again
		c := h.choose(limit)
		if c == nil {
			if !h.roomForRead(limit) {
				break
			}
			continue
		}
		if h.ready(c) == nil {
			if h.master == nil && h.isMaster(c) {
				h.adopt(c)
			}
			return c, nil
		}
	}
	c, err := h.writer()
	if c == nil && err == nil && h.replicas() == 0 && !h.turn.over {
		h.rank() // the others may do
		if c := h.choose(limit); c != nil && h.ready(c) == nil {
			return c, nil
		}
	}
	return c, err
}

// readFrom reads from a server. done is false when it was lost, and the
// request may be sent to another.
func (h *session) readFrom(c *conn, k *call, begins bool) (done bool, err error) {
	if found, err := h.await(c); err != nil {
		h.drop(c)
		return false, nil
	} else if !found {
		return true, h.write(k) // the replica is too far behind
	}
	retry := h.options.retryReads && k.packet != nil
	err = h.send(c, k)
	if err == nil && retry {
		err = dying(c)
	}
	if err == nil {
		err = c.b.Receive(k.to)
	}
	if err == nil {
		h.after(c, k, atReplica)
		return true, nil
	}
	var refused *wire.ServerError
	if errors.As(err, &refused) {
		return true, h.write(k) // it could not be prepared there
	}
	if !c.b.Own(err) {
		return true, err
	}
	retry = retry && c.b.Reply.Size() == 0 && (c != h.master || h.options.failureMode != failInstantly)
	h.drop(c)
	if retry {
		return false, nil
	}
	return true, fmt.Errorf("%w: %s: %w", errLost, c.server.Name(), err)
}

// errDying is why a server is given up that says that it goes away.
var errDying = errors.New("the server ends the connection")

// dying waits for the answer and looks whether it is the server's last word.
func dying(c *conn) error {
	switch code, err := failing(c); {
	case err != nil:
		return err
	case code == wire.ErrCodeServerShutdown, code == wire.ErrCodeConnectionKilled:
		return &wire.ConnError{Conn: c.b.Conn, Op: "read", Err: errDying}
	}
	return nil
}

// failing waits for the answer and returns the number of the error that it
// begins with, 0 for none.
func failing(c *conn) (uint16, error) {
	if c.b.Reply.Done() {
		return 0, nil
	}
	head, _, err := c.b.Conn.Peek(wire.MinHead)
	if err != nil || len(head) < 3 || head[0] != 0xff {
		return 0, err
	}
	return binary.LittleEndian.Uint16(head[1:]), nil
}

// toPrevious sends a statement to where the one before it went.
func (h *session) toPrevious(k *call) error {
	c := h.previous
	if c == nil || !h.alive(c) || c.applied != h.history.last {
		return h.write(k)
	}
	return h.at(c, k)
}

// at sends a request to one server and to no other.
func (h *session) at(c *conn, k *call) error {
	err := h.exchange(c, k)
	if err == nil {
		p := atReplica
		if c == h.master {
			p = atMaster
		}
		h.after(c, k, p)
		return nil
	}
	return h.failed(c, k, err)
}

// failed is what becomes of a request that is not tried again.
func (h *session) failed(c *conn, k *call, err error) error {
	var refused *wire.ServerError
	switch {
	case errors.As(err, &refused):
		return refuse(k, refused)
	case c.b == nil, !c.b.Own(err):
		return err
	}
	h.drop(c)
	return fmt.Errorf("%w: %s: %w", errLost, c.server.Name(), err)
}

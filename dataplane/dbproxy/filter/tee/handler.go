package tee

import (
	"bytes"
	"context"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// handler is the tee of one session.
type handler struct {
	tee     *tee
	session *dbproxy.Session
	next    dbproxy.Handler
	branch  *branch      // nil when there is none
	last    <-chan error // tells of the last copy; nil unless that is waited for
	warned  bool
}

// Handle implements dbproxy.Handler.
func (h *handler) Handle(r *dbproxy.Request, to dbproxy.Answer) error {
	if err := h.await(); err != nil {
		return err
	}
	if r.Command == wire.ComChangeUser {
		return h.changeUser(r, to)
	}
	if h.branch != nil && !h.tee.disabled.Load() && h.copies(r) {
		// The router may change the packet.
		last, err := h.branch.add(h.session, bytes.Clone(r.Packet), h.tee.sync)
		if err != nil {
			return err
		}
		h.last = last
		h.tee.copied.Add(1)
	}
	return h.next.Handle(r, to)
}

// await waits for the last copy, if that is wanted. One that failed ends the
// session.
func (h *handler) await() error {
	if h.last == nil {
		return nil
	}
	var err error
	h.session.Outside(func() {
		select {
		case e := <-h.last:
			h.last = nil
			if e != nil {
				err = lost
			}
		case <-h.session.Context().Done():
			err = context.Cause(h.session.Context())
		}
	})
	return err
}

// changeUser begins another branch for the other user.
func (h *handler) changeUser(r *dbproxy.Request, to dbproxy.Answer) error {
	err := h.next.Handle(r, to)
	if err != nil {
		return err
	}
	h.end()
	if !h.tee.matcher.Session(h.session) {
		return nil
	}
	if err := h.open(); err != nil && h.tee.sync {
		return lost
	}
	return nil
}

// copies tells whether a request is copied.
func (h *handler) copies(r *dbproxy.Request) bool {
	switch r.Command {
	case wire.ComInitDB, wire.ComSetOption, wire.ComResetConnection, wire.ComCreateDB, wire.ComDropDB:
		return !r.Streamed()
	case wire.ComQuery:
	default:
		return false
	}
	sql, ok := r.SQL()
	class := r.Class()
	if !ok || class.Op == sqlclass.OpLoadLocal {
		h.tee.missed.Add(1)
		if !h.warned {
			h.warned = true
			h.tee.log.Warn("A request cannot be copied: it is too long or sends a file", "session", h.session.ID())
		}
		return false
	}
	return h.tee.matcher.SQL(sql) || class.Op == sqlclass.OpChangeDB || class.Has(sqlclass.FlagSetsSQLMode|sqlclass.FlagSetsCharset)
}

// end ends the branch.
func (h *handler) end() {
	if h.branch != nil {
		h.branch.end(h.session.Context().Err() != nil)
		h.branch, h.last = nil, nil
	}
}

// Close implements dbproxy.Handler.
func (h *handler) Close() { h.end() }

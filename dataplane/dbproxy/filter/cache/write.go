package cache

import (
	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// maxPending is how many tables a transaction may write to before all results
// are taken away instead of theirs.
const maxPending = 1000

// writes tells what a statement writes.
func (h *handler) writes(sql []byte, class *sqlclass.Class) writes {
	mode := h.session.Mode()
	if class.Has(sqlclass.FlagMulti) {
		var all writes
		for one := range sqlclass.Statements(sql, mode) {
			c := sqlclass.Classify(one, mode)
			all.add(h.writes(one, &c))
		}
		return all
	}
	switch {
	case !class.Parsed(), class.Is(sqlclass.TypeExecNamed), class.Has(sqlclass.FlagConditional):
		return writes{any: true, unknown: true}
	case !class.Is(sqlclass.TypeWrite):
		return writes{}
	}
	switch class.Op {
	case sqlclass.OpInsert, sqlclass.OpReplace, sqlclass.OpUpdate, sqlclass.OpDelete, sqlclass.OpTruncate, sqlclass.OpLoad, sqlclass.OpLoadLocal,
		sqlclass.OpDropTable, sqlclass.OpAlterTable, sqlclass.OpRenameTable, sqlclass.OpCreateTable, sqlclass.OpCreateIndex:
		w := writes{any: true, tables: h.tables(sql, mode, true)}
		w.unknown = len(w.tables) == 0 || class.Has(sqlclass.FlagUnknownFunction)
		return w
	case sqlclass.OpSelect:
		// A function that is not known may write to anything, but most do not.
		return writes{any: class.Has(sqlclass.FlagUnknownFunction)}
	case sqlclass.OpCall, sqlclass.OpCompound, sqlclass.OpExecuteImmediate, sqlclass.OpDrop, sqlclass.OpAlter, sqlclass.OpHandler, sqlclass.OpDo:
		return writes{any: true, unknown: true}
	}
	return writes{any: true}
}

func (w *writes) add(o writes) {
	w.any, w.unknown = w.any || o.any, w.unknown || o.unknown
	if w.tables = append(w.tables, o.tables...); len(w.tables) > maxPending {
		w.unknown, w.tables = true, nil
	}
}

// write sends a request on that may write, after which results may have to be
// taken away: at once, or when the transaction ends.
func (h *handler) write(r *dbproxy.Request, to dbproxy.Answer, w writes) error {
	if w.any {
		h.written.add(w)
		h.modified = true
	}
	err := h.next.Handle(r, to)
	if err != nil || !h.session.Status().Has(wire.StatusInTransaction) {
		h.settle()
	}
	return err
}

// settle takes away the results of what was written.
func (h *handler) settle() {
	w := h.written
	h.written, h.modified = writes{}, false
	switch f := h.filter; {
	case !f.invalidate || !w.any:
	case w.unknown:
		if f.clear {
			f.store.clear()
		} else {
			f.store.invalidate(w.tables)
		}
	case len(w.tables) > 0:
		f.store.invalidate(w.tables)
	}
}

// prepare notes what a statement writes when it is executed.
func (h *handler) prepare(r *dbproxy.Request, to dbproxy.Answer) error {
	w := writes{any: true, unknown: true}
	if sql, ok := r.SQL(); ok {
		class := r.Class()
		w = h.writes(sql, class)
		if class.Is(sqlclass.TypeSysVarWrite) || class.Op == sqlclass.OpSet {
			h.settings.private = h.settings.unknown()
		}
		h.temporary = h.temporary || class.Is(sqlclass.TypeCreateTmpTable)
	}
	if to == nil {
		return h.next.Handle(r, to)
	}
	return h.next.Handle(r, &preparing{handler: h, to: to, writes: w})
}

// preparing learns the id of a statement.
type preparing struct {
	handler *handler
	to      dbproxy.Answer
	writes  writes
}

// Packet implements dbproxy.Answer.
func (p *preparing) Packet(kind wire.Kind, payload []byte, reply *wire.Reply) error {
	if kind == wire.KindPrepared {
		s, err := wire.ParsePrepared(payload)
		if err != nil {
			return err
		}
		h := p.handler
		if h.statements == nil {
			h.statements = map[uint32]writes{}
		}
		h.statements[s.ID], h.last = p.writes, p.writes
	}
	return p.to.Packet(kind, payload, reply)
}

// executed is what the prepared statement of a request writes.
func (h *handler) executed(r *dbproxy.Request) writes {
	id, err := wire.StatementID(r.Head)
	if err == nil && id == wire.LastPrepared {
		return h.last
	}
	w, ok := h.statements[id]
	if !ok || err != nil {
		return writes{any: true, unknown: true}
	}
	return w
}

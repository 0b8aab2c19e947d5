package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// handler is the cache of one session.
type handler struct {
	filter  *cacheFilter
	session *dbproxy.Session
	next    dbproxy.Handler

	settings   settings
	temporary  bool // there may be temporary tables
	modified   bool // the transaction has written something
	written    writes
	statements map[uint32]writes // what prepared ones write, by the client's id
	last       writes            // what the one prepared last writes
	buffer     []byte
	scratch    []byte
}

// writes are the tables that statements write to.
type writes struct {
	any     bool
	unknown bool // which ones cannot be told
	tables  []string
}

func newHandler(f *cacheFilter, s *dbproxy.Session, next dbproxy.Handler) *handler {
	h := &handler{filter: f, session: s, next: next}
	h.reset()
	return h
}

// reset is the session as it begins.
func (h *handler) reset() {
	f := h.filter
	h.settings = settings{unknown: func() uint64 { return f.last.Add(1) }, populate: f.enabled, use: f.enabled, soft: f.soft, hard: f.hard}
	h.temporary, h.statements, h.last = false, nil, writes{}
}

// Close implements dbproxy.Handler. What was under way may have been done.
func (h *handler) Close() { h.settle() }

// Handle implements dbproxy.Handler.
func (h *handler) Handle(r *dbproxy.Request, to dbproxy.Answer) error {
	switch r.Command {
	case wire.ComQuery:
		return h.query(r, to)
	case wire.ComStmtPrepare:
		return h.prepare(r, to)
	case wire.ComStmtExecute, wire.ComStmtBulkExecute:
		return h.write(r, to, h.executed(r))
	case wire.ComStmtClose:
		if id, err := wire.StatementID(r.Head); err == nil {
			delete(h.statements, id)
		}
	case wire.ComCreateDB, wire.ComDropDB:
		return h.write(r, to, writes{any: true, unknown: true})
	case wire.ComChangeUser, wire.ComResetConnection:
		err := h.next.Handle(r, to)
		h.reset()
		h.settle()
		return err
	}
	return h.next.Handle(r, to)
}

// query answers COM_QUERY.
func (h *handler) query(r *dbproxy.Request, to dbproxy.Answer) error {
	sql, ok := r.SQL()
	if !ok {
		return h.write(r, to, writes{any: true, unknown: true})
	}
	class := r.Class()
	h.temporary = h.temporary || class.Is(sqlclass.TypeCreateTmpTable)
	if sets(class) {
		return h.set(r, to, sql, class)
	}
	if !h.keeps(class) {
		return h.write(r, to, h.writes(sql, class))
	}
	return h.read(r, to, sql)
}

// sets tells whether a statement may set variables.
func sets(class *sqlclass.Class) bool {
	const types = sqlclass.TypeUserVarWrite | sqlclass.TypeSysVarWrite | sqlclass.TypeSessionWrite
	return class.Op == sqlclass.OpSet || class.Is(types) && !class.Is(sqlclass.TypeRead) || class.Has(sqlclass.FlagInvalid|sqlclass.FlagMulti)
}

// set sends a statement on that sets variables, which counts if it goes well.
func (h *handler) set(r *dbproxy.Request, to dbproxy.Answer, sql []byte, class *sqlclass.Class) error {
	before := h.settings
	if wrong := h.assign(sql, class); wrong != nil {
		h.settings = before
		return dbproxy.Refuse(r, to, wrong)
	}
	result := outcome{to: to}
	if to == nil {
		return h.write(r, to, h.writes(sql, class))
	}
	err := h.write(r, &result, h.writes(sql, class))
	if result.failed {
		h.settings = before
		if class.Has(sqlclass.FlagMulti) { // some of it went well
			h.settings.private = h.settings.unknown()
		}
	}
	return err
}

func (h *handler) assign(sql []byte, class *sqlclass.Class) *wire.ServerError {
	mode := h.session.Mode()
	if !class.Has(sqlclass.FlagMulti) {
		return h.settings.assign(sql, class, mode)
	}
	for one := range sqlclass.Statements(sql, mode) {
		c := sqlclass.Classify(one, mode)
		h.temporary = h.temporary || c.Is(sqlclass.TypeCreateTmpTable)
		if wrong := h.settings.assign(one, &c, mode); wrong != nil {
			return wrong
		}
	}
	return nil
}

// outcome notes whether an answer is an error.
type outcome struct {
	to     dbproxy.Answer
	failed bool
}

// Packet implements dbproxy.Answer.
func (o *outcome) Packet(kind wire.Kind, payload []byte, reply *wire.Reply) error {
	o.failed = reply.Failed()
	return o.to.Packet(kind, payload, reply)
}

// keeps tells whether the result of a statement may be kept.
func (h *handler) keeps(class *sqlclass.Class) bool {
	const never = sqlclass.FlagMulti | sqlclass.FlagInvalid | sqlclass.FlagLocking | sqlclass.FlagSelectInto | sqlclass.FlagSelectIntoFile |
		sqlclass.FlagInsertID | sqlclass.FlagUserLock | sqlclass.FlagPrevious | sqlclass.FlagSequence | sqlclass.FlagWaits | sqlclass.FlagSetStatement
	const differing = sqlclass.FlagVarying | sqlclass.FlagUnknownFunction | sqlclass.FlagConditional
	if class.Op != sqlclass.OpSelect || class.Has(never) || class.Is(sqlclass.TypeUserVarWrite|sqlclass.TypeUserVarRead) {
		return false
	}
	return !h.filter.verify || !class.Has(differing) && !class.Is(sqlclass.TypeSysVarRead|sqlclass.TypeGSysVarRead|sqlclass.TypeWrite|sqlclass.TypeSessionWrite)
}

// reads tells what the state of the transaction lets be used and kept.
func (h *handler) reads() (use, populate bool) {
	status := h.session.Status()
	if !status.Has(wire.StatusInTransaction) {
		return true, true
	}
	readOnly := status.Has(wire.StatusReadOnlyTransaction)
	populate = readOnly || !h.modified
	switch h.filter.transactions {
	case transactionsNever:
		return false, populate
	case transactionsReadOnly:
		return readOnly, populate
	}
	return populate, populate
}

// read answers a SELECT whose result may be kept.
func (h *handler) read(r *dbproxy.Request, to dbproxy.Answer, sql []byte) error {
	f := h.filter
	use, populate := h.reads()
	use = use && h.settings.use
	if !use && !(populate && h.settings.populate) || h.temporary {
		return h.next.Handle(r, to)
	}
	st := statement{sql: sql, mode: h.session.Mode(), database: h.session.Database()}
	if f.rules != nil {
		set := find(f.rules, &st)
		h.debug(set != nil, debugMatching, debugNotMatching, "A rule of the cache matches", "No rule of the cache matches")
		if set == nil {
			return h.next.Handle(r, to)
		}
		use = use && set.usable(h.session.User(), h.session.Remote())
	}
	k, stale := h.key(sql), false
	if use {
		var kept *result
		if kept, stale = f.store.get(k, f.now(), h.settings.soft, h.settings.hard); kept != nil {
			h.debug(true, debugUse, 0, "A result of the cache is used", "")
			return h.replay(r, to, kept)
		}
	}
	h.debug(false, 0, debugNoUse, "", "No result of the cache is used")
	if !populate || !h.settings.populate && !stale {
		if stale {
			f.store.failed(k)
		}
		return h.next.Handle(r, to)
	}
	return h.fetch(r, to, &st, k, stale)
}

// fetch sends a SELECT on and keeps the result.
func (h *handler) fetch(r *dbproxy.Request, to dbproxy.Answer, st *statement, k key, stale bool) error {
	f := h.filter
	rec := &recorder{to: to, limits: f.limits}
	if f.invalidate {
		rec.result.tables = h.tables(st.sql, st.mode, false)
	}
	tables, since := rec.result.tables, f.store.since()
	err := h.next.Handle(r, rec)
	if err != nil || rec.useless || len(rec.result.ends) == 0 {
		if stale {
			f.store.failed(k)
		}
		return err
	}
	kept := rec.result
	kept.tables, kept.stored = tables, f.now()
	kept.size += overhead
	f.store.put(k, &kept, since)
	return nil
}

// key is what the result of a statement depends on.
func (h *handler) key(sql []byte) key {
	s := h.session
	const alike = wire.CapSSL | wire.CapConnectWithDB | wire.CapConnectAttrs | wire.CapPluginAuth | wire.CapPluginAuthLenenc |
		wire.CapInteractive | wire.CapMultiStatements | wire.CapLocalFiles | wire.CapExpiredPasswords | wire.CapIgnoreSigpipe | wire.CapBulkOperations
	b := binary.LittleEndian.AppendUint64(h.buffer[:0], uint64(s.Capabilities()&^alike))
	b = append(b, s.Charset())
	b = wire.AppendString(b, s.Database())
	b = wire.AppendString(b, h.settings.text)
	b = wire.AppendLenenc(b, h.settings.private)
	if h.filter.isolated {
		b = wire.AppendString(b, s.User())
		b = wire.AppendString(b, s.Remote().Addr().String())
	}
	b = append(b, sql...)
	if h.buffer = b; cap(b) > maxScratch {
		h.buffer = nil
	}
	return sha256.Sum256(b)
}

// tables are those of a statement, or those that it may write to.
func (h *handler) tables(sql []byte, mode sqlclass.Mode, written bool) (out []string) {
	for _, t := range sqlclass.AppendTables(nil, sql, mode) {
		if written && !t.Written {
			continue
		}
		database := h.session.Database()
		if !t.Database.Empty() {
			database = string(t.Database.Value(sql, mode))
		}
		out = append(out, strings.ToLower(database+"\x00"+string(t.Name.Value(sql, mode))))
	}
	return out
}

func (h *handler) debug(yes bool, bit, other int64, text, otherText string) {
	d := h.filter.debug
	switch {
	case yes && d&bit != 0:
		h.filter.log.Info(text, "session", h.session.ID())
	case !yes && d&other != 0:
		h.filter.log.Info(otherText, "session", h.session.ID())
	}
}

package rwsplit

import (
	"bytes"
	"strings"

	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// after follows what a request has changed, once it has been answered.
func (h *session) after(c *conn, k *call, p place) {
	h.account(c, k)
	h.noteStatus(c, k, false)
	if h.options.share {
		h.leaves(c, k, p)
	}
	const plain = sqlclass.TypeRead | sqlclass.TypeUserVarRead | sqlclass.TypeSysVarRead | sqlclass.TypeGSysVarRead | sqlclass.TypeMasterRead
	if k.class.Type&^plain == 0 && k.class.Type != 0 && k.class.Flags&(sqlclass.FlagMulti|sqlclass.FlagUnknownFunction) == 0 {
		return
	}
	if c == h.master {
		h.wrote()
	}
	switch {
	case k.class.Has(sqlclass.FlagMulti) && k.r.Command == wire.ComQuery:
		h.effectsOfMany(c, k)
	case !c.b.Reply.Failed():
		h.effects(k, p)
	}
}

// noteStatus follows the transaction by what the server of it has told. main
// tells that the request was for all servers, and this one spoke for them.
func (h *session) noteStatus(c *conn, k *call, main bool) {
	switch k.r.Command {
	case wire.ComStmtPrepare, wire.ComStatistics:
		return // they tell nothing
	}
	reply := &c.b.Reply
	status := reply.Status()
	if h.trxConn != nil {
		if c == h.trxConn && !reply.Failed() && !status.Has(wire.StatusInTransaction) {
			h.ended()
		}
		return
	}
	if c != h.master && !main {
		return
	}
	open := status.Has(wire.StatusInTransaction)
	if reply.Failed() {
		if open && h.state.trx == noTransaction {
			h.opened(c, status) // by an earlier statement of the request
		}
		return
	}
	if k.class.Op == sqlclass.OpXA && k.class.Is(sqlclass.TypeBeginTrx) {
		h.state.xa = true
	}
	h.state.autocommitOff = !status.Has(wire.StatusAutocommit) || h.client.Mode()&sqlclass.Oracle != 0
	switch {
	case open && h.state.trx == noTransaction:
		h.opened(c, status)
	case !open && (h.state.trx != noTransaction || h.state.xa && k.class.Op == sqlclass.OpXA && !k.class.Is(sqlclass.TypeBeginTrx)):
		h.ended()
	case !open && !main:
		h.consumed()
	}
}

// opened notes that there is a transaction on the master now.
func (h *session) opened(c *conn, status wire.Status) {
	h.state.trx = readWrite
	h.consumed()
	if status.Has(wire.StatusReadOnlyTransaction) {
		h.router.counts.readOnly.Add(1)
	} else {
		h.router.counts.readWrite.Add(1)
	}
	if c != h.master {
		// Where there is no master a transaction cannot be told from one
		// that writes.
		h.state.trx, h.trxConn = readOnly, c
	}
}

// ended notes that there is no transaction any more.
func (h *session) ended() {
	h.state.trx, h.state.xa, h.trxConn = noTransaction, false, nil
	h.state.serializableNext = false
	h.trx.reset()
}

// consumed notes that what was set for the next transaction has had its turn.
func (h *session) consumed() {
	if h.history.once {
		h.history.began()
	}
	if h.state.trx == noTransaction {
		h.state.serializableNext = false
	}
}

// settings are flags of statements that change how text is to be read.
const settings = sqlclass.FlagSetsSQLMode | sqlclass.FlagSetsCharset

// effects follows what a statement has changed.
func (h *session) effects(k *call, p place) {
	c := k.class
	if c.Has(sqlclass.FlagSetsIsolation) {
		if c.Is(sqlclass.TypeNextTrx) {
			h.state.serializableNext = c.Has(sqlclass.FlagSerializable)
		} else {
			h.state.serializable = c.Has(sqlclass.FlagSerializable)
		}
	}
	if hidden := k.stmt != nil || k.name != "" && c.Op != sqlclass.OpPrepare; hidden && c.Has(settings) {
		h.client.Unsettle()
	}
	h.variables(k, p)
	switch c.Op {
	case sqlclass.OpPrepare:
		if k.name != "" {
			h.prepareNamed(k, p)
		}
	case sqlclass.OpDeallocate:
		delete(h.named, k.name)
	case sqlclass.OpLockTables:
		h.state.locked = true
	case sqlclass.OpUnlockTables, sqlclass.OpBegin:
		h.state.locked = false
	case sqlclass.OpCall:
		h.state.pinned = h.state.pinned || h.options.strictSP
	case sqlclass.OpCreateTable, sqlclass.OpDropTable, sqlclass.OpDrop, sqlclass.OpAlterTable, sqlclass.OpRenameTable:
		h.tables(c, k.text)
	}
}

// variables notes that user variables may have values now that only the master
// has.
func (h *session) variables(k *call, p place) {
	c := k.class
	if h.state.ownVariables || h.state.masterVariables {
		return
	}
	const loads = sqlclass.TypeUserVarRead | sqlclass.TypeUserVarWrite
	if p != atAll {
		calls := c.Op == sqlclass.OpCall || c.Op == sqlclass.OpCompound || c.Op == sqlclass.OpExecuteImmediate || c.Has(sqlclass.FlagUnknownFunction) ||
			(c.Op == sqlclass.OpLoad || c.Op == sqlclass.OpLoadLocal) && c.Is(loads)
		h.state.ownVariables = calls || c.Is(sqlclass.TypeUserVarWrite) && p == atMaster || c == &nothing && k.r.Streamed()
		return
	}
	if !c.Is(sqlclass.TypeUserVarWrite) {
		return
	}
	const own = sqlclass.FlagVarying | sqlclass.FlagSubquery | sqlclass.FlagInsertID | sqlclass.FlagPrevious | sqlclass.FlagUserLock
	h.state.ownVariables = c.Has(own) || c.Is(sqlclass.TypeMasterRead) ||
		c.Op == sqlclass.OpSelect && len(sqlclass.AppendTables(nil, k.text, h.client.Mode())) > 0
}

// effectsOfMany follows the statements of one request, which only the master
// has had. What would have gone everywhere the others have to catch up on.
func (h *session) effectsOfMany(c *conn, k *call) {
	h.state.pinned = h.state.pinned || h.options.strictMulti
	if k.class.Op == sqlclass.OpCreateRoutine {
		return // what stands in it was not run
	}
	mode := h.client.Mode()
	failed := c.b.Reply.Failed()
	for text := range sqlclass.Statements(k.text, mode) {
		class := sqlclass.Classify(text, mode)
		part := call{r: k.r, packet: append([]byte{byte(wire.ComQuery)}, text...), class: &class, text: text}
		if class.Op == sqlclass.OpPrepare || class.Op == sqlclass.OpDeallocate {
			part.name = strings.ToLower(string(class.Name.Value(text, mode)))
		}
		if class.Has(settings) {
			h.client.Unsettle()
		}
		everywhere := class.Target(false) == sqlclass.TargetAll && class.Op != sqlclass.OpSelect
		if everywhere && (failed || h.state.masterVariables || h.state.ownVariables && class.Is(sqlclass.TypeUserVarRead)) {
			// How far the server has come is not known, or the others cannot
			// do the same.
			h.state.pinned = true
			continue
		}
		if !everywhere {
			h.effects(&part, atMaster)
			if class.Op == sqlclass.OpCompound {
				return // the rest are parts of it
			}
			continue
		}
		h.effects(&part, atAll)
		if worthKeeping(&part) {
			upToDate := c.applied == h.history.last
			h.history.add(newEntry(&part))
			h.settings++
			if upToDate {
				c.applied = h.history.last
			}
		}
	}
	if h.history.off && h.history.lost {
		h.state.pinned = true // the others cannot catch up
	}
}

// usesTemporary tells whether a statement may use a temporary table.
func (h *session) usesTemporary(k *call) bool {
	if len(k.text) == 0 {
		return false
	}
	mode := h.client.Mode()
	var room [8]sqlclass.Table
	for _, t := range sqlclass.AppendTables(room[:0], k.text, mode) {
		if h.temporary[tableKey(t.Name.Value(k.text, mode))] > 0 {
			return true
		}
	}
	return false
}

func tableKey(name []byte) string { return string(bytes.ToLower(name)) }

// tables keeps the names of temporary tables. A name is forgotten only when it
// was dropped as often as it was created.
func (h *session) tables(c *sqlclass.Class, text []byte) {
	mode := h.client.Mode()
	if c.Is(sqlclass.TypeCreateTmpTable) {
		h.addTemporary(tableKey(c.Name.Value(text, mode)))
		return
	}
	if !h.state.temporary {
		return
	}
	list := sqlclass.AppendTables(nil, text, mode)
	if c.Op == sqlclass.OpDropTable || c.Op == sqlclass.OpDrop {
		for _, t := range list {
			h.dropTemporary(tableKey(t.Name.Value(text, mode)))
		}
		return
	}
	if c.Op == sqlclass.OpCreateTable {
		return
	}
	for _, t := range list { // it may have another name now
		if h.temporary[tableKey(t.Name.Value(text, mode))] > 0 {
			for _, t := range list {
				h.addTemporary(tableKey(t.Name.Value(text, mode)))
			}
			return
		}
	}
}

func (h *session) addTemporary(name string) {
	if h.temporary == nil {
		h.temporary = map[string]int{}
	}
	h.temporary[name]++
	h.state.temporary = true
}

func (h *session) dropTemporary(name string) {
	if h.temporary[name]--; h.temporary[name] <= 0 {
		delete(h.temporary, name)
	}
	h.state.temporary = len(h.temporary) > 0
}

// forgetTemporary forgets the tables, which another server does not have.
func (h *session) forgetTemporary() {
	clear(h.temporary)
	h.state.temporary = false
}

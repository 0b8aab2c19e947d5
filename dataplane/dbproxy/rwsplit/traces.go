package rwsplit

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// traces are what a session has left on its connections that its history does
// not bring back. What is not known to leave nothing counts as if it did.
type traces struct {
	// kept: the session keeps its connections until it begins anew.
	kept bool
	// counting: the last statement counts rows that the next one may ask for.
	counting bool
	// warned: there are warnings or errors to be shown. They stay until a
	// statement uses tables ("SHOW WARNINGS", MariaDB Knowledge Base).
	warned bool
	// given: the connection of the last statement was given up.
	given bool
	// insertID: LAST_INSERT_ID() is to be asked for; lastInsert is what it was,
	// "" for 0.
	insertID   bool
	lastInsert string
}

// leaves notes what a request has left on its connection, or on all.
func (h *session) leaves(c *conn, k *call, p place) {
	t := &h.traces
	reply := &c.b.Reply
	t.given, t.counting = false, false
	if t.kept {
		return
	}
	mode := h.client.Mode()
	switch {
	case reply.Failed(), reply.Warnings() > 0:
		t.warned = true
	case t.warned:
		t.warned = !text(k) || len(sqlclass.AppendTables(nil, k.text, mode)) == 0
	}
	if !text(k) {
		t.kept = !silent(k, reply)
		return
	}
	if k.packet == nil && k.stmt != nil {
		k.stmt.streamed = true
	}
	if reply.Status().Has(wire.StatusDatabaseDropped) {
		t.kept = true // which may be the one that a new connection would ask for
		return
	}
	if !k.class.Has(sqlclass.FlagMulti) {
		h.leavesOne(c, k.class, k.text, p, reply.Failed())
	} else {
		for part := range sqlclass.Statements(k.text, mode) {
			class, p := sqlclass.Classify(part, mode), atMaster
			if class.Target(false) == sqlclass.TargetAll && class.Op != sqlclass.OpSelect {
				p = atAll
			}
			h.leavesOne(c, &class, part, p, reply.Failed())
		}
	}
	t.counting = k.class.Op == sqlclass.OpSelect && contains(k.text, "sql_calc_found_rows")
}

// text tells whether a request is a statement that is known.
func text(k *call) bool {
	switch k.r.Command {
	case wire.ComQuery, wire.ComStmtExecute, wire.ComStmtBulkExecute, wire.ComStmtFetch:
		return k.class != &nothing
	}
	return false
}

// silent tells whether a request that is no statement leaves nothing, or what
// the history has.
func silent(k *call, reply *wire.Reply) bool {
	switch k.r.Command {
	case wire.ComStmtExecute, wire.ComStmtBulkExecute:
		return k.stmt == nil && reply.Failed() // it does not exist
	case wire.ComInitDB, wire.ComSetOption, wire.ComStmtPrepare, wire.ComResetConnection, wire.ComPing, wire.ComStatistics,
		wire.ComProcessInfo, wire.ComFieldList, wire.ComDebug:
		return true
	}
	return false
}

// leavesOne notes what one statement has left.
func (h *session) leavesOne(c *conn, class *sqlclass.Class, text []byte, p place, failed bool) {
	t := &h.traces
	const reads = sqlclass.TypeRead | sqlclass.TypeUserVarRead | sqlclass.TypeSysVarRead | sqlclass.TypeGSysVarRead | sqlclass.TypeMasterRead
	if c == h.master && (class.Type&^reads != 0 || class.Has(sqlclass.FlagInsertID)) {
		t.insertID = true
	}
	switch {
	case !forgettable[class.Op],
		class.Has(sqlclass.FlagInvalid | sqlclass.FlagConditional | sqlclass.FlagUserLock | sqlclass.FlagUnknownFunction | sqlclass.FlagSequence),
		class.Has(sqlclass.FlagPrevious) && asksPrevious(text),
		class.Is(sqlclass.TypeCreateTmpTable) && class.Op != sqlclass.OpCreateTable,
		class.Is(sqlclass.TypeSessionWrite|sqlclass.TypePrepareNamed|sqlclass.TypeUserVarWrite) && p != atAll:
		t.kept = true
	case class.Is(sqlclass.TypeUserVarWrite | sqlclass.TypeSysVarWrite):
		t.kept = !h.repeatable(class, text, failed)
	}
}

// forgettable are operations of which a session keeps nothing, or what is
// followed elsewhere: transactions, locks of tables, temporary tables, and what
// the history has.
var forgettable = [256]bool{
	sqlclass.OpNone: true, sqlclass.OpAlter: true, sqlclass.OpAlterTable: true, sqlclass.OpAnalyzeTable: true, sqlclass.OpBegin: true,
	sqlclass.OpChangeDB: true, sqlclass.OpCheck: true, sqlclass.OpChecksum: true, sqlclass.OpCommit: true, sqlclass.OpCreate: true,
	sqlclass.OpCreateDatabase: true, sqlclass.OpCreateIndex: true, sqlclass.OpCreateRole: true, sqlclass.OpCreateRoutine: true,
	sqlclass.OpCreateSequence: true, sqlclass.OpCreateTable: true, sqlclass.OpCreateUser: true, sqlclass.OpCreateView: true,
	sqlclass.OpDeallocate: true, sqlclass.OpDelete: true, sqlclass.OpDo: true, sqlclass.OpDrop: true, sqlclass.OpDropTable: true,
	sqlclass.OpExplain: true, sqlclass.OpGrant: true, sqlclass.OpHelp: true, sqlclass.OpInsert: true, sqlclass.OpKill: true,
	sqlclass.OpLoad: true, sqlclass.OpLoadLocal: true, sqlclass.OpLockTables: true, sqlclass.OpOptimize: true, sqlclass.OpPrepare: true,
	sqlclass.OpReleaseSavepoint: true, sqlclass.OpRenameTable: true, sqlclass.OpRenameUser: true, sqlclass.OpRepair: true,
	sqlclass.OpReplace: true, sqlclass.OpRevoke: true, sqlclass.OpRollback: true, sqlclass.OpRollbackTo: true, sqlclass.OpSavepoint: true,
	sqlclass.OpSelect: true, sqlclass.OpSet: true, sqlclass.OpSetTransaction: true, sqlclass.OpShow: true, sqlclass.OpShowDatabases: true,
	sqlclass.OpTruncate: true, sqlclass.OpUnlockTables: true, sqlclass.OpUpdate: true,
}

// repeatable tells whether a statement that sets variables sets them to the
// same when the history is run.
func (h *session) repeatable(class *sqlclass.Class, text []byte, failed bool) bool {
	const others = sqlclass.FlagSubquery | sqlclass.FlagInsertID | sqlclass.FlagPrevious
	mode := h.client.Mode()
	if class.Has(others) || class.Is(sqlclass.TypeMasterRead) || class.Op == sqlclass.OpSelect && len(sqlclass.AppendTables(nil, text, mode)) > 0 {
		return false
	}
	list := sqlclass.AppendAssignments(nil, text, mode)
	if failed {
		return len(list) == 1 // of more, some may have been done
	}
	for _, a := range list {
		if !a.User && singular[strings.ToLower(string(a.Name.Value(text, mode)))] {
			return false
		}
		if class.Has(sqlclass.FlagVarying) && !stable(a, text, mode) {
			return false
		}
	}
	return true
}

// singular are variables of which the same value does not mean the same again.
var singular = map[string]bool{
	"insert_id": true, "rand_seed1": true, "rand_seed2": true, "gtid_seq_no": true, "pseudo_thread_id": true, "gtid_next": true,
	"profiling": true,
}

// addsMode is a value of sql_mode that adds to what there is.
var addsMode = regexp.MustCompile(`^(?i:concat\s*\()?\s*(?i:@@((session|local)\s*\.\s*)?sql_mode|'[^'\\]*')(\s*,\s*(?i:@@((session|local)\s*\.\s*)?sql_mode|'[^'\\]*'))*\s*\)?$`)

// stable tells whether a value of an assignment is the same each time.
func stable(a sqlclass.Assignment, text []byte, mode sqlclass.Mode) bool {
	if a.Value.Empty() {
		return false
	}
	value := bytes.TrimSpace(text[a.Value.Start:a.Value.End])
	if class := sqlclass.Classify(append([]byte("SELECT "), value...), mode); class.Op == sqlclass.OpSelect && !class.Has(sqlclass.FlagVarying|sqlclass.FlagInvalid) {
		return true
	}
	return !a.User && strings.EqualFold(string(a.Name.Value(text, mode)), "sql_mode") && addsMode.Match(value)
}

// asksPrevious tells whether a text asks about the statement before for what
// only its connection can tell.
func asksPrevious(text []byte) bool {
	return contains(text, "found_rows") || contains(text, "row_count")
}

// contains tells whether a text contains a word in lower case, whatever its own
// case.
func contains(text []byte, word string) bool {
	for i := 0; i+len(word) <= len(text); i++ {
		if c := text[i] | 0x20; c == word[0] && strings.EqualFold(string(text[i:i+len(word)]), word) {
			return true
		}
	}
	return false
}

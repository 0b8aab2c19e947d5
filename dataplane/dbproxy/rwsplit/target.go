package rwsplit

import "github.com/backplane/backplane/dataplane/dbproxy/sqlclass"

// place is where a statement goes.
type place uint8

const (
	atMaster place = iota
	// atReplica is any server that reads may go to.
	atReplica
	// atAll is every server of the session.
	atAll
	// atPrevious is the server of the statement before.
	atPrevious
	// atTransaction is the server of the transaction, which is not the master.
	atTransaction
	// beginReadOnly begins a transaction on a server that reads may go to.
	beginReadOnly
	// beginOptimistic does so with a transaction that may write later on.
	beginOptimistic
	// migrate takes a transaction to the master, where it goes on.
	migrate
	// refused is refused as the server of the transaction would.
	refused
)

func (p place) String() string {
	return [...]string{"master", "replica", "all", "previous", "transaction", "begin read only", "begin optimistic", "migrate", "refused"}[p]
}

// transaction is the kind of transaction that is open.
type transaction uint8

const (
	noTransaction transaction = iota
	readWrite                 // on the master
	readOnly                  // on a replica, throughout
	optimistic                // on a replica, until it writes
)

// state is what the place of statements depends on besides what they are.
type state struct {
	trx transaction
	xa  bool // from XA START until the transaction has ended
	// autocommitOff: autocommit = 0, or a mode of SQL that goes with it.
	autocommitOff bool
	// serializable is the isolation level of the session, serializableNext
	// that of the next transaction only.
	serializable, serializableNext bool
	pinned                         bool // strict_multi_stmt and strict_sp_calls
	locked                         bool // LOCK TABLES
	temporary                      bool // there are temporary tables
	// masterVariables is use_sql_variables_in=master. ownVariables means that
	// the user variables may have values that only the master has.
	masterVariables, ownVariables bool
	// optimism is optimistic_trx.
	optimism bool
}

// onMaster tells whether all reads are the master's.
func (st *state) onMaster() bool {
	return st.trx == readWrite || st.xa || st.autocommitOff || st.serializable || st.serializableNext || st.pinned || st.locked
}

// place says where a statement goes. usesTemporary tells that it may use a
// temporary table.
func (st *state) place(c *sqlclass.Class, usesTemporary bool) place {
	target := c.Target(st.masterVariables || st.ownVariables)
	if target == sqlclass.TargetAll {
		return st.toAll(c, usesTemporary)
	}
	switch st.trx {
	case readOnly:
		return st.inReadOnly(c, target)
	case optimistic:
		return st.inOptimistic(c, target, usesTemporary)
	}
	switch {
	case st.onMaster(), usesTemporary:
		return atMaster
	case target == sqlclass.TargetReplica && c.Is(sqlclass.TypeBeginTrx):
		if st.temporary {
			return atMaster // which of them will be read is not known yet
		}
		return beginReadOnly
	case target == sqlclass.TargetReplica:
		return atReplica
	case target == sqlclass.TargetPrevious:
		return atPrevious
	case st.optimism && !st.temporary && c.Op == sqlclass.OpBegin && !c.Has(sqlclass.FlagMulti):
		return beginOptimistic
	}
	return atMaster
}

// toAll is the place of what changes the session.
func (st *state) toAll(c *sqlclass.Class, usesTemporary bool) place {
	switch {
	case c.Op == sqlclass.OpPrepare && c.Text.Empty() && st.ownVariables && st.trx != optimistic:
		return atMaster // the text may be in a variable of the master's
	case c.Op != sqlclass.OpSelect:
		return atAll
	case st.trx == optimistic:
		return migrate
	case st.onMaster(), usesTemporary:
		return atMaster // what is read is the master's alone
	}
	return atAll
}

// inReadOnly is the place of a statement in a transaction that only reads.
func (st *state) inReadOnly(c *sqlclass.Class, target sqlclass.Target) place {
	switch {
	case target == sqlclass.TargetReplica, target == sqlclass.TargetPrevious, ends(c), savepoint(c):
		return atTransaction
	case c.Has(sqlclass.FlagMulti), !c.Parsed():
		return atMaster
	case changesData(c.Op):
		return refused
	case c.Op == sqlclass.OpSelect && !c.Is(sqlclass.TypeWrite) && !c.Has(sqlclass.FlagUserLock):
		return atTransaction
	}
	return atMaster
}

// inOptimistic is the place of a statement in a transaction that has not
// written yet.
func (st *state) inOptimistic(c *sqlclass.Class, target sqlclass.Target, usesTemporary bool) place {
	switch {
	case ends(c) && !c.Is(sqlclass.TypeBeginTrx):
		return atTransaction
	case usesTemporary, st.serializable, st.pinned:
		return migrate
	case target == sqlclass.TargetReplica && !c.Is(sqlclass.TypeBeginTrx), target == sqlclass.TargetPrevious:
		return atTransaction
	}
	return migrate
}

// ends tells whether a statement is nothing but the end of a transaction.
func ends(c *sqlclass.Class) bool {
	return (c.Op == sqlclass.OpCommit || c.Op == sqlclass.OpRollback) && !c.Has(sqlclass.FlagMulti|sqlclass.FlagInvalid|sqlclass.FlagConditional)
}

func savepoint(c *sqlclass.Class) bool {
	switch c.Op {
	case sqlclass.OpSavepoint, sqlclass.OpReleaseSavepoint, sqlclass.OpRollbackTo:
		return !c.Has(sqlclass.FlagMulti | sqlclass.FlagInvalid | sqlclass.FlagConditional)
	}
	return false
}

// changesData tells of operations that servers refuse in transactions that
// only read.
func changesData(op sqlclass.Op) bool {
	switch op {
	case sqlclass.OpInsert, sqlclass.OpReplace, sqlclass.OpUpdate, sqlclass.OpDelete, sqlclass.OpLoad, sqlclass.OpTruncate,
		sqlclass.OpCreateTable, sqlclass.OpCreateIndex, sqlclass.OpCreateDatabase, sqlclass.OpCreateView, sqlclass.OpCreateRoutine,
		sqlclass.OpCreateSequence, sqlclass.OpDropTable, sqlclass.OpDrop, sqlclass.OpAlterTable, sqlclass.OpAlter, sqlclass.OpRenameTable,
		sqlclass.OpGrant, sqlclass.OpRevoke, sqlclass.OpCreateUser, sqlclass.OpCreateRole, sqlclass.OpRenameUser:
		return true
	}
	return false
}

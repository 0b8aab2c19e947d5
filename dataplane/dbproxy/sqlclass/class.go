package sqlclass

// Type is what a statement does, as bits.
type Type uint64

const (
	// TypeRead: it reads.
	TypeRead Type = 1 << iota
	// TypeWrite: it writes, or may write.
	TypeWrite
	// TypeMasterRead: it reads what only the master can tell.
	TypeMasterRead
	// TypeSessionWrite: it changes its session.
	TypeSessionWrite
	// TypeUserVarWrite: it assigns user variables.
	TypeUserVarWrite
	// TypeUserVarRead: it reads user variables.
	TypeUserVarRead
	// TypeSysVarRead: it reads system variables.
	TypeSysVarRead
	// TypeSysVarWrite: it assigns system variables of the session.
	TypeSysVarWrite
	// TypeGSysVarRead: it reads global system variables.
	TypeGSysVarRead
	// TypeGSysVarWrite: it assigns global system variables.
	TypeGSysVarWrite
	// TypeBeginTrx: it begins a transaction.
	TypeBeginTrx
	// TypeEnableAutocommit: it switches autocommit on.
	TypeEnableAutocommit
	// TypeDisableAutocommit: it switches autocommit off, or may do so.
	TypeDisableAutocommit
	// TypeRollback: it ends a transaction by undoing it.
	TypeRollback
	// TypeCommit: it ends a transaction by keeping it.
	TypeCommit
	// TypePrepareNamed: it prepares a statement under a name, as text.
	TypePrepareNamed
	// TypePrepareStmt: it prepares a statement by the binary protocol. No
	// text has this type; the packet has.
	TypePrepareStmt
	// TypeExecNamed: it executes a statement that was prepared as text.
	TypeExecNamed
	// TypeDeallocPrepare: it forgets a statement prepared as text.
	TypeDeallocPrepare
	// TypeCreateTmpTable: it makes a temporary table.
	TypeCreateTmpTable
	// TypeReadTmpTable: it reads a temporary table. The text cannot tell;
	// who knows the session's temporary tables adds it.
	TypeReadTmpTable
	// TypeShowDatabases and TypeShowTables: it lists them.
	TypeShowDatabases
	TypeShowTables
	// TypeReadOnly and TypeReadWrite: the access mode of transactions that
	// it begins or sets.
	TypeReadOnly
	TypeReadWrite
	// TypeNextTrx: what it sets is for the next transaction only.
	TypeNextTrx
)

// Flags are further facts about a statement, as bits.
type Flags uint32

const (
	// FlagMulti: more statements follow; the class is that of the first.
	FlagMulti Flags = 1 << iota
	// FlagInvalid: the text cannot be read.
	FlagInvalid
	// FlagConditional: what it does depends on the version of the server.
	FlagConditional
	// FlagLocking: FOR UPDATE, FOR SHARE, LOCK IN SHARE MODE.
	FlagLocking
	// FlagSelectInto: SELECT … INTO variables.
	FlagSelectInto
	// FlagSelectIntoFile: SELECT … INTO OUTFILE or DUMPFILE.
	FlagSelectIntoFile
	// FlagInsertID: it uses LAST_INSERT_ID(), @@last_insert_id, @@identity.
	FlagInsertID
	// FlagUserLock: it uses GET_LOCK() and its like.
	FlagUserLock
	// FlagPrevious: it tells of the statement before it: FOUND_ROWS(),
	// ROW_COUNT(), @@warning_count, SHOW WARNINGS.
	FlagPrevious
	// FlagSequence: it uses a sequence.
	FlagSequence
	// FlagUnknownFunction: it calls a function that is not known to be built
	// in.
	FlagUnknownFunction
	// FlagVarying: the same statement may tell something else next time, or
	// to someone else.
	FlagVarying
	// FlagWaits: it waits for replication.
	FlagWaits
	// FlagReturning: a write with RETURNING.
	FlagReturning
	// FlagRelease: the server closes the session after it.
	FlagRelease
	// FlagSetsSQLMode: it assigns sql_mode.
	FlagSetsSQLMode
	// FlagSetsCharset: it changes the client's character set.
	FlagSetsCharset
	// FlagSerializable: it sets the isolation level SERIALIZABLE.
	FlagSerializable
	// FlagSetsIsolation: it sets an isolation level.
	FlagSetsIsolation
	// FlagUnion and FlagSubquery: SELECTs within the SELECT.
	FlagUnion
	FlagSubquery
	// FlagSetStatement: SET STATEMENT … FOR the statement of the class.
	FlagSetStatement
)

// KillKind is what KILL is to end.
type KillKind uint8

const (
	// KillNone: it is no KILL, or one that is not understood.
	KillNone KillKind = iota
	// KillConnection ends the session of the id.
	KillConnection
	// KillQuery ends what the session of the id does.
	KillQuery
	// KillQueryID ends the query of the id.
	KillQueryID
	// KillUser ends the sessions of the user in Name.
	KillUser
	// KillQueryUser ends what the sessions of the user in Name do.
	KillQueryUser
)

// Class is what was found out about a statement.
type Class struct {
	Type  Type
	Flags Flags
	Op    Op
	// Name is what the operation is about: the database of USE, the name of
	// a prepared statement or savepoint, the user of KILL USER, the temporary
	// table that is made, in Database if that is given.
	Name     Span
	Database Span
	// Text is the literal of PREPARE and EXECUTE IMMEDIATE, if it is one.
	Text Span
	// Comment is what the first comment says, for hints to the proxy.
	Comment Span
	// Kill and KillID say what KILL is to end.
	Kill   KillKind
	KillID uint64
}

// Is tells whether the statement has one of the types.
func (c *Class) Is(t Type) bool { return c.Type&t != 0 }

// Has tells whether the statement has one of the flags.
func (c *Class) Has(f Flags) bool { return c.Flags&f != 0 }

// Parsed tells whether the statement was understood.
func (c *Class) Parsed() bool { return c.Flags&FlagInvalid == 0 && c.Op != OpUnknown }

// Target is where a statement may go.
type Target uint8

const (
	// TargetMaster is the master alone.
	TargetMaster Target = iota
	// TargetReplica is any server, best a replica.
	TargetReplica
	// TargetAll is every server of the session.
	TargetAll
	// TargetPrevious is the server of the statement before, or the master.
	TargetPrevious
	// TargetByExecute is where the prepared statement would go.
	TargetByExecute
)

func (t Target) String() string {
	return [...]string{"master", "replica", "all", "previous", "by-execute"}[t]
}

// Target says where the statement may go in a session that is in no
// transaction, has autocommit on and no temporary tables. With variables set,
// SELECTs that use user variables are the master's.
func (c *Class) Target(variablesOnMaster bool) Target {
	switch {
	case c.Has(FlagMulti | FlagInvalid | FlagConditional), c.Is(TypeWrite | TypeCreateTmpTable):
		return TargetMaster
	case c.Op == OpSelect && c.Is(TypeMasterRead):
		return TargetMaster
	case c.Is(TypeSessionWrite | TypePrepareNamed | TypeDeallocPrepare):
		return TargetAll
	case c.Is(TypeExecNamed):
		return TargetByExecute
	case c.Is(TypeBeginTrx) && c.Is(TypeReadOnly):
		return TargetReplica
	case c.Is(TypeBeginTrx | TypeCommit | TypeRollback | TypeMasterRead):
		return TargetMaster
	case variablesOnMaster && c.Is(TypeUserVarRead|TypeUserVarWrite):
		return TargetMaster
	case c.Has(FlagPrevious):
		return TargetPrevious
	case c.Is(TypeUserVarWrite):
		return TargetAll
	case c.Is(TypeRead):
		return TargetReplica
	}
	return TargetMaster
}

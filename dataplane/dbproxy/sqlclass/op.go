package sqlclass

import "strings"

// Op is the operation of a statement.
type Op uint8

// The operations, named for the words that begin them. OpNone is the empty
// statement.
const (
	OpUnknown Op = iota
	OpNone
	OpAlter
	OpAlterTable
	OpAnalyzeTable
	OpBackup
	OpBegin
	OpBinlog
	OpCacheIndex
	OpCall
	OpChangeDB
	OpChangeMaster
	OpCheck
	OpChecksum
	OpCommit
	OpCompound
	OpCreate
	OpCreateDatabase
	OpCreateIndex
	OpCreateRole
	OpCreateRoutine
	OpCreateSequence
	OpCreateTable
	OpCreateUser
	OpCreateView
	OpDeallocate
	OpDelete
	OpDo
	OpDrop
	OpDropTable
	OpExecute
	OpExecuteImmediate
	OpExplain
	OpFlush
	OpGrant
	OpHandler
	OpHelp
	OpInsert
	OpInstall
	OpKill
	OpLoad
	OpLoadLocal
	OpLockTables
	OpOptimize
	OpPrepare
	OpPurge
	OpReleaseSavepoint
	OpRenameTable
	OpRenameUser
	OpRepair
	OpReplace
	OpReset
	OpRevoke
	OpRollback
	OpRollbackTo
	OpSavepoint
	OpSelect
	OpSet
	OpSetPassword
	OpSetTransaction
	OpShow
	OpShowDatabases
	OpShutdown
	OpStartReplica
	OpStopReplica
	OpTruncate
	OpUnlockTables
	OpUpdate
	OpXA
	opCount
)

// opNames are as the classify endpoint gives them, without their prefix.
var opNames = [opCount]string{
	OpUnknown: "UNDEFINED", OpNone: "UNDEFINED", OpAlter: "ALTER", OpAlterTable: "ALTER_TABLE",
	OpAnalyzeTable: "ANALYZE_TABLE", OpBackup: "BACKUP", OpBegin: "BEGIN", OpBinlog: "BINLOG",
	OpCacheIndex: "CACHE_INDEX", OpCall: "CALL", OpChangeDB: "CHANGE_DB", OpChangeMaster: "CHANGE_MASTER",
	OpCheck: "CHECK", OpChecksum: "CHECKSUM", OpCommit: "COMMIT", OpCompound: "COMPOUND", OpCreate: "CREATE",
	OpCreateDatabase: "CREATE_DATABASE", OpCreateIndex: "CREATE_INDEX", OpCreateRole: "CREATE_ROLE",
	OpCreateRoutine: "CREATE_ROUTINE", OpCreateSequence: "CREATE_SEQUENCE", OpCreateTable: "CREATE_TABLE",
	OpCreateUser: "CREATE_USER", OpCreateView: "CREATE_VIEW", OpDeallocate: "DEALLOCATE", OpDelete: "DELETE",
	OpDo: "DO", OpDrop: "DROP", OpDropTable: "DROP_TABLE", OpExecute: "EXECUTE",
	OpExecuteImmediate: "EXECUTE_IMMEDIATE", OpExplain: "EXPLAIN", OpFlush: "FLUSH", OpGrant: "GRANT",
	OpHandler: "HANDLER", OpHelp: "HELP", OpInsert: "INSERT", OpInstall: "INSTALL", OpKill: "KILL", OpLoad: "LOAD",
	OpLoadLocal: "LOAD_LOCAL", OpLockTables: "LOCK_TABLES", OpOptimize: "OPTIMIZE", OpPrepare: "PREPARE",
	OpPurge: "PURGE", OpReleaseSavepoint: "RELEASE_SAVEPOINT", OpRenameTable: "RENAME_TABLE",
	OpRenameUser: "RENAME_USER", OpRepair: "REPAIR", OpReplace: "REPLACE", OpReset: "RESET", OpRevoke: "REVOKE",
	OpRollback: "ROLLBACK", OpRollbackTo: "ROLLBACK_TO", OpSavepoint: "SAVEPOINT", OpSelect: "SELECT", OpSet: "SET",
	OpSetPassword: "SET_PASSWORD", OpSetTransaction: "SET_TRANSACTION", OpShow: "SHOW",
	OpShowDatabases: "SHOW_DATABASES", OpShutdown: "SHUTDOWN", OpStartReplica: "START_REPLICA",
	OpStopReplica: "STOP_REPLICA", OpTruncate: "TRUNCATE", OpUnlockTables: "UNLOCK_TABLES", OpUpdate: "UPDATE",
	OpXA: "XA",
}

func (o Op) String() string { return "sql::OP_" + opNames[o] }

// typeNames are as the classify endpoint gives them, by bit.
var typeNames = [...]string{
	"READ", "WRITE", "MASTER_READ", "SESSION_WRITE", "USERVAR_WRITE", "USERVAR_READ", "SYSVAR_READ", "SYSVAR_WRITE",
	"GSYSVAR_READ", "GSYSVAR_WRITE", "BEGIN_TRX", "ENABLE_AUTOCOMMIT", "DISABLE_AUTOCOMMIT", "ROLLBACK", "COMMIT",
	"PREPARE_NAMED_STMT", "PREPARE_STMT", "EXEC_STMT", "DEALLOC_PREPARE", "CREATE_TMP_TABLE", "READ_TMP_TABLE",
	"SHOW_DATABASES", "SHOW_TABLES", "READONLY", "READWRITE", "NEXT_TRX",
}

// String lists the types, as in "sql::TYPE_READ|sql::TYPE_SYSVAR_READ".
func (t Type) String() string {
	if t == 0 {
		return "sql::TYPE_UNKNOWN"
	}
	var names []string
	for bit, name := range typeNames {
		if t&(1<<bit) != 0 {
			names = append(names, "sql::TYPE_"+name)
		}
	}
	return strings.Join(names, "|")
}

package sqlclass

import "strings"

// keyword is what a bare word means to the scanner; kwNone is any other word.
type keyword uint8

const (
	kwNone     keyword = iota
	kwSyntax           // a reserved word that may stand before a parenthesis
	kwReserved         // another reserved word that the scanner passes over
	kwNow              // CURRENT_TIMESTAMP and its like, without parentheses

	// Words that begin statements.
	kwAlter
	kwAnalyze
	kwBackup
	kwBegin
	kwBinlog
	kwCall
	kwChange
	kwCommit
	kwCreate
	kwDeallocate
	kwDelete
	kwDesc
	kwDo
	kwDrop
	kwExecute
	kwExplain
	kwFlush
	kwGrant
	kwHandler
	kwHelp
	kwInsert
	kwKill
	kwLoad
	kwLock
	kwOptimize
	kwPrepare
	kwPurge
	kwRelease
	kwRename
	kwReplace
	kwRepair
	kwReset
	kwRevoke
	kwRollback
	kwSavepoint
	kwSelect
	kwSet
	kwShow
	kwShutdown
	kwStart
	kwStop
	kwTable
	kwTruncate
	kwUnlock
	kwUpdate
	kwUse
	kwValues
	kwWith
	kwXA

	// Words within statements.
	kwAgainst
	kwAs
	kwBy
	kwColumns
	kwDump // DUMPFILE and OUTFILE
	kwEnd
	kwFor
	kwForce
	kwFrom
	kwGlobal
	kwGroup
	kwHaving
	kwIgnore
	kwInto
	kwJoin
	kwLimit
	kwLocal
	kwNext
	kwOn
	kwOrder
	kwPersist
	kwPrevious
	kwProcedure
	kwRecursive
	kwReturning
	kwSession
	kwShare
	kwTransaction
	kwUnion
	kwUsing
	kwValue
	kwWhere
	kwWindow
	kwWork
	keywordCount
)

// trait is what is true of a keyword wherever it stands.
type trait uint8

const (
	// reserved words name nothing unless they are quoted.
	reserved trait = 1 << iota
	// beforeParen words may stand before a parenthesis without calling a
	// function. No server takes one of them for the name of a stored one.
	beforeParen
	// outOfPlace words have no place within a statement that reads.
	outOfPlace
)

// syntaxWords are reserved, and stand before parentheses.
const syntaxWords = `all and any between binary case cross distinct distinctrow div else except exists in index inner
	intersect is key keys like not or over outer partition regexp rlike some straight_join then when xor
	decimal dec numeric float double real char varchar nchar nvarchar varbinary varcharacter character bit int
	integer tinyint smallint mediumint bigint int1 int2 int3 int4 int8 blob text datetime
	unsigned signed`

// plainWords are reserved words of both servers that mean nothing here; a
// column is named by none of them.
const plainWords = `accessible add asc ascending asensitive before both cascade check collate column condition constraint
	continue convert cube cursor databases day_hour day_microsecond day_minute day_second declare default delayed
	deterministic dual each elseif enclosed escaped exit false fetch float4 float8 foreign fulltext high_priority
	hour_microsecond hour_minute hour_second if infile inout insensitive interval iterate leading leave left linear
	lines long longblob longtext loop low_priority match maxvalue mediumblob mediumtext middleint minute_microsecond
	minute_second mod modifies natural null optionally option out outer precision primary range read reads read_write
	references repeat require restrict return right rows schema schemas second_microsecond sensitive separator
	signal resignal spatial specific sql sqlexception sqlstate sqlwarning sql_big_result sql_calc_found_rows
	sql_small_result sql_cache sql_no_cache sql_buffer_result ssl starting stored terminated tinyblob tinytext to
	trailing trigger true undo unique usage varying virtual while write year_month zerofill`

// nowWords are functions that need no parentheses, and differ between calls.
const nowWords = `current_date current_time current_timestamp current_user current_role localtime localtimestamp
	utc_date utc_time utc_timestamp sysdate`

var statementWords = map[string]keyword{
	"alter": kwAlter, "analyze": kwAnalyze, "backup": kwBackup, "begin": kwBegin, "binlog": kwBinlog,
	"call": kwCall, "change": kwChange, "commit": kwCommit, "create": kwCreate, "deallocate": kwDeallocate,
	"delete": kwDelete, "desc": kwDesc, "describe": kwDesc, "do": kwDo, "drop": kwDrop, "execute": kwExecute,
	"explain": kwExplain, "flush": kwFlush, "grant": kwGrant, "handler": kwHandler, "help": kwHelp, "insert": kwInsert,
	"kill": kwKill, "load": kwLoad, "lock": kwLock, "optimize": kwOptimize, "prepare": kwPrepare, "purge": kwPurge,
	"release": kwRelease, "rename": kwRename, "repair": kwRepair, "replace": kwReplace, "reset": kwReset,
	"revoke": kwRevoke, "rollback": kwRollback, "savepoint": kwSavepoint, "select": kwSelect, "set": kwSet,
	"show": kwShow, "shutdown": kwShutdown, "start": kwStart, "stop": kwStop, "table": kwTable, "truncate": kwTruncate,
	"unlock": kwUnlock, "update": kwUpdate, "use": kwUse, "values": kwValues, "with": kwWith, "xa": kwXA,
}

var innerWords = map[string]keyword{
	"against": kwAgainst, "as": kwAs, "by": kwBy, "columns": kwColumns, "dumpfile": kwDump, "outfile": kwDump,
	"end": kwEnd, "for": kwFor, "force": kwForce, "from": kwFrom, "global": kwGlobal, "group": kwGroup,
	"having": kwHaving, "ignore": kwIgnore, "into": kwInto, "join": kwJoin, "limit": kwLimit, "local": kwLocal,
	"next": kwNext, "on": kwOn, "order": kwOrder, "persist": kwPersist, "persist_only": kwPersist,
	"previous": kwPrevious, "procedure": kwProcedure, "recursive": kwRecursive, "returning": kwReturning,
	"session": kwSession, "share": kwShare, "transaction": kwTransaction, "union": kwUnion, "using": kwUsing,
	"value": kwValue, "where": kwWhere, "window": kwWindow, "work": kwWork,
}

// traits holds what is true of each keyword.
var traits = func() (t [keywordCount]trait) {
	t[kwSyntax] = reserved | beforeParen
	t[kwReserved], t[kwNow] = reserved, reserved
	for _, k := range []keyword{kwAlter, kwCall, kwCreate, kwDelete, kwDrop, kwGrant, kwKill, kwLoad, kwPurge, kwRename,
		kwRevoke, kwUnlock, kwUpdate} {
		t[k] = reserved | outOfPlace
	}
	for _, k := range []keyword{kwSelect, kwWith, kwAs, kwBy, kwFrom, kwGroup, kwHaving, kwJoin, kwLimit, kwOn,
		kwUnion, kwUsing, kwWhere} {
		t[k] = reserved | beforeParen
	}
	for _, k := range []keyword{kwAnalyze, kwChange, kwDesc, kwExplain, kwFor, kwForce, kwIgnore, kwInsert, kwInto,
		kwLock, kwOptimize, kwOrder, kwProcedure, kwRecursive, kwRelease, kwReplace, kwReturning, kwSet, kwShow,
		kwTable, kwUse, kwValues, kwWindow, kwDump} {
		t[k] = reserved
	}
	return t
}()

func (k keyword) has(t trait) bool { return traits[k]&t != 0 }

// keywords holds all of them, in lower case.
var keywords = func() map[string]keyword {
	all := make(map[string]keyword, 512)
	for _, list := range []struct {
		words string
		k     keyword
	}{{plainWords, kwReserved}, {syntaxWords, kwSyntax}, {nowWords, kwNow}} {
		for _, w := range strings.Fields(list.words) {
			all[w] = list.k
		}
	}
	for w, k := range statementWords {
		all[w] = k
	}
	for w, k := range innerWords {
		all[w] = k
	}
	return all
}()

const longestKeyword = 20

// keywordLengths has a bit for each length of a keyword, by first letter.
var keywordLengths = func() (lengths [32]uint32) {
	for w := range keywords {
		lengths[w[0]&31] |= 1 << len(w)
	}
	return lengths
}()

func lookupKeyword(word []byte) keyword {
	if len(word) < 2 || len(word) > longestKeyword || keywordLengths[word[0]&31]&(1<<len(word)) == 0 {
		return kwNone
	}
	var buffer [longestKeyword]byte
	return keywords[string(lower(buffer[:], word))]
}

// lower copies a word that fits into the buffer in lower case.
func lower(buffer, word []byte) []byte {
	for i, c := range word {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		buffer[i] = c
	}
	return buffer[:len(word)]
}

// same tells whether a word is the one given in lower case.
func same(word []byte, want string) bool {
	if len(word) != len(want) {
		return false
	}
	for i, c := range word {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != want[i] {
			return false
		}
	}
	return true
}

package wire

import "strconv"

// Command is the first byte of a request.
type Command byte

// The commands.
const (
	ComSleep            Command = 0x00 // internal to servers, like the others so marked: they are answered by an error
	ComQuit             Command = 0x01
	ComInitDB           Command = 0x02
	ComQuery            Command = 0x03
	ComFieldList        Command = 0x04
	ComCreateDB         Command = 0x05
	ComDropDB           Command = 0x06
	ComRefresh          Command = 0x07
	ComShutdown         Command = 0x08
	ComStatistics       Command = 0x09
	ComProcessInfo      Command = 0x0a
	ComConnect          Command = 0x0b // internal
	ComProcessKill      Command = 0x0c
	ComDebug            Command = 0x0d
	ComPing             Command = 0x0e
	ComTime             Command = 0x0f // internal
	ComDelayedInsert    Command = 0x10 // internal
	ComChangeUser       Command = 0x11
	ComBinlogDump       Command = 0x12
	ComTableDump        Command = 0x13
	ComConnectOut       Command = 0x14 // internal
	ComRegisterSlave    Command = 0x15
	ComStmtPrepare      Command = 0x16
	ComStmtExecute      Command = 0x17
	ComStmtSendLongData Command = 0x18
	ComStmtClose        Command = 0x19
	ComStmtReset        Command = 0x1a
	ComSetOption        Command = 0x1b
	ComStmtFetch        Command = 0x1c
	ComDaemon           Command = 0x1d // internal
	ComBinlogDumpGTID   Command = 0x1e // of MySQL
	ComResetConnection  Command = 0x1f
	ComStmtBulkExecute  Command = 0xfa // of MariaDB
)

// Name is the command's name without COM_, or its number.
func (c Command) Name() string {
	switch c {
	case ComStmtBulkExecute:
		return "STMT_BULK_EXECUTE"
	default:
		if int(c) < len(commandNames) {
			return commandNames[c]
		}
	}
	return strconv.Itoa(int(c))
}

// String is Name with COM_ before it.
func (c Command) String() string { return "COM_" + c.Name() }

var commandNames = [...]string{
	"SLEEP", "QUIT", "INIT_DB", "QUERY", "FIELD_LIST", "CREATE_DB", "DROP_DB", "REFRESH", "SHUTDOWN", "STATISTICS",
	"PROCESS_INFO", "CONNECT", "PROCESS_KILL", "DEBUG", "PING", "TIME", "DELAYED_INSERT", "CHANGE_USER", "BINLOG_DUMP",
	"TABLE_DUMP", "CONNECT_OUT", "REGISTER_SLAVE", "STMT_PREPARE", "STMT_EXECUTE", "STMT_SEND_LONG_DATA", "STMT_CLOSE",
	"STMT_RESET", "SET_OPTION", "STMT_FETCH", "DAEMON", "BINLOG_DUMP_GTID", "RESET_CONNECTION",
}

// Answered tells whether the server answers the command at all.
func (c Command) Answered() bool {
	return c != ComQuit && c != ComStmtClose && c != ComStmtSendLongData
}

// First bytes of packets from the server.
const (
	headOK         = 0x00
	headMoreData   = 0x01
	headLocal      = 0xfb
	headEOF        = 0xfe // also a switch of the login plugin, and OK instead of EOF
	headError      = 0xff
	progressReport = 0xffff // in place of an error number
)

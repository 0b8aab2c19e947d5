package wire

import (
	"errors"
	"fmt"
	"strings"
)

// What may be wrong with what a peer sends.
var (
	ErrMalformed    = errors.New("malformed packet")
	ErrSequence     = errors.New("packet out of sequence")
	ErrTooLarge     = errors.New("packet exceeds the limit")
	ErrPlaintext    = errors.New("data in clear after the request for TLS")
	ErrOldProtocol  = errors.New("protocol from before MySQL 4.1")
	ErrUnexpected   = errors.New("packet where none is due")
	ErrNoTLS        = errors.New("the server does not offer TLS")
	ErrPlugin       = errors.New("login plugin not supported")
	ErrCapabilities = errors.New("the server lacks capabilities")
)

// ConnError is a failure of one connection, so that who relays between two
// knows which of them it was.
type ConnError struct {
	Conn *Conn
	Op   string // "read", "write" or "TLS handshake"
	Err  error
}

// Error tells what failed and why.
func (e *ConnError) Error() string { return e.Op + ": " + e.Err.Error() }

// Unwrap is the cause.
func (e *ConnError) Unwrap() error { return e.Err }

// ServerError is an ERR packet.
type ServerError struct {
	Code    uint16
	State   string // SQLSTATE, five characters; "" where the server sends none, before a login
	Message string
}

// Error is the text that command line clients show.
func (e *ServerError) Error() string {
	return fmt.Sprintf("error %d (%s): %s", e.Code, e.State, strings.ToValidUTF8(e.Message, "?"))
}

// Is makes errors with the same number equal to errors.Is.
func (e *ServerError) Is(target error) bool {
	t, ok := target.(*ServerError)
	return ok && t.Code == e.Code
}

// Errors that a proxy sends or looks for, by number (Knowledge Base, "MariaDB
// Error Codes"; the SQLSTATE is what a server sends with it).
const (
	ErrCodeTooManyConnections  = 1040 // 08004
	ErrCodeBadHost             = 1042 // 08S01
	ErrCodeHandshake           = 1043 // 08S01
	ErrCodeDBAccessDenied      = 1044 // 42000
	ErrCodeAccessDenied        = 1045 // 28000
	ErrCodeNoDB                = 1046 // 3D000
	ErrCodeUnknownCommand      = 1047 // 08S01
	ErrCodeBadDB               = 1049 // 42000
	ErrCodeServerShutdown      = 1053 // 08S01
	ErrCodeParse               = 1064 // 42000
	ErrCodeNoSuchThread        = 1094 // HY000
	ErrCodeUnknown             = 1105 // HY000
	ErrCodeHostBlocked         = 1129 // HY000
	ErrCodeHostNotPrivileged   = 1130 // HY000
	ErrCodeNonexistingGrant    = 1141 // 42000; a query firewall sends it with HY000
	ErrCodeTableAccessDenied   = 1142 // 42000
	ErrCodePacketTooLarge      = 1153 // 08S01
	ErrCodeNetRead             = 1158 // 08S01
	ErrCodeNetReadInterrupted  = 1159 // 08S01
	ErrCodeNetWriteInterrupted = 1161 // 08S01
	ErrCodeAbortedConnection   = 1184 // 08S01
	ErrCodeUserLimit           = 1203 // 42000
	ErrCodeLockWaitTimeout     = 1205 // HY000
	ErrCodeDeadlock            = 1213 // 40001
	ErrCodeSpecificAccess      = 1227 // 42000
	ErrCodeMaster              = 1236 // HY000
	ErrCodeUnknownStmt         = 1243 // HY000
	ErrCodeAuthMode            = 1251 // 08004
	ErrCodeFeatureDisabled     = 1289 // HY000
	ErrCodeOptionPrevents      = 1290 // HY000; a server with read_only refuses writes by it
	ErrCodeQueryInterrupted    = 1317 // 70100
	ErrCodeNoResultSet         = 1415 // 0A000
	ErrCodeReadOnlyTransaction = 1792 // 25006
	ErrCodeReadOnlyMode        = 1836 // HY000
	ErrCodeConnectionKilled    = 1927 // 70100
)

// SQLSTATEs of these errors.
const (
	StateGeneral             = "HY000"
	StateRejected            = "08004" // the server rejected the connection
	StateCommunication       = "08S01"
	StateAccessDenied        = "28000"
	StateSyntaxOrAccess      = "42000"
	StateNoDatabase          = "3D000"
	StateSerialization       = "40001"
	StateInterrupted         = "70100"
	StateUnsupported         = "0A000"
	StateReadOnlyTransaction = "25006"
)

package mysql

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/backplane/backplane/connectors"
)

var errTooOld = errors.New("the server speaks a protocol from before MySQL 4.1")

// serverError is an error packet of the server. The numbers are listed at
// https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
// and https://mariadb.com/kb/en/mariadb-error-code-reference/.
type serverError struct {
	number  uint16
	message string
}

// Error is the server's text with its number.
func (e *serverError) Error() string { return fmt.Sprintf("error %d: %s", e.number, e.message) }

// parseError reads an error packet, with or without an SQLSTATE.
func parseError(b []byte) error {
	if len(b) < 3 {
		return errMalformed
	}
	e := &serverError{number: binary.LittleEndian.Uint16(b[1:3])}
	text := b[3:]
	if len(text) >= 6 && text[0] == '#' {
		text = text[6:]
	}
	e.message = clip(strings.ToValidUTF8(string(text), "?"))
	return e
}

// clip shortens a server's text to what an answer should show.
func clip(s string) string {
	const most = 300
	if len(s) <= most {
		return s
	}
	s = s[:most]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + "…"
}

// translate turns what the server said to a test into a Failure; other errors
// pass.
func translate(err error, encrypted bool, database string) error {
	if errors.Is(err, errMalformed) {
		return connectors.Fail(connectors.ProtocolMismatch, err, "the server's answer is malformed")
	}
	if errors.Is(err, errTooOld) {
		return connectors.Fail(connectors.ProtocolMismatch, err, "%s", errTooOld)
	}
	var e *serverError
	if !errors.As(err, &e) {
		return err
	}
	if f := refusal(e, encrypted, database); f != nil {
		return f
	}
	return &connectors.Failure{Code: connectors.Closed, Phrase: "The server refused", Detail: e.message, Err: e}
}

// refusal is the Failure for an error at login or at the choice of a database,
// nil for others.
func refusal(e *serverError, encrypted bool, database string) *connectors.Failure {
	f := &connectors.Failure{Detail: e.message, Err: e}
	switch e.number {
	case 1045, 1698: // access denied
		f.Code, f.Stage, f.Detail = connectors.AuthFailed, connectors.StageAuth, ""
		f.Hint = "Check username and password."
		if !encrypted {
			// MariaDB tells a login in clear that must not be so no more than this.
			f.Hint = "Check username and password, or the account or server requires TLS: set use_ssl."
		}
	case 1044: // access denied to the database
		// Accounts without global rights get this for a missing one too.
		f.Code, f.Stage, f.Detail = connectors.PermissionDenied, connectors.StageSelect, ""
		f.Phrase = fmt.Sprintf("Database %q does not exist or is not allowed", database)
	case 1049: // unknown database
		f = connectors.Missing(connectors.DatabaseMissing, "Database", database, e)
		f.Stage = connectors.StageSelect
	case 1040, 1203, 1226, 1053: // too many connections, shutting down
		f.Code = connectors.ServerBusy
	case 1129: // host is blocked
		f.Code, f.Hint = connectors.PermissionDenied, "Clear the server's list of blocked hosts with FLUSH HOSTS."
	case 1130: // host is not allowed
		f.Code, f.Hint = connectors.PermissionDenied, "No account of the server may connect from this machine."
	case 3118, 4151: // account is locked
		f.Code, f.Stage = connectors.PermissionDenied, connectors.StageAuth
	case 1820, 1862: // password has expired
		f.Code, f.Hint = connectors.AuthFailed, "Give the account a new password."
	case 3159: // insecure transport is prohibited
		f.Code, f.Stage, f.Hint = connectors.TLSRequired, connectors.StageAuth, "Set use_ssl to true, or ssl_mode."
	case 1251, 1275, 1524: // client or server lacks the login plugin
		f.Code = connectors.AuthUnsupported
	default:
		return nil
	}
	return f
}

package mysql

import (
	"fmt"

	"github.com/backplane/backplane/connectors"
)

// adminFailure is the Failure for an error of a server to an administrator. The
// cause keeps the number alone: messages quote statements, and those hold
// passwords.
func adminFailure(number uint16, message string, encrypted bool) *connectors.Failure {
	cause := fmt.Errorf("error %d", number)
	message = clip(message)
	f := &connectors.Failure{Detail: message, Err: cause}
	switch number {
	case 1007: // database exists
		f.Code, f.Phrase, f.Err = connectors.InvalidConfig, "The database exists already", fmt.Errorf("%w: %w", connectors.ErrExists, cause)
	case 1008, 1049: // no such database
		f.Code = connectors.DatabaseMissing
	case 1044, 1142, 1143, 1227, 1370, 1410, 1419, 1698: // rights are lacking
		f.Code, f.Hint = connectors.PermissionDenied, "Give the administrator of the server this right."
	case 1290, 1792, 1836: // read-only
		f.Code, f.Hint = connectors.PermissionDenied, "Name a server that accepts changes."
	case 1059, 1102, 1300, 1366, 1396, 1470, 1819, 3955: // names and passwords
		f.Code, f.Phrase = connectors.InvalidConfig, "The server does not accept a name or password"
	case 1064: // what was loaded is no SQL
		f.Code, f.Phrase = connectors.InvalidConfig, "The server does not accept a statement"
	case 1205, 1213, 3024: // somebody else holds it
		f.Code = connectors.ServerBusy
	case 1317, 1927, 2006, 2013, 2055, 4031: // the session was ended
		f.Code = connectors.Closed
	case 2002, 2003:
		f.Code = connectors.Refused
	default:
		f = refusal(&serverError{number: number, message: message}, encrypted, "")
		if f == nil {
			f = &connectors.Failure{Code: connectors.Internal, Phrase: "The server refused", Detail: message}
		}
		f.Err = cause
	}
	return f
}

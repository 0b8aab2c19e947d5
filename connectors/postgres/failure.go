package postgres

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/backplane/backplane/connectors"
)

const (
	hintHBA = "Let this machine, user and database in with a line in the server's pg_hba.conf."
	hintTLS = "The server refuses unencrypted logins from here: set ssl_mode to require or a verifying mode."
)

// serverError is an ErrorResponse of the server.
type serverError struct {
	severity string
	state    string // SQLSTATE
	message  string
	routine  string // of the server's source, "" from poolers; never translated
}

// Error is the server's text with its SQLSTATE.
func (e *serverError) Error() string {
	return fmt.Sprintf("%s: %s (%s)", e.severity, e.message, e.state)
}

// fatal reports whether the server ends the session.
func (e *serverError) fatal() bool { return e.severity != "ERROR" }

// class is the first half of the SQLSTATE, which names the kind of error.
func (e *serverError) class() string {
	if len(e.state) < 2 {
		return ""
	}
	return e.state[:2]
}

// parseError reads the fields of an ErrorResponse: a type byte and a string
// each.
func parseError(body []byte) *serverError {
	e := &serverError{}
	for field := range bytes.SplitSeq(body, []byte{0}) {
		if len(field) == 0 {
			break
		}
		value := strings.ToValidUTF8(string(field[1:]), "?")
		switch field[0] {
		case 'S':
			if e.severity == "" {
				e.severity = value
			}
		case 'V': // the severity, never translated
			e.severity = value
		case 'C':
			e.state = value
		case 'M':
			e.message = clip(value)
		case 'R':
			e.routine = value
		}
	}
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

// translate turns what the server said into a Failure; other errors pass.
func translate(err error, a *attempt, c connectors.Config) error {
	if errors.Is(err, errMalformed) {
		return connectors.Fail(connectors.ProtocolMismatch, err, "the server's answer is malformed")
	}
	var e *serverError
	if !errors.As(err, &e) {
		return err
	}
	switch e.state {
	case "28P01":
		return &connectors.Failure{Code: connectors.AuthFailed, Stage: connectors.StageAuth, Hint: "Check username and password.", Err: e}
	case "28000":
		return notAuthorized(e, a)
	case "3D000":
		return missing(e, c)
	case "42501":
		return &connectors.Failure{Code: connectors.PermissionDenied, Detail: e.message, Hint: "The login worked; grant the role the right it lacks.", Err: e}
	}
	switch e.class() {
	case "53", "55", "57":
		return &connectors.Failure{Code: connectors.ServerBusy, Detail: e.message, Err: e}
	case "08":
		return pooler(e, c)
	}
	return &connectors.Failure{Code: connectors.Closed, Phrase: "The server refused", Detail: e.message, Err: e}
}

func missing(e *serverError, c connectors.Config) error {
	f := connectors.Missing(connectors.DatabaseMissing, "Database", c.String("database"), e)
	f.Stage = connectors.StageSelect
	return f
}

// notAuthorized tells the cases of SQLSTATE 28000 apart, by the server's
// routine where it is named because messages may be translated.
func notAuthorized(e *serverError, a *attempt) error {
	f := &connectors.Failure{Code: connectors.PermissionDenied, Stage: connectors.StageAuth, Detail: e.message, Err: e}
	byRules := e.routine == "ClientAuthentication"
	switch {
	case !a.tls && (byRules || strings.Contains(e.message, "no encryption") || strings.Contains(e.message, "SSL off")):
		f.Code, f.Hint = connectors.TLSRequired, hintTLS
	case byRules || strings.Contains(e.message, "pg_hba"):
		f.Hint = hintHBA
	case strings.HasSuffix(e.message, "does not exist"):
		// Whether a role exists is not for a caller to learn.
		f.Code, f.Detail, f.Hint = connectors.AuthFailed, "", "Check username and password."
	}
	return f
}

// pooler translates the refusals of poolers such as PgBouncer, which report
// them all as protocol violations.
func pooler(e *serverError, c connectors.Config) error {
	switch {
	case strings.Contains(e.message, "SSL required"):
		return &connectors.Failure{Code: connectors.TLSRequired, Hint: hintTLS, Err: e}
	case strings.HasPrefix(e.message, "no such database"):
		return missing(e, c)
	case strings.HasPrefix(e.message, "no such user"), strings.Contains(e.message, "authentication failed"):
		return &connectors.Failure{Code: connectors.AuthFailed, Stage: connectors.StageAuth, Hint: "Check username and password.", Err: e}
	}
	return &connectors.Failure{Code: connectors.ServerBusy, Detail: e.message, Err: e}
}

package mongodb

import (
	"errors"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/backplane/backplane/connectors"
)

// Error codes of the server
// (https://www.mongodb.com/docs/manual/reference/error-codes/).
const (
	codeBadValue             = 2
	codeUnauthorized         = 13
	codeAuthenticationFailed = 18
	codeMechanismUnavailable = 334
	codeAtlas                = 8000
)

// explain tells what an error of the driver means.
func (s *session) explain(err error) *connectors.Failure {
	var command mongo.CommandError
	if errors.As(err, &command) {
		return s.refusal(command)
	}
	first := s.p.First()
	encrypted := s.uri.tls()
	if !encrypted && len(first) > 2 && (first[0] == 0x15 || first[0] == 0x16) && first[1] == 3 {
		return &connectors.Failure{Code: connectors.TLSRequired, Hint: tlsHint, Err: err}
	}
	f := s.p.Explain(err)
	switch {
	case s.p.Stage() == connectors.StageAuth && strings.Contains(err.Error(), "auth error") && f.Code == connectors.Internal:
		// The server failed to prove that it knows the password as well.
		return &connectors.Failure{Code: connectors.AuthFailed, Hint: authHint, Err: err}
	case f.Code == connectors.Internal && f.Stage == connectors.StageGreeting && !encrypted && len(first) == 0:
		// Nothing was said that could be another protocol: the server hung up.
		return &connectors.Failure{Code: connectors.Closed, Hint: "The server may expect TLS. " + tlsHint, Err: err}
	case f.Code == connectors.Internal && f.Stage == connectors.StageGreeting:
		if encrypted {
			first = nil // nothing to read in it
		}
		f = connectors.Mismatch("a MongoDB", first)
		f.Err = err
	case f.Code == connectors.Internal:
		f.Detail = "" // the driver's text is a dump of all it knows
	case f.Code == connectors.Closed && f.Stage == connectors.StageGreeting && !encrypted:
		f.Hint = "The server may expect TLS. " + tlsHint
	case f.Code == connectors.Closed && f.Stage == connectors.StageGreeting:
		f.Hint = "The server may want a client certificate."
	}
	return f
}

const (
	tlsHint  = "Set use_tls, or tls=true in a uri."
	authHint = "Check user name, password, and the database that knows the user (auth_source, or authSource in a uri)."
)

// refusal explains a server's answer to a command.
func (s *session) refusal(e mongo.CommandError) *connectors.Failure {
	return refusal(e, s.p.Stage() == connectors.StageAuth, s.uri.hasUser)
}

func refusal(e mongo.CommandError, inAuth, hasUser bool) *connectors.Failure {
	f := &connectors.Failure{Err: e}
	switch {
	case e.Code == codeAuthenticationFailed, e.Code == codeAtlas && inAuth,
		strings.Contains(e.Error(), "AuthenticationFailed"), inAuth && strings.Contains(e.Error(), "AtlasError"):
		f.Code, f.Stage, f.Hint = connectors.AuthFailed, connectors.StageAuth, authHint
	case e.Code == codeUnauthorized && !hasUser:
		f.Code, f.Stage, f.Hint = connectors.AuthRequired, connectors.StageAuth, "Give a user name and a password."
	case e.Code == codeUnauthorized, e.Code == codeAtlas:
		f.Code, f.Detail = connectors.PermissionDenied, e.Message
		f.Hint = "The user needs the role read on the database, at least."
	case e.Code == codeMechanismUnavailable, inAuth && e.Code == codeBadValue:
		f.Code, f.Detail = connectors.AuthUnsupported, e.Message
	default:
		f.Code, f.Detail = connectors.ServerBusy, e.Message
	}
	return f
}

package mongodb

import (
	"errors"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/backplane/backplane/connectors"
)

// Error codes of the server that changes run into
// (https://www.mongodb.com/docs/manual/reference/error-codes/).
const (
	codeUserNotFound      = 11
	codeNamespaceMissing  = 26
	codeNamespaceExists   = 48
	codeCommandNotFound   = 59
	codeDuplicateKey      = 11000
	codeDatabaseDiffers   = 13297 // by the case of its letters alone
	codeUserAlreadyExists = 51003
)

// passing are codes of a server that is starting, ending, electing or busy.
var passing = []int{
	6, 7, 64, 89, 91, 94, 112, 189, 202, 211, 246, 262, 317, 358, 365, 384, 9001,
	10058, 10107, 11600, 11602, 13388, 13435, 13436,
}

// hasCode reports whether err is the server's refusal with the code.
func hasCode(err error, code int) bool {
	var e mongo.ServerError
	return errors.As(err, &e) && e.HasErrorCode(code)
}

// failure explains an error of the server or of the way to it.
func (s *server) failure(err error) error {
	if err == nil {
		return nil
	}
	var f *connectors.Failure
	if errors.As(err, &f) {
		return err
	}
	return s.explain(err)
}

func (s *server) explain(err error) *connectors.Failure {
	var (
		command mongo.CommandError
		refused mongo.ServerError
	)
	text := err.Error()
	switch {
	case strings.Contains(text, "auth error") && errors.As(err, &command) && !command.HasErrorLabel("NetworkError"):
		return refusal(command, true, s.uri.hasUser)
	case strings.Contains(text, "auth error") && strings.Contains(text, "AuthenticationFailed"):
		return &connectors.Failure{Code: connectors.AuthFailed, Hint: authHint, Err: err}
	case errors.As(err, &refused) && !refused.HasErrorLabel("NetworkError"):
		if f := s.refused(err, refused); f != nil {
			return f
		}
	case strings.Contains(text, "server selection error"):
		if state := s.watch.state(); len(state.failed) > 0 {
			var f *connectors.Failure
			if errors.As(state.failure(s.uri.hosts, s.unreached), &f) {
				return f
			}
		}
	}
	return s.unreached(err)
}

// unreached explains an error of a connection.
func (s *server) unreached(err error) *connectors.Failure {
	var f *connectors.Failure
	errors.As(connectors.Classify(err, s.uri.hosts[0], s.uri.password, escape(s.uri.password)), &f)
	var labelled interface{ HasErrorLabel(string) bool }
	if f.Code != connectors.Internal {
		return f
	}
	if errors.As(err, &labelled) && labelled.HasErrorLabel("NetworkError") {
		f.Code = connectors.Closed
	}
	f.Detail = "" // the driver's text is a dump of all it knows
	return f
}

// refused explains the server's answer to a command; nil when it is none.
func (s *server) refused(err error, refused mongo.ServerError) *connectors.Failure {
	for _, code := range passing {
		if refused.HasErrorCode(code) {
			return &connectors.Failure{Code: connectors.ServerBusy, Detail: message(err), Err: err}
		}
	}
	var command mongo.CommandError
	switch {
	case hasCode(err, codeDatabaseDiffers):
		return &connectors.Failure{
			Code: connectors.Internal, Phrase: "A database of this name exists already", Detail: "in other letters",
			Err: fmt.Errorf("%w: %w", connectors.ErrExists, err),
		}
	case hasCode(err, codeUnauthorized), hasCode(err, codeAuthenticationFailed):
		if errors.As(err, &command) {
			return refusal(command, false, s.uri.hasUser)
		}
	case errors.As(err, &command) && command.Code == 0:
		return nil
	}
	return &connectors.Failure{Code: connectors.Internal, Phrase: "The server refuses a command", Detail: message(err), Err: err}
}

// message is what the server said.
func message(err error) string {
	var command mongo.CommandError
	if errors.As(err, &command) {
		return command.Message
	}
	return err.Error()
}

package redis

import (
	"errors"
	"strconv"
	"strings"

	"github.com/backplane/backplane/connectors"
)

// do sends one command and explains a connection that breaks.
func (s *session) do(args ...string) (reply, error) {
	r, err := s.resp.do(args...)
	if err == nil {
		return r, nil
	}
	first := s.p.First()
	switch {
	case isTLSRecord(first) && !s.c.Bool("use_tls"):
		return r, &connectors.Failure{Code: connectors.TLSRequired, Hint: "Set use_tls.", Err: err}
	case errors.Is(err, errProtocol):
		f := connectors.Mismatch("a Redis", first)
		f.Err = err
		return r, f
	case isEOF(err) && s.p.Stage() == connectors.StageGreeting:
		// With TLS 1.3 a server refuses a missing client certificate after the
		// handshake, and its alert may be lost with the connection.
		hint := "The server may expect TLS: try use_tls."
		if s.c.Bool("use_tls") {
			hint = "The server may want a client certificate."
		}
		return r, &connectors.Failure{Code: connectors.Closed, Hint: hint, Err: err}
	}
	return r, err
}

// isTLSRecord recognises a TLS alert or handshake record.
func isTLSRecord(b []byte) bool {
	return len(b) > 2 && (b[0] == 0x15 || b[0] == 0x16) && b[1] == 3
}

// refusal turns an error reply into a Failure.
func (s *session) refusal(r reply) error { return refusal(r, s.p.Stage(), s.c.Int("database")) }

func refusal(r reply, stage connectors.Stage, database int64) *connectors.Failure {
	f := &connectors.Failure{Detail: r.text, Err: errors.New(r.text)}
	switch {
	case r.hasCode("WRONGPASS"), strings.Contains(r.text, "invalid password"):
		// Redis 6 and later answer the same for an unknown user, a wrong
		// password and a user that is switched off.
		f.Code, f.Detail, f.Stage = connectors.AuthFailed, "", connectors.StageAuth
		f.Hint = "Check username and password, and that the user is switched on."
	case r.hasCode("NOAUTH"):
		f.Code, f.Detail, f.Stage = connectors.AuthRequired, "", connectors.StageAuth
		f.Hint = "Set password, and username for an ACL user."
	case strings.Contains(r.text, "without any password configured"), strings.Contains(r.text, "AUTH, but no password is set"):
		f.Code, f.Detail = connectors.InvalidConfig, "the server has no password"
		f.Hint = "Remove password from the configuration, or set one on the server."
	case strings.Contains(r.text, "wrong number of arguments") && stage == connectors.StageAuth:
		f.Code, f.Detail = connectors.AuthUnsupported, "the server knows no user names (Redis before 6)"
		f.Hint = "Remove username."
	case r.hasCode("NOPERM"):
		f.Code = connectors.PermissionDenied
	case strings.Contains(r.text, "DB index"):
		return connectors.Missing(connectors.DatabaseMissing, "Database", strconv.FormatInt(database, 10), f.Err)
	case strings.Contains(r.text, "not allowed in cluster mode"):
		f.Code, f.Detail = connectors.InvalidConfig, "a Redis Cluster has only database 0"
	case r.hasCode("DENIED"):
		f.Code, f.Detail = connectors.PermissionDenied, "the server is in protected mode"
		f.Hint = "It has no password and so serves only its own machine: set a password there, or allow other machines."
	default:
		// LOADING, BUSY, MASTERDOWN, MISCONF, too many clients, and whatever
		// else keeps a server from answering PONG.
		f.Code = connectors.ServerBusy
	}
	return f
}

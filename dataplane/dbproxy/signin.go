package dbproxy

import (
	"context"
	"errors"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// signIn logs in to a server as the session's identity. The connection has
// then exactly the capabilities of the client's, so that packets can be passed
// on as they are.
func (s *Session) signIn(ctx context.Context, c *wire.Conn, srv *Server) (*wire.LoginResult, error) {
	o, err := s.loginOptions(srv)
	if err != nil {
		return nil, err
	}
	result, err := wire.Login(ctx, c, o)
	s.signedIn(srv, err)
	return result, err
}

// loginOptions are how the session's identity logs in to a server.
func (s *Session) loginOptions(srv *Server) (wire.LoginOptions, error) {
	cfg, err := srv.tlsClient()
	if err != nil {
		return wire.LoginOptions{}, err
	}
	caps := s.caps &^ loginCaps
	return wire.LoginOptions{
		User: s.identity.user, Database: s.database, Credentials: s.identity.credentials,
		Capabilities: caps, Required: caps, Charset: s.charset, Attributes: s.attributes,
		TLS: cfg, AskServerKey: true, AllowClear: true, Greeted: srv.learn,
	}, nil
}

// signedIn counts a login that a server refuses. Where nobody but the servers
// checks the password it may have been a guess.
func (s *Session) signedIn(srv *Server, err error) {
	if !errors.Is(err, &wire.ServerError{Code: wire.ErrCodeAccessDenied}) {
		return
	}
	srv.counts.failedLogins.Add(1)
	if s.identity.unchecked {
		s.service.failedLogins.Add(1)
		s.proxy.blocker.Failed(s.remote.Addr())
	}
}

package dbproxy

import (
	"context"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// login lets the client prove who it is, up to the last packet but one: the OK
// is for welcome to send, once there are servers. What the client is refused
// for it has been told when login returns.
func (s *Session) login(ctx context.Context) error { return nil }

// welcome sends the OK that ends the login.
func (s *Session) welcome() error { return nil }

// signIn logs in to a server as the session's identity.
func (s *Session) signIn(ctx context.Context, c *wire.Conn, srv *Server) (*wire.LoginResult, error) {
	return nil, nil
}

package dbproxy

import "github.com/backplane/backplane/dataplane/dbproxy/wire"

// changeUser takes a COM_CHANGE_USER of the client.
func (s *Session) changeUser(r *Request) (refused *wire.ServerError, err error) { return nil, nil }

// ChangeUser makes the connection one of the session's present identity, with
// its default database, and otherwise like a new one.
func (b *Backend) ChangeUser() error { return nil }

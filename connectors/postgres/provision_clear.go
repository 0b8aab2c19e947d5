package postgres

import (
	"context"

	"github.com/backplane/backplane/connectors"
)

var _ connectors.Clearer = (*server)(nil)

// ClearDatabase drops a database, whoever made it, but none of the server's.
func (s *server) ClearDatabase(ctx context.Context, name string) error {
	if err := checkDatabase(name); err != nil {
		return err
	}
	s.leave()
	if err := s.main.exec(ctx, "DROP DATABASE IF EXISTS "+ident(name)+" WITH (FORCE)"); err != nil {
		return s.explain(ctx, err)
	}
	return s.DropDatabase(ctx, name) // what else there is of it
}

// ClearLogin drops a role, whoever made it, but no superuser, none of the
// server's and not the administrator.
func (s *server) ClearLogin(ctx context.Context, l connectors.LoginName) error {
	if err := checkUser(l.User); err != nil {
		return err
	}
	var is bool
	err := s.main.one(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = `+literal(l.User)+`
		AND rolcanlogin AND NOT rolsuper AND NOT starts_with(rolname, 'pg_') AND rolname <> session_user)`, &is)
	if err != nil || !is {
		return s.explain(ctx, err)
	}
	// Shut the door before the room is emptied.
	user := ident(l.User)
	if err := s.main.exec(ctx, "ALTER ROLE "+user+" NOLOGIN"); err != nil {
		return s.explain(ctx, err)
	}
	if err := s.cut(ctx, l.User); err != nil {
		return s.explain(ctx, err)
	}
	err = s.main.exec(ctx, "DROP ROLE IF EXISTS "+user)
	if state(err) != dependents {
		return s.explain(ctx, err)
	}
	if err := s.main.exec(ctx, "ALTER ROLE "+user+" LOGIN"); err != nil {
		return s.explain(ctx, err)
	}
	return connectors.Fail(connectors.InvalidConfig, nil, "Something in other databases depends on role %q", l.User)
}

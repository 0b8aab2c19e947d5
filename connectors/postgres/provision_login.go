package postgres

import (
	"context"
	"slices"

	"github.com/backplane/backplane/connectors"
)

// PutLogin makes or changes a role.
func (s *server) PutLogin(ctx context.Context, l connectors.Login) error {
	if err := checkUser(l.User); err != nil {
		return err
	}
	if err := checkDatabase(l.Database); err != nil {
		return err
	}
	secret, err := verifier(l.Password)
	if err != nil {
		return connectors.Fail(connectors.InvalidConfig, nil, "%v", err)
	}
	if s.made == l.Database {
		s.made = ""
		// Nothing has to be looked for. What fails is told by the usual way.
		if s.put(ctx, emptyPicture(l.Database), l, secret) == nil {
			return nil
		}
	}
	return s.explain(ctx, s.putLogin(ctx, l, secret), append(verifierParts(secret), l.Password, secret)...)
}

func (s *server) putLogin(ctx context.Context, l connectors.Login, secret string) error {
	p, err := s.look(ctx, l.Database, l.User)
	if err != nil {
		return err
	}
	if err := p.needs(); err != nil {
		return err
	}
	if p.has(l.User) && !p.isLogin(l.User) {
		return taken("role", l.User)
	}
	return s.put(ctx, p, l, secret)
}

// put brings a login from what p shows to what is asked for.
func (s *server) put(ctx context.Context, p *picture, l connectors.Login, secret string) error {
	if err := s.main.exec(ctx, batch(s.grants(p, l, secret))); err != nil {
		return err
	}
	owner := p.of(l) == p.owner
	if err := s.takeBack(ctx, p, l, owner); err != nil {
		return err
	}
	if !owner || p.opened {
		return nil
	}
	// A session that gives up the role it began with (SET ROLE NONE) makes the
	// login itself the owner of what it makes from then on.
	return s.within(ctx, l.Database, batch(openTo(l.User, p.roles)))
}

// grants are the statements that bring a role to what is asked for.
func (s *server) grants(p *picture, l connectors.Login, secret string) []string {
	user, group := ident(l.User), p.of(l)
	var list []string
	if p.has(l.User) {
		list = append(list, "ALTER ROLE "+user+" LOGIN PASSWORD "+literal(secret))
	} else {
		list = append(list, "CREATE ROLE "+user+" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT PASSWORD "+literal(secret),
			"COMMENT ON ROLE "+user+" IS "+literal(loginMark+l.Database))
		if !s.superuser {
			list = append(list, "GRANT "+user+" TO CURRENT_USER")
		}
	}
	for _, g := range p.all() {
		if grantor, member := p.groups[g]; member && g != group {
			list = append(list, "REVOKE "+ident(g)+" FROM "+user+s.grantedBy(grantor))
		}
	}
	if _, member := p.groups[group]; !member {
		list = append(list, "GRANT "+ident(group)+" TO "+user)
	}
	if group == p.owner {
		list = append(list, "ALTER ROLE "+user+" IN DATABASE "+ident(l.Database)+" SET role = "+literal(p.owner))
	} else if p.has(l.User) {
		list = append(list, "ALTER ROLE "+user+" IN DATABASE "+ident(l.Database)+" RESET role")
	}
	return list
}

// grantedBy names who gave a membership: since PostgreSQL 16, what one role
// gave is not taken back in the name of another.
func (s *server) grantedBy(grantor string) string {
	if s.version < 160000 {
		return ""
	}
	return " GRANTED BY " + ident(grantor)
}

// takeBack gives the owners' role what the login and its fellows made in their
// own name. Where that is in use, it can wait, unless the login is to lose its
// rights.
func (s *server) takeBack(ctx context.Context, p *picture, l connectors.Login, owner bool) error {
	if len(p.owning) == 0 {
		return nil
	}
	err := s.within(ctx, l.Database, "SET LOCAL lock_timeout = '3s'; REASSIGN OWNED BY "+idents(p.owning)+" TO "+ident(p.owner))
	if state(err) == lockNotAvailable && (owner || !slices.Contains(p.owning, l.User)) {
		return nil
	}
	return err
}

// DropLogin ends a role's sessions, gives what it owns to the database's owner
// and drops it.
func (s *server) DropLogin(ctx context.Context, database, user string) error {
	if checkUser(user) != nil || !sayable(database) {
		return nil
	}
	return s.explain(ctx, s.dropLogin(ctx, database, user))
}

func (s *server) dropLogin(ctx context.Context, database, user string) error {
	p, err := s.look(ctx, database, user)
	if err != nil || !p.isLogin(user) {
		return err
	}
	// Shut the door before the room is emptied.
	if err := s.main.exec(ctx, "ALTER ROLE "+ident(user)+" NOLOGIN"); err != nil {
		return err
	}
	if err := s.cut(ctx, user); err != nil {
		return err
	}
	for _, place := range p.places {
		statements := "DROP OWNED BY " + ident(user)
		if place == database && p.ours() {
			statements = "REASSIGN OWNED BY " + ident(user) + " TO " + ident(p.owner) + "; " + statements
		}
		if err := s.within(ctx, place, statements); err != nil {
			return err
		}
	}
	return s.dropRoles(ctx, []string{user})
}

// CutSessions ends a role's sessions, in whatever database.
func (s *server) CutSessions(ctx context.Context, database, user string) error {
	if checkUser(user) != nil || !sayable(database) {
		return nil
	}
	ours := "EXISTS (SELECT FROM pg_roles WHERE rolname = usename AND shobj_description(oid, 'pg_authid') = " + literal(loginMark+database) + ")"
	return s.explain(ctx, s.cutWhere(ctx, user, ours))
}

func (s *server) cut(ctx context.Context, user string) error { return s.cutWhere(ctx, user, "true") }

// cutWhere ends sessions for which a condition holds and waits for that. A session that ends by itself meanwhile
// counts as not ended, so whoever is left is asked for once more.
func (s *server) cutWhere(ctx context.Context, user, condition string) error {
	var left int
	of := " FROM pg_stat_activity WHERE usename = " + literal(user) + " AND " + condition
	err := s.main.one(ctx, "SELECT count(*) FILTER (WHERE NOT pg_terminate_backend(pid, 5000))"+of, &left)
	if err == nil && left > 0 {
		err = s.main.one(ctx, "SELECT count(*)"+of, &left)
	}
	if err == nil && left > 0 {
		return connectors.Fail(connectors.ServerBusy, nil, "%d sessions do not end", left)
	}
	return err
}

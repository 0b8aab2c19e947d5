package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/lib/pq"

	"github.com/backplane/backplane/connectors"
)

// A database d that is made here belongs to the role o_d, which nobody logs in
// as. Its logins are members of o_d, of w_d (read-write) or of r_d (read-only),
// and get all their rights from there. The sessions of owners begin as o_d, so
// that what they make belongs to it and is reached by all of them; default
// privileges of o_d open it to w_d and r_d. Comments on roles tell which are
// ours (names.go), since names alone could be anybody's.

var _ connectors.Provisioner = (*Connector)(nil)

// Rules are those of PostgreSQL: logins are the server's.
func (*Connector) Rules() connectors.EngineRules {
	return connectors.EngineRules{
		EngineType:    "postgresql",
		Reserved:      []string{"postgres", "template0", "template1"},
		ReservedUsers: []string{"postgres", "public", "none"},
		Format:        "pg_dump-custom",
	}
}

// Endpoint is a URL that clients of libpq and others take.
func (*Connector) Endpoint(c connectors.Config, database string) string {
	return "postgresql://<user>:<password>@" + hostPort(c) + "/" + url.PathEscape(database)
}

// server is an administrator at work.
type server struct {
	env  connectors.Env
	c    connectors.Config
	main *session // on the configured database
	// inside is the session on the database that was last worked in, or nil.
	inside *session
	// made is the database that was made last, and has no logins yet.
	made string

	version   int // such as 150012
	text      string
	name      string // of the administrator's role
	superuser bool
	lacks     []string
}

const whoQuery = `SELECT current_setting('server_version_num')::int, current_setting('server_version'), rolname,
	rolsuper, rolcreaterole, rolcreatedb, pg_is_in_recovery()
	FROM pg_roles WHERE rolname = session_user`

// Open logs in.
func (*Connector) Open(ctx context.Context, env connectors.Env, c connectors.Config) (connectors.DatabaseServer, error) {
	s := &server{env: env, c: c}
	main, err := openSession(ctx, env, c, c.String("database"))
	if err != nil {
		return nil, s.explain(ctx, err)
	}
	s.main = main
	var makesRoles, makesDatabases, standby bool
	err = main.one(ctx, whoQuery, &s.version, &s.text, &s.name, &s.superuser, &makesRoles, &makesDatabases, &standby)
	if err != nil {
		main.close() //nolint:errcheck // of no use
		return nil, s.explain(ctx, err)
	}
	s.text, _, _ = strings.Cut(s.text, " ")
	s.lacks = lacks(s.version, s.superuser || makesRoles, s.superuser || makesDatabases, standby)
	return s, nil
}

// oldest is the first version where a new database, and the ones that
// everybody may enter, let only their owner make something.
const oldest = 150000

func lacks(version int, makesRoles, makesDatabases, standby bool) (list []string) {
	if !makesRoles {
		list = append(list, "CREATEROLE")
	}
	if !makesDatabases {
		list = append(list, "CREATEDB")
	}
	if version < oldest {
		list = append(list, "PostgreSQL 15 or newer")
	}
	if standby {
		list = append(list, "a server that takes changes: this is a standby")
	}
	return list
}

// Close logs out.
func (s *server) Close() error {
	s.leave()
	return s.main.close()
}

// About tells what Open found out.
func (s *server) About(ctx context.Context) (connectors.ServerFacts, error) {
	if err := s.main.exec(ctx, "SELECT"); err != nil {
		return connectors.ServerFacts{}, s.explain(ctx, err)
	}
	return connectors.ServerFacts{Version: s.text, Lacks: s.lacks}, nil
}

// HasDatabase asks for any database of the name.
func (s *server) HasDatabase(ctx context.Context, name string) (bool, error) {
	return s.exists(ctx, "SELECT FROM pg_database WHERE datname = ", name)
}

// HasLogin asks for any role of the name: two cannot share one.
func (s *server) HasLogin(ctx context.Context, _, user string) (bool, error) {
	return s.exists(ctx, "SELECT FROM pg_roles WHERE rolname = ", user)
}

func (s *server) exists(ctx context.Context, query, name string) (found bool, err error) {
	if !sayable(name) {
		return false, nil
	}
	err = s.main.one(ctx, "SELECT EXISTS ("+query+literal(name)+")", &found)
	return found, s.explain(ctx, err)
}

// Size is what the server counts, indexes and its own tables included.
func (s *server) Size(ctx context.Context, name string) (bytes int64, exists bool, err error) {
	if !sayable(name) {
		return 0, false, nil
	}
	err = s.main.one(ctx, "SELECT pg_database_size(oid) FROM pg_database WHERE datname = "+literal(name), &bytes)
	if errors.Is(err, sql.ErrNoRows) || state(err) == undefinedDatabase {
		return 0, false, nil
	}
	return bytes, err == nil, s.explain(ctx, err)
}

// Inventory leaves out templates, the administrator's own database and role,
// superusers, and what runs the tools.
func (s *server) Inventory(ctx context.Context) (connectors.Inventory, error) {
	var inv connectors.Inventory
	query := `SELECT true, datname FROM pg_database
			WHERE NOT datistemplate AND datname NOT IN ('postgres', current_database())
		UNION ALL SELECT false, rolname FROM pg_roles
			WHERE rolcanlogin AND NOT rolsuper AND NOT starts_with(rolname, 'pg_') AND rolname <> session_user
			AND NOT starts_with(coalesce(shobj_description(oid, 'pg_authid'), ''), ` + literal(toolMark) + `)
		ORDER BY 1, 2`
	err := s.main.rows(ctx, query, func(r *sql.Rows) error {
		var (
			database bool
			name     string
		)
		if err := r.Scan(&database, &name); err != nil {
			return err
		}
		if database {
			inv.Databases = append(inv.Databases, name)
		} else {
			inv.Logins = append(inv.Logins, connectors.LoginName{User: name})
		}
		return nil
	})
	return inv, s.explain(ctx, err)
}

// within runs statements inside a database. The session stays open for the
// next call: a login follows its database.
func (s *server) within(ctx context.Context, database, statements string) error {
	if s.inside == nil || s.inside.database != database {
		s.leave()
		inside, err := openSession(ctx, s.env, s.c, database)
		if err != nil {
			return err
		}
		s.inside = inside
	}
	return s.inside.exec(ctx, statements)
}

// leave closes the session inside a database.
func (s *server) leave() {
	if s.inside != nil {
		s.inside.close() //nolint:errcheck // the server notices
		s.inside = nil
	}
}

// SQLSTATEs that are acted on
// (https://www.postgresql.org/docs/current/errcodes-appendix.html).
const (
	undefinedDatabase = "3D000"
	duplicateDatabase = "42P04"
	duplicateObject   = "42710"
	uniqueViolation   = "23505"
	insufficientRight = "42501"
	dependents        = "2BP01"
	readOnlyServer    = "25006"
	lockNotAvailable  = "55P03"
)

// state is the SQLSTATE of an error, "" when it has none.
func state(err error) string {
	var e *serverError
	if errors.As(err, &e) {
		return e.state
	}
	if e := fromDriver(err); e != nil {
		return e.state
	}
	return ""
}

// explain makes a Failure of an error. A server, or a pooler in front of it, may
// say back what it was told: secrets are what the statements had beside those of
// the configuration.
func (s *server) explain(ctx context.Context, err error, secrets ...string) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		err = ctx.Err()
	}
	if e := fromDriver(err); e != nil {
		err = failure(e)
	}
	return connectors.Classify(err, hostPort(s.c), append(secrets, New().Spec().Secrets(s.c)...)...)
}

// failure tells what a refused statement amounts to.
func failure(e *serverError) error {
	f := &connectors.Failure{Code: connectors.Internal, Phrase: "The server refused", Detail: e.message, Err: e}
	switch e.state {
	case insufficientRight:
		f.Code, f.Phrase, f.Hint = connectors.PermissionDenied, "", "The administrator's role lacks a right."
	case readOnlyServer:
		f.Code, f.Phrase, f.Hint = connectors.PermissionDenied, "", "The server accepts no changes: is it a standby?"
	case duplicateDatabase, duplicateObject, uniqueViolation:
		f.Phrase, f.Err = "", fmt.Errorf("%w: %w", connectors.ErrExists, e)
	case undefinedDatabase:
		f.Code, f.Phrase = connectors.DatabaseMissing, ""
	case "40001", "40P01": // serialization failure, deadlock
		f.Code, f.Phrase = connectors.ServerBusy, ""
	}
	switch e.class() {
	case "53", "55", "57", "08":
		f.Code, f.Phrase = connectors.ServerBusy, ""
	}
	// Two statements changed the same row of a catalog at once.
	if strings.HasPrefix(e.message, "tuple concurrently") {
		f.Code, f.Phrase = connectors.ServerBusy, ""
	}
	return f
}

// ConfigFor puts the login in the administrator's place. The certificate stays
// the administrator's alone.
func (*Connector) ConfigFor(c connectors.Config, l connectors.Login) (connectors.Config, error) {
	out := withDatabase(c, l.Database)
	out["username"], out["password"] = l.User, l.Password
	delete(out, "tls_client_cert")
	delete(out, "tls_client_key")
	return out, nil
}

func ident(name string) string   { return pq.QuoteIdentifier(name) }
func literal(text string) string { return pq.QuoteLiteral(text) }

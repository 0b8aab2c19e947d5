package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/backplane/backplane/connectors"
)

// CreateDatabase makes the groups, the database, closes it to others, and opens
// what its owners will make to the groups.
func (s *server) CreateDatabase(ctx context.Context, name string) error {
	if err := checkDatabase(name); err != nil {
		return err
	}
	if s.version < oldest {
		return connectors.Fail(connectors.InvalidConfig, nil, "the server is PostgreSQL %s; databases are made on 15 or newer", s.text)
	}
	return s.explain(ctx, s.createDatabase(ctx, name))
}

func (s *server) createDatabase(ctx context.Context, name string) error {
	p, err := s.look(ctx, name, "")
	if err != nil {
		return err
	}
	if p.exists && !p.ours() {
		return taken("database", name)
	}
	var list []string
	for _, role := range p.all() {
		if p.isGroup(role) {
			continue
		}
		if p.has(role) {
			return taken("role", role)
		}
		list = append(list,
			"CREATE ROLE "+ident(role)+" NOLOGIN",
			"COMMENT ON ROLE "+ident(role)+" IS "+literal(groupMark+name))
		if !s.superuser {
			list = append(list, "GRANT "+ident(role)+" TO CURRENT_USER")
		}
	}
	if len(list) > 0 {
		if err := s.main.exec(ctx, batch(list)); err != nil {
			return err
		}
	}
	if !p.exists {
		// Not in a transaction, and so not together with other statements.
		if err := s.main.exec(ctx, "CREATE DATABASE "+ident(name)+" OWNER "+ident(p.owner)); err != nil {
			return err
		}
	}
	if err := s.main.exec(ctx, batch([]string{
		"REVOKE ALL ON DATABASE " + ident(name) + " FROM PUBLIC",
		"GRANT CONNECT ON DATABASE " + ident(name) + " TO " + ident(p.writer) + ", " + ident(p.reader),
		"GRANT TEMPORARY ON DATABASE " + ident(name) + " TO " + ident(p.writer),
	})); err != nil {
		return err
	}
	if err := s.within(ctx, name, batch(s.furnish(p.roles))); err != nil {
		return err
	}
	if !p.exists {
		s.made = name
	}
	return nil
}

// furnish are the statements inside a new database. The schema public belongs
// to the database's owner, and nobody else makes something in it, unless the
// template is of an older version; an owner may have dropped it since.
func (s *server) furnish(r roles) []string {
	list := []string{"DO " + literal(`BEGIN
		IF to_regnamespace('public') IS NOT NULL THEN
			ALTER SCHEMA public OWNER TO pg_database_owner;
			REVOKE CREATE ON SCHEMA public FROM PUBLIC;
			GRANT USAGE ON SCHEMA public TO `+ident(r.writer)+", "+ident(r.reader)+`;
		END IF;
	END`)}
	if s.superuser {
		list = append(list, largeObjects(r)...)
	}
	return append(list, openTo(r.owner, r)...)
}

// largeObjects takes the right to make large objects, which anybody has, from
// those who only read: they could fill the disk.
func largeObjects(r roles) []string {
	functions := strings.Join([]string{
		"lo_creat(integer)", "lo_create(oid)", "lo_from_bytea(oid, bytea)", "lo_put(oid, bigint, bytea)", "lowrite(integer, bytea)",
	}, ", ")
	return []string{
		"REVOKE EXECUTE ON FUNCTION " + functions + " FROM PUBLIC",
		"GRANT EXECUTE ON FUNCTION " + functions + " TO " + ident(r.owner) + ", " + ident(r.writer),
	}
}

// openTo opens what a role will make in the database to the groups, in every
// schema.
func openTo(role string, r roles) []string {
	var list []string
	grant := func(rights, on, to string) {
		list = append(list, fmt.Sprintf("ALTER DEFAULT PRIVILEGES FOR ROLE %s GRANT %s ON %s TO %s", ident(role), rights, on, to))
	}
	w, rd := ident(r.writer), ident(r.reader)
	grant("USAGE", "SCHEMAS", w+", "+rd)
	grant("SELECT", "TABLES", rd)
	grant("SELECT, INSERT, UPDATE, DELETE", "TABLES", w)
	grant("SELECT", "SEQUENCES", rd)
	grant("ALL", "SEQUENCES", w)
	if role != r.owner {
		for _, on := range []string{"SCHEMAS", "TABLES", "SEQUENCES", "FUNCTIONS", "TYPES"} {
			grant("ALL", on, ident(r.owner))
		}
	}
	return list
}

// DropDatabase drops the database and its groups. Its logins stay, without
// rights, until they are dropped.
func (s *server) DropDatabase(ctx context.Context, name string) error {
	if checkDatabase(name) != nil {
		return nil
	}
	return s.explain(ctx, s.dropDatabase(ctx, name))
}

func (s *server) dropDatabase(ctx context.Context, name string) error {
	s.leave()
	s.made = ""
	p, err := s.look(ctx, name, "")
	if err != nil {
		return err
	}
	if p.exists {
		if !p.ours() {
			return taken("database", name)
		}
		if err := s.main.exec(ctx, "DROP DATABASE IF EXISTS "+ident(name)+" WITH (FORCE)"); err != nil {
			return err
		}
	}
	var gone []string
	for _, role := range append(p.all(), p.tools...) {
		if p.isGroup(role) || !p.has(role) {
			gone = append(gone, role)
		}
	}
	return s.dropRoles(ctx, gone)
}

// dropRoles drops roles. What still depends on them goes too: rights that were
// given to them by hand, in whatever database.
func (s *server) dropRoles(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	list := idents(names)
	err := s.main.exec(ctx, "DROP ROLE IF EXISTS "+list)
	if state(err) != dependents {
		return err
	}
	places, err := s.placesOf(ctx, names)
	if err != nil {
		return err
	}
	for _, place := range places {
		if err := s.within(ctx, place, "DROP OWNED BY "+list); err != nil {
			return err
		}
	}
	return s.main.exec(ctx, "DROP ROLE IF EXISTS "+list)
}

// placesOf lists the databases where something depends on roles. Rights on
// databases and the like can be taken back from anywhere.
func (s *server) placesOf(ctx context.Context, names []string) (places []string, err error) {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = literal(n)
	}
	query := `SELECT DISTINCT coalesce(b.datname, current_database()) FROM pg_shdepend s
		LEFT JOIN pg_database b ON b.oid = s.dbid
		WHERE s.refclassid = 'pg_authid'::regclass
		AND s.refobjid IN (SELECT oid FROM pg_roles WHERE rolname IN (` + strings.Join(quoted, ", ") + `)) ORDER BY 1`
	err = s.main.rows(ctx, query, func(r *sql.Rows) error {
		var name string
		err := r.Scan(&name)
		places = append(places, name)
		return err
	})
	return places, err
}

// idents quotes and joins names.
func idents(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = ident(n)
	}
	return strings.Join(quoted, ", ")
}

// batch joins statements, which the server runs as one transaction.
func batch(statements []string) string { return strings.Join(statements, ";\n") }

// needs is the failure of a change to a database that was not made here.
func (p *picture) needs() error {
	if !p.exists {
		return connectors.Missing(connectors.DatabaseMissing, "Database", p.database, nil)
	}
	if !p.ours() {
		return taken("database", p.database)
	}
	return nil
}

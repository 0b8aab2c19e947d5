package postgres_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/postgres"
	"github.com/backplane/backplane/testbed"
)

// house is a server with an administrator logged in.
type house struct {
	*testing.T
	connectors.DatabaseServer
	s *testbed.Postgres
}

func newHouse(t *testing.T, o testbed.PostgresOptions) *house {
	t.Helper()
	s := testbed.StartPostgres(t, o)
	return &house{t, openServer(t, adminOf(s, s.User, s.Password)), s}
}

func openServer(t *testing.T, admin config) connectors.DatabaseServer {
	t.Helper()
	server, err := openAs(t, admin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}

func openAs(t *testing.T, admin config) (connectors.DatabaseServer, error) {
	t.Helper()
	c, faults := postgres.New().Spec().Validate(admin, connectors.Env{})
	if faults != nil {
		t.Fatal(faults)
	}
	return postgres.New().Open(t.Context(), connectors.Env{}, c)
}

func (h *house) good(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func (h *house) login(database, user string, p connectors.Privilege) connectors.Login {
	h.Helper()
	l := connectors.Login{Database: database, User: user, Password: "Secret-" + user, Privilege: p}
	h.good(h.PutLogin(h.Context(), l))
	return l
}

func (h *house) enter(l connectors.Login) *client {
	h.Helper()
	s, err := logIn(h.s)(h.Context(), l)
	h.good(err)
	h.Cleanup(func() { s.Close() })
	return s.(*client)
}

// must runs statements, each by itself.
func (h *house) must(c *client, statements ...string) {
	h.Helper()
	for _, q := range statements {
		if err := c.exec(h.Context(), q); err != nil {
			h.Fatalf("%s: %v", q, err)
		}
	}
}

// never runs statements that the server must refuse for the lack of a right.
func (h *house) never(c *client, statements ...string) {
	h.Helper()
	for _, q := range statements {
		if err := c.exec(h.Context(), q); !lacksRight(err) {
			h.Errorf("%s: %v", q, err)
		}
	}
}

func TestGroupsReachEverySchemaAndKind(t *testing.T) {
	h := newHouse(t, testbed.PostgresOptions{})
	h.good(h.CreateDatabase(t.Context(), "shop"))
	writer, reader := h.login("shop", "writer", connectors.ReadWrite), h.login("shop", "reader", connectors.ReadOnly)
	owner := h.enter(h.login("shop", "owner", connectors.Owner))
	h.must(owner, "CREATE SCHEMA depot", "CREATE TABLE depot.goods (id serial, name text)", "CREATE SEQUENCE depot.numbers",
		"CREATE VIEW depot.names AS SELECT name FROM depot.goods", "CREATE MATERIALIZED VIEW depot.copy AS SELECT name FROM depot.goods",
		"CREATE TYPE depot.color AS ENUM ('red')", "CREATE FUNCTION depot.one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
		"CREATE TABLE depot.parts (id int) PARTITION BY RANGE (id)", "CREATE TABLE depot.part1 PARTITION OF depot.parts FOR VALUES FROM (0) TO (9)",
		"CREATE EXTENSION pg_trgm")
	w, r := h.enter(writer), h.enter(reader)
	h.must(w, "INSERT INTO depot.goods (name) VALUES ('tea')", "SELECT nextval('depot.numbers')", "UPDATE depot.goods SET name = 'x'",
		"DELETE FROM depot.goods", "SELECT 'red'::depot.color, depot.one()", "INSERT INTO depot.parts VALUES (1)", "CREATE TEMPORARY TABLE t (n int)",
		"SELECT lo_create(0)")
	h.never(w, "CREATE TABLE depot.mine ()", "CREATE SCHEMA mine", "ALTER TABLE depot.goods ADD more int", "DROP VIEW depot.names",
		"TRUNCATE depot.goods", "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "SET ROLE o_shop")
	h.must(r, "SELECT * FROM depot.goods", "SELECT * FROM depot.names", "SELECT * FROM depot.copy", "SELECT last_value FROM depot.numbers",
		"SELECT * FROM depot.parts", "SELECT depot.one()")
	readerCannot := []string{"INSERT INTO depot.goods (name) VALUES ('x')", "SELECT nextval('depot.numbers')", "DELETE FROM depot.parts",
		"SET ROLE o_shop", "SET ROLE w_shop", "GRANT w_shop TO reader", "CREATE TEMPORARY TABLE t (n int)", "SELECT lo_create(0)",
		"SELECT lo_from_bytea(0, 'x')"}
	h.never(r, readerCannot...)

	// The same for an owner that is frozen, whatever it does to its session.
	frozen := h.login("shop", "owner", connectors.Owner)
	frozen.Frozen = true
	h.good(h.PutLogin(t.Context(), frozen))
	h.good(h.CutSessions(t.Context(), "shop", "owner"))
	f := h.enter(frozen)
	h.must(f, "SELECT * FROM depot.goods", "SET default_transaction_read_only = off")
	h.never(f, "DELETE FROM depot.goods", "SET ROLE o_shop")
	h.must(f, "DISCARD ALL", "SET ROLE NONE")
	h.never(f, "DELETE FROM depot.goods", "SET ROLE o_shop", "CREATE TABLE mine ()", "DROP TABLE depot.goods")
}

// A session may give up the role that it began with.
func TestWhatALoginMakesInItsOwnNameIsSharedToo(t *testing.T) {
	h := newHouse(t, testbed.PostgresOptions{})
	h.good(h.CreateDatabase(t.Context(), "shop"))
	first, second := h.login("shop", "first", connectors.Owner), h.login("shop", "second", connectors.Owner)
	reader := h.enter(h.login("shop", "reader", connectors.ReadOnly))
	a, b := h.enter(first), h.enter(second)
	h.must(a, "DISCARD ALL", "SET ROLE NONE", "CREATE TABLE goods (n int)", "INSERT INTO goods VALUES (1)")
	h.must(b, "UPDATE goods SET n = 2")
	h.never(b, "ALTER TABLE goods ADD more int") // not yet: the table is the other's own
	h.must(reader, "SELECT * FROM goods")
	h.never(reader, "DELETE FROM goods")

	h.good(h.PutLogin(t.Context(), second)) // its turn
	h.must(b, "ALTER TABLE goods ADD more int")
	h.good(h.DropLogin(t.Context(), "shop", "first"))
	h.must(b, "DROP TABLE goods")
}

func TestTheOwnersSettingsDoNotHinderTheAdministrator(t *testing.T) {
	h := newHouse(t, testbed.PostgresOptions{})
	h.good(h.CreateDatabase(t.Context(), "shop"))
	l := h.login("shop", "owner", connectors.Owner)
	owner := h.enter(l)
	h.must(owner, "CREATE TABLE goods (n int)", "INSERT INTO goods VALUES (1)",
		"CREATE SCHEMA trap", "CREATE FUNCTION trap.pg_terminate_backend(int, int) RETURNS bool LANGUAGE sql AS 'SELECT false'",
		"ALTER DATABASE shop SET search_path = trap, pg_catalog", "ALTER DATABASE shop SET default_transaction_read_only = on",
		"ALTER DATABASE shop SET role = 'o_shop'", "ALTER DATABASE shop SET statement_timeout = 1", "ALTER DATABASE shop SET lock_timeout = 1",
		"ALTER DATABASE shop SET standard_conforming_strings = off")
	h.DatabaseServer = openServer(t, adminOf(h.s, h.s.User, h.s.Password))
	h.good(h.CreateDatabase(t.Context(), "shop"))
	h.login("shop", "second", connectors.Owner)
	h.good(h.PutLogin(t.Context(), l))
	var dump bytes.Buffer
	h.good(h.Dump(t.Context(), "shop", &dump))
	h.good(h.Load(t.Context(), "shop", &dump))
	h.good(h.DropLogin(t.Context(), "shop", "owner"))
	h.good(h.DropDatabase(t.Context(), "shop"))
}

// A dump holds functions of the tenant that run while it is loaded. They must
// not find the administrator's rights.
func TestALoadedDumpDoesNotRunAsTheAdministrator(t *testing.T) {
	h := newHouse(t, testbed.PostgresOptions{})
	h.good(h.CreateDatabase(t.Context(), "shop"))
	owner := h.enter(h.login("shop", "owner", connectors.Owner))
	const trojan = `CREATE FUNCTION public.grab(n int) RETURNS bool LANGUAGE plpgsql AS $$
	BEGIN
		IF n = 1 THEN RETURN true; END IF;
		BEGIN EXECUTE 'RESET ROLE'; EXECUTE 'ALTER ROLE owner SUPERUSER'; EXCEPTION WHEN OTHERS THEN NULL; END;
		BEGIN EXECUTE 'SET SESSION AUTHORIZATION postgres'; EXECUTE 'ALTER ROLE owner SUPERUSER'; EXCEPTION WHEN OTHERS THEN NULL; END;
		INSERT INTO public.log VALUES (session_user, current_user);
		RETURN true;
	END $$`
	h.must(owner, "CREATE TABLE log (session text, acting text)", trojan, "CREATE TABLE goods (n int CHECK (public.grab(n)))", "INSERT INTO goods VALUES (2)")
	h.must(owner, "TRUNCATE log")
	var dump bytes.Buffer
	h.good(h.Dump(t.Context(), "shop", &dump))
	h.good(h.Load(t.Context(), "shop", &dump))
	var who string
	h.good(h.enter(h.login("shop", "owner", connectors.Owner)).conn.QueryRowContext(t.Context(), "SELECT session FROM log").Scan(&who))
	if !strings.HasPrefix(who, "t_") {
		t.Errorf("the function ran in a session of %q", who)
	}
	if n := h.number("SELECT count(*) FROM pg_roles WHERE rolsuper AND rolname <> 'postgres'"); n != 0 {
		t.Errorf("%d roles became superusers", n)
	}
	if n := h.number("SELECT count(*) FROM pg_roles WHERE starts_with(rolname, 't_')"); n != 0 {
		t.Errorf("%d roles of tools are left", n)
	}
}

// number is what a query of the superuser gives.
func (h *house) number(query string) (n int) {
	h.Helper()
	db, err := sql.Open("postgres", h.s.AdminURL("postgres"))
	h.good(err)
	defer db.Close()
	h.good(db.QueryRowContext(h.Context(), query).Scan(&n))
	return n
}

func TestWhatIsNotOursIsLeftAlone(t *testing.T) {
	h := newHouse(t, testbed.PostgresOptions{})
	h.s.Exec(t, "CREATE ROLE handmade LOGIN PASSWORD 'x'", "CREATE ROLE o_clash NOLOGIN", "CREATE DATABASE handmade OWNER handmade")
	ctx := t.Context()
	for name, err := range map[string]error{
		"create over a database": h.CreateDatabase(ctx, "handmade"),
		"create over a role":     h.CreateDatabase(ctx, "clash"),
		"drop a database":        h.DropDatabase(ctx, "handmade"),
	} {
		if !errors.Is(err, connectors.ErrExists) || connectors.MayPass(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if has, err := h.HasDatabase(ctx, "clash"); err != nil || has {
		t.Errorf("the database whose group was taken is there: %t, %v", has, err)
	}
	h.good(h.CreateDatabase(ctx, "shop"))
	for _, user := range []string{"handmade", "o_shop", "w_shop", "o_clash"} {
		err := h.PutLogin(ctx, connectors.Login{Database: "shop", User: user, Password: "x", Privilege: connectors.Owner})
		if !errors.Is(err, connectors.ErrExists) {
			t.Errorf("take over %s: %v", user, err)
		}
		h.good(h.DropLogin(ctx, "shop", user))
		h.good(h.CutSessions(ctx, "shop", user))
		if has, err := h.HasLogin(ctx, "shop", user); err != nil || !has {
			t.Errorf("%s is gone: %v", user, err)
		}
	}
	inv, err := h.Inventory(ctx)
	h.good(err)
	if !slices.Equal(inv.Databases, []string{"handmade", "shop"}) || len(inv.Logins) != 1 || inv.Logins[0].User != "handmade" {
		t.Errorf("inventory %+v", inv)
	}
}

// Each step of a creation is made once more, as after a crash between them.
func TestHalfMadeDatabasesAreFinished(t *testing.T) {
	h := newHouse(t, testbed.PostgresOptions{})
	ctx := t.Context()
	h.good(h.CreateDatabase(ctx, "shop"))
	h.s.Exec(t, "DROP DATABASE shop WITH (FORCE)", "DROP ROLE r_shop") // the roles are there but for one
	h.good(h.CreateDatabase(ctx, "shop"))
	h.s.Exec(t, "GRANT ALL ON DATABASE shop TO PUBLIC") // not closed yet
	h.s.ExecIn(t, "shop", "ALTER DEFAULT PRIVILEGES FOR ROLE o_shop REVOKE ALL ON TABLES FROM r_shop, w_shop")
	h.good(h.CreateDatabase(ctx, "shop"))
	stranger := h.login("shop", "stranger", connectors.Owner)
	h.good(h.CreateDatabase(ctx, "other"))
	reader := h.login("shop", "reader", connectors.ReadOnly)
	h.must(h.enter(stranger), "CREATE TABLE goods (n int)")
	h.must(h.enter(reader), "SELECT * FROM goods")
	stranger.Database = "other"
	if s, err := logIn(h.s)(ctx, stranger); err == nil {
		s.Close()
		t.Error("the other database is open")
	}
	h.s.Exec(t, "DROP DATABASE other WITH (FORCE)", "DROP ROLE o_other") // half dropped
	h.good(h.DropDatabase(ctx, "other"))
	h.good(h.CreateDatabase(ctx, "other"))
	if n := h.number("SELECT count(*) FROM pg_roles WHERE rolname IN ('o_other', 'w_other', 'r_other')"); n != 3 {
		t.Errorf("%d groups", n)
	}
}

// A template that came from an older version lets everybody make something.
func TestAnOldTemplateIsClosed(t *testing.T) {
	h := newHouse(t, testbed.PostgresOptions{})
	h.s.ExecIn(t, "template1", "ALTER SCHEMA public OWNER TO postgres", "GRANT CREATE ON SCHEMA public TO PUBLIC")
	h.s.Exec(t, "CREATE ROLE landlord LOGIN CREATEROLE CREATEDB PASSWORD 'x'")
	h.good(h.CreateDatabase(t.Context(), "shop"))
	h.must(h.enter(h.login("shop", "owner", connectors.Owner)), "CREATE TABLE goods ()", "DROP SCHEMA public CASCADE")
	h.good(h.CreateDatabase(t.Context(), "shop"))
	h.good(h.CreateDatabase(t.Context(), "other"))
	h.never(h.enter(h.login("other", "reader", connectors.ReadOnly)), "CREATE TABLE goods ()")
	weak := openServer(t, adminOf(h.s, "landlord", "x"))
	if err := weak.CreateDatabase(t.Context(), "third"); err == nil {
		t.Error("an administrator who cannot close the schema made a database")
	}
}

func TestRightsGivenByHandDoNotHoldALogin(t *testing.T) {
	h := newHouse(t, testbed.PostgresOptions{})
	ctx := t.Context()
	h.good(h.CreateDatabase(ctx, "shop"))
	h.good(h.CreateDatabase(ctx, "other"))
	h.login("shop", "guest", connectors.ReadOnly)
	h.must(h.enter(h.login("other", "host", connectors.Owner)), "CREATE TABLE goods (n int)", "GRANT SELECT ON goods TO guest",
		"GRANT CONNECT ON DATABASE other TO guest", "CREATE SCHEMA theirs AUTHORIZATION o_other", "GRANT CREATE ON SCHEMA theirs TO guest", "GRANT USAGE ON SCHEMA public TO r_shop")
	h.must(h.enter(connectors.Login{Database: "other", User: "guest", Password: "Secret-guest"}), "SELECT * FROM goods")
	h.good(h.DropLogin(ctx, "shop", "guest"))
	h.good(h.DropDatabase(ctx, "shop"))
	if n := h.number("SELECT count(*) FROM pg_roles WHERE rolname IN ('guest', 'r_shop')"); n != 0 {
		t.Errorf("%d roles are left", n)
	}
}

func TestPasswordsStayOutOfTheServersLog(t *testing.T) {
	h := newHouse(t, testbed.PostgresOptions{Settings: []string{"log_statement=all", "log_min_error_statement=error"}})
	h.good(h.CreateDatabase(t.Context(), "shop"))
	l := h.login("shop", "owner", connectors.Owner)
	h.good(h.PutLogin(t.Context(), l))
	h.enter(l)
	log := h.s.Log()
	if !strings.Contains(log, "CREATE ROLE") || strings.Contains(log, l.Password) {
		t.Errorf("the log holds no statement, or the password:\n%s", log)
	}
}

func TestWhatAnAdministratorLacks(t *testing.T) {
	h := newHouse(t, testbed.PostgresOptions{})
	h.s.Exec(t, "CREATE ROLE weak LOGIN PASSWORD 'x'")
	weak := openServer(t, adminOf(h.s, "weak", "x"))
	facts, err := weak.About(t.Context())
	h.good(err)
	if !slices.Equal(facts.Lacks, []string{"CREATEROLE", "CREATEDB"}) || facts.Version == "" {
		t.Errorf("got %+v", facts)
	}
	err = weak.CreateDatabase(t.Context(), "shop")
	var f *connectors.Failure
	if !errors.As(err, &f) || f.Code != connectors.PermissionDenied || connectors.MayPass(err) {
		t.Errorf("got %v", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	h := newHouse(t, testbed.PostgresOptions{})
	admin := adminOf(h.s, h.s.User, h.s.Password)
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			if err := oneOfMany(t, admin, fmt.Sprintf("shop%d", i)); err != nil {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	all.Wait()
	if n := h.number("SELECT count(*) FROM pg_roles WHERE NOT starts_with(rolname, 'pg_')"); n != 1 {
		t.Errorf("%d roles are left", n)
	}
}

func oneOfMany(t *testing.T, admin config, name string) error {
	server, err := openAs(t, admin)
	if err != nil {
		return err
	}
	defer server.Close()
	return errors.Join(
		server.CreateDatabase(t.Context(), name),
		server.PutLogin(t.Context(), connectors.Login{Database: name, User: "u_" + name, Password: "x", Privilege: connectors.Owner}),
		server.DropLogin(t.Context(), name, "u_"+name),
		server.DropDatabase(t.Context(), name))
}

func TestToolsThatAreNotInstalled(t *testing.T) {
	h := newHouse(t, testbed.PostgresOptions{})
	h.good(h.CreateDatabase(t.Context(), "shop"))
	t.Setenv("PATH", t.TempDir())
	var out bytes.Buffer
	for name, err := range map[string]error{"dump": h.Dump(t.Context(), "shop", &out), "load": h.Load(t.Context(), "shop", &out)} {
		if !errors.Is(err, connectors.ErrToolMissing) || connectors.MayPass(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A server that stops answering is left when the context ends.
func TestACallEndsWithItsContext(t *testing.T) {
	h := newHouse(t, testbed.PostgresOptions{})
	h.good(h.CreateDatabase(t.Context(), "shop"))
	h.login("shop", "owner", connectors.Owner)
	db, err := sql.Open("postgres", h.s.AdminURL("postgres"))
	h.good(err)
	defer db.Close()
	hold, err := db.BeginTx(t.Context(), nil)
	h.good(err)
	defer hold.Rollback()
	_, err = hold.ExecContext(t.Context(), "LOCK TABLE pg_catalog.pg_authid IN ACCESS EXCLUSIVE MODE")
	h.good(err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.DropLogin(ctx, "shop", "owner") }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	h.good(hold.Rollback())
	h.good(h.DropLogin(t.Context(), "shop", "owner"))
}

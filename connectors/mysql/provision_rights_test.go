package mysql_test

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/mysql"
	"github.com/backplane/backplane/testbed"
)

// bench is a MariaDB server with an administrator logged in.
type bench struct {
	*testing.T
	maria  *testbed.MariaDB
	server connectors.DatabaseServer
	ctx    context.Context
}

func newBench(t *testing.T, maria *testbed.MariaDB, change config) *bench {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	b := &bench{T: t, maria: maria, ctx: ctx}
	b.server = b.open(change)
	return b
}

func TestProvisioning(t *testing.T) {
	maria := testbed.StartMariaDB(t, testbed.MariaDBOptions{})
	for _, c := range []struct {
		name string
		run  func(b *bench)
	}{
		{"rights", rights},
		{"accounts of others are left alone", accountsOfOthersAreLeftAlone},
		{"a database that everybody reaches", databaseThatEverybodyReaches},
		{"an administrator that lacks rights", administratorThatLacksRights},
		{"dropping a database during a transaction", dropDatabaseDuringTransaction},
		{"what a login defined stays in use", whatALoginDefinedStaysInUse},
		{"a broken view keeps no login", brokenViewKeepsNoLogin},
		{"triggers keep their order", triggersKeepTheirOrder},
		{"a dump of what is hard to quote", dumpOfWhatIsHardToQuote},
		{"a load of a hostile dump", loadOfAHostileDump},
		{"part of a dump is refused", partOfADumpIsRefused},
		{"a dump leaves broken views out", dumpLeavesBrokenViewsOut},
		{"programs that are missing", programsThatAreMissing},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, maria, nil)
			t.Cleanup(b.clear)
			c.run(b)
		})
	}
}

// clear removes all that a test made.
func (b *bench) clear() {
	for _, name := range b.ask("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')") {
		b.maria.Exec(b.T, "DROP DATABASE `"+name+"`")
	}
	for _, user := range b.ask("SELECT User FROM mysql.user WHERE Host = '%'") {
		b.maria.Exec(b.T, "DROP USER '"+user+"'")
	}
	b.maria.Exec(b.T, "DROP ROLE IF EXISTS helper", "DELETE FROM db WHERE User = ''", "FLUSH PRIVILEGES")
}

func (b *bench) open(change config) connectors.DatabaseServer {
	b.Helper()
	server, err := b.tryOpen(change)
	b.good(err)
	b.Cleanup(func() { server.Close() })
	return server
}

func (b *bench) tryOpen(change config) (connectors.DatabaseServer, error) {
	b.Helper()
	raw := admin(b.maria)
	for k, v := range change {
		raw[k] = v
	}
	c, faults := mysql.New().Spec().Validate(raw, connectors.Env{})
	if len(faults) > 0 {
		b.Fatalf("configuration refused: %+v", faults)
	}
	return mysql.New().Open(b.ctx, connectors.Env{}, c)
}

func (b *bench) good(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// fails wants a failure with a code.
func (b *bench) fails(err error, want connectors.Code) {
	b.Helper()
	var f *connectors.Failure
	if !errors.As(err, &f) || f.Code != want {
		b.Errorf("got %v, want %s", err, want)
	}
}

func (b *bench) login(database, user string, p connectors.Privilege) connectors.Login {
	b.Helper()
	l := connectors.Login{Database: database, User: user, Password: "Secret-" + user, Privilege: p}
	b.good(b.server.PutLogin(b.ctx, l))
	return l
}

func (b *bench) enter(l connectors.Login) *tenant {
	b.Helper()
	s, err := enter(b.ctx, b.maria, l)
	b.good(err)
	b.Cleanup(func() { s.Close() })
	return s
}

// run runs statements in a session, all of which must pass.
func (b *bench) run(s *tenant, statements ...string) {
	b.Helper()
	for _, q := range statements {
		if err := s.exec(b.ctx, q); err != nil {
			b.Fatalf("%s: %v", q, err)
		}
	}
}

// ask reads the only column of a query as the administrator.
func (b *bench) ask(query string, args ...any) []string {
	b.Helper()
	db, err := sql.Open("mysql", b.maria.AdminURL("mysql"))
	b.good(err)
	defer db.Close()
	rows, err := db.QueryContext(b.ctx, query, args...)
	if err != nil {
		b.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		b.good(rows.Scan(&s))
		out = append(out, s)
	}
	b.good(rows.Err())
	return out
}

func (b *bench) wantGrants(user string, want ...string) {
	b.Helper()
	var got []string
	for _, line := range b.ask("SHOW GRANTS FOR '" + user + "'@'%'") {
		if !strings.HasPrefix(line, "GRANT USAGE") {
			line, _, _ = strings.Cut(line, " TO ")
			got = append(got, strings.TrimPrefix(line, "GRANT "))
		}
	}
	if !slices.Equal(got, want) {
		b.Errorf("%s has %q, want %q", user, got, want)
	}
}

func rights(b *bench) {
	b.good(b.server.CreateDatabase(b.ctx, "my_shop"))
	b.good(b.server.CreateDatabase(b.ctx, "other"))
	const (
		write = "SELECT, INSERT, UPDATE, DELETE, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, SHOW VIEW ON `my\\_shop`.*"
		read  = "SELECT, SHOW VIEW ON `my\\_shop`.*"
		all   = "ALL PRIVILEGES ON `my\\_shop`.*"
	)
	l := b.login("my_shop", "u_shop", connectors.Owner)
	b.wantGrants("u_shop", all)
	b.run(b.enter(l), "CREATE TABLE goods (k INT)", "CREATE PROCEDURE p() INSERT INTO goods VALUES (1)")

	steps := []struct {
		privilege connectors.Privilege
		frozen    bool
		want      string
	}{
		{connectors.ReadOnly, false, read}, {connectors.Owner, false, all}, {connectors.ReadWrite, false, write},
		{connectors.ReadWrite, true, read}, {connectors.ReadWrite, false, write}, {connectors.ReadOnly, true, read},
		{connectors.Owner, true, "SELECT, REFERENCES, SHOW VIEW ON `my\\_shop`.*"}, {connectors.Owner, false, all},
	}
	for _, step := range steps {
		l.Privilege, l.Frozen = step.privilege, step.frozen
		b.good(b.server.PutLogin(b.ctx, l))
		b.wantGrants("u_shop", step.want)
	}

	// What somebody gave besides is taken again, without a moment in which a
	// session lacks what it should have.
	b.maria.Exec(b.T, "CREATE ROLE helper", "GRANT helper TO u_shop", "GRANT SELECT ON other.* TO u_shop WITH GRANT OPTION",
		"GRANT PROCESS ON *.* TO u_shop", "GRANT ALL ON my_shop.* TO u_shop", "GRANT INSERT (k) ON my_shop.goods TO u_shop",
		"GRANT EXECUTE ON PROCEDURE my_shop.p TO u_shop", "GRANT ALL ON `my\\_shop`.* TO u_shop WITH GRANT OPTION")
	l.Privilege = connectors.ReadOnly
	b.good(b.server.PutLogin(b.ctx, l))
	b.wantGrants("u_shop", read)
	b.good(b.server.DropDatabase(b.ctx, "my_shop"))
	b.wantGrants("u_shop")
}

func accountsOfOthersAreLeftAlone(b *bench) {
	b.good(b.server.CreateDatabase(b.ctx, "shop"))
	b.maria.Exec(b.T, "CREATE USER watcher IDENTIFIED BY 'x'", "GRANT PROCESS ON *.* TO watcher", "CREATE DATABASE theirs",
		"CREATE USER guest IDENTIFIED BY 'x'", "GRANT SELECT ON theirs.* TO guest", "CREATE USER root IDENTIFIED BY 'x'")
	for _, user := range []string{"watcher", "guest", "root"} {
		err := b.server.PutLogin(b.ctx, connectors.Login{Database: "shop", User: user, Password: "Secret-1", Privilege: connectors.Owner})
		if !errors.Is(err, connectors.ErrExists) {
			b.Errorf("%s was taken over: %v", user, err)
		}
		b.server.DropLogin(b.ctx, "shop", user)
		if n := b.ask("SELECT COUNT(*) FROM mysql.user WHERE User = ? AND Host = '%'", user); n[0] != "1" {
			b.Errorf("%s was dropped", user)
		}
	}
	for _, name := range []string{"mysql", "sys", "MySQL"} {
		if err := b.server.DropDatabase(b.ctx, name); !errors.Is(err, connectors.ErrExists) {
			b.Errorf("dropping %s: %v", name, err)
		}
		if err := b.server.CreateDatabase(b.ctx, name); !errors.Is(err, connectors.ErrExists) {
			b.Errorf("creating %s: %v", name, err)
		}
	}
}

// Servers that were set up with a test database give everybody all rights on
// databases that begin with test_.
func databaseThatEverybodyReaches(b *bench) {
	b.maria.Exec(b.T, "INSERT INTO db (Host, Db, User, Select_priv) VALUES ('%', 'test\\_%', '', 'Y')", "FLUSH PRIVILEGES")
	b.fails(b.server.CreateDatabase(b.ctx, "test_database2"), connectors.PermissionDenied)
	if got, err := b.server.HasDatabase(b.ctx, "test_database2"); got || err != nil {
		b.Errorf("the database is there: %t, %v", got, err)
	}
	b.good(b.server.CreateDatabase(b.ctx, "testing"))
	long := strings.Repeat("a_", 22) // 44 characters, and 66 with escapes
	b.fails(b.server.CreateDatabase(b.ctx, long), connectors.InvalidConfig)
}

func administratorThatLacksRights(b *bench) {
	b.maria.Exec(b.T, "CREATE USER clerk IDENTIFIED BY 'x'", "GRANT SELECT, CREATE, DROP, CREATE USER ON *.* TO clerk")
	clerk := b.open(config{"username": "clerk", "password": "x"})
	facts, err := clerk.About(b.ctx)
	b.good(err)
	for _, right := range []string{"PROCESS", "GRANT OPTION", "CONNECTION ADMIN", "SET USER", "INSERT"} {
		if !slices.Contains(facts.Lacks, right) {
			b.Errorf("%s is not missed: %q", right, facts.Lacks)
		}
	}
	for _, right := range []string{"SELECT", "CREATE", "CREATE USER"} {
		if slices.Contains(facts.Lacks, right) {
			b.Errorf("%s is missed: %q", right, facts.Lacks)
		}
	}
	b.good(clerk.CreateDatabase(b.ctx, "shop"))
	b.fails(clerk.PutLogin(b.ctx, connectors.Login{Database: "shop", User: "u_shop", Password: "Secret-1", Privilege: connectors.Owner}), connectors.PermissionDenied)
}

// A transaction holds the tables that it has read, and DROP would wait for it.
func dropDatabaseDuringTransaction(b *bench) {
	b.good(b.server.CreateDatabase(b.ctx, "shop"))
	l := b.login("shop", "u_shop", connectors.Owner)
	s := b.enter(l)
	b.run(s, "CREATE TABLE goods (k INT)")
	elsewhere := l
	elsewhere.Database = "" // no database chosen, tables named in full
	for _, who := range []*tenant{s, b.enter(elsewhere)} {
		b.run(who, "START TRANSACTION", "INSERT INTO shop.goods VALUES (1)")
	}
	b.good(b.server.DropDatabase(b.ctx, "shop"))
	if there, err := b.server.HasDatabase(b.ctx, "shop"); there || err != nil {
		b.Errorf("still there: %t, %v", there, err)
	}
}

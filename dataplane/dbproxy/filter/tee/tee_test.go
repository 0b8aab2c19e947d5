package tee_test

import (
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"github.com/go-sql-driver/mysql"
	"go.uber.org/goleak"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/filter/tee"
	"github.com/backplane/backplane/dataplane/dbproxy/proxytest"
	"github.com/backplane/backplane/dataplane/dbproxy/readconn"
	"github.com/backplane/backplane/testbed"
)

// The regular expressions have a clock that runs while they are used.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/dlclark/regexp2.runClock"))
}

// start starts a proxy whose service uses the first server, and copies to
// target: the second server, or one of the services copies and loop.
func start(t *testing.T, servers []*testbed.MariaDB, params map[string]any) *proxytest.Proxy {
	t.Helper()
	p := proxytest.Start(t, proxytest.Options{
		Modules: dbproxy.Modules{
			Routers: map[string]dbproxy.RouterModule{"readconnroute": readconn.Module()},
			Filters: map[string]dbproxy.FilterModule{"tee": tee.Module()},
		},
		Servers: servers, Service: map[string]any{"router_options": "master"},
		Filters: []proxytest.Filter{{Name: "tee", Module: "tee", Params: params}},
	})
	for name, filters := range map[string][]string{"copies": nil, "loop": {"tee"}} {
		c := p.Config.Services[0]
		c.Name, c.Servers, c.Filters = name, []string{"server2"}, filters
		c.Params = proxytest.Parse(t, c.Params.Specs(), map[string]any{"user": servers[0].User, "password": servers[0].Password})
		p.Config.Services = append(p.Config.Services, c)
	}
	p.Apply(t, p.Config)
	return p
}

// rows is how many rows a table of the second server has.
func rows(t *testing.T, server *testbed.MariaDB, table string) int {
	t.Helper()
	db, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(127.0.0.1:%d)/db", server.User, server.Password, server.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func exec(t *testing.T, c *sql.Conn, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := c.ExecContext(t.Context(), s); err != nil {
			t.Fatal(s, err)
		}
	}
}

func client(t *testing.T, p *proxytest.Proxy, database string) *sql.Conn {
	t.Helper()
	c, err := p.Open(t, "app", "secret", database, nil).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestWithMariaDB(t *testing.T) {
	servers := []*testbed.MariaDB{testbed.StartMariaDB(t, testbed.MariaDBOptions{}), testbed.StartMariaDB(t, testbed.MariaDBOptions{})}
	for _, s := range servers {
		s.Exec(t, "CREATE DATABASE db", "CREATE DATABASE other", "CREATE USER app@'127.0.0.1' IDENTIFIED BY 'secret'", "GRANT ALL ON *.* TO app@'127.0.0.1'")
	}
	fresh := func(t *testing.T) {
		for _, s := range servers {
			s.Exec(t, "CREATE OR REPLACE TABLE db.t (a INT)", "CREATE OR REPLACE TABLE other.t (a INT)")
		}
	}
	for _, target := range []string{"server2", "copies"} {
		t.Run(target, func(t *testing.T) { fresh(t); testCopies(t, servers, target) })
	}
	t.Run("match", func(t *testing.T) { fresh(t); testMatch(t, servers) })
	t.Run("commands", func(t *testing.T) { fresh(t); testCommands(t, servers) })
	t.Run("sync", func(t *testing.T) { fresh(t); testSync(t, servers) })
	t.Run("failures", func(t *testing.T) { fresh(t); testFailures(t, servers) })
	t.Run("loops", func(t *testing.T) { fresh(t); testLoops(t, servers) })
}

func testCopies(t *testing.T, servers []*testbed.MariaDB, target string) {
	p := start(t, servers, map[string]any{"target": target})
	c := client(t, p, "db")
	for i := range 300 {
		exec(t, c, fmt.Sprintf("INSERT INTO t VALUES (%d)", i))
	}
	exec(t, c, "USE other", "INSERT INTO t VALUES (1)", "BEGIN", "INSERT INTO t VALUES (2)", "ROLLBACK")
	if _, err := c.ExecContext(t.Context(), "INSERT INTO t VALUES (?)", 3); err != nil { // prepared
		t.Fatal(err)
	}
	exec(t, c, "INSERT INTO t VALUES (4)")
	c.Close() // what waits is sent all the same
	proxytest.Eventually(t, "the copies", func() bool { return rows(t, servers[1], "db.t") == 300 && rows(t, servers[1], "other.t") == 2 })
	if n := rows(t, servers[0], "other.t"); n != 3 {
		t.Error(n)
	}
}

func testMatch(t *testing.T, servers []*testbed.MariaDB) {
	p := start(t, servers, map[string]any{"target": "server2", "match": "insert.*into", "exclude": "no"})
	c := client(t, p, "db")
	exec(t, c, "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2) -- no", "DELETE FROM t", "USE other", "INSERT INTO t VALUES (3)")
	proxytest.Eventually(t, "the copies", func() bool { return rows(t, servers[1], "other.t") == 1 })
	if n := rows(t, servers[1], "db.t"); n != 1 {
		t.Error(n)
	}
	elsewhere := start(t, servers, map[string]any{"target": "server2", "user": "somebody"})
	exec(t, client(t, elsewhere, "db"), "INSERT INTO t VALUES (5)")
	if f, _ := elsewhere.Filter("tee"); f.Diagnostics()["copied"] != int64(0) {
		t.Error(f.Diagnostics())
	}
}

func testCommands(t *testing.T, servers []*testbed.MariaDB) {
	p := start(t, servers, map[string]any{"target": "server2"})
	f, _ := p.Filter("tee")
	c := client(t, p, "db")
	run := func(i int) {
		t.Helper()
		if _, err := tee.Module().Commands[i].Run(t.Context(), []any{f}); err != nil {
			t.Fatal(err)
		}
	}
	run(1)
	exec(t, c, "INSERT INTO t VALUES (1)")
	if f.Diagnostics()["enabled"] != false {
		t.Error(f.Diagnostics())
	}
	run(0)
	exec(t, c, "INSERT INTO t VALUES (2)", "INSERT INTO other.t VALUES (3)")
	proxytest.Eventually(t, "the copies", func() bool { return rows(t, servers[1], "other.t") == 1 })
	if n := rows(t, servers[1], "db.t"); n != 1 {
		t.Error(n)
	}
}

func testSync(t *testing.T, servers []*testbed.MariaDB) {
	p := start(t, servers, map[string]any{"target": "copies", "sync": true})
	c := client(t, p, "db")
	for i := range 5 {
		exec(t, c, fmt.Sprintf("INSERT INTO t VALUES (%d)", i), "DO 1")
		if n := rows(t, servers[1], "db.t"); n != i+1 {
			t.Errorf("%d, not %d", n, i+1)
		}
	}
	// What a server refuses is no failure of the branch.
	servers[1].Exec(t, "DROP TABLE db.t")
	exec(t, c, "INSERT INTO t VALUES (1)", "DO 1", "DO 2")
	p.Backend(t, 1).SetStatus(dbproxy.Maintenance, dbproxy.Running)
	servers[1].Exec(t, "KILL USER app")
	var last error
	for range 3 {
		if _, err := c.ExecContext(t.Context(), "DO 1"); err != nil {
			last = err
		}
	}
	if last == nil {
		t.Error("the session goes on without its copies")
	}
}

func testFailures(t *testing.T, servers []*testbed.MariaDB) {
	p := start(t, servers, map[string]any{"target": "server2"})
	c := client(t, p, "db")
	exec(t, c, "INSERT INTO t VALUES (1)")
	proxytest.Eventually(t, "the copy", func() bool { return rows(t, servers[1], "db.t") == 1 })
	servers[1].Exec(t, "KILL USER app")
	f, _ := p.Filter("tee")
	proxytest.Eventually(t, "the failure of the branch", func() bool {
		exec(t, c, "INSERT INTO t VALUES (2)")
		return f.Diagnostics()["failed_branches"] == int64(1)
	})
	for i := range 1000 { // more than wait for a branch
		exec(t, c, fmt.Sprintf("SET @a = %d", i))
	}
	nowhere := start(t, servers, map[string]any{"target": "nothing"})
	exec(t, client(t, nowhere, "db"), "INSERT INTO t VALUES (3)")
	nowhere = start(t, servers, map[string]any{"target": "nothing", "sync": true})
	_, err := nowhere.Open(t, "app", "secret", "db", nil).Conn(t.Context())
	var me *mysql.MySQLError
	if !errors.As(err, &me) || me.Number != 1105 {
		t.Error("a session begins without its copies:", err)
	}
}

// A service whose copies come back to it does not fork for ever.
func testLoops(t *testing.T, servers []*testbed.MariaDB) {
	p := start(t, servers, map[string]any{"target": "loop"})
	c := client(t, p, "db")
	exec(t, c, "INSERT INTO t VALUES (1)")
	proxytest.Eventually(t, "the copy", func() bool { return rows(t, servers[1], "db.t") == 1 })
	if f, _ := p.Filter("tee"); f.Diagnostics()["failed_branches"] == int64(0) {
		t.Error(f.Diagnostics())
	}
}

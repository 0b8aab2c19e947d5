package rwsplit

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"
	"go.uber.org/goleak"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/proxytest"
	"github.com/backplane/backplane/testbed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(suite{m}) }

// suite ends the servers that the tests share before it is looked for leaks.
type suite struct{ *testing.M }

func (s suite) Run() int {
	code := s.M.Run()
	for i := len(shared.cleanups) - 1; i >= 0; i-- {
		shared.cleanups[i]()
	}
	return code
}

// shared is the servers that most tests use: a master and two replicas that
// refuse writes.
var shared sharedServers

type sharedServers struct {
	once     sync.Once
	cluster  *testbed.MariaDBCluster
	cleanups []func()
}

func (s *sharedServers) Helper() {}
func (s *sharedServers) Logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
func (s *sharedServers) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (s *sharedServers) Cleanup(f func())                  { s.cleanups = append(s.cleanups, f) }

func servers(t testing.TB) *testbed.MariaDBCluster {
	t.Helper()
	shared.once.Do(func() {
		shared.cluster = testbed.StartMariaDBCluster(&shared, testbed.ClusterOptions{ReadOnly: true})
		shared.cluster.Servers[0].ExecIn(&shared, "app", "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, a INT)", "CREATE SEQUENCE s",
			"CREATE FUNCTION f() RETURNS INT NO SQL RETURN @@server_id", "CREATE PROCEDURE p() SELECT @@server_id", "INSERT INTO t (a) VALUES (1), (2), (3)")
	})
	shared.cluster.WaitReplicated(t)
	return shared.cluster
}

var modules = dbproxy.Modules{Routers: map[string]dbproxy.RouterModule{"readwritesplit": Module()}}

// start starts a proxy in front of the shared servers.
func start(t testing.TB, params map[string]any, change ...func(*proxytest.Options)) *proxytest.Proxy {
	t.Helper()
	o := proxytest.Options{Modules: modules, Servers: servers(t).Servers, Router: "readwritesplit", Service: params}
	for _, f := range change {
		f(&o)
	}
	return proxytest.Start(t, o)
}

// client is one session of the application.
type client struct {
	*sql.Conn
	t testing.TB
}

func connect(t testing.TB, p *proxytest.Proxy, change ...func(*mysql.Config)) *client {
	t.Helper()
	c, err := dial(t, p, change...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func dial(t testing.TB, p *proxytest.Proxy, change ...func(*mysql.Config)) (*client, error) {
	t.Helper()
	db := p.Open(t, testbed.ClusterApp, testbed.ClusterAppPassword, testbed.ClusterDatabase, func(c *mysql.Config) {
		for _, f := range change {
			f(c)
		}
	})
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(t.Context())
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.Close() })
	return &client{conn, t}, nil
}

// exec runs statements that must go well.
func (c *client) exec(statements ...string) {
	c.t.Helper()
	for _, s := range statements {
		if _, err := c.ExecContext(c.t.Context(), s); err != nil {
			c.t.Fatalf("%s: %v", s, err)
		}
	}
}

// value is the first column of the first row.
func (c *client) value(statement string, args ...any) string {
	c.t.Helper()
	v, err := c.try(statement, args...)
	if err != nil {
		c.t.Fatalf("%s: %v", statement, err)
	}
	return v
}

func (c *client) try(statement string, args ...any) (string, error) {
	var v sql.NullString
	ctx, cancel := context.WithTimeout(c.t.Context(), proxytest.Patience)
	defer cancel()
	err := c.QueryRowContext(ctx, statement, args...).Scan(&v)
	return v.String, err
}

// expect wants the first column of the first row to be this.
func (c *client) expect(want, statement string, args ...any) {
	c.t.Helper()
	if got := c.value(statement, args...); got != want {
		c.t.Fatalf("%s: %q, want %q", statement, got, want)
	}
}

// read is a server that answers a read.
func (c *client) read() string {
	c.t.Helper()
	return c.value("SELECT @@server_id")
}

// reads are the servers that some reads went to.
func (c *client) reads(n int) map[string]int {
	c.t.Helper()
	seen := map[string]int{}
	for range n {
		seen[c.read()]++
	}
	return seen
}

// code is the number of a server's error, 0 for another.
func code(err error) uint16 {
	if e, ok := err.(*mysql.MySQLError); ok {
		return e.Number
	}
	return 0
}

// killed cuts the sessions of the application on a server.
func killed(t testing.TB, s *testbed.MariaDB) {
	t.Helper()
	s.Exec(t, "KILL USER app")
	s.Await(t, "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'app'", "0")
	// A connection leaves the list a little before it is closed.
	s.Await(t, `SELECT (SELECT VARIABLE_VALUE FROM information_schema.global_status WHERE VARIABLE_NAME = 'THREADS_CONNECTED') - COUNT(*)
		FROM information_schema.processlist WHERE user <> 'system user' AND user <> 'event_scheduler'`, "0")
}

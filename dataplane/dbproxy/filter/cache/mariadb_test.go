package cache_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/filter/cache"
	"github.com/backplane/backplane/dataplane/dbproxy/proxytest"
	"github.com/backplane/backplane/dataplane/dbproxy/readconn"
	"github.com/backplane/backplane/testbed"
)

func start(t *testing.T, server *testbed.MariaDB, params map[string]any) *proxytest.Proxy {
	t.Helper()
	return proxytest.Start(t, proxytest.Options{
		Modules: dbproxy.Modules{
			Routers: map[string]dbproxy.RouterModule{"readconnroute": readconn.Module()},
			Filters: map[string]dbproxy.FilterModule{"cache": cache.Module()},
		},
		Servers: []*testbed.MariaDB{server},
		Filters: []proxytest.Filter{{Name: "cache", Module: "cache", Params: params}},
	})
}

// client is one session.
func client(t *testing.T, p *proxytest.Proxy, database string) *sql.Conn {
	t.Helper()
	c, err := p.Open(t, "app", "secret", database, func(c *mysql.Config) { c.InterpolateParams = true }).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func exec(t *testing.T, c *sql.Conn, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := c.ExecContext(t.Context(), s); err != nil {
			t.Fatal(s, err)
		}
	}
}

func query(t *testing.T, c interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}, text string, args ...any,
) (got string) {
	t.Helper()
	if err := c.QueryRowContext(t.Context(), text, args...).Scan(&got); err != nil {
		t.Fatal(text, err)
	}
	return got
}

func TestWithMariaDB(t *testing.T) {
	server := testbed.StartMariaDB(t, testbed.MariaDBOptions{})
	server.Exec(t, "CREATE DATABASE db", "CREATE DATABASE other", "CREATE TABLE db.t (a MEDIUMTEXT)", "CREATE TABLE other.t (a INT)",
		"CREATE TABLE db.u (a INT)", "INSERT INTO db.u VALUES (1), (2)",
		"INSERT INTO db.t VALUES ('one')", "INSERT INTO other.t VALUES (5)", "CREATE USER app@'127.0.0.1' IDENTIFIED BY 'secret'", "GRANT ALL ON *.* TO app@'127.0.0.1'")
	e := &env{server: server}
	t.Run("shared", e.shared)
	t.Run("large", e.large)
	t.Run("invalidation", e.invalidation)
	for mode, want := range map[string]string{"all_transactions": "one one two", "read_only_transactions": "one two two", "never": "two two two"} {
		t.Run(mode, func(t *testing.T) { e.transactions(t, mode, want) })
	}
	t.Run("users", e.users)
}

const sel = "SELECT a FROM t"

type env struct{ server *testbed.MariaDB }

// renew changes the table behind the proxy's back.
func (e *env) renew(t *testing.T, value string) {
	t.Helper()
	e.server.Exec(t, "UPDATE db.t SET a = '"+value+"'")
}

func (e *env) shared(t *testing.T) {
	e.renew(t, "one")
	p := start(t, e.server, nil)
	a, b, other := client(t, p, "db"), client(t, p, "db"), client(t, p, "other")
	if got := query(t, a, sel); got != "one" {
		t.Error(got)
	}
	e.renew(t, "two")
	if got := query(t, a, sel) + query(t, b, sel) + query(t, other, sel) + query(t, a, "SELECT a FROM  t"); got != "oneone5two" {
		t.Error(got)
	}
	exec(t, b, "USE other")
	if got := query(t, b, sel); got != "5" {
		t.Error(got)
	}
	// Prepared statements are not kept.
	if got := query(t, p.Open(t, "app", "secret", "db", nil), sel+" WHERE a <> ?", "x"); got != "two" {
		t.Error(got)
	}
}

func (e *env) large(t *testing.T) {
	value := strings.Repeat("x", 90000)
	e.renew(t, value)
	p := start(t, e.server, map[string]any{"max_size": "1Mi"})
	a := client(t, p, "db")
	for range 3 {
		if got := query(t, a, sel); got != value {
			t.Error(len(got))
		}
	}
	rows, err := a.QueryContext(t.Context(), "SELECT a FROM u ORDER BY a")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
	}
	if f, _ := p.Filter("cache"); n != 2 || f.Diagnostics()["hits"] != int64(2) {
		t.Error(n, f.Diagnostics())
	}
}

func (e *env) invalidation(t *testing.T) {
	e.renew(t, "one")
	a := client(t, start(t, e.server, map[string]any{"invalidate": "current"}), "db")
	got := query(t, a, sel)
	exec(t, a, "UPDATE t SET a = 'two'")
	got += query(t, a, sel)
	exec(t, a, "BEGIN", "UPDATE t SET a = 'three'")
	got += query(t, a, sel)
	exec(t, a, "COMMIT")
	e.renew(t, "four")
	got += query(t, a, sel)
	e.renew(t, "five")
	if got += query(t, a, sel); got != "onetwothreefourfour" {
		t.Error(got)
	}
}

func (e *env) users(t *testing.T) {
	e.renew(t, "one")
	e.server.Exec(t, "CREATE USER eve@'127.0.0.1' IDENTIFIED BY 'secret'", "GRANT CREATE ON db.* TO eve@'127.0.0.1'")
	p := start(t, e.server, map[string]any{"users": "isolated"})
	query(t, client(t, p, "db"), sel)
	eve := p.Open(t, "eve", "secret", "db", nil)
	var got string
	if err := eve.QueryRowContext(t.Context(), sel).Scan(&got); err == nil {
		t.Errorf("%s is shown to who must not see it", got)
	}
}

// transactions looks at what is read in a read-only transaction, in one that
// has written nothing, and in one that has.
func (e *env) transactions(t *testing.T, mode, want string) {
	e.renew(t, "one")
	a := client(t, start(t, e.server, map[string]any{"cache_in_transactions": mode}), "db")
	query(t, a, "SELECT a FROM t")
	e.renew(t, "two")
	var got []string
	for _, statements := range [][]string{{"START TRANSACTION READ ONLY"}, {"BEGIN"}, {"BEGIN", "INSERT INTO u VALUES (3)"}} {
		exec(t, a, statements...)
		// Such a result is kept again in a transaction that does not use it.
		got = append(got, query(t, a, "SELECT a FROM t"))
		exec(t, a, "ROLLBACK")
		e.renew(t, "one")
		if mode == "never" || mode == "read_only_transactions" && len(got) > 1 {
			exec(t, a, "SET @maxscale.cache.use = 0")
			query(t, a, "SELECT a FROM t")
			exec(t, a, "SET @maxscale.cache.use = 1")
		}
		e.renew(t, "two")
	}
	if text := strings.Join(got, " "); text != want {
		t.Errorf("%s, not %s", text, want)
	}
}

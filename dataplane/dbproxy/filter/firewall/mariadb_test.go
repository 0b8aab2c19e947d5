package firewall_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/filter/firewall"
	"github.com/backplane/backplane/dataplane/dbproxy/proxytest"
	"github.com/backplane/backplane/dataplane/dbproxy/readconn"
	"github.com/backplane/backplane/testbed"
)

func start(t *testing.T, server *testbed.MariaDB, rules, action string) *sql.DB {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	p := proxytest.Start(t, proxytest.Options{
		Modules: dbproxy.Modules{
			Routers: map[string]dbproxy.RouterModule{"readconnroute": readconn.Module()},
			Filters: map[string]dbproxy.FilterModule{"dbfwfilter": firewall.Module()},
		},
		Servers: []*testbed.MariaDB{server},
		Filters: []proxytest.Filter{{Name: "fw", Module: "dbfwfilter", Params: map[string]any{"rules": file, "action": action}}},
	})
	return p.Open(t, "app", "secret", "db", func(c *mysql.Config) { c.MaxAllowedPacket = 64 << 20 })
}

// refused tells whether a statement is refused by the firewall.
func refused(t *testing.T, db *sql.DB, text string, args ...any) bool {
	t.Helper()
	_, err := db.ExecContext(t.Context(), text, args...)
	var me *mysql.MySQLError
	if err != nil && !errors.As(err, &me) {
		t.Fatal(err)
	}
	return me != nil && me.Number == 1141 && string(me.SQLState[:]) == "HY000"
}

func TestWithMariaDB(t *testing.T) {
	server := testbed.StartMariaDB(t, testbed.MariaDBOptions{})
	server.Exec(t, "SET GLOBAL max_allowed_packet = 67108864", "CREATE DATABASE db", "CREATE TABLE db.t (a INT, secret INT)", "CREATE USER app@'127.0.0.1' IDENTIFIED BY 'secret'", "GRANT ALL ON db.* TO app@'127.0.0.1'")
	block := start(t, server, "rule s match columns secret\nrule d match no_where_clause on_queries delete\nusers app@127.% match any rules s d\n", "block")
	for text, want := range map[string]bool{
		"SELECT secret FROM t": true, "SELECT a FROM t": false, "DELETE FROM t": true, "DELETE FROM t WHERE a = 1": false,
		"SELECT 'open": true, "SET NAMES utf8mb4": false,
	} {
		if refused(t, block, text) != want {
			t.Errorf("%s: refused %v", text, !want)
		}
	}
	if !refused(t, block, "DELETE FROM t WHERE secret = ?", 1) || refused(t, block, "DELETE FROM t WHERE a = ?", 1) {
		t.Error("prepared statements are not seen")
	}
	if !refused(t, block, "SELECT '"+string(make([]byte, 17<<20))+"'") {
		t.Error("a statement that is too long passes")
	}
	allow := start(t, server, "rule s match regex '^SELECT a FROM'\nusers app match any rules s\n", "allow")
	if refused(t, allow, "SELECT a FROM t") || !refused(t, allow, "DELETE FROM t") || allow.PingContext(t.Context()) != nil {
		t.Error("what is not allowed passes, or what is does not")
	}
}

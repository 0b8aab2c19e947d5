package masking_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"go.uber.org/goleak"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/filter/masking"
	"github.com/backplane/backplane/dataplane/dbproxy/proxytest"
	"github.com/backplane/backplane/dataplane/dbproxy/readconn"
	"github.com/backplane/backplane/testbed"
)

// The regular expressions have a clock that runs while they are used.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/dlclark/regexp2.runClock"))
}

const rules = `{"rules": [
	{"replace": {"column": "ssn", "table": "person"}, "with": {"value": "###-##-####", "fill": "*"}, "exempted": ["'boss'@'%'"]},
	{"replace": {"column": "bio", "match": "[0-9]+"}, "with": {"fill": "#"}, "applies_to": ["'app'@'127.0.0.%'"]},
	{"obfuscate": {"column": "kind"}, "exempted": ["boss"]},
	{"replace": {"column": "age"}, "with": {"fill": "0"}}
]}`

var schema = []string{
	"SET GLOBAL max_allowed_packet = 67108864",
	"CREATE DATABASE db",
	"CREATE TABLE db.person (id INT PRIMARY KEY, name VARCHAR(50), ssn VARCHAR(20), bio TEXT, kind ENUM('good','bad'), age INT)",
	"CREATE TABLE db.other (id INT, ssn VARCHAR(20))",
	"INSERT INTO db.person VALUES (1, 'Alice', '721-07-4426', 'born 1970 in Turku', 'good', 50), (2, 'Bob', '435', NULL, 'bad', 51)",
	"INSERT INTO db.other VALUES (1, 'shown')",
	"CREATE USER app@'127.0.0.1' IDENTIFIED BY 'secret'",
	"GRANT ALL ON db.* TO app@'127.0.0.1'",
	"CREATE USER boss@'%' IDENTIFIED BY 'secret'",
	"GRANT ALL ON db.* TO boss@'%'",
}

type setup struct {
	proxy *proxytest.Proxy
	file  string
	log   *bytes.Buffer
}

func start(t *testing.T, server *testbed.MariaDB, params map[string]any) setup {
	t.Helper()
	s := setup{file: filepath.Join(t.TempDir(), "rules.json"), log: &bytes.Buffer{}}
	write(t, s.file, rules)
	params["rules"] = s.file
	s.proxy = proxytest.Start(t, proxytest.Options{
		Modules: dbproxy.Modules{
			Routers: map[string]dbproxy.RouterModule{"readconnroute": readconn.Module()},
			Filters: map[string]dbproxy.FilterModule{"masking": masking.Module()},
		},
		Servers: []*testbed.MariaDB{server},
		Filters: []proxytest.Filter{{Name: "mask", Module: "masking", Params: params}},
		Logger:  slog.New(slog.NewTextHandler(s.log, nil)),
	})
	return s
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// query returns all rows as text.
func query(t *testing.T, db interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}, text string, args ...any,
) (string, error) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), text, args...)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for rows.Next() {
		values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		var row []string
		for _, v := range values {
			if !v.Valid {
				v.String = "NULL"
			}
			row = append(row, v.String)
		}
		out = append(out, strings.Join(row, ","))
	}
	return strings.Join(out, "|"), rows.Err()
}

func number(err error) uint16 {
	var me *mysql.MySQLError
	if errors.As(err, &me) {
		return me.Number
	}
	return 0
}

func TestWithMariaDB(t *testing.T) {
	server := testbed.StartMariaDB(t, testbed.MariaDBOptions{})
	for _, s := range schema {
		server.Exec(t, s)
	}
	s := start(t, server, map[string]any{"warn_type_mismatch": "always"})
	app := s.proxy.Open(t, "app", "secret", "db", nil)
	t.Run("results", func(t *testing.T) { testResults(t, app) })
	t.Run("prepared", func(t *testing.T) { testPrepared(t, app) })
	t.Run("refusals", func(t *testing.T) { testRefusals(t, app) })
	t.Run("users", func(t *testing.T) {
		boss := s.proxy.Open(t, "boss", "secret", "db", nil)
		if got, err := query(t, boss, "SELECT ssn, CONCAT(ssn), bio, kind FROM person WHERE id = 1"); got != "721-07-4426,721-07-4426,born 1970 in Turku,good" {
			t.Error(got, err)
		}
	})
	t.Run("types", func(t *testing.T) {
		if got, err := query(t, app, "SELECT age FROM person WHERE id = 1"); got != "50" || !strings.Contains(s.log.String(), "cannot be masked because of its type") {
			t.Error(got, err)
		}
	})
	t.Run("large rows", func(t *testing.T) { testLarge(t, server, s) })
	t.Run("reload", func(t *testing.T) { testReload(t, s, app) })
}

func testResults(t *testing.T, app *sql.DB) {
	for text, want := range map[string]string{
		"SELECT ssn, name, ssn AS x FROM person p ORDER BY id":         "###-##-####,Alice,###-##-####|***,Bob,***",
		"SELECT bio FROM person ORDER BY id":                           "born #### in Turku|NULL",
		"SELECT ssn FROM other":                                        "shown",
		"SELECT DISTINCT ssn AS x FROM person ORDER BY x":              "***|###-##-####",
		"SELECT ssn AS x, COUNT(*) FROM person GROUP BY x ORDER BY id": "###-##-####,1|***,1",
		"SELECT a.ssn, b.ssn FROM person a JOIN other b USING (id)":    "###-##-####,shown",
		"UPDATE person SET name = 'Alice' WHERE id = 1":                "",
	} {
		if got, err := query(t, app, text); got != want || err != nil {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	got, err := query(t, app, "SELECT kind FROM person WHERE id = 1")
	if err != nil || len(got) != 4 || got == "good" {
		t.Error(got, err)
	}
}

func testPrepared(t *testing.T, app *sql.DB) {
	stmt, err := app.PrepareContext(t.Context(), "SELECT id, ssn, bio, age FROM person WHERE id >= ? ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer stmt.Close()
	for range 3 {
		rows, err := stmt.QueryContext(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for rows.Next() {
			var id, ssn, age string
			var bio sql.NullString
			if err := rows.Scan(&id, &ssn, &bio, &age); err != nil {
				t.Fatal(err)
			}
			got = append(got, strings.Join([]string{id, ssn, bio.String, age}, ","))
		}
		if text := strings.Join(got, "|"); text != "1,###-##-####,born #### in Turku,50|2,***,,51" || rows.Close() != nil {
			t.Error(text)
		}
	}
	if _, err := app.PrepareContext(t.Context(), "SELECT CONCAT(ssn) FROM person WHERE id = ?"); number(err) != 1141 {
		t.Error(err)
	}
}

func testRefusals(t *testing.T, app *sql.DB) {
	for _, text := range []string{
		"SELECT CONCAT(ssn) FROM person", "SELECT LEFT(ssn, 3) FROM person", "SELECT name FROM person UNION SELECT ssn FROM person",
		"SELECT x FROM (SELECT ssn AS x FROM person) y", "SELECT ssn INTO @a FROM person WHERE id = 1", "SELECT 'open",
	} {
		_, err := query(t, app, text)
		var me *mysql.MySQLError
		if !errors.As(err, &me) || me.Number != 1141 || string(me.SQLState[:]) != "HY000" || !strings.HasSuffix(me.Message, "access is denied for 'app'@'127.0.0.1'") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if got, err := query(t, app, "SELECT CONCAT(ssn) FROM other"); got != "shown" {
		t.Error(got, err)
	}
}

func testLarge(t *testing.T, server *testbed.MariaDB, s setup) {
	unlimited := func(c *mysql.Config) { c.MaxAllowedPacket = 64 << 20 }
	const text = "SELECT REPEAT('x', 17000000), ssn FROM person WHERE id = 1"
	app := s.proxy.Open(t, "app", "secret", "db", unlimited)
	app.SetMaxIdleConns(0) // the proxy closes the connection
	if _, err := query(t, app, text); number(err) != 1105 {
		t.Error("a large row:", err)
	}
	if got, err := query(t, app, strings.Replace(text, "ssn", "name", 1)); !strings.HasSuffix(got, "x,Alice") {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := query(t, app, "SELECT '"+strings.Repeat("x", 17<<20)+"'"); number(err) != 1141 {
		t.Error("a request too long to be read:", err)
	}
	ignore := start(t, server, map[string]any{"large_payload": "ignore"})
	app = ignore.proxy.Open(t, "app", "secret", "db", unlimited)
	if got, err := query(t, app, text); !strings.HasSuffix(got, "x,721-07-4426") {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func testReload(t *testing.T, s setup, app *sql.DB) {
	f, _ := s.proxy.Filter("mask")
	reload := masking.Module().Commands[0]
	write(t, s.file, "{")
	if _, err := reload.Run(t.Context(), []any{f}); err == nil {
		t.Error("wrong rules are taken")
	}
	if got, err := query(t, app, "SELECT ssn FROM person WHERE id = 1"); got != "###-##-####" {
		t.Error(got, err)
	}
	stmt, err := app.PrepareContext(t.Context(), "SELECT name, ssn FROM person WHERE id = 1")
	if err != nil {
		t.Fatal(err)
	}
	defer stmt.Close()
	write(t, s.file, `{"rules": [{"replace": {"column": "name"}, "with": {"fill": "-"}}]}`)
	if _, err := reload.Run(t.Context(), []any{f}); err != nil {
		t.Error(err)
	}
	if got, err := query(t, app, "SELECT name, ssn FROM person WHERE id = 1"); got != "-----,721-07-4426" {
		t.Error(got, err)
	}
	var name, ssn string
	if err := stmt.QueryRowContext(t.Context()).Scan(&name, &ssn); name != "-----" || ssn != "721-07-4426" {
		t.Error(name, ssn, err)
	}
	if got := f.Diagnostics()["rules"]; got != 1 {
		t.Error(got)
	}
}

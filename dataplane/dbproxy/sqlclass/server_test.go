package sqlclass

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/backplane/backplane/testbed"
)

// writers are names that a stored function can have although they mean
// something else, too. All of them write when they are called.
var writers = []string{"f", "lateral", "columns", "json_table", "against", "minus", "escape", "wait", "of", "count", "now", "rank",
	"substr", "trim", "any_value", "json_schema_valid", "abs", "point", "month", "convert_tz"}

// server is a MariaDB server with a schema on which most of the statements
// run, and a log that tells whether one of them wrote.
type server struct {
	db   *sql.DB
	kept *sql.Conn // the session of the statement before
}

// schema makes again what a statement may have dropped.
var schema = []string{
	"CREATE DATABASE IF NOT EXISTS db", "CREATE DATABASE IF NOT EXISTS app", "USE app",
	"CREATE TABLE IF NOT EXISTS log (a INT)",
	"CREATE OR REPLACE TABLE t (a INT, b INT, c INT, d INT, id INT AUTO_INCREMENT PRIMARY KEY)",
	"CREATE OR REPLACE TABLE u (a INT, b INT)",
	"CREATE OR REPLACE TABLE db.t (a INT, b INT)",
	"CREATE SEQUENCE IF NOT EXISTS s",
	"CREATE FUNCTION IF NOT EXISTS db.f() RETURNS INT BEGIN INSERT INTO app.log VALUES (1); RETURN 1; END",
	"CREATE PROCEDURE IF NOT EXISTS p() INSERT INTO app.log VALUES (1)",
	"INSERT INTO t (id, a, b) VALUES (1, 1, 1)",
}

func startServer(t *testing.T) *server {
	t.Helper()
	m := testbed.StartMariaDB(t, testbed.MariaDBOptions{Settings: []string{"log-bin=log", "binlog-format=ROW", "sync-binlog=0", "server-id=1", "log-bin-trust-function-creators=1"}})
	db, err := sql.Open("mysql", m.URL(m.User, m.Password, "mysql", "multiStatements=true", "interpolateParams=true"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s := &server{db: db}
	s.repair(t)
	for _, name := range writers {
		for _, args := range []string{"", "x INT"} {
			if args == "" && name != "f" && name != "now" {
				args = "x INT"
			}
			create := fmt.Sprintf("CREATE FUNCTION IF NOT EXISTS app.`%s` (%s) RETURNS INT BEGIN INSERT INTO app.log VALUES (1); RETURN 1; END", name, args)
			if _, err := db.Exec(create); err != nil {
				t.Fatalf("%s: %v", create, err)
			}
		}
	}
	return s
}

func (s *server) repair(t *testing.T) {
	t.Helper()
	conn := s.conn(t)
	defer conn.Close()
	for _, statement := range schema {
		if _, err := conn.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func (s *server) conn(t *testing.T) *sql.Conn {
	t.Helper()
	conn, err := s.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// position is how far the server's log of writes is.
func (s *server) position(t *testing.T) string {
	t.Helper()
	var gtid string
	if err := s.db.QueryRowContext(t.Context(), "SELECT @@gtid_binlog_pos").Scan(&gtid); err != nil {
		t.Fatal(err)
	}
	return gtid
}

// run runs a statement in a session in which nothing is left of those before,
// and reads all results.
func (s *server) run(t *testing.T, statement string, before ...string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if s.kept == nil {
		s.kept = s.conn(t)
	}
	switch c := Classify([]byte(statement), MariaDB); {
	case c.Has(FlagMulti | FlagInvalid), c.Op != OpSelect && c.Op != OpShow && c.Op != OpExplain && c.Op != OpInsert:
		defer s.forget()
	}
	for _, b := range append([]string{"ROLLBACK", "USE app"}, before...) {
		if _, err := s.kept.ExecContext(ctx, b); err != nil {
			t.Fatalf("%s before %q: %v", b, statement, err)
		}
	}
	rows, err := s.kept.QueryContext(ctx, statement)
	if err != nil {
		return err
	}
	defer rows.Close()
	for {
		for rows.Next() {
		}
		if !rows.NextResultSet() {
			return rows.Err()
		}
	}
}

// forget ends the session.
func (s *server) forget() {
	s.kept.Raw(func(any) error { return driver.ErrBadConn })
	s.kept.Close()
	s.kept = nil
}

// harmful are statements that would end the test, or what the others run on.
func harmful(c Class, statement string) bool {
	switch c.Op {
	case OpShutdown, OpKill, OpReset, OpFlush, OpBackup, OpInstall, OpStartReplica, OpStopReplica, OpChangeMaster, OpPurge,
		OpBinlog, OpLockTables, OpSetPassword, OpRenameUser, OpLoadLocal, OpXA:
		return true
	}
	upper := strings.ToUpper(statement)
	return c.Is(TypeGSysVarWrite) || strings.HasPrefix(upper, "LOOP") || strings.Contains(upper, "_WAIT") || strings.Contains(upper, "SHUTDOWN")
}

// judge runs a statement and fails the test when it wrote although its class
// lets a replica have it. It tells whether the server took the statement.
func (s *server) judge(t *testing.T, statement string, mode Mode, before ...string) (taken, wrote bool) {
	t.Helper()
	c := Classify([]byte(statement), mode)
	position := s.position(t)
	err := s.run(t, statement, before...)
	wrote = s.position(t) != position
	if target := c.Target(false); wrote && target != TargetMaster {
		t.Errorf("%q writes, and goes to %s", statement, target)
	}
	if wrote && c.Op != OpSelect && c.Op != OpSet && c.Op != OpExplain {
		s.repair(t)
	}
	return err == nil, wrote
}

// What a server logs as a write must not have been taken for anything else.
func TestServerAgreesOnWrites(t *testing.T) {
	s := startServer(t)
	r := rand.New(rand.NewPCG(1, 1))
	taken, wrote := 0, 0
	for _, statement := range statements(t) {
		c := Classify([]byte(statement.sql), MariaDB)
		if harmful(c, statement.sql) {
			continue
		}
		variants := []string{statement.sql}
		if other, ok := disguise([]byte(statement.sql), MariaDB, r); ok && c.Target(false) != TargetMaster {
			variants = append(variants, string(other), "/*!50000 "+statement.sql+" */")
		}
		for _, v := range variants {
			ok, w := s.judge(t, v, MariaDB)
			taken, wrote = taken+count(ok), wrote+count(w)
		}
	}
	t.Logf("%d taken, %d wrote", taken, wrote)
	if taken < 400 || wrote < 30 {
		t.Errorf("the server took %d statements, of which %d wrote: too few to compare", taken, wrote)
	}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Expressions that may call what writes, in all places that take one.
func TestServerAgreesOnExpressions(t *testing.T) {
	s := startServer(t)
	var expressions []string
	for _, name := range writers {
		arg := "1"
		if name == "f" || name == "now" {
			arg = ""
		}
		for _, form := range []string{"%s(%s)", "%s (%s)", "`%s`(%s)", "app.%s(%s)", "app . `%s` ( %s )", `"%s"(%s)`, "%s/**/(%s)", "/*!%s*/(%s)", "/*!50000%s(%s)*/", "/*!99999 1 /*x*/ */%s(%s)"} {
			expressions = append(expressions, fmt.Sprintf(form, name, arg))
		}
	}
	expressions = append(expressions, "NEXTVAL(s)", "NEXT VALUE FOR s", "next/**/value for app.s", "SETVAL(s, 500)", "`s`.nextval", "s.nextval",
		"LASTVAL(s)", "PREVIOUS VALUE FOR s", "1", "ABS(-1)", "NOW()", "(SELECT f())", "(SELECT MAX(a) FROM t)", "'f()'", "`a`", "1 -- f()\n", "1 /* f() */",
		"CASE WHEN f() THEN 1 END", "CAST(f() AS CHAR(10))", "@x := f()", "@x := 1", "EXTRACT(YEAR FROM f())", "INTERVAL(f(), 1)", "'\\' , f() , \\''", "COALESCE(NULL, f())",
		"JSON_VALUE('{}', '$.a')", "{fn f()}", "IF(f(), 1, 2)", "1 IN (f())", "1 BETWEEN f() AND 2", "SUM(f())", "MAX(1) OVER (ORDER BY f())", "1 /*!99999 , f() */", "1 /*!50000 , f() */", "1 /*M!100000 , f() */")
	places := []string{"SELECT %s", "SELECT 1 FROM t WHERE %s", "(SELECT %s) UNION SELECT 1", "VALUES (%s)", "SET @x = %s", "SET max_statement_time = %s",
		"EXPLAIN SELECT %s", "ANALYZE SELECT %s", "WITH c AS (SELECT %s AS x) SELECT x FROM c", "SELECT 1 FROM t JOIN u ON %s",
		"SELECT a FROM t GROUP BY a HAVING %s ORDER BY 1", "SELECT a FROM t ORDER BY %s LIMIT 1", "PREPARE x FROM %s", "SHOW TABLES WHERE %s",
		"SET STATEMENT max_statement_time = 100 FOR SELECT %s", "SELECT %s INTO @y"}
	wrote := 0
	for i, place := range places {
		for j, e := range expressions {
			if i > 0 && len(places)-1 > i && (i+j)%4 != 0 {
				continue // all expressions in the first and last place, a quarter elsewhere
			}
			_, w := s.judge(t, fmt.Sprintf(place, e), MariaDB)
			wrote += count(w)
		}
	}
	for _, e := range expressions {
		s.judge(t, "SELECT "+e, MariaDB|Oracle, "SET sql_mode='ORACLE'")
		s.judge(t, "SELECT "+e, MariaDB|ANSIQuotes, "SET sql_mode='ANSI_QUOTES'")
		s.judge(t, "SELECT "+e, MariaDB|IgnoreSpace, "SET sql_mode='IGNORE_SPACE'")
		s.judge(t, "SELECT "+e, MariaDB|NoBackslashEscapes, "SET sql_mode='NO_BACKSLASH_ESCAPES'")
	}
	t.Logf("%d wrote", wrote)
	if wrote < 100 {
		t.Errorf("only %d expressions wrote: too few to compare", wrote)
	}
}

// A server that is read only, and a transaction that is, refuse nothing that
// may go to a replica.
func TestReadOnlyServerAgrees(t *testing.T) {
	s := startServer(t)
	for _, statement := range []string{"CREATE USER reader@'%' IDENTIFIED BY 'secret'", "GRANT ALL ON *.* TO reader@'%'",
		"REVOKE READ_ONLY ADMIN, SUPER ON *.* FROM reader@'%'", "SET GLOBAL read_only = ON"} {
		if _, err := s.db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	var port int
	if err := s.db.QueryRow("SELECT @@port").Scan(&port); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("mysql", fmt.Sprintf("reader:secret@tcp(%s)/app?multiStatements=true", testbed.Addr(port)))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	reader := &server{db: db}
	refused := 0
	for _, statement := range statements(t) {
		c := Classify([]byte(statement.sql), MariaDB)
		if harmful(c, statement.sql) {
			continue
		}
		for _, before := range [][]string{nil, {"START TRANSACTION READ ONLY"}} {
			err := reader.run(t, statement.sql, before...)
			var answer *mysql.MySQLError
			if !errors.As(err, &answer) || answer.Number != 1792 && !(answer.Number == 1290 && strings.Contains(answer.Message, "read-only")) {
				continue
			}
			refused++
			if c.Is(TypePrepareNamed) && answer.Number == 1792 {
				continue // it writes only once it is executed
			}
			if target := c.Target(false); target != TargetMaster {
				t.Errorf("%q goes to %s, and is refused: %v", statement.sql, target, err)
			}
		}
	}
	t.Logf("%d refused", refused)
	if refused < 60 {
		t.Errorf("only %d statements were refused: too few to compare", refused)
	}
}

// The lists of functions and keywords are those of the server: nothing that
// counts as built in is looked up among the stored functions, whatever its
// arguments, and none that the server has built in is missing.
func TestServerKnowsTheFunctions(t *testing.T) {
	s := startServer(t)
	if _, err := s.db.Exec("CREATE DATABASE empty"); err != nil {
		t.Fatal(err)
	}
	conn := s.conn(t)
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "USE empty"); err != nil {
		t.Fatal(err)
	}
	stored := func(call string) bool {
		rows, err := conn.QueryContext(t.Context(), "SELECT "+call)
		if err == nil {
			rows.Close()
			return false
		}
		var answer *mysql.MySQLError
		return errors.As(err, &answer) && strings.HasPrefix(answer.Message, "FUNCTION ") && strings.Contains(answer.Message, "does not exist")
	}
	check := func(name, space string) {
		for _, args := range []string{"", "1", "1,1", "1,1,1", "1,1,1,1", "1,1,1,1,1"} {
			call := name + space + "(" + args + ")"
			c := Classify([]byte("SELECT "+call), MariaDB)
			if stored(call) && c.Target(false) != TargetMaster {
				t.Errorf("%s is a stored function, and goes to %s", call, c.Target(false))
			}
		}
	}
	words := map[string]bool{}
	for name := range functions {
		words[name] = true
	}
	for name := range keywords {
		words[name] = true
	}
	rows, err := s.db.Query("SELECT LOWER(function) FROM information_schema.sql_functions UNION SELECT LOWER(word) FROM information_schema.keywords WHERE word REGEXP '^[a-z]'")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		words[name] = true
	}
	if len(words) < 800 {
		t.Fatalf("%d words", len(words))
	}
	for name := range words {
		if strings.Contains(name, "_wait") || name == "sleep" || name == "get_lock" {
			continue // they take their time
		}
		check(name, "")
		check(name, " ")
	}
}

func TestServerFunctionsAreListed(t *testing.T) {
	s := startServer(t)
	rows, err := s.db.Query("SELECT LOWER(function) FROM information_schema.sql_functions")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		if _, ok := MariaDB.builtIn([]byte(name), token{}); !ok {
			t.Errorf("%s is not known", name)
		}
	}
	if n < 200 {
		t.Errorf("the server has %d functions", n)
	}
}

package sqlclass

import (
	_ "embed"
	"strings"
	"testing"
)

// statementsText has a statement on each line, behind where it may go, its
// operation and its types, separated by tabs.
//
//go:embed testdata/statements.txt
var statementsText string

type statement struct {
	target, op, types, sql string
}

func statements(t testing.TB) []statement {
	t.Helper()
	var list []statement
	for line := range strings.Lines(statementsText) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 4)
		if len(fields) != 4 {
			t.Fatalf("testdata/statements.txt: %q", line)
		}
		list = append(list, statement{fields[0], fields[1], fields[2], fields[3]})
	}
	if len(list) < 400 {
		t.Fatalf("%d statements", len(list))
	}
	return list
}

func TestClassify(t *testing.T) {
	for _, s := range statements(t) {
		c := Classify([]byte(s.sql), MariaDB)
		if got := c.Target(false).String(); got != s.target {
			t.Errorf("%s\n\tgoes to %s, not %s", s.sql, got, s.target)
		}
		if got := strings.TrimPrefix(c.Op.String(), "sql::OP_"); got != s.op {
			t.Errorf("%s\n\tis %s, not %s", s.sql, got, s.op)
		}
		if got := strings.ReplaceAll(c.Type.String(), "sql::TYPE_", ""); got != s.types {
			t.Errorf("%s\n\tis %s, not %s", s.sql, got, s.types)
		}
	}
}

// Knowing less of the session or of the servers must not make a statement
// safer.
func TestClassifyKnowingLess(t *testing.T) {
	for _, s := range statements(t) {
		for _, mode := range []Mode{0, MariaDB | UnknownSQLMode, MariaDB | OtherCharset, MariaDB | UnsafeCharset, MySQL, MariaDB11} {
			c := Classify([]byte(s.sql), mode)
			got := c.Target(false).String()
			if got == "master" || got == s.target || mysqlDiffers[s.sql] {
				continue
			}
			t.Errorf("%s\n\tgoes to %s with mode %b, to %s in MariaDB", s.sql, got, mode, s.target)
		}
	}
}

// mysqlDiffers are statements that a function of MySQL, or one of MariaDB 11,
// or a comment for other versions makes safe there.
var mysqlDiffers = map[string]bool{
	"SELECT any_value(a) FROM t":                    true,
	"SELECT BIN_TO_UUID(a) FROM t":                  true,
	"SELECT point(1)":                               true,
	"/*!99999 SELECT 1 */":                          true,
	"SELECT 1 /*M!110800 , f() */":                  true,
	"SELECT 1 /*!50000 INTO OUTFILE 'x' */ FROM f(": true,
}

func TestClassifyByMode(t *testing.T) {
	for _, c := range []struct {
		sql    string
		mode   Mode
		target Target
	}{
		{`SELECT 'a\' FROM t`, NoBackslashEscapes, TargetReplica},
		{`SELECT 'a\' FROM t`, 0, TargetMaster},
		{`SELECT 'a\'b'`, UnknownSQLMode, TargetMaster},
		{`SELECT 'a\\'`, UnknownSQLMode, TargetReplica},
		{`SELECT 'a\nb', "c\td"`, UnknownSQLMode, TargetReplica},
		{`SELECT 'a\'; DELETE FROM t; -- '`, NoBackslashEscapes, TargetMaster},
		{`SELECT 'a\'; DELETE FROM t; -- '`, 0, TargetReplica},
		{`SELECT "a\" FROM t`, ANSIQuotes, TargetReplica},
		{`SELECT "a" FROM "t"`, ANSIQuotes, TargetReplica},
		{`SELECT "abs"(1)`, ANSIQuotes, TargetMaster},
		{`SELECT "a", f FROM t`, UnknownSQLMode, TargetReplica},
		{`SELECT COUNT (*) FROM t`, IgnoreSpace, TargetReplica},
		{`SELECT COUNT/**/(*) FROM t`, IgnoreSpace, TargetMaster},
		{`SELECT COUNT /*!*/ (*) FROM t`, IgnoreSpace, TargetMaster},
		{`SELECT /*!COUNT*/(*) FROM t`, IgnoreSpace, TargetMaster},
		{`SELECT LINESTRING()`, 0, TargetMaster},
		{`SELECT LINESTRING( /* x */ )`, 0, TargetMaster},
		{`SELECT LINESTRING(p, q) FROM t`, 0, TargetReplica},
		{`SELECT COUNT (*) FROM t`, IgnoreSpace | UnknownSQLMode, TargetMaster},
		{`SELECT s.nextval`, Oracle, TargetMaster},
		{`BEGIN NULL; END;`, Oracle, TargetMaster},
		{`DECLARE x INT; BEGIN NULL; END;`, Oracle, TargetMaster},
		{"SELECT '\xbf\\' FROM t", UnsafeCharset, TargetMaster},
		{"SELECT 'caf\xe9' FROM t", OtherCharset, TargetReplica},
		{"SELECT caf\xe9 FROM t", OtherCharset, TargetMaster},
		{"SELECT 'caf\xe9' FROM t", 0, TargetReplica},
		{"SELECT caf\xe9 FROM t", 0, TargetMaster},
		{"SELECT 1 -- x\x00 INTO OUTFILE 'x'", 0, TargetMaster},
		{"SELECT 1\x00", 0, TargetMaster},
		{"SELECT 'a\x00b'", 0, TargetReplica},
		{"SELECT 1 --\n+ 1", 0, TargetReplica},
		{"SELECT 1 --\x01 INTO @a", 0, TargetReplica},
		{"SELECT 1 -- a\r INTO @a", 0, TargetReplica},
		{"SELECT 1\n\t\v\f\r FROM t", 0, TargetReplica},
		{`SELECT JSON_SCHEMA_VALID(a, b) FROM t`, MariaDB, TargetMaster},
		{`SELECT JSON_SCHEMA_VALID(a, b) FROM t`, MariaDB11, TargetReplica},
		{`SELECT JSON_SCHEMA_VALID(a, b) FROM t`, 0, TargetMaster},
		{`SELECT NVL(a, b) FROM t`, MySQL, TargetMaster},
		{`SELECT UUID_TO_BIN(UUID())`, MySQL, TargetReplica},
		{`SELECT 1 /*M! , f() */`, MySQL, TargetReplica},
		{`SELECT 1 /*M! , f() */`, 0, TargetMaster},
		{`SELECT 1 /*!50700 , f() */`, MariaDB, TargetReplica},
		{`SELECT 1 /*!50700 , f() */`, MySQL, TargetMaster},
		{`SELECT 1 /*!50700 , 2 */`, 0, TargetReplica},
		{`SELECT 1 /*!50700 , f() */`, 0, TargetMaster},
		{`/*!80100 DELETE FROM t */`, MySQL, TargetMaster},
		{`SELECT /*!80100 a, */ /*!80200 b, */ 1`, MySQL, TargetMaster},
		{`SELECT /*!80100 a, */ /*!80100 b, */ 1`, MySQL, TargetReplica},
		{`SELECT 1 /*!80100 /* x */ , 2 */`, MySQL, TargetReplica},
		{`SELECT 1 /*!80100 '*/' */`, MySQL, TargetMaster},
		{`SELECT abs/*!500001f*/(1)`, MySQL, TargetMaster},
	} {
		class := Classify([]byte(c.sql), c.mode)
		if got := class.Target(false); got != c.target {
			t.Errorf("%q in mode %b goes to %s, not %s", c.sql, c.mode, got, c.target)
		}
	}
}

func TestTargetOfVariables(t *testing.T) {
	for sql, want := range map[string]Target{
		"SELECT @a":                    TargetMaster,
		"SELECT @a := 1":               TargetMaster,
		"SELECT a FROM t WHERE b = @c": TargetMaster,
		"SET @a = 1":                   TargetAll,
		"SELECT 1 INTO @a":             TargetAll,
		"SELECT 1":                     TargetReplica,
		"SHOW GRANTS FOR u@h":          TargetReplica,
	} {
		c := Classify([]byte(sql), 0)
		if got := c.Target(true); got != want {
			t.Errorf("%s goes to %s, not %s", sql, got, want)
		}
	}
}

func TestFlags(t *testing.T) {
	for _, c := range []struct {
		sql  string
		want Flags
	}{
		{"SELECT 1; SELECT 2", FlagMulti},
		{"SELECT 1;", 0},
		{"SELECT ';'", 0},
		{"SELECT 'x", FlagInvalid},
		{"SELECT * FROM t FOR UPDATE", FlagLocking},
		{"SELECT 1 INTO @a", FlagSelectInto},
		{"SELECT 1 INTO OUTFILE 'x'", FlagSelectIntoFile},
		{"SELECT LAST_INSERT_ID()", FlagInsertID | FlagVarying},
		{"SELECT @@identity", FlagInsertID | FlagVarying},
		{"INSERT INTO t VALUES (LAST_INSERT_ID())", FlagInsertID | FlagVarying},
		{"SELECT GET_LOCK('a', 1)", FlagUserLock | FlagVarying},
		{"SELECT FOUND_ROWS()", FlagPrevious | FlagVarying},
		{"SELECT NEXT VALUE FOR s", FlagSequence | FlagVarying},
		{"SELECT f()", FlagUnknownFunction},
		{"SELECT NOW()", FlagVarying},
		{"SELECT CURRENT_DATE", FlagVarying},
		{"SELECT a FROM t", 0},
		{"SELECT MASTER_GTID_WAIT('x')", FlagVarying | FlagWaits},
		{"DELETE FROM t RETURNING a", FlagReturning},
		{"COMMIT RELEASE", FlagRelease},
		{"COMMIT NO RELEASE", 0},
		{"SET sql_mode = ''", FlagSetsSQLMode},
		{"SET GLOBAL sql_mode = ''", 0},
		{"SET NAMES latin1", FlagSetsCharset},
		{"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", FlagSetsIsolation | FlagSerializable},
		{"SET TRANSACTION ISOLATION LEVEL READ COMMITTED", FlagSetsIsolation},
		{"SET @@tx_isolation = 'serializable'", FlagSetsIsolation | FlagSerializable},
		{"SELECT 1 UNION SELECT 2", FlagUnion},
		{"SELECT (SELECT 1)", FlagSubquery},
		{"SET STATEMENT a=1 FOR SELECT 1", FlagSetStatement},
	} {
		if got := Classify([]byte(c.sql), MariaDB).Flags; got != c.want {
			t.Errorf("%s: flags %b, not %b", c.sql, got, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct{ sql, database, name, text, comment string }{
		{sql: "USE db", name: "db"},
		{sql: "USE `a``b`", name: "a`b"},
		{sql: "PREPARE s FROM 'SELECT ''x''\\n'", name: "s", text: "SELECT 'x'\n"},
		{sql: "PREPARE s FROM 'a' 'b'", name: "s"},
		{sql: "PREPARE s FROM @a", name: "s"},
		{sql: "EXECUTE s USING @a", name: "s"},
		{sql: "EXECUTE IMMEDIATE 'SELECT 1'", text: "SELECT 1"},
		{sql: "DEALLOCATE PREPARE s", name: "s"},
		{sql: "SAVEPOINT a", name: "a"},
		{sql: "ROLLBACK TO SAVEPOINT b", name: "b"},
		{sql: "CREATE TEMPORARY TABLE a (b INT)", name: "a"},
		{sql: "CREATE OR REPLACE TEMPORARY TABLE IF NOT EXISTS `d`.`a` (b INT)", database: "d", name: "a"},
		{sql: "KILL USER 'u'", name: "u"},
		{sql: "SELECT 1 -- maxscale route to master", comment: " maxscale route to master"},
		{sql: "SELECT 1 # maxscale route to slave\n", comment: " maxscale route to slave"},
		{sql: "SELECT /* maxscale route to server a */ 1 -- other", comment: " maxscale route to server a "},
		{sql: "INSERT INTO t VALUES ('-- a') -- b", comment: " b"},
		{sql: "SELECT /*+ HINT() */ 1 /* a */", comment: " a "},
	} {
		sql := []byte(c.sql)
		class := Classify(sql, 0)
		got := [4]string{text(sql, 0, class.Database), text(sql, 0, class.Name), text(sql, 0, class.Text), string(class.Comment.Raw(sql))}
		if want := [4]string{c.database, c.name, c.text, c.comment}; got != want {
			t.Errorf("%s: %q, not %q", c.sql, got, want)
		}
	}
}

func TestKill(t *testing.T) {
	for _, c := range []struct {
		sql  string
		kind KillKind
		id   uint64
	}{
		{"KILL 5", KillConnection, 5},
		{"KILL CONNECTION 18446744073709551615", KillConnection, 1<<64 - 1},
		{"KILL 18446744073709551616", KillNone, 0},
		{"kill hard connection 7;", KillConnection, 7},
		{"KILL QUERY 5", KillQuery, 5},
		{"KILL QUERY ID 5", KillQueryID, 5},
		{"KILL SOFT USER u@h", KillUser, 0},
		{"KILL QUERY USER u", KillQueryUser, 0},
		{"KILL 5 + 1", KillNone, 0},
		{"KILL 0x5", KillNone, 0},
		{"KILL @a", KillNone, 0},
	} {
		if class := Classify([]byte(c.sql), 0); class.Op != OpKill || class.Kill != c.kind || class.KillID != c.id {
			t.Errorf("%s: %v kind %d id %d", c.sql, class.Op, class.Kill, class.KillID)
		}
	}
}

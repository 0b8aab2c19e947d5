package sqlclass

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func tables(sql string) string {
	var list []string
	for _, t := range AppendTables(nil, []byte(sql), 0) {
		name := text([]byte(sql), 0, t.Name)
		if !t.Database.Empty() {
			name = text([]byte(sql), 0, t.Database) + "." + name
		}
		if t.Written {
			name += "!"
		}
		list = append(list, name)
	}
	return strings.Join(list, " ")
}

func TestTables(t *testing.T) {
	for _, c := range [][2]string{
		{"SELECT 1", ""},
		{"SELECT a FROM t", "t"},
		{"SELECT a FROM db.t AS x, `u``v` y JOIN w ON x.a = y.b AND f(x.c, y.d), z", "db.t u`v w z"},
		{"SELECT * FROM (t1, t2) LEFT JOIN (t3 CROSS JOIN t4) ON t1.a = t3.b", "t1 t2 t3 t4"},
		{"SELECT * FROM { OJ a LEFT JOIN b ON a.x = b.x }", "a b"},
		{"SELECT STRAIGHT_JOIN a FROM t STRAIGHT_JOIN u", "t u"},
		{"SELECT (SELECT a FROM x) FROM y WHERE b IN (SELECT c FROM z WHERE EXISTS (SELECT 1 FROM w))", "x y z w"},
		{"SELECT EXTRACT(YEAR FROM a), TRIM(BOTH 'x' FROM b), SUBSTRING(c FROM 2) FROM t", "t"},
		{"SELECT COALESCE((SELECT a FROM x), 1)", "x"},
		{"SELECT * FROM JSON_TABLE('[]', '$' COLUMNS (a INT PATH '$')) j, t", "t"},
		{"SELECT * FROM a NATURAL JOIN b USE INDEX (i, j), c PARTITION (p, q) x", "a b c"},
		{"SELECT a FROM t UNION SELECT b FROM u", "t u"},
		{"WITH c AS (SELECT * FROM t) SELECT * FROM c", "t c"},
		{"TABLE t", "t"},
		{"INSERT INTO t (a, b) SELECT c, d FROM u", "t! u"},
		{"INSERT IGNORE db.t VALUES (1)", "db.t!"},
		{"REPLACE LOW_PRIORITY INTO t SET a = (SELECT b FROM u)", "t! u"},
		{"INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = 1", "t!"},
		{"UPDATE t1, t2 SET t1.a = (SELECT b FROM t3) WHERE t1.c = t2.c", "t1! t2! t3"},
		{"DELETE FROM t WHERE a IN (SELECT b FROM u)", "t! u"},
		{"DELETE a, b FROM a JOIN b", "a! b! a! b!"},
		{"DELETE FROM a USING a, b WHERE a.x = 1", "a! a! b!"},
		{"TRUNCATE t", "t!"},
		{"TRUNCATE TABLE t", "t!"},
		{"CREATE TABLE t LIKE u", "t! u"},
		{"CREATE TABLE t (LIKE u)", "t! u"},
		{"CREATE TEMPORARY TABLE IF NOT EXISTS db.t (a INT) SELECT * FROM u", "db.t! u"},
		{"DROP TABLE IF EXISTS a, db.b CASCADE", "a! db.b!"},
		{"DROP TEMPORARY TABLE a", "a!"},
		{"DROP TABLES a, b", "a! b!"},
		{"ALTER TABLE t RENAME TO u", "t! u!"},
		{"RENAME TABLE a TO b, c TO d", "a! b! c! d!"},
		{"CREATE INDEX i ON t (a)", "t!"},
		{"LOCK TABLES a READ, b AS c WRITE", "a! b!"},
		{"LOAD DATA LOCAL INFILE 'x' INTO TABLE t", "t!"},
		{"DESCRIBE t", "t"},
		{"DESC db.t", "db.t"},
		{"EXPLAIN SELECT * FROM t", "t"},
		{"SHOW CREATE TABLE t", "t"},
		{"SHOW COLUMNS FROM t", "t"},
		{"HANDLER t OPEN", "t"},
		{"SET @a = (SELECT MAX(a) FROM t)", "t"},
		{"SELECT 1; SELECT * FROM t", "t!"},
		{"SELECT * FROM a /*!100700 , b */", "a b a"},
		{"SELECT * FROM a WHERE x = 'FROM b'", "a"},
		{`SELECT * FROM "t"`, "t"},
	} {
		if got := tables(c[0]); got != c[1] {
			t.Errorf("%s\n\tnames %q, not %q", c[0], got, c[1])
		}
	}
	if deep := "SELECT " + strings.Repeat("(", 100) + "SELECT a FROM t" + strings.Repeat(")", 100); !strings.Contains(tables(deep), "t") {
		t.Errorf("deep down, a table is not seen: %q", tables(deep))
	}
}

func TestAssignments(t *testing.T) {
	for _, c := range [][2]string{
		{"SET @a = 1, @`b` := @c + 1", "@a=1 @`b`=@c + 1"},
		{"SET autocommit = 0, GLOBAL x = (1, 2), @@session.y = DEFAULT", "autocommit=0 global x=(1, 2) session y=DEFAULT"},
		{"SET NAMES utf8 COLLATE utf8_bin", "NAMES=utf8 COLLATE utf8_bin"},
		{"SET CHARACTER SET latin1", "CHARACTER=latin1"},
		{"SELECT @a := 1, (@b := @c), @d", "@a= @b="},
		{"SELECT a, b INTO @x, @y FROM t WHERE c = @z", "@x= @y="},
		{"UPDATE t SET a = (@b := a + 1)", "@b="},
		{"SELECT @a", ""},
	} {
		sql := []byte(c[0])
		var list []string
		for _, a := range AppendAssignments(nil, sql, 0) {
			scope := [...]string{"", "session ", "global "}[a.Scope]
			if a.User != (sql[a.Name.Start] == '@') {
				t.Errorf("%s: %+v", c[0], a)
			}
			list = append(list, fmt.Sprintf("%s%s=%s", scope, a.Name.Raw(sql), a.Value.Raw(sql)))
		}
		if got := strings.Join(list, " "); got != c[1] {
			t.Errorf("%s\n\tassigns %q, not %q", c[0], got, c[1])
		}
	}
}

func TestDescribe(t *testing.T) {
	for _, c := range []struct{ sql, fields, functions string }{
		{"SELECT a, t.b, db.t.c x, t.*, 1 FROM t", "select:a select:t.b select:db.t.c select:t.*", ""},
		{"SELECT * FROM t", "select:*", ""},
		{"SELECT COUNT(*), MAX(UPPER(a)) FROM t", "select:a", "count() max(a) upper(a)"},
		{"SELECT a * b FROM t", "select:a select:b", "*(a b)"},
		{"SELECT a FROM t WHERE b >= 5 AND LOWER(c) = 'x'", "select:a where:b where:c", ">=(b) lower(c) =(c)"},
		{"SELECT a FROM t JOIN u ON t.x = u.y GROUP BY g HAVING h > 1 ORDER BY o LIMIT 1",
			"select:a from:t.x from:u.y group by:g having:h order by:o", "=(t.x u.y) >(h)"},
		{"INSERT INTO t (a, b) VALUES (1, NOW())", "insert:a insert:b", "now()"},
		{"UPDATE t SET a = b + 1 WHERE c = 2", "set:a set:b where:c", "=(a b) +(b) =(c)"},
		{"SELECT `a``b` FROM t", "select:a`b", ""},
		{"SELECT db.F(a, (SELECT b FROM u)) FROM t", "select:a select:b", "db.f(a b)"},
		{"SET @a = (SELECT ssn FROM people)", "select:ssn", "=()"},
		{"SELECT CONCAT('ssn', x)", "select:x", "concat(x 'ssn')"},
		{"SELECT LEFT(a, 3), REPLACE (b, 'x', 'y'), IF(c, 1, 2), INSERT(d, 1, 1, ''), CHAR(e), MOD(g, 2) FROM t",
			"select:a select:b select:c select:d select:e select:g", "left(a) replace(b 'x' 'y') if(c) insert(d '') char(e) mod(g)"},
		{"SELECT a FROM t WHERE MATCH(b) AGAINST('x') AND ((c)) < (d) AND CAST(e AS CHAR(3)) = 1",
			"select:a where:b where:c where:d where:e", "match(b) <(c d) cast(e) =()"},
		{"INSERT INTO t (a) VALUES (1)", "insert:a", ""},
		{"UPDATE t SET a = (SELECT b FROM u WHERE c)", "set:a select:b where:c", "=(a)"},
		{"SELECT /*!99999 a, */ LEFT /*!99999 , */ (b, 1)", "select:a select:b", "left(b)"},
		{"KILL QUERY 5", "", ""},
		{"PREPARE s FROM 'x'", "", ""},
	} {
		d := Describe([]byte(c.sql), 0)
		var fields, functions []string
		for _, f := range d.Fields {
			fields = append(fields, f.Clause.String()+":"+name(f))
		}
		for _, f := range d.Functions {
			var arguments []string
			for _, a := range f.Arguments {
				arguments = append(arguments, name(a))
			}
			for _, s := range f.Strings {
				arguments = append(arguments, "'"+s+"'")
			}
			if f.Database != "" {
				f.Name = f.Database + "." + f.Name
			}
			functions = append(functions, f.Name+"("+strings.Join(arguments, " ")+")")
		}
		if got := strings.Join(fields, " "); got != c.fields {
			t.Errorf("%s\n\tuses %q, not %q", c.sql, got, c.fields)
		}
		if got := strings.Join(functions, " "); got != c.functions {
			t.Errorf("%s\n\tcalls %q, not %q", c.sql, got, c.functions)
		}
		if want := strings.Contains(strings.ReplaceAll(c.sql, "(SELECT b FROM u WHERE", ""), "WHERE"); d.HasWhere != want {
			t.Errorf("%s\n\thas WHERE: %v", c.sql, d.HasWhere)
		}
	}
}

// Where a column stands decides whether its value may appear under another name.
func TestFieldsArePlaced(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT a, b AS x, c 'y', d z FROM t":                             "a b:as c:as d:as",
		"SELECT DISTINCT SQL_NO_CACHE a FROM t":                           "a",
		"(SELECT a FROM t) LIMIT 1":                                       "a",
		"SELECT a FROM t UNION ALL SELECT b FROM u":                       "a b:union",
		"(SELECT a FROM t) UNION DISTINCT (SELECT b FROM u)":              "a b:union",
		"SELECT a FROM t EXCEPT SELECT * FROM u":                          "a *:union",
		"SELECT a FROM t UNION TABLE u":                                   "a *:union",
		"SELECT (SELECT a FROM t), b FROM (SELECT * FROM u) x":            "a:nested b *:nested",
		"SELECT a FROM t WHERE b IN (SELECT c FROM u) AND d = 1":          "a b c:nested d",
		"WITH c AS (SELECT a FROM t) SELECT b FROM c":                     "c a:nested b",
		"SELECT DISTINCT (SELECT a FROM t)":                               "a:nested",
		"SELECT f((SELECT a FROM t)), g(b) FROM u":                        "a:nested b:part",
		"SELECT a + 1, -b, c COLLATE utf8_bin, BINARY d, (e) FROM t":      "a:part b:part c:part utf8_bin:part d:part e:part",
		"SELECT CASE WHEN a THEN b ELSE (c) END, d IS NULL, e DIV 2 AS e": "a:part b:part c:part d:part e:part",
		"INSERT INTO t (a) SELECT b FROM u RETURNING c, d || 'x'":         "a b c d:part",
	} {
		var got []string
		for _, f := range Describe([]byte(sql), 0).Fields {
			text := f.Column
			for _, p := range []struct {
				is   bool
				name string
			}{{f.Nested, "nested"}, {f.Union, "union"}, {f.Part, "part"}, {f.Renamed, "as"}} {
				if p.is {
					text += ":" + p.name
				}
			}
			got = append(got, text)
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s\n\thas %q, not %q", sql, got, want)
		}
	}
}

func TestFieldsDeepDown(t *testing.T) {
	d := Describe([]byte("SELECT "+strings.Repeat("(", 100)+"LEFT(a, 3)"+strings.Repeat(")", 100)), 0)
	if len(d.Fields) != 1 || !d.Fields[0].Part || len(d.Functions) != 1 || len(d.Functions[0].Arguments) != 1 {
		t.Errorf("%+v", d)
	}
}

func name(f Field) string {
	parts := slices.DeleteFunc([]string{f.Database, f.Table, f.Column}, func(s string) bool { return s == "" })
	return strings.Join(parts, ".")
}

func TestCanonical(t *testing.T) {
	for _, c := range [][2]string{
		{"SELECT  a,\n\tb FROM t WHERE c='x' AND d = 1.5e3", "SELECT a, b FROM t WHERE c=? AND d = ?"},
		{" SELECT 1 ; ", "SELECT ? ;"},
		{"SELECT/* x */1 -- y", "SELECT ?"},
		{"SELECT a/**/b", "SELECT a b"},
		{"/*!40101 SET NAMES utf8 */", "/*!40101 SET NAMES utf8 */"},
		{"SELECT /*! 'x' */ /*M!100000 1 */", "SELECT /*! ? */ /*M!100000 ? */"},
		{"SELECT x'41', N'b', 0xFF, -1, 'a' 'b', \\N", "SELECT ?, ?, ?, -?, ? ?, ?"},
		{"SELECT 1--1", "SELECT ?- -?"},
		{"SELECT `a 1`, @b, @@c, ? FROM t1", "SELECT `a 1`, @b, @@c, ? FROM t1"},
		{"SELECT 'secret", "SELECT ?"},
		{"SELECT /*! 'secret", "SELECT /*! ?*/"},
		{"SELECT a<=b, a->>'$.x'", "SELECT a<=b, a->>?"},
		{"", ""},
		{"-- x", ""},
	} {
		if got := Canonical([]byte(c[0]), 0); got != c[1] {
			t.Errorf("%q becomes %q, not %q", c[0], got, c[1])
		}
	}
}

func TestStatements(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT 1":                       "SELECT 1",
		"SELECT 1; SELECT ';' ;; -- x;y": "SELECT 1| SELECT ';' ",
		"SELECT 'x; SELECT 1":            "SELECT 'x; SELECT 1",
		"":                               "",
	} {
		var list []string
		for s := range Statements([]byte(sql), 0) {
			list = append(list, string(s))
		}
		if got := strings.Join(list, "|"); got != want {
			t.Errorf("%q becomes %q, not %q", sql, got, want)
		}
	}
}

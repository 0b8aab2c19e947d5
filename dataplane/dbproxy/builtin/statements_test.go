package builtin_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// command is what a client sends.
type command struct {
	cmd wire.Command
	arg []byte
}

func query(format string, args ...any) command {
	return command{wire.ComQuery, fmt.Appendf(nil, format, args...)}
}

// generator makes statements whose answers are the same on two servers that
// have seen the same statements.
type generator struct {
	r      *rand.Rand
	start  []command
	id     uint32 // of the statement that was prepared last
	params int
}

// columns are of every data type.
var columns = []struct{ name, kind string }{
	{"b1", "BIT(7)"}, {"i1", "TINYINT"}, {"u1", "TINYINT UNSIGNED"}, {"i2", "SMALLINT"}, {"i3", "MEDIUMINT UNSIGNED"}, {"i4", "INT"}, {"i8", "BIGINT"}, {"u8", "BIGINT UNSIGNED"},
	{"d1", "DECIMAL(30,10)"}, {"f4", "FLOAT"}, {"f8", "DOUBLE"}, {"c1", "CHAR(20)"}, {"v1", "VARCHAR(200) CHARACTER SET utf8mb4"}, {"v2", "VARCHAR(50) CHARACTER SET latin1"},
	{"vb", "VARBINARY(60)"}, {"bl", "BLOB"}, {"tx", "MEDIUMTEXT"}, {"da", "DATE"}, {"ti", "TIME(6)"}, {"dt", "DATETIME(3)"}, {"ts", "TIMESTAMP NULL"}, {"ye", "YEAR"},
	{"en", "ENUM('red','grün','blau')"}, {"se", "SET('a','b','c')"}, {"js", "JSON"}, {"ge", "POINT"}, {"uu", "UUID"}, {"i6", "INET6"},
}

func newGenerator(seed uint64) *generator {
	g := &generator{r: rand.New(rand.NewPCG(seed, seed))}
	var list []string
	for _, c := range columns {
		list = append(list, c.name+" "+c.kind)
	}
	g.start = []command{
		query("SET time_zone = '+00:00'"), query("CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, %s) CHARACTER SET utf8mb4", strings.Join(list, ", ")),
		query("CREATE TABLE empty_table LIKE t"),
		query("CREATE PROCEDURE many(n INT, OUT o INT) BEGIN SELECT n; SELECT id, i4 FROM t ORDER BY id LIMIT 2; SET o = n * 2; END"),
		query("CREATE PROCEDURE fails() BEGIN SELECT 1; SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'schlägt fehl', MYSQL_ERRNO = 31001; END"),
		query("CREATE FUNCTION twice(n INT) RETURNS INT DETERMINISTIC RETURN n * 2"),
		query("CREATE VIEW seen AS SELECT id, v1 FROM t"),
	}
	return g
}

var texts = []string{"''", "'plain'", "'тест'", "'日本語 🙂'", "'it''s'", `'back\\slash'`, "'a\tb'", "NULL", "'ä'", "x'00ff10'"}

// literal is a value that may or may not fit a column.
func (g *generator) literal(kind string) string {
	if g.r.IntN(8) == 0 {
		return "NULL"
	}
	n := g.r.Int64() >> g.r.IntN(60)
	if g.r.IntN(2) == 0 {
		n = -n
	}
	switch {
	case strings.Contains(kind, "BIT"):
		return fmt.Sprintf("b'%b'", g.r.IntN(300))
	case strings.Contains(kind, "INT"), strings.Contains(kind, "DECIMAL"):
		return fmt.Sprint(n)
	case strings.Contains(kind, "FLOAT"), strings.Contains(kind, "DOUBLE"):
		return fmt.Sprintf("%de%d", g.r.IntN(100000), g.r.IntN(40)-20)
	case strings.HasPrefix(kind, "DATETIME"), strings.HasPrefix(kind, "TIMESTAMP"):
		return fmt.Sprintf("'%d-%02d-%02d %02d:%02d:%02d.%03d'", 1971+g.r.IntN(60), g.r.IntN(14), g.r.IntN(30), g.r.IntN(24), g.r.IntN(60), g.r.IntN(60), g.r.IntN(1000))
	case strings.HasPrefix(kind, "DATE"):
		return fmt.Sprintf("'%d-%d-%d'", 1000+g.r.IntN(9000), g.r.IntN(14), g.r.IntN(32))
	case strings.HasPrefix(kind, "TIME"):
		return fmt.Sprintf("'%d:%d:%d.%06d'", g.r.IntN(1000)-500, g.r.IntN(60), g.r.IntN(60), g.r.IntN(1000000))
	case kind == "YEAR":
		return fmt.Sprint(1900 + g.r.IntN(300))
	case strings.HasPrefix(kind, "ENUM"):
		return []string{"'red'", "'grün'", "'no'", "2"}[g.r.IntN(4)]
	case strings.HasPrefix(kind, "SET"):
		return []string{"'a'", "'a,c'", "''", "'z'"}[g.r.IntN(4)]
	case kind == "JSON":
		return []string{`'{"a": [1, null, "ü"]}'`, "'no json'", "'7'"}[g.r.IntN(3)]
	case kind == "POINT":
		return fmt.Sprintf("POINT(%d, %d)", g.r.IntN(100), g.r.IntN(100))
	case kind == "UUID":
		return fmt.Sprintf("'123e4567-e89b-12d3-a456-4266141740%02x'", g.r.IntN(256))
	case kind == "INET6":
		return []string{"'::1'", "'2001:db8::ff00:42:8329'", "'no address'"}[g.r.IntN(3)]
	case strings.HasPrefix(kind, "BLOB"), strings.HasPrefix(kind, "MEDIUMTEXT"):
		return fmt.Sprintf("REPEAT('%c', %d)", 'a'+rune(g.r.IntN(26)), g.r.IntN(70_000))
	}
	return texts[g.r.IntN(len(texts))]
}

func (g *generator) columnList() (names []string) {
	for range 1 + g.r.IntN(8) {
		names = append(names, columns[g.r.IntN(len(columns))].name)
	}
	return names
}

func (g *generator) insert() command {
	var names, values []string
	for _, c := range columns {
		if g.r.IntN(3) == 0 {
			names, values = append(names, c.name), append(values, g.literal(c.kind))
		}
	}
	verb := []string{"INSERT INTO", "INSERT IGNORE INTO", "REPLACE INTO"}[g.r.IntN(3)]
	returning := []string{"", " RETURNING *"}[g.r.IntN(2)]
	return query("%s t (%s) VALUES (%s)%s", verb, strings.Join(append(names, "i4"), ","), strings.Join(append(values, fmt.Sprint(g.r.IntN(50))), ","), returning)
}

// expressions are what a SELECT may ask for without a table.
var expressions = []string{
	"1", "-1.50", "NULL", "'ü'", "1/0", "1e300*1e300", "CAST('2024-02-30' AS DATE)", "CONCAT('a', NULL)", "X'00'", "TRUE", "18446744073709551615", "'a' = 1", "twice(21)", "nosuch(1)",
	"DATE'2024-01-01' + INTERVAL 1 MONTH", "JSON_OBJECT('k', 'v')", "@u", "@@sql_mode", "LAST_INSERT_ID()", "ROW_COUNT()", "FOUND_ROWS()", "DATABASE()", "USER()", "CHARSET('x')", "REPEAT('z', 200000)",
	"COLUMN_GET(COLUMN_CREATE('a', 1), 'a' AS INT)", "CONVERT('ä' USING latin1)", "_binary 'x'",
}

// others are whole statements.
var others = []string{
	"SHOW WARNINGS", "SHOW ERRORS", "SHOW TABLES", "DESCRIBE t", "SHOW CREATE TABLE empty_table", "EXPLAIN SELECT 1", "SELEC 1", "SELECT * FROM nowhere", "SELECT nothing FROM t", "",
	"CALL many(7, @o); SELECT @o", "CALL fails()", "CALL nothing()", "SELECT 1; SELECT 2; SELECT 'drei'", "SELECT 1; SELEC 2; SELECT 3", "SET @u = 'ü', @v = 3", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT a",
	"START TRANSACTION READ ONLY", "SET autocommit = 0", "SET autocommit = 1", "SET sql_mode = ''", "SET sql_mode = DEFAULT", "SET NAMES latin1", "SET NAMES utf8mb4", "USE shop", "USE nowhere", "SELECT * FROM seen ORDER BY id",
	"DO 1", "SELECT SQL_CALC_FOUND_ROWS id FROM t LIMIT 1", "UPDATE t SET i4 = i4 + 1 WHERE id % 3 = 0", "DELETE FROM t WHERE id % 17 = 5", "SELECT * FROM empty_table", "SELECT COUNT(*), SUM(i4), AVG(f8), MAX(v1) FROM t",
	"SELECT id, v1 FROM t ORDER BY id LIMIT 1 INTO @x, @y", "SELECT v1 FROM t ORDER BY id FOR UPDATE", "CREATE TEMPORARY TABLE IF NOT EXISTS tmp (a INT)", "INSERT INTO tmp VALUES (1), (2)", "SELECT * FROM tmp", "DROP TEMPORARY TABLE IF EXISTS tmp",
	"PREPARE ps FROM 'SELECT ? + 1'", "EXECUTE ps USING @v", "DEALLOCATE PREPARE ps", "HANDLER t OPEN", "HANDLER t READ FIRST", "HANDLER t CLOSE", "KILL 4000000000", "SHOW COUNT(*) WARNINGS", "LOCK TABLES t WRITE", "UNLOCK TABLES", "CHECK TABLE empty_table",
	"SELECT 1 UNION SELECT 2 ORDER BY 1", "WITH RECURSIVE n AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM n WHERE a < 5) SELECT * FROM n", "/* a comment */ SELECT 1", "SELECT 1 -- end", "VALUES (1, 2), (3, 4)", "ANALYZE FORMAT=JSON SELECT nosuch FROM t",
}

// next is the next step: mostly one statement.
func (g *generator) next() []command {
	if len(g.start) > 0 {
		c := g.start[0]
		g.start = g.start[1:]
		return []command{c}
	}
	switch g.r.IntN(10) {
	case 0, 1:
		return []command{g.insert()}
	case 2, 3:
		return []command{query("SELECT %s FROM t ORDER BY id LIMIT %d", strings.Join(g.columnList(), ", "), g.r.IntN(6))}
	case 4:
		var list []string
		for range 1 + g.r.IntN(4) {
			list = append(list, expressions[g.r.IntN(len(expressions))])
		}
		return []command{query("SELECT %s", strings.Join(list, ", "))}
	case 5:
		return g.prepare()
	case 6:
		return []command{{[]wire.Command{wire.ComPing, wire.ComInitDB, wire.ComResetConnection, wire.ComSetOption, wire.ComFieldList}[g.r.IntN(5)], []byte("shop\x00")[:4]}}[:g.r.IntN(2)]
	}
	return []command{query("%s", others[g.r.IntN(len(others))])}
}

func (g *generator) prepared(p wire.Prepared) { g.id, g.params = p.ID, int(p.Params) }

// prepare prepares a statement; it is executed when its number is known, by
// the LastPrepared that MariaDB has for that.
func (g *generator) prepare() []command {
	texts := []string{
		"SELECT * FROM t WHERE i4 < ? ORDER BY id LIMIT 3", "SELECT ?, ?, 'ü'", "INSERT INTO t (v1, i4) VALUES (?, ?)", "SELECT nothing FROM t WHERE id = ?", "UPDATE t SET i4 = ? WHERE id = ?", "CALL many(?, @o)",
	}
	text := texts[g.r.IntN(len(texts))]
	n := strings.Count(text, "?")
	execute := wire.Execute{ID: wire.LastPrepared, Iterations: 1}.Append(nil)[1:]
	execute = append(execute, make([]byte, (n+7)/8)...)
	execute = append(execute, 1)
	var values []byte
	for range n {
		execute = append(execute, byte(wire.TypeLonglong), 0)
		values = binary.LittleEndian.AppendUint64(values, uint64(g.r.IntN(60)))
	}
	return []command{{wire.ComStmtPrepare, []byte(text)}, {wire.ComStmtExecute, append(execute, values...)}}
}

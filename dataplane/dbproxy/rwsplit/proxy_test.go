package rwsplit

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
)

func TestReadsSpread(t *testing.T) {
	p := start(t, nil)
	c := connect(t, p)
	seen := c.reads(20)
	if seen["1"] != 0 || seen["2"] < 5 || seen["3"] < 5 {
		t.Fatal(seen)
	}
}

func TestMasterAcceptReads(t *testing.T) {
	p := start(t, map[string]any{"master_accept_reads": true})
	if seen := connect(t, p).reads(30); len(seen) != 3 {
		t.Fatal(seen)
	}
}

// routes has statements with where their last one must go: m is the master, r
// a replica. Each line is a session of its own.
var routes = []struct{ params, want, statements string }{
	{"", "r", "SELECT @@server_id"},
	{"", "r", "SELECT @@server_id FROM t WHERE a > 0 LIMIT 1"},
	{"", "r", "(SELECT @@server_id) UNION (SELECT @@server_id)"},
	{"", "r", "SELECT @@server_id, NOW(), CONCAT('a', VERSION())"},
	{"", "m", "SELECT @@server_id FROM t LIMIT 1 FOR UPDATE"},
	{"", "m", "SELECT @@server_id FROM t LIMIT 1 LOCK IN SHARE MODE"},
	{"", "m", "SELECT f()"},
	{"", "m", "CALL p()"},
	{"", "m", "SELECT @@server_id, NEXT VALUE FOR s"},
	{"", "m", "SELECT @@server_id, NEXTVAL(s)"},
	{"", "m", "SELECT @@server_id, LAST_INSERT_ID()"},
	{"", "m", "SELECT @@server_id, @@last_insert_id"},
	{"", "m", "SELECT @@server_id, @@identity"},
	{"", "m", "SELECT @@server_id, GET_LOCK('a', 1)"},
	{"", "m", "SELECT @@server_id, RELEASE_LOCK('a')"},
	{"", "m", "SELECT @@server_id, IS_USED_LOCK('a')"},
	{"", "m", "SELECT @@server_id, IS_FREE_LOCK('a')"},
	// Transactions.
	{"", "m", "BEGIN; SELECT @@server_id"},
	{"", "m", "START TRANSACTION; SELECT @@server_id"},
	{"", "m", "START TRANSACTION READ WRITE; SELECT @@server_id"},
	{"", "r", "START TRANSACTION READ ONLY; SELECT @@server_id"},
	{"", "r", "BEGIN; COMMIT; SELECT @@server_id"},
	{"", "r", "BEGIN; ROLLBACK; SELECT @@server_id"},
	{"", "r", "START TRANSACTION READ ONLY; COMMIT; SELECT @@server_id"},
	{"", "m", "START TRANSACTION READ ONLY; BEGIN; SELECT @@server_id"},
	{"", "m", "BEGIN; COMMIT AND CHAIN; SELECT @@server_id"},
	{"", "r", "BEGIN; CREATE TABLE IF NOT EXISTS t (id INT); SELECT @@server_id"}, // commits by itself
	{"", "m", "BEGIN; SAVEPOINT a; ROLLBACK TO a; SELECT @@server_id"},
	{"", "m", "SET autocommit = 0; SELECT @@server_id"},
	{"", "m", "SET autocommit = 0; COMMIT; SELECT @@server_id"},
	{"", "m", "SET autocommit = 0; START TRANSACTION READ ONLY; SELECT @@server_id"},
	{"", "r", "SET autocommit = 0; SET autocommit = 1; SELECT @@server_id"},
	{"", "m", "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE; SELECT @@server_id"},
	{"", "r", "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE; SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; SELECT @@server_id"},
	{"", "m", "XA START 'x'; SELECT @@server_id"},
	{"", "r", "XA START 'x'; XA END 'x'; XA ROLLBACK 'x'; SELECT @@server_id"},
	{"", "m", "LOCK TABLES t READ; SELECT @@server_id"},
	{"", "r", "LOCK TABLES t READ; UNLOCK TABLES; SELECT @@server_id"},
	// Temporary tables.
	{"", "m", "CREATE TEMPORARY TABLE x (a INT); INSERT INTO x VALUES (1); SELECT @@server_id FROM x"},
	{"", "m", "CREATE TEMPORARY TABLE x (a INT); INSERT INTO x VALUES (1); SELECT @@server_id FROM t, `x` LIMIT 1"},
	{"", "r", "CREATE TEMPORARY TABLE x (a INT); SELECT @@server_id FROM t LIMIT 1"},
	{"", "r", "CREATE TEMPORARY TABLE t (a INT); DROP TEMPORARY TABLE t; SELECT @@server_id FROM t LIMIT 1"},
	{"", "m", "CREATE TEMPORARY TABLE x (a INT); ALTER TABLE x RENAME y; INSERT INTO y VALUES (1); SELECT @@server_id FROM y"},
	// User variables.
	{"", "r", "SET @a = 1; SELECT @@server_id, @a"},
	{"", "r", "SELECT @a := 1; SELECT @@server_id, @a"},
	{"", "m", "SELECT MAX(a) FROM t INTO @a; SELECT @@server_id, @a"},
	{"", "m", "BEGIN; SELECT @a := MAX(a) FROM t; COMMIT; SELECT @@server_id, @a"},
	{"", "m", "UPDATE t SET a = (@a := a) WHERE id = 1; SELECT @@server_id, @a"},
	{"use_sql_variables_in=master", "m", "SET @a = 1; SELECT @@server_id, @a"},
	{"use_sql_variables_in=master", "m", "SELECT @@server_id, @a := 1"},
	// Several statements, procedures.
	{"", "m", "SELECT @@server_id;;SELECT 1"},
	{"", "r", "SELECT 1;;SELECT 2; SELECT @@server_id"},
	{"strict_multi_stmt=true", "m", "SELECT 1;;SELECT 2; SELECT @@server_id"},
	{"", "r", "CALL p(); SELECT @@server_id"},
	{"strict_sp_calls=true", "m", "CALL p(); SELECT @@server_id"},
	{"", "m", "CREATE TEMPORARY TABLE x (a INT);;INSERT INTO x VALUES (1); SELECT @@server_id FROM x"},
	{"", "m", "BEGIN;;INSERT INTO t (a) VALUES (1); SELECT @@server_id"},
	{"", "r", "SET @m = 1;;SELECT 1;;USE information_schema; SELECT @@server_id, @m FROM engines WHERE DATABASE() = 'information_schema' AND @m = 1 LIMIT 1"},
	// Prepared as text.
	{"", "r", "PREPARE s FROM 'SELECT @@server_id'; EXECUTE s"},
	{"", "m", "PREPARE s FROM 'SELECT @@server_id FROM t LIMIT 1 FOR UPDATE'; EXECUTE s"},
	{"", "m", "SET @s = 'SELECT @@server_id'; PREPARE s FROM @s; EXECUTE s"},
	{"", "m", "PREPARE s FROM 'SELECT @@server_id'; BEGIN; EXECUTE s"},
	// The server of the statement before.
	{"", "m", "SELECT 1 FROM t LIMIT 1 FOR UPDATE; SELECT @@server_id, FOUND_ROWS()"},
	{"", "r", "SELECT SQL_CALC_FOUND_ROWS 1 FROM t LIMIT 1; SELECT @@server_id, FOUND_ROWS()"},
	{"", "m", "SELECT @@server_id, FOUND_ROWS()"},
	// Not replicas.
	{"max_slave_connections=0", "m", "SELECT @@server_id"},
	{"lazy_connect=true", "r", "SELECT @@server_id"},
	{"lazy_connect=true", "m", "INSERT INTO t (a) VALUES (1); SELECT @@server_id FROM t LIMIT 1 FOR UPDATE"},
	{"lazy_connect=true", "r", "SET @a = 5; SELECT @@server_id, @a"},
}

func TestRoutes(t *testing.T) {
	for _, route := range routes {
		t.Run(route.params+" "+route.statements, func(t *testing.T) {
			params := map[string]any{}
			if name, value, ok := strings.Cut(route.params, "="); ok {
				params[name] = value
			}
			c := connect(t, start(t, params), func(c *mysql.Config) { c.MultiStatements = true })
			list := strings.Split(strings.ReplaceAll(route.statements, ";;", "\x00"), "; ")
			for i := range list {
				list[i] = strings.ReplaceAll(list[i], "\x00", "; ")
			}
			last := list[len(list)-1]
			c.exec(list[:len(list)-1]...)
			for range 3 {
				switch got := c.first(last); {
				case route.want == "m" && got != "1", route.want == "r" && got == "1":
					t.Fatalf("on server %s", got)
				}
				if last != "SELECT @@server_id" {
					break
				}
			}
			c.ExecContext(t.Context(), "ROLLBACK") //nolint:errcheck // not all are in a transaction
		})
	}
}

// first is the first column of the first row of the first result.
func (c *client) first(statement string) string {
	c.t.Helper()
	rows, err := c.QueryContext(c.t.Context(), statement)
	if err != nil {
		c.t.Fatalf("%s: %v", statement, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil || !rows.Next() {
		c.t.Fatalf("%s: no row: %v %v", statement, err, rows.Err())
	}
	cells := make([]any, len(columns))
	for i := range cells {
		cells[i] = new(any)
	}
	if err := rows.Scan(cells...); err != nil {
		c.t.Fatal(err)
	}
	v := *cells[0].(*any)
	if b, ok := v.([]byte); ok {
		return string(b)
	}
	return fmt.Sprint(v)
}

// No statement that writes reaches a replica, as their general logs tell.
func TestNoWriteReachesReplicas(t *testing.T) {
	s := servers(t)
	for _, srv := range s.Servers[1:] {
		srv.Exec(t, "SET GLOBAL log_output = 'TABLE'", "SET GLOBAL general_log = ON")
		t.Cleanup(func() { srv.Exec(t, "SET GLOBAL general_log = OFF") })
	}
	p := start(t, map[string]any{"transaction_replay": true, "optimistic_trx": true, "causal_reads": "local"})
	c := connect(t, p)
	for i := range 5 {
		c.exec("INSERT INTO t (a) VALUES (1)", "UPDATE t SET a = 2 WHERE a = 1", "SELECT a FROM t", "DELETE FROM t WHERE a = 2 LIMIT 1",
			"BEGIN", "SELECT a FROM t", "REPLACE INTO t (id, a) VALUES (99, 3)", "SELECT a FROM t", "COMMIT", "SET @x = 1",
			"CREATE TABLE IF NOT EXISTS u (a INT)", "TRUNCATE u", "DROP TABLE u", "START TRANSACTION READ ONLY", "SELECT a FROM t", "COMMIT",
			"PREPARE s FROM 'INSERT INTO t (a) VALUES (7)'", "EXECUTE s", "DEALLOCATE PREPARE s", "SELECT f()", "DO NEXT VALUE FOR s")
		if _, err := c.ExecContext(t.Context(), "INSERT INTO t (a) VALUES (?)", i); err != nil {
			t.Fatal(err)
		}
	}
	for _, srv := range s.Servers[1:] {
		const writes = `SELECT COUNT(*) FROM mysql.general_log WHERE user_host LIKE 'app%' AND command_type IN ('Query', 'Execute')
			AND argument REGEXP '^ *(INSERT|UPDATE|DELETE|REPLACE|CREATE|TRUNCATE|DROP|EXECUTE|SELECT f|DO)'`
		if n := srv.Query(t, writes); n != "0" {
			t.Errorf("%s writes: %s", n, srv.Query(t, strings.Replace(writes, "COUNT(*)", "GROUP_CONCAT(argument)", 1)))
		}
		if n := srv.Query(t, "SELECT COUNT(*) FROM mysql.general_log WHERE user_host LIKE 'app%' AND argument = 'SELECT a FROM t'"); n == "0" {
			t.Error("no reads either")
		}
	}
}

// Writes in a transaction that only reads are refused as the server would.
func TestReadOnlyTransaction(t *testing.T) {
	c := connect(t, start(t, nil))
	c.exec("START TRANSACTION READ ONLY")
	on := c.read()
	for range 5 {
		c.expect(on, "SELECT @@server_id")
		c.expect(on, "SELECT @@server_id FROM t LIMIT 1")
	}
	if _, err := c.ExecContext(t.Context(), "INSERT INTO t (a) VALUES (1)"); code(err) != 1792 {
		t.Fatal(err)
	}
	c.expect(on, "SELECT @@server_id")
	c.exec("SET @a = 7")
	c.expect("7", "SELECT @a")
	c.exec("COMMIT", "INSERT INTO t (a) VALUES (1)")
}

// Data for LOAD DATA LOCAL goes to the master, and is asked of the client.
func TestLoadDataLocal(t *testing.T) {
	c := connect(t, start(t, nil))
	mysql.RegisterReaderHandler("numbers", func() io.Reader { return strings.NewReader("101\n102\n103\n") })
	defer mysql.DeregisterReaderHandler("numbers")
	result, err := c.ExecContext(t.Context(), "LOAD DATA LOCAL INFILE 'Reader::numbers' INTO TABLE t (a)")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := result.RowsAffected(); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	c.read()
}

// A database that is not there is refused, and the session goes on.
func TestUse(t *testing.T) {
	c := connect(t, start(t, nil))
	if _, err := c.ExecContext(t.Context(), "USE nothing_there"); code(err) != 1044 && code(err) != 1049 {
		t.Fatal(err)
	}
	for range 4 {
		c.expect("app", "SELECT DATABASE()")
	}
	c.exec("USE information_schema")
	for range 4 {
		c.expect("information_schema", "SELECT DATABASE()")
	}
	c.exec("USE app")
	seen := c.reads(6)
	if len(seen) != 2 {
		t.Fatal(seen)
	}
}

// Requests of more than 16 MiB, which no one holds, go to the master.
func TestBigRequests(t *testing.T) {
	s := servers(t)
	for _, srv := range s.Servers {
		before := srv.Query(t, "SELECT @@GLOBAL.max_allowed_packet")
		srv.Exec(t, "SET GLOBAL max_allowed_packet = 64 * 1024 * 1024")
		defer srv.Exec(t, "SET GLOBAL max_allowed_packet = "+before)
	}
	c := connect(t, start(t, nil), func(c *mysql.Config) { c.MaxAllowedPacket = 64 << 20 })
	big := strings.Repeat("x", 20<<20)
	if got, err := c.try("SELECT CONCAT(@@server_id, '/', LENGTH('" + big + "'))"); err != nil || got != fmt.Sprintf("1/%d", len(big)) {
		t.Fatal(got, err)
	}
	for range 3 {
		got, err := c.try("SELECT CONCAT(@@server_id, '/', LENGTH(?))", big)
		if _, length, _ := strings.Cut(got, "/"); err != nil || length != fmt.Sprint(len(big)) {
			t.Fatal(got, err)
		}
	}
	c.reads(3)
}

// Statements whose text does not show what they set make the proxy careful.
func TestHiddenSettings(t *testing.T) {
	p := start(t, nil)
	const two = `SELECT @@server_id, 'a\'b' -- '`
	for _, hidden := range []string{"SET sql_mode = ?", "SELECT 1; SET sql_mode = ''", "EXECUTE s"} {
		c := connect(t, p, func(c *mysql.Config) { c.MultiStatements = true })
		c.exec("PREPARE s FROM 'SET sql_mode = DEFAULT'")
		if c.first(two) == "1" {
			t.Fatal("not known from the start")
		}
		var args []any
		if strings.Contains(hidden, "?") {
			args = append(args, "ANSI_QUOTES")
		}
		if _, err := c.ExecContext(t.Context(), hidden, args...); err != nil {
			t.Fatal(err)
		}
		if c.first(two) != "1" {
			t.Fatalf("after %s a replica reads what could be read in two ways", hidden)
		}
		c.exec("SET sql_mode = ''", "SET NAMES utf8mb4")
		if c.first(two) == "1" {
			t.Fatal("it is known again")
		}
	}
}

func TestCommitRelease(t *testing.T) {
	c := connect(t, start(t, nil))
	c.exec("BEGIN", "INSERT INTO t (a) VALUES (1)", "COMMIT RELEASE")
	if v, err := c.try("SELECT 1"); err == nil {
		t.Fatal(v)
	}
}

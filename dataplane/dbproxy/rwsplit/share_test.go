package rwsplit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/proxytest"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
	"github.com/backplane/backplane/testbed"
)

// narrow lets a proxy have so many connections to each of its servers, of which
// there are so many.
func narrow(connections, servers int) func(*proxytest.Options) {
	return func(o *proxytest.Options) {
		o.Servers = o.Servers[:servers]
		o.ServerParams = map[string]any{"max_routing_connections": connections, "persistpoolmax": connections, "persistmaxtime": "1h"}
	}
}

// sharing are the parameters of a service whose sessions share connections.
func sharing(more ...any) map[string]any {
	params := map[string]any{"idle_session_pool_time": "0ms", "multiplex_timeout": "60s"}
	for i := 0; i+1 < len(more); i += 2 {
		params[more[i].(string)] = more[i+1]
	}
	return params
}

func multi(c *mysql.Config) { c.MultiStatements = true }

// errNoTurn tells whether a client was told that it has waited in vain.
func errNoTurn(err error) bool {
	var e *mysql.MySQLError
	return errors.As(err, &e) && strings.Contains(e.Message, dbproxy.ErrNoTurn.Message)
}

// Many sessions work with few connections, and each finds what it has set.
func TestSharing(t *testing.T) {
	for _, tt := range []struct {
		idle                          string
		connections, sessions, rounds int
	}{{"0ms", 2, 20, 8}, {"0ms", 1, 6, 4}, {"10ms", 2, 6, 3}} {
		t.Run(fmt.Sprintf("%d on %d after %s", tt.sessions, tt.connections, tt.idle), func(t *testing.T) {
			shareAmong(t, start(t, sharing("idle_session_pool_time", tt.idle), narrow(tt.connections, 3)), tt.connections, tt.sessions, tt.rounds)
		})
	}
}

func shareAmong(t *testing.T, p *proxytest.Proxy, connections, sessions, rounds int) {
	t.Helper()
	cluster := servers(t)
	cluster.Servers[0].ExecIn(t, "app", "CREATE OR REPLACE TABLE shared (id INT PRIMARY KEY, n INT)")
	t.Cleanup(func() { cluster.Servers[0].ExecIn(t, "app", "DROP TABLE shared") })
	cluster.WaitReplicated(t)
	clients := make([]*client, sessions)
	for i := range clients {
		clients[i] = connect(t, p)
	}
	var all sync.WaitGroup
	for i, c := range clients {
		all.Go(func() {
			if err := c.work(i, rounds); err != nil {
				t.Errorf("session %d: %v", i, err)
			}
		})
	}
	all.Wait()
	if got := cluster.Servers[0].Query(t, "SELECT SUM(n) FROM app.shared"); got != fmt.Sprint(sessions*rounds*2) {
		t.Errorf("the transactions add up to %s", got)
	}
	most := int64(connections)
	for i := range 3 {
		if s := p.Backend(t, i).Statistics(); s.MaxConnections > most || s.Connections+s.Pooled > most || s.Reused == 0 || s.MaxPool > most {
			t.Errorf("server%d: %+v", i+1, s)
		}
	}
}

// work does things for which a session needs what it has done before.
func (c *client) work(i, rounds int) error {
	ctx, cancel := context.WithTimeout(c.t.Context(), proxytest.Patience)
	defer cancel()
	for _, s := range []string{fmt.Sprintf("SET @me = %d", i), fmt.Sprintf("SET SESSION max_sort_length = %d", 100+i), fmt.Sprintf("INSERT INTO shared VALUES (%d, 0)", i)} {
		if _, err := c.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	database := testbed.ClusterDatabase
	if i%2 == 0 {
		database = "information_schema"
		if _, err := c.ExecContext(ctx, "USE information_schema"); err != nil {
			return err
		}
	}
	read, err := c.PrepareContext(ctx, "SELECT CONCAT_WS('/', @me, @@max_sort_length, DATABASE(), ?)")
	if err != nil {
		return err
	}
	defer read.Close()
	for round := range rounds {
		var got string
		if err := read.QueryRowContext(ctx, round).Scan(&got); err != nil {
			return err
		}
		if want := fmt.Sprintf("%d/%d/%s/%d", i, 100+i, database, round); got != want {
			return fmt.Errorf("%s, want %s", got, want)
		}
		if err := c.twice(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// twice adds to a row in a transaction.
func (c *client) twice(ctx context.Context, i int) error {
	tx, err := c.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // it has ended by then, or the session has
	var server string
	for range 2 {
		if _, err := tx.ExecContext(ctx, "UPDATE app.shared SET n = n + 1 WHERE id = ?", i); err != nil {
			return err
		}
		var now string
		if err := tx.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&now); err != nil {
			return err
		}
		if server != "" && server != now {
			return fmt.Errorf("the connection has changed within a transaction")
		}
		server = now
	}
	return tx.Commit()
}

// kept has statements, and whether what they leave keeps the session from
// giving up its connection. multi tells that they are one request.
var kept = []struct {
	keeps      bool
	statements string
	params     string
}{
	{false, "SELECT 1", ""},
	{false, "INSERT INTO kept (a) VALUES (1); UPDATE kept SET a = 2; DELETE FROM kept", ""},
	{false, "SET @a = 1; SELECT @a", ""},
	{false, "SET NAMES utf8mb4; SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_ZERO_DATE')", ""},
	{false, "BEGIN; INSERT INTO kept (a) VALUES (1); COMMIT", ""},
	{false, "LOCK TABLES kept WRITE; UNLOCK TABLES", ""},
	{false, "CREATE TEMPORARY TABLE k (a INT); DROP TEMPORARY TABLE k", ""},
	{false, "SET autocommit = 0; SET autocommit = 1", ""},
	{false, "PREPARE s FROM 'SELECT 1'; EXECUTE s", ""},
	{false, "SHOW WARNINGS", ""},
	{false, "SELECT CAST('x' AS INT); SELECT a FROM t LIMIT 1", ""}, // which has no warning
	{false, "SET @s = 'SELECT 1'; PREPARE s FROM @s", ""},
	{false, "SET @a = 1;;SELECT 2", ""},
	{false, "SET @a = 1; SET @b = 2; SET @c = 3", ""},
	{true, "BEGIN", ""},
	{true, "START TRANSACTION READ ONLY", ""},
	{true, "SET autocommit = 0", ""},
	{true, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", ""},
	{true, "XA START 'kept'", ""},
	{true, "LOCK TABLES kept READ", ""},
	{true, "HANDLER kept OPEN", ""},
	{true, "SELECT GET_LOCK('kept', 0)", ""},
	{true, "DO GET_LOCK('kept', 0)", ""},
	{true, "CREATE TEMPORARY TABLE k (a INT)", ""},
	{true, "CREATE TEMPORARY TABLE k (a INT);;SELECT 1", ""},
	{true, "SELECT f()", ""},
	{true, "CALL p()", ""},
	{true, "EXECUTE IMMEDIATE 'SET @a = 1'", ""},
	{true, "SET @s = 'SELECT 1'; PREPARE s FROM @s; EXECUTE s", ""},
	{true, "SET @a = UUID()", ""},
	{true, "SET @a = (SELECT MAX(a) FROM t)", ""},
	{true, "SET SESSION timestamp = UNIX_TIMESTAMP()", ""},
	{true, "SET insert_id = 1000", ""},
	{true, "SELECT a FROM t LIMIT 1 INTO @a", ""},
	{true, "SELECT @a := 1", "use_sql_variables_in=master"},
	{true, "SELECT SQL_CALC_FOUND_ROWS a FROM t LIMIT 1", ""},
	{true, "SELECT 1; SELECT FOUND_ROWS()", ""},
	{true, "SELECT CAST('x' AS INT)", ""},
	{true, "SELECT CAST('x' AS INT); SELECT 1", ""},
	{true, "SELECT NEXTVAL(s)", ""},
	{true, "SET PASSWORD = PASSWORD('" + testbed.ClusterAppPassword + "')", ""},
	{true, "SET @a = 1; SET @b = 2; SET @c = 3", "max_sescmd_history=2"},
	{true, "SET @a = 1; SET @b = 2; SET @c = 3", "max_sescmd_history=2&prune_sescmd_history=false"},
	{true, "SELECT 1", "disable_sescmd_history=true"},
	{true, "SELECT 1", "master_reconnection=false"},
}

func TestWhatKeepsConnections(t *testing.T) {
	cluster := servers(t)
	cluster.Servers[0].ExecIn(t, "app", "CREATE OR REPLACE TABLE kept (id INT PRIMARY KEY AUTO_INCREMENT, a INT)")
	t.Cleanup(func() { cluster.Servers[0].ExecIn(t, "app", "DROP TABLE kept") })
	for _, tt := range kept {
		t.Run(tt.params+"/"+tt.statements, func(t *testing.T) {
			params := sharing()
			if tt.keeps {
				params["multiplex_timeout"] = "100ms"
			}
			for pair := range strings.SplitSeq(tt.params, "&") {
				if name, value, ok := strings.Cut(pair, "="); ok {
					params[name] = value
				}
			}
			p := start(t, params, narrow(1, 1))
			c := connect(t, p, multi)
			for s := range strings.SplitSeq(strings.ReplaceAll(tt.statements, ";;", "\x00"), "; ") {
				c.exec(strings.ReplaceAll(s, "\x00", ";"))
			}
			_, err := connect(t, p, multi).try("SELECT 2")
			if tt.keeps && !errNoTurn(err) || !tt.keeps && err != nil {
				t.Fatal(err)
			}
			if reused := p.Backend(t, 0).Statistics().Reused; (reused == 0) != tt.keeps {
				t.Fatalf("connections were taken from the pool %d times", reused)
			}
		})
	}
}

// Rows that are still to be fetched, and data that was sent for a parameter,
// are on one connection.
func TestOpenCursorsKeepConnections(t *testing.T) {
	p := start(t, sharing("multiplex_timeout", "100ms"), narrow(1, 1))
	c := dialBinary(t, p.Addr(t))
	st := c.prepare("SELECT seq + ? FROM seq_1_to_4")
	c.do(wire.ComStmtExecute, executing(st.ID, wire.CursorReadOnly, true, 0)...)
	if err := c.reply.Err(); err != nil || !c.reply.Status().Has(wire.StatusCursorExists) {
		t.Fatal(err, c.reply.Status())
	}
	if _, err := connect(t, p).try("SELECT 1"); !errNoTurn(err) {
		t.Fatal(err)
	}
	for range 3 {
		c.do(wire.ComStmtFetch, wire.Fetch{ID: st.ID, Rows: 3}.Append(nil)[1:]...)
		if err := c.reply.Err(); err != nil {
			t.Fatal(err)
		}
		if c.reply.Status().Has(wire.StatusLastRowSent) {
			break
		}
	}
	if err := eventually(t, p, "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	// Where the statement goes on, the types of its parameter are known.
	rows := c.do(wire.ComStmtExecute, executing(st.ID, 0, false, 7)...)
	if err := c.reply.Err(); err != nil || len(rows) != 4 || rows[0][len(rows[0])-8] != 8 {
		t.Fatal(err, rows)
	}
	data := []byte{byte(st.ID), byte(st.ID >> 8), byte(st.ID >> 16), byte(st.ID >> 24), 0, 0, '9'}
	c.do(wire.ComStmtSendLongData, data...)
	c.do(wire.ComPing)
	if _, err := connect(t, p).try("SELECT 1"); !errNoTurn(err) {
		t.Fatal(err)
	}
}

// eventually asks again as long as there is no connection to ask with.
func eventually(t *testing.T, p *proxytest.Proxy, statement string) (err error) {
	t.Helper()
	proxytest.Eventually(t, statement, func() bool {
		_, err = connect(t, p).try(statement)
		return !errNoTurn(err)
	})
	return err
}

// Without idle_session_pool_time nobody waits for others.
func TestNoSharing(t *testing.T) {
	p := start(t, nil, narrow(1, 1))
	c := connect(t, p)
	c.expect("1", "SELECT 1")
	if _, err := dial(t, p); err == nil {
		t.Fatal("there was room")
	}
	c.expect("1", "SELECT 1")
}

// Idle sessions put their connections into the pool, of which they take what
// they need again.
func TestIdleSessionsFillThePool(t *testing.T) {
	p := start(t, sharing(), narrow(2, 1))
	a, b := connect(t, p), connect(t, p)
	a.exec("SET @a = 'a'")
	b.exec("SET @a = 'b'")
	srv := p.Backend(t, 0)
	proxytest.Eventually(t, "both connections are in the pool", func() bool {
		s := srv.Statistics()
		return s.Pooled == 2 && s.Connections == 0
	})
	if s := srv.Statistics(); s.Reused != 0 || s.MaxPool != 2 || s.TotalConnections != 2 {
		t.Fatalf("%+v", s)
	}
	a.exec("BEGIN")
	a.expect("a", "SELECT @a")
	if s := srv.Statistics(); s.Reused != 1 || s.Pooled != 1 || s.Connections != 1 {
		t.Fatalf("%+v", s)
	}
	b.expect("b", "SELECT @a")
	a.exec("COMMIT")
	a.expect("a", "SELECT @a")
}

// A pooled connection that does not fit makes way for another one.
func TestPooledConnectionsMakeWay(t *testing.T) {
	p := start(t, sharing(), narrow(1, 1))
	connect(t, p).expect("1", "SELECT 1")
	c := dialBinary(t, p.Addr(t)) // with other capabilities
	for range 3 {
		if rows := c.do(wire.ComQuery, []byte("SELECT 1")...); len(rows) != 1 {
			t.Fatal(c.reply.Err())
		}
		connect(t, p).expect("2", "SELECT 2")
		if s := p.Backend(t, 0).Statistics(); s.Connections+s.Pooled > 1 || s.MaxConnections > 1 {
			t.Fatalf("%+v", s)
		}
	}
}

func TestMultiplexTimeout(t *testing.T) {
	for _, mode := range []string{failOnWrite, failInstantly, errorOnWrite} {
		t.Run(mode, func(t *testing.T) {
			p := start(t, sharing("multiplex_timeout", "100ms", "master_failure_mode", mode), narrow(1, 1))
			a, b := connect(t, p), connect(t, p)
			a.exec("BEGIN")
			if _, err := b.try("SELECT 1"); !errNoTurn(err) {
				t.Fatal(err)
			}
			a.exec("COMMIT")
			_, err := b.try("SELECT 1")
			if mode == errorOnWrite && err != nil || mode != errorOnWrite && err == nil {
				t.Fatal(err)
			}
		})
	}
}

// What the last INSERT has told is what LAST_INSERT_ID() tells later on.
func TestSharedInsertID(t *testing.T) {
	p := start(t, sharing(), narrow(1, 1))
	cluster := servers(t)
	cluster.Servers[0].ExecIn(t, "app", "CREATE OR REPLACE TABLE ids (id INT PRIMARY KEY AUTO_INCREMENT, a INT)")
	t.Cleanup(func() { cluster.Servers[0].ExecIn(t, "app", "DROP TABLE ids") })
	a, b := connect(t, p), connect(t, p)
	a.exec("INSERT INTO ids (a) VALUES (1)")
	b.expect("0", "SELECT LAST_INSERT_ID()")
	b.exec("INSERT INTO ids (a) VALUES (2)")
	a.expect("1", "SELECT LAST_INSERT_ID()")
	b.expect("2", "SELECT LAST_INSERT_ID()")
	a.exec("INSERT INTO ids VALUES (70, 3)") // which is no generated one
	b.expect("2", "SELECT @@identity")
	a.expect("1", "SELECT LAST_INSERT_ID()")
	a.exec("SET last_insert_id = 8")
	b.expect("2", "SELECT LAST_INSERT_ID()")
	a.expect("8", "SELECT LAST_INSERT_ID()")
}

// What the statement before has left is not told of another connection.
func TestSharedDiagnostics(t *testing.T) {
	p := start(t, sharing(), narrow(1, 1))
	a, b := connect(t, p), connect(t, p)
	a.exec("SET SESSION max_sort_length = 1") // with a warning, which is of the statement
	a.exec("SELECT a FROM t LIMIT 1")
	b.expect("1", "SELECT 1")
	if _, err := a.try("SHOW WARNINGS"); !errors.Is(err, sql.ErrNoRows) {
		t.Fatal(err)
	}
	b.expect("1", "SELECT 1")
	if _, err := a.try("SELECT ROW_COUNT()"); err == nil || !strings.Contains(err.Error(), errGiven.Message) {
		t.Fatal(err)
	}
	// From here on the session keeps what it has.
	a.exec("DO 1")
	a.expect("0", "SELECT ROW_COUNT()")
}

// A session that changes its user begins anew, and shares again.
func TestSharingAfterReset(t *testing.T) {
	p := start(t, sharing(), narrow(1, 1))
	c := dialBinary(t, p.Addr(t))
	c.do(wire.ComQuery, []byte("DO GET_LOCK('kept', 0)")...)
	c.do(wire.ComResetConnection)
	if err := c.reply.Err(); err != nil {
		t.Fatal(err)
	}
	connect(t, p).expect("1", "SELECT 1")
	if rows := c.do(wire.ComQuery, []byte("SELECT 1")...); len(rows) != 1 {
		t.Fatal(c.reply.Err())
	}
}

// A session that must keep its master does not hold it while it waits for a
// replica, but reads from it.
func TestReadsOfWhoCannotShare(t *testing.T) {
	p := start(t, sharing("lazy_connect", true), narrow(1, 2))
	a, b := connect(t, p), connect(t, p)
	a.exec("DO GET_LOCK('a', 0)")
	b.exec("START TRANSACTION READ ONLY")
	b.expect("2", "SELECT @@server_id")
	a.expect("1", "SELECT @@server_id")
}

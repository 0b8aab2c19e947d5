package rwsplit

import (
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
	"github.com/backplane/backplane/testbed"
)

// What has changed the session is done again on a new connection before
// anything else.
func TestHistoryIsReplayed(t *testing.T) {
	p := start(t, nil)
	c := connect(t, p)
	c.exec("SET @a = 'x'", "SET SESSION sql_mode = 'ANSI_QUOTES'", "USE information_schema", "PREPARE s FROM 'SELECT CONCAT(@a, ?, DATABASE())'", "SET @b = 2")
	for _, i := range []int{1, 2} {
		killed(t, servers(t).Servers[i])
	}
	for range 4 {
		c.expect("xinformation_schema", `SELECT CONCAT(@a, DATABASE()) AS "x"`)
		c.expect("x2information_schema", "EXECUTE s USING @b")
		if c.read() == "1" {
			t.Fatal("on the master")
		}
	}
	killed(t, servers(t).Servers[0])
	c.expect("1", "SELECT @@server_id FROM app.t LIMIT 1 FOR UPDATE")
	c.expect("xinformation_schema", "SELECT CONCAT(@a, DATABASE(), LEFT(IFNULL(LAST_INSERT_ID(), ''), 0))")
}

func TestHistoryDisabled(t *testing.T) {
	p := start(t, map[string]any{"disable_sescmd_history": true})
	c := connect(t, p)
	c.exec("SET @a = 1")
	killed(t, servers(t).Servers[1])
	for range 6 {
		if on := c.read(); on != "3" {
			t.Fatalf("on server %s", on)
		}
	}
}

func TestHistoryWithoutPruning(t *testing.T) {
	p := start(t, map[string]any{"max_sescmd_history": 2, "prune_sescmd_history": false})
	c := connect(t, p)
	c.exec("SET @a = 1", "SET @b = 1", "SET @c = 1")
	killed(t, servers(t).Servers[1])
	for range 6 {
		if on := c.read(); on != "3" {
			t.Fatalf("on server %s", on)
		}
		c.expect("1", "SELECT @a")
	}
}

// A server that answers otherwise is not used again in the session.
func TestServerThatDiffersIsDropped(t *testing.T) {
	s := servers(t)
	p := start(t, nil)
	c := connect(t, p)
	// It needs a right that the account has on one server only.
	s.Servers[0].Exec(t, "SET STATEMENT sql_log_bin = 0 FOR GRANT SUPER ON *.* TO app@'%'")
	s.Servers[2].Exec(t, "SET STATEMENT sql_log_bin = 0 FOR GRANT SUPER ON *.* TO app@'%'")
	defer s.Servers[0].Exec(t, "SET STATEMENT sql_log_bin = 0 FOR REVOKE SUPER ON *.* FROM app@'%'")
	defer s.Servers[2].Exec(t, "SET STATEMENT sql_log_bin = 0 FOR REVOKE SUPER ON *.* FROM app@'%'")
	c2 := connect(t, p)
	c2.exec("SET SESSION sql_log_bin = 1")
	for range 6 {
		if on := c2.read(); on != "3" {
			t.Fatalf("on server %s", on)
		}
	}
	if len(c.reads(6)) != 2 {
		t.Fatal("another session has lost it, too")
	}
}

func TestResetConnection(t *testing.T) {
	c := dialBinary(t, start(t, nil).Addr(t))
	c.do(wire.ComQuery, []byte("SET @a = 5")...)
	st := c.prepare("SELECT 1, ?")
	c.do(wire.ComResetConnection)
	if c.reply.Failed() {
		t.Fatal(c.reply.Err())
	}
	c.do(wire.ComStmtExecute, executing(st.ID, 0, true, 1)...)
	if c.reply.ErrorCode() != wire.ErrCodeUnknownStmt {
		t.Fatal(c.reply.Err())
	}
	for range 3 {
		rows := c.do(wire.ComQuery, []byte("SELECT IFNULL(@a, 'none')")...)
		if len(rows) != 1 || string(rows[0][1:]) != "none" {
			t.Fatalf("%q", rows)
		}
	}
}

func TestDiagnostics(t *testing.T) {
	p := start(t, nil)
	c := connect(t, p)
	c.reads(4)
	c.exec("INSERT INTO t (a) VALUES (1)", "SET @a = 1", "BEGIN", "COMMIT", "START TRANSACTION READ ONLY", "COMMIT")
	service, _ := p.Service("service")
	d := service.Router().Diagnostics()
	for name, want := range map[string]int64{"queries": 10, "route_master": 3, "route_slave": 6, "route_all": 1, "rw_transactions": 1, "ro_transactions": 1} {
		if d[name] != want {
			t.Errorf("%s: %v, want %d", name, d[name], want)
		}
	}
	list, _ := d["server_query_statistics"].([]map[string]any)
	if len(list) != 3 || list[0]["id"] != "server1" || list[0]["read"] != int64(0) || list[0]["write"] != int64(3) {
		t.Fatal(list)
	}
	c.Close()
}

func TestChangeUser(t *testing.T) {
	c := dialBinary(t, start(t, nil).Addr(t))
	c.do(wire.ComQuery, []byte("SET @a = 5")...)
	c.do(wire.ComQuery, []byte("CREATE TEMPORARY TABLE x (a INT)")...)
	c.do(wire.ComQuery, []byte("BEGIN")...)
	_, err := wire.LoginAgain(c.Conn, wire.LoginOptions{
		User: testbed.ClusterApp, Database: "information_schema", Credentials: wire.Password(testbed.ClusterAppPassword),
	}, c.caps, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		rows := c.do(wire.ComQuery, []byte("SELECT CONCAT(@@server_id, IFNULL(@a, 'none'), DATABASE())")...)
		if len(rows) != 1 || rows[0][1] == '1' || string(rows[0][2:]) != "noneinformation_schema" {
			t.Fatalf("%q %v", rows, c.reply.Err())
		}
	}
}

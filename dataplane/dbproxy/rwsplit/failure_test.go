package rwsplit

import (
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/proxytest"
)

// slow is a read that goes on for long enough to be interrupted.
const slow = "SELECT @@server_id + SLEEP(3)"

// interrupt cuts the application's sessions on the servers that run a
// statement that contains a text, once one of them does.
func interrupt(t *testing.T, text string) {
	t.Helper()
	const running = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'app' AND info LIKE "
	proxytest.Eventually(t, "a server runs "+text, func() bool {
		for _, s := range shared.cluster.Servers {
			if s.Query(t, running+"?", "%"+text+"%") != "0" {
				s.Exec(t, "KILL USER app")
				return true
			}
		}
		return false
	})
}

// result is what a statement in another goroutine has led to.
type result struct {
	value string
	err   error
}

// begin runs a statement that is interrupted.
func (c *client) begin(statement string) <-chan result {
	done := make(chan result, 1)
	go func() {
		v, err := c.try(statement)
		done <- result{v, err}
	}()
	return done
}

func TestFailedReadIsRetried(t *testing.T) {
	c := connect(t, start(t, nil))
	done := c.begin(slow)
	interrupt(t, "SLEEP(3)")
	if r := <-done; r.err != nil {
		t.Fatal(r.err)
	}
	c.read()
	c.exec("INSERT INTO t (a) VALUES (1)")
}

func TestFailedReadIsNotRetried(t *testing.T) {
	c := connect(t, start(t, map[string]any{"retry_failed_reads": false}))
	done := c.begin(slow)
	interrupt(t, "SLEEP(3)")
	if r := <-done; r.err == nil {
		t.Fatal("a result")
	}
}

func TestReplicasAreReplaced(t *testing.T) {
	p := start(t, nil)
	c := connect(t, p)
	for range 3 {
		for _, i := range []int{1, 2} {
			killed(t, servers(t).Servers[i])
		}
		if seen := c.reads(6); len(seen) != 2 || seen["1"] != 0 {
			t.Fatal(seen)
		}
	}
	// Without replicas the master is read.
	p.Backend(t, 1).SetStatus(dbproxy.Maintenance, 0)
	p.Backend(t, 2).SetStatus(0, dbproxy.Running)
	if seen := c.reads(3); seen["1"] != 3 {
		t.Fatal(seen)
	}
	p.Backend(t, 1).SetStatus(0, dbproxy.Maintenance)
	p.Backend(t, 2).SetStatus(dbproxy.Running, 0)
	proxytest.Eventually(t, "replicas are read again", func() bool { return len(c.reads(4)) == 2 })
}

func TestDraining(t *testing.T) {
	p := start(t, nil)
	c := connect(t, p)
	p.Backend(t, 1).SetStatus(dbproxy.Draining, 0)
	if seen := c.reads(6); len(seen) != 2 {
		t.Fatal(seen) // what is connected goes on
	}
	if seen := connect(t, p).reads(6); len(seen) != 1 {
		t.Fatal(seen)
	}
}

// noMaster takes the master away.
func noMaster(t *testing.T, p *proxytest.Proxy) {
	t.Helper()
	p.Backend(t, 0).SetStatus(0, dbproxy.Running|dbproxy.Master)
}

func backAgain(t *testing.T, p *proxytest.Proxy) {
	t.Helper()
	p.Backend(t, 0).SetStatus(dbproxy.Running|dbproxy.Master, 0)
}

func TestFailInstantly(t *testing.T) {
	p := start(t, map[string]any{"master_failure_mode": "fail_instantly"})
	c := connect(t, p)
	c.read()
	noMaster(t, p)
	if v, err := c.try("SELECT @@server_id"); err == nil {
		t.Fatal(v)
	}
	if c, err := dial(t, p); err == nil {
		t.Fatal(c)
	}
	backAgain(t, p)
	connect(t, p).exec("INSERT INTO t (a) VALUES (1)")
}

func TestFailOnWrite(t *testing.T) {
	p := start(t, nil)
	c := connect(t, p)
	noMaster(t, p)
	c.read()
	fresh := connect(t, p)
	fresh.read()
	fresh.exec("SET @a = 1")
	if _, err := c.ExecContext(t.Context(), "INSERT INTO t (a) VALUES (1)"); err == nil {
		t.Fatal("written")
	}
	if v, err := c.try("SELECT 1"); err == nil {
		t.Fatal(v) // it is closed
	}
	backAgain(t, p)
	fresh.exec("INSERT INTO t (a) VALUES (1)")
	fresh.expect("1", "SELECT @a FROM t LIMIT 1 FOR UPDATE")
}

func TestErrorOnWrite(t *testing.T) {
	p := start(t, map[string]any{"master_failure_mode": "error_on_write"})
	c := connect(t, p)
	noMaster(t, p)
	for range 3 {
		if _, err := c.ExecContext(t.Context(), "INSERT INTO t (a) VALUES (1)"); code(err) != 1290 {
			t.Fatal(err)
		}
		c.read()
	}
	backAgain(t, p)
	c.exec("INSERT INTO t (a) VALUES (1)")
}

func TestWithoutReconnection(t *testing.T) {
	p := start(t, map[string]any{"master_failure_mode": "error_on_write", "master_reconnection": false})
	c := connect(t, p)
	noMaster(t, p)
	backAgain(t, p)
	if _, err := c.ExecContext(t.Context(), "INSERT INTO t (a) VALUES (1)"); code(err) != 1290 {
		t.Fatal(err)
	}
	c.read()
}

// A session follows the master to another server.
func TestMasterMoves(t *testing.T) {
	s := servers(t)
	p := start(t, nil)
	c := connect(t, p)
	c.exec("SET @a = 'kept'")
	s.Servers[1].Exec(t, "SET GLOBAL read_only = OFF")
	defer s.Servers[1].Exec(t, "SET GLOBAL read_only = ON")
	p.Backend(t, 0).SetStatus(dbproxy.Slave, dbproxy.Master)
	p.Backend(t, 1).SetStatus(dbproxy.Master, dbproxy.Slave)
	c.expect("2", "SELECT @@server_id FROM t LIMIT 1 FOR UPDATE")
	c.expect("kept", "SELECT @a FROM t LIMIT 1 FOR UPDATE")
	if seen := c.reads(8); seen["2"] != 0 || len(seen) != 2 {
		t.Fatal(seen)
	}
}

func TestTemporaryTablesHoldTheMaster(t *testing.T) {
	for _, strict := range []bool{true, false} {
		p := start(t, map[string]any{"strict_tmp_tables": strict})
		c := connect(t, p)
		c.exec("CREATE TEMPORARY TABLE x (a INT)")
		noMaster(t, p)
		backAgain(t, p)
		_, err := c.ExecContext(t.Context(), "INSERT INTO t (a) VALUES (1)")
		if strict != (err != nil) {
			t.Fatal(strict, err)
		}
	}
}

func TestDelayedRetry(t *testing.T) {
	p := start(t, map[string]any{"delayed_retry": true, "delayed_retry_timeout": "60s"})
	c := connect(t, p)
	noMaster(t, p)
	done := c.begin("SELECT @@server_id FROM t LIMIT 1 FOR UPDATE")
	select {
	case r := <-done:
		t.Fatal(r)
	case <-t.Context().Done():
	default:
	}
	backAgain(t, p)
	if r := <-done; r.err != nil || r.value != "1" {
		t.Fatal(r)
	}
}

func TestDelayedRetryInVain(t *testing.T) {
	p := start(t, map[string]any{"delayed_retry": true, "delayed_retry_timeout": "1s", "master_failure_mode": "error_on_write"})
	c := connect(t, p)
	noMaster(t, p)
	if _, err := c.ExecContext(t.Context(), "INSERT INTO t (a) VALUES (1)"); code(err) != 1290 {
		t.Fatal(err)
	}
}

// A transaction whose server is lost ends the session.
func TestTransactionIsLost(t *testing.T) {
	p := start(t, nil)
	c := connect(t, p)
	c.exec("BEGIN", "INSERT INTO t (a) VALUES (1)")
	killed(t, servers(t).Servers[0])
	if _, err := c.ExecContext(t.Context(), "INSERT INTO t (a) VALUES (1)"); err == nil {
		t.Fatal("it went on")
	}
}

// The transaction on a master that goes into maintenance is finished there.
func TestMaintenanceWaitsForTransaction(t *testing.T) {
	p := start(t, map[string]any{"master_failure_mode": "error_on_write"})
	c := connect(t, p)
	c.exec("BEGIN", "INSERT INTO t (a) VALUES (1)")
	p.Backend(t, 0).SetStatus(dbproxy.Maintenance, 0)
	c.expect("1", "SELECT @@server_id")
	c.exec("COMMIT")
	if _, err := c.ExecContext(t.Context(), "INSERT INTO t (a) VALUES (1)"); code(err) != 1290 {
		t.Fatal(err)
	}
	p.Backend(t, 0).SetStatus(0, dbproxy.Maintenance)
	c.exec("INSERT INTO t (a) VALUES (1)")
}

func TestReplicationLag(t *testing.T) {
	p := start(t, map[string]any{"max_replication_lag": "10s"})
	p.Backend(t, 1).SetLag(10e9)
	c := connect(t, p)
	if seen := c.reads(6); seen["3"] != 6 {
		t.Fatal(seen)
	}
	p.Backend(t, 2).SetLag(-1)
	if seen := c.reads(6); seen["1"] != 6 {
		t.Fatal(seen)
	}
	p.Backend(t, 1).SetLag(9e9)
	if seen := c.reads(6); seen["2"] != 6 {
		t.Fatal(seen)
	}
}

func TestRank(t *testing.T) {
	p := start(t, nil, func(o *proxytest.Options) { o.ServerParams = map[string]any{"rank": "secondary"} })
	if seen := connect(t, p).reads(6); len(seen) != 2 {
		t.Fatal(seen)
	}
}

func TestMaxSlaveConnections(t *testing.T) {
	p := start(t, map[string]any{"max_slave_connections": 1})
	if seen := connect(t, p).reads(6); len(seen) != 1 {
		t.Fatal(seen)
	}
	if n := p.Backend(t, 1).Connections() + p.Backend(t, 2).Connections(); n != 1 {
		t.Fatal(n)
	}
}

func TestLazyConnect(t *testing.T) {
	p := start(t, map[string]any{"lazy_connect": true})
	c := connect(t, p, func(c *mysql.Config) { c.DBName = "app" })
	for i := range 3 {
		if n := p.Backend(t, i).Connections(); n != 0 {
			t.Fatal(i, n)
		}
	}
	c.exec("INSERT INTO t (a) VALUES (1)")
	if n := p.Backend(t, 0).Connections(); n != 1 {
		t.Fatal(n)
	}
}

package rwsplit

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/proxytest"
)

func statistic(t *testing.T, p *proxytest.Proxy, name string) int64 {
	t.Helper()
	service, _ := p.Service("service")
	n, _ := service.Router().Diagnostics()[name].(int64)
	return n
}

// account makes a table of the test's own.
func account(t *testing.T, name string) string {
	t.Helper()
	s := servers(t)
	s.Servers[0].ExecIn(t, "app", "CREATE OR REPLACE TABLE "+name+" (id INT PRIMARY KEY AUTO_INCREMENT, a INT)", "INSERT INTO "+name+" (a) VALUES (10), (20), (30)")
	s.WaitReplicated(t)
	return name
}

func TestTransactionReplay(t *testing.T) {
	s := servers(t)
	table := account(t, "replayed")
	p := start(t, map[string]any{"transaction_replay": true})
	c := connect(t, p)
	c.exec("SET @x = 5", "BEGIN", "UPDATE "+table+" SET a = a + 1 WHERE id = 1")
	if _, err := c.ExecContext(t.Context(), "UPDATE "+table+" SET a = a + ? WHERE id = 2", 7); err != nil {
		t.Fatal(err)
	}
	c.expect("11", "SELECT a FROM "+table+" WHERE id = 1")
	killed(t, s.Servers[0])
	c.expect("27", "SELECT a FROM "+table+" WHERE id = 2")
	c.exec("UPDATE " + table + " SET a = a + @x WHERE id = 3")
	// Also in the midst of a statement.
	done := c.begin("SELECT a + SLEEP(2) FROM " + table + " WHERE id = 1")
	interrupt(t, "SLEEP(2)")
	if r := <-done; r.err != nil || !strings.HasPrefix(r.value, "11") {
		t.Fatalf("%q %v", r.value, r.err)
	}
	c.exec("COMMIT")
	if got := s.Servers[0].Query(t, "SELECT GROUP_CONCAT(a ORDER BY id) FROM app."+table); got != "11,27,35" {
		t.Fatal(got)
	}
	if n := statistic(t, p, "replayed_transactions"); n != 2 {
		t.Fatal(n)
	}
}

// When the data has changed in the meantime the session ends, and nothing is
// written.
func TestTransactionReplayMismatch(t *testing.T) {
	s := servers(t)
	table := account(t, "mismatched")
	p := start(t, map[string]any{"transaction_replay": true})
	c := connect(t, p)
	c.exec("BEGIN", "UPDATE "+table+" SET a = 99 WHERE id = 1")
	c.expect("20", "SELECT a FROM "+table+" WHERE id = 2")
	killed(t, s.Servers[0])
	s.Servers[0].ExecIn(t, "app", "UPDATE "+table+" SET a = 21 WHERE id = 2")
	if _, err := c.ExecContext(t.Context(), "UPDATE "+table+" SET a = 98 WHERE id = 3"); err == nil {
		t.Fatal("it went on")
	}
	if got := s.Servers[0].Query(t, "SELECT GROUP_CONCAT(a ORDER BY id) FROM app."+table); got != "10,21,30" {
		t.Fatal(got)
	}
	if n := statistic(t, p, "replayed_transactions"); n != 0 {
		t.Fatal(n)
	}
}

func TestTransactionReplayChecksum(t *testing.T) {
	s := servers(t)
	for _, mode := range []string{"full", "no_insert_id", "result_only"} {
		t.Run(mode, func(t *testing.T) {
			table := account(t, "sums")
			c := connect(t, start(t, map[string]any{"transaction_replay": true, "transaction_replay_checksum": mode}))
			c.exec("BEGIN", "INSERT INTO "+table+" (a) VALUES (40)")
			killed(t, s.Servers[0])
			s.Servers[0].ExecIn(t, "app", "INSERT INTO "+table+" (a) VALUES (50)") // takes the next number
			_, err := c.ExecContext(t.Context(), "COMMIT")
			if (mode == "full") != (err != nil) {
				t.Fatal(err)
			}
		})
	}
}

func TestTransactionReplayLimit(t *testing.T) {
	s := servers(t)
	table := account(t, "big")
	p := start(t, map[string]any{"transaction_replay": true, "transaction_replay_max_size": 200})
	c := connect(t, p)
	c.exec("BEGIN")
	for i := range 10 {
		c.exec(fmt.Sprintf("UPDATE %s SET a = %d WHERE id = 1", table, i))
	}
	killed(t, s.Servers[0])
	if _, err := c.ExecContext(t.Context(), "COMMIT"); err == nil {
		t.Fatal("done again")
	}
	if n := statistic(t, p, "trx_max_size_exceeded"); n != 1 {
		t.Fatal(n)
	}
}

// A commit of which the outcome is not known is not done again.
func TestSafeCommit(t *testing.T) {
	for _, safe := range []bool{true, false} {
		table := account(t, "committed")
		p := start(t, map[string]any{"transaction_replay": true, "transaction_replay_safe_commit": safe})
		c := connect(t, p)
		c.exec("BEGIN", "UPDATE "+table+" SET a = a + 1 WHERE id = 1") // changes a row each time
		s := shared.cluster.Servers[0]
		s.Exec(t, "FLUSH TABLES") // nothing is open before the lock
		hold := holdCommits(t)
		done := make(chan error, 1)
		go func() { _, err := c.ExecContext(t.Context(), "COMMIT"); done <- err }()
		proxytest.Eventually(t, "the commit waits", func() bool {
			return s.Query(t, "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'app' AND info = 'COMMIT'") == "1"
		})
		s.Exec(t, "KILL USER app")
		hold()
		if err := <-done; safe != (err != nil) {
			t.Fatal(safe, err)
		}
	}
}

// Retried after a deadlock.
func TestReplayAfterDeadlock(t *testing.T) {
	table := account(t, "locked")
	p := start(t, map[string]any{"transaction_replay": true, "transaction_replay_retry_on_deadlock": true})
	a, b := connect(t, p), connect(t, p)
	a.exec("BEGIN", "UPDATE "+table+" SET a = a + 1 WHERE id = 1")
	b.exec("BEGIN", "UPDATE "+table+" SET a = a + 1 WHERE id = 2")
	first, second := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := a.ExecContext(t.Context(), "UPDATE "+table+" SET a = a + 100 WHERE id = 2")
		first <- err
	}()
	s := shared.cluster.Servers[0]
	proxytest.Eventually(t, "one waits for the other", func() bool {
		return s.Query(t, "SELECT COUNT(*) FROM information_schema.processlist WHERE info = 'UPDATE "+table+" SET a = a + 100 WHERE id = 2'") == "1"
	})
	go func() {
		_, err := b.ExecContext(t.Context(), "UPDATE "+table+" SET a = a + 100 WHERE id = 1")
		second <- err
	}()
	// One of them is done again, for which the other must be through.
	var last *client
	select {
	case err := <-first:
		if err != nil {
			t.Fatal(err)
		}
		a.exec("COMMIT")
		if err := <-second; err != nil {
			t.Fatal(err)
		}
		last = b
	case err := <-second:
		if err != nil {
			t.Fatal(err)
		}
		b.exec("COMMIT")
		if err := <-first; err != nil {
			t.Fatal(err)
		}
		last = a
	}
	last.exec("COMMIT")
	if got := s.Query(t, "SELECT GROUP_CONCAT(a ORDER BY id) FROM app."+table); got != "111,121,30" {
		t.Fatal(got)
	}
}

// A transaction goes on where the master is now.
func TestReplayOnAnotherMaster(t *testing.T) {
	s := servers(t)
	p := start(t, map[string]any{"transaction_replay": true})
	c := connect(t, p)
	c.exec("BEGIN")
	c.expect("3", "SELECT COUNT(*) FROM "+account(t, "moved"))
	s.Servers[1].Exec(t, "SET GLOBAL read_only = OFF")
	defer s.Servers[1].Exec(t, "SET GLOBAL read_only = ON")
	p.Backend(t, 0).SetStatus(dbproxy.Slave, dbproxy.Master)
	p.Backend(t, 1).SetStatus(dbproxy.Master, dbproxy.Slave)
	c.expect("2", "SELECT @@server_id")
	c.exec("ROLLBACK")
}

func TestOptimisticTransaction(t *testing.T) {
	table := account(t, "optimistic")
	p := start(t, map[string]any{"optimistic_trx": true})
	c := connect(t, p)
	c.exec("BEGIN")
	on := c.read()
	if on == "1" {
		t.Fatal("on the master at once")
	}
	c.exec("COMMIT", "BEGIN")
	c.expect("10", "SELECT a FROM "+table+" WHERE id = 1")
	c.exec("UPDATE " + table + " SET a = 11 WHERE id = 1")
	c.expect("1", "SELECT @@server_id")
	c.expect("11", "SELECT a FROM "+table+" WHERE id = 1")
	c.exec("COMMIT")
	if c.read() == "1" {
		t.Fatal("still on the master")
	}
	c.exec("BEGIN")
	c.expect("20", "SELECT a FROM "+table+" WHERE id = 2")
	shared.cluster.Servers[0].ExecIn(t, "app", "UPDATE "+table+" SET a = 21 WHERE id = 2")
	if _, err := c.ExecContext(t.Context(), "UPDATE "+table+" SET a = 31 WHERE id = 3"); err == nil {
		t.Fatal("the replica had said otherwise")
	}
}

// holdCommits makes commits on the master wait until what it returns is called.
func holdCommits(t *testing.T) (release func()) {
	t.Helper()
	s := shared.cluster.Servers[0]
	db, err := sql.Open("mysql", s.AdminURL("mysql"))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{"BACKUP STAGE START", "BACKUP STAGE FLUSH", "BACKUP STAGE BLOCK_DDL", "BACKUP STAGE BLOCK_COMMIT"} {
		if _, err := conn.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		conn.ExecContext(t.Context(), "BACKUP STAGE END") //nolint:errcheck // closing ends it as well
		conn.Close()
		db.Close()
	}
}

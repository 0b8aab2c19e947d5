package mariadbmon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/testbed"
)

// semiSync has the master wait until a replica has a transaction before it says
// that it is committed.
func (w *world) semiSync() {
	w.t.Helper()
	master := w.cluster.Servers[0]
	master.Exec(w.t, "SET GLOBAL rpl_semi_sync_master_wait_point = AFTER_SYNC", "SET GLOBAL rpl_semi_sync_master_timeout = 60000", "SET GLOBAL rpl_semi_sync_master_enabled = ON")
	for i := range w.cluster.Servers[1:] {
		w.cluster.Follow(w.t, i+1, 0)
	}
	master.Await(w.t, "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'Rpl_semi_sync_master_clients'", "2")
}

func TestFailoverLosesNothingThatWasCommitted(t *testing.T) {
	w := newWorld(t, testbed.ClusterOptions{Settings: []string{"rpl-semi-sync-slave-enabled=ON"}})
	w.semiSync()
	w.cluster.Servers[0].ExecIn(t, testbed.ClusterDatabase, ddl)
	w.cluster.WaitReplicated(t)
	m := w.monitor("auto_failover=true", "failcount=2")
	w.await(healthy)
	wr := w.write(4)
	wr.more(100)
	// Of two replicas the first one is taken, unless it lacks something.
	w.cluster.Servers[1].Exec(t, "STOP SLAVE IO_THREAD")
	w.await("Master, Running; Running; Slave, Running")
	wr.more(100)
	w.cluster.Kill(0)
	w.cluster.Servers[1].Exec(t, "START SLAVE IO_THREAD")
	w.await("Down; Slave, Running; Master, Running")
	wr.more(50)
	wr.end()
	if lost := wr.lacking(2); len(lost) > 0 {
		t.Errorf("%d of %d rows are lost: %v", len(lost), wr.count(), lost)
	}
	w.cluster.WaitReplicatedFrom(t, 2)
	if lost := wr.lacking(1); len(lost) > 0 {
		t.Errorf("the other replica lacks %d rows", len(lost))
	}
	m.tick()
	if got := m.Diagnostics()["master"]; got != "server3" {
		t.Errorf("the master is %v", got)
	}
	t.Logf("%d rows were committed", wr.count())
}

func TestAnOldMasterComesBackAsReplica(t *testing.T) {
	w := newWorld(t, testbed.ClusterOptions{})
	dir := t.TempDir()
	promotion, demotion := filepath.Join(dir, "promotion.sql"), filepath.Join(dir, "demotion.sql")
	write(t, promotion, "# for a new master\n\nSET GLOBAL long_query_time = 17\n")
	write(t, demotion, "SET GLOBAL long_query_time = 18\n")
	w.cluster.Servers[0].ExecIn(t, testbed.ClusterDatabase, ddl, "CREATE EVENT tidy ON SCHEDULE EVERY 1 DAY DO DELETE FROM rows_written", "CREATE EVENT idle ON SCHEDULE EVERY 1 DAY DISABLE DO DO 1")
	w.cluster.WaitReplicated(t)
	m := w.monitor("failcount=1", "promotion_sql_file="+promotion, "demotion_sql_file="+demotion, "servers_no_promotion=server2")
	w.await(healthy)
	m.tick()
	w.cluster.Kill(0)
	w.await("Down; Slave, Running; Slave, Running")
	m.mustCommand("failover")
	w.await("Down; Slave, Running; Master, Running")
	if got := w.cluster.Servers[2].Query(t, "SELECT @@GLOBAL.long_query_time"); !strings.HasPrefix(got, "17") {
		t.Errorf("the promotion file has not been run: %s", got)
	}
	w.cluster.Servers[2].ExecIn(t, testbed.ClusterDatabase, "INSERT INTO rows_written VALUES (1)")
	events := func(server int) string {
		return w.cluster.Servers[server].Query(t, "SELECT GROUP_CONCAT(CONCAT(EVENT_NAME, ' ', STATUS, ' ', DEFINER) ORDER BY 1 SEPARATOR ', ') FROM information_schema.EVENTS")
	}
	if got, want := events(2), "idle SLAVESIDE_DISABLED root@127.0.0.1, tidy ENABLED root@127.0.0.1"; got != want {
		t.Errorf("the events of the new master are %s", got)
	}
	w.restart(0)
	w.await("Running; Slave, Running; Master, Running")
	m.mustCommand("rejoin", w.servers[0])
	w.await("Slave, Running; Slave, Running; Master, Running")
	w.cluster.WaitReplicatedFrom(t, 2)
	old := w.cluster.Servers[0]
	if got := old.Query(t, "SELECT COUNT(*) FROM app.rows_written"); got != "1" {
		t.Errorf("the old master has %s rows", got)
	}
	if got := old.Query(t, "SELECT @@GLOBAL.read_only"); got != "1" {
		t.Errorf("the old master's read_only is %s", got)
	}
	if got := old.Query(t, "SELECT @@GLOBAL.long_query_time"); !strings.HasPrefix(got, "18") {
		t.Errorf("the demotion file has not been run: %s", got)
	}
	if got := events(0); strings.Contains(got, "tidy ENABLED") {
		t.Errorf("the events of the old master are %s", got)
	}
	if got, err := m.command("fetch-cmd-result"); err != nil || got != "rejoin completed successfully." {
		t.Errorf("the result is %v, %v", got, err)
	}
}

func TestServersRejoinByThemselves(t *testing.T) {
	w := newWorld(t, testbed.ClusterOptions{})
	w.monitor("auto_failover=true", "auto_rejoin=true", "failcount=1", "verify_master_failure=false")
	w.await(healthy)
	w.cluster.Kill(1)
	w.await("Master, Running; Down; Slave, Running")
	w.cluster.Kill(0)
	w.await("Down; Down; Master, Running")
	w.restart(0)
	w.restart(1)
	w.await("Slave, Running; Slave, Running; Master, Running")
	// A server that has what the master has not must stay outside.
	w.cluster.Servers[1].Exec(t, "STOP SLAVE", "RESET SLAVE ALL", "SET GLOBAL read_only = 0")
	w.cluster.Servers[1].ExecIn(t, testbed.ClusterDatabase, "CREATE TABLE own (id INT)")
	w.await("Slave, Running; Running; Master, Running")
}

func TestSwitchoverUnderLoad(t *testing.T) {
	w := newWorld(t, testbed.ClusterOptions{ReadOnly: true})
	w.cluster.Servers[0].ExecIn(t, testbed.ClusterDatabase, ddl)
	w.cluster.WaitReplicated(t)
	m := w.monitor()
	w.await(healthy)
	wr := w.write(4)
	wr.more(100)
	m.mustCommand("switchover", w.servers[1], w.servers[0])
	w.await("Slave, Running; Master, Running; Slave, Running")
	wr.more(50)
	m.refuses("server1 is not the master, server2 is", "switchover", w.servers[2], w.servers[0])
	m.mustCommand("switchover")
	eventually(t, "true", func() string { return fmt.Sprint(!w.servers[1].Status().Has(dbproxy.Master)) })
	wr.more(50)
	if _, err := m.command("async-switchover", w.servers[1]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "switchover completed successfully.", func() string {
		got, err := m.command("fetch-cmd-result")
		if err != nil {
			return err.Error()
		}
		return got.(string)
	})
	w.await("Slave, Running; Master, Running; Slave, Running")
	wr.more(50)
	wr.end()
	if lost := wr.lacking(1); len(lost) > 0 {
		t.Errorf("%d of %d rows are lost", len(lost), wr.count())
	}
	w.cluster.WaitReplicatedFrom(t, 1)
	for _, i := range []int{0, 2} {
		if lost := wr.lacking(i); len(lost) > 0 {
			t.Errorf("server %d lacks %d of %d rows", i, len(lost), wr.count())
		}
		if got := w.cluster.Servers[i].Query(t, "SELECT @@GLOBAL.read_only"); got != "1" {
			t.Errorf("read_only of server %d is %s", i, got)
		}
	}
	if got := w.cluster.Servers[1].Query(t, "SELECT @@GLOBAL.read_only"); got != "0" {
		t.Errorf("read_only of the master is %s", got)
	}
}

func TestASwitchoverThatFailsIsUndone(t *testing.T) {
	w := newWorld(t, testbed.ClusterOptions{ReadOnly: true})
	w.cluster.Servers[0].ExecIn(t, testbed.ClusterDatabase, ddl)
	w.cluster.WaitReplicated(t)
	promotion := filepath.Join(t.TempDir(), "promotion.sql")
	write(t, promotion, "SELECT * FROM nowhere.nothing\n")
	m := w.monitor("promotion_sql_file=" + promotion)
	w.await(healthy)
	m.refuses("nowhere", "switchover", w.servers[1])
	w.await(healthy)
	w.cluster.Servers[0].ExecIn(t, testbed.ClusterDatabase, "INSERT INTO rows_written VALUES (1)")
	w.cluster.WaitReplicated(t)
	for i, want := range []string{"0", "1", "1"} {
		if got := w.cluster.Servers[i].Query(t, "SELECT @@GLOBAL.read_only"); got != want {
			t.Errorf("read_only of server %d is %s", i, got)
		}
	}
	if _, err := m.command("fetch-cmd-result"); err == nil || !strings.Contains(err.Error(), "switchover failed") {
		t.Errorf("the result is %v", err)
	}
}

func TestReplicationIsReset(t *testing.T) {
	w := newWorld(t, testbed.ClusterOptions{})
	w.cluster.Servers[0].ExecIn(t, testbed.ClusterDatabase, ddl)
	w.cluster.WaitReplicated(t)
	for _, s := range w.cluster.Servers[1:] { // transactions that nobody else has
		s.ExecIn(t, testbed.ClusterDatabase, "CREATE TABLE own (id INT)", "DROP TABLE own")
	}
	m := w.monitor()
	w.await(healthy)
	m.mustCommand("reset-replication", w.servers[1])
	w.await("Slave, Running; Master, Running; Slave, Running")
	w.cluster.Servers[1].ExecIn(t, testbed.ClusterDatabase, "INSERT INTO rows_written VALUES (1)")
	w.cluster.WaitReplicatedFrom(t, 1)
	if got := w.cluster.Servers[0].Query(t, "SELECT @@GLOBAL.gtid_current_pos"); got != "0-2-1" {
		t.Errorf("the position is %s", got)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

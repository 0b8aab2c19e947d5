package mariadbmon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/testbed"
)

func TestOneOfTwoMonitorsActs(t *testing.T) {
	w := newWorld(t, testbed.ClusterOptions{})
	other := &world{t: t, root: t, cluster: w.cluster}
	other.servers = other.proxyServers()
	params := []string{"cooperative_monitoring_locks=majority_of_running", "auto_failover=true", "auto_rejoin=true", "failcount=2"}
	first := w.monitorOf(dbproxy.MonitorOptions{Name: "first", Servers: w.servers}, params...)
	w.await(healthy)
	second := other.monitorOf(dbproxy.MonitorOptions{Name: "second", Servers: other.servers}, params...)
	other.await(healthy)
	second.tick()
	if a, b := first.Diagnostics()["primary"], second.Diagnostics()["primary"]; a != true || b != false {
		t.Fatalf("the first acts: %v, the second: %v", a, b)
	}
	if held := w.servers[0].Info().LockHeld; held == nil || !*held {
		t.Error("the first does not have its lock")
	}
	second.refuses("another monitor acts", "switchover")
	second.refuses("another monitor acts", "failover")
	// The second takes its master from the first.
	first.mustCommand("switchover", w.servers[2])
	w.await("Slave, Running; Slave, Running; Master, Running")
	other.await("Slave, Running; Slave, Running; Master, Running")
	// Both see the master lost, the first one replaces it.
	w.cluster.Kill(2)
	w.await("Master, Running; Slave, Running; Down")
	other.await("Master, Running; Slave, Running; Down")
	w.restart(2)
	w.await(healthy)
	other.await(healthy)
	// With the first gone, the second acts.
	first.mustCommand("release-locks")
	eventually(t, "true false", func() string {
		return fmt.Sprint(second.Diagnostics()["primary"], " ", first.Diagnostics()["primary"])
	})
	second.mustCommand("switchover", other.servers[1])
	other.await("Slave, Running; Master, Running; Slave, Running")
	w.await("Slave, Running; Master, Running; Slave, Running")
	second.stop()
	other.await("Slave, Running; Master, Running; Slave, Running") // as it was left
}

func TestAPassiveProxyOnlyWatches(t *testing.T) {
	w := newWorld(t, testbed.ClusterOptions{})
	var passive atomic.Bool
	passive.Store(true)
	m := w.monitorOf(dbproxy.MonitorOptions{Servers: w.servers, Passive: passive.Load}, "auto_failover=true", "failcount=1", "verify_master_failure=false", "enforce_read_only_slaves=true")
	w.await(healthy)
	m.refuses("passive", "switchover")
	w.cluster.Kill(0)
	w.await("Down; Slave, Running; Slave, Running")
	for range 5 {
		m.tick()
	}
	w.await("Down; Slave, Running; Slave, Running")
	if got := w.cluster.Servers[1].Query(t, "SELECT @@GLOBAL.read_only"); got != "0" {
		t.Error("a passive monitor makes a replica read-only")
	}
	passive.Store(false)
	w.await("Down; Master, Running; Slave, Running")
	eventually(t, "1", func() string { return w.cluster.Servers[2].Query(t, "SELECT @@GLOBAL.read_only") })
}

// TestAStandbyActsWhenItIsToldTo: what happens by itself is left to another
// proxy, commands are obeyed.
func TestAStandbyActsWhenItIsToldTo(t *testing.T) {
	w := newWorld(t, testbed.ClusterOptions{})
	m := w.monitorOf(dbproxy.MonitorOptions{Servers: w.servers, Standby: func() bool { return true }}, "auto_failover=true", "failcount=1", "verify_master_failure=false")
	w.await(healthy)
	m.mustCommand("switchover", w.servers[1])
	w.await("Slave, Running; Master, Running; Slave, Running")
	w.cluster.Kill(1)
	w.await("Slave, Running; Down; Slave, Running")
	for range 5 {
		m.tick()
	}
	w.await("Slave, Running; Down; Slave, Running")
	m.mustCommand("failover")
	w.await("Master, Running; Down; Slave, Running")
}

func TestTheJournalIsReusedAfterARestart(t *testing.T) {
	w := newWorld(t, testbed.ClusterOptions{})
	dir := t.TempDir()
	m := w.monitorOf(dbproxy.MonitorOptions{Servers: w.servers, Dir: dir})
	w.await(healthy)
	m.mustCommand("switchover", w.servers[1])
	w.await("Slave, Running; Master, Running; Slave, Running")
	w.servers[2].SetStatus(dbproxy.Maintenance, 0)
	m.tick()
	m.stop()
	w.cluster.Kill(1)
	// Without the journal nobody would know that server2 was the master, and
	// which domain its transactions are of.
	w.servers = w.proxyServers()
	m = w.monitorOf(dbproxy.MonitorOptions{Servers: w.servers, Dir: dir}, "auto_failover=true", "failcount=1")
	w.await("Master, Running; Down; Maintenance, Running")
	m.stop()

	path := filepath.Join(dir, "monitor.monitor.json")
	text, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(text), testbed.ClusterMonitorPassword) {
		t.Fatalf("the journal is %s, %v", text, err)
	}
	if found, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(found) != 1 {
		t.Errorf("besides the journal there are %v, %v", found, err)
	}
	for name, content := range map[string]string{
		"too old": strings.Replace(string(text), `"written":"2`, `"written":"1`, 1), "broken": "{", "of other servers": strings.ReplaceAll(string(text), "server1", "server9"),
	} {
		write(t, path, content)
		w.servers = w.proxyServers()
		made, err := newMonitor(dbproxy.MonitorOptions{Name: "monitor", Servers: w.servers, Dir: dir, Params: m.options.Params})
		if err != nil {
			t.Fatal(err)
		}
		made.restore()
		if made.master != none || w.servers[2].Status() != dbproxy.Running {
			t.Errorf("a journal that is %s is used", name)
		}
	}
}

func TestAFrozenMasterIsForcedOut(t *testing.T) {
	w := newWorld(t, testbed.ClusterOptions{})
	w.cluster.Servers[0].ExecIn(t, testbed.ClusterDatabase, ddl)
	w.cluster.WaitReplicated(t)
	m := w.monitor("backend_read_timeout=1s", "backend_connect_timeout=1s", "auto_failover=true", "failcount=1", "master_failure_timeout=3600s", "switchover_timeout=8s")
	w.await(healthy)
	if err := w.cluster.Servers[0].Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	w.await("Down; Slave, Running; Slave, Running")
	m.tick()
	m.tick()
	w.await("Down; Slave, Running; Slave, Running") // the replicas are connected and veto
	m.refuses("is down", "switchover")
	m.mustCommand("switchover-force", w.servers[2])
	w.await("Down; Slave, Running; Master, Running")
	if err := w.cluster.Servers[0].Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	w.await("Running; Slave, Running; Master, Running")
}

func TestASwitchoverIsCancelled(t *testing.T) {
	w := newWorld(t, testbed.ClusterOptions{})
	m := w.monitor()
	w.await(healthy)
	// A replica that is told to be late does not catch up.
	w.cluster.Servers[1].Exec(t, "STOP SLAVE", "CHANGE MASTER TO MASTER_DELAY = 3600", "START SLAVE")
	w.await(healthy)
	w.cluster.Servers[0].ExecIn(t, testbed.ClusterDatabase, ddl)
	if _, err := m.command("async-switchover", w.servers[1]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Waiting for promotion target to catch up", func() string { return m.Diagnostics()["state"].(string) })
	m.refuses("still running", "rejoin", w.servers[1])
	m.refuses("still running", "fetch-cmd-result")
	m.mustCommand("cancel-cmd")
	eventually(t, "true", func() string {
		_, err := m.command("fetch-cmd-result")
		return fmt.Sprint(err != nil && strings.Contains(err.Error(), "switchover failed"))
	})
	w.await(healthy)
	w.cluster.Servers[0].ExecIn(t, testbed.ClusterDatabase, "INSERT INTO rows_written VALUES (1)")
	if got := w.cluster.Servers[0].Query(t, "SELECT @@GLOBAL.read_only"); got != "0" {
		t.Error("the master was left read-only")
	}
}

func TestRelaysAndExternalMasters(t *testing.T) {
	w := newWorld(t, testbed.ClusterOptions{Servers: 4})
	w.cluster.Follow(t, 2, 1)
	watched := w.servers
	w.servers = watched[:3]
	m := w.monitor()
	w.await("Master, Running; Relay Master, Slave, Running; Slave, Running")
	m.tick()
	if depth := w.servers[2].Info().Depth; depth != 2 {
		t.Errorf("the depth is %d", depth)
	}
	m.mustCommand("rejoin", w.servers[2])
	w.await(healthy)
	// The master of the three follows the fourth, and its heir does so, too.
	w.cluster.Servers[3].Exec(t, "STOP SLAVE", "RESET SLAVE ALL")
	w.cluster.Follow(t, 0, 3)
	w.await("Master, Slave of External Server, Running; Slave, Running; Slave, Running")
	m.mustCommand("switchover", w.servers[1])
	w.await("Slave, Running; Master, Slave of External Server, Running; Slave, Running")
}

func TestAScriptIsCalled(t *testing.T) {
	w := newWorld(t, testbed.ClusterOptions{Servers: 2})
	out := filepath.Join(t.TempDir(), "out; touch pwned")
	script := filepath.Join(t.TempDir(), "script.sh")
	write(t, script, "#!/bin/sh\nwarn() { echo \"warning: $*\"; }\nwarn told\nprintf '%s|' \"$@\" >> \"$1\"\necho >> \"$1\"\n")
	if err := os.Chmod(script, 0o700); err != nil {
		t.Fatal(err)
	}
	w.monitor("script="+script+" '"+out+"' $EVENT by=$INITIATOR parent=$PARENT children=$CHILDREN nodes=$NODELIST masters=$MASTERLIST slaves=$SLAVELIST all=$LIST", "events=slave_down,new_slave,master_down", "failcount=1000")
	w.await("Master, Running; Slave, Running")
	w.cluster.Kill(1)
	w.await("Master, Running; Down")
	w.cluster.Kill(0)
	w.await("Down; Down")
	a, b := "["+"127.0.0.1]:"+fmt.Sprint(w.cluster.Servers[0].Port), "[127.0.0.1]:"+fmt.Sprint(w.cluster.Servers[1].Port)
	want := fmt.Sprintf("%[1]s|new_slave|by=%[3]s|parent=%[2]s|children=|nodes=%[2]s,%[3]s|masters=%[2]s|slaves=%[3]s|all=%[2]s,%[3]s|\n"+
		"%[1]s|slave_down|by=%[3]s|parent=%[2]s|children=|nodes=%[2]s|masters=%[2]s|slaves=|all=%[2]s,%[3]s|\n"+
		"%[1]s|master_down|by=%[2]s|parent=|children=%[3]s|nodes=|masters=|slaves=|all=%[2]s,%[3]s|\n", out, a, b)
	eventually(t, want, func() string {
		text, _ := os.ReadFile(out)
		return string(text)
	})
}

func TestAScriptThatHangsIsEnded(t *testing.T) {
	w := &world{t: t, root: t, cluster: &testbed.MariaDBCluster{}}
	m := w.monitor("script=/bin/sh -c 'sleep 3600 & echo error: hanging; wait'", "script_timeout=1s")
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.run(t.Context(), scriptCall{"new_master", m.settings.script})
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("the script still runs")
	}
}

func TestLowDiskSpaceTakesServersOut(t *testing.T) {
	w := newWorld(t, testbed.ClusterOptions{})
	m := w.monitor("disk_space_threshold=*:0", "disk_space_check_interval=1ms")
	w.await("Master, Running; Maintenance, Running; Maintenance, Running")
	m.tick()
	if info := w.servers[0].Info(); !info.LowDisk || !strings.Contains(info.StateDetails, "disk") {
		t.Errorf("the master is %+v", info)
	}
}

func TestReadOnlyIsEnforced(t *testing.T) {
	w := newWorld(t, testbed.ClusterOptions{Servers: 2})
	w.monitor("enforce_read_only_slaves=true", "enforce_writable_master=true", "failcount=1000")
	w.await("Master, Running; Slave, Running")
	eventually(t, "1", func() string { return w.cluster.Servers[1].Query(t, "SELECT @@GLOBAL.read_only") })
	w.cluster.Servers[0].Exec(t, "SET GLOBAL read_only = 1")
	eventually(t, "0", func() string { return w.cluster.Servers[0].Query(t, "SELECT @@GLOBAL.read_only") })
	w.await("Master, Running; Slave, Running")
}

func TestAMasterThatWasNeverSeenIsReplacedInASimpleTopology(t *testing.T) {
	w := newWorld(t, testbed.ClusterOptions{})
	w.cluster.Kill(0)
	m := w.monitor("failcount=1")
	w.await("Down; Slave, Running; Slave, Running")
	m.refuses("there is no master", "failover")
	m.stop()
	w.monitor("enforce_simple_topology=true", "failcount=1")
	w.await("Down; Master, Running; Slave, Running")
	w.restart(0)
	w.await("Slave, Running; Master, Running; Slave, Running")
}

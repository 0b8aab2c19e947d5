package mariadbmon

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/testbed"
)

const healthy = "Master, Running; Slave, Running; Slave, Running"

// TestServersAreWatched has one cluster, to which things happen one after
// another.
func TestServersAreWatched(t *testing.T) {
	w := newWorld(t, testbed.ClusterOptions{ReadOnly: true})
	m := w.monitor("failcount=1000", "auto_rejoin=false")
	w.await(healthy)
	for _, c := range []struct {
		name string
		do   func(t *testing.T, w *world, m *watch)
	}{
		{"what is known", checkWhatIsKnown},
		{"maintenance is kept", checkMaintenanceIsKept},
		{"lag is seen", checkLagIsSeen},
		{"a replica is killed and comes back", checkAReplicaIsKilledAndComesBack},
		{"the master is down and its replicas remain", checkTheMasterIsDownAndItsReplicasRemain},
		{"a login that is refused", checkALoginThatIsRefused},
		{"rights that are missing", checkRightsThatAreMissing},
		{"commands that cannot be", checkCommandsThatCannotBe},
		{"stopped", checkStopped},
	} {
		w.run(m, c.name, func(t *testing.T) { c.do(t, w, m) })
	}
}

func checkWhatIsKnown(t *testing.T, w *world, m *watch) {
	m.tick()
	master, replica := w.servers[0].Info(), w.servers[1].Info()
	if master.ServerID != 1 || master.ReadOnly || !strings.Contains(master.Version, "MariaDB") || master.MasterID != -1 || master.GTIDBinlog == "" || len(master.ReplicaServer) != 2 || master.LastEvent != "new_master" {
		t.Errorf("the master is %+v", master)
	}
	if replica.ServerID != 2 || !replica.ReadOnly || replica.MasterID != 1 || replica.Depth != 1 || len(replica.Replicas) != 1 || replica.Replicas[0].MasterName != "server1" || replica.Replicas[0].IORunning != "Yes" {
		t.Errorf("a replica is %+v", replica)
	}
	if lag, ok := w.servers[1].Lag(); !ok || lag != 0 {
		t.Errorf("its lag is %s, %t", lag, ok)
	}
	if lag, ok := w.servers[0].Lag(); !ok || lag != 0 {
		t.Errorf("the master's lag is %s, %t", lag, ok)
	}
	d := m.Diagnostics()
	if d["master"] != "server1" || d["primary"] != nil || fmt.Sprint(d["master_gtid_domain_id"]) != "0" || len(d["server_info"].([]any)) != 3 {
		t.Errorf("diagnostics are %v", d)
	}
	if m.Ticks() < 1 {
		t.Error("there were no ticks")
	}
}

func checkMaintenanceIsKept(t *testing.T, w *world, m *watch) {
	w.servers[2].SetStatus(dbproxy.Maintenance, 0)
	m.tick()
	m.tick()
	w.await("Master, Running; Slave, Running; Maintenance, Running")
	w.servers[2].SetStatus(0, dbproxy.Maintenance)
	w.await(healthy)
}

func checkLagIsSeen(t *testing.T, w *world, _ *watch) {
	late := w.cluster.Servers[1]
	late.Exec(t, "STOP SLAVE", "CHANGE MASTER TO MASTER_DELAY = 3600", "START SLAVE")
	w.cluster.Servers[0].Exec(t, "CREATE DATABASE late")
	eventually(t, "true", func() string {
		lag, ok := w.servers[1].Lag()
		return fmt.Sprint(ok && lag > 0 && lag < patience)
	})
	late.Exec(t, "STOP SLAVE IO_THREAD")
	w.await("Master, Running; Running; Slave, Running")
	if lag, ok := w.servers[1].Lag(); ok {
		t.Errorf("without replication the lag is %s", lag)
	}
	late.Exec(t, "STOP SLAVE", "CHANGE MASTER TO MASTER_DELAY = 0", "START SLAVE")
	w.await(healthy)
}

func checkAReplicaIsKilledAndComesBack(t *testing.T, w *world, m *watch) {
	w.cluster.Kill(2)
	w.await("Master, Running; Slave, Running; Down")
	if info := w.servers[2].Info(); info.LastEvent != "slave_down" || info.StateDetails == "" {
		t.Errorf("the server that is down is %+v", info)
	}
	w.restart(2)
	w.await(healthy)
	if event := w.servers[2].Info().LastEvent; event != "slave_up" && event != "new_slave" {
		t.Errorf("the last event is %s", event)
	}
}

func checkTheMasterIsDownAndItsReplicasRemain(t *testing.T, w *world, m *watch) {
	w.cluster.Kill(0)
	w.await("Down; Slave, Running; Slave, Running")
	m.tick()
	w.await("Down; Slave, Running; Slave, Running")
	w.restart(0)
	w.await(healthy)
}

func checkALoginThatIsRefused(t *testing.T, w *world, m *watch) {
	w.cluster.Servers[1].Exec(t, "SET SESSION sql_log_bin = 0", "ALTER USER maxuser ACCOUNT LOCK", "KILL CONNECTION USER maxuser")
	w.await("Master, Running; Auth Error, Down; Slave, Running")
	w.cluster.Servers[1].Exec(t, "SET SESSION sql_log_bin = 0", "ALTER USER maxuser ACCOUNT UNLOCK")
	w.await(healthy)
}

func checkRightsThatAreMissing(t *testing.T, w *world, m *watch) {
	w.cluster.Servers[1].Exec(t, "SET SESSION sql_log_bin = 0", "REVOKE REPLICA MONITOR, SUPER, REPLICATION CLIENT, REPLICATION SLAVE ADMIN ON *.* FROM maxuser", "KILL CONNECTION USER maxuser")
	w.await("Master, Running; Auth Error, Running; Slave, Running")
	w.cluster.Servers[1].Exec(t, "SET SESSION sql_log_bin = 0", "GRANT REPLICA MONITOR, SUPER, REPLICATION CLIENT, REPLICATION SLAVE ADMIN ON *.* TO maxuser", "KILL CONNECTION USER maxuser")
	w.await(healthy)
}

func checkCommandsThatCannotBe(t *testing.T, w *world, m *watch) {
	m.refuses("is running", "failover")
	m.refuses("server2 is not the master, server1 is", "switchover", w.servers[2], w.servers[1])
	m.refuses("is the master already", "switchover", w.servers[0])
	m.refuses("replicates from the master already", "rejoin", w.servers[1])
	m.refuses("Joining server must be given", "rejoin")
	m.refuses("does not share its servers", "release-locks")
	m.refuses("nothing to cancel", "cancel-cmd")
	stranger := w.proxyServers()[0]
	m.refuses("is not watched", "switchover", stranger)
	w.await(healthy)
}

func checkStopped(t *testing.T, w *world, m *watch) {
	m.stop()
	if err := m.Tick(context.Background()); err == nil {
		t.Error("a monitor that is stopped ticks")
	}
	m.refuses("stopped", "switchover")
	if w.states() != healthy {
		t.Errorf("states have changed to %s", w.states())
	}
	// It can be started again.
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { m.Run(ctx) })
	before := m.Ticks()
	eventually(t, "true", func() string { return fmt.Sprint(m.Ticks() > before) })
	m.tick()
	cancel()
	running.Wait()
}

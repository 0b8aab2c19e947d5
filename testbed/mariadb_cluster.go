package testbed

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"time"
)

// Accounts of a MariaDBCluster, which may log in from anywhere. The database
// ClusterDatabase belongs to the application.
const (
	ClusterMonitor         = "maxuser" // of a proxy: watches, directs replication and reads the accounts
	ClusterMonitorPassword = "maxpwd"
	ClusterReplica         = "repl" // of the replicas
	ClusterReplicaPassword = "replpwd"
	ClusterApp             = "app"
	ClusterAppPassword     = "apppwd"
	ClusterDatabase        = "app"
)

// ClusterOptions says what a cluster of MariaDB servers should be like.
type ClusterOptions struct {
	Servers int // 3 when 0
	// Settings are further options of each mariadbd, as name=value.
	Settings []string
	// Standalone leaves out the replication: all servers are alike.
	Standalone bool
	// ReadOnly makes the replicas read-only, as long as they run.
	ReadOnly bool
	Cert     *Cert // switches TLS on with this certificate
}

// MariaDBCluster is a MariaDB server, Servers[0], and the replicas of it. They
// tell transactions by GTID, write binary logs, and lose no commit when they
// are killed.
type MariaDBCluster struct {
	Servers []*MariaDB
}

// StartMariaDBCluster runs the servers until t ends, and returns once they
// replicate.
func StartMariaDBCluster(t TB, o ClusterOptions) *MariaDBCluster {
	t.Helper()
	if o.Servers == 0 {
		o.Servers = 3
	}
	c := &MariaDBCluster{}
	for i := range o.Servers {
		mo := MariaDBOptions{Cert: o.Cert, Init: clusterAccounts(), Settings: append([]string{
			"server-id=" + strconv.Itoa(i+1), "log-bin=binlog", "log-slave-updates=ON", "gtid-strict-mode=ON", "sync-binlog=0",
			"innodb-flush-log-at-trx-commit=2", "plugin-load-add=disks", "slave-net-timeout=10",
		}, o.Settings...)}
		if i > 0 {
			mo.data = c.Servers[0].Data
		}
		c.Servers = append(c.Servers, prepareMariaDB(t, mo))
	}
	for _, s := range c.Servers {
		s.Running = launch(t, s.process)
	}
	t.Cleanup(func() { // before they are stopped in good order, which takes longer
		for _, s := range c.Servers {
			s.Kill()
		}
	})
	for _, s := range c.Servers {
		s.await(t, "mariadbd", s.ping)
	}
	for i := range c.Servers[1:] {
		if o.Standalone {
			break
		}
		c.Follow(t, i+1, 0)
		if o.ReadOnly {
			c.Servers[i+1].Exec(t, "SET GLOBAL read_only = ON")
		}
	}
	c.Servers[0].Exec(t, "CREATE DATABASE "+ClusterDatabase)
	if !o.Standalone {
		c.WaitReplicated(t)
	}
	return c
}

// clusterAccounts makes the accounts on each server by itself. The rights of
// the monitor are those of "MariaDB Monitor" and "Protocol and Authentication",
// MaxScale.
func clusterAccounts() []string {
	user := func(name, password string) string {
		return fmt.Sprintf("CREATE USER IF NOT EXISTS %s@'%%' IDENTIFIED BY %s", name, mariadbQuote(password))
	}
	grant := func(rights, name string) string { return fmt.Sprintf("GRANT %s TO %s@'%%'", rights, name) }
	return []string{
		"DELETE FROM mysql.global_priv WHERE User = ''",
		"FLUSH PRIVILEGES",
		user(ClusterMonitor, ClusterMonitorPassword),
		user(ClusterReplica, ClusterReplicaPassword),
		user(ClusterApp, ClusterAppPassword),
		grant("SUPER, RELOAD, PROCESS, SHOW DATABASES, EVENT, FILE, REPLICATION CLIENT, REPLICATION SLAVE, REPLICA MONITOR, "+
			"REPLICATION SLAVE ADMIN, REPLICATION MASTER ADMIN, BINLOG ADMIN, READ_ONLY ADMIN, CONNECTION ADMIN, SET USER ON *.*", ClusterMonitor),
		grant("SELECT ON mysql.*", ClusterMonitor),
		grant("REPLICATION SLAVE ON *.*", ClusterReplica),
		grant("ALL ON "+ClusterDatabase+".*", ClusterApp),
	}
}

// Follow makes one server a replica of another.
func (c *MariaDBCluster) Follow(t TB, replica, master int) {
	t.Helper()
	c.Servers[replica].Exec(t, "STOP SLAVE", fmt.Sprintf(
		"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=%d, MASTER_USER='%s', MASTER_PASSWORD='%s', MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1",
		c.Servers[master].Port, ClusterReplica, ClusterReplicaPassword), "START SLAVE")
}

// Kill ends a server as a crash does; Restart starts it again.
func (c *MariaDBCluster) Kill(i int) { c.Servers[i].Kill() }

// Restart starts a server again on what it had.
func (c *MariaDBCluster) Restart(t TB, i int) {
	t.Helper()
	c.Servers[i].Restart(t)
}

// WaitReplicated waits until all other servers have what Servers[0] has.
func (c *MariaDBCluster) WaitReplicated(t TB) {
	t.Helper()
	c.WaitReplicatedFrom(t, 0)
}

// WaitReplicatedFrom waits until all other servers that run have what this one
// has.
func (c *MariaDBCluster) WaitReplicatedFrom(t TB, master int) {
	t.Helper()
	position := c.Servers[master].Query(t, "SELECT @@GLOBAL.gtid_binlog_pos")
	for i, s := range c.Servers {
		if i == master || s.ended() {
			continue
		}
		wait := fmt.Sprintf("SELECT MASTER_GTID_WAIT(%s, %d)", mariadbQuote(position), int(startTimeout.Seconds())/2)
		if got := s.Query(t, wait); got != "0" {
			t.Fatalf("testbed: server %d did not get to %s: %s", i, position, s.Query(t, "SELECT @@GLOBAL.gtid_current_pos"))
		}
	}
}

// Query is the first column of the first row that a statement of root returns,
// "" for none and for NULL.
func (s *MariaDB) Query(t TB, statement string, args ...any) string {
	t.Helper()
	db, err := sql.Open("mysql", s.AdminURL("mysql"))
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	rows, err := db.QueryContext(ctx, statement, args...)
	if err != nil {
		t.Fatalf("testbed: %s: %v", statement, err)
	}
	defer rows.Close()
	var value sql.NullString
	if columns, err := rows.Columns(); err == nil && rows.Next() {
		cells := make([]any, len(columns))
		cells[0] = &value
		for i := range cells[1:] {
			cells[i+1] = new(sql.RawBytes)
		}
		if err := rows.Scan(cells...); err != nil {
			t.Fatalf("testbed: %s: %v", statement, err)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("testbed: %s: %v", statement, err)
	}
	return value.String
}

// Await waits until a statement of root returns the wanted value.
func (s *MariaDB) Await(t TB, statement, want string) {
	t.Helper()
	deadline := time.NewTimer(startTimeout)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		got := s.Query(t, statement)
		if got == want {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("testbed: %s: %q, want %q", statement, got, want)
		}
	}
}

func (r *Running) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

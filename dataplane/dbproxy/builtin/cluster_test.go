package builtin_test

import (
	"context"
	"database/sql"
	"fmt"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/builtin"
	"github.com/backplane/backplane/dataplane/dbproxy/proxytest"
	"github.com/backplane/backplane/testbed"
)

// cluster starts a master with two replicas, which know a commit before it is
// acknowledged, and a proxy that splits reads and writes between them.
func cluster(t *testing.T, service, monitor map[string]any) (*proxytest.Proxy, *testbed.MariaDBCluster) {
	t.Helper()
	c := testbed.StartMariaDBCluster(t, testbed.ClusterOptions{ReadOnly: true, Settings: []string{
		"rpl-semi-sync-master-enabled=ON", "rpl-semi-sync-slave-enabled=ON", "rpl-semi-sync-master-wait-point=AFTER_SYNC", "rpl-semi-sync-master-timeout=600000",
		"rpl-semi-sync-master-wait-no-slave=OFF", "general-log=ON", "log-output=TABLE",
	}})
	params := map[string]any{"replication_user": testbed.ClusterReplica, "replication_password": testbed.ClusterReplicaPassword}
	for k, v := range monitor {
		params[k] = v
	}
	p := proxytest.Start(t, proxytest.Options{
		Modules: builtin.Modules(), Servers: c.Servers, Router: "readwritesplit", Service: service, Monitor: "mariadbmon", MonParams: params,
		User: testbed.ClusterMonitor, Password: testbed.ClusterMonitorPassword,
	})
	proxytest.Eventually(t, "the servers have their roles", func() bool {
		return p.Backend(t, 0).Status().Has(dbproxy.Master) && p.Backend(t, 1).Status().Has(dbproxy.Slave) && p.Backend(t, 2).Status().Has(dbproxy.Slave)
	})
	return p, c
}

func open(t *testing.T, p *proxytest.Proxy) *sql.DB {
	t.Helper()
	return p.Open(t, testbed.ClusterApp, testbed.ClusterAppPassword, testbed.ClusterDatabase, nil)
}

// TestSysbenchOnACluster runs sysbench without a fault: reads spread over the
// replicas, and no write ever reaches one.
func TestSysbenchOnACluster(t *testing.T) {
	t.Parallel()
	p, c := cluster(t, map[string]any{"causal_reads": "local"}, nil)
	sysbench := func(test string, more ...string) {
		args := append([]string{
			test, "--db-driver=mysql", "--mysql-host=127.0.0.1", "--mysql-port=" + p.Port(t), "--mysql-user=" + testbed.ClusterApp, "--mysql-password=" + testbed.ClusterAppPassword,
			"--mysql-db=" + testbed.ClusterDatabase, "--tables=2", "--table-size=200", "--threads=4", "--events=300", "--time=0", "--mysql-ignore-errors=1213",
		}, more...)
		ctx, cancel := context.WithTimeout(t.Context(), proxytest.Patience)
		defer cancel()
		if out, err := exec.CommandContext(ctx, "sysbench", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	sysbench("oltp_read_write", "prepare")
	c.WaitReplicated(t)
	for _, test := range []string{"oltp_point_select", "oltp_read_only", "oltp_insert", "oltp_delete", "oltp_update_index", "select_random_ranges"} {
		sysbench(test, "run", "--skip-trx=on")
	}
	sysbench("oltp_read_write", "run")
	for i, s := range c.Servers {
		reads, writes := logged(t, s, "SELECT"), logged(t, s, "INSERT")+logged(t, s, "UPDATE")+logged(t, s, "DELETE")
		if reads < 100 || (writes > 0) != (i == 0) {
			t.Errorf("server %d has had %d reads and %d writes", i+1, reads, writes)
		}
	}
}

// logged is how often a server was asked by the application to execute such
// statements.
func logged(t *testing.T, s *testbed.MariaDB, verb string) int {
	t.Helper()
	n, err := strconv.Atoi(s.Query(t, "SELECT COUNT(*) FROM mysql.general_log WHERE user_host LIKE 'app[%' AND command_type IN ('Query', 'Execute') AND argument LIKE ?", verb+" %"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestWritesAreReadAtOnce reads on replicas what was written just before.
func TestWritesAreReadAtOnce(t *testing.T) {
	t.Parallel()
	p, c := cluster(t, map[string]any{"causal_reads": "local", "master_accept_reads": false}, nil)
	db := open(t, p)
	execute(t, db, "CREATE TABLE seen (id INT PRIMARY KEY, n INT)")
	var wg sync.WaitGroup
	for client := range 4 {
		wg.Go(func() {
			conn, err := db.Conn(context.Background())
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			for n := range 100 {
				if _, err := conn.ExecContext(context.Background(), fmt.Sprintf("REPLACE INTO seen VALUES (%d, %d)", client, n)); err != nil {
					t.Error(err)
					return
				}
				var got, id int
				if err := conn.QueryRowContext(context.Background(), fmt.Sprintf("SELECT n, @@server_id FROM seen WHERE id = %d", client)).Scan(&got, &id); err != nil || got != n || id == 1 {
					t.Errorf("client %d reads %d on server %d after it wrote %d: %v", client, got, id, n, err)
					return
				}
			}
		})
	}
	wg.Wait()
	_ = c
}

// TestMasterIsKilledUnderLoad kills the master while clients write. Another one
// is made of a replica, no acknowledged commit is lost, and the sessions go on.
func TestMasterIsKilledUnderLoad(t *testing.T) {
	t.Parallel()
	p, c := cluster(t, map[string]any{"transaction_replay": true, "transaction_replay_safe_commit": false, "transaction_replay_checksum": "result_only", "delayed_retry_timeout": "60s", "transaction_replay_timeout": "60s"},
		map[string]any{"auto_failover": true, "failcount": 2, "backend_connect_timeout": "1s"})
	db := open(t, p)
	const clients = 6
	db.SetMaxOpenConns(clients)
	execute(t, db, "CREATE TABLE kept (client INT, n INT, PRIMARY KEY (client, n))")
	var acknowledged [clients]atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for client := range clients {
		wg.Go(func() {
			conn, err := db.Conn(context.Background())
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			for n := int64(1); ctx.Err() == nil; n++ {
				if err := write(conn, client, n); err != nil {
					t.Errorf("client %d, write %d: %v", client, n, err)
					return
				}
				acknowledged[client].Store(n)
			}
		})
	}
	wrote := func(more int64) func() bool {
		var from [clients]int64
		for i := range from {
			from[i] = acknowledged[i].Load()
		}
		return func() bool {
			for i := range from {
				if acknowledged[i].Load() < from[i]+more && !t.Failed() {
					return false
				}
			}
			return true
		}
	}
	proxytest.Eventually(t, "all clients write", wrote(20))
	c.Kill(0)
	proxytest.Eventually(t, "all clients write again", wrote(20))
	stop()
	wg.Wait()
	for client := range clients {
		var n, most int64
		if err := db.QueryRowContext(t.Context(), fmt.Sprintf("SELECT COUNT(*), MAX(n) FROM kept WHERE client = %d FOR UPDATE", client)).Scan(&n, &most); err != nil {
			t.Fatal(err)
		}
		if want := acknowledged[client].Load(); n < want || most < want {
			t.Errorf("of %d writes of client %d that were acknowledged %d are there", want, client, n)
		}
	}
}

// write inserts a row in a transaction. A transaction may be done again when
// the server was lost while it committed, and then find its own row.
func write(conn *sql.Conn, client int, n int64) error {
	tx, err := conn.BeginTx(context.Background(), nil)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(fmt.Sprintf("INSERT IGNORE INTO kept VALUES (%d, %d)", client, n)); err != nil {
		return err
	}
	return tx.Commit()
}

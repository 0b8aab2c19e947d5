package rwsplit

import (
	"fmt"
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/proxytest"
	"github.com/backplane/backplane/testbed"
)

// lagging starts a proxy in front of replicas that are late by a second.
func lagging(t *testing.T, params map[string]any) *proxytest.Proxy {
	t.Helper()
	s := servers(t)
	for _, srv := range s.Servers[1:] {
		srv.Exec(t, "STOP SLAVE", "CHANGE MASTER TO MASTER_DELAY = 1", "START SLAVE")
		t.Cleanup(func() { srv.Exec(t, "STOP SLAVE", "CHANGE MASTER TO MASTER_DELAY = 0", "START SLAVE") })
	}
	return start(t, params)
}

// watch tells the proxy the positions of the replicas, as a monitor does.
func watch(t *testing.T, p *proxytest.Proxy, servers []*testbed.MariaDB) {
	t.Helper()
	for i, srv := range servers {
		p.Backend(t, i).SetInfo(dbproxy.ServerInfo{GTIDCurrent: srv.Query(t, "SELECT @@gtid_current_pos")})
	}
}

// Without causal reads the test would find nothing to wait for.
func TestReplicasLag(t *testing.T) {
	c := connect(t, lagging(t, nil))
	c.exec("INSERT INTO t (a) VALUES (1)")
	const last = "SELECT MAX(id) FROM t"
	if c.value(last) == c.value(last+" FOR UPDATE") {
		t.Fatal("the replicas are not late")
	}
}

func TestCausalReads(t *testing.T) {
	for _, mode := range []string{"local", "global", "universal"} {
		t.Run(mode, func(t *testing.T) {
			p := lagging(t, map[string]any{"causal_reads": mode})
			c, other := connect(t, p), connect(t, p)
			var id int64
			for i := range 2 {
				result, err := c.ExecContext(t.Context(), "INSERT INTO t (a) VALUES (?)", i)
				if err != nil {
					t.Fatal(err)
				}
				id, _ = result.LastInsertId() //nolint:errcheck // the driver has it from the answer
				c.expect(fmt.Sprint(i), "SELECT a FROM t WHERE id = ?", id)
				c.expect(fmt.Sprint(i), fmt.Sprintf("SELECT a FROM t WHERE id = %d AND @@server_id <> 1", id))
				if mode != "local" {
					c.exec(fmt.Sprintf("UPDATE t SET a = 1000 WHERE id = %d", id))
					other.expect("1000", fmt.Sprintf("SELECT a FROM t WHERE id = %d AND @@server_id <> 1", id))
				}
			}
			c.exec("BEGIN", fmt.Sprintf("UPDATE t SET a = 77 WHERE id = %d", id), "COMMIT", "START TRANSACTION READ ONLY")
			c.expect("77", fmt.Sprintf("SELECT a FROM t WHERE id = %d AND @@server_id <> 1", id))
			c.exec("COMMIT")
		})
	}
}

// When a replica takes too long the master is read.
func TestCausalReadsTimeout(t *testing.T) {
	s := servers(t)
	p := start(t, map[string]any{"causal_reads": "local", "causal_reads_timeout": "1s"})
	for _, srv := range s.Servers[1:] {
		srv.Exec(t, "STOP SLAVE SQL_THREAD")
		defer srv.Exec(t, "START SLAVE SQL_THREAD")
	}
	c := connect(t, p)
	c.exec("INSERT INTO t (a) VALUES (4711)")
	c.expect("1", "SELECT @@server_id FROM t WHERE a = 4711 LIMIT 1")
	c.exec("DELETE FROM t WHERE a = 4711")
}

// The fast modes do not wait: only replicas that are known to be far enough are
// read.
func TestFastCausalReads(t *testing.T) {
	for _, mode := range []string{"fast", "fast_global", "fast_universal"} {
		t.Run(mode, func(t *testing.T) {
			s := servers(t)
			p := start(t, map[string]any{"causal_reads": mode})
			watch(t, p, s.Servers)
			c := connect(t, p)
			if c.read() == "1" {
				t.Fatal("the replicas have all")
			}
			c.exec("INSERT INTO t (a) VALUES (1)")
			if seen := c.reads(4); seen["1"] != 4 {
				t.Fatal(seen)
			}
			s.WaitReplicated(t)
			watch(t, p, s.Servers)
			if seen := c.reads(4); seen["1"] != 0 {
				t.Fatal(seen)
			}
		})
	}
}

func TestResetGTID(t *testing.T) {
	p := start(t, map[string]any{"causal_reads": "fast_global"})
	c := connect(t, p)
	c.exec("INSERT INTO t (a) VALUES (1)")
	if c.read() != "1" {
		t.Fatal("a replica is not known to have it")
	}
	service, _ := p.Service("service")
	command := Module().Commands[0]
	if _, err := command.Run(t.Context(), []any{service}); err != nil || command.Name != "reset-gtid" {
		t.Fatal(err)
	}
	if c.read() == "1" {
		t.Fatal("the position was not forgotten")
	}
	if _, err := command.Run(t.Context(), nil); err == nil {
		t.Fatal("no service")
	}
}

package rwsplit

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/proxytest"
)

// A replica that crashes under load costs no read and no session.
func TestReplicaCrashes(t *testing.T) {
	s := servers(t)
	p := start(t, nil)
	var reads, writes atomic.Int64
	var stop atomic.Bool
	var all sync.WaitGroup
	for range 4 {
		c := connect(t, p)
		all.Go(func() {
			for !stop.Load() {
				if _, err := c.ExecContext(t.Context(), "INSERT INTO t (a) VALUES (1)"); err != nil {
					t.Errorf("a write: %v", err)
					return
				}
				writes.Add(1)
				if _, err := c.try("SELECT COUNT(*) + SLEEP(0.001) FROM t WHERE id < ?", 10); err != nil {
					t.Errorf("a read: %v", err)
					return
				}
				reads.Add(1)
			}
		})
	}
	progress := func() {
		from := reads.Load()
		proxytest.Eventually(t, "reads go on", func() bool { return reads.Load() > from+50 || t.Failed() })
	}
	progress()
	s.Kill(2)
	progress()
	p.Backend(t, 2).SetStatus(0, dbproxy.Running) // as a monitor finds it
	progress()
	s.Restart(&shared, 2) // it stays for the tests to come
	s.Servers[2].Exec(t, "SET GLOBAL read_only = ON", "START SLAVE")
	p.Backend(t, 2).SetStatus(dbproxy.Running, 0)
	before := p.Backend(t, 2).Statistics().Reads
	proxytest.Eventually(t, "the replica is read again", func() bool { return p.Backend(t, 2).Statistics().Reads > before || t.Failed() })
	stop.Store(true)
	all.Wait()
	if reads.Load() == 0 || writes.Load() == 0 {
		t.Fatal(reads.Load(), writes.Load())
	}
}

package mariadbmon

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
	"github.com/backplane/backplane/testbed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long tests wait for what must happen.
const patience = 30 * time.Second

// world is a cluster with servers as a proxy knows them.
type world struct {
	t       *testing.T
	root    *testing.T // as long as which servers run
	cluster *testbed.MariaDBCluster
	servers []*dbproxy.Server
}

func newWorld(t *testing.T, o testbed.ClusterOptions, params ...map[string]any) *world {
	t.Helper()
	w := &world{t: t, root: t, cluster: testbed.StartMariaDBCluster(t, o)}
	w.servers = w.proxyServers(params...)
	return w
}

// proxyServers are the servers of the cluster as one proxy has them; the first
// params are further parameters of all.
func (w *world) proxyServers(params ...map[string]any) (list []*dbproxy.Server) {
	w.t.Helper()
	for i, s := range w.cluster.Servers {
		given := map[string]any{"address": "127.0.0.1", "port": s.Port}
		for _, more := range params {
			for name, value := range more {
				given[name] = value
			}
		}
		srv, err := dbproxy.NewServer(dbproxy.ServerConfig{Name: fmt.Sprint("server", i+1), Params: param.MustParse(dbproxy.ServerSpecs(), given)})
		if err != nil {
			w.t.Fatal(err)
		}
		list = append(list, srv)
	}
	return list
}

// run runs a subtest, which what goes wrong in the world and the monitor counts
// for.
func (w *world) run(m *watch, name string, do func(t *testing.T)) {
	outer := w.t
	defer func() { w.t, m.t = outer, outer }()
	outer.Run(name, func(t *testing.T) {
		w.t, m.t = t, t
		do(t)
	})
}

// watch is a monitor that runs until its test ends.
type watch struct {
	*Monitor
	t    *testing.T
	stop func()
}

// monitor runs a monitor with parameters as "name=value".
func (w *world) monitor(params ...string) *watch {
	return w.monitorOf(dbproxy.MonitorOptions{Servers: w.servers}, params...)
}

func (w *world) monitorOf(o dbproxy.MonitorOptions, params ...string) *watch {
	w.t.Helper()
	given := map[string]any{"user": testbed.ClusterMonitor, "password": testbed.ClusterMonitorPassword, "monitor_interval": "100ms",
		"replication_user": testbed.ClusterReplica, "replication_password": testbed.ClusterReplicaPassword, "replication_custom_options": "MASTER_CONNECT_RETRY=1"}
	for _, p := range params {
		name, value, _ := strings.Cut(p, "=")
		given[name] = value
	}
	if o.Name == "" {
		o.Name = "monitor"
	}
	o.Params = param.MustParse(Module().Specs, given)
	o.Logger = slog.New(slog.NewTextHandler(logTo{w.t, o.Name}, nil))
	made, err := Module().New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	m := made.(*Monitor)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { m.Run(ctx) })
	stop := func() {
		cancel()
		running.Wait()
	}
	w.t.Cleanup(stop)
	return &watch{Monitor: m, t: w.t, stop: stop}
}

type logTo struct {
	t    *testing.T
	name string
}

func (l logTo) Write(p []byte) (int, error) {
	l.t.Logf("%s: %s", l.name, strings.TrimSpace(string(p)))
	return len(p), nil
}

// tick has the monitor look once more.
func (m *watch) tick() {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := m.Tick(ctx); err != nil {
		m.t.Fatal(err)
	}
}

// command gives a command and returns what came of it.
func (m *watch) command(name string, servers ...*dbproxy.Server) (any, error) {
	m.t.Helper()
	for _, c := range Module().Commands {
		if c.Name == name {
			args := []any{m.Monitor}
			for _, s := range servers {
				if s == nil {
					args = append(args, nil)
				} else {
					args = append(args, s)
				}
			}
			ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
			defer cancel()
			return c.Run(ctx, args)
		}
	}
	m.t.Fatalf("there is no command %s", name)
	return nil, nil
}

func (m *watch) mustCommand(name string, servers ...*dbproxy.Server) {
	m.t.Helper()
	if _, err := m.command(name, servers...); err != nil {
		m.t.Fatalf("%s: %v", name, err)
	}
}

// refuses checks that a command fails with words.
func (m *watch) refuses(words, name string, servers ...*dbproxy.Server) {
	m.t.Helper()
	if _, err := m.command(name, servers...); err == nil || !strings.Contains(err.Error(), words) {
		m.t.Errorf("%s: %v, want %s", name, err, words)
	}
}

func (w *world) restart(server int) {
	w.t.Helper()
	w.cluster.Restart(w.root, server)
}

// states are the states of the servers, as "Master, Running; …".
func (w *world) states() string {
	var list []string
	for _, s := range w.servers {
		list = append(list, s.State())
	}
	return strings.Join(list, "; ")
}

func (w *world) await(want string) {
	w.t.Helper()
	eventually(w.t, want, w.states)
}

// eventually waits until a value is the wanted one.
func eventually(t *testing.T, want string, value func() string) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		got := value()
		if got == want {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%q, want %q", got, want)
		}
	}
}

// writer writes rows to whichever server is the master, and counts those that
// it was told are committed.
type writer struct {
	t    *testing.T
	w    *world
	stop chan struct{}
	all  sync.WaitGroup
	mu   sync.Mutex
	done []int
}

const ddl = "CREATE TABLE rows_written (id INT PRIMARY KEY) ENGINE=InnoDB"

// write begins writing with some connections at once.
func (w *world) write(connections int) *writer {
	w.t.Helper()
	wr := &writer{t: w.t, w: w, stop: make(chan struct{})}
	for i := range connections {
		wr.all.Go(func() { wr.run(i, connections) })
	}
	w.t.Cleanup(wr.end)
	return wr
}

func (wr *writer) run(first, step int) {
	var databases []*sql.DB
	for _, s := range wr.w.cluster.Servers {
		db, err := sql.Open("mysql", s.URL(testbed.ClusterApp, testbed.ClusterAppPassword, testbed.ClusterDatabase, "timeout=2s", "readTimeout=5s"))
		if err != nil {
			wr.t.Error(err)
			return
		}
		defer db.Close()
		databases = append(databases, db)
	}
	for id := first; !closed(wr.stop); id += step {
		for i, s := range wr.w.servers {
			if !s.Status().Has(dbproxy.Master | dbproxy.Running) {
				continue
			}
			if _, err := databases[i].Exec("INSERT INTO rows_written VALUES (?)", id); err == nil {
				wr.mu.Lock()
				wr.done = append(wr.done, id)
				wr.mu.Unlock()
			}
			break
		}
	}
}

// count is how many rows are committed so far.
func (wr *writer) count() int {
	wr.mu.Lock()
	defer wr.mu.Unlock()
	return len(wr.done)
}

// more waits until some more rows are committed.
func (wr *writer) more(n int) {
	wr.t.Helper()
	want := wr.count() + n
	eventually(wr.t, "true", func() string { return fmt.Sprint(wr.count() >= want) })
}

// end ends the writing.
func (wr *writer) end() {
	if !closed(wr.stop) {
		close(wr.stop)
	}
	wr.all.Wait()
}

// lacking are the rows that were committed and are not on a server.
func (wr *writer) lacking(server int) (list []int) {
	wr.t.Helper()
	db, err := sql.Open("mysql", wr.w.cluster.Servers[server].AdminURL(testbed.ClusterDatabase))
	if err != nil {
		wr.t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query("SELECT id FROM rows_written")
	if err != nil {
		wr.t.Fatal(err)
	}
	defer rows.Close()
	there := map[int]bool{}
	for rows.Next() {
		var id int
		if err := rows.Scan(&id); err != nil {
			wr.t.Fatal(err)
		}
		there[id] = true
	}
	for _, id := range wr.done {
		if !there[id] {
			list = append(list, id)
		}
	}
	return list
}

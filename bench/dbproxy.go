package main

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/sync/errgroup"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/builtin"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
	"github.com/backplane/backplane/internal/evloop"
	"github.com/backplane/backplane/testbed"
)

const (
	sysbenchUser     = "sbtest"
	sysbenchPassword = "sbtest-password"
	sysbenchRows     = 10_000
)

// measureProxy compares the database proxy with HAProxy in TCP mode, under
// sysbench, before one MariaDB server.
func measureProxy(o *owner, opts options) []row {
	server := testbed.StartMariaDB(o, testbed.MariaDBOptions{Settings: []string{"max-connections=12000", "innodb-buffer-pool-size=128M", "open-files-limit=65000", "skip-log-bin"}})
	server.CreateUser(o, sysbenchUser, sysbenchPassword)
	server.CreateDatabase(o, "sbtest", sysbenchUser)
	sysbench(o, server.Port, 1, 1, "oltp_read_write", "prepare")

	haproxy := startHAProxy(o, opts.dir, server.Port)
	connroute, idle := startDBProxy(o, server, "readconnroute", 0)
	split, _ := startDBProxy(o, server, "readwritesplit", 0)
	var rows []row
	// What else the machine does changes from one second to the next: many short
	// turns tell more than few long ones.
	turns, seconds := max(2, opts.rounds*2), max(1, int(opts.each.Seconds())/2)
	for _, test := range []string{"oltp_point_select", "oltp_read_only", "oltp_read_write"} {
		for _, threads := range []int{1, 16, 64} {
			rows = append(rows, proxyRows(o, turns, seconds, test, threads, server.Port, haproxy, connroute, split)...)
		}
	}
	pooled, _ := startDBProxy(o, server, "readconnroute", 64)
	pooledSplit, _ := startDBProxy(o, server, "readwritesplit", 64)
	rows = append(rows, connectRows(o, turns, seconds, server.Port, haproxy, pooled, pooledSplit)...)
	return append(rows, idleRow(o, connroute, idle))
}

// sysbenchResult is what one run of sysbench tells.
type sysbenchResult struct{ perSecond, p99 float64 }

var (
	sysbenchRate = regexp.MustCompile(`(?m)^\s+transactions:\s+\d+\s+\(([0-9.]+) per sec`)
	sysbenchP99  = regexp.MustCompile(`(?m)^\s+99th percentile:\s+([0-9.]+)`)
)

func sysbench(o *owner, port, threads, seconds int, test, command string, more ...string) (r sysbenchResult) {
	args := append([]string{
		test, "--db-driver=mysql", "--mysql-host=127.0.0.1", "--mysql-port=" + strconv.Itoa(port), "--mysql-user=" + sysbenchUser,
		"--mysql-password=" + sysbenchPassword, "--mysql-db=sbtest", "--tables=1", "--table-size=" + strconv.Itoa(sysbenchRows),
		"--threads=" + strconv.Itoa(threads), "--time=" + strconv.Itoa(seconds), "--percentile=99", "--mysql-ignore-errors=1213,1020",
	}, more...)
	out, err := exec.Command("sysbench", append(args, command)...).CombinedOutput()
	if err != nil {
		o.Fatalf("sysbench %s with %d threads: %v\n%s", test, threads, err, out)
	}
	if command == "run" {
		rate, p99 := sysbenchRate.FindSubmatch(out), sysbenchP99.FindSubmatch(out)
		if rate == nil || p99 == nil {
			o.Fatalf("sysbench says nothing that can be read:\n%s", out)
		}
		r.perSecond, _ = strconv.ParseFloat(string(rate[1]), 64) //nolint:errcheck // the expression sees to it
		r.p99, _ = strconv.ParseFloat(string(p99[1]), 64)        //nolint:errcheck // the same
	}
	return r
}

// proxyRows runs one test all ways in turn.
func proxyRows(o *owner, turns, seconds int, test string, threads, direct, haproxy, connroute, split int) []row {
	ports := []int{direct, haproxy, connroute, split}
	rates, p99s := make([][]float64, len(ports)), make([][]float64, len(ports))
	for turn := range turns {
		for k := range ports {
			i := (turn + k) % len(ports) // none is always the first
			r := sysbench(o, ports[i], threads, seconds, test, "run")
			rates[i], p99s[i] = append(rates[i], r.perSecond), append(p99s[i], r.p99)
		}
	}
	name := fmt.Sprintf("%s, %d threads: ", test, threads)
	d, h, c, s := median(rates[0]), median(rates[1]), median(rates[2]), median(rates[3])
	rows := []row{
		figure(name+"direct", "tx/s", d), figure(name+"HAProxy", "tx/s", h),
		atLeast(name+"readconnroute", "tx/s", c, h, ratioIn(rates[2], rates[1]), "HAProxy", 1),
		atLeast(name+"readwritesplit", "tx/s", s, h, ratioIn(rates[3], rates[1]), "HAProxy", 0.85),
	}
	if threads == 16 {
		added := func(i int) float64 { return max(median(p99s[i])-median(p99s[0]), 0.01) }
		rows = append(rows, noMoreThan(name+"p99 latency added", "ms", added(2), added(1), added(2)/added(1), "HAProxy", 1.2))
	}
	return rows
}

// connectRows compare sessions of one query each.
func connectRows(o *owner, turns, seconds, direct, haproxy, connroute, split int) []row {
	rates := map[int][]float64{}
	for range turns {
		for _, port := range []int{direct, haproxy, connroute, split} {
			rates[port] = append(rates[port], reconnect(o, port, 16, time.Duration(seconds)*time.Second))
		}
	}
	d, h, c, s := median(rates[direct]), median(rates[haproxy]), median(rates[connroute]), median(rates[split])
	const name = "connect, query, disconnect, 16 threads, persistpoolmax=64: "
	return []row{
		figure(name+"direct", "/s", d), figure(name+"HAProxy", "/s", h),
		atLeast(name+"readconnroute", "/s", c, h, ratioIn(rates[connroute], rates[haproxy]), "HAProxy", 1),
		atLeast(name+"readwritesplit", "/s", s, h, ratioIn(rates[split], rates[haproxy]), "HAProxy", 0.85),
	}
}

// reconnect opens sessions of one query each, from so many clients at once, and
// returns how many there were in a second.
func reconnect(o *owner, port, clients int, last time.Duration) float64 {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr, c.Logger = sysbenchUser, sysbenchPassword, "tcp", testbed.Addr(port), &mysql.NopLogger{}
	connector, err := mysql.NewConnector(c)
	o.must(err)
	ctx, cancel := context.WithTimeout(context.Background(), last)
	defer cancel()
	var done atomic.Int64
	var group errgroup.Group
	for range clients {
		group.Go(func() error {
			for ctx.Err() == nil {
				conn, err := connector.Connect(context.Background())
				if err != nil {
					return err
				}
				rows, err := conn.(driver.QueryerContext).QueryContext(context.Background(), "SELECT 1", nil)
				if err == nil {
					err = errors.Join(rows.Close(), conn.Close())
				}
				if err != nil {
					return err
				}
				done.Add(1)
			}
			return nil
		})
	}
	o.must(group.Wait())
	return float64(done.Load()) / last.Seconds()
}

// idleSessions is how many sessions wait for nothing while memory is read. The
// files that a process may open at once allow no more on many machines.
const idleSessions = 4000

// idleRow is what 10,000 idle sessions need of memory, told from fewer of them.
func idleRow(o *owner, port int, p *process) row {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr, c.Logger = sysbenchUser, sysbenchPassword, "tcp", testbed.Addr(port), &mysql.NopLogger{}
	connector, err := mysql.NewConnector(c)
	o.must(err)
	before := p.resident(o)
	var all []driver.Conn
	defer func() {
		for _, conn := range all {
			conn.Close()
		}
	}()
	for range idleSessions {
		conn, err := connector.Connect(context.Background())
		o.must(err)
		all = append(all, conn)
	}
	<-time.After(3 * time.Second) // what logins have left behind is given back
	return bounded("memory of 10,000 idle sessions", "MiB", before+(p.resident(o)-before)*10_000/idleSessions, 300)
}

// startHAProxy runs HAProxy in TCP mode before the server.
func startHAProxy(o *owner, dir string, server int) (port int) {
	addr := freeAddr(o)
	file := filepath.Join(dir, "haproxy.cfg")
	o.must(os.WriteFile(file, fmt.Appendf(nil, `global
  maxconn 4000
defaults
  mode tcp
  timeout connect 10s
  timeout client 1h
  timeout server 1h
listen mysql
  bind %s
  server s1 127.0.0.1:%d
`, addr, server), 0o600))
	start(o, nil, dialReady(addr), "haproxy", "-db", "-f", file)
	return portOf(o, addr)
}

func dialReady(addr string) func(context.Context) error {
	return func(ctx context.Context) error {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		return c.Close()
	}
}

func portOf(o *owner, addr string) int {
	_, text, err := net.SplitHostPort(addr)
	o.must(err)
	port, err := strconv.Atoi(text)
	o.must(err)
	return port
}

// proxyCommand makes this program a database proxy: `bench dbproxy ADDR ROUTER
// SERVER USER PASSWORD POOL`.
const proxyCommand = "dbproxy"

func startDBProxy(o *owner, server *testbed.MariaDB, router string, pool int) (port int, p *process) {
	self, err := os.Executable()
	o.must(err)
	addr := freeAddr(o)
	p = start(o, nil, dialReady(addr), self, proxyCommand, addr, router, strconv.Itoa(server.Port), server.User, server.Password, strconv.Itoa(pool))
	return portOf(o, addr), p
}

// serveDBProxy is the main function of that.
func serveDBProxy(args []string) error {
	if len(args) != 6 {
		return errors.New("usage: dbproxy ADDR ROUTER SERVER-PORT USER PASSWORD POOL")
	}
	host, port, err := net.SplitHostPort(args[0])
	if err != nil {
		return err
	}
	modules := builtin.Modules()
	router, ok := modules.Routers[args[1]]
	if !ok {
		return fmt.Errorf("no router %s", args[1])
	}
	evloop.MakeRoom()
	if err := evloop.GiveWay(); err != nil {
		return err
	}
	p := dbproxy.New(dbproxy.Options{Modules: modules, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	err = p.Apply(context.Background(), dbproxy.Config{
		Settings: param.MustParse(dbproxy.SettingsSpecs(), nil),
		Servers: []dbproxy.ServerConfig{{Name: "s1", Params: param.MustParse(dbproxy.ServerSpecs(), map[string]any{
			"address": "127.0.0.1", "port": args[2], "persistpoolmax": args[5], "persistmaxtime": "60s",
		})}},
		Services: []dbproxy.ServiceConfig{{Name: "mysql", Router: args[1], Servers: []string{"s1"},
			Params: param.MustParse(dbproxy.ServiceSpecs().With(router.Specs...), map[string]any{"user": args[3], "password": args[4]})}},
		Listeners: []dbproxy.ListenerConfig{{Name: "l1", Service: "mysql", Params: param.MustParse(dbproxy.ListenerSpecs(), map[string]any{"address": host, "port": port})}},
	})
	if err != nil {
		return err
	}
	srv, _ := p.Server("s1")
	srv.SetStatus(dbproxy.Master, 0)
	return p.Run(context.Background())
}

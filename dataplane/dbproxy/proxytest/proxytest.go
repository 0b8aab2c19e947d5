// Package proxytest starts a database proxy in front of real servers, for
// tests.
package proxytest

import (
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
	"github.com/backplane/backplane/testbed"
)

// Patience is how long a test waits for something that must come.
const Patience = time.Minute

// Filter is a filter of the service.
type Filter struct {
	Name, Module string
	Params       map[string]any
}

// Options say what to start. Servers and Modules must be given.
type Options struct {
	Modules dbproxy.Modules
	// Servers are named server1, server2 and so on.
	Servers []*testbed.MariaDB
	// ServerParams are added to those of every server.
	ServerParams map[string]any
	// States are the states of the servers where there is no monitor; the
	// first one is the master and the others are slaves when it is nil.
	States  []dbproxy.Status
	Router  string // readconnroute when ""
	Service map[string]any
	// Listener are parameters of the listener, on a free port of 127.0.0.1.
	Listener  map[string]any
	Settings  map[string]any
	Filters   []Filter // in the order in which requests pass them
	Monitor   string   // module that watches the servers, "" for none
	MonParams map[string]any
	// User and Password are those of the service, root's when empty.
	User, Password string
	Dir            string
	Logger         *slog.Logger
}

// Proxy is a running proxy with one service, "service", and one listener,
// "listener".
type Proxy struct {
	*dbproxy.Proxy
	Config  dbproxy.Config
	options Options
}

// Start starts a proxy that ends with t.
func Start(t testing.TB, o Options) *Proxy {
	t.Helper()
	if o.Router == "" {
		o.Router = "readconnroute"
	}
	if o.User == "" {
		o.User, o.Password = o.Servers[0].User, o.Servers[0].Password
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Proxy{Proxy: dbproxy.New(dbproxy.Options{Modules: o.Modules, Logger: o.Logger, Dir: o.Dir}), options: o}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	p.Config = p.config(t)
	p.Apply(t, p.Config)
	p.setStates(t)
	service, _ := p.Service("service")
	if err := service.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// Apply is that of the proxy, which must succeed.
func (p *Proxy) Apply(t testing.TB, c dbproxy.Config) {
	t.Helper()
	if err := p.Proxy.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// Parse reads parameters, which must be right.
func Parse(t testing.TB, specs param.Specs, given map[string]any) param.Set {
	t.Helper()
	set, faults := param.Parse(specs, given)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return set
}

func with(base, more map[string]any) map[string]any {
	for k, v := range more {
		base[k] = v
	}
	return base
}

func (p *Proxy) config(t testing.TB) (c dbproxy.Config) {
	t.Helper()
	o := p.options
	c.Settings = Parse(t, dbproxy.SettingsSpecs(), with(map[string]any{"users_refresh_time": "0s", "max_auth_errors_until_block": 0}, o.Settings))
	service := dbproxy.ServiceConfig{Name: "service", Router: o.Router}
	for i, srv := range o.Servers {
		name := fmt.Sprintf("server%d", i+1)
		c.Servers = append(c.Servers, dbproxy.ServerConfig{
			Name: name, Params: Parse(t, dbproxy.ServerSpecs(), with(map[string]any{"address": "127.0.0.1", "port": srv.Port}, o.ServerParams)),
		})
		service.Servers = append(service.Servers, name)
	}
	for _, f := range o.Filters {
		c.Filters = append(c.Filters, dbproxy.FilterConfig{Name: f.Name, Module: f.Module, Params: Parse(t, o.Modules.Filters[f.Module].Specs, f.Params)})
		service.Filters = append(service.Filters, f.Name)
	}
	router := o.Modules.Routers[o.Router]
	service.Params = Parse(t, dbproxy.ServiceSpecs().With(router.Specs...), with(map[string]any{"user": o.User, "password": o.Password, "enable_root_user": true}, o.Service))
	c.Services = []dbproxy.ServiceConfig{service}
	if o.Monitor != "" {
		c.Monitors = []dbproxy.MonitorConfig{{
			Name: "monitor", Module: o.Monitor, Servers: service.Servers,
			Params: Parse(t, o.Modules.Monitors[o.Monitor].Specs, with(map[string]any{"user": o.User, "password": o.Password, "monitor_interval": "200ms"}, o.MonParams)),
		}}
	}
	c.Listeners = []dbproxy.ListenerConfig{{
		Name: "listener", Service: "service", Params: Parse(t, dbproxy.ListenerSpecs(), with(map[string]any{"address": "127.0.0.1", "port": 0}, o.Listener)),
	}}
	return c
}

// setStates sets the states of servers that no monitor watches.
func (p *Proxy) setStates(t testing.TB) {
	t.Helper()
	if p.options.Monitor != "" {
		m, _, _ := p.Monitor("monitor")
		if err := m.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
		return
	}
	for i := range p.options.Servers {
		state := dbproxy.Slave
		switch {
		case p.options.States != nil:
			state = p.options.States[i]
		case i == 0:
			state = dbproxy.Master
		}
		srv := p.Backend(t, i)
		srv.SetStatus(state|dbproxy.Running, dbproxy.Master|dbproxy.Slave)
		srv.SetLag(0)
	}
}

// Backend is one of the servers, counted from 0.
func (p *Proxy) Backend(t testing.TB, i int) *dbproxy.Server {
	t.Helper()
	srv, ok := p.Server(fmt.Sprintf("server%d", i+1))
	if !ok {
		t.Fatalf("there is no server%d", i+1)
	}
	return srv
}

// Addr is where clients connect.
func (p *Proxy) Addr(t testing.TB) string {
	t.Helper()
	l, ok := p.Listener("listener")
	if !ok || l.Addr() == nil {
		t.Fatal("the listener does not listen")
	}
	return l.Addr().String()
}

// Port is the port of Addr.
func (p *Proxy) Port(t testing.TB) string {
	t.Helper()
	_, port, err := net.SplitHostPort(p.Addr(t))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// DSN is what a client connects by; change may alter it further, and may be
// nil.
func (p *Proxy) DSN(t testing.TB, user, password, database string, change func(*mysql.Config)) *mysql.Config {
	t.Helper()
	c := mysql.NewConfig()
	c.User, c.Passwd, c.DBName, c.Net, c.Addr = user, password, database, "tcp", p.Addr(t)
	c.Timeout, c.ReadTimeout, c.WriteTimeout = Patience, Patience, Patience
	c.Logger = &mysql.NopLogger{}
	if change != nil {
		change(c)
	}
	return c
}

// Open opens a pool of clients that is closed when t ends.
func (p *Proxy) Open(t testing.TB, user, password, database string, change func(*mysql.Config)) *sql.DB {
	t.Helper()
	connector, err := mysql.NewConnector(p.DSN(t, user, password, database, change))
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() {
		if err := db.Close(); err != nil && !errors.Is(err, mysql.ErrInvalidConn) {
			t.Error(err)
		}
	})
	return db
}

// Eventually polls until ok, and fails the test when that does not come.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(Patience)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("waited %s in vain: %s", Patience, what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

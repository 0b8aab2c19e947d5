package builtin_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/builtin"
	"github.com/backplane/backplane/dataplane/dbproxy/proxytest"
	"github.com/backplane/backplane/testbed"
)

// TestServicesRouteToServices puts a service before two others, each of which
// has a server.
func TestServicesRouteToServices(t *testing.T) {
	t.Parallel()
	c := testbed.StartMariaDBCluster(t, testbed.ClusterOptions{Servers: 2})
	p := proxytest.Start(t, proxytest.Options{
		Modules: builtin.Modules(), Servers: c.Servers, Router: "readwritesplit", Service: map[string]any{"causal_reads": "local"},
		User: testbed.ClusterMonitor, Password: testbed.ClusterMonitorPassword,
	})
	conf := p.Config
	outer := conf.Services[0]
	params := proxytest.Parse(t, dbproxy.ServiceSpecs().With(builtin.Modules().Routers["readconnroute"].Specs...), map[string]any{"user": testbed.ClusterMonitor, "password": testbed.ClusterMonitorPassword})
	inner := func(name, server string) dbproxy.ServiceConfig {
		return dbproxy.ServiceConfig{Name: name, Router: "readconnroute", Params: params, Servers: []string{server}}
	}
	outer.Servers, outer.Services = nil, []string{"writes", "reads"}
	conf.Services = []dbproxy.ServiceConfig{outer, inner("writes", "server1"), inner("reads", "server2")}
	p.Apply(t, conf)
	for _, name := range []string{"service", "writes", "reads"} {
		service, _ := p.Service(name)
		if err := service.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	db := open(t, p)
	db.SetMaxOpenConns(1)
	execute(t, db, "CREATE TABLE written (n INT PRIMARY KEY)")
	for n := range 20 {
		execute(t, db, fmt.Sprintf("INSERT INTO written VALUES (%d)", n))
		var count, server int
		if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*), @@server_id FROM written").Scan(&count, &server); err != nil || count != n+1 || server != 2 {
			t.Fatalf("%d rows on server %d, %v", count, server, err)
		}
	}
	if n := len(p.Sessions()); n != 3 {
		t.Errorf("%d sessions", n)
	}
	for _, s := range p.Sessions() {
		if s.User() != testbed.ClusterApp || !strings.HasPrefix(s.Remote().String(), "127.0.0.1:") {
			t.Errorf("session %d of %s is of %s from %s", s.ID(), s.Service().Name(), s.User(), s.Remote())
		}
	}
	p.Backend(t, 1).SetStatus(dbproxy.Maintenance, 0)
	var server int
	if err := db.QueryRowContext(t.Context(), "SELECT @@server_id").Scan(&server); err != nil || server != 1 {
		t.Errorf("without a replica server %d is read, %v", server, err)
	}
	conf.Services[1].Services = []string{"service"}
	var oe *dbproxy.ObjectError
	if err := p.Proxy.Apply(t.Context(), conf); !errors.As(err, &oe) || !strings.Contains(err.Error(), "to itself") {
		t.Errorf("services in a circle: %v", err)
	}
	db.Close()
	proxytest.Eventually(t, "all sessions end", func() bool { return len(p.Sessions()) == 0 })
}

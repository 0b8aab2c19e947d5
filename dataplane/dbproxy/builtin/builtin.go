// Package builtin has all modules that come with the proxy.
package builtin

import (
	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/mariadbmon"
	"github.com/backplane/backplane/dataplane/dbproxy/readconn"
	"github.com/backplane/backplane/dataplane/dbproxy/rwsplit"
)

// Modules are the routers, filters and monitors, by their names.
func Modules() dbproxy.Modules {
	return dbproxy.Modules{
		Routers:  map[string]dbproxy.RouterModule{"readconnroute": readconn.Module(), "readwritesplit": rwsplit.Module()},
		Filters:  filters(),
		Monitors: map[string]dbproxy.MonitorModule{"mariadbmon": mariadbmon.Module()},
		Aliases:  map[string]string{"mysqlmon": "mariadbmon"},
	}
}

package mariadbmon

import "github.com/backplane/backplane/dataplane/dbproxy"

// Module is the module mariadbmon.
func Module() dbproxy.MonitorModule {
	return dbproxy.MonitorModule{
		Description: "Watches MariaDB servers that replicate from one another",
		Specs:       specs(),
		New:         func(o dbproxy.MonitorOptions) (dbproxy.Monitor, error) { return newMonitor(o) },
		Commands:    moduleCommands(),
	}
}

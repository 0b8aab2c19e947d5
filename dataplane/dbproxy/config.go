package dbproxy

import "github.com/backplane/backplane/dataplane/dbproxy/param"

// Config is all that a Proxy is told to do. It is not changed once it has been
// handed over. Objects are told apart by their names, each kind by itself; what
// refers to a name that is not there is refused by Apply.
type Config struct {
	// Settings are those of the whole proxy, after SettingsSpecs.
	Settings  param.Set
	Servers   []ServerConfig
	Monitors  []MonitorConfig
	Filters   []FilterConfig
	Services  []ServiceConfig
	Listeners []ListenerConfig
}

// ServerConfig is a backend server.
type ServerConfig struct {
	Name   string
	Params param.Set // after ServerSpecs
}

// ServiceConfig is a router with what it routes to.
type ServiceConfig struct {
	Name   string
	Router string
	Params param.Set // after ServiceSpecs and those of the router
	// PreviousPassword is tried when the accounts are loaded and a server does
	// not know the present one yet.
	PreviousPassword string
	// Servers are the names of servers, in order. Cluster is the name of the
	// monitor whose servers are meant instead, Services are other services to
	// route to.
	Servers  []string
	Services []string
	Cluster  string
	Filters  []string // in the order in which requests pass them
	Stopped  bool
}

// ListenerConfig is where clients of a service connect.
type ListenerConfig struct {
	Name    string
	Service string
	Params  param.Set // after ListenerSpecs
	Stopped bool
}

// FilterConfig is a filter.
type FilterConfig struct {
	Name   string
	Module string
	Params param.Set // after those of the module
}

// MonitorConfig is a monitor.
type MonitorConfig struct {
	Name    string
	Module  string
	Params  param.Set // after those of the module
	Servers []string
	Stopped bool
}

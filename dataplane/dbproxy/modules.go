package dbproxy

import (
	"context"
	"log/slog"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/param"
)

// Modules are what services, filters and monitors are made of, by name.
type Modules struct {
	Routers  map[string]RouterModule
	Filters  map[string]FilterModule
	Monitors map[string]MonitorModule
	// Aliases are other names of modules.
	Aliases map[string]string
}

// RouterModule makes routers.
type RouterModule struct {
	Description string
	Specs       param.Specs // besides ServiceSpecs
	New         func(RouterOptions) (Router, error)
	Commands    []Command
}

// RouterOptions are what a router is made from.
type RouterOptions struct {
	Service *Service
	Params  param.Set // of service and router together
	Logger  *slog.Logger
}

// Router routes the requests of the sessions of one service. It is made anew
// when the parameters or the targets of the service change; sessions keep the
// one that they began with.
type Router interface {
	// Session chooses the servers for a new session and connects to them. An
	// error that is a *wire.ServerError is what the client is told.
	Session(s *Session) (Handler, error)
	// Diagnostics is what the router tells of itself, as JSON.
	Diagnostics() map[string]any
}

// FilterModule makes filters.
type FilterModule struct {
	Description string
	Specs       param.Specs
	New         func(FilterOptions) (Filter, error)
	Commands    []Command
}

// FilterOptions are what a filter is made from.
type FilterOptions struct {
	Name   string
	Params param.Set
	Logger *slog.Logger
	// Targets connects to servers and services by name, for filters that send
	// requests of their own.
	Targets Targets
}

// Filter is put between the clients and the router of a service. It is made
// anew when its parameters change; sessions keep the one that they began with,
// and the last of them to end closes it.
type Filter interface {
	// Session returns the handler of a new session, which hands requests on to
	// next, or next itself if the filter has nothing to do with the session.
	// The handler's Close must not close next.
	Session(s *Session, next Handler) (Handler, error)
	// Diagnostics is what the filter tells of itself, as JSON; nil for nothing.
	Diagnostics() map[string]any
	// Close gives back what the filter holds.
	Close()
}

// MonitorModule makes monitors.
type MonitorModule struct {
	Description string
	Specs       param.Specs
	New         func(MonitorOptions) (Monitor, error)
	Commands    []Command
}

// MonitorOptions are what a monitor is made from.
type MonitorOptions struct {
	Name    string
	Params  param.Set
	Servers []*Server // in the order in which they are given
	Logger  *slog.Logger
	// Dir is where the monitor may keep files between starts; empty for none.
	Dir string
	// Passive tells whether the proxy must not act by itself, but only watch.
	Passive func() bool
	// Standby tells whether another proxy with the same configuration acts by
	// itself, and this one only when it is told to.
	Standby func() bool
	// Retries tells how often the monitor asks a server again when that was
	// interrupted, and for how long; nil for never (query_retries,
	// query_retry_timeout).
	Retries func() (times int, within time.Duration)
}

// Monitor watches servers and sets their states.
type Monitor interface {
	// Run watches until ctx ends.
	Run(ctx context.Context)
	// Tick watches once more and waits for it.
	Tick(ctx context.Context) error
	// Ticks is how often it has watched.
	Ticks() int64
	// Diagnostics is what the monitor tells of itself, as JSON.
	Diagnostics() map[string]any
}

// Command is something that a module can be told to do.
type Command struct {
	Name        string
	Description string
	Method      string // GET or POST
	Args        []Argument
	// Run gets its arguments as Args describe them: a Server, Service, Filter
	// or Monitor, or a string; nil for one that was not given. What it returns
	// is shown as JSON.
	Run func(ctx context.Context, args []any) (any, error)
}

// Argument describes an argument of a command.
type Argument struct {
	Type        ArgumentType
	Optional    bool
	Description string
}

// ArgumentType is the type of an argument.
type ArgumentType string

// The types.
const (
	ArgServer  ArgumentType = "SERVER"  // *Server
	ArgService ArgumentType = "SERVICE" // *Service
	ArgFilter  ArgumentType = "FILTER"  // Filter
	ArgMonitor ArgumentType = "MONITOR" // Monitor
	ArgString  ArgumentType = "STRING"  // string
)

// Targets finds servers and services by name.
type Targets interface {
	Server(name string) (*Server, bool)
	Service(name string) (*Service, bool)
}

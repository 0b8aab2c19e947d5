package dbproxy

import (
	"maps"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/param"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// Server is a backend server: its configuration, the state in which monitors
// see it, and what is connected to it. It lives as long as a server of its name
// is configured.
type Server struct {
	name    string
	inner   *Service // what the server stands for, nil for a real one
	config  atomic.Pointer[serverConfig]
	status  atomic.Uint32
	lag     atomic.Int64 // nanoseconds, -1 unknown
	info    atomic.Pointer[ServerInfo]
	greeted atomic.Pointer[greeted]
	gtids   atomic.Pointer[string]
	globals atomic.Pointer[map[string]string] // its global variables, when accounts were last loaded

	counts serverCounts
	pool   pool
	room   room

	mu       sync.Mutex
	backends map[*Backend]struct{}
}

// greeted is what a server has told of itself at a login.
type greeted struct {
	version string
	caps    wire.Capability
}

// ServerInfo is what a monitor has found out about a server beyond its state.
type ServerInfo struct {
	Version       string
	ServerID      int64 // 0 unknown
	ReadOnly      bool
	Uptime        time.Duration
	GTIDCurrent   string // gtid_current_pos
	GTIDBinlog    string // gtid_binlog_pos
	MasterID      int64  // server_id of its master; -1 for none
	MasterGroup   int64
	Replicas      []Replication
	Depth         int // of replication below the master; -1 unknown
	LockHeld      *bool
	StateDetails  string
	LastEvent     string // as "master_down"
	EventTime     time.Time
	LowDisk       bool
	ReplicaServer []string // names of the servers that replicate from it
}

// Replication is a replication connection of a server.
type Replication struct {
	Name            string
	MasterHost      string
	MasterPort      int
	MasterServerID  int64
	MasterName      string // the server's name, "" when it is not known here
	IORunning       string // Yes, No, Connecting
	SQLRunning      string
	SecondsBehind   int64 // -1 unknown
	UsingGTID       string
	GTIDIOPos       string
	LastIOError     string
	LastSQLError    string
	RelayLogPending bool
}

func newServer(name string) *Server {
	s := &Server{name: name, backends: map[*Backend]struct{}{}}
	s.status.Store(uint32(Running))
	s.lag.Store(-1)
	s.info.Store(&ServerInfo{MasterID: -1, Depth: -1})
	return s
}

// Name is the server's name.
func (srv *Server) Name() string { return srv.name }

// Params are its parameters.
func (srv *Server) Params() param.Set { return srv.config.Load().params }

// Address is how it is dialled: "tcp" and host:port, or "unix" and a path.
func (srv *Server) Address() (network, address string) {
	p := srv.Params()
	if socket := p.String("socket"); socket != "" {
		return "unix", socket
	}
	return "tcp", net.JoinHostPort(strings.Trim(p.String("address"), "[]"), strconv.FormatInt(p.Int("port"), 10))
}

// Status is the state it is in.
func (srv *Server) Status() Status {
	if srv.inner != nil {
		return srv.inner.bestStatus()
	}
	return Status(srv.status.Load())
}

// State is the state in words.
func (srv *Server) State() string { return srv.Status().text(srv.counts.connections.Load() == 0) }

// SetStatus sets some bits and clears others, in one step. Connections to a
// server that is down are cut, and sessions that use one that has changed are
// told.
func (srv *Server) SetStatus(set, clear Status) {
	for {
		before := srv.status.Load()
		after := uint32(Status(before)&^clear | set)
		if before == after {
			return
		}
		if srv.status.CompareAndSwap(before, after) {
			srv.changed(Status(before), Status(after))
			return
		}
	}
}

// Lag is how far the server is behind the master; ok is false when that is not
// known.
func (srv *Server) Lag() (lag time.Duration, ok bool) {
	if srv.inner != nil {
		return srv.inner.leastLag()
	}
	n := srv.lag.Load()
	return time.Duration(n), n >= 0
}

// SetLag tells how far it is behind; negative for unknown.
func (srv *Server) SetLag(lag time.Duration) { srv.lag.Store(int64(max(lag, -1))) }

// Info is what a monitor has found out.
func (srv *Server) Info() ServerInfo { return *srv.info.Load() }

// SetInfo tells what a monitor has found out.
func (srv *Server) SetInfo(i ServerInfo) {
	srv.info.Store(&i)
	if i.GTIDCurrent != "" {
		srv.gtids.Store(&i.GTIDCurrent)
	}
}

// GTID is the position in replication that the server was last seen at, for
// routers that send reads only where a write has arrived.
func (srv *Server) GTID() string {
	if p := srv.gtids.Load(); p != nil {
		return *p
	}
	return ""
}

// Version is the server's version, "" as long as it is not known.
func (srv *Server) Version() string {
	if v := srv.info.Load().Version; v != "" {
		return v
	}
	if g := srv.greeted.Load(); g != nil {
		return g.version
	}
	return ""
}

// Secondary tells whether the server's rank is secondary: it is used only where
// no primary one can be.
func (srv *Server) Secondary() bool { return srv.Params().String("rank") == "secondary" }

// each calls f for the connections that there are.
func (srv *Server) each(f func(*Backend)) {
	srv.mu.Lock()
	all := maps.Clone(srv.backends)
	srv.mu.Unlock()
	for b := range all {
		f(b)
	}
}

// sessions are those that have a connection, each as often as it has one. Only
// as long as a connection is in the list its session stays the same.
func (srv *Server) sessions() (list []*Session) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for b := range srv.backends {
		list = append(list, b.session)
	}
	return list
}

// changed tells the sessions of a change of state.
func (srv *Server) changed(before, after Status) {
	const roles = Running | Master | Slave | Synced | Maintenance
	if before&roles == after&roles {
		return
	}
	if !after.Has(Running) && !after.Has(Maintenance) {
		srv.each(func(b *Backend) { b.Kill() })
	}
	for _, s := range srv.sessions() {
		s.wake()
	}
}

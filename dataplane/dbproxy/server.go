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
func (s *Server) Name() string { return s.name }

// Params are its parameters.
func (s *Server) Params() param.Set { return s.config.Load().params }

// Address is how it is dialled: "tcp" and host:port, or "unix" and a path.
func (s *Server) Address() (network, address string) {
	p := s.Params()
	if socket := p.String("socket"); socket != "" {
		return "unix", socket
	}
	return "tcp", net.JoinHostPort(strings.Trim(p.String("address"), "[]"), strconv.FormatInt(p.Int("port"), 10))
}

// Status is the state it is in.
func (s *Server) Status() Status {
	if s.inner != nil {
		return s.inner.bestStatus()
	}
	return Status(s.status.Load())
}

// State is the state in words.
func (s *Server) State() string { return s.Status().text(s.counts.connections.Load() == 0) }

// SetStatus sets some bits and clears others, in one step. Connections to a
// server that is down are cut, and sessions that use one that has changed are
// told.
func (s *Server) SetStatus(set, clear Status) {
	for {
		before := s.status.Load()
		after := uint32(Status(before)&^clear | set)
		if before == after {
			return
		}
		if s.status.CompareAndSwap(before, after) {
			s.changed(Status(before), Status(after))
			return
		}
	}
}

// Lag is how far the server is behind the master; ok is false when that is not
// known.
func (s *Server) Lag() (lag time.Duration, ok bool) {
	if s.inner != nil {
		return s.inner.leastLag()
	}
	n := s.lag.Load()
	return time.Duration(n), n >= 0
}

// SetLag tells how far it is behind; negative for unknown.
func (s *Server) SetLag(lag time.Duration) { s.lag.Store(int64(max(lag, -1))) }

// Info is what a monitor has found out.
func (s *Server) Info() ServerInfo { return *s.info.Load() }

// SetInfo tells what a monitor has found out.
func (s *Server) SetInfo(i ServerInfo) {
	s.info.Store(&i)
	if i.GTIDCurrent != "" {
		s.gtids.Store(&i.GTIDCurrent)
	}
}

// GTID is the position in replication that the server was last seen at, for
// routers that send reads only where a write has arrived.
func (s *Server) GTID() string {
	if p := s.gtids.Load(); p != nil {
		return *p
	}
	return ""
}

// Version is the server's version, "" as long as it is not known.
func (s *Server) Version() string {
	if v := s.info.Load().Version; v != "" {
		return v
	}
	if g := s.greeted.Load(); g != nil {
		return g.version
	}
	return ""
}

// Secondary tells whether the server's rank is secondary: it is used only where
// no primary one can be.
func (s *Server) Secondary() bool { return s.Params().String("rank") == "secondary" }

// each calls f for the connections that there are.
func (s *Server) each(f func(*Backend)) {
	s.mu.Lock()
	all := maps.Clone(s.backends)
	s.mu.Unlock()
	for b := range all {
		f(b)
	}
}

// changed tells the sessions of a change of state.
func (s *Server) changed(before, after Status) {
	const roles = Running | Master | Slave | Synced | Maintenance
	if before&roles == after&roles {
		return
	}
	if !after.Has(Running) && !after.Has(Maintenance) {
		s.each(func(b *Backend) { b.Kill() })
	}
	s.each(func(b *Backend) { b.session.wake() })
}

package dbproxy

import (
	"net/netip"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// SessionInfo is what a session is like at one moment.
type SessionInfo struct {
	ID         uint32
	Service    string
	Listener   string
	User       string
	Database   string
	Remote     netip.AddrPort // invalid for Unix sockets
	Connected  time.Time
	Idle       time.Duration // 0 while a request is under way
	Cipher     string        // of the client's TLS, "" without
	Attributes []wire.Attribute
	Backends   []BackendInfo
	Statements []Statement // the newest one first
	Traffic    wire.Stats  // with the client
	Log        []string    // the last lines of what it has logged, the oldest one first
	History    int         // commands remembered that have changed the session
}

// BackendInfo is a session's connection to a server.
type BackendInfo struct {
	Server       string
	ConnectionID uint32
	Cipher       string
}

// Info describes the session. It may be called from anywhere.
func (s *Session) Info() SessionInfo {
	i := SessionInfo{
		ID: s.id, Service: s.service.name, Listener: s.listener.name, Remote: s.Remote(), Connected: s.started, Traffic: s.client.Stats(),
		History: int(s.history.Load()), Log: s.log.kept(),
	}
	if since := s.wait.since.Load(); since != 0 {
		i.Idle = s.proxy.clock() - time.Duration(since)
	}
	s.diag.mu.Lock()
	i.User, i.Database, i.Cipher, i.Attributes = s.diag.user, s.diag.db, s.diag.cipher, s.diag.attributes
	i.Statements = append(i.Statements, s.diag.statements...)
	s.diag.mu.Unlock()
	for _, b := range s.connections() {
		i.Backends = append(i.Backends, BackendInfo{Server: b.server.name, ConnectionID: b.id, Cipher: b.cipher})
	}
	return i
}

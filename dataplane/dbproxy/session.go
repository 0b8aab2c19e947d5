package dbproxy

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
	"github.com/backplane/backplane/internal/evloop"
)

// Session is a client with all that is done for it. Except where it says so,
// its methods are for the session's own goroutine.
type Session struct {
	id       uint32
	proxy    *Proxy
	service  *Service
	config   *serviceConfig // as it was when the session began
	listener *Listener
	client   *wire.Conn
	toClient clientAnswer
	remote   netip.AddrPort // invalid for Unix sockets
	started  time.Time
	ctx      context.Context
	end      context.CancelCauseFunc
	parent   *Session      // that it was forked from, nil for clients
	carrier  *evloop.Group // that the session runs on; nil where it has a goroutine
	task     *evloop.Task  // that it is there

	// Settled by the login.
	caps       wire.Capability
	charset    byte
	user       string
	database   string
	attributes []wire.Attribute
	scramble   [wire.ScrambleSize]byte
	identity   identity

	chain    Handler // the first handler
	handlers []Handler
	request  Request
	limit    int // of packets that are read whole
	mode     sqlclass.Mode
	status   wire.Status
	server   *Server   // that has given the last answer
	moment   time.Time // when the request under way began, or the last one ended
	working  bool      // on a request of the client's
	detailed bool      // its log tells of requests, as was found at the last one
	last     *Backend  // that has answered it

	direct  direct
	wait    wait
	diag    diagnosis
	log     sessionLog
	renewal atomic.Pointer[renewal] // what it is to take up when it can
	history atomic.Int64            // commands remembered that have changed it
}

// wait is where a session waits for its client, from which others may wake it.
type wait struct {
	mu      sync.Mutex   // of who wakes it
	state   atomic.Int32 // sessionWorks, …
	since   atomic.Int64 // when it began to wait, in ns of the proxy's clock; 0 while it works
	pinged  atomic.Int64 // when it was last woken to look after its connections, likewise
	offered atomic.Int64 // since when it was idle that was last woken to put them into the pool
}

// What a session is about when it is woken.
const (
	sessionWorks = iota
	sessionWaits
	sessionWoken
)

// identity is what a session proves to servers who it is with.
type identity struct {
	user        string // on the servers, which a mapping may have changed
	credentials wire.Credentials
	unchecked   bool // nobody but the servers has checked the credentials
}

// diagnosis is what others may read of a session.
type diagnosis struct {
	mu         sync.Mutex
	user, db   string
	cipher     string // of the client's TLS
	attributes []wire.Attribute
	backends   []*Backend
	statements []Statement // the newest one first
}

// Statement is a request that is remembered.
type Statement struct {
	Text                string
	Received, Completed time.Time
}

// attach and detach keep the list of the connections to servers.
func (s *Session) attach(b *Backend) {
	s.diag.mu.Lock()
	defer s.diag.mu.Unlock()
	s.diag.backends = append(s.diag.backends, b)
	s.logBackend("connected to a server", b)
}

func (s *Session) detach(b *Backend) {
	s.diag.mu.Lock()
	defer s.diag.mu.Unlock()
	if i := slices.Index(s.diag.backends, b); i >= 0 {
		s.diag.backends = slices.Delete(s.diag.backends, i, i+1)
		s.logBackend("disconnected from a server", b)
	}
}

// connections are the connections to servers. It may be called from anywhere.
func (s *Session) connections() []*Backend {
	s.diag.mu.Lock()
	defer s.diag.mu.Unlock()
	return slices.Clone(s.diag.backends)
}

// ID is the number of the session, which the client knows as that of its
// connection. It may be called from anywhere, as may User, Remote, Started,
// Service and Context.
func (s *Session) ID() uint32 { return s.id }

// Service is the service that the session is of.
func (s *Session) Service() *Service { return s.service }

// Listener is the listener that took the client.
func (s *Session) Listener() *Listener { return s.listener }

// Remote is the client's address; it is not valid for a Unix socket.
func (s *Session) Remote() netip.AddrPort {
	s.diag.mu.Lock()
	defer s.diag.mu.Unlock()
	return s.remote
}

// Started is when the client connected.
func (s *Session) Started() time.Time { return s.started }

// Context ends with the session.
func (s *Session) Context() context.Context { return s.ctx }

// User is the name with which the client has logged in.
func (s *Session) User() string {
	s.diag.mu.Lock()
	defer s.diag.mu.Unlock()
	return s.diag.user
}

// Database is the default database, "" for none.
func (s *Session) Database() string { return s.database }

// Capabilities are those of the client, and of all connections to servers.
func (s *Session) Capabilities() wire.Capability { return s.caps }

// Client is the connection to the client.
func (s *Session) Client() *wire.Conn { return s.client }

// Mode is how the text of statements is to be read.
func (s *Session) Mode() sqlclass.Mode { return s.mode }

// Status is what the last answer told of the transaction and autocommit.
func (s *Session) Status() wire.Status { return s.status }

// Server is the server that has given the last answer, nil if there was none.
func (s *Session) Server() *Server { return s.server }

// Place is where the session adds to counts that others add to as well.
func (s *Session) Place() int {
	if s.task == nil {
		return int(s.id)
	}
	return s.task.Loop()
}

// HoldText makes requests be read whole, so that their text can be read: up to
// MaxText, beyond which they are streamed. Routers call it when a session
// begins; filters need not.
func (s *Session) HoldText() { s.limit = MaxText }

// MaxText is the length of the longest request that is read whole.
const MaxText = wire.MaxPayload - 1

// now is the time, for differences: the clock of the wall is not asked.
func (s *Session) now() time.Time { return s.proxy.began.Add(s.proxy.clock()) }

// clientAnswer gives answers to the client.
type clientAnswer struct{ session *Session }

// Packet implements Answer.
func (a *clientAnswer) Packet(_ wire.Kind, payload []byte, reply *wire.Reply) error {
	if reply.Done() {
		a.session.answered(reply)
	}
	return a.session.client.WritePacket(payload)
}

// answered notes what the client was told.
func (s *Session) answered(reply *wire.Reply) {
	if reply.Failed() {
		s.service.failures.Add(1)
	}
	if !reply.Failed() && reply.Command() != wire.ComStmtPrepare && reply.Command() != wire.ComStatistics {
		s.status = reply.Status()
	}
	s.observe(reply)
}

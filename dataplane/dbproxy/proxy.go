package dbproxy

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/account"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
	"github.com/backplane/backplane/internal/evloop"
)

// Options are what a Proxy is made from.
type Options struct {
	Modules Modules
	Logger  *slog.Logger // the default one when nil
	// Dir is where monitors may keep files between starts; empty for none.
	Dir string
	// DNS finds the names of clients' hosts; the system's when nil.
	DNS account.DNS
	// Standby tells whether another proxy with the same configuration does what
	// is to be done once, such as a failover; nil when there is no other.
	Standby func() bool
}

// Proxy is a running proxy. Its methods may be called from anywhere.
type Proxy struct {
	options Options
	log     *slog.Logger
	ctx     context.Context
	stop    context.CancelCauseFunc
	running sync.WaitGroup // sessions and what looks after them
	blocker *account.Blocker
	began   time.Time
	ids     atomic.Uint32
	current atomic.Pointer[state]
	loops   loops
	carrier atomic.Pointer[evloop.Group]    // that new sessions run on; nil where there is none
	key     func() (*rsa.PrivateKey, error) // with which clients encrypt passwords

	applying sync.Mutex // one Apply at a time

	mu       sync.Mutex
	sessions map[uint32]*Session
	live     map[*runningFilter]struct{} // filters that are not closed
}

// state is everything that is configured, by name.
type state struct {
	config    Config
	servers   map[string]*Server
	targets   map[string]*Server // services that others route to
	services  map[string]*Service
	listeners map[string]*Listener
	filters   map[string]*runningFilter
	monitors  map[string]*runningMonitor
}

// New makes a proxy that does nothing yet. It is to be ended by Close.
func New(o Options) *Proxy {
	p := &Proxy{options: o, began: time.Now(), log: o.Logger, sessions: map[uint32]*Session{}, live: map[*runningFilter]struct{}{}, blocker: account.NewBlocker(0)}
	if p.log == nil {
		p.log = slog.Default()
	}
	p.key = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })
	p.ctx, p.stop = context.WithCancelCause(context.Background())
	p.current.Store(&state{})
	p.running.Go(p.housekeep)
	return p
}

// Run waits until ctx ends, and then ends the proxy: listeners close at once,
// sessions are cut.
func (p *Proxy) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-p.ctx.Done():
	}
	return p.Close()
}

// Close ends everything and waits for it.
func (p *Proxy) Close() error {
	p.stop(errStopped) // before the lock: an Apply under way ends early
	p.applying.Lock()
	defer p.applying.Unlock()
	st := p.current.Load()
	for _, l := range st.listeners {
		l.close()
	}
	for _, s := range p.Sessions() {
		s.stop(errStopped)
	}
	for _, m := range st.monitors {
		m.stop()
	}
	for _, s := range st.services {
		s.retire()
	}
	p.running.Wait()
	for _, f := range st.filters {
		f.release()
	}
	for _, srv := range st.servers {
		srv.pool.configure(0, 0)
	}
	p.endLoops()
	p.current.Store(&state{config: st.config})
	return nil
}

// Config is what was applied last.
func (p *Proxy) Config() Config { return p.current.Load().config }

// Server finds a server by name.
func (p *Proxy) Server(name string) (*Server, bool) {
	s, ok := p.current.Load().servers[name]
	return s, ok
}

// Service finds a service by name.
func (p *Proxy) Service(name string) (*Service, bool) {
	s, ok := p.current.Load().services[name]
	return s, ok
}

// Listener finds a listener by name.
func (p *Proxy) Listener(name string) (*Listener, bool) {
	l, ok := p.current.Load().listeners[name]
	return l, ok
}

// Filter finds a filter by name.
func (p *Proxy) Filter(name string) (Filter, bool) {
	f, ok := p.current.Load().filters[name]
	if !ok {
		return nil, false
	}
	return f.filter, true
}

// Monitor finds a monitor by name, and tells whether it runs.
func (p *Proxy) Monitor(name string) (m Monitor, running, ok bool) {
	r, ok := p.current.Load().monitors[name]
	if !ok {
		return nil, false, false
	}
	return r.monitor, r.cancel != nil, true
}

// Sessions are the sessions that there are, by number.
func (p *Proxy) Sessions() []*Session {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.SortedFunc(maps.Values(p.sessions), func(a, b *Session) int { return int(int64(a.id) - int64(b.id)) })
}

// Session finds a session by its number.
func (p *Proxy) Session(id uint32) (*Session, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.sessions[id]
	return s, ok
}

func (p *Proxy) sessionsWhere(want func(*Session) bool) []*Session {
	return slices.DeleteFunc(p.Sessions(), func(s *Session) bool { return !want(s) })
}

func (p *Proxy) eachServer(f func(*Server)) {
	for _, srv := range p.current.Load().servers {
		f(srv)
	}
}

func (p *Proxy) connectTimeout() time.Duration {
	if d := p.Config().Settings.Duration("auth_connect_timeout"); d > 0 {
		return d
	}
	return 10 * time.Second
}

// retries tells how often the proxy's own statements are tried again, and for
// how long.
func (p *Proxy) retries() (times int, within time.Duration) {
	settings := p.Config().Settings
	return int(settings.Int("query_retries")), settings.Duration("query_retry_timeout")
}

// nextID numbers a session. Numbers come again only after four thousand
// million of them.
func (p *Proxy) nextID() uint32 {
	for {
		if id := p.ids.Add(1); id != 0 {
			return id
		}
	}
}

// register takes a session into the list. It is refused when there are too
// many.
func (p *Proxy) register(s *Session) error {
	if most := s.service.Params().Int("max_connections"); most > 0 && s.service.Sessions() >= most {
		e := &wire.ServerError{Code: wire.ErrCodeTooManyConnections, State: wire.StateRejected, Message: "Too many connections"}
		s.client.SetSequence(0)
		s.tell(e)
		return e
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return errStopped
	}
	p.sessions[s.id] = s
	s.service.began()
	return nil
}

func (p *Proxy) forget(s *Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sessions, s.id)
}

// housekeep looks after idle sessions and pools until the proxy ends.
func (p *Proxy) housekeep() {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-every.C:
			now := p.clock()
			for _, s := range p.Sessions() {
				s.lookAfter(now)
			}
			p.eachServer(func(srv *Server) { srv.pool.expire(false) })
		}
	}
}

// clock is the time since the proxy began. Unlike that of the wall it never
// steps.
func (p *Proxy) clock() time.Duration { return time.Since(p.began) }

// lookAfter ends a session whose client is idle for too long, and wakes one
// whose connections are.
func (s *Session) lookAfter(now time.Duration) {
	since := s.wait.since.Load()
	if since == 0 {
		return
	}
	idle := now - time.Duration(since)
	params := s.service.Params()
	if limit := params.Duration("wait_timeout"); limit > 0 && idle >= limit {
		s.service.log.Warn("session closed: the client is idle", "session", s.id, "user", s.User(), "wait_timeout", limit)
		s.stop(errIdle)
		return
	}
	s.offer(idle, since)
	keepalive := params.Duration("connection_keepalive")
	if keepalive <= 0 || idle < keepalive/2 || now-time.Duration(s.wait.pinged.Load()) < keepalive/2 {
		return
	}
	if idle < keepalive || params.Bool("force_connection_keepalive") {
		s.wait.pinged.Store(int64(now))
		s.wake()
	}
}

// ObjectError is what is wrong with one object of a Config.
type ObjectError struct {
	Kind string // "server", "service", "listener", "filter" or "monitor"
	Name string
	Err  error
}

// Error tells the object and what is wrong with it.
func (e *ObjectError) Error() string { return fmt.Sprintf("%s %q: %v", e.Kind, e.Name, e.Err) }

// Unwrap is what is wrong.
func (e *ObjectError) Unwrap() error { return e.Err }

// module finds a module by name or alias, whatever its case.
func module[M any](modules map[string]M, aliases map[string]string, name string) (m M, err error) {
	for {
		for n, m := range modules {
			if strings.EqualFold(n, name) {
				return m, nil
			}
		}
		other, ok := aliases[strings.ToLower(name)]
		if !ok {
			return m, fmt.Errorf("there is no module %q", name)
		}
		name, aliases = other, nil
	}
}

// runningFilter is a filter with the number of those who use it: the proxy and
// sessions.
type runningFilter struct {
	config FilterConfig
	filter Filter
	proxy  *Proxy
	uses   atomic.Int64
}

func (f *runningFilter) acquire() { f.uses.Add(1) }

func (f *runningFilter) release() {
	if f.uses.Add(-1) == 0 {
		f.proxy.unlist(f)
		f.filter.Close()
	}
}

// runningMonitor is a monitor, which runs unless it is stopped.
type runningMonitor struct {
	config  MonitorConfig
	servers []*Server
	monitor Monitor
	cancel  context.CancelFunc
	done    chan struct{}
}

func (m *runningMonitor) start(ctx context.Context) {
	ctx, m.cancel = context.WithCancel(ctx)
	m.done = make(chan struct{})
	go func() {
		defer close(m.done)
		m.monitor.Run(ctx)
	}()
}

func (m *runningMonitor) stop() {
	if m.cancel != nil {
		m.cancel()
		<-m.done
		m.cancel = nil
	}
}

// retire ends what looks after a service.
func (s *Service) retire() {
	if s.cancel != nil {
		s.cancel()
		<-s.done
	}
}

var errNoReference = errors.New("is not there")

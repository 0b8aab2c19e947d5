package dbproxy

import (
	"context"
	"log/slog"
	"reflect"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/account"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
	"github.com/backplane/backplane/dataplane/dbproxy/tally"
)

// Service is a router with what it routes to. It lives as long as a service of
// its name is configured, or has sessions.
type Service struct {
	name      string
	proxy     *Proxy
	log       *slog.Logger
	config    atomic.Pointer[serviceConfig]
	users     *account.Refresher
	door      *Listener // by which sessions of other services come
	passwords passwords
	cancel    context.CancelFunc // ends the loading of accounts
	done      chan struct{}
	mu        sync.Mutex // while the configuration changes or a session takes it

	sessions, total, peak atomic.Int64
	started               time.Time
	failedLogins          atomic.Int64
	failures              atomic.Int64 // requests answered by an error
	ended                 atomic.Int64 // sessions
	lifetimes, longest    atomic.Int64 // ns
	operations            tally.Count  // requests under way
	histories             atomic.Int64 // commands remembered by all sessions that there were
	longestHistory        atomic.Int64
	latency               latency

	logged     atomic.Uint32                 // Levels
	traced     atomic.Int64                  // lines of the log that are kept of each session
	dumped     atomic.Pointer[string]        // dump_last_statements
	traceMatch atomic.Pointer[regexp.Regexp] // what must be found in them for them to be written
}

// serviceConfig is what a service is at one time.
type serviceConfig struct {
	ServiceConfig
	router  Router
	filters []*runningFilter
	servers []*Server
	counts  map[*Server]*serverCounts
	retain  int // statements of a session
}

// Name is the service's name.
func (s *Service) Name() string { return s.name }

// Params are its parameters, those of the router included.
func (s *Service) Params() param.Set { return s.config.Load().Params }

// Servers are the servers it routes to, in order. The slice must not be
// changed.
func (s *Service) Servers() []*Server { return s.config.Load().servers }

// Router is its router.
func (s *Service) Router() Router { return s.config.Load().router }

// Sessions is how many it has.
func (s *Service) Sessions() int64 { return s.sessions.Load() }

// Connections is how many connections its sessions have to one of its servers.
func (s *Service) Connections(srv *Server) int64 {
	if c := s.config.Load().counts[srv]; c != nil {
		return c.connections.Load()
	}
	return 0
}

// current is the configuration for a new session, which is to release it.
func (s *Service) current() *serviceConfig {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.config.Load().acquire()
}

// adopt puts a new configuration in force, if there is one, and loads the
// accounts when they may be others now.
func (s *Service) adopt(next *serviceConfig) {
	settings := s.proxy.Config().Settings
	interval, afterFailure := settings.Duration("users_refresh_interval"), settings.Duration("users_refresh_time")
	if s.users != nil {
		s.users.SetTimes(interval, afterFailure)
	}
	if next == nil {
		return
	}
	s.mu.Lock()
	old := s.config.Load()
	s.config.Store(next)
	s.mu.Unlock()
	if s.cancel == nil {
		s.users = account.NewRefresher(account.RefreshOptions{
			Load:     func(ctx context.Context) (*account.Table, error) { return s.source().Load(ctx) },
			Interval: interval, AfterFailure: afterFailure, Logger: s.log,
		})
		s.started = time.Now()
		s.run(s.users.Run)
		return
	}
	if old == next || !slices.Equal(old.servers, next.servers) || !reflect.DeepEqual(old.Params, next.Params) {
		s.proxy.running.Go(func() {
			s.users.Reload(s.proxy.ctx) //nolint:errcheck // it is logged already
		})
	}
}

// run runs f until the service is retired.
func (s *Service) run(f func(context.Context)) {
	ctx, cancel := context.WithCancel(s.proxy.ctx)
	s.cancel, s.done = cancel, make(chan struct{})
	go func() {
		defer close(s.done)
		f(ctx)
	}()
}

// Reload loads the accounts anew and waits for it.
func (s *Service) Reload(ctx context.Context) error { return s.users.Reload(ctx) }

// acquire and release count the sessions that use a configuration, so that
// its filters are closed after the last of them.
func (c *serviceConfig) acquire() *serviceConfig {
	for _, f := range c.filters {
		f.acquire()
	}
	return c
}

func (c *serviceConfig) release() {
	if c == nil {
		return
	}
	for _, f := range c.filters {
		f.release()
	}
}

// open makes the handlers of a session: the router's, and in front of it those
// of the filters.
func (s *Service) open(session *Session) (Handler, error) {
	c := session.config
	if len(c.filters) > 0 {
		session.HoldText()
	}
	chain, err := c.router.Session(session)
	if err != nil {
		return nil, err
	}
	session.handlers = append(session.handlers, chain)
	for i := len(c.filters) - 1; i >= 0; i-- {
		next, err := c.filters[i].filter.Session(session, chain)
		if err != nil {
			return nil, err
		}
		if next != chain {
			session.handlers = append([]Handler{next}, session.handlers...)
		}
		chain = next
	}
	return chain, nil
}

// began and finished count sessions.
func (s *Service) began() {
	s.total.Add(1)
	raise(&s.peak, s.sessions.Add(1))
}

// raise makes a peak n, unless it is higher.
func raise(peak *atomic.Int64, n int64) {
	for {
		old := peak.Load()
		if n <= old || peak.CompareAndSwap(old, n) {
			return
		}
	}
}

func (s *Service) finished(session *Session) {
	s.sessions.Add(-1)
	life := int64(time.Since(session.started))
	s.ended.Add(1)
	s.lifetimes.Add(life)
	raise(&s.longest, life)
}

package dbproxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"regexp"
	"slices"
)

// Apply makes the proxy what the configuration says. What cannot be made, as
// a module that is not there or a name that refers to nothing, is refused, and
// then nothing changes. Only listeners that cannot be opened are told about
// afterwards, by an *ObjectError for each: the rest is in force then, and where
// the service has retry_on_failure they are tried again.
func (p *Proxy) Apply(ctx context.Context, c Config) error {
	p.applying.Lock()
	defer p.applying.Unlock()
	if err := context.Cause(p.ctx); err != nil {
		return err
	}
	b := &builder{proxy: p, old: p.current.Load(), next: &state{
		config: c, servers: map[string]*Server{}, services: map[string]*Service{}, listeners: map[string]*Listener{},
		targets: map[string]*Server{}, filters: map[string]*runningFilter{}, monitors: map[string]*runningMonitor{},
	}}
	if err := b.build(); err != nil {
		b.undo()
		return err
	}
	return b.commit(ctx)
}

// builder makes a new state of an old one. Until commit nothing of the old one
// is touched.
type builder struct {
	proxy     *Proxy
	old, next *state
	servers   map[string]*serverConfig
	services  map[string]*serviceConfig
	listeners map[string]*listenerConfig
	made      []*runningFilter
	match     *regexp.Regexp // session_trace_match
}

func (b *builder) build() (err error) {
	if b.match, err = TraceMatch(b.next.config.Settings); err != nil {
		return err
	}
	steps := []func() error{b.buildServers, b.buildFilters, b.buildMonitors, b.buildServices, b.buildListeners}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// undo gives back what was made for nothing.
func (b *builder) undo() {
	for _, f := range b.made {
		f.release()
	}
}

func (b *builder) buildServers() error {
	b.servers = map[string]*serverConfig{}
	local := b.next.config.Settings.String("local_address")
	for _, c := range b.next.config.Servers {
		if _, twice := b.next.servers[c.Name]; twice {
			return &ObjectError{"server", c.Name, errors.New("is there twice")}
		}
		srv := b.old.servers[c.Name]
		if srv == nil {
			srv = newServer(c.Name)
		}
		if old := srv.config.Load(); old == nil || old.tls != nil || old.local != local || !reflect.DeepEqual(old.params, c.Params) {
			sc, err := newServerConfig(c, local)
			if err != nil {
				return &ObjectError{"server", c.Name, err}
			}
			b.servers[c.Name] = sc
			if b.old.servers[c.Name] == nil {
				srv.config.Store(sc) // nobody else knows it yet
			}
		}
		b.next.servers[c.Name] = srv
	}
	return nil
}

func (b *builder) buildFilters() error {
	for _, c := range b.next.config.Filters {
		if f := b.old.filters[c.Name]; f != nil && reflect.DeepEqual(f.config, c) {
			b.next.filters[c.Name] = f
			continue
		}
		m, err := module(b.proxy.options.Modules.Filters, b.proxy.options.Modules.Aliases, c.Module)
		if err != nil {
			return &ObjectError{"filter", c.Name, err}
		}
		filter, err := m.New(FilterOptions{Name: c.Name, Params: c.Params, Logger: b.proxy.log.With("filter", c.Name), Targets: b.proxy})
		if err != nil {
			return &ObjectError{"filter", c.Name, err}
		}
		f := &runningFilter{config: c, filter: filter, proxy: b.proxy}
		f.acquire()
		b.proxy.list(f)
		b.made = append(b.made, f)
		b.next.filters[c.Name] = f
	}
	return nil
}

func (b *builder) buildMonitors() error {
	for _, c := range b.next.config.Monitors {
		servers, err := b.find(c.Servers)
		if err != nil {
			return &ObjectError{"monitor", c.Name, err}
		}
		if m := b.old.monitors[c.Name]; m != nil && sameMonitor(m, c, servers) {
			b.next.monitors[c.Name] = m
			continue
		}
		m, err := module(b.proxy.options.Modules.Monitors, b.proxy.options.Modules.Aliases, c.Module)
		if err != nil {
			return &ObjectError{"monitor", c.Name, err}
		}
		monitor, err := m.New(MonitorOptions{
			Name: c.Name, Params: c.Params, Servers: servers, Logger: b.proxy.log.With("monitor", c.Name), Dir: b.proxy.options.Dir,
			Passive: func() bool { return b.proxy.Config().Settings.Bool("passive") }, Standby: b.proxy.options.Standby, Retries: b.proxy.retries,
		})
		if err != nil {
			return &ObjectError{"monitor", c.Name, err}
		}
		b.next.monitors[c.Name] = &runningMonitor{config: c, servers: servers, monitor: monitor}
	}
	return nil
}

// sameMonitor tells whether a monitor can go on, stopped or not.
func sameMonitor(m *runningMonitor, c MonitorConfig, servers []*Server) bool {
	before := m.config
	before.Stopped = c.Stopped
	return reflect.DeepEqual(before, c) && slices.Equal(m.servers, servers)
}

func (b *builder) find(names []string) (servers []*Server, err error) {
	for _, name := range names {
		srv, ok := b.next.servers[name]
		if !ok {
			return nil, fmt.Errorf("server %q %w", name, errNoReference)
		}
		servers = append(servers, srv)
	}
	return servers, nil
}

func (b *builder) buildServices() error {
	b.services = map[string]*serviceConfig{}
	if err := cycle(b.next.config.Services); err != nil {
		return err
	}
	for _, c := range b.next.config.Services {
		s := b.old.services[c.Name]
		if s == nil {
			var err error
			if s, err = newService(b.proxy, c.Name); err != nil {
				return &ObjectError{"service", c.Name, err}
			}
		}
		b.next.services[c.Name] = s
		t := b.old.targets[c.Name]
		if t == nil || t.inner != s {
			t = newTarget(s)
			t.retarget(c)
		}
		b.next.targets[c.Name] = t
	}
	for _, c := range b.next.config.Services {
		s := b.next.services[c.Name]
		sc, err := b.serviceConfig(s, c)
		if err != nil {
			return &ObjectError{"service", c.Name, err}
		}
		if sc != nil {
			b.services[c.Name] = sc
		}
	}
	return nil
}

// serviceConfig is nil when nothing has changed.
func (b *builder) serviceConfig(s *Service, c ServiceConfig) (*serviceConfig, error) {
	names := c.Servers
	if c.Cluster != "" {
		m, ok := b.next.monitors[c.Cluster]
		if !ok {
			return nil, fmt.Errorf("monitor %q %w", c.Cluster, errNoReference)
		}
		names = m.config.Servers
	}
	servers, err := b.find(names)
	if err != nil {
		return nil, err
	}
	for _, name := range c.Services {
		t, ok := b.next.targets[name]
		if !ok {
			return nil, fmt.Errorf("service %q %w", name, errNoReference)
		}
		servers = append(servers, t)
	}
	sc := &serviceConfig{ServiceConfig: c, servers: servers, counts: map[*Server]*serverCounts{}}
	for _, name := range c.Filters {
		f, ok := b.next.filters[name]
		if !ok {
			return nil, fmt.Errorf("filter %q %w", name, errNoReference)
		}
		sc.filters = append(sc.filters, f)
	}
	if sc.retain = int(c.Params.Int("retain_last_statements")); sc.retain < 0 {
		sc.retain = int(b.next.config.Settings.Int("retain_last_statements"))
	}
	old := s.config.Load()
	if old != nil && reflect.DeepEqual(old.ServiceConfig, c) && slices.Equal(old.servers, servers) && slices.Equal(old.filters, sc.filters) && old.retain == sc.retain {
		return nil, nil
	}
	for _, srv := range servers {
		sc.counts[srv] = &serverCounts{}
		if old != nil && old.counts[srv] != nil {
			sc.counts[srv] = old.counts[srv]
		}
	}
	if old == nil {
		s.config.Store(sc) // so that the router can ask; nobody else knows the service yet
	}
	m, err := module(b.proxy.options.Modules.Routers, b.proxy.options.Modules.Aliases, c.Router)
	if err != nil {
		return nil, err
	}
	sc.router, err = m.New(RouterOptions{Service: s, Params: c.Params, Logger: s.log})
	return sc, err
}

func (b *builder) buildListeners() error {
	b.listeners = map[string]*listenerConfig{}
	for _, c := range b.next.config.Listeners {
		service, ok := b.next.services[c.Service]
		if !ok {
			return &ObjectError{"listener", c.Name, fmt.Errorf("service %q %w", c.Service, errNoReference)}
		}
		lc, err := newListenerConfig(c)
		if err != nil {
			return &ObjectError{"listener", c.Name, err}
		}
		b.listeners[c.Name] = lc
		l := b.old.listeners[c.Name]
		if l != nil && (l.moved(c) || l.service.Load() != service) {
			l = nil
		}
		if l == nil {
			l = &Listener{name: c.Name, proxy: b.proxy, log: b.proxy.log, ended: make(chan struct{})}
			l.config.Store(lc)
			l.service.Store(service)
		}
		b.next.listeners[c.Name] = l
	}
	return nil
}

// moved tells whether a listener is to listen elsewhere.
func (l *Listener) moved(c ListenerConfig) bool {
	old := l.Config().Params
	return old.String("address") != c.Params.String("address") || old.Int("port") != c.Params.Int("port") || old.String("socket") != c.Params.String("socket")
}

// commit puts the new state in force. What is gone ends first, so that what
// comes may have its ports.
func (b *builder) commit(ctx context.Context) error {
	p, old, next := b.proxy, b.old, b.next
	for name, l := range old.listeners {
		if next.listeners[name] != l {
			l.close()
		}
	}
	for name, m := range old.monitors {
		if next.monitors[name] != m {
			m.stop()
		}
	}
	for name, sc := range b.servers {
		next.servers[name].config.Store(sc)
	}
	for _, srv := range next.servers {
		params := srv.Params()
		srv.pool.configure(int(params.Int("persistpoolmax")), params.Duration("persistmaxtime"))
	}
	p.setThreads(int(next.config.Settings.Int("threads")))
	p.blocker.SetMax(int(next.config.Settings.Int("max_auth_errors_until_block")))
	p.current.Store(next)
	for _, c := range next.config.Services {
		next.targets[c.Name].retarget(c)
		next.services[c.Name].adoptLog(c, next.config.Settings, b.match)
		next.services[c.Name].adopt(b.services[c.Name])
	}
	for name, s := range old.services {
		if next.services[name] != s {
			s.retire()
		}
	}
	for _, c := range next.config.Monitors {
		next.monitors[c.Name].adopt(p.ctx, c)
	}
	for name, f := range old.filters {
		if next.filters[name] != f {
			f.release()
		}
	}
	for name, srv := range old.servers {
		if next.servers[name] != srv {
			srv.pool.configure(0, 0)
		}
	}
	return b.openListeners(ctx)
}

// adopt stops or starts a monitor.
func (m *runningMonitor) adopt(ctx context.Context, c MonitorConfig) {
	m.config = c
	switch {
	case c.Stopped:
		m.stop()
	case m.cancel == nil:
		m.start(ctx)
	}
}

func (b *builder) openListeners(ctx context.Context) error {
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(b.next.listeners)) {
		l := b.next.listeners[name]
		c := b.listeners[name]
		l.config.Store(c)
		service := l.service.Load()
		l.pause(c.Stopped || service.config.Load().Stopped)
		if l.Addr() != nil || l.retrying() {
			continue
		}
		if err := l.open(ctx); err != nil {
			faults = append(faults, &ObjectError{"listener", name, err})
			l.retry(service.Params())
		}
	}
	return errors.Join(faults...)
}

func newService(p *Proxy, name string) (s *Service, err error) {
	s = &Service{name: name, proxy: p}
	s.log = slog.New(&chooser{s, p.log.Handler()}).With("service", name)
	s.door, err = newDoor(p, s)
	return s, err
}

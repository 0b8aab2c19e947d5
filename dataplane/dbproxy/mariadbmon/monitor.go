package mariadbmon

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
)

// Monitor watches servers. It is made by the module's New.
type Monitor struct {
	name     string
	options  dbproxy.MonitorOptions
	settings *settings
	log      *slog.Logger

	requests chan request
	ticks    atomic.Int64
	shown    atomic.Pointer[map[string]any] // of Diagnostics
	busy     atomic.Pointer[string]         // what it is doing
	commands commandState

	mu    sync.Mutex
	runs  bool
	ended chan struct{} // closed when Run has ended

	// What follows belongs to Run.
	servers []*watched
	master  int
	past    past
	// domain is the replication domain of the master, as far as it is known.
	domain      uint32
	domainKnown bool
	coop        cooperation
	pause       int // ticks without automatic operations
	complained  string
	diskAt      time.Time
	names       resolver
	scripts     chan scriptCall
	journal     journal
}

// request is work for the goroutine of Run.
type request struct {
	do   func(context.Context)
	done chan struct{}
}

var errStopped = errors.New("the monitor is stopped")

func newMonitor(o dbproxy.MonitorOptions) (*Monitor, error) {
	names := make([]string, len(o.Servers))
	for i, s := range o.Servers {
		names[i] = s.Name()
		if _, err := parseThresholds(s.Params().String("disk_space_threshold")); err != nil {
			return nil, errors.New("server " + s.Name() + ": disk_space_threshold " + err.Error())
		}
	}
	s, err := readSettings(o.Params, names)
	if err != nil {
		return nil, err
	}
	if s.retries = o.Retries; s.retries == nil {
		s.retries = func() (int, time.Duration) { return 0, 0 }
	}
	m := &Monitor{
		name: o.Name, options: o, settings: s, log: o.Logger, requests: make(chan request), master: none,
		past: past{master: none, elsewhere: none}, coop: cooperation{on: s.locks != locksNone},
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	for _, srv := range o.Servers {
		w := &watched{conn: conn{srv: srv, params: o.Params}}
		w.named()
		m.servers = append(m.servers, w)
	}
	m.journal.path = journalPath(o.Dir, o.Name)
	m.show()
	return m, nil
}

// Run watches until ctx ends. Only one may run at a time.
func (m *Monitor) Run(ctx context.Context) {
	defer m.begin()()
	m.restore()
	scripts := m.startScripts(ctx)
	defer scripts()
	defer m.writeJournal()
	defer func() {
		for _, w := range m.servers {
			w.close()
		}
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			m.tick(ctx)
			timer.Reset(m.options.Params.Duration("monitor_interval"))
		case r := <-m.requests:
			r.do(ctx)
			close(r.done)
		}
	}
}

// begin notes that Run runs, until what it returns is called.
func (m *Monitor) begin() (end func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.runs = true
	if m.ended == nil || closed(m.ended) {
		m.ended = make(chan struct{})
	}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.runs = false
		close(m.ended)
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// running tells whether Run does.
func (m *Monitor) running() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.runs
}

// end is closed when Run ends. Before Run has begun it is not.
func (m *Monitor) end() chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended == nil {
		m.ended = make(chan struct{})
	}
	return m.ended
}

// hand lets Run do something and waits for it.
func (m *Monitor) hand(ctx context.Context, do func(context.Context)) error {
	r := request{do, make(chan struct{})}
	end := m.end()
	if closed(end) {
		return errStopped
	}
	select {
	case m.requests <- r:
	case <-end:
		return errStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Tick watches once more and waits for it.
func (m *Monitor) Tick(ctx context.Context) error { return m.hand(ctx, m.tick) }

// Ticks is how often it has watched.
func (m *Monitor) Ticks() int64 { return m.ticks.Load() }

// tick looks at all servers, decides, and acts.
func (m *Monitor) tick(ctx context.Context) {
	m.working("Monitoring servers")
	defer m.working("Idle")
	m.look(ctx)
	if ctx.Err() != nil {
		return // what looks like servers that are down is the end
	}
	for _, w := range m.servers {
		if !w.obs.up {
			w.downTicks++
		}
	}
	if m.coop.on {
		m.contend(ctx)
	}
	t := m.decide(ctx)
	m.act(ctx, t)
	m.ticks.Add(1)
	m.show()
	m.keepJournal()
}

// look asks all servers at once.
func (m *Monitor) look(ctx context.Context) {
	disks := m.settings.diskInterval > 0 && time.Since(m.diskAt) >= m.settings.diskInterval
	if disks {
		m.diskAt = time.Now()
	}
	var all sync.WaitGroup
	for _, w := range m.servers {
		w.checkDisk = disks
		all.Go(func() { w.look(ctx, m.settings) })
	}
	all.Wait()
	if m.settings.uniqueHosts {
		m.names.resolve(ctx, m.servers)
	}
}

// observed are the servers for those who decide.
func (m *Monitor) observed() []*observed {
	list := make([]*observed, len(m.servers))
	for i, w := range m.servers {
		list[i] = &w.obs
	}
	return list
}

// decide finds the master and the roles, and tells of them.
func (m *Monitor) decide(ctx context.Context) *topology {
	t := newTopology(m.observed(), m.settings.uniqueHosts)
	p := m.past
	p.others, p.elsewhere = m.coop.on && !m.coop.primary, none
	if p.master != none {
		p.downTicks = m.servers[p.master].downTicks
	}
	if p.others {
		p.elsewhere = m.elsewhere()
	}
	master, why := t.choose(p, m.settings.failcount)
	if master != m.master && master != none {
		m.log.Info("a server is the master now", "server", m.servers[master].srv.Name(), "why", why)
	}
	m.setMaster(t, master)
	m.markMaster(ctx)
	roles := assign(t, master, p, m.settings)
	m.publish(t, roles)
	return t
}

// setMaster remembers the master and how it stood.
func (m *Monitor) setMaster(t *topology, master int) {
	if m.master != master && m.master != none {
		m.servers[m.master].events = nil
	}
	m.master, m.past.master = master, master
	if master == none {
		return
	}
	o := &m.servers[master].obs
	if o.up {
		m.past.follows, m.past.ring = t.follows(master), t.rings[master] != 0
		if o.domainKnown {
			m.domain, m.domainKnown = o.domain, true
		}
	}
}

func (m *Monitor) working(what string) { m.busy.Store(&what) }

// passive tells whether the proxy, or this monitor among others, must not act.
func (m *Monitor) passive() bool {
	for _, not := range []func() bool{m.options.Passive, m.options.Standby} {
		if not != nil && not() {
			return true
		}
	}
	return m.coop.on && !m.coop.primary
}

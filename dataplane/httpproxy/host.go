package httpproxy

import (
	"context"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// host is what plugins see of a Proxy.
type host struct{ p *Proxy }

// Host is what plugins see of the Proxy: for who looks after what they share.
func (p *Proxy) Host() Host { return host{p} }

func (h host) Context() context.Context { return h.p.ctx }

func (h host) Go(f func(context.Context)) { h.p.running.Go(func() { f(h.p.ctx) }) }

func (h host) Shared(name string, create func() any) any { return h.p.shared.get(name, create) }

func (h host) Node() string { return h.p.options.Node }

func (h host) Metrics() prometheus.Registerer { return h.p.metrics }

func (h host) Statistics() Statistics { return h.p.Statistics() }

func (h host) Upstreams() []UpstreamHealth { return h.p.Upstreams() }

func (h host) Snapshot() View { return h.p.current.Load() }

// sharedStates are what survives the instances of plugins, by name.
type sharedStates struct {
	mu     sync.Mutex
	states map[string]*sharedState
}

type sharedState struct {
	once  sync.Once
	state any
}

func (s *sharedStates) get(name string, create func() any) any {
	s.mu.Lock()
	if s.states == nil {
		s.states = map[string]*sharedState{}
	}
	st := s.states[name]
	if st == nil {
		st = &sharedState{}
		s.states[name] = st
	}
	s.mu.Unlock()
	st.once.Do(func() { st.state = create() })
	return st.state
}

// close closes what can be closed.
func (s *sharedStates) close(log func(error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.states)) {
		if c, ok := s.states[name].state.(io.Closer); ok {
			if err := c.Close(); err != nil {
				log(err)
			}
		}
	}
	s.states = nil
}

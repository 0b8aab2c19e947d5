package dbproxy

import (
	"fmt"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// renewal is what a session is to take up.
type renewal struct {
	own     bool // whether filters are the session's own
	filters []*runningFilter
}

func (r *renewal) release() {
	if r != nil {
		for _, f := range r.filters {
			f.release()
		}
	}
}

// Restart makes the session connect anew, with what its service is by then, as
// soon as it waits for its client and no transaction is open. What the client
// has set in its session is lost. It may be called from anywhere.
func (s *Session) Restart() { s.renewWith(&renewal{}) }

// SetFilters is Restart with other filters than those of the service, in the
// order in which requests pass them.
func (s *Session) SetFilters(names []string) error {
	// No filter is closed while this goes on.
	s.proxy.applying.Lock()
	defer s.proxy.applying.Unlock()
	next := &renewal{own: true}
	for _, name := range names {
		f, ok := s.proxy.current.Load().filters[name]
		if !ok {
			next.release()
			return fmt.Errorf("filter %q %w", name, errNoReference)
		}
		f.acquire()
		next.filters = append(next.filters, f)
	}
	s.renewWith(next)
	return nil
}

func (s *Session) renewWith(next *renewal) {
	s.renewal.Swap(next).release()
	if s.ctx.Err() != nil {
		s.renewal.Swap(nil).release() // it has ended meanwhile, or sees to it itself
	}
	s.wake()
}

// renew takes up what it is to take up. It is called between requests.
func (s *Session) renew() error {
	if s.renewal.Load() == nil || s.status.Has(wire.StatusInTransaction) {
		return nil
	}
	next := s.renewal.Swap(nil)
	if next == nil {
		return nil
	}
	defer next.release()
	handlers, old := s.handlers, s.config
	s.config, s.handlers, s.chain = s.service.current(), nil, nil
	if next.own {
		c := s.config
		s.config = (&serviceConfig{
			ServiceConfig: c.ServiceConfig, router: c.router, filters: next.filters, servers: c.servers, counts: c.counts, retain: c.retain,
		}).acquire()
		c.release()
	}
	for _, h := range handlers {
		h.Close()
	}
	old.release()
	s.SetHistory(0)
	chain, err := s.service.open(s)
	if err != nil {
		return err
	}
	s.chain = chain
	s.prepareDirect()
	return nil
}

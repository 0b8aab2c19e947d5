package mariadbmon

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// failover puts the best replica in the place of a master that is down.
func (m *Monitor) failover(ctx context.Context) error {
	target, err := m.heir()
	if err != nil {
		return err
	}
	old := m.master
	m.log.Warn("failover begins", "master", m.servers[old].srv.Name(), "replacement", m.servers[target].srv.Name())
	if err := m.promote(ctx, target, old, m.external(old)); err != nil {
		return err
	}
	m.become(target)
	replicas, err := m.redirect(ctx, old, target)
	if err != nil {
		// There is a master, which is what counts.
		m.log.Warn("not all servers could be directed to the new master", "error", err)
	}
	m.connected(ctx, target, replicas)
	m.log.Warn("failover has ended", "master", m.servers[target].srv.Name())
	return nil
}

// heir is who takes the place of the lost master, if that can be told.
func (m *Monitor) heir() (int, error) {
	if m.master == none && m.settings.simpleTopology {
		m.master = m.lostRoot()
	}
	if m.master == none {
		return none, errors.New("there is no master to replace")
	}
	o := &m.servers[m.master].obs
	switch {
	case o.up:
		return none, fmt.Errorf("the master %s is running", o.name)
	case o.maintenance:
		return none, fmt.Errorf("the master %s is in maintenance", o.name)
	case o.denied:
		return none, fmt.Errorf("the master %s refuses the monitor, which does not mean that it is lost", o.name)
	}
	domain, known := m.domain, m.domainKnown
	if !known && m.settings.simpleTopology {
		domain, known = m.guessDomain()
	}
	if !known {
		return none, fmt.Errorf("the master %s has not been seen running, so its GTID domain is not known", o.name)
	}
	if err := m.byGTID(); err != nil {
		return none, err
	}
	list, err := m.runners(domain, false)
	if err != nil {
		return none, err
	}
	best := list[0]
	if best.ioPos > best.current {
		return none, fmt.Errorf("server %s still has to work off its relay log: %w", m.servers[best.server].srv.Name(), errLater)
	}
	return best.server, nil
}

// lostRoot is the server that is down and has the most running replicas below
// it.
func (m *Monitor) lostRoot() int {
	t := newTopology(m.observed(), m.settings.uniqueHosts)
	best, most := none, 0
	for i, w := range m.servers {
		if w.obs.up || w.obs.maintenance || len(t.masters[i]) > 0 {
			continue
		}
		if n := t.count(i); n > most {
			best, most = i, n
		}
	}
	return best
}

// guessDomain is the domain of what the replicas of the master heard, when it
// is one.
func (m *Monitor) guessDomain() (uint32, bool) {
	var domain uint32
	known := false
	for _, w := range m.servers {
		l := m.linkTo(w, m.master)
		if l == nil || !w.obs.up {
			continue
		}
		for _, g := range l.ioPos {
			if known && g.domain != domain {
				return 0, false
			}
			domain, known = g.domain, true
		}
	}
	return domain, known
}

// heardOf is a replica that has heard of the master lately, which therefore
// runs. When no replica is connected to it, none has.
func (m *Monitor) heardOf(now time.Time) (string, bool) {
	for _, w := range m.servers {
		if !w.obs.up {
			continue
		}
		l := m.linkTo(w, m.master)
		if l == nil || l.IORunning != yes {
			continue
		}
		if h, ok := w.ioSeen[l.Name]; ok && now.Sub(h.at) < m.settings.failureTimeout {
			return w.srv.Name(), true
		}
	}
	return "", false
}

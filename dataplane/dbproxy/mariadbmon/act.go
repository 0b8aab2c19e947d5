package mariadbmon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
)

// act does what is to be done without being asked.
func (m *Monitor) act(ctx context.Context, t *topology) {
	m.lowDisks()
	m.rememberEvents(ctx)
	if m.passive() {
		return
	}
	if m.pause > 0 {
		m.pause--
	} else {
		m.automatic(ctx)
	}
	m.enforce(ctx, t)
}

// lowDisks takes servers out of use whose disks are full, if others can do
// without them.
func (m *Monitor) lowDisks() {
	if !m.settings.lowDiskMaint {
		return
	}
	for i, w := range m.servers {
		if w.obs.lowDisk && w.obs.usable() && i != m.master && !w.roleNow.status.Has(dbproxy.RelayMaster) {
			m.log.Warn("a server is put into maintenance, as it is low on disk space", "server", w.srv.Name(), "path", w.diskPath)
			w.srv.SetStatus(dbproxy.Maintenance, 0)
			w.obs.maintenance = true
		}
	}
}

// automatic does the first operation that is due.
func (m *Monitor) automatic(ctx context.Context) {
	switch {
	case m.lost():
		if m.settings.autoFailover {
			m.tryAutomatic(ctx, "failover", m.settings.failoverTimeout, func(ctx context.Context) error { return m.failover(ctx) })
		}
	case m.diskMoves():
		m.tryAutomatic(ctx, "switchover", m.settings.switchTimeout, m.moveForDisk)
	case m.master != none && !m.servers[m.master].obs.up:
		// It may be back soon.
	case m.settings.autoRejoin && m.master != none && m.servers[m.master].srv.Status().Has(dbproxy.Master):
		m.rejoinAll(ctx)
	default:
		m.complained = ""
	}
}

// tryAutomatic does an operation. When it fails, there is none for a while.
func (m *Monitor) tryAutomatic(ctx context.Context, name string, timeout time.Duration, do func(context.Context) error) {
	err := m.operate(ctx, name, timeout, do)
	if err == nil {
		m.complained = ""
		return
	}
	if !errors.Is(err, errLater) {
		m.pause = max(1, m.settings.failcount)
	}
	if ctx.Err() == nil {
		m.complain(name+" cannot be done", err)
	}
}

// complain logs what is wrong once, as long as it stays the same.
func (m *Monitor) complain(what string, err error) {
	if text := what + err.Error(); text != m.complained {
		m.complained = text
		m.log.Error(what, "error", err)
	}
}

// lost tells whether the master is gone for long enough.
func (m *Monitor) lost() bool {
	master := m.master
	if master == none && m.settings.simpleTopology {
		master = m.lostRoot()
	}
	if master == none {
		return false
	}
	w := m.servers[master]
	if w.obs.up || w.obs.maintenance || w.obs.denied || w.downTicks < max(1, m.settings.failcount) {
		return false
	}
	if m.master == none || !m.settings.verifyFailure {
		return true
	}
	by, heard := m.heardOf(time.Now())
	if heard {
		m.complain("the master is not replaced", fmt.Errorf("%s cannot be reached, but %s has heard of it", w.srv.Name(), by))
	}
	return !heard
}

// diskMoves tells whether the master should go for want of disk space.
func (m *Monitor) diskMoves() bool {
	if !m.settings.lowDiskSwitch || m.master == none {
		return false
	}
	o := &m.servers[m.master].obs
	return o.lowDisk && o.usable()
}

func (m *Monitor) moveForDisk(ctx context.Context) error {
	list, err := m.runners(m.domain, true)
	if err != nil {
		return err
	}
	for _, r := range list {
		if r.lowDisk {
			continue
		}
		s, err := m.newSwitchover(r.server, none, false)
		if err != nil {
			return err
		}
		return s.run(ctx)
	}
	return errors.New("no server that could be the master has disk space")
}

// rejoinAll brings all servers back that can be.
func (m *Monitor) rejoinAll(ctx context.Context) {
	for i, w := range m.servers {
		if i == m.master || !w.obs.usable() || m.pause > 0 {
			continue
		}
		if alone, wrong := m.stray(i); !alone && !wrong {
			continue
		}
		m.tryAutomatic(ctx, "rejoin of "+w.srv.Name(), m.settings.switchTimeout, func(ctx context.Context) error {
			if err := m.rejoinable(i, false); err != nil {
				return err
			}
			return m.rejoin(ctx, i)
		})
	}
}

// enforce switches read_only where parameters ask for it.
func (m *Monitor) enforce(ctx context.Context, t *topology) {
	p := m.options.Params
	slaves, servers, master := p.Bool("enforce_read_only_slaves"), p.Bool("enforce_read_only_servers"), p.Bool("enforce_writable_master")
	if m.master == none || !slaves && !servers && !master {
		return
	}
	for i, w := range m.servers {
		if !w.obs.usable() {
			continue
		}
		on := i == m.master
		switch {
		case on && (!master || !w.obs.readOnly || t.follows(i)):
			continue
		case !on && (w.obs.readOnly || !servers && !(slaves && w.roleNow.status.Has(dbproxy.Slave))):
			continue
		}
		if err := w.exec(ctx, w.bounded("SET GLOBAL read_only = "+map[bool]string{true: "0", false: "1"}[on])); err != nil {
			m.log.Warn("read_only could not be set", "server", w.srv.Name(), "writable", on, "error", err)
			continue
		}
		w.obs.readOnly = !on
		m.log.Info("read_only has been set", "server", w.srv.Name(), "writable", on)
	}
}

package mariadbmon

import (
	"context"
	"errors"
	"fmt"
)

// resetReplication deletes the binary logs and begins anew with a master, or
// with the one there is. All servers must have the same data.
func (m *Monitor) resetReplication(ctx context.Context, target int) error {
	if target == none {
		target = m.master
	}
	if target == none {
		return errors.New("there is no master, and none is named")
	}
	var servers []*watched
	for i, w := range m.servers {
		switch {
		case w.obs.usable() && w.obs.mariadb:
			servers = append(servers, w)
		case i == target:
			return fmt.Errorf("server %s is not running or in maintenance", w.srv.Name())
		}
	}
	master := m.servers[target]
	var events []scheduledEvent
	if m.master != none {
		events = m.servers[m.master].events
	}
	m.log.Warn("replication is reset", "master", master.srv.Name())
	start := fmt.Sprintf("%d-%d-0", master.obs.domain, master.obs.serverID)
	for _, w := range servers {
		if err := m.wipe(ctx, w, start); err != nil {
			return err
		}
	}
	if err := master.writable(ctx, true); err != nil {
		return err
	}
	if m.settings.handleEvents {
		if err := master.enableEvents(ctx, events); err != nil {
			return err
		}
	}
	master.events = events
	m.master, m.past = target, past{master: target, elsewhere: none}
	var replicas []*watched
	for _, w := range servers {
		if w == master {
			continue
		}
		if err := m.start(ctx, w, master); err != nil {
			return err
		}
		replicas = append(replicas, w)
	}
	m.connected(ctx, target, replicas)
	return nil
}

// wipe forgets where a server was in replication.
func (m *Monitor) wipe(ctx context.Context, w *watched, start string) error {
	for i := range w.obs.links {
		if err := w.unlink(ctx, w.obs.links[i].Name); err != nil {
			return err
		}
	}
	if err := w.writable(ctx, false); err != nil {
		return err
	}
	if m.settings.handleEvents {
		if err := w.disableEvents(ctx); err != nil {
			return err
		}
	}
	if err := w.must(ctx, "RESET MASTER"); err != nil {
		return err
	}
	return w.must(ctx, "SET GLOBAL gtid_slave_pos = ?", start)
}

// start makes a server a replica from the beginning of the master's log on.
func (m *Monitor) start(ctx context.Context, w, master *watched) error {
	s, err := m.source(w, master)
	if err != nil {
		return err
	}
	if err := w.must(ctx, changeMaster("", s)); err != nil {
		return err
	}
	return w.must(ctx, startSlave(""))
}

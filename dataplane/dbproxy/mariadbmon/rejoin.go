package mariadbmon

import (
	"context"
	"errors"
	"fmt"
)

// stray tells why a server can be brought to follow the master, which it does
// not do: it stands alone, or has another master.
func (m *Monitor) stray(server int) (alone, wrong bool) {
	o := &m.servers[server].obs
	master := &m.servers[m.master].obs
	switch len(o.links) {
	case 0:
		return true, false
	case 1:
	default:
		return false, false // only administrators know what is meant
	}
	l := &o.links[0]
	if l.IORunning == yes {
		return false, l.MasterServerID != master.serverID
	}
	return false, !master.leads(l, true)
}

// rejoinable checks that a server can follow the master. By hand, it may be one
// without transactions.
func (m *Monitor) rejoinable(server int, byHand bool) error {
	if m.master == none {
		return errors.New("there is no master")
	}
	o, master := &m.servers[server].obs, &m.servers[m.master].obs
	switch {
	case server == m.master:
		return fmt.Errorf("server %s is the master", o.name)
	case !master.usable() || master.readOnly:
		return fmt.Errorf("the master %s is not in order", master.name)
	case !o.usable():
		return fmt.Errorf("server %s is not running or in maintenance", o.name)
	case !o.mariadb || !master.mariadb:
		return errors.New("only MariaDB servers can be directed")
	}
	alone, wrong := m.stray(server)
	if !alone && !wrong {
		return fmt.Errorf("server %s replicates from the master already, or in a way that only an administrator can change", o.name)
	}
	if wrong && !o.links[0].usesGTID() {
		return fmt.Errorf("server %s does not replicate by GTID", o.name)
	}
	if len(o.current) == 0 && !byHand {
		return fmt.Errorf("server %s has no transactions by which to tell what it lacks", o.name)
	}
	if !o.current.within(master.reached()) {
		return fmt.Errorf("server %s has transactions that the master lacks: it is at %s, the master at %s", o.name, o.current, master.reached())
	}
	return nil
}

// reached is the position by all that the server has.
func (o *observed) reached() position {
	p := append(position{}, o.binlog...)
	for _, g := range o.current {
		i := -1
		for j := range p {
			if p[j].domain == g.domain {
				i = j
			}
		}
		switch {
		case i < 0:
			p = append(p, g)
		case p[i].sequence < g.sequence:
			p[i] = g
		}
	}
	return p
}

// rejoin brings a server to follow the master.
func (m *Monitor) rejoin(ctx context.Context, server int) error {
	w := m.servers[server]
	alone, _ := m.stray(server)
	m.log.Warn("a server is brought to follow the master", "server", w.srv.Name(), "master", m.servers[m.master].srv.Name())
	var l *link
	if alone {
		if err := w.runFile(ctx, m.options.Params.String("demotion_sql_file")); err != nil {
			return err
		}
		if err := w.writable(ctx, false); err != nil {
			return err
		}
		if m.settings.handleEvents {
			if err := w.disableEvents(ctx); err != nil {
				return err
			}
		}
	} else {
		l = &w.obs.links[0]
	}
	if err := m.follow(ctx, w, m.servers[m.master], l); err != nil {
		return err
	}
	return m.awaitLink(ctx, w, m.master)
}

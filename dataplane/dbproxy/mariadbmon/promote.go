package mariadbmon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// runner is a replica that may become the master.
type runner struct {
	server  int
	ioPos   uint64 // how far it has heard
	current uint64 // how far it has got
	logs    bool   // log_slave_updates
	lowDisk bool
}

// better orders runners, the best one first. Whoever has heard the most has
// what clients were told is committed.
func better(a, b runner) int {
	return cmp.Or(
		cmp.Compare(b.ioPos, a.ioPos), cmp.Compare(b.current, a.current),
		truth(b.logs)-truth(a.logs), truth(a.lowDisk)-truth(b.lowDisk), cmp.Compare(a.server, b.server))
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// unable tells why a server cannot take the place of the master; "" when it
// can. moving is for a switchover, in which the master must be heard of.
func unable(o *observed, l *link, moving bool) string {
	switch {
	case !o.up:
		return "it is down"
	case o.denied:
		return "it refuses the monitor"
	case o.maintenance:
		return "it is in maintenance"
	case l == nil:
		return "it does not replicate from the master"
	case !l.usesGTID():
		return "it does not replicate by GTID"
	case !l.active():
		return "its replication has stopped"
	case moving && l.IORunning != yes:
		return "it is not connected to the master"
	case !o.logBin:
		return "it writes no binary log"
	}
	return ""
}

// runners are the replicas of the master that may take its place, the best one
// first, or why there are none.
func (m *Monitor) runners(domain uint32, moving bool) ([]runner, error) {
	var list []runner
	var reasons []string
	for i, w := range m.servers {
		if i == m.master {
			continue
		}
		l := m.linkTo(w, m.master)
		why := unable(&w.obs, l, moving)
		if why == "" && slices.Contains(m.settings.noPromotion, w.srv.Name()) {
			why = "it is in servers_no_promotion"
		}
		if why != "" {
			reasons = append(reasons, w.srv.Name()+": "+why)
			continue
		}
		list = append(list, runner{i, l.ioPos.sequence(domain), w.obs.current.sequence(domain), w.obs.logSlave, w.obs.lowDisk})
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no server can take the place of %s: %s", m.servers[m.master].srv.Name(), strings.Join(reasons, ", "))
	}
	slices.SortFunc(list, better)
	return list, nil
}

// byGTID checks that the replicas that have to follow another master can.
func (m *Monitor) byGTID() error {
	for i, w := range m.servers {
		if i == m.master || !w.obs.usable() {
			continue
		}
		if l := m.linkTo(w, m.master); l != nil && !l.usesGTID() {
			return fmt.Errorf("server %s does not replicate by GTID", w.srv.Name())
		}
	}
	return nil
}

// promote makes a replica the master.
func (m *Monitor) promote(ctx context.Context, target, old int, external []link) error {
	w := m.servers[target]
	if l := m.linkTo(w, old); l != nil {
		if err := w.unlink(ctx, l.Name); err != nil {
			return err
		}
	}
	if err := w.writable(ctx, true); err != nil {
		return err
	}
	if m.settings.handleEvents {
		if err := w.enableEvents(ctx, m.servers[old].events); err != nil {
			return err
		}
	}
	if err := w.runFile(ctx, m.options.Params.String("promotion_sql_file")); err != nil {
		return err
	}
	for i := range external {
		if err := m.followExternal(ctx, w, &external[i]); err != nil {
			return err
		}
	}
	return nil
}

// become notes that a server is the master now.
func (m *Monitor) become(target int) {
	m.servers[target].events = m.servers[m.master].events
	m.master, m.past = target, past{master: target, elsewhere: none}
}

// redirect lets all usable replicas of the old master follow the new one.
func (m *Monitor) redirect(ctx context.Context, old, target int) (done []*watched, err error) {
	for i, w := range m.servers {
		if i == old || i == target || !w.obs.usable() {
			continue
		}
		l := m.linkTo(w, old)
		if l == nil || l.SQLRunning != yes && l.IORunning == no {
			continue // or somebody stopped it
		}
		if failed := m.follow(ctx, w, m.servers[target], l); failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		done = append(done, w)
	}
	return done, err
}

// external are a server's connections to masters that are not watched.
func (m *Monitor) external(server int) (list []link) {
	for _, l := range m.servers[server].obs.links {
		if l.active() && find(m.observed(), &l, m.settings.uniqueHosts) == none {
			list = append(list, l)
		}
	}
	return list
}

package mariadbmon

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// switchover puts a replica, or the best one, in the place of a master that
// runs. With force, what fails on the old master does not matter.
type switchover struct {
	m        *Monitor
	old      int
	target   int
	force    bool
	external []link // of the old master
	wait     string // how far the old master was
}

// newSwitchover checks what it is asked for. target and current may be none.
func (m *Monitor) newSwitchover(target, current int, force bool) (*switchover, error) {
	if m.master == none {
		return nil, errors.New("there is no master to replace")
	}
	old := &m.servers[m.master].obs
	switch {
	case current != none && current != m.master:
		return nil, fmt.Errorf("server %s is not the master, %s is", m.servers[current].srv.Name(), old.name)
	case target == m.master:
		return nil, fmt.Errorf("server %s is the master already", old.name)
	case !old.up && !force:
		return nil, fmt.Errorf("the master %s is down", old.name)
	case old.maintenance && !force:
		return nil, fmt.Errorf("the master %s is in maintenance", old.name)
	case !m.domainKnown:
		return nil, errors.New("the GTID domain of the master is not known")
	}
	if err := m.byGTID(); err != nil {
		return nil, err
	}
	moving := !force
	if target == none {
		list, err := m.runners(m.domain, moving)
		if err != nil {
			return nil, err
		}
		target = list[0].server
	} else if why := unable(&m.servers[target].obs, m.linkTo(m.servers[target], m.master), moving); why != "" {
		return nil, fmt.Errorf("server %s cannot take the place of %s: %s", m.servers[target].srv.Name(), old.name, why)
	}
	return &switchover{m: m, old: m.master, target: target, force: force, external: m.external(m.master)}, nil
}

func (s *switchover) run(ctx context.Context) error {
	m, old, target := s.m, s.m.servers[s.old], s.m.servers[s.target]
	m.log.Warn("switchover begins", "master", old.srv.Name(), "replacement", target.srv.Name())
	m.rememberEvents(ctx)
	err := s.demote(ctx)
	if err != nil && s.force {
		m.log.Warn("the old master does not do what it is told", "error", err)
		err = nil
	}
	if err == nil {
		err = s.catchUp(ctx)
		if err != nil && s.force {
			m.log.Warn("the new master may lack what the old one had", "error", err)
			err = nil
		}
	}
	if err == nil {
		m.working("Promoting target")
		if err = m.promote(ctx, s.target, s.old, s.external); err != nil {
			err = errors.Join(err, s.back())
		}
	}
	if err != nil {
		return errors.Join(err, s.undo())
	}
	m.become(s.target)
	s.rejoinAll(ctx)
	m.log.Warn("switchover has ended", "master", target.srv.Name())
	return nil
}

// demote lets the old master take no more writes, and finds out how far it is.
func (s *switchover) demote(ctx context.Context) error {
	m, w := s.m, s.m.servers[s.old]
	m.working("Demoting old primary")
	if s.force && !w.obs.up {
		return w.wrap(errDown)
	}
	if s.force {
		// Others wait for the old master only so long.
		limited, cancel := context.WithTimeout(ctx, m.settings.switchTimeout/4)
		defer cancel()
		ctx = limited
	}
	for i := range s.external {
		if err := w.unlink(ctx, s.external[i].Name); err != nil {
			return err
		}
	}
	if err := w.writable(ctx, false); err != nil {
		return err
	}
	if err := w.dismissSuperUsers(ctx); err != nil {
		m.log.Warn("connections that may write although the server is read-only could not be ended", "server", w.srv.Name(), "error", err)
	}
	if m.settings.handleEvents {
		if err := w.disableEvents(ctx); err != nil {
			return err
		}
	}
	if err := w.runFile(ctx, m.options.Params.String("demotion_sql_file")); err != nil {
		return err
	}
	if err := w.must(ctx, w.bounded("FLUSH LOCAL LOGS")); err != nil {
		return err
	}
	return w.insist(ctx, func() error {
		r, err := w.one(ctx, "SELECT @@GLOBAL.gtid_binlog_pos AS pos")
		s.wait = r["pos"]
		return err
	})
}

// dismissSuperUsers ends the connections of those whom read_only does not stop.
func (w *watched) dismissSuperUsers(ctx context.Context) error {
	grantees, err := w.query(ctx, "SELECT DISTINCT GRANTEE FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE IN ('SUPER', 'READ_ONLY ADMIN', 'READ ONLY ADMIN')")
	if err != nil {
		return err
	}
	users := map[string]bool{}
	for _, r := range grantees {
		if user, ok := granteeUser(r["grantee"]); ok && user != w.login.user {
			users[user] = true
		}
	}
	list, err := w.query(ctx, "SELECT ID, USER FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND COMMAND NOT LIKE 'Binlog Dump%' AND COMMAND <> 'Daemon'")
	if err != nil {
		return err
	}
	for _, r := range list {
		if !users[r["user"]] {
			continue
		}
		// It may have ended by itself.
		if err := w.exec(ctx, "KILL SOFT CONNECTION "+r["id"]); err != nil && !answered(err) {
			return err
		}
	}
	return nil
}

// granteeUser is the user of 'user'@'host'.
func granteeUser(grantee string) (string, bool) {
	i := strings.LastIndexByte(grantee, '@')
	if i < 2 || grantee[0] != '\'' || grantee[i-1] != '\'' {
		return "", false
	}
	return strings.ReplaceAll(grantee[1:i-1], "''", "'"), true
}

// catchUp waits until the new master has all that the old one has.
func (s *switchover) catchUp(ctx context.Context) error {
	w := s.m.servers[s.target]
	s.m.working("Waiting for promotion target to catch up")
	if s.wait == "" {
		return nil
	}
	patience := w.readTimeout() / 2
	for {
		var got string
		err := w.insist(ctx, func() error {
			r, err := w.one(ctx, "SELECT MASTER_GTID_WAIT(?, ?) AS got", s.wait, patience.Seconds())
			got = r["got"]
			return err
		})
		if err != nil {
			return err
		}
		if got == "0" {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("server %s has not caught up with the master: %w", w.srv.Name(), ctx.Err())
		}
		if err := w.insist(ctx, func() error { return w.askLinks(ctx) }); err != nil {
			return err
		}
		if l := s.m.linkTo(w, s.old); l == nil || l.SQLRunning != yes {
			return fmt.Errorf("server %s has stopped to replicate", w.srv.Name())
		}
	}
}

// rejoinAll lets all others follow the new master, the old one too.
func (s *switchover) rejoinAll(ctx context.Context) {
	m := s.m
	m.working("Redirecting replicas")
	replicas, err := m.redirect(ctx, s.old, s.target)
	if old := m.servers[s.old]; old.session != nil {
		failed := m.follow(ctx, old, m.servers[s.target], nil)
		if failed == nil {
			replicas = append(replicas, old)
		}
		err = errors.Join(err, failed)
	}
	if err != nil {
		m.log.Warn("not all servers could be directed to the new master", "error", err)
	}
	m.connected(ctx, s.target, replicas)
}

// back lets a server that could not be promoted follow the old master again.
func (s *switchover) back() error {
	m, w := s.m, s.m.servers[s.target]
	ctx, cancel := context.WithTimeout(context.Background(), undoTime)
	defer cancel()
	if err := w.writable(ctx, false); err != nil {
		return err
	}
	if m.settings.handleEvents {
		if err := w.disableEvents(ctx); err != nil {
			return err
		}
	}
	if err := w.insist(ctx, func() error { return w.askLinks(ctx) }); err != nil {
		return err
	}
	return m.follow(ctx, w, m.servers[s.old], m.linkTo(w, s.old))
}

// undo lets the old master take writes again.
func (s *switchover) undo() error {
	m, w := s.m, s.m.servers[s.old]
	if w.session == nil && s.force {
		return nil
	}
	// The time for the operation may have run out.
	ctx, cancel := context.WithTimeout(context.Background(), undoTime)
	defer cancel()
	if err := w.writable(ctx, true); err != nil {
		return err
	}
	if m.settings.handleEvents {
		if err := w.enableEvents(ctx, w.events); err != nil {
			return err
		}
	}
	for i := range s.external {
		if err := m.followExternal(ctx, w, &s.external[i]); err != nil {
			return err
		}
	}
	m.log.Warn("the switchover is undone", "master", w.srv.Name())
	return nil
}

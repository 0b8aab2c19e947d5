package mariadbmon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

const (
	retryPause = 100 * time.Millisecond
	// undoTime is how long an operation that failed may take to put back what
	// it changed.
	undoTime = 15 * time.Second
)

// errLater is wrapped by what keeps an operation from being done now, but not
// for long.
var errLater = errors.New("try again")

// operate does something to the servers within a time, and looks at them again
// after it.
func (m *Monitor) operate(ctx context.Context, name string, timeout time.Duration, do func(context.Context) error) error {
	m.working(name)
	defer m.working("Idle")
	if timeout <= 0 {
		timeout = time.Hour
	}
	inner, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	m.commands.operating(cancel)
	err := do(inner)
	m.commands.operating(nil)
	if err != nil && errors.Is(inner.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("%w (it took longer than %s)", err, timeout)
	}
	if ctx.Err() == nil {
		m.look(ctx)
	}
	if ctx.Err() == nil {
		m.decide(ctx)
		m.show()
		m.keepJournal()
	}
	return err
}

// must runs a statement that may be run twice, again and again as long as the
// connection is what fails.
func (w *watched) must(ctx context.Context, statement string, args ...any) error {
	return w.insist(ctx, func() error { return w.exec(ctx, statement, args...) })
}

// insist does something until it is answered.
func (w *watched) insist(ctx context.Context, do func() error) error {
	for {
		_, err := w.open(ctx)
		if err == nil {
			err = do()
		}
		if err == nil || answered(err) && !overdue(err) {
			return w.wrap(err)
		}
		timer := time.NewTimer(retryPause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return w.wrap(err)
		case <-timer.C:
		}
	}
}

// wrap tells of which server an error is.
func (w *watched) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("server %s: %w", w.srv.Name(), err)
}

// bounded has the server give a statement up before the monitor does.
func (w *watched) bounded(statement string) string {
	seconds := (w.readTimeout() * 4 / 5).Seconds()
	return fmt.Sprintf("SET STATEMENT max_statement_time=%.1f FOR %s", seconds, statement)
}

// writable switches read_only off, or on.
func (w *watched) writable(ctx context.Context, on bool) error {
	value := "1"
	if on {
		value = "0"
	}
	err := w.must(ctx, w.bounded("SET GLOBAL read_only = "+value))
	if err == nil {
		w.obs.readOnly = !on
	}
	return err
}

// runFile runs the statements of a file, each of them once.
func (w *watched) runFile(ctx context.Context, path string) error {
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if _, err := w.open(ctx); err != nil {
		return w.wrap(err)
	}
	for _, statement := range sqlLines(string(text)) {
		if err := w.exec(ctx, statement); err != nil {
			return w.wrap(fmt.Errorf("%s: %w", path, err))
		}
	}
	return nil
}

// unlink ends a replication connection for good.
func (w *watched) unlink(ctx context.Context, name string) error {
	if err := w.must(ctx, stopSlave(name)); err != nil {
		return err
	}
	return w.must(ctx, resetSlave(name, true))
}

// source is what to tell a replica of a server.
func (m *Monitor) source(replica, master *watched) (source, error) {
	p, own := m.options.Params, replica.srv.Params()
	s := source{
		user: p.String("replication_user"), password: p.String("replication_password"),
		ssl: p.Bool("replication_master_ssl"), custom: p.String("replication_custom_options"), useGTID: "slave_pos",
	}
	if s.user == "" {
		s.user, s.password = p.String("user"), p.String("password")
	}
	if custom := own.String("replication_custom_options"); custom != "" {
		s.custom = custom
	}
	if len(master.obs.hosts) == 0 {
		return s, fmt.Errorf("server %s has no address that replicas could connect to", master.srv.Name())
	}
	s.host, s.port = master.obs.hosts[0], master.obs.port
	return s, nil
}

// follow makes a server replicate from another one, by its link, or by a new
// one when that is nil.
func (m *Monitor) follow(ctx context.Context, replica, master *watched, l *link) error {
	s, err := m.source(replica, master)
	if err != nil {
		return err
	}
	name := ""
	if l == nil {
		if s.demoted = replica.obs.logBin && canDemote(replica.obs.version); !s.demoted {
			s.useGTID = "current_pos"
		}
	} else {
		name = l.Name
		if l.UsingGTID == "Current_Pos" {
			s.useGTID = "current_pos"
		}
		if err := replica.must(ctx, stopSlave(name)); err != nil {
			return err
		}
		if err := replica.must(ctx, resetSlave(name, false)); err != nil {
			return err
		}
	}
	if err := replica.must(ctx, changeMaster(name, s)); err != nil {
		return err
	}
	return replica.must(ctx, startSlave(name))
}

// followExternal makes a server replicate from a master that is not watched.
func (m *Monitor) followExternal(ctx context.Context, w *watched, l *link) error {
	s, err := m.source(w, w) // the host is set below
	if err != nil {
		return err
	}
	s.host, s.port, s.ssl = l.MasterHost, l.MasterPort, s.ssl || l.ssl
	if err := w.must(ctx, changeMaster(l.Name, s)); err != nil {
		return err
	}
	return w.must(ctx, startSlave(l.Name))
}

// linkTo is a server's connection to another one.
func (m *Monitor) linkTo(w *watched, master int) *link {
	for i := range w.obs.links {
		if l := &w.obs.links[i]; w.srv != m.servers[master].srv && find(m.observed(), l, m.settings.uniqueHosts) == master {
			return l
		}
	}
	return nil
}

// connected waits until replicas replicate, and tells of those that do not.
func (m *Monitor) connected(ctx context.Context, master int, replicas []*watched) {
	for _, w := range replicas {
		if err := m.awaitLink(ctx, w, master); err != nil {
			m.log.Warn("a server does not replicate from the master", "server", w.srv.Name(), "master", m.servers[master].srv.Name(), "error", err)
		}
	}
}

func (m *Monitor) awaitLink(ctx context.Context, w *watched, master int) error {
	pending := fmt.Errorf("not connected yet: %w", errLater)
	for {
		err := w.insist(ctx, func() error { return w.askLinks(ctx) })
		if err != nil {
			return err
		}
		l := m.linkTo(w, master)
		switch {
		case l == nil:
			return errors.New("it has no connection to it")
		case l.flowing():
			return nil
		case l.LastSQLError != "":
			return errors.New(l.LastSQLError)
		case l.IORunning == no && l.LastIOError != "":
			return errors.New(l.LastIOError)
		}
		timer := time.NewTimer(retryPause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(pending, ctx.Err())
		case <-timer.C:
		}
	}
}

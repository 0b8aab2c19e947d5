package mariadbmon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
)

// commandState is what commands have in common that do not wait for one
// another.
type commandState struct {
	mu      sync.Mutex
	cancel  context.CancelFunc // of the operation under way, nil for none
	pending string             // name of the command under way
	last    string             // name of the last one that has ended
	err     error              // what became of it
}

// operating notes how to cancel what is being done; nil for nothing.
func (c *commandState) operating(cancel context.CancelFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancel = cancel
}

// begin claims the monitor for a command.
func (c *commandState) begin(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending != "" {
		return fmt.Errorf("%s is still running", c.pending)
	}
	c.pending = name
	return nil
}

func (c *commandState) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last, c.err, c.pending = c.pending, err, ""
}

// result is what became of the last command, in words.
func (c *commandState) result() (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.pending != "":
		return "", fmt.Errorf("%s is still running", c.pending)
	case c.last == "":
		return "", errors.New("no command has been given yet")
	case c.err != nil:
		return "", fmt.Errorf("%s failed: %w", c.last, c.err)
	}
	return c.last + " completed successfully.", nil
}

func (c *commandState) stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancel == nil {
		return errors.New("there is nothing to cancel")
	}
	c.cancel()
	return nil
}

// job is what a command does, in the goroutine of Run.
type job struct {
	name    string
	timeout time.Duration
	always  bool // also while another monitor acts
	do      func(context.Context) error
}

// launch hands a job to Run. It goes on when ctx ends.
func (m *Monitor) launch(j job) (done chan error, err error) {
	if !m.running() {
		return nil, errStopped
	}
	if err := m.commands.begin(j.name); err != nil {
		return nil, err
	}
	done = make(chan error, 1)
	go func() {
		err := errStopped
		handed := m.hand(context.Background(), func(ctx context.Context) { err = m.order(ctx, j) })
		if handed != nil {
			err = handed
		}
		m.commands.end(err)
		done <- err
	}()
	return done, nil
}

// order does what a command asks for, on what the servers say now.
func (m *Monitor) order(ctx context.Context, j job) error {
	m.look(ctx)
	if ctx.Err() != nil {
		return errStopped
	}
	m.decide(ctx)
	switch {
	case j.always:
	case m.options.Passive != nil && m.options.Passive():
		return errors.New("the proxy is passive")
	case m.coop.on && !m.coop.primary:
		return errors.New("another monitor acts on these servers")
	}
	err := m.operate(ctx, j.name, j.timeout, j.do)
	if err != nil {
		m.log.Error("an operation failed", "operation", j.name, "error", err)
	}
	return err
}

// command makes the two forms of a command: one that waits, and one that does
// not.
func command(name, description string, arguments []dbproxy.Argument, make func(m *Monitor, servers []int) job) []dbproxy.Command {
	run := func(ctx context.Context, args []any, async bool) (any, error) {
		m, servers, err := resolveArgs(args, arguments)
		if err != nil {
			return nil, err
		}
		j := make(m, servers)
		j.name = name
		done, err := m.launch(j)
		if err != nil || async {
			return nil, err
		}
		select {
		case err := <-done:
			return nil, err
		case <-ctx.Done():
			return nil, fmt.Errorf("%s goes on: %w", name, ctx.Err())
		}
	}
	return []dbproxy.Command{
		{Name: name, Description: description, Method: "POST", Args: arguments, Run: func(ctx context.Context, args []any) (any, error) { return run(ctx, args, false) }},
		{Name: "async-" + name, Description: description + ", without waiting for it", Method: "POST", Args: arguments, Run: func(ctx context.Context, args []any) (any, error) { return run(ctx, args, true) }},
	}
}

// resolveArgs finds the monitor and its servers in arguments; none for a server
// that is not given.
func resolveArgs(args []any, described []dbproxy.Argument) (*Monitor, []int, error) {
	if len(args) == 0 {
		return nil, nil, errors.New("the monitor must be given")
	}
	m, ok := args[0].(*Monitor)
	if !ok {
		return nil, nil, errors.New("the monitor is not a mariadbmon")
	}
	var servers []int
	for i, d := range described[1:] {
		server := none
		if i+1 < len(args) && args[i+1] != nil {
			srv, ok := args[i+1].(*dbproxy.Server)
			if !ok {
				return nil, nil, fmt.Errorf("%s must be a server", d.Description)
			}
			if server = m.indexOf(srv); server == none {
				return nil, nil, fmt.Errorf("server %s is not watched by monitor %s", srv.Name(), m.name)
			}
		}
		if server == none && !d.Optional {
			return nil, nil, fmt.Errorf("%s must be given", d.Description)
		}
		servers = append(servers, server)
	}
	return m, servers, nil
}

func (m *Monitor) indexOf(srv *dbproxy.Server) int {
	for i, s := range m.options.Servers {
		if s == srv {
			return i
		}
	}
	return none
}

func arguments(servers ...dbproxy.Argument) []dbproxy.Argument {
	return append([]dbproxy.Argument{{Type: dbproxy.ArgMonitor, Description: "Monitor name"}}, servers...)
}

func serverArgument(optional bool, description string) dbproxy.Argument {
	return dbproxy.Argument{Type: dbproxy.ArgServer, Optional: optional, Description: description}
}

// moduleCommands are the commands of the module.
func moduleCommands() (list []dbproxy.Command) {
	both := arguments(serverArgument(true, "New master"), serverArgument(true, "Current master"))
	for _, force := range []bool{false, true} {
		name, description := "switchover", "Replace the master by a replica"
		if force {
			name, description = "switchover-force", "Replace the master by a replica, even if that fails on the master"
		}
		list = append(list, command(name, description, both, func(m *Monitor, servers []int) job {
			return job{timeout: m.settings.switchTimeout, do: func(ctx context.Context) error {
				s, err := m.newSwitchover(servers[0], servers[1], force)
				if err != nil {
					return err
				}
				return s.run(ctx)
			}}
		})...)
	}
	list = append(list, command("failover", "Replace a master that is down by a replica", arguments(), func(m *Monitor, _ []int) job {
		return job{timeout: m.settings.failoverTimeout, do: m.failover}
	})...)
	list = append(list, command("rejoin", "Let a server follow the master", arguments(serverArgument(false, "Joining server")), func(m *Monitor, servers []int) job {
		return job{timeout: m.settings.switchTimeout, do: func(ctx context.Context) error {
			if err := m.rejoinable(servers[0], true); err != nil {
				return err
			}
			return m.rejoin(ctx, servers[0])
		}}
	})...)
	list = append(list, command("reset-replication", "Delete the binary logs of all servers and let them follow a master anew", arguments(serverArgument(true, "Master server")), func(m *Monitor, servers []int) job {
		return job{timeout: m.settings.switchTimeout, do: func(ctx context.Context) error { return m.resetReplication(ctx, servers[0]) }}
	})...)
	list = append(list, command("release-locks", "Let go of the locks on the servers for a minute", arguments(), func(m *Monitor, _ []int) job {
		return job{always: true, do: m.letGo}
	})...)
	return append(list,
		dbproxy.Command{Name: "cancel-cmd", Description: "Cancel what the monitor is doing", Method: "POST", Args: arguments(), Run: func(_ context.Context, args []any) (any, error) {
			m, _, err := resolveArgs(args, arguments())
			if err != nil {
				return nil, err
			}
			return nil, m.commands.stop()
		}},
		dbproxy.Command{Name: "fetch-cmd-result", Description: "Tell what became of the last command", Method: "GET", Args: arguments(), Run: func(_ context.Context, args []any) (any, error) {
			m, _, err := resolveArgs(args, arguments())
			if err != nil {
				return nil, err
			}
			text, err := m.commands.result()
			if err != nil {
				return nil, err
			}
			return text, nil
		}},
	)
}

// letGo releases the locks and does not take them for a while.
func (m *Monitor) letGo(ctx context.Context) error {
	if !m.coop.on {
		return errors.New("the monitor does not share its servers")
	}
	m.coop.pauseUntil = time.Now().Add(releasePause)
	m.releaseLocks(ctx)
	return nil
}

package proxy

import (
	"context"
	"slices"
	"strings"

	"github.com/backplane/backplane/dataplane/dbproxy"
	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
	"github.com/backplane/backplane/internal/errs"
)

// state is a state that can be set by hand.
type state struct {
	bit     dbproxy.Status
	lasting bool // whether monitors leave it
}

// stateOf reads the name of a state.
func stateOf(name string) (word string, s state, ok bool) {
	word = strings.ToLower(name)
	if word == "maint" {
		word = "maintenance"
	}
	switch word {
	case "master":
		s = state{bit: dbproxy.Master}
	case "slave":
		s = state{bit: dbproxy.Slave}
	case "running":
		s = state{bit: dbproxy.Running}
	case "synced":
		s = state{bit: dbproxy.Synced}
	case "maintenance":
		s = state{bit: dbproxy.Maintenance, lasting: true}
	case "drain":
		s = state{bit: dbproxy.Draining, lasting: true}
	default:
		return "", s, false
	}
	return word, s, true
}

// states of a server as they are kept; a new server is running.
func (o *object) handStates() []string {
	if o.states == nil {
		return []string{"running"}
	}
	return o.states
}

// applyStates sets the states that were set by hand and are not yet in force
// here. After the start, a server that no monitor watches has just those.
func (p *Proxy) applyStates(e *estate) {
	next := map[string][]string{}
	for _, o := range e.of(servers) {
		srv, ok := p.plane.Server(o.name)
		if !ok {
			continue
		}
		want, have := o.handStates(), p.states[o.name]
		if have == nil {
			have = []string{"running"}
		}
		next[o.name] = want
		var set, clear dbproxy.Status
		for _, word := range want {
			if _, s, ok := stateOf(word); ok && !slices.Contains(have, word) {
				set |= s.bit
			}
		}
		for _, word := range have {
			if _, s, ok := stateOf(word); ok && !slices.Contains(want, word) {
				clear |= s.bit
			}
		}
		if set|clear != 0 {
			srv.SetStatus(set, clear)
		}
	}
	p.states = next
}

// SetServerState implements the RPC.
func (p *Proxy) SetServerState(ctx context.Context, req *proxyv1.ServerStateRequest) (*proxyv1.Changed, error) {
	return p.setState(ctx, "SetServerState", req, true)
}

// ClearServerState implements the RPC.
func (p *Proxy) ClearServerState(ctx context.Context, req *proxyv1.ServerStateRequest) (*proxyv1.Changed, error) {
	return p.setState(ctx, "ClearServerState", req, false)
}

func (p *Proxy) setState(ctx context.Context, action string, req *proxyv1.ServerStateRequest, on bool) (*proxyv1.Changed, error) {
	var name string
	word, s, known := stateOf(req.GetState())
	err := p.change(ctx, action, func(e *estate) error {
		o, err := e.get(servers, req.GetName())
		if err != nil {
			return err
		}
		if !known {
			return invalid("state", "must be master, slave, running, synced, maintenance or drain")
		}
		if err := p.held(ctx, o.stamp()); err != nil {
			return err
		}
		if on && s.lasting && p.leads(e, o) {
			return errs.New(errs.InUse, "%s is the master that a monitor has found; make another one the master first, or stop the monitor", o.name)
		}
		name = o.name
		states := slices.DeleteFunc(slices.Clone(o.handStates()), func(w string) bool { return w == word })
		if on {
			states = append(states, word)
		}
		o.states = states
		e.touch(o)
		return nil
	})
	if err != nil {
		return nil, err
	}
	// What a monitor has found may be otherwise than what was set by hand.
	if srv, ok := p.plane.Server(name); ok {
		if on {
			srv.SetStatus(s.bit, 0)
		} else {
			srv.SetStatus(0, s.bit)
		}
		if on && req.GetForce() && word == "maintenance" {
			srv.Disconnect()
		}
	}
	return &proxyv1.Changed{}, nil
}

// leads tells whether a running monitor sees a server as the master.
func (p *Proxy) leads(e *estate, o *object) bool {
	srv, ok := p.plane.Server(o.name)
	if !ok || !srv.Status().Has(dbproxy.Master) {
		return false
	}
	for _, name := range e.related(o, monitors) {
		if _, running, ok := p.plane.Monitor(name); ok && running {
			return true
		}
	}
	return false
}

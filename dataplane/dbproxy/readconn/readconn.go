// Package readconn is the router readconnroute, which gives each session one
// server for its life and reads nothing of what passes ("Readconnroute",
// MaxScale documentation).
package readconn

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
	"github.com/backplane/backplane/dataplane/dbproxy/tally"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// Module is the router's module.
func Module() dbproxy.RouterModule {
	return dbproxy.RouterModule{
		Description: "A connection based router to load balance based on connections",
		Specs: param.Specs{
			{Name: "router_options", Type: param.TypeEnumMask, Enum: []string{"master", "slave", "running", "synced"}, Default: []string{"running"},
				EnumAliases: map[string]string{"ndb": "running"}, Description: "States of which a server must have one"},
			{Name: "master_accept_reads", Type: param.TypeBool, Default: true, Description: "Use the master, too, unless it is asked for"},
			{Name: "max_replication_lag", Type: param.TypeDuration, Default: time.Duration(0), Description: "How far behind a server may be; 0 is any time"},
		},
		New: func(o dbproxy.RouterOptions) (dbproxy.Router, error) { return newRouter(o) },
	}
}

type router struct {
	service *dbproxy.Service
	wanted  dbproxy.Status
	master  bool // router_options names the master
	reads   bool // master_accept_reads
	lag     time.Duration
	queries tally.Count
}

var states = map[string]dbproxy.Status{"master": dbproxy.Master, "slave": dbproxy.Slave, "running": dbproxy.Running, "synced": dbproxy.Synced}

func newRouter(o dbproxy.RouterOptions) (*router, error) {
	r := &router{
		service: o.Service, reads: o.Params.Bool("master_accept_reads"), lag: o.Params.Duration("max_replication_lag"),
	}
	options := o.Params.List("router_options")
	for _, word := range options {
		r.wanted |= states[word]
	}
	if r.wanted == 0 {
		r.wanted = dbproxy.Running
	}
	r.master = slices.Contains(options, "master")
	return r, nil
}

// Session implements dbproxy.Router.
func (r *router) Session(s *dbproxy.Session) (dbproxy.Handler, error) {
	var faults []error
	for _, srv := range r.candidates() {
		b, err := s.Connect(s.Context(), srv)
		if err == nil {
			return &session{router: r, backend: b, session: s}, nil
		}
		var refused *wire.ServerError
		if errors.As(err, &refused) && refused.Code != wire.ErrCodeTooManyConnections {
			return nil, err // another server would say the same
		}
		faults = append(faults, err)
	}
	if b, err := r.inTurn(s, faults); b != nil || err != nil {
		if err != nil {
			return nil, err
		}
		return &session{router: r, backend: b, session: s}, nil
	}
	if len(faults) == 0 {
		faults = append(faults, fmt.Errorf("no server of the service is %v", r.wanted))
	}
	return nil, fmt.Errorf("%w: %w", &wire.ServerError{
		Code: wire.ErrCodeUnknown, State: wire.StateCommunication, Message: "Could not find a server that the service may use",
	}, errors.Join(faults...))
}

// inTurn waits for room at the best server, if that is what all of them lack
// and the sessions of the service share connections. A session that has one
// keeps it: what it leaves there is not known.
func (r *router) inTurn(s *dbproxy.Session, faults []error) (*dbproxy.Backend, error) {
	until := s.Turn()
	if until.IsZero() || len(faults) == 0 || slices.ContainsFunc(faults, func(err error) bool { return !errors.Is(err, dbproxy.ErrNoRoom) }) {
		return nil, nil
	}
	servers := r.candidates()
	if len(servers) == 0 {
		return nil, nil
	}
	b, err := s.Await(s.Context(), servers[0], until)
	if errors.Is(err, dbproxy.ErrNoRoom) {
		err = fmt.Errorf("%w: %w", dbproxy.ErrNoTurn, err)
	}
	return b, err
}

// Diagnostics implements dbproxy.Router.
func (r *router) Diagnostics() map[string]any {
	return map[string]any{"queries": r.queries.Load(), "connections": r.service.Statistics().TotalConnections, "current_connections": r.service.Sessions()}
}

// session is a session on its server.
type session struct {
	router  *router
	backend *dbproxy.Backend
	session *dbproxy.Session
}

// Handle implements dbproxy.Handler.
func (s *session) Handle(r *dbproxy.Request, to dbproxy.Answer) error {
	s.router.queries.Add(s.session.Place(), 1)
	if r.Command == wire.ComChangeUser {
		return s.changeUser(r, to)
	}
	return s.backend.Exchange(r, to)
}

// Direct implements dbproxy.Direct.
func (s *session) Direct() *dbproxy.Backend {
	if !s.backend.CanPass() {
		return nil
	}
	s.router.queries.Add(s.session.Place(), 1)
	return s.backend
}

func (s *session) changeUser(r *dbproxy.Request, to dbproxy.Answer) error {
	if err := s.backend.ChangeUser(); err != nil {
		return err
	}
	return dbproxy.Acknowledge(r, to)
}

// errGone ends the sessions of a server that is not to be used any more.
var errGone = &wire.ServerError{Code: wire.ErrCodeConnectionKilled, State: wire.StateInterrupted, Message: "Connection killed by the proxy: the server is no longer to be used"}

// Wake implements dbproxy.Waker.
func (s *session) Wake() error {
	status := s.backend.Server().Status()
	switch {
	case s.backend.Broken(), status.Has(dbproxy.Maintenance), !status.Has(dbproxy.Running):
		return errGone
	case s.router.wanted == dbproxy.Master && !status.Has(dbproxy.Master):
		return errGone // it was the master that was asked for, and nothing else
	}
	if keep := s.router.service.Params().Duration("connection_keepalive"); keep > 0 && s.backend.Idle() >= keep/2 {
		return s.backend.Command(wire.ComPing)
	}
	return nil
}

// Close implements dbproxy.Handler.
func (s *session) Close() { s.backend.Close() }

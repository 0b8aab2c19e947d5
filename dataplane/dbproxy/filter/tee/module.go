package tee

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/filter"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// Module makes tees.
func Module() dbproxy.FilterModule {
	return dbproxy.FilterModule{
		Description: "Sends copies of requests to another server or service",
		Specs: append(param.Specs{
			{Name: "target", Type: param.TypeTarget, Mandatory: true, Aliases: []string{"service"}, Description: "Server or service that the copies go to"},
			{Name: "sync", Type: param.TypeBool, Default: false, Description: "Let each request wait for the copy of the one before it, and end sessions whose copies fail"},
		}, filter.MatchSpecs("ignorecase")...),
		New:      newFilter,
		Commands: []dbproxy.Command{command("enable", "Send copies", true), command("disable", "Send no copies", false)},
	}
}

func command(name, description string, on bool) dbproxy.Command {
	return dbproxy.Command{
		Name: name, Description: description, Method: "POST",
		Args: []dbproxy.Argument{{Type: dbproxy.ArgFilter, Description: "Tee"}},
		Run: func(_ context.Context, args []any) (any, error) {
			f, ok := args[0].(*tee)
			if !ok {
				return nil, param.Faults{{Name: "filter", Message: "must be a tee"}}
			}
			f.disabled.Store(!on)
			return nil, nil
		},
	}
}

type tee struct {
	log     *slog.Logger
	target  string
	targets dbproxy.Targets
	matcher *filter.Matcher
	sync    bool

	disabled               atomic.Bool
	copied, missed, failed atomic.Int64
	branches               sync.WaitGroup
}

func newFilter(o dbproxy.FilterOptions) (dbproxy.Filter, error) {
	m, err := filter.NewMatcher(o.Params, o.Logger)
	if err != nil {
		return nil, err
	}
	return &tee{log: o.Logger, target: o.Params.String("target"), targets: o.Targets, matcher: m, sync: o.Params.Bool("sync")}, nil
}

// Session implements dbproxy.Filter.
func (f *tee) Session(s *dbproxy.Session, next dbproxy.Handler) (dbproxy.Handler, error) {
	if !f.matcher.Session(s) {
		return next, nil
	}
	h := &handler{tee: f, session: s, next: next}
	if err := h.open(); err != nil {
		f.failed.Add(1)
		f.log.Error("Copies cannot be sent", "session", s.ID(), "target", f.target, "error", err)
		if f.sync {
			return nil, lost
		}
	}
	return h, nil
}

// lost is what a client is told when its copies fail and sync is on.
var lost = &wire.ServerError{Code: wire.ErrCodeUnknown, State: wire.StateCommunication, Message: "Lost connection to the target of copies"}

// open begins the branch of a session.
func (h *handler) open() error {
	f := h.tee
	if svc, ok := f.targets.Service(f.target); ok {
		fork, cancel := h.session.Fork(svc)
		h.begin(fork, cancel, func() (dbproxy.Handler, error) { return svc.Open(fork) })
		return nil
	}
	srv, ok := f.targets.Server(f.target)
	if !ok {
		return fmt.Errorf("there is no server or service %s", f.target)
	}
	fork, cancel := h.session.Fork(h.session.Service())
	h.begin(fork, cancel, func() (dbproxy.Handler, error) {
		b, err := fork.Connect(fork.Context(), srv)
		return direct{b}, err
	})
	return nil
}

// direct sends requests to a server.
type direct struct{ backend *dbproxy.Backend }

// Handle implements dbproxy.Handler.
func (d direct) Handle(r *dbproxy.Request, to dbproxy.Answer) error { return d.backend.Exchange(r, to) }

// Close implements dbproxy.Handler.
func (d direct) Close() {
	if d.backend != nil {
		d.backend.Close()
	}
}

// Diagnostics implements dbproxy.Filter.
func (f *tee) Diagnostics() map[string]any {
	return map[string]any{"enabled": !f.disabled.Load(), "copied": f.copied.Load(), "not_copied": f.missed.Load(), "failed_branches": f.failed.Load()}
}

// Close implements dbproxy.Filter. Branches end by themselves, soon after their
// sessions.
func (f *tee) Close() { f.branches.Wait() }

package rwsplit

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// router routes the sessions of one service.
type router struct {
	service *dbproxy.Service
	options *options
	log     *slog.Logger
	counts  counts
	causal  sharedGTID

	mu      sync.Mutex
	servers []*serverStats // in the order in which they were first used
}

// counts are what the router has done.
type counts struct {
	queries, master, replica, all atomic.Int64
	readWrite, readOnly           atomic.Int64 // transactions
	replayed, tooBig              atomic.Int64
}

func newRouter(o dbproxy.RouterOptions) *router {
	return &router{service: o.Service, options: readOptions(o.Params), log: o.Logger}
}

// Session implements dbproxy.Router.
func (r *router) Session(s *dbproxy.Session) (dbproxy.Handler, error) {
	s.HoldText()
	servers := s.Service().Servers()
	h := &session{
		router: r, options: r.options, client: s, conns: make([]conn, len(servers)), began: time.Now(),
		history: history{limit: r.options.history, prune: r.options.prune, off: r.options.historyOff},
	}
	h.state.masterVariables, h.state.optimism = r.options.variablesOnMaster, r.options.optimistic
	h.state.autocommitOff = s.Mode()&sqlclass.Oracle != 0
	for i, srv := range servers {
		h.conns[i] = conn{slot: i, server: srv, stats: r.stats(srv), secondary: srv.Secondary()}
	}
	if len(servers) > 0 {
		h.next = int(s.ID()) % len(servers)
	}
	if err := h.start(); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// stats are the numbers of a server, shared by the sessions.
func (r *router) stats(srv *dbproxy.Server) *serverStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, st := range r.servers {
		if st.server == srv {
			return st
		}
	}
	st := &serverStats{server: srv}
	r.servers = append(r.servers, st)
	return st
}

// Errors that clients are told.
var (
	errNoServer = &wire.ServerError{Code: wire.ErrCodeUnknown, State: wire.StateRejected, Message: "Could not find a server that the service may use"}
	errNoMaster = &wire.ServerError{Code: wire.ErrCodeUnknown, State: wire.StateCommunication, Message: "There is no master for the statement"}
	errLost     = &wire.ServerError{Code: wire.ErrCodeUnknown, State: wire.StateCommunication, Message: "Lost connection to the master server"}
	errReadOnly = &wire.ServerError{
		Code: wire.ErrCodeOptionPrevents, State: wire.StateGeneral,
		Message: "The MariaDB server is running with the --read-only option so it cannot execute this statement",
	}
	errReadOnlyTrx = &wire.ServerError{
		Code: wire.ErrCodeReadOnlyTransaction, State: wire.StateReadOnlyTransaction, Message: "Cannot execute statement in a READ ONLY transaction",
	}
	errTrxLost = &wire.ServerError{
		Code: wire.ErrCodeUnknown, State: wire.StateCommunication, Message: "Lost connection to the server of the transaction",
	}
	errMismatch = &wire.ServerError{
		Code: wire.ErrCodeUnknown, State: wire.StateCommunication, Message: "The transaction was done again with different results",
	}
)

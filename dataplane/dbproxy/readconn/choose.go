package readconn

import (
	"cmp"
	"slices"

	"github.com/backplane/backplane/dataplane/dbproxy"
)

// candidates are the servers that a new session may be given, the best one
// first.
func (r *router) candidates() []*dbproxy.Server {
	all := r.service.Servers()
	fit := r.fitting(all, r.wanted)
	if len(fit) == 0 && r.wanted.Has(dbproxy.Slave) {
		// The master stands in for replicas that are not there.
		fit = r.fitting(all, dbproxy.Master)
	}
	slices.SortStableFunc(fit, func(a, b *dbproxy.Server) int {
		if a.Secondary() != b.Secondary() {
			if a.Secondary() {
				return 1
			}
			return -1
		}
		return cmp.Compare(r.load(a), r.load(b))
	})
	return fit
}

// fitting are the servers in one of the wanted states.
func (r *router) fitting(all []*dbproxy.Server, wanted dbproxy.Status) (fit []*dbproxy.Server) {
	for _, srv := range all {
		status := srv.Status()
		if !status.Usable() || status&wanted == 0 || r.late(srv) {
			continue
		}
		if status.Has(dbproxy.Master) && !r.master && !r.reads && wanted != dbproxy.Master {
			continue
		}
		fit = append(fit, srv)
	}
	return fit
}

// late tells whether a server is too far behind.
func (r *router) late(srv *dbproxy.Server) bool {
	if r.lag == 0 || srv.Status().Has(dbproxy.Master) {
		return false
	}
	lag, known := srv.Lag()
	return !known || lag >= r.lag
}

// load is by how much a server is used: its connections of this service.
func (r *router) load(srv *dbproxy.Server) int64 { return r.service.Connections(srv) }

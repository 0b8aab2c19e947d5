package rwsplit

import (
	"sync/atomic"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
)

// serverStats are what a server has done for the sessions of the router.
type serverStats struct {
	server      *dbproxy.Server
	read, write atomic.Int64
	// Of the sessions that have ended and had a connection to it.
	sessions, lasted, active, selects atomic.Int64 // lasted and active in ns
}

// Diagnostics implements dbproxy.Router.
func (r *router) Diagnostics() map[string]any {
	c := &r.counts
	return map[string]any{
		"queries": c.queries.Load(), "route_master": c.master.Load(), "route_slave": c.replica.Load(), "route_all": c.all.Load(),
		"rw_transactions": c.readWrite.Load(), "ro_transactions": c.readOnly.Load(), "replayed_transactions": c.replayed.Load(),
		"trx_max_size_exceeded": c.tooBig.Load(), "server_query_statistics": r.serverStatistics(),
	}
}

// serverStatistics lists the servers in the order of the service.
func (r *router) serverStatistics() []map[string]any {
	list := []map[string]any{}
	for _, srv := range r.service.Servers() {
		st := r.stats(srv)
		read, write := st.read.Load(), st.write.Load()
		entry := map[string]any{
			"id": srv.Name(), "total": read + write, "read": read, "write": write,
			"avg_sess_duration": "0ns", "avg_sess_active_pct": 0.0, "avg_selects_per_session": int64(0),
		}
		if n := st.sessions.Load(); n > 0 {
			entry["avg_sess_duration"] = time.Duration(st.lasted.Load() / n).String()
			entry["avg_selects_per_session"] = st.selects.Load() / n
			if lasted := st.lasted.Load(); lasted > 0 {
				entry["avg_sess_active_pct"] = 100 * float64(st.active.Load()) / float64(lasted)
			}
		}
		list = append(list, entry)
	}
	return list
}

// ended adds what a session has had of the server.
func (st *serverStats) ended(c *conn, lasted time.Duration) {
	if !c.used {
		return
	}
	st.sessions.Add(1)
	st.lasted.Add(int64(lasted))
	st.active.Add(int64(c.active))
	st.selects.Add(c.selects)
}

package rwsplit

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
)

// usable tells whether a server may be used: a connection to it goes on while
// it is drained, and is made only where it may be.
func (h *session) usable(c *conn) bool {
	if c.banned || c.full && c.b == nil {
		return false
	}
	st := c.server.Status()
	if c.connected() {
		return st&(dbproxy.Running|dbproxy.Maintenance) == dbproxy.Running
	}
	return st.Usable() && h.history.complete() && (c.retry.IsZero() || time.Now().After(c.retry))
}

// choose picks the server for a read, nil when none will do. It allocates
// nothing.
func (h *session) choose(maxLag time.Duration) *conn {
	var best *conn
	bestScore := int64(math.MaxInt64)
	connected := h.replicas()
	more := connected < h.options.maxReplicas
	fill := connected < h.options.replicas && !h.options.lazy && !h.options.share
	n := len(h.conns)
	h.next++
	for i := range n {
		c := &h.conns[(h.next+i)%n]
		if !h.readable(c, maxLag) || !c.connected() && !more && c != h.master {
			continue
		}
		score := h.score(c)
		// A connection that there is is better than one to be made, unless
		// there are too few.
		if score < bestScore || score == bestScore && !fill && best != nil && !best.connected() && c.connected() {
			best, bestScore = c, score
		}
	}
	return best
}

// readable tells whether reads may go to a server.
func (h *session) readable(c *conn, maxLag time.Duration) bool {
	st := c.server.Status()
	switch {
	case st.Has(dbproxy.Master):
		if !h.options.masterReads || h.onlyReplicas || h.master != nil && h.master != c {
			return false
		}
		return h.usable(c)
	case !st.Has(dbproxy.Slave), c.secondary != h.secondary, !h.usable(c):
		return false
	case maxLag > 0:
		if lag, known := c.server.Lag(); !known || lag >= maxLag {
			return false
		}
	}
	return h.fresh(c)
}

// score tells how much a server has to do, by the criterion.
func (h *session) score(c *conn) int64 {
	switch h.options.criteria {
	case leastBehind:
		if c.server.Status().Has(dbproxy.Master) {
			return 0
		}
		lag, known := c.server.Lag()
		if !known {
			return math.MaxInt64 - 1
		}
		return int64(lag)
	case leastGlobalConnections:
		return c.server.Connections()
	case leastRouterConnections:
		return h.router.service.Connections(c.server)
	case adaptive:
		return (c.server.Operations() + 1) * int64(c.server.AverageRead())
	}
	return c.server.Operations()
}

// replicas is how many replicas the session is connected to.
func (h *session) replicas() (n int) {
	for i := range h.conns {
		if c := &h.conns[i]; c.b != nil && c != h.master {
			n++
		}
	}
	return n
}

// candidate is the best server to be the session's master, nil when there is
// none.
func (h *session) candidate() *conn {
	var best *conn
	for i := range h.conns {
		c := &h.conns[i]
		if !c.server.Status().Has(dbproxy.Master) || !h.usable(c) {
			continue
		}
		if best == nil || best.secondary && !c.secondary {
			best = c
		}
	}
	return best
}

// rank chooses between primary and secondary servers: those of the master, or
// else the best that there are.
func (h *session) rank() {
	if h.master != nil {
		h.secondary = h.master.secondary
		return
	}
	if c := h.candidate(); c != nil {
		h.secondary = c.secondary
		return
	}
	h.secondary = true
	for i := range h.conns {
		if c := &h.conns[i]; !c.secondary && c.server.Status().Has(dbproxy.Slave) && h.usable(c) {
			h.secondary = false
		}
	}
}

// lagLimit is how far behind a server may be for a request.
func (h *session) lagLimit(k *call) time.Duration {
	limit := h.options.maxLag
	for _, hint := range k.r.Hints {
		if hint.Kind != dbproxy.HintParam || !isLagName(hint.Name) {
			continue
		}
		text := strings.TrimSpace(hint.Value)
		if n, err := strconv.ParseInt(text, 10, 32); err == nil && n >= 0 {
			return time.Duration(n) * time.Second
		}
		if d, err := time.ParseDuration(text); err == nil && d >= 0 {
			return d
		}
	}
	return limit
}

func isLagName(name string) bool {
	return strings.EqualFold(name, "max_slave_replication_lag") || strings.EqualFold(name, "max_replication_lag")
}

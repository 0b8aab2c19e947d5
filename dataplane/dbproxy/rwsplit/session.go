package rwsplit

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// session routes the requests of one client.
type session struct {
	router  *router
	options *options
	client  *dbproxy.Session
	began   time.Time

	conns        []conn
	master       *conn // nil when there is no connection to a master
	previous     *conn // where the statement before went
	secondary    bool  // the rank of the servers that are used
	onlyReplicas bool  // the master is not to be chosen
	next         int   // where the choice of a server begins
	joined       bool  // there has been a master

	state      state
	trxConn    *conn // of a transaction that is not on the master
	history    history
	statements map[uint32]*statement // by the client's number
	lastID     uint32                // the number given last
	newest     *statement            // what was prepared last, nil when that failed
	reusable   map[string]*statement
	settings   uint64 // how often the session's settings have changed
	named      map[string]named
	temporary  map[string]int // temporary tables, without their databases
	traces     traces
	turn       turn

	written  bool   // since the position in replication was last asked for
	wanted   target // position that reads must find, as far as it is known
	trx      trxLog
	call     call
	scratch  []byte
	recorder recorder
	patch    patch
	value    value
}

// call is a request on its way.
type call struct {
	r      *dbproxy.Request
	to     dbproxy.Answer
	packet []byte // as it came; nil when it was streamed
	class  *sqlclass.Class
	text   []byte     // of the statement
	name   string     // of a statement prepared as text
	stmt   *statement // that is executed
	types  bool       // the packet tells the types of the parameters
	tries  int        // how often it was sent again
	begun  time.Time
}

// nothing is the class of commands without a text.
var nothing sqlclass.Class

// start chooses the servers of a new session and connects to them.
func (h *session) start() error {
	h.rank()
	master := h.candidate()
	if master == nil && h.options.failureMode == failInstantly {
		return fmt.Errorf("%w: no server is the master", errNoServer)
	}
	if h.options.lazy {
		if master == nil && h.choose(0) == nil {
			return errNoServer
		}
		return nil
	}
	var faults []error
	if master != nil {
		if err := h.ready(master); err == nil {
			h.adopt(master)
		} else if faults = append(faults, err); h.options.failureMode == failInstantly && !master.full {
			return refusal(faults)
		}
	}
	wanted := min(h.options.replicas, h.options.maxReplicas)
	for i := 0; i < len(h.conns) && h.replicas() < wanted; i++ {
		c := &h.conns[(h.next+i)%len(h.conns)]
		st := c.server.Status()
		if c.b != nil || c.secondary != h.secondary || !st.Has(dbproxy.Slave) || st.Has(dbproxy.Master) || !h.usable(c) || h.late(c) {
			continue
		}
		if err := h.ready(c); err != nil {
			faults = append(faults, err)
		}
	}
	if h.master == nil && h.replicas() == 0 && !h.turn.full {
		return refusal(faults)
	}
	return nil
}

// refusal is why there is no session: what a server has said, if one did.
func refusal(faults []error) error {
	err := errors.Join(faults...)
	if err == nil {
		return errNoServer
	}
	var refused *wire.ServerError
	if errors.As(err, &refused) {
		return err
	}
	return fmt.Errorf("%w: %w", errNoServer, err)
}

// late tells whether a server is too far behind to be used at all.
func (h *session) late(c *conn) bool {
	if h.options.discardLag == 0 {
		return false
	}
	lag, known := c.server.Lag()
	return known && lag > h.options.discardLag
}

// adopt makes a server the session's master.
func (h *session) adopt(c *conn) {
	h.master, h.joined, h.secondary = c, true, c.secondary
}

// Close implements dbproxy.Handler.
func (h *session) Close() {
	lasted := time.Since(h.began)
	for i := range h.conns {
		c := &h.conns[i]
		if c.b != nil {
			c.b.Close()
			c.b = nil
		}
		c.stats.ended(c, lasted)
	}
}

// Handle implements dbproxy.Handler.
func (h *session) Handle(r *dbproxy.Request, to dbproxy.Answer) error {
	err := h.handle(r, to)
	h.client.SetHistory(len(h.history.entries))
	return err
}

func (h *session) handle(r *dbproxy.Request, to dbproxy.Answer) error {
	h.router.counts.queries.Add(1)
	h.newTurn()
	k := &h.call
	*k = call{r: r, to: to, packet: r.Packet, class: &nothing}
	switch r.Command {
	case wire.ComQuery:
		return h.query(k)
	case wire.ComStmtExecute, wire.ComStmtBulkExecute:
		return h.execute(k)
	case wire.ComStmtPrepare:
		return h.prepare(k)
	case wire.ComStmtClose:
		return h.closeStatement(k)
	case wire.ComStmtReset:
		return h.resetStatement(k)
	case wire.ComStmtSendLongData:
		return h.longData(k)
	case wire.ComStmtFetch:
		return h.fetch(k)
	case wire.ComInitDB, wire.ComSetOption, wire.ComPing, wire.ComRefresh, wire.ComDebug:
		if !r.Streamed() {
			return h.everywhere(k)
		}
	case wire.ComChangeUser:
		return h.changeUser(k)
	case wire.ComResetConnection:
		return h.resetConnection(k)
	}
	return h.write(k)
}

// query routes a statement that comes as text.
func (h *session) query(k *call) error {
	if k.r.Streamed() {
		return h.write(k)
	}
	k.class, k.text = k.r.Class(), k.packet[1:]
	switch k.class.Op {
	case sqlclass.OpExecute, sqlclass.OpPrepare, sqlclass.OpDeallocate:
		if !k.class.Has(sqlclass.FlagMulti) {
			return h.byName(k)
		}
	}
	if err := h.route(k); err != nil || !k.class.Has(sqlclass.FlagRelease) {
		return err
	}
	return h.released()
}

// released ends the session after a transaction that was to end it.
func (h *session) released() error {
	if c := h.previous; c == nil || c.b == nil || c.b.Reply.Failed() {
		return nil
	}
	if err := h.client.Client().Flush(); err != nil {
		return err
	}
	return io.EOF
}

// route sends a statement to where its class says.
func (h *session) route(k *call) error {
	if h.asksInVain(k) {
		return refuse(k, errGiven)
	}
	if c := k.class; (h.state.trx == readOnly || h.state.trx == optimistic) && breaksOff(c.Op) {
		if err := h.finish(); err != nil {
			return err
		}
	}
	p := h.state.place(k.class, h.state.temporary && h.usesTemporary(k))
	if len(k.r.Hints) > 0 && p != atAll {
		if handled, err := h.hinted(k, p); handled {
			return err
		}
	}
	switch p {
	case atReplica:
		return h.read(k)
	case atAll:
		return h.everywhere(k)
	case atPrevious:
		return h.toPrevious(k)
	case atTransaction:
		return h.inTransaction(k)
	case beginReadOnly, beginOptimistic:
		return h.beginOnReplica(k, p)
	case migrate:
		return h.migrate(k)
	case refused:
		return dbproxy.Refuse(k.r, k.to, errReadOnlyTrx)
	}
	return h.write(k)
}

// breaksOff tells of operations that commit the transaction that is open.
func breaksOff(op sqlclass.Op) bool {
	return op == sqlclass.OpBegin || op == sqlclass.OpLockTables || op == sqlclass.OpXA
}

// send sends a request to a server that is ready.
func (h *session) send(c *conn, k *call) error {
	if k.stmt != nil {
		if err := h.address(c, k); err != nil {
			return err
		}
	}
	k.begun = time.Now()
	return c.b.Send(k.r)
}

// exchange sends a request and gives the answer to who is to have it.
func (h *session) exchange(c *conn, k *call) error {
	if err := h.send(c, k); err != nil {
		return err
	}
	return c.b.Receive(k.to)
}

// account counts a request that has been answered.
func (h *session) account(c *conn, k *call) {
	took := time.Since(k.begun)
	c.active += took
	if k.class.Is(sqlclass.TypeRead) && !k.class.Is(sqlclass.TypeWrite) {
		c.selects++
		c.stats.read.Add(1)
		c.b.CountRead(took)
	} else {
		c.stats.write.Add(1)
		c.b.CountWrite(took)
	}
	if c == h.master {
		h.router.counts.master.Add(1)
	} else {
		h.router.counts.replica.Add(1)
	}
	h.previous = c
}

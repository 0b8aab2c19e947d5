package filter

import (
	"log/slog"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// MaxRows is the module maxrows, which holds result sets back that have too many
// rows or are too big ("Maxrows", MaxScale). Statements too long to be read are
// answered like all others.
func MaxRows() dbproxy.FilterModule {
	return dbproxy.FilterModule{
		Description: "Limits how many rows and how much data results may have",
		Specs: param.Specs{
			{Name: "max_resultset_rows", Type: param.TypeInt, Default: int64(-1), Description: "Rows of a result at most; less than 1 is any number"},
			{Name: "max_resultset_size", Type: param.TypeSize, Default: int64(64 << 10), Description: "Bytes of a result at most; 0 is any number"},
			{Name: "max_resultset_return", Type: param.TypeEnum, Enum: []string{"empty", "error", "ok"}, Default: "empty", Description: "What is sent in place of a result that is too big"},
			{Name: "debug", Type: param.TypeCount, Default: int64(0), Max: 3, Description: "What is logged: 1 all results that are checked, 2 those that are too big"},
		},
		New: func(o dbproxy.FilterOptions) (dbproxy.Filter, error) {
			p := o.Params
			return &maxRows{rows: p.Int("max_resultset_rows"), size: p.Int("max_resultset_size"), instead: p.String("max_resultset_return"), debug: p.Int("debug"), log: o.Logger}, nil
		},
	}
}

type maxRows struct {
	rows, size int64
	instead    string
	debug      int64
	log        *slog.Logger
}

// Session implements dbproxy.Filter.
func (f *maxRows) Session(_ *dbproxy.Session, next dbproxy.Handler) (dbproxy.Handler, error) {
	if f.rows <= 0 && f.size <= 0 {
		return next, nil
	}
	return &maxRowsSession{filter: f, next: next}, nil
}

// Diagnostics implements dbproxy.Filter.
func (f *maxRows) Diagnostics() map[string]any { return nil }

// Close implements dbproxy.Filter.
func (f *maxRows) Close() {}

// maxMessage is how long the text of errors gets, as with servers.
const maxMessage = 512

// maxRowsSession is an Answer that holds one result set at a time, until it is
// known that it may be sent.
type maxRowsSession struct {
	filter   *maxRows
	next     dbproxy.Handler
	prepared prepared[string] // the beginning of its text
	sql      string           // that of the request, for errors
	caps     wire.Capability
	to       dbproxy.Answer
	reply    wire.Reply // as the client is told it
	refused  bool       // an error has ended the answer for the client

	inside  bool // a result set
	rowsOn  bool // its definitions are over
	over    bool // it is too big
	rows    int64
	size    int64
	held    []byte
	ends    []int // of the packets in held
	prelude int   // how many of them are no rows
}

// Handle implements dbproxy.Handler.
func (s *maxRowsSession) Handle(r *dbproxy.Request, to dbproxy.Answer) error {
	if to == nil {
		return s.next.Handle(r, to)
	}
	text, _ := r.SQL()
	head := string(text[:min(len(text), maxMessage)])
	switch r.Command {
	case wire.ComStmtPrepare:
		return s.prepared.prepare(s.next, r, to, head)
	case wire.ComQuery:
		s.sql = head
	case wire.ComStmtExecute, wire.ComStmtBulkExecute, wire.ComStmtFetch:
		s.sql, _ = s.prepared.of(r)
	default:
		s.prepared.of(r)
		return s.next.Handle(r, to)
	}
	s.caps = r.Session().Capabilities()
	s.to, s.refused = to, false
	s.reply.Start(r.Command, s.caps)
	s.begin()
	// The rows that a cursor gives have no definitions before them.
	s.inside, s.rowsOn = r.Command == wire.ComStmtFetch, r.Command == wire.ComStmtFetch
	err := s.next.Handle(r, s)
	s.to = nil
	return err
}

// Close implements dbproxy.Handler.
func (s *maxRowsSession) Close() {}

// begin forgets the last result set.
func (s *maxRowsSession) begin() {
	if cap(s.held) > 1<<20 {
		s.held = nil
	}
	s.inside, s.rowsOn, s.over, s.rows, s.size, s.held, s.ends, s.prelude = false, false, false, 0, 0, s.held[:0], s.ends[:0], 0
}

// Packet implements dbproxy.Answer.
func (s *maxRowsSession) Packet(kind wire.Kind, payload []byte, reply *wire.Reply) error {
	switch {
	case s.refused:
		return nil
	case kind == wire.KindColumnCount:
		s.begin()
		s.inside = true
		s.hold(payload)
	case !s.inside:
		return s.send(payload)
	case kind == wire.KindRow:
		s.row(payload)
	case kind == wire.KindColumn:
		s.hold(payload)
	case kind == wire.KindEOF && !s.rowsOn && !reply.Done():
		s.rowsOn = true
		s.hold(payload)
	case kind == wire.KindOK, kind == wire.KindEOF:
		return s.end(payload)
	case kind == wire.KindError:
		s.begin()
		return s.send(payload)
	default:
		return s.send(payload)
	}
	return nil
}

// hold keeps a packet back.
func (s *maxRowsSession) hold(payload []byte) {
	s.size += int64(len(payload)) + 4
	s.held = append(s.held, payload...)
	s.ends = append(s.ends, len(s.held))
}

func (s *maxRowsSession) row(payload []byte) {
	if s.over {
		return
	}
	if s.rows == 0 {
		s.prelude = len(s.ends)
	}
	s.rows++
	f := s.filter
	if f.rows > 0 && s.rows > f.rows || f.size > 0 && s.size+int64(len(payload))+4 > f.size {
		s.over = true
		return
	}
	s.hold(payload)
}

// end sends the result set, or what stands for it.
func (s *maxRowsSession) end(payload []byte) error {
	s.inside = false
	f := s.filter
	if f.debug&1 != 0 {
		f.log.Info("A result was checked", "rows", s.rows, "size", s.size)
	}
	if !s.over {
		return s.release(len(s.ends), payload)
	}
	if f.debug&2 != 0 {
		f.log.Info("A result was too big", "rows", s.rows, "size", s.size)
	}
	switch {
	case f.instead == "error":
		s.refused = true
		e := &wire.ServerError{Code: wire.ErrCodeNoResultSet, State: wire.StateUnsupported, Message: "Row limit/size exceeded for query: " + s.sql}
		e.Message = e.Message[:min(len(e.Message), maxMessage)]
		return s.send(e.Append(nil))
	case f.instead == "ok" && s.reply.Command() != wire.ComStmtFetch:
		ok, err := s.acknowledge(payload)
		if err != nil {
			return err
		}
		return s.send(ok)
	}
	return s.release(s.prelude, payload)
}

// acknowledge is the OK packet with what the end of a result set tells.
func (s *maxRowsSession) acknowledge(end []byte) ([]byte, error) {
	var ok wire.OK
	var err error
	if s.caps.Has(wire.CapDeprecateEOF) {
		ok, err = wire.ParseOK(end, s.caps)
	} else {
		ok.Status, ok.Warnings, err = wire.ParseEOF(end)
	}
	ok.Status &^= wire.StatusCursorExists | wire.StatusLastRowSent
	return ok.Append(nil, s.caps, false), err
}

// release sends the first packets that are held, and the end.
func (s *maxRowsSession) release(packets int, end []byte) error {
	from := 0
	for _, to := range s.ends[:packets] {
		if err := s.send(s.held[from:to]); err != nil {
			return err
		}
		from = to
	}
	return s.send(end)
}

// send gives a packet to the client.
func (s *maxRowsSession) send(payload []byte) error {
	if s.reply.AwaitsClient() {
		s.reply.ClientSent()
	}
	kind, err := s.reply.Feed(payload, len(payload))
	if err != nil {
		return err
	}
	return s.to.Packet(kind, payload, &s.reply)
}

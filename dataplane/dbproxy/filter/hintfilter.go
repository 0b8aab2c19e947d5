package filter

import (
	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// Hint is the module hintfilter, which reads hints to the router from comments
// in statements ("Hintfilter", MaxScale). Statements too long to be read give
// none, but those in force hold for them.
func Hint() dbproxy.FilterModule {
	return dbproxy.FilterModule{
		Description: "Reads hints for the router from comments",
		New:         func(dbproxy.FilterOptions) (dbproxy.Filter, error) { return hintFilter{}, nil },
	}
}

type hintFilter struct{}

// Session implements dbproxy.Filter.
func (hintFilter) Session(_ *dbproxy.Session, next dbproxy.Handler) (dbproxy.Handler, error) {
	return &hintSession{next: next}, nil
}

// Diagnostics implements dbproxy.Filter.
func (hintFilter) Diagnostics() map[string]any { return nil }

// Close implements dbproxy.Filter.
func (hintFilter) Close() {}

// maxHints bounds how many hints a session may remember, by name and stacked.
const maxHints = 1000

// hintSession are the hints of a session.
type hintSession struct {
	next     dbproxy.Handler
	named    map[string]dbproxy.Hint
	stack    []dbproxy.Hint
	prepared prepared[statementHint]
}

// statementHint is the hint of a prepared statement.
type statementHint struct {
	hint  dbproxy.Hint
	given bool
}

// Handle implements dbproxy.Handler.
func (s *hintSession) Handle(r *dbproxy.Request, to dbproxy.Answer) error {
	switch r.Command {
	case wire.ComQuery:
		own := s.comment(r)
		s.add(r, own)
	case wire.ComStmtPrepare:
		// All servers prepare it; the hint is for its execution.
		return s.prepared.prepare(s.next, r, to, s.comment(r))
	case wire.ComChangeUser, wire.ComResetConnection:
		s.named, s.stack = nil, nil
		s.prepared.of(r)
	case wire.ComStmtExecute, wire.ComStmtBulkExecute, wire.ComStmtSendLongData, wire.ComStmtFetch, wire.ComStmtReset:
		own, _ := s.prepared.of(r)
		s.add(r, own)
	case wire.ComStmtClose:
		s.prepared.of(r)
	}
	return s.next.Handle(r, to)
}

// Close implements dbproxy.Handler.
func (s *hintSession) Close() {}

// add gives a request its own hint, or else the topmost one of the stack.
func (s *hintSession) add(r *dbproxy.Request, own statementHint) {
	switch {
	case own.given:
		r.Hints = append(r.Hints, own.hint)
	case len(s.stack) > 0:
		r.Hints = append(r.Hints, s.stack[len(s.stack)-1])
	}
}

// comment does what the comment of a statement says. It returns the hint for
// the statement alone.
func (s *hintSession) comment(r *dbproxy.Request) statementHint {
	text, ok := r.SQL()
	if !ok {
		return statementHint{}
	}
	c, ok := parseHint(r.Class().Comment.Raw(text))
	if !ok {
		return statementHint{}
	}
	if c.given && c.name != "" && (len(s.named) < maxHints || s.named[c.name].Kind != 0) {
		if s.named == nil {
			s.named = map[string]dbproxy.Hint{}
		}
		s.named[c.name] = c.hint
	}
	switch c.action {
	case hintOnce:
		return statementHint{c.hint, true}
	case hintBegin:
		if !c.given {
			c.hint, c.given = s.named[c.name], s.named[c.name].Kind != 0
		}
		if c.given && len(s.stack) < maxHints {
			s.stack = append(s.stack, c.hint)
		}
	case hintEnd:
		s.stack = s.stack[:max(len(s.stack)-1, 0)]
	}
	return statementHint{}
}

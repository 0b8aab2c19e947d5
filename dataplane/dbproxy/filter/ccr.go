package filter

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// CCR is the module ccrfilter, which sends what follows a write to the master
// ("Consistent Critical Read Filter", MaxScale). It deals with text alone, as
// the original does; a statement too long to be read counts as a write.
func CCR() dbproxy.FilterModule {
	match := MatchSpecs("ignorecase")[:3]
	match[0].Fixed, match[1].Fixed, match[2].Fixed = true, true, true
	match[1].Name = "ignore"
	return dbproxy.FilterModule{
		Description: "Sends statements to the master for some time after a write",
		Specs: append(param.Specs{
			{Name: "time", Type: param.TypeDuration, Default: 60 * time.Second, Description: "How long after a write statements go to the master"},
			{Name: "count", Type: param.TypeCount, Default: int64(0), Description: "How many statements after a write go to the master"},
			{Name: "global", Type: param.TypeBool, Default: false, Description: "Count the writes of all sessions"},
		}, match...),
		New: newCCR,
	}
}

type ccrFilter struct {
	matcher *Matcher
	window  time.Duration
	count   int64
	global  bool
	started time.Time
	now     func() time.Time
	written atomic.Int64 // the last write of any session, since started; 0 for none

	writes, byCount, byTime atomic.Int64
}

func newCCR(o dbproxy.FilterOptions) (dbproxy.Filter, error) {
	matcher, err := NewMatcher(o.Params, o.Logger)
	if err != nil {
		return nil, err
	}
	f := &ccrFilter{
		matcher: matcher, window: o.Params.Duration("time"), count: o.Params.Int("count"), global: o.Params.Bool("global"), started: time.Now(), now: time.Now,
	}
	if f.global && f.count > 0 {
		return nil, param.Faults{{Name: "global", Message: "cannot be used together with count"}}
	}
	return f, nil
}

// Session implements dbproxy.Filter.
func (f *ccrFilter) Session(_ *dbproxy.Session, next dbproxy.Handler) (dbproxy.Handler, error) {
	return &ccrSession{filter: f, next: next}, nil
}

// Diagnostics implements dbproxy.Filter.
func (f *ccrFilter) Diagnostics() map[string]any {
	return map[string]any{"data_modifications": f.writes.Load(), "hints_added_by_count": f.byCount.Load(), "hints_added_by_time": f.byTime.Load()}
}

// Close implements dbproxy.Filter.
func (f *ccrFilter) Close() {}

type ccrSession struct {
	filter  *ccrFilter
	next    dbproxy.Handler
	written int64 // the last write, as in ccrFilter
	left    int64 // statements that are still to go to the master
}

// Handle implements dbproxy.Handler.
func (s *ccrSession) Handle(r *dbproxy.Request, to dbproxy.Answer) error {
	if r.Command == wire.ComQuery {
		s.query(r)
	}
	return s.next.Handle(r, to)
}

// Close implements dbproxy.Handler.
func (s *ccrSession) Close() {}

func (s *ccrSession) query(r *dbproxy.Request) {
	f := s.filter
	now := int64(f.now().Sub(f.started)) + 1
	if s.triggers(r) {
		f.writes.Add(1)
		s.left, s.written = f.count, now
		if f.global {
			f.written.Store(now)
		}
		return
	}
	written := s.written
	if f.global {
		written = f.written.Load()
	}
	switch {
	case s.left > 0:
		s.left--
		f.byCount.Add(1)
	case written > 0 && time.Duration(now-written) < f.window:
		f.byTime.Add(1)
	default:
		return
	}
	r.Hints = append(r.Hints, dbproxy.Hint{Kind: dbproxy.HintMaster})
}

// triggers tells whether a statement is a write after which others go to the
// master. A comment for this filter is taken out of the hints.
func (s *ccrSession) triggers(r *dbproxy.Request) bool {
	told := ""
	r.Hints = slices.DeleteFunc(r.Hints, func(h dbproxy.Hint) bool {
		mine := h.Kind == dbproxy.HintParam && strings.EqualFold(h.Name, "ccr")
		if mine {
			told = strings.ToLower(h.Value)
		}
		return mine
	})
	text, ok := r.SQL()
	if !ok {
		return true
	}
	if c := r.Class(); c.Op == sqlclass.OpSelect || !c.Is(sqlclass.TypeWrite) {
		return false
	}
	switch told {
	case "match":
		return true
	case "ignore":
		return false
	}
	return s.filter.matcher.SQL(text)
}

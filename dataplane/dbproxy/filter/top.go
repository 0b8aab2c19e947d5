package filter

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// Top is the module topfilter, which writes down at the end of a session which
// of its statements took longest ("Top Filter", MaxScale). Statements too long
// to be read are not counted.
func Top() dbproxy.FilterModule {
	return dbproxy.FilterModule{
		Description: "Writes down the slowest statements of each session",
		Specs: append(param.Specs{
			{Name: "filebase", Type: param.TypePath, Mandatory: true, Description: "Path of the files, without the number of the session"},
			{Name: "count", Type: param.TypeCount, Default: int64(10), Max: 10000, Description: "How many statements are written down"},
		}, MatchSpecs("case")...),
		New: newTop,
	}
}

type topFilter struct {
	matcher *Matcher
	base    string
	count   int
	log     *slog.Logger
	now     func() time.Time
}

func newTop(o dbproxy.FilterOptions) (dbproxy.Filter, error) {
	matcher, err := NewMatcher(o.Params, o.Logger)
	if err != nil {
		return nil, err
	}
	return &topFilter{matcher: matcher, base: o.Params.String("filebase"), count: int(o.Params.Int("count")), log: o.Logger, now: time.Now}, nil
}

// Session implements dbproxy.Filter.
func (f *topFilter) Session(s *dbproxy.Session, next dbproxy.Handler) (dbproxy.Handler, error) {
	if !f.matcher.Session(s) {
		return next, nil
	}
	return &topSession{filter: f, next: next, session: s, user: s.User()}, nil
}

// Diagnostics implements dbproxy.Filter.
func (f *topFilter) Diagnostics() map[string]any { return nil }

// Close implements dbproxy.Filter.
func (f *topFilter) Close() {}

type topSession struct {
	filter   *topFilter
	next     dbproxy.Handler
	session  *dbproxy.Session
	user     string
	tap      tap
	prepared prepared[string]
	slowest  []topEntry // the slowest one first
	counted  int64
	total    time.Duration
}

// topEntry is a statement with how long it took.
type topEntry struct {
	took time.Duration
	text string
}

// Handle implements dbproxy.Handler.
func (s *topSession) Handle(r *dbproxy.Request, to dbproxy.Answer) error {
	var text string
	counted := false
	switch r.Command {
	case wire.ComQuery:
		if sql, ok := r.SQL(); ok && s.filter.matcher.SQL(sql) {
			text, counted = preparedText(sql), true
		}
	case wire.ComStmtPrepare:
		sql, _ := r.SQL()
		if sql == nil || !s.filter.matcher.SQL(sql) {
			return s.next.Handle(r, to)
		}
		return s.prepared.prepare(s.next, r, to, preparedText(sql))
	case wire.ComStmtExecute, wire.ComStmtBulkExecute:
		text, counted = s.prepared.of(r)
	default:
		s.prepared.of(r)
	}
	if !counted {
		return s.next.Handle(r, to)
	}
	s.tap.begin(to, s.filter.now)
	err := s.next.Handle(r, &s.tap)
	if !s.tap.first.IsZero() {
		s.count(topEntry{s.tap.first.Sub(s.tap.begun), text})
	}
	return err
}

// count takes a statement among the slowest ones, if it is.
func (s *topSession) count(e topEntry) {
	s.counted++
	s.total += e.took
	at, _ := slices.BinarySearchFunc(s.slowest, e, func(a, b topEntry) int {
		if a.took >= b.took { // the earlier one of two equals stays first
			return -1
		}
		return 1
	})
	if at >= s.filter.count {
		return
	}
	s.slowest = slices.Insert(s.slowest[:min(len(s.slowest), s.filter.count-1)], at, e)
}

// Close implements dbproxy.Handler.
func (s *topSession) Close() {
	if err := s.write(); err != nil {
		s.filter.log.Warn("The slowest statements of a session could not be written", "session", s.session.ID(), "error", err)
	}
}

func (s *topSession) write() error {
	f, err := openRegular(fmt.Sprintf("%s.%d", s.filter.base, s.session.ID()), os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.Write(s.report())
	return errors.Join(err, f.Close())
}

// report is the text of the file.
func (s *topSession) report() []byte {
	var b bytes.Buffer
	ruler := strings.Repeat("-", 11) + "+" + strings.Repeat("-", 65) + "\n"
	fmt.Fprintf(&b, "Top %d longest running queries in session.\n", s.filter.count)
	fmt.Fprintf(&b, "%s\n\nTime (sec) | Query\n%s", strings.Repeat("=", 42), ruler)
	for _, e := range s.slowest {
		fmt.Fprintf(&b, "%10.3f |  %s\n", e.took.Seconds(), e.text)
	}
	mean := s.total / time.Duration(cmp.Or(s.counted, 1))
	fmt.Fprintf(&b, "%s\n\nSession started %s\n", ruler, s.session.Started().Format(time.ANSIC))
	fmt.Fprintf(&b, "Connection from %s\nUsername        %s\n\n", hostOf(s.session.Remote()), s.user)
	fmt.Fprintf(&b, "Total of %d statements executed.\n", s.counted)
	fmt.Fprintf(&b, "Total statement execution time   %8.3f seconds\n", s.total.Seconds())
	fmt.Fprintf(&b, "Average statement execution time %8.3f seconds\n", mean.Seconds())
	fmt.Fprintf(&b, "Total connection time            %8.3f seconds\n", s.filter.now().Sub(s.session.Started()).Seconds())
	return b.Bytes()
}

package filter

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// qlaTitles are what the first line of a log calls what is logged.
var qlaTitles = map[string]string{"user": "User@Host"}

// header is the first line of a log. That of one session does not name it.
func (f *qlaFilter) header(unified bool) string {
	var titles []string
	for _, what := range f.data {
		if what == "session" && !unified {
			continue
		}
		title, ok := qlaTitles[what]
		if !ok {
			title = strings.ToUpper(what[:1]) + what[1:]
		}
		titles = append(titles, title)
	}
	return strings.Join(titles, f.separator) + "\n"
}

// qlaSession logs the statements of a session.
type qlaSession struct {
	filter   *qlaFilter
	next     dbproxy.Handler
	session  *dbproxy.Session
	own      *logFile // nil for none
	tap      tap
	prepared prepared[string]
	began    time.Time // the transaction; zero for none
	line     []byte
}

// qlaEntry is a line of the log, before it is written.
type qlaEntry struct {
	query, database string
	command         wire.Command
	begins, ends    bool // a transaction
	transaction     string
	transactionTook time.Duration
	first, total    time.Duration
	failed          error
}

// Handle implements dbproxy.Handler.
func (s *qlaSession) Handle(r *dbproxy.Request, to dbproxy.Answer) error {
	e, logged := s.entry(r)
	if !logged {
		return s.next.Handle(r, to)
	}
	s.tap.begin(to, s.filter.now)
	var err error
	if text, ok := r.SQL(); ok && r.Command == wire.ComStmtPrepare {
		err = s.prepared.prepare(s.next, r, &s.tap, preparedText(text))
	} else {
		err = s.next.Handle(r, &s.tap)
	}
	s.finish(&e, err)
	s.write(&e)
	return err
}

// Close implements dbproxy.Handler.
func (s *qlaSession) Close() {
	if s.own != nil {
		s.filter.forget(s.own)
	}
}

// entry is what is known of a request before it is answered, if it is logged.
func (s *qlaSession) entry(r *dbproxy.Request) (e qlaEntry, logged bool) {
	f := s.filter
	e = qlaEntry{database: s.session.Database(), command: r.Command}
	text, readable := r.SQL()
	switch r.Command {
	case wire.ComQuery, wire.ComStmtPrepare:
		if readable && r.Command == wire.ComQuery {
			s.transaction(&e, r.Class())
		}
	case wire.ComStmtExecute:
		var known string
		known, readable = s.prepared.of(r)
		text = []byte(known)
	default:
		s.prepared.of(r)
		if r.Command == wire.ComChangeUser || r.Command == wire.ComResetConnection {
			s.began = time.Time{} // which ends the transaction, too
		}
		// Only those who want to see commands want to see what has no text.
		return e, slices.Contains(f.data, "command") && r.Command.Answered() && f.matcher.All()
	}
	if !readable {
		return e, f.matcher.All()
	}
	if f.canonical {
		e.query = sqlclass.Canonical(text, s.session.Mode())
	} else {
		e.query = string(text)
	}
	return e, f.matcher.SQL(text)
}

// transaction notes what a statement means for the transaction.
func (s *qlaSession) transaction(e *qlaEntry, c *sqlclass.Class) {
	switch {
	case c.Is(sqlclass.TypeBeginTrx):
		e.transaction, e.begins = "BEGIN", true
	case c.Is(sqlclass.TypeCommit):
		e.transaction, e.ends = "COMMIT", true
	case c.Is(sqlclass.TypeRollback):
		e.transaction, e.ends = "ROLLBACK", true
	}
}

// finish notes what the answer tells.
func (s *qlaSession) finish(e *qlaEntry, failed error) {
	now := s.filter.now()
	e.first, e.total, e.failed = now.Sub(s.tap.begun), now.Sub(s.tap.begun), failed
	if !s.tap.first.IsZero() {
		e.first = s.tap.first.Sub(s.tap.begun)
	}
	switch {
	case e.begins:
		s.began = s.tap.begun
	case e.ends && !s.began.IsZero():
		e.transactionTook, s.began = now.Sub(s.began), time.Time{}
	}
}

// write adds the line to the logs.
func (s *qlaSession) write(e *qlaEntry) {
	f := s.filter
	if s.own != nil {
		s.line = s.append(s.line[:0], e, false)
		f.written(s.own.write(s.line))
	}
	if f.unified != nil || f.stdout != nil {
		s.line = s.append(s.line[:0], e, true)
	}
	if f.unified != nil {
		f.written(f.unified.write(s.line))
	}
	if f.stdout != nil {
		_, err := f.stdout.Write(s.line)
		f.written(err)
	}
	if cap(s.line) > maxKept {
		s.line = nil
	}
}

func (f *qlaFilter) written(err error) {
	if err != nil {
		f.lost(err)
		return
	}
	f.losing.Store(false)
}

// append adds the line to b.
func (s *qlaSession) append(b []byte, e *qlaEntry, unified bool) []byte {
	first := true
	for _, what := range s.filter.data {
		if what == "session" && !unified {
			continue
		}
		if !first {
			b = append(b, s.filter.separator...)
		}
		first = false
		b = s.part(b, e, what)
	}
	return append(b, '\n')
}

// part adds one thing that is logged to b.
func (s *qlaSession) part(b []byte, e *qlaEntry, what string) []byte {
	f, t := s.filter, &s.tap
	duration := func(d time.Duration) []byte { return strconv.AppendInt(b, int64(d/f.unit), 10) }
	switch what {
	case "service":
		if svc := s.session.Service(); svc != nil {
			return append(b, svc.Name()...)
		}
	case "session":
		return strconv.AppendUint(b, uint64(s.session.ID()), 10)
	case "date":
		return t.begun.AppendFormat(b, time.DateTime)
	case "user":
		return append(append(append(b, f.oneLine(s.session.User())...), '@'), hostOf(s.session.Remote())...)
	case "reply_time":
		return duration(e.first)
	case "total_reply_time":
		return duration(e.total)
	case "query":
		return append(b, f.oneLine(e.query)...)
	case "default_db":
		return append(b, f.oneLine(e.database)...)
	case "num_rows":
		return strconv.AppendUint(b, t.rows, 10)
	case "reply_size":
		return strconv.AppendUint(b, t.size, 10)
	case "transaction":
		return append(b, e.transaction...)
	case "transaction_time":
		return duration(e.transactionTook)
	case "num_warnings":
		return strconv.AppendUint(b, uint64(t.warnings), 10)
	case "error_msg":
		if e.failed != nil && t.message == "" {
			return append(b, f.oneLine(e.failed.Error())...)
		}
		return append(b, f.oneLine(t.message)...)
	case "server":
		return append(b, serverOf(s.session)...)
	case "command":
		return append(b, e.command.String()...)
	}
	return b
}

// oneLine is a text without line breaks, so that nobody can forge lines.
func (f *qlaFilter) oneLine(text string) string {
	if f.newlines == nil || !strings.ContainsAny(text, "\r\n") {
		return text
	}
	return f.newlines.Replace(text)
}

// serverOf is the name of the server that gave the last answer.
func serverOf(s *dbproxy.Session) string {
	if srv := s.Server(); srv != nil {
		return srv.Name()
	}
	return ""
}

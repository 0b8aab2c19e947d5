package filter

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
)

// What qlafilter can log, in the order in which it does.
var qlaData = []string{
	"service", "session", "date", "user", "reply_time", "total_reply_time", "query", "default_db", "num_rows", "reply_size", "transaction",
	"transaction_time", "num_warnings", "error_msg", "server", "command",
}

// QLA is the module qlafilter, which logs statements ("Query Log All Filter",
// MaxScale). Of statements too long to be read it logs all but the text, unless
// only certain texts are to be logged.
func QLA() dbproxy.FilterModule {
	return dbproxy.FilterModule{
		Description: "Logs statements",
		Specs: append(param.Specs{
			{Name: "filebase", Type: param.TypePath, Mandatory: true, Fixed: true, Description: "Path of the files, without what is added for a session or for all"},
			{Name: "log_type", Type: param.TypeEnumMask, Enum: []string{"session", "unified", "stdout"}, Default: []string{"session"}, Description: "A file for each session, one for all, or standard output"},
			{Name: "log_data", Type: param.TypeEnumMask, Enum: qlaData, Default: []string{"date", "user", "query"}, Description: "What is logged"},
			{Name: "duration_unit", Type: param.TypeEnum, Enum: []string{"ms", "us", "s"}, Default: "ms",
				EnumAliases: map[string]string{"milliseconds": "ms", "microseconds": "us", "seconds": "s"}, Description: "Unit of durations"},
			{Name: "use_canonical_form", Type: param.TypeBool, Default: false, Description: "Log statements with ? in place of constants"},
			{Name: "flush", Type: param.TypeBool, Default: false, Description: "Write each line at once"},
			{Name: "append", Type: param.TypeBool, Default: true, Description: "Add to files that are there"},
			{Name: "separator", Type: param.TypeString, Default: ",", Description: "What stands between the parts of a line"},
			{Name: "newline_replacement", Type: param.TypeString, Default: " ", Description: "What takes the place of line breaks"},
			{Name: "user_match", Type: param.TypeRegex, Description: "Only users in whose names this is found"},
			{Name: "user_exclude", Type: param.TypeRegex, Description: "No users in whose names this is found"},
			{Name: "source_match", Type: param.TypeRegex, Description: "Only addresses in which this is found"},
			{Name: "source_exclude", Type: param.TypeRegex, Description: "No addresses in which this is found"},
		}, MatchSpecs("case")...),
		New: newQLA,
		Commands: []dbproxy.Command{{
			Name: "log", Method: "GET", Description: "Show lines of the log of all sessions", Run: qlaLog,
			Args: []dbproxy.Argument{
				{Type: dbproxy.ArgFilter, Description: "Filter to read from"},
				{Type: dbproxy.ArgString, Optional: true, Description: "Number of the first line, counted from 0"},
				{Type: dbproxy.ArgString, Optional: true, Description: "Number of the line to stop before"},
			},
		}},
	}
}

// qlaFilter is the filter.
type qlaFilter struct {
	matcher    *Matcher
	user       qlaClients
	source     qlaClients
	params     param.Set
	base       string
	log        *slog.Logger
	now        func() time.Time
	stdout     io.Writer
	data       []string
	unit       time.Duration
	canonical  bool
	separator  string
	newlines   *strings.Replacer // nil to leave them
	perSession bool
	unified    *logFile // nil for none
	epoch      atomic.Int64
	losing     atomic.Bool // lines were lost, and that was logged

	mu   sync.Mutex
	logs map[*logFile]struct{} // of sessions
}

// qlaClients are expressions for users or addresses.
type qlaClients struct{ match, exclude *Regexp }

func (c *qlaClients) take(m *Matcher, text string) bool {
	return (c.match == nil || m.found(c.match, []byte(text), false)) && (c.exclude == nil || !m.found(c.exclude, []byte(text), true))
}

func newQLA(o dbproxy.FilterOptions) (dbproxy.Filter, error) {
	p := o.Params
	types := p.List("log_type")
	f := &qlaFilter{
		params: p, base: p.String("filebase"), log: o.Logger, now: time.Now, data: p.List("log_data"), canonical: p.Bool("use_canonical_form"),
		separator: unquoted(p.String("separator")), perSession: slices.Contains(types, "session"), logs: map[*logFile]struct{}{},
		unit: map[string]time.Duration{"ms": time.Millisecond, "us": time.Microsecond, "s": time.Second}[p.String("duration_unit")],
	}
	if with := unquoted(p.String("newline_replacement")); with != "" {
		f.newlines = strings.NewReplacer("\r\n", with, "\r", with, "\n", with)
	}
	var err error
	if f.matcher, err = NewMatcher(p, o.Logger); err != nil {
		return nil, err
	}
	if err := f.clients(); err != nil {
		return nil, err
	}
	if slices.Contains(types, "stdout") {
		f.stdout = os.Stdout
	}
	if slices.Contains(types, "unified") {
		if f.unified, err = f.open("unified", true); err != nil {
			return nil, param.Faults{{Name: "filebase", Message: "cannot be written: " + err.Error()}}
		}
	}
	return f, nil
}

// clients reads which users and addresses are meant.
func (f *qlaFilter) clients() error {
	options := RegexpOptionsOf(f.params)
	for _, x := range []struct {
		name    string
		into    **Regexp
		instead string // the parameter that takes its place
	}{
		{"user_match", &f.user.match, "user"}, {"user_exclude", &f.user.exclude, "user"},
		{"source_match", &f.source.match, "source"}, {"source_exclude", &f.source.exclude, "source"},
	} {
		compiled, err := compileParam(f.params, x.name, options)
		if err != nil {
			return err
		}
		if f.params.String(x.instead) == "" {
			*x.into = compiled
		}
	}
	return nil
}

// unquoted is a text without the quotes around it, in which one can write down
// blanks.
func unquoted(text string) string {
	if n := len(text); n >= 2 && (text[0] == '"' || text[0] == '\'') && text[n-1] == text[0] {
		return text[1 : n-1]
	}
	return text
}

// open opens a file of the filter.
func (f *qlaFilter) open(suffix string, unified bool) (*logFile, error) {
	l := &logFile{path: f.base + "." + suffix, header: f.header(unified), each: f.params.Bool("flush"), generation: &f.epoch, failed: f.lost}
	return openLog(l, !f.params.Bool("append"))
}

// lost logs that lines of the log are lost, once.
func (f *qlaFilter) lost(err error) {
	if !f.losing.Swap(true) {
		f.log.Warn("Lines of the query log are lost", "error", err)
	}
}

// Session implements dbproxy.Filter.
func (f *qlaFilter) Session(s *dbproxy.Session, next dbproxy.Handler) (dbproxy.Handler, error) {
	if !f.matcher.Session(s) || !f.user.take(f.matcher, s.User()) || !f.source.take(f.matcher, hostOf(s.Remote())) {
		return next, nil
	}
	q := &qlaSession{filter: f, next: next, session: s}
	if f.perSession {
		var err error
		if q.own, err = f.open(fmt.Sprint(s.ID()), false); err != nil {
			return nil, fmt.Errorf("the query log of a session cannot be written: %w", err)
		}
		f.mu.Lock()
		f.logs[q.own] = struct{}{}
		f.mu.Unlock()
	}
	return q, nil
}

// forget closes the file of a session.
func (f *qlaFilter) forget(l *logFile) {
	f.mu.Lock()
	delete(f.logs, l)
	f.mu.Unlock()
	if err := l.close(); err != nil {
		f.lost(err)
	}
}

// Diagnostics implements dbproxy.Filter.
func (f *qlaFilter) Diagnostics() map[string]any {
	return map[string]any{"separator": f.params.String("separator"), "newline_replacement": f.params.String("newline_replacement")}
}

// Rotate makes the files be opened anew at their next lines.
func (f *qlaFilter) Rotate() error {
	f.mu.Lock()
	logs := make([]*logFile, 0, len(f.logs)+1)
	for l := range f.logs {
		logs = append(logs, l)
	}
	f.mu.Unlock()
	if f.unified != nil {
		logs = append(logs, f.unified)
	}
	var first error
	for _, l := range logs {
		if err := l.sync(); err != nil && first == nil {
			first = err
		}
	}
	f.epoch.Add(1)
	return first
}

// Close implements dbproxy.Filter.
func (f *qlaFilter) Close() {
	if f.unified == nil {
		return
	}
	if err := f.unified.close(); err != nil {
		f.lost(err)
	}
}

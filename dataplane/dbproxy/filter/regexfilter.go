package filter

import (
	"log/slog"
	"sync/atomic"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
)

// Regex is the module regexfilter, which rewrites statements ("Regex Filter",
// MaxScale). Statements too long to be read, and those that take too long to
// match, stay as they are.
func Regex() dbproxy.FilterModule {
	match := MatchSpecs("ignorecase")
	match[0].Mandatory, match[0].Description = true, "What is replaced in statements"
	return dbproxy.FilterModule{
		Description: "Rewrites statements by a regular expression",
		Specs: append(param.Specs{
			match[0],
			{Name: "replace", Type: param.TypeString, Mandatory: true, Description: "What takes its place; $1 is what the first group has found"},
			{Name: "log_file", Type: param.TypePath, Description: "File that lists all statements, as they were and as they became"},
			{Name: "log_trace", Type: param.TypeBool, Default: false, Description: "List them in the log, on the level info"},
		}, match[2:]...),
		New: newRegexFilter,
	}
}

type regexFilter struct {
	matcher *Matcher // of sessions
	params  param.Set
	text    string
	replace *Replacement
	log     *slog.Logger
	trace   bool
	file    *logFile // nil for none
	epoch   atomic.Int64

	altered, unaltered atomic.Int64
}

func newRegexFilter(o dbproxy.FilterOptions) (dbproxy.Filter, error) {
	x, err := compileParam(o.Params, "match", RegexpOptionsOf(o.Params))
	if err != nil {
		return nil, err
	}
	if x == nil {
		return nil, param.Faults{{Name: "match", Message: "must be given"}}
	}
	f := &regexFilter{params: o.Params, text: o.Params.Regex("match").Text(), log: o.Logger, trace: o.Params.Bool("log_trace")}
	if f.replace, err = x.Replacement(o.Params.String("replace")); err != nil {
		return nil, param.Faults{{Name: "replace", Message: err.Error()}}
	}
	source, err := parseSources(o.Params.String("source"))
	if err != nil {
		return nil, err
	}
	f.matcher = &Matcher{user: o.Params.String("user"), source: source}
	if path := o.Params.String("log_file"); path != "" {
		lost := func(err error) { f.log.Warn("Lines of the filter's log are lost", "error", err) }
		if f.file, err = openLog(&logFile{path: path, generation: &f.epoch, failed: lost}, false); err != nil {
			return nil, param.Faults{{Name: "log_file", Message: "cannot be written: " + err.Error()}}
		}
	}
	return f, nil
}

// Session implements dbproxy.Filter.
func (f *regexFilter) Session(s *dbproxy.Session, next dbproxy.Handler) (dbproxy.Handler, error) {
	if !f.matcher.Session(s) {
		return next, nil
	}
	return &regexSession{f, next}, nil
}

// Diagnostics implements dbproxy.Filter.
func (f *regexFilter) Diagnostics() map[string]any {
	d := map[string]any{"altered": f.altered.Load(), "unaltered": f.unaltered.Load()}
	for _, name := range []string{"user", "source"} {
		if value := f.params.String(name); value != "" {
			d[name] = value
		}
	}
	return d
}

// Rotate makes the log file be opened anew.
func (f *regexFilter) Rotate() error {
	if f.file == nil {
		return nil
	}
	defer f.epoch.Add(1)
	return f.file.sync()
}

// Close implements dbproxy.Filter.
func (f *regexFilter) Close() {
	if f.file == nil {
		return
	}
	if err := f.file.close(); err != nil {
		f.log.Warn("Lines of the filter's log are lost", "error", err)
	}
}

type regexSession struct {
	filter *regexFilter
	next   dbproxy.Handler
}

// Handle implements dbproxy.Handler.
func (s *regexSession) Handle(r *dbproxy.Request, to dbproxy.Answer) error {
	if text, ok := r.SQL(); ok {
		s.filter.rewrite(r, text)
	}
	return s.next.Handle(r, to)
}

// Close implements dbproxy.Handler.
func (s *regexSession) Close() {}

func (f *regexFilter) rewrite(r *dbproxy.Request, text []byte) {
	changed, found, err := f.replace.Apply(text)
	switch {
	case err != nil:
		f.log.Warn("A statement could not be matched", "error", err)
		fallthrough
	case !found:
		f.unaltered.Add(1)
		f.tell("No match " + f.text + ": [" + string(text) + "]")
	default:
		f.altered.Add(1)
		f.tell("Matched " + f.text + ": [" + string(text) + "] -> [" + string(changed) + "]")
		r.SetSQL(changed)
	}
}

func (f *regexFilter) tell(line string) {
	if f.trace {
		f.log.Info(line)
	}
	if f.file == nil {
		return
	}
	if err := f.file.write(append([]byte(line), '\n')); err != nil {
		f.log.Warn("Lines of the filter's log are lost", "error", err)
	}
}

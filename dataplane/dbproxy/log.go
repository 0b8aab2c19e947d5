package dbproxy

import (
	"context"
	"log/slog"
	"regexp"

	"github.com/backplane/backplane/dataplane/dbproxy/param"
)

// LevelDetail is the level of what sessions do, which MaxScale calls info: below
// slog's Info, which is MaxScale's notice, and above debugging.
const LevelDetail = slog.LevelInfo - 2

// Levels are a set of levels of the log.
type Levels uint32

// The levels.
const (
	LogDebug   Levels = 1 << iota
	LogInfo           // LevelDetail
	LogNotice         // slog's Info
	LogWarning        // slog's Warn
	LogError          // slog's Error
)

// levelNames are the parameters that ask for levels, in their order.
var levelNames = [...]string{"log_debug", "log_info", "log_notice", "log_warning", "log_error"}

// SessionSpecs are the parameters of sessions.
func SessionSpecs() param.Specs { return bools("Log this level", levelNames[:]...) }

// LevelSet are levels as parameters of a session.
func LevelSet(l Levels) param.Set {
	given := map[string]any{}
	for i, name := range levelNames {
		given[name] = l&(1<<i) != 0
	}
	return param.MustParse(SessionSpecs(), given)
}

// LevelsOf are the levels that parameters ask for, those of a session or of a
// service.
func LevelsOf(set param.Set) (l Levels) {
	for i, name := range levelNames {
		if _, there := set.Specs().Find(name); there && set.Bool(name) {
			l |= 1 << i
		}
	}
	return l
}

func (l Levels) has(level slog.Level) bool { return l&levelOf(level) != 0 }

func levelOf(level slog.Level) Levels {
	switch {
	case level < LevelDetail:
		return LogDebug
	case level < slog.LevelInfo:
		return LogInfo
	case level < slog.LevelWarn:
		return LogNotice
	case level < slog.LevelError:
		return LogWarning
	}
	return LogError
}

// wantedKey marks the context of a record.
type wantedKey struct{}

// Wanted tells, in the handler of a log, that a record is to be written whatever
// its level, because a service or a session asks for it.
func Wanted(ctx context.Context) bool { return ctx.Value(wantedKey{}) != nil }

// chooser is a slog.Handler that lets the levels of a service pass that are
// asked for, and those that the log has anyway.
type chooser struct {
	service *Service
	to      slog.Handler
}

// Enabled implements slog.Handler.
func (c *chooser) Enabled(ctx context.Context, level slog.Level) bool {
	return c.service.levels().has(level) || c.to.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (c *chooser) Handle(ctx context.Context, r slog.Record) error {
	if c.service.levels().has(r.Level) {
		ctx = context.WithValue(ctx, wantedKey{}, true)
	}
	return c.to.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (c *chooser) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &chooser{c.service, c.to.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (c *chooser) WithGroup(name string) slog.Handler {
	return &chooser{c.service, c.to.WithGroup(name)}
}

// levels are those that the service asks for.
func (s *Service) levels() Levels { return Levels(s.logged.Load()) }

// TraceMatch reads session_trace_match, nil where it is not set. What it finds is
// looked for at the end of sessions, so that it is an expression of Go: its time
// is bounded by the length of the text.
func TraceMatch(settings param.Set) (*regexp.Regexp, error) {
	given := settings.Regex("session_trace_match")
	if given == nil {
		return nil, nil
	}
	compiled, err := regexp.Compile(given.Text())
	if err != nil {
		return nil, param.Fault{Name: "session_trace_match", Message: "must be a regular expression: " + err.Error()}
	}
	return compiled, nil
}

// tracedByService is how much is kept of the sessions of a service that asks for
// it, where the proxy does not say.
const tracedByService = 100

// adoptLog takes what the parameters say of the service's log.
func (s *Service) adoptLog(c ServiceConfig, settings param.Set, match *regexp.Regexp) {
	s.traceMatch.Store(match)
	dump := settings.String("dump_last_statements")
	s.dumped.Store(&dump)
	s.logged.Store(uint32(LevelsOf(c.Params)))
	keep := settings.Int("session_trace")
	if keep == 0 && c.Params.Bool("session_trace") {
		keep = tracedByService
	}
	s.traced.Store(keep)
}

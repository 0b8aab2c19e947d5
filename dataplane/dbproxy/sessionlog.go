package dbproxy

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/backplane/backplane/dataplane/dbproxy/sqlclass"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// sessionLog is what a session logs, and the end of it (session_trace).
type sessionLog struct {
	levels atomic.Uint32 // Levels

	mu    sync.Mutex
	lines []string // the oldest one first
}

// longestLine bounds a line that is kept.
const longestLine = 4 << 10

// Levels are the levels that the session logs besides those that its service and
// the proxy do. It may be called from anywhere, as may SetLevels.
func (s *Session) Levels() Levels { return Levels(s.log.levels.Load()) }

// SetLevels makes it log other ones.
func (s *Session) SetLevels(l Levels) { s.log.levels.Store(uint32(l)) }

// Logs tells whether what the session logs at a level is written or kept. Who
// logs each request asks it first.
func (s *Session) Logs(level slog.Level) bool {
	return level >= LevelDetail && s.service.traced.Load() > 0 || s.Levels().has(level) || s.service.log.Enabled(s.ctx, level)
}

// Logger is where what is about the session is logged. It is made for each use.
func (s *Session) Logger() *slog.Logger {
	return slog.New(&sessionHandler{session: s, to: s.service.log.Handler().WithAttrs([]slog.Attr{slog.Uint64("session", uint64(s.id))})})
}

// sessionHandler is a slog.Handler that keeps what a session logs, and hands on
// what is to be written.
type sessionHandler struct {
	session *Session
	to      slog.Handler
	prefix  string // attributes of the logger, as they are kept
}

// Enabled implements slog.Handler.
func (h *sessionHandler) Enabled(_ context.Context, level slog.Level) bool {
	return h.session.Logs(level)
}

// Handle implements slog.Handler.
func (h *sessionHandler) Handle(ctx context.Context, r slog.Record) error {
	s := h.session
	if keep := s.service.traced.Load(); keep > 0 && r.Level >= LevelDetail {
		s.log.keep(line(r, h.prefix), int(keep))
	}
	if s.Levels().has(r.Level) {
		ctx = context.WithValue(ctx, wantedKey{}, true)
	} else if !h.to.Enabled(ctx, r.Level) {
		return nil
	}
	return h.to.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *sessionHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var text strings.Builder
	text.WriteString(h.prefix)
	for _, a := range attrs {
		text.WriteString(" " + a.Key + "=" + a.Value.Resolve().String())
	}
	return &sessionHandler{h.session, h.to.WithAttrs(attrs), text.String()}
}

// WithGroup implements slog.Handler. What is kept has no groups.
func (h *sessionHandler) WithGroup(name string) slog.Handler {
	return &sessionHandler{h.session, h.to.WithGroup(name), h.prefix}
}

// line is a record as it is kept.
func line(r slog.Record, prefix string) string {
	var text strings.Builder
	text.WriteString(r.Time.UTC().Format("2006-01-02 15:04:05.000 "))
	switch levelOf(r.Level) {
	case LogInfo:
		text.WriteString("info: ")
	case LogNotice:
		text.WriteString("notice: ")
	case LogWarning:
		text.WriteString("warning: ")
	default:
		text.WriteString("error: ")
	}
	text.WriteString(r.Message + prefix)
	r.Attrs(func(a slog.Attr) bool {
		text.WriteString(" " + a.Key + "=" + a.Value.Resolve().String())
		return true
	})
	kept := text.String()
	return strings.ToValidUTF8(kept[:min(len(kept), longestLine)], "?")
}

func (l *sessionLog) keep(line string, most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if over := len(l.lines) + 1 - most; over > 0 {
		l.lines = append(l.lines[:0], l.lines[over:]...)
	}
	l.lines = append(l.lines, line)
}

// kept are the lines that are kept.
func (l *sessionLog) kept() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}

// The events of sessions. Each is looked at before anything is made for it, as
// nearly always none is logged.

func (s *Session) logLogin() {
	if s.detailed = s.Logs(LevelDetail); s.detailed {
		s.Logger().Log(s.ctx, LevelDetail, "logged in", "user", s.user, "host", s.host(), "listener", s.listener.name, "database", s.database)
	}
}

// logRequest tells what the client asks for, without its constants: they may be
// passwords.
func (s *Session) logRequest(r *Request) {
	if !s.detailed {
		return
	}
	if text, ok := r.SQL(); ok {
		const longest = 2 << 10
		statement := sqlclass.Canonical(text[:min(len(text), 4*longest)], s.mode)
		s.Logger().Log(s.ctx, LevelDetail, "request", "command", r.Command.String(), "statement", strings.ToValidUTF8(statement[:min(len(statement), longest)], "?"))
		return
	}
	s.Logger().Log(s.ctx, LevelDetail, "request", "command", r.Command.String())
}

// logAnswer tells of requests that failed.
func (s *Session) logAnswer(reply *wire.Reply) {
	if !reply.Failed() || !s.Logs(LevelDetail) {
		return
	}
	s.Logger().Log(s.ctx, LevelDetail, "refused", "error", reply.ErrorCode())
}

func (s *Session) logBackend(event string, b *Backend) {
	if s.Logs(LevelDetail) {
		s.Logger().Log(s.ctx, LevelDetail, event, "server", b.server.name, "connection", b.id)
	}
}

// logSent tells which server a request goes to.
func (s *Session) logSent(b *Backend, command wire.Command) {
	if s.detailed {
		s.Logger().Log(s.ctx, LevelDetail, "sent", "server", b.server.name, "command", command.String())
	}
}

// dumpStatements writes the statements that are remembered, the oldest first,
// without their constants.
func (s *Session) dumpStatements() {
	s.diag.mu.Lock()
	statements := slices.Clone(s.diag.statements)
	s.diag.mu.Unlock()
	for _, st := range slices.Backward(statements) {
		text := strings.ToValidUTF8(sqlclass.Canonical([]byte(st.Text), s.mode), "?")
		s.Logger().Info("one of the last statements", "statement", text, "received", st.Received, "completed", st.Completed)
	}
}

// logEnd tells how the session has ended. What is kept of its log is written
// when it ended badly or, where there is a pattern for that, when the pattern is
// found in it (session_trace_match).
func (s *Session) logEnd(err error, badly bool) {
	if badly {
		s.Logger().Warn("session ended", "user", s.User(), "remote", s.remote.String(), "error", err)
	} else if s.Logs(LevelDetail) {
		s.Logger().Log(s.ctx, LevelDetail, "session ended")
	}
	if dump := *s.service.dumped.Load(); dump == "on_close" || dump == "on_error" && badly {
		s.dumpStatements()
	}
	lines := s.log.kept()
	if len(lines) == 0 {
		return
	}
	all := strings.Join(lines, "\n")
	if match := s.service.traceMatch.Load(); match != nil {
		badly = match.MatchString(all)
	}
	if badly {
		s.service.log.Warn("log of a session", "session", s.id, "lines", all)
	}
}

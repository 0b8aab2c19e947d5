package proxy

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
)

// keepLines is how many lines of the log can be read back.
const keepLines = 10_000

// priorities are those of lines, the most important first.
func priorities() []string { return []string{"alert", "error", "warning", "notice", "info", "debug"} }

// line is a line of the log.
type line struct {
	id       uint64
	at       time.Time
	priority string
	message  string
}

// Lines keeps the last lines of the log, so that they can be read back.
type Lines struct {
	without atomic.Pointer[[]string] // priorities that are not kept

	mu    sync.Mutex
	kept  []line
	next  uint64
	grown chan struct{}
}

// NewLines makes an empty log.
func NewLines() *Lines {
	l := &Lines{next: 1, grown: make(chan struct{})}
	l.leaveOut([]string{"info", "debug"})
	return l
}

// Handler is a handler that hands records to another one, and keeps them.
func (l *Lines) Handler(to slog.Handler) slog.Handler { return &keeper{lines: l, to: to} }

// keeper is a slog.Handler.
type keeper struct {
	lines  *Lines
	to     slog.Handler
	prefix string // attributes of the logger, as they are kept
	group  string
}

func priorityOf(level slog.Level) string {
	switch {
	case level >= slog.LevelError:
		return "error"
	case level >= slog.LevelWarn:
		return "warning"
	case level >= slog.LevelInfo:
		return "notice"
	case level >= dbproxy.LevelDetail:
		return "info"
	default:
		return "debug"
	}
}

// Enabled implements slog.Handler.
func (k *keeper) Enabled(ctx context.Context, level slog.Level) bool {
	return k.to.Enabled(ctx, level) || k.lines.keeps(priorityOf(level))
}

// Handle implements slog.Handler.
func (k *keeper) Handle(ctx context.Context, r slog.Record) error {
	wanted := dbproxy.Wanted(ctx)
	if priority := priorityOf(r.Level); wanted || k.lines.keeps(priority) {
		var text strings.Builder
		text.WriteString(r.Message)
		text.WriteString(k.prefix)
		r.Attrs(func(a slog.Attr) bool {
			writeAttr(&text, k.group, a)
			return true
		})
		k.lines.add(line{at: r.Time, priority: priority, message: text.String()})
	}
	if !wanted && !k.to.Enabled(ctx, r.Level) {
		return nil
	}
	return k.to.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (k *keeper) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *k
	var text strings.Builder
	text.WriteString(k.prefix)
	for _, a := range attrs {
		writeAttr(&text, k.group, a)
	}
	next.prefix, next.to = text.String(), k.to.WithAttrs(attrs)
	return &next
}

// WithGroup implements slog.Handler.
func (k *keeper) WithGroup(name string) slog.Handler {
	next := *k
	next.group, next.to = k.group+name+".", k.to.WithGroup(name)
	return &next
}

// writeAttr writes an attribute. Values that hide themselves stay hidden.
func writeAttr(text *strings.Builder, group string, a slog.Attr) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		for _, inner := range v.Group() {
			writeAttr(text, group+a.Key+".", inner)
		}
		return
	}
	text.WriteString(" " + group + a.Key + "=" + v.String())
}

func (l *Lines) keeps(priority string) bool {
	return !slices.Contains(*l.without.Load(), priority)
}

// leaveOut sets the priorities that are not kept.
func (l *Lines) leaveOut(priorities []string) {
	l.without.Store(&priorities)
}

func (l *Lines) add(n line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n.id = l.next
	l.next++
	if len(l.kept) >= keepLines {
		l.kept = append(l.kept[:0], l.kept[keepLines/10:]...)
	}
	l.kept = append(l.kept, n)
	close(l.grown)
	l.grown = make(chan struct{})
}

// page is up to size lines before an id, or the last ones where that is 0, of
// some priorities, or of all where none is named. more tells whether there are
// older ones.
func (l *Lines) page(before uint64, size int, of []string) (out []line, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.kept) - 1; i >= 0; i-- {
		n := l.kept[i]
		if before != 0 && n.id >= before || len(of) > 0 && !slices.Contains(of, n.priority) {
			continue
		}
		if len(out) == size {
			more = true
			break
		}
		out = append(out, n)
	}
	slices.Reverse(out)
	return out, more
}

// after are the lines after an id, and what is closed when there is another.
func (l *Lines) after(id uint64, of []string) (out []line, last uint64, grown <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.kept {
		if n.id > id && (len(of) == 0 || slices.Contains(of, n.priority)) {
			out = append(out, n)
		}
	}
	return out, l.next - 1, l.grown
}

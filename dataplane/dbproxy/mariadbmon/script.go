package mariadbmon

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
)

const (
	scriptQueue = 256         // calls that may wait
	scriptLine  = 4096        // of output that is logged
	scriptKill  = time.Minute // after SIGTERM
)

// scriptCall is one run of the program.
type scriptCall struct {
	event string
	words []string
}

// startScripts lets programs be run one after another, in the order of the
// events. What it returns ends that.
func (m *Monitor) startScripts(ctx context.Context) (stop func()) {
	if len(m.settings.script) == 0 {
		return func() {}
	}
	m.scripts = make(chan scriptCall, scriptQueue)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case c := <-m.scripts:
				m.run(ctx, c)
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// callScript has the program run for an event, if it is one to run it for.
func (m *Monitor) callScript(t *topology, h happened) {
	if len(m.settings.script) == 0 || m.passive() || !slices.Contains(m.settings.scriptEvents, h.name) {
		return
	}
	call := scriptCall{h.name, substitute(m.settings.script, m.scriptValues(t, h))}
	select {
	case m.scripts <- call:
	default:
		m.log.Warn("too many calls of the script wait: one is left out", "event", h.name)
	}
}

func (m *Monitor) scriptValues(t *topology, h happened) []string {
	having := func(s dbproxy.Status) string {
		return m.addresses(func(i int) bool { return m.servers[i].srv.Status().Has(s) })
	}
	parent := ""
	if master := m.servers[h.server].roleNow.master; master != none {
		parent = m.servers[master].addressText()
	}
	return []string{
		"$INITIATOR", m.servers[h.server].addressText(), "$PARENT", parent,
		"$CHILDREN", m.addresses(func(i int) bool {
			return slices.ContainsFunc(t.replicas[h.server], func(e edge) bool { return e.to == i })
		}),
		"$EVENT", h.name, "$NODELIST", having(dbproxy.Running), "$SLAVELIST", having(dbproxy.Running | dbproxy.Slave),
		"$MASTERLIST", having(dbproxy.Running | dbproxy.Master), "$SYNCEDLIST", having(dbproxy.Running | dbproxy.Synced),
		"$LIST", m.addresses(func(int) bool { return true }),
	}
}

func (m *Monitor) addresses(wanted func(int) bool) string {
	var list []string
	for i, w := range m.servers {
		if wanted(i) {
			list = append(list, w.addressText())
		}
	}
	return strings.Join(list, ",")
}

// addressText is the address as scripts know it: [host]:port.
func (w *watched) addressText() string {
	network, address := w.srv.Address()
	host, port, err := net.SplitHostPort(address)
	if network == "unix" || err != nil {
		return address
	}
	return "[" + host + "]:" + port
}

// run runs the program. It gets no more of the environment than any program
// needs, as that of the proxy may hold secrets.
func (m *Monitor) run(ctx context.Context, c scriptCall) {
	ctx, cancel := context.WithTimeout(ctx, m.settings.scriptTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.words[0], c.words[1:]...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"}
	endGently(cmd)
	cmd.WaitDelay = min(m.settings.scriptTimeout, scriptKill)
	reader, writer := io.Pipe()
	cmd.Stdout, cmd.Stderr = writer, writer
	read := make(chan struct{})
	go func() {
		defer close(read)
		m.logOutput(c.event, reader)
	}()
	err := cmd.Run()
	writer.Close()
	<-read
	if err != nil {
		m.log.Error("the script failed", "event", c.event, "error", err)
		return
	}
	m.log.Info("the script has run", "event", c.event)
}

// logOutput logs each line at the level that it begins with.
func (m *Monitor) logOutput(event string, r io.Reader) {
	b := bufio.NewReaderSize(r, scriptLine)
	for {
		line, long, err := b.ReadLine()
		if len(line) > 0 {
			level, text := lineLevel(string(line))
			m.log.Log(context.Background(), level, "the script says", "event", event, "line", text)
		}
		for long && err == nil {
			_, long, err = b.ReadLine()
		}
		if err != nil {
			return
		}
	}
}

func lineLevel(line string) (slog.Level, string) {
	before, after, ok := strings.Cut(line, ":")
	if !ok {
		return slog.LevelInfo, line
	}
	levels := map[string]slog.Level{"alert": slog.LevelError, "error": slog.LevelError, "warning": slog.LevelWarn, "notice": slog.LevelInfo, "info": slog.LevelInfo, "debug": slog.LevelDebug}
	if level, ok := levels[strings.ToLower(strings.TrimSpace(before))]; ok {
		return level, strings.TrimSpace(after)
	}
	return slog.LevelInfo, line
}

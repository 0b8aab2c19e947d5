// Package conformance is the one suite that every connector passes against
// its real server. A connector's test describes its Backend and calls Run; a
// connector bug becomes a case here first.
package conformance

import (
	"context"
	"fmt"
	"maps"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/testbed"
)

// Config is a raw configuration as decoded from JSON.
type Config = map[string]any

// Backend describes a connector under test and its real server.
type Backend struct {
	Connector connectors.Connector
	Env       connectors.Env
	// Good connects. Its password is testbed.NastyPassword where the type has one.
	Good Config
	// At is Good aimed at another address, keeping the credentials. Nil for a
	// type without a network.
	At func(host string, port int) Config
	// ServerFirst says that the protocol's server speaks first, so that a
	// foreign banner must be recognised as protocol_mismatch.
	ServerFirst bool
	// Cases are the type's own: wrong password, missing target, TLS…
	Cases []Case
	// Invalid are configurations that validation must refuse.
	Invalid []Invalid
	// Skip names network cases that the type cannot have, with the reason.
	Skip map[string]string
}

// Case is one test with a changed configuration.
type Case struct {
	Name    string
	Change  Config            // laid over Good; a nil value removes the key
	Want    connectors.Code   // "" for connected
	OneOf   []connectors.Code // accepted instead of Want
	Stage   connectors.Stage  // checked when set
	Warning string            // a warning code that must be present
	Contain string            // the sentence must contain it
	Timeout time.Duration     // 10 s when zero
	Check   func(t *testing.T, r connectors.Report, f *connectors.Failure)
}

// Invalid is a configuration that validation refuses.
type Invalid struct {
	Name   string
	Change Config
	Fields []string // the fields named, in any order
}

// With lays change over base; a nil value removes the key.
func With(base, change Config) Config {
	out := maps.Clone(base)
	for k, v := range change {
		if v == nil {
			delete(out, k)
			continue
		}
		out[k] = v
	}
	return out
}

// Run runs the suite.
func Run(t *testing.T, b Backend) {
	t.Helper()
	t.Run("spec is sound", func(t *testing.T) { checkSpec(t, b.Connector.Spec()) })
	t.Run("good login connects", func(t *testing.T) {
		r, f := run(t, b, b.Good, 0)
		if f != nil {
			t.Fatalf("not connected: %s: %v (hint %q, cause %v)", f.Code, f, f.Hint, f.Err)
		}
		if r.Message == "" || r.Latency <= 0 || len(r.Steps) == 0 {
			t.Errorf("report is incomplete: %+v", r)
		}
	})
	for _, c := range append(networkCases(t, b), b.Cases...) {
		t.Run(c.Name, func(t *testing.T) { check(t, b, c) })
	}
	for _, c := range append(commonInvalid(b), b.Invalid...) {
		t.Run("refuses "+c.Name, func(t *testing.T) { checkInvalid(t, b, c) })
	}
	t.Run("a hundred failures leave nothing behind", func(t *testing.T) { checkLeaks(t, b) })
}

func run(t *testing.T, b Backend, raw Config, timeout time.Duration) (connectors.Report, *connectors.Failure) {
	t.Helper()
	c, faults := b.Connector.Spec().Validate(raw, b.Env)
	if len(faults) > 0 {
		t.Fatalf("configuration refused: %+v", faults)
	}
	return connectors.Run(context.Background(), b.Connector, c, b.Env, timeout)
}

func check(t *testing.T, b Backend, c Case) {
	t.Helper()
	timeout := c.Timeout
	if timeout == 0 {
		timeout = 10 * time.Second
	}
	raw := With(b.Good, c.Change)
	start := time.Now()
	r, f := run(t, b, raw, timeout)
	if took := time.Since(start); took > timeout+2*time.Second {
		t.Errorf("took %s with a budget of %s", took, timeout)
	}
	noSecrets(t, b, raw, r, f)
	want := append([]connectors.Code{c.Want}, c.OneOf...)
	got := connectors.Code("")
	if f != nil {
		got = f.Code
	}
	ok := false
	for _, w := range want {
		ok = ok || (w == got && (w != "" || len(c.OneOf) == 0))
	}
	if !ok {
		t.Fatalf("got code %q (%v), want %v; stage %v", got, f, want, stageOf(f))
	}
	if c.Stage != "" && stageOf(f) != c.Stage {
		t.Errorf("got stage %q, want %q", stageOf(f), c.Stage)
	}
	if c.Contain != "" && (f == nil || !strings.Contains(f.Error()+" "+f.Hint, c.Contain)) {
		t.Errorf("sentence %q (hint %q) lacks %q", f, f.Hint, c.Contain)
	}
	if c.Warning != "" && !hasWarning(r, c.Warning) {
		t.Errorf("warnings %+v lack %q", r.Warnings, c.Warning)
	}
	if c.Check != nil {
		c.Check(t, r, f)
	}
}

func stageOf(f *connectors.Failure) connectors.Stage {
	if f == nil {
		return ""
	}
	return f.Stage
}

func hasWarning(r connectors.Report, code string) bool {
	for _, w := range r.Warnings {
		if w.Code == code {
			return true
		}
	}
	return false
}

func noSecrets(t *testing.T, b Backend, raw Config, r connectors.Report, f *connectors.Failure) {
	t.Helper()
	text := fmt.Sprintf("%+v", r)
	if f != nil {
		text += f.Error() + f.Hint + fmt.Sprint(f.Err)
	}
	c, _ := b.Connector.Spec().Validate(raw, b.Env)
	for _, s := range b.Connector.Spec().Secrets(c) {
		if len(s) >= 4 && strings.Contains(text, s) {
			t.Errorf("a secret shows in %s", text)
		}
	}
}

const httpAnswer = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

// networkCases are the faults any server on a network can have.
func networkCases(t *testing.T, b Backend) []Case {
	if b.At == nil {
		return nil
	}
	at := func(port int) Config { return b.At("127.0.0.1", port) }
	foreign := []connectors.Code{connectors.ProtocolMismatch, connectors.TLSHandshake, connectors.Closed}
	if b.ServerFirst {
		foreign = foreign[:1]
	}
	all := []Case{
		{Name: "closed port is refused", Change: at(testbed.ClosedPort(t)), Want: connectors.Refused, Stage: connectors.StageConnect},
		{Name: "unknown host is a DNS failure", Change: b.At("no-such-host.invalid", 1), Want: connectors.DNSFailure, Stage: connectors.StageResolve},
		{Name: "silent port times out within the budget", Change: at(testbed.SilentPeer(t)), Want: connectors.Timeout, Timeout: time.Second},
		{Name: "instant close is told", Change: at(testbed.ClosingPeer(t)), Want: connectors.Closed, OneOf: []connectors.Code{connectors.TLSHandshake}},
		{Name: "an SSH server is another protocol", Change: at(testbed.BannerPeer(t, "SSH-2.0-OpenSSH_9.2\r\n")), Want: foreign[0], OneOf: foreign, Timeout: 2 * time.Second},
		{Name: "an HTTP server is another protocol", Change: at(testbed.BannerPeer(t, httpAnswer)), Want: foreign[0], OneOf: foreign, Timeout: 2 * time.Second},
	}
	var out []Case
	for _, c := range all {
		if _, skip := b.Skip[c.Name]; !skip {
			out = append(out, c)
		}
	}
	return out
}

func commonInvalid(b Backend) []Invalid {
	out := []Invalid{{"an unknown key", Config{"pasword": "x"}, []string{"pasword"}}}
	for _, f := range b.Connector.Spec().Fields {
		switch {
		case f.Required:
			out = append(out, Invalid{"a missing " + f.Name, Config{f.Name: nil}, []string{f.Name}})
		case f.Name == "port":
			out = append(out,
				Invalid{"port 0", Config{"port": float64(0)}, []string{"port"}},
				Invalid{"port 65536", Config{"port": float64(65536)}, []string{"port"}},
				Invalid{"a port as text", Config{"port": "5432"}, []string{"port"}})
		case f.Kind == connectors.Boolean:
			out = append(out, Invalid{f.Name + " as text", Config{f.Name: "true"}, []string{f.Name}})
		case f.Kind == connectors.String && !f.Multiline:
			out = append(out, Invalid{"a line break in " + f.Name, Config{f.Name: "a\r\nb"}, []string{f.Name}})
		}
	}
	return out
}

func checkInvalid(t *testing.T, b Backend, c Invalid) {
	t.Helper()
	_, faults := b.Connector.Spec().Validate(With(b.Good, c.Change), b.Env)
	named := map[string]bool{}
	for _, f := range faults {
		named[f.Field] = true
		if f.Message == "" {
			t.Errorf("fault of %q says nothing", f.Field)
		}
	}
	for _, want := range c.Fields {
		if !named[want] {
			t.Errorf("faults %+v do not name %q", faults, want)
		}
	}
}

func checkSpec(t *testing.T, s connectors.Spec) {
	t.Helper()
	seen := map[string]bool{}
	for _, f := range s.Fields {
		if seen[f.Name] {
			t.Errorf("field %q twice", f.Name)
		}
		seen[f.Name] = true
		if f.Doc == "" {
			t.Errorf("field %q has no documentation", f.Name)
		}
		if f.Sealed() && f.Kind != connectors.String {
			t.Errorf("field %q is secret but no string", f.Name)
		}
	}
	if s.Type == "" || s.Title == "" || s.Doc == "" {
		t.Errorf("spec lacks a type, a title or a sentence: %+v", s)
	}
}

// checkLeaks lets a hundred tests fail and compares what the process holds.
func checkLeaks(t *testing.T, b Backend) {
	t.Helper()
	bad := b.Good
	if b.At != nil {
		bad = With(b.Good, b.At("127.0.0.1", testbed.ClosingPeer(t)))
	} else {
		for _, c := range b.Cases {
			if c.Want != "" {
				bad = With(b.Good, c.Change)
				break
			}
		}
	}
	run(t, b, bad, time.Second)
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	for range 100 {
		run(t, b, bad, 2*time.Second)
	}
	deadline := time.Now().Add(5 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ; ; <-tick.C {
		g, f := runtime.NumGoroutine(), openFiles(t)
		if g <= goroutines && f <= files {
			return
		}
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<16)
			t.Fatalf("goroutines %d → %d, files %d → %d\n%s", goroutines, g, files, f, buf[:runtime.Stack(buf, true)])
		}
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

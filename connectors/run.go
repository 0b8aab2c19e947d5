package connectors

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// The bounds of a whole connection test.
const (
	DefaultTimeout = 10 * time.Second
	MinTimeout     = 1 * time.Second
	MaxTimeout     = 30 * time.Second
	// grace is how long Run waits past the deadline for a connector to notice
	// it before answering without it.
	grace = 150 * time.Millisecond
)

// Run tests one configuration with a connector: one attempt within timeout,
// or, when that is zero, within the configuration's own timeout, or 10 s,
// clamped to 1 to 30 s. A panic in a driver becomes a Failure with code
// internal. The returned Report is filled as far as the test came; the Failure
// is nil when connected. No secret of c appears in either.
func Run(ctx context.Context, conn Connector, c Config, env Env, timeout time.Duration) (Report, *Failure) {
	spec := conn.Spec()
	if timeout == 0 {
		timeout = ownTimeout(c)
	}
	timeout = min(max(timeout, MinTimeout), MaxTimeout)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	p := newProbe(env)
	done := make(chan error, 1)
	go func() { done <- guarded(ctx, conn, p, c) }()
	var err error
	select {
	case err = <-done:
	case <-afterGrace(ctx):
		// Every socket of the test has timed out by now; closing them ends a
		// driver that is still busy, and its goroutine with it.
		err = context.Cause(ctx)
	}
	p.close()
	report := p.finish()
	hide := scrubber(spec.Secrets(c))
	if err == nil {
		if report.Message == "" {
			report.Message = "Connection successful"
		}
		report.scrub(hide)
		return report, nil
	}
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		<-ctx.Done() // the sockets' deadline is the same, but may be noticed first
	}
	if ctxErr := ctx.Err(); ctxErr != nil {
		var f *Failure
		if !errors.As(err, &f) || f.Code == Closed || f.Code == Internal {
			err = ctxErr
		}
	}
	f := *classify(err, p)
	if errors.Is(ctx.Err(), context.Canceled) && f.Code == Internal {
		f.Detail = "the test was cancelled"
	}
	if f.Stage == "" {
		f.Stage = p.Stage()
	}
	if f.Phrase == "" {
		f.Phrase = phrases[f.Code]
	}
	f.Phrase, f.Detail, f.Hint = hide(f.Phrase), hide(f.Detail), hide(f.Hint)
	if f.Err != nil {
		f.Err = errors.New(hide(f.Err.Error())) // drivers put DSNs into their errors
	}
	report.Message = ""
	report.scrub(hide)
	return report, &f
}

func guarded(ctx context.Context, conn Connector, p *Probe, c Config) (err error) {
	defer func() {
		if r := recover(); r != nil {
			f := &Failure{Code: Internal, Detail: "the driver failed on the server's answer", Err: fmt.Errorf("panic: %v\n%s", r, debug.Stack())}
			if first := p.First(); len(first) > 0 {
				f = &Failure{Code: ProtocolMismatch, Detail: "it said " + printable(first, 40), Err: f.Err}
			}
			err = f
		}
	}()
	return conn.Test(ctx, p, c)
}

// afterGrace fires a little after ctx ends.
func afterGrace(ctx context.Context) <-chan time.Time {
	late := make(chan time.Time, 1)
	context.AfterFunc(ctx, func() {
		time.AfterFunc(grace, func() { late <- time.Now() })
	})
	return late
}

func ownTimeout(c Config) time.Duration {
	for key, unit := range map[string]time.Duration{
		"timeout_seconds": time.Second, "connect_timeout": time.Second, "connection_timeout": time.Second,
		"connect_timeout_ms": time.Millisecond, "timeout_ms": time.Millisecond,
	} {
		if n := c.Int(key); n > 0 {
			return time.Duration(n) * unit
		}
	}
	return DefaultTimeout
}

func (r *Report) scrub(hide func(string) string) {
	r.Message, r.ServerVersion = hide(r.Message), hide(r.ServerVersion)
	for i := range r.Warnings {
		r.Warnings[i].Message = hide(r.Warnings[i].Message)
	}
	for i := range r.Peers {
		r.Peers[i].Version, r.Peers[i].Error = hide(r.Peers[i].Version), hide(r.Peers[i].Error)
	}
}

// scrubber replaces every secret of four characters or more by ***, in the
// forms in which drivers and servers echo them.
func scrubber(secrets []string) func(string) string {
	var pairs []string
	// The longest first: of two that begin alike, the shorter would leave the
	// tail of the longer.
	secrets = slices.SortedFunc(slices.Values(secrets), func(a, b string) int { return len(b) - len(a) })
	for _, s := range secrets {
		if len(s) < 4 {
			continue
		}
		for _, form := range []string{s, url.QueryEscape(s), url.PathEscape(s), base64.StdEncoding.EncodeToString([]byte(s)), strings.Trim(fmt.Sprintf("%q", s), `"`)} {
			pairs = append(pairs, form, "***")
		}
	}
	r := strings.NewReplacer(pairs...)
	return func(s string) string {
		if len(pairs) == 0 {
			return s
		}
		return r.Replace(s)
	}
}

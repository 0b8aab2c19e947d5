package connectors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Tool is a run of an engine's own program, such as pg_dump.
type Tool struct {
	// Path is the program; looked up in PATH when it has no slash.
	Path string
	// Args may be read by everybody on this machine: no secrets.
	Args []string
	// Env is all that the program sees beside PATH and the locale: passwords
	// go here, or into a file of PrivateFiles.
	Env []string
	// Stdin is read to its end. When reading fails the program is killed, so
	// that it does not take the part for the whole. None when nil.
	Stdin io.Reader
	// Stdout takes what the program writes, as it writes it. Discarded when nil.
	Stdout io.Writer
	// Secrets are hidden in what is told of the program's complaints.
	Secrets []string
}

// ToolError is the cause of the Failure of a Tool that ran and complained.
type ToolError struct {
	Tool   string
	Status string // such as "exit status 1"
	Stderr string // the end of it, without secrets
}

// Error tells the program, its status and what it complained of.
func (e *ToolError) Error() string { return e.Tool + ": " + e.Status + ": " + e.Stderr }

const (
	// mostStderr is how much of a program's complaints is kept: the last.
	mostStderr = 4 << 10
	// toolGrace is how long RunTool waits for a reader or writer of the caller
	// after the program is dead.
	toolGrace = time.Second
)

// RunTool runs a program to its end, or until ctx ends: then it is killed with
// all that it started. Its error wraps ErrToolMissing when there is no such
// program, the error of ctx, Stdin or Stdout when they broke it off, and a
// *ToolError otherwise. A Stdin or Stdout that blocks when ctx ends is left
// behind: whoever gave it closes it.
func RunTool(ctx context.Context, t Tool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	name := filepath.Base(t.Path)
	path, err := exec.LookPath(t.Path)
	if err != nil {
		return &Failure{Code: Internal, Phrase: "The program " + name + " is not installed", Hint: "Install it on the machine that runs Backplane.",
			Err: fmt.Errorf("%w: %w", ErrToolMissing, err)}
	}
	r := &toolRun{Tool: t, cmd: exec.Command(path, t.Args...)}
	r.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}, t.Env...)
	r.cmd.Stderr = &r.stderr
	r.cmd.WaitDelay = toolGrace // for what the program left running with its stderr
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return r.run(ctx, name)
}

// toolRun is a program at work with the pipes to it.
type toolRun struct {
	Tool
	cmd    *exec.Cmd
	stderr tail

	mu    sync.Mutex
	ended bool // guarded by mu: its process id may be another's by now
}

func (r *toolRun) run(ctx context.Context, name string) error {
	in, out := make(chan error, 1), make(chan error, 1)
	var theirs, ours *os.File // of the last pipe
	var pipes []*os.File
	defer func() { closeAll(pipes) }()
	feed, drain := func() { in <- nil }, func() { out <- nil }
	var given []*os.File
	var err error
	if r.Stdin != nil {
		if theirs, ours, err = os.Pipe(); err != nil {
			return err
		}
		pipes, given = append(pipes, theirs, ours), append(given, theirs)
		r.cmd.Stdin = theirs
		w := ours
		feed = func() { in <- r.feed(w) }
	}
	if r.Stdout != nil {
		if ours, theirs, err = os.Pipe(); err != nil {
			return err
		}
		pipes, given = append(pipes, theirs, ours), append(given, theirs)
		r.cmd.Stdout = theirs
		source := ours
		drain = func() { out <- r.drain(source) }
	}
	if err := r.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	closeAll(given)
	defer context.AfterFunc(ctx, r.kill)()
	go feed()
	go drain()
	return r.outcome(ctx, name, in, out)
}

// outcome waits for the program and its pipes, and tells what was wrong first.
func (r *toolRun) outcome(ctx context.Context, name string, in, out <-chan error) error {
	exit := r.cmd.Wait()
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	// What the program wrote is complete only when it is handed on, however
	// long that takes. Nobody needs what it did not read.
	var read, written error
	select {
	case written = <-out:
	case <-ctx.Done():
		written = within(toolGrace, out)
	}
	read = within(toolGrace, in)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", name, ctx.Err())
	case read != nil:
		return fmt.Errorf("read what %s was to load: %w", name, read)
	case written != nil:
		return fmt.Errorf("write what %s dumped: %w", name, written)
	case exit == nil:
		return nil
	}
	hide := scrubber(r.Secrets)
	e := &ToolError{Tool: name, Status: hide(exit.Error()), Stderr: hide(r.stderr.String())}
	return &Failure{Code: Internal, Phrase: name + " failed", Detail: strings.ReplaceAll(e.Stderr, "\n", "; "), Err: e}
}

// within is what comes in time, or nil.
func within(wait time.Duration, from <-chan error) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case err := <-from:
		return err
	case <-timer.C:
		return nil
	}
}

// feed hands Stdin to the program. That the program takes no more is for its
// status to tell.
func (r *toolRun) feed(w *os.File) error {
	defer w.Close()
	source := &failedReader{r: r.Stdin}
	io.Copy(w, source) //nolint:errcheck // the source remembers its own
	if source.err != nil {
		r.kill()
	}
	return source.err
}

// drain hands on what the program writes.
func (r *toolRun) drain(source *os.File) error {
	_, err := io.Copy(r.Stdout, source)
	if err != nil {
		r.kill()
	}
	return err
}

// kill ends the program and all that it started.
func (r *toolRun) kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL) //nolint:errcheck // gone already
	}
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close() //nolint:errcheck // pipes, closed before perhaps
	}
}

// failedReader remembers why reading ended early.
type failedReader struct {
	r   io.Reader
	err error
}

func (f *failedReader) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}

// tail keeps the end of what is written to it.
type tail struct{ buf []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - mostStderr; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(strings.ToValidUTF8(string(t.buf), "?")) }

// PrivateFiles writes files that only this user can read into a new folder, and
// returns their paths under the same keys. remove takes them away again.
func PrivateFiles(content map[string]string) (paths map[string]string, remove func(), err error) {
	dir, err := os.MkdirTemp("", "backplane-")
	if err != nil {
		return nil, nil, err
	}
	remove = func() { os.RemoveAll(dir) } //nolint:errcheck // nothing more can be done
	paths = make(map[string]string, len(content))
	for name, text := range content {
		paths[name] = filepath.Join(dir, name)
		if err := os.WriteFile(paths[name], []byte(text), 0o600); err != nil {
			remove()
			return nil, nil, err
		}
	}
	return paths, remove, nil
}

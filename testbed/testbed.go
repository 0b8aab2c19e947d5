// Package testbed starts the real servers that tests and benchmarks talk to,
// on free loopback ports and in temporary folders, and stops them again. The
// programs come from Debian packages or are built from Go modules: see
// install.sh beside this file, which `make test` runs first.
//
// Only tests and benchmarks import it.
package testbed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// TB is what a server needs from the test or benchmark that owns it;
// *testing.T and *testing.B have it.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
	Cleanup(func())
}

// NastyPassword is made of what breaks quoting: every connector must log in
// with it and no answer may show it.
const NastyPassword = `p@:/?#%&+ "'\äß€-word`

// startTimeout bounds how long a server may take to answer for the first time.
const startTimeout = 60 * time.Second

// Folder returns a new temporary folder that belongs to the named system user
// ("" for the current one) and is removed when t ends.
func Folder(t TB, owner string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "backplane-testbed-")
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if owner != "" && os.Getuid() == 0 {
		uid, gid := ids(t, owner)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatalf("testbed: %v", err)
		}
	}
	return dir
}

func ids(t TB, name string) (uid, gid int) {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatalf("testbed: %v (run testbed/install.sh)", err)
	}
	uid, _ = strconv.Atoi(u.Uid)
	gid, _ = strconv.Atoi(u.Gid)
	return uid, gid
}

// FreePort returns a loopback TCP port that was free a moment ago.
func FreePort(t TB) int {
	t.Helper()
	var err error
	for range 100 {
		// Below the ports that systems give to outgoing connections, of which
		// there are many while tests run.
		port := 10000 + rand.IntN(22000)
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprintf(":%d", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatalf("testbed: no port is free: %v", err)
	return 0
}

// Process describes a server program to run.
type Process struct {
	Path  string   // program; looked up in PATH when it has no slash
	Args  []string // without the program's name
	Dir   string
	User  string   // system user to run as; "" for the current one
	Env   []string // added to a minimal environment
	Ready func(ctx context.Context) error
	// Stop is the signal that ends the server at once and cleanly; SIGTERM
	// when zero.
	Stop syscall.Signal
}

// Running is a started process.
type Running struct {
	cmd  *exec.Cmd
	done chan struct{}
	log  syncBuffer
	stop syscall.Signal
}

// Start runs a process until t ends, and returns once Ready succeeds.
func Start(t TB, p Process) *Running {
	t.Helper()
	r := launch(t, p)
	r.await(t, filepath.Base(p.Path), p.Ready)
	return r
}

// launch is Start without waiting.
func launch(t TB, p Process) *Running {
	t.Helper()
	path, err := exec.LookPath(p.Path)
	if err != nil {
		t.Fatalf("testbed: %v (run testbed/install.sh)", err)
	}
	r := &Running{cmd: exec.Command(path, p.Args...), done: make(chan struct{}), stop: p.Stop}
	if r.stop == 0 {
		r.stop = syscall.SIGTERM
	}
	r.cmd.Dir = p.Dir
	r.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin", "LC_ALL=C.UTF-8", "HOME=" + p.Dir}, p.Env...)
	r.cmd.Stdout, r.cmd.Stderr = &r.log, &r.log
	// It has a session, and so a group of processes, of its own, as from a
	// service manager.
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if p.User != "" && os.Getuid() == 0 {
		uid, gid := ids(t, p.User)
		r.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	// Pdeathsig follows the thread that forks, so that one stays until the
	// process has ended.
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := r.cmd.Start()
		started <- err
		if err == nil {
			r.cmd.Wait()
		}
		close(r.done)
	}()
	if err := <-started; err != nil {
		t.Fatalf("testbed: start %s: %v", filepath.Base(path), err)
	}
	t.Cleanup(r.Close)
	return r
}

func (r *Running) await(t TB, name string, ready func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		try, stop := context.WithTimeout(ctx, 2*time.Second)
		last = ready(try)
		stop()
		if last == nil {
			return
		}
		select {
		case <-r.done:
			t.Fatalf("testbed: %s ended before it was ready: %v\n%s", name, last, r.Log())
		case <-ctx.Done():
			t.Fatalf("testbed: %s not ready after %s: %v\n%s", name, startTimeout, last, r.Log())
		case <-tick.C:
		}
	}
}

// Log returns what the server printed so far.
func (r *Running) Log() string { return r.log.String() }

// Signal sends a signal to the server, for example SIGSTOP to freeze it.
func (r *Running) Signal(s syscall.Signal) error { return syscall.Kill(-r.cmd.Process.Pid, s) }

// Kill ends the server at once, as a crash does.
func (r *Running) Kill() {
	select {
	case <-r.done: // its number may be another's by now
	default:
		syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
		<-r.done
	}
}

// Close stops the server: its stop signal first, then force. It may be called
// more than once.
func (r *Running) Close() {
	select {
	case <-r.done:
		return
	default:
	}
	syscall.Kill(-r.cmd.Process.Pid, syscall.SIGCONT)
	r.cmd.Process.Signal(r.stop)
	select {
	case <-r.done:
	case <-time.After(10 * time.Second):
	}
	syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
	<-r.done
}

// Run runs a helper program (initdb, a password tool) to its end.
func Run(t TB, p Process) string {
	t.Helper()
	cmd := exec.Command(p.Path, p.Args...)
	cmd.Dir = p.Dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin", "LC_ALL=C.UTF-8", "HOME=" + p.Dir}, p.Env...)
	if p.User != "" && os.Getuid() == 0 {
		uid, gid := ids(t, p.User)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("testbed: %s: %v\n%s", filepath.Base(p.Path), err, out)
	}
	return string(out)
}

// Listening is a Ready function: something accepts on the loopback port.
func Listening(port int) func(context.Context) error {
	return func(ctx context.Context) error {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", Addr(port))
		if err != nil {
			return err
		}
		return c.Close()
	}
}

// Addr is a loopback port as host:port.
func Addr(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Write writes a file that every system user may read.
func Write(t TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatalf("testbed: %v", err)
	}
}

// Built returns the path of a program that install.sh built from a Go module.
func Built(t TB, name string) string {
	t.Helper()
	path, err := builtPath(name)
	if err != nil {
		t.Fatalf("testbed: %v (run testbed/install.sh)", err)
	}
	return path
}

func builtPath(name string) (string, error) {
	dir := os.Getenv("BACKPLANE_TESTBED_BIN")
	if dir == "" {
		root, err := moduleRoot()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(root, ".cache", "bin")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is not built: %w", name, err)
	}
	return path, nil
}

// installed returns the path of a program among the Python packages that
// install.sh installed under a name.
func installed(t TB, name, program string) string {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	path := filepath.Join(root, ".cache", name, "bin", program)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("testbed: %s is not installed: %v (run testbed/install.sh)", name, err)
	}
	return path
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "testbed", "install.sh")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("not inside the repository")
		}
		dir = parent
	}
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

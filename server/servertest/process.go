package servertest

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Process is the program, run as a user would.
type Process struct {
	Server        // its client half, for REST
	Out    Buffer // what it printed
	Log    Buffer // what it wrote to standard error

	cmd   *exec.Cmd
	ended chan struct{}
}

// Build makes the program; args are further arguments of go build.
func Build(t testing.TB, args ...string) (bin string) {
	t.Helper()
	bin = filepath.Join(t.TempDir(), "backplane")
	args = append(append([]string{"build", "-o", bin}, args...), "github.com/backplane/backplane/cmd/backplane")
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

var (
	printedREST = regexp.MustCompile(`REST +(http://\S+)`)
	printedGRPC = regexp.MustCompile(`gRPC +(\S+)`)
)

// Launch starts `backplane serve` in its own folder; env are further variables.
// It returns once the program has told where it listens, or has ended, when URL
// is empty.
func Launch(t testing.TB, bin, dir string, env []string, args ...string) *Process {
	t.Helper()
	p := &Process{cmd: exec.Command(bin, append([]string{"serve"}, args...)...), ended: make(chan struct{})}
	p.Client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	p.cmd.Dir = dir
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "BACKPLANE_REST_ADDR=127.0.0.1:0", "BACKPLANE_GRPC_ADDR=127.0.0.1:0", "BACKPLANE_GATEWAY_HTTP=127.0.0.1:0", "BACKPLANE_GATEWAY_HTTPS=127.0.0.1:0"}, env...)
	p.cmd.Stderr = &p.Log
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	greeted := make(chan [2]string, 1)
	go func() {
		defer close(p.ended)
		lines, at := bufio.NewScanner(stdout), [2]string{}
		for lines.Scan() {
			fmt.Fprintln(&p.Out, lines.Text())
			for i, printed := range []*regexp.Regexp{printedREST, printedGRPC} {
				if m := printed.FindStringSubmatch(lines.Text()); m != nil && at[i] == "" {
					at[i] = m[1]
				}
			}
			if strings.HasPrefix(lines.Text(), "    -d ") { // the greeting's last line
				greeted <- at
			}
		}
		p.cmd.Wait() //nolint:errcheck // the tests look at its state
	}()
	t.Cleanup(func() { p.Signal(syscall.SIGKILL); <-p.ended; p.Client.CloseIdleConnections() })
	select {
	case at := <-greeted:
		p.URL, p.GRPC = at[0], at[1]
	case <-p.ended:
	case <-time.After(Patience):
		t.Fatalf("the program does not start: %s", p.Log.String())
	}
	return p
}

// Serve is Launch for a start that must succeed.
func Serve(t testing.TB, bin, dir string, env []string, args ...string) *Process {
	t.Helper()
	p := Launch(t, bin, dir, env, args...)
	if p.URL == "" {
		t.Fatalf("the program ended: %s", p.Log.String())
	}
	return p
}

// Signal sends a signal to the program, which may have ended.
func (p *Process) Signal(s syscall.Signal) {
	p.cmd.Process.Signal(s) //nolint:errcheck // it may have ended
}

// Exit waits for the end and returns the exit code, -1 for a signal's, and what
// was printed on standard error.
func (p *Process) Exit(t testing.TB) (int, string) {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(Patience):
		t.Fatal("the program does not end")
	}
	return p.cmd.ProcessState.ExitCode(), p.Log.String()
}

// Killed waits for the end and reports whether the program was killed.
func (p *Process) Killed(t testing.TB) bool {
	t.Helper()
	p.Exit(t)
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/backplane/backplane/testbed"
)

// clockTick is how the kernel counts CPU time for programs: always in 1/100 s.
const clockTick = 10 * time.Millisecond

// process is a server that runs beside the benchmark.
type process struct {
	cmd    *exec.Cmd
	output bytes.Buffer
	done   chan struct{}
	// ready is how long the server took from its start to its first answer.
	ready time.Duration
}

// start runs a program until o ends and waits until ready succeeds.
func start(o *owner, env []string, ready func(context.Context) error, path string, args ...string) *process {
	p := &process{cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir()}, env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	// The server must not outlive a benchmark that is interrupted. Pdeathsig
	// follows the thread that forks, so that one stays until the server ends.
	// It has a session of its own, as from a service manager: among those the
	// kernel shares the processors out.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	began, started := time.Now(), make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.cmd.Wait() //nolint:errcheck // how it ended is seen in its output
		}
		close(p.done)
	}()
	o.must(<-started)
	o.Cleanup(p.stop)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			p.ready = time.Since(began)
			return p
		}
		select {
		case <-tick.C:
		case <-p.done:
			o.Fatalf("%s ended before it was ready: %s", filepath.Base(path), p.output.String())
		case <-ctx.Done():
			o.Fatalf("%s is not ready: %v", filepath.Base(path), err)
		}
	}
}

// stop ends the server; it may be called more than once.
func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended
	select {
	case <-p.done:
	case <-time.After(15 * time.Second):
		p.cmd.Process.Kill() //nolint:errcheck // it may have ended
		<-p.done
	}
}

// cpu is the CPU time that the process has used, with that of its children.
func (p *process) cpu(o *owner) time.Duration {
	pid := p.cmd.Process.Pid
	of, _, err := cpuOf(pid)
	o.must(err)
	entries, err := os.ReadDir("/proc")
	o.must(err)
	for _, e := range entries {
		child, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if used, parent, err := cpuOf(child); err == nil && parent == pid {
			of += used
		}
	}
	return of
}

// cpuOf is the CPU time of one process, and the number of its parent.
func cpuOf(pid int) (used time.Duration, parent int, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	// The name, in parentheses, may hold anything; fields are counted after it.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	var n [3]int
	for i, at := range [...]int{1, 11, 12} {
		if n[i], err = strconv.Atoi(fields[at]); err != nil {
			return 0, 0, err
		}
	}
	return time.Duration(n[1]+n[2]) * clockTick, n[0], nil
}

// resident is the memory that the process holds, in MiB.
func (p *process) resident(o *owner) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	o.must(err)
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(v), " kB"))
			o.must(err)
			return float64(kib) / 1024
		}
	}
	o.Fatalf("the kernel does not tell the resident memory")
	return 0
}

// freeAddr is a loopback address that was free a moment ago.
func freeAddr(o *owner) string { return testbed.Addr(testbed.FreePort(o)) }

package evloop

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// TestGiveWay runs in a process of its own, whose threads it changes.
func TestGiveWay(t *testing.T) {
	if os.Getenv("EVLOOP_GIVE_WAY") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestGiveWay$")
		cmd.Env = append(os.Environ(), "EVLOOP_GIVE_WAY=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	// A thread for which something else was chosen.
	chosen, release := make(chan int), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_IDLE}, 0); err != nil {
			t.Error(err)
		}
		chosen <- unix.Gettid()
		<-release
	}()
	idle := <-chosen
	defer close(release)
	must(t, GiveWay())
	// Threads that start later do as those that are there.
	for range 2 * runtime.GOMAXPROCS(0) {
		go func() {
			runtime.LockOSThread()
			<-release
		}()
	}
	threads, err := os.ReadDir("/proc/self/task")
	must(t, err)
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		must(t, err)
		attr, err := unix.SchedGetAttr(id, 0)
		if err == unix.ESRCH {
			continue
		}
		must(t, err)
		if want := uint32(unix.SCHED_BATCH); id != idle && attr.Policy != want {
			t.Errorf("thread %d has policy %d", id, attr.Policy)
		}
		if id == idle && attr.Policy != unix.SCHED_IDLE {
			t.Errorf("the thread with a policy of its own has %d now", attr.Policy)
		}
	}
	must(t, GiveWay()) // once more
}

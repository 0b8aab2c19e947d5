package evloop

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// GiveWay has the kernel let other threads finish what they are at when one of
// this program wakes (SCHED_BATCH, sched(7)). A loop has so gathered more by the
// time that it runs, and those that it works for are not stopped halfway: on a
// machine that all of them share, more is done, and sooner. Where a processor is
// free nothing changes.
//
// It is for a program's main function. Threads and processes that are started
// later do the same. Threads for which something else was chosen than the usual
// policy keep that.
func GiveWay() error {
	const rounds = 20 // far more than it takes, unless changes have no effect
	for range rounds {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("list threads: %w", err)
		}
		changed := false
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil {
				return fmt.Errorf("list threads: %w", err)
			}
			done, err := giveWay(id)
			if err != nil {
				return fmt.Errorf("scheduling policy of a thread: %w", err)
			}
			changed = changed || done
		}
		if !changed {
			return nil // nor was there a thread that could start others
		}
	}
	return errors.New("scheduling policy: threads do not keep it")
}

// giveWay changes one thread, and tells whether there was something to change.
func giveWay(thread int) (bool, error) {
	attr, err := unix.SchedGetAttr(thread, 0)
	switch {
	case errors.Is(err, unix.ESRCH):
		return false, nil // it has ended
	case err != nil:
		return false, os.NewSyscallError("sched_getattr", err)
	case attr.Policy != unix.SCHED_NORMAL:
		return false, nil
	}
	// All else that was read is not to be set: a slice of time, too, would be
	// the thread's own from then on.
	batch := unix.SchedAttr{Policy: unix.SCHED_BATCH, Nice: attr.Nice}
	if err := unix.SchedSetAttr(thread, &batch, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return false, os.NewSyscallError("sched_setattr", err)
	}
	return true, nil
}

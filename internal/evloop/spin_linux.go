package evloop

import (
	"syscall"
	"time"
)

// A thread that sleeps costs those that wake it, and longest where its
// processor has gone to sleep as well. So a loop for which something comes all
// the time does not sleep at once: it looks again a few times, and lets the
// other threads of the machine go first in between.

const (
	// spinTurns is how often a loop looks again before it sleeps. It takes some
	// 15 µs, and longer only where other threads use the processor meanwhile.
	spinTurns = 30
	// spinPays is up to which length of the waits, on average, that is done:
	// what comes more seldom is worth no processor.
	spinPays = 64 * time.Microsecond
	// spinYields is when a loop gives up that has let others go first: they
	// would keep it waiting for longer than if it were woken.
	spinYields = time.Millisecond

	longWait = 8 * spinPays // counts for all longer ones
)

// habit tells from how long a loop has waited whether it should spin.
type habit struct {
	mayNot bool
	usual  time.Duration // the moving average
}

// newHabit begins with long waits. Loops that spin give their places among the
// goroutines back late: there must be more places than loops. And where there
// is but one processor nothing comes unless others have it.
func newHabit(loops, places, processors int) habit {
	return habit{mayNot: loops >= places || processors < 2, usual: longWait}
}

func (h *habit) spins() bool { return h.usual <= spinPays && !h.mayNot }

// waited notes how long a wait was, 0 for one that has ended before the loop
// would have slept.
func (h *habit) waited(d time.Duration) { h.usual += (min(d, longWait) - h.usual) / 8 }

// spin looks for events a number of times, and returns as soon as there are any,
// or mail.
func (l *loop) spin() int {
	var began time.Duration
	for turn := range spinTurns {
		n := l.look()
		switch {
		case n > 0 || l.mail.Load():
			l.habit.waited(0)
			return n
		case turn == 0:
			began = l.elapsed()
		case l.elapsed() > began+spinYields:
			return 0
		}
		syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0)
	}
	return 0
}

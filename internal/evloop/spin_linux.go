package evloop

import (
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// A thread that sleeps costs those that wake it, and longest where its
// processor has gone to sleep as well. So a loop for which something comes all
// the time does not sleep at once: it looks again a few times, and lets the
// other threads of the machine go first in between.
//
// Where tasks talk to a thread each, that pays only while processors are to
// spare. With many tasks at work those threads need the processors, and while a
// loop sleeps more gathers that can be done at once (Options.Crowd).

const (
	// spinTurns is how often a loop looks again before it sleeps. It takes some
	// 15 µs, and longer only where other threads use the processor meanwhile.
	spinTurns = 30
	// loneTurns is the same for loops that spin only while processors are to
	// spare (Options.Crowd): as long as what comes takes on average, when that
	// is about spinPays.
	loneTurns = 100
	// spinTurn is what a turn takes at most where nobody else gets the processor.
	spinTurn = 2 * time.Microsecond
	// spinPays is up to which length of the waits, on average, that is done:
	// what comes more seldom is worth no processor.
	spinPays = 64 * time.Microsecond
	// spinYields is when a loop gives up that has let others go first: they
	// would keep it waiting for longer than if it were woken.
	spinYields = time.Millisecond

	// napPays is up to which length of the waits, on average, a loop sleeps
	// without telling the scheduler of goroutines (habit.naps).
	napPays = 4 * spinPays

	longWait = 8 * spinPays // counts for all longer ones

	// windowBits is the length of the windows of time in which the tasks at work
	// are counted: so many bits of nanoseconds, about a millisecond.
	windowBits = 20
)

// habit tells from how long a loop has waited whether it should spin.
type habit struct {
	mayNot   bool
	mustTell bool          // the scheduler has to be told of every sleep
	usual    time.Duration // the moving average
	turns    int           // of a spin
	crowd    int           // tasks at work of the group, with which it is not worth it; 0 for no limit
	crowded  bool          // there were so many in the last window
}

// newHabit begins with long waits. Loops that spin give their places among the
// goroutines back late: there must be more places than loops. And where there
// is but one processor nothing comes unless others have it. For naps there must
// be more places than loops of two such groups (MakeRoom).
func newHabit(o Options, places, processors int) habit {
	h := habit{
		mayNot:   max(o.Loops, 1) >= places || processors < 2,
		mustTell: 2*max(o.Loops, 1) >= places || !preempts(os.Getenv("GODEBUG")),
		usual:    longWait,
		turns:    spinTurns,
		crowd:    o.Crowd,
	}
	if o.Crowd > 0 {
		h.turns = loneTurns
	}
	return h
}

// preempts tells from GODEBUG whether the scheduler sends threads signals.
func preempts(debug string) bool { return !strings.Contains(debug, "asyncpreemptoff=1") }

func (h *habit) spins() bool { return h.usual <= spinPays && !h.mayNot && !h.crowded }

// naps tells whether a loop that is about to sleep should keep its place among
// the goroutines. One that gives it back has the scheduler's own thread awake,
// which looks every 20 µs or so who may have it, and has to find a place again:
// where sleeps are short that costs more than they bring. The scheduler takes
// the place back by a signal, which ends the nap: at once where it has to stop
// all goroutines or look at this one, and otherwise after 10 ms. Should that
// signal come just before the nap, another one follows, after those 10 ms at the
// latest. Waits of that length make naps end for good.
func (h *habit) naps() bool { return h.usual <= napPays && !h.mustTell }

// waited notes how long a wait was, 0 for one that has ended before the loop
// would have slept.
func (h *habit) waited(d time.Duration) { h.usual += (min(d, longWait) - h.usual) / 8 }

// presence counts the tasks that are at work on a loop.
type presence struct {
	window uint32
	seen   int32        // in this window
	before atomic.Int32 // in the one before
}

// saw notes that a task runs.
func (p *presence) saw(t *Task) {
	if t.seen != p.window {
		t.seen = p.window
		p.seen++
	}
}

// newWindow begins a window if it is time for that.
func (l *loop) newWindow(now time.Duration) {
	p := &l.present
	window := uint32(now>>windowBits) + 1
	if window == p.window {
		return
	}
	if window != p.window+1 {
		p.seen = 0 // it has slept since
	}
	p.before.Store(p.seen)
	p.window, p.seen = window, 0
	l.habit.crowded = l.habit.crowd > 0 && l.group.atWork(now) >= l.habit.crowd
}

// atWork is how many tasks were at work lately.
func (g *Group) atWork(now time.Duration) (n int) {
	for _, l := range g.loops {
		if now-time.Duration(l.clock.Load()) < 2<<windowBits {
			n += int(l.present.before.Load())
		}
	}
	return n
}

// spin looks for events a number of times, and returns as soon as there are any,
// or mail.
func (l *loop) spin() int {
	var began, last time.Duration
	for turn := range l.habit.turns {
		n := l.look()
		if n > 0 || l.mail.Load() {
			l.habit.waited(0)
			return n
		}
		now := l.elapsed()
		if turn == 0 {
			began, last = now, now
		}
		l.share.spun += min(now-last, spinTurn)
		if last = now; now > began+spinYields {
			return 0
		}
		syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0)
	}
	return 0
}

package evloop

import (
	"math"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// A group that gathers (Options.Gather) has its tasks on the first so many of
// its loops: one more when one of them uses up a processor, one less when the
// others would do. Each loop looks every so often at what it has used and how
// many tasks were at work on it, and hands tasks over, those that would go on
// just then, to where fewer are.
//
// What counts is processor time, not for how long a loop has not slept: where
// others use the processors, too, one more loop would wait for them as well.

const (
	// period is how often that is.
	period = 16 * time.Millisecond
	// full is what a loop uses of a processor, in thousandths, when another one
	// is to help it.
	full = 850
	// roomy is what the loops that would be left may use each, in thousandths,
	// when there is to be one less. It leaves a gap to full, so that the number
	// does not change back and forth.
	roomy = 700
	// calm is for how long that must have been so.
	calm = 500 * time.Millisecond
)

// share is what a loop does of the work of its group.
type share struct {
	period uint32        // its number, from 1 on; 0 where nothing is gathered
	began  time.Duration // when the period has begun
	thread int           // of which
	used   time.Duration // is the processor time then
	spun   time.Duration // of the period
	seen   int32         // tasks at work in the period

	hand int32 // tasks to be handed over
	to   *loop

	// What other loops look at: of the period before.
	load  atomic.Int32 // thousandths of a processor
	tasks atomic.Int32 // at work
}

// saw notes that a task runs.
func (s *share) saw(t *Task) {
	if t.worked != s.period {
		t.worked = s.period
		s.seen++
	}
}

// newPeriod begins a period if it is time for that.
func (l *loop) newPeriod(now time.Duration) {
	s := &l.share
	if !l.group.gather || s.period > 0 && now-s.began < period {
		return
	}
	thread, used := processorTime()
	if thread == s.thread && now > s.began {
		s.load.Store(thousandths(used-s.used-s.spun, now-s.began))
	}
	s.tasks.Store(s.seen)
	s.period, s.began, s.thread, s.used, s.spun, s.seen = s.period+1, now, thread, used, 0, 0
	loads := make([]int32, 0, 16)
	for _, other := range l.group.loops {
		load, _ := other.lately(now)
		loads = append(loads, load)
	}
	l.group.fit(loads, now)
	s.hand, s.to = l.surplus(now)
}

// thousandths is a part of a time, between 0 and 1000.
func thousandths(part, whole time.Duration) int32 {
	return int32(min(max(part*1000/whole, 0), 1000))
}

// processorTime is how much processor time the caller's thread has used, and
// which one that is.
func processorTime() (thread int, used time.Duration) {
	const threadClock = 3 // CLOCK_THREAD_CPUTIME_ID
	var t syscall.Timespec
	id, _, _ := syscall.RawSyscall(syscall.SYS_GETTID, 0, 0, 0)
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, threadClock, uintptr(unsafe.Pointer(&t)), 0) //nolint:errcheck // Linux has this clock
	return int(id), time.Duration(t.Nano())
}

// lately is what a loop has done in its last period; nothing if it sleeps for
// longer already.
func (l *loop) lately(now time.Duration) (load, tasks int32) {
	if now-time.Duration(l.clock.Load()) > 2*period {
		return 0, 0
	}
	return l.share.load.Load(), l.share.tasks.Load()
}

// fit changes on how many loops tasks run, if what the loops have to do lately
// asks for that.
func (g *Group) fit(loads []int32, now time.Duration) {
	width := g.width.Load()
	sum, most := int32(0), int32(0)
	for _, load := range loads {
		sum, most = sum+load, max(most, load)
	}
	switch {
	case most >= full && int(width) < len(loads):
		g.width.CompareAndSwap(width, width+1)
	case width > 1 && sum < roomy*(width-1):
		if now-time.Duration(g.strained.Load()) < calm || !g.width.CompareAndSwap(width, width-1) {
			return
		}
	}
	g.strained.Store(int64(now))
}

// surplus is how many tasks the loop is to hand over, and to which other one.
func (l *loop) surplus(now time.Duration) (n int32, to *loop) {
	least := int32(math.MaxInt32)
	for _, other := range l.group.loops[:l.group.width.Load()] {
		if _, tasks := other.lately(now); other != l && tasks < least {
			least, to = tasks, other
		}
	}
	own := l.share.tasks.Load()
	switch {
	case to == nil:
		return 0, nil
	case l.number >= int(l.group.width.Load()):
		return math.MaxInt32, to
	case own-least < 2 || 4*(own-least) < own:
		return 0, nil // near enough
	}
	return (own - least) / 2, to
}

// hands hands a task over that is to go on, if there are too many, and tells
// whether it did. The connections of the task follow when something comes for
// them.
func (l *loop) hands(t *Task) bool {
	s := &l.share
	if s.hand == 0 {
		return false
	}
	s.hand--
	l.tasks.Add(-1)
	s.to.tasks.Add(1)
	s.tasks.Add(-1)
	s.to.share.tasks.Add(1)
	t.loop, t.worked = s.to, 0
	s.to.give(t)
	return true
}

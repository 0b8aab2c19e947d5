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
// What counts is processor time, without what is spent on spinning, and not for
// how long a loop has not slept: where others use the processors, too, one more
// loop would wait for them as well. Only of a loop that has changed threads
// in a period is not known more than that it has not slept.

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
	// calm is for how long nobody must have seen it otherwise.
	calm = 500 * time.Millisecond
	// settled is after what time one more loop shows in what the others use.
	settled = 3 * period
)

// share is what a loop does of the work of its group.
type share struct {
	period uint32        // its number
	began  time.Duration // when the period has begun
	thread int           // of which
	used   time.Duration // is the processor time then
	spun   time.Duration // of the period, and
	slept  time.Duration
	seen   int32 // tasks at work in the period

	hand int32 // tasks to be handed over
	to   *loop // nil for any loop that tasks run on

	// What other loops look at.
	load  atomic.Int32 // thousandths of a processor, a moving average
	tasks atomic.Int32 // at work in the period before, with those that were handed over since
	idle  atomic.Bool  // it sleeps, or has not looked since
}

// work is what a loop has to do.
type work struct{ load, tasks int32 }

// saw notes that a task runs.
func (s *share) saw(t *Task) {
	if t.worked != s.period+1 {
		t.worked = s.period + 1
		s.seen++
	}
}

// begin begins a period.
func (s *share) begin(now time.Duration, thread int, used time.Duration) {
	s.period, s.began, s.thread, s.used, s.spun, s.slept, s.seen = s.period+1, now, thread, used, 0, 0, 0
}

// resumes notes that a goroutine begins to run the loop, the first one or the
// one after one that was held up since the loop has last looked for events.
func (l *loop) resumes(now time.Duration) {
	s := &l.share
	if s.period == 0 {
		thread, used := processorTime()
		s.begin(now, thread, used)
		return
	}
	s.thread = 0 // none has this number
	s.slept += now - max(s.began, time.Duration(l.clock.Load()))
}

// newPeriod begins a period if it is time for that.
func (l *loop) newPeriod(now time.Duration) {
	s, g := &l.share, l.group
	if !g.gather {
		return
	}
	if now-s.began < period {
		if s.idle.Load() {
			s.idle.Store(false)
		}
		return
	}
	thread, used := processorTime()
	worked := now - s.began - s.slept // at most
	if thread == s.thread {
		worked = min(worked, used-s.used)
	}
	load := thousandths(worked-s.spun, now-s.began)
	if before := s.load.Load(); now-s.began < 4*period {
		load = before + (load-before)/4 // some logins at once are no load that lasts
	}
	s.load.Store(load)
	s.tasks.Store(s.seen)
	s.idle.Store(false)
	s.begin(now, thread, used)
	done := make([]work, 0, 16)
	for _, other := range g.loops {
		done = append(done, other.lately(now))
	}
	g.fit(done, now)
	s.hand, s.to = l.surplus(int(g.width.Load()), done)
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

// lately is what a loop has done in its last periods; nothing if it sleeps for
// longer already.
func (l *loop) lately(now time.Duration) work {
	if l.share.idle.Load() && now-time.Duration(l.clock.Load()) > 2*period {
		return work{}
	}
	return work{l.share.load.Load(), max(l.share.tasks.Load(), 0)}
}

// fit changes on how many loops tasks run, if what the loops have to do lately
// asks for that.
func (g *Group) fit(done []work, now time.Duration) {
	width := g.width.Load()
	sum, most := int32(0), int32(0)
	for _, w := range done {
		sum += w.load
		if w.tasks > 1 { // one alone gets no further with another loop
			most = max(most, w.load)
		}
	}
	switch widened := time.Duration(g.widened.Load()); {
	case most >= full:
		// Who sets the time may change the number: two would change it twice.
		if int(width) < len(done) && now-widened >= settled && g.widened.CompareAndSwap(int64(widened), int64(now)) {
			g.width.CompareAndSwap(width, width+1)
		}
	case width > 1 && sum < roomy*(width-1):
		if strained := time.Duration(g.strained.Load()); now-strained >= calm && g.strained.CompareAndSwap(int64(strained), int64(now)) {
			g.width.CompareAndSwap(width, width-1)
		}
		return
	}
	g.strained.Store(int64(now))
}

// surplus is how many tasks the loop is to hand over, and to which other one. A
// loop that tasks are not to run on any more hands all over, to any.
func (l *loop) surplus(width int, done []work) (n int32, to *loop) {
	if l.number >= width {
		return math.MaxInt32, nil
	}
	own, least := done[l.number].tasks, int32(math.MaxInt32)
	for i, w := range done[:width] {
		if i != l.number && w.tasks < least {
			least, to = w.tasks, l.group.loops[i]
		}
	}
	if own-least < 2 || 4*(own-least) < own {
		return 0, nil // near enough
	}
	return max((own-least)/int32(width), 1), to // the others give their parts, too
}

// hands hands a task over that is to go on, if there are too many, and tells
// whether it did. The connections of the task follow when something comes for
// them.
func (l *loop) hands(t *Task) bool {
	s := &l.share
	if s.hand == 0 {
		return false
	}
	to := s.to
	if to == nil {
		width := int(l.group.width.Load())
		if l.number < width { // it is to have tasks again
			s.hand = 0
			return false
		}
		to = l.group.loops[0]
		for _, other := range l.group.loops[1:width] {
			if other.share.tasks.Load() < to.share.tasks.Load() {
				to = other
			}
		}
	} else if to.share.tasks.Load()+1 >= s.tasks.Load() { // others have given enough
		s.hand = 0
		return false
	}
	s.hand--
	l.tasks.Add(-1)
	to.tasks.Add(1)
	s.tasks.Add(-1)
	to.share.tasks.Add(1)
	t.loop, t.worked = to, 0
	to.give(t)
	return true
}

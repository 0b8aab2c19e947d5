package evloop

import (
	"fmt"
	"runtime/debug"
	"sync/atomic"
)

// What a task may do at most before others of its loop have their turn.
const (
	budgetCalls = 64
	budgetBytes = 1 << 20
)

// Task is a function that runs as a coroutine on a loop. Its methods are for
// that function alone.
type Task struct {
	loop *loop
	f    func(*Task)
	co   *coroutine

	state  atomic.Uint32
	why    reason
	seen   uint32 // the window in which it was counted
	worked uint32 // the period in which it was counted
	inside bool   // it runs on its loop
	step   func() Next
	steps  bool // a step is under way
	calls  int  // left of the budget
	bytes  int
}

// The states of a task.
const (
	running  = iota
	notified // running, or about to be, and not to wait
	parked
)

// reason is why a task yields.
type reason uint8

const (
	waits   reason = iota // until it is woken
	stays                 // it goes on when others had their turn
	leaves                // it goes on outside the loop
	returns               // to the loop
	ends                  // it is over
)

func newTask(l *loop, f func(*Task)) *Task {
	t := &Task{loop: l, f: f, co: l.group.spare.take()}
	t.co.task = t
	return t
}

// run is the life of a task.
func (t *Task) run() {
	t.enter()
	defer t.trace()
	t.f(t)
}

// trace adds the stack to a panic, which goes on in the goroutine that runs
// the task.
func (t *Task) trace() {
	if v := recover(); v != nil {
		panic(fmt.Sprintf("%v\n\n%s", v, debug.Stack()))
	}
}

// enter begins a turn on the loop.
func (t *Task) enter() {
	t.inside = true
	t.calls, t.bytes = budgetCalls, budgetBytes
}

// Serve has the loop call step in place of the task when the task would go on,
// until step returns Resume. Serve may return without that. A task does so what
// is done over and over: a step runs on the stack of the loop, which is at hand,
// while that of the task has to be fetched. step must not wait: of connections
// it has TryRead and TryWrite, and Expect before it returns Wait.
func (t *Task) Serve(step func() Next) {
	t.step = step
	t.park()
	t.step = nil
}

// resume goes on with the task, and tells whether it has not ended.
func (t *Task) resume() bool {
	if t.step != nil {
		t.calls, t.bytes = budgetCalls, budgetBytes
		t.steps = true
		next := t.step()
		t.steps = false
		switch next {
		case Wait:
			t.why = waits
			return true
		case Again:
			t.why = stays
			return true
		}
	}
	return t.co.resume()
}

// pause yields, and returns when the task is to go on.
func (t *Task) pause(why reason) {
	if t.steps {
		panic("evloop: a step waits")
	}
	t.why = why
	t.co.yield(struct{}{})
	t.calls, t.bytes = budgetCalls, budgetBytes
}

// park waits until the task is woken. It may return without that.
func (t *Task) park() {
	if t.state.Load() == notified {
		t.state.Store(running)
		return
	}
	t.pause(waits)
}

// wake ends the waiting of a task, and tells whether it is for the caller to
// have it run.
func (t *Task) wake() bool {
	for {
		switch t.state.Load() {
		case notified:
			return false
		case running:
			if t.state.CompareAndSwap(running, notified) {
				return false
			}
		case parked:
			if t.state.CompareAndSwap(parked, running) {
				return true
			}
		}
	}
}

// spend takes something off the budget of this turn.
func (t *Task) spend(n int) {
	t.calls--
	if t.bytes -= n; (t.calls <= 0 || t.bytes <= 0) && !t.steps {
		t.Yield()
	}
}

// Inside tells whether the task runs on its loop, rather than outside.
func (t *Task) Inside() bool { return t != nil && t.inside }

// Yield lets other tasks of the loop have their turn.
func (t *Task) Yield() {
	if t.Inside() {
		t.pause(stays)
	}
}

// Leave has the task go on off its loop, where it may take its time and wait
// for whatever it likes, until Return. Its connections may be used by other
// goroutines, too, meanwhile.
func (t *Task) Leave() {
	if t.Inside() {
		t.inside = false
		t.pause(leaves)
	}
}

// Return brings a task back that has left its loop.
func (t *Task) Return() {
	if t != nil && !t.inside {
		t.pause(returns)
		t.enter()
	}
}

// Outside runs f between Leave and Return. Within f, and where there is no task,
// it just calls f.
func (t *Task) Outside(f func()) {
	if !t.Inside() {
		f()
		return
	}
	t.Leave()
	f()
	t.Return()
}

// Loop is the number of the task's loop, from 0 on.
func (t *Task) Loop() int { return t.loop.number }

// aside goes on with a task that has left its loop, on a goroutine of its own.
func (t *Task) aside() {
	more := false
	defer func() { t.settle(more, nil) }()
	more = t.co.resume()
}

// settle sees to a task that has just yielded or ended, for its loop when that
// is the caller.
func (t *Task) settle(more bool, owner *loop) {
	l := t.loop
	if !more || t.why == ends {
		if more {
			l.group.spare.keep(t.co)
		}
		l.tasks.Add(-1)
		l.group.tasks.Done()
		return
	}
	switch t.why {
	case leaves:
		go t.aside()
		return
	case waits:
		if t.state.CompareAndSwap(running, parked) {
			return
		}
		t.state.Store(running) // it was woken in between
	}
	if owner != nil {
		owner.ready = append(owner.ready, t)
		return
	}
	l.give(t)
}

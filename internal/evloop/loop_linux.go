package evloop

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const (
	maxEvents = 256
	events    = syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP | edgeTriggered

	edgeTriggered = 1 << 31
)

// loop waits for events of connections and goes on with the tasks that they
// are for. A goroutine runs it; when a task keeps that one for too long
// another takes the loop over.
type loop struct {
	group  *Group
	number int // among the group's
	poll   int // epoll
	alarm  int // eventfd that ends the waiting
	tasks  atomic.Int32

	// phase is odd while a task runs. Who makes it even again has the loop,
	// with all that follows.
	phase atomic.Uint64
	turn  uint64
	list  [maxEvents]syscall.EpollEvent
	now   []*Task // of this round
	at    int
	ready []*Task // of the next one
	busy  bool    // there were several events at once
	habit habit   // of waiting

	present presence
	share   share // of the group's work

	clock atomic.Int64 // when events were last looked for, since the group's start

	asleep atomic.Bool
	mu     sync.Mutex
	inbox  []*Task
	mail   atomic.Bool // there is something in inbox
	ending bool
}

func newLoop(g *Group, number int) (*loop, error) {
	poll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	r, _, errno := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if errno != 0 {
		syscall.Close(poll) //nolint:errcheck // there is nothing in it
		return nil, os.NewSyscallError("eventfd", errno)
	}
	l := &loop{group: g, number: number, poll: poll, alarm: int(r)}
	if err := l.add(l.alarm, 0); err != nil {
		l.free()
		return nil, err
	}
	return l, nil
}

func (l *loop) free() {
	syscall.Close(l.alarm) //nolint:errcheck // nothing is lost with it
	syscall.Close(l.poll)  //nolint:errcheck // nor with it
}

// add has the loop wait for events of a descriptor.
func (l *loop) add(fd int, generation uint32) error {
	e := syscall.EpollEvent{Events: events, Fd: int32(fd), Pad: int32(generation)}
	return os.NewSyscallError("epoll_ctl", syscall.EpollCtl(l.poll, syscall.EPOLL_CTL_ADD, fd, &e))
}

func (l *loop) remove(fd int) {
	syscall.EpollCtl(l.poll, syscall.EPOLL_CTL_DEL, fd, nil) //nolint:errcheck // it has not been there then
}

// give hands a task to the loop from anywhere.
func (l *loop) give(t *Task) {
	l.mu.Lock()
	l.inbox = append(l.inbox, t)
	l.mail.Store(true)
	l.mu.Unlock()
	l.rouse()
}

func (l *loop) rouse() {
	if l.asleep.Load() && l.asleep.CompareAndSwap(true, false) {
		// The descriptor is edge-triggered: nobody needs to read it.
		one := uint64(1)
		syscall.RawSyscall(syscall.SYS_WRITE, uintptr(l.alarm), uintptr(unsafe.Pointer(&one)), unsafe.Sizeof(one))
	}
}

func (l *loop) stop() {
	l.mu.Lock()
	l.ending = true
	l.mail.Store(true)
	l.mu.Unlock()
	l.rouse()
}

// run is the loop, until it ends or is taken over.
func (l *loop) run() {
	mine := true
	defer func() {
		if mine { // a task has ended this goroutine
			l.group.running.Go(l.run)
		}
	}()
	l.turn = l.phase.Load()
	l.resumes(l.elapsed())
	for {
		for l.at < len(l.now) {
			t := l.now[l.at]
			l.now[l.at] = nil
			l.at++
			if l.hands(t) {
				continue
			}
			if l.resume(t, &mine); !mine {
				return
			}
		}
		l.now, l.ready, l.at = l.ready, l.now[:0], 0
		if !l.collect() {
			mine = false
			return
		}
	}
}

// resume goes on with a task, and tells whether the loop is still the
// caller's then.
func (l *loop) resume(t *Task, mine *bool) {
	l.present.saw(t)
	l.share.saw(t)
	l.turn += 2
	turn := l.turn | 1
	l.phase.Store(turn)
	l.group.watch.notice()
	more := false
	defer func() { // also when the task ends the goroutine
		if *mine = l.phase.CompareAndSwap(turn, turn&^1); *mine {
			t.settle(more, l)
		} else {
			t.settle(more, nil)
		}
	}()
	more = t.resume()
}

// collect adds the tasks that events are for to those of the round. It waits
// for events when there are no tasks. It returns false when the loop ends.
func (l *loop) collect() bool {
	n, now := 0, time.Duration(0)
	if len(l.now) > 0 || l.mail.Load() {
		n, now = l.look(), l.elapsed()
	} else {
		n, now = l.await()
	}
	l.busy = n > 1
	l.clock.Store(int64(now))
	l.newWindow(now)
	l.newPeriod(now)
	for i := range l.list[:n] {
		e := &l.list[i]
		if c := l.group.conns.get(int(e.Fd)); c != nil && c.generation == uint32(e.Pad) {
			if t := c.happened(e.Events); t != nil {
				if of := t.loop; of == l {
					l.now = append(l.now, t)
				} else {
					of.give(t)
					c.follow(t, of)
				}
			}
		}
	}
	if !l.mail.Load() {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mail.Store(false)
	l.now = append(l.now, l.inbox...)
	clear(l.inbox)
	l.inbox = l.inbox[:0]
	return !l.ending
}

// look asks for events without waiting.
func (l *loop) look() int {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(l.poll), uintptr(unsafe.Pointer(&l.list[0])), maxEvents, 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// elapsed is the time since the group's start.
func (l *loop) elapsed() time.Duration { return time.Since(l.group.began) }

// await waits for events, and tells the time then. It may return without any.
func (l *loop) await() (int, time.Duration) {
	naps := l.habit.naps()
	switch {
	case l.habit.spins():
		if n := l.spin(); n > 0 || l.mail.Load() {
			return n, l.elapsed()
		}
	case l.busy && !naps:
		// Where there is much to do there mostly is more already: no need to
		// tell the scheduler that this may take longer.
		if n := l.look(); n > 0 {
			l.habit.waited(0)
			return n, l.elapsed()
		}
	}
	began := l.elapsed()
	n := l.sleep(naps)
	now := l.elapsed()
	l.habit.waited(now - began)
	l.share.slept += now - began
	return n, now
}

// sleep waits for events, for as long as that takes, or for a nap, until the
// scheduler wants something.
func (l *loop) sleep(nap bool) int {
	l.share.idle.Store(true)
	l.asleep.Store(true)
	if l.mail.Load() {
		l.asleep.Store(false)
		return 0
	}
	const forever = ^uintptr(0)
	var n uintptr
	var errno syscall.Errno
	if nap {
		n, _, errno = syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(l.poll), uintptr(unsafe.Pointer(&l.list[0])), maxEvents, forever, 0, 0)
	} else {
		n, _, errno = syscall.Syscall6(syscall.SYS_EPOLL_PWAIT, uintptr(l.poll), uintptr(unsafe.Pointer(&l.list[0])), maxEvents, forever, 0, 0)
	}
	l.asleep.Store(false)
	if errno != 0 {
		return 0 // interrupted
	}
	return int(n)
}

package evloop

import (
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// The bits of a connection's state. Above them is counted who uses the
// descriptor.
const (
	readable = 1 << iota // there may be something to read
	writable             // there may be room to write
	hung                 // the peer has said its last word, or there is an error
	readExpired
	writeExpired
	shut     // closed
	impolite // writes do not wait

	// Who waits: the task on its loop, or somebody for a channel.
	taskReads
	taskWrites
	chanReads
	chanWrites

	user     = 1 << 16
	maxPiece = 1 << 30 // of what is read or written at once
)

// Conn is a connection on a loop. It is a net.Conn. What several goroutines
// write at the same time may be mixed. A connection that is bound to a task is
// read and written by that task alone, while Close and the deadlines may be
// called from anywhere.
type Conn struct {
	state      atomic.Uint64
	fd         int
	generation uint32
	group      *Group
	task       atomic.Pointer[Task]

	local, remote net.Addr // local may be nil until it is asked for
	reads, writes chan struct{}
	hangup        atomic.Pointer[func(bool)]

	mu        sync.Mutex // of what follows
	loop      *loop      // that has its events; nil before it is first waited for
	deadlines deadlines
}

// Bind makes the connection one of a task: what waits for it lets others of the
// task's loop go on. It must not be in use, and be of the task's group. With nil
// it is nobody's any more.
func (c *Conn) Bind(t *Task) error {
	if t != nil && t.loop.group != c.group {
		return errOtherGroup
	}
	if c.task.Swap(t); t == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loop == t.loop {
		return nil
	}
	return c.attach(t.loop)
}

// attach makes the events of the connection those of a loop.
func (c *Conn) attach(l *loop) error {
	if !c.use() {
		return net.ErrClosed
	}
	defer c.release()
	if err := l.add(c.fd, c.generation); err != nil {
		return err
	}
	if c.loop != nil {
		c.loop.remove(c.fd)
	}
	c.loop = l
	// What the former loop was told may be on its way.
	c.state.Or(readable | writable)
	return nil
}

// follow makes the events of the connection those of the loop that its task runs
// on by now. Where that fails they come by the former one still.
func (c *Conn) follow(t *Task, l *loop) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loop != l && c.task.Load() == t {
		c.attach(l) //nolint:errcheck // as said
	}
}

// attached sees to it that a loop has the events of the connection, and that
// there is a channel to tell of them.
func (c *Conn) attached(signal *chan struct{}) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if *signal == nil {
		*signal = make(chan struct{}, 1)
	}
	if c.loop != nil {
		return nil
	}
	return c.attach(c.group.loops[int(c.generation)%len(c.group.loops)])
}

// use counts a user of the descriptor, and tells whether there may be one.
func (c *Conn) use() bool {
	for {
		s := c.state.Load()
		if s&shut != 0 {
			return false
		}
		if c.state.CompareAndSwap(s, s+user) {
			return true
		}
	}
}

// release ends a use. The last one of a closed connection closes the
// descriptor.
func (c *Conn) release() {
	if s := c.state.Add(^uint64(user - 1)); s&shut != 0 && s < user {
		c.group.conns.remove(c)
		syscall.Close(c.fd) //nolint:errcheck // there is nothing to be done
	}
}

// Close closes the connection and ends what waits for it.
func (c *Conn) Close() error {
	for {
		s := c.state.Load()
		if s&shut != 0 {
			return c.fail("close", net.ErrClosed)
		}
		if c.state.CompareAndSwap(s, s+user) {
			break
		}
	}
	first := c.notify(shut)
	c.mu.Lock()
	c.deadlines.stop()
	c.mu.Unlock()
	c.release()
	if !first {
		return c.fail("close", net.ErrClosed)
	}
	return nil
}

// Hurry makes writes fail that would have to wait, also one that waits now.
// Then others than the task may write as well, to say farewell.
func (c *Conn) Hurry() { c.notify(impolite) }

// notify sets bits from anywhere and wakes who waits for them. It tells whether
// any of them is new.
func (c *Conn) notify(set uint64) (news bool) {
	t, news := c.raise(set)
	if t != nil {
		t.loop.give(t)
	}
	return news
}

// raise sets bits. The task that it returns is to be run.
func (c *Conn) raise(set uint64) (t *Task, news bool) {
	var ends uint64
	if set&(readable|hung|readExpired|shut) != 0 {
		ends |= taskReads | chanReads
	}
	if set&(writable|hung|writeExpired|shut|impolite) != 0 {
		ends |= taskWrites | chanWrites
	}
	for {
		s := c.state.Load()
		if !c.state.CompareAndSwap(s, (s|set)&^ends) {
			continue
		}
		ended := s & ends
		if ended&chanReads != 0 {
			tell(c.reads)
		}
		if ended&chanWrites != 0 {
			tell(c.writes)
		}
		if ended&(taskReads|taskWrites) != 0 {
			// A task that is bound by now to what another one has waited for is
			// woken for nothing; that other one goes on already.
			if t = c.task.Load(); t != nil && !t.wake() {
				t = nil
			}
		}
		return t, set&^s != 0
	}
}

func tell(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// happened notes events. The task that it returns is to be run.
func (c *Conn) happened(events uint32) *Task {
	var set uint64
	if events&(syscall.EPOLLIN|syscall.EPOLLPRI) != 0 {
		set |= readable
	}
	if events&syscall.EPOLLOUT != 0 {
		set |= writable
	}
	if events&(syscall.EPOLLRDHUP|syscall.EPOLLHUP|syscall.EPOLLERR) != 0 {
		set |= hung | readable | writable
	}
	t, _ := c.raise(set)
	if f := c.hangup.Load(); f != nil && set&hung != 0 {
		(*f)(events&(syscall.EPOLLHUP|syscall.EPOLLERR) != 0)
	}
	return t
}

// OnHangup has f called when the peer has said its last word, which it may have
// done already. f is told whether nothing can be said to the peer either, where
// that is known. The loop calls it, more than once, so it must not wait for
// anything.
func (c *Conn) OnHangup(f func(gone bool)) {
	c.hangup.Store(&f)
	if c.state.Load()&hung != 0 {
		f(false)
	}
}

// wait waits until one of the bits is set.
func (c *Conn) wait(ready, task, channel uint64, signal *chan struct{}) error {
	t := c.task.Load()
	inside := t.Inside()
	by := task
	if !inside {
		by = channel
		if err := c.attached(signal); err != nil {
			return err
		}
	}
	told := false
	for {
		s := c.state.Load()
		if s&(ready|shut) != 0 {
			if told {
				tell(*signal) // others who wait, as there was one word for all
			}
			return nil
		}
		if !c.state.CompareAndSwap(s, s|by) {
			continue
		}
		if inside {
			t.park()
			continue
		}
		<-*signal
		told = true
	}
}

// Readable tells whether there may be something to read, or an error.
func (c *Conn) Readable() bool {
	return c.state.Load()&(readable|hung|readExpired|shut) != 0
}

// WaitRead waits until Readable.
func (c *Conn) WaitRead() error {
	return c.wait(readable|hung|readExpired, taskReads, chanReads, &c.reads)
}

// Expect has the task of the connection go on as soon as the connection is
// Readable, and tells whether it is already.
func (c *Conn) Expect() bool {
	for {
		s := c.state.Load()
		if s&(readable|hung|readExpired|shut) != 0 {
			return true
		}
		if c.state.CompareAndSwap(s, s|taskReads) {
			return false
		}
	}
}

// TryRead reads what there is, without waiting. It fails with ErrAgain where
// that is nothing, and returns 0 at the end.
func (c *Conn) TryRead(b []byte) (int, error) {
	var s uint64
	for {
		s = c.state.Load()
		switch {
		case s&shut != 0:
			return 0, net.ErrClosed
		case s&readExpired != 0:
			return 0, os.ErrDeadlineExceeded
		case s&(readable|hung) == 0:
			return 0, ErrAgain
		}
		if c.state.CompareAndSwap(s, (s&^(readable|hung))+user) {
			break
		}
	}
	if len(b) > maxPiece {
		b = b[:maxPiece]
	}
	n, errno := read(c.fd, b)
	switch {
	case errno == syscall.EAGAIN:
	case errno != 0 || n == 0, n == len(b), s&hung != 0:
		// There is more, or the end, which is to be read again and again.
		if before := c.state.Or(readable | s&hung); before&chanReads != 0 {
			c.notify(readable) // somebody else waits for what was left
		}
	}
	c.release()
	switch {
	case errno == syscall.EAGAIN:
		return 0, ErrAgain
	case errno != 0:
		return 0, os.NewSyscallError("read", errno)
	}
	if t := c.task.Load(); t != nil && t.inside {
		t.spend(n)
	}
	return n, nil
}

// Read implements net.Conn.
func (c *Conn) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for {
		n, err := c.TryRead(b)
		if err == ErrAgain {
			if err = c.WaitRead(); err == nil {
				continue
			}
		}
		switch {
		case err != nil:
			return 0, c.fail("read", err)
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

// Write implements net.Conn.
func (c *Conn) Write(b []byte) (int, error) {
	done := 0
	for {
		n, err := c.TryWrite(b[done:])
		done += n
		if err == ErrAgain {
			if c.state.Load()&impolite != 0 {
				err = os.ErrDeadlineExceeded
			} else {
				err = c.wait(writable|hung|writeExpired|impolite, taskWrites, chanWrites, &c.writes)
			}
		}
		if err != nil {
			return done, c.fail("write", err)
		}
		if done == len(b) {
			return done, nil
		}
	}
}

// TryWrite writes what there is room for, without waiting. It fails with
// ErrAgain where there is none.
func (c *Conn) TryWrite(b []byte) (int, error) {
	var s uint64
	for {
		s = c.state.Load()
		switch {
		case s&shut != 0:
			return 0, net.ErrClosed
		case s&writeExpired != 0:
			return 0, os.ErrDeadlineExceeded
		}
		if c.state.CompareAndSwap(s, (s&^writable)+user) {
			break
		}
	}
	if len(b) > maxPiece {
		b = b[:maxPiece]
	}
	n, errno := write(c.fd, b)
	c.release()
	switch {
	case errno == syscall.EAGAIN:
		return 0, ErrAgain
	case errno != 0:
		return 0, os.NewSyscallError("write", errno)
	}
	if s&impolite != 0 {
		return n, nil // whoever writes
	}
	if t := c.task.Load(); t.Inside() {
		t.spend(n)
	} else {
		// Another one may have found no room, and the event that tells of room
		// may be what was taken above.
		c.notify(writable)
	}
	return n, nil
}

// CloseWrite tells the peer that nothing more comes.
func (c *Conn) CloseWrite() error { return c.shutdown(syscall.SHUT_WR) }

// CloseRead ends reading.
func (c *Conn) CloseRead() error { return c.shutdown(syscall.SHUT_RD) }

func (c *Conn) shutdown(how int) error {
	if !c.use() {
		return c.fail("close", net.ErrClosed)
	}
	defer c.release()
	if err := syscall.Shutdown(c.fd, how); err != nil {
		return c.fail("close", os.NewSyscallError("shutdown", err))
	}
	return nil
}

// Group is the group that the connection is one of.
func (c *Conn) Group() *Group { return c.group }

// Now is about the present time, and costs less: for the task of the connection
// it is when its loop has last looked for events. Where the task has changed
// loops it may be some milliseconds before what it was.
func (c *Conn) Now() time.Time {
	if t := c.task.Load(); t.Inside() {
		return c.group.began.Add(time.Duration(t.loop.clock.Load()))
	}
	return time.Now()
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr {
	if c.local != nil {
		return c.local
	}
	if !c.use() {
		return &net.TCPAddr{}
	}
	defer c.release()
	return localAddress(c.fd)
}

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.setDeadline(&c.deadlines.read, readExpired, t)
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.setDeadline(&c.deadlines.write, writeExpired, t)
}

// fail is an error as those of package net are.
func (c *Conn) fail(op string, err error) error {
	e := &net.OpError{Op: op, Source: c.local, Addr: c.remote, Err: err}
	if c.remote != nil {
		e.Net = c.remote.Network()
	}
	return e
}

package evloop

import (
	"net"
	"os"
	"syscall"
)

// SyscallConn implements syscall.Conn.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return (*rawConn)(c), nil }

type rawConn Conn

// unknownBytes is what a call takes of the budget of bytes of which it is not
// known how many have passed.
const unknownBytes = budgetBytes / 8

// Control implements syscall.RawConn.
func (r *rawConn) Control(f func(fd uintptr)) error {
	c := (*Conn)(r)
	if !c.use() {
		return net.ErrClosed
	}
	defer c.release()
	f(uintptr(c.fd))
	return nil
}

// Read implements syscall.RawConn.
func (r *rawConn) Read(f func(fd uintptr) bool) error {
	c := (*Conn)(r)
	return c.until(f, readable|hung, readExpired, taskReads, chanReads, &c.reads)
}

// Write implements syscall.RawConn.
func (r *rawConn) Write(f func(fd uintptr) bool) error {
	c := (*Conn)(r)
	return c.until(f, writable, writeExpired, taskWrites, chanWrites, &c.writes)
}

// until calls f until it is done, and waits in between.
func (c *Conn) until(f func(fd uintptr) bool, ready, expired, task, channel uint64, signal *chan struct{}) error {
	for {
		if !c.use() {
			return net.ErrClosed
		}
		before := c.state.Load()
		c.state.And(^ready)
		done := f(uintptr(c.fd))
		if done {
			c.state.Or(before & ready)
		}
		c.release()
		if done {
			if t := c.task.Load(); t.Inside() {
				t.spend(unknownBytes)
			}
			return nil
		}
		if s := c.state.Load(); s&expired != 0 {
			return os.ErrDeadlineExceeded
		}
		if err := c.wait(ready|expired, task, channel, signal); err != nil {
			return err
		}
	}
}

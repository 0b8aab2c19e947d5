//go:build unix

package wire

import (
	"io"
	"net"
	"os"
	"syscall"
)

// pollable arranges for reads that take a buffer only once there is something
// to read.
func (c *Conn) pollable() {
	switch nc := c.nc.(type) {
	case *net.TCPConn:
		c.raw, _ = nc.SyscallConn()
	case *net.UnixConn:
		c.raw, _ = nc.SyscallConn()
	}
	if c.raw != nil {
		c.poll = c.tryRead
	}
}

// tryRead reads into the buffer what there is, and returns false when it must
// be called again once there is something.
func (c *Conn) tryRead(fd uintptr) bool {
	if c.in == nil {
		c.in = buffers.Get().(*buffer)
	}
	for {
		n, err := syscall.Read(int(fd), c.in[c.w:])
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return c.mayNotWait()
		case err != nil:
			c.err = os.NewSyscallError("read", err)
		case n == 0:
			c.err = io.EOF
		default:
			c.n = n
		}
		return true
	}
}

// mayNotWait prepares for waiting, and tells whether that failed.
func (c *Conn) mayNotWait() bool {
	if c.r == c.w {
		c.release()
	}
	if c.wake != nil {
		if err := c.wake.Flush(); err != nil {
			c.err = err
			return true
		}
	}
	return false
}

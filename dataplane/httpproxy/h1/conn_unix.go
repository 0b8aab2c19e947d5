//go:build unix

package h1

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/backplane/backplane/internal/evloop"
)

// pollable arranges for reads that take a buffer only once there is something
// to read, and for looking whether there is.
func (c *conn) pollable() {
	nc := c.nc
	if tc, ok := nc.(*tls.Conn); ok {
		nc = tc.NetConn()
	}
	switch nc := nc.(type) {
	case *net.TCPConn:
		c.base, _ = nc.SyscallConn()
	case *net.UnixConn:
		c.base, _ = nc.SyscallConn()
	case *evloop.Conn:
		c.base, _ = nc.SyscallConn()
		c.events = nc
	}
	if c.base == nil {
		return
	}
	c.look = c.tryLook
	if nc == c.nc {
		c.raw, c.poll = c.base, c.tryRead
		c.loop = c.events
	}
}

// tryRead reads what there is, and returns false when it must be called again
// once there is something.
func (c *conn) tryRead(fd uintptr) bool {
	if c.dst == nil {
		c.dst = take(c.size)
	}
	for {
		n, err := syscall.Read(int(fd), c.dst[c.from:c.to])
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			if c.size != 0 {
				give(c.dst)
				c.dst = nil
			}
			return false
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

// silent tells, without waiting, whether the peer has neither said anything nor
// closed the connection.
func (c *conn) silent() bool {
	if c.base == nil || c.events != nil && !c.events.Readable() {
		return true
	}
	c.seen = true
	return c.base.Control(c.look) == nil && !c.seen
}

// soon tells whether there is something to read within a time, an error for one.
// It cannot be told of connections with TLS.
func (c *conn) soon(within time.Duration) bool {
	if c.raw == nil {
		return false
	}
	if !c.silent() {
		return true
	}
	c.readUntil = time.Time{} // it is another one now
	_ = c.setRead(time.Now().Add(within))
	err := c.raw.Read(func(fd uintptr) bool {
		c.tryLook(fd)
		return c.seen
	})
	_ = c.setRead(time.Time{})
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

func (c *conn) tryLook(fd uintptr) {
	for {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		if err == syscall.EINTR {
			continue
		}
		c.seen = err != syscall.EAGAIN
		return
	}
}

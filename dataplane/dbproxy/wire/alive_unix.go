//go:build unix

package wire

import (
	"syscall"
)

// Alive tells whether an idle connection can still be used, as far as that
// can be known without waiting: the peer has neither closed it nor, where
// nothing is under way, said anything.
func (c *Conn) Alive() bool {
	if c.written != nil {
		return false
	}
	if c.r != c.w {
		return false
	}
	raw := c.raw
	if raw == nil { // TLS: whatever comes unasked is its end
		sc, ok := c.base.(syscall.Conn)
		if !ok {
			return true
		}
		var err error
		if raw, err = sc.SyscallConn(); err != nil {
			return false
		}
	}
	if c.probe == nil {
		c.probe = c.tryPeek
	}
	c.silent = false
	return raw.Read(c.probe) == nil && c.silent
}

// tryPeek looks whether there is something to read, and leaves it there.
func (c *Conn) tryPeek(fd uintptr) bool {
	for {
		_, _, err := syscall.Recvfrom(int(fd), c.first[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		if err == syscall.EINTR {
			continue
		}
		c.silent = err == syscall.EAGAIN
		return true
	}
}

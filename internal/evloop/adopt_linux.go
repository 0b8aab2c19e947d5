package evloop

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// Adopt takes a connection over from the poller of Go's runtime. nc, a TCP
// connection or one of a Unix socket, is of no use any more then; after an
// error it is as it was.
func (g *Group) Adopt(nc net.Conn) (*Conn, error) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("%w: %T", ErrUnsupported, nc)
	}
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return nil, fmt.Errorf("%w: %T", ErrUnsupported, nc)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd uintptr
	var errno syscall.Errno
	if err := raw.Control(func(of uintptr) {
		fd, _, errno = syscall.RawSyscall(syscall.SYS_FCNTL, of, syscall.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return nil, err
	}
	if errno != 0 {
		return nil, os.NewSyscallError("fcntl", errno)
	}
	c, err := g.conn(int(fd), nc.LocalAddr(), nc.RemoteAddr())
	if err != nil {
		return nil, err
	}
	nc.Close() // of the one descriptor; the other one lives
	return c, nil
}

// conn makes a connection of a descriptor that does not block. After an error
// it is closed.
func (g *Group) conn(fd int, local, remote net.Addr) (*Conn, error) {
	c := &Conn{fd: fd, group: g, local: local, remote: remote}
	for c.generation == 0 { // that of the alarms
		c.generation = g.generations.Add(1)
	}
	c.state.Store(readable | writable)
	if !g.conns.add(c) {
		syscall.Close(fd) //nolint:errcheck // nothing is lost with it
		return nil, errGroupClosed
	}
	return c, nil
}

package evloop

import (
	"fmt"
	"net"
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
	fd, err := duplicate(raw)
	if err != nil {
		return nil, err
	}
	c, err := g.conn(fd, nc.LocalAddr(), nc.RemoteAddr())
	if err != nil {
		return nil, err
	}
	nc.Close() // of the one descriptor; the other one lives
	return c, nil
}

// conn makes a connection of a descriptor that does not block. Without a local
// address it is found out when it is asked for. After an error the descriptor is
// closed.
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

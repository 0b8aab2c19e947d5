package evloop

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// Listener takes connections in, without the poller of Go's runtime. It is a
// net.Listener whose connections may be of any group.
type Listener struct {
	conn *Conn // the socket; it is but waited for
	addr *net.TCPAddr
}

// Listen takes a TCP listener over from the poller of Go's runtime. nl is of no
// use any more then; after an error it is as it was.
//
// What is set on its socket holds for the connections: they send at once what
// is written, and look after themselves as alive says, which must have all its
// values where it is enabled.
func (g *Group) Listen(nl *net.TCPListener, alive net.KeepAliveConfig) (*Listener, error) {
	addr, ok := nl.Addr().(*net.TCPAddr)
	if !ok {
		return nil, ErrUnsupported
	}
	raw, err := nl.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd, err := duplicate(raw)
	if err != nil {
		return nil, err
	}
	if err := inherited(fd, alive); err != nil {
		syscall.Close(fd) //nolint:errcheck // the other descriptor lives
		return nil, os.NewSyscallError("setsockopt", err)
	}
	c, err := g.conn(fd, addr, nil)
	if err != nil {
		return nil, err
	}
	nl.Close() // of the one descriptor; the other one listens
	return &Listener{conn: c, addr: addr}, nil
}

// inherited sets what connections have from the socket that they come by.
func inherited(fd int, alive net.KeepAliveConfig) error {
	err := syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	if !alive.Enable {
		return err
	}
	return errors.Join(err,
		syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1),
		syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, int(alive.Idle.Seconds())),
		syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, int(alive.Interval.Seconds())),
		syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, alive.Count))
}

// duplicate is another descriptor of the same socket.
func duplicate(raw syscall.RawConn) (int, error) {
	var fd uintptr
	var errno syscall.Errno
	err := raw.Control(func(of uintptr) {
		fd, _, errno = syscall.RawSyscall(syscall.SYS_FCNTL, of, syscall.F_DUPFD_CLOEXEC, 0)
	})
	if err == nil && errno != 0 {
		err = os.NewSyscallError("fcntl", errno)
	}
	return int(fd), err
}

// Bind makes the listener one of a task, which alone may call Accept then.
func (l *Listener) Bind(t *Task) error { return l.conn.Bind(t) }

// Accept implements net.Listener. The connection is one of the listener's
// group.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.AcceptTo(func() *Group { return l.conn.group })
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptTo waits for a connection. of tells, once it has come, the group that it
// is to be one of.
func (l *Listener) AcceptTo(of func() *Group) (*Conn, error) {
	for {
		fd, remote, err := l.tryAccept()
		switch {
		case err == ErrAgain:
			if err = l.conn.WaitRead(); err == nil {
				continue
			}
			fallthrough
		case err != nil:
			return nil, l.conn.fail("accept", err)
		}
		var local net.Addr
		if !l.addr.IP.IsUnspecified() {
			local = l.addr
		}
		return of().conn(fd, local, remote)
	}
}

// tryAccept takes in a connection that is there.
func (l *Listener) tryAccept() (fd int, remote *net.TCPAddr, err error) {
	c := l.conn
	for {
		s := c.state.Load()
		switch {
		case s&shut != 0:
			return 0, nil, net.ErrClosed
		case s&readExpired != 0:
			return 0, nil, os.ErrDeadlineExceeded
		case s&(readable|hung) == 0:
			return 0, nil, ErrAgain
		}
		if c.state.CompareAndSwap(s, (s&^(readable|hung))+user) {
			break
		}
	}
	fd, remote, errno := accept(c.fd)
	if errno != syscall.EAGAIN {
		c.state.Or(readable) // there may be more
	}
	c.release()
	switch errno {
	case 0:
	case syscall.EAGAIN:
		return 0, nil, ErrAgain
	default:
		return 0, nil, os.NewSyscallError("accept4", errno)
	}
	if t := c.task.Load(); t != nil && t.inside {
		t.spend(0)
	}
	return fd, remote, nil
}

// accept is accept4 for sockets of TCP. Connections that have gone already are
// passed over.
func accept(fd int) (int, *net.TCPAddr, syscall.Errno) {
	for {
		var from syscall.RawSockaddrAny
		size := uint32(unsafe.Sizeof(from))
		n, _, errno := syscall.RawSyscall6(syscall.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&from)), uintptr(unsafe.Pointer(&size)), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0, 0)
		switch errno {
		case 0:
			return int(n), address(&from), 0
		case syscall.EINTR, syscall.ECONNABORTED:
		default:
			return 0, nil, errno
		}
	}
}

// address is what a socket address says.
func address(from *syscall.RawSockaddrAny) *net.TCPAddr {
	switch from.Addr.Family {
	case syscall.AF_INET:
		a := (*syscall.RawSockaddrInet4)(unsafe.Pointer(from))
		return &net.TCPAddr{IP: append(net.IP(nil), a.Addr[:]...), Port: port(a.Port)}
	case syscall.AF_INET6:
		a := (*syscall.RawSockaddrInet6)(unsafe.Pointer(from))
		return &net.TCPAddr{IP: append(net.IP(nil), a.Addr[:]...), Port: port(a.Port), Zone: zone(a.Scope_id)}
	}
	return &net.TCPAddr{}
}

// localAddress is the address of a socket on this side.
func localAddress(fd int) *net.TCPAddr {
	var of syscall.RawSockaddrAny
	size := uint32(unsafe.Sizeof(of))
	syscall.RawSyscall(syscall.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&of)), uintptr(unsafe.Pointer(&size))) //nolint:errcheck // a socket that is open has one
	return address(&of)
}

// port is a port in the order of bytes that networks have.
func port(n uint16) int {
	b := (*[2]byte)(unsafe.Pointer(&n))
	return int(b[0])<<8 | int(b[1])
}

// zone is the name of the interface that an address is local to.
func zone(id uint32) string {
	if id == 0 {
		return ""
	}
	if i, err := net.InterfaceByIndex(int(id)); err == nil {
		return i.Name
	}
	return ""
}

// SetDeadline bounds how long Accept waits.
func (l *Listener) SetDeadline(t time.Time) error { return l.conn.SetReadDeadline(t) }

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return l.addr }

// Close implements net.Listener.
func (l *Listener) Close() error {
	err := l.conn.Close()
	if errors.Is(err, net.ErrClosed) {
		return net.ErrClosed
	}
	return err
}

var _ net.Listener = (*Listener)(nil)

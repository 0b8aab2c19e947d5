//go:build !linux

package evloop

import (
	"net"
	"syscall"
	"time"
)

// Group is a number of loops with their connections and tasks. There is none
// on this system.
type Group struct{ _ func() }

// New fails with ErrUnsupported.
func New(Options) (*Group, error) { return nil, ErrUnsupported }

// GiveWay does nothing.
func GiveWay() error { return nil }

// Loops is the number of loops.
func (*Group) Loops() int { return 0 }

// Close ends the group.
func (*Group) Close() error { return nil }

// Go would start a task.
func (*Group) Go(func(*Task)) { panic(ErrUnsupported) }

// Adopt fails with ErrUnsupported.
func (*Group) Adopt(net.Conn) (*Conn, error) { return nil, ErrUnsupported }

// Listen fails with ErrUnsupported.
func (*Group) Listen(*net.TCPListener, net.KeepAliveConfig) (*Listener, error) {
	return nil, ErrUnsupported
}

// Listener takes connections in. There is none on this system.
type Listener struct{ net.Listener }

// Bind makes the listener one of a task.
func (*Listener) Bind(*Task) error { return ErrUnsupported }

// AcceptTo would wait for a connection.
func (*Listener) AcceptTo(func() *Group) (*Conn, error) { return nil, ErrUnsupported }

// SetDeadline bounds how long Accept waits.
func (*Listener) SetDeadline(time.Time) error { return ErrUnsupported }

// Task is a coroutine on a loop. There is none on this system, but nil.
type Task struct{ _ func() }

// Inside tells whether the task runs on its loop, rather than outside.
func (*Task) Inside() bool { return false }

// Yield lets other tasks of the loop have their turn.
func (*Task) Yield() {}

// Serve does nothing.
func (*Task) Serve(func() Next) {}

// Leave does nothing.
func (*Task) Leave() {}

// Return does nothing.
func (*Task) Return() {}

// Loop is the number of the task's loop.
func (*Task) Loop() int { return 0 }

// Outside calls f.
func (*Task) Outside(f func()) { f() }

// Conn is a connection on a loop. There is none on this system.
type Conn struct{ net.Conn }

// Bind makes the connection one of a task.
func (*Conn) Bind(*Task) error { return ErrUnsupported }

// Hurry makes writes fail that would have to wait.
func (*Conn) Hurry() {}

// OnHangup does nothing.
func (*Conn) OnHangup(func(gone bool)) {}

// Readable tells whether there may be something to read.
func (*Conn) Readable() bool { return true }

// WaitRead waits until Readable.
func (*Conn) WaitRead() error { return ErrUnsupported }

// Expect tells whether the connection is Readable.
func (*Conn) Expect() bool { return true }

// TryWrite writes what there is room for.
func (*Conn) TryWrite([]byte) (int, error) { return 0, ErrUnsupported }

// TryRead reads what there is.
func (*Conn) TryRead([]byte) (int, error) { return 0, ErrUnsupported }

// Group is the group that the connection is one of.
func (*Conn) Group() *Group { return nil }

// Now is the present time.
func (*Conn) Now() time.Time { return time.Now() }

// SyscallConn implements syscall.Conn.
func (*Conn) SyscallConn() (syscall.RawConn, error) { return nil, ErrUnsupported }

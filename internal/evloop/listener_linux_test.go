package evloop

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

var alive = net.KeepAliveConfig{Enable: true, Idle: 60 * time.Second, Interval: 15 * time.Second, Count: 4}

// listener is one of the group.
func listener(t testing.TB, g *Group, address string) *Listener {
	t.Helper()
	nl, err := net.Listen("tcp", address)
	must(t, err)
	l, err := g.Listen(nl.(*net.TCPListener), alive)
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// reachable is the address by which a listener can be dialled.
func reachable(l *Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return net.JoinHostPort("127.0.0.1", port)
}

func dial(t testing.TB, l *Listener) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", reachable(l))
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// TestListener is that connections come in, by a task or without one, know both
// addresses, and have what was set for them.
func TestListener(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "0.0.0.0:0", ":0"} {
		for _, by := range []string{"goroutine", "task"} {
			t.Run(address+" by a "+by, func(t *testing.T) {
				g := group(t, 2)
				l := listener(t, g, address)
				taken := make(chan net.Conn, 3)
				take := func() {
					for range cap(taken) {
						c, err := l.Accept()
						if err != nil {
							t.Error(err)
							return
						}
						taken <- c
					}
				}
				wait := func() {}
				if by == "task" {
					wait = task(t, g, func(task *Task) {
						if err := l.Bind(task); err != nil {
							t.Error(err)
						}
						take()
					})
				} else {
					go take()
				}
				for range cap(taken) {
					there := dial(t, l)
					here := within(t, taken)
					defer here.Close()
					if here.RemoteAddr().String() != there.LocalAddr().String() || here.LocalAddr().String() != there.RemoteAddr().String() {
						t.Errorf("%v from %v, want %v from %v", here.LocalAddr(), here.RemoteAddr(), there.RemoteAddr(), there.LocalAddr())
					}
					_, err := there.Write([]byte("word"))
					must(t, err)
					got := make([]byte, 4)
					if _, err := io.ReadFull(here, got); err != nil || string(got) != "word" {
						t.Errorf("%q, %v", got, err)
					}
					holdsOptions(t, here.(*Conn))
				}
				wait()
			})
		}
	}
}

func holdsOptions(t *testing.T, c *Conn) {
	t.Helper()
	raw, err := c.SyscallConn()
	must(t, err)
	must(t, raw.Control(func(fd uintptr) {
		for _, o := range []struct{ level, option, want int }{
			{syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1}, {syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1}, {syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 60},
			{syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 15}, {syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 4},
		} {
			if got, err := syscall.GetsockoptInt(int(fd), o.level, o.option); err != nil || got != o.want {
				t.Errorf("option %d is %d, %v, want %d", o.option, got, err, o.want)
			}
		}
	}))
}

// TestInterruptedAccept is that a deadline ends the waiting, and that clients
// who have come meanwhile are taken in afterwards.
func TestInterruptedAccept(t *testing.T) {
	g := group(t, 1)
	l := listener(t, g, "127.0.0.1:0")
	interrupted, goOn := make(chan error), make(chan struct{})
	wait := task(t, g, func(task *Task) {
		if err := l.Bind(task); err != nil {
			t.Error(err)
		}
		_, err := l.Accept()
		task.Outside(func() { interrupted <- err; <-goOn })
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		c.Close()
	})
	must(t, l.SetDeadline(time.Unix(1, 0)))
	if err := within(t, interrupted); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
	there := dial(t, l)
	must(t, l.SetDeadline(time.Time{}))
	close(goOn)
	wait()
	must(t, there.SetReadDeadline(time.Now().Add(patience)))
	if _, err := there.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the client was not taken in: %v", err)
	}
}

// TestClosedListener is that closing ends the waiting and gives the port back,
// and that connections live on.
func TestClosedListener(t *testing.T) {
	g := group(t, 2)
	l := listener(t, g, "127.0.0.1:0")
	taken, ended := make(chan net.Conn, 1), make(chan error, 1)
	wait := task(t, g, func(task *Task) {
		if err := l.Bind(task); err != nil {
			t.Error(err)
		}
		for {
			c, err := l.Accept()
			if err != nil {
				ended <- err
				return
			}
			taken <- c
		}
	})
	there := dial(t, l)
	here := within(t, taken)
	defer here.Close()
	must(t, l.Close())
	if err := within(t, ended); !errors.Is(err, net.ErrClosed) {
		t.Errorf("waiting ended with %v", err)
	}
	wait()
	if err := l.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed again: %v", err)
	}
	again, err := net.Listen("tcp", l.Addr().String())
	must(t, err)
	must(t, again.Close())
	_, err = here.Write([]byte("word"))
	must(t, err)
	got := make([]byte, 4)
	if _, err := io.ReadFull(there, got); err != nil || string(got) != "word" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestAcceptToAnotherGroup is that the group of a connection is chosen when it
// has come.
func TestAcceptToAnotherGroup(t *testing.T) {
	first, second := group(t, 1), group(t, 1)
	l := listener(t, first, "127.0.0.1:0")
	dial(t, l)
	c, err := l.AcceptTo(func() *Group { return second })
	must(t, err)
	defer c.Close()
	if c.Group() != second {
		t.Error("it is of the listener's group")
	}
	task(t, second, func(task *Task) { bound(t, task, c) })()
}

// TestListenersOfAClosedGroup is that they are closed with it.
func TestListenersOfAClosedGroup(t *testing.T) {
	g, err := New(Options{Loops: 1})
	must(t, err)
	l := listener(t, g, "127.0.0.1:0")
	must(t, g.Close())
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
}

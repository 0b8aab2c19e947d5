package evloop

import (
	"net"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func group(t testing.TB, loops int) *Group {
	t.Helper()
	g, err := New(Options{Loops: loops})
	must(t, err)
	t.Cleanup(func() { must(t, g.Close()) })
	return g
}

// pair is a connection of the group and its other end.
func pair(t testing.TB, g *Group) (*Conn, net.Conn) {
	t.Helper()
	here, there := sockets(t)
	c, err := g.Adopt(here)
	must(t, err)
	t.Cleanup(func() { c.Close(); there.Close() })
	return c, there
}

// sockets are the two ends of a TCP connection.
func sockets(t testing.TB) (here, there net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	there, err = net.Dial("tcp", l.Addr().String())
	must(t, err)
	here, err = l.Accept()
	must(t, err)
	return here, there
}

// task runs f as a task; the function that it returns waits for its end.
func task(t testing.TB, g *Group, f func(*Task)) (wait func()) {
	t.Helper()
	var done sync.WaitGroup
	done.Add(1)
	g.Go(func(task *Task) {
		defer done.Done()
		f(task)
	})
	return func() {
		t.Helper()
		ended := make(chan struct{})
		go func() { done.Wait(); close(ended) }()
		within(t, ended)
	}
}

// within waits for a channel to be closed, or to have something.
func within[T any](t testing.TB, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatal("it has not happened")
	}
	return v
}

// bound makes a connection that of a task.
func bound(t testing.TB, task *Task, conns ...*Conn) {
	t.Helper()
	for _, c := range conns {
		if err := c.Bind(task); err != nil {
			t.Error(err)
		}
	}
}

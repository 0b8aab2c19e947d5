package evloop

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// echo is a step that gives back what comes, until that is a q.
func echo(c *Conn) Next {
	var b [16]byte
	n, err := c.TryRead(b[:])
	switch {
	case err == ErrAgain:
		if c.Expect() {
			return Again
		}
		return Wait
	case err != nil || n == 0 || b[0] == 'q':
		return Resume
	}
	if _, err := c.TryWrite(b[:n]); err != nil {
		return Resume
	}
	return Again
}

// exchange says something and reads as much.
func exchange(t *testing.T, c net.Conn, said string) {
	t.Helper()
	must(t, c.SetDeadline(time.Now().Add(patience)))
	_, err := io.WriteString(c, said)
	must(t, err)
	got := make([]byte, len(said))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != said {
		t.Fatalf("%q, %v instead of %q", got, err, said)
	}
}

// served runs a task that does nothing but have a step called, until the
// connection has ended. What comes is for the step once served returns.
func served(t *testing.T, g *Group, c *Conn, step func() Next) (runs *atomic.Int32, done func()) {
	t.Helper()
	runs = new(atomic.Int32)
	begun := make(chan struct{})
	done = task(t, g, func(task *Task) {
		bound(t, task, c)
		for {
			n, err := c.TryRead(make([]byte, 1))
			switch {
			case err == nil && n == 0:
				return
			case err != ErrAgain:
				t.Errorf("%d bytes for the task (%v)", n, err)
				return
			case c.Expect():
				continue
			}
			if runs.Add(1) == 1 {
				close(begun)
			}
			task.Serve(step)
		}
	})
	within(t, begun)
	return runs, done
}

// TestServe has steps answer while the task does not run.
func TestServe(t *testing.T) {
	g := group(t, 2)
	c, there := pair(t, g)
	runs, done := served(t, g, c, func() Next { return echo(c) })
	exchange(t, there, "a")
	before := runs.Load()
	for range 100 {
		exchange(t, there, "abc")
	}
	if n := runs.Load() - before; n != 0 {
		t.Errorf("the task has run %d times", n)
	}
	_, err := io.WriteString(there, "q")
	must(t, err)
	there.Close()
	done()
}

// TestServeTakesTurns has a step that never waits, beside another task of its
// loop.
func TestServeTakesTurns(t *testing.T) {
	g := group(t, 1)
	c, there := pair(t, g)
	var other atomic.Bool
	_, done := served(t, g, c, func() Next {
		if !other.Load() {
			return Again
		}
		return echo(c)
	})
	_, err := io.WriteString(there, "x")
	must(t, err)
	task(t, g, func(*Task) { other.Store(true) })()
	must(t, there.SetDeadline(time.Now().Add(patience)))
	if _, err := io.ReadFull(there, make([]byte, 1)); err != nil {
		t.Error(err)
	}
	there.Close()
	done()
}

// TestServeIsTakenOver has a step hold its loop up until another task of it has
// run, which the watchdog makes possible.
func TestServeIsTakenOver(t *testing.T) {
	g, err := newGroup(Options{Loops: 1}, time.Millisecond)
	must(t, err)
	defer g.Close()
	c, there := pair(t, g)
	other := make(chan struct{})
	held := false
	_, first := served(t, g, c, func() Next {
		if !held {
			held = true
			<-other
		}
		return echo(c)
	})
	_, err = io.WriteString(there, "x")
	must(t, err)
	second := task(t, g, func(*Task) { close(other) })
	second()
	must(t, there.SetDeadline(time.Now().Add(patience)))
	if _, err := io.ReadFull(there, make([]byte, 1)); err != nil {
		t.Error(err)
	}
	exchange(t, there, "y")
	_, err = io.WriteString(there, "q")
	must(t, err)
	there.Close()
	first()
}

// TestStepsDoNotWait is that a step cannot yield, by mistake or because it has
// done much.
func TestStepsDoNotWait(t *testing.T) {
	step := &Task{inside: true, steps: true, calls: 1, bytes: 1}
	step.spend(100)
	defer func() {
		if recover() == nil {
			t.Error("a step has waited")
		}
	}()
	step.park()
}

// TestTryWrite fills a connection up.
func TestTryWrite(t *testing.T) {
	g := group(t, 1)
	c, there := pair(t, g)
	sent := 0
	for {
		n, err := c.TryWrite(make([]byte, 1<<20))
		sent += n
		if err == ErrAgain {
			break
		}
		must(t, err)
	}
	must(t, there.SetDeadline(time.Now().Add(patience)))
	if n, err := io.CopyN(io.Discard, there, int64(sent)); err != nil {
		t.Errorf("%d of %d bytes: %v", n, sent, err)
	}
	must(t, c.Close())
	if _, err := c.TryWrite([]byte("x")); err != net.ErrClosed {
		t.Errorf("closed: %v", err)
	}
}

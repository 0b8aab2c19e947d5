package evloop

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// gathering starts a group that gathers.
func gathering(t testing.TB, loops int) *Group {
	t.Helper()
	g, err := New(Options{Loops: loops, Gather: true})
	must(t, err)
	t.Cleanup(func() { must(t, g.Close()) })
	return g
}

func TestFit(t *testing.T) {
	const soon, later = calm / 2, 2 * calm
	for name, c := range map[string]struct {
		width int32
		done  []work
		after time.Duration // strain, and one more loop
		want  int32
	}{
		"one loop that has little to do":               {1, []work{{100, 9}, {}, {}}, later, 1},
		"one loop near its processor's end":            {1, []work{{full, 9}, {}, {}}, soon, 2},
		"one loop with one task":                       {1, []work{{1000, 1}, {}, {}}, later, 1},
		"two loops, one of which is full":              {2, []work{{full, 9}, {10, 1}, {}}, later, 3},
		"one more loop that may not show yet":          {2, []work{{full, 9}, {10, 1}, {}}, settled / 2, 2},
		"one loop that is full, of all":                {3, []work{{1000, 2}, {100, 2}, {100, 2}}, later, 3},
		"all loops full":                               {3, []work{{1000, 9}, {1000, 9}, {1000, 9}}, later, 3},
		"two loops that one could do for":              {2, []work{{300, 2}, {300, 2}, {}}, later, 1},
		"two loops that one could do for, only lately": {2, []work{{300, 2}, {300, 2}, {}}, soon, 2},
		"two loops that one could just not do for":     {2, []work{{350, 2}, {350, 2}, {}}, later, 2},
		"what is left on a loop that gives away":       {1, []work{{}, {300, 9}, {}}, later, 1},
		"two loops that have nothing to do":            {2, []work{{}, {}, {}}, later, 1},
	} {
		t.Run(name, func(t *testing.T) {
			g := &Group{gather: true}
			g.width.Store(c.width)
			g.fit(c.done, c.after)
			if got := g.width.Load(); got != c.want {
				t.Errorf("%d loops", got)
			}
		})
	}
}

func TestSurplus(t *testing.T) {
	for name, c := range map[string]struct {
		of    int // the loop that is asked
		width int
		tasks []int32 // of each loop
		n     int32
		to    int
	}{
		"the only loop":                   {0, 1, []int32{9, 0}, 0, 0},
		"another one that has none":       {0, 2, []int32{16, 0}, 8, 1},
		"one that has none, among many":   {1, 4, []int32{16, 16, 16, 0}, 4, 3},
		"one that has none, of few tasks": {0, 4, []int32{3, 3, 3, 0}, 1, 3},
		"one that has none, of fewest":    {0, 5, []int32{2, 2, 2, 2, 0}, 1, 4},
		"the one that has least":          {0, 3, []int32{9, 5, 3}, 2, 2},
		"one that has as many":            {0, 2, []int32{9, 9}, 0, 0},
		"one that has about as many":      {0, 2, []int32{40, 31}, 0, 0},
		"one that has more":               {0, 2, []int32{1, 9}, 0, 0},
		"a loop that is not one of them":  {1, 1, []int32{5, 7}, math.MaxInt32, -1},
	} {
		t.Run(name, func(t *testing.T) {
			g := &Group{gather: true}
			var done []work
			for i, n := range c.tasks {
				g.loops = append(g.loops, &loop{group: g, number: i})
				done = append(done, work{tasks: n})
			}
			n, to := g.loops[c.of].surplus(c.width, done)
			switch {
			case n != c.n:
				t.Errorf("%d tasks", n)
			case n > 0 && c.to < 0 && to != nil, n > 0 && c.to >= 0 && to != g.loops[c.to]:
				t.Errorf("to %+v", to)
			}
		})
	}
}

// TestLoadIsMeasured has a task use its processor until that is seen.
func TestLoadIsMeasured(t *testing.T) {
	g := gathering(t, 1)
	until := time.Now().Add(patience)
	task(t, g, func(task *Task) {
		for s := &g.loops[0].share; (s.load.Load() == 0 || s.tasks.Load() != 1) && time.Now().Before(until); {
			task.Yield()
		}
	})()
	l := g.loops[0]
	if did := l.lately(time.Duration(l.clock.Load())); did.load == 0 || did.load > 1000 || did.tasks != 1 {
		t.Errorf("%+v", did)
	}
	for until := time.Now().Add(patience); l.lately(l.elapsed()+time.Minute) != (work{}); {
		if time.Now().After(until) {
			t.Fatalf("%+v, long after", l.lately(l.elapsed()+time.Minute))
		}
		runtime.Gosched()
	}
}

// relay is a relay between two ends, one of which relayes; it goes on until the
// other end has had enough. By turns it serves by steps, waits, and is outside.
type relay struct {
	task *Task
	a, b *Conn
	on   *[4]atomic.Bool // loops that it was seen on
}

// step passes on what is there, as far as that goes without waiting.
func (r *relay) step() Next {
	r.on[r.task.Loop()].Store(true)
	if rand.IntN(8) == 0 {
		return Resume
	}
	for _, way := range [][2]*Conn{{r.a, r.b}, {r.b, r.a}} {
		var b [512]byte
		n, err := way[0].TryRead(b[:])
		if errors.Is(err, ErrAgain) {
			continue
		}
		if err != nil || n == 0 {
			r.task = nil // it is over
			return Resume
		}
		if m, err := way[1].TryWrite(b[:n]); err != nil || m < n {
			r.task = nil // there is always room for so little
			return Resume
		}
		return Again
	}
	if r.a.Expect() || r.b.Expect() {
		return Again
	}
	return Wait
}

func (r *relay) run(t testing.TB, task *Task) {
	bound(t, task, r.a, r.b)
	r.task = task
	for r.task != nil {
		if r.step() == Wait {
			task.Serve(r.step)
		}
		if rand.IntN(8) == 0 {
			task.Outside(func() { r.a.SetReadDeadline(time.Now().Add(patience)) }) //nolint:errcheck // the next read tells
		}
	}
}

// TestTasksChangeLoops has relays at work while the number of loops changes all
// the time: all must come through, and be seen on each of the loops.
func TestTasksChangeLoops(t *testing.T) {
	const loops, relays, rounds = 3, 24, 150
	g := gathering(t, loops)
	on := make([][4]atomic.Bool, relays)
	stop := make(chan struct{})
	var changes, all sync.WaitGroup
	changes.Go(func() {
		for width := int32(1); ; width = width%loops + 1 {
			select {
			case <-stop:
				return
			case <-time.After(3 * period):
				g.width.Store(width)
			}
		}
	})
	everywhere := func() bool {
		for i := range on {
			for l := range loops {
				if !on[i][l].Load() {
					return false
				}
			}
		}
		return true
	}
	until := time.Now().Add(patience)
	for i := range relays {
		a, client := pair(t, g)
		b, server := pair(t, g)
		wait := task(t, g, func(task *Task) { (&relay{a: a, b: b, on: &on[i]}).run(t, task) })
		all.Go(func() { io.Copy(server, server) }) //nolint:errcheck // until it is closed
		all.Go(func() {
			defer wait()
			defer server.Close()
			defer client.Close()
			must(t, client.SetDeadline(until.Add(patience)))
			sent, got := make([]byte, 200), make([]byte, 200)
			for n := 0; n < rounds || !everywhere() && time.Now().Before(until); n++ {
				sent[n%len(sent)]++
				if _, err := client.Write(sent); err != nil {
					t.Error(err)
					return
				}
				if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(sent, got) {
					t.Errorf("round %d: %v", n, err)
					return
				}
			}
		})
	}
	all.Wait()
	close(stop)
	changes.Wait()
	if !everywhere() {
		t.Error("not all were on all loops")
	}
	g.tasks.Wait() // their ends are seen to a moment later
	for _, l := range g.loops {
		if n := l.tasks.Load(); n != 0 {
			t.Errorf("loop %d has %d tasks after all", l.number, n)
		}
	}
}

// reader is a task that tells on which loop it reads.
type reader struct {
	c     *Conn
	there net.Conn
	read  chan int // -1 for a deadline
}

func (r *reader) run(t testing.TB, task *Task) {
	bound(t, task, r.c)
	for {
		switch _, err := r.c.Read(make([]byte, 1)); {
		case errors.Is(err, os.ErrDeadlineExceeded):
			must(t, r.c.SetReadDeadline(time.Time{}))
			r.read <- -1
		case errors.Is(err, net.ErrClosed):
			return
		default:
			r.read <- task.Loop()
		}
	}
}

// ask is on which loop the task reads what is said to it, and which one has the
// events of its connection by then.
func (r *reader) ask(t testing.TB) (on, events int) {
	t.Helper()
	_, err := r.there.Write([]byte{1})
	must(t, err)
	on = within(t, r.read)
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	return on, r.c.loop.number
}

// TestConnectionsFollow is that a task that was handed over is woken by its own
// loop before long, and that deadlines and Close reach it.
func TestConnectionsFollow(t *testing.T) {
	g := gathering(t, 2)
	g.strained.Store(int64(time.Hour)) // it is not to become less by itself
	g.width.Store(2)
	var moves *reader
	for range 2 { // one for each loop
		r := &reader{read: make(chan int, 1)}
		r.c, r.there = pair(t, g)
		defer task(t, g, func(task *Task) { r.run(t, task) })()
		defer r.c.Close()
		if on, _ := r.ask(t); on == 1 {
			moves = r
		}
	}
	if moves == nil {
		t.Fatal("both tasks are on one loop")
	}
	g.width.Store(1)
	for until := time.Now().Add(patience); ; {
		on, events := moves.ask(t)
		if on == 0 && events == 0 {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("on loop %d, with events of loop %d", on, events)
		}
	}
	must(t, moves.c.SetReadDeadline(time.Now().Add(time.Millisecond)))
	if on := within(t, moves.read); on != -1 {
		t.Error("no deadline")
	}
}

package evloop

import (
	"io"
	"runtime"
	"testing"
	"time"
)

func TestHabit(t *testing.T) {
	h := newHabit(Options{Loops: 2}, 3, 2)
	if h.spins() {
		t.Error("it spins before it knows anything")
	}
	for range 100 {
		h.waited(0)
	}
	if !h.spins() {
		t.Error("it does not spin after short waits")
	}
	// What is seldom but takes two steps each time has a short wait now and then.
	for range 100 {
		h.waited(10 * time.Microsecond)
		h.waited(time.Millisecond)
	}
	if h.spins() {
		t.Error("it spins though every other wait is long")
	}
	h.waited(time.Hour)
	for range 100 {
		h.waited(0)
	}
	if !h.spins() {
		t.Error("one very long wait is not forgotten")
	}
	for _, none := range []habit{newHabit(Options{Loops: 2}, 2, 2), newHabit(Options{}, 1, 4), newHabit(Options{Loops: 1}, 4, 1)} {
		for range 100 {
			none.waited(0)
		}
		if none.spins() {
			t.Errorf("%+v spins", none)
		}
	}
}

// TestNaps is which loops keep their place while they sleep.
func TestNaps(t *testing.T) {
	h := newHabit(Options{Loops: 2}, 5, 2)
	for range 100 {
		h.waited(2 * spinPays)
	}
	if !h.naps() || h.spins() {
		t.Errorf("with waits of %s: naps %t, spins %t", 2*spinPays, h.naps(), h.spins())
	}
	// The scheduler ends naps every 10 ms where nothing comes.
	for range 8 {
		h.waited(10 * time.Millisecond)
	}
	if h.naps() {
		t.Error("it naps after long waits")
	}
	if full := newHabit(Options{Loops: 2}, 4, 2); !full.mustTell {
		t.Error("loops nap that may have all places together with others")
	}
	for debug, want := range map[string]bool{"": true, "asyncpreemptoff=0": true, "gctrace=1,asyncpreemptoff=1": false} {
		if preempts(debug) != want {
			t.Errorf("%q: signals %t", debug, !want)
		}
	}
}

// TestNapsEnd stops all goroutines while a loop naps that nothing comes for.
func TestNapsEnd(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	g := group(t, 1)
	c, there := pair(t, g)
	done := task(t, g, func(task *Task) {
		bound(t, task, c)
		io.Copy(c, c) //nolint:errcheck // the exchanges tell
	})
	for range 20 {
		for range 100 {
			exchange(t, there, "x")
		}
		ended := make(chan struct{})
		go func() { runtime.GC(); close(ended) }()
		within(t, ended)
	}
	there.Close()
	done()
}

// TestCrowd is that no loop spins where many tasks of the group are at work, and
// that what was at work some time ago is not.
func TestCrowd(t *testing.T) {
	const window = 1 << windowBits * time.Nanosecond
	g := &Group{}
	for range 2 {
		l := &loop{group: g, habit: newHabit(Options{Loops: 2, Crowd: 3}, 5, 4)}
		for range 100 {
			l.habit.waited(0)
		}
		g.loops = append(g.loops, l)
	}
	a, b := g.loops[0], g.loops[1]
	now := 10 * window
	pass := func(l *loop, tasks ...*Task) {
		for range 3 { // the same ones again and again
			for _, t := range tasks {
				l.present.saw(t)
			}
		}
		l.clock.Store(int64(now))
		l.newWindow(now)
	}
	tasks := []*Task{{}, {}, {}, {}}
	for _, step := range []struct {
		after   time.Duration
		a, b    []*Task // those that have run since
		crowded bool
	}{
		{window, nil, nil, false},
		{window, tasks[:1], tasks[1:2], false},
		{window, tasks[:2], tasks[2:3], true},
		{window, tasks[:1], tasks[2:3], false},
		{window, tasks[:4], nil, true},
		{window / 4, nil, nil, true}, // of the same window
		{window, tasks[:1], nil, false},
		{window, tasks[:3], nil, true},
		{9 * window, nil, nil, false}, // they have slept
		{window, tasks[:2], nil, false},
	} {
		now += step.after
		pass(b, step.b...)
		pass(a, step.a...)
		if a.habit.spins() == step.crowded {
			t.Errorf("after %s, with %d and %d tasks, it spins: %t", now, len(step.a), len(step.b), a.habit.spins())
		}
	}
}

// TestSpin has a loop spin that nobody runs.
func TestSpin(t *testing.T) {
	g := &Group{began: time.Now()}
	l, err := newLoop(g, 0)
	must(t, err)
	defer l.free()
	l.habit.turns = spinTurns
	l.look() // of the alarm, which can be written to
	if n := l.spin(); n != 0 {
		t.Fatalf("%d events of nothing", n)
	}
	g.loops = []*loop{l}
	c, there := pair(t, g)
	must(t, l.add(c.fd, c.generation))
	l.look() // there is room to write, and to be told once
	if n := l.spin(); n != 0 {
		t.Fatalf("%d events of a silent connection", n)
	}
	_, err = there.Write([]byte("x"))
	must(t, err)
	if n := l.spin(); n != 1 || l.list[0].Fd != int32(c.fd) {
		t.Fatalf("%d events, the first of %+v", n, l.list[0])
	}
	l.give(&Task{loop: l})
	for _, usual := range []time.Duration{spinPays, longWait} { // spinning or not
		l.habit.usual = usual
		if n, _ := l.await(); n != 0 {
			t.Fatalf("%d events with mail", n)
		}
		if l.habit.usual >= usual {
			t.Errorf("a wait that mail has ended at once counts as long: %s after %s", l.habit.usual, usual)
		}
	}
}

func TestDefaultLoops(t *testing.T) {
	if n := DefaultLoops(); n < 1 {
		t.Errorf("%d loops", n)
	}
}

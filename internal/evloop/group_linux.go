package evloop

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Group is a number of loops with their connections and tasks. Its methods may
// be called from anywhere.
type Group struct {
	loops       []*loop
	began       time.Time
	conns       table
	next        atomic.Uint32
	generations atomic.Uint32
	tasks       sync.WaitGroup
	running     sync.WaitGroup // loops and the watchdog
	watch       watchdog
	spare       spare
	gather      bool
	width       atomic.Int32 // on how many loops, from the first one on, tasks run now
	strained    atomic.Int64 // since the start, when fewer would not have done
	widened     atomic.Int64 // and when there was one more
	once        sync.Once
}

// New starts loops. The owner ends them by Close.
func New(o Options) (*Group, error) { return newGroup(o, 10*time.Millisecond) }

func newGroup(o Options, tick time.Duration) (*Group, error) {
	g := &Group{began: time.Now(), gather: o.Gather}
	g.watch.init(tick)
	for i := range max(o.Loops, 1) {
		l, err := newLoop(g, i)
		if err != nil {
			for _, l := range g.loops {
				l.free()
			}
			return nil, err
		}
		l.habit = newHabit(o, runtime.GOMAXPROCS(0), runtime.NumCPU())
		g.loops = append(g.loops, l)
	}
	g.width.Store(int32(len(g.loops)))
	if o.Gather {
		g.width.Store(1)
	}
	for _, l := range g.loops {
		g.running.Go(l.run)
	}
	g.running.Go(func() { g.watch.run(g.loops) })
	return g, nil
}

// Loops is the number of loops; nil has none.
func (g *Group) Loops() int {
	if g == nil {
		return 0
	}
	return len(g.loops)
}

// Close closes all connections, waits for the tasks, and ends the loops. No
// task may be started any more.
func (g *Group) Close() error {
	g.once.Do(func() {
		for _, c := range g.conns.close() {
			c.Close()
		}
		g.tasks.Wait()
		g.watch.stop()
		for _, l := range g.loops {
			l.stop()
		}
		g.running.Wait()
		g.spare.close()
		for _, l := range g.loops {
			l.free()
		}
	})
	return nil
}

// Go starts a task on the loop that has the fewest, of those that tasks run on.
func (g *Group) Go(f func(*Task)) {
	l := g.quietest()
	l.tasks.Add(1)
	g.tasks.Add(1)
	l.give(newTask(l, f))
}

func (g *Group) quietest() *loop {
	from, loops := g.next.Add(1), g.loops[:g.width.Load()]
	best := loops[int(from)%len(loops)]
	for i := 1; i < len(loops); i++ {
		if l := loops[(int(from)+i)%len(loops)]; l.tasks.Load() < best.tasks.Load() {
			best = l
		}
	}
	return best
}

var (
	errGroupClosed = errors.New("evloop: the group is closed")
	errOtherGroup  = errors.New("evloop: the connection is of another group")
)

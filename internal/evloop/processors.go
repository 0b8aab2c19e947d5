package evloop

import (
	"os"
	"runtime"
)

// Options are what a group is to be like.
type Options struct {
	// Loops is how many there are, at least one.
	Loops int
	// Crowd is with how many tasks at work at once loops that have nothing to do
	// for the moment sleep at once; where there are fewer they look some times
	// more before that. It is for tasks that talk to a thread each, which need the
	// processors themselves. 0 is for no limit.
	Crowd int
	// Gather has tasks run on no more of the loops than it takes: with what
	// comes to one loop it has more to do each time that it wakes, and wakes
	// less often, while the processors are there for others. A loop that gets
	// near to using up a processor shares its tasks with another one.
	Gather bool
}

// DefaultLoops is how many loops a group should have that is told nothing
// else: one for each processor that the goroutines can spare.
func DefaultLoops() int { return max(1, min(runtime.NumCPU(), runtime.GOMAXPROCS(0)/2)) }

// MakeRoom lets goroutines run beside two groups of loops that use all
// processors. A loop that has much to do never sleeps, and so keeps one of the
// places that the scheduler has for goroutines; who shares the processors is
// better left to the kernel then. It is for a program's main function, to be
// called once, and does nothing where the environment says how many places
// there are.
func MakeRoom() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(2*runtime.GOMAXPROCS(0) + 1)
	}
}

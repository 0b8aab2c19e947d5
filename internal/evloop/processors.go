package evloop

import (
	"os"
	"runtime"
)

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

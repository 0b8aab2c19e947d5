// Package evloop runs connections on event loops of their own, instead of on
// the poller of Go's runtime. What reads and writes them is written as usual,
// one step after the other: each Task is a coroutine, which its loop goes on
// with when the connection that it waits for has something for it. A request
// passes so without the scheduler of goroutines, which has to find a thread
// for each of them, and without reads that only find that nothing is there.
//
// Tasks of a loop run one at a time, and may change loops between two turns
// (Options.Gather). What takes its time or waits for something else than a
// connection of the task belongs into Task.Outside. What is forgotten there
// holds the others up for some 10 ms: then another goroutine goes on with them.
//
// It takes Linux. Elsewhere New fails with ErrUnsupported.
package evloop

import "errors"

var (
	// ErrUnsupported is why there is no Group on this system, and why a
	// connection cannot be adopted.
	ErrUnsupported = errors.New("evloop: not supported")
	// ErrAgain tells that there is nothing to read, and that WaitRead waits for
	// it.
	ErrAgain = errors.New("evloop: nothing to read")
)

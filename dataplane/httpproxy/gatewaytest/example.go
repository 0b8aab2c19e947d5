package gatewaytest

import (
	"context"
	"fmt"
	"io"
	"slices"
	"testing"
)

// Example runs an example with what stands in for its test, which examples do
// not have.
func Example(run func(t testing.TB)) {
	ctx, cancel := context.WithCancel(context.Background())
	e := &example{ctx: ctx}
	defer func() {
		cancel()
		for _, f := range slices.Backward(e.cleanups) {
			f()
		}
	}()
	run(e)
}

// example is a testing.TB that panics where a test fails.
type example struct {
	testing.TB
	ctx      context.Context
	cleanups []func()
}

func (e *example) Helper() {}

func (e *example) Cleanup(f func()) { e.cleanups = append(e.cleanups, f) }

func (e *example) Context() context.Context { return e.ctx }

func (e *example) Output() io.Writer { return io.Discard }

func (e *example) Error(args ...any) { panic(fmt.Sprint(args...)) }

func (e *example) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func (e *example) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

func (e *example) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

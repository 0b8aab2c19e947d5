package main

import (
	"fmt"
	"slices"
	"sync"
)

// owner owns what the program starts, as a test owns its servers: it satisfies
// testbed.TB. A fault ends the measure under way by a panic with a fault.
type owner struct {
	mu       sync.Mutex
	cleanups []func()
}

type fault struct{ error }

// Helper implements testbed.TB.
func (*owner) Helper() {}

// Logf implements testbed.TB.
func (*owner) Logf(string, ...any) {}

// Fatalf implements testbed.TB.
func (*owner) Fatalf(format string, args ...any) { panic(fault{fmt.Errorf(format, args...)}) }

// Cleanup implements testbed.TB.
func (o *owner) Cleanup(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cleanups = append(o.cleanups, f)
}

// must ends the measure under way when there is an error.
func (o *owner) must(err error) {
	if err != nil {
		panic(fault{err})
	}
}

// run runs f, cleans up what it started, newest first, and returns its fault.
func (o *owner) run(f func()) (err error) {
	defer func() {
		o.mu.Lock()
		cleanups := o.cleanups
		o.cleanups = nil
		o.mu.Unlock()
		for _, c := range slices.Backward(cleanups) {
			c()
		}
	}()
	defer func() {
		if r := recover(); r != nil {
			fl, ok := r.(fault)
			if !ok {
				panic(r)
			}
			err = fl.error
		}
	}()
	f()
	return nil
}

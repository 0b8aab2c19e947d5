package evloop

import (
	"iter"
	"sync"
)

// coroutine runs tasks, one after the other: the stack has grown by the first
// one to what such tasks need.
type coroutine struct {
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	task  *Task
}

func newCoroutine() *coroutine {
	c := &coroutine{}
	c.next, c.stop = iter.Pull(func(yield func(struct{}) bool) {
		c.yield = yield
		for ok := true; ok; ok = yield(struct{}{}) {
			c.task.run()
			c.task.why = ends
			c.task = nil
		}
	})
	return c
}

// resume goes on with the task, and tells whether the coroutine is of use
// afterwards: it is not when the task has ended its goroutine.
func (c *coroutine) resume() bool {
	_, more := c.next()
	return more
}

// spareMost is how many coroutines are kept that have nothing to do.
const spareMost = 128

// spare are coroutines that have nothing to do.
type spare struct {
	mu     sync.Mutex
	idle   []*coroutine
	closed bool
}

// take returns one, a new one if there is none.
func (s *spare) take() *coroutine {
	s.mu.Lock()
	if n := len(s.idle) - 1; n >= 0 {
		c := s.idle[n]
		s.idle[n] = nil
		s.idle = s.idle[:n]
		s.mu.Unlock()
		return c
	}
	s.mu.Unlock()
	return newCoroutine()
}

// keep takes one back whose task is over.
func (s *spare) keep(c *coroutine) {
	s.mu.Lock()
	room := len(s.idle) < spareMost && !s.closed
	if room {
		s.idle = append(s.idle, c)
	}
	s.mu.Unlock()
	if !room {
		c.stop()
	}
}

// close ends all of them.
func (s *spare) close() {
	s.mu.Lock()
	idle := s.idle
	s.idle, s.closed = nil, true
	s.mu.Unlock()
	for _, c := range idle {
		c.stop()
	}
}

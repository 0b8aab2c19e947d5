package evloop

import (
	"sync/atomic"
	"time"
)

// lull is after how many ticks without anything happening the watchdog goes to
// sleep.
const lull = 100

// watchdog finds loops whose task does not yield, and starts others in their
// place.
type watchdog struct {
	tick   time.Duration
	asleep atomic.Bool
	alarm  chan struct{}
	ended  chan struct{}
}

func (w *watchdog) init(tick time.Duration) {
	w.tick, w.alarm, w.ended = tick, make(chan struct{}, 1), make(chan struct{})
}

func (w *watchdog) stop() { close(w.ended) }

// notice tells that a task runs.
func (w *watchdog) notice() {
	if w.asleep.Load() && w.asleep.CompareAndSwap(true, false) {
		select {
		case w.alarm <- struct{}{}:
		default:
		}
	}
}

func (w *watchdog) run(loops []*loop) {
	seen := make([]uint64, len(loops))
	ticker := time.NewTicker(w.tick)
	defer ticker.Stop()
	for quiet := 0; ; {
		select {
		case <-w.ended:
			return
		case <-ticker.C:
		}
		quiet++
		for i, l := range loops {
			phase := l.phase.Load()
			if phase == seen[i] && phase&1 == 1 && l.phase.CompareAndSwap(phase, phase+1) {
				phase++
				l.group.running.Go(l.run)
			}
			if phase != seen[i] || phase&1 == 1 {
				seen[i], quiet = phase, 0
			}
		}
		if quiet < lull {
			continue
		}
		w.asleep.Store(true)
		if w.stirs(loops, seen) {
			w.asleep.Store(false)
			continue
		}
		ticker.Stop()
		select {
		case <-w.ended:
			return
		case <-w.alarm:
		}
		ticker.Reset(w.tick)
		quiet = 0
	}
}

// stirs tells whether something has happened since the loops were looked at.
func (w *watchdog) stirs(loops []*loop, seen []uint64) bool {
	for i, l := range loops {
		if l.phase.Load() != seen[i] {
			return true
		}
	}
	return false
}

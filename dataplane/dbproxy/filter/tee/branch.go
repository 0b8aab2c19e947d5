package tee

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/backplane/backplane/dataplane/dbproxy"
)

const (
	maxWaiting = 256      // copies
	maxBytes   = 16 << 20 // of all of them
	drainTime  = 5 * time.Second
)

// branch runs the copies of one session, on a goroutine of its own.
type branch struct {
	tee    *tee
	fork   *dbproxy.Session
	cancel func()
	open   func() (dbproxy.Handler, error)

	queue chan job
	bytes *semaphore.Weighted
	done  chan struct{}
}

// job is a copy to be run. Who waits for it is told by done.
type job struct {
	packet []byte
	done   chan error
}

// begin starts the branch of a session.
func (h *handler) begin(fork *dbproxy.Session, cancel func(), open func() (dbproxy.Handler, error)) {
	b := &branch{
		tee: h.tee, fork: fork, cancel: cancel, open: open,
		queue: make(chan job, maxWaiting), bytes: semaphore.NewWeighted(maxBytes), done: make(chan struct{}),
	}
	h.branch = b
	h.tee.branches.Add(1)
	go func() {
		b.run()
		// The last to let go of the filter closes it, which waits for branches
		// and for who waits for them: this one must not wait for itself.
		close(b.done)
		h.tee.branches.Done()
		b.cancel()
	}()
}

// run opens the branch and runs copies until there are no more. One that has
// failed goes on to take them, so that nobody waits for it.
func (b *branch) run() {
	target, err := b.open()
	if direct, ok := target.(direct); ok && err == nil {
		defer direct.Close()
	}
	b.note(err)
	for j := range b.queue {
		if err == nil {
			if err = b.fork.Context().Err(); err == nil {
				err = target.Handle(b.fork.NewRequest(j.packet), b.fork.Nobody())
			}
			b.note(err)
		}
		b.bytes.Release(weight(j.packet))
		if j.done != nil {
			j.done <- err
		}
	}
}

// note tells of a branch that has failed.
func (b *branch) note(err error) {
	switch {
	case err == nil:
	case b.fork.Context().Err() != nil: // it was killed
	default:
		b.tee.failed.Add(1)
		b.tee.log.Warn("Copies are no longer sent", "session", b.fork.ID(), "target", b.tee.target, "error", err)
	}
}

func weight(packet []byte) int64 { return min(int64(len(packet)), maxBytes) }

// add puts a copy of a session's request into the queue, and waits for room
// there. What it returns is told when the copy has run.
func (b *branch) add(s *dbproxy.Session, packet []byte, wait bool) (<-chan error, error) {
	j := job{packet: packet}
	if wait {
		j.done = make(chan error, 1)
	}
	if b.bytes.TryAcquire(weight(packet)) {
		select {
		case b.queue <- j:
			return j.done, nil
		default:
			b.bytes.Release(weight(packet))
		}
	}
	var err error
	s.Outside(func() { err = b.squeeze(s.Context(), j) })
	return j.done, err
}

// squeeze puts a copy into the queue once there is room.
func (b *branch) squeeze(ctx context.Context, j job) error {
	if err := b.bytes.Acquire(ctx, weight(j.packet)); err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	select {
	case b.queue <- j:
		return nil
	case <-ctx.Done():
		b.bytes.Release(weight(j.packet))
		return context.Cause(ctx)
	}
}

// end lets the branch run what is left, for a while, or not at all when the
// session was ended by force.
func (b *branch) end(forced bool) {
	close(b.queue)
	if forced {
		b.fork.Kill()
		return
	}
	timer := time.AfterFunc(drainTime, b.fork.Kill)
	b.tee.branches.Go(func() {
		<-b.done
		timer.Stop()
	})
}

package store

import (
	"context"
	"sync"
	"time"
)

// pollEvery is how soon a process learns of changes that another one made.
const pollEvery = 250 * time.Millisecond

// feed tells waiters of new revisions.
type feed struct {
	mu   sync.Mutex
	seen uint64
	next chan struct{} // closed at the next announcement
}

func newFeed() *feed { return &feed{next: make(chan struct{})} }

func (f *feed) announce(rev uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if rev <= f.seen {
		return
	}
	f.seen = rev
	close(f.next)
	f.next = make(chan struct{})
}

func (f *feed) after(rev uint64) (<-chan struct{}, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.next, f.seen > rev
}

// AwaitChange waits until a change after rev is committed, or ctx ends.
func (s *Store) AwaitChange(ctx context.Context, rev uint64) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		next, newer := s.feed.after(rev)
		if newer {
			return nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Follow announces changes made by other processes until ctx ends, and
// forgets old changes. A failure to read the store is passed to report and
// tried again.
func (s *Store) Follow(ctx context.Context, report func(error)) {
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	compact := time.NewTicker(time.Minute)
	defer compact.Stop()
	if rev, _, err := s.CurrentRevision(ctx); err == nil {
		s.feed.announce(rev)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-compact.C:
			if err := s.Compact(ctx); err != nil && ctx.Err() == nil {
				report(err)
			}
		case <-poll.C:
			if s.Exclusive() {
				continue
			}
			rev, _, err := s.CurrentRevision(ctx)
			if err != nil && ctx.Err() == nil {
				report(err)
				continue
			}
			s.feed.announce(rev)
		}
	}
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"entgo.io/ent/dialect"
	"github.com/lib/pq"

	"github.com/backplane/backplane/ent"
)

// flushWithin is how long a change of ChangeLater may be without a flush.
// PostgreSQL flushes as soon by itself.
const flushWithin = 250 * time.Millisecond

// later is what makes changes whose flush to the disk nobody waits for.
type later struct {
	client *ent.Client
	db     *sql.DB // of SQLite; nil elsewhere

	log string // the file that holds what is not flushed yet

	mu            sync.Mutex
	made, flushed int         // changes that nobody waited for
	timer         *time.Timer // runs while some are not flushed
	closed        bool
	all           sync.WaitGroup
}

// ChangeLater is Change for what is done again when it is lost: it does not wait
// until the disk has it. A process that is killed loses nothing. A machine that
// loses power loses at most the changes since the last Change, which reaches the
// disk after all before it, and none older than a second. MySQL and MariaDB know
// no such transactions; there it is Change.
func (s *Store) ChangeLater(ctx context.Context, fn func(tx *Tx) error) error {
	return s.change(ctx, s.later.client, fn)
}

func (s *Store) prepareLater(driver *preparing) {
	switch s.dialect {
	case dialect.SQLite:
		s.later.client = s.client(newPreparing(s.dialect, s.later.db))
	case dialect.Postgres:
		s.later.client = s.client(driver.beginning(unwaited("SET LOCAL synchronous_commit TO OFF")))
	default:
		s.later.client = s.Client
	}
}

// unwaited makes a transaction of PostgreSQL one that does not wait for its
// flush, by a setting. Servers that only speak its protocol may not know it;
// there the transaction waits.
func unwaited(setting string) func(context.Context, *sql.Tx) error {
	var unknown atomic.Bool
	return func(ctx context.Context, tx *sql.Tx) error {
		if unknown.Load() {
			return nil
		}
		_, err := tx.ExecContext(ctx, "SAVEPOINT unwaited; "+setting+"; RELEASE SAVEPOINT unwaited")
		var pe *pq.Error
		if err == nil || !errors.As(err, &pe) {
			return err
		}
		unknown.Store(true)
		_, err = tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT unwaited")
		return err
	}
}

// committed notes that a transaction is committed. A change that is not flushed
// is within a while, also when no other comes.
func (s *Store) committed(unflushed bool) {
	if s.dialect != dialect.SQLite {
		return
	}
	l := &s.later
	l.mu.Lock()
	defer l.mu.Unlock()
	if !unflushed {
		l.flushed = l.made
		return
	}
	l.made++
	if l.timer == nil && !l.closed {
		l.all.Add(1)
		l.timer = time.AfterFunc(flushWithin, l.run)
	}
}

// run flushes what is not flushed yet, and tries again when it fails.
func (l *later) run() {
	defer l.all.Done()
	err := l.flush()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer = nil
	if (err != nil || l.made > l.flushed) && !l.closed {
		l.all.Add(1)
		l.timer = time.AfterFunc(flushWithin, l.run)
	}
}

// flush makes the disk have what is not flushed yet, as a commit that somebody
// waits for does. SQLite locks other files than its log, so that it can be
// opened and closed besides.
func (l *later) flush() error {
	l.mu.Lock()
	made := l.made
	done := made == l.flushed
	l.mu.Unlock()
	if done {
		return nil
	}
	f, err := os.OpenFile(l.log, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flushed = max(l.flushed, made)
	return nil
}

// closeLater ends flushing, when all is flushed.
func (s *Store) closeLater() error {
	l := &s.later
	if l.db == nil {
		return nil
	}
	l.mu.Lock()
	l.closed = true
	if l.timer != nil && l.timer.Stop() {
		l.all.Done()
	}
	l.mu.Unlock()
	l.all.Wait()
	return errors.Join(l.flush(), l.db.Close())
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"testing"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/backplane/backplane/ent/revision"
	"github.com/backplane/backplane/testbed"
)

// TestLaterIsFlushed: on SQLite a change that nobody waits for is there at once,
// is flushed by itself, and with the next change that somebody waits for.
func TestLaterIsFlushed(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s := openLater(t, "")
	for db, want := range map[*sql.DB]int{s.db: 2, s.later.db: 1} {
		var got int
		if err := db.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&got); err != nil || got != want {
			t.Errorf("PRAGMA synchronous: %d, %v, want %d", got, err, want)
		}
	}
	again := func(tx *Tx) error { return addOne(ctx, tx) }
	if err := s.ChangeLater(ctx, again); err != nil {
		t.Fatal(err)
	}
	if at := valueOf(ctx, t, s); at != firstRevision+1 {
		t.Errorf("after a change the revision is %d", at)
	}
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for unflushed(s) {
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatal("a change was not flushed")
		}
	}
	if err := errors.Join(s.ChangeLater(ctx, again), s.Change(ctx, again)); err != nil {
		t.Fatal(err)
	}
	if unflushed(s) {
		t.Error("a change that somebody waited for did not flush those before it")
	}
}

// TestLaterSurvivesClose: what nobody waited for is in the store that is opened
// again, also when it was closed at once.
func TestLaterSurvivesClose(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	s, err := Open(ctx, "", dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.ChangeLater(ctx, func(tx *Tx) error { return addOne(ctx, tx) }), s.Close()); err != nil {
		t.Fatal(err)
	}
	if unflushed(s) {
		t.Error("the store was closed with a change that was not flushed")
	}
	if s, err = Open(ctx, "", dir); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if at := valueOf(ctx, t, s); at != firstRevision+1 {
		t.Errorf("the revision is %d", at)
	}
}

// TestLaterOnServers: PostgreSQL does not wait for the flush of such a change
// and of no other, and MariaDB, which knows none, makes it too.
func TestLaterOnServers(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	pg := testbed.StartPostgres(t, testbed.PostgresOptions{Durable: true})
	pg.CreateDatabase(t, "later", pg.User)
	s := openLater(t, pg.AdminURL("later"))
	waits := func(change func(context.Context, func(*Tx) error) error) (setting string) {
		t.Helper()
		err := change(ctx, func(tx *Tx) error {
			rows, err := tx.Revision.Query().Aggregate(func(*entsql.Selector) string { return "current_setting('synchronous_commit')" }).Strings(ctx)
			if err == nil {
				setting = rows[0]
				err = addOne(ctx, tx)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return setting
	}
	if later, now := waits(s.ChangeLater), waits(s.Change); later != "off" || now != "on" {
		t.Errorf("synchronous_commit is %q for a change that nobody waits for, and %q for others", later, now)
	}
	if at := valueOf(ctx, t, s); at != firstRevision+2 {
		t.Errorf("PostgreSQL: the revision is %d", at)
	}

	m := testbed.StartMariaDB(t, testbed.MariaDBOptions{})
	m.Exec(t, "CREATE DATABASE later CHARACTER SET utf8mb4")
	u := url.URL{Scheme: "mysql", User: url.UserPassword("root", m.Password), Host: testbed.Addr(m.Port), Path: "/later"}
	s = openLater(t, u.String())
	if err := s.ChangeLater(ctx, func(tx *Tx) error { return addOne(ctx, tx) }); err != nil {
		t.Fatal(err)
	}
	if at := valueOf(ctx, t, s); at != firstRevision+1 {
		t.Errorf("MariaDB: the revision is %d", at)
	}
}

// TestLaterWhereItIsUnknown: a server that does not know the setting makes the
// change all the same.
func TestLaterWhereItIsUnknown(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	pg := testbed.StartPostgres(t, testbed.PostgresOptions{})
	pg.CreateDatabase(t, "later", pg.User)
	s := openLater(t, pg.AdminURL("later"))
	s.later.client = s.client(newPreparing(s.dialect, s.db).beginning(unwaited("SET LOCAL nothing_of_the_kind TO OFF")))
	for range 2 {
		if err := s.ChangeLater(ctx, func(tx *Tx) error { return addOne(ctx, tx) }); err != nil {
			t.Fatal(err)
		}
	}
	if at := valueOf(ctx, t, s); at != firstRevision+2 {
		t.Errorf("the revision is %d", at)
	}
}

func openLater(t *testing.T, address string) *Store {
	t.Helper()
	s, err := Open(t.Context(), address, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func addOne(ctx context.Context, tx *Tx) error {
	return tx.Revision.Update().Where(revision.ID(revisionRow)).AddValue(1).Exec(ctx)
}

func valueOf(ctx context.Context, t *testing.T, s *Store) uint64 {
	t.Helper()
	at, _, err := s.CurrentRevision(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func unflushed(s *Store) bool {
	s.later.mu.Lock()
	defer s.later.mu.Unlock()
	return s.later.made > s.later.flushed
}

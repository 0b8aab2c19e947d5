package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/go-sql-driver/mysql"
	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/change"
	"github.com/backplane/backplane/ent/lease"
	"github.com/backplane/backplane/ent/revision"
	"github.com/backplane/backplane/internal/errs"
)

// The one row of the revision table.
const revisionRow = 1

// firstRevision is that of the empty store. It is 1, because clients of a long
// poll take index 0 to mean "answer at once".
const firstRevision = 1

// KeepChanges is how many changes watchers can go back.
const KeepChanges = 10_000

// IdentityEvent is the kind of event that a changed user, token or project
// makes: processes check their callers anew. It concerns no service.
const IdentityEvent = "identity"

// ProxyEvent is the kind of event that a changed object of the database proxy
// makes: processes configure theirs anew. It concerns no service.
const ProxyEvent = "proxy"

// GatewayEvent is the kind of event that changed objects of the HTTP gateway
// make: the payload names them. It concerns no service.
const GatewayEvent = "gateway"

// OfService tells whether a change concerns a service of the catalogue.
func OfService(ch *ent.Change) bool {
	return ch.Event != IdentityEvent && ch.Event != ProxyEvent && ch.Event != GatewayEvent
}

// retryPause bounds the pause before the first retry; later ones are longer.
const retryPause = 10 * time.Millisecond

// Event is a change to record in the transaction that makes it.
type Event struct {
	Kind      string // created, updated, deleted, health
	ServiceID uuid.UUID
	Project   string
	Payload   []byte // the service after the change, as the API shows it
}

// Tx is a transaction that makes a change. What is emitted and audited is
// recorded with it, or not at all.
type Tx struct {
	*ent.Tx
	events   []Event
	audit    []Audit
	trailKey *TrailKey // when the transaction brings it; see StartTrail
	alone    bool      // no other transaction changes anything meanwhile
}

// Emit tells watchers of a change, once it is committed.
func (tx *Tx) Emit(e Event) { tx.events = append(tx.events, e) }

// Audit records what is done.
func (tx *Tx) Audit(a Audit) { tx.audit = append(tx.audit, a) }

// TakeTurn makes a transaction wait for every other one that takes its turn or
// emits an event, and them for it. Call it first: what is read afterwards is
// what they left.
func (tx *Tx) TakeTurn(ctx context.Context) error {
	if tx.alone {
		return nil
	}
	return tx.Revision.Update().Where(revision.ID(revisionRow)).AddValue(0).Exec(ctx)
}

// Change runs fn in one transaction and commits it, together with the events
// and audit records that fn leaves in it. fn may be run again when the store
// asks for a retry.
func (s *Store) Change(ctx context.Context, fn func(tx *Tx) error) error {
	return s.change(ctx, s.Client, fn)
}

func (s *Store) change(ctx context.Context, client *ent.Client, fn func(tx *Tx) error) error {
	if faults := errs.Faults(ctx); len(faults) > 0 {
		return errs.Invalid(faults...) // nothing comes of the call
	}
	const attempts = 10
	var err error
	for try := range attempts {
		if err = s.attempt(ctx, client, fn); err == nil || !retryable(err) || ctx.Err() != nil {
			return err
		}
		// At random, so that those who were in each other's way part.
		select {
		case <-time.After(rand.N(time.Duration(try+1) * retryPause)):
		case <-ctx.Done():
			return err
		}
	}
	return err
}

func (s *Store) attempt(ctx context.Context, client *ent.Client, fn func(tx *Tx) error) (err error) {
	if s.dialect == dialect.SQLite {
		select {
		case s.turn <- struct{}{}:
			defer func() { <-s.turn }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	plain, err := client.Tx(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	tx := &Tx{Tx: plain, alone: s.dialect == dialect.SQLite}
	defer func() {
		if err != nil {
			err = errors.Join(err, rollback(plain))
		}
	}()
	if err := fn(tx); err != nil {
		return err
	}
	var rev uint64
	if len(tx.events) > 0 {
		if rev, err = record(ctx, plain, tx.events); err != nil {
			return fmt.Errorf("record change: %w", err)
		}
	}
	var added addition
	if len(tx.audit) > 0 {
		if added, err = s.appendAudit(ctx, tx); err != nil {
			return fmt.Errorf("record audit: %w", err)
		}
	}
	if err := plain.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	s.committed(client != s.Client)
	s.trail.note(added)
	if rev > 0 {
		s.feed.announce(rev)
	}
	return nil
}

func rollback(tx *ent.Tx) error {
	// A driver that has rolled back by itself, as after a cancelled context,
	// says so; that is what was wanted.
	if err := tx.Rollback(); err != nil && !strings.Contains(err.Error(), "already been committed or rolled back") {
		return err
	}
	return nil
}

// Locked makes a query keep its rows from being changed by others until the
// transaction ends. SQLite has a single writer anyway. A shared lock would let a
// stream of readers keep a writer waiting for good.
func Locked(s *entsql.Selector) {
	if s.Dialect() != dialect.SQLite {
		s.ForUpdate()
	}
}

// record numbers the events. It locks the revision row until the commit and
// therefore comes last.
func record(ctx context.Context, tx *ent.Tx, events []Event) (uint64, error) {
	if err := tx.Revision.UpdateOneID(revisionRow).AddValue(int64(len(events))).Exec(ctx); err != nil {
		return 0, err
	}
	row, err := tx.Revision.Get(ctx, revisionRow)
	if err != nil {
		return 0, err
	}
	first := row.Value - uint64(len(events)) + 1
	rows := make([]*ent.ChangeCreate, len(events))
	for i, e := range events {
		rows[i] = tx.Change.Create().SetID(first + uint64(i)).SetEvent(e.Kind).SetServiceID(e.ServiceID).SetProject(e.Project).SetPayload(e.Payload)
	}
	for part := range slices.Chunk(rows, bulkSize) {
		if err := tx.Change.CreateBulk(part...).Exec(ctx); err != nil {
			return 0, err
		}
	}
	return row.Value, nil
}

// bulkSize is how many rows one statement inserts: statements have room for so
// many values only.
const bulkSize = 500

// retryable errors are those with which a store says "run it again".
func retryable(err error) bool {
	var pe *pq.Error
	if errors.As(err, &pe) {
		return pe.Code == "40001" || pe.Code == "40P01"
	}
	var me *mysql.MySQLError
	return errors.As(err, &me) && (me.Number == 1213 || me.Number == 1205 || me.Number == 1020)
}

// CurrentRevision is the number of the last committed change, and that of the
// last one that is no longer kept.
func (s *Store) CurrentRevision(ctx context.Context) (current, oldest uint64, err error) {
	row, err := s.Client.Revision.Get(ctx, revisionRow)
	if err != nil {
		return 0, 0, fmt.Errorf("revision: %w", err)
	}
	return row.Value, row.Oldest, nil
}

// ChangesAfter returns up to limit changes after a revision, in order.
func (s *Store) ChangesAfter(ctx context.Context, rev uint64, limit int) ([]*ent.Change, error) {
	return s.Client.Change.Query().Where(change.IDGT(rev)).Order(change.ByID()).Limit(limit).All(ctx)
}

// Compact forgets changes beyond KeepChanges.
func (s *Store) Compact(ctx context.Context) error {
	current, oldest, err := s.CurrentRevision(ctx)
	if err != nil {
		return err
	}
	if current <= KeepChanges || current-KeepChanges <= oldest {
		return nil
	}
	limit := current - KeepChanges
	return s.Change(ctx, func(tx *Tx) error {
		if err := tx.Revision.UpdateOneID(revisionRow).SetOldest(limit).Exec(ctx); err != nil {
			return err
		}
		_, err := tx.Change.Delete().Where(change.IDLTE(limit)).Exec(ctx)
		return err
	})
}

// Acquire takes or renews the named lease for holder and reports whether it
// has it. Clocks of processes that share a store must agree to within ttl.
func (s *Store) Acquire(ctx context.Context, name, holder string, ttl time.Duration) (bool, error) {
	now := time.Now()
	held := false
	err := s.Change(ctx, func(tx *Tx) error {
		held = false // of an earlier try
		// Look first: in MySQL an update of a row that does not exist locks the
		// gap where it would be, and with that all who want to create it.
		exists, err := tx.Lease.Query().Where(lease.ID(name)).Exist(ctx)
		if err != nil {
			return err
		}
		n := 1
		if exists {
			n, err = tx.Lease.Update().
				Where(lease.ID(name), lease.Or(lease.Holder(holder), lease.ExpiresAtLT(now.UnixMicro()))).
				SetHolder(holder).SetExpiresAt(now.Add(ttl).UnixMicro()).Save(ctx)
		} else {
			err = tx.Lease.Create().SetID(name).SetHolder(holder).SetExpiresAt(now.Add(ttl).UnixMicro()).Exec(ctx)
		}
		held = err == nil && n == 1
		return err
	})
	if ent.IsConstraintError(err) {
		return false, nil // another process created it in between
	}
	return held && err == nil, err
}

// Release gives up a lease so that another process need not wait for its end.
func (s *Store) Release(ctx context.Context, name, holder string) error {
	return s.Change(ctx, func(tx *Tx) error {
		_, err := tx.Lease.Delete().Where(lease.ID(name), lease.Holder(holder)).Exec(ctx)
		return err
	})
}

package dbaas

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/credential"
	"github.com/backplane/backplane/ent/database"
	entop "github.com/backplane/backplane/ent/operation"
	"github.com/backplane/backplane/ent/predicate"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/lease"
	"github.com/backplane/backplane/server/operation"
)

// backgroundLease is the lease under which one process does what is due by
// itself.
const backgroundLease = "databases"

const (
	loginsEvery = 5 * time.Second
	sizesEvery  = time.Minute
	purgeEvery  = 5 * time.Minute
	forgetEvery = time.Hour
	// keepOperations is how long operations that have ended are kept.
	keepOperations = 30 * 24 * time.Hour
	// refusedFor is how long work that was due, and that a server refused, is
	// left before it is begun again.
	refusedFor = 5 * time.Minute
	// atOnce bounds how much work of one kind is begun in one round.
	atOnce = 100
)

// intervals say how often what is due by itself is looked for.
type intervals struct{ logins, sizes, purge, forget time.Duration }

// background begins what is due by itself until ctx ends. Of all processes on
// one store, the holder of a lease does it. What concerns a server is done by
// operations, and so is finished by others when this process dies.
func (a *Admin) background(ctx context.Context) {
	every := a.intervals
	if every == (intervals{}) {
		every = intervals{loginsEvery, sizesEvery, purgeEvery, forgetEvery}
	}
	lease.Hold(ctx, a.Store, a.Log, backgroundLease, func(ctx context.Context) {
		var all sync.WaitGroup
		all.Go(func() { a.repeat(ctx, every.logins, nil, "drop the logins before rotations", a.endGraces) })
		all.Go(func() { a.repeat(ctx, every.logins, nil, "remove expired credentials", a.expire) })
		all.Go(func() { a.repeat(ctx, every.logins, nil, "rotate credentials", a.rotateDue) })
		all.Go(func() { a.repeat(ctx, every.sizes, a.measureNow, "measure databases", a.measureAll) })
		all.Go(func() { a.repeat(ctx, every.purge, nil, "drop databases from quarantine", a.purge) })
		all.Go(func() { a.repeat(ctx, every.forget, nil, "forget old tasks", a.forgetOperations) })
		all.Wait()
	})
}

// repeat does a job, and again after each interval or when it is asked for, until
// ctx ends.
func (a *Admin) repeat(ctx context.Context, every time.Duration, now <-chan struct{}, what string, job func(context.Context) error) {
	for {
		if err := job(ctx); err != nil && ctx.Err() == nil {
			a.Log.ErrorContext(ctx, what, "error", err)
		}
		select {
		case <-time.After(every):
		case <-now:
		case <-ctx.Done():
			return
		}
	}
}

// measureSoon measures all databases at once, if this is the process that does:
// in others it is done at the usual time.
func (a *Admin) measureSoon() {
	select {
	case a.measureNow <- struct{}{}:
	default: // it is asked for already
	}
}

// errNotDue is why work that was found due is not begun after all.
var errNotDue = errors.New("not due any more")

// beginDue begins an operation on a database that is due by itself, unless
// another one works on it, or a server has lately refused the same.
func (a *Admin) beginDue(ctx context.Context, id int, kind string, fn change) error {
	refused, err := a.Store.Operation.Query().Where(
		entop.ObjectClass(classDatabase), entop.ObjectID(id), entop.Kind(kind), entop.Status(operation.Failed),
		entop.EndedAtGT(time.Now().Add(-refusedFor).UnixMicro())).Exist(ctx)
	if err != nil || refused {
		return err
	}
	_, err = a.begin(ctx, id, kind, fn)
	if err == nil || errors.Is(err, errNotDue) {
		return nil
	}
	if reason := errs.Convert(err).Reason; reason == errs.InUse || reason == errs.NotFound {
		return nil
	}
	return err
}

// dueCredentials are credentials with which something is to be done, of
// databases that no operation works on.
func (a *Admin) dueCredentials(ctx context.Context, due ...predicate.Credential) ([]*ent.Credential, error) {
	return a.Store.Credential.Query().
		Where(append(due, credential.Ready(true), credential.HasDatabaseWith(database.OperationID(0)))...).
		Order(credential.ByID()).Select(credential.FieldID, credential.FieldDatabaseID).All(ctx)
}

// beginEach begins an operation for each credential, but no more than one on
// a database and atOnce in all: the others have their turn in the next round.
// What goes wrong with one does not stop the others.
func (a *Admin) beginEach(ctx context.Context, rows []*ent.Credential, kind string, fn func(id int) change) error {
	var failed error
	begun := map[int]bool{}
	for _, row := range rows {
		if len(begun) == atOnce || ctx.Err() != nil {
			break
		}
		if !begun[row.DatabaseID] {
			begun[row.DatabaseID] = true
			failed = errors.Join(failed, a.beginDue(ctx, row.DatabaseID, kind, fn(row.ID)))
		}
	}
	return failed
}

// forgetOperations removes operations that have ended long ago.
func (a *Admin) forgetOperations(ctx context.Context) error {
	_, err := a.Store.Operation.Delete().
		Where(entop.Finished(true), entop.EndedAtLT(time.Now().Add(-keepOperations).UnixMicro())).Exec(ctx)
	return err
}

package operation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/operation"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/store"
)

const (
	// stepTimeout bounds one try of a step that names no other time.
	stepTimeout = 30 * time.Second
	// heldFor is how long an operation waits for the process that holds it.
	heldFor = 15 * time.Second
	// searchEvery is how soon work that is due is found.
	searchEvery = 500 * time.Millisecond
	// atOnce bounds the operations under way in one process.
	atOnce = 64
	// failuresKept bounds the failures that are remembered.
	failuresKept = 1000
	// The pauses between tries double from first to last.
	firstPause, lastPause = time.Second, 2 * time.Minute
)

// errLost means that another process has taken the operation over.
var errLost = errors.New("another process has taken this operation over")

// Options are what a Runner needs.
type Options struct {
	Store *store.Store
	Log   *slog.Logger
	// Kinds are all kinds of operations.
	Kinds []Kind
	// Moved is told of every operation that has begun or moved on. May be nil.
	Moved func(*ent.Operation)

	// Intervals that tests shorten.
	every, pause, held time.Duration
}

// Runner does operations.
type Runner struct {
	Options
	kinds  map[string]Kind
	holder string

	mu       sync.Mutex
	active   map[int]*active
	failures map[int]error   // why operations ended without success; the last few
	order    []int           // of failures, oldest first
	serving  context.Context // nil until Run, and after it
	stopped  chan struct{}   // closed when Run ends
	all      sync.WaitGroup
	slots    chan struct{}
}

// active is an operation that this process works on.
type active struct {
	ended chan struct{} // closed when this process stops working on it
	err   error         // why it did; nil when the operation succeeded
}

// New makes a Runner. It does nothing before Run.
func New(o Options) *Runner {
	if o.every == 0 {
		o.every, o.pause, o.held = searchEvery, firstPause, heldFor
	}
	r := &Runner{Options: o, kinds: map[string]Kind{}, holder: uuid.NewString(), active: map[int]*active{}, failures: map[int]error{}, stopped: make(chan struct{}), slots: make(chan struct{}, atOnce)}
	for _, k := range o.Kinds {
		r.kinds[k.Name] = k
	}
	return r
}

// Begin records an operation in the transaction that makes the need for it,
// held by this process. Call Go with it once the transaction is committed.
func (r *Runner) Begin(ctx context.Context, tx *store.Tx, kind string, subject Subject, data map[string]any) (*ent.Operation, error) {
	k, ok := r.kinds[kind]
	if !ok {
		return nil, fmt.Errorf("no kind of operation is named %q", kind)
	}
	now := time.Now()
	relevance := k.Relevance
	if relevance == "" {
		relevance = "WARNING"
	}
	return tx.Operation.Create().SetKind(kind).SetObjectClass(subject.Class).SetObjectID(subject.ID).
		SetDatabaseName(subject.DatabaseName).SetEnvironment(subject.Environment).SetEngine(subject.Engine).
		SetProject(subject.Project).SetActor(store.ActorFrom(ctx).Name).SetRelevance(relevance).SetData(data).
		SetHolder(r.holder).SetHeldUntil(now.Add(r.held).UnixMicro()).
		SetCreatedAt(now.UnixMicro()).SetUpdatedAt(now.UnixMicro()).Save(ctx)
}

// Change runs a transaction that calls Begin with a kind. It waits until the
// disk has it, unless the kind asks before it changes anything: then the record
// of the first step brings it to the disk.
func (r *Runner) Change(ctx context.Context, kind string, fn func(tx *store.Tx) error) error {
	if r.kinds[kind].mayBeginLater() {
		return r.Store.ChangeLater(ctx, fn)
	}
	return r.Store.Change(ctx, fn)
}

// Steps is how many steps a kind of operation has, 0 for one that this program
// does not know.
func (r *Runner) Steps(kind string) int { return len(r.kinds[kind].Steps) }

// Go begins to work on an operation that Begin recorded. Before Run, it waits
// for Run.
func (r *Runner) Go(row *ent.Operation) {
	if r.Moved != nil {
		r.Moved(row)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.serving == nil || r.serving.Err() != nil || r.active[row.ID] != nil {
		return // the search finds it
	}
	r.start(r.serving, row)
}

// start works on an operation in a goroutine of its own. r.mu is held.
func (r *Runner) start(ctx context.Context, row *ent.Operation) {
	a := &active{ended: make(chan struct{})}
	r.active[row.ID] = a
	r.all.Go(func() {
		select {
		case r.slots <- struct{}{}:
			a.err = r.carryOn(ctx, row)
			<-r.slots
		case <-ctx.Done():
			a.err = ctx.Err()
		}
		r.mu.Lock()
		delete(r.active, row.ID)
		r.remember(row.ID, a.err)
		r.mu.Unlock()
		close(a.ended)
	})
}

// remember keeps why an operation failed for those who only come to wait for it
// now. r.mu is held.
func (r *Runner) remember(id int, err error) {
	var e *errs.Error
	if err == nil || errors.Is(err, errLost) || errors.As(err, &e) && e.Reason == errs.Unavailable {
		return // or it goes on
	}
	if _, known := r.failures[id]; !known {
		if r.order = append(r.order, id); len(r.order) > failuresKept {
			delete(r.failures, r.order[0])
			r.order = r.order[1:]
		}
	}
	r.failures[id] = err
}

// Await waits until an operation has ended, or waits to be tried again. The
// error says why it failed; that of an operation which goes on in the
// background is an *errs.Error with the reason Unavailable.
func (r *Runner) Await(ctx context.Context, id int) error {
	for {
		r.mu.Lock()
		a, failed := r.active[id], r.failures[id]
		r.mu.Unlock()
		if a != nil {
			select {
			case <-a.ended:
				if !errors.Is(a.err, errLost) {
					return a.err
				}
			case <-ctx.Done():
				return goesOn(id, ctx.Err())
			}
		}
		row, err := r.Store.Operation.Get(ctx, id)
		switch {
		case err != nil:
			return err
		case row.Status == Success:
			return nil
		case row.Finished && failed != nil:
			return failed
		case row.Finished:
			return errs.New(errs.Internal, "%s", row.Message)
		case row.NextAt > time.Now().UnixMicro():
			return goesOn(id, errors.New(row.Message))
		}
		select {
		case <-time.After(r.every / 5):
		case <-r.stopped:
			return goesOn(id, context.Canceled)
		case <-ctx.Done():
			return goesOn(id, ctx.Err())
		}
	}
}

// goesOn is the error of a caller who does not see the end.
func goesOn(id int, cause error) error {
	return &errs.Error{Reason: errs.Unavailable, Message: fmt.Sprintf("%s. The work goes on in the background as /api/task/%d/", sentence(cause), id), Err: cause}
}

// sentence is what may be shown of a cause.
func sentence(cause error) string {
	var f *connectors.Failure
	var e *errs.Error
	switch {
	case errors.As(cause, &f):
		return f.Error()
	case errors.As(cause, &e):
		return e.Message
	case errors.Is(cause, connectors.ErrExists): // what a step found, in its own words
		return cause.Error()
	case errors.Is(cause, context.DeadlineExceeded), errors.Is(cause, context.Canceled):
		return "It took too long"
	default:
		return "It failed for now"
	}
}

// Run does what is due until ctx ends, and then waits for the steps under way.
// It runs once.
func (r *Runner) Run(ctx context.Context) {
	defer close(r.stopped)
	if r.Store.Exclusive() {
		// Whoever held operations of this store is no more.
		if err := r.Store.Change(ctx, func(tx *store.Tx) error {
			return tx.Operation.Update().Where(operation.Finished(false)).SetHeldUntil(0).Exec(ctx)
		}); err != nil && ctx.Err() == nil {
			r.Log.ErrorContext(ctx, "take over operations", "error", err)
		}
	}
	r.mu.Lock()
	r.serving = ctx
	r.mu.Unlock()
	for {
		if err := r.beginDue(ctx); err != nil && ctx.Err() == nil {
			r.Log.ErrorContext(ctx, "look for operations", "error", err)
		}
		select {
		case <-time.After(r.every):
			continue
		case <-ctx.Done():
		}
		break
	}
	r.mu.Lock()
	r.serving = nil // nothing starts any more
	r.mu.Unlock()
	r.all.Wait()
}

// beginDue begins what is due and held by nobody.
func (r *Runner) beginDue(ctx context.Context) error {
	now := time.Now().UnixMicro()
	rows, err := r.Store.Operation.Query().
		Where(operation.Finished(false), operation.NextAtLTE(now), operation.HeldUntilLT(now)).
		Order(operation.ByID()).Limit(atOnce).All(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, row := range rows {
		if r.active[row.ID] == nil && ctx.Err() == nil {
			r.start(ctx, row)
		}
	}
	return nil
}

// holds reports whether this process has only just begun an operation, and so
// is its holder without a claim.
func (r *Runner) holds(row *ent.Operation) bool {
	return row.Holder == r.holder && !row.Finished && row.HeldUntil > time.Now().Add(r.held/2).UnixMicro()
}

// claim makes this process the holder of an operation that is due. What the
// search found may have been tried meanwhile, and wait.
func (r *Runner) claim(ctx context.Context, id int) (*ent.Operation, error) {
	var row *ent.Operation
	err := r.Store.Change(ctx, func(tx *store.Tx) (err error) {
		now := time.Now()
		n, err := tx.Operation.Update().
			Where(operation.ID(id), operation.Finished(false), operation.NextAtLTE(now.UnixMicro()), operation.Or(operation.Holder(r.holder), operation.HeldUntilLT(now.UnixMicro()))).
			SetHolder(r.holder).SetHeldUntil(now.Add(r.held).UnixMicro()).Save(ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			return errLost
		}
		row, err = tx.Operation.Get(ctx, id)
		return err
	})
	return row, err
}

// keep renews the hold on an operation until ctx ends; when it is lost, so is
// the work.
func (r *Runner) keep(ctx context.Context, id int, lost context.CancelCauseFunc) {
	for {
		select {
		case <-time.After(r.held / 3):
		case <-ctx.Done():
			return
		}
		n, err := r.Store.Operation.Update().Where(operation.ID(id), operation.Holder(r.holder)).
			SetHeldUntil(time.Now().Add(r.held).UnixMicro()).Save(ctx)
		if err == nil && n == 0 {
			lost(errLost)
			return
		}
	}
}

package operation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/operation"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/store"
)

// progressEvery bounds how often progress is written to the store.
const progressEvery = time.Second

// carryOn works on an operation from where it stands until it has ended, has
// to wait, or ctx ends.
func (r *Runner) carryOn(ctx context.Context, row *ent.Operation) (err error) {
	if !r.holds(row) {
		if row, err = r.claim(ctx, row.ID); err != nil {
			return err
		}
	}
	kind, ok := r.kinds[row.Kind]
	if !ok {
		// Of a later version of the program: leave it to that.
		return fmt.Errorf("no kind of operation is named %q", row.Kind)
	}
	ctx = store.WithActor(ctx, store.Actor{Name: row.Actor})
	held, lost := context.WithCancelCause(ctx)
	defer lost(nil)
	id := row.ID
	r.all.Go(func() { r.keep(held, id, lost) })
	var cause error
	read := &recent{values: map[any]remembered{}}
	for !row.Finished {
		if row.Undoing {
			read = &recent{values: map[any]remembered{}} // something was not as it seemed
		}
		if row, cause, err = r.advance(held, kind, row, read, cause); err != nil {
			return err
		}
	}
	if row.Status == Success {
		return nil
	}
	if cause == nil {
		cause = errs.New(errs.Internal, "%s", row.Message)
	}
	return cause
}

// advance does the next step, or undoes the last one. cause is why it is
// undone, as far as this process knows.
func (r *Runner) advance(ctx context.Context, kind Kind, row *ent.Operation, read *recent, cause error) (*ent.Operation, error, error) {
	w := workOf(row)
	w.recent = read
	w.progress = r.progress(ctx, row.ID)
	if row.Undoing {
		next, err := r.undo(ctx, kind, row, w, cause)
		return next, cause, err
	}
	if row.Step >= len(kind.Steps) {
		next, err := r.end(ctx, row, w, nil)
		return next, nil, err
	}
	return r.do(ctx, kind, row, w)
}

// do does the next step, and those that it is joined with, and records them.
func (r *Runner) do(ctx context.Context, kind Kind, row *ent.Operation, w *Work) (*ent.Operation, error, error) {
	first, at := row.Step, *row // at is the operation before each step
	for {
		step := kind.Steps[at.Step]
		if err := r.try(ctx, step, step.Do, w); err != nil {
			return r.failed(ctx, kind, &at, w, step, err)
		}
		faultPoint(kind.Name, step.Name, "done")
		if !step.Joined || at.Step+1 == len(kind.Steps) {
			break
		}
		at.Step++
	}
	done := kind.Steps[first : at.Step+1]
	last := done[len(done)-1]
	change := r.Store.Change
	if kind.mayEndLater(at.Step) {
		change = r.Store.ChangeLater
	}
	next, err := r.recordBy(ctx, change, row, func(tx *store.Tx, u *ent.OperationUpdate) error {
		for _, step := range done {
			if step.Record == nil {
				continue
			}
			if err := step.Record(ctx, tx, w); err != nil {
				return err
			}
		}
		u.SetStep(at.Step + 1).SetStepName(last.Name).SetStatus(Running).SetAttempts(0).SetMessage("").SetNextAt(0).SetData(w.Data)
		if at.Step+1 == len(kind.Steps) {
			u.SetStatus(Success).SetFinished(true).SetEndedAt(time.Now().UnixMicro())
		}
		return nil
	})
	if err != nil {
		return r.failed(ctx, kind, &at, w, last, err)
	}
	for _, step := range done {
		faultPoint(kind.Name, step.Name, "recorded")
	}
	return next, nil, nil
}

func (r *Runner) try(ctx context.Context, step Step, fn func(context.Context, *Work) error, w *Work) (err error) {
	if fn == nil {
		return nil
	}
	timeout := step.Timeout
	if timeout == 0 {
		timeout = stepTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("step %s: panic: %v", step.Name, p)
		}
	}()
	return fn(ctx, w)
}

// failed decides what becomes of an operation whose step failed: it waits, or
// it is undone.
func (r *Runner) failed(ctx context.Context, kind Kind, row *ent.Operation, w *Work, step Step, cause error) (*ent.Operation, error, error) {
	if ctx.Err() != nil {
		return row, cause, r.release(ctx, row, cause)
	}
	if !kind.Undo || passing(cause) {
		return row, cause, r.putOff(ctx, row, w, step, cause)
	}
	r.Log.WarnContext(ctx, "an operation is undone", "task", row.ID, "kind", kind.Name, "step", step.Name, "error", cause)
	next, err := r.record(ctx, row, func(_ *store.Tx, u *ent.OperationUpdate) error {
		u.SetUndoing(true).SetStep(kind.tried(row.Step)).SetStepName(step.Name).SetStatus(Running).SetAttempts(0).SetMessage(sentence(cause)).SetData(w.Data)
		return nil
	})
	return next, cause, err
}

// passing reports whether a failure may pass by itself.
func passing(err error) bool {
	var e *errs.Error
	return connectors.MayPass(err) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &e) && e.Reason == errs.Unavailable
}

// undo takes back the last step that was done or tried.
func (r *Runner) undo(ctx context.Context, kind Kind, row *ent.Operation, w *Work, cause error) (*ent.Operation, error) {
	if row.Step == 0 {
		if cause == nil {
			cause = errs.New(errs.Internal, "%s", row.Message)
		}
		if kind.Ended == nil {
			return r.end(ctx, row, w, cause)
		}
		return r.endWith(ctx, row, cause, func(tx *store.Tx) error { return kind.Ended(ctx, tx, w, cause) })
	}
	step := kind.Steps[row.Step-1]
	if err := r.try(ctx, step, step.Undo, w); err != nil {
		if ctx.Err() != nil {
			return row, r.release(ctx, row, err)
		}
		return row, r.putOff(ctx, row, w, step, err)
	}
	faultPoint(kind.Name, step.Name, "undone")
	return r.record(ctx, row, func(_ *store.Tx, u *ent.OperationUpdate) error {
		u.SetStep(row.Step - 1).SetStepName(step.Name).SetAttempts(0).SetNextAt(0).SetData(w.Data)
		return nil
	})
}

func (r *Runner) end(ctx context.Context, row *ent.Operation, _ *Work, cause error) (*ent.Operation, error) {
	return r.endWith(ctx, row, cause, func(*store.Tx) error { return nil })
}

func (r *Runner) endWith(ctx context.Context, row *ent.Operation, cause error, fn func(*store.Tx) error) (*ent.Operation, error) {
	return r.record(ctx, row, func(tx *store.Tx, u *ent.OperationUpdate) error {
		u.SetFinished(true).SetEndedAt(time.Now().UnixMicro()).SetStatus(Success)
		if cause != nil {
			u.SetStatus(Failed)
			if row.Message == "" {
				u.SetMessage(sentence(cause))
			}
		}
		return fn(tx)
	})
}

// record changes an operation that this process holds, in one transaction with
// what fn does.
func (r *Runner) record(ctx context.Context, row *ent.Operation, fn func(tx *store.Tx, u *ent.OperationUpdate) error) (*ent.Operation, error) {
	return r.recordBy(ctx, r.Store.Change, row, fn)
}

func (r *Runner) recordBy(ctx context.Context, change func(context.Context, func(*store.Tx) error) error, row *ent.Operation, fn func(tx *store.Tx, u *ent.OperationUpdate) error) (*ent.Operation, error) {
	var next *ent.Operation
	err := change(ctx, func(tx *store.Tx) error {
		u := tx.Operation.Update().Where(operation.ID(row.ID), operation.Holder(r.holder)).SetUpdatedAt(time.Now().UnixMicro())
		if err := fn(tx, u); err != nil {
			return err
		}
		n, err := u.Save(ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			return errLost
		}
		next = changed(row, u.Mutation())
		return nil
	})
	if err == nil && r.Moved != nil {
		r.Moved(next)
	}
	return next, err
}

// changed is an operation after a change that record made of it: reading it
// again would take as long as changing it. The bytes that are done, and until
// when it is held, may be of before.
func changed(row *ent.Operation, m *ent.OperationMutation) *ent.Operation {
	next := *row
	set(&next.Step, m.Step)
	set(&next.StepName, m.StepName)
	set(&next.Status, m.Status)
	set(&next.Undoing, m.Undoing)
	set(&next.Attempts, m.Attempts)
	set(&next.Message, m.Message)
	set(&next.NextAt, m.NextAt)
	set(&next.HeldUntil, m.HeldUntil)
	set(&next.Data, m.Data)
	set(&next.Finished, m.Finished)
	set(&next.EndedAt, m.EndedAt)
	set(&next.UpdatedAt, m.UpdatedAt)
	return &next
}

func set[T any](field *T, of func() (T, bool)) {
	if v, ok := of(); ok {
		*field = v
	}
}

// putOff leaves an operation to be tried again, and returns the error for those
// who wait for it.
func (r *Runner) putOff(ctx context.Context, row *ent.Operation, w *Work, step Step, cause error) error {
	if errors.Is(cause, errLost) {
		return cause
	}
	pause := min(r.pause<<min(row.Attempts, 10), lastPause)
	level := r.Log.InfoContext
	if row.Attempts == 0 {
		level = r.Log.WarnContext
	}
	level(ctx, "an operation waits to be tried again", "task", row.ID, "kind", row.Kind, "step", step.Name, "error", cause, "pause", pause)
	_, err := r.record(ctx, row, func(_ *store.Tx, u *ent.OperationUpdate) error {
		u.SetStepName(step.Name).SetAttempts(row.Attempts + 1).SetMessage(sentence(cause)).SetStatus(Stuck).
			SetNextAt(time.Now().Add(pause).UnixMicro()).SetHeldUntil(0).SetData(w.Data)
		return nil
	})
	if err != nil {
		return err
	}
	return goesOn(row.ID, cause)
}

// release lets another process carry on at once.
func (r *Runner) release(ctx context.Context, row *ent.Operation, cause error) error {
	if errors.Is(context.Cause(ctx), errLost) {
		return errLost
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_, err := r.record(end, row, func(_ *store.Tx, u *ent.OperationUpdate) error {
		u.SetHeldUntil(0)
		return nil
	})
	return goesOn(row.ID, errors.Join(cause, err))
}

// progress writes how far an operation has come, now and then.
func (r *Runner) progress(ctx context.Context, id int) func(done, total int64) {
	var last time.Time
	return func(done, total int64) {
		if time.Since(last) < progressEvery {
			return
		}
		last = time.Now()
		err := r.Store.Operation.UpdateOneID(id).SetDoneBytes(done).SetTotalBytes(total).SetUpdatedAt(last.UnixMicro()).Exec(ctx)
		if err == nil && r.Moved != nil {
			if row, err := r.Store.Operation.Get(ctx, id); err == nil {
				r.Moved(row)
			}
		}
	}
}

// Retry makes an operation that waits be tried at once.
func (r *Runner) Retry(ctx context.Context, id int) error {
	return r.Store.Operation.UpdateOneID(id).SetNextAt(0).Exec(ctx)
}

// GiveUp makes an operation that waits to be tried again be undone instead. It
// fails when the operation cannot be undone, or is being worked on.
func (r *Runner) GiveUp(ctx context.Context, id int) error {
	row, err := r.Store.Operation.Get(ctx, id)
	if err != nil {
		return err
	}
	kind := r.kinds[row.Kind]
	if !kind.Undo {
		return errs.New(errs.InUse, "This task cannot be undone")
	}
	n, err := r.Store.Operation.Update().
		Where(operation.ID(id), operation.Finished(false), operation.Undoing(false), operation.HeldUntil(0), operation.StatusEQ(Stuck)).
		SetUndoing(true).SetStep(kind.tried(row.Step)).SetNextAt(0).SetAttempts(0).Save(ctx)
	if err != nil {
		return err
	}
	if n == 0 {
		return errs.New(errs.InUse, "This task is being worked on")
	}
	row.HeldUntil = 0 // what was read is of before
	r.Go(row)
	return nil
}

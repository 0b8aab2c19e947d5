package dbaas

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/operation"
	"github.com/backplane/backplane/ent/predicate"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/auth"
)

const (
	// watchEvery is how soon a watch sees what another process does.
	watchEvery = 250 * time.Millisecond
	// watchSlack is how much later than its time a change may come to light:
	// clocks differ, and transactions take a while.
	watchSlack = 5 * time.Second
)

// WatchTasks implements the RPC.
func (a *Admin) WatchTasks(req *dbaasv1.WatchTasksRequest, stream grpc.ServerStreamingServer[dbaasv1.WatchTasksResponse]) error {
	ctx := stream.Context()
	w := &taskWatch{a: a, one: int(req.GetId()), sent: map[int]taskState{}, since: time.Now().UnixMicro()}
	w.send = func(row *ent.Operation) error {
		return stream.Send(&dbaasv1.WatchTasksResponse{Task: a.taskToProto(linksOf(ctx), row)})
	}
	var err error
	if w.one != 0 {
		_, err = a.taskFor(ctx, req.GetId())
	} else {
		w.where, err = taskScope(ctx)
	}
	if err != nil {
		return err
	}
	// The caller learns at once that the watch has begun.
	if err := stream.SendHeader(metadata.Pairs(WatchingKey, "true")); err != nil {
		return err
	}
	a.Metrics.Watchers.Inc()
	defer a.Metrics.Watchers.Dec()
	return w.run(ctx)
}

// taskState tells a task's states apart.
type taskState struct {
	updatedAt      int64
	step, attempts int
	status         string
	undoing        bool
}

func stateOf(row *ent.Operation) taskState {
	return taskState{row.UpdatedAt, row.Step, row.Attempts, row.Status, row.Undoing}
}

// taskWatch is one watch.
type taskWatch struct {
	a     *Admin
	one   int                   // the number of the only task; 0: all of where
	where []predicate.Operation // what the caller may see
	send  func(*ent.Operation) error
	sent  map[int]taskState
	since int64 // nothing that is older is looked at
	begun bool
}

func (w *taskWatch) run(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	poll := tick.C
	if w.a.Store.Exclusive() {
		poll = nil // everything is done in this process
	}
	for {
		moved := w.a.moved.after() // before the look, so that nothing is missed
		ended, err := w.look(ctx)
		if err != nil || ended {
			return err
		}
		select {
		case <-moved:
		case <-poll:
		case <-ctx.Done():
			return ctx.Err()
		case <-w.a.Ending:
			return errs.New(errs.Unavailable, "The server is shutting down; connect again")
		}
	}
}

// look sends what is new. It reports whether the only task has ended.
func (w *taskWatch) look(ctx context.Context) (ended bool, err error) {
	rows, err := w.read(ctx)
	if err != nil {
		return false, err
	}
	checked := false
	for _, row := range rows {
		state := stateOf(row)
		if w.sent[row.ID] == state {
			continue
		}
		w.sent[row.ID] = state
		if !w.begun && row.Finished && w.one == 0 {
			continue // it ended before the watch began
		}
		if !checked {
			if err := auth.Recheck(ctx); err != nil {
				return false, err
			}
			checked = true
		}
		if err := w.send(row); err != nil {
			return false, err
		}
		w.since = max(w.since, row.UpdatedAt)
	}
	w.begun = true
	for id, state := range w.sent {
		if state.updatedAt < w.since-watchSlack.Microseconds() {
			delete(w.sent, id)
		}
	}
	return w.one != 0 && rows[0].Finished, nil
}

// read returns what may be new: at first everything that is under way as well.
func (w *taskWatch) read(ctx context.Context) ([]*ent.Operation, error) {
	if w.one != 0 {
		row, err := w.a.Store.Operation.Get(ctx, w.one)
		if err != nil {
			return nil, orMissing(err)
		}
		return []*ent.Operation{row}, nil
	}
	recent := operation.UpdatedAtGTE(w.since - watchSlack.Microseconds())
	if !w.begun {
		recent = operation.Or(operation.Finished(false), recent)
	}
	return w.a.Store.Operation.Query().Where(append(w.where[:len(w.where):len(w.where)], recent)...).
		Order(operation.ByUpdatedAt(), operation.ByID()).All(ctx)
}

package operation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/store"
)

const patience = 30 * time.Second

// journal remembers what the steps did, in order.
type journal struct {
	mu   sync.Mutex
	text []string
}

func (j *journal) add(s string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.text = append(j.text, s)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.text, " ")
}

// step is one that writes to the journal and then fails with what fail says.
func (j *journal) step(name string, fail func() error) Step {
	return Step{
		Name: name,
		Do: func(_ context.Context, w *Work) error {
			j.add(name)
			w.Data[name] = "done"
			if fail == nil {
				return nil
			}
			return fail()
		},
		Record: func(_ context.Context, _ *store.Tx, w *Work) error {
			j.add("+" + name)
			return nil
		},
		Undo: func(context.Context, *Work) error {
			j.add("-" + name)
			return nil
		},
	}
}

// times fails the first n times.
func times(n int, err error) func() error {
	return func() error {
		if n--; n >= 0 {
			return err
		}
		return nil
	}
}

func openStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), "", t.TempDir())
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

func runner(s *store.Store, kinds ...Kind) *Runner {
	return New(Options{
		Store: s, Log: slog.New(slog.DiscardHandler), Kinds: kinds,
		every: 5 * time.Millisecond, pause: time.Millisecond, held: 200 * time.Millisecond,
	})
}

// run runs a Runner until the test ends, or stop.
func run(t *testing.T, r *Runner) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

// serves waits until a Runner begins what it is given.
func serves(t *testing.T, r *Runner) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		r.mu.Lock()
		serving := r.serving != nil
		r.mu.Unlock()
		if serving {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the runner does not begin")
		}
		<-time.After(time.Millisecond)
	}
}

func begin(t *testing.T, r *Runner, kind string) *ent.Operation {
	t.Helper()
	var row *ent.Operation
	ctx := store.WithActor(context.Background(), store.Actor{Name: "ann"})
	err := r.Store.Change(ctx, func(tx *store.Tx) (err error) {
		row, err = r.Begin(ctx, tx, kind, Subject{Class: "thing", ID: 7}, map[string]any{"n": 3})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Go(row)
	return row
}

func wait(t *testing.T, r *Runner, id int, until func(*ent.Operation) bool) *ent.Operation {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		row, err := r.Store.Operation.Get(context.Background(), id)
		if err != nil {
			t.Fatal(err)
		}
		if until(row) {
			return row
		}
		if time.Now().After(deadline) {
			t.Fatalf("the operation stands at %+v", row)
		}
		<-time.After(time.Millisecond)
	}
}

func finished(row *ent.Operation) bool { return row.Finished }

func TestStepsAreDoneInOrder(t *testing.T) {
	var j journal
	r := runner(openStore(t), Kind{Name: "k", Steps: []Step{j.step("a", nil), j.step("b", nil)}})
	run(t, r)
	row := begin(t, r, "k")
	if err := r.Await(context.Background(), row.ID); err != nil {
		t.Fatal(err)
	}
	row = wait(t, r, row.ID, finished)
	if row.Status != Success || row.Step != 2 || row.EndedAt == 0 || row.Actor != "ann" || row.Data["a"] != "done" {
		t.Errorf("it ended as %+v", row)
	}
	if got := j.String(); got != "a +a b +b" {
		t.Errorf("what was done: %s", got)
	}
}

func TestFailureForGoodIsUndone(t *testing.T) {
	var j journal
	cause := connectors.Fail(connectors.PermissionDenied, nil, "no")
	ended := func(_ context.Context, _ *store.Tx, _ *Work, err error) error {
		j.add("ended")
		if !errors.Is(err, cause) {
			t.Errorf("the cause is %v", err)
		}
		return nil
	}
	steps := []Step{j.step("a", nil), j.step("b", func() error { return cause }), j.step("c", nil)}
	r := runner(openStore(t), Kind{Name: "k", Undo: true, Ended: ended, Steps: steps})
	run(t, r)
	row := begin(t, r, "k")
	if err := r.Await(context.Background(), row.ID); !errors.Is(err, cause) {
		t.Errorf("the caller is told %v", err)
	}
	row = wait(t, r, row.ID, finished)
	if row.Status != Failed || !row.Undoing || !strings.Contains(row.Message, "Not allowed") {
		t.Errorf("it ended as %+v", row)
	}
	if got := j.String(); got != "a +a b -b -a ended" {
		t.Errorf("what was done: %s", got)
	}
}

func TestFailureThatPassesIsTriedAgain(t *testing.T) {
	for _, undo := range []bool{true, false} {
		var j journal
		r := runner(openStore(t), Kind{Name: "k", Undo: undo, Steps: []Step{j.step("a", times(3, connectors.Fail(connectors.Refused, nil, "down")))}})
		run(t, r)
		row := begin(t, r, "k")
		var e *errs.Error
		if err := r.Await(context.Background(), row.ID); !errors.As(err, &e) || e.Reason != errs.Unavailable || !strings.Contains(e.Message, fmt.Sprintf("/api/task/%d/", row.ID)) {
			t.Errorf("the caller is told %v", err)
		}
		row = wait(t, r, row.ID, finished)
		if row.Status != Success || j.String() != "a a a a +a" || row.Message != "" || row.Attempts != 0 {
			t.Errorf("it ended as %+v after %s", row, &j)
		}
	}
}

func TestWithoutUndoEveryFailureIsTriedAgain(t *testing.T) {
	var j journal
	r := runner(openStore(t), Kind{Name: "k", Steps: []Step{j.step("a", times(2, errors.New("odd")))}})
	run(t, r)
	if row := wait(t, r, begin(t, r, "k").ID, finished); row.Status != Success || j.String() != "a a a +a" {
		t.Errorf("it ended as %+v after %s", row, &j)
	}
}

func TestPanicIsAFailure(t *testing.T) {
	var j journal
	r := runner(openStore(t), Kind{Name: "k", Undo: true, Steps: []Step{j.step("a", func() error { panic("oh") })}})
	run(t, r)
	if row := wait(t, r, begin(t, r, "k").ID, finished); row.Status != Failed || strings.Contains(row.Message, "oh") || j.String() != "a -a" {
		t.Errorf("it ended as %+v after %s", row, &j)
	}
}

func TestUndoIsTriedUntilItIsDone(t *testing.T) {
	var j journal
	fails := times(2, connectors.Fail(connectors.Refused, nil, "down"))
	a := j.step("a", nil)
	a.Undo = func(context.Context, *Work) error { j.add("-a"); return fails() }
	r := runner(openStore(t), Kind{Name: "k", Undo: true, Steps: []Step{a, j.step("b", func() error { return errors.New("no") })}})
	run(t, r)
	if row := wait(t, r, begin(t, r, "k").ID, finished); row.Status != Failed || j.String() != "a +a b -b -a -a -a" {
		t.Errorf("it ended as %+v after %s", row, &j)
	}
}

func TestWorkThatWasCutOffGoesOnWhereItStood(t *testing.T) {
	var j journal
	s := openStore(t)
	reached := make(chan struct{})
	stuck := j.step("b", nil)
	stuck.Do = func(ctx context.Context, _ *Work) error {
		j.add("b…")
		close(reached)
		<-ctx.Done()
		return ctx.Err()
	}
	first := runner(s, Kind{Name: "k", Steps: []Step{j.step("a", nil), stuck}})
	stop := run(t, first)
	row := begin(t, first, "k")
	<-reached
	stop()
	var e *errs.Error
	if err := first.Await(context.Background(), row.ID); !errors.As(err, &e) || e.Reason != errs.Unavailable {
		t.Errorf("who waits for it is told %v", err)
	}
	second := runner(s, Kind{Name: "k", Steps: []Step{j.step("a", nil), j.step("b", nil)}})
	run(t, second)
	if row = wait(t, second, row.ID, finished); row.Status != Success || j.String() != "a +a b… b +b" {
		t.Errorf("it ended as %+v after %s", row, &j)
	}
}

func TestTwoProcessesDoNotDoTheSame(t *testing.T) {
	var j journal
	s := openStore(t)
	var runners []*Runner
	for range 2 {
		r := runner(s, Kind{Name: "k", Steps: []Step{j.step("a", nil), j.step("b", nil)}})
		r.every, r.held = time.Millisecond, patience
		runners = append(runners, r)
		run(t, r)
	}
	for _, r := range runners {
		serves(t, r) // at its start it takes over everything: no other can be on SQLite
	}
	var rows []*ent.Operation
	for i := range 20 {
		rows = append(rows, begin(t, runners[i%2], "k"))
	}
	for _, row := range rows {
		if row = wait(t, runners[0], row.ID, finished); row.Status != Success {
			t.Errorf("it ended as %+v", row)
		}
	}
	if n := strings.Count(j.String(), "+b"); n != 20 {
		t.Errorf("%d of 20 were done: %s", n, &j)
	}
}

func TestGivingUpUndoes(t *testing.T) {
	var j journal
	kinds := []Kind{
		{Name: "undo", Undo: true, Steps: []Step{j.step("a", nil), j.step("b", func() error { return connectors.Fail(connectors.Refused, nil, "down") })}},
		{Name: "forward", Steps: []Step{{Name: "c", Do: func(context.Context, *Work) error { return connectors.Fail(connectors.Refused, nil, "down") }}}},
	}
	r := runner(openStore(t), kinds...)
	r.pause = patience
	run(t, r)
	waits := func(row *ent.Operation) bool { return row.Status == Stuck && row.HeldUntil == 0 }
	row := wait(t, r, begin(t, r, "undo").ID, waits)
	if err := r.GiveUp(context.Background(), row.ID); err != nil {
		t.Fatal(err)
	}
	if row = wait(t, r, row.ID, finished); row.Status != Failed || !slices.Equal(strings.Fields(j.String()), []string{"a", "+a", "b", "-b", "-a"}) {
		t.Errorf("it ended as %+v after %s", row, &j)
	}
	row = wait(t, r, begin(t, r, "forward").ID, waits)
	if err := r.GiveUp(context.Background(), row.ID); err == nil {
		t.Error("what cannot be undone was given up")
	}
}

func TestRecordIsAllOrNothing(t *testing.T) {
	var j journal
	step := j.step("a", nil)
	fails := times(1, connectors.Fail(connectors.ServerBusy, nil, "busy"))
	step.Record = func(ctx context.Context, tx *store.Tx, _ *Work) error {
		if err := tx.Setting.Create().SetID("x").SetValue([]byte("y")).Exec(ctx); err != nil {
			return err
		}
		return fails()
	}
	r := runner(openStore(t), Kind{Name: "k", Steps: []Step{step}})
	run(t, r)
	// Were the first try's row kept, the second could not make it again.
	if row := wait(t, r, begin(t, r, "k").ID, finished); row.Status != Success || j.String() != "a a" {
		t.Errorf("it ended as %+v after %s", row, &j)
	}
}

// TestSentence: what may be shown of a cause says what it was, and leaves out
// what nobody has looked at.
func TestSentence(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cause error
		want  string
	}{
		{fmt.Errorf("on the server the database shop %w", connectors.ErrExists), "on the server the database shop exists already"},
		{&connectors.Failure{Code: connectors.InvalidConfig, Phrase: "No such plan", Err: connectors.ErrExists}, "No such plan"},
		{errs.New(errs.InUse, "It is in use"), "It is in use"},
		{fmt.Errorf("ask: %w", context.DeadlineExceeded), "It took too long"},
		{errors.New("a word of the driver's"), "It failed for now"},
	} {
		if got := sentence(c.cause); got != c.want {
			t.Errorf("%v is shown as %q, not %q", c.cause, got, c.want)
		}
	}
}

package operation

import (
	"context"
	"errors"
	"testing"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
)

// joined makes steps such that all but the last are joined with the next.
func joined(steps ...Step) []Step {
	for i := range steps[:len(steps)-1] {
		steps[i].Joined = true
	}
	return steps
}

func TestJoinedStepsAreRecordedTogether(t *testing.T) {
	var j journal
	steps := append(joined(j.step("a", nil), j.step("b", nil)), joined(j.step("c", nil), j.step("d", nil))...)
	r := runner(openStore(t), Kind{Name: "k", Steps: steps})
	r.held = patience
	run(t, r)
	row := begin(t, r, "k")
	if err := r.Await(context.Background(), row.ID); err != nil {
		t.Fatal(err)
	}
	row = wait(t, r, row.ID, finished)
	if got := j.String(); got != "a b +a +b c d +c +d" || row.Step != 4 || row.StepName != "d" || row.Data["a"] != "done" {
		t.Errorf("%s, and it ended as %+v", got, row)
	}
}

// What an earlier try of joined steps may have done is undone with the one that
// fails for good.
func TestJoinedStepsAreUndoneTogether(t *testing.T) {
	var j journal
	down, no := connectors.Fail(connectors.Refused, nil, "down"), connectors.Fail(connectors.PermissionDenied, nil, "no")
	tries := 0
	b := j.step("b", func() error {
		if tries++; tries == 1 {
			return nil
		}
		return no
	})
	steps := append([]Step{j.step("a", nil)}, joined(b, j.step("c", times(1, down)), j.step("d", nil))...)
	r := runner(openStore(t), Kind{Name: "k", Undo: true, Steps: steps})
	r.held = patience
	run(t, r)
	row := begin(t, r, "k")
	row = wait(t, r, row.ID, finished)
	if got := j.String(); got != "a +a b c b -d -c -b -a" || row.Status != Failed {
		t.Errorf("%s, and it ended as %+v", got, row)
	}
}

func TestJoinedStepsAreDoneAgain(t *testing.T) {
	var j journal
	steps := joined(j.step("a", nil), j.step("b", times(2, connectors.Fail(connectors.Refused, nil, "down"))))
	r := runner(openStore(t), Kind{Name: "k", Steps: steps})
	r.held = patience
	run(t, r)
	row := wait(t, r, begin(t, r, "k").ID, finished)
	if got := j.String(); got != "a b a b a b +a +b" || row.Status != Success || row.Attempts != 0 {
		t.Errorf("%s, and it ended as %+v", got, row)
	}
}

// Giving up an operation that stands before joined steps undoes them too.
func TestGivingUpUndoesJoinedSteps(t *testing.T) {
	var j journal
	r := runner(openStore(t), Kind{Name: "k", Undo: true, Steps: joined(j.step("a", nil), j.step("b", func() error {
		return connectors.Fail(connectors.Refused, nil, "down")
	}))})
	r.pause = lastPause
	r.held = patience
	run(t, r)
	row := begin(t, r, "k")
	wait(t, r, row.ID, func(row *ent.Operation) bool { return row.Status == Stuck })
	if err := r.GiveUp(context.Background(), row.ID); err != nil {
		t.Fatal(err)
	}
	if row = wait(t, r, row.ID, finished); row.Status != Failed || j.String() != "a b -b -a" {
		t.Errorf("%s, and it ended as %+v", &j, row)
	}
}

// An operation that this process began is done without another claim; one that
// it has held for long is claimed anew.
func TestHolding(t *testing.T) {
	r := runner(openStore(t), Kind{Name: "k", Steps: []Step{{Name: "a"}}})
	r.held = patience
	row := begin(t, r, "k") // before Run, and so it waits
	if !r.holds(row) {
		t.Error("it does not hold what it began")
	}
	other := *row
	other.Holder = "another"
	late := *row
	late.HeldUntil -= r.held.Microseconds()
	ended := *row
	ended.Finished = true
	for name, row := range map[string]*ent.Operation{"of another process": &other, "of long ago": &late, "finished": &ended} {
		if r.holds(row) {
			t.Errorf("it holds what is %s", name)
		}
	}
	if _, err := r.claim(context.Background(), row.ID); err != nil {
		t.Errorf("claim what it holds: %v", err)
	}
	if _, err := runner(r.Store, r.kinds["k"]).claim(context.Background(), row.ID); !errors.Is(err, errLost) {
		t.Errorf("another process's claim: %v", err)
	}
}

// A kind that asks before it changes anything need not be on the disk when it
// begins; every other must, and so must one that asks together with a change.
func TestWhatNeedNotBeOnTheDisk(t *testing.T) {
	alone, joined := Step{}, Step{Joined: true}
	for name, c := range map[string]struct {
		kind         Kind
		begins, ends bool
	}{
		"asks first":            {kind: Kind{Undo: true, AsksFirst: true, Steps: []Step{alone, alone}}, begins: true},
		"changes first":         {kind: Kind{Undo: true, Steps: []Step{alone, alone}}},
		"asks with the changes": {kind: Kind{Undo: true, AsksFirst: true, Steps: []Step{joined, alone}}},
		"only asks":             {kind: Kind{Undo: true, AsksFirst: true, Steps: []Step{alone}}},
		"is never undone":       {kind: Kind{Steps: []Step{alone, alone}}, ends: true},
	} {
		last := len(c.kind.Steps) - 1
		if c.kind.mayBeginLater() != c.begins || c.kind.mayEndLater(last) != c.ends || last > 0 && c.kind.mayEndLater(0) {
			t.Errorf("%s: it begins later: %t, and ends later: %t", name, c.kind.mayBeginLater(), c.kind.mayEndLater(last))
		}
	}
}

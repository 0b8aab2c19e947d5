// Package operation does work of several steps on real backends so that it can
// be cut off at any point: every step is recorded, can be done again, and is
// carried on by whoever finds it.
//
// Work begins with Begin, in the transaction that makes the need for it, and
// is done by the Runner's goroutines: at once in the process that began it, or
// by any process on the store once its holder is gone. Start at Runner.
package operation

import (
	"context"
	"maps"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/server/store"
)

// The statuses of an operation.
const (
	Waiting = "WAITING" // not begun
	Running = "RUNNING"
	Success = "SUCCESS"
	Failed  = "ERROR"   // ended; what it had made is undone
	Stuck   = "WARNING" // tried again until somebody acts or the backend is back
)

// Kind is one kind of operation. It is either undone when a step fails for
// good, or tried until it is done.
type Kind struct {
	Name  string // such as create_database
	Steps []Step
	// Undo makes a failure that does not pass by itself undo what was done,
	// last step first. Without it the step is tried again for ever.
	Undo bool
	// Ended is called in the transaction that ends an operation without
	// success. May be nil.
	Ended func(ctx context.Context, tx *store.Tx, w *Work, cause error) error
	// AsksFirst says that the first step changes nothing, and that nobody is told
	// of the operation before that step is done. So a machine that loses power
	// meanwhile may forget it.
	AsksFirst bool
	// Relevance of the task; WARNING when empty.
	Relevance string
}

// tried is how many steps may have had an effect when one was the last that was
// begun: it, and those that it is joined with, which an earlier try may have
// come to.
func (k Kind) tried(step int) int {
	for step < len(k.Steps)-1 && k.Steps[step].Joined {
		step++
	}
	return min(step+1, len(k.Steps))
}

// mayBeginLater reports whether the disk need not have an operation before the
// first step is done: what is not known of then has had no effect.
func (k Kind) mayBeginLater() bool { return k.AsksFirst && len(k.Steps) > 1 && !k.Steps[0].Joined }

// mayEndLater reports whether the disk need not have what a step records: it is
// the last one, and when the record of it is lost it is done again. An operation
// that can be undone could be undone then, long after somebody was told that it
// is done.
func (k Kind) mayEndLater(step int) bool { return !k.Undo && step == len(k.Steps)-1 }

// Step is one step of a Kind.
type Step struct {
	Name string
	// Do has its effect outside the store and can be repeated. May be nil.
	Do func(ctx context.Context, w *Work) error
	// Record writes to the store in the transaction that ends the step, after
	// Do. It may be run again when the store asks for it. May be nil.
	Record func(ctx context.Context, tx *store.Tx, w *Work) error
	// Undo takes back Do, which may have been done in part or not at all. May
	// be nil.
	Undo func(ctx context.Context, w *Work) error
	// Joined makes the store learn of the step together with the next one, which
	// spares a quick step a transaction of its own. When the next one fails or is
	// cut off, this one is done again too.
	Joined bool
	// Timeout of one try of Do or Undo; stepTimeout when 0.
	Timeout time.Duration
}

// Subject says what an operation is about.
type Subject struct {
	Class        string // such as logical_database
	ID           int
	DatabaseName string
	Environment  string // its name
	Engine       string // kind and version
	Project      string
}

// Work is an operation under way, as its steps see it.
type Work struct {
	ID      int
	TaskID  uuid.UUID
	Subject Subject
	Actor   string
	// Data is what the steps know: set when the operation began, and by Do and
	// Record for later steps. It holds texts, numbers and truths, and no secrets.
	// It is kept in the store as JSON, so that numbers come back as float64.
	Data map[string]any

	progress func(done, total int64)
	recent   *recent
}

// rememberFor bounds how long something read is remembered.
const rememberFor = 5 * time.Second

// recent is what the steps have read a moment ago.
type recent struct{ values map[any]remembered }

type remembered struct {
	value any
	at    time.Time
}

// Remember returns what read returns, or what it returned a moment ago, in this
// step or in one before it that succeeded. It is for what nothing but the
// operation changes while it is at work, or what may be a little old.
func Remember[T any](w *Work, key any, read func() (T, error)) (T, error) {
	if w.recent != nil {
		if r, ok := w.recent.values[key]; ok && time.Since(r.at) < rememberFor {
			if v, ok := r.value.(T); ok {
				return v, nil
			}
		}
	}
	v, err := read()
	if err == nil && w.recent != nil {
		w.recent.values[key] = remembered{v, time.Now()}
	}
	return v, err
}

// Forget makes the next Remember of the key read.
func (w *Work) Forget(key any) {
	if w.recent != nil {
		delete(w.recent.values, key)
	}
}

// Progress tells how many bytes are done, and how many there are in all, 0
// when that is unknown.
func (w *Work) Progress(done, total int64) {
	if w.progress != nil {
		w.progress(done, total)
	}
}

// String is a text of Data, "" when there is none.
func (w *Work) String(key string) string { s, _ := w.Data[key].(string); return s }

// Int is a number of Data, 0 when there is none.
func (w *Work) Int(key string) int {
	switch n := w.Data[key].(type) {
	case int:
		return n
	case int64:
		return int(n)
	case float64:
		return int(n)
	}
	return 0
}

// Bool is a truth of Data, false when there is none.
func (w *Work) Bool(key string) bool { b, _ := w.Data[key].(bool); return b }

func workOf(row *ent.Operation) *Work {
	data := maps.Clone(row.Data)
	if data == nil {
		data = map[string]any{}
	}
	return &Work{
		ID: row.ID, TaskID: row.TaskID, Actor: row.Actor, Data: data,
		Subject: Subject{Class: row.ObjectClass, ID: row.ObjectID, DatabaseName: row.DatabaseName, Environment: row.Environment, Engine: row.Engine, Project: row.Project},
	}
}

package keys

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/store"
)

const (
	// batch is how many rows are read, and at most re-sealed, at once. Other
	// writes wait for a batch on stores with a single writer.
	batch = 50
	// maxPasses bounds the passes over the store; two are the rule.
	maxPasses = 20
	// maxNamed is how many damaged values an error names.
	maxNamed = 10
)

// Sealed is a kind of row that holds sealed values. Every kind must be listed
// in All: a rotation destroys the keys of values it does not know of.
type Sealed interface {
	// Rows returns up to limit rows that come after the one with the given
	// cursor in an order that does not change; "" begins.
	Rows(ctx context.Context, c *ent.Client, after string, limit int) ([]Row, error)
}

// Row is a row with sealed values.
type Row struct {
	Cursor string
	Values []Value
	// Replace stores the row's values, sealed anew, in the same order. It must
	// change nothing else, and nothing at all when the row has changed since
	// it was read; then it returns false.
	Replace func(ctx context.Context, tx *store.Tx, fresh [][]byte) (bool, error)
}

// Value is a sealed value and the place it is bound to.
type Value struct {
	Place  string
	Sealed []byte
}

// tally is what a pass over the store has found.
type tally struct {
	found    int // values under an old key
	resealed int
	damaged  []error // one for each value that cannot be opened
}

func (t *tally) err() error {
	if len(t.damaged) == 0 {
		return nil
	}
	named := t.damaged[:min(len(t.damaged), maxNamed)]
	text := make([]string, len(named))
	for i, d := range named {
		text[i] = d.Error()
	}
	return &errs.Error{
		Reason: errs.Internal,
		Message: fmt.Sprintf("All is sealed anew but for what cannot be opened: %d values. Restore them from a backup or delete what they belong to, and rotate again; until then the old data keys are kept. %s",
			len(t.damaged), strings.Join(text, "; ")),
		Err: errors.Join(named...),
	}
}

// pass re-seals every value that is not sealed under the active key. renew is
// called before each batch.
func (k *Keys) pass(ctx context.Context, renew func() error) (t tally, err error) {
	for _, s := range k.o.Sealed {
		for after, more := "", true; more; {
			if err := renew(); err != nil {
				return t, err
			}
			rows, err := s.Rows(ctx, k.o.Store.Client, after, batch)
			if err != nil {
				return t, err
			}
			if err := k.reseal(ctx, rows, &t); err != nil {
				return t, err
			}
			if more = len(rows) == batch; more {
				after = rows[len(rows)-1].Cursor
			}
		}
	}
	return t, nil
}

// stale is a row that must be replaced, with its values sealed anew.
type stale struct {
	row   Row
	fresh [][]byte
	sound [][]byte // those of fresh that can be opened
	old   int
}

func (k *Keys) reseal(ctx context.Context, rows []Row, t *tally) error {
	defer k.Writing()()
	var todo []stale
	var all [][]byte
	for _, row := range rows {
		s, damaged := k.freshen(row)
		t.damaged = append(t.damaged, damaged...)
		if s.old > 0 {
			todo = append(todo, s)
			all = append(all, s.sound...)
		}
	}
	if len(todo) == 0 {
		return nil
	}
	if err := k.o.before("batch"); err != nil {
		return err
	}
	var found, resealed int
	err := k.o.Store.Change(ctx, func(tx *store.Tx) error {
		found, resealed = 0, 0
		for _, s := range todo {
			found += s.old
			ok, err := s.row.Replace(ctx, tx, s.fresh)
			if err != nil {
				return err
			}
			if ok {
				resealed += s.old
			}
		}
		return k.Guard(ctx, tx, all...)
	})
	t.found += found
	t.resealed += resealed
	return err
}

// freshen seals a row's values anew. A damaged one stays as it is.
func (k *Keys) freshen(row Row) (s stale, damaged []error) {
	s = stale{row: row, fresh: make([][]byte, len(row.Values))}
	for i, v := range row.Values {
		fresh, err := k.Fresh(v.Sealed, v.Place)
		if err != nil {
			damaged = append(damaged, err)
			s.fresh[i] = v.Sealed
			continue
		}
		s.fresh[i], s.sound = fresh, append(s.sound, fresh)
		if !k.UsesActive(v.Sealed) {
			s.old++
		}
	}
	return s, damaged
}

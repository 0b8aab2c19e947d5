package store

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/database"
	"github.com/backplane/backplane/ent/hook"
	"github.com/backplane/backplane/ent/project"
)

// HiddenStates are the states of databases that only the admins of their
// project see.
func HiddenStates() []string { return []string{"quarantined", "dropping"} }

// tally is how many databases of each project there are more, or fewer.
type tally map[string]counts

type counts struct{ all, hidden int }

func (t tally) add(projectID, state string, n int) {
	c := t[projectID]
	c.all += n
	if slices.Contains(HiddenStates(), state) {
		c.hidden += n
	}
	t[projectID] = c
}

// keepCounts keeps what the projects say of how many databases they have:
// pages of lists tell the count, and counting takes longer the more there are.
// Every change of a database passes here.
func keepCounts(next ent.Mutator) ent.Mutator {
	return hook.DatabaseFunc(func(ctx context.Context, m *ent.DatabaseMutation) (ent.Value, error) {
		toProject, moves := m.Project()
		toState, turns := m.State()
		if m.Op().Is(ent.OpUpdate|ent.OpUpdateOne) && !moves && !turns {
			return next.Mutate(ctx, m)
		}
		tx, err := m.Tx()
		if err != nil {
			return nil, errors.New("databases are made, moved and removed in transactions alone, which count them")
		}
		t := tally{}
		if m.Op().Is(ent.OpCreate) {
			// The project is locked before the database refers to it: the other
			// way round, two at once would wait for each other in MySQL.
			t.add(toProject, toState, 1)
			if err := t.write(ctx, tx); err != nil {
				return nil, err
			}
			return next.Mutate(ctx, m)
		}
		ids, err := m.IDs(ctx)
		if err != nil {
			return nil, err
		}
		// As they are, which nobody else changes from then on. What the change
		// returns does not tell: in MySQL that may be the row as it was before
		// others changed it, where this change leaves it as it is.
		rows, err := tx.Database.Query().Unique(false).Where(database.IDIn(ids...), Locked).
			Select(database.FieldID, database.FieldProject, database.FieldState).All(ctx)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			t.add(row.Project, row.State, -1)
			if m.Op().Is(ent.OpUpdate | ent.OpUpdateOne) {
				of, state := row.Project, row.State
				if moves {
					of = toProject
				}
				if turns {
					state = toState
				}
				t.add(of, state, 1)
			}
		}
		v, err := next.Mutate(ctx, m)
		if err != nil {
			return nil, err
		}
		return v, t.write(ctx, tx)
	})
}

func (t tally) write(ctx context.Context, tx *ent.Tx) error {
	for _, id := range slices.Sorted(maps.Keys(t)) { // in one order, so that nobody waits in a circle
		c := t[id]
		if c == (counts{}) {
			continue
		}
		err := tx.Project.Update().Where(project.ID(id)).AddDatabaseCount(c.all).AddHiddenDatabaseCount(c.hidden).Exec(ctx)
		if err != nil {
			return err
		}
	}
	return nil
}

// recount puts right what projects say of their databases, should something
// else than this program have changed the store.
func (s *Store) recount(ctx context.Context) error {
	var groups []struct {
		Project string `json:"project"`
		State   string `json:"state"`
		Count   int    `json:"count"`
	}
	err := s.Database.Query().GroupBy(database.FieldProject, database.FieldState).Aggregate(ent.Count()).Scan(ctx, &groups)
	if err != nil {
		return err
	}
	t := tally{}
	for _, g := range groups {
		t.add(g.Project, g.State, g.Count)
	}
	rows, err := s.Project.Query().Order(project.ByID()).All(ctx)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if t[row.ID] == (counts{row.DatabaseCount, row.HiddenDatabaseCount}) {
			continue
		}
		// Other processes may be at work: count once more while they wait.
		if err := s.Change(ctx, func(tx *Tx) error { return recountOne(ctx, tx, row.ID) }); err != nil {
			return err
		}
	}
	return nil
}

func recountOne(ctx context.Context, tx *Tx, id string) error {
	row, err := tx.Project.Query().Unique(false).Where(project.ID(id), Locked).Only(ctx)
	if ent.IsNotFound(err) {
		return nil // it was deleted
	}
	if err != nil {
		return err
	}
	all, err := tx.Database.Query().Where(database.Project(id)).Count(ctx)
	if err != nil {
		return err
	}
	hidden, err := tx.Database.Query().Where(database.Project(id), database.StateIn(HiddenStates()...)).Count(ctx)
	if err != nil || all == row.DatabaseCount && hidden == row.HiddenDatabaseCount {
		return err
	}
	return tx.Project.UpdateOne(row).SetDatabaseCount(all).SetHiddenDatabaseCount(hidden).Exec(ctx)
}

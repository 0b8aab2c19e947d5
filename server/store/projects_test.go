package store

import (
	"context"
	"testing"
	"time"
)

// Projects of stores from before they had numbers get one at the next start:
// the default one 1, then the older ones first; numbers that there are stay.
func TestProjectsAreNumbered(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dir := t.TempDir()
	numbers := func(want map[string]int) {
		t.Helper()
		s, err := Open(ctx, "", dir)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		rows, err := s.Project.Query().All(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range rows {
			if p.Number == nil || *p.Number != want[p.ID] {
				t.Errorf("project %s has the number %v, want %d", p.ID, p.Number, want[p.ID])
			}
		}
		if len(rows) != len(want) {
			t.Errorf("%d projects, want %d", len(rows), len(want))
		}
	}
	change := func(fn func(s *Store) error) {
		t.Helper()
		s, err := Open(ctx, "", dir)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := fn(s); err != nil {
			t.Fatal(err)
		}
	}
	numbers(map[string]int{DefaultProject: 1})
	change(func(s *Store) error {
		for i, name := range []string{"beta", "alpha"} { // before the default one
			if err := s.Project.Create().SetID(name).SetCreatedAt(int64(i)).Exec(ctx); err != nil {
				return err
			}
		}
		return s.Project.Update().ClearNumber().Exec(ctx)
	})
	numbers(map[string]int{DefaultProject: 1, "alpha": 3, "beta": 2})
	change(func(s *Store) error {
		if err := s.Project.DeleteOneID("beta").Exec(ctx); err != nil {
			return err
		}
		return s.Project.Create().SetID("aaa").SetCreatedAt(0).Exec(ctx)
	})
	numbers(map[string]int{DefaultProject: 1, "alpha": 3, "aaa": 4})
}

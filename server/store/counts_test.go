package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/database"
	"github.com/backplane/backplane/testbed"
)

// TestDatabasesAreCounted: whatever happens to databases, in several processes
// at once, the projects say how many there are.
func TestDatabasesAreCounted(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]func(*testing.T) string{
		"sqlite": func(*testing.T) string { return "" },
		"postgres": func(t *testing.T) string {
			pg := testbed.StartPostgres(t, testbed.PostgresOptions{})
			pg.CreateDatabase(t, "counted", pg.User)
			u, err := url.Parse(pg.AdminURL("counted"))
			if err != nil {
				t.Fatal(err)
			}
			return u.String()
		},
		"mariadb": func(t *testing.T) string {
			m := testbed.StartMariaDB(t, testbed.MariaDBOptions{})
			m.Exec(t, "CREATE DATABASE counted CHARACTER SET utf8mb4")
			u := url.URL{Scheme: "mysql", User: url.UserPassword("root", m.Password), Host: testbed.Addr(m.Port), Path: "/counted"}
			return u.String()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			at := address(t)
			open := func() *Store {
				s, err := Open(ctx, at, t.TempDir())
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
			one := open()
			two := one
			if !one.Exclusive() {
				two = open()
			}
			w := newCountedWorld(ctx, t, one)
			var all sync.WaitGroup
			for i := range 6 {
				all.Go(func() { w.live(ctx, t, []*Store{one, two}[i%2], i) })
			}
			all.Wait()
			w.check(ctx, t, two)

			// What somebody else did to the store is seen at the next start.
			if _, err := one.db.ExecContext(ctx, "UPDATE projects SET database_count = database_count + 7, hidden_database_count = 3 WHERE id <> 'none'"); err != nil {
				t.Fatal(err)
			}
			if err := one.recount(ctx); err != nil {
				t.Fatal(err)
			}
			w.check(ctx, t, one)

			err := one.Database.DeleteOneID(1).Exec(ctx)
			if err == nil || !strings.Contains(err.Error(), "in transactions alone") {
				t.Errorf("outside of a transaction: %v", err)
			}
		})
	}
}

var countedProjects = []string{DefaultProject, "a", "b"}

type countedWorld struct {
	service           uuid.UUID
	plan, environment int
}

func newCountedWorld(ctx context.Context, t *testing.T, s *Store) *countedWorld {
	t.Helper()
	w := &countedWorld{service: uuid.New()}
	err := s.Change(ctx, func(tx *Tx) error {
		for _, p := range countedProjects[1:] {
			if err := tx.Project.Create().SetID(p).SetCreatedAt(1).Exec(ctx); err != nil {
				return err
			}
		}
		if err := tx.Service.Create().SetID(w.service).SetServiceType("postgres").SetProject(DefaultProject).SetName("s").SetNameKey("s").
			SetConfig(map[string]any{}).SetSealed(map[string][]byte{}).SetEnabled(true).SetDescription("").SetTags(nil).SetLabels(nil).
			SetCreatedAt(1).SetUpdatedAt(1).SetHealthSince(1).Exec(ctx); err != nil {
			return err
		}
		engine, err := tx.Engine.Create().SetEngineType("postgresql").SetVersion("17").Save(ctx)
		if err != nil {
			return err
		}
		plan, err := tx.Plan.Create().SetName("p").SetEngineID(engine.ID).SetCreatedAt(1).Save(ctx)
		if err != nil {
			return err
		}
		env, err := tx.Environment.Create().SetName("e").SetCreatedAt(1).Save(ctx)
		w.plan, w.environment = plan.ID, env.ID
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// live makes databases, and changes any of them at random; every fifth change
// is thought better of.
func (w *countedWorld) live(ctx context.Context, t *testing.T, s *Store, seed int) {
	random := rand.New(rand.NewPCG(uint64(seed), 1))
	states := append(HiddenStates(), "creating", "alive")
	for i := range 40 {
		project, state, regret := countedProjects[random.IntN(3)], states[random.IntN(4)], random.IntN(5) == 0
		what, pick := random.IntN(6), random.IntN(1000)
		err := s.Change(ctx, func(tx *Tx) error {
			ids, err := tx.Database.Query().Order(database.ByID()).IDs(ctx)
			if err != nil {
				return err
			}
			id := 0
			if len(ids) > 0 {
				id = ids[pick%len(ids)]
			}
			switch {
			case what < 2 || id == 0:
				err = tx.Database.CreateBulk(w.create(tx, project, state, seed, i, "x"), w.create(tx, project, "alive", seed, i, "y")).Exec(ctx)
			case what == 2:
				err = tx.Database.UpdateOneID(id).SetProject(project).SetState(state).Exec(ctx)
			case what == 3:
				err = tx.Database.Update().Where(database.ID(id)).SetState(state).Exec(ctx)
			case what == 4:
				err = tx.Database.UpdateOneID(id).SetUsedSizeInBytes(int64(i)).Exec(ctx)
			default:
				_, err = tx.Database.Delete().Where(database.ID(id)).Exec(ctx)
			}
			if err == nil && regret {
				err = errRegret
			}
			return err
		})
		if err != nil && !ent.IsNotFound(err) && !strings.Contains(err.Error(), errRegret.Error()) {
			t.Errorf("change %d of %d: %v", i, seed, err)
		}
	}
}

var errRegret = errors.New("thought better of it")

func (w *countedWorld) create(tx *Tx, project, state string, numbers ...any) *ent.DatabaseCreate {
	return tx.Database.Create().SetName(strings.ReplaceAll(fmt.Sprint(numbers...), " ", "_")).SetPlanID(w.plan).SetEnvironmentID(w.environment).
		SetServiceID(w.service).SetProject(project).SetState(state).SetCreatedAt(1)
}

func (w *countedWorld) check(ctx context.Context, t *testing.T, s *Store) {
	t.Helper()
	rows, err := s.Project.Query().All(ctx)
	if err != nil {
		t.Fatal(err)
	}
	some := false
	for _, row := range rows {
		all, err := s.Database.Query().Where(database.Project(row.ID)).Count(ctx)
		if err != nil {
			t.Fatal(err)
		}
		hidden, err := s.Database.Query().Where(database.Project(row.ID), database.StateIn(HiddenStates()...)).Count(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if row.DatabaseCount != all || row.HiddenDatabaseCount != hidden {
			t.Errorf("project %s says that it has %d databases, %d of them hidden; it has %d and %d", row.ID, row.DatabaseCount, row.HiddenDatabaseCount, all, hidden)
		}
		some = some || all > hidden && hidden > 0
	}
	if !some {
		t.Error("no project has databases of both kinds: the test tells nothing")
	}
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/server/store"
)

// databaseSmall is how many databases the small list has.
const databaseSmall = 1000

// listing is a Backplane with many or few databases.
type listing struct {
	*backplane
	count int
}

// measureDatabaseLists compares the first, a middle and the last page of a long list of
// databases with those of a short one, one request at a time.
func measureDatabaseLists(o *owner, opts options) (rows []row) {
	var lists [2]*listing
	for i, n := range []int{opts.databases, databaseSmall} {
		dir := filepath.Join(opts.dir, fmt.Sprintf("databases-%d", n))
		seedDatabases(o, dir, n)
		lists[i] = &listing{startBackplane(o, opts.binary, dir, ""), n}
		lists[i].login(o)
	}
	fixed := func(path string) func(int) string { return func(int) string { return path } }
	for _, page := range []struct {
		name string
		path func(count int) string
	}{
		{"first page", fixed("/api/database/")},
		{"first page of 100", fixed("/api/database/?page_size=100")},
		{"page of 100 in the middle", func(count int) string { return fmt.Sprintf("/api/database/?page_size=100&page=%d", count/100/2) }},
		{"last page", fixed("/api/database/?page=last")},
	} {
		a, b := lists[0].timed(o, page.path, opts.rounds*50, lists[1])
		rows = append(rows, noMoreThan(fmt.Sprintf("%s, %d databases", page.name, lists[0].count), "µs", a, b, a/b,
			fmt.Sprintf("%d databases", lists[1].count), scaleGoal))
	}
	return rows
}

// timed gets a page of both lists in turn, checks that they are whole, and
// returns the median times in µs.
func (l *listing) timed(o *owner, pathOf func(count int) string, times int, other *listing) (ours, others float64) {
	var took [2][]float64
	for range times {
		for side, at := range []*listing{l, other} {
			path := pathOf(at.count)
			began := time.Now()
			_, body := at.get(o, path)
			took[side] = append(took[side], float64(time.Since(began).Nanoseconds())/1000)
			var answer struct {
				Links    struct{ Count int } `json:"_links"`
				Database []struct{ Credentials []string }
			}
			o.must(json.Unmarshal(body, &answer))
			if answer.Links.Count != at.count || len(answer.Database) == 0 || len(answer.Database[0].Credentials) != 1 {
				o.Fatalf("GET %s does not show %d databases: %.500s", path, at.count, body)
			}
		}
	}
	return median(took[0]), median(took[1])
}

// seedDatabases fills the SQLite store in dir with n databases of one plan on
// one service, each with its credential.
func seedDatabases(o *owner, dir string, n int) {
	ctx := context.Background()
	o.must(os.MkdirAll(dir, 0o700))
	st, err := store.Open(ctx, "", dir)
	o.must(err)
	defer func() { o.must(st.Close()) }()
	random := rand.NewChaCha8([32]byte{2})
	now := time.Now().UnixMicro()
	var of place
	o.must(st.Change(ctx, func(tx *store.Tx) error { return of.make(ctx, tx, now) }))
	for from := 0; from < n; from += seedTx {
		o.must(st.Change(ctx, func(tx *store.Tx) error {
			for at := from; at < min(from+seedTx, n); at += seedBatch {
				if err := of.fill(ctx, tx, random, at, min(at+seedBatch, n), now); err != nil {
					return err
				}
			}
			return nil
		}))
	}
}

// place is where the databases of a seed are.
type place struct {
	service           uuid.UUID
	plan, environment int
}

func (p *place) make(ctx context.Context, tx *store.Tx, now int64) error {
	s, err := tx.Service.Create().SetID(uuid.New()).SetServiceType("postgres").SetProject(store.DefaultProject).SetName("server").SetNameKey("server").
		SetConfig(map[string]any{"host": "db.internal.example.com", "port": 5432, "database": "postgres", "username": "postgres"}).
		SetSealed(map[string][]byte{}).SetEnabled(true).SetDescription("").SetTags(nil).SetLabels(nil).
		SetCreatedAt(now).SetUpdatedAt(now).SetHealthSince(now).Save(ctx)
	if err != nil {
		return err
	}
	e, err := tx.Environment.Create().SetName("bench").SetCreatedAt(now).Save(ctx)
	if err != nil {
		return err
	}
	engine, err := tx.Engine.Create().SetEngineType("postgresql").SetVersion("17").Save(ctx)
	if err != nil {
		return err
	}
	plan, err := tx.Plan.Create().SetName("bench").SetEngineID(engine.ID).SetCreatedAt(now).AddEnvironments(e).AddServices(s).Save(ctx)
	if err != nil {
		return err
	}
	p.service, p.plan, p.environment = s.ID, plan.ID, e.ID
	return nil
}

// fill adds databases, in no order, with their credentials.
func (p *place) fill(ctx context.Context, tx *store.Tx, random *rand.ChaCha8, from, to int, now int64) error {
	var databases []*ent.DatabaseCreate
	for i := from; i < to; i++ {
		name := fmt.Sprintf("db_%08x_%d", uint32(random.Uint64()), i)
		databases = append(databases, tx.Database.Create().SetName(name).SetPlanID(p.plan).SetEnvironmentID(p.environment).SetServiceID(p.service).
			SetProject(store.DefaultProject).SetState("alive").SetEndpoint("postgresql://<user>:<password>@db.internal.example.com:5432/"+name).
			SetUsedSizeInBytes(8<<20).SetMeasuredAt(now).SetCreatedAt(now))
	}
	rows, err := tx.Database.CreateBulk(databases...).Save(ctx)
	if err != nil {
		return err
	}
	var credentials []*ent.CredentialCreate
	for _, row := range rows {
		sealed := make([]byte, sealedSize)
		random.Read(sealed) //nolint:errcheck // it never fails
		user := "u_" + row.Name
		credentials = append(credentials, tx.Credential.Create().SetDatabaseID(row.ID).SetUser(user).SetBaseUser(user).SetSealed(sealed).
			SetReady(true).SetCreatedAt(now).SetRotatedAt(now))
	}
	return tx.Credential.CreateBulk(credentials...).Exec(ctx)
}

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/schema"
	"github.com/backplane/backplane/server/store"
)

const (
	// seedBatch is how many services go into one INSERT: SQLite takes 32,766
	// values.
	seedBatch = 1000
	// seedTx is how many services go into one transaction.
	seedTx = 20_000
	// sealedSize is about what a sealed password takes.
	sealedSize = 57
)

// seed fills the SQLite store in dir with n services as an installation has
// them, and returns their ids in the order of a list.
func seed(o *owner, dir string, n int) []uuid.UUID {
	ctx := context.Background()
	o.must(os.MkdirAll(dir, 0o700))
	st, err := store.Open(ctx, "", dir)
	o.must(err)
	defer func() { o.must(st.Close()) }()
	random := rand.NewChaCha8([32]byte{1})
	began := time.Now().Add(-time.Duration(n) * time.Second)
	ids := make([]uuid.UUID, n)
	for from := 0; from < n; from += seedTx {
		o.must(st.Change(ctx, func(tx *store.Tx) (err error) {
			for at := from; at < min(from+seedTx, n); at += seedBatch {
				b := batch{tx: tx}
				for i := at; i < min(at+seedBatch, n); i++ {
					if ids[i], err = uuid.NewRandomFromReader(random); err != nil {
						return err
					}
					b.add(ids[i], i, random, began.Add(time.Duration(i)*time.Second).UnixMicro())
				}
				if err := b.insert(ctx); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	return ids
}

// batch is what one round of INSERTs adds.
type batch struct {
	tx       *store.Tx
	services []*ent.ServiceCreate
	versions []*ent.ServiceVersionCreate
	tags     []*ent.ServiceTagCreate
	labels   []*ent.ServiceLabelCreate
}

var teams = []string{"payments", "orders", "search", "identity", "billing", "shipping", "reports", "media"}

func (b *batch) add(id uuid.UUID, i int, random *rand.ChaCha8, at int64) {
	serviceType, config, secret := example(i)
	sealed := make([]byte, sealedSize)
	random.Read(sealed) //nolint:errcheck // it never fails
	team := teams[i%len(teams)]
	s := schema.Snapshot{
		Name: fmt.Sprintf("%s %s %06d", team, serviceType, i), Config: config, Enabled: i%50 != 0, Sealed: map[string][]byte{},
		Description: "Owned by the " + team + " team; see its runbook before changing this connection.",
		Tags:        []string{team, []string{"prod", "staging"}[i%2]}, Labels: map[string]string{"team": team, "region": "eu-west-1"},
	}
	if secret != "" {
		s.Sealed[secret] = sealed
	}
	create := b.tx.Service.Create().SetID(id).SetServiceType(serviceType).SetProject(store.DefaultProject).SetName(s.Name).SetNameKey(fmt.Sprintf("%064x", i)).
		SetConfig(s.Config).SetSealed(s.Sealed).SetEnabled(s.Enabled).SetDescription(s.Description).SetTags(s.Tags).SetLabels(s.Labels).
		SetCreatedAt(at).SetUpdatedAt(at).SetHealthSince(at)
	if i%10 == 0 {
		// Checked once a day, and last when the store was made: the monitor
		// plans for them and stays quiet while measuring.
		s.CheckIntervalUs, s.CheckTimeoutUs = (24 * time.Hour).Microseconds(), (10 * time.Second).Microseconds()
		s.FailuresBeforeCritical, s.SuccessesBeforePassing = 3, 1
		create.SetCheckIntervalUs(s.CheckIntervalUs).SetCheckTimeoutUs(s.CheckTimeoutUs).
			SetFailuresBeforeCritical(3).SetSuccessesBeforePassing(1).
			SetHealthStatus("passing").SetLastChecked(time.Now().UnixMicro()).SetLastMessage("Connection successful")
	}
	b.services = append(b.services, create)
	b.versions = append(b.versions, b.tx.ServiceVersion.Create().SetServiceID(id).SetVersion(1).SetCreatedAt(at).SetCreatedBy("admin").SetSnapshot(s))
	for _, t := range s.Tags {
		b.tags = append(b.tags, b.tx.ServiceTag.Create().SetServiceID(id).SetTag(t))
	}
	for k, v := range s.Labels {
		b.labels = append(b.labels, b.tx.ServiceLabel.Create().SetServiceID(id).SetKey(k).SetValue(v))
	}
}

func (b *batch) insert(ctx context.Context) error {
	if err := b.tx.Service.CreateBulk(b.services...).Exec(ctx); err != nil {
		return err
	}
	if err := b.tx.ServiceVersion.CreateBulk(b.versions...).Exec(ctx); err != nil {
		return err
	}
	if err := b.tx.ServiceTag.CreateBulk(b.tags...).Exec(ctx); err != nil {
		return err
	}
	return b.tx.ServiceLabel.CreateBulk(b.labels...).Exec(ctx)
}

// example is the i-th service's type, configuration and secret field.
func example(i int) (serviceType string, config map[string]any, secret string) {
	host := fmt.Sprintf("db-%04d.internal.example.com", i%5000)
	switch i % 5 {
	case 0, 1:
		return "postgres", map[string]any{"host": host, "port": 5432, "database": "app", "username": "app_user", "ssl_mode": "require", "pool_size": 10}, "password"
	case 2:
		return "mysql", map[string]any{"host": host, "port": 3306, "database": "app", "username": "app_user", "use_ssl": true}, "password"
	case 3:
		return "redis", map[string]any{"host": host, "port": 6379, "database": 2, "use_tls": true}, "password"
	default:
		return "minio", map[string]any{"endpoint": host + ":9000", "access_key": "app", "bucket": "uploads", "use_ssl": true}, "secret_key"
	}
}

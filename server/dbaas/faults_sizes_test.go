package dbaas_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"testing"

	gomysql "github.com/go-sql-driver/mysql"
	goredis "github.com/redis/go-redis/v9"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// ofSizes are the operations that a plan leads to which begins, or ceases, to
// enforce its size: databases are measured at once then.
func ofSizes() map[string]scenario {
	readOnly := func(want bool) func(*testing.T, *faultyWorld) {
		return func(t *testing.T, w *faultyWorld) {
			if db := w.exists(t); db == nil || db.GetReadOnly() != want {
				t.Errorf("the database is %v, want read-only: %t", db, want)
			}
		}
	}
	enforce := func(ctx context.Context, w *faultyWorld, on bool) error {
		_, err := w.db.UpdatePlan(ctx, &dbaasv1.UpdatePlanRequest{
			Id: w.tiny, Plan: &dbaasv1.PlanInput{Enforce: on}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"enforce"}},
		})
		return err
	}
	tooBig := func(t *testing.T, w *faultyWorld) {
		good(t, enforce(servertest.Context(t), w, false))
		good(t, w.createOf(servertest.Context(t), fmt.Sprintf("/api/plan/%d/", w.tiny), true))
		w.write(t)
	}
	return map[string]scenario{
		"freeze_database": {
			prepare: tooBig, check: readOnly(true),
			act: func(ctx context.Context, w *faultyWorld) error { return enforce(ctx, w, true) },
		},
		"thaw_database": {
			prepare: func(t *testing.T, w *faultyWorld) {
				tooBig(t, w)
				good(t, enforce(servertest.Context(t), w, true))
				servertest.Eventually(t, "the database is read-only", func() bool { return w.exists(t).GetReadOnly() })
			},
			check: readOnly(false),
			act:   func(ctx context.Context, w *faultyWorld) error { return enforce(ctx, w, false) },
		},
	}
}

// write puts something into the database of the scenario, as its owner.
func (w *faultyWorld) write(t *testing.T) {
	t.Helper()
	ctx := servertest.Context(t)
	c, err := w.cred.GetCredential(ctx, &dbaasv1.GetCredentialRequest{Id: w.credential})
	good(t, err)
	address := testbed.Addr(int(w.config["port"].(float64)))
	switch w.engine {
	case "postgresql":
		u := url.URL{Scheme: "postgres", User: url.UserPassword(c.GetUser(), c.GetPassword()), Host: address, Path: "/" + w.name, RawQuery: "sslmode=disable"}
		writeSQL(ctx, t, "postgres", u.String())
	case "mysql":
		cfg := gomysql.NewConfig()
		cfg.User, cfg.Passwd, cfg.Net, cfg.Addr, cfg.DBName = c.GetUser(), c.GetPassword(), "tcp", address, w.name
		writeSQL(ctx, t, "mysql", cfg.FormatDSN())
	case "mongodb":
		client, err := mongo.Connect(options.Client().SetHosts([]string{address}).SetDirect(true).
			SetAuth(options.Credential{Username: c.GetUser(), Password: c.GetPassword(), AuthSource: w.name, PasswordSet: true}))
		good(t, err)
		_, err = client.Database(w.name).Collection("letters").InsertOne(ctx, bson.D{{Key: "text", Value: "too much"}})
		good(t, err)
		good(t, client.Disconnect(ctx))
	case "redis":
		client := goredis.NewClient(&goredis.Options{Addr: address, Username: c.GetUser(), Password: c.GetPassword()})
		good(t, client.Set(ctx, w.name+":letter", "too much", 0).Err())
		good(t, client.Close())
	default:
		t.Fatalf("nobody knows how to write to %s", w.engine)
	}
}

func writeSQL(ctx context.Context, t *testing.T, driver, address string) {
	t.Helper()
	db, err := sql.Open(driver, address)
	good(t, err)
	defer db.Close()
	_, err = db.ExecContext(ctx, "CREATE TABLE letters (told VARCHAR(100))")
	good(t, err)
}

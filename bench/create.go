package main

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	_ "github.com/lib/pq" // the drivers that Backplane uses too
	"google.golang.org/protobuf/types/known/structpb"
	_ "modernc.org/sqlite"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	"github.com/backplane/backplane/testbed"
)

// createRounds are enough where no goal hangs on the ratio.
const createRounds = 3

// createCallers are how many clients create at once.
var createCallers = []int{1, 32}

// measureCreate creates services over gRPC on both kinds of store, each as
// durable as its defaults. What it is compared with is the least that the same
// store can do: one INSERT of one row as long as a service, committed by itself.
func measureCreate(o *owner, opts options) []row {
	dir := filepath.Join(opts.dir, "create")
	onSQLite := startBackplane(o, opts.binary, dir, "")
	bare, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "bare.db")+
		"?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	o.must(err)
	o.Cleanup(func() { bare.Close() })
	bare.SetMaxOpenConns(1) // its writers take turns, as Backplane's do
	rows := compareCreates(o, opts, "SQLite", onSQLite, bare, "INSERT INTO bare VALUES (?, ?)")

	pg := testbed.StartPostgres(o, testbed.PostgresOptions{Durable: true})
	pg.CreateDatabase(o, "catalogue", pg.User)
	onPostgres := startBackplane(o, opts.binary, filepath.Join(opts.dir, "create-pg"), pg.AdminURL("catalogue"))
	if bare, err = sql.Open("postgres", pg.AdminURL("postgres")); err != nil {
		o.must(err)
	}
	pgBare := bare
	o.Cleanup(func() { pgBare.Close() })
	pgBare.SetMaxIdleConns(32)
	return append(rows, compareCreates(o, opts, "PostgreSQL", onPostgres, pgBare, "INSERT INTO bare VALUES ($1, $2)")...)
}

func compareCreates(o *owner, opts options, store string, b *backplane, bare *sql.DB, insert string) (rows []row) {
	_, err := bare.Exec("CREATE TABLE bare (id TEXT PRIMARY KEY, content TEXT)")
	o.must(err)
	content := fmt.Sprintf("%0600d", 0)
	for _, callers := range createCallers {
		create := creator(o, b)
		ours, peer, ratio := duel(min(opts.rounds, createRounds), func() float64 {
			return hammer(o, callers, opts.each, create)
		}, func() float64 {
			return hammer(o, callers, opts.each, func(int) error {
				_, err := bare.Exec(insert, uuid.NewString(), content)
				return err
			})
		})
		rows = append(rows, row{what: fmt.Sprintf("create on %s, %d at once", store, callers), unit: "/s",
			ours: ours, peer: peer, peerName: "bare INSERT", value: ratio})
	}
	return rows
}

// creator creates one service at each call, over gRPC.
func creator(o *owner, b *backplane) func(int) error {
	conn := connect(o, b.grpc, nil)
	o.Cleanup(func() { conn.Close() })
	client := catalogv1.NewServiceCatalogClient(conn)
	ctx := loggedIn()
	config, err := structpb.NewStruct(map[string]any{"host": "db.example.com", "port": 5432, "database": "app", "username": "app_user", "password": "secret"})
	o.must(err)
	var n atomic.Int64
	prefix := time.Now().Format("150405.000000")
	return func(int) error {
		_, err := client.CreateService(ctx, &catalogv1.CreateServiceRequest{Service: &catalogv1.Service{
			Name: fmt.Sprintf("created %s %d", prefix, n.Add(1)), ServiceType: "postgres", Config: config,
		}})
		return err
	}
}

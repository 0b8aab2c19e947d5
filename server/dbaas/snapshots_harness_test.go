package dbaas_test

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/lib/pq"
	"github.com/minio/minio-go/v7"

	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// sqlEngine is an engine whose databases the tests fill and compare.
type sqlEngine struct {
	engine, driver string
	plan           func(t *testing.T, h *house) *dbaasv1.Plan
	url            func(user, password, database string) string
}

func postgresEngine(h *house) sqlEngine {
	return sqlEngine{engine: "postgresql", driver: "postgres",
		plan: func(*testing.T, *house) *dbaasv1.Plan { return h.plan },
		url:  func(u, p, db string) string { return h.postgres.URL(u, p, db) }}
}

func mariadbEngine(t *testing.T, h *house) sqlEngine {
	m := testbed.StartMariaDB(t, testbed.MariaDBOptions{})
	id := h.addService(t, "maria", "mysql", object{"host": "127.0.0.1", "port": m.Port, "database": "mysql", "username": m.User, "password": m.Password})
	return sqlEngine{engine: "mysql", driver: "mysql",
		plan: func(t *testing.T, h *house) *dbaasv1.Plan {
			return h.addPlan(t, &dbaasv1.PlanInput{Name: "small maria", Engine: "mysql", Services: []string{id}})
		},
		url: func(u, p, db string) string { return m.URL(u, p, db) }}
}

// owner opens a database as its first login.
func (e sqlEngine) owner(t *testing.T, h *house, db *dbaasv1.Database) *sql.DB {
	t.Helper()
	cred, err := h.Credentials.GetCredential(servertest.Context(t), &dbaasv1.GetCredentialRequest{Id: number(t, db.GetCredentials()[0])})
	good(t, err)
	pool, err := sql.Open(e.driver, e.url(cred.GetUser(), cred.GetPassword(), db.GetName()))
	good(t, err)
	t.Cleanup(func() { pool.Close() })
	return pool
}

func run(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.ExecContext(servertest.Context(t), s); err != nil {
			t.Fatalf("%.100s: %v", s, err)
		}
	}
}

const told = "a word that must not be on the disk in clear"

// fill gives a database some content; each row is of about the size.
func fill(t *testing.T, db *sql.DB, rows, size int) {
	t.Helper()
	run(t, db, "CREATE TABLE letters (id int PRIMARY KEY, word text NOT NULL)", "CREATE VIEW words AS SELECT word FROM letters")
	for i := range rows {
		// What cannot be compressed to nothing.
		var word strings.Builder
		for sum := sha256.Sum256(fmt.Append(nil, i)); word.Len() < size; sum = sha256.Sum256(sum[:]) {
			word.WriteString(hex.EncodeToString(sum[:]))
		}
		run(t, db, fmt.Sprintf("INSERT INTO letters VALUES (%d, '%s тест '' %s')", i, told, word.String()))
	}
}

// sums are the content of a database in short.
func sums(t *testing.T, db *sql.DB) string {
	t.Helper()
	rows, err := db.QueryContext(servertest.Context(t), "SELECT id, word FROM letters WHERE word IN (SELECT word FROM words) ORDER BY id")
	good(t, err)
	defer rows.Close()
	h, n := sha256.New(), 0
	for rows.Next() {
		var id int
		var word string
		good(t, rows.Scan(&id, &word))
		fmt.Fprintln(h, id, word)
		n++
	}
	good(t, rows.Err())
	return fmt.Sprintf("%d rows, %x", n, h.Sum(nil))
}

func (h *house) addOf(t *testing.T, plan *dbaasv1.Plan, name string) *dbaasv1.Database {
	t.Helper()
	db, err := h.Databases.CreateDatabase(servertest.Context(t), &dbaasv1.CreateDatabaseRequest{
		Name: name, Plan: plan.GetLinks().GetSelf(), Environment: h.env.GetLinks().GetSelf(),
	})
	good(t, err)
	return db
}

// snapshot makes one and waits for it.
func (h *house) snapshot(t *testing.T, req *dbaasv1.CreateSnapshotRequest) *dbaasv1.Snapshot {
	t.Helper()
	s, err := h.Databases.CreateSnapshot(servertest.Context(t), req)
	good(t, err)
	if s.GetStatus() != "WAITING" || s.GetTask() == "" || s.EndAt != nil {
		t.Fatalf("the answer is %v", s)
	}
	return h.ended(t, s.GetId(), "SUCCESS")
}

// ended waits for the end of a snapshot.
func (h *house) ended(t *testing.T, id int64, status string) *dbaasv1.Snapshot {
	t.Helper()
	var s *dbaasv1.Snapshot
	servertest.Eventually(t, "the end of the snapshot", func() bool {
		var err error
		s, err = h.Databases.GetSnapshot(servertest.Context(t), &dbaasv1.GetSnapshotRequest{Id: id})
		good(t, err)
		return s.EndAt != nil
	})
	if s.GetStatus() != status {
		t.Fatalf("the snapshot ends as %v, want %s", s, status)
	}
	return s
}

// filled waits until a copy is handed over, or is gone when it failed.
func (h *house) filled(t *testing.T, id int64) *dbaasv1.Database {
	t.Helper()
	var db *dbaasv1.Database
	servertest.Eventually(t, "the copy", func() bool {
		var err error
		db, err = h.Databases.GetDatabase(servertest.Context(t), &dbaasv1.GetDatabaseRequest{Id: id})
		if err != nil && errs.FromStatus(err).Reason == errs.NotFound {
			return true
		}
		good(t, err)
		return db.Task == nil
	})
	return db
}

func (h *house) restore(t *testing.T, id int64, name string) *dbaasv1.Database {
	t.Helper()
	db, err := h.Databases.RestoreSnapshot(servertest.Context(t), &dbaasv1.RestoreSnapshotRequest{Id: id, Name: name})
	good(t, err)
	if db.GetStatus() != 2 || db.GetTask() == "" || db.GetName() != name {
		t.Fatalf("the answer is %v", db)
	}
	return h.filled(t, db.GetId())
}

// files are those of snapshots, by their paths.
func (h *house) files(t *testing.T) (paths []string) {
	t.Helper()
	good(t, filepath.WalkDir(filepath.Join(h.DataDir, "snapshots"), func(path string, d fs.DirEntry, err error) error {
		switch {
		case os.IsNotExist(err):
			return nil
		case err != nil:
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("others may use %s: %s", path, info.Mode())
		}
		if !d.IsDir() {
			paths = append(paths, path)
		}
		return nil
	}))
	return paths
}

// onlyDatabases fails the test when the store's databases of an engine are
// others than these.
func (h *house) onlyDatabases(t *testing.T, e sqlEngine, names ...string) {
	t.Helper()
	ctx := servertest.Context(t)
	list, err := h.Databases.ListDatabases(ctx, &dbaasv1.ListDatabasesRequest{Filter: map[string]string{"engine": e.engine}})
	good(t, err)
	var got []string
	for _, db := range list.GetDatabase() {
		got = append(got, db.GetName())
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("the databases are %v, want %v", got, names)
	}
	diff, err := h.Databases.ListDifferences(ctx, &dbaasv1.ListDifferencesRequest{})
	good(t, err)
	if len(diff.GetDifference()) > 0 || len(diff.GetUnreachable()) > 0 {
		t.Errorf("the servers have other things than the store: %v", diff)
	}
}

// objects counts what is in a bucket, also of uploads that were cut off.
func objects(t *testing.T, store *testbed.MinIO, bucket string) (n int) {
	t.Helper()
	client, ctx := store.Client(t), servertest.Context(t)
	for o := range client.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true}) {
		good(t, o.Err)
		n++
	}
	for o := range client.ListIncompleteUploads(ctx, bucket, "", true) {
		good(t, o.Err)
		n++
	}
	return n
}

// waits waits until a task waits to be tried again.
func (h *house) waits(t *testing.T, task string) {
	t.Helper()
	servertest.Eventually(t, "the task waits", func() bool {
		got, err := h.Databases.GetTask(servertest.Context(t), &dbaasv1.GetTaskRequest{Id: number(t, task)})
		good(t, err)
		return got.GetTaskStatus() == "WARNING"
	})
}

func (h *house) addNumberedProject(t *testing.T, name string) string {
	t.Helper()
	list, err := h.Databases.ListDatabaseProjects(h.ctx, &dbaasv1.ListDatabaseProjectsRequest{PageSize: "100"})
	good(t, err)
	for _, p := range list.GetProject() {
		if p.GetName() == name {
			return p.GetLinks().GetSelf()
		}
	}
	t.Fatalf("no project %s in %v", name, list)
	return ""
}

package dbaas_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

func TestSnapshotOutlivesItsDatabase(t *testing.T) {
	h := newHouse(t, servertest.Options{})
	for _, e := range []sqlEngine{postgresEngine(h), mariadbEngine(t, h)} {
		t.Run(e.engine, func(t *testing.T) { outlives(t, h, e) })
	}
}

func outlives(t *testing.T, h *house, e sqlEngine) {
	ctx := servertest.Context(t)
	plan := e.plan(t, h)
	db := h.addOf(t, plan, "letters_"+e.engine)
	owner := e.owner(t, h, db)
	fill(t, owner, 50, 2000)
	want := sums(t, owner)
	owner.Close()
	s := h.snapshot(t, &dbaasv1.CreateSnapshotRequest{Database: db.GetId()})
	if s.GetDatabase() != db.GetLinks().GetSelf() || s.Service != nil || s.GetFormat() == "" {
		t.Errorf("the snapshot is %v", s)
	}
	files := h.files(t)
	if len(files) != 1 {
		t.Fatalf("the files are %v", files)
	}
	stored, err := os.ReadFile(files[0])
	good(t, err)
	sum := sha256.Sum256(stored)
	if int64(len(stored)) != s.GetSize() || hex.EncodeToString(sum[:]) != s.GetSha256() {
		t.Errorf("%d bytes with the sum %x are on the disk, want %v", len(stored), sum, s)
	}
	if bytes.Contains(stored, []byte(told)) || bytes.Contains(stored, []byte("letters")) || bytes.HasPrefix(stored, []byte("PGDMP")) {
		t.Error("the content is on the disk in clear")
	}
	h.dropDatabase(t, db.GetId())
	list, err := h.Databases.ListSnapshots(ctx, &dbaasv1.ListSnapshotsRequest{Database: db.GetId()})
	good(t, err)
	if len(list.GetSnapshot()) != 1 || list.GetSnapshot()[0].Database != nil || list.GetSnapshot()[0].GetDatabaseName() != "letters_"+e.engine {
		t.Errorf("after the drop the list is %v", list)
	}

	again := h.restore(t, s.GetId(), "again_"+e.engine)
	if again == nil || again.Status != nil || again.GetPlan() != plan.GetLinks().GetSelf() || len(again.GetCredentials()) != 1 {
		t.Fatalf("the database is %v", again)
	}
	owner = e.owner(t, h, again)
	if got := sums(t, owner); got != want {
		t.Errorf("it has %s, want %s", got, want)
	}
	run(t, owner, "ALTER TABLE letters ADD COLUMN more int", "DROP VIEW words", "CREATE TABLE other (id int)", "DELETE FROM letters")

	_, err = h.Databases.DeleteSnapshot(ctx, &dbaasv1.DeleteSnapshotRequest{Id: s.GetId()})
	good(t, err)
	_, err = h.Databases.GetSnapshot(ctx, &dbaasv1.GetSnapshotRequest{Id: s.GetId()})
	notFound(t, err)
	_, err = h.Databases.RestoreSnapshot(ctx, &dbaasv1.RestoreSnapshotRequest{Id: s.GetId(), Name: "third"})
	notFound(t, err)
	_, err = h.Databases.ListSnapshots(ctx, &dbaasv1.ListSnapshotsRequest{Database: db.GetId()})
	notFound(t, err)
	if left := h.files(t); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
}

func TestDamagedSnapshotIsNotRestored(t *testing.T) {
	h := newHouse(t, servertest.Options{})
	for _, e := range []sqlEngine{postgresEngine(h), mariadbEngine(t, h)} {
		t.Run(e.engine, func(t *testing.T) { damaged(t, h, e) })
	}
}

func damaged(t *testing.T, h *house, e sqlEngine) {
	db := h.addOf(t, e.plan(t, h), "whole_"+e.engine)
	owner := e.owner(t, h, db)
	fill(t, owner, 300, 2000) // several sealed chunks
	want := sums(t, owner)
	s := h.snapshot(t, &dbaasv1.CreateSnapshotRequest{Database: db.GetId()})
	file := filepath.Join(filepath.Dir(h.files(t)[0]), fmt.Sprintf("%d.snapshot", s.GetId()))
	stored, err := os.ReadFile(file)
	good(t, err)
	if len(stored) < 150_000 {
		t.Fatalf("%d bytes are too few to damage", len(stored))
	}
	put := func(b []byte) { good(t, os.WriteFile(file, b, 0o600)) }
	flip := func(at int) []byte {
		b := bytes.Clone(stored)
		b[at] ^= 0x40
		return b
	}
	bad := map[string][]byte{
		"truncated": stored[:len(stored)-1], "half": stored[:len(stored)/2], "empty": {}, "longer": append(bytes.Clone(stored), 0),
		"head": flip(30), "middle": flip(len(stored) / 2), "end": flip(len(stored) - 1), "removed": nil,
	}
	for name, b := range bad {
		if put(b); b == nil {
			good(t, os.Remove(file))
		}
		if got := h.restore(t, s.GetId(), "broken_"+e.engine); got != nil {
			t.Errorf("%s: restored as %v", name, got)
		}
	}
	h.onlyDatabases(t, e, "whole_"+e.engine)
	put(stored)
	if got := sums(t, e.owner(t, h, h.restore(t, s.GetId(), "broken_"+e.engine))); got != want {
		t.Errorf("it has %s, want %s", got, want)
	}
}

func TestSnapshotInBucket(t *testing.T) {
	h := newHouse(t, servertest.Options{})
	store := testbed.StartMinIO(t, testbed.MinIOOptions{})
	store.Bucket(t, "snapshots")
	config := object{"endpoint": testbed.Addr(store.Port), "access_key": store.AccessKey, "secret_key": store.SecretKey, "bucket": "snapshots"}
	id := h.addService(t, "objects", "minio", config)
	e := postgresEngine(h)
	db := h.addDatabase(t, "big")
	owner := e.owner(t, h, db)
	fill(t, owner, 600, 100_000) // 30 MB when compressed
	want := sums(t, owner)
	s := h.snapshot(t, &dbaasv1.CreateSnapshotRequest{Database: db.GetId(), Service: id})
	if s.GetService() != id || s.GetSize() < 25<<20 {
		t.Errorf("the snapshot is %v", s)
	}
	if left := h.files(t); len(left) != 0 {
		t.Errorf("the data directory has %v", left)
	}
	a := h.Do(t, "DELETE", "/api/services/"+id, nil)
	if !strings.Contains(string(a.Body), "in_use") {
		t.Errorf("the service can be deleted: %s", a.Body)
	}
	if got := sums(t, e.owner(t, h, h.restore(t, s.GetId(), "big_again"))); got != want {
		t.Errorf("it has %s, want %s", got, want)
	}

	_, err := h.Databases.DeleteSnapshot(servertest.Context(t), &dbaasv1.DeleteSnapshotRequest{Id: s.GetId()})
	good(t, err)
	if n := objects(t, store, "snapshots"); n != 0 {
		t.Errorf("%d objects are left", n)
	}
	bare := h.addService(t, "no bucket", "minio", object{"endpoint": testbed.Addr(store.Port), "access_key": store.AccessKey, "secret_key": store.SecretKey})
	for service, message := range map[string]string{bare: "names no bucket", h.service: "keeps no objects", "nobody": "no service"} {
		_, err := h.Databases.CreateSnapshot(servertest.Context(t), &dbaasv1.CreateSnapshotRequest{Database: db.GetId(), Service: service})
		refused(t, err, errs.ValidationFailed, "service", message)
	}
	// Keys that may not write: the snapshot fails, and lets go of the database.
	wrong := h.addService(t, "wrong keys", "minio", object{"endpoint": testbed.Addr(store.Port), "access_key": store.AccessKey, "secret_key": "not this one", "bucket": "snapshots"})
	failed, err := h.Databases.CreateSnapshot(servertest.Context(t), &dbaasv1.CreateSnapshotRequest{Database: db.GetId(), Service: wrong})
	good(t, err)
	h.ended(t, failed.GetId(), "ERROR")
	h.snapshot(t, &dbaasv1.CreateSnapshotRequest{Database: db.GetId()})
}

func TestCloneAcrossServers(t *testing.T) {
	h := newHouse(t, servertest.Options{})
	e := postgresEngine(h)
	db := h.addDatabase(t, "source")
	owner := e.owner(t, h, db)
	fill(t, owner, 300, 100_000)
	want := sums(t, owner)
	other := testbed.StartPostgres(t, testbed.PostgresOptions{})
	far := h.addPlan(t, &dbaasv1.PlanInput{Name: "far", Services: []string{h.addPostgres(t, "far", other)}})
	clone := func(name, plan string) *dbaasv1.Database {
		t.Helper()
		db, err := h.Databases.CloneDatabase(servertest.Context(t), &dbaasv1.CloneDatabaseRequest{Id: db.GetId(), Name: name, Plan: plan})
		good(t, err)
		if db.GetStatus() != 2 || db.GetTask() == "" {
			t.Fatalf("the answer is %v", db)
		}
		return db
	}
	near := h.filled(t, clone("near", "").GetId())
	if got := sums(t, e.owner(t, h, near)); got != want {
		t.Errorf("the clone on the same server has %s, want %s", got, want)
	}
	there := e
	there.url = func(u, p, db string) string { return other.URL(u, p, db) }
	away := h.filled(t, clone("away", far.GetLinks().GetSelf()).GetId())
	if got := sums(t, there.owner(t, h, away)); got != want {
		t.Errorf("the clone on another server has %s, want %s", got, want)
	}

	// While the other server is down, the clone waits, and its source stays.
	other.Stop()
	waits := clone("waits", far.GetLinks().GetSelf())
	_, err := h.Databases.DeleteDatabase(servertest.Context(t), &dbaasv1.DeleteDatabaseRequest{Id: db.GetId()})
	good(t, err) // into quarantine
	_, err = h.Databases.DeleteDatabase(servertest.Context(t), &dbaasv1.DeleteDatabaseRequest{Id: db.GetId()})
	refused(t, err, errs.InUse, "", "reads this")
	other.Restart(t)
	if got := sums(t, there.owner(t, h, h.filled(t, waits.GetId()))); got != want {
		t.Errorf("the clone that waited has %s, want %s", got, want)
	}
	_, err = h.Databases.DeleteDatabase(servertest.Context(t), &dbaasv1.DeleteDatabaseRequest{Id: db.GetId()})
	good(t, err)
}

func TestSnapshotOfStoppedServer(t *testing.T) {
	h := newHouse(t, servertest.Options{})
	ctx := context.Background()
	db := h.addDatabase(t, "asleep")
	fill(t, postgresEngine(h).owner(t, h, db), 20, 100)
	before := h.snapshot(t, &dbaasv1.CreateSnapshotRequest{Database: db.GetId()})
	h.postgres.Stop()
	s, err := h.Databases.CreateSnapshot(ctx, &dbaasv1.CreateSnapshotRequest{Database: db.GetId()})
	good(t, err)
	h.waits(t, s.GetTask())
	_, err = h.Databases.CreateSnapshot(ctx, &dbaasv1.CreateSnapshotRequest{Database: db.GetId()})
	refused(t, err, errs.InUse, "", "works on this database")
	_, err = h.Databases.RestoreSnapshot(ctx, &dbaasv1.RestoreSnapshotRequest{Id: s.GetId(), Name: "early"})
	refused(t, err, errs.ValidationFailed, "error", "not complete")

	// A restore waits, too, and what it reads stays.
	r, err := h.Databases.RestoreSnapshot(ctx, &dbaasv1.RestoreSnapshotRequest{Id: before.GetId(), Name: "later"})
	good(t, err)
	h.waits(t, r.GetTask())
	_, err = h.Databases.DeleteSnapshot(ctx, &dbaasv1.DeleteSnapshotRequest{Id: before.GetId()})
	refused(t, err, errs.InUse, "", "reads this")

	// One that waits can be given up.
	_, err = h.Databases.DeleteSnapshot(ctx, &dbaasv1.DeleteSnapshotRequest{Id: s.GetId()})
	good(t, err)
	_, err = h.Databases.GetSnapshot(ctx, &dbaasv1.GetSnapshotRequest{Id: s.GetId()})
	notFound(t, err)
	if n := len(h.files(t)); n != 1 {
		t.Errorf("%d files are left, want that of the first snapshot", n)
	}
	h.postgres.Restart(t)
	if h.filled(t, r.GetId()) == nil {
		t.Error("the restore that waited is lost")
	}
	h.snapshot(t, &dbaasv1.CreateSnapshotRequest{Database: db.GetId()})
}

// TestSnapshotCutOff stops the engine, and then the program itself, in the
// middle of a dump, which waits for a lock.
func TestSnapshotCutOff(t *testing.T) {
	h := newHouse(t, servertest.Options{})
	db := h.addDatabase(t, "busy")
	e := postgresEngine(h)
	fill(t, e.owner(t, h, db), 20, 100)
	dumping := func() (unlock func()) {
		t.Helper()
		tx, err := e.owner(t, h, db).BeginTx(context.Background(), nil)
		good(t, err)
		_, err = tx.Exec("LOCK TABLE letters IN ACCESS EXCLUSIVE MODE")
		good(t, err)
		return func() { tx.Rollback() } //nolint:errcheck // the server may be gone
	}
	admin, err := sql.Open("postgres", h.postgres.AdminURL("postgres"))
	good(t, err)
	defer admin.Close()
	reached := func() {
		t.Helper()
		servertest.Eventually(t, "the dump waits for the lock", func() bool {
			var n int
			good(t, admin.QueryRow("SELECT count(*) FROM pg_locks WHERE NOT granted").Scan(&n))
			return n > 0
		})
	}
	unlock := dumping()
	s, err := h.Databases.CreateSnapshot(servertest.Context(t), &dbaasv1.CreateSnapshotRequest{Database: db.GetId()})
	good(t, err)
	reached()
	h.postgres.Stop()
	unlock()
	h.waits(t, s.GetTask())
	if left := h.files(t); len(left) != 0 {
		t.Errorf("while it waits there are the files %v", left)
	}
	h.postgres.Restart(t)
	first := h.ended(t, s.GetId(), "SUCCESS")

	unlock = dumping()
	s, err = h.Databases.CreateSnapshot(servertest.Context(t), &dbaasv1.CreateSnapshotRequest{Database: db.GetId()})
	good(t, err)
	reached()
	_, err = h.Databases.DeleteSnapshot(servertest.Context(t), &dbaasv1.DeleteSnapshotRequest{Id: s.GetId()})
	refused(t, err, errs.InUse, "", "makes this snapshot")
	good(t, h.Close())
	if left := h.files(t); len(left) != 1 {
		t.Errorf("after the end there are the files %v", left)
	}
	unlock()
	h.Server = servertest.Start(t, servertest.Options{DataDir: h.DataDir})
	if second := h.ended(t, s.GetId(), "SUCCESS"); second.GetSize() < first.GetSize()/2 {
		t.Errorf("the snapshot is %v, the first was %v", second, first)
	}
	h.onlyDatabases(t, e, "busy")
}

func TestSnapshotsOverREST(t *testing.T) {
	h := newHouse(t, servertest.Options{})
	db := h.addDatabase(t, "orders")
	of := "/api/database/" + fmt.Sprint(db.GetId()) + "/snapshot/"
	a := h.Do(t, "POST", of, object{})
	s := a.JSON(t)
	if a.Status != 201 || a.Header.Get("Location") != s["_links"].(object)["self"] || s["database_name"] != "orders" || s["end_at"] != nil || s["service"] != nil {
		t.Fatalf("%d %s at %s", a.Status, a.Body, a.Header.Get("Location"))
	}
	id := int64(s["id"].(float64))
	if got := h.Do(t, "GET", fmt.Sprintf("/api/snapshot/%d/", id), nil).JSON(t); s["task"] == nil || got["task"] != s["task"] {
		t.Errorf("the task is %v at first, and %v then", s["task"], got["task"])
	}
	h.ended(t, id, "SUCCESS")
	list := h.Do(t, "GET", of, nil)
	if got, _ := list.JSON(t)["snapshot"].([]any); list.Status != 200 || len(got) != 1 {
		t.Errorf("%d %s", list.Status, list.Body)
	}
	self := "/api/snapshot/" + fmt.Sprint(id) + "/"
	a = h.Do(t, "POST", self+"restore/", object{"name": "again"})
	if a.Status != 201 || a.JSON(t)["status"] != 2.0 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	h.filled(t, int64(a.JSON(t)["id"].(float64)))
	a = h.Do(t, "POST", "/api/database/"+fmt.Sprint(db.GetId())+"/clone/", object{"name": "again"})
	if a.Status != 400 || !strings.Contains(string(a.Body), `"name"`) {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a = h.Do(t, "DELETE", self, nil); a.Status != 204 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a = h.Do(t, "GET", self, nil); a.Status != 404 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if got, _ := h.Do(t, "GET", "/api/snapshot/", nil).JSON(t)["snapshot"].([]any); len(got) != 0 {
		t.Errorf("the list is %v", got)
	}
}

func TestSnapshotOfLostDatabaseFails(t *testing.T) {
	h := newHouse(t, servertest.Options{})
	db := h.addDatabase(t, "lost")
	h.postgres.Exec(t, "DROP DATABASE lost WITH (FORCE)")
	s, err := h.Databases.CreateSnapshot(h.ctx, &dbaasv1.CreateSnapshotRequest{Database: db.GetId()})
	good(t, err)
	h.ended(t, s.GetId(), "ERROR")
	for status, want := range map[string]int{"": 0, "ERROR": 1, "SUCCESS": 0} {
		filter := map[string]string{"status": status}
		if status == "" {
			filter = nil
		}
		list, err := h.Databases.ListSnapshots(h.ctx, &dbaasv1.ListSnapshotsRequest{Filter: filter})
		good(t, err)
		if len(list.GetSnapshot()) != want || list.GetLinks().GetCount() != int64(want) {
			t.Errorf("with the status %q: %v", status, list)
		}
	}
	got, err := h.Databases.GetDatabase(h.ctx, &dbaasv1.GetDatabaseRequest{Id: db.GetId()})
	good(t, err)
	if got.Task != nil || len(h.files(t)) != 0 {
		t.Errorf("the database is %v, the files %v", got, h.files(t))
	}
	_, err = h.Databases.DeleteSnapshot(h.ctx, &dbaasv1.DeleteSnapshotRequest{Id: s.GetId()})
	good(t, err)
}

func TestSnapshotRights(t *testing.T) {
	h := newHouse(t, servertest.Options{})
	h.AddProject(t, "team-a", "team-b")
	team := h.addNumberedProject(t, "team-a")
	db, err := h.Databases.CreateDatabase(h.ctx, &dbaasv1.CreateDatabaseRequest{
		Name: "ours", Plan: h.plan.GetLinks().GetSelf(), Environment: h.env.GetLinks().GetSelf(), Project: team,
	})
	good(t, err)
	viewer := h.as(t, h.AddUser(t, "viewer", servertest.Role("viewer", "team-a")))
	editor := h.as(t, h.AddUser(t, "editor", servertest.Role("editor", "team-a")))
	admin := h.as(t, h.AddUser(t, "admin-a", servertest.Role("admin", "team-a")))
	stranger := h.as(t, h.AddUser(t, "stranger", servertest.Role("admin", "team-b")))
	ask := &dbaasv1.CreateSnapshotRequest{Database: db.GetId()}

	_, err = viewer.CreateSnapshot(h.ctx, ask)
	refused(t, err, errs.PermissionDenied, "", "editor")
	_, err = stranger.CreateSnapshot(h.ctx, ask)
	notFound(t, err)
	s, err := editor.CreateSnapshot(h.ctx, ask)
	good(t, err)
	h.ended(t, s.GetId(), "SUCCESS")

	for name, api := range map[string]dbaasv1.DatabaseAdminClient{"viewer": viewer, "editor": editor, "admin": admin} {
		list, err := api.ListSnapshots(h.ctx, &dbaasv1.ListSnapshotsRequest{})
		good(t, err)
		if len(list.GetSnapshot()) != 1 {
			t.Errorf("the %s sees %v", name, list)
		}
	}
	list, err := stranger.ListSnapshots(h.ctx, &dbaasv1.ListSnapshotsRequest{})
	good(t, err)
	if len(list.GetSnapshot()) != 0 {
		t.Errorf("a stranger sees %v", list)
	}
	_, err = stranger.ListSnapshots(h.ctx, &dbaasv1.ListSnapshotsRequest{Database: db.GetId()})
	notFound(t, err)
	_, err = stranger.GetSnapshot(h.ctx, &dbaasv1.GetSnapshotRequest{Id: s.GetId()})
	notFound(t, err)
	_, err = stranger.RestoreSnapshot(h.ctx, &dbaasv1.RestoreSnapshotRequest{Id: s.GetId(), Name: "stolen"})
	notFound(t, err)
	_, err = stranger.DeleteSnapshot(h.ctx, &dbaasv1.DeleteSnapshotRequest{Id: s.GetId()})
	notFound(t, err)
	_, err = stranger.CloneDatabase(h.ctx, &dbaasv1.CloneDatabaseRequest{Id: db.GetId(), Name: "stolen"})
	notFound(t, err)
	_, err = viewer.RestoreSnapshot(h.ctx, &dbaasv1.RestoreSnapshotRequest{Id: s.GetId(), Name: "copied"})
	refused(t, err, errs.PermissionDenied, "", "editor")
	_, err = viewer.CloneDatabase(h.ctx, &dbaasv1.CloneDatabaseRequest{Id: db.GetId(), Name: "copied"})
	refused(t, err, errs.PermissionDenied, "", "editor")
	_, err = viewer.DeleteSnapshot(h.ctx, &dbaasv1.DeleteSnapshotRequest{Id: s.GetId()})
	refused(t, err, errs.PermissionDenied, "", "editor")
	_, err = editor.RestoreSnapshot(h.ctx, &dbaasv1.RestoreSnapshotRequest{Id: s.GetId(), Name: "ours"})
	refused(t, err, errs.ValidationFailed, "name", "already exists")
	_, err = editor.RestoreSnapshot(h.ctx, &dbaasv1.RestoreSnapshotRequest{Id: s.GetId(), Name: "?", Plan: "/api/plan/99/"})
	refused(t, err, errs.ValidationFailed, "name", "required")
	refused(t, err, errs.ValidationFailed, "plan", "does not exist")

	// In quarantine it is there for admins only.
	_, err = h.Databases.DeleteDatabase(h.ctx, &dbaasv1.DeleteDatabaseRequest{Id: db.GetId()})
	good(t, err)
	_, err = editor.CreateSnapshot(h.ctx, ask)
	notFound(t, err)
	second, err := admin.CreateSnapshot(h.ctx, ask)
	good(t, err)
	h.ended(t, second.GetId(), "SUCCESS")
	seen, err := editor.GetSnapshot(h.ctx, &dbaasv1.GetSnapshotRequest{Id: s.GetId()})
	good(t, err)
	if seen.Database != nil {
		t.Errorf("an editor is led to the database in quarantine: %v", seen)
	}
	clone, err := admin.CloneDatabase(h.ctx, &dbaasv1.CloneDatabaseRequest{Id: db.GetId(), Name: "kept"})
	good(t, err)
	if got := h.filled(t, clone.GetId()); got.GetProject() != team {
		t.Errorf("the clone is %v", got)
	}
}

// TestFilesOfNoSnapshotGo leaves behind what a program that was killed would.
func TestFilesOfNoSnapshotGo(t *testing.T) {
	h := newHouse(t, servertest.Options{})
	db := h.addDatabase(t, "orders")
	s := h.snapshot(t, &dbaasv1.CreateSnapshotRequest{Database: db.GetId()})
	kept := h.files(t)[0]
	dir := filepath.Dir(kept)
	for _, name := range []string{fmt.Sprintf("%d.snapshot.123.partial", s.GetId()), "99.snapshot.1.partial", "99.snapshot"} {
		good(t, os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o600))
	}
	other := filepath.Join(filepath.Dir(dir), "another-installation")
	good(t, os.Mkdir(other, 0o700))
	foreign := filepath.Join(other, "1.snapshot")
	good(t, os.WriteFile(foreign, nil, 0o600))
	good(t, h.Close())
	h.Server = servertest.Start(t, servertest.Options{DataDir: h.DataDir})
	servertest.Eventually(t, "the files go", func() bool { return len(h.files(t)) == 2 })
	for _, f := range []string{kept, foreign} {
		if _, err := os.Stat(f); err != nil {
			t.Error(err)
		}
	}
}

package dbaas_test

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/builtin"
	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/dbaas"
	"github.com/backplane/backplane/server/servertest"
)

// TestKilledAfterEveryStep kills the program after every single step of every
// operation, on every engine, once when the step has had its effect and once
// when the store knows. The next start must bring the work to its end, and the
// engine must hold exactly what the store says.
func TestKilledAfterEveryStep(t *testing.T) {
	t.Parallel()
	bin := servertest.Build(t, "-tags", "faults")
	for name, start := range enginesUnderTest() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newFaultyWorld(t, bin, start(t))
			points := dbaas.Points()
			for _, kind := range slices.Sorted(maps.Keys(points)) {
				s, ok := scenarios()[kind]
				if !ok {
					t.Errorf("no scenario leads to the operation %s", kind)
					continue
				}
				for _, step := range points[kind] {
					for _, point := range []string{"done", "recorded"} {
						t.Run(kind+", "+step+", "+point, func(t *testing.T) { w.dieAndRecover(t, s, kind+"/"+step+"/"+point) })
					}
				}
			}
		})
	}
}

// engineUnderTest is a real server with its configuration as a service.
type engineUnderTest struct {
	serviceType, engine string
	config              object
}

// faultyWorld is a program that dies and comes back on one data directory.
type faultyWorld struct {
	engineUnderTest
	t        *testing.T // of the engine, whose end ends the program
	bin, dir string
	p        *servertest.Process
	db       dbaasv1.DatabaseAdminClient
	cred     dbaasv1.CredentialAdminClient

	service, env, plan string
	tiny               int64 // a plan of one byte
	names              int
	// of the scenario under way
	database, credential, snapshot int64
	name                           string
}

func newFaultyWorld(t *testing.T, bin string, e engineUnderTest) *faultyWorld {
	t.Helper()
	w := &faultyWorld{t: t, engineUnderTest: e, bin: bin, dir: t.TempDir()}
	w.start(t, "")
	conn := servertest.Dial(t, w.p.GRPC, servertest.Basic(auth.AdminUser, servertest.Password))
	ctx := servertest.Context(t)
	config := mustStruct(t, e.config)
	s, err := catalogv1.NewServiceCatalogClient(conn).CreateService(ctx, &catalogv1.CreateServiceRequest{
		Service: &catalogv1.Service{Name: "engine", ServiceType: e.serviceType, Config: config},
	})
	good(t, err)
	w.service = s.GetData().GetId()
	env, err := w.db.CreateEnvironment(ctx, &dbaasv1.CreateEnvironmentRequest{Environment: &dbaasv1.EnvironmentInput{Name: "laboratory"}})
	good(t, err)
	w.env = env.GetLinks().GetSelf()
	plan, err := w.db.CreatePlan(ctx, &dbaasv1.CreatePlanRequest{Plan: &dbaasv1.PlanInput{
		Name: "small", Engine: e.engine, Environments: []string{w.env}, Services: []string{w.service},
	}})
	good(t, err)
	w.plan = plan.GetLinks().GetSelf()
	tiny, err := w.db.CreatePlan(ctx, &dbaasv1.CreatePlanRequest{Plan: &dbaasv1.PlanInput{
		Name: "tiny", Engine: e.engine, Environments: []string{w.env}, Services: []string{w.service}, TotalSizeInBytes: 1,
	}})
	good(t, err)
	w.tiny = tiny.GetId()
	return w
}

// start starts the program, to die at a point when one is named.
func (w *faultyWorld) start(t *testing.T, dieAt string) {
	t.Helper()
	w.p = servertest.Serve(w.t, w.bin, w.dir, []string{
		"BACKPLANE_ADMIN_PASSWORD=" + servertest.Password, "BACKPLANE_DIE_AT=" + dieAt,
	})
	conn := servertest.Dial(w.t, w.p.GRPC, servertest.Basic(auth.AdminUser, servertest.Password))
	w.db, w.cred = dbaasv1.NewDatabaseAdminClient(conn), dbaasv1.NewCredentialAdminClient(conn)
}

func (w *faultyWorld) stop(t *testing.T) {
	t.Helper()
	w.p.Signal(syscall.SIGTERM)
	if code, log := w.p.Exit(t); code != 0 {
		t.Fatalf("the program ends with %d: %s", code, log)
	}
}

// scenario leads to one kind of operation.
type scenario struct {
	// prepare runs before the program that dies; act in it. After its death and
	// the next start, check looks at what came of it. prepare and check may be
	// nil.
	prepare, check func(t *testing.T, w *faultyWorld)
	act            func(ctx context.Context, w *faultyWorld) error
}

func (w *faultyWorld) dieAndRecover(t *testing.T, s scenario, at string) {
	w.names++
	w.name = fmt.Sprintf("db%d", w.names)
	if s.prepare != nil {
		s.prepare(t, w)
		w.settled(t)
	}
	w.stop(t)
	w.start(t, at)
	if err := s.act(servertest.Context(t), w); err != nil {
		t.Logf("the caller is told: %v", err)
	}
	if !w.p.Killed(t) {
		t.Fatalf("the program did not die at %s: %s", at, w.p.Log.String())
	}
	w.start(t, "")
	w.settled(t)
	w.engineIsAsTheStoreSays(t)
	if s.check != nil {
		s.check(t, w)
	}
	w.clear(t)
}

// clear removes what a scenario left.
func (w *faultyWorld) clear(t *testing.T) {
	t.Helper()
	ctx := servertest.Context(t)
	snapshots, err := w.db.ListSnapshots(ctx, &dbaasv1.ListSnapshotsRequest{})
	good(t, err)
	for _, s := range snapshots.GetSnapshot() {
		_, err := w.db.DeleteSnapshot(ctx, &dbaasv1.DeleteSnapshotRequest{Id: s.GetId()})
		good(t, err)
	}
	dbs, err := w.db.ListDatabases(ctx, &dbaasv1.ListDatabasesRequest{})
	good(t, err)
	for _, db := range dbs.GetDatabase() {
		for gone := db.QuarantineDt != nil; ; gone = true {
			_, err := w.db.DeleteDatabase(ctx, &dbaasv1.DeleteDatabaseRequest{Id: db.GetId()})
			good(t, err)
			if gone {
				break
			}
		}
	}
}

// settled waits until no operation is unfinished, and none has failed for a
// while to be tried again.
func (w *faultyWorld) settled(t *testing.T) {
	t.Helper()
	ctx := servertest.Context(t)
	servertest.Eventually(t, "the end of all operations", func() bool {
		list, err := w.db.ListTasks(ctx, &dbaasv1.ListTasksRequest{PageSize: "100"})
		good(t, err)
		return !slices.ContainsFunc(list.GetTaskhistory(), func(task *dbaasv1.Task) bool { return task.EndedAt == nil })
	})
}

// engineIsAsTheStoreSays compares both, and logs in with every credential.
func (w *faultyWorld) engineIsAsTheStoreSays(t *testing.T) {
	t.Helper()
	ctx := servertest.Context(t)
	var databases []string
	byURL := map[string]*dbaasv1.Database{}
	dbs, err := w.db.ListDatabases(ctx, &dbaasv1.ListDatabasesRequest{PageSize: "100"})
	good(t, err)
	for _, db := range dbs.GetDatabase() {
		databases = append(databases, db.GetName())
		byURL[db.GetLinks().GetSelf()] = db
		if db.Task != nil || db.GetStatus() == 2 {
			t.Errorf("the database %v is not at rest", db)
		}
	}
	var logins []string
	creds, err := w.cred.ListCredentials(ctx, &dbaasv1.ListCredentialsRequest{PageSize: "100"})
	good(t, err)
	for _, c := range creds.GetCredential() {
		full, err := w.cred.GetCredential(ctx, &dbaasv1.GetCredentialRequest{Id: c.GetId()})
		good(t, err)
		logins = append(logins, c.GetUser())
		if c.PreviousUser != nil {
			logins = append(logins, c.GetPreviousUser())
		}
		db := byURL[c.GetDatabase()]
		if db == nil {
			t.Fatalf("the credential %v has no database", c)
		}
		w.logsIn(t, connectors.Login{Database: db.GetName(), User: c.GetUser(), Password: full.GetPassword(), Privilege: connectors.Owner})
	}
	admin := w.server(t)
	defer admin.Close()
	inv, err := admin.Inventory(ctx)
	good(t, err)
	var known []string
	for _, l := range inv.Logins {
		known = append(known, l.User)
	}
	sameNames(t, "databases", inv.Databases, databases)
	sameNames(t, "logins", known, logins)
}

func sameNames(t *testing.T, what string, engine, store []string) {
	t.Helper()
	slices.Sort(engine)
	slices.Sort(store)
	if !slices.Equal(engine, store) {
		t.Errorf("the engine has the %s %v, the store %v", what, engine, store)
	}
}

// provisioner is the engine's, with the administrator's configuration.
func (w *faultyWorld) provisioner(t *testing.T) (connectors.Provisioner, connectors.Config) {
	t.Helper()
	registry, err := builtin.Registry()
	good(t, err)
	conn, _ := registry.Lookup(w.serviceType)
	config, faults := conn.Spec().Validate(w.config, connectors.Env{})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return conn.(connectors.Provisioner), config
}

func (w *faultyWorld) server(t *testing.T) connectors.DatabaseServer {
	t.Helper()
	engine, config := w.provisioner(t)
	s, err := engine.Open(servertest.Context(t), connectors.Env{}, config)
	good(t, err)
	return s
}

// logsIn proves that a login is good for its database.
func (w *faultyWorld) logsIn(t *testing.T, l connectors.Login) {
	t.Helper()
	engine, config := w.provisioner(t)
	own, err := engine.ConfigFor(config, l)
	good(t, err)
	if _, failure := connectors.Run(servertest.Context(t), engine, own, connectors.Env{}, 0); failure != nil {
		t.Errorf("the login %s: %v", l.User, failure)
	}
}

// exists reports whether the database of the scenario is in the list.
func (w *faultyWorld) exists(t *testing.T) *dbaasv1.Database {
	t.Helper()
	list, err := w.db.ListDatabases(servertest.Context(t), &dbaasv1.ListDatabasesRequest{Filter: map[string]string{"name": w.name}})
	good(t, err)
	if len(list.GetDatabase()) == 0 {
		return nil
	}
	return list.GetDatabase()[0]
}

func (w *faultyWorld) create(ctx context.Context, register bool) error {
	return w.createOf(ctx, w.plan, register)
}

func (w *faultyWorld) createOf(ctx context.Context, plan string, register bool) error {
	db, err := w.db.CreateDatabase(ctx, &dbaasv1.CreateDatabaseRequest{Name: w.name, Plan: plan, Environment: w.env, Register: register})
	if err != nil {
		return err
	}
	w.database = db.GetId()
	_, err = fmt.Sscanf(strings.TrimPrefix(db.GetCredentials()[0], "/api/credential/"), "%d/", &w.credential)
	return err
}

func (w *faultyWorld) delete(ctx context.Context) error {
	_, err := w.db.DeleteDatabase(ctx, &dbaasv1.DeleteDatabaseRequest{Id: w.database})
	return err
}

func prepared(t *testing.T, w *faultyWorld) { good(t, w.create(servertest.Context(t), true)) }

// scenarios lead to every kind of operation that a call begins.
func scenarios() map[string]scenario {
	all := map[string]scenario{}
	for _, some := range []map[string]scenario{ofDatabases(), ofCredentials(), ofSnapshots(), ofDifferences(), ofSizes()} {
		maps.Copy(all, some)
	}
	return all
}

func ofDatabases() map[string]scenario {
	quarantined := func(t *testing.T, w *faultyWorld) {
		prepared(t, w)
		good(t, w.delete(servertest.Context(t)))
	}
	gone := func(t *testing.T, w *faultyWorld) {
		if w.exists(t) != nil {
			t.Error("the database is still there")
		}
	}
	return map[string]scenario{
		"create_database": {
			act: func(ctx context.Context, w *faultyWorld) error { return w.create(ctx, true) },
			check: func(t *testing.T, w *faultyWorld) {
				db := w.exists(t)
				if db == nil || len(db.GetCredentials()) != 1 {
					t.Fatalf("the database is %v", db)
				}
				if _, err := uuid.Parse(db.GetService()); err != nil {
					t.Errorf("it is registered as %q", db.GetService())
				}
			},
		},
		"quarantine_database": {
			prepare: prepared,
			act:     func(ctx context.Context, w *faultyWorld) error { return w.delete(ctx) },
			check: func(t *testing.T, w *faultyWorld) {
				if db := w.exists(t); db == nil || db.QuarantineDt == nil {
					t.Errorf("the database is %v", db)
				}
			},
		},
		"drop_database": {
			prepare: quarantined, check: gone,
			act: func(ctx context.Context, w *faultyWorld) error { return w.delete(ctx) },
		},
	}
}

func ofCredentials() map[string]scenario {
	return map[string]scenario{
		"create_credential": {
			prepare: prepared, check: has(2),
			act: func(ctx context.Context, w *faultyWorld) error {
				_, err := w.cred.CreateCredential(ctx, &dbaasv1.CreateCredentialRequest{User: "u_more" + w.name, Database: databaseURL(w), Role: "read-only"})
				return err
			},
		},
		"delete_credential": {
			prepare: prepared, check: has(0),
			act: func(ctx context.Context, w *faultyWorld) error {
				_, err := w.cred.DeleteCredential(ctx, &dbaasv1.DeleteCredentialRequest{Id: w.credential})
				return err
			},
		},
		"reset_password": {
			prepare: prepared, check: has(1),
			act: func(ctx context.Context, w *faultyWorld) error {
				_, err := w.cred.ResetPassword(ctx, &dbaasv1.ResetPasswordRequest{Id: w.credential})
				return err
			},
		},
		"rotate_credential": {
			prepare: prepared, check: has(1),
			act: rotate("1h"),
		},
		"drop_former_login": {
			prepare: prepared, check: has(1),
			act: rotate("1s"),
		},
	}
}

func ofSnapshots() map[string]scenario {
	return map[string]scenario{
		"snapshot_database": {
			prepare: prepared, act: func(ctx context.Context, w *faultyWorld) error { return w.takeSnapshot(ctx) },
			check: func(t *testing.T, w *faultyWorld) { wantSnapshots(t, w, 1) },
		},
		"delete_snapshot": {
			prepare: snapshotted,
			act: func(ctx context.Context, w *faultyWorld) error {
				_, err := w.db.DeleteSnapshot(ctx, &dbaasv1.DeleteSnapshotRequest{Id: w.snapshot})
				return err
			},
			check: func(t *testing.T, w *faultyWorld) { wantSnapshots(t, w, 0) },
		},
		"restore_snapshot": {
			prepare: snapshotted,
			act: func(ctx context.Context, w *faultyWorld) error {
				_, err := w.db.RestoreSnapshot(ctx, &dbaasv1.RestoreSnapshotRequest{Id: w.snapshot, Name: w.name + "_again"})
				return err
			},
			check: again,
		},
		"clone_database": {
			prepare: prepared,
			act: func(ctx context.Context, w *faultyWorld) error {
				_, err := w.db.CloneDatabase(ctx, &dbaasv1.CloneDatabaseRequest{Id: w.database, Name: w.name + "_again"})
				return err
			},
			check: again,
		},
	}
}

func ofDifferences() map[string]scenario {
	return map[string]scenario{
		"repair_database": {
			prepare: func(t *testing.T, w *faultyWorld) {
				prepared(t, w)
				admin := w.server(t)
				defer admin.Close()
				good(t, admin.DropDatabase(servertest.Context(t), w.name))
			},
			check: has(1),
			act: func(ctx context.Context, w *faultyWorld) error {
				_, err := w.db.RepairDifferences(ctx, &dbaasv1.RepairDifferencesRequest{Database: w.database})
				return err
			},
		},
		"drop_unknown": {
			prepare: func(t *testing.T, w *faultyWorld) {
				prepared(t, w)
				admin := w.server(t)
				defer admin.Close()
				good(t, admin.CreateDatabase(servertest.Context(t), "byhand"+w.name))
			},
			act: func(ctx context.Context, w *faultyWorld) error {
				_, err := w.db.RepairDifferences(ctx, &dbaasv1.RepairDifferencesRequest{Service: w.service, DropUnknown: true})
				return err
			},
		},
	}
}

func databaseURL(w *faultyWorld) string { return fmt.Sprintf("/api/database/%d/", w.database) }

// has checks that the database is there with so many credentials.
func has(credentials int) func(*testing.T, *faultyWorld) {
	return func(t *testing.T, w *faultyWorld) {
		if db := w.exists(t); db == nil || len(db.GetCredentials()) != credentials {
			t.Errorf("the database is %v, want %d credentials", db, credentials)
		}
	}
}

func rotate(grace string) func(context.Context, *faultyWorld) error {
	return func(ctx context.Context, w *faultyWorld) error {
		_, err := w.cred.RotateCredential(ctx, &dbaasv1.RotateCredentialRequest{Id: w.credential, Grace: grace})
		return err
	}
}

func (w *faultyWorld) takeSnapshot(ctx context.Context) error {
	s, err := w.db.CreateSnapshot(ctx, &dbaasv1.CreateSnapshotRequest{Database: w.database})
	w.snapshot = s.GetId()
	return err
}

func snapshotted(t *testing.T, w *faultyWorld) {
	prepared(t, w)
	good(t, w.takeSnapshot(servertest.Context(t)))
}

// wantSnapshots checks that the database has so many snapshots, and the data
// directory no other file than theirs.
func wantSnapshots(t *testing.T, w *faultyWorld, want int) {
	t.Helper()
	ctx := servertest.Context(t)
	list, err := w.db.ListSnapshots(ctx, &dbaasv1.ListSnapshotsRequest{Database: w.database})
	good(t, err)
	if len(list.GetSnapshot()) != want {
		t.Errorf("the snapshots are %v, want %d", list.GetSnapshot(), want)
	}
	all, err := w.db.ListSnapshots(ctx, &dbaasv1.ListSnapshotsRequest{PageSize: "100"})
	good(t, err)
	var files []string
	err = filepath.WalkDir(filepath.Join(w.dir, "data", "snapshots"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	good(t, err)
	if len(files) != len(all.GetSnapshot()) {
		t.Errorf("there are the files %v for the snapshots %v", files, all.GetSnapshot())
	}
}

// again checks that the copy of the database is there.
func again(t *testing.T, w *faultyWorld) {
	w.name += "_again"
	has(1)(t, w)
}

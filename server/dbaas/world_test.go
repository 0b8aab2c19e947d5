package dbaas

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/backplane/backplane/connectors/builtin"
	"github.com/backplane/backplane/ent"
	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/internal/telemetry"
	"github.com/backplane/backplane/server/catalog"
	"github.com/backplane/backplane/server/keys"
	"github.com/backplane/backplane/server/store"
	"github.com/backplane/backplane/testbed"
)

const patience = 60 * time.Second

// host is a database server that tests make databases on.
type host struct {
	engineType, serviceType string
	config                  map[string]any
	// url is how a login reaches a database, for the driver.
	driver string
	url    func(user, password, database string) string
	stop   func()
	start  func(t testbed.TB)
}

func postgresHost(t *testing.T) host {
	t.Helper()
	s := testbed.StartPostgres(t, testbed.PostgresOptions{})
	return host{
		engineType: "postgresql", serviceType: "postgres",
		config: map[string]any{"host": "127.0.0.1", "port": s.Port, "username": s.User, "password": s.Password, "database": "postgres"},
		driver: "postgres", url: func(user, password, database string) string { return s.URL(user, password, database) },
		stop: s.Stop, start: s.Restart,
	}
}

func mariadbHost(t *testing.T) host {
	t.Helper()
	s := testbed.StartMariaDB(t, testbed.MariaDBOptions{})
	return host{
		engineType: "mysql", serviceType: "mysql",
		config: map[string]any{"host": "127.0.0.1", "port": s.Port, "username": s.User, "password": s.Password, "database": "mysql"},
		driver: "mysql", url: func(user, password, database string) string { return s.URL(user, password, database) },
		stop: s.Stop, start: s.Restart,
	}
}

// eachHost runs a test on several kinds of servers.
func eachHost(t *testing.T, test func(t *testing.T, w *world)) { eachHostWith(t, Options{}, test) }

// eachHostWith is eachHost with an Admin that has options: it reads them from
// its start on.
func eachHostWith(t *testing.T, o Options, test func(t *testing.T, w *world)) {
	for name, start := range map[string]func(*testing.T) host{"postgres": postgresHost, "mariadb": mariadbHost} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newWorld(t, start(t), o))
		})
	}
}

// world is an Admin with a store, a catalogue and one database server.
type world struct {
	*Admin
	t       *testing.T
	host    host
	log     *journal
	service *catalogv1.Service
	env     *ent.Environment
	plan    *ent.Plan
	secrets []string // passwords that nothing but answers may show
}

// journal is a log that can be read while it is written.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// newWorld runs an Admin until the test ends. What o does not say is chosen so
// that nothing is begun by itself.
func newWorld(t *testing.T, h host, o Options) *world {
	t.Helper()
	dir := t.TempDir()
	st, err := store.Open(t.Context(), "", dir)
	good(t, err)
	t.Cleanup(func() { st.Close() })
	k, err := keys.Open(t.Context(), keys.Options{
		Store: st, Source: keys.Source{File: filepath.Join(dir, "master.key"), Create: true}, Sealed: keys.All(),
	})
	good(t, err)
	registry, err := builtin.Registry()
	good(t, err)
	w := &world{t: t, host: h, log: &journal{}}
	log, metrics := slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})), telemetry.NewMetrics()
	cat, err := catalog.New(catalog.Options{Store: st, Registry: registry, Keys: k, Metrics: metrics, Log: log})
	good(t, err)
	if o.intervals == (intervals{}) {
		o.intervals = intervals{time.Hour, time.Hour, time.Hour, time.Hour}
	}
	if c, ok := o.Catalog.(*strict); ok {
		c.Catalog = cat
	} else {
		o.Catalog = cat
	}
	o.Store, o.Registry, o.Keys, o.Metrics, o.Log, o.DataDir = st, registry, k, metrics, log, dir
	w.Admin = New(o)
	w.service = w.addService("main", h.serviceType, h.config)
	ctx := t.Context()
	w.env = st.Environment.Create().SetName("laboratory").SetCreatedAt(1).SaveX(ctx)
	e := st.Engine.Create().SetEngineType(h.engineType).SetVersion("1").SaveX(ctx)
	w.plan = st.Plan.Create().SetName("small").SetEngineID(e.ID).SetCreatedAt(1).
		AddEnvironments(w.env).AddServiceIDs(uuid.MustParse(w.service.GetId())).SaveX(ctx)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); w.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended; w.wantNoSecrets() })
	return w
}

func good(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err, errs.Convert(err).Fields)
	}
}

func (w *world) addService(name, serviceType string, config map[string]any) *catalogv1.Service {
	w.t.Helper()
	values, err := structpb.NewStruct(config)
	good(w.t, err)
	res, err := w.Catalog.CreateService(w.t.Context(), &catalogv1.CreateServiceRequest{Service: &catalogv1.Service{
		Name: name, ServiceType: serviceType, Project: store.DefaultProject, Config: values,
	}})
	good(w.t, err)
	return res.GetData()
}

// wantNoSecrets looks for the passwords that were handed out where none may
// be.
func (w *world) wantNoSecrets() {
	w.t.Helper()
	ctx := context.Background()
	places := map[string]string{"the log": w.log.String()}
	for _, row := range w.Store.AuditRecord.Query().AllX(ctx) {
		places[fmt.Sprintf("audit record %d", row.ID)] = row.String()
	}
	for _, row := range w.Store.Operation.Query().AllX(ctx) {
		places[fmt.Sprintf("operation %d", row.ID)] = row.String()
	}
	for place, text := range places {
		for _, secret := range w.secrets {
			if strings.Contains(text, secret) {
				w.t.Errorf("%s shows a password: %s", place, text)
			}
		}
	}
}

// database makes a database and returns its row.
func (w *world) database(name string) *ent.Database {
	w.t.Helper()
	out, err := w.CreateDatabase(w.t.Context(), &dbaasv1.CreateDatabaseRequest{
		Name: name, Plan: path(plans, w.plan.ID), Environment: path(environments, w.env.ID),
	})
	good(w.t, err)
	return w.row(int(out.GetId()))
}

func (w *world) row(id int) *ent.Database { return w.Store.Database.GetX(context.Background(), id) }

// first is the credential that a database began with.
func (w *world) first(db *ent.Database) *dbaasv1.Credential {
	w.t.Helper()
	return w.get(int64(db.QueryCredentials().FirstIDX(w.t.Context())))
}

// credential makes a credential of a database.
func (w *world) credential(db *ent.Database, req *dbaasv1.CreateCredentialRequest) *dbaasv1.Credential {
	w.t.Helper()
	req.Database = path(databases, db.ID)
	out, err := w.CreateCredential(w.t.Context(), req)
	good(w.t, err)
	return w.note(out)
}

// note remembers a password as one that nothing may show.
func (w *world) note(cred *dbaasv1.Credential) *dbaasv1.Credential {
	w.t.Helper()
	if len(cred.GetPassword()) != passwordLength {
		w.t.Errorf("no password in %v", cred)
	}
	w.secrets = append(w.secrets, cred.GetPassword())
	return cred
}

func (w *world) get(id int64) *dbaasv1.Credential {
	w.t.Helper()
	out, err := w.GetCredential(w.t.Context(), &dbaasv1.GetCredentialRequest{Id: id})
	good(w.t, err)
	return w.note(out)
}

func (w *world) reset(id int64) *dbaasv1.Credential {
	w.t.Helper()
	out, err := w.ResetPassword(w.t.Context(), &dbaasv1.ResetPasswordRequest{Id: id})
	good(w.t, err)
	return w.note(out)
}

func (w *world) rotate(id int64, grace string) *dbaasv1.Credential {
	w.t.Helper()
	out, err := w.RotateCredential(w.t.Context(), &dbaasv1.RotateCredentialRequest{Id: id, Grace: grace})
	good(w.t, err)
	return w.note(out)
}

// open opens a session of a login; it is closed when the test ends.
func (w *world) open(db *ent.Database, user, password string) *sql.Conn {
	w.t.Helper()
	pool, err := sql.Open(w.host.driver, w.host.url(user, password, db.Name))
	good(w.t, err)
	w.t.Cleanup(func() { pool.Close() })
	conn, err := pool.Conn(w.t.Context())
	good(w.t, err)
	w.t.Cleanup(func() { conn.Close() })
	return conn
}

// try runs a statement in a new session of a login.
func (w *world) try(db *ent.Database, user, password, statement string) error {
	w.t.Helper()
	pool, err := sql.Open(w.host.driver, w.host.url(user, password, db.Name))
	good(w.t, err)
	defer pool.Close()
	_, err = pool.ExecContext(w.t.Context(), statement)
	return err
}

func (w *world) works(db *ent.Database, user, password string) {
	w.t.Helper()
	if err := w.try(db, user, password, "SELECT 1"); err != nil {
		w.t.Errorf("%s cannot log in: %v", user, err)
	}
}

func (w *world) dead(db *ent.Database, user, password string) {
	w.t.Helper()
	if err := w.try(db, user, password, "SELECT 1"); err == nil {
		w.t.Errorf("%s can log in", user)
	}
}

// audited are the actions of the audit trail that concern a kind of resource.
func (w *world) audited(kind string) (actions []string) {
	for _, row := range w.Store.AuditRecord.Query().AllX(context.Background()) {
		if row.ResourceKind == kind {
			actions = append(actions, row.Action+" by "+row.Actor)
		}
	}
	return actions
}

func (w *world) wantAudit(kind, action string, times int) {
	w.t.Helper()
	all := w.audited(kind)
	n := len(slices.DeleteFunc(slices.Clone(all), func(a string) bool { return a != action }))
	if n != times {
		w.t.Errorf("%q is recorded %d times, want %d: %q", action, n, times, all)
	}
}

// idle waits until no operation works on a database.
func (w *world) idle(id int) {
	w.t.Helper()
	eventually(w.t, "no operation works on the database", func() bool {
		row, err := w.Store.Database.Get(context.Background(), id)
		return ent.IsNotFound(err) || err == nil && row.OperationID == 0
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited %s in vain: %s", patience, what)
		}
	}
}

// refused fails the test unless the error is of the reason, and says want of
// the field.
func refused(t *testing.T, err error, reason errs.Reason, field, want string) {
	t.Helper()
	e := errs.Convert(errors.Join(err))
	if err == nil || e.Reason != reason {
		t.Errorf("%v, want %s", err, reason)
		return
	}
	for _, f := range e.Fields {
		if f.Path == field && strings.Contains(f.Message, want) {
			return
		}
	}
	if field != "" || !strings.Contains(e.Message, want) {
		t.Errorf("%v, fields %v; want %q of %q", e, e.Fields, want, field)
	}
}

// deny is an address on which nothing listens.
func deny(t *testing.T) map[string]any {
	return map[string]any{"host": "127.0.0.1", "port": testbed.FreePort(t), "username": "postgres", "password": "unused-secret", "database": "postgres"}
}

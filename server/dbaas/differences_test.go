package dbaas_test

import (
	"database/sql"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	"github.com/backplane/backplane/internal/config"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// differences lists what differs, as kind:database:user.
func (h *house) differences(t *testing.T, service string) string {
	t.Helper()
	res, err := h.Databases.ListDifferences(h.ctx, &dbaasv1.ListDifferencesRequest{Service: service})
	good(t, err)
	if len(res.GetUnreachable()) > 0 {
		t.Fatalf("unreachable: %v", res.GetUnreachable())
	}
	var out []string
	for _, d := range res.GetDifference() {
		out = append(out, strings.TrimSuffix(d.GetKind()+":"+d.GetDatabaseName()+":"+d.GetUser(), ":"))
		if d.GetRepair() == "" || d.GetService() == "" || (d.Database == nil) != strings.HasSuffix(d.GetKind(), "_unknown") {
			t.Errorf("difference %v", d)
		}
	}
	return strings.Join(out, " ")
}

// repair puts things right and fails the test unless every task succeeded.
func (h *house) repair(t *testing.T, req *dbaasv1.RepairDifferencesRequest) (tasks string) {
	t.Helper()
	res, err := h.Databases.RepairDifferences(h.ctx, req)
	good(t, err)
	var out []string
	for _, task := range res.GetTask() {
		if task.GetTaskStatus() != "SUCCESS" {
			t.Errorf("task %v", task)
		}
		out = append(out, strings.TrimSuffix(task.GetTaskName()+":"+task.GetDatabaseName(), ":"))
	}
	return strings.Join(out, " ")
}

func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// login tries the first credential of a database on its PostgreSQL server.
func (h *house) login(t *testing.T, db *dbaasv1.Database) error {
	t.Helper()
	cred, err := h.Credentials.GetCredential(h.ctx, &dbaasv1.GetCredentialRequest{Id: number(t, db.GetCredentials()[0])})
	good(t, err)
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(cred.GetUser(), cred.GetPassword()),
		Host: "127.0.0.1:" + strconv.Itoa(h.postgres.Port), Path: db.GetName(), RawQuery: "sslmode=disable",
	}
	conn, err := sql.Open("postgres", u.String())
	good(t, err)
	defer conn.Close()
	_, err = conn.ExecContext(h.ctx, "CREATE TABLE IF NOT EXISTS works (n int)")
	return err
}

// What was dropped by hand is found and made again.
func TestDroppedByHand(t *testing.T) {
	h := newHouse(t, servertest.Options{})
	shop, blog := h.addDatabase(t, "shop"), h.addDatabase(t, "blog")
	same(t, "after their making", h.differences(t, ""), "")
	h.postgres.Exec(t, "DROP DATABASE shop WITH (FORCE)")
	h.postgres.ExecIn(t, "blog", "DROP OWNED BY u_blog")
	h.postgres.Exec(t, "DROP ROLE u_blog")
	same(t, "after they were dropped", h.differences(t, h.service), "login_missing:blog:u_blog database_missing:shop")
	got, err := h.Databases.GetDatabase(h.ctx, &dbaasv1.GetDatabaseRequest{Id: shop.GetId()})
	good(t, err)
	if got.GetStatus() != 0 || got.Status == nil || got.UsedSizeInBytes != nil {
		t.Errorf("a database that is gone: %v", got)
	}

	same(t, "repair of one", h.repair(t, &dbaasv1.RepairDifferencesRequest{Database: blog.GetId()}), "repair_database:blog")
	good(t, h.login(t, blog))
	same(t, "what is left", h.differences(t, ""), "database_missing:shop")
	same(t, "repair of all", h.repair(t, &dbaasv1.RepairDifferencesRequest{}), "repair_database:shop")
	good(t, h.login(t, shop))
	same(t, "at the end", h.differences(t, ""), "")
	same(t, "repair of nothing", h.repair(t, &dbaasv1.RepairDifferencesRequest{}), "")
	got, err = h.Databases.GetDatabase(h.ctx, &dbaasv1.GetDatabaseRequest{Id: shop.GetId()})
	good(t, err)
	if got.Status != nil || got.UsedSizeInBytes == nil || got.Task != nil {
		t.Errorf("a database that was made again: %v", got)
	}
	trail, err := h.Identity.ListAudit(h.ctx, &identityv1.ListAuditRequest{Action: "RepairDatabase"})
	good(t, err)
	if r := trail.GetData(); len(r) != 2 || r[0].GetResourceName() != "shop" || r[0].GetActor() != "admin" ||
		!slices.ContainsFunc(r[0].GetChanges(), func(c *identityv1.AuditChange) bool {
			return c.GetField() == "database" && c.GetBefore() == `"missing"` && c.GetAfter() == `"made again, empty"`
		}) {
		t.Errorf("audit trail %v", r)
	}
	h.dropDatabase(t, shop.GetId())
	same(t, "after its end", h.differences(t, ""), "")
}

// What was made by hand is found, and dropped only when that is asked for, and
// nothing that has another use.
func TestMadeByHand(t *testing.T) {
	pg := testbed.StartPostgres(t, testbed.PostgresOptions{})
	pg.CreateUser(t, "keeper", "secret")
	pg.CreateDatabase(t, "backplane", "keeper")
	own := servertest.Options{Store: pg.URL("keeper", "secret", "backplane"), Adjust: func(c *config.Config) { c.MasterKey = strings.Repeat("7a", 32) }}
	h := &house{postgres: pg, Server: servertest.Start(t, own), ctx: servertest.Context(t)}
	h.service = h.addPostgres(t, "main postgres", pg)
	h.env, h.plan = h.addEnvironment(t, "laboratory"), nil
	h.plan = h.addPlan(t, &dbaasv1.PlanInput{Name: "small"})
	shop := h.addDatabase(t, "shop")
	for _, name := range []string{"legacy", "stray", "used"} {
		pg.CreateUser(t, name+"_user", "secret")
	}
	pg.CreateDatabase(t, "legacy", "legacy_user")
	pg.CreateDatabase(t, "used", "used_user")
	pg.Exec(t, `CREATE DATABASE "Odd; name"`)
	h.addService(t, "reports", "postgres", object{"host": "127.0.0.1", "port": pg.Port, "database": "used", "username": "used_user", "password": "secret"})
	const dropped = "database_unknown:Odd; name database_unknown:backplane database_unknown:legacy database_unknown:used " +
		"login_unknown::keeper login_unknown::legacy_user login_unknown::stray_user login_unknown::used_user"
	same(t, "what was made by hand", h.differences(t, ""), dropped)

	same(t, "repair", h.repair(t, &dbaasv1.RepairDifferencesRequest{Service: h.service}), "")
	same(t, "after a repair", h.differences(t, ""), dropped)
	_, err := h.Databases.RepairDifferences(h.ctx, &dbaasv1.RepairDifferencesRequest{DropUnknown: true})
	refused(t, err, errs.ValidationFailed, "service", "This field is required.")

	req := &dbaasv1.RepairDifferencesRequest{Service: h.service, DropUnknown: true}
	same(t, "dropping", h.repair(t, req), "drop_unknown")
	same(t, "what is spared", h.differences(t, ""),
		"database_unknown:backplane database_unknown:used login_unknown::keeper login_unknown::used_user")
	same(t, "dropping what is spared", h.repair(t, req), "")
	good(t, h.login(t, shop))
	trail, err := h.Identity.ListAudit(h.ctx, &identityv1.ListAuditRequest{Action: "DropUnknown"})
	good(t, err)
	if r := trail.GetData(); len(r) != 1 || r[0].GetResourceId() != h.service || len(r[0].GetChanges()) != 4 {
		t.Errorf("audit trail %v", r)
	}

	// A role that something in a database of somebody depends on stays.
	pg.CreateUser(t, "dba", "secret")
	pg.ExecIn(t, "shop", "CREATE SCHEMA tools AUTHORIZATION dba")
	res, err := h.Databases.RepairDifferences(h.ctx, req)
	good(t, err)
	if task := res.GetTask(); len(task) != 1 || task[0].GetTaskStatus() != "ERROR" || !strings.Contains(task[0].GetMessage(), "login dba") {
		t.Errorf("tasks %v", task)
	}
	good(t, h.login(t, shop))
	h.AddProject(t, "blue")
	ann := h.as(t, h.AddUser(t, "ann", servertest.Role("viewer")))
	same(t, "tasks of no project", h.tasks(t, ann, map[string]string{"task_name": "drop_unknown"}), "")
	same(t, "tasks of no project, for an admin", h.tasks(t, h.Databases, map[string]string{"task_name": "drop_unknown"}), "drop_unknown: drop_unknown:")
	_, err = ann.GetTask(h.ctx, &dbaasv1.GetTaskRequest{Id: res.GetTask()[0].GetId()})
	notFound(t, err)
}

// What is known on a service is left alone on another one of its type: it may
// be the same server.
func TestSameServerTwice(t *testing.T) {
	h := newHouse(t, servertest.Options{})
	again := h.addPostgres(t, "the same", h.postgres)
	h.addPlan(t, &dbaasv1.PlanInput{Name: "again", Services: []string{again}})
	shop := h.addDatabase(t, "shop")
	same(t, "on the other service", h.differences(t, again), "database_unknown:shop login_unknown::u_shop")
	same(t, "dropping", h.repair(t, &dbaasv1.RepairDifferencesRequest{Service: again, DropUnknown: true}), "")
	good(t, h.login(t, shop))
}

func TestDifferencesOnMariaDB(t *testing.T) {
	h := newHouse(t, servertest.Options{})
	server := testbed.StartMariaDB(t, testbed.MariaDBOptions{})
	maria := h.addService(t, "maria", "mysql", object{
		"host": "127.0.0.1", "port": server.Port, "database": "mysql", "username": server.User, "password": server.Password,
	})
	h.plan = h.addPlan(t, &dbaasv1.PlanInput{Name: "maria", Engine: "mysql", Services: []string{maria}})
	h.addDatabase(t, "shop")
	h.addDatabase(t, "blog")
	same(t, "after their making", h.differences(t, maria), "")
	server.Exec(t, "DROP DATABASE shop", "DROP USER u_blog", "CREATE DATABASE legacy",
		"CREATE USER stray IDENTIFIED BY 'secret'", "CREATE USER tied IDENTIFIED BY 'secret'", "GRANT SELECT ON legacy.* TO tied",
		"CREATE USER wide IDENTIFIED BY 'secret'", "GRANT SELECT ON blog.* TO wide")
	const lost = "login_missing:blog:u_blog database_missing:shop"
	same(t, "by hand", h.differences(t, maria), lost+" database_unknown:legacy login_unknown::stray login_unknown::tied login_unknown::wide")
	res, err := h.Databases.RepairDifferences(h.ctx, &dbaasv1.RepairDifferencesRequest{Service: maria, DropUnknown: true})
	good(t, err)
	var states []string
	for _, task := range res.GetTask() {
		states = append(states, task.GetTaskName()+":"+task.GetTaskStatus())
	}
	same(t, "tasks", strings.Join(states, " "), "repair_database:SUCCESS repair_database:SUCCESS drop_unknown:ERROR")
	same(t, "at the end", h.differences(t, maria), "login_unknown::wide")
}

// A server that cannot be asked is said to be one.
func TestDifferencesUnreachable(t *testing.T) {
	h := newHouse(t, servertest.Options{})
	second := testbed.StartPostgres(t, testbed.PostgresOptions{})
	other := h.addPostgres(t, "second", second)
	h.addPlan(t, &dbaasv1.PlanInput{Name: "other", Services: []string{other}})
	h.addDatabase(t, "shop")
	second.Stop()
	res, err := h.Databases.ListDifferences(h.ctx, &dbaasv1.ListDifferencesRequest{})
	good(t, err)
	if len(res.GetDifference()) != 0 || len(res.GetUnreachable()) != 1 || !strings.Contains(res.GetUnreachable()[other], "Connection refused") {
		t.Errorf("found %v", res)
	}
	same(t, "repair of the others", h.repair(t, &dbaasv1.RepairDifferencesRequest{}), "")
	_, err = h.Databases.RepairDifferences(h.ctx, &dbaasv1.RepairDifferencesRequest{Service: other})
	refused(t, err, errs.Unavailable, "", "The service cannot be asked: ")
}

// What an operation works on is no difference.
func TestWorkIsNoDifference(t *testing.T) {
	h := newHouse(t, servertest.Options{})
	shop := h.addDatabase(t, "shop")
	_, err := h.Credentials.CreateCredential(h.ctx, &dbaasv1.CreateCredentialRequest{User: "u_two", Database: shop.GetLinks().GetSelf()})
	good(t, err)
	h.postgres.ExecIn(t, "shop", "DROP OWNED BY u_shop", "DROP OWNED BY u_two")
	h.postgres.Exec(t, "DROP ROLE u_shop", "DROP ROLE u_two", "CREATE ROLE u_shop LOGIN")
	same(t, "before", h.differences(t, ""), "login_missing:shop:u_two")
	_, err = h.Databases.DeleteDatabase(h.ctx, &dbaasv1.DeleteDatabaseRequest{Id: shop.GetId()})
	good(t, err) // its operation waits until somebody sees to the role that was made by hand
	db, err := h.Databases.GetDatabase(h.ctx, &dbaasv1.GetDatabaseRequest{Id: shop.GetId()})
	good(t, err)
	if db.Task == nil {
		t.Fatal("no operation works on the database")
	}
	h.postgres.Exec(t, "DROP ROLE IF EXISTS u_two")
	same(t, "while it is worked on", h.differences(t, ""), "")
	same(t, "repair meanwhile", h.repair(t, &dbaasv1.RepairDifferencesRequest{}), "")
	h.postgres.Exec(t, "DROP ROLE u_shop")
	servertest.Eventually(t, "the operation has ended", func() bool {
		db, err := h.Databases.GetDatabase(h.ctx, &dbaasv1.GetDatabaseRequest{Id: shop.GetId()})
		return err == nil && db.Task == nil
	})
	same(t, "afterwards", h.differences(t, ""), "")
}

// A database that was dropped by hand can still be deleted.
func TestDeleteOfDroppedByHand(t *testing.T) {
	h := newHouse(t, servertest.Options{})
	shop, blog := h.addDatabase(t, "shop"), h.addDatabase(t, "blog")
	h.postgres.Exec(t, "DROP DATABASE shop WITH (FORCE)", "DROP DATABASE blog WITH (FORCE)", "DROP ROLE u_blog")
	for _, db := range []*dbaasv1.Database{shop, blog} {
		_, err := h.Databases.DeleteDatabase(h.ctx, &dbaasv1.DeleteDatabaseRequest{Id: db.GetId()})
		good(t, err)
		got, err := h.Databases.GetDatabase(h.ctx, &dbaasv1.GetDatabaseRequest{Id: db.GetId()})
		good(t, err)
		if got.Task != nil || got.QuarantineDt == nil {
			t.Fatalf("after the first deletion: %v", got)
		}
	}
	same(t, "in quarantine", h.differences(t, ""), "database_missing:blog login_missing:blog:u_blog database_missing:shop login_missing:shop:u_shop")
	same(t, "repair", h.repair(t, &dbaasv1.RepairDifferencesRequest{Database: blog.GetId()}), "repair_database:blog")
	for _, db := range []*dbaasv1.Database{shop, blog} {
		_, err := h.Databases.DeleteDatabase(h.ctx, &dbaasv1.DeleteDatabaseRequest{Id: db.GetId()})
		good(t, err)
		_, err = h.Databases.GetDatabase(h.ctx, &dbaasv1.GetDatabaseRequest{Id: db.GetId()})
		notFound(t, err)
	}
	same(t, "at the end", h.differences(t, ""), "")
}

func TestDifferenceFaultsAndRights(t *testing.T) {
	h := bare(t)
	file := h.addService(t, "a file", "sqlite", object{"path": "/tmp/backplane-test-does-not-exist.db"})
	_, err := h.Databases.ListDifferences(h.ctx, &dbaasv1.ListDifferencesRequest{Service: file})
	refused(t, err, errs.ValidationFailed, "service", "holds no databases")
	_, err = h.Databases.ListDifferences(h.ctx, &dbaasv1.ListDifferencesRequest{Service: "nowhere"})
	refused(t, err, errs.ValidationFailed, "service", "There is no service")
	_, err = h.Databases.RepairDifferences(h.ctx, &dbaasv1.RepairDifferencesRequest{Database: 9})
	notFound(t, err)
	ann := h.as(t, h.AddUser(t, "ann", servertest.Role("editor"), servertest.Role("admin", "default")))
	_, err = ann.ListDifferences(h.ctx, &dbaasv1.ListDifferencesRequest{})
	refused(t, err, errs.PermissionDenied, "", "in every project")
	_, err = ann.RepairDifferences(h.ctx, &dbaasv1.RepairDifferencesRequest{})
	refused(t, err, errs.PermissionDenied, "", "in every project")
	_, err = h.Catalog.DeleteService(h.ctx, &catalogv1.DeleteServiceRequest{Id: file})
	good(t, err)
}

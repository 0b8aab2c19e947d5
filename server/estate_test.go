package server_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// estate is a control plane on which databases can be made: with a Redis server
// in its catalogue, an environment, and a plan.
type estate struct {
	*servertest.Server
	ctx     context.Context
	service string // id of the Redis server in the catalogue
	// URLs
	environment, plan, engine string
	names                     atomic.Int64
}

// redisPassword is that of the administrator of the Redis server.
var redisPassword = marker("Zebra9admin")

// serviceName is that of the Redis server in the catalogue.
const serviceName = "redis of databases"

// newEstate makes databases possible on a server.
func newEstate(t *testing.T, s *servertest.Server) *estate {
	t.Helper()
	redis := testbed.StartRedis(t, testbed.RedisOptions{Password: redisPassword})
	return estateAt(t, s, redis.Port)
}

// estateAt is newEstate with a Redis server at a port.
func estateAt(t *testing.T, s *servertest.Server, port int) *estate {
	t.Helper()
	e := &estate{Server: s, ctx: t.Context()}
	e.service = s.Create(t, redisBody(serviceName, port, "password", redisPassword))["id"].(string)
	register(t, s, "estate", 1)
	e.environment = e.addEnvironment(t, "laboratory")
	plan, err := e.makePlan("small")
	good(t, err)
	e.plan, e.engine = plan.GetLinks().GetSelf(), plan.GetEngine()
	return e
}

// good fails the test when there is an error.
func good(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v %v", err, errs.FromStatus(err).Fields)
	}
}

// tail is the number at the end of a URL.
func tail(url string) string {
	parts := strings.Split(strings.Trim(url, "/"), "/")
	return parts[len(parts)-1]
}

// fresh is a name that nothing has.
func (e *estate) fresh() string { return fmt.Sprintf("d%d", e.names.Add(1)) }

func (e *estate) addEnvironment(t *testing.T, name string) (url string) {
	t.Helper()
	env, err := e.Databases.CreateEnvironment(e.ctx, &dbaasv1.CreateEnvironmentRequest{Environment: &dbaasv1.EnvironmentInput{Name: name}})
	good(t, err)
	return env.GetLinks().GetSelf()
}

func (e *estate) makePlan(name string) (*dbaasv1.Plan, error) {
	return e.Databases.CreatePlan(e.ctx, &dbaasv1.CreatePlanRequest{Plan: &dbaasv1.PlanInput{
		Name: name, Engine: "redis", Environments: []string{e.environment}, Services: []string{e.service},
	}})
}

func (e *estate) addPlan(t *testing.T, name string) (url string) {
	t.Helper()
	plan, err := e.makePlan(name)
	good(t, err)
	return plan.GetLinks().GetSelf()
}

// projectURL is that of a project by its name.
func (e *estate) projectURL(t *testing.T, name string) string {
	t.Helper()
	out, err := e.Databases.ListDatabaseProjects(e.ctx, &dbaasv1.ListDatabaseProjectsRequest{Filter: map[string]string{"name": name}})
	good(t, err)
	if len(out.GetProject()) != 1 {
		t.Fatalf("project %s: %v", name, out)
	}
	return out.GetProject()[0].GetLinks().GetSelf()
}

func (e *estate) projectNumber(t *testing.T, name string) string {
	t.Helper()
	return tail(e.projectURL(t, name))
}

// addDatabase makes a database in a project.
func (e *estate) addDatabase(t *testing.T, project, name string) *dbaasv1.Database {
	t.Helper()
	db, err := e.Databases.CreateDatabase(e.ctx, &dbaasv1.CreateDatabaseRequest{
		Name: name, Plan: e.plan, Environment: e.environment, Project: e.projectURL(t, project), Description: "of " + project,
	})
	good(t, err)
	return db
}

// addQuarantined makes a database that is in quarantine.
func (e *estate) addQuarantined(t *testing.T, project, name string) *dbaasv1.Database {
	t.Helper()
	db := e.addDatabase(t, project, name)
	e.deleteDatabase(t, db.GetId())
	return db
}

// deleteDatabase puts a database into quarantine, or removes it.
func (e *estate) deleteDatabase(t *testing.T, id int64) {
	t.Helper()
	_, err := e.Databases.DeleteDatabase(e.ctx, &dbaasv1.DeleteDatabaseRequest{Id: id})
	good(t, err)
}

// addCredential makes a login of a database.
func (e *estate) addCredential(t *testing.T, db *dbaasv1.Database, user, lease string) *dbaasv1.Credential {
	t.Helper()
	c, err := e.Credentials.CreateCredential(e.ctx, &dbaasv1.CreateCredentialRequest{User: user, Database: db.GetLinks().GetSelf(), Lease: lease})
	good(t, err)
	return c
}

// taskOf is a task about a database.
func (e *estate) taskOf(t *testing.T, database int64) *dbaasv1.Task {
	t.Helper()
	out, err := e.Databases.ListTasks(e.ctx, &dbaasv1.ListTasksRequest{Filter: map[string]string{"object_id": fmt.Sprint(database), "task_name": "create_database"}})
	good(t, err)
	if len(out.GetTaskhistory()) != 1 {
		t.Fatalf("the tasks of database %d are %v", database, out)
	}
	return out.GetTaskhistory()[0]
}

// addSnapshot makes a snapshot of a database and waits for its end.
func (e *estate) addSnapshot(t *testing.T, database int64) *dbaasv1.Snapshot {
	t.Helper()
	s, err := e.Databases.CreateSnapshot(e.ctx, &dbaasv1.CreateSnapshotRequest{Database: database})
	good(t, err)
	servertest.Eventually(t, "the snapshot is made", func() bool {
		s, err = e.Databases.GetSnapshot(e.ctx, &dbaasv1.GetSnapshotRequest{Id: s.GetId()})
		good(t, err)
		return s.GetStatus() == "SUCCESS"
	})
	return s
}

// projectNames are those that the tests of access and visibility have things in.
var projectNames = []string{"a", "b", "default"}

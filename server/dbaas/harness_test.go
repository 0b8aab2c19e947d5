package dbaas_test

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

type object = servertest.Object

// house is a control plane with a PostgreSQL server in its catalogue, an
// environment, and a plan that makes databases on it.
type house struct {
	*servertest.Server
	ctx      context.Context
	postgres *testbed.Postgres
	service  string // id of the PostgreSQL server in the catalogue
	env      *dbaasv1.Environment
	plan     *dbaasv1.Plan
}

// newHouse starts all of it until the test ends.
func newHouse(t *testing.T, o servertest.Options) *house {
	t.Helper()
	h := &house{postgres: testbed.StartPostgres(t, testbed.PostgresOptions{})}
	h.Server = servertest.Start(t, o)
	h.ctx = servertest.Context(t)
	h.service = h.addPostgres(t, "main postgres", h.postgres)
	h.env = h.addEnvironment(t, "laboratory")
	h.plan = h.addPlan(t, &dbaasv1.PlanInput{Name: "small"})
	return h
}

// addPostgres registers a server in the catalogue, with its superuser, and
// returns the id.
func (h *house) addPostgres(t *testing.T, name string, p *testbed.Postgres) string {
	t.Helper()
	return h.addService(t, name, "postgres", object{
		"host": "127.0.0.1", "port": p.Port, "database": "postgres", "username": p.User, "password": p.Password,
	})
}

// addService registers any service and returns its id.
func (h *house) addService(t *testing.T, name, serviceType string, config object) string {
	t.Helper()
	return h.Create(t, object{"name": name, "service_type": serviceType, "config": config})["id"].(string)
}

func (h *house) addEnvironment(t *testing.T, name string) *dbaasv1.Environment {
	t.Helper()
	env, err := h.Databases.CreateEnvironment(h.ctx, &dbaasv1.CreateEnvironmentRequest{Environment: &dbaasv1.EnvironmentInput{Name: name}})
	good(t, err)
	return env
}

// addPlan makes a plan; what the input does not say is that of the house.
func (h *house) addPlan(t *testing.T, in *dbaasv1.PlanInput) *dbaasv1.Plan {
	t.Helper()
	p, err := h.Databases.CreatePlan(h.ctx, &dbaasv1.CreatePlanRequest{Plan: h.planInput(in)})
	good(t, err)
	return p
}

// planInput fills in what an input of a plan does not say.
func (h *house) planInput(in *dbaasv1.PlanInput) *dbaasv1.PlanInput {
	in = proto.Clone(in).(*dbaasv1.PlanInput)
	if in.Engine == "" {
		in.Engine = "postgresql"
	}
	if in.Environments == nil {
		in.Environments = []string{h.env.GetLinks().GetSelf()}
	}
	if in.Services == nil {
		in.Services = []string{h.service}
	}
	return in
}

// addDatabase makes a database of the house's plan in its environment.
func (h *house) addDatabase(t *testing.T, name string) *dbaasv1.Database {
	t.Helper()
	db, err := h.Databases.CreateDatabase(h.ctx, &dbaasv1.CreateDatabaseRequest{
		Name: name, Plan: h.plan.GetLinks().GetSelf(), Environment: h.env.GetLinks().GetSelf(),
	})
	good(t, err)
	return db
}

// dropDatabase removes a database for good.
func (h *house) dropDatabase(t *testing.T, id int64) {
	t.Helper()
	for range 2 { // into quarantine, and away
		_, err := h.Databases.DeleteDatabase(h.ctx, &dbaasv1.DeleteDatabaseRequest{Id: id})
		good(t, err)
	}
}

// as is the API of databases as another caller sees it.
func (h *house) as(t *testing.T, authorization string) dbaasv1.DatabaseAdminClient {
	t.Helper()
	return dbaasv1.NewDatabaseAdminClient(servertest.Dial(t, h.GRPC, authorization))
}

// credentialsAs is the API of credentials as another caller sees it.
func (h *house) credentialsAs(t *testing.T, authorization string) dbaasv1.CredentialAdminClient {
	t.Helper()
	return dbaasv1.NewCredentialAdminClient(servertest.Dial(t, h.GRPC, authorization))
}

// good fails the test when there is an error.
func good(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v %v", err, errs.FromStatus(err).Fields)
	}
}

// refused fails the test unless the error is of the reason, and says want of
// the field; an empty field stands for the message.
func refused(t *testing.T, err error, reason errs.Reason, field, want string) {
	t.Helper()
	if err == nil {
		t.Fatalf("allowed; want %s: %s %s", reason, field, want)
	}
	e := errs.FromStatus(err)
	if e.Reason != reason {
		t.Fatalf("refused with %s: %v %v; want %s", e.Reason, err, e.Fields, reason)
	}
	if field == "" {
		if !strings.Contains(e.Message, want) {
			t.Fatalf("message %q, want %q in it", e.Message, want)
		}
		return
	}
	for _, f := range e.Fields {
		if f.Path == field && strings.Contains(f.Message, want) {
			return
		}
	}
	t.Fatalf("fields %v, want %s: %s", e.Fields, field, want)
}

// notFound fails the test unless the error says that there is nothing.
func notFound(t *testing.T, err error) {
	t.Helper()
	if err == nil || errs.FromStatus(err).Reason != errs.NotFound {
		t.Fatalf("%v, want not found", err)
	}
}

// number is the number at the end of a URL such as /api/credential/7/.
func number(t *testing.T, url string) int64 {
	t.Helper()
	parts := strings.Split(strings.Trim(url, "/"), "/")
	n, err := strconv.ParseInt(parts[len(parts)-1], 10, 64)
	if err != nil {
		t.Fatalf("%q has no number", url)
	}
	return n
}

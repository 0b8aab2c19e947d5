package dbaas_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

func (h *house) updatePlan(id int64, in *dbaasv1.PlanInput, mask ...string) (*dbaasv1.Plan, error) {
	return h.Databases.UpdatePlan(h.ctx, &dbaasv1.UpdatePlanRequest{Id: id, Plan: in, UpdateMask: &fieldmaskpb.FieldMask{Paths: mask}})
}

func TestPlans(t *testing.T) {
	h := newHouse(t, servertest.Options{})
	p := h.addPlan(t, &dbaasv1.PlanInput{
		Name: "large", Description: "for the shop", TotalSizeInBytes: 1 << 30, Enforce: true, Capacity: 7,
		Services: []string{"main postgres"}, // by its name
	})
	want := &dbaasv1.Plan{
		Links: &dbaasv1.Links{Self: "/api/plan/2/"}, Id: 2, Name: "large", Description: "for the shop", IsActive: true, Engine: "/api/engine/1/",
		Environments:     []*dbaasv1.PlanEnvironment{{Url: "/api/environment/1/", Id: 1, Name: "laboratory", Stage: 1, Provisioner: 1}},
		TotalSizeInBytes: 1 << 30, Enforce: true, Capacity: 7, Services: []string{h.service},
	}
	if !proto.Equal(p, want) {
		t.Fatalf("made %v, want %v", p, want)
	}
	got, err := h.Databases.GetPlan(h.ctx, &dbaasv1.GetPlanRequest{Id: 2})
	good(t, err)
	if !proto.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	// The engine may be given as the URL of one.
	byURL := h.addPlan(t, &dbaasv1.PlanInput{Name: "other", Engine: p.GetEngine(), IsActive: proto.Bool(false)})
	if byURL.GetEngine() != p.GetEngine() || byURL.GetIsActive() {
		t.Fatalf("made %v", byURL)
	}

	got, err = h.updatePlan(2, &dbaasv1.PlanInput{Description: "x", Capacity: 3}, "capacity")
	good(t, err)
	if want.Capacity = 3; !proto.Equal(got, want) {
		t.Errorf("a change of the capacity made %v", got)
	}
	production := h.addEnvironment(t, "production")
	got, err = h.updatePlan(2, &dbaasv1.PlanInput{
		Name: "huge", Engine: "postgresql", Environments: []string{production.GetLinks().GetSelf()}, Services: []string{h.service},
	}, "name", "engine", "environments", "services", "total_size_in_bytes", "enforce", "capacity", "description", "is_active", "is_default")
	good(t, err)
	want = &dbaasv1.Plan{
		Links: want.Links, Id: 2, Name: "huge", IsActive: true, Engine: want.Engine, Services: want.Services,
		Environments: []*dbaasv1.PlanEnvironment{{Url: "/api/environment/2/", Id: 2, Name: "production", Stage: 1, Provisioner: 1}},
	}
	if !proto.Equal(got, want) {
		t.Errorf("a change of everything made %v, want %v", got, want)
	}
	_, err = h.Databases.DeletePlan(h.ctx, &dbaasv1.DeletePlanRequest{Id: 2})
	good(t, err)
	_, err = h.Databases.GetPlan(h.ctx, &dbaasv1.GetPlanRequest{Id: 2})
	notFound(t, err)
}

func TestPlanFaults(t *testing.T) {
	h := newHouse(t, servertest.Options{})
	file := h.addService(t, "a file", "sqlite", object{"path": "/tmp/backplane-test-does-not-exist.db"})
	h.postgres.CreateUser(t, "nobody", "secret")
	weak := h.addService(t, "weak", "postgres", object{
		"host": "127.0.0.1", "port": h.postgres.Port, "database": "postgres", "username": "nobody", "password": "secret",
	})
	closed := h.addService(t, "closed", "postgres", object{
		"host": "127.0.0.1", "port": testbed.FreePort(t), "database": "postgres", "username": "nobody", "password": "secret",
	})
	h.AddProject(t, "blue")
	twin := object{"name": "main postgres", "project": "blue", "service_type": "sqlite", "config": object{"path": "/tmp/x.db"}}
	disabled := h.Create(t, object{"name": "off", "service_type": "postgres", "enabled": false, "config": object{
		"host": "127.0.0.1", "port": h.postgres.Port, "database": "postgres", "username": "postgres", "password": h.postgres.Password,
	}})["id"].(string)
	env := h.env.GetLinks().GetSelf()
	for name, c := range map[string]struct {
		in            *dbaasv1.PlanInput
		field, wanted string
	}{
		"no name":          {&dbaasv1.PlanInput{}, "name", "This field is required."},
		"taken":            {&dbaasv1.PlanInput{Name: "small"}, "name", "Plan with this Plan name already exists."},
		"unknown engine":   {&dbaasv1.PlanInput{Name: "x", Engine: "oracle"}, "engine", "postgresql"},
		"no such engine":   {&dbaasv1.PlanInput{Name: "x", Engine: "/api/engine/77/"}, "engine", "object does not exist"},
		"a plan as engine": {&dbaasv1.PlanInput{Name: "x", Engine: "/api/plan/1/"}, "engine", "Incorrect URL match"},
		"no environments":  {&dbaasv1.PlanInput{Name: "x", Environments: []string{}}, "environments", "This field is required."},
		"no environment":   {&dbaasv1.PlanInput{Name: "x", Environments: []string{env, "/api/environment/77/"}}, "environments", "object does not exist"},
		"a plan":           {&dbaasv1.PlanInput{Name: "x", Environments: []string{"/api/plan/1/"}}, "environments", "Incorrect URL match"},
		"a number":         {&dbaasv1.PlanInput{Name: "x", Environments: []string{"1"}}, "environments", "No URL match"},
		"no services":      {&dbaasv1.PlanInput{Name: "x", Services: []string{}}, "services", "This field is required."},
		"no service":       {&dbaasv1.PlanInput{Name: "x", Services: []string{"nowhere"}}, "services", `There is no service "nowhere".`},
		"a file":           {&dbaasv1.PlanInput{Name: "x", Services: []string{file}}, "services", "of type sqlite, which holds no databases"},
		"another type":     {&dbaasv1.PlanInput{Name: "x", Engine: "mysql"}, "services", "is of type postgres, not mysql."},
		"weak":             {&dbaasv1.PlanInput{Name: "x", Services: []string{h.service, weak}}, "services", `On the service "weak" no databases can be made: its login lacks`},
		"closed":           {&dbaasv1.PlanInput{Name: "x", Services: []string{closed}}, "services", `On the service "closed" no databases can be made: Connection refused`},
		"disabled":         {&dbaasv1.PlanInput{Name: "x", Services: []string{disabled}}, "services", "is disabled"},
		"size":             {&dbaasv1.PlanInput{Name: "x", TotalSizeInBytes: -1}, "total_size_in_bytes", "greater than or equal to 0"},
		"capacity":         {&dbaasv1.PlanInput{Name: "x", Capacity: -1}, "capacity", "greater than or equal to 0"},
	} {
		t.Run(name, func(t *testing.T) {
			in := h.planInput(c.in)
			if c.in.Environments != nil {
				in.Environments = c.in.Environments
			}
			if c.in.Services != nil {
				in.Services = c.in.Services
			}
			_, err := h.Databases.CreatePlan(h.ctx, &dbaasv1.CreatePlanRequest{Plan: in})
			refused(t, err, errs.ValidationFailed, c.field, c.wanted)
		})
	}
	h.Create(t, twin)
	_, err := h.Databases.CreatePlan(h.ctx, &dbaasv1.CreatePlanRequest{Plan: h.planInput(&dbaasv1.PlanInput{Name: "x", Services: []string{"main postgres"}})})
	refused(t, err, errs.ValidationFailed, "services", "Several services are named")
	_, err = h.Databases.CreatePlan(h.ctx, &dbaasv1.CreatePlanRequest{})
	for _, field := range []string{"name", "engine", "environments", "services"} { // all at once
		refused(t, err, errs.ValidationFailed, field, "This field is required.")
	}
	_, err = h.updatePlan(h.plan.GetId(), &dbaasv1.PlanInput{Engine: "mysql"}, "engine")
	refused(t, err, errs.ValidationFailed, "engine", "cannot change: it is postgresql")
	_, err = h.updatePlan(99, nil)
	notFound(t, err)
}

// A plan keeps what its databases are on and in, and goes after them.
func TestPlanInUse(t *testing.T) {
	h := newHouse(t, servertest.Options{})
	second := h.addPostgres(t, "second", testbed.StartPostgres(t, testbed.PostgresOptions{}))
	other := h.addEnvironment(t, "other")
	db := h.addDatabase(t, "shop")
	id, self := h.plan.GetId(), other.GetLinks().GetSelf()

	_, err := h.updatePlan(id, &dbaasv1.PlanInput{Environments: []string{self}}, "environments")
	refused(t, err, errs.InUse, "", `Databases of the plan are in the environment "laboratory"`)
	_, err = h.updatePlan(id, &dbaasv1.PlanInput{Services: []string{second}}, "services")
	refused(t, err, errs.InUse, "", `Databases of the plan are on the service "main postgres"`)
	p, err := h.updatePlan(id, &dbaasv1.PlanInput{
		Environments: []string{self, h.env.GetLinks().GetSelf()}, Services: []string{second, h.service},
	}, "environments", "services")
	good(t, err)
	if len(p.GetEnvironments()) != 2 || len(p.GetServices()) != 2 {
		t.Fatalf("made %v", p)
	}
	_, err = h.Databases.DeletePlan(h.ctx, &dbaasv1.DeletePlanRequest{Id: id})
	refused(t, err, errs.InUse, "", `Databases are of the plan "small"`)
	_, err = h.Databases.DeleteEnvironment(h.ctx, &dbaasv1.DeleteEnvironmentRequest{Id: h.env.GetId()})
	refused(t, err, errs.InUse, "", `Databases are in the environment "laboratory"`)
	_, err = h.Databases.DeleteEnvironment(h.ctx, &dbaasv1.DeleteEnvironmentRequest{Id: other.GetId()})
	refused(t, err, errs.InUse, "", `The plan "small" is offered in the environment "other"`)
	_, err = h.Catalog.DeleteService(h.ctx, &catalogv1.DeleteServiceRequest{Id: h.service})
	refused(t, err, errs.InUse, "", "Databases are on this service")
	_, err = h.Catalog.DeleteService(h.ctx, &catalogv1.DeleteServiceRequest{Id: second})
	refused(t, err, errs.InUse, "", `The plan "small" makes databases on this service`)
	_, err = h.Catalog.UpdateService(h.ctx, &catalogv1.UpdateServiceRequest{Id: h.service, Service: &catalogv1.Service{Description: "moved"}})
	good(t, err)

	// Without its server, what does not concern it can change.
	h.postgres.Stop()
	_, err = h.updatePlan(id, &dbaasv1.PlanInput{Services: []string{h.service}}, "services")
	good(t, err)
	h.postgres.Restart(t)

	h.dropDatabase(t, db.GetId())
	_, err = h.Databases.DeletePlan(h.ctx, &dbaasv1.DeletePlanRequest{Id: id})
	good(t, err)
	_, err = h.Databases.DeleteEnvironment(h.ctx, &dbaasv1.DeleteEnvironmentRequest{Id: h.env.GetId()})
	good(t, err)
	_, err = h.Catalog.DeleteService(h.ctx, &catalogv1.DeleteServiceRequest{Id: h.service})
	good(t, err)
}

// At most one plan of a kind of engine is the default one.
func TestDefaultPlan(t *testing.T) {
	h := newHouse(t, servertest.Options{})
	defaults := func() string {
		t.Helper()
		res, err := h.Databases.ListPlans(h.ctx, &dbaasv1.ListPlansRequest{Filter: map[string]string{"is_default": "true"}})
		good(t, err)
		var names []string
		for _, p := range res.GetPlan() {
			names = append(names, p.GetName())
		}
		return strings.Join(names, " ")
	}
	h.addPlan(t, &dbaasv1.PlanInput{Name: "first", IsDefault: true})
	if got := defaults(); got != "first" {
		t.Fatalf("default plans: %q", got)
	}
	second := h.addPlan(t, &dbaasv1.PlanInput{Name: "second", IsDefault: true})
	if got := defaults(); got != "second" {
		t.Fatalf("default plans: %q", got)
	}
	_, err := h.updatePlan(h.plan.GetId(), &dbaasv1.PlanInput{IsDefault: true}, "is_default")
	good(t, err)
	if got := defaults(); got != "small" {
		t.Fatalf("default plans: %q", got)
	}
	// Who was the default one is in the trail.
	trail, err := h.Identity.ListAudit(h.ctx, &identityv1.ListAuditRequest{Action: "UpdatePlan"})
	good(t, err)
	if !slices.ContainsFunc(trail.GetData(), func(r *identityv1.AuditRecord) bool { return r.GetResourceName() == second.GetName() }) {
		t.Errorf("the audit trail does not say that %q is not the default one any more: %v", second.GetName(), trail.GetData())
	}
}

func TestPlanListAndRights(t *testing.T) {
	h := newHouse(t, servertest.Options{})
	other := h.addEnvironment(t, "other")
	h.addPlan(t, &dbaasv1.PlanInput{Name: "off", IsActive: proto.Bool(false)})
	h.addPlan(t, &dbaasv1.PlanInput{Name: "elsewhere", Environments: []string{other.GetLinks().GetSelf()}})
	for name, c := range map[string]struct {
		filter map[string]string
		want   string
	}{
		"all":         {nil, "small off elsewhere"},
		"engine":      {map[string]string{"engine_id": "1"}, "small off elsewhere"},
		"no engine":   {map[string]string{"engine_id": "2"}, ""},
		"environment": {map[string]string{"environment_id": "1"}, "small off"},
		"active":      {map[string]string{"environment_id": "1", "engine_id": "1", "active": "yes"}, "small"},
		"old plan":    {map[string]string{"environment_id": "1", "engine_id": "1", "old_plan": "1"}, "off"},
		"name":        {map[string]string{"name__startswith": "else"}, "elsewhere"},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := h.Databases.ListPlans(h.ctx, &dbaasv1.ListPlansRequest{Filter: c.filter})
			good(t, err)
			var got []string
			for _, p := range res.GetPlan() {
				got = append(got, p.GetName())
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%v, want %s", got, c.want)
			}
		})
	}
	_, err := h.Databases.ListPlans(h.ctx, &dbaasv1.ListPlansRequest{Filter: map[string]string{"environment_id": "x"}})
	refused(t, err, errs.ValidationFailed, "environment_id", "Enter a valid value.")

	h.AddProject(t, "blue")
	api := h.as(t, h.AddUser(t, "ann", servertest.Role("admin", "blue")))
	seen, err := api.GetPlan(h.ctx, &dbaasv1.GetPlanRequest{Id: h.plan.GetId()})
	good(t, err)
	if len(seen.GetServices()) != 0 || seen.GetName() != "small" {
		t.Errorf("an admin of one project sees %v", seen)
	}
	_, err = api.CreatePlan(h.ctx, &dbaasv1.CreatePlanRequest{Plan: h.planInput(&dbaasv1.PlanInput{Name: "mine"})})
	refused(t, err, errs.PermissionDenied, "", "in every project")
	_, err = api.UpdatePlan(h.ctx, &dbaasv1.UpdatePlanRequest{Id: 1})
	refused(t, err, errs.PermissionDenied, "", "in every project")
	_, err = api.DeletePlan(h.ctx, &dbaasv1.DeletePlanRequest{Id: 1})
	refused(t, err, errs.PermissionDenied, "", "in every project")
}

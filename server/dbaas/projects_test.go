package dbaas_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/servertest"
)

// addNumbered makes a project by this API.
func (h *house) addNumbered(t *testing.T, name string) *dbaasv1.Project {
	t.Helper()
	p, err := h.Databases.CreateDatabaseProject(h.ctx, &dbaasv1.CreateDatabaseProjectRequest{Project: &dbaasv1.ProjectInput{Name: name}})
	good(t, err)
	return p
}

// projectNames lists the projects as a caller sees them.
func projectNames(t *testing.T, h *house, api dbaasv1.DatabaseAdminClient, req *dbaasv1.ListDatabaseProjectsRequest) string {
	t.Helper()
	res, err := api.ListDatabaseProjects(h.ctx, req)
	good(t, err)
	var names []string
	for _, p := range res.GetProject() {
		names = append(names, p.GetName())
	}
	return strings.Join(names, " ")
}

// The projects are those of the identities, by number.
func TestProjects(t *testing.T) {
	h := bare(t)
	h.AddProject(t, "zebra") // by the other API
	made := h.addNumbered(t, "blue")
	want := &dbaasv1.Project{Links: &dbaasv1.Links{Self: "/api/project/3/"}, Id: 3, Name: "blue"}
	if !proto.Equal(made, want) {
		t.Fatalf("made %v, want %v", made, want)
	}
	if got := projectNames(t, h, h.Databases, &dbaasv1.ListDatabaseProjectsRequest{}); got != "blue default zebra" {
		t.Errorf("projects %q", got)
	}
	if got := projectNames(t, h, h.Databases, &dbaasv1.ListDatabaseProjectsRequest{Filter: map[string]string{"id": "2"}}); got != "zebra" {
		t.Errorf("project 2 is %q", got)
	}
	def, err := h.Databases.GetDatabaseProject(h.ctx, &dbaasv1.GetDatabaseProjectRequest{Id: 1})
	good(t, err)
	if def.GetName() != "default" || def.GetDescription() == "" {
		t.Errorf("project 1 is %v", def)
	}
	update := func(in *dbaasv1.ProjectInput, mask ...string) (*dbaasv1.Project, error) {
		return h.Databases.UpdateDatabaseProject(h.ctx, &dbaasv1.UpdateDatabaseProjectRequest{
			Id: 3, Project: in, UpdateMask: &fieldmaskpb.FieldMask{Paths: mask},
		})
	}
	got, err := update(&dbaasv1.ProjectInput{Name: "blue", Description: "the blue ones"}, "name", "description")
	good(t, err)
	want.Description = proto.String("the blue ones")
	if !proto.Equal(got, want) {
		t.Errorf("changed to %v, want %v", got, want)
	}
	other, err := h.Identity.GetProject(h.ctx, &identityv1.GetProjectRequest{Name: "blue"})
	good(t, err)
	if other.GetData().GetDescription() != "the blue ones" {
		t.Errorf("by the other API %v", other)
	}
	_, err = update(&dbaasv1.ProjectInput{Name: "red"}, "name")
	refused(t, err, errs.ValidationFailed, "name", "cannot change")
	_, err = h.Databases.DeleteDatabaseProject(h.ctx, &dbaasv1.DeleteDatabaseProjectRequest{Id: 3})
	good(t, err)
	_, err = h.Databases.GetDatabaseProject(h.ctx, &dbaasv1.GetDatabaseProjectRequest{Id: 3})
	notFound(t, err)
	for _, action := range []string{"CreateProject", "UpdateProject", "DeleteProject"} {
		trail, err := h.Identity.ListAudit(h.ctx, &identityv1.ListAuditRequest{Action: action, ResourceId: "blue"})
		good(t, err)
		if len(trail.GetData()) != 1 {
			t.Errorf("%d records of %s", len(trail.GetData()), action)
		}
	}
}

func TestProjectFaults(t *testing.T) {
	h := bare(t)
	for name, want := range map[string]string{
		"":                       "This field is required.",
		"default":                "Project with this Project name already exists.",
		"My Team":                "must match [a-z0-9][a-z0-9-]{0,62}",
		strings.Repeat("a", 101): "at most 100 characters (it has 101)",
	} {
		_, err := h.Databases.CreateDatabaseProject(h.ctx, &dbaasv1.CreateDatabaseProjectRequest{Project: &dbaasv1.ProjectInput{Name: name}})
		refused(t, err, errs.ValidationFailed, "name", want)
	}
	_, err := h.Databases.DeleteDatabaseProject(h.ctx, &dbaasv1.DeleteDatabaseProjectRequest{Id: 1})
	refused(t, err, errs.InUse, "", `"default" cannot be deleted`)
	_, err = h.Databases.DeleteDatabaseProject(h.ctx, &dbaasv1.DeleteDatabaseProjectRequest{Id: 9})
	notFound(t, err)
}

func TestProjectsOfCallers(t *testing.T) {
	h := bare(t)
	blue, red := h.addNumbered(t, "blue"), h.addNumbered(t, "red")
	api := h.as(t, h.AddUser(t, "ann", servertest.Role("admin", "blue"), servertest.Role("viewer", "red")))
	h.addNumbered(t, "secret")
	if got := projectNames(t, h, api, &dbaasv1.ListDatabaseProjectsRequest{}); got != "blue red" {
		t.Errorf("ann sees %q", got)
	}
	_, err := api.GetDatabaseProject(h.ctx, &dbaasv1.GetDatabaseProjectRequest{Id: red.GetId()})
	good(t, err)
	_, err = api.GetDatabaseProject(h.ctx, &dbaasv1.GetDatabaseProjectRequest{Id: 4})
	notFound(t, err)
	_, err = api.CreateDatabaseProject(h.ctx, &dbaasv1.CreateDatabaseProjectRequest{Project: &dbaasv1.ProjectInput{Name: "x"}})
	refused(t, err, errs.PermissionDenied, "", "in every project")
	_, err = api.UpdateDatabaseProject(h.ctx, &dbaasv1.UpdateDatabaseProjectRequest{Id: blue.GetId()})
	refused(t, err, errs.PermissionDenied, "", "in every project")
	_, err = api.DeleteDatabaseProject(h.ctx, &dbaasv1.DeleteDatabaseProjectRequest{Id: blue.GetId()})
	refused(t, err, errs.PermissionDenied, "", "in every project")
}

// A project stays while databases belong to it, whichever API deletes it.
func TestProjectInUse(t *testing.T) {
	h := newHouse(t, servertest.Options{})
	p := h.addNumbered(t, "blue")
	db, err := h.Databases.CreateDatabase(h.ctx, &dbaasv1.CreateDatabaseRequest{
		Name: "shop", Plan: h.plan.GetLinks().GetSelf(), Environment: h.env.GetLinks().GetSelf(), Project: p.GetLinks().GetSelf(),
	})
	good(t, err)
	_, err = h.Databases.DeleteDatabaseProject(h.ctx, &dbaasv1.DeleteDatabaseProjectRequest{Id: p.GetId()})
	refused(t, err, errs.InUse, "", `Databases belong to the project "blue"`)
	_, err = h.Identity.DeleteProject(h.ctx, &identityv1.DeleteProjectRequest{Name: "blue"})
	refused(t, err, errs.InUse, "", `Databases belong to the project "blue"`)
	h.dropDatabase(t, db.GetId())
	_, err = h.Databases.DeleteDatabaseProject(h.ctx, &dbaasv1.DeleteDatabaseProjectRequest{Id: p.GetId()})
	good(t, err)
}

func TestTeams(t *testing.T) {
	h := bare(t)
	blue := h.addNumbered(t, "blue")
	h.addNumbered(t, "red")
	api := h.as(t, h.AddUser(t, "ann", servertest.Role("viewer", "blue")))
	names := func(api dbaasv1.DatabaseAdminClient, username ...string) string {
		t.Helper()
		req := &dbaasv1.ListTeamsRequest{Filter: map[string]string{}}
		for _, u := range username {
			req.Filter["username"] = u
		}
		res, err := api.ListTeams(h.ctx, req)
		good(t, err)
		var out []string
		for _, team := range res.GetTeam() {
			out = append(out, team.GetName())
		}
		return strings.Join(out, " ")
	}
	for _, c := range []struct{ what, got, want string }{
		{"the admin's", names(h.Databases), "blue default red"},
		{"ann's", names(api), "blue"},
		{"ann's, by name", names(api, "ann"), "blue"},
		{"ann's, for the admin", names(h.Databases, "ann"), "blue"},
		{"the admin's, by name", names(h.Databases, "admin"), "blue default red"},
		{"the admin's, for ann", names(api, "admin"), ""},
		{"nobody's", names(h.Databases, "nobody"), ""},
	} {
		if c.got != c.want {
			t.Errorf("teams: %s are %q, want %q", c.what, c.got, c.want)
		}
	}
	team, err := api.GetTeam(h.ctx, &dbaasv1.GetTeamRequest{Id: blue.GetId()})
	good(t, err)
	if want := (&dbaasv1.Team{Links: &dbaasv1.Links{Self: "/api/team/2/"}, Id: 2, Name: "blue"}); !proto.Equal(team, want) {
		t.Errorf("%v, want %v", team, want)
	}
	_, err = api.GetTeam(h.ctx, &dbaasv1.GetTeamRequest{Id: 3})
	notFound(t, err)
}

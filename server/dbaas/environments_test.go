package dbaas_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/servertest"
)

// bare is a control plane without any backend.
func bare(t *testing.T) *house {
	t.Helper()
	return &house{Server: servertest.Start(t, servertest.Options{}), ctx: servertest.Context(t)}
}

func TestEnvironments(t *testing.T) {
	h := bare(t)
	made := h.addEnvironment(t, "laboratory")
	if made.GetStage() != 1 || made.GetProvisioner() != 1 || made.GetName() != "laboratory" || made.GetLinks().GetSelf() != "/api/environment/1/" {
		t.Fatalf("made %v", made)
	}
	got, err := h.Databases.GetEnvironment(h.ctx, &dbaasv1.GetEnvironmentRequest{Id: made.GetId()})
	good(t, err)
	if !proto.Equal(got, made) {
		t.Fatalf("got %v, made %v", got, made)
	}
	// A hundred characters of any alphabet.
	long := h.addEnvironment(t, strings.Repeat("ы", 100))

	update := func(in *dbaasv1.EnvironmentInput, mask ...string) (*dbaasv1.Environment, error) {
		return h.Databases.UpdateEnvironment(h.ctx, &dbaasv1.UpdateEnvironmentRequest{
			Id: long.GetId(), Environment: in, UpdateMask: &fieldmaskpb.FieldMask{Paths: mask},
		})
	}
	got, err = update(&dbaasv1.EnvironmentInput{Stage: proto.Int32(2), Name: "not in the mask"}, "stage")
	good(t, err)
	if got.GetStage() != 2 || got.GetName() != long.GetName() {
		t.Errorf("a change of the stage made %v", got)
	}
	got, err = update(&dbaasv1.EnvironmentInput{Name: "cloud", Provisioner: proto.Int32(4)}, "name", "stage", "provisioner")
	good(t, err)
	if got.GetStage() != 1 || got.GetName() != "cloud" || got.GetProvisioner() != 4 {
		t.Errorf("a change of everything made %v", got)
	}
	got, err = update(nil)
	good(t, err)
	if got.GetName() != "cloud" || got.GetProvisioner() != 4 {
		t.Errorf("a change of nothing made %v", got)
	}
	_, err = update(&dbaasv1.EnvironmentInput{Name: "laboratory"}, "name")
	refused(t, err, errs.ValidationFailed, "name", "Environment with this Environment name already exists.")
	_, err = h.Databases.UpdateEnvironment(h.ctx, &dbaasv1.UpdateEnvironmentRequest{Id: 99})
	notFound(t, err)

	_, err = h.Databases.DeleteEnvironment(h.ctx, &dbaasv1.DeleteEnvironmentRequest{Id: made.GetId()})
	good(t, err)
	_, err = h.Databases.GetEnvironment(h.ctx, &dbaasv1.GetEnvironmentRequest{Id: made.GetId()})
	notFound(t, err)
	_, err = h.Databases.DeleteEnvironment(h.ctx, &dbaasv1.DeleteEnvironmentRequest{Id: made.GetId()})
	notFound(t, err)
}

func TestEnvironmentFaults(t *testing.T) {
	h := bare(t)
	h.addEnvironment(t, "laboratory")
	for name, c := range map[string]struct {
		in            *dbaasv1.EnvironmentInput
		field, wanted string
	}{
		"nothing":     {nil, "name", "This field is required."},
		"blank":       {&dbaasv1.EnvironmentInput{Name: "  "}, "name", "This field is required."},
		"control":     {&dbaasv1.EnvironmentInput{Name: "a\x00b"}, "name", "Enter a valid value."},
		"long":        {&dbaasv1.EnvironmentInput{Name: strings.Repeat("é", 101)}, "name", "Ensure this value has at most 100 characters (it has 101)."},
		"taken":       {&dbaasv1.EnvironmentInput{Name: "laboratory"}, "name", "Environment with this Environment name already exists."},
		"stage":       {&dbaasv1.EnvironmentInput{Name: "x", Stage: proto.Int32(3)}, "stage", "Value 3 is not a valid choice."},
		"zero":        {&dbaasv1.EnvironmentInput{Name: "x", Stage: proto.Int32(0)}, "stage", "Value 0 is not a valid choice."},
		"provisioner": {&dbaasv1.EnvironmentInput{Name: "x", Provisioner: proto.Int32(5)}, "provisioner", "Value 5 is not a valid choice."},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := h.Databases.CreateEnvironment(h.ctx, &dbaasv1.CreateEnvironmentRequest{Environment: c.in})
			refused(t, err, errs.ValidationFailed, c.field, c.wanted)
		})
	}
}

func TestEnvironmentList(t *testing.T) {
	h := bare(t)
	for i, name := range []string{"b", "a", "c"} {
		_, err := h.Databases.CreateEnvironment(h.ctx, &dbaasv1.CreateEnvironmentRequest{Environment: &dbaasv1.EnvironmentInput{
			Name: name, Provisioner: proto.Int32(int32(i + 1)), Stage: proto.Int32(int32(i%2 + 1)),
		}})
		good(t, err)
	}
	for name, c := range map[string]struct {
		req  *dbaasv1.ListEnvironmentsRequest
		want string
	}{
		"all":         {&dbaasv1.ListEnvironmentsRequest{}, "b a c"},
		"ordered":     {&dbaasv1.ListEnvironmentsRequest{Ordering: "-name"}, "c b a"},
		"page":        {&dbaasv1.ListEnvironmentsRequest{PageSize: "2", Page: "last"}, "c"},
		"name":        {&dbaasv1.ListEnvironmentsRequest{Filter: map[string]string{"name": "a"}}, "a"},
		"names":       {&dbaasv1.ListEnvironmentsRequest{Filter: map[string]string{"name__in": "a,c"}}, "a c"},
		"stage":       {&dbaasv1.ListEnvironmentsRequest{Filter: map[string]string{"stage": "2"}}, "a"},
		"label":       {&dbaasv1.ListEnvironmentsRequest{Filter: map[string]string{"get_provisioner_by_label": "kubernetes"}}, "c"},
		"wrong label": {&dbaasv1.ListEnvironmentsRequest{Filter: map[string]string{"get_provisioner_by_label": "moon"}}, ""},
		"unknown":     {&dbaasv1.ListEnvironmentsRequest{Filter: map[string]string{"colour": "red"}}, "b a c"},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := h.Databases.ListEnvironments(h.ctx, c.req)
			good(t, err)
			var got []string
			for _, e := range res.GetEnvironment() {
				got = append(got, e.GetName())
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%v, want %s", got, c.want)
			}
		})
	}
	_, err := h.Databases.ListEnvironments(h.ctx, &dbaasv1.ListEnvironmentsRequest{Filter: map[string]string{"stage": "late"}})
	refused(t, err, errs.ValidationFailed, "stage", "Enter a valid value.")
	_, err = h.Databases.ListEnvironments(h.ctx, &dbaasv1.ListEnvironmentsRequest{Page: "2"})
	notFound(t, err)
}

// Everybody who has logged in sees environments; global admins alone change
// them.
func TestEnvironmentRights(t *testing.T) {
	h := bare(t)
	env := h.addEnvironment(t, "laboratory")
	h.AddProject(t, "blue")
	api := h.as(t, h.AddUser(t, "ann", servertest.Role("admin", "blue")))
	_, err := api.GetEnvironment(h.ctx, &dbaasv1.GetEnvironmentRequest{Id: env.GetId()})
	good(t, err)
	_, err = api.CreateEnvironment(h.ctx, &dbaasv1.CreateEnvironmentRequest{Environment: &dbaasv1.EnvironmentInput{Name: "mine"}})
	refused(t, err, errs.PermissionDenied, "", "in every project")
	_, err = api.UpdateEnvironment(h.ctx, &dbaasv1.UpdateEnvironmentRequest{Id: env.GetId()})
	refused(t, err, errs.PermissionDenied, "", "in every project")
	_, err = api.DeleteEnvironment(h.ctx, &dbaasv1.DeleteEnvironmentRequest{Id: env.GetId()})
	refused(t, err, errs.PermissionDenied, "", "in every project")
}

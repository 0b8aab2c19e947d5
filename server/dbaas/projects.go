package dbaas

import (
	"cmp"
	"context"
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/predicate"
	"github.com/backplane/backplane/ent/project"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/auth"
)

func projectToProto(l linker, row *ent.Project) *dbaasv1.Project {
	out := &dbaasv1.Project{Links: &dbaasv1.Links{Self: l.to(projects, *row.Number)}, Id: int64(*row.Number), Name: row.ID}
	if row.Description != "" {
		out.Description = proto.String(row.Description)
	}
	return out
}

var projectColumns = columns{
	"id": column{project.FieldNumber, number}, "name": column{project.FieldID, text}, "description": column{project.FieldDescription, text},
}

// mine limits a query to the projects that the caller may see.
func mine(ctx context.Context) ([]predicate.Project, error) {
	scope, err := auth.Where(ctx)
	where := []predicate.Project{project.NumberNotNil()}
	if err == nil && !scope.All {
		where = append(where, project.IDIn(scope.Projects...))
	}
	return where, err
}

// ListDatabaseProjects implements the RPC.
func (a *Admin) ListDatabaseProjects(ctx context.Context, req *dbaasv1.ListDatabaseProjectsRequest) (*dbaasv1.ListDatabaseProjectsResponse, error) {
	may, err := mine(ctx)
	if err != nil {
		return nil, err
	}
	where, err := conditions[predicate.Project](projectColumns, req.GetFilter())
	if err != nil {
		return nil, err
	}
	rows, links, err := listed(ctx, a.Store.Project.Query().Where(append(where, may...)...), req, projectColumns, "name", projects)
	if err != nil {
		return nil, err
	}
	out := &dbaasv1.ListDatabaseProjectsResponse{Links: links}
	for _, row := range rows {
		out.Project = append(out.Project, projectToProto(linksOf(ctx), row))
	}
	return out, nil
}

// projectOf is the project of a number, when the caller may see it.
func (a *Admin) projectOf(ctx context.Context, id int64) (*ent.Project, error) {
	row, err := a.Store.Project.Query().Where(project.Number(int(id))).Only(ctx)
	if err != nil {
		return nil, orMissing(err)
	}
	return row, auth.Allow(ctx, row.ID, missing)
}

// GetDatabaseProject implements the RPC.
func (a *Admin) GetDatabaseProject(ctx context.Context, req *dbaasv1.GetDatabaseProjectRequest) (*dbaasv1.Project, error) {
	row, err := a.projectOf(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return projectToProto(linksOf(ctx), row), nil
}

// CreateDatabaseProject implements the RPC.
func (a *Admin) CreateDatabaseProject(ctx context.Context, req *dbaasv1.CreateDatabaseProjectRequest) (*dbaasv1.Project, error) {
	in := req.GetProject()
	var f faults
	f.add("name", checkLabel(in.GetName()))
	f.add("description", checkDescription(in.GetDescription()))
	if len(f) > 0 {
		return nil, errs.Invalid(f...)
	}
	_, err := a.Projects.CreateProject(ctx, &identityv1.CreateProjectRequest{
		Project: &identityv1.Project{Name: in.GetName(), Description: in.GetDescription()},
	})
	if e := (*errs.Error)(nil); errors.As(err, &e) && e.Reason == errs.NameTaken {
		return nil, errs.Invalid(errs.Field{Path: "name", Message: exists("Project")})
	}
	if err != nil {
		return nil, err
	}
	row, err := a.Store.Project.Get(ctx, in.GetName())
	if err != nil {
		return nil, err
	}
	out := projectToProto(linksOf(ctx), row)
	return out, setLocation(ctx, out.GetLinks().GetSelf())
}

// UpdateDatabaseProject implements the RPC.
func (a *Admin) UpdateDatabaseProject(ctx context.Context, req *dbaasv1.UpdateDatabaseProjectRequest) (*dbaasv1.Project, error) {
	row, err := a.projectOf(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	in := cmp.Or(req.GetProject(), &dbaasv1.ProjectInput{})
	has := changed(in, req.GetUpdateMask().GetPaths())
	var f faults
	if has("name") && in.GetName() != "" && in.GetName() != row.ID {
		f.add("name", "The name of a project cannot change.")
	}
	if has("description") {
		f.add("description", checkDescription(in.GetDescription()))
	}
	if len(f) > 0 {
		return nil, errs.Invalid(f...)
	}
	if has("description") {
		if err := a.Projects.DescribeProject(ctx, row.ID, in.GetDescription()); err != nil {
			return nil, err
		}
	}
	if row, err = a.projectOf(ctx, req.GetId()); err != nil {
		return nil, err
	}
	return projectToProto(linksOf(ctx), row), nil
}

// DeleteDatabaseProject implements the RPC.
func (a *Admin) DeleteDatabaseProject(ctx context.Context, req *dbaasv1.DeleteDatabaseProjectRequest) (*dbaasv1.DeleteDatabaseProjectResponse, error) {
	row, err := a.projectOf(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	if _, err := a.Projects.DeleteProject(ctx, &identityv1.DeleteProjectRequest{Name: row.ID}); err != nil {
		return nil, err
	}
	return &dbaasv1.DeleteDatabaseProjectResponse{}, nil
}

package identity

import (
	"context"
	"encoding/json"
	"time"
	"unicode/utf8"

	"entgo.io/ent/dialect/sql"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/backup"
	"github.com/backplane/backplane/ent/database"
	"github.com/backplane/backplane/ent/project"
	"github.com/backplane/backplane/ent/schema"
	"github.com/backplane/backplane/ent/service"
	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/store"
)

const maxDescription = 4096 // characters

func projectToProto(p *ent.Project) *identityv1.Project {
	return &identityv1.Project{Name: p.ID, Description: p.Description, CreatedAt: seconds(p.CreatedAt)}
}

func noProject() error { return &errs.Error{Reason: errs.NotFound, Message: "Project not found"} }

// ListProjects implements the RPC.
func (i *Identity) ListProjects(ctx context.Context, _ *identityv1.ListProjectsRequest) (*identityv1.ListProjectsResponse, error) {
	q := i.Store.Project.Query().Order(project.ByID())
	scope, err := auth.Where(ctx)
	if err != nil {
		return nil, err
	}
	if !scope.All {
		q.Where(project.IDIn(scope.Projects...))
	}
	rows, err := q.All(ctx)
	if err != nil {
		return nil, err
	}
	out := &identityv1.ListProjectsResponse{Ok: true}
	for _, p := range rows {
		out.Data = append(out.Data, projectToProto(p))
	}
	return out, nil
}

// GetProject implements the RPC.
func (i *Identity) GetProject(ctx context.Context, req *identityv1.GetProjectRequest) (*identityv1.GetProjectResponse, error) {
	if err := auth.Allow(ctx, req.GetName(), noProject); err != nil {
		return nil, err
	}
	p, err := i.Store.Project.Get(ctx, req.GetName())
	if ent.IsNotFound(err) {
		return nil, noProject()
	}
	if err != nil {
		return nil, err
	}
	return &identityv1.GetProjectResponse{Ok: true, Data: projectToProto(p)}, nil
}

// CreateProject implements the RPC.
func (i *Identity) CreateProject(ctx context.Context, req *identityv1.CreateProjectRequest) (*identityv1.CreateProjectResponse, error) {
	in := req.GetProject()
	var faults []errs.Field
	if !projectShape.MatchString(in.GetName()) {
		faults = append(faults, errs.Field{Path: "name", Message: "must match [a-z0-9][a-z0-9-]{0,62}"})
	}
	if faults = append(faults, checkDescription(in.GetDescription())...); len(faults) > 0 {
		return nil, errs.Invalid(faults...)
	}
	var row *ent.Project
	err := i.change(ctx, func(tx *store.Tx) (err error) {
		number, err := nextProject(ctx, tx)
		if err != nil {
			return err
		}
		row, err = tx.Project.Create().SetID(in.GetName()).SetNumber(number).SetDescription(in.GetDescription()).SetCreatedAt(time.Now().UnixMicro()).Save(ctx)
		if ent.IsConstraintError(err) {
			return &errs.Error{Reason: errs.NameTaken, Message: "There is a project of that name already", Err: err}
		}
		if err != nil {
			return err
		}
		tx.Audit(auditOfProject("CreateProject", row, nil, projectFields(row)))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.CreateProjectResponse{Ok: true, Data: projectToProto(row)}, nil
}

func checkDescription(text string) []errs.Field {
	if utf8.RuneCountInString(text) > maxDescription {
		return []errs.Field{{Path: "description", Message: "must have at most 4096 characters"}}
	}
	return nil
}

// nextProject is the number of a new project.
func nextProject(ctx context.Context, tx *store.Tx) (int, error) {
	last, err := tx.Project.Query().Where(project.NumberNotNil()).Order(project.ByNumber(sql.OrderDesc())).Limit(1).All(ctx)
	if err != nil || len(last) == 0 {
		return 1, err
	}
	return *last[0].Number + 1, nil
}

// DescribeProject changes what a project is said to be for.
func (i *Identity) DescribeProject(ctx context.Context, name, description string) error {
	if faults := checkDescription(description); len(faults) > 0 {
		return errs.Invalid(faults...)
	}
	return i.change(ctx, func(tx *store.Tx) error {
		row, err := tx.Project.Get(ctx, name)
		if ent.IsNotFound(err) {
			return noProject()
		}
		if err != nil {
			return err
		}
		next, err := tx.Project.UpdateOne(row).SetDescription(description).Save(ctx)
		if err != nil {
			return err
		}
		tx.Audit(auditOfProject("UpdateProject", next, projectFields(row), projectFields(next)))
		return nil
	})
}

// projectFields are what the audit trail compares of a project.
func projectFields(p *ent.Project) map[string]string {
	text, _ := json.Marshal(p.Description) // a string
	return map[string]string{"description": string(text)}
}

func auditOfProject(action string, p *ent.Project, before, after map[string]string) store.Audit {
	return store.Audit{Action: action, Kind: "project", ID: p.ID, Name: p.ID, Project: p.ID, Changes: store.Changes(before, after)}
}

// DeleteProject implements the RPC.
func (i *Identity) DeleteProject(ctx context.Context, req *identityv1.DeleteProjectRequest) (*identityv1.DeleteProjectResponse, error) {
	name := req.GetName()
	if name == store.DefaultProject {
		return nil, errs.New(errs.InUse, "The project %q cannot be deleted: it is that of whatever names none", name)
	}
	err := i.change(ctx, func(tx *store.Tx) error {
		row, err := tx.Project.Get(ctx, name)
		if ent.IsNotFound(err) {
			return noProject()
		}
		if err != nil {
			return err
		}
		if err := unbound(ctx, tx, name); err != nil {
			return err
		}
		if err := empty(ctx, tx, name); err != nil {
			return err
		}
		tx.Audit(auditOfProject("DeleteProject", row, projectFields(row), nil))
		err = tx.Project.DeleteOne(row).Exec(ctx)
		if ent.IsConstraintError(err) { // a service came in between
			return errs.New(errs.InUse, "Services belong to the project %q; delete them first", name)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.DeleteProjectResponse{Ok: true}, nil
}

// empty refuses a project that something belongs to.
func empty(ctx context.Context, tx *store.Tx, name string) error {
	for _, held := range []struct {
		what  string
		exist func(context.Context) (bool, error)
	}{
		{"Services", tx.Service.Query().Where(service.Project(name)).Exist},
		{"Databases", tx.Database.Query().Where(database.Project(name)).Exist},
		{"Snapshots", tx.Backup.Query().Where(backup.Project(name)).Exist},
	} {
		used, err := held.exist(ctx)
		if err != nil {
			return err
		}
		if used {
			return errs.New(errs.InUse, "%s belong to the project %q; delete them first", held.what, name)
		}
	}
	return nil
}

// unbound refuses a project that roles are bound to: a later project of the
// same name would inherit them.
func unbound(ctx context.Context, tx *store.Tx, name string) error {
	names := func(roles []schema.RoleBinding) bool {
		for _, b := range roles {
			if b.Project == name {
				return true
			}
		}
		return false
	}
	users, err := tx.User.Query().All(ctx)
	if err != nil {
		return err
	}
	for _, u := range users {
		if names(u.Roles) {
			return errs.New(errs.InUse, "User %q has a role in the project %q; remove it first", u.Username, name)
		}
	}
	tokens, err := tx.Token.Query().All(ctx)
	if err != nil {
		return err
	}
	for _, t := range tokens {
		if names(t.Roles) {
			return errs.New(errs.InUse, "Token %q has a role in the project %q; revoke it first", t.Name, name)
		}
	}
	return nil
}

package dbaas

import (
	"context"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/predicate"
	"github.com/backplane/backplane/ent/project"
	"github.com/backplane/backplane/ent/schema"
	"github.com/backplane/backplane/ent/user"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/server/auth"
)

func teamToProto(l linker, row *ent.Project) *dbaasv1.Team {
	return &dbaasv1.Team{Links: &dbaasv1.Links{Self: l.to(teams, *row.Number)}, Id: int64(*row.Number), Name: row.ID}
}

var teamColumns = columns{"id": column{project.FieldNumber, number}, "name": column{project.FieldID, text}}

// ListTeams implements the RPC.
func (a *Admin) ListTeams(ctx context.Context, req *dbaasv1.ListTeamsRequest) (*dbaasv1.ListTeamsResponse, error) {
	may, err := mine(ctx)
	if err != nil {
		return nil, err
	}
	where, err := conditions[predicate.Project](teamColumns, req.GetFilter())
	if err != nil {
		return nil, err
	}
	where = append(where, may...)
	if name, ok := req.GetFilter()["username"]; ok {
		of, err := a.teamsOf(ctx, name)
		if err != nil {
			return nil, err
		}
		where = append(where, of)
	}
	rows, links, err := listed(ctx, a.Store.Project.Query().Where(where...), req, teamColumns, "name", teams)
	if err != nil {
		return nil, err
	}
	out := &dbaasv1.ListTeamsResponse{Links: links}
	for _, row := range rows {
		out.Team = append(out.Team, teamToProto(linksOf(ctx), row))
	}
	return out, nil
}

// teamsOf are the teams of a user, as far as the caller may know them: global
// admins know those of everybody, others their own.
func (a *Admin) teamsOf(ctx context.Context, username string) (predicate.Project, error) {
	none := project.Number(0)
	caller := auth.FromContext(ctx)
	if username != caller.Username && !caller.Can(auth.Admin, "") {
		return none, nil
	}
	row, err := a.Store.User.Query().Where(user.Username(username)).Only(ctx)
	if ent.IsNotFound(err) {
		return none, nil
	}
	if err != nil {
		return nil, err
	}
	return inRoles(row.Roles), nil
}

// inRoles are the projects that roles are bound to.
func inRoles(roles []schema.RoleBinding) predicate.Project {
	var names []string
	for _, b := range roles {
		if b.Project == "" {
			return project.NumberNotNil()
		}
		names = append(names, b.Project)
	}
	return project.IDIn(names...)
}

// GetTeam implements the RPC.
func (a *Admin) GetTeam(ctx context.Context, req *dbaasv1.GetTeamRequest) (*dbaasv1.Team, error) {
	row, err := a.projectOf(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return teamToProto(linksOf(ctx), row), nil
}

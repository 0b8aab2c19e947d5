package dbaas

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"entgo.io/ent/dialect/sql"
	"google.golang.org/protobuf/proto"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/credential"
	"github.com/backplane/backplane/ent/database"
	"github.com/backplane/backplane/ent/engine"
	"github.com/backplane/backplane/ent/environment"
	"github.com/backplane/backplane/ent/plan"
	"github.com/backplane/backplane/ent/predicate"
	"github.com/backplane/backplane/ent/project"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/store"
)

// The states of a database.
const (
	stateCreating    = "creating"
	stateAlive       = "alive"
	stateQuarantined = "quarantined"
	stateDropping    = "dropping"
)

// The statuses that answers have.
const (
	statusDead         = 0
	statusInitializing = 2
	statusAlert        = 3
)

// manages reports whether the caller may see and do everything with the
// databases of a project, also with those in quarantine.
func manages(ctx context.Context, project string) bool {
	return auth.FromContext(ctx).Can(auth.Admin, project)
}

// sight is what of the databases the caller sees.
type sight struct {
	scope   auth.Scope
	manager bool     // of all projects
	managed []string // projects that the caller is an admin of
}

func sightOf(ctx context.Context) (v sight, err error) {
	if v.scope, err = auth.Where(ctx); err != nil {
		return v, err
	}
	v.manager = v.scope.All && manages(ctx, "")
	for _, b := range auth.FromContext(ctx).Roles {
		if auth.Role(b.Role) == auth.Admin {
			v.managed = append(v.managed, b.Project)
		}
	}
	return v, nil
}

// where are the conditions of what is seen: the databases of the caller's
// projects, and in quarantine those of projects that it is an admin of.
func (v sight) where() (out []predicate.Database) {
	if v.manager {
		return nil
	}
	if !v.scope.All {
		out = append(out, database.ProjectIn(v.scope.Projects...))
	}
	return append(out, database.Or(database.StateNotIn(store.HiddenStates()...), database.ProjectIn(v.managed...)))
}

// count is how many databases are seen, as the projects have it: the number
// does not depend on how many there are.
func (v sight) count(ctx context.Context, s *store.Store) (int, error) {
	sum := func(column string, where ...predicate.Project) (n int, err error) {
		if !v.scope.All {
			where = append(where, project.IDIn(v.scope.Projects...))
		}
		var sums []int
		err = s.Project.Query().Where(where...).Modify(func(q *sql.Selector) {
			q.Select("COALESCE(SUM(" + q.C(column) + "), 0)")
		}).Scan(ctx, &sums)
		if err == nil && len(sums) == 1 {
			n = sums[0]
		}
		return n, err
	}
	all, err := sum(project.FieldDatabaseCount)
	if err != nil || v.manager {
		return all, err
	}
	hidden, err := sum(project.FieldHiddenDatabaseCount, project.IDNotIn(v.managed...))
	return all - hidden, err
}

// visible limits a query to the databases that the caller sees.
func visible(ctx context.Context) (predicate.Database, error) {
	v, err := sightOf(ctx)
	if err != nil {
		return nil, err
	}
	where := v.where()
	if len(where) == 0 {
		return database.IDGT(0), nil
	}
	return database.And(where...), nil
}

// databaseFor is the database of a call, when the caller may see it and has
// the right to the call. Its plan, environment and credentials are loaded.
func (a *Admin) databaseFor(ctx context.Context, id int64) (*ent.Database, error) {
	row, err := a.loadDatabase(ctx, int(id))
	if err != nil {
		return nil, err
	}
	if err := a.allowDatabase(ctx, row); err != nil {
		return nil, err
	}
	return row, nil
}

// allowDatabase checks the caller's right to the call under way on a database.
func (a *Admin) allowDatabase(ctx context.Context, row *ent.Database) error {
	hidden := row.State == stateQuarantined || row.State == stateDropping
	if hidden && auth.FromContext(ctx).Username != "" && !manages(ctx, row.Project) {
		return missing()
	}
	return auth.Allow(ctx, row.Project, missing)
}

func (a *Admin) loadDatabase(ctx context.Context, id int) (*ent.Database, error) {
	row, err := withParts(a.Store.Database.Query().Where(database.ID(id))).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, missing()
	}
	return row, err
}

// withParts loads with each database what an answer shows of it.
func withParts(q *ent.DatabaseQuery) *ent.DatabaseQuery {
	return q.WithInProject().WithCredentials(func(q *ent.CredentialQuery) {
		q.Order(credential.ByUser()).Select(credential.FieldID, credential.FieldDatabaseID, credential.FieldUser)
	})
}

// GetDatabase implements the RPC.
func (a *Admin) GetDatabase(ctx context.Context, req *dbaasv1.GetDatabaseRequest) (*dbaasv1.Database, error) {
	row, err := a.databaseFor(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return databaseToProto(linksOf(ctx), row), nil
}

func databaseToProto(l linker, row *ent.Database) *dbaasv1.Database {
	self := l.to(databases, row.ID)
	out := &dbaasv1.Database{
		Links: &dbaasv1.Links{Self: self}, Id: int64(row.ID), Name: row.Name, Endpoint: row.Endpoint,
		Plan: l.to(plans, row.PlanID), Environment: l.to(environments, row.EnvironmentID),
		TotalSizeInBytes: row.TotalSizeInBytes,
	}
	if p := row.Edges.InProject; row.ProjectNamed && p != nil && p.Number != nil {
		out.Project = proto.String(l.to(projects, *p.Number))
	}
	if row.QuarantinedAt != 0 {
		out.QuarantineDt = proto.String(day(row.QuarantinedAt))
	}
	if !row.Missing {
		out.UsedSizeInBytes = proto.Int64(row.UsedSizeInBytes)
	}
	for _, c := range row.Edges.Credentials {
		out.Credentials = append(out.Credentials, l.to(credentials, c.ID))
	}
	switch {
	case row.State == stateCreating, row.State == stateDropping:
		out.Status = proto.Int32(statusInitializing)
	case row.Missing:
		out.Status = proto.Int32(statusDead)
	case row.Oversize:
		out.Status = proto.Int32(statusAlert)
	}
	if row.Description != "" {
		out.Description = &row.Description
	}
	if row.ReadOnly {
		out.ReadOnly = proto.Bool(true)
	}
	if row.OperationID != 0 {
		out.Task = proto.String(l.to(tasks, row.OperationID))
	}
	if row.RegisteredID != nil {
		out.Service = proto.String(row.RegisteredID.String())
	}
	return out
}

// day is a date in the time of the server.
func day(us int64) string { return time.UnixMicro(us).Format(time.DateOnly) }

// moment is a time of the server without its zone, with milliseconds only when
// there are some.
func moment(us int64) string {
	t := time.UnixMicro(us).Truncate(time.Millisecond)
	return t.Format("2006-01-02T15:04:05.999")
}

// databaseColumns are what a list of databases can be ordered and filtered by.
var databaseColumns = columns{
	"id": column{database.FieldID, number}, "name": column{database.FieldName, text},
	"environment": column{database.FieldEnvironmentID, number}, "plan": column{database.FieldPlanID, number},
	"created_at": column{database.FieldCreatedAt, instant}, "quarantine_dt": column{database.FieldQuarantinedAt, instant},
	"total_size_in_bytes": column{database.FieldTotalSizeInBytes, number}, "used_size_in_bytes": column{database.FieldUsedSizeInBytes, number},
	"description": column{database.FieldDescription, text},
}

// ListDatabases implements the RPC.
func (a *Admin) ListDatabases(ctx context.Context, req *dbaasv1.ListDatabasesRequest) (*dbaasv1.ListDatabasesResponse, error) {
	v, err := sightOf(ctx)
	if err != nil {
		return nil, err
	}
	where, err := filterDatabases(req.GetFilter())
	if err != nil {
		return nil, err
	}
	q := a.Store.Database.Query().Where(append(where, v.where()...)...)
	var count int
	if len(where) == 0 {
		count, err = v.count(ctx, a.Store)
	} else {
		count, err = q.Clone().Count(ctx)
	}
	if err != nil {
		return nil, err
	}
	p, err := pageOf(req, count)
	if err != nil {
		return nil, err
	}
	offset, limit, fromEnd := p.span()
	q.Order(ordersOf[database.OrderOption](databaseColumns, cmp.Or(req.GetOrdering(), "name"), fromEnd)...)
	rows, err := withParts(q).Limit(limit).Offset(offset).All(ctx)
	if err != nil {
		return nil, err
	}
	if fromEnd {
		slices.Reverse(rows)
	}
	out := &dbaasv1.ListDatabasesResponse{Links: p.links(ctx, databases)}
	for _, row := range rows {
		out.Database = append(out.Database, databaseToProto(linksOf(ctx), row))
	}
	return out, nil
}

// filterDatabases are the conditions of a list: on columns, and on the names
// and numbers of what a database belongs to.
func filterDatabases(filter map[string]string) ([]predicate.Database, error) {
	out, err := conditions[predicate.Database](databaseColumns, filter)
	if err != nil {
		return nil, err
	}
	for name, value := range filter {
		switch name {
		case "project", "team":
			if n, err := strconv.Atoi(value); err == nil {
				out = append(out, database.HasInProjectWith(project.Number(n)))
			} else {
				out = append(out, database.Project(value))
			}
		case "project__name", "team__name":
			out = append(out, database.Project(value))
		case "environment__name":
			out = append(out, database.HasEnvironmentWith(environment.Name(value)))
		case "plan__name":
			out = append(out, database.HasPlanWith(plan.Name(value)))
		case "engine", "engine__engine_type__name":
			out = append(out, database.HasPlanWith(plan.HasEngineWith(engine.EngineType(value))))
		}
	}
	return out, nil
}

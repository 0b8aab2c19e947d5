package dbaas

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/operation"
	"github.com/backplane/backplane/ent/predicate"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/store"
)

func (a *Admin) taskToProto(l linker, row *ent.Operation) *dbaasv1.Task {
	out := &dbaasv1.Task{
		Links: &dbaasv1.Links{Self: l.to(tasks, row.ID)}, Id: int64(row.ID), TaskId: row.TaskID.String(),
		TaskStatus: row.Status, TaskName: row.Kind, ObjectClass: row.ObjectClass, ObjectId: int64(row.ObjectID),
		User: row.Actor, CreatedAt: moment(row.CreatedAt), UpdatedAt: moment(row.UpdatedAt),
		DatabaseName: row.DatabaseName, Rollback: row.Undoing, Relevance: row.Relevance,
		Step: row.StepName, StepsDone: int32(row.Step), Steps: int32(a.ops.Steps(row.Kind)),
		Attempts: int32(row.Attempts), Message: row.Message,
	}
	if row.ObjectClass == classDatabase {
		out.DbId = proto.Int64(int64(row.ObjectID))
		out.Database = &dbaasv1.TaskDatabase{Name: row.DatabaseName, Environment: row.Environment, Engine: row.Engine}
	}
	if row.EndedAt != 0 {
		out.EndedAt = proto.String(moment(row.EndedAt))
	}
	if !row.Finished && row.NextAt != 0 {
		out.NextTryAt = proto.String(moment(row.NextAt))
	}
	if row.DoneBytes != 0 || row.TotalBytes != 0 {
		out.DoneBytes, out.TotalBytes = proto.Int64(row.DoneBytes), proto.Int64(row.TotalBytes)
	}
	return out
}

// taskScope limits a query to the tasks that the caller may see: those of its
// projects. Those of none are for global admins.
func taskScope(ctx context.Context) ([]predicate.Operation, error) {
	scope, err := auth.Where(ctx)
	switch {
	case err != nil:
		return nil, err
	case !scope.All:
		return []predicate.Operation{operation.ProjectIn(scope.Projects...)}, nil
	case !manages(ctx, "") && auth.FromContext(ctx).Username != "":
		return []predicate.Operation{operation.ProjectNEQ("")}, nil
	}
	return nil, nil
}

// taskFor is the task of a number, when the caller may see it.
func (a *Admin) taskFor(ctx context.Context, id int64) (*ent.Operation, error) {
	row, err := a.Store.Operation.Get(ctx, int(id))
	if err != nil {
		return nil, orMissing(err)
	}
	if row.Project == "" && auth.FromContext(ctx).Username != "" && !manages(ctx, "") {
		return nil, missing()
	}
	return row, auth.Allow(ctx, row.Project, missing)
}

// GetTask implements the RPC.
func (a *Admin) GetTask(ctx context.Context, req *dbaasv1.GetTaskRequest) (*dbaasv1.Task, error) {
	row, err := a.taskFor(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return a.taskToProto(linksOf(ctx), row), nil
}

var taskColumns = columns{
	"id": column{operation.FieldID, number}, "task_status": column{operation.FieldStatus, text}, "task_name": column{operation.FieldKind, text},
	"object_class": column{operation.FieldObjectClass, text}, "object_id": column{operation.FieldObjectID, number},
	"user": column{operation.FieldActor, text}, "relevance": column{operation.FieldRelevance, text},
	"created_at": column{operation.FieldCreatedAt, instant}, "updated_at": column{operation.FieldUpdatedAt, instant},
	"ended_at": column{operation.FieldEndedAt, instant}, "database_name": column{operation.FieldDatabaseName, text},
	"rollback": column{operation.FieldUndoing, truth},
}

// ListTasks implements the RPC.
func (a *Admin) ListTasks(ctx context.Context, req *dbaasv1.ListTasksRequest) (*dbaasv1.ListTasksResponse, error) {
	where, err := taskScope(ctx)
	if err != nil {
		return nil, err
	}
	asked, err := filterTasks(req.GetFilter())
	if err != nil {
		return nil, err
	}
	q := a.Store.Operation.Query().Where(append(where, asked...)...)
	rows, links, err := listed(ctx, q, req, taskColumns, "-created_at,-id", tasks)
	if err != nil {
		return nil, err
	}
	out := &dbaasv1.ListTasksResponse{Links: links}
	for _, row := range rows {
		out.Taskhistory = append(out.Taskhistory, a.taskToProto(linksOf(ctx), row))
	}
	return out, nil
}

func filterTasks(filter map[string]string) ([]predicate.Operation, error) {
	out, err := conditions[predicate.Operation](taskColumns, filter)
	if err != nil {
		return nil, err
	}
	if text, ok := filter["task_id"]; ok {
		id, err := uuid.Parse(text)
		if err != nil {
			return nil, errs.Invalid(errs.Field{Path: "task_id", Message: "Enter a valid value."})
		}
		out = append(out, operation.TaskID(id))
	}
	if _, ok := filter["exclude_system_tasks"]; ok {
		out = append(out, operation.ActorNEQ(store.SystemActor))
	}
	return out, nil
}

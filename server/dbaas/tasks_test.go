package dbaas_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/config"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// tasks lists task names and databases, as a caller sees them.
func (h *house) tasks(t *testing.T, api dbaasv1.DatabaseAdminClient, filter map[string]string) string {
	t.Helper()
	res, err := api.ListTasks(h.ctx, &dbaasv1.ListTasksRequest{Filter: filter})
	good(t, err)
	var out []string
	for _, task := range res.GetTaskhistory() {
		out = append(out, task.GetTaskName()+":"+task.GetDatabaseName())
	}
	return strings.Join(out, " ")
}

func TestTasks(t *testing.T) {
	h := newHouse(t, servertest.Options{})
	begun := time.Now().Add(-time.Second).Format("2006-01-02T15:04:05.000")
	db := h.addDatabase(t, "shop")
	h.addDatabase(t, "blog")
	_, err := h.Databases.DeleteDatabase(h.ctx, &dbaasv1.DeleteDatabaseRequest{Id: db.GetId()})
	good(t, err)

	task, err := h.Databases.GetTask(h.ctx, &dbaasv1.GetTaskRequest{Id: 1})
	good(t, err)
	if task.GetTaskName() != "create_database" || task.GetTaskStatus() != "SUCCESS" || task.GetDbId() != db.GetId() ||
		task.GetObjectClass() != "logical_database" || task.GetUser() != "admin" || task.GetRelevance() != "CRITICAL" ||
		task.GetRollback() || task.GetLinks().GetSelf() != "/api/task/1/" {
		t.Errorf("task %v", task)
	}
	if task.GetSteps() == 0 || task.GetSteps() != task.GetStepsDone() || task.NextTryAt != nil {
		t.Errorf("%d of %d steps, tried again at %v", task.GetStepsDone(), task.GetSteps(), task.NextTryAt)
	}
	if task.GetCreatedAt() < begun || task.GetEndedAt() < task.GetCreatedAt() || task.GetUpdatedAt() < task.GetCreatedAt() {
		t.Errorf("times %q %q %q, begun after %q", task.GetCreatedAt(), task.GetUpdatedAt(), task.GetEndedAt(), begun)
	}
	if d := task.GetDatabase(); d.GetName() != "shop" || d.GetEnvironment() != "laboratory" || !strings.HasPrefix(d.GetEngine(), "postgresql 1") {
		t.Errorf("its database %v", d)
	}
	const all = "quarantine_database:shop create_database:blog create_database:shop"
	for name, c := range map[string]struct {
		filter map[string]string
		want   string
	}{
		"all":         {nil, all},
		"task_id":     {map[string]string{"task_id": task.GetTaskId()}, "create_database:shop"},
		"status":      {map[string]string{"task_status": "ERROR"}, ""},
		"statuses":    {map[string]string{"task_status__in": "SUCCESS,ERROR"}, all},
		"name":        {map[string]string{"task_name": "quarantine_database"}, "quarantine_database:shop"},
		"class":       {map[string]string{"object_class": "logical_database", "object_id": "2"}, "create_database:blog"},
		"user":        {map[string]string{"user": "nobody"}, ""},
		"relevance":   {map[string]string{"relevance": "CRITICAL"}, all},
		"since":       {map[string]string{"created_at__gte": begun}, all},
		"before":      {map[string]string{"updated_at__lte": begun}, ""},
		"ended":       {map[string]string{"ended_at__gte": begun}, all},
		"database":    {map[string]string{"database_name": "blog"}, "create_database:blog"},
		"no system's": {map[string]string{"exclude_system_tasks": "1"}, all},
	} {
		if got := h.tasks(t, h.Databases, c.filter); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	_, err = h.Databases.ListTasks(h.ctx, &dbaasv1.ListTasksRequest{Filter: map[string]string{"task_id": "1"}})
	refused(t, err, errs.ValidationFailed, "task_id", "Enter a valid value.")
	_, err = h.Databases.GetTask(h.ctx, &dbaasv1.GetTaskRequest{Id: 99})
	notFound(t, err)
}

// Tasks are seen in the projects that they belong to.
func TestTasksOfCallers(t *testing.T) {
	h := newHouse(t, servertest.Options{})
	blue := h.addNumbered(t, "blue")
	h.addDatabase(t, "shop")
	ann := h.as(t, h.AddUser(t, "ann", servertest.Role("editor", "blue")))
	_, err := ann.CreateDatabase(h.ctx, &dbaasv1.CreateDatabaseRequest{
		Name: "blog", Plan: h.plan.GetLinks().GetSelf(), Environment: h.env.GetLinks().GetSelf(), Project: blue.GetLinks().GetSelf(),
	})
	good(t, err)
	if got := h.tasks(t, ann, nil); got != "create_database:blog" {
		t.Errorf("ann sees %q", got)
	}
	_, err = ann.GetTask(h.ctx, &dbaasv1.GetTaskRequest{Id: 1})
	notFound(t, err)
	task, err := ann.GetTask(h.ctx, &dbaasv1.GetTaskRequest{Id: 2})
	good(t, err)
	if task.GetUser() != "ann" {
		t.Errorf("task %v", task)
	}
	stream, err := ann.WatchTasks(h.ctx, &dbaasv1.WatchTasksRequest{Id: 1})
	good(t, err)
	_, err = stream.Recv()
	notFound(t, err)
}

// watched collects what a watch sends until it ends, or until enough.
func watched(t *testing.T, stream grpc.ServerStreamingClient[dbaasv1.WatchTasksResponse], enough func(*dbaasv1.Task) bool) []*dbaasv1.Task {
	t.Helper()
	var out []*dbaasv1.Task
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out
		}
		good(t, err)
		if out = append(out, m.GetTask()); enough(m.GetTask()) {
			return out
		}
	}
}

func isOver(name string) func(*dbaasv1.Task) bool {
	return func(task *dbaasv1.Task) bool {
		return task.GetDatabaseName() == name && task.GetTaskStatus() == "SUCCESS"
	}
}

// watch opens a watch and waits until it has begun.
func (h *house) watch(ctx context.Context, t *testing.T, req *dbaasv1.WatchTasksRequest) grpc.ServerStreamingClient[dbaasv1.WatchTasksResponse] {
	t.Helper()
	stream, err := h.Databases.WatchTasks(ctx, req)
	good(t, err)
	_, err = stream.Header()
	good(t, err)
	return stream
}

// A watch shows what moves on, and first what is under way; that of one task
// ends with it.
func TestWatchTasks(t *testing.T) {
	h := newHouse(t, servertest.Options{})
	h.addDatabase(t, "before")
	ctx, cancel := context.WithCancel(h.ctx)
	defer cancel()
	all := h.watch(ctx, t, &dbaasv1.WatchTasksRequest{})
	h.addDatabase(t, "shop")
	seen := watched(t, all, isOver("shop"))
	for i, task := range seen {
		if task.GetDatabaseName() != "shop" || i > 0 && task.GetStepsDone() < seen[i-1].GetStepsDone() {
			t.Errorf("the watch shows %v", seen)
		}
	}

	h.postgres.Stop()
	short, stop := context.WithTimeout(h.ctx, 2*time.Second)
	_, err := h.Databases.CreateDatabase(short, &dbaasv1.CreateDatabaseRequest{
		Name: "later", Plan: h.plan.GetLinks().GetSelf(), Environment: h.env.GetLinks().GetSelf(),
	})
	stop()
	if err == nil {
		t.Fatal("a database was made on a server that is not there")
	}
	stuck := watched(t, h.watch(ctx, t, &dbaasv1.WatchTasksRequest{}), func(task *dbaasv1.Task) bool { return task.GetTaskStatus() == "WARNING" })
	last := stuck[len(stuck)-1]
	if last.GetDatabaseName() != "later" || last.NextTryAt == nil || last.GetAttempts() == 0 || last.GetMessage() == "" {
		t.Errorf("the task that waits: %v", last)
	}
	one := h.watch(h.ctx, t, &dbaasv1.WatchTasksRequest{Id: last.GetId()})
	h.postgres.Restart(t)
	states := watched(t, one, func(*dbaasv1.Task) bool { return false })
	if end := states[len(states)-1]; end.GetTaskStatus() != "SUCCESS" || end.GetId() != last.GetId() || end.EndedAt == nil {
		t.Errorf("the watch of one task ended with %v", end)
	}
	if again := watched(t, h.watch(h.ctx, t, &dbaasv1.WatchTasksRequest{Id: 1}), func(*dbaasv1.Task) bool { return false }); len(again) != 1 {
		t.Errorf("the watch of a task that has ended shows %v", again)
	}
}

// A watch ends with the server, and with the rights of its caller.
func TestWatchTasksEnds(t *testing.T) {
	h := newHouse(t, servertest.Options{})
	h.addNumbered(t, "blue")
	ann := h.as(t, h.AddUser(t, "ann", servertest.Role("viewer", "blue"), servertest.Role("viewer", "default")))
	stream, err := ann.WatchTasks(h.ctx, &dbaasv1.WatchTasksRequest{})
	good(t, err)
	_, err = stream.Header()
	good(t, err)
	h.Do(t, http.MethodPut, "/api/users/ann", object{"roles": []object{servertest.Role("viewer", "blue")}}).Data(t)
	h.addDatabase(t, "shop")
	_, err = stream.Recv()
	refused(t, err, errs.Unavailable, "", "Your rights have changed")

	all := h.watch(h.ctx, t, &dbaasv1.WatchTasksRequest{})
	h.Stop()
	_, err = all.Recv()
	refused(t, err, errs.Unavailable, "", "shutting down")
}

// A watch sees what other processes on the same store do.
func TestWatchTasksOfOthers(t *testing.T) {
	pg := testbed.StartPostgres(t, testbed.PostgresOptions{})
	pg.Exec(t, "CREATE DATABASE backplane")
	o := servertest.Options{Store: pg.AdminURL("backplane"), Adjust: func(c *config.Config) { c.MasterKey = strings.Repeat("7a", 32) }}
	h := newHouse(t, o)
	second := servertest.Start(t, o)
	stream, err := second.Databases.WatchTasks(h.ctx, &dbaasv1.WatchTasksRequest{})
	good(t, err)
	_, err = stream.Header()
	good(t, err)
	h.addDatabase(t, "shop")
	seen := watched(t, stream, isOver("shop"))
	if id := strconv.FormatInt(seen[0].GetId(), 10); seen[0].GetLinks().GetSelf() != "/api/task/"+id+"/" {
		t.Errorf("the watch shows %v", seen)
	}
}

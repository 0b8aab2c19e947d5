package server_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// holdings are databases, and what belongs to them, in three projects.
type holdings struct {
	*estate
	callers []*person
	numbers map[string]string   // of projects, by name
	ids     map[string][]string // of what is in a project, by collection and project
}

// insideDatabase is the name of a database in a project, and quarantinedIn that
// of one in quarantine.
func insideDatabase(project string, n int) string { return fmt.Sprintf("inside_%s_%d", project, n) }

func quarantinedIn(project string) string { return "quarantined_" + project }

// hold makes three databases in each of three projects, each with two logins
// and one of them with a snapshot, and one in quarantine.
func hold(t *testing.T) *holdings {
	t.Helper()
	s := start(t)
	s.AddProject(t, "a", "b")
	callers := slices.DeleteFunc(people(t, s), func(p *person) bool { return p.stranger })
	h := &holdings{estate: newEstate(t, s), callers: callers, numbers: map[string]string{}, ids: map[string][]string{}}
	for _, project := range projectNames {
		h.numbers[project] = h.projectNumber(t, project)
		note := func(collection, id string) {
			h.ids[collection+" "+project] = append(h.ids[collection+" "+project], id)
		}
		note("project", h.numbers[project])
		note("team", h.numbers[project])
		for n := range 3 {
			db := h.addDatabase(t, project, insideDatabase(project, n))
			note("database", fmt.Sprint(db.GetId()))
			note("credential", tail(db.GetCredentials()[0]))
			note("credential", fmt.Sprint(h.addCredential(t, db, "more", "").GetId()))
			note("snapshot", fmt.Sprint(h.addSnapshot(t, db.GetId()).GetId()))
		}
		db := h.addQuarantined(t, project, quarantinedIn(project))
		note("hidden database", fmt.Sprint(db.GetId()))
		note("hidden credential", tail(db.GetCredentials()[0]))
	}
	out, err := h.Databases.ListTasks(h.ctx, &dbaasv1.ListTasksRequest{PageSize: "100"})
	good(t, err)
	for _, task := range out.GetTaskhistory() {
		for _, project := range projectNames {
			if strings.HasPrefix(task.GetDatabaseName(), insideDatabase(project, 0)[:len(insideDatabase(project, 0))-1]) || task.GetDatabaseName() == quarantinedIn(project) {
				h.ids["task "+project] = append(h.ids["task "+project], fmt.Sprint(task.GetId()))
			}
		}
	}
	return h
}

// lists are the collections that projects limit, with the key of their lists.
var lists = map[string]string{
	"database": "database", "credential": "credential", "snapshot": "snapshot", "task": "taskhistory", "project": "project", "team": "team",
}

// holds are the ids in a collection that a person may see.
func (h *holdings) holds(p *person, collection string) (ids []string) {
	for _, project := range p.sees("viewer") {
		ids = append(ids, h.ids[collection+" "+project]...)
	}
	for _, project := range p.sees("admin") {
		ids = append(ids, h.ids["hidden "+collection+" "+project]...)
	}
	slices.Sort(ids)
	return ids
}

// databasePage is a page of any list.
type databasePage struct {
	count      int
	next, prev string
	ids        []string
}

// page reads a page of a list as a person.
func (h *holdings) page(t *testing.T, p *person, collection, query string) databasePage {
	t.Helper()
	a := h.Do(t, "GET", "/api/"+collection+"/?"+query, nil, "Authorization", p.bearer)
	if a.Status != 200 {
		t.Fatalf("%s?%s answers %d %s", collection, query, a.Status, a.Body)
	}
	var body map[string]json.RawMessage
	var links struct {
		Count          int
		Next, Previous *string
	}
	var items []struct{ ID int }
	for _, err := range []error{json.Unmarshal(a.Body, &body), json.Unmarshal(body["_links"], &links), json.Unmarshal(body[lists[collection]], &items)} {
		if err != nil {
			t.Fatalf("%s?%s answers %v: %s", collection, query, err, a.Body)
		}
	}
	out := databasePage{count: links.Count}
	if links.Next != nil {
		out.next = *links.Next
	}
	if links.Previous != nil {
		out.prev = *links.Previous
	}
	for _, item := range items {
		out.ids = append(out.ids, fmt.Sprint(item.ID))
	}
	return out
}

// TestDatabaseListsShowWhatMayBeSeen lists everything as everybody: pages,
// counts, filters and orders tell of nothing that is hidden.
func TestDatabaseListsShowWhatMayBeSeen(t *testing.T) {
	t.Parallel()
	h := hold(t)
	for _, p := range h.callers {
		t.Run(p.name, func(t *testing.T) {
			var wideners []string // tried by one of every kind
			if slices.Contains([]string{"editor", "viewer-a", "admin-b", "powerless"}, p.name) {
				wideners = h.wideners()
			}
			for collection := range lists {
				want := h.holds(p, collection)
				for _, ordering := range []string{"", "id", "-id", "name,-project", "-password", "database__project", "sealed,-pending,location"} {
					got := h.page(t, p, collection, "page_size=100&ordering="+ordering)
					slices.Sort(got.ids)
					if !slices.Equal(got.ids, want) || got.count != len(want) || got.next != "" || got.prev != "" {
						t.Errorf("%s in the order %q shows %v of %d, want %v", collection, ordering, got.ids, got.count, want)
					}
				}
				for _, query := range wideners {
					got := h.page(t, p, collection, "page_size=100&"+query)
					if got.count != len(got.ids) {
						t.Errorf("%s?%s counts %d and shows %d", collection, query, got.count, len(got.ids))
					}
					for _, id := range got.ids {
						if !slices.Contains(want, id) {
							t.Errorf("%s?%s shows %s, which is hidden", collection, query, id)
						}
					}
				}
				h.wantDatabasePages(t, p, collection, want)
				h.wantSameOverGRPC(t, p, collection, want)
			}
			h.wantFiltered(t, p)
		})
	}
}

// wideners are filters that someone might try so as to see more.
func (h *holdings) wideners() []string {
	out := []string{
		"name__contains=inside", "name__contains=", "name__in=" + insideDatabase("b", 0) + "," + insideDatabase("a", 0), "name__gte=", "name__startswith=%25",
		"name__icontains=INSIDE", "id__gte=0", "id__lt=100000", "database_name__contains=_", "database__name=" + insideDatabase("b", 1),
		"database__project=b", "credential__user=more", "user=more", "user__contains=", "environment__name=laboratory", "engine=redis",
		"status=SUCCESS", "status=DELETING", "task_status=SUCCESS", "task_name=create_database", "object_class=logical_database", "username=chief", "username=admin-b",
		"password__contains=a", "sealed__contains=a", "project__in=a,b,default", "project__contains=", "project=%27%20OR%201%3D1%20--", "or=1", "page=1", "page=last",
	}
	for _, project := range projectNames {
		for _, name := range []string{"project", "team", "project__name", "team__name"} {
			out = append(out, name+"="+project, name+"="+h.numbers[project])
		}
		for _, collection := range []string{"database", "credential", "snapshot", "task"} {
			out = append(out, "id="+h.ids[collection+" "+project][0], "id__in="+strings.Join(h.ids[collection+" "+project], ","))
		}
		// A list below a database that is not there for the caller is not there
		// either; see TestTenants.
		out = append(out, "object_id="+h.ids["database "+project][0], "db_id="+h.ids["database "+project][0])
		out = append(out, "name="+insideDatabase(project, 0), "database_name="+insideDatabase(project, 0), "database_name="+quarantinedIn(project), "name="+quarantinedIn(project))
	}
	return out
}

// wantFiltered checks that filters find what may be seen: a test that finds
// nothing at all would be of no use.
func (h *holdings) wantFiltered(t *testing.T, p *person) {
	t.Helper()
	for _, project := range projectNames {
		sees := slices.Contains(p.sees("viewer"), project)
		for query, n := range map[string]int{
			"database project=" + project: 3, "database project=" + h.numbers[project]: 3, "database name=" + insideDatabase(project, 1): 1,
			"credential database=" + h.ids["database "+project][0]: 2, "credential database=" + insideDatabase(project, 2): 2,
			"snapshot database_name=" + insideDatabase(project, 0): 1, "task database_name=" + insideDatabase(project, 0): 3,
			"project name=" + project: 1, "team name=" + project: 1,
			"database environment__name=laboratory&name=" + insideDatabase(project, 0): 1, "database environment__name=no&name=" + insideDatabase(project, 0): 0,
			"database plan__name=small&name=" + insideDatabase(project, 0): 1, "database plan__name=no&name=" + insideDatabase(project, 0): 0,
		} {
			collection, filter, _ := strings.Cut(query, " ")
			if strings.HasPrefix(filter, "project=") && slices.Contains(p.sees("admin"), project) {
				n++ // the one in quarantine
			}
			if !sees {
				n = 0
			}
			if got := h.page(t, p, collection, filter); got.count != n || len(got.ids) != n {
				t.Errorf("%s shows %v of %d, want %d", query, got.ids, got.count, n)
			}
		}
	}
}

// wantDatabasePages walks a list one by one along its links.
func (h *holdings) wantDatabasePages(t *testing.T, p *person, collection string, want []string) {
	t.Helper()
	var ids []string
	query := "page_size=2"
	for before := ""; query != ""; {
		got := h.page(t, p, collection, query)
		if got.count != len(want) || got.next != "" && len(got.ids) != 2 || got.prev != before {
			t.Fatalf("%s?%s has %v of %d, before it %q", collection, query, got.ids, got.count, got.prev)
		}
		ids = append(ids, got.ids...)
		u, err := url.Parse(got.next)
		if err != nil {
			t.Fatal(err)
		}
		before = fmt.Sprintf("%s/api/%s/?page=%d&page_size=2", h.URL, collection, (len(ids)+1)/2)
		query = u.RawQuery
	}
	slices.Sort(ids)
	if !slices.Equal(ids, want) {
		t.Errorf("the pages of %s have %v, want %v", collection, ids, want)
	}
	past := h.Do(t, "GET", fmt.Sprintf("/api/%s/?page=%d&page_size=1", collection, max(1, len(want))+1), nil, "Authorization", p.bearer)
	if past.Status != 404 {
		t.Errorf("the page after the last one of %s answers %d", collection, past.Status)
	}
}

// wantSameOverGRPC makes the same of the lists over gRPC.
func (h *holdings) wantSameOverGRPC(t *testing.T, p *person, collection string, want []string) {
	t.Helper()
	d, c := dbaasv1.NewDatabaseAdminClient(p.conns[p.bearer]), dbaasv1.NewCredentialAdminClient(p.conns[p.bearer])
	ctx := servertest.Context(t)
	var links *dbaasv1.ListLinks
	var ids []string
	var err error
	note := func(id int64) { ids = append(ids, fmt.Sprint(id)) }
	switch collection {
	case "database":
		var out *dbaasv1.ListDatabasesResponse
		out, err = d.ListDatabases(ctx, &dbaasv1.ListDatabasesRequest{PageSize: "100"})
		links = out.GetLinks()
		for _, r := range out.GetDatabase() {
			note(r.GetId())
		}
	case "credential":
		var out *dbaasv1.ListCredentialsResponse
		out, err = c.ListCredentials(ctx, &dbaasv1.ListCredentialsRequest{PageSize: "100"})
		links = out.GetLinks()
		for _, r := range out.GetCredential() {
			note(r.GetId())
		}
	case "snapshot":
		var out *dbaasv1.ListSnapshotsResponse
		out, err = d.ListSnapshots(ctx, &dbaasv1.ListSnapshotsRequest{PageSize: "100"})
		links = out.GetLinks()
		for _, r := range out.GetSnapshot() {
			note(r.GetId())
		}
	case "task":
		var out *dbaasv1.ListTasksResponse
		out, err = d.ListTasks(ctx, &dbaasv1.ListTasksRequest{PageSize: "100"})
		links = out.GetLinks()
		for _, r := range out.GetTaskhistory() {
			note(r.GetId())
		}
	case "project":
		var out *dbaasv1.ListDatabaseProjectsResponse
		out, err = d.ListDatabaseProjects(ctx, &dbaasv1.ListDatabaseProjectsRequest{PageSize: "100"})
		links = out.GetLinks()
		for _, r := range out.GetProject() {
			note(r.GetId())
		}
	case "team":
		var out *dbaasv1.ListTeamsResponse
		out, err = d.ListTeams(ctx, &dbaasv1.ListTeamsRequest{PageSize: "100"})
		links = out.GetLinks()
		for _, r := range out.GetTeam() {
			note(r.GetId())
		}
	}
	good(t, err)
	slices.Sort(ids)
	if !slices.Equal(ids, want) || links.GetCount() != int64(len(want)) {
		t.Errorf("over gRPC %s has %v of %d, want %v", collection, ids, links.GetCount(), want)
	}
}

// TestTaskWatchesShowWhatMayBeSeen opens every watch as everybody, has work done
// in every project, and looks at all that came.
func TestTaskWatchesShowWhatMayBeSeen(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.AddProject(t, "a", "b")
	callers := slices.DeleteFunc(people(t, s), func(p *person) bool { return p.stranger })
	e := newEstate(t, s)
	type opened struct {
		what  string
		sees  []string
		until func() []byte
	}
	var watches []opened
	last := func(projects []string) string { return insideDatabase(projects[len(projects)-1], 2) }
	for _, p := range callers {
		if sees := p.sees("viewer"); len(sees) > 0 {
			watches = append(watches,
				opened{p.name + " SSE", sees, eventsUntil(t, s, "/api/task/watch/", p.bearer, last(sees))},
				opened{p.name + " gRPC", sees, taskChangesUntil(t, p, last(sees))})
		}
	}
	for _, project := range projectNames {
		for n := range 3 {
			e.addDatabase(t, project, insideDatabase(project, n))
		}
	}
	for _, w := range watches {
		text := string(w.until())
		for _, project := range projectNames {
			for n := range 3 {
				if got, want := strings.Contains(text, insideDatabase(project, n)), slices.Contains(w.sees, project); got != want {
					t.Errorf("%s: shows %s: %v, want %v\n%s", w.what, insideDatabase(project, n), got, want, text)
				}
			}
		}
	}
}

func taskChangesUntil(t *testing.T, p *person, last string) func() []byte {
	t.Helper()
	w, err := dbaasv1.NewDatabaseAdminClient(p.conns[p.bearer]).WatchTasks(servertest.Context(t), &dbaasv1.WatchTasksRequest{})
	good(t, err)
	if _, err := w.Header(); err != nil {
		t.Fatal(err)
	}
	return messagesUntil(t, last, w.Recv)
}

// TestServicesOfPlansAreHidden: which services a plan has its databases made on
// is shown to global admins alone, and the services only to those who may see
// them in the catalogue: not even their names are told by what is made on them,
// or fails there.
func TestServicesOfPlansAreHidden(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.AddProject(t, "a", "b")
	callers := slices.DeleteFunc(people(t, s), func(p *person) bool { return p.stranger })
	redis := testbed.StartRedis(t, testbed.RedisOptions{Password: redisPassword})
	e := estateAt(t, s, redis.Port)
	s.Create(t, sqlite("somewhere", "project", "a")) // takes the name in the catalogue
	for _, name := range []string{"somewhere", "elsewhere"} {
		a := s.Do(t, "POST", "/api/database/", object{
			"name": name, "plan": e.plan, "environment": e.environment, "project": e.projectURL(t, "a"), "register": true,
		})
		if a.Status != 201 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
	}
	redis.Stop()
	for _, p := range callers {
		body := object{"name": "late_" + p.name, "plan": e.plan, "environment": e.environment}
		if p.project == "a" {
			body["project"] = e.projectURL(t, "a")
		}
		late := s.Do(t, "POST", "/api/database/", body, "Authorization", p.bearer)
		if want := map[bool]int{true: 503, false: 403}[len(p.sees("editor")) > 0]; late.Status != want {
			t.Errorf("%s makes a database on a server that is away: %d %s", p.name, late.Status, late.Body)
		}
		inCatalogue := slices.Contains(p.sees("viewer"), "default")
		if !inCatalogue && strings.Contains(string(late.Body), serviceName) {
			t.Errorf("%s is told the name of the service: %s", p.name, late.Body)
		}
		for _, path := range []string{"/api/plan/", e.plan, "/api/engine/", e.engine, "/api/database/", "/api/task/", "/api/services"} {
			a := s.Do(t, "GET", path, nil, "Authorization", p.bearer)
			if a.Status != 200 {
				t.Fatalf("%s answers %d %s", path, a.Status, a.Body)
			}
			ofPlans := path != "/api/database/" && path != "/api/task/" && path != "/api/services"
			if shown := strings.Contains(string(a.Body), e.service); shown != (p.name == "chief" && ofPlans || inCatalogue && path == "/api/services") {
				t.Errorf("%s: %s shows the service: %v\n%s", p.name, path, shown, a.Body)
			}
			if !inCatalogue && strings.Contains(string(a.Body), serviceName) {
				t.Errorf("%s: %s shows the name of the service\n%s", p.name, path, a.Body)
			}
		}
		_, err := catalogv1.NewServiceCatalogClient(p.conns[p.bearer]).GetService(e.ctx, &catalogv1.GetServiceRequest{Id: e.service})
		if (err == nil) != inCatalogue {
			t.Errorf("%s: the service itself: %v", p.name, err)
		}
	}
}

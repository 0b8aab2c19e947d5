package server_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/servertest"
)

// inside is a word that everything in a project has in its name.
func inside(project string) string { return "inside-" + project }

// populated is a server with three services in each of three projects.
func populated(t *testing.T) (*servertest.Server, []*person) {
	t.Helper()
	s := start(t)
	s.AddProject(t, "a", "b")
	for _, project := range []string{"a", "b", "default"} {
		for n := range 3 {
			s.Create(t, sqlite(fmt.Sprintf("%s-%d", inside(project), n), "project", project, "tags", []string{inside(project)}))
		}
	}
	callers := people(t, s)
	return s, slices.DeleteFunc(callers, func(p *person) bool { return p.stranger })
}

// sees are the projects that a person sees with the role, or a higher one.
func (p *person) sees(role string) (projects []string) {
	ranks := []string{"", "viewer", "editor", "admin"}
	for _, project := range []string{"a", "b", "default"} {
		if p.role != "" && slices.Index(ranks, p.role) >= slices.Index(ranks, role) && (p.project == "" || p.project == project) {
			projects = append(projects, project)
		}
	}
	return projects
}

// wantProjects looks in a text for what is inside of projects: three times
// something of each that is seen, and nothing of the others.
func wantProjects(t *testing.T, what string, text []byte, seen []string, path string) {
	t.Helper()
	for _, project := range []string{"a", "b", "default"} {
		want := slices.Contains(seen, project) && (path == "" || path == project)
		names := 0
		for n := range 3 {
			if strings.Contains(string(text), fmt.Sprintf("%s-%d", inside(project), n)) {
				names++
			}
		}
		if want && names != 3 || !want && strings.Contains(string(text), inside(project)) {
			t.Errorf("%s: shows %d of project %s, want it shown: %v\n%s", what, names, project, want, text)
		}
	}
}

func TestListsShowWhatMayBeSeen(t *testing.T) {
	t.Parallel()
	s, callers := populated(t)
	for _, p := range callers {
		t.Run(p.name, func(t *testing.T) {
			get := func(verb, path string) []byte {
				return s.Do(t, verb, path, nil, "Authorization", p.bearer).Body
			}
			for _, query := range []string{"", "?q=inside", "?service_type=sqlite", "?enabled=true", "?index=0", "?limit=1000"} {
				wantProjects(t, query, get("GET", "/api/services"+query), p.sees("viewer"), "")
			}
			for _, project := range []string{"a", "b", "default"} {
				for _, query := range []string{"project=" + project, "tag=" + inside(project), "q=" + inside(project)} {
					wantProjects(t, query, get("GET", "/api/services?"+query), p.sees("viewer"), project)
				}
				if len(p.sees("editor")) > 0 {
					wantProjects(t, "test-all", get("POST", "/api/services/test-all?project="+project), p.sees("editor"), project)
				}
			}
			wantPages(t, s, p)
			if len(p.sees("editor")) > 0 {
				wantProjects(t, "test-all", get("POST", "/api/services/test-all"), p.sees("editor"), "")
			}
			if len(p.sees("admin")) > 0 {
				wantProjects(t, "audit", get("GET", "/api/audit?limit=1000"), p.sees("admin"), "")
				wantProjects(t, "audit of services", get("GET", "/api/audit?action=CreateService"), p.sees("admin"), "")
			}
			var names []string
			for _, o := range s.Do(t, "GET", "/api/projects", nil, "Authorization", p.bearer).List(t) {
				names = append(names, o["name"].(string))
			}
			if !slices.Equal(names, p.sees("viewer")) {
				t.Errorf("projects are %v, want %v", names, p.sees("viewer"))
			}
		})
	}
}

// wantPages walks the list one by one: what is hidden must not cost a place on
// a page, and the last page must say that it is.
func wantPages(t *testing.T, s *servertest.Server, p *person) {
	t.Helper()
	var names []string
	for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
		a := s.Do(t, "GET", "/api/services?limit=1&cursor="+cursor, nil, "Authorization", p.bearer)
		for _, o := range a.List(t) {
			names = append(names, o["name"].(string))
		}
		if cursor = a.Header.Get("X-Next-Cursor"); cursor != "" && len(a.List(t)) != 1 {
			t.Fatalf("page %d has %s", pages, a.Body)
		}
	}
	if len(names) != 3*len(p.sees("viewer")) {
		t.Errorf("the pages have %v", names)
	}
}

// TestWatchesShowWhatMayBeSeen opens every watch as everybody, makes changes in
// every project, and looks at all that came.
func TestWatchesShowWhatMayBeSeen(t *testing.T) {
	t.Parallel()
	s, callers := populated(t)
	type opened struct {
		what  string
		sees  []string
		until func() []byte // everything, up to the change of the last project that is seen
	}
	var watches []opened
	last := func(projects []string) string { return inside(projects[len(projects)-1]) + "-2" }
	for _, p := range callers {
		if sees := p.sees("viewer"); len(sees) > 0 {
			watches = append(watches,
				opened{p.name + " services SSE", sees, eventsUntil(t, s, "/api/services/watch", p.bearer, last(sees))},
				opened{p.name + " services gRPC", sees, serviceChangesUntil(t, p, last(sees))})
		}
		if sees := p.sees("admin"); len(sees) > 0 {
			watches = append(watches,
				opened{p.name + " audit SSE", sees, eventsUntil(t, s, "/api/audit/watch", p.bearer, last(sees))},
				opened{p.name + " audit gRPC", sees, recordsUntil(t, p, last(sees))})
		}
	}
	for _, o := range s.Do(t, "GET", "/api/services", nil).List(t) {
		s.Do(t, "DELETE", "/api/services/"+o["id"].(string), nil).Good(t)
	}
	for _, w := range watches {
		wantProjects(t, w.what, w.until(), w.sees, "")
	}
}

func eventsUntil(t *testing.T, s *servertest.Server, path, authorization, last string) func() []byte {
	t.Helper()
	req, err := servertest.NewRequest("GET", s.URL+path, nil, "Authorization", authorization)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(servertest.Context(t))
	t.Cleanup(cancel)
	resp, err := s.Client.Do(req.WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d", path, resp.StatusCode)
	}
	return func() (text []byte) {
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() && !strings.Contains(lines.Text(), last) {
			text = append(append(text, lines.Bytes()...), '\n')
		}
		return append(text, lines.Bytes()...)
	}
}

func messagesUntil[M proto.Message](t *testing.T, last string, next func() (M, error)) func() []byte {
	return func() (text []byte) {
		for {
			m, err := next()
			if err != nil {
				t.Error(err)
				return text
			}
			one, err := protojson.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			if text = append(text, one...); strings.Contains(string(one), last) {
				return text
			}
		}
	}
}

func serviceChangesUntil(t *testing.T, p *person, last string) func() []byte {
	t.Helper()
	w, err := catalogv1.NewServiceCatalogClient(p.conns[p.bearer]).WatchServices(servertest.Context(t), &catalogv1.WatchServicesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Header(); err != nil {
		t.Fatal(err)
	}
	return messagesUntil(t, last, w.Recv)
}

func recordsUntil(t *testing.T, p *person, last string) func() []byte {
	t.Helper()
	w, err := identityv1.NewIdentityAdminClient(p.conns[p.bearer]).WatchAudit(servertest.Context(t), &identityv1.WatchAuditRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Header(); err != nil {
		t.Fatal(err)
	}
	return messagesUntil(t, last, w.Recv)
}

// TestLongPollWaitsForWhatMayBeSeen: changes elsewhere neither answer a poll
// that begins after them nor one that is waiting.
func TestLongPollWaitsForWhatMayBeSeen(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.AddProject(t, "a", "b")
	viewer := s.SignIn(t, s.AddUser(t, "viewer", servertest.Role("viewer", "a")))
	index := s.Do(t, "GET", "/api/services", nil).Header.Get("X-Index")
	s.Create(t, sqlite("elsewhere", "project", "b"))
	answered := make(chan servertest.Answer, 1)
	go func() {
		a, err := s.Try("GET", "/api/services?wait=5m&index="+index, nil, "Authorization", viewer)
		if err != nil {
			t.Error(err)
		}
		answered <- a
	}()
	wantWatchers(t, s, 1)
	s.Create(t, sqlite("elsewhere too", "project", "b"))
	s.AddUser(t, "somebody") // which concerns nobody here
	s.Create(t, sqlite("here", "project", "a"))
	if list := (<-answered).List(t); len(list) != 1 || list[0]["name"] != "here" {
		t.Errorf("the poll is answered with %v", list)
	}
}

// TestWaitingEndsWithTheRight: whoever loses a right while waiting gets nothing
// by it any more.
func TestWaitingEndsWithTheRight(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.AddProject(t, "a", "b")
	for _, lose := range []struct{ name, verb, path, body string }{
		{"demoted", "PUT", "/api/users/demoted", `{"roles":[{"role":"viewer","project":"b"}]}`},
		{"disabled", "PUT", "/api/users/disabled", `{"enabled":false}`},
		{"new password", "PUT", "/api/users/new-password", `{"password":"another one"}`},
		{"deleted", "DELETE", "/api/users/deleted", ""},
	} {
		t.Run(lose.name, func(t *testing.T) {
			name := strings.ReplaceAll(lose.name, " ", "-")
			p := &person{bearer: s.SignIn(t, s.AddUser(t, name, servertest.Role("admin", "a")))}
			conn := servertest.Dial(t, s.GRPC, p.bearer)
			services, err := catalogv1.NewServiceCatalogClient(conn).WatchServices(servertest.Context(t), &catalogv1.WatchServicesRequest{})
			if err != nil {
				t.Fatal(err)
			}
			records, err := identityv1.NewIdentityAdminClient(conn).WatchAudit(servertest.Context(t), &identityv1.WatchAuditRequest{})
			if err != nil {
				t.Fatal(err)
			}
			for _, begun := range []func() (metadata.MD, error){services.Header, records.Header} {
				if _, err := begun(); err != nil {
					t.Fatal(err)
				}
			}
			index := s.Do(t, "GET", "/api/services", nil).Header.Get("X-Index")
			polled := make(chan servertest.Answer, 1)
			go func() {
				a, err := s.Try("GET", "/api/services?wait=5m&index="+index, nil, "Authorization", p.bearer)
				if err != nil {
					t.Error(err)
				}
				polled <- a
			}()
			wantWatchers(t, s, 2)
			var body any
			if lose.body != "" {
				body = lose.body
			}
			s.Do(t, lose.verb, lose.path, body).Good(t)
			s.Create(t, sqlite(name, "project", "a"))
			code, reason, status := codes.Unauthenticated, errs.Unauthenticated, 401
			if lose.name == "demoted" {
				code, reason, status = codes.Unavailable, errs.Unavailable, 503
			}
			if m, err := services.Recv(); m != nil {
				t.Errorf("the watch of services shows %v", m)
			} else {
				wantCode(t, err, code, reason)
			}
			if m, err := records.Recv(); m != nil {
				t.Errorf("the watch of the audit trail shows %v", m)
			} else {
				wantCode(t, err, code, reason)
			}
			if a := <-polled; a.Status != status {
				t.Errorf("the long poll is answered with %d %s", a.Status, a.Body)
			}
		})
	}
}

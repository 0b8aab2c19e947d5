package server_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	"github.com/backplane/backplane/internal/config"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// wantKeys compares the keys of an object, and leaves the values to others.
func wantKeys(t *testing.T, o object, keys ...string) {
	t.Helper()
	var got []string
	for k := range o {
		got = append(got, k)
	}
	slices.Sort(got)
	slices.Sort(keys)
	if !slices.Equal(got, keys) {
		t.Errorf("the keys are %v, want %v", got, keys)
	}
}

func TestUserLifecycle(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.Do(t, "POST", "/api/projects", `{"name":"web"}`).Data(t)
	made := s.Do(t, "POST", "/api/users", `{"username":"ann","password":"first password","roles":[{"role":"editor","project":"web"},{"role":"viewer"}]}`).Data(t)
	wantKeys(t, made, "username", "roles", "enabled", "created_at", "updated_at")
	if made["username"] != "ann" || made["enabled"] != true || rolesOf(made) != "editor web, viewer" || made["created_at"] != made["updated_at"] {
		t.Errorf("created %v", made)
	}
	if got := s.Do(t, "GET", "/api/users/ann", nil).Data(t); fmt.Sprint(got) != fmt.Sprint(made) {
		t.Errorf("got %v, created %v", got, made)
	}
	var names []string
	for _, u := range s.Do(t, "GET", "/api/users", nil).List(t) {
		names = append(names, u["username"].(string))
		wantKeys(t, u, "username", "roles", "enabled", "created_at", "updated_at")
	}
	if !slices.Equal(names, []string{"admin", "ann"}) {
		t.Errorf("the list is %v", names)
	}
	login := servertest.Basic("ann", "first password")
	if who := s.Do(t, "GET", "/api/whoami", nil, "Authorization", login).Data(t); who["username"] != "ann" || rolesOf(who) != "editor web, viewer" {
		t.Errorf("she is %v", who)
	}
	// A new password takes the place of the old one at once.
	s.Do(t, "PUT", "/api/users/ann", `{"password":"second password"}`, "Authorization", login).Data(t)
	wantError(t, s.Do(t, "GET", "/api/whoami", nil, "Authorization", login), 401, errs.Unauthenticated)
	login = servertest.Basic("ann", "second password")
	s.Do(t, "GET", "/api/whoami", nil, "Authorization", login).Data(t)
	// So do roles, and an end.
	s.Do(t, "POST", "/api/services", sqlite("hers", "project", "web"), "Authorization", login).Data(t)
	s.Do(t, "PUT", "/api/users/ann", `{"roles":[{"role":"viewer","project":"web"}]}`).Data(t)
	wantError(t, s.Do(t, "POST", "/api/services", sqlite("another", "project", "web"), "Authorization", login), 403, errs.PermissionDenied)
	s.Do(t, "PUT", "/api/users/ann", `{"roles":null}`).Data(t)
	if list := s.Do(t, "GET", "/api/services", nil, "Authorization", login).List(t); len(list) != 0 {
		t.Errorf("without a role she sees %v", list)
	}
	s.Do(t, "PUT", "/api/users/ann", `{"enabled":false}`).Data(t)
	wantError(t, s.Do(t, "GET", "/api/whoami", nil, "Authorization", login), 401, errs.Unauthenticated)
	s.Do(t, "PUT", "/api/users/ann", `{"enabled":true}`).Data(t)
	s.Do(t, "GET", "/api/whoami", nil, "Authorization", login).Data(t)
	s.Do(t, "DELETE", "/api/users/ann", nil).Good(t)
	wantError(t, s.Do(t, "GET", "/api/whoami", nil, "Authorization", login), 401, errs.Unauthenticated)
	for _, verb := range []string{"GET", "DELETE"} {
		wantError(t, s.Do(t, verb, "/api/users/ann", nil), 404, errs.NotFound)
	}
	wantError(t, s.Do(t, "PUT", "/api/users/ann", `{"enabled":true}`), 404, errs.NotFound)
}

// TestOneself: to others than admins, they themselves are the only user there
// is, and their password all that they may change.
func TestOneself(t *testing.T) {
	t.Parallel()
	s := start(t)
	login := s.AddUser(t, "ann", servertest.Role("admin", "default"))
	s.AddUser(t, "ben")
	if me := s.Do(t, "GET", "/api/users/ann", nil, "Authorization", login).Data(t); me["username"] != "ann" {
		t.Errorf("she sees %v", me)
	}
	for _, body := range []string{`{"roles":[{"role":"admin"}]}`, `{"enabled":true}`, `{"password":"long enough","roles":[]}`} {
		wantError(t, s.Do(t, "PUT", "/api/users/ann", body, "Authorization", login), 403, errs.PermissionDenied)
		wantError(t, s.Do(t, "PUT", "/api/users/ben", body, "Authorization", login), 404, errs.NotFound)
		wantError(t, s.Do(t, "PUT", "/api/users/nobody", body, "Authorization", login), 404, errs.NotFound)
	}
	before := s.Do(t, "GET", "/api/users/ann", nil).Data(t)
	s.Do(t, "PUT", "/api/users/ann", before).Data(t) // what was read can be written back
	if after := s.Do(t, "GET", "/api/users/ann", nil).Data(t); fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("was %v, is %v", before, after)
	}
}

func TestUserFaults(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.AddUser(t, "ann")
	for _, c := range []struct{ verb, path, body, paths string }{
		{"POST", "/api/users", `{}`, "password username"},
		{"POST", "/api/users", `{"username":"a b","password":"short","roles":[{"role":"king","project":"nowhere"},{"project":"default"}]}`,
			"password roles[0].project roles[0].role roles[1].role username"},
		{"POST", "/api/users", `{"username":"system","password":"long enough"}`, "username"},
		{"POST", "/api/users", `{"username":"` + strings.Repeat("u", 65) + `","password":"` + strings.Repeat("p", 513) + `"}`, "password username"},
		{"POST", "/api/users", `{"username":7,"password":true,"roles":{},"enabled":"yes","admin":true}`, "admin enabled password roles username"},
		{"PUT", "/api/users/ann", `{"username":"bea","password":null,"roles":[{"role":"Admin"}]}`, "password roles[0].role username"},
		{"PUT", "/api/users/ann", `{"pasword":"long enough"}`, "pasword"},
		{"POST", "/api/projects", `{}`, "name"},
		{"POST", "/api/projects", `{"name":"-a","description":"` + strings.Repeat("d", 4097) + `"}`, "description name"},
		{"POST", "/api/projects", `{"name":"Web"}`, "name"},
		{"POST", "/api/projects", `{"name":"` + strings.Repeat("p", 64) + `"}`, "name"},
	} {
		if got := wantError(t, s.Do(t, c.verb, c.path, c.body), 422, errs.ValidationFailed); !slices.Equal(got, strings.Fields(c.paths)) {
			t.Errorf("%s %s %.80s: faults at %v, want %s", c.verb, c.path, c.body, got, c.paths)
		}
	}
	wantError(t, s.Do(t, "POST", "/api/users", `{"username":"ann","password":"long enough"}`), 409, errs.NameTaken)
	wantError(t, s.Do(t, "POST", "/api/projects", `{"name":"default"}`), 409, errs.NameTaken)
	_, err := s.Identity.UpdateUser(servertest.Context(t), &identityv1.UpdateUserRequest{
		Username: "ann", User: &identityv1.User{}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"password_hash"}},
	})
	wantCode(t, err, codes.InvalidArgument, errs.ValidationFailed)
}

// TestLastAdminIsKept: whatever one does, somebody can manage users.
func TestLastAdminIsKept(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.AddUser(t, "half", servertest.Role("admin", "default"), servertest.Role("editor"))
	s.AddUser(t, "asleep", servertest.Role("admin"))
	s.Do(t, "PUT", "/api/users/asleep", `{"enabled":false}`).Good(t)
	try := func(when string) {
		t.Helper()
		for _, body := range []string{`{"enabled":false}`, `{"roles":[]}`, `{"roles":[{"role":"admin","project":"default"}]}`} {
			wantError(t, s.Do(t, "PUT", "/api/users/admin", body), 409, errs.InUse)
		}
		wantError(t, s.Do(t, "DELETE", "/api/users/admin", nil), 409, errs.InUse)
		if who := s.Do(t, "GET", "/api/whoami", nil).Data(t); rolesOf(who) != "admin" {
			t.Errorf("%s: the admin is %v", when, who)
		}
	}
	try("with no other")
	login := s.AddUser(t, "second", servertest.Role("admin"))
	s.Do(t, "PUT", "/api/users/admin", `{"roles":[]}`).Good(t)
	wantError(t, s.Do(t, "DELETE", "/api/users/second", nil, "Authorization", login), 409, errs.InUse)
}

// TestIdentityOnEveryStore: what one process changes holds on the others a
// moment later, and changes at the same time cannot undo what each relied on.
func TestIdentityOnEveryStore(t *testing.T) {
	t.Parallel()
	for name, k := range kinds(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, _ := k.fresh(t)
			more := func() *servertest.Server {
				return servertest.Start(t, servertest.Options{Store: u, Adjust: func(c *config.Config) { c.MasterKey = strings.Repeat("7a", 32) }})
			}
			one := more()
			two := one
			if k.shared {
				two = more()
			}
			rightsElsewhere(t, one, two)
			tokensEndTogether(t, one, two)
			raceForTheLastAdmin(t, one, two)
			raceForAProject(t, one, two)
			auditOfManyWriters(t, one, two)
		})
	}
}

func rightsElsewhere(t *testing.T, one, two *servertest.Server) {
	t.Helper()
	one.AddProject(t, "web")
	login := one.AddUser(t, "ann", servertest.Role("editor", "web"))
	id, token := one.AddToken(t, login, "hers")
	status := func(path, authorization string) int {
		return two.Do(t, "GET", path, nil, "Authorization", authorization).Status
	}
	signed := two.SignIn(t, login)
	for _, l := range []string{login, token, signed} {
		if got := status("/api/projects/web", l); got != 200 {
			t.Errorf("at first the other server answers %d", got)
		}
	}
	one.Do(t, "PUT", "/api/users/ann", `{"roles":[{"role":"viewer"}]}`).Good(t)
	servertest.Eventually(t, "the demotion on the other server", func() bool {
		return two.Do(t, "POST", "/api/services", sqlite("x", "project", "web"), "Authorization", token).Status == 403
	})
	one.Do(t, "DELETE", "/api/tokens/"+id, nil).Good(t)
	servertest.Eventually(t, "the revocation on the other server", func() bool { return status("/api/whoami", token) == 401 })
	one.Do(t, "PUT", "/api/users/ann", `{"enabled":false}`).Good(t)
	servertest.Eventually(t, "the end on the other server", func() bool { return status("/api/whoami", signed) == 401 && status("/api/whoami", login) == 401 })
}

// raceForTheLastAdmin lets two admins demote each other at the same time, again
// and again: one of them must remain.
func raceForTheLastAdmin(t *testing.T, one, two *servertest.Server) {
	t.Helper()
	admin := one.SignIn(t, servertest.Basic("admin", servertest.Password))
	second := one.SignIn(t, one.AddUser(t, "second", servertest.Role("admin")))
	for range 5 {
		var both sync.WaitGroup
		demote := func(s *servertest.Server, name, authorization string) {
			both.Go(func() {
				a, err := s.Try("PUT", "/api/users/"+name, `{"roles":[{"role":"viewer"}]}`, "Authorization", authorization)
				if err != nil || !slices.Contains([]int{200, 404, 409}, a.Status) { // 404: demoted in between, and so others do not exist
					t.Errorf("demote: %d %s %v", a.Status, a.Body, err)
				}
			})
		}
		demote(one, "second", admin)
		demote(two, "admin", second)
		both.Wait()
		left, repaired := 0, false
		for name, authorization := range map[string]string{"admin": admin, "second": second} {
			other := map[string]string{"admin": "second", "second": "admin"}[name]
			if rolesOf(one.Do(t, "GET", "/api/whoami", nil, "Authorization", authorization).Data(t)) == "admin" {
				left++
				repaired = one.Do(t, "PUT", "/api/users/"+other, `{"roles":[{"role":"admin"}]}`, "Authorization", authorization).Status == 200 || repaired
			}
		}
		if left == 0 || !repaired {
			t.Fatalf("%d admins are left", left)
		}
		servertest.Eventually(t, "two admins", func() bool {
			return rolesOf(two.Do(t, "GET", "/api/whoami", nil, "Authorization", second).Data(t)) == "admin" &&
				rolesOf(two.Do(t, "GET", "/api/whoami", nil, "Authorization", admin).Data(t)) == "admin"
		})
	}
}

// raceForAProject deletes a project while a role and a service in it are made.
func raceForAProject(t *testing.T, one, two *servertest.Server) {
	t.Helper()
	for round := range 3 {
		name := fmt.Sprintf("race-%d", round)
		one.AddProject(t, name)
		var deleted, bound, created servertest.Answer
		var all sync.WaitGroup
		call := func(to *servertest.Answer, s *servertest.Server, verb, path string, body any) {
			all.Go(func() {
				var err error
				if *to, err = s.Try(verb, path, body); err != nil {
					t.Error(err)
				}
			})
		}
		call(&deleted, one, "DELETE", "/api/projects/"+name, nil)
		call(&bound, two, "POST", "/api/users", object{"username": name, "password": "long enough", "roles": []object{servertest.Role("viewer", name)}})
		call(&created, two, "POST", "/api/services", sqlite(name, "project", name))
		all.Wait()
		if gone := deleted.Status == 200; gone == (bound.Status == 200 || created.Status == 200) {
			t.Errorf("deleting the project: %d %s, a role in it: %d %s, a service: %d %s", deleted.Status, deleted.Body, bound.Status, bound.Body, created.Status, created.Body)
		}
	}
}

func TestProjects(t *testing.T) {
	t.Parallel()
	s := start(t)
	made := s.Do(t, "POST", "/api/projects", `{"name":"web","description":"Shop windows"}`).Data(t)
	wantKeys(t, made, "name", "description", "created_at")
	if got := s.Do(t, "GET", "/api/projects/web", nil).Data(t); fmt.Sprint(got) != fmt.Sprint(made) || got["description"] != "Shop windows" {
		t.Errorf("got %v, created %v", got, made)
	}
	wantError(t, s.Do(t, "POST", "/api/projects", `{"name":"web"}`), 409, errs.NameTaken)
	// What names no project is in the default one.
	if got := s.Create(t, sqlite("shared name"))["project"]; got != "default" {
		t.Errorf("the project is %v", got)
	}
	inWeb := s.Create(t, sqlite("shared name", "project", "web")) // names are free in each project
	wantError(t, s.Do(t, "POST", "/api/services", sqlite("SHARED name", "project", "web")), 409, errs.NameTaken)
	nowhere := redisBody("x", testbed.ClosedPort(t)) // which a test would find out
	nowhere["project"] = "nowhere"
	for _, verify := range []string{"", "?verify=true"} {
		if paths := wantError(t, s.Do(t, "POST", "/api/services"+verify, nowhere), 422, errs.ValidationFailed); !slices.Equal(paths, []string{"project"}) {
			t.Errorf("faults at %v", paths)
		}
	}
	if list := s.Do(t, "GET", "/api/services?project=web", nil).List(t); len(list) != 1 || list[0]["id"] != inWeb["id"] {
		t.Errorf("the list of web is %v", list)
	}
	if paths := wantError(t, s.Do(t, "PUT", "/api/services/"+inWeb["id"].(string), `{"project":"default"}`), 422, errs.ValidationFailed); !slices.Equal(paths, []string{"project"}) {
		t.Errorf("faults at %v", paths)
	}
	// A project that is in use stays.
	refused := func(why string) {
		t.Helper()
		if a := s.Do(t, "DELETE", "/api/projects/web", nil); !strings.Contains(string(a.Body), why) {
			t.Errorf("refused because %s, want %q", a.Body, why)
		} else {
			wantError(t, a, 409, errs.InUse)
		}
	}
	login := s.AddUser(t, "ann", servertest.Role("viewer", "web"))
	refused("ann")
	s.Do(t, "PUT", "/api/users/ann", `{"roles":[{"role":"viewer"}]}`).Good(t)
	token, _ := s.AddToken(t, login, "hers", servertest.Role("viewer", "web"))
	refused("hers")
	s.Do(t, "DELETE", "/api/tokens/"+token, nil).Good(t)
	refused("Services")
	s.Do(t, "DELETE", "/api/services/"+inWeb["id"].(string), nil).Good(t)
	s.Do(t, "DELETE", "/api/projects/web", nil).Good(t)
	wantError(t, s.Do(t, "DELETE", "/api/projects/web", nil), 404, errs.NotFound)
	wantError(t, s.Do(t, "GET", "/api/projects/web", nil), 404, errs.NotFound)
	wantError(t, s.Do(t, "DELETE", "/api/projects/default", nil), 409, errs.InUse)
	var roles []string
	for _, r := range s.Do(t, "GET", "/api/roles", nil).List(t) {
		wantKeys(t, r, "name", "description")
		roles = append(roles, r["name"].(string))
	}
	if !slices.Equal(roles, []string{"viewer", "editor", "admin"}) {
		t.Errorf("the roles are %v", roles)
	}
	if a := s.Do(t, "DELETE", "/api/users/ann", nil); !json.Valid(a.Body) || string(a.Body) != `{"ok":true,"data":null}` {
		t.Errorf("a deletion answers %s", a.Body)
	}
}

// auditOfManyWriters changes things from all sides at once; the chain of the
// audit trail must hold and have every change once.
func auditOfManyWriters(t *testing.T, servers ...*servertest.Server) {
	t.Helper()
	const writers, each = 6, 5
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			s := servers[w%len(servers)]
			for i := range each {
				a, err := s.Try("POST", "/api/services", sqlite(fmt.Sprintf("audited %d %d", w, i)))
				if err != nil || a.Status != 200 {
					t.Errorf("create: %d %s %v", a.Status, a.Body, err)
				}
			}
		})
	}
	all.Wait()
	seen := map[string]int{}
	records := servers[0].Do(t, "GET", "/api/audit?limit=1000", nil).List(t)
	for n, r := range records {
		if idOf(r) != uint64(len(records)-n) {
			t.Fatalf("record %v is at place %d of %d", r["id"], n, len(records))
		}
		if name, _ := r["resource_name"].(string); r["action"] == "CreateService" && strings.HasPrefix(name, "audited") {
			seen[name]++
		}
	}
	for name, n := range seen {
		if n != 1 {
			t.Errorf("%s is recorded %d times", name, n)
		}
	}
	if len(seen) != writers*each {
		t.Errorf("%d changes are recorded, want %d", len(seen), writers*each)
	}
	if v := servers[0].Do(t, "GET", "/api/audit/verify", nil).Data(t); v["intact"] != true {
		t.Errorf("the chain does not hold: %v", v)
	}
}

package server_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// records are the audit records after one, oldest first.
func records(t *testing.T, s *servertest.Server, after string) (out []object) {
	t.Helper()
	list := s.Do(t, "GET", "/api/audit?limit=1000", nil).List(t)
	slices.Reverse(list)
	for _, r := range list {
		if idOf(r) > number(t, after) {
			out = append(out, r)
		}
	}
	return out
}

func number(t *testing.T, text string) (n uint64) {
	t.Helper()
	if _, err := fmt.Sscan(text, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// idOf is the number of a record.
func idOf(r object) uint64 { return wide(r["id"]) }

// wide is a number of 64 bits, small enough for a test to have it as float64.
func wide(v any) uint64 {
	n, ok := v.(float64)
	if !ok {
		panic(fmt.Sprintf("%T %v is no number", v, v))
	}
	return uint64(n)
}

// lastRecord is the number of the newest record.
func lastRecord(t *testing.T, s *servertest.Server) string {
	t.Helper()
	list := s.Do(t, "GET", "/api/audit?limit=1", nil).List(t)
	if len(list) == 0 {
		return "0"
	}
	return fmt.Sprint(idOf(list[0]))
}

// changesOf are the changes of a record as field → before → after.
func changesOf(r object) map[string]string {
	out := map[string]string{}
	list, _ := r["changes"].([]any)
	for _, c := range list {
		o := c.(object)
		out[o["field"].(string)] = fmt.Sprintf("%s → %s", o["before"], o["after"])
	}
	return out
}

// audited is a call that is recorded, and how.
type audited struct {
	verb, path, body string
	action, kind     string
	id, name         string // of the resource
	project          string
	changes          map[string]string
}

// auditScript makes every change that there is, in turn. {service}, {token} and
// such stand for what the earlier calls have made.
func auditScript(port int) []audited {
	config := fmt.Sprintf(`{"host":"127.0.0.1","port":%d,"password":"Zebra9 old"}`, port)
	return []audited{
		{"POST", "/api/projects", `{"name":"web","description":"d"}`, "CreateProject", "project", "web", "web", "web", map[string]string{"description": ` → "d"`}},
		{"POST", "/api/users", `{"username":"ann","password":"Zebra9 first","roles":[{"role":"viewer"}]}`, "CreateUser", "user", "ann", "ann", "",
			map[string]string{"enabled": " → true", "password": ` → "***"`, "roles": ` → [{"role":"viewer"}]`}},
		{"PUT", "/api/users/ann", `{"password":"Zebra9 second"}`, "UpdateUser", "user", "ann", "ann", "", map[string]string{"password": `"***" → "***"`}},
		{"PUT", "/api/users/ann", `{"roles":[{"role":"admin","project":"web"}],"enabled":false}`, "UpdateUser", "user", "ann", "ann", "",
			map[string]string{"enabled": "true → false", "roles": `[{"role":"viewer"}] → [{"role":"admin","project":"web"}]`}},
		{"PUT", "/api/users/ann", `{"enabled":false}`, "", "", "", "", "", nil}, // changes nothing
		{"POST", "/api/tokens", `{"name":"robot"}`, "CreateToken", "token", "{token}", "robot", "",
			map[string]string{"roles": " → []", "token": ` → "***"`, "username": ` → "admin"`}},
		{"DELETE", "/api/tokens/{token}", "", "DeleteToken", "token", "{token}", "robot", "",
			map[string]string{"roles": "[] → ", "token": `"***" → `, "username": `"admin" → `}},
		{"POST", "/api/services", `{"name":"cache","service_type":"redis","project":"web","tags":["t"],"config":` + config + `}`, "CreateService", "service", "{service}", "cache", "web",
			map[string]string{
				"name": ` → "cache"`, "enabled": " → true", "tags": ` → ["t"]`, "config.host": ` → "127.0.0.1"`,
				"config.port": fmt.Sprintf(" → %d", port), "config.password": ` → "***"`,
			}},
		{"PUT", "/api/services/{service}", `{"description":"x","config":{"host":"localhost","password":"Zebra9 new"}}`, "UpdateService", "service", "{service}", "cache", "web",
			map[string]string{"description": ` → "x"`, "config.host": `"127.0.0.1" → "localhost"`, "config.password": `"***" → "***"`}},
		{"PUT", "/api/services/{service}", `{"description":"x"}`, "", "", "", "", "", nil},
		{"POST", "/api/services/{service}/deactivate", "", "DeactivateService", "service", "{service}", "cache", "web", map[string]string{"active": "true → false"}},
		{"POST", "/api/services/{service}/deactivate", "", "", "", "", "", "", nil},
		{"POST", "/api/services/{service}/activate", "", "ActivateService", "service", "{service}", "cache", "web", map[string]string{"active": "false → true"}},
		{"POST", "/api/services/{service}/test", "", "", "", "", "", "", nil},
		{"POST", "/api/services/test", `{"service_type":"redis","config":` + config + `}`, "", "", "", "", "", nil},
		{"POST", "/api/services/test", `{"id":"{service}","config":{"host":"localhost","port":` + fmt.Sprint(port) + `}}`, "", "", "", "", "", nil},
		{"POST", "/api/services/test", `{"id":"{service}","config":{"host":"127.0.0.1","password":"Zebra9 mine"}}`, "", "", "", "", "", nil},
		// The stored password goes to another server: somebody has read it.
		{"POST", "/api/services/test", `{"id":"{service}","config":{"host":"127.0.0.1"}}`, "TestConfig", "service", "{service}", "cache", "web",
			map[string]string{"config.host": `"localhost" → "127.0.0.1"`, "config.port": fmt.Sprintf("%d → ", port)}},
		{"POST", "/api/services/test-all", "", "", "", "", "", "", nil},
		{"POST", "/api/services/{service}/rollback", `{"version":1}`, "RollbackService", "service", "{service}", "cache", "web",
			map[string]string{"description": `"x" → `, "config.host": `"localhost" → "127.0.0.1"`, "config.password": `"***" → "***"`}},
		{"DELETE", "/api/services/{service}", "", "DeleteService", "service", "{service}", "cache", "web",
			map[string]string{
				"name": `"cache" → `, "enabled": "true → ", "tags": `["t"] → `, "config.host": `"127.0.0.1" → `,
				"config.port": fmt.Sprintf("%d → ", port), "config.password": `"***" → `,
			}},
		{"DELETE", "/api/users/ann", "", "DeleteUser", "user", "ann", "ann", "",
			map[string]string{"enabled": "false → ", "password": `"***" → `, "roles": `[{"role":"admin","project":"web"}] → `}},
		{"DELETE", "/api/projects/web", "", "DeleteProject", "project", "web", "web", "web", map[string]string{"description": `"d" → `}},
		{"GET", "/v1/auth?max-age=60", "", "GetAuthToken", "signed_token", "admin", "admin", "", map[string]string{"expires_at": " → {in a minute}", "token": ` → "***"`}},
	}
}

// TestEveryChangeIsRecorded: each change once, with who, from where, what, and
// no secret; reads and tests not at all.
func TestEveryChangeIsRecorded(t *testing.T) {
	t.Parallel()
	s := start(t)
	made := map[string]string{}
	fill := func(text string) string {
		for k, v := range made {
			text = strings.ReplaceAll(text, k, v)
		}
		return text
	}
	tried := map[string]bool{"RotateKeys": true} // has tests of its own
	for i, c := range auditScript(testbed.ClosedPort(t)) {
		what := fmt.Sprintf("%d: %s %s", i, c.verb, c.path)
		before := lastRecord(t, s)
		var body any
		if c.body != "" {
			body = fill(c.body)
		}
		a := s.Do(t, c.verb, fill(c.path), body, "X-Request-Id", fmt.Sprintf("request-%d", i))
		if a.Status != 200 {
			t.Fatalf("%s: %d %s", what, a.Status, a.Body)
		}
		if data, ok := a.JSON(t)["data"].(object); ok && c.verb == "POST" && data["id"] != nil && strings.HasPrefix(c.action, "Create") {
			made["{"+c.kind+"}"] = data["id"].(string)
		}
		got := records(t, s, before)
		if c.action == "" {
			if len(got) != 0 {
				t.Errorf("%s: is recorded: %v", what, got)
			}
			continue
		}
		tried[c.action] = true
		if len(got) != 1 {
			t.Errorf("%s: %d records: %v", what, len(got), got)
			continue
		}
		wantRecord(t, what, got[0], c, fill(c.id), fmt.Sprintf("request-%d", i))
	}
	if log := string(s.Do(t, "GET", "/api/audit?limit=1000", nil).Body); strings.Contains(log, "Zebra9") || strings.Contains(log, "argon2") || strings.Contains(log, "eyJ") {
		t.Error("the audit trail shows a secret")
	}
	for method, row := range accessTable {
		name := method[strings.LastIndexByte(method, '/')+1:]
		read := slices.ContainsFunc([]string{"Get", "List", "Watch", "Verify", "WhoAmI", "Test", "Check", "ServerReflection"}, func(p string) bool { return strings.HasPrefix(name, p) })
		elsewhere := slices.ContainsFunc([]string{"dbaas", "proxy", "gateway"}, func(api string) bool { // have tests of their own
			return strings.HasPrefix(method, "/backplane."+api+".v1.")
		})
		if !read && !tried[name] && !elsewhere {
			t.Errorf("%s (%s) is not tried", name, row.request)
		}
	}
}

func wantRecord(t *testing.T, what string, got object, c audited, id, request string) {
	t.Helper()
	for key, want := range map[string]string{
		"actor": "admin", "token_id": "", "address": "127.0.0.1", "request_id": request,
		"action": c.action, "resource_kind": c.kind, "resource_id": id, "resource_name": c.name, "project": c.project,
	} {
		if got[key] != want {
			t.Errorf("%s: %s is %q, want %q", what, key, got[key], want)
		}
	}
	if at, err := time.Parse(time.RFC3339, got["at"].(string)); err != nil || time.Since(at) > time.Hour || time.Since(at) < -time.Hour {
		t.Errorf("%s: at %v", what, got["at"])
	}
	changes := changesOf(got)
	if text, found := strings.CutPrefix(changes["expires_at"], " → "); found {
		at, err := time.Parse(`"`+time.RFC3339+`"`, text)
		if left := time.Until(at); err == nil && left <= time.Minute && left > -time.Hour {
			changes["expires_at"] = " → {in a minute}"
		}
	}
	if !maps.Equal(changes, c.changes) {
		t.Errorf("%s: the changes are\n%v, want\n%v", what, changes, c.changes)
	}
}

// TestFirstAdminIsRecorded: the user that the first start makes, and nothing at
// later starts.
func TestFirstAdminIsRecorded(t *testing.T) {
	t.Parallel()
	s := start(t)
	list := records(t, s, "0")
	if len(list) != 1 || idOf(list[0]) != 1 {
		t.Fatalf("the records of a new store are %v", list)
	}
	for key, want := range map[string]any{
		"actor": "system", "token_id": "", "address": "", "request_id": "",
		"action": "CreateUser", "resource_kind": "user", "resource_id": "admin", "resource_name": "admin", "project": "",
	} {
		if list[0][key] != want {
			t.Errorf("%s is %q, want %q", key, list[0][key], want)
		}
	}
	want := map[string]string{"enabled": " → true", "password": ` → "***"`, "roles": ` → [{"role":"admin"}]`}
	if changes := changesOf(list[0]); !maps.Equal(changes, want) {
		t.Errorf("the changes are %v, want %v", changes, want)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := servertest.Start(t, servertest.Options{DataDir: s.DataDir})
	if list := records(t, again, "0"); len(list) != 1 {
		t.Errorf("after another start the records are %v", list)
	}
}

// TestFailedChangesAreNotRecorded: a record is made with its change, or not.
func TestFailedChangesAreNotRecorded(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.Create(t, sqlite("taken"))["id"].(string)
	s.AddProject(t, "used")
	s.Create(t, sqlite("in it", "project", "used"))
	viewer := s.AddUser(t, "ann", servertest.Role("viewer"))
	_, token := s.AddToken(t, viewer, "robot")
	before := lastRecord(t, s)
	for i, c := range []struct {
		verb, path, body, login string
		status                  int
	}{
		{"POST", "/api/services", `{"name":"TAKEN","service_type":"sqlite","config":{"path":"/tmp/no.db"}}`, "", 409},
		{"POST", "/api/services", `{"name":"x","service_type":"sqlite","config":{"path":"/tmp/no.db"},"project":"nowhere"}`, "", 422},
		{"PUT", "/api/services/" + id, `{"name":"in it","config":{"x":1}}`, "", 422},
		{"PUT", "/api/services/" + id, `{"description":"x"}`, viewer, 403},
		{"DELETE", "/api/services/" + id, "", viewer, 403},
		{"DELETE", "/api/services/" + unknownID, "", "", 404},
		{"POST", "/api/services/" + id + "/rollback", `{"version":9}`, "", 422},
		{"DELETE", "/api/projects/used", "", "", 409},
		{"POST", "/api/projects", `{"name":"used"}`, "", 409},
		{"DELETE", "/api/users/admin", "", "", 409},
		{"PUT", "/api/users/admin", `{"enabled":false}`, "", 409},
		{"POST", "/api/users", `{"username":"ann","password":"long enough"}`, "", 409},
		{"POST", "/api/users", `{"username":"bea","password":"long enough"}`, viewer, 403},
		{"DELETE", "/api/tokens/" + unknownID, "", "", 404},
		{"GET", "/v1/auth", "", token, 403},
		{"GET", "/v1/auth", "", servertest.Basic("ann", "a wrong password"), 401},
	} {
		var body any
		if c.body != "" {
			body = c.body
		}
		headers := []string{}
		if c.login != "" {
			headers = []string{"Authorization", c.login}
		}
		if a := s.Do(t, c.verb, c.path, body, headers...); a.Status != c.status {
			t.Errorf("%d: %d %s", i, a.Status, a.Body)
		}
	}
	if got := records(t, s, before); len(got) != 0 {
		t.Errorf("recorded %v", got)
	}
}

func TestAuditFilters(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.AddProject(t, "web")
	login := s.AddUser(t, "ann", servertest.Role("editor"))
	_, token := s.AddToken(t, login, "robot")
	var ids []string
	for n := range 5 {
		o := s.Do(t, "POST", "/api/services", sqlite(fmt.Sprint("s", n), "project", "web"), "Authorization", token).Data(t)
		ids = append(ids, o["id"].(string))
	}
	list := func(query string) (names []string) {
		t.Helper()
		for _, r := range s.Do(t, "GET", "/api/audit?"+query, nil).List(t) {
			names = append(names, r["action"].(string)+" "+r["resource_name"].(string))
		}
		return names
	}
	for query, want := range map[string][]string{
		"actor=ann&limit=2":                            {"CreateService s4", "CreateService s3"},
		"action=CreateProject":                         {"CreateProject web"},
		"resource_id=" + ids[1]:                        {"CreateService s1"},
		"project=web&limit=1":                          {"CreateService s4"},
		"project=web&actor=admin":                      {"CreateProject web"},
		"actor=nobody":                                 nil,
		"until=2001-01-01T00:00:00Z":                   nil,
		"since=2999-01-01T00:00:00%2B02:00":            nil,
		"since=2001-01-01T00:00:00Z&action=CreateUser": {"CreateUser ann", "CreateUser admin"},
	} {
		if got := list(query); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	all, paged := list("limit=1000"), []string{}
	for before := ""; ; {
		page := s.Do(t, "GET", "/api/audit?limit=3"+before, nil).List(t)
		if len(page) == 0 {
			break
		}
		for _, r := range page {
			paged = append(paged, r["action"].(string)+" "+r["resource_name"].(string))
		}
		before = fmt.Sprintf("&before=%d", idOf(page[len(page)-1]))
	}
	if !slices.Equal(all, paged) {
		t.Errorf("all are %v, in pages %v", all, paged)
	}
	if r := s.Do(t, "GET", "/api/audit?actor=ann&limit=1", nil).List(t)[0]; r["token_id"] == "" || r["previous_hash"] == r["hash"] {
		t.Errorf("the record is %v", r)
	}
	for query, path := range map[string]string{"limit=1001": "limit", "since=yesterday": "since", "until=1": "until"} {
		if got := wantError(t, s.Do(t, "GET", "/api/audit?"+query, nil), 400, errs.BadRequest); !slices.Equal(got, []string{path}) {
			t.Errorf("%s: faults at %v", query, got)
		}
	}
}

func TestAuditWatchResumes(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.AddProject(t, "one", "two", "three")
	first := records(t, s, "1") // which tells of the admin
	text := string(eventsUntil(t, s, "/api/audit/watch?index="+fmt.Sprint(idOf(first[0])), servertest.Basic("admin", servertest.Password), "three")())
	if strings.Contains(text, `"resource_name":"one"`) || !strings.Contains(text, `"resource_name":"two"`) || !strings.Contains(text, "event: audit") {
		t.Errorf("after the first came %s", text)
	}
	w, err := s.Identity.WatchAudit(servertest.Context(t), &identityv1.WatchAuditRequest{Index: proto.Uint64(1)})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range first {
		if got, err := w.Recv(); err != nil || got.GetIndex() != idOf(want) || got.GetRecord().GetHash() != want["hash"] {
			t.Errorf("got %v %v, want %v", got, err, want)
		}
	}
	wantError(t, s.Do(t, "GET", "/api/audit/watch?index=x", nil), 400, errs.BadRequest)
}

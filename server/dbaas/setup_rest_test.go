package dbaas_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// send makes a call and fails the test unless it is answered with the status;
// it returns the body with the host taken out of its URLs.
func (h *house) send(t *testing.T, method, path string, body any, status int) string {
	t.Helper()
	a := h.Do(t, method, path, body)
	if a.Status != status {
		t.Fatalf("%s %s: %d %s, want %d", method, path, a.Status, a.Body, status)
	}
	return strings.ReplaceAll(string(a.Body), h.URL, "")
}

// TestSetUpOverREST sets everything up as an administrator does with curl, and
// changes it.
func TestSetUpOverREST(t *testing.T) {
	h := &house{Server: servertest.Start(t, servertest.Options{}), postgres: testbed.StartPostgres(t, testbed.PostgresOptions{})}
	h.service = h.addPostgres(t, "main", h.postgres)
	steps := []struct {
		method, path string
		body         any
		status       int
		want         string
	}{
		{"POST", "/api/environment/", object{"name": "laboratory"}, 201,
			`{"_links":{"self":"/api/environment/1/"},"id":1,"name":"laboratory","stage":1,"provisioner":1}`},
		{"POST", "/api/environment/", object{"name": "laboratory"}, 400, `"name":["Environment with this Environment name already exists."]`},
		{"PATCH", "/api/environment/1/", object{"stage": 2}, 200, `"name":"laboratory","stage":2,"provisioner":1`},
		{"PUT", "/api/environment/1/", object{"name": "laboratory", "provisioner": 3}, 200, `"name":"laboratory","stage":2,"provisioner":3`},
		{"PUT", "/api/environment/1/", object{"provisioner": 3}, 400, `"name":["This field is required."]`},
		{"PATCH", "/api/environment/1/", object{}, 200, `"name":"laboratory","stage":2,"provisioner":3`},
		{"POST", "/api/project/", object{"name": "My Team"}, 400, `"name":["must match [a-z0-9][a-z0-9-]{0,62}"]`},
		{"POST", "/api/project/", object{"name": "blue"}, 201, `{"_links":{"self":"/api/project/2/"},"id":2,"name":"blue"}`},
		{"POST", "/api/project/", object{"name": "blue"}, 400, `"name":["Project with this Project name already exists."]`},
		{"PATCH", "/api/project/2/", object{"description": "ours"}, 200, `"description":"ours"`},
		{"POST", "/api/plan/", object{}, 400, `"services":["This field is required."]`},
		{"POST", "/api/plan/", object{"name": "small", "engine": "postgresql", "environments": []string{"/api/environment/1/"}, "services": []string{h.service}}, 201,
			`"name":"small","description":"","is_active":true,"is_default":false,"engine":"/api/engine/1/","environments":[{"url":"/api/environment/1/","id":1,"name":"laboratory","stage":2,"provisioner":3}],"total_size_in_bytes":0,"enforce":false,"capacity":0,"services":["` + h.service + `"]`},
		{"PATCH", "/api/plan/1/", object{"total_size_in_bytes": 1 << 33}, 200, `"total_size_in_bytes":8589934592`},
		{"GET", "/api/engine/", nil, 200, `"plans":[{"url":"/api/plan/1/","id":1,"name":"small"`},
		{"GET", "/api/engine_type/4/", nil, 200, `{"_links":{"self":"/api/engine_type/4/"},"id":4,"name":"postgresql"}`},
		{"GET", "/api/team/", nil, 200, `"team":[{"_links":{"self":"/api/team/2/"},"id":2,"name":"blue"},{"_links":{"self":"/api/team/1/"},"id":1,"name":"default"}]`},
		{"POST", "/api/database/", object{"name": "shop", "plan": "/api/plan/1/", "environment": "/api/environment/1/", "project": "/api/project/2/"}, 201, `"name":"shop"`},
		// All that is wrong is told at once, and nothing is made of the rest.
		{"POST", "/api/database/", object{"name": strings.Repeat("a", 300), "plan": 1, "environment": "/api/environment/9/"}, 400,
			`"plan":["Incorrect type.  Expected url string, received int."],"name":["`},
		{"POST", "/api/database/", object{"name": strings.Repeat("a", 300), "plan": 1, "environment": "/api/environment/9/"}, 400,
			`"environment":["Invalid hyperlink - object does not exist."]}`},
		{"POST", "/api/database/", object{"name": "other", "plan": "/api/plan/1/", "environment": "/api/environment/1/", "project": 5}, 400,
			`{"_links":{"self":"/api/database/"},"project":["Incorrect type.  Expected url string, received int."]}`},
		{"POST", "/api/credential/", object{"user": "", "database": true, "role": "king"}, 400, `"role":["\"king\" is not a valid choice`},
		{"PATCH", "/api/database/1/", object{"description": "kept out", "project": 5}, 400, `{"_links":{"self":"/api/database/1/"},"project":["Incorrect type.  Expected url string, received int."]}`},
		{"PATCH", "/api/database/9/", object{"project": 5}, 404, `"detail":"Not found"`},
		{"PATCH", "/api/environment/1/", object{"name": "", "stage": "x"}, 400, `"stage":["A valid integer is required."],"name":["This field is required."]`},
		{"GET", "/api/database/", nil, 200, `"count":1`},
		{"GET", "/api/task/", nil, 200, `"task_status":"SUCCESS","task_name":"create_database","db_id":1`},
		{"GET", "/api/difference/", nil, 200, `{"_links":{"count":0,"self":"/api/difference/","previous":null,"next":null},"difference":[]`},
		{"GET", "/api/difference?service=" + h.service, nil, 200, `{"_links":{"count":0,"self":"/api/difference/?service=` + h.service + `","previous":null,"next":null},"difference":[]`},
		{"POST", "/api/difference/repair/", object{}, 200, `{"_links":{"self":"/api/difference/repair/"},"task":[]}`},
		{"DELETE", "/api/environment/1/", nil, 409, `"detail":"Databases are in the environment \"laboratory\"; delete them first"`},
		{"DELETE", "/api/plan/1/", nil, 409, `"detail":`},
		{"DELETE", "/api/project/2/", nil, 409, `"detail":"Databases belong to the project \"blue\"; delete them first"`},
		{"DELETE", "/api/services/" + h.service, nil, 409, `"error":"Databases are on this service; delete them first"`},
		{"DELETE", "/api/database/1/", nil, 204, ""},
		{"DELETE", "/api/database/1/", nil, 204, ""},
		{"DELETE", "/api/plan/1/", nil, 204, ""},
		{"DELETE", "/api/project/2/", nil, 204, ""},
		{"DELETE", "/api/environment/1/", nil, 204, ""},
		{"GET", "/api/environment/1/", nil, 404, `"detail":"Not found"`},
	}
	for _, s := range steps {
		if got := h.send(t, s.method, s.path, s.body, s.status); !strings.Contains(got, s.want) {
			t.Errorf("%s %s: %s, want %s in it", s.method, s.path, got, s.want)
		}
	}
	a := h.Do(t, http.MethodPost, "/api/environment/", object{"name": "again"})
	if got := a.Header.Get("Location"); !strings.HasPrefix(got, h.URL+"/api/environment/") {
		t.Errorf("created at %q", got)
	}
}

package openapi

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/backplane/backplane/connectors/builtin"
	"github.com/backplane/backplane/server/rest"
)

// TestDatabasesInTheDocument: what the document says of databases as a service
// is what server/rest does.
func TestDatabasesInTheDocument(t *testing.T) {
	t.Parallel()
	doc := built(t)
	ops := map[string]*openapi3.Operation{}
	for path, item := range doc.Paths.Map() {
		databases := rest.DialectOf(path) == rest.Databases
		if databases != strings.HasSuffix(path, "/") && path != "/" {
			t.Errorf("%s has the wrong form", path)
		}
		for verb, op := range item.Operations() {
			if !databases {
				continue
			}
			ops[verb+" "+path] = op
			checkDatabaseOperation(t, verb, path, op)
		}
	}
	if len(ops) < 40 {
		t.Fatalf("there are only %d operations", len(ops))
	}
	for name, status := range map[string]string{
		"GET /api/": "200", "GET /api/database/": "200", "POST /api/database/": "201", "POST /api/database/{id}/clone/": "201", "POST /api/database/{id}/restore/": "200",
		"DELETE /api/database/{id}/": "204", "PATCH /api/plan/{id}/": "200", "POST /api/plan/": "201", "POST /api/credential/{id}/reset_password/": "200",
		"DELETE /api/snapshot/{id}/": "204", "POST /api/snapshot/{id}/restore/": "201", "POST /api/difference/repair/": "200", "GET /api/task/watch/": "200",
	} {
		op := ops[name]
		if op == nil {
			t.Errorf("there is no %s", name)
			continue
		}
		good := op.Responses.Map()
		for _, s := range []string{"200", "201", "204"} {
			if (good[s] != nil) != (s == status) {
				t.Errorf("%s has an answer %s: %t", name, s, good[s] != nil)
			}
		}
		if r := good[status]; r != nil && ((len(r.Value.Content) == 0) != (status == "204") || (r.Value.Headers["Location"] != nil) != (status == "201")) {
			t.Errorf("%s answers %+v", name, r.Value)
		}
	}
	if ops["GET /api/task/watch/"].Responses.Value("200").Value.Content["text/event-stream"] == nil {
		t.Error("the watch is no event stream")
	}
	checkDatabaseBodies(t, ops)
}

func checkDatabaseOperation(t *testing.T, verb, path string, op *openapi3.Operation) {
	t.Helper()
	if op.Summary == "" || op.OperationID == "" {
		t.Errorf("%s %s has no summary or id", verb, path)
	}
	for _, p := range op.Parameters {
		switch p := p.Value; {
		case p.Name == "update_mask", strings.Contains(p.Name, "["), p.In == "header":
			t.Errorf("%s %s has the parameter %s", verb, path, p.Name)
		case p.In == "path" && (!p.Schema.Value.Type.Is("integer") || p.Schema.Value.Min == nil):
			t.Errorf("%s %s: %s is no number", verb, path, p.Name)
		case p.Name == "filter" && (!p.Schema.Value.Type.Is("object") || p.Explode == nil || !*p.Explode):
			t.Errorf("%s %s: the filter is %+v", verb, path, p)
		}
	}
	for status, r := range op.Responses.Map() {
		if status[0] == '2' {
			if r.Value.Headers["Allow"] == nil || r.Value.Headers["Vary"] == nil {
				t.Errorf("%s %s %s does not have its headers", verb, path, status)
			}
			continue
		}
		want := "#/components/schemas/" + detailSchema
		if status == "400" {
			want = "#/components/schemas/" + faultsSchema
		}
		if got := r.Value.Content["application/json"].Schema.Ref; got != want {
			t.Errorf("%s %s %s is %s", verb, path, status, got)
		}
	}
	if body := op.RequestBody; body != nil && len(body.Value.Content) != 3 {
		t.Errorf("%s %s takes %d kinds of bodies", verb, path, len(body.Value.Content))
	}
}

// checkDatabaseBodies: what must be sent, and what may be null.
func checkDatabaseBodies(t *testing.T, ops map[string]*openapi3.Operation) {
	t.Helper()
	for name, want := range map[string]struct{ body, ok, bad string }{
		"POST /api/database/":                       {"true", `{"name":"x","plan":"/api/plan/1/","environment":"/api/environment/1/","project":null}`, `{"name":null,"plan":"p","environment":"e"}`},
		"POST /api/credential/{id}/reset_password/": {"false", `{}`, `[]`},
		"PUT /api/database/{id}/":                   {"false", `{"project":null,"quarantine_dt":null}`, `{"description":{}}`},
		"PUT /api/plan/{id}/":                       {"true", `{"name":"a","engine":"redis","environments":null}`, `{"capacity":1}`},
		"PATCH /api/plan/{id}/":                     {"false", `{"capacity":1,"name":null}`, `{"capacity":"x"}`},
	} {
		body := ops[name].RequestBody.Value
		if (want.body == "true") != body.Required {
			t.Errorf("%s needs a body: %t", name, body.Required)
		}
		for _, kind := range []string{"application/json", "application/x-www-form-urlencoded", "multipart/form-data"} {
			for text, good := range map[string]bool{want.ok: true, want.bad: false} {
				var v any
				if err := json.Unmarshal([]byte(text), &v); err != nil {
					t.Fatal(err)
				}
				if err := body.Content[kind].Schema.Value.VisitJSON(v); (err == nil) != good {
					t.Errorf("%s as %s: %s: %v", name, kind, text, err)
				}
			}
		}
	}
}

func built(t *testing.T) *openapi3.T {
	t.Helper()
	registry, err := builtin.Registry()
	if err != nil {
		t.Fatal(err)
	}
	never := func(string) bool { return false }
	text, err := Build("v1", never, registry)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Build("v1", never, registry)
	if err != nil || !slices.Equal(text, again) {
		t.Errorf("the document is another one every time, or error %v", err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context(), openapi3.AllowExtraSiblingFields("secret")); err != nil {
		t.Fatal(err)
	}
	if doc.Paths.Value("/api/").Operations()[http.MethodGet].Security == nil {
		t.Error("the root needs a login")
	}
	return doc
}

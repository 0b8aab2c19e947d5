package openapi

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// TestManagementInTheDocument: what the document says of service management is
// what server/rest does.
func TestManagementInTheDocument(t *testing.T) {
	t.Parallel()
	doc := built(t)
	found := map[string]string{}
	ids := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for verb, op := range item.Operations() {
			if ids[op.OperationID] {
				t.Errorf("%s is the id of two operations", op.OperationID)
			}
			ids[op.OperationID] = true
			if slices.Equal(op.Tags, []string{"Service management"}) {
				found[verb+" "+path] = strings.Join(slices.Sorted(maps.Keys(op.Responses.Map())), " ") + "; " + parametersOf(op)
			}
		}
	}
	const failures = "429 500 503 default"
	for call, want := range map[string]string{
		"POST /service":                "200 400 403 404 409 413 422 " + failures + "; query.ip query.domain query.name_service query.port query.form",
		"GET /service":                 "200 403 404 409 422 " + failures + "; query.page query.id_service",
		"DELETE /service":              "200 403 404 409 422 " + failures + "; query.id_service!",
		"PATCH /service":               "200 400 403 404 409 413 422 " + failures + "; query.id_service!",
		"GET /service/{id_service}":    "200 403 404 409 422 " + failures + "; path.id_service!",
		"DELETE /service/{id_service}": "200 403 404 409 422 " + failures + "; path.id_service!",
		"PATCH /service/{id_service}":  "200 400 403 404 409 413 422 " + failures + "; path.id_service!",
		"PATCH /services":              "200 403 404 429 500 503 504 default; ",
	} {
		if found[call] != want {
			t.Errorf("%s: %s, want %s", call, found[call], want)
		}
		delete(found, call)
	}
	if len(found) > 0 {
		t.Errorf("there is more: %v", found)
	}
	list := doc.Paths.Value("/services").Get
	if got := parametersOf(list); got != "query.size query.offset query.tags query.page" || list.Responses.Value("409") == nil || list.Responses.Value("422") == nil {
		t.Errorf("the list has the parameters %s", got)
	}
	body := doc.Paths.Value("/service").Post.RequestBody.Value
	schema := body.Content.Get("application/json").Schema.Value
	if body.Required || !slices.Equal(schema.Required, []string{"domain", "name_service"}) || schema.Properties["port"].Value.Default != 80. {
		t.Errorf("the body is %+v", schema)
	}
	if s := doc.Paths.Value("/service/{id_service}").Patch.RequestBody.Value.Content.Get("application/json").Schema.Value; len(s.Required) > 0 || s.Properties["port"].Value.Default != nil {
		t.Errorf("a change has to say %v", s.Required)
	}
}

// parametersOf names the parameters of an operation; ! marks what is required.
func parametersOf(op *openapi3.Operation) string {
	out := make([]string, len(op.Parameters))
	for i, p := range op.Parameters {
		out[i] = p.Value.In + "." + p.Value.Name
		if p.Value.Required {
			out[i] += "!"
		}
	}
	return strings.Join(out, " ")
}

package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/backplane/backplane/server/servertest"
)

// ofManagement reports whether an operation is one of services that are
// registered by their documents.
func ofManagement(op *openapi3.Operation) bool { return slices.Contains(op.Tags, "Service management") }

// managementWalk makes every call of service management: good ones and failures.
// $port is that of a service.
var managementWalk = []gatewayCall{
	{"GET /services?page=1", "", 409, nil}, {"GET /service", "", 409, nil}, {"PATCH /services", "", 200, nil}, {"PATCH /services", "", 403, viewer}, {"PATCH /services", "", 403, stranger},
	{"POST /service", `{"domain":"http://127.0.0.1","name_service":"Hello","port":$port}`, 200, nil}, {"POST /service", `{"domain":"http://127.0.0.1","name_service":"Hello"}`, 200, nil},
	{"POST /service?form=details", `{"domain":"http://127.0.0.1","name_service":"Hello"}`, 409, nil}, {"POST /service?form=details&ip=127.0.0.1&port=$port&name_service=second", "", 200, nil},
	{"POST /service", `{}`, 422, nil}, {"POST /service", `{`, 422, nil}, {"POST /service", "\xff{", 422, asText}, {"POST /service", "{\"\xff", 400, nil}, {"POST /service", `{}`, 403, viewer}, {"POST /service", strings.Repeat(" ", 1<<20+1), 413, nil},
	{"PATCH /services", "", 200, nil}, {"GET /services?page=1", "", 200, viewer}, {"GET /services?page=2", "", 409, nil}, {"GET /services?page=x", "", 422, nil}, {"GET /services?page=1", "", 403, stranger},
	{"GET /service?page=1", "", 200, nil}, {"GET /service?page=0", "", 422, nil}, {"GET /service?id_service=1", "", 200, viewer}, {"GET /service/1", "", 200, nil}, {"GET /service/99", "", 404, nil}, {"GET /service/1", "", 403, stranger},
	{"PATCH /service/1", `{"port":$port,"auth":"key-auth"}`, 200, nil}, {"PATCH /service/1", `{"name_service":"second"}`, 409, nil}, {"PATCH /service/1", `{"port":"x"}`, 422, nil}, {"PATCH /service/99", `{}`, 404, nil},
	{"PATCH /service?id_service=1", `{"validate_requests":true}`, 200, nil}, {"PATCH /service?id_service=x", `{}`, 422, nil},
	{"DELETE /service?id_service=1", "", 200, nil}, {"DELETE /service?id_service=1", "", 409, nil}, {"DELETE /service", "", 422, nil}, {"DELETE /service/2", "", 200, nil}, {"DELETE /service/99", "", 409, nil}, {"DELETE /service/x", "", 422, nil},
}

// TestOpenAPIManagement holds the answers of service management against the
// document.
func TestOpenAPIManagement(t *testing.T) {
	t.Parallel()
	s := start(t)
	doc := document(t, s)
	doc.Servers = openapi3.Servers{{URL: s.URL}}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"openapi":"3.1.0","info":{"title":"A","version":"1"},"tags":[{"name":"a","x-auto-generate-in-api-gateway":true}],"paths":{"/a":{"get":{"tags":["a"],"operationId":"a"}}}}`)
	}))
	t.Cleanup(upstream.Close)
	at, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	fill := filler(map[string]string{"$viewer": s.SignIn(t, s.AddUser(t, "viewer", servertest.Role("viewer"))), "$port": at.Port()})
	tried := map[string]bool{}
	for _, c := range managementWalk {
		verb, path, _ := strings.Cut(fill(c.call), " ")
		call := apiCall{body: fill(c.body), headers: slices.Clone(c.headers), status: c.status}
		for i, h := range call.headers {
			call.headers[i] = fill(h)
		}
		t.Run(c.call, func(t *testing.T) { tryOperation(t, s, router, verb, path, call) })
		req, err := servertest.NewRequest(verb, s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if route, _, err := router.FindRoute(req); err == nil {
			tried[route.Operation.OperationID] = true
		}
	}
	for path, item := range doc.Paths.Map() {
		for verb, op := range item.Operations() {
			if ofManagement(op) && (!tried[op.OperationID] || op.Summary == "") {
				t.Errorf("%s %s (%s, %q) is not tried, or has no summary", verb, path, op.OperationID, op.Summary)
			}
		}
	}
}

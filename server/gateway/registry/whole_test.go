package registry_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"

	"github.com/backplane/backplane/server/gateway/registry"
)

// TestServicesOfAllPagesGo: also those that are not on the first page of a list.
func TestServicesOfAllPagesGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := newUpstream(t, document("GET /items/"))
	const all = 25
	ids := make([]int64, all)
	for i := range ids {
		ids[i] = w.register(t, fmt.Sprintf("service%d", i), u.port(t))
	}
	w.refresh(t)
	for _, id := range ids {
		if _, err := w.UnregisterService(t.Context(), &gatewayv1.UnregisterServiceRequest{IdService: id}); err != nil {
			t.Fatal(err)
		}
	}
	if out := w.refresh(t); out.GetRoutesRemoved() != 2*all {
		t.Errorf("the refresh came to %v", out)
	}
	if _, err := w.ListRegistrations(t.Context(), &gatewayv1.ListRegistrationsRequest{}); code(err) != 2 {
		t.Errorf("services are left: %v", err)
	}
	for i := range ids {
		w.want(t, http.MethodGet, fmt.Sprintf("/service%d/items/", i), http.StatusNotFound, "")
	}
}

// TestOneMethodOfAPath: methods of one path come and go, and are protected, each
// by itself.
func TestOneMethodOfAPath(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := newUpstream(t, document("GET /items/", "!POST /items/", "-DELETE /items/", "PATCH /items/"))
	w.register(t, "Shop", u.port(t))
	w.refresh(t)
	if n := u.fetches(); n != 1 {
		t.Errorf("a document with several routes is fetched %d times", n)
	}
	w.want(t, http.MethodGet, "/Shop/items/", http.StatusOK, "GET /items/")
	w.want(t, http.MethodPatch, "/Shop/items/", http.StatusOK, "PATCH /items/")
	w.want(t, http.MethodPost, "/Shop/items/", http.StatusForbidden, "")
	w.want(t, http.MethodDelete, "/Shop/items/", http.StatusMethodNotAllowed, "")
	u.says(document("GET /items/", "POST /items/", "-PATCH /items/"))
	if out := w.refresh(t); out.GetRoutesRemoved() != 1 || out.GetRoutesAdded() != 0 {
		t.Errorf("the refresh came to %v", out)
	}
	w.want(t, http.MethodGet, "/Shop/items/", http.StatusOK, "GET /items/")
	w.want(t, http.MethodPost, "/Shop/items/", http.StatusOK, "POST /items/")
	w.want(t, http.MethodPatch, "/Shop/items/", http.StatusMethodNotAllowed, "")
}

// TestReadersSeeNoGap: while documents are fetched, all is as before.
func TestReadersSeeNoGap(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *registry.Options) { o.Timeout = patience })
	u := newUpstream(t, document("GET /items/"))
	id := w.register(t, "Shop", u.port(t))
	w.refresh(t)
	g := newGate(document("GET /other"))
	u.says(g.ServeHTTP)
	under := w.registry.Join(t)
	eventually(t, "the refresh fetches", func() bool { return g.asked.Load() == 1 })
	list, err := w.ListRegistrations(t.Context(), &gatewayv1.ListRegistrationsRequest{})
	if err != nil || list.GetServices()[0].GetStatusCode() != 200 || len(list.GetServices()[0].GetUrls()) != 1 {
		t.Errorf("meanwhile the list is %v %v", list, err)
	}
	w.want(t, http.MethodGet, "/Shop/items/", http.StatusOK, "GET /items/")
	// Who is changed meanwhile is not what was fetched.
	port := newUpstream(t, document("GET /third")).port(t)
	if _, err := w.UpdateRegistration(t.Context(), &gatewayv1.UpdateRegistrationRequest{IdService: id, Port: &port}); err != nil {
		t.Fatal(err)
	}
	close(g.open)
	under.Wait(t)
	if got := w.details(t, id); got.GetService().GetPort() != port || got.GetService().GetUrls()[0] != "/items/" {
		t.Errorf("what was fetched elsewhere is taken: %v", got)
	}
	w.refresh(t)
	w.want(t, http.MethodGet, "/Shop/third", http.StatusOK, "GET /third")
}

// TestMergedDocument: components of the same name do not meet, a bad document is
// in nobody's way, and the document is replaced as a whole.
func TestMergedDocument(t *testing.T) {
	t.Parallel()
	withItem := func(kind string) http.HandlerFunc {
		return text(200, `{"openapi":"3.0.2","info":{"title":"a","version":"1"},"tags":[{"name":"open","x-auto-generate-in-api-gateway":"true"}],
			"paths":{"/items/":{"get":{"tags":["open"],"operationId":"list","responses":{"200":{"description":"OK","content":{"application/json":
			{"schema":{"$ref":"#/components/schemas/Item"}}}}}}}},"components":{"schemas":{"Item":{"type":"`+kind+`"}}}}`)
	}
	w := newWorld(t)
	w.register(t, "One", newUpstream(t, withItem("string")).port(t))
	two := w.register(t, "Two", newUpstream(t, withItem("integer")).port(t))
	w.register(t, "Bad", newUpstream(t, text(200, "{")).port(t))
	tagged := func() (string, map[string]any) {
		status, body := w.get(t, http.MethodGet, "/openapi.json")
		var doc map[string]any
		if err := json.Unmarshal([]byte(body), &doc); status != http.StatusOK || err != nil {
			t.Fatalf("%d %v: %s", status, err, body)
		}
		if err := valid([]byte(body)); err != nil {
			t.Errorf("the document is not valid: %v", err)
		}
		return body, doc
	}
	w.refresh(t)
	body, doc := tagged()
	paths := doc["paths"].(map[string]any)
	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	if len(paths) != 2 || paths["/One/items/"] == nil || paths["/Two/items/"] == nil {
		t.Errorf("the paths are %v", paths)
	}
	for name, kind := range map[string]string{"One_Item": "string", "Two_Item": "integer"} {
		if s, ok := schemas[name].(map[string]any); !ok || s["type"] != kind {
			t.Errorf("the schemas are %v", schemas)
		}
	}
	if again, _ := tagged(); again != body {
		t.Error("the document is another each time")
	}
	if _, err := w.UnregisterService(t.Context(), &gatewayv1.UnregisterServiceRequest{IdService: two}); err != nil {
		t.Fatal(err)
	}
	w.refresh(t)
	if body, _ := tagged(); strings.Contains(body, "/Two/") {
		t.Errorf("who is gone is in it: %s", body)
	}
}

// valid tells what is wrong with an OpenAPI document.
func valid(body []byte) error {
	doc, err := openapi3.NewLoader().LoadFromData(body)
	if err != nil {
		return err
	}
	return doc.Validate(context.Background())
}

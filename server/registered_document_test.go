package server_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/server/servertest"
)

// mergedDocument reads the document of all services, which must be valid.
func (c *catalogue) mergedDocument(t *testing.T) *openapi3.T {
	t.Helper()
	got := c.ask(t, "GET", "/openapi.json", nil)
	if got.StatusCode != http.StatusOK || got.Header.Get("Content-Type") != jsonKind {
		t.Fatalf("the document: %d %v %.300s", got.StatusCode, got.Header, got.text)
	}
	doc, err := openapi3.NewLoader().LoadFromData([]byte(got.text))
	if err != nil {
		t.Fatalf("the document: %v\n%.2000s", err, got.text)
	}
	if err := doc.Validate(context.Background()); err != nil {
		t.Fatalf("the document: %v", err)
	}
	return doc
}

// TestMergedDocument: the document of all services is valid, and everything in
// it can be called as it says.
func TestMergedDocument(t *testing.T) {
	t.Parallel()
	s, parts := openShop(t), startParts(t)
	for _, auth := range []string{"key-auth", "basic-auth"} {
		s.add(t, auth, s.up.Port, func(r *gatewayv1.RegisterServiceRequest) { r.Auth = auth })
	}
	s.add(t, "parts", parts.port)
	s.add(t, "mixed", startBroken(t), func(r *gatewayv1.RegisterServiceRequest) { r.DocumentPath = "/mixed.json" })
	if out := s.refresh(t); out.GetUsable() != 5 {
		t.Fatalf("not all can be used: %v", out)
	}
	doc := s.mergedDocument(t)
	ids, count := map[string]bool{}, map[string]int{}
	for path, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
			service := strings.Split(path, "/")[1]
			what := method + " " + path
			count[service]++
			if len(o.Tags) != 1 || o.Tags[0] != service || o.OperationID == "" && service != "mixed" || ids[o.OperationID] || o.OperationID != "" && !strings.HasPrefix(o.OperationID, service+"_") {
				t.Errorf("%s has the tags %v and the id %q", what, o.Tags, o.OperationID)
			}
			ids[o.OperationID] = o.OperationID != ""
			s.callable(t, doc, what, o)
		}
	}
	if want := map[string]int{"shop": 34, "key-auth": 34, "basic-auth": 34, "parts": 7, "mixed": 2}; fmt.Sprint(count) != fmt.Sprint(want) {
		t.Errorf("there are %v operations, want %v", count, want)
	}
	s.shows(t, doc)
	// The page is the same for who has it already, and is for reading.
	got := s.ask(t, "GET", "/openapi.json", nil)
	s.ask(t, "GET", "/openapi.json", nil, "If-None-Match", got.Header.Get("Etag")).want(t, "unchanged", http.StatusNotModified, "")
	s.ask(t, "HEAD", "/openapi.json", nil).want(t, "HEAD", http.StatusOK, "")
	for _, path := range []string{"/docs", "/redoc"} {
		if got := s.ask(t, "GET", path, nil); got.StatusCode != 200 || !strings.HasPrefix(got.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: %d %v", path, got.StatusCode, got.Header)
		}
	}
}

var exampleValues = strings.NewReplacer("{item_id}", "7", "{name}", "a", "{kind}", "b", "{code}", "200", "{to}", "path", "{key}", "k", "{thing-id}", "t1")

// callable calls an operation: it is its service that answers, or the plugin
// that protects it.
func (s *shop) callable(t *testing.T, doc *openapi3.T, what string, o *openapi3.Operation) {
	t.Helper()
	method, path, _ := strings.Cut(exampleValues.Replace(what), " ")
	req, err := http.NewRequestWithContext(servertest.Context(t), method, "http://"+s.GatewayHTTP+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close() // some answers have no end
	protected := o.Security != nil && len(*o.Security) > 0
	switch by := resp.Header.Get("X-Service"); {
	case protected && (resp.StatusCode != http.StatusForbidden || by != ""):
		t.Errorf("%s is protected, and answers %s of %q", what, resp.Status, by)
	case !protected && by == "":
		t.Errorf("%s answers %s, which is not of the service", what, resp.Status)
	}
	if !protected {
		return
	}
	for name := range (*o.Security)[0] {
		scheme := doc.Components.SecuritySchemes[name]
		want := map[string]string{"basic-auth": "http basic ", "key-auth": "apiKey  apikey"}[o.Tags[0]]
		if want == "" {
			want = "http bearer "
		}
		if scheme == nil || strings.Join([]string{scheme.Value.Type, scheme.Value.Scheme, scheme.Value.Name}, " ") != want {
			t.Errorf("%s has the scheme %q, %v, want %s", what, name, scheme, want)
		}
	}
}

// shows looks at what is taken over, and what is not.
func (s *shop) shows(t *testing.T, doc *openapi3.T) {
	t.Helper()
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("the version is %s", doc.OpenAPI)
	}
	items := doc.Paths.Value("/shop/items/")
	if items == nil || items.Get.Parameters.GetByInAndName("query", "item-id") == nil || items.Post.RequestBody.Value.Content[jsonKind].Schema.Value.Properties["size"] == nil {
		t.Errorf("the items of the shop are %+v", items)
	}
	things := doc.Paths.Value("/parts/things")
	if things.Delete != nil || things.Get.Parameters.GetByInAndName("header", "X-Odd-Name") == nil {
		t.Errorf("the things are %+v", things)
	}
	// Both have a component Item, and each operation has its own.
	ours, theirs := items.Post.RequestBody.Value.Content[jsonKind].Schema.Value, things.Get.Responses.Value("200").Value.Content[jsonKind].Schema.Value.Items.Value
	if ours.Properties["price"] == nil || theirs.Properties["price"] != nil || theirs.Properties["colour"] == nil {
		t.Errorf("the two kinds of items are %v and %v", ours.Properties, theirs.Properties)
	}
	if latest := doc.Paths.Value("/parts/things/latest"); !latest.Get.Deprecated {
		t.Error("the latest thing is not deprecated any more")
	}
	for name := range doc.Components.SecuritySchemes {
		if strings.Contains(name, "elsewhere") {
			t.Errorf("the scheme %s is the service's own", name)
		}
	}
	if slices.ContainsFunc(doc.Servers, func(s *openapi3.Server) bool { return strings.Contains(s.URL, "parts.example") }) {
		t.Errorf("the servers are %v", doc.Servers)
	}
}

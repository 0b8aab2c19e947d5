package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/backplane/backplane/internal/config"
	"github.com/backplane/backplane/server/servertest"
)

// changes are what the log of changes has over REST, each as "level METHOD path
// code", sorted.
func (c *catalogue) changes(t *testing.T, query string) []string {
	t.Helper()
	var out []string
	for _, e := range c.Do(t, "GET", "/api/gateway/changes"+query, nil).List(t) {
		out = append(out, fmt.Sprintf("%s %s %s %s", e["level"], e["method"], e["path"], e["code"]))
		if e["service"] == "" || e["text"] == "" || e["before"] == e["after"] || e["at"] == "" {
			t.Errorf("a change says %v", e)
		}
	}
	slices.Sort(out)
	return out
}

// TestNextRelease: what clients of a service's last release cannot rely on any
// more is told, and the gateway follows; what users have made of its entities
// stays as long as these are there.
func TestNextRelease(t *testing.T) {
	t.Parallel()
	s, parts := openShop(t), startParts(t)
	s.add(t, "parts", parts.port)
	s.refresh(t)
	kept := s.admin(t, 201, "POST", "/routes/shop.newest_item_items_newest_get/plugins", `{"name":"request-termination","config":{"status_code":418,"message":"ours"}}`)
	lost := s.admin(t, 201, "POST", "/routes/shop.delete_item_items__item_id__delete/plugins", `{"name":"response-transformer","config":{"add":{"headers":["X-Ours:1"]}}}`)
	route := s.admin(t, 201, "POST", "/services/shop/routes", `{"name":"mine","paths":["/mine"]}`)
	ours := func(when string, deleted int) {
		t.Helper()
		s.ask(t, "GET", "/shop/items/newest", nil).want(t, when, http.StatusTeapot, detail("ours"))
		if got := s.ask(t, "GET", "/mine/search?q=1", nil); got.StatusCode != 200 || got.text != `{"q":"1"}` {
			t.Errorf("%s, a route of ours: %d %s", when, got.StatusCode, got.text)
		}
		if got := s.ask(t, "DELETE", "/shop/items/7", nil); got.StatusCode != deleted || deleted == 204 && got.Header.Get("X-Ours") != "1" {
			t.Errorf("%s, what the next release does not have: %d %v", when, got.StatusCode, got.Header)
		}
	}
	ours("before a refresh", 204)
	if out := s.refresh(t); out.GetRoutesAdded()+out.GetRoutesChanged()+out.GetRoutesRemoved() != 0 {
		t.Errorf("a refresh of what is as before: %v", out)
	}
	ours("after a refresh", 204)
	if got := s.changes(t, ""); len(got) != 0 {
		t.Errorf("before there are any: %q", got)
	}

	s.up.Restart(t, 2)
	if out := s.refresh(t); out.GetRoutesAdded() != 0 || out.GetRoutesRemoved() != 1 {
		t.Errorf("the refresh after the next release: %v", out)
	}
	ours("after the next release", 405)
	want := []string{"breaking DELETE /items/{item_id} api-path-removed-without-deprecation", "breaking GET /search request-parameter-became-required"}
	got := s.changes(t, "?level=breaking&service=shop")
	if len(got) != 2 || !strings.HasPrefix(got[0], "breaking DELETE /items/{item_id} ") || !strings.HasPrefix(got[1], "breaking GET /search ") {
		t.Errorf("breaking changes are %q, want such as %q", got, want)
	}
	if got := s.changes(t, "?service=parts"); len(got) != 0 {
		t.Errorf("of another service: %q", got)
	}
	if got := len(s.changes(t, "")); got < 2 {
		t.Errorf("of all levels there are %d", got)
	}
	s.admin(t, 200, "GET", "/plugins/"+kept["id"].(string), nil)
	s.admin(t, 404, "GET", "/plugins/"+lost["id"].(string), nil)

	// The service goes, and whatever was attached to it holds nothing up.
	s.says(t, fmt.Sprint("DELETE /service?id_service=", s.id), nil, 200, `{"details":{"code":0,"msg":"The service has been successfully marked as deleted"}}`)
	s.refresh(t)
	for _, path := range []string{"/shop/items/newest", "/mine/search"} {
		if got := s.ask(t, "GET", path, nil); got.Header.Get("X-Service") != "" {
			t.Errorf("%s of a service that has gone: %d %s", path, got.StatusCode, got.text)
		}
	}
	if a := s.Do(t, "GET", "/routes/"+route["id"].(string), nil); a.Status == 200 && a.JSON(t)["service"] != nil {
		t.Errorf("a route of a service that has gone: %s", a.Body)
	}
	if got := s.ask(t, "GET", "/parts/things", nil); got.StatusCode != 200 {
		t.Errorf("the others: %d %s", got.StatusCode, got.text)
	}
}

// TestTakenName: a service whose name in the gateway is another's does without,
// and says so; nobody else does.
func TestTakenName(t *testing.T) {
	t.Parallel()
	parts, c := startParts(t), newCatalogue(t)
	c.admin(t, 201, "POST", "/services", `{"name":"first","host":"127.0.0.1"}`)
	id := c.add(t, "first", parts.port)
	c.add(t, "second", parts.port)
	c.refresh(t)
	if s := c.about(t, id); s.GetError() == "" {
		t.Errorf("nothing is said of %v", s)
	}
	c.ask(t, "GET", "/first/things", nil).gone(t, "where the name is taken")
	if got := c.ask(t, "GET", "/second/things", nil); got.StatusCode != 200 {
		t.Errorf("beside it: %d %s", got.StatusCode, got.text)
	}
	c.admin(t, 204, "DELETE", "/services/first", nil)
	c.refresh(t)
	if got, s := c.ask(t, "GET", "/first/things", nil), c.about(t, id); got.StatusCode != 200 || s.GetError() != "" {
		t.Errorf("once the name is free: %d %s, %q", got.StatusCode, got.text, s.GetError())
	}
}

// TestRestarted: a program that starts again serves what it served, even where
// the services tell nothing of themselves any more.
func TestRestarted(t *testing.T) {
	t.Parallel()
	parts, c := startParts(t), newCatalogue(t)
	id := c.add(t, "parts", parts.port)
	c.refresh(t)
	page := c.ask(t, "GET", "/openapi.json", nil)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	parts.tells("")
	again := &catalogue{Server: servertest.Start(t, servertest.Options{DataDir: c.DataDir, Adjust: func(c *config.Config) { c.ServiceManagement = true }}), client: c.client}
	again.ask(t, "GET", "/parts/things", nil).want(t, "after the start", 200, `["GET","/things"]`+"\n")
	again.ask(t, "GET", "/openapi.json", nil).want(t, "after the start, the document", 200, page.text)
	servertest.Eventually(t, "the refresh of the start", func() bool { return again.about(t, id).GetService().GetStatusCode() == 503 })
	again.ask(t, "GET", "/parts/things", nil).want(t, "after its refresh", 200, `["GET","/things"]`+"\n")
	again.ask(t, "GET", "/openapi.json", nil).want(t, "after its refresh, the document", 200, page.text)
	if got := again.ask(t, "PATCH", "/parts/things/7", nil); got.StatusCode != http.StatusForbidden {
		t.Errorf("what is protected: %d %s", got.StatusCode, got.text)
	}
	parts.tells(strings.Replace(partsDocument, `"/things/latest"`, `"/things/last"`, 1))
	again.refresh(t)
	if got := again.ask(t, "GET", "/parts/things/last", nil); got.StatusCode != 200 || got.Header.Get("X-Service") != "parts" {
		t.Errorf("after the next release: %d %s", got.StatusCode, got.text)
	}
}

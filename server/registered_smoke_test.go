package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// says makes a call of service management over REST, and compares the answer.
func (c *catalogue) says(t *testing.T, call string, body any, status int, want string) {
	t.Helper()
	method, path, _ := strings.Cut(call, " ")
	if a := c.Do(t, method, path, body); a.Status != status || string(a.Body) != want {
		t.Errorf("%s %v: %d %s, want %d %s", call, body, a.Status, a.Body, status, want)
	}
}

// shown finds a service in the lists over REST.
func (c *catalogue) shown(t *testing.T, name string) servertest.Object {
	t.Helper()
	for page, pages := 1, 1; page <= pages; page++ {
		a := c.Do(t, "GET", fmt.Sprint("/services?page=", page), nil)
		if a.Status != http.StatusOK {
			break
		}
		list := a.JSON(t)
		pages = int(list["metadata"].(servertest.Object)["count_page"].(float64))
		for _, s := range list["services"].([]any) {
			if s := s.(servertest.Object); s["name"] == name {
				return s
			}
		}
	}
	return nil
}

// TestServiceLives goes through the life of services over REST and the gateway:
// a FastAPI application, a server in Go, and one with a broken document beside
// them.
func TestServiceLives(t *testing.T) {
	t.Parallel()
	up, parts, c := testbed.StartFastAPI(t), startParts(t), newCatalogue(t)
	// The broken ones take a whole page of the list, and the others come after.
	at := startBroken(t)
	for _, b := range broken {
		c.add(t, b.name, at, func(r *gatewayv1.RegisterServiceRequest) { r.DocumentPath = "/" + b.name + ".json" })
	}
	hello := servertest.Object{"domain": "http://127.0.0.1", "name_service": "Hello", "port": up.Port}
	query := fmt.Sprintf("POST /service?ip=127.0.0.1&port=%d&name_service=parts", parts.port)
	c.says(t, "POST /service", hello, 200, "true")
	c.says(t, "POST /service", hello, 200, "false")
	c.says(t, query, nil, 200, "true")
	c.says(t, query, nil, 200, "false")
	c.says(t, "POST /service", `{"domain":"http://h:8080","name_service":"h"}`, 422, `{"detail":[{"loc":["body","domain"],"msg":"Invalid domain","type":"assertion_error"}]}`)
	for _, name := range []string{"Hello", "parts"} {
		if s := c.shown(t, name); s["status-code"] != 0. || len(s["urls"].([]any)) != 0 {
			t.Errorf("before the first refresh: %v", s)
		}
		c.ask(t, "GET", "/"+name+"/things", nil).gone(t, "before the first refresh")
	}
	c.says(t, "PATCH /services", nil, 200, "true")
	s := c.shown(t, "Hello")
	if s["status-code"] != 200. || !slices.Contains(s["urls"].([]any), any("/items/")) || slices.Contains(s["urls"].([]any), any("/hidden/off")) {
		t.Errorf("after a refresh: %v", s)
	}
	c.lives(t, up)
	id := s["id"]
	del := fmt.Sprint("DELETE /service?id_service=", id)
	c.says(t, del, nil, 200, `{"details":{"code":0,"msg":"The service has been successfully marked as deleted"}}`)
	c.says(t, del, nil, 409, fmt.Sprintf(`{"detail":{"code":5,"msg":"Service %v has already been marked as deleted."}}`, id))
	if s := c.shown(t, "Hello"); s["delete"] != true {
		t.Errorf("after it was deleted: %v", s)
	}
	c.says(t, "PATCH /services", nil, 200, "true")
	if s := c.shown(t, "Hello"); s != nil {
		t.Errorf("after the refresh: %v", s)
	}
	c.ask(t, "GET", "/Hello/items/", nil).gone(t, "after the refresh")
	if got := c.ask(t, "GET", "/parts/things", nil); got.StatusCode != 200 {
		t.Errorf("the others: %d %s", got.StatusCode, got.text)
	}
	c.says(t, del, nil, 409, fmt.Sprintf(`{"detail":{"code":3,"msg":"The service with id %v was not found."}}`, id))
	c.says(t, "POST /service", hello, 200, "true")
}

// lives asks for what is served, stops the application, and starts it again.
func (c *catalogue) lives(t *testing.T, up *testbed.FastAPI) {
	const secure = "/Hello/secure/"
	for i, method := range []string{"POST", "GET"} {
		body := []byte(`{"name":"pen","price":1}`)
		if got := c.ask(t, method, "/Hello/items/", body, "Content-Type", jsonKind); got.StatusCode != 201-i || got.Header.Get("X-Service") != "shop" {
			t.Errorf("%s: %d %s", method, got.StatusCode, got.text)
		}
	}
	c.ask(t, "GET", "/Hello/hidden/untagged", nil).want(t, "without a tag", 404, detail("Not Found"))
	c.ask(t, "GET", secure, nil).want(t, "without a token", 403, detail("Not authenticated"))
	c.addConsumer(t, "alice")
	token := bearer(t, "alice", jwtSecret, time.Now().Add(time.Hour))
	c.ask(t, "GET", secure, nil, "Authorization", token).want(t, "with a token", 200, `{"authorization":"`+token+`"}`)

	up.Close()
	c.ask(t, "GET", "/Hello/items/", nil).want(t, "stopped", 503, detail("Service is unavailable."))
	c.says(t, "PATCH /services", nil, 200, "true")
	if s := c.shown(t, "Hello"); s["status-code"] != -1. {
		t.Errorf("stopped: %v", s)
	}
	c.ask(t, "GET", "/Hello/items/", nil).want(t, "stopped, after a refresh", 503, detail("Service is unavailable."))
	c.ask(t, "GET", "/Hello/hidden/untagged", nil).want(t, "stopped, without a tag", 404, detail("Not Found"))
	c.ask(t, "GET", secure, nil).want(t, "stopped, without a token", 403, detail("Not authenticated"))
	if got := c.ask(t, "GET", "/parts/things", nil); got.StatusCode != 200 {
		t.Errorf("the others while one is stopped: %d %s", got.StatusCode, got.text)
	}
	up.Restart(t, 1)
	if got := c.ask(t, "GET", "/Hello/items/", nil); got.StatusCode != 200 {
		t.Errorf("started again, before a refresh: %d %s", got.StatusCode, got.text)
	}
	c.says(t, "PATCH /services", nil, 200, "true")
	if s := c.shown(t, "Hello"); s["status-code"] != 200. {
		t.Errorf("started again: %v", s)
	}
}

// gone wants an answer of a gateway that knows no such route.
func (r reply) gone(t *testing.T, what string) {
	t.Helper()
	if r.StatusCode != http.StatusNotFound || !strings.Contains(r.text, "no Route matched with those values") {
		t.Errorf("%s: %d %s", what, r.StatusCode, r.text)
	}
}

// TestBrokenDocuments: what is wrong in a document is told of its service, and
// costs nobody else anything.
func TestBrokenDocuments(t *testing.T) {
	t.Parallel()
	at, parts, c := startBroken(t), startParts(t), newCatalogue(t)
	ids := map[string]int64{}
	for _, b := range broken {
		ids[b.name] = c.add(t, b.name, at, func(r *gatewayv1.RegisterServiceRequest) { r.DocumentPath = "/" + b.name + ".json" })
	}
	for name, status := range map[string]int32{"500": 500, "404": 404, "hangup": -1} {
		id := c.add(t, name, at, func(r *gatewayv1.RegisterServiceRequest) { r.DocumentPath = "/" + name + ".json" })
		defer func() {
			if s := c.about(t, id); s.GetService().GetStatusCode() != status || s.GetError() == "" {
				t.Errorf("%s: status %d, %q", name, s.GetService().GetStatusCode(), s.GetError())
			}
		}()
	}
	c.add(t, "parts", parts.port)
	out := c.refresh(t)
	if want := int32(len(broken)) + 4; out.GetServices() != want {
		t.Errorf("%d services, want %d", out.GetServices(), want)
	}
	for _, b := range broken {
		s := c.about(t, ids[b.name])
		if got := s.GetService(); got.GetStatusCode() != b.status || !slices.Equal(got.GetUrls(), strings.Fields(b.urls)) {
			t.Errorf("%s: status %d with %v, want %d with %s; %s %q", b.name, got.GetStatusCode(), got.GetUrls(), b.status, b.urls, s.GetError(), s.GetFaults())
		}
		if (b.status != 200) != (s.GetError() != "") {
			t.Errorf("%s: the error is %q", b.name, s.GetError())
		}
	}
	if s := c.about(t, ids["mixed"]); len(s.GetFaults()) < 5 {
		t.Errorf("the faults are %q", s.GetFaults())
	}
	for _, path := range []string{"/good", "/first"} {
		if got := c.ask(t, "GET", "/mixed"+path, nil); got.StatusCode != 200 || got.Header.Get("X-Service") != "broken" {
			t.Errorf("%s beside what is broken: %d %s", path, got.StatusCode, got.text)
		}
	}
	c.ask(t, "GET", "/parts/things?ids=1,2", nil, "Accept", "*/*").want(t, "the others", 200, `["GET","/things?ids=1,2"]`+"\n")
}

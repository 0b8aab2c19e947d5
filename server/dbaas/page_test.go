package dbaas_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// mongoHouse is a control plane as the documentation's examples find it: one
// environment, one plan, and a MongoDB server.
func mongoHouse(t *testing.T) (s *servertest.Server, mongo *testbed.MongoDBWithRoles) {
	t.Helper()
	mongo = testbed.StartMongoDBWithRoles(t)
	s = servertest.Start(t, servertest.Options{})
	service := s.Create(t, object{"name": "local infra", "service_type": "mongodb", "config": object{
		"host": "127.0.0.1", "port": mongo.Port, "database": "admin", "username": mongo.Username, "password": mongo.Password, "auth_source": "admin",
	}})["id"]
	for path, body := range map[string]object{"/api/environment/": {"name": "laboratory"}} {
		created(t, s.Do(t, "POST", path, body))
	}
	created(t, s.Do(t, "POST", "/api/plan/", object{
		"name": "small", "engine": "mongodb", "environments": []string{"/api/environment/1/"}, "services": []any{service},
	}))
	return s, mongo
}

func created(t *testing.T, a servertest.Answer) {
	t.Helper()
	if a.Status != http.StatusCreated || a.Header.Get("Location") == "" {
		t.Fatalf("%d %s, Location %q", a.Status, a.Body, a.Header.Get("Location"))
	}
}

// is compares an answer byte by byte with what the page shows. In the page,
// HOST stands for the address asked, PORT for the engine's, N for a size and P
// for a password.
func is(t *testing.T, s *servertest.Server, port int, a servertest.Answer, status int, page string) {
	t.Helper()
	page = strings.NewReplacer("HOST", s.URL, "PORT", fmt.Sprint(port)).Replace(page)
	shape := regexp.QuoteMeta(page)
	shape = strings.NewReplacer(`N\}`, "[0-9]+}", `N,`, "[0-9]+,", `"P"`, `"[a-zA-Z2-9]{10}"`).Replace(shape)
	if a.Status != status || a.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %s: %s", a.Status, a.Header.Get("Content-Type"), a.Body)
	}
	if !regexp.MustCompile("^" + shape + "\n?$").Match(a.Body) {
		t.Errorf("answer\n%s\nwant\n%s", a.Body, page)
	}
}

// TestPageOfTheDocumentation follows the page's examples in their order.
func TestPageOfTheDocumentation(t *testing.T) {
	t.Parallel()
	s, mongo := mongoHouse(t)
	check := func(a servertest.Answer, status int, page string) {
		t.Helper()
		is(t, s, mongo.Port, a, status, page)
	}
	const database = `{"_links":{"self":"HOST/api/database/1/"},"id":1,"name":"test_database2",` +
		`"endpoint":"mongodb://<user>:<password>@127.0.0.1:PORT/test_database2","plan":"HOST/api/plan/1/","environment":"HOST/api/environment/1/",` +
		`"project":null,"quarantine_dt":null,"total_size_in_bytes":0,"used_size_in_bytes":N,"credentials":["HOST/api/credential/1/"]}`
	json := []string{"Content-Type", "application/json"}

	a := s.Do(t, "POST", "/api/database/", `{ "name": "test database2", "plan": "/api/plan/1/", "environment": "/api/environment/1/" }`, json...)
	check(a, 201, database)
	check(s.Do(t, "GET", "/api/database/", nil), 200,
		`{"_links":{"count":1,"self":"HOST/api/database/","previous":null,"next":null},"database":[`+database+`]}`)
	check(s.Do(t, "GET", "/api/database/1/", nil), 200, database)
	check(s.Do(t, "GET", "/api/database/1", nil), 200, database)

	const credential = `{"_links":{"self":"HOST/api/credential/1/"},"id":1,"user":"u_test_database2","database":"HOST/api/database/1/"`
	check(s.Do(t, "GET", "/api/credential/", nil), 200,
		`{"_links":{"count":1,"self":"HOST/api/credential/","previous":null,"next":null},"credential":[`+credential+`}]}`)
	check(s.Do(t, "GET", "/api/credential/1/", nil), 200, credential+`,"password":"P"}`)
	check(s.Do(t, "POST", "/api/credential/", `{ "user": "u_myusr1", "database": "/api/database/1/" }`, json...), 201,
		`{"_links":{"self":"HOST/api/credential/2/"},"id":2,"user":"u_myusr1","database":"HOST/api/database/1/","password":"P"}`)
	before := s.Do(t, "GET", "/api/credential/1/", nil).JSON(t)["password"]
	a = s.Do(t, "POST", "/api/credential/1/reset_password/", "", "Content-Type", "application/x-www-form-urlencoded")
	check(a, 200, credential+`,"password":"P"}`)
	if after := a.JSON(t)["password"]; after == before {
		t.Error("reset_password kept the password")
	}
	for _, want := range []struct {
		method, path string
		status       int
	}{
		{"DELETE", "/api/credential/2/", 204}, {"GET", "/api/credential/2/", 404},
		{"DELETE", "/api/database/1/", 204}, {"GET", "/api/database/1/", 200},
		{"DELETE", "/api/database/1/", 204}, {"GET", "/api/database/1/", 404}, {"DELETE", "/api/database/1/", 404},
	} {
		a := s.Do(t, want.method, want.path, nil)
		if a.Status != want.status || want.status == 204 && len(a.Body) > 0 {
			t.Errorf("%s %s: %d %s, want %d", want.method, want.path, a.Status, a.Body, want.status)
		}
	}
}

package server_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/google/uuid"

	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/rest"
	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/server/store"
	"github.com/backplane/backplane/testbed"
)

const unknownID = "550e8400-e29b-41d4-a716-446655440000"

// wantError checks that an answer is a failure in the documented envelope, and
// returns the paths of its fields.
func wantError(t *testing.T, a servertest.Answer, status int, code errs.Reason) []string {
	t.Helper()
	if a.Status != status {
		t.Errorf("status is %d, want %d: %s", a.Status, status, a.Body)
	}
	var e struct {
		OK        *bool  `json:"ok"`
		Error     string `json:"error"`
		Code      string `json:"code"`
		RequestID string `json:"request_id"`
		Fields    []struct {
			Path    string `json:"path"`
			Message string `json:"message"`
		} `json:"fields"`
		Data json.RawMessage `json:"data"`
	}
	dec := json.NewDecoder(bytes.NewReader(a.Body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil {
		t.Fatalf("not the documented envelope: %v\n%s", err, a.Body)
	}
	if e.OK == nil || *e.OK || e.Error == "" || e.Code != string(code) {
		t.Errorf("the envelope is %s, want code %q", a.Body, code)
	}
	if e.RequestID == "" || a.Header.Get("X-Request-Id") != e.RequestID {
		t.Errorf("request_id is %q, header X-Request-Id %q", e.RequestID, a.Header.Get("X-Request-Id"))
	}
	if got := a.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control is %q", got)
	}
	if got := a.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type is %q", got)
	}
	var paths []string
	for _, f := range e.Fields {
		if f.Message == "" {
			t.Errorf("field %s has no message", f.Path)
		}
		paths = append(paths, f.Path)
	}
	slices.Sort(paths)
	return paths
}

func TestEveryReasonIsMapped(t *testing.T) {
	t.Parallel()
	for _, reason := range errs.Reasons() {
		if s := rest.StatusOf(reason); (s == http.StatusInternalServerError) != (reason == errs.Internal) || s < 400 {
			t.Errorf("reason %s has the status %d", reason, s)
		}
		back := errs.FromStatus(errs.ToStatus(errs.New(reason, "text")).Err())
		if back.Reason != reason {
			t.Errorf("reason %s comes back from gRPC as %s", reason, back.Reason)
		}
	}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.Create(t, sqlite("one"))["id"].(string)
	one := "/api/services/" + id
	bodies := map[string]string{
		"empty":             "",
		"spaces":            "  \n",
		"malformed":         `{"name":`,
		"not an object":     `[1]`,
		"a text":            `"name"`,
		"null":              `null`,
		"trailing data":     `{"name":"a"} {"name":"b"}`,
		"trailing text":     `{"name":"a"} x`,
		"duplicate key":     `{"name":"a","name":"b"}`,
		"duplicate inside":  `{"name":"a","service_type":"sqlite","config":{"path":"/a","path":"/b"}}`,
		"not UTF-8":         "{\"name\":\"\xff\"}",
		"single quotes":     `{'name':'a'}`,
		"too deeply nested": `{"config":` + strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5001),
	}
	for name, body := range bodies {
		for _, call := range [][2]string{{"POST", "/api/services"}, {"PUT", one}, {"POST", "/api/services/test"}, {"POST", one + "/rollback"}} {
			t.Run(name+" "+call[0]+" "+call[1], func(t *testing.T) {
				wantError(t, s.Do(t, call[0], call[1], body), 400, errs.BadRequest)
			})
		}
	}
	queries := map[string]string{
		"/api/services?limt=5":                 "limt",
		"/api/services?limit=0":                "limit",
		"/api/services?limit=1001":             "limit",
		"/api/services?limit=-1":               "",
		"/api/services?limit=many":             "",
		"/api/services?limit=1&limit=2":        "",
		"/api/services?enabled=maybe":          "",
		"/api/services?status=fine":            "status",
		"/api/services?service_type=smtp":      "service_type",
		"/api/services?label=team":             "label",
		"/api/services?cursor=x":               "cursor",
		"/api/services?index=1&wait=soon":      "wait",
		"/api/services?index=1&wait=11m":       "wait",
		"/api/services?index=-1":               "",
		"/api/services?q=%zz":                  "",
		"/api/services?a;b":                    "",
		"/api/services/watch?index=x":          "",
		"/api/services/watch?since=1":          "since",
		one + "?verbose=1":                     "verbose",
		one + "/health?limit=1001":             "limit",
		one + "/health?before=x":               "",
		"/api/service-types?x=1":               "x",
		"/api/services?limit=1&cursor=AAAA%3D": "cursor",
	}
	for path, field := range queries {
		t.Run("GET "+path, func(t *testing.T) {
			got := wantError(t, s.Do(t, "GET", path, nil), 400, errs.BadRequest)
			if field != "" && !slices.Equal(got, []string{field}) {
				t.Errorf("fields are %v, want %s", got, field)
			}
		})
	}
	for _, path := range []string{one + "/test?timeout=31", "/api/services/test-all?timeout=31", "/api/services/test-all?service_type=x", one + "/test?verify=true"} {
		t.Run("POST "+path, func(t *testing.T) {
			wantError(t, s.Do(t, "POST", path, nil), 400, errs.BadRequest)
		})
	}
}

func TestLogins(t *testing.T) {
	t.Parallel()
	s := start(t)
	// A few wrong passwords for each user, so that nobody is slowed down yet.
	s.AddUser(t, "hasty")
	headers := map[string]string{
		"none":           "",
		"wrong password": servertest.Basic("admin", "wrong"),
		"no password":    servertest.Basic("hasty", ""),
		"unknown user":   servertest.Basic("nobody", servertest.Password),
		"other case":     servertest.Basic("Admin", servertest.Password),
		"not base64":     "Basic %%%",
		"bearer":         "Bearer abc",
		"scheme alone":   "Basic",
	}
	for name, header := range headers {
		t.Run(name, func(t *testing.T) {
			for _, call := range [][2]string{{"GET", "/api/services"}, {"POST", "/api/services"}, {"GET", "/api/services/watch"}, {"DELETE", "/api/services/" + unknownID}} {
				a := s.Do(t, call[0], call[1], "{malformed", "Authorization", header)
				wantError(t, a, 401, errs.Unauthenticated)
				if !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Basic ") {
					t.Errorf("WWW-Authenticate is %q", a.Header.Get("WWW-Authenticate"))
				}
			}
		})
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs/", "/api/health"} {
		if a := s.Do(t, "GET", path, nil, "Authorization", ""); a.Status != 200 {
			t.Errorf("%s without a login: %d", path, a.Status)
		}
	}
	if a := s.Do(t, "GET", "/api/services", nil, "Authorization", strings.Replace(servertest.Basic("admin", servertest.Password), "Basic", "bAsIc", 1)); a.Status != 200 {
		t.Errorf("the scheme's case matters: %d", a.Status)
	}
}

func TestUnknown(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, id := range []string{unknownID, "1", "not-a-uuid", "550e8400e29b41d4a716446655440000", "%7Bx%7D", strings.Repeat("a", 5000)} {
		one := "/api/services/" + id
		for _, call := range [][2]string{
			{"GET", one}, {"DELETE", one}, {"POST", one + "/test"}, {"POST", one + "/activate"}, {"POST", one + "/deactivate"},
			{"GET", one + "/health"}, {"GET", one + "/versions"},
		} {
			wantError(t, s.Do(t, call[0], call[1], nil), 404, errs.NotFound)
		}
		wantError(t, s.Do(t, "PUT", one, object{"name": "x"}), 404, errs.NotFound)
		wantError(t, s.Do(t, "POST", one+"/rollback", object{"version": 1}), 404, errs.NotFound)
	}
	for _, path := range []string{"/api/service", "/api/services/a/b/c", "/api/service-types/smtp", "/api/services//x", "/api/services/" + unknownID + "/nothing"} {
		wantError(t, s.Do(t, "GET", path, nil), 404, errs.NotFound)
	}
}

func TestWrongMethod(t *testing.T) {
	t.Parallel()
	s := start(t)
	for path, allow := range map[string]string{
		"/api/services":                              "GET, HEAD, POST",
		"/api/services/" + unknownID:                 "DELETE, GET, HEAD, PUT",
		"/api/services/" + unknownID + "/test":       "POST",
		"/api/services/" + unknownID + "/deactivate": "POST",
		"/api/service-types":                         "GET, HEAD",
		"/api/health":                                "GET, HEAD",
	} {
		for _, verb := range []string{"PATCH", "OPTIONS"} {
			a := s.Do(t, verb, path, nil)
			wantError(t, a, 405, errs.MethodNotAllowed)
			if got := a.Header.Get("Allow"); got != allow {
				t.Errorf("%s: Allow is %q, want %q", path, got, allow)
			}
		}
	}
}

func TestConflicts(t *testing.T) {
	t.Parallel()
	s := start(t)
	one := s.Create(t, sqlite("Größe One"))["id"].(string)
	two := s.Create(t, sqlite("two"))["id"].(string)
	for _, name := range []string{"Größe One", "GRÖSSE one", "  größe one  "} {
		wantError(t, s.Do(t, "POST", "/api/services", sqlite(name)), 409, errs.NameTaken)
		wantError(t, s.Do(t, "PUT", "/api/services/"+two, object{"name": name}), 409, errs.NameTaken)
	}
	if got := s.Do(t, "PUT", "/api/services/"+one, object{"name": "GRÖSSE ONE"}).Data(t)["name"]; got != "GRÖSSE ONE" {
		t.Errorf("a service cannot change the case of its own name: %v", got)
	}
	wantError(t, s.Do(t, "PUT", "/api/services/"+two, object{"service_type": "redis"}), 409, errs.TypeImmutable)
	s.Do(t, "PUT", "/api/services/"+two, object{"service_type": "sqlite", "enabled": false}).Data(t)
	wantError(t, s.Do(t, "POST", "/api/services/"+two+"/activate", nil), 409, errs.Disabled)
	wantError(t, s.Do(t, "POST", "/api/services/"+two+"/deactivate", nil), 409, errs.Disabled)
}

func TestPreconditions(t *testing.T) {
	t.Parallel()
	s := start(t)
	created := s.Do(t, "POST", "/api/services", sqlite("one"))
	path := created.Header.Get("Location")
	if got := created.Header.Get("ETag"); got != `"1"` {
		t.Errorf("the ETag of a new service is %s", got)
	}
	if a := s.Do(t, "PUT", path, object{"description": "second"}, "If-Match", `"1"`); a.Status != 200 || a.Header.Get("ETag") != `"2"` {
		t.Errorf("a matching If-Match answers %d, ETag %s: %s", a.Status, a.Header.Get("ETag"), a.Body)
	}
	for _, stale := range []string{`"1"`, `"0"`, `"x"`, `W/"2"`} {
		for _, verb := range []string{"PUT", "DELETE"} {
			a := s.Do(t, verb, path, object{"description": "third"}, "If-Match", stale)
			wantError(t, a, 412, errs.VersionMismatch)
			if got := a.Header.Get("ETag"); got != `"2"` {
				t.Errorf("%s with If-Match %s: the current ETag is %q", verb, stale, got)
			}
		}
	}
	wantError(t, s.Do(t, "POST", path+"/rollback", object{"version": 1}, "If-Match", `"1"`), 412, errs.VersionMismatch)

	for _, tag := range []string{`"2"`, `W/"2"`, `"1", "2"`, "*"} {
		a := s.Do(t, "GET", path, nil, "If-None-Match", tag)
		if a.Status != http.StatusNotModified || len(a.Body) > 0 || a.Header.Get("ETag") != `"2"` {
			t.Errorf("If-None-Match %s answers %d, ETag %s, %q", tag, a.Status, a.Header.Get("ETag"), a.Body)
		}
	}
	if a := s.Do(t, "GET", path, nil, "If-None-Match", `"1"`); a.Status != 200 || len(a.Body) == 0 {
		t.Errorf("a stale If-None-Match answers %d", a.Status)
	}
	if got := s.Do(t, "GET", path, nil).Data(t)["description"]; got != "second" {
		t.Errorf("a refused change was made: %v", got)
	}
	for _, good := range []string{`"9", "2"`, "*"} {
		s.Do(t, "PUT", path, object{"description": "second"}, "If-Match", good).Data(t)
	}
	if a := s.Do(t, "DELETE", path, nil, "If-Match", `"2"`); a.Status != 200 {
		t.Errorf("delete with a matching If-Match answers %d", a.Status)
	}
}

func TestBodySize(t *testing.T) {
	t.Parallel()
	s := start(t)
	padded := func(name string, size int) []byte {
		body, err := json.Marshal(sqlite(name))
		if err != nil {
			t.Fatal(err)
		}
		return append(body, bytes.Repeat([]byte(" "), size-len(body))...)
	}
	if a := s.Do(t, "POST", "/api/services", padded("exactly", rest.MaxBody)); a.Status != 200 {
		t.Errorf("a body of 1 MiB answers %d: %s", a.Status, a.Body)
	}
	wantError(t, s.Do(t, "POST", "/api/services", padded("more", rest.MaxBody+1)), 413, errs.TooLarge)
	wantError(t, s.Do(t, "PUT", "/api/services/"+unknownID, padded("more", 2*rest.MaxBody)), 413, errs.TooLarge)

	// Without a length known beforehand.
	for size, want := range map[int]int{rest.MaxBody: 200, rest.MaxBody + 1: 413} {
		req, err := servertest.NewRequest("POST", s.URL+"/api/services", padded(fmt.Sprint("chunked ", size), size))
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = -1
		resp, err := s.Client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("a chunked body of %d bytes answers %d, want %d", size, resp.StatusCode, want)
		}
	}
	big := sqlite("big", "config", object{"path": "/tmp/x", "create_if_missing": strings.Repeat("x", 65<<10)})
	if got := wantError(t, s.Do(t, "POST", "/api/services", big), 422, errs.ValidationFailed); !slices.Contains(got, "config") {
		t.Errorf("a configuration over 64 KiB is faulted at %v, want config", got)
	}
}

func TestContentType(t *testing.T) {
	t.Parallel()
	s := start(t)
	body := `{"name":"typed","service_type":"sqlite","config":{"path":"/tmp/x.db"}}`
	for _, typ := range []string{"text/plain", "application/x-www-form-urlencoded", "application/xml", "multipart/form-data; boundary=x", "application/jsonx", "-"} {
		header := strings.Trim(typ, "-")
		wantError(t, s.Do(t, "POST", "/api/services", body, "Content-Type", header), 415, errs.UnsupportedType)
		wantError(t, s.Do(t, "PUT", "/api/services/"+unknownID, body, "Content-Type", header), 415, errs.UnsupportedType)
	}
	id := s.Do(t, "POST", "/api/services", body, "Content-Type", "application/json; charset=utf-8").Data(t)["id"].(string)
	s.Do(t, "PUT", "/api/services/"+id, `{}`, "Content-Type", "application/merge-patch+json").Data(t)
	s.Do(t, "POST", "/api/services/"+id+"/test", "", "Content-Type", "").Data(t)
}

func TestAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	cases := map[string]struct {
		body object
		want []string
	}{
		"nothing":        {object{}, []string{"name", "service_type"}},
		"unknown type":   {object{"name": "*", "service_type": "smtp", "config": object{}}, []string{"name", "service_type"}},
		"no config":      {object{"name": "x", "service_type": "redis"}, []string{"config"}},
		"empty config":   {object{"name": "x", "service_type": "postgres", "config": object{}}, []string{"config.database", "config.host", "config.username"}},
		"null required":  {object{"name": "x", "service_type": "sqlite", "config": object{"path": nil}}, []string{"config.path"}},
		"wrong types":    {object{"name": 1, "service_type": true, "config": "x", "enabled": "yes", "tags": "a", "labels": []any{}}, []string{"config", "enabled", "labels", "name", "service_type", "tags"}},
		"unknown fields": {object{"nmae": "x", "health": object{"stauts": "x"}}, []string{"health.stauts", "nmae"}},
		"everything": {object{
			"name": strings.Repeat("n", 129), "service_type": "postgres", "description": strings.Repeat("d", 4097),
			"tags": []any{"Bad", "ok", "ok"}, "labels": object{"Bad Key": "v", "k": strings.Repeat("v", 257)},
			"check":  object{"interval": "9s", "timeout": "31s", "failures_before_critical": 101, "successes_before_passing": 101},
			"config": object{"host": "http://x", "port": 70000, "database": 5, "username": "u\nv", "pasword": "x", "pool_size": 0},
		}, []string{
			"check.failures_before_critical", "check.interval", "check.successes_before_passing", "check.timeout",
			"config.database", "config.host", "config.pasword", "config.pool_size", "config.port", "config.username",
			"description", "labels.Bad Key", "labels.k", "name", "tags[0]", "tags[2]",
		}},
		"no coercion":        {object{"name": "x", "service_type": "redis", "config": object{"host": "h", "port": "6379", "use_tls": 1, "database": 1.5}}, []string{"config.database", "config.port", "config.use_tls"}},
		"UUID as a name":     {sqlite(unknownID), []string{"name"}},
		"control characters": {sqlite("a\tb"), []string{"name"}},
		"blank name":         {sqlite("  "), []string{"name"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := wantError(t, s.Do(t, "POST", "/api/services", c.body), 422, errs.ValidationFailed); !slices.Equal(got, c.want) {
				t.Errorf("faulty are\n%v, want\n%v", got, c.want)
			}
		})
	}
	id := s.Create(t, sqlite("one"))["id"].(string)
	got := wantError(t, s.Do(t, "PUT", "/api/services/"+id, object{"name": "", "config": object{"path": nil, "pth": 1}}), 422, errs.ValidationFailed)
	if want := []string{"config.path", "config.pth", "name"}; !slices.Equal(got, want) {
		t.Errorf("an update names %v, want %v", got, want)
	}
	for _, body := range []object{{"config": nil}, {"version": 99}, {}} {
		a := s.Do(t, "POST", "/api/services/"+id+"/rollback", body)
		if a.Status != 422 {
			t.Errorf("rollback with %v answers %d: %s", body, a.Status, a.Body)
		}
	}
	if s.Get(t, id)["version"] != 1. {
		t.Error("a refused change was made")
	}
}

func TestTooManyTests(t *testing.T) {
	t.Parallel()
	s := start(t)
	var mu sync.Mutex
	connected := 0
	port := testbed.Peer(t, func(c net.Conn) {
		mu.Lock()
		connected++
		mu.Unlock()
		io.Copy(io.Discard, c) //nolint:errcheck // until the other side closes
	})
	body := object{"service_type": "redis", "config": object{"host": "127.0.0.1", "port": port}}
	ctx, cancel := context.WithCancel(servertest.Context(t))
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			req, err := servertest.NewRequest("POST", s.URL+"/api/services/test?timeout=30", body)
			if err != nil {
				t.Error(err)
				return
			}
			if resp, err := s.Client.Do(req.WithContext(ctx)); err == nil {
				resp.Body.Close()
				t.Errorf("a test of a silent server answered %d", resp.StatusCode)
			}
		})
	}
	servertest.Eventually(t, "16 tests under way", func() bool { mu.Lock(); defer mu.Unlock(); return connected == 16 })
	refused := s.Do(t, "POST", "/api/services/test", body)
	wantError(t, refused, 429, errs.TooManyTests)
	if refused.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	// Callers that go away take their tests with them.
	cancel()
	all.Wait()
	unreachable := object{"service_type": "redis", "config": object{"host": "127.0.0.1", "port": testbed.ClosedPort(t)}}
	servertest.Eventually(t, "a place for a test", func() bool {
		return s.Do(t, "POST", "/api/services/test", unreachable).Status == 200
	})
}

func TestInternalErrorHidesItsCause(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.Create(t, sqlite("one"))["id"].(string)
	db, err := sql.Open("sqlite", filepath.Join(s.DataDir, store.SQLiteFile))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("ALTER TABLE health_entries RENAME TO lost"); err != nil {
		t.Fatal(err)
	}
	a := s.Do(t, "GET", "/api/services/"+id+"/health", nil, "X-Request-Id", "find-me.1")
	wantError(t, a, 500, errs.Internal)
	if got := a.JSON(t); got["error"] != "Internal error" || got["request_id"] != "find-me.1" {
		t.Errorf("the answer is %v", got)
	}
	var logged string
	for line := range strings.Lines(s.Log.String()) {
		if strings.Contains(line, "find-me.1") {
			logged = line
		}
	}
	if !strings.Contains(logged, "health_entries") || !strings.Contains(logged, `"level":"ERROR"`) {
		t.Errorf("the log does not tell the cause: %s", logged)
	}
}

func TestRequestIDAndHead(t *testing.T) {
	t.Parallel()
	s := start(t)
	if got := s.Do(t, "GET", "/api/services", nil, "X-Request-Id", "abc-1").Header.Get("X-Request-Id"); got != "abc-1" {
		t.Errorf("a plain request id comes back as %q", got)
	}
	for _, bad := range []string{strings.Repeat("x", 65), "a b", `"quoted"`} {
		if got := s.Do(t, "GET", "/api/services", nil, "X-Request-Id", bad).Header.Get("X-Request-Id"); got == bad || got == "" {
			t.Errorf("request id %q comes back as %q", bad, got)
		}
	}
	if a := s.Do(t, "HEAD", "/api/services", nil); a.Status != 200 || len(a.Body) > 0 || a.Header.Get("X-Index") == "" {
		t.Errorf("HEAD answers %d, %d bytes, X-Index %q", a.Status, len(a.Body), a.Header.Get("X-Index"))
	}
	if a := s.Do(t, "GET", "/api/services/", nil); a.Status != 200 {
		t.Errorf("a slash at the end answers %d", a.Status)
	}
}

func TestOtherSites(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	path := "/api/services/" + uuid.NewString() + "/test"
	for site, status := range map[string]int{"cross-site": 403, "same-site": 403, "same-origin": 404, "none": 404} {
		if got := s.Do(t, "POST", path, nil, "Sec-Fetch-Site", site).Status; got != status {
			t.Errorf("a change asked for by %s: got %d, want %d", site, got, status)
		}
		if got := s.Do(t, "GET", "/api/services", nil, "Sec-Fetch-Site", site).Status; got != 200 {
			t.Errorf("a read asked for by %s: got %d, want 200", site, got)
		}
	}
}

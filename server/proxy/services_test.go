package proxy_test

import (
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

const (
	done    = http.StatusNoContent
	refused = http.StatusBadRequest
	missing = http.StatusNotFound
	found   = http.StatusOK
	never   = http.StatusForbidden
)

// TestServices: what is refused, and what a change does.
func TestServices(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	for n := range 2 {
		must(t, s, "POST", "/servers", serverBody(fmt.Sprint("server", n+1), testbed.FreePort(t)))
	}
	service := func(attributes string) string {
		return `{"data":{"id":"svc","type":"services","attributes":` + attributes + `}}`
	}
	run(t, s, []step{
		{"POST", "/services", `{"data":`, refused, ""},
		{"POST", "/services", `[]`, refused, ""},
		{"POST", "/services", `{}`, refused, "data"},
		{"POST", "/services", `{"data":{"id":1}}`, refused, "id"},
		{"POST", "/services", `{"data":{"id":""}}`, refused, "id"},
		{"POST", "/services", `{"data":{"id":"a/b"}}`, refused, "id"},
		{"POST", "/services", `{"data":{"id":"svc","type":"servers"}}`, refused, "type"},
		{"POST", "/services", service(`[]`), refused, "attributes"},
		{"POST", "/services", service(`{"parameters":{"user":"u","password":"p"}}`), refused, "router"},
		{"POST", "/services", service(`{"router":"nothing","parameters":{"user":"u","password":"p"}}`), refused, "router"},
		{"POST", "/services", service(`{"router":"readconnroute","parameters":{"password":"p"}}`), refused, "user"},
		{"POST", "/services", service(`{"router":"readconnroute","parameters":{"user":"u"}}`), refused, "password"},
		{"POST", "/services", service(`{"router":"readconnroute","parameters":{"user":"u","password":"p","nothing":1}}`), refused, "nothing"},
		{"POST", "/services", service(`{"router":"readconnroute","parameters":{"user":"u","password":"p","":1}}`), refused, ""},
		{"POST", "/services", service(`{"router":"readconnroute","parameters":{"user":"u","password":"p","max_connections":""}}`), refused, "max_connections"},
		{"POST", "/services", service(`{"router":"readconnroute","parameters":{"user":"u","password":"p","type":"service"}}`), refused, "type"},
		{"POST", "/services", service(`{"router":"readconnroute","parameters":{"user":"u","password":"p","servers":"server1"}}`), refused, "servers"},
		{"POST", "/services", serviceBody("svc", `{"servers":null}`), refused, "servers"},
		{"POST", "/services", serviceBody("svc", `{"servers":{}}`), refused, "servers"},
		{"POST", "/services", serviceBody("svc", `{"servers":{"data":[{"type":"servers"}]}}`), refused, "servers"},
		{"POST", "/services", serviceBody("svc", `{"servers":{"data":[{"id":"nothing"}]}}`), refused, "nothing is not a server"},
		{"GET", "/services/svc", "", missing, "svc is not a service"},

		{"POST", "/services", serviceBody("svc", `{"servers":{"data":[{"id":"SERVER2"},{"id":"server1"},{"id":"server2"}]}}`), done, ""},
		{"POST", "/services", serviceBody("SVC", `{}`), refused, "already"},
		{"POST", "/services", serviceBody("front", `{"services":{"data":[{"id":"svc"}]}}`), done, ""},
		{"PATCH", "/services/svc", `{"data":{"relationships":{"services":{"data":[{"id":"front"}]}}}}`, refused, "services"},
		{"DELETE", "/services/svc", "", refused, "front"},
		{"DELETE", "/services/svc?force=yes", "", done, ""},
		{"GET", "/services/front", "", found, `"relationships": {}`},
		{"DELETE", "/services/front", "", done, ""},
		{"DELETE", "/services/front", "", missing, "front is not a service"},
		{"GET", "/services/front/relationships/servers", "", missing, ""},
		{"PUT", "/services/front/stop", "", missing, ""},
		{"PUT", "/services/front/start", "", missing, ""},
		{"POST", "/services/front/reload", "", missing, ""},
		{"POST", "/services/front/listeners", listenerBody("l", 1), missing, "front is not a service"},
	})
}

// TestServiceOrder: servers named twice count once, at their first place, and
// filters keep their order.
func TestServiceOrder(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	for n := range 3 {
		must(t, s, "POST", "/servers", serverBody(fmt.Sprint("server", n+1), testbed.FreePort(t)))
		must(t, s, "POST", "/filters", fmt.Sprintf(`{"data":{"id":"hint%d","attributes":{"module":"hintfilter"}}}`, n+1))
	}
	must(t, s, "POST", "/services", serviceBody("svc", `{"servers":`+members("servers", "server3", "server1", "SERVER3", "server2")+`,"filters":`+members("filters", "hint2", "hint1")+`}`))
	wantRelated(t, s, "/services/svc", "servers", "server3", "server1", "server2")
	wantRelated(t, s, "/services/svc", "filters", "hint2", "hint1")
	must(t, s, "PATCH", "/services/svc/relationships/filters", members("filters", "hint1", "hint3", "hint2"))
	wantRelated(t, s, "/services/svc", "filters", "hint1", "hint3", "hint2")
	wantRelated(t, s, "/filters/hint3", "services", "svc")
	// Filters are told apart by the case of their names, servers are not.
	run(t, s, []step{
		{"GET", "/filters/HINT1", "", missing, "HINT1 is not a filter"},
		{"GET", "/servers/SERVER1", "", found, `"id": "server1"`},
		{"DELETE", "/filters/hint1", "", refused, "svc"},
		{"DELETE", "/filters/hint1?force=yes", "", done, ""},
	})
	wantRelated(t, s, "/services/svc", "filters", "hint3", "hint2")
}

// TestServiceChanges: the object form of PATCH.
func TestServiceChanges(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	must(t, s, "POST", "/servers", serverBody("server1", testbed.FreePort(t)))
	must(t, s, "POST", "/services", serviceBody("svc", `{"servers":{"data":[{"id":"server1"}]}}`))
	params := func(text string) string { return `{"data":{"attributes":{"parameters":` + text + `}}}` }
	run(t, s, []step{
		{"PATCH", "/services/svc", "", refused, ""},
		{"PATCH", "/services/svc", `{}`, refused, "data"},
		{"PATCH", "/services/svc", params(`{"max_connections":5,"wait_timeout":"1234ms"}`), done, ""},
		{"GET", "/services/svc", "", found, `"wait_timeout": "1000ms"`},
		{"GET", "/services/svc", "", found, `"connection_timeout": 1`},
		{"PATCH", "/services/svc", params(`{"max_connections":null}`), done, ""},
		{"GET", "/services/svc", "", found, `"max_connections": 0`},
		{"PATCH", "/services/svc", params(`{"max_connections":"12","enable_root_user":"yes","version_string":8}`), done, ""},
		{"GET", "/services/svc", "", found, `"max_connections": 12`},
		{"GET", "/services/svc", "", found, `"enable_root_user": true`},
		{"GET", "/services/svc", "", found, `"version_string": "8"`},
		{"PATCH", "/services/svc", params(`{"version_string":""}`), done, ""},
		{"GET", "/services/svc", "", found, `"version_string": null`},
		{"PATCH", "/services/svc", params(`{"wait_timeout":"1000ms","connection_timeout":7}`), done, ""},
		{"GET", "/services/svc", "", found, `"wait_timeout": "7000ms"`},
		{"PATCH", "/services/svc", params(`{"router_options":"slave"}`), done, ""},
		{"GET", "/services/svc", "", found, `"router_options": "slave"`},
		{"PATCH", "/services/svc", params(`{"user":null}`), refused, "user"},
		{"PATCH", "/services/svc", params(`{"router":"readwritesplit"}`), refused, "router"},
		{"PATCH", "/services/svc", `{"data":{"attributes":{"router":"readwritesplit"}}}`, refused, "router"},
		{"PATCH", "/services/svc", params(`{"user_accounts_file":"/tmp/a"}`), refused, "user_accounts_file"},
		{"PATCH", "/services/svc", `{"data":{"attributes":{"parameters":{"max_connections":99}},"relationships":{"servers":{"data":[{"id":"nothing"}]}}}}`, refused, "nothing"},
		{"GET", "/services/svc", "", found, `"max_connections": 12`},
		{"PATCH", "/services/svc", `{"data":{"relationships":{}}}`, done, ""},
		{"PATCH", "/services/svc", `{"data":{"relationships":{"listeners":{"data":[{"id":"nothing"}]}}}}`, done, ""},
		{"PATCH", "/services/svc", `{"data":{"relationships":{"monitors":{"data":[]}}}}`, done, ""},
	})
	wantRelated(t, s, "/services/svc", "servers", "server1")
	// What was read can be sent back, and changes nothing.
	before := read(t, s, "/services/svc")
	must(t, s, "PATCH", "/services/svc", before)
	after := read(t, s, "/services/svc")
	holds(t, "data", at(after, "data", "attributes", "parameters"), at(before, "data", "attributes", "parameters"))
	wantRelated(t, s, "/services/svc", "servers", "server1")
}

// TestJSONPatch: the other form of PATCH (RFC 6902).
func TestJSONPatch(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	for n := range 2 {
		must(t, s, "POST", "/servers", serverBody(fmt.Sprint("server", n+1), testbed.FreePort(t)))
	}
	must(t, s, "POST", "/services", serviceBody("svc", `{"servers":`+members("servers", "server1", "server2")+`}`))
	run(t, s, []step{
		{"PATCH", "/services/svc", `[{"op":"replace","path":"/attributes/parameters/max_connections","value":3}]`, done, ""},
		{"GET", "/services/svc", "", found, `"max_connections": 3`},
		{"PATCH", "/services/svc", `[{"op":"test","path":"/data/attributes/parameters/max_connections","value":4},{"op":"replace","path":"/data/attributes/parameters/max_connections","value":5}]`, http.StatusConflict, ""},
		{"GET", "/services/svc", "", found, `"max_connections": 3`},
		{"PATCH", "/services/svc", `[{"op":"test","path":"/data/attributes/parameters/max_connections","value":3},{"op":"replace","path":"/data/attributes/parameters/max_connections","value":5}]`, done, ""},
		{"PATCH", "/services/svc", `[{"op":"remove","path":"/data/attributes/parameters/max_connections"}]`, done, ""},
		{"GET", "/services/svc", "", found, `"max_connections": 0`},
		{"PATCH", "/services/svc", `[{"op":"replace","path":"/data/attributes/parameters/max_connections","value":9},{"op":"remove","path":"/data/nothing"}]`, refused, ""},
		{"GET", "/services/svc", "", found, `"max_connections": 0`},
		{"PATCH", "/services/svc", `[{"op":"fly","path":"/data"}]`, refused, ""},
		{"PATCH", "/services/svc", `[1]`, refused, ""},
		{"PATCH", "/services/svc", `[]`, done, ""},
		{"PATCH", "/services/svc", `[{"op":"remove","path":"/relationships/servers/data/0"}]`, done, ""},
	})
	wantRelated(t, s, "/services/svc", "servers", "server2")
	must(t, s, "PATCH", "/services/svc", `[{"op":"add","path":"/data/relationships/servers/data/-","value":{"id":"server1","type":"servers"}}]`)
	wantRelated(t, s, "/services/svc", "servers", "server2", "server1")
	must(t, s, "PATCH", "/services/svc/relationships/servers", `[{"op":"remove","path":"/data/0"}]`)
	wantRelated(t, s, "/services/svc", "servers", "server1")
	must(t, s, "PATCH", "/services/svc", `[{"op":"remove","path":"/data/relationships/servers"}]`)
	wantRelated(t, s, "/services/svc", "servers")
}

// TestPortInUse: a listener that cannot be opened is not made.
func TestPortInUse(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	must(t, s, "POST", "/services", serviceBody("svc", `{}`))
	taken, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test's
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	run(t, s, []step{
		{"POST", "/services/svc/listeners", listenerBody("l", port), refused, "l cannot be made"},
		{"GET", "/listeners/l", "", missing, "l is not a listener"},
		{"GET", "/services/svc", "", found, `"listeners": []`},
	})
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	must(t, s, "POST", "/services/svc/listeners", listenerBody("l", port))
	wantAt(t, read(t, s, "/listeners/l"), "Running", "data", "attributes", "state")
	must(t, s, "DELETE", "/listeners/l", nil)
	again, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port)) //nolint:noctx // a test's
	if err != nil {
		t.Fatalf("the port is not free again: %v", err)
	}
	again.Close()
}

// TestVersions: each change moves the version of the object and of its
// collection on, and conditions are held against it.
func TestVersions(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	tag := func(path string) string { return s.Do(t, "GET", "/v1"+path, nil).Header.Get("Etag") }
	if got := tag("/servers"); got != `"0"` {
		t.Errorf("the version of no servers is %s", got)
	}
	must(t, s, "POST", "/servers", serverBody("server1", testbed.FreePort(t)))
	if one, all := tag("/servers/server1"), tag("/servers"); one != `"0"` || all != `"1"` {
		t.Errorf("after a server was made, its version is %s and that of the servers %s", one, all)
	}
	patch := `{"data":{"attributes":{"parameters":{"priority":3}}}}`
	if a := s.Do(t, "PATCH", "/v1/servers/server1", patch, "If-Match", `"7"`); a.Status != http.StatusPreconditionFailed {
		t.Errorf("another version: %d %s", a.Status, a.Body)
	}
	if a := s.Do(t, "PATCH", "/v1/servers/server1", patch, "If-Match", `"0"`); a.Status != done {
		t.Errorf("this version: %d %s", a.Status, a.Body)
	}
	if one, all := tag("/servers/server1"), tag("/servers"); one != `"1"` || all != `"2"` {
		t.Errorf("after a change, the version of the server is %s and that of the servers %s", one, all)
	}
	a := s.Do(t, "GET", "/v1/servers/server1", nil, "If-None-Match", `"1"`)
	if a.Status != http.StatusNotModified || len(a.Body) != 0 {
		t.Errorf("the version that the client has: %d %s", a.Status, a.Body)
	}
	if a := s.Do(t, "DELETE", "/v1/servers/server1", nil, "If-Unmodified-Since", "Mon, 01 Jan 2024 00:00:00 GMT"); a.Status != http.StatusPreconditionFailed {
		t.Errorf("changed since: %d %s", a.Status, a.Body)
	}
	if modified := a.Header.Get("Last-Modified"); s.Do(t, "DELETE", "/v1/servers/server1", nil, "If-Unmodified-Since", modified).Status != done {
		t.Errorf("not changed since %s, and not deleted", modified)
	}
}

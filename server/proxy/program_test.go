package proxy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// TestProgram: the settings of the whole proxy, its modules and its log.
func TestProgram(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	params := func(text string) string { return `{"data":{"attributes":{"parameters":` + text + `}}}` }
	run(t, s, []step{
		{"GET", "/maxscale", "", found, `"config_sync": null`},
		{"PATCH", "/maxscale", params(`{"auth_connect_timeout":"5s"}`), done, ""},
		{"GET", "/maxscale", "", found, `"auth_connect_timeout": "5000ms"`},
		{"PATCH", "/maxscale", params(`{"admin_auth":false}`), refused, "admin_auth"},
		{"PATCH", "/maxscale", params(`{"nothing":1}`), refused, "nothing"},
		{"PATCH", "/maxscale", `[{"op":"replace","path":"/attributes/parameters/passive","value":true}]`, done, ""},
		{"GET", "/maxscale", "", found, `"passive": true`},
		{"PATCH", "/maxscale/logs", params(`{"log_info":true}`), done, ""},
		{"GET", "/maxscale/logs", "", found, `"info"`},
		{"PATCH", "/maxscale", params(`{"log_throttling":"5, 2s, 1m"}`), done, ""},
		{"GET", "/maxscale/logs", "", found, `"window": 2000`},
		{"PATCH", "/maxscale", params(`{"log_throttling":"5"}`), refused, "log_throttling"},
		{"GET", "/maxscale/threads/0", "", found, `"state": "Active"`},
		{"GET", "/maxscale/threads/100000", "", missing, "is not a thread"},
		{"GET", "/maxscale/modules/nothing", "", missing, "nothing is not a module"},
		{"GET", "/maxscale/modules/readconnroute", "", found, `"router_options"`},
		{"GET", "/maxscale/modules/readconnroute/nothing", "", refused, "nothing"},
		{"POST", "/maxscale/logs/flush", "", done, ""},
		{"POST", "/maxscale/tls/reload", "", done, ""},
		{"GET", "/maxscale/debug/monitor_wait", "", done, ""},
		{"GET", "/maxscale/query_classifier/classify?sql=SELECT+a+FROM+t+WHERE+b%3D1", "", found, `"sql::OP_SELECT"`},
		{"GET", "/maxscale/query_classifier/classify?sql=SELECT+a+FROM+t+WHERE+b%3D1", "", found, `SELECT a FROM t WHERE b=?`},
		{"GET", "/maxscale/query_classifier/classify", "", refused, "sql"},
	})
	for _, path := range []string{
		"/maxscale", "/maxscale/threads", "/maxscale/threads/0", "/maxscale/modules", "/maxscale/modules/readconnroute", "/maxscale/logs",
		"/maxscale/logs/data", "/maxscale/logs/entries", "/maxscale/memory", "/maxscale/query_classifier", "/maxscale/query_classifier/cache?top=20",
		"/maxscale/debug/server_diagnostics", "/maxscale/debug/stacktrace", "/maxscale/tasks", "/sessions",
	} {
		if path == "/maxscale/logs/entries" {
			continue // its lines have the link of the collection
		}
		checkDocument(t, s, path)
	}
	for _, m := range read(t, s, "/maxscale/modules")["data"].([]any) {
		if _, ok := at(m, "attributes", "commands").([]any); !ok {
			t.Errorf("the commands of %v are %v", at(m, "id"), at(m, "attributes", "commands"))
		}
	}
	if list := ids(read(t, s, "/maxscale/modules")); !slices.Contains(list, "maxscale") || !slices.Contains(list, "servers") {
		t.Errorf("modules: %v", list)
	}
}

// TestOldWords: the names that modules once had are taken, and shown as they are
// now.
func TestOldWords(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	must(t, s, "POST", "/services", serviceBody("svc", `{}`))
	must(t, s, "POST", "/services/svc/listeners", fmt.Sprintf(`{"data":{"id":"in","type":"listeners","attributes":{"parameters":`+
		`{"address":"127.0.0.1","port":%d,"protocol":"MariaDBClient","authenticator":"MySQLAuth"}}}}`, testbed.FreePort(t)))
	in := read(t, s, "/listeners/in")
	wantAt(t, in, "MariaDBProtocol", "data", "attributes", "parameters", "protocol")
	wantAt(t, in, "MariaDBAuth", "data", "attributes", "parameters", "authenticator")
	must(t, s, "PATCH", "/listeners/in", in)
	must(t, s, "PATCH", "/listeners/in", `{"data":{"attributes":{"parameters":{"authenticator":"MySQLAuth"}}}}`)
}

// TestLog: the lines come in pages, the oldest first.
func TestLog(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	must(t, s, "PATCH", "/maxscale/logs", `{"data":{"attributes":{"parameters":{"log_debug":true}}}}`)
	for n := range 5 {
		must(t, s, "POST", "/servers", serverBody(fmt.Sprint("server", n), testbed.FreePort(t)))
	}
	page := read(t, s, "/maxscale/logs/data?page[size]=2")
	lines, _ := at(page, "data", "attributes", "log").([]any)
	if len(lines) != 2 {
		t.Fatalf("a page of two has %d lines", len(lines))
	}
	wantAt(t, page, "maxlog", "data", "attributes", "log_source")
	first, last := fmt.Sprint(at(lines[0], "id")), fmt.Sprint(at(lines[1], "id"))
	prev, ok := at(page, "links", "prev").(string)
	if !ok {
		t.Fatalf("no earlier page: %v", page["links"])
	}
	before := read(t, s, strings.TrimPrefix(pathOf(t, s, prev), "/v1"))
	earlier, _ := at(before, "data", "attributes", "log").([]any)
	if len(earlier) == 0 {
		t.Fatal("the earlier page is empty")
	}
	var ahead, n, m uint64
	for _, text := range []struct {
		from string
		to   *uint64
	}{{fmt.Sprint(at(earlier[len(earlier)-1], "id")), &ahead}, {first, &n}, {last, &m}} {
		if _, err := fmt.Sscan(text.from, text.to); err != nil {
			t.Fatal(err)
		}
	}
	if ahead+1 != n || n+1 != m {
		t.Errorf("lines %d, then %d and %d", ahead, n, m)
	}
	must(t, s, "PATCH", "/maxscale/logs", `{"data":{"attributes":{"parameters":{"maxlog":false}}}}`)
	if off := read(t, s, "/maxscale/logs/data"); at(off, "data", "attributes", "log") != nil {
		t.Errorf("lines of a log that is off: %v", off)
	}
	stream, err := s.Proxy.WatchLogs(servertest.Context(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Header(); err != nil {
		t.Fatal(err)
	}
	must(t, s, "POST", "/services", serviceBody("noted", `{}`))
	must(t, s, "PUT", "/services/noted/stop", nil)
	if line, err := stream.Recv(); err != nil || line.GetMessage() == "" || line.GetPriority() == "" {
		t.Errorf("the next line: %v, %v", line, err)
	}
}

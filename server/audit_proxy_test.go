package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/backplane/backplane/testbed"
)

// proxyChange is a change of the database proxy with its records: "action kind
// name" of each.
type proxyChange struct {
	verb, path, body string
	records          []string
}

// proxyScript makes changes with every RPC that makes some.
func proxyScript(free, closed int) []proxyChange {
	address := fmt.Sprintf(`{"address":"127.0.0.1","port":%d}`, closed)
	listener := fmt.Sprintf(`{"address":"127.0.0.1","port":%d}`, free)
	document := func(id, attributes string) string {
		return `{"data":{"id":"` + id + `","attributes":` + attributes + `}}`
	}
	params := func(text string) string { return `{"data":{"attributes":{"parameters":` + text + `}}}` }
	login := `{"user":"u","password":"Zebra9 first"}`
	return []proxyChange{
		{"POST", "/servers", document("s", `{"parameters":`+address+`}`), []string{"CreateServer proxy_server s"}},
		{"PATCH", "/servers/s", params(`{"monitoruser":"m","monitorpw":"Zebra9 mon"}`), []string{"UpdateServer proxy_server s"}},
		{"PUT", "/servers/s/set?state=drain", "", []string{"SetServerState proxy_server s"}},
		{"PUT", "/servers/s/clear?state=drain", "", []string{"ClearServerState proxy_server s"}},
		{"POST", "/filters", document("f", `{"module":"hintfilter"}`), []string{"CreateFilter proxy_filter f"}},
		{"PATCH", "/filters/f", `{"data":{}}`, []string{"UpdateFilter proxy_filter f"}},
		{"POST", "/monitors", document("m", `{"module":"mariadbmon","parameters":`+login+`}`), []string{"CreateMonitor proxy_monitor m"}},
		{"PATCH", "/monitors/m", params(`{"password":"Zebra9 second"}`), []string{"UpdateMonitor proxy_monitor m"}},
		{"PATCH", "/monitors/m/relationships/servers", `{"data":[{"id":"s"}]}`, []string{"UpdateMonitorRelationship proxy_monitor m"}},
		{"PATCH", "/servers/s/relationships/monitors", `{"data":null}`, []string{"UpdateServerRelationship proxy_monitor m", "UpdateServerRelationship proxy_server s"}},
		{"PUT", "/monitors/m/stop", "", []string{"StopMonitor proxy_monitor m"}},
		{"PUT", "/monitors/m/start", "", []string{"StartMonitor proxy_monitor m"}},
		{"POST", "/services", document("v", `{"router":"readconnroute","parameters":`+login+`}`), []string{"CreateService proxy_service v"}},
		{"PATCH", "/services/v", params(`{"password":"Zebra9 second"}`), []string{"UpdateService proxy_service v"}},
		{"PATCH", "/services/v/relationships/filters", `{"data":[{"id":"f"}]}`, []string{"UpdateServiceRelationship proxy_service v"}},
		{"PUT", "/services/v/stop", "", []string{"StopService proxy_service v"}},
		{"PUT", "/services/v/start", "", []string{"StartService proxy_service v"}},
		{"POST", "/services/v/listeners", document("l", `{"parameters":`+listener+`}`), []string{"CreateServiceListener proxy_listener l"}},
		{"PATCH", "/listeners/l", params(`{"sql_mode":"oracle"}`), []string{"UpdateListener proxy_listener l"}},
		{"PUT", "/listeners/l/stop", "", []string{"StopListener proxy_listener l"}},
		{"PUT", "/listeners/l/start", "", []string{"StartListener proxy_listener l"}},
		{"DELETE", "/services/v/listeners/l", "", []string{"DeleteServiceListener proxy_listener l"}},
		{"POST", "/listeners", `{"data":{"id":"l","attributes":{"parameters":` + listener + `},"relationships":{"services":{"data":[{"id":"v"}]}}}}`, []string{"CreateListener proxy_listener l"}},
		{"DELETE", "/listeners/l", "", []string{"DeleteListener proxy_listener l"}},
		{"PATCH", "/maxscale", params(`{"passive":true}`), []string{"UpdateProgram proxy_maxscale maxscale"}},
		{"DELETE", "/filters/f?force=yes", "", []string{"DeleteFilter proxy_filter f", "DeleteFilter proxy_service v"}},
		{"DELETE", "/services/v", "", []string{"DeleteService proxy_service v"}},
		{"DELETE", "/monitors/m", "", []string{"DeleteMonitor proxy_monitor m"}},
		{"DELETE", "/servers/s", "", []string{"DeleteServer proxy_server s"}},
		{"POST", "/users/inet", document("ann", `{"account":"basic","password":"Zebra9 first"}`), []string{"CreateUser user ann"}},
		{"PATCH", "/users/inet/ann", document("ann", `{"password":"Zebra9 second"}`), []string{"UpdateUser user ann"}},
		{"DELETE", "/users/inet/ann", "", []string{"DeleteUser user ann"}},
	}
}

// TestProxyChangesAreRecorded: each change of each object, with who and what,
// and without a password; reads not at all.
func TestProxyChangesAreRecorded(t *testing.T) {
	t.Parallel()
	s := start(t)
	tried := map[string]bool{
		// What they do to sessions and servers is no change of an object, or is
		// recorded with those.
		"ReloadService": true, "UpdateSession": true, "RestartSession": true, "RestartSessions": true, "DeleteSession": true, "FlushLogs": true, "ReloadTLS": true,
		"WaitForMonitors": true, "ReadCommand": true, "RunCommand": true, "ClassifyStatement": true,
		"UpdateFilterRelationship": true, // is refused
		"AddServiceDatabase":       true, // has a test of its own
		// Tests of their own, with a database server; what is read or discarded is
		// no change.
		"CreateConnection": true, "DeleteConnection": true, "ReconnectConnection": true, "CloneConnection": true, "CancelQuery": true, "RunQuery": true, "DeleteQuery": true,
	}
	for i, c := range proxyScript(testbed.FreePort(t), testbed.ClosedPort(t)) {
		before := lastRecord(t, s)
		var body any
		if c.body != "" {
			body = c.body
		}
		request := fmt.Sprintf("request-%d", i)
		if a := s.Do(t, c.verb, "/v1"+c.path, body, "X-Request-Id", request); a.Status != http.StatusNoContent {
			t.Fatalf("%s %s: %d %s", c.verb, c.path, a.Status, a.Body)
		}
		var got []string
		for _, r := range records(t, s, before) {
			got = append(got, fmt.Sprint(r["action"], " ", r["resource_kind"], " ", r["resource_name"]))
			if r["actor"] != "admin" || r["request_id"] != request || r["project"] != "" {
				t.Errorf("%s %s: %v", c.verb, c.path, r)
			}
			tried[fmt.Sprint(r["action"])] = true
		}
		slices.Sort(got)
		if !slices.Equal(got, c.records) {
			t.Errorf("%s %s: records %q, want %q", c.verb, c.path, got, c.records)
		}
	}
	before := lastRecord(t, s)
	for _, path := range []string{"/services", "/servers", "/maxscale", "/maxscale/modules", "/sessions", "/users"} {
		s.Do(t, "GET", "/v1"+path, nil)
	}
	if got := records(t, s, before); len(got) > 0 {
		t.Errorf("reads are recorded: %v", got)
	}
	if trail := string(s.Do(t, "GET", "/api/audit?limit=1000", nil).Body); strings.Contains(trail, "Zebra9") {
		t.Error("the audit trail shows a password")
	}
	if strings.Contains(s.Log.String(), "Zebra9") {
		t.Error("the log shows a password")
	}
	for method := range accessTable {
		name, ofProxy := strings.CutPrefix(method, "/backplane.proxy.v1.ProxyService/")
		reads := strings.HasPrefix(name, "Get") || strings.HasPrefix(name, "List") || strings.HasPrefix(name, "Watch")
		if ofProxy && !reads && !tried[name] {
			t.Errorf("%s is not tried", name)
		}
	}
}

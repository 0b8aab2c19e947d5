package server_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// proxyStep is an operation of the proxy's API on what words stand for: the
// values of the parameters of its path, in order.
type proxyStep struct {
	operation, on string
	calls         []apiCall
}

const someParameter = `{"data":{"attributes":{"parameters":{"priority":1}}}}`

// proxyWalk calls every operation in an order in which what makes a state comes
// before what needs it: good calls and failures.
var proxyWalk = []proxyStep{
	{"CreateServer", "", []apiCall{
		{body: `{"data":{"id":"server1","type":"servers","attributes":{"parameters":{"address":"127.0.0.1","port":$closed}}}}`, status: 204},
		{body: `{"data":{"id":"server1","type":"servers","attributes":{"parameters":{"address":"127.0.0.1"}}}}`, status: 400}, {body: `{`, status: 400},
		{body: `{}`, headers: stranger, status: 401}, {body: strings.Repeat(" ", 1<<20+1), status: 413}, {body: `{}`, headers: viewer, status: 401},
	}},
	{"CreateFilter", "", []apiCall{{body: `{"data":{"id":"hint","attributes":{"module":"hintfilter"}}}`, status: 204}, {body: `{"data":{}}`, status: 400}}},
	{"CreateMonitor", "", []apiCall{{body: `{"data":{"id":"watch","attributes":{"module":"mariadbmon","parameters":{"user":"u","password":"p"}}}}`, status: 204}, {body: `{"data":{}}`, status: 400}}},
	{"CreateService", "", []apiCall{
		{body: `{"data":{"id":"svc","attributes":{"router":"readconnroute","parameters":{"user":"u","password":"p"}},"relationships":{"servers":{"data":[{"id":"server1","type":"servers"}]},"filters":{"data":[{"id":"hint"}]}}}}`, status: 204},
		{body: `{"data":{}}`, status: 400},
	}},
	{"CreateServiceListener", "svc", []apiCall{{body: `{"data":{"id":"in","attributes":{"parameters":{"address":"127.0.0.1","port":$free}}}}`, status: 204}, {body: `{}`, status: 400}}},
	{"CreateListener", "", []apiCall{{body: `{"data":{"id":"x","attributes":{"parameters":{"port":1}}}}`, status: 400}}},
	{"ListServices", "", []apiCall{{status: 200}, {query: "?pretty=false&page[size]=1&page[number]=0", status: 200}, {headers: viewer, status: 200}, {headers: stranger, status: 401}}},
	{"GetService", "svc", []apiCall{{status: 200}, {headers: []string{"If-None-Match", `"0"`}, status: 304}}},
	{"GetService", "none", []apiCall{{status: 404}}},
	{"UpdateService", "svc", []apiCall{
		{body: `{"data":{"attributes":{"parameters":{"max_connections":9}}}}`, status: 204}, {body: `{"data":{"attributes":{"parameters":{"no":9}}}}`, status: 400},
		{body: `{"data":{}}`, headers: []string{"If-Match", `"99"`}, status: 412}, {body: `[{"op":"test","path":"/data/id","value":"x"}]`, status: 409},
	}},
	{"GetServiceRelationship", "svc filters", []apiCall{{status: 200}}},
	{"GetServiceRelationship", "svc nothing", []apiCall{{status: 404}}},
	{"UpdateServiceRelationship", "svc filters", []apiCall{{body: `{"data":[]}`, status: 204}, {body: `{}`, status: 403}}},
	{"StopService", "svc", []apiCall{{query: "?force=yes", status: 204}}},
	{"StartService", "svc", []apiCall{{status: 204}}},
	{"ReloadService", "svc", []apiCall{{status: 503}}},
	{"ListServiceListeners", "svc", []apiCall{{status: 200}}},
	{"GetServiceListener", "svc in", []apiCall{{status: 200}}},
	{"AddServiceDatabase", "svc", []apiCall{{body: `{"database":"77"}`, status: 400}}},
	{"ListServers", "", []apiCall{{status: 200}}},
	{"GetServer", "server1", []apiCall{{status: 200}}},
	{"UpdateServer", "server1", []apiCall{{body: someParameter, status: 204}, {body: `{}`, status: 400}}},
	{"SetServerState", "server1", []apiCall{{query: "?state=maintenance&force=yes", status: 204}, {query: "?state=x", status: 400}}},
	{"ClearServerState", "server1", []apiCall{{query: "?state=maintenance", status: 204}}},
	{"GetServerRelationship", "server1 services", []apiCall{{status: 200}}},
	{"UpdateServerRelationship", "server1 monitors", []apiCall{{body: `{"data":[{"id":"watch","type":"monitors"}]}`, status: 204}, {body: `{"data":7}`, status: 400}}},
	{"ListListeners", "", []apiCall{{status: 200}}},
	{"GetListener", "in", []apiCall{{status: 200}}},
	{"UpdateListener", "in", []apiCall{{body: `{"data":{"attributes":{"parameters":{"sql_mode":"oracle"}}}}`, status: 204}, {body: `{"data":{"attributes":{"parameters":{"port":1}}}}`, status: 400}}},
	{"GetListenerRelationship", "in services", []apiCall{{status: 200}}},
	{"StopListener", "in", []apiCall{{status: 204}}},
	{"StartListener", "in", []apiCall{{status: 204}}},
	{"ListFilters", "", []apiCall{{status: 200}}},
	{"GetFilter", "hint", []apiCall{{status: 200}}},
	{"UpdateFilter", "hint", []apiCall{{body: `{"data":{}}`, status: 204}, {body: `{"data":{"attributes":{"parameters":{"no":9}}}}`, status: 400}}},
	{"GetFilterRelationship", "hint services", []apiCall{{status: 200}}},
	{"UpdateFilterRelationship", "hint services", []apiCall{{body: `{"data":[]}`, status: 400}}},
	{"ListMonitors", "", []apiCall{{status: 200}}},
	{"GetMonitor", "watch", []apiCall{{status: 200}}},
	{"UpdateMonitor", "watch", []apiCall{{body: `{"data":{"attributes":{"parameters":{"failcount":9}}}}`, status: 204}, {body: `{"data":[]}`, status: 400}}},
	{"GetMonitorRelationship", "watch servers", []apiCall{{status: 200}}},
	{"UpdateMonitorRelationship", "watch servers", []apiCall{{body: `{"data":[]}`, status: 204}, {body: `{}`, status: 400}}},
	{"StopMonitor", "watch", []apiCall{{status: 204}}},
	{"StartMonitor", "watch", []apiCall{{status: 204}}},
	{"ListSessions", "", []apiCall{{query: "?rdns=true", status: 200}}},
	{"GetSession", "77", []apiCall{{status: 404}}},
	{"GetSessionRelationship", "77 services", []apiCall{{status: 404}}},
	{"UpdateSession", "77", []apiCall{{body: `{"data":{}}`, status: 404}}},
	{"RestartSession", "77", []apiCall{{status: 404}}},
	{"RestartSessions", "", []apiCall{{status: 204}}},
	{"DeleteSession", "77", []apiCall{{query: "?ttl=1", status: 404}}},
	{"CreateUser", "", []apiCall{{body: `{"data":{"id":"walker","type":"inet","attributes":{"account":"basic","password":"a long password"}}}`, status: 204}, {body: `{"data":{"id":"x"}}`, status: 400}}},
	{"ListUsers", "", []apiCall{{status: 200}}},
	{"ListUsers_1", "", []apiCall{{status: 200}}},
	{"ListUnixUsers", "", []apiCall{{status: 200}}},
	{"GetUser", "walker", []apiCall{{status: 200}}},
	{"UpdateUser", "walker", []apiCall{{body: `{"data":{"attributes":{"password":"another password"}}}`, status: 204}, {body: `{"data":{}}`, status: 400}}},
	{"DeleteUser", "walker", []apiCall{{status: 204}, {status: 404}}},
	{"GetProgram", "", []apiCall{{status: 200}}},
	{"UpdateProgram", "", []apiCall{{body: `{"data":{"attributes":{"parameters":{"passive":true}}}}`, status: 204}, {body: `{"data":{"attributes":{"parameters":{"no":9}}}}`, status: 400}}},
	{"UpdateProgram_1", "", []apiCall{{body: `{"data":{"attributes":{"parameters":{"log_info":true}}}}`, status: 204}}},
	{"ListThreads", "", []apiCall{{status: 200}}},
	{"GetThread", "0", []apiCall{{status: 200}}},
	{"ListModules", "", []apiCall{{query: "?load=all", status: 200}}},
	{"GetModule", "mariadbmon", []apiCall{{status: 200}}},
	{"ReadCommand", "mariadbmon fetch-cmd-result", []apiCall{{query: "?watch&more", status: 400}}},
	{"RunCommand", "mariadbmon nothing", []apiCall{{status: 400}}},
	{"GetLogs", "", []apiCall{{status: 200}}},
	{"GetLogData", "", []apiCall{{query: "?page[size]=1&priority=notice,error", status: 200}, {query: "?page[cursor]=x", status: 400}}},
	{"ListLogEntries", "", []apiCall{{query: "?page[size]=1", status: 200}}},
	{"FlushLogs", "", []apiCall{{status: 204}}},
	{"GetMemory", "", []apiCall{{status: 200}}},
	{"GetQueryClassifier", "", []apiCall{{status: 200}}},
	{"ListQueryClassifierCache", "", []apiCall{{query: "?top=5", status: 200}}},
	{"ClassifyStatement", "", []apiCall{{query: "?sql=SELECT+f(a)", status: 200}}},
	{"WaitForMonitors", "", []apiCall{{status: 204}, {headers: viewer, status: 403}}},
	{"GetServerDiagnostics", "", []apiCall{{status: 200}}},
	{"GetStackTrace", "", []apiCall{{status: 200}}},
	{"ListHousekeeping", "", []apiCall{{status: 200}}},
	// Of connections that there are: TestOpenAPIOfSQL.
	{"CreateConnection", "", []apiCall{
		{body: `{"target":"server1","user":"u","password":"p","timeout":2}`, status: 503}, {body: `{"target":"none","user":"u"}`, status: 400},
		{body: `{"user":7}`, status: 400}, {body: `{"more":7}`, status: 400}, {body: `{`, status: 400}, {status: 400}, {body: `{}`, headers: viewer, status: 401},
		{body: `{"target":"odbc","connection_string":"DRIVER=x"}`, status: 400}, {body: `{"target":"server1","user":"u"}`, query: "?max-age=x", status: 400},
	}},
	{"ListConnections", "", []apiCall{{status: 200}, {headers: viewer, status: 403}}},
	{"GetConnection", "none", []apiCall{{status: 404}}},
	{"ReconnectConnection", "none", []apiCall{{query: "?token=x", status: 404}}},
	{"CloneConnection", "none", []apiCall{{query: "?token=x", status: 404}}},
	{"CancelQuery", "none", []apiCall{{query: "?token=x", status: 404}}},
	{"RunQuery", "none", []apiCall{{query: "?token=x", body: `{"sql":"SELECT 1"}`, status: 404}, {query: "?token=x", body: `{"sql":7}`, status: 400}}},
	{"GetQuery", "none none", []apiCall{{query: "?token=x", status: 404}}},
	{"DeleteQuery", "none none", []apiCall{{query: "?token=x", status: 404}}},
	{"DeleteConnection", "none", []apiCall{{query: "?token=x", status: 404}}},
	{"ListDrivers", "", []apiCall{{status: 200}, {headers: viewer, status: 403}}},
	{"DeleteServiceListener", "svc in", []apiCall{{headers: []string{"If-Match", `"99"`}, status: 412}, {status: 204}, {status: 404}}},
	{"DeleteListener", "in", []apiCall{{status: 404}}},
	{"DeleteServer", "server1", []apiCall{{status: 400}}},
	{"DeleteService", "svc", []apiCall{{query: "?force=true", status: 204}}},
	{"DeleteServer", "server1", []apiCall{{status: 204}}},
	{"DeleteFilter", "hint", []apiCall{{status: 204}}},
	{"DeleteMonitor", "watch", []apiCall{{status: 204}}},
	{"ReloadTLS", "", []apiCall{{headers: viewer, status: 401}, {status: 204}}}, // ends the viewer's token
}

func TestOpenAPIWalkOfProxy(t *testing.T) {
	t.Parallel()
	s := start(t)
	doc := document(t, s)
	doc.Servers = openapi3.Servers{{URL: s.URL}}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	type operation struct{ verb, path string }
	operations := map[string]operation{}
	for path, item := range doc.Paths.Map() {
		for verb, op := range item.Operations() {
			if name, ok := strings.CutPrefix(op.OperationID, "ProxyService_"); ok {
				operations[name] = operation{verb, path}
			}
		}
	}
	fill := filler(map[string]string{
		"$viewer": s.SignIn(t, s.AddUser(t, "viewer", servertest.Role("viewer"))),
		"$closed": fmt.Sprint(testbed.ClosedPort(t)), "$free": fmt.Sprint(testbed.FreePort(t)),
	})
	tried := map[string]bool{}
	for _, step := range proxyWalk {
		op, ok := operations[step.operation]
		if !ok {
			t.Errorf("%s is not in the document", step.operation)
			continue
		}
		tried[step.operation] = true
		for i, c := range step.calls {
			t.Run(fmt.Sprintf("%s %s %d", step.operation, step.on, i), func(t *testing.T) {
				path := op.path
				for _, word := range strings.Fields(step.on) {
					from, to := strings.IndexByte(path, '{'), strings.IndexByte(path, '}')
					path = path[:from] + word + path[to+1:]
				}
				c.body = fill(c.body)
				headers := append([]string(nil), c.headers...)
				for i, h := range headers {
					headers[i] = fill(h)
				}
				c.headers = headers
				tryOperation(t, s, router, op.verb, path+c.query, c)
			})
		}
	}
	for name := range operations {
		if !tried[name] {
			t.Errorf("%s is not tried", name)
		}
	}
}

package proxy_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// The bodies of the documented examples, as they are written there.
const (
	createServiceExample = `{
    "data": {
        "id": "my-service",
        "type": "services",
        "attributes": {
            "router": "readwritesplit",
            "parameters": {
                "user": "maxuser",
                "password": "maxpwd"
            }
        },
        "relationships": {
            "filters": {
                "data": [
                    {
                        "id": "QLA",
                        "type": "filters"
                    }
                ]
            },
            "servers": {
                "data": [
                    {
                        "id": "server1",
                        "type": "servers"
                    }
                ]
            }
        }
    }
}`
	createListenerExample = `{
    "data": {
        "id": "my-listener",
        "type": "listeners",
        "attributes": {
            "parameters": {
                "port": 3306
            }
        }
    }
}`
	relationshipExample = `{
    "data": [
        { "id": "my-server", "type": "servers" }
    ]
}`
	clearExample = `{
    "data": []
}`
)

// documentedService is what a service is documented to be, but for what has
// another value by now: the password is hidden, dates are those of HTTP.
const documentedService = `{
    "id": "Read-Connection-Router",
    "type": "services",
    "attributes": {
        "router": "readconnroute",
        "state": "Started",
        "router_diagnostics": {"connections": 0, "current_connections": 0, "queries": 0},
        "total_connections": 0,
        "connections": 0,
        "parameters": {
            "router_options": "master",
            "user": "maxuser",
            "enable_root_user": false,
            "max_retry_interval": 3600,
            "max_connections": 0,
            "connection_timeout": 0,
            "auth_all_servers": false,
            "strip_db_esc": true,
            "localhost_match_wildcard_host": true,
            "log_auth_warnings": true,
            "retry_on_failure": true
        },
        "listeners": [
            {
                "attributes": {"parameters": {"protocol": "MariaDBProtocol"}},
                "id": "Read-Connection-Listener",
                "type": "listeners"
            }
        ]
    },
    "relationships": {
        "servers": {"data": [{"id": "server1", "type": "servers"}]}
    }
}`

// holds checks that a value has all that another one has.
func holds(t *testing.T, path string, got, want any) {
	t.Helper()
	switch want := want.(type) {
	case object:
		o, ok := got.(object)
		if !ok {
			t.Errorf("%s is %v, want an object", path, got)
			return
		}
		for key, v := range want {
			holds(t, path+"."+key, o[key], v)
		}
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			t.Errorf("%s is %v, want %d elements", path, got, len(want))
			return
		}
		for i, v := range want {
			holds(t, fmt.Sprintf("%s[%d]", path, i), list[i], v)
		}
	default:
		if got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
}

// TestDocumentedExamples goes through the documented service resource from top
// to bottom.
func TestDocumentedExamples(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	port := testbed.FreePort(t)
	for _, name := range []string{"server1", "my-server"} {
		must(t, s, "POST", "/servers", serverBody(name, testbed.FreePort(t)))
	}
	must(t, s, "POST", "/filters", `{"data":{"id":"QLA","type":"filters","attributes":{"module":"qlafilter","parameters":{"filebase":"`+t.TempDir()+`/qla","log_type":"unified"}}}}`)
	must(t, s, "POST", "/services", `{"data":{"id":"Read Connection Router","type":"services","attributes":{"router":"readconnroute","parameters":{
		"user":"maxuser","password":"maxpwd","router_options":"master"}},"relationships":{"servers":{"data":[{"id":"server1","type":"servers"}]}}}}`)
	must(t, s, "POST", "/services/Read-Connection-Router/listeners", listenerBody("Read-Connection-Listener", port))

	var want any
	if err := json.Unmarshal([]byte(documentedService), &want); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Read-Connection-Router", "read-connection-ROUTER", "Read%20Connection%20Router"} {
		doc := read(t, s, "/services/"+name)
		holds(t, "data", doc["data"], want)
		wantAt(t, doc, s.URL+"/v1/services/Read-Connection-Router", "links", "self")
		wantAt(t, doc, float64(port), "data", "attributes", "listeners", 0, "attributes", "parameters", "port")
	}
	list := read(t, s, "/services")
	holds(t, "data", at(list, "data", 0), want)
	wantAt(t, list, s.URL+"/v1/services/", "links", "self")

	must(t, s, "POST", "/services", createServiceExample)
	wantRelated(t, s, "/services/my-service", "filters", "QLA")
	wantRelated(t, s, "/services/my-service", "servers", "server1")

	listeners := read(t, s, "/services/Read-Connection-Router/listeners")
	wantAt(t, listeners, "Read-Connection-Listener", "data", 0, "id")
	one := read(t, s, "/services/Read-Connection-Router/listeners/Read-Connection-Listener")
	wantAt(t, one, s.URL+"/v1/services/Read-Connection-Router/listeners/Read-Connection-Listener", "links", "self")
	wantAt(t, one, "listeners", "data", "type")

	mine := fmt.Sprint(testbed.FreePort(t))
	must(t, s, "POST", "/services/my-service/listeners", strings.Replace(createListenerExample, "3306", mine, 1))
	run(t, s, []step{
		{"DELETE", "/services/my-service", "", http.StatusBadRequest, "listener"},
		{"DELETE", "/services/my-service/listeners/Read-Connection-Listener", "", http.StatusNotFound, "is not a listener"},
		{"DELETE", "/services/my-service/listeners/my-listener", "", http.StatusNoContent, ""},
		{"DELETE", "/services/my-service", "", http.StatusBadRequest, "still has servers"},

		{"PATCH", "/services/my-service", `[{"op":"replace","path":"/data/attributes/parameters/user","value":"other"}]`, http.StatusNoContent, ""},
		{"GET", "/services/my-service", "", http.StatusOK, `"user": "other"`},
		{"PATCH", "/services/my-service/relationships/servers", relationshipExample, http.StatusNoContent, ""},
		{"GET", "/services/my-service/relationships/servers", "", http.StatusOK, `"my-server"`},
		{"PATCH", "/services/my-service/relationships/servers", `{data: []}`, http.StatusForbidden, ""},
		{"PATCH", "/services/my-service/relationships/servers", clearExample, http.StatusNoContent, ""},
		{"PATCH", "/services/my-service/relationships/filters", `{"data":null}`, http.StatusNoContent, ""},
		{"GET", "/services/my-service", "", http.StatusOK, `"relationships": {}`},
		{"PUT", "/services/my-service/stop", "", http.StatusNoContent, ""},
		{"GET", "/services/my-service", "", http.StatusOK, `"state": "Stopped"`},
		{"PUT", "/services/my-service/start", "", http.StatusNoContent, ""},
		{"GET", "/services/my-service", "", http.StatusOK, `"state": "Started"`},
		{"DELETE", "/services/my-service", "", http.StatusNoContent, ""},
		{"GET", "/services/my-service", "", http.StatusNotFound, "my-service is not a service"},
	})
	for _, path := range []string{"/services", "/services/Read-Connection-Router", "/servers/server1", "/listeners", "/filters/QLA"} {
		checkDocument(t, s, path)
	}
}

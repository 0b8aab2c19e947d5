package proxy_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// TestServers: addresses, TLS, states and what uses a server.
func TestServers(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	server := func(name, params string) string {
		return `{"data":{"id":"` + name + `","type":"servers","attributes":{"parameters":` + params + `}}}`
	}
	params := func(text string) string { return `{"data":{"attributes":{"parameters":` + text + `}}}` }
	run(t, s, []step{
		{"POST", "/servers", server("a", `{"address":"127.0.0.1"}`), done, ""},
		{"GET", "/servers/a", "", found, `"port": 3306`},
		{"GET", "/servers/a", "", found, `"state": "Running"`},
		{"POST", "/servers", server("b", `{"port":3307}`), refused, "address"},
		{"POST", "/servers", server("b", `{"address":"127.0.0.1","port":3306}`), refused, "a has this address"},
		{"POST", "/servers", server("b", `{"address":"/tmp/sock","port":3307}`), refused, "address"},
		{"POST", "/servers", server("b", `{"address":"127.0.0.1","port":"many"}`), refused, "port"},
		{"POST", "/servers", server("b", `{"address":"127.0.0.1","socket":"/tmp/sock"}`), refused, "socket"},
		{"POST", "/servers", server("b", `{"address":"127.0.0.1","port":3307,"monitoruser":"m"}`), refused, "monitorpw"},
		{"POST", "/servers", server("b", `{"address":"127.0.0.1","port":3307,"weight":3}`), refused, "weight"},
		{"POST", "/servers", server("b", `{"catalog_service":"nothing"}`), refused, "catalog_service"},
		{"POST", "/servers", server("b", `{"address":"127.0.0.1","port":3307,"protocol":"MariaDBBackend"}`), done, ""},
		{"PATCH", "/servers/b", params(`{"port":3306}`), refused, "a has this address"},
		{"PATCH", "/servers/b", params(`{"socket":"/tmp/sock","address":null}`), done, ""},
		{"GET", "/servers/b", "", found, `"address": null`},
		{"PATCH", "/servers/a", params(`{"monitoruser":"m","monitorpw":"s3cret-word"}`), done, ""},
		{"GET", "/servers/a", "", found, `"monitorpw": "*****"`},
		{"PATCH", "/servers/a", params(`{"monitorpw":"*****","priority":5}`), done, ""},
		{"PATCH", "/servers/a", params(`{"ssl":true}`), done, ""},
		{"PATCH", "/servers/a", params(`{"ssl":false}`), refused, "ssl"},

		{"PUT", "/servers/a/set", "", refused, "state"},
		{"PUT", "/servers/a/set?state=happy", "", refused, "state"},
		{"PUT", "/servers/nothing/set?state=master", "", missing, "nothing is not a server"},
		{"PUT", "/servers/a/set?state=master", "", done, ""},
		{"GET", "/servers/a", "", found, `"state": "Master, Running"`},
		{"PUT", "/servers/a/set?state=maintenance&force=yes", "", done, ""},
		{"GET", "/servers/a", "", found, `"state": "Maintenance, Master, Running"`},
		{"PUT", "/servers/a/clear?state=maint", "", done, ""},
		{"PUT", "/servers/a/set?state=drain", "", done, ""},
		{"GET", "/servers/a", "", found, `"state": "Drained, Master, Running"`},
		{"PUT", "/servers/a/clear?state=drain", "", done, ""},
		{"PUT", "/servers/a/clear?state=running", "", done, ""},
		{"GET", "/servers/a", "", found, `"state": "Master, Down"`},

		{"POST", "/services", serviceBody("svc", `{}`), done, ""},
		{"PATCH", "/servers/a", `{"data":{"relationships":{"services":{"data":[{"id":"svc","type":"services"}]}}}}`, done, ""},
		{"GET", "/services/svc/relationships/servers", "", found, `"id": "a"`},
		{"DELETE", "/servers/a", "", refused, "svc"},
		{"PATCH", "/servers/a/relationships/services", `{"data":[]}`, done, ""},
		{"DELETE", "/servers/a", "", done, ""},
		{"GET", "/servers/a/nothing/at/all", "", missing, ""},
	})
	for _, path := range []string{"/servers", "/servers/b"} {
		checkDocument(t, s, path)
	}
}

// TestListeners: what a listener needs, and what of it can be changed.
func TestListeners(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	for _, name := range []string{"one", "two"} {
		must(t, s, "POST", "/services", serviceBody(name, `{}`))
	}
	listener := func(params, relations string) string {
		return `{"data":{"id":"l","type":"listeners","attributes":{"parameters":` + params + `},"relationships":` + relations + `}}`
	}
	port, of := testbed.FreePort(t), `{"services":{"data":[{"id":"one","type":"services"}]}}`
	both := fmt.Sprintf(`{"address":"127.0.0.1","port":%d,"socket":"/tmp/none"}`, port)
	here := func(more string) string { return fmt.Sprintf(`{"address":"127.0.0.1","port":%d%s}`, port, more) }
	run(t, s, []step{
		{"POST", "/listeners", listener(here(""), `{}`), refused, "services"},
		{"POST", "/listeners", listener(here(""), `{"services":{"data":[{"id":"one"},{"id":"two"}]}}`), refused, "services"},
		{"POST", "/listeners", listener(`{}`, of), refused, "port"},
		{"POST", "/listeners", listener(both, of), refused, "port"},
		{"POST", "/listeners", listener(here(`,"protocol":"nothing"`), of), refused, "protocol"},
		{"POST", "/listeners", listener(here(`,"ssl_key":"/tmp/k","ssl_cert":"/tmp/c"`), of), refused, "ssl_ca"},
		{"POST", "/listeners", listener(here(`,"ssl":true,"ssl_key":"/tmp/k"`), of), refused, "ssl"},
		{"POST", "/listeners", listener(here(`,"ssl_key":"/nowhere/k","ssl_cert":"/nowhere/c","ssl_ca_cert":"/nowhere/a"`), of), refused, ""},
		{"POST", "/listeners", listener(here(`,"protocol":"mariadbclient"`), of), done, ""},
		{"GET", "/listeners/l", "", found, `"protocol": "MariaDBProtocol"`},
		{"GET", "/listeners/l", "", found, `"state": "Running"`},
		{"GET", "/services/two/listeners/l", "", missing, "l is not a listener"},
		{"DELETE", "/services/two/listeners/l", "", missing, ""},
		{"PATCH", "/listeners/l", `{"data":{"attributes":{"parameters":{"port":1}}}}`, refused, "port"},
		{"PATCH", "/listeners/l", `{"data":{"relationships":{"services":{"data":[{"id":"two"}]}}}}`, refused, "services"},
		{"PATCH", "/listeners/l", `{"data":{"attributes":{"parameters":{"sql_mode":"oracle"}},"relationships":{"services":{"data":[{"id":"one"}]}}}}`, done, ""},
		{"GET", "/listeners/l", "", found, `"sql_mode": "oracle"`},
		{"PUT", "/listeners/l/stop", "", done, ""},
		{"GET", "/listeners/l", "", found, `"state": "Stopped"`},
		{"PUT", "/listeners/l/start", "", done, ""},
		{"GET", "/listeners/l", "", found, `"state": "Running"`},
		{"PUT", "/services/one/stop", "", done, ""},
		{"GET", "/listeners/l", "", found, `"state": "Stopped"`},
		{"PUT", "/services/one/start", "", done, ""},
		{"DELETE", "/services/one", "", refused, "listener l"},
		{"DELETE", "/services/one?force=yes", "", done, ""},
		{"GET", "/listeners/l", "", missing, "l is not a listener"},
	})
	must(t, s, "POST", "/services/two/listeners", listenerBody("again", port))
	for _, path := range []string{"/listeners", "/listeners/again", "/services/two/listeners", "/services/two/listeners/again"} {
		checkDocument(t, s, path)
	}
}

// TestFilters: modules, and services that name them.
func TestFilters(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	must(t, s, "POST", "/services", serviceBody("svc", `{}`))
	run(t, s, []step{
		{"POST", "/filters", `{"data":{"id":"f","attributes":{}}}`, refused, "module"},
		{"POST", "/filters", `{"data":{"id":"f","attributes":{"module":"nothing"}}}`, refused, "module"},
		{"POST", "/filters", `{"data":{"id":"f","attributes":{"module":"regexfilter","parameters":{"match":"a"}}}}`, refused, "replace"},
		{"POST", "/filters", `{"data":{"id":"f","attributes":{"module":"regexfilter","parameters":{"match":"a","replace":"b"}},"relationships":{"services":{"data":[{"id":"svc"}]}}}}`, done, ""},
		{"GET", "/filters/f", "", found, `"relationships": {}`},
		{"GET", "/filters/f", "", found, `"match": "/a/"`},
		{"PATCH", "/filters/f", `{"data":{"attributes":{"parameters":{"match":"/x.*y/"}}}}`, done, ""},
		{"GET", "/filters/f", "", found, `"match": "/x.*y/"`},
		{"PATCH", "/filters/f", `{"data":{"relationships":{"services":{"data":[{"id":"svc"}]}}}}`, refused, "services"},
		{"PATCH", "/filters/f/relationships/services", `{"data":[{"id":"svc"}]}`, refused, ""},
		{"PATCH", "/services/svc/relationships/filters", `{"data":[{"id":"f","type":"filters"}]}`, done, ""},
		{"GET", "/filters/f/relationships/services", "", found, `"svc"`},
		{"DELETE", "/filters/f", "", refused, "svc"},
		{"POST", "/filters", `{"data":{"id":"t","attributes":{"module":"tee","parameters":{"target":"nothing"}}}}`, refused, "target"},
		{"POST", "/servers", serverBody("server1", testbed.FreePort(t)), done, ""},
		{"POST", "/filters", `{"data":{"id":"t","attributes":{"module":"tee","parameters":{"target":"server1"}}}}`, done, ""},
		{"DELETE", "/servers/server1", "", refused, "filter t"},
	})
	for _, path := range []string{"/filters", "/filters/f"} {
		checkDocument(t, s, path)
	}
	run(t, s, []step{
		{"DELETE", "/filters/f?force=yes", "", done, ""},
		{"GET", "/services/svc", "", found, `"relationships": {}`},
	})
}

// TestMonitors: whose servers are whose.
func TestMonitors(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	for n := range 2 {
		must(t, s, "POST", "/servers", serverBody(fmt.Sprint("server", n+1), testbed.FreePort(t)))
	}
	monitor := func(name, params, relations string) string {
		return `{"data":{"id":"` + name + `","attributes":{"module":"mysqlmon","parameters":` + params + `},"relationships":` + relations + `}}`
	}
	login := `{"user":"maxuser","password":"maxpwd"}`
	run(t, s, []step{
		{"POST", "/monitors", monitor("m", `{}`, `{}`), refused, "user"},
		{"POST", "/monitors", monitor("m", login, `{"servers":{"data":[{"id":"server1"},{"id":"server1"}]}}`), refused, "twice"},
		{"POST", "/monitors", monitor("m", login, `{"servers":`+members("servers", "server1")+`}`), done, ""},
		{"GET", "/monitors/m", "", found, `"module": "mariadbmon"`},
		{"GET", "/monitors/m", "", found, `"state": "Running"`},
		{"POST", "/monitors", monitor("other", login, `{"servers":`+members("servers", "server1")+`}`), refused, "watched by the monitor m"},
		{"POST", "/monitors", monitor("other", login, `{}`), done, ""},
		{"PATCH", "/servers/server1", `{"data":{"relationships":{"monitors":{"data":[{"id":"m"},{"id":"other"}]}}}}`, refused, "one monitor"},
		{"PATCH", "/monitors/m", `{"data":{"relationships":{"servers":` + members("servers", "server1", "server2") + `,"monitors":{"data":[]},"filters":{"data":[]}}}}`, done, ""},
		{"GET", "/monitors/M", "", missing, "M is not a monitor"},
		{"POST", "/services", serviceBody("svc", `{"monitors":`+members("monitors", "m")+`,"servers":`+members("servers", "server1")+`}`), refused, "monitors"},
		{"POST", "/services", serviceBody("svc", `{"monitors":`+members("monitors", "m")+`}`), done, ""},
		{"PATCH", "/services/svc/relationships/servers", members("servers", "server1"), never, "monitors"},
		{"GET", "/monitors/m/relationships/services", "", found, "svc"},
		{"PUT", "/monitors/m/stop", "", done, ""},
		{"GET", "/monitors/m", "", found, `"state": "Stopped"`},
		{"PUT", "/servers/server1/set?state=master", "", done, ""},
		{"PUT", "/servers/server1/set?state=maintenance", "", done, ""},
		{"PUT", "/servers/server1/clear?state=maintenance", "", done, ""},
		{"PUT", "/monitors/m/start", "", done, ""},
		{"GET", "/monitors/m", "", found, `"state": "Running"`},
		{"PATCH", "/monitors/m", `{"data":{"attributes":{"parameters":{"monitor_interval":"500ms"}}}}`, done, ""},
		{"GET", "/monitors/m", "", found, `"monitor_interval": "500ms"`},
		{"DELETE", "/monitors/m", "", refused, "svc"},
	})
	for _, path := range []string{"/monitors", "/monitors/m", "/services/svc"} {
		checkDocument(t, s, path)
	}
	run(t, s, []step{
		{"DELETE", "/monitors/m?force=yes", "", done, ""},
		{"GET", "/services/svc", "", found, `"relationships": {}`},
		{"GET", "/monitors/m", "", missing, "m is not a monitor"},
	})
}

// TestUsers: accounts are the global roles.
func TestUsers(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	user := func(id, attributes string) string {
		return `{"data":{"id":"` + id + `","type":"inet","attributes":` + attributes + `}}`
	}
	run(t, s, []step{
		{"POST", "/users/inet", user("bob", `{"account":"basic"}`), refused, "password"},
		{"POST", "/users/inet", user("bob", `{"password":"long enough"}`), refused, "account"},
		{"POST", "/users/inet", user("bob", `{"password":"long enough","account":"king"}`), refused, "account"},
		{"POST", "/users/inet", user("bob", `{"password":"long enough","account":"basic"}`), done, ""},
		{"POST", "/users/inet", user("bob", `{"password":"long enough","account":"basic"}`), refused, "already"},
		{"GET", "/users/inet/bob", "", found, `"last_update": null`},
		{"GET", "/users/inet/bob", "", found, `"last_login": null`},
		{"GET", "/users/inet/nobody", "", missing, "nobody is not a user"},
		{"GET", "/users/unix", "", found, `"data": []`},
		{"DELETE", "/users/inet/admin", "", refused, "last"},
	})
	bob := servertest.Basic("bob", "long enough")
	if a := s.Do(t, "GET", "/v1/servers", nil, "Authorization", bob); a.Status != found {
		t.Errorf("a basic account reads: %d", a.Status)
	}
	a := s.Do(t, "POST", "/v1/servers", serverBody("x", 3306), "Authorization", bob)
	if a.Status != http.StatusUnauthorized {
		t.Errorf("a basic account changes: %d %s", a.Status, a.Body)
	}
	if login := at(read(t, s, "/users/inet/bob"), "data", "attributes", "last_login"); login == nil {
		t.Error("the login of bob is not known")
	}
	if list := ids(read(t, s, "/users")); len(list) != 2 {
		t.Errorf("users: %v", list)
	}
	if list := ids(s.Do(t, "GET", "/v1/users", nil, "Authorization", bob).JSON(t)); len(list) != 1 || list[0] != "bob" {
		t.Errorf("bob sees the users %v", list)
	}
	run(t, s, []step{
		{"PATCH", "/users/inet/bob", user("bob", `{"account":"admin","password":"another word"}`), refused, "account"},
		{"PATCH", "/users/inet/bob", user("bob", `{"password":"another word"}`), done, ""},
	})
	if update := at(read(t, s, "/users/inet/bob"), "data", "attributes", "last_update"); update == nil {
		t.Error("the change of the password is not known")
	}
	if a := s.Do(t, "GET", "/v1/servers", nil, "Authorization", bob); a.Status != http.StatusUnauthorized {
		t.Errorf("with the old password: %d", a.Status)
	}
	for _, path := range []string{"/users", "/users/inet", "/users/inet/bob"} {
		checkDocument(t, s, path)
	}
	must(t, s, "DELETE", "/users/inet/bob", nil)
}

package proxy_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// command is one of the requests that the command line MaxCtrl sends, with what
// it then reads of every resource that it gets. A name that ends in ? may be
// absent: relationships without members are.
type command struct {
	verb, path, body string
	status           int
	reads            string
}

// plays sends the requests as MaxCtrl does: with the type of JSON where there
// is a body, without any type where there is none.
func plays(t *testing.T, s *servertest.Server, commands []command) {
	t.Helper()
	for _, c := range commands {
		what := c.verb + " " + c.path + " " + c.body
		var body any
		if c.body != "" {
			body = c.body
		}
		a := s.Do(t, c.verb, "/v1/"+c.path, body)
		if a.Status != c.status || (c.status == done) != (len(a.Body) == 0) {
			t.Errorf("%s: %d, want %d\n%s", what, a.Status, c.status, a.Body)
			continue
		}
		if c.status != found {
			continue
		}
		doc := a.JSON(t)
		rows, many := doc["data"].([]any)
		if !many {
			rows = []any{doc["data"]}
		}
		if len(rows) == 0 {
			t.Errorf("%s: there is nothing", what)
		}
		for _, row := range rows {
			for _, path := range strings.Fields(c.reads) {
				if name, optional := strings.CutSuffix(path, "?"); !reaches(row, strings.Split(name, ".")) && !optional {
					t.Errorf("%s: %v has no %s", what, at(row, "id"), name)
				}
			}
		}
	}
}

// reaches reports whether a path leads anywhere; 0 is the first element.
func reaches(v any, path []string) bool {
	for _, key := range path {
		switch in := v.(type) {
		case object:
			inner, ok := in[key]
			if !ok {
				return false
			}
			v = inner
		case []any:
			if key != "0" || len(in) == 0 {
				return false
			}
			v = in[0]
		default:
			return false
		}
	}
	return true
}

// fixture is the estate that MaxCtrl's own tests have: four servers with a
// monitor, of which the first can be reached, services before them, filters
// and listeners. It returns the port of Read-Connection-Listener.
func fixture(t *testing.T, s *servertest.Server, port int) int {
	t.Helper()
	resource := func(kind, id, attributes, relationships string) string {
		return fmt.Sprintf(`{"data":{"id":%q,"type":%q,"attributes":{%s},"relationships":{%s}}}`, id, kind, attributes, relationships)
	}
	of := func(kind string, names ...string) string { return fmt.Sprintf("%q:%s", kind, members(kind, names...)) }
	servers := []string{"server1", "server2", "server3", "server4"}
	for i, name := range servers {
		at := port
		if i > 0 {
			at = testbed.FreePort(t)
		}
		must(t, s, "POST", "/servers", serverBody(name, at))
	}
	login := `"parameters":{"user":"maxuser","password":"maxpwd"`
	must(t, s, "POST", "/monitors", resource("monitors", "MariaDB-Monitor", `"module":"mariadbmon",`+login+`,"monitor_interval":"100ms"}`, of("servers", servers...)))
	must(t, s, "POST", "/filters", resource("filters", "QLA", fmt.Sprintf(`"module":"qlafilter","parameters":{"filebase":%q,"log_type":"unified"}`, t.TempDir()+"/qla"), ""))
	must(t, s, "POST", "/filters", resource("filters", "Hint", `"module":"hintfilter"`, ""))
	must(t, s, "POST", "/services", resource("services", "RW-Split-Router", `"router":"readwritesplit",`+login+`}`, of("servers", servers...)))
	must(t, s, "POST", "/services", resource("services", "RW-Split-Hint-Router", `"router":"readwritesplit",`+login+`}`, of("servers", servers...)+","+of("filters", "Hint")))
	must(t, s, "POST", "/services", resource("services", "Read-Connection-Router", `"router":"readconnroute",`+login+`,"router_options":"master"}`, of("servers", "server1")+","+of("filters", "QLA")))
	open := testbed.FreePort(t)
	for service, port := range map[string]int{"RW-Split-Router": testbed.FreePort(t), "RW-Split-Hint-Router": testbed.FreePort(t), "Read-Connection-Router": open} {
		must(t, s, "POST", "/services/"+service+"/listeners", listenerBody(strings.TrimSuffix(service, "Router")+"Listener", port))
	}
	return open
}

// TestMaxCtrl: every request of MaxCtrl's commands, in both of its versions
// that are about, is answered as it needs.
func TestMaxCtrl(t *testing.T) {
	t.Parallel()
	db := testbed.StartMariaDB(t, testbed.MariaDBOptions{Settings: []string{"log-bin=b", "server-id=3000"}})
	db.CreateUser(t, "maxuser", "maxpwd")
	db.Exec(t, "GRANT ALL ON *.* TO maxuser@'%' WITH GRANT OPTION", "CREATE DATABASE shop")
	s := servertest.Start(t, servertest.Options{})
	port := fixture(t, s, db.Port)
	servertest.Eventually(t, "the monitor to find the master", func() bool {
		return strings.HasPrefix(fmt.Sprint(at(read(t, s, "/servers/server1"), "data", "attributes", "state")), "Master")
	})
	session := connect(t, s, port)
	t.Run("list", func(t *testing.T) { plays(t, s, listCommands()) })
	t.Run("show", func(t *testing.T) { plays(t, s, showCommands(session)) })
	t.Run("report", func(t *testing.T) { plays(t, s, reportCommands()) })
	t.Run("change", func(t *testing.T) { plays(t, s, changeCommands(t, session)) })
	t.Run("call", func(t *testing.T) { callCommands(t, s) })
	t.Run("link", func(t *testing.T) { linkCommands(t, s) })
	t.Run("destroy", func(t *testing.T) { plays(t, s, destroyCommands(session)) })
}

// connect opens the one session that there is, and returns its id.
func connect(t *testing.T, s *servertest.Server, port int) string {
	t.Helper()
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr, c.DBName = "maxuser", "maxpwd", "tcp", testbed.Addr(port), "shop"
	connector, err := mysql.NewConnector(c)
	if err != nil {
		t.Fatal(err)
	}
	pool := sql.OpenDB(connector)
	conn, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close() //nolint:errcheck // the test has ended the session
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := conn.ExecContext(t.Context(), "DO 1"); err != nil {
		t.Fatal(err)
	}
	sessions := ids(read(t, s, "/sessions"))
	if len(sessions) != 1 {
		t.Fatalf("the sessions are %v", sessions)
	}
	return sessions[0]
}

const (
	parameters   = "attributes.parameters attributes.source.file "
	serverReads  = parameters + "attributes.parameters.address attributes.parameters.port attributes.parameters.socket attributes.statistics.connections attributes.state attributes.state_details attributes.gtid_current_pos relationships.monitors? "
	serviceReads = parameters + "attributes.router attributes.statistics.connections attributes.statistics.total_connections attributes.connections attributes.total_connections relationships.servers.data.0.id relationships.services? "
	listenReads  = parameters + "attributes.parameters.port attributes.parameters.address attributes.state relationships.services.data.0.id "
	sessionReads = "attributes.user attributes.remote attributes.connected attributes.idle attributes.memory.total attributes.io_activity relationships.services.data.0.id "
	userReads    = "type attributes.account attributes.created attributes.last_update attributes.last_login "
	threadReads  = "attributes.stats.state attributes.stats.listening attributes.stats.reads attributes.stats.writes attributes.stats.hangups attributes.stats.errors attributes.stats.avg_event_queue_length attributes.stats.max_event_queue_length attributes.stats.max_exec_time attributes.stats.max_queue_time attributes.stats.current_descriptors attributes.stats.total_descriptors attributes.stats.load.last_second attributes.stats.load.last_minute attributes.stats.load.last_hour attributes.stats.query_classifier_cache.size attributes.stats.sessions attributes.stats.zombies attributes.stats.memory.total "
	moduleReads  = "attributes.module_type attributes.version attributes.maturity attributes.description attributes.parameters attributes.commands "
)

func listCommands() []command {
	return []command{
		{"GET", "servers", "", found, serverReads},
		{"GET", "monitors/MariaDB-Monitor", "", found, "attributes.monitor_diagnostics.server_info.0.gtid_current_pos attributes.monitor_diagnostics.server_info.0.name"},
		{"GET", "services", "", found, serviceReads},
		{"GET", "listeners", "", found, listenReads},
		{"GET", "services/RW-Split-Router", "", found, "attributes.listeners.0.id attributes.listeners.0.attributes.parameters.port attributes.listeners.0.attributes.state attributes.listeners.0.relationships.services.data.0.id"},
		{"GET", "monitors", "", found, "attributes.state relationships.servers.data.0.id"},
		{"GET", "filters", "", found, "attributes.module relationships.services.data.0.id"},
		{"GET", "sessions", "", found, sessionReads},
		{"GET", "sessions?rdns=true", "", found, sessionReads},
		{"GET", "maxscale", "", found, "attributes.parameters.retain_last_statements"},
		{"GET", "users", "", found, userReads},
		{"GET", "users/inet", "", found, userReads},
		{"GET", "maxscale/modules", "", found, moduleReads},
		{"GET", "maxscale/modules?load=all", "", found, moduleReads},
		{"GET", "maxscale/threads", "", found, threadReads},
	}
}

func showCommands(session string) []command {
	server := serverReads + "attributes.version_string attributes.uptime attributes.last_event attributes.triggered_at attributes.master_id attributes.node_id attributes.slaves attributes.statistics relationships.services.data.0.id relationships.monitors.data.0.id"
	service := serviceReads + "attributes.state attributes.started attributes.users_last_update attributes.router_diagnostics relationships.filters? relationships.monitors?"
	session1 := sessionReads + "attributes.state attributes.port attributes.database attributes.seconds_alive attributes.connections.0.server attributes.connections.0.connection_id attributes.queries attributes.log attributes.parameters attributes.client"
	return []command{
		{"GET", "servers/server1", "", found, server}, {"GET", "servers/", "", found, server},
		{"GET", "services/Read-Connection-Router", "", found, service}, {"GET", "services/", "", found, service},
		{"GET", "listeners/RW-Split-Listener", "", found, listenReads}, {"GET", "listeners/", "", found, listenReads},
		{"GET", "filters/QLA", "", found, parameters + "attributes.module attributes.filter_diagnostics relationships.services.data.0.id"}, {"GET", "filters/", "", found, parameters},
		{"GET", "monitors/MariaDB-Monitor", "", found, parameters + "attributes.module attributes.state attributes.ticks attributes.monitor_diagnostics relationships.servers.data.0.id"},
		{"GET", "monitors/", "", found, parameters},
		{"GET", "sessions/" + session, "", found, session1}, {"GET", "sessions/", "", found, session1}, {"GET", "sessions/" + session + "?rdns=true", "", found, session1},
		{"GET", "users/inet/admin", "", found, userReads},
		{"GET", "maxscale", "", found, "attributes.version attributes.commit attributes.started_at attributes.activated_at attributes.uptime attributes.config_sync attributes.parameters attributes.system"},
		{"GET", "maxscale/modules/readwritesplit", "", found, moduleReads}, {"GET", "maxscale/threads/0", "", found, threadReads}, {"GET", "maxscale/threads/", "", found, threadReads},
		{"GET", "maxscale/logs", "", found, "attributes.log_file attributes.log_priorities.0 attributes.parameters"},
		{"GET", "services/Read-Connection-Router", "", found, "attributes.users.0.user attributes.users.0.host attributes.users.0.plugin attributes.users.0.ssl attributes.users.0.super_priv attributes.users.0.global_priv attributes.users.0.proxy_priv attributes.users.0.default_role"},
		{"GET", "monitors/", "", found, "attributes.monitor_diagnostics.server_info.0.slave_connections"},
		{"GET", "maxscale/query_classifier/classify?sql=SELECT%201", "", found, "attributes.parse_result attributes.type_mask attributes.operation attributes.has_where_clause attributes.fields attributes.functions"},
		{"GET", "maxscale/debug/stacktrace", "", found, "attributes.profile.0.0"},
	}
}

// reportCommands are those of "create report", which ends at the first failure.
func reportCommands() (out []command) {
	for _, path := range []string{
		"maxscale", "servers", "services", "monitors", "listeners", "filters", "sessions", "users", "maxscale/modules", "maxscale/query_classifier",
		"maxscale/threads", "maxscale/logs/data?page[size]=100", "maxscale/debug/server_diagnostics",
	} {
		out = append(out, command{"GET", path, "", found, ""})
	}
	return out
}

func changeCommands(t *testing.T, session string) []command {
	t.Helper()
	port := testbed.FreePort(t)
	alter := func(parameters string) string { return `{"data":{"attributes":{"parameters":` + parameters + `}}}` }
	return []command{
		{"POST", "servers", fmt.Sprintf(`{"data":{"id":"made","type":"servers","attributes":{"parameters":{"address":"127.0.0.1","port":"%d"}}}}`, testbed.FreePort(t)), done, ""},
		{"POST", "monitors", `{"data":{"id":"made","attributes":{"module":"mariadbmon","parameters":{"user":"maxuser","password":"maxpwd"}}}}`, done, ""},
		{"POST", "filters", `{"data":{"id":"made","attributes":{"module":"comment","parameters":{"inject":"hello"}}}}`, done, ""},
		{"POST", "services", `{"data":{"id":"made","attributes":{"router":"readwritesplit","parameters":{"user":"maxuser","password":"maxpwd","max_connections":"10"}},"relationships":{"filters":{"data":[{"id":"made","type":"filters"}]},"servers":{"data":[{"id":"made","type":"servers"}]}}}}`, done, ""},
		{"POST", "listeners", fmt.Sprintf(`{"data":{"id":"made","type":"listeners","attributes":{"parameters":{"port":%d,"address":"127.0.0.1"}},"relationships":{"services":{"data":[{"id":"made","type":"services"}]}}}}`, port), done, ""},
		{"POST", "users/inet", `{"data":{"id":"made","type":"inet","attributes":{"password":"something long","account":"basic"}}}`, done, ""},

		{"PATCH", "servers/made", alter(`{"priority":5}`), done, ""}, {"PATCH", "servers/made?sync=false", alter(`{"priority":"6"}`), done, ""},
		{"PATCH", "services/made", alter(`{"max_connections":20,"enable_root_user":true}`), done, ""},
		{"PATCH", "services/made", `{"data":{"relationships":{"filters":{"data":[]}}}}`, done, ""},
		{"PATCH", "services/made/relationships/filters", `{"data":[{"id":"made","type":"filters"},{"id":"Hint","type":"filters"}]}`, done, ""},
		{"PATCH", "monitors/made", alter(`{"monitor_interval":1000}`), done, ""}, {"PATCH", "filters/made", alter(`{"inject":"bye"}`), done, ""},
		{"PATCH", "listeners/made", alter(`{"sql_mode":"oracle"}`), done, ""}, {"PATCH", "users/inet/made", `{"data":{"attributes":{"password":"something else"}}}`, done, ""},
		{"PATCH", "maxscale", alter(`{"retain_last_statements":2}`), done, ""}, {"PATCH", "maxscale/logs", alter(`{"ms_timestamp":true}`), done, ""},
		{"PATCH", "sessions/" + session, alter(`{"log_info":true}`), done, ""},
		{"PATCH", "sessions/" + session, `{"data":{"relationships":{"filters":{"data":[{"id":"Hint","type":"filters"}]}}}}`, done, ""},
		{"PATCH", "maxscale/logs", alter(`{"log_info":true}`), done, ""}, {"PATCH", "maxscale/logs", alter(`{"log_info":false}`), done, ""},

		{"PUT", "services/made/stop", "", done, ""}, {"PUT", "services/made/start", "", done, ""}, {"PUT", "services/made/stop?force=yes", "", done, ""}, {"PUT", "services/made/start?", "", done, ""},
		{"PUT", "listeners/made/stop?force=yes", "", done, ""}, {"PUT", "listeners/made/start", "", done, ""},
		{"PUT", "monitors/made/stop", "", done, ""}, {"PUT", "monitors/made/start", "", done, ""},
		{"PUT", "servers/made/set?state=maintenance", "", done, ""}, {"PUT", "servers/made/clear?state=maintenance", "", done, ""},
		{"PUT", "servers/made/set?force=yes&state=maintenance", "", done, ""}, {"PUT", "servers/made/clear?state=maintenance", "", done, ""},
		{"PUT", "servers/made/set?state=drain", "", done, ""}, {"PUT", "servers/made/clear?state=drain", "", done, ""},
		{"POST", "services/Read-Connection-Router/reload", "", done, ""}, {"POST", "maxscale/tls/reload", "", done, ""}, {"POST", "maxscale/logs/flush/", "", done, ""},
		{"POST", "sessions/" + session + "/restart", "", done, ""}, {"POST", "sessions/restart", "", done, ""},
		{"GET", "services/nothing", "", missing, ""}, {"PUT", "servers/nothing/set?state=drain", "", missing, ""}, {"POST", "filters", `{"data":{"id":"made","attributes":{"module":"comment","parameters":{"inject":"hello"}}}}`, refused, ""},
	}
}

func destroyCommands(session string) []command {
	return []command{
		{"DELETE", "sessions/" + session + "?ttl=0", "", done, ""}, {"DELETE", "sessions/4000000000?ttl=0", "", missing, ""},
		{"DELETE", "servers/made", "", refused, ""}, {"DELETE", "filters/made", "", refused, ""}, {"DELETE", "services/made", "", refused, ""},
		{"GET", "services/made/listeners/made", "", found, "attributes.parameters.port"}, {"DELETE", "listeners/made", "", done, ""},
		{"DELETE", "filters/made?force=yes", "", done, ""}, {"DELETE", "services/made?force=yes", "", done, ""},
		{"DELETE", "servers/made", "", done, ""}, {"DELETE", "monitors/made", "", done, ""}, {"DELETE", "users/inet/made", "", done, ""},
		{"DELETE", "services/RW-Split-Router?force=yes", "", done, ""}, {"DELETE", "listeners/RW-Split-Listener", "", missing, ""},
		{"DELETE", "monitors/MariaDB-Monitor", "", refused, ""}, {"DELETE", "monitors/MariaDB-Monitor?force=yes", "", done, ""},
		{"DELETE", "servers/server1?force=yes", "", done, ""},
	}
}

// callCommands calls the commands of modules: MaxCtrl reads first by which
// verb, and prints what comes, or OK.
func callCommands(t *testing.T, s *servertest.Server) {
	verb := func(module, command string) string {
		for _, c := range at(read(t, s, "/maxscale/modules/"+module+"/"), "data", "attributes", "commands").([]any) {
			if at(c, "id") == command {
				return fmt.Sprint(at(c, "attributes", "method"))
			}
		}
		t.Fatalf("%s has no command %s", module, command)
		return ""
	}
	log := s.Do(t, verb("qlafilter", "log"), "/v1/maxscale/modules/qlafilter/log?QLA", nil)
	if lines, ok := log.JSON(t)["meta"].([]any); log.Status != found || !ok || len(lines) == 0 {
		t.Errorf("the log of QLA: %d %s", log.Status, log.Body)
	}
	for _, c := range []struct {
		module, command, arguments string
		status                     int
	}{
		{"mariadbmon", "switchover", "MariaDB-Monitor&server2&nothing", refused},
		{"mariadbmon", "failover", "nothing", refused},
		{"mariadbmon", "failover", "", refused},
		{"readwritesplit", "reset-gtid", "RW-Split-Router", done},
		{"readwritesplit", "reset-gtid", "Read-Connection-Router", refused},
	} {
		a := s.Do(t, verb(c.module, c.command), "/v1/maxscale/modules/"+c.module+"/"+c.command+"?"+c.arguments, nil)
		if a.Status != c.status {
			t.Errorf("call command %s %s %s: %d %s", c.module, c.command, c.arguments, a.Status, a.Body)
		}
	}
	if a := s.Do(t, "GET", "/v1/maxscale/modules/mariadbmon/switchover?MariaDB-Monitor", nil); a.Status != refused {
		t.Errorf("a command that changes something, with GET: %d %s", a.Status, a.Body)
	}
}

// linkCommands link and unlink as MaxCtrl does: it sends back the resource
// without its attributes, with lists of everything, which may be empty.
func linkCommands(t *testing.T, s *servertest.Server) {
	link := func(path string, change func(relations object)) {
		doc := read(t, s, path)
		data := doc["data"].(object)
		delete(data, "attributes")
		relations := data["relationships"].(object)
		for _, kind := range []string{"servers", "services", "monitors", "filters"} {
			if relations[kind] == nil {
				relations[kind] = object{"data": []any{}}
			}
		}
		change(relations)
		must(t, s, "PATCH", path, doc)
	}
	to := func(kind string, names ...string) func(object) {
		return func(relations object) {
			list := at(relations, kind, "data").([]any)
			for _, name := range names {
				list = append(list, object{"id": name, "type": kind})
			}
			relations[kind] = object{"data": list}
		}
	}
	link("/services/Read-Connection-Router", to("servers", "server2", "server1"))
	wantRelated(t, s, "/services/Read-Connection-Router", "servers", "server1", "server2")
	wantRelated(t, s, "/services/Read-Connection-Router", "filters", "QLA")
	wantRelated(t, s, "/services/Read-Connection-Router", "listeners", "Read-Connection-Listener")
	link("/services/Read-Connection-Router", func(relations object) {
		relations["servers"] = object{"data": []any{object{"id": "server1", "type": "servers"}}}
	})
	wantRelated(t, s, "/services/Read-Connection-Router", "servers", "server1")
	link("/monitors/MariaDB-Monitor", func(relations object) {
		relations["servers"] = object{"data": at(relations, "servers", "data").([]any)[:3]}
	})
	wantRelated(t, s, "/monitors/MariaDB-Monitor", "servers", "server1", "server2", "server3")
	link("/monitors/MariaDB-Monitor", to("servers", "server4"))
	wantRelated(t, s, "/monitors/MariaDB-Monitor", "servers", "server1", "server2", "server3", "server4")
}

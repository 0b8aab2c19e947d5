package proxy_test

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/google/uuid"

	"github.com/backplane/backplane/internal/config"
	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// dial opens one connection through a listener.
func dial(t *testing.T, port int, user, password, database string) (*sql.Conn, error) {
	t.Helper()
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr, c.DBName, c.Timeout = user, password, "tcp", testbed.Addr(port), database, 10*time.Second
	connector, err := mysql.NewConnector(c)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { db.Close() })
	conn, err := db.Conn(t.Context())
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.Close() })
	return conn, nil
}

// ask is the first column of the first row.
func ask(ctx context.Context, conn *sql.Conn, statement string) (out string, err error) {
	err = conn.QueryRowContext(ctx, statement).Scan(&out)
	return out, err
}

// client is dial for a connection that must be had, in a while.
func client(t *testing.T, port int, user, password, database string) *sql.Conn {
	t.Helper()
	var conn *sql.Conn
	servertest.Eventually(t, "a connection through the proxy", func() (ok bool) {
		var err error
		if conn, err = dial(t, port, user, password, database); err != nil {
			t.Log(err)
		}
		return err == nil
	})
	return conn
}

// behind makes a service in front of a database server, with a listener.
func behind(t *testing.T, s *servertest.Server, name string, db *testbed.MariaDB, relations string) (port int) {
	t.Helper()
	port = testbed.FreePort(t)
	must(t, s, "POST", "/services", object{"data": object{"id": name, "attributes": object{
		"router": "readconnroute", "parameters": object{"user": db.User, "password": db.Password},
	}}})
	must(t, s, "PATCH", "/services/"+name, `{"data":{"relationships":`+relations+`}}`)
	must(t, s, "POST", "/services/"+name+"/listeners", listenerBody(name+"-listener", port))
	return port
}

// TestTraffic: a client is served, shown and cut off.
func TestTraffic(t *testing.T) {
	t.Parallel()
	db := testbed.StartMariaDB(t, testbed.MariaDBOptions{})
	db.CreateUser(t, "app", "app-word")
	db.CreateDatabase(t, "shop", "app")
	s := servertest.Start(t, servertest.Options{})
	must(t, s, "POST", "/servers", serverBody("server1", db.Port))
	port := behind(t, s, "svc", db, `{"servers":`+members("servers", "server1")+`}`)
	must(t, s, "POST", "/services/svc/reload", nil)
	must(t, s, "PATCH", "/services/svc", `{"data":{"attributes":{"parameters":{"retain_last_statements":5}}}}`)
	conn := client(t, port, "app", "app-word", "shop")
	id, err := ask(t.Context(), conn, "SELECT 21*2")
	if err != nil || id != "42" {
		t.Fatalf("%q, %v", id, err)
	}
	list := read(t, s, "/sessions")
	if len(ids(list)) != 1 {
		t.Fatalf("sessions: %v", ids(list))
	}
	one := "/sessions/" + ids(list)[0]
	doc := read(t, s, one)
	wantAt(t, doc, "app", "data", "attributes", "user")
	wantAt(t, doc, "shop", "data", "attributes", "database")
	wantAt(t, doc, "127.0.0.1", "data", "attributes", "remote")
	wantAt(t, doc, "server1", "data", "attributes", "connections", 0, "server")
	wantAt(t, doc, "SELECT 21*2", "data", "attributes", "queries", 0, "statement")
	wantAt(t, doc, "svc", "data", "relationships", "services", "data", 0, "id")
	checkDocument(t, s, one)
	service := read(t, s, "/services/svc")
	wantAt(t, service, 1.0, "data", "attributes", "connections")
	if users, _ := at(service, "data", "attributes", "users").([]any); !slices.ContainsFunc(users, func(u any) bool { return at(u, "user") == "app" }) {
		t.Errorf("the accounts of the service are %v", users)
	}
	if at(service, "data", "attributes", "users_last_update") == nil {
		t.Error("when the accounts were loaded is not known")
	}
	wantAt(t, read(t, s, "/servers/server1"), 1.0, "data", "attributes", "statistics", "connections")
	run(t, s, []step{
		{"DELETE", "/sessions/999999", "", missing, "999999 is not a session"},
		{"GET", "/sessions/x", "", missing, "x is not a session"},
		{"DELETE", one, "", done, ""},
	})
	servertest.Eventually(t, "the end of the session", func() bool {
		_, err := ask(t.Context(), conn, "SELECT 1")
		return err != nil && s.Do(t, "GET", "/v1"+one, nil).Status == missing
	})
	// The name is free at once, and the session that there is goes on.
	conn = client(t, port, "app", "app-word", "shop")
	must(t, s, "DELETE", "/services/svc?force=yes", nil)
	if got, err := ask(t.Context(), conn, "SELECT 7"); err != nil || got != "7" {
		t.Errorf("after its service was deleted, a session says %q, %v", got, err)
	}
	port = behind(t, s, "svc", db, `{"servers":`+members("servers", "server1")+`}`)
	other := client(t, port, "app", "app-word", "shop")
	must(t, s, "PUT", "/services/svc/stop?force=yes", nil)
	servertest.Eventually(t, "the end of the session", func() bool {
		_, err := ask(t.Context(), other, "SELECT 1")
		return err != nil
	})
}

// TestRestart: everything is there again after a restart, and in force.
func TestRestart(t *testing.T) {
	t.Parallel()
	db := testbed.StartMariaDB(t, testbed.MariaDBOptions{})
	db.CreateUser(t, "app", "app-word")
	dir := filepath.Join(t.TempDir(), "data")
	s := servertest.Start(t, servertest.Options{DataDir: dir})
	must(t, s, "POST", "/servers", serverBody("server1", db.Port))
	must(t, s, "POST", "/servers", serverBody("server2", testbed.FreePort(t)))
	must(t, s, "PUT", "/servers/server1/set?state=master", nil)
	must(t, s, "PUT", "/servers/server2/set?state=drain", nil)
	must(t, s, "POST", "/filters", `{"data":{"id":"hint","attributes":{"module":"hintfilter"}}}`)
	port := behind(t, s, "svc", db, `{"servers":`+members("servers", "server1", "server2")+`,"filters":`+members("filters", "hint")+`}`)
	must(t, s, "POST", "/services", serviceBody("stopped", `{}`))
	must(t, s, "PUT", "/services/stopped/stop", nil)
	must(t, s, "PATCH", "/maxscale", `{"data":{"attributes":{"parameters":{"retain_last_statements":9}}}}`)
	paths := []string{"/servers", "/servers/server1", "/services/svc", "/listeners/svc-listener", "/filters/hint"}
	before := map[string]servertest.Answer{}
	for _, path := range paths {
		before[path] = s.Do(t, "GET", "/v1"+path, nil)
	}
	// Passwords are sealed anew under another key.
	if a := s.Do(t, "POST", "/api/keys/rotate", nil); a.Status != found {
		t.Fatalf("rotate the keys: %d %s", a.Status, a.Body)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if text := s.Log.String(); strings.Contains(text, db.Password) {
		t.Error("the log has the password of a service")
	}

	s = servertest.Start(t, servertest.Options{DataDir: dir})
	for _, path := range paths {
		after := s.Do(t, "GET", "/v1"+path, nil)
		if after.Header.Get("Etag") != before[path].Header.Get("Etag") {
			t.Errorf("the version of %s is %s, was %s", path, after.Header.Get("Etag"), before[path].Header.Get("Etag"))
		}
		was, is := before[path].JSON(t), after.JSON(t)
		if path != "/servers" {
			holds(t, path, at(is, "data", "attributes", "parameters"), at(was, "data", "attributes", "parameters"))
		}
	}
	wantRelated(t, s, "/services/svc", "servers", "server1", "server2")
	wantAt(t, read(t, s, "/servers/server1"), "Master, Running", "data", "attributes", "state")
	wantAt(t, read(t, s, "/servers/server2"), "Drained, Running", "data", "attributes", "state")
	wantAt(t, read(t, s, "/services/stopped"), "Stopped", "data", "attributes", "state")
	wantAt(t, read(t, s, "/maxscale"), 9.0, "data", "attributes", "parameters", "retain_last_statements")
	client(t, port, "app", "app-word", "")
}

// TestTwoProcesses: what one process is told, the other one does.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	db := testbed.StartMariaDB(t, testbed.MariaDBOptions{})
	db.Exec(t, "CREATE DATABASE store")
	u := url.URL{Scheme: "mysql", User: url.UserPassword(db.User, db.Password), Host: testbed.Addr(db.Port), Path: "/store"}
	one := func(c *config.Config) { c.MasterKey = strings.Repeat("7a", 32) }
	a := servertest.Start(t, servertest.Options{Store: u.String(), Adjust: one})
	b := servertest.Start(t, servertest.Options{Store: u.String(), Adjust: one})
	must(t, a, "POST", "/servers", serverBody("server1", db.Port))
	wantAt(t, read(t, b, "/servers/server1"), "server1", "data", "id")
	must(t, b, "PUT", "/servers/server1/set?state=maintenance", nil)
	servertest.Eventually(t, "maintenance in the other process", func() bool {
		return at(read(t, a, "/servers/server1"), "data", "attributes", "state") == "Maintenance, Running"
	})
	must(t, a, "PUT", "/servers/server1/clear?state=maintenance", nil)
	servertest.Eventually(t, "the end of maintenance", func() bool {
		return at(read(t, b, "/servers/server1"), "data", "attributes", "state") == "Running"
	})
	// A service that one makes has its listener in the other, too: one of them
	// gets the port, for they share a machine here.
	port := behind(t, b, "svc", db, `{"servers":`+members("servers", "server1")+`}`)
	db.CreateUser(t, "app", "app-word")
	client(t, port, "app", "app-word", "")
	wantAt(t, read(t, b, "/listeners/svc-listener"), "Running", "data", "attributes", "state")
	must(t, a, "PATCH", "/services/svc", `{"data":{"attributes":{"parameters":{"max_connections":3}}}}`)
	wantAt(t, read(t, b, "/services/svc"), 3.0, "data", "attributes", "parameters", "max_connections")
	must(t, a, "DELETE", "/services/svc?force=yes", nil)
	servertest.Eventually(t, "the end of the listener", func() bool {
		_, err := dial(t, port, "app", "app-word", "")
		return err != nil
	})
}

// TestDatabaseBehindService: a database that was made is put behind a service in
// one call.
func TestDatabaseBehindService(t *testing.T) {
	t.Parallel()
	db := testbed.StartMariaDB(t, testbed.MariaDBOptions{})
	s := servertest.Start(t, servertest.Options{})
	entry := s.Create(t, object{"name": "Main database!", "service_type": "mysql", "config": object{
		"host": "127.0.0.1", "port": db.Port, "database": "mysql", "username": db.User, "password": db.Password,
	}})
	make := func(path string, body object) object {
		t.Helper()
		a := s.Do(t, "POST", path, body)
		if a.Status != 201 {
			t.Fatalf("POST %s: %d %s", path, a.Status, a.Body)
		}
		return a.JSON(t)
	}
	environment := at(make("/api/environment/", object{"name": "lab"}), "_links", "self")
	plan := at(make("/api/plan/", object{"name": "small", "engine": "mysql", "environments": []any{environment}, "services": []any{entry["id"]}}), "_links", "self")
	made := make("/api/database/", object{"name": "shop", "plan": plan, "environment": environment})
	port := behind(t, s, "svc", db, `{}`)
	run(t, s, []step{
		{"POST", "/services/svc/databases", `{"database":"999"}`, refused, "database"},
		{"POST", "/services/svc/databases", `{"database":"/api/plan/1/"}`, refused, "database"},
		{"POST", "/services/none/databases", `{"database":"1"}`, missing, "none is not a service"},
	})
	for range 2 { // the second time, all is there
		a := s.Do(t, "POST", "/v1/services/svc/databases", object{"database": at(made, "_links", "self")})
		if a.Status != found {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		wantAt(t, a.JSON(t), "Main-database_", "data", "id")
		wantAt(t, a.JSON(t), entry["id"], "data", "attributes", "parameters", "catalog_service")
	}
	wantRelated(t, s, "/services/svc", "servers", "Main-database_")
	a := s.Do(t, "GET", fmt.Sprint("/api/credential/?database=", made["id"]), nil)
	number := at(a.JSON(t), "credential", 0, "id")
	login := s.Do(t, "GET", fmt.Sprint("/api/credential/", number, "/"), nil).JSON(t)
	user, _ := login["user"].(string)
	word, _ := login["password"].(string)
	conn := client(t, port, user, word, "")
	if got, err := ask(t.Context(), conn, "SELECT CURRENT_USER()"); err != nil || !strings.HasPrefix(got, user+"@") {
		t.Errorf("the login of the database is %q through the proxy, %v", got, err)
	}
}

// TestCatalogue: a server that is a service of the catalogue follows it.
func TestCatalogue(t *testing.T) {
	t.Parallel()
	first, second := testbed.StartMariaDB(t, testbed.MariaDBOptions{}), testbed.StartMariaDB(t, testbed.MariaDBOptions{})
	for _, db := range []*testbed.MariaDB{first, second} {
		db.CreateUser(t, "app", "app-word")
	}
	s := servertest.Start(t, servertest.Options{})
	entry := s.Create(t, object{"name": "Main database", "service_type": "mysql", "config": object{
		"host": "127.0.0.1", "port": first.Port, "database": "mysql", "username": first.User, "password": first.Password,
	}})
	must(t, s, "POST", "/servers", object{"data": object{"id": "server1", "attributes": object{"parameters": object{"catalog_service": entry["id"]}}}})
	run(t, s, []step{
		{"PATCH", "/servers/server1", `{"data":{"attributes":{"parameters":{"address":"127.0.0.1"}}}}`, refused, "together"},
		{"POST", "/servers", `{"data":{"id":"x","attributes":{"parameters":{"catalog_service":"` + uuid.NewString() + `"}}}}`, refused, "catalog_service"},
	})
	port := behind(t, s, "svc", first, `{"servers":`+members("servers", "server1")+`}`)
	serves := func(db *testbed.MariaDB) func() bool {
		return func() bool {
			conn, err := dial(t, port, "app", "app-word", "")
			if err != nil {
				return false
			}
			got, err := ask(t.Context(), conn, "SELECT @@port")
			return err == nil && got == fmt.Sprint(db.Port)
		}
	}
	servertest.Eventually(t, "the first server", serves(first))
	a := s.Do(t, "PUT", "/api/services/"+entry["id"].(string), object{"config": object{"port": second.Port}})
	if a.Status != found {
		t.Fatalf("change the catalogue: %d %s", a.Status, a.Body)
	}
	servertest.Eventually(t, "the second server", serves(second))
	wantAt(t, read(t, s, "/servers/server1"), entry["id"], "data", "attributes", "parameters", "catalog_service")
	if a := s.Do(t, "DELETE", "/api/services/"+entry["id"].(string), nil); a.Status != http.StatusConflict || !strings.Contains(string(a.Body), "server1") {
		t.Errorf("the entry is deleted while a server is reached by it: %d %s", a.Status, a.Body)
	}
}

// TestCatalogueTLS: a server of the catalogue is reached as safely as the entry
// says, or not at all.
func TestCatalogueTLS(t *testing.T) {
	t.Parallel()
	ca := testbed.NewCA(t)
	cert := ca.Issue(t, "127.0.0.1")
	db := testbed.StartMariaDB(t, testbed.MariaDBOptions{Cert: &cert, RequireTLS: true})
	db.CreateUser(t, "app", "app-word")
	s := servertest.Start(t, servertest.Options{})
	config := func(more object) object {
		out := object{"host": "127.0.0.1", "port": db.Port, "database": "mysql", "username": db.User, "password": db.Password, "use_ssl": true}
		maps.Copy(out, more)
		return out
	}
	good := s.Create(t, object{"name": "good", "service_type": "mysql", "config": config(object{"tls_ca": ca.PEM})})
	named := s.Create(t, object{"name": "named", "service_type": "mysql", "config": config(object{"tls_server_name": "db.example"})})
	foreign := s.Create(t, object{"name": "foreign", "service_type": "mysql", "config": config(object{"tls_ca": testbed.NewCA(t).PEM})})
	server := func(name string, entry object) object {
		return object{"data": object{"id": name, "attributes": object{"parameters": object{"catalog_service": entry["id"]}}}}
	}
	must(t, s, "POST", "/servers", server("good", good))
	must(t, s, "POST", "/servers", server("foreign", foreign))
	if a := s.Do(t, "POST", "/v1/servers", server("named", named)); a.Status != refused || !strings.Contains(string(a.Body), "tls_server_name") {
		t.Errorf("a name of a certificate that cannot be checked: %d %s", a.Status, a.Body)
	}
	port := behind(t, s, "svc", db, `{"servers":`+members("servers", "good")+`}`)
	client(t, port, "app", "app-word", "")
	other := behind(t, s, "other", db, `{"servers":`+members("servers", "foreign")+`}`)
	if a := s.Do(t, "POST", "/v1/services/other/reload", nil); a.Status != http.StatusServiceUnavailable {
		t.Errorf("accounts of a server with a foreign certificate: %d %s", a.Status, a.Body)
	}
	if _, err := dial(t, other, "app", "app-word", ""); err == nil {
		t.Error("a server with a foreign certificate is used")
	}
}

package proxy_test

import (
	"net/http"
	"testing"

	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// TestSessionChanges: a session takes up other filters and other servers, but
// not while a transaction is open.
func TestSessionChanges(t *testing.T) {
	t.Parallel()
	db := testbed.StartMariaDB(t, testbed.MariaDBOptions{})
	db.CreateUser(t, "app", "app-word")
	db.CreateDatabase(t, "shop", "app")
	s := servertest.Start(t, servertest.Options{})
	must(t, s, "POST", "/servers", serverBody("server1", db.Port))
	must(t, s, "POST", "/filters", `{"data":{"id":"rewrite","attributes":{"module":"regexfilter","parameters":{"match":"apples","replace":"pears"}}}}`)
	port := behind(t, s, "svc", db, `{"servers":`+members("servers", "server1")+`}`)
	conn := client(t, port, "app", "app-word", "shop")
	says := func(statement, want string) {
		t.Helper()
		if got, err := ask(t.Context(), conn, statement); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", statement, got, err, want)
		}
	}
	says("SELECT 'apples'", "apples")
	one := "/sessions/" + ids(read(t, s, "/sessions"))[0]
	run(t, s, []step{
		{"PATCH", one, `{"data":{"relationships":{"filters":{"data":[{"id":"nothing"}]}}}}`, refused, "nothing is not a filter"},
		{"PATCH", one, `{"data":{"attributes":{"parameters":{"log_info":"perhaps"}}}}`, refused, "log_info"},
		{"PATCH", one, `{"data":{"attributes":{"parameters":{"nothing":true}}}}`, refused, "nothing"},
		{"PATCH", "/sessions/99999", `{"data":{}}`, missing, "is not a session"},
		{"POST", "/sessions/99999/restart", "", missing, "is not a session"},
		{"PATCH", one, `{"data":{"relationships":{"filters":{"data":[{"id":"rewrite","type":"filters"}]}}}}`, done, ""},
	})
	says("SELECT 'apples'", "pears")
	says("SELECT DATABASE()", "shop")

	before, err := ask(t.Context(), conn, "SELECT CONNECTION_ID()")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(t.Context(), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	must(t, s, "POST", one+"/restart", nil)
	says("SELECT CONNECTION_ID()", before)
	says("SELECT 'apples'", "pears")
	if _, err := conn.ExecContext(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if after, err := ask(t.Context(), conn, "SELECT CONNECTION_ID()"); err != nil || after == before {
		t.Errorf("after a restart, the connection to the server is %s, %v; it was %s", after, err, before)
	}
	says("SELECT 'apples'", "apples") // as the service has it
	must(t, s, "PATCH", one, `{"data":{"attributes":{"relationships":{"filters":{"data":[{"id":"rewrite"}]}}}}}`)
	says("SELECT 'apples'", "pears")
	must(t, s, "POST", "/sessions/restart", nil)
	says("SELECT 'apples'", "apples")
	// A filter that is removed serves the sessions that have it to their end.
	must(t, s, "PATCH", one, `{"data":{"relationships":{"filters":{"data":[{"id":"rewrite"}]}}}}`)
	must(t, s, "DELETE", "/filters/rewrite", nil)
	says("SELECT 'apples'", "pears")
	if a := s.Do(t, "GET", "/v1"+one+"/relationships/services", nil); a.Status != http.StatusOK {
		t.Errorf("the service of a session: %d %s", a.Status, a.Body)
	}
}

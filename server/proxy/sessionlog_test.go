package proxy_test

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// logged are the lines of the log of a priority that have a text.
func logged(t *testing.T, s *servertest.Server, priority, text string) (out []string) {
	t.Helper()
	page := read(t, s, "/maxscale/logs/data?page[size]=10000&priority="+url.QueryEscape(priority))
	lines, _ := at(page, "data", "attributes", "log").([]any)
	for _, n := range lines {
		if message := fmt.Sprint(at(n, "message")); strings.Contains(message, text) {
			out = append(out, message)
		}
	}
	return out
}

// traced starts a proxy with the services a and b in front of one server.
func traced(t *testing.T) (*servertest.Server, map[string]int) {
	t.Helper()
	db := testbed.StartMariaDB(t, testbed.MariaDBOptions{})
	db.CreateUser(t, "app", "app-word")
	s := servertest.Start(t, servertest.Options{})
	must(t, s, "POST", "/servers", serverBody("server1", db.Port))
	ports := map[string]int{}
	for _, name := range []string{"a", "b"} {
		ports[name] = behind(t, s, name, db, `{"servers":`+members("servers", "server1")+`}`)
	}
	return s, ports
}

func settings(text string) string {
	return `{"data":{"attributes":{"parameters":` + text + `}}}`
}

func query(t *testing.T, conn *sql.Conn, statement string) {
	t.Helper()
	if _, err := conn.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// TestSessionTrace: the last lines of what a session logs are kept and shown,
// and written when it ends.
func TestSessionTrace(t *testing.T) {
	t.Parallel()
	s, ports := traced(t)
	run(t, s, []step{
		{"PATCH", "/maxscale", settings(`{"session_trace":-1}`), refused, "session_trace"},
		{"PATCH", "/maxscale", settings(`{"session_trace_match":"("}`), refused, "session_trace_match"},
		{"PATCH", "/maxscale", settings(`{"session_trace":4,"session_trace_match":"/from_pears/"}`), done, ""},
		{"GET", "/maxscale", "", found, `"session_trace_match": "/from_pears/"`},
	})
	kept := func(n int) (lines []string) {
		t.Helper()
		list, _ := at(read(t, s, "/sessions"), "data", n, "attributes", "log").([]any)
		for _, text := range list {
			lines = append(lines, fmt.Sprint(text))
		}
		return lines
	}
	conn := client(t, ports["a"], "app", "app-word", "")
	if lines := kept(0); len(lines) == 0 || !strings.Contains(strings.Join(lines, "\n"), "info: logged in user=app host=127.0.0.1 listener=a-listener") {
		t.Errorf("at the login: %q", lines)
	}
	query(t, conn, "SELECT 'the-secret' AS apples")
	query(t, conn, "SELECT 'the-secret' AS plums")
	if _, err := conn.ExecContext(t.Context(), "SELECT nothing"); err == nil {
		t.Fatal("there is a column called nothing")
	}
	lines := kept(0)
	text := strings.Join(lines, "\n")
	if len(lines) != 4 || !strings.Contains(lines[0], "sent server=server1") || !strings.Contains(lines[1], "statement=SELECT nothing") || !strings.Contains(lines[3], "refused error=1054") ||
		strings.Contains(text, "secret") || strings.Contains(text, "apples") {
		t.Errorf("kept are %q", lines)
	}
	if lines := logged(t, s, "info", ""); len(lines) > 0 {
		t.Errorf("nobody asked for %q", lines)
	}
	other := client(t, ports["b"], "app", "app-word", "")
	query(t, other, "SELECT 1 AS from_pears")
	for _, c := range []*sql.Conn{conn, other} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range ids(read(t, s, "/sessions")) {
		must(t, s, "DELETE", "/sessions/"+id, nil)
	}
	servertest.Eventually(t, "the log of a session is written", func() bool { return len(logged(t, s, "warning", "from_pears")) == 1 })
	if lines := logged(t, s, "warning", "SELECT nothing"); len(lines) > 0 {
		t.Errorf("the pattern is not in %q", lines)
	}

	// One service keeps them where the proxy does not.
	must(t, s, "PATCH", "/maxscale", settings(`{"session_trace":0,"session_trace_match":null}`))
	must(t, s, "PATCH", "/services/b", settings(`{"session_trace":true}`))
	query(t, client(t, ports["a"], "app", "app-word", ""), "SELECT 1")
	query(t, client(t, ports["b"], "app", "app-word", ""), "SELECT 1")
	if a, b := kept(0), kept(1); len(a) > 0 || len(b) < 4 {
		t.Errorf("a keeps %q, b %q", a, b)
	}
}

// TestLastStatementsAreDumped: the statements that are remembered of a session are
// written when it ends.
func TestLastStatementsAreDumped(t *testing.T) {
	t.Parallel()
	s, ports := traced(t)
	must(t, s, "PATCH", "/maxscale", settings(`{"retain_last_statements":2,"dump_last_statements":"on_error"}`))
	ends := func(word string) {
		t.Helper()
		conn := client(t, ports["a"], "app", "app-word", "")
		for _, n := range []string{"one", "two", "three"} {
			query(t, conn, "SELECT 'the-secret' AS "+word+"_"+n)
		}
		if err := conn.Raw(func(c any) error { return c.(driver.Conn).Close() }); err != nil {
			t.Fatal(err)
		}
		servertest.Eventually(t, "the end of a session", func() bool { return len(ids(read(t, s, "/sessions"))) == 0 })
	}
	ends("well")
	if lines := logged(t, s, "notice", "one of the last"); len(lines) > 0 {
		t.Errorf("a session that ended well leaves %q", lines)
	}
	must(t, s, "PATCH", "/maxscale", settings(`{"dump_last_statements":"on_close"}`))
	ends("closed")
	if lines := logged(t, s, "notice", "one of the last"); len(lines) != 2 || !strings.Contains(lines[0], "SELECT ? AS closed_two") || !strings.Contains(lines[1], "SELECT ? AS closed_three") {
		t.Errorf("a session leaves %q", lines)
	}
}

// TestLevelsOfServicesAndSessions: what is logged of one service, or of one
// session, although the log leaves it out.
func TestLevelsOfServicesAndSessions(t *testing.T) {
	t.Parallel()
	s, ports := traced(t)
	a, b := client(t, ports["a"], "app", "app-word", ""), client(t, ports["b"], "app", "app-word", "")
	both := func(word string) (fromA, fromB int) {
		t.Helper()
		query(t, a, "SELECT 1 AS a_"+word)
		query(t, b, "SELECT 1 AS b_"+word)
		return len(logged(t, s, "info", "AS a_"+word)), len(logged(t, s, "info", "AS b_"+word))
	}
	expect := func(word string, wantA, wantB int) {
		t.Helper()
		if fromA, fromB := both(word); fromA != wantA || fromB != wantB {
			t.Errorf("%s: %d and %d lines, want %d and %d", word, fromA, fromB, wantA, wantB)
		}
	}
	expect("nothing", 0, 0)
	must(t, s, "PATCH", "/services/a", settings(`{"log_info":true}`))
	expect("service", 1, 0)
	must(t, s, "PATCH", "/services/a", settings(`{"log_info":false}`))
	expect("neither", 0, 0)
	one := "/sessions/" + ids(read(t, s, "/sessions"))[1]
	must(t, s, "PATCH", one, settings(`{"log_info":true,"log_debug":true}`))
	expect("session", 0, 1)
	must(t, s, "PATCH", one, settings(`{"log_debug":false}`))
	parameters := read(t, s, one)
	wantAt(t, parameters, true, "data", "attributes", "parameters", "log_info")
	wantAt(t, parameters, false, "data", "attributes", "parameters", "log_debug")
	must(t, s, "PATCH", one, parameters) // a document that is sent back changes nothing
	expect("again", 0, 1)
	must(t, s, "PATCH", one, settings(`{"log_info":null}`))
	expect("reset", 0, 0)
	must(t, s, "PATCH", "/maxscale/logs", settings(`{"log_info":true}`))
	expect("all", 1, 1)
}

package proxy_test

import (
	"context"
	"testing"

	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// number is a number of a document.
func number(t *testing.T, v any, keys ...any) float64 {
	t.Helper()
	n, ok := at(v, keys...).(float64)
	if !ok {
		t.Errorf("%v is %v, no number", keys, at(v, keys...))
	}
	return n
}

// checkTimes checks how many requests of each kind took how long.
func checkTimes(t *testing.T, statistics any, wanted map[string]float64) {
	t.Helper()
	for kind, want := range wanted {
		times := at(statistics, "response_time_distribution", kind)
		wantAt(t, times, kind, "operation")
		wantAt(t, times, 10.0, "range_base")
		wantAt(t, times, "0.000001", "distribution", 0, "time")
		wantAt(t, times, "100000.000000", "distribution", 11, "time")
		var count, total float64
		for i := range 12 {
			count += number(t, times, "distribution", i, "count")
			total += number(t, times, "distribution", i, "total")
		}
		if count != want || total <= 0 {
			t.Errorf("%s: %v requests in %v s, want %v", kind, count, total, want)
		}
	}
}

// TestStatistics: requests under way, how long they took, and what is
// remembered of sessions.
func TestStatistics(t *testing.T) {
	t.Parallel()
	db := testbed.StartMariaDB(t, testbed.MariaDBOptions{})
	db.CreateUser(t, "app", "app-word")
	db.CreateDatabase(t, "shop", "app")
	s := servertest.Start(t, servertest.Options{})
	must(t, s, "POST", "/servers", serverBody("server1", db.Port))
	must(t, s, "PUT", "/servers/server1/set?state=master", nil)
	port := testbed.FreePort(t)
	must(t, s, "POST", "/services", object{"data": object{"id": "split", "attributes": object{
		"router": "readwritesplit", "parameters": object{"user": db.User, "password": db.Password, "retry_failed_reads": false},
	}, "relationships": object{"servers": object{"data": []object{{"id": "server1", "type": "servers"}}}}}})
	must(t, s, "POST", "/services/split/listeners", listenerBody("in", port))
	first, second := client(t, port, "app", "app-word", "shop"), client(t, port, "app", "app-word", "shop")
	for _, statement := range []string{"SET @a = 1", "SET @b = 2", "SET @c = 3", "CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1)"} {
		if _, err := first.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if _, err := ask(t.Context(), first, "SELECT a FROM t"); err != nil {
			t.Fatal(err)
		}
	}
	service := func() any { return at(read(t, s, "/services/split"), "data", "attributes", "statistics") }
	server := func() any { return at(read(t, s, "/servers/server1"), "data", "attributes", "statistics") }
	wantAt(t, service(), 3.0, "max_sescmd_history_length")
	wantAt(t, service(), 1.5, "avg_sescmd_history_length") // of two sessions
	wantAt(t, service(), 0.0, "active_operations")
	wantAt(t, service(), 8.0, "routed_packets")
	lengths := map[float64]bool{}
	for _, one := range read(t, s, "/sessions")["data"].([]any) {
		lengths[number(t, one, "attributes", "client", "sescmd_history_len")] = true
	}
	if len(lengths) != 2 || !lengths[3] || !lengths[0] {
		t.Errorf("sessions remember %v commands", lengths)
	}
	checkTimes(t, server(), map[string]float64{"read": 3, "write": 2})

	slow, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := second.ExecContext(slow, "SELECT SLEEP(600) FROM t")
		ended <- err
	}()
	servertest.Eventually(t, "a request under way", func() bool {
		return number(t, service(), "active_operations") == 1 && number(t, server(), "active_operations") == 1
	})
	for _, one := range ids(read(t, s, "/sessions")) {
		must(t, s, "DELETE", "/sessions/"+one, nil)
	}
	if err := <-ended; err == nil {
		t.Error("a session that was ended has answered")
	}
	cancel()
	servertest.Eventually(t, "nothing under way", func() bool {
		return number(t, service(), "active_operations") == 0 && number(t, server(), "active_operations") == 0
	})
	wantAt(t, service(), 3.0, "max_sescmd_history_length")
	wantAt(t, service(), 1.5, "avg_sescmd_history_length")
}

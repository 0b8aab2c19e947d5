package server_test

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// hurry gives services a check interval that the API would refuse as too
// short, and lets the monitor know.
func (s *backed) hurry(t *testing.T, ids ...string) {
	t.Helper()
	for _, id := range ids {
		s.exec(t, "UPDATE services SET check_interval_us = 100000 WHERE name = '"+s.Get(t, id)["name"].(string)+"'")
		put(t, s.Server, id, object{"description": "checked often"})
	}
}

// checked is the body of a service that the monitor checks.
func checked(body object, more ...any) object {
	check := object{"interval": "1000s", "timeout": "2s"}
	for i := 0; i+1 < len(more); i += 2 {
		check[more[i].(string)] = more[i+1]
	}
	body["check"] = check
	return body
}

func health(t *testing.T, s *backed, id string) object {
	t.Helper()
	return s.Get(t, id)["health"].(object)
}

// entries is the health history of a service.
func entries(t *testing.T, s *backed, id string) []any {
	t.Helper()
	return s.Do(t, "GET", "/api/services/"+id+"/health?limit=1000", nil).Data(t)["entries"].([]any)
}

// awaitChecks waits until a service has had so many more checks.
func awaitChecks(t *testing.T, s *backed, id string, more int) {
	t.Helper()
	want := len(entries(t, s, id)) + more
	servertest.Eventually(t, fmt.Sprintf("%d checks", want), func() bool { return len(entries(t, s, id)) >= want })
}

// doorbell is a server that counts who comes, and says nothing good.
type doorbell struct {
	mu   sync.Mutex
	n    int
	port int
}

func newDoorbell(t *testing.T) *doorbell {
	t.Helper()
	d := &doorbell{}
	d.port = testbed.Peer(t, func(c net.Conn) {
		d.mu.Lock()
		d.n++
		d.mu.Unlock()
		io.WriteString(c, "-ERR nobody is home\r\n") //nolint:errcheck // it may have gone
	})
	return d
}

func (d *doorbell) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.n
}

func TestMonitorFollowsABackend(t *testing.T) {
	t.Parallel()
	db := testbed.StartPostgres(t, testbed.PostgresOptions{})
	s := startOn(t, kind{fresh: freshSQLite})
	w := openWatch(t, s.Server, "")
	id := s.Create(t, checked(object{"name": "db", "service_type": "postgres", "config": object{
		"host": "127.0.0.1", "port": db.Port, "database": "postgres", "username": "postgres", "password": db.Password,
	}}, "failures_before_critical", 3, "successes_before_passing", 2))["id"].(string)
	s.hurry(t, id)
	// statuses reads the events of health up to the wanted status.
	statuses := func(until string) (seen []string) {
		t.Helper()
		for {
			e, ok := w.next()
			if !ok {
				t.Fatalf("the watch ended after %v", seen)
			}
			if e.kind != "health" {
				continue
			}
			_, _, service := e.body(t)
			seen = append(seen, service["health"].(object)["status"].(string))
			if seen[len(seen)-1] == until {
				return seen
			}
		}
	}
	if got := statuses("passing"); !slices.Equal(got, []string{"passing"}) {
		t.Errorf("a new service went through %v", got)
	}
	db.Stop()
	if got := statuses("critical"); !slices.Equal(got, []string{"warning", "critical"}) {
		t.Errorf("a service that fails went through %v", got)
	}
	down := health(t, s, id)
	if down["consecutive_failures"].(float64) < 3 || down["message"] == "" || down["last_code"] == "" {
		t.Errorf("while it is down: %v", down)
	}
	db.Restart(t)
	if got := statuses("passing"); !slices.Equal(got, []string{"passing"}) {
		t.Errorf("a service that recovers went through %v", got)
	}
	awaitChecks(t, s, id, 1)
	h := s.Do(t, "GET", "/api/services/"+id+"/health?limit=1000", nil).Data(t)
	up := h["uptime"].(object)["1h"].(float64)
	if up <= 0 || up >= 100 || h["latency_p50_ms"] == nil || h["latency_p95_ms"] == nil {
		t.Errorf("uptime and latencies are %v %v %v", h["uptime"], h["latency_p50_ms"], h["latency_p95_ms"])
	}
	if now := h["health"].(object); now["consecutive_failures"] != 0. || now["last_code"] != "" || now["status"] != "passing" {
		t.Errorf("after the recovery: %v", now)
	}
	good := 0
	list := h["entries"].([]any)
	for _, e := range list {
		if e.(object)["connected"] == true {
			good++
		}
	}
	if want := 100 * float64(good) / float64(len(list)); up != want {
		t.Errorf("the uptime is %v, want %v", up, want)
	}
}

func TestMonitorSkips(t *testing.T) {
	t.Parallel()
	s := startOn(t, kind{fresh: freshSQLite})
	bell, control := newDoorbell(t), newDoorbell(t)
	add := func(name string, port int, more ...any) string {
		body := checked(redisBody(name, port))
		for i := 0; i+1 < len(more); i += 2 {
			body[more[i].(string)] = more[i+1]
		}
		return s.Create(t, body)["id"].(string)
	}
	controlID := add("control", control.port)
	disabled := add("disabled", bell.port, "enabled", false)
	unchecked := add("unchecked", bell.port, "check", nil)
	// Active at first, so it may have been checked before.
	inactive := add("inactive", testbed.ClosedPort(t))
	s.Do(t, "POST", "/api/services/"+inactive+"/deactivate", nil).Data(t)
	put(t, s.Server, inactive, object{"config": object{"port": bell.port}})
	s.hurry(t, controlID, disabled, inactive)
	awaitChecks(t, s, controlID, 6)
	if n := bell.count(); n != 0 {
		t.Errorf("services that must be left alone were checked %d times", n)
	}
	for _, id := range []string{disabled, unchecked} {
		if got := len(entries(t, s, id)); got != 0 {
			t.Errorf("%s has %d entries", s.Get(t, id)["name"], got)
		}
	}

	put(t, s.Server, disabled, object{"enabled": true})
	awaitChecks(t, s, disabled, 2)
	s.Do(t, "POST", "/api/services/"+inactive+"/activate", nil).Data(t)
	awaitChecks(t, s, inactive, 2)
	s.Do(t, "DELETE", "/api/services/"+inactive, nil).Good(t)
	put(t, s.Server, disabled, object{"check": nil})
	// What is under way may end; after that there is silence.
	awaitChecks(t, s, controlID, 2)
	before := bell.count()
	awaitChecks(t, s, controlID, 6)
	if after := bell.count(); after != before {
		t.Errorf("checked %d times after the check was taken away", after-before)
	}
}

func TestMonitorPausesBeforeALockOut(t *testing.T) {
	t.Parallel()
	server := testbed.StartRedis(t, testbed.RedisOptions{Password: "right-word"})
	s := startOn(t, kind{fresh: freshSQLite})
	control := newDoorbell(t)
	controlID := s.Create(t, checked(redisBody("control", control.port)))["id"].(string)
	id := s.Create(t, checked(redisBody("locked", server.Port, "password", "wrong-word")))["id"].(string)
	s.hurry(t, id, controlID)
	servertest.Eventually(t, "a pause", func() bool { return health(t, s, id)["paused"] == true })
	tried := len(entries(t, s, id))
	awaitChecks(t, s, controlID, 6)
	if now := len(entries(t, s, id)); now != tried {
		t.Errorf("a paused service was tried %d times more", now-tried)
	}
	failures := 0
	for _, e := range entries(t, s, id) {
		if e.(object)["code"] == "auth_failed" {
			failures++
		}
	}
	if failures != 3 {
		t.Errorf("paused after %d refused logins, want 3", failures)
	}
	// A restart does not forget.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.Server = servertest.Start(t, servertest.Options{DataDir: s.DataDir})
	awaitChecks(t, s, controlID, 6)
	if now := len(entries(t, s, id)); now != tried {
		t.Errorf("after a restart the paused service was tried %d times more", now-tried)
	}
	put(t, s.Server, id, object{"config": object{"password": "right-word"}})
	servertest.Eventually(t, "checks after the password was changed", func() bool {
		h := health(t, s, id)
		return h["status"] == "passing" && h["paused"] == false
	})
	awaitChecks(t, s, id, 2)
}

// TestMonitorAndSilentServers has more services that never answer than checks
// may be under way at once.
func TestMonitorAndSilentServers(t *testing.T) {
	t.Parallel()
	s := startOn(t, kind{fresh: freshSQLite})
	port := testbed.SilentPeer(t)
	var ids []string
	for i := range 24 {
		ids = append(ids, s.Create(t, checked(redisBody(fmt.Sprintf("silent %d", i), port), "timeout", "1s"))["id"].(string))
	}
	s.hurry(t, ids...)
	for _, id := range ids {
		servertest.Eventually(t, "a check of each", func() bool {
			h := health(t, s, id)
			return h["status"] == "critical" && h["last_code"] == "timeout"
		})
	}
	closed := testbed.ClosedPort(t)
	if r := s.Do(t, "POST", "/api/services/test", redisBody("", closed)).Data(t); r["code"] != "refused" {
		t.Errorf("meanwhile a test on request answers %v", r)
	}
	if strings.Contains(s.Log.String(), `"level":"ERROR"`) {
		t.Errorf("the log has errors: %s", s.Log.String())
	}
}

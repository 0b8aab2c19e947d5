package server_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/backplane/backplane/internal/config"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// says starts an upstream that answers with its name, and with the path that it
// was asked for.
func says(t *testing.T, name string) (url string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, name+" "+r.URL.Path)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// admin is who changes the gateway of a server over REST, and asks it.
type admin struct {
	*servertest.Server
	token string
	asks  *http.Client
	count int // of changes
}

func newAdmin(t *testing.T, s *servertest.Server) *admin {
	t.Helper()
	a := &admin{Server: s, token: s.SignIn(t, servertest.Basic(auth.AdminUser, servertest.Password)), asks: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(a.asks.CloseIdleConnections)
	return a
}

// change makes a change, which must end with a status, and gives the id of what
// it is about.
func (a *admin) change(t *testing.T, status int, method, path, body string) (id string) {
	t.Helper()
	a.count++
	var sent any
	if body != "" {
		sent = body
	}
	answer := a.Do(t, method, path, sent, "Authorization", a.token)
	if answer.Status != status {
		t.Fatalf("%s %s %s: %d %s", method, path, body, answer.Status, answer.Body)
	}
	if status == http.StatusNoContent {
		return ""
	}
	id, _ = answer.JSON(t)["id"].(string)
	return id
}

// asked asks the gateway, and gives the status with the body.
func (a *admin) asked(t *testing.T, path string) (res *http.Response, text string) {
	t.Helper()
	res, err := a.asks.Get("http://" + a.GatewayHTTP + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, fmt.Sprint(res.StatusCode, " ", string(b))
}

// serves fails the test unless the gateway answers so, at once.
func (a *admin) serves(t *testing.T, path, want string) {
	t.Helper()
	if _, got := a.asked(t, path); !strings.HasPrefix(got, want) {
		t.Fatalf("after %d changes, %s is answered with %q instead of %q", a.count, path, got, want)
	}
}

const noRoute = "404 {\"message\":\"no Route matched"

// cycle is the life of a route: each change is live once it is answered.
func (a *admin) cycle(t *testing.T, i int, from, to string) {
	t.Helper()
	old, moved := fmt.Sprintf("/old/%d", i), fmt.Sprintf("/moved/%d", i)
	a.serves(t, old, noRoute)
	route := "/routes/" + a.change(t, 201, "POST", "/services/"+from+"/routes", fmt.Sprintf(`{"paths":[%q],"strip_path":false}`, old))
	a.serves(t, old, "200 "+from+" "+old)
	a.change(t, 200, "PATCH", route, fmt.Sprintf(`{"paths":[%q]}`, moved))
	a.serves(t, moved, "200 "+from+" "+moved)
	a.serves(t, old, noRoute)
	a.change(t, 200, "PATCH", route, fmt.Sprintf(`{"service":{"name":%q}}`, to))
	a.serves(t, moved, "200 "+to+" "+moved)
	plugin := route + "/plugins/" + a.change(t, 201, "POST", route+"/plugins", `{"name":"request-termination","config":{"status_code":503,"message":"first"}}`)
	a.serves(t, moved, `503 {"message":"first"`)
	a.change(t, 200, "PATCH", plugin, `{"config":{"message":"second"}}`)
	a.serves(t, moved, `503 {"message":"second"`)
	a.change(t, 200, "PATCH", plugin, `{"enabled":false}`)
	a.serves(t, moved, "200 "+to+" "+moved)
	a.change(t, 204, "DELETE", plugin, "")
	a.serves(t, moved, "200 "+to+" "+moved)
	a.change(t, 204, "DELETE", route, "")
	a.serves(t, moved, noRoute)
}

// loaded asks the gateway for other routes meanwhile, as fast as one thread can.
// The function that it returns ends that, and fails the test if anything failed.
func loaded(t *testing.T, addr string) (end func()) {
	t.Helper()
	dir := testbed.Folder(t, "")
	script := filepath.Join(dir, "paths.lua")
	testbed.Write(t, script, `local n = 0
function request()
  n = n + 1
  return wrk.format("GET", "/steady/" .. n % 7)
end
`)
	wrk := testbed.Start(t, testbed.Process{
		Path: "wrk", Args: []string{"-t", "1", "-c", "8", "-d", "600s", "--timeout", "60s", "-s", script, "http://" + addr}, Dir: dir,
		Ready: func(context.Context) error { return nil }, Stop: syscall.SIGINT,
	})
	return func() {
		wrk.Close()
		said := wrk.Log()
		if strings.Contains(said, "Socket errors") || strings.Contains(said, "Non-2xx") || !strings.Contains(said, "Requests/sec") || strings.Contains(said, " 0 requests in") {
			t.Errorf("requests to other routes have failed:\n%s", said)
		}
		t.Log(said)
	}
}

// TestGatewayChangesUnderLoad makes a thousand changes over REST in a row, each of
// which is live once it is answered, while no request to other routes fails.
func TestGatewayChangesUnderLoad(t *testing.T) {
	t.Parallel()
	a := newAdmin(t, servertest.Start(t, servertest.Options{LogLevel: "warn"}))
	for _, name := range []string{"first", "second", "steady"} {
		a.change(t, 201, "POST", "/services", fmt.Sprintf(`{"name":%q,"url":%q}`, name, says(t, name)))
	}
	for i := range 7 {
		a.change(t, 201, "POST", "/services/steady/routes", fmt.Sprintf(`{"paths":["/steady/%d"]}`, i))
	}
	end := loaded(t, a.GatewayHTTP)
	for i := 0; a.count < 1000; i++ {
		a.cycle(t, i, "first", "second")
	}
	end()
}

// TestGatewayOnSeveralServers: what is changed at one server is live at the
// other, over REST.
func TestGatewayOnSeveralServers(t *testing.T) {
	t.Parallel()
	u, _ := freshPostgres(t)(t)
	key := func(c *config.Config) { c.MasterKey = strings.Repeat("5b", 32) }
	var both [2]*admin
	var all sync.WaitGroup
	for i := range both {
		all.Go(func() {
			s := servertest.Start(t, servertest.Options{Store: u, Adjust: key, LogLevel: "warn"})
			both[i] = newAdmin(t, s)
		})
	}
	all.Wait()
	if both[0] == nil || both[1] == nil {
		t.FailNow()
	}
	comes := func(a *admin, path, want string) {
		t.Helper()
		servertest.Eventually(t, path+" is answered with "+want, func() bool {
			_, got := a.asked(t, path)
			return strings.HasPrefix(got, want)
		})
	}
	up := map[string]string{"first": says(t, "first"), "second": says(t, "second")}
	for i, name := range []string{"first", "second"} {
		both[i].change(t, 201, "POST", "/services", fmt.Sprintf(`{"name":%q,"url":%q}`, name, up[name]))
	}
	for i := range 4 {
		a, b := both[i%2], both[1-i%2]
		path := fmt.Sprintf("/p/%d", i)
		route := "/routes/" + a.change(t, 201, "POST", "/services/first/routes", fmt.Sprintf(`{"paths":[%q],"strip_path":false}`, path))
		a.serves(t, path, "200 first "+path)
		comes(b, path, "200 first "+path)
		b.change(t, 200, "PATCH", route, `{"service":{"name":"second"}}`)
		b.serves(t, path, "200 second "+path)
		comes(a, path, "200 second "+path)
		a.change(t, 201, "POST", "/plugins", fmt.Sprintf(`{"name":"key-auth","route":{"id":%q}}`, strings.TrimPrefix(route, "/routes/")))
		a.change(t, 201, "POST", "/consumers", fmt.Sprintf(`{"username":"c%d"}`, i))
		a.change(t, 201, "POST", fmt.Sprintf("/consumers/c%d/key-auth", i), fmt.Sprintf(`{"key":"secret-%d"}`, i))
		comes(b, path, "401 ")
		comes(b, fmt.Sprintf("%s?apikey=secret-%d", path, i), "200 second "+path)
		b.serves(t, path+"?apikey=other", "401 ")
		b.change(t, 204, "DELETE", route, "")
		comes(a, path, noRoute)
	}
}

// TestGatewayCaches: what the plugin proxy-cache keeps is shown and forgotten
// over REST.
func TestGatewayCaches(t *testing.T) {
	t.Parallel()
	a := newAdmin(t, servertest.Start(t, servertest.Options{LogLevel: "warn"}))
	a.change(t, 201, "POST", "/services", fmt.Sprintf(`{"name":"s","url":%q}`, says(t, "s")))
	a.change(t, 201, "POST", "/services/s/routes", `{"paths":["/"]}`)
	plugin := a.change(t, 201, "POST", "/services/s/plugins", `{"name":"proxy-cache","config":{"strategy":"memory"}}`)
	kept := func(want string) (key string) {
		t.Helper()
		res, text := a.asked(t, "/x")
		if got := res.Header.Get("X-Cache-Status"); got != want || text != "200 s /x" {
			t.Fatalf("X-Cache-Status is %q instead of %q: %s", got, want, text)
		}
		return res.Header.Get("X-Cache-Key")
	}
	key := kept("Miss")
	kept("Hit")
	for _, path := range []string{"/proxy-cache/" + key, "/proxy-cache/" + plugin + "/caches/" + key} {
		entry := a.Do(t, "GET", path, nil).JSON(t)
		if headers, _ := entry["headers"].(object); entry["status"] != 200.0 || entry["body"] != "s /x" || headers["Content-Type"] != "text/plain" {
			t.Errorf("%s: %v", path, entry)
		}
		a.change(t, 204, "DELETE", path, "")
		if got := a.Do(t, "GET", path, nil).Status; got != 404 {
			t.Errorf("%s after it was deleted: %d", path, got)
		}
		a.change(t, 404, "DELETE", path, "")
		kept("Miss")
	}
	for _, path := range []string{"/proxy-cache/0", "/proxy-cache/00000000-0000-4000-8000-000000000001/caches/" + key} {
		if got := a.Do(t, "GET", path, nil).Status; got != 404 {
			t.Errorf("%s: %d", path, got)
		}
	}
	kept("Hit")
	a.change(t, 204, "DELETE", "/proxy-cache", "")
	kept("Miss")
}

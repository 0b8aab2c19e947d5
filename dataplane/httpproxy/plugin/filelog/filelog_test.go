package filelog

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

// paths are the paths of the requests in a file, as soon as there are n.
func paths(t *testing.T, file string, n int) string {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		var all []string
		if f, err := os.Open(file); err == nil {
			s := bufio.NewScanner(f)
			for s.Scan() {
				var line struct {
					Request struct{ URI string }
					Custom  string
				}
				if err := json.Unmarshal(s.Bytes(), &line); err != nil {
					t.Fatalf("%v: %s", err, s.Bytes())
				}
				all = append(all, line.Request.URI+line.Custom)
			}
			_ = f.Close()
		}
		if len(all) >= n {
			return strings.Join(all, " ")
		}
		select {
		case <-deadline:
			t.Fatalf("%s has %v", file, all)
		case <-tick.C:
		}
	}
}

func TestALineForEachRequest(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	config, _ := json.Marshal(map[string]any{"path": file, "custom_fields_by_lua": map[string]string{"custom": "return '!'"}})
	g := gatewaytest.Plugged(t, []httpproxy.PluginModule{Module()}, gatewaytest.Plugin("file-log", string(config)))
	g.Get("/a")
	g.Get("/b")
	if got := paths(t, file, 2); got != "/a! /b!" {
		t.Error(got)
	}
}

func TestReopen(t *testing.T) {
	for _, test := range []struct {
		name, reopen string
		old, new     int
	}{{"a file that was moved gets the lines", "false", 2, 0}, {"the file of that name gets the lines", "true", 1, 1}} {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "log")
			g := gatewaytest.Plugged(t, []httpproxy.PluginModule{Module()},
				gatewaytest.Plugin("file-log", `{"path": "`+file+`", "reopen": `+test.reopen+`}`))
			g.Get("/a")
			paths(t, file, 1)
			if err := os.Rename(file, file+".old"); err != nil {
				t.Fatal(err)
			}
			g.Get("/b")
			paths(t, file+".old", test.old)
			if test.new > 0 {
				paths(t, file, test.new)
			}
		})
	}
}

func TestInstancesShareAFileAndItIsClosed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	s := gatewaytest.Service(gatewaytest.Echo(t, "echo"))
	one, two := gatewaytest.Route(s, "/one"), gatewaytest.Route(s, "/two")
	first := gatewaytest.Plugin("file-log", `{"path": "`+file+`"}`, one)
	second := gatewaytest.Plugin("file-log", `{"path": "`+file+`", "reopen": true}`, two)
	g := gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{Module()}},
		gatewaytest.All(s, one, two, first, second))
	g.Get("/one")
	g.Get("/two")
	paths(t, file, 2)
	all := g.Host().Shared("file-log", nil).(*files)
	open := func() int {
		all.mu.Lock()
		defer all.mu.Unlock()
		return len(all.open)
	}
	if open() != 1 {
		t.Errorf("%d files are open", open())
	}
	g.Remove(httpproxy.Key{Kind: httpproxy.Plugins, ID: first.ID})
	g.Get("/two")
	if got := paths(t, file, 3); got != "/one /two /two" {
		t.Error(got)
	}
	g.Stop()
	if open() != 0 {
		t.Errorf("%d files are open at the end", open())
	}
}

func TestRequestsPassWithoutAFile(t *testing.T) {
	g := gatewaytest.Plugged(t, []httpproxy.PluginModule{Module()}, gatewaytest.Plugin("file-log", `{"path": "`+t.TempDir()+`/no/log"}`))
	for range 2 {
		if res := g.Get("/"); res.StatusCode != 200 {
			t.Error(res.Status)
		}
	}
}

func TestConfig(t *testing.T) {
	r := Module().Config
	for config, want := range map[string]string{
		`{"path": "/dev/stdout"}`: "",
		`{}`:                      "required field missing",
		`{"path": " /a"}`:         "not a valid filename",
		`{"path": "/a*"}`:         "not a valid filename",
	} {
		if got := gatewaytest.Violations(t, &r, config); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, not %q", config, got, want)
		}
	}
}

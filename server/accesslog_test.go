package server_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backplane/backplane/internal/config"
	"github.com/backplane/backplane/server/servertest"
)

// TestGatewayAccessLog asks the gateway and reads what it has noted, after a
// while and at its end.
func TestGatewayAccessLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access.log")
	a := newAdmin(t, servertest.Start(t, servertest.Options{
		LogLevel: "warn", Adjust: func(c *config.Config) { c.GatewayAccessLog = path },
	}))
	a.change(t, 201, "POST", "/services", fmt.Sprintf(`{"name":"tea","url":%q}`, says(t, "tea")))
	a.change(t, 201, "POST", "/services/tea/routes", `{"name":"cups","paths":["/cups"]}`)
	a.serves(t, "/cups/green?key=hidden", "200 tea /green")

	var lines []string
	servertest.Eventually(t, "a line", func() bool {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines = strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
		return len(b) > 0
	})
	var line map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &line); err != nil || len(lines) != 1 {
		t.Fatalf("%v in %q", err, lines)
	}
	for key, want := range map[string]any{"method": "GET", "path": "/cups/green", "status": 200.0, "service": "tea", "route": "cups", "source": "service"} {
		if line[key] != want {
			t.Errorf("%s is %v instead of %v", key, line[key], want)
		}
	}
	if strings.Contains(lines[0], "hidden") {
		t.Errorf("the query is in the log: %s", lines[0])
	}

	a.serves(t, "/nowhere", noRoute)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil || strings.Count(string(b), "\n") != 2 || !strings.Contains(string(b), `"status":404`) {
		t.Errorf("%v; at the end there is %s", err, b)
	}
}

// TestGatewayNode: metrics and the API name the same node.
func TestGatewayNode(t *testing.T) {
	t.Parallel()
	a := newAdmin(t, servertest.Start(t, servertest.Options{LogLevel: "warn"}))
	a.change(t, 201, "POST", "/plugins", `{"name":"prometheus"}`)
	node, _ := a.Do(t, "GET", "/", nil, "Authorization", a.token).JSON(t)["node_id"].(string)
	if metrics := string(a.Do(t, "GET", "/metrics", nil).Body); node == "" || !strings.Contains(metrics, `kong_node_info{node_id="`+node+`"`) {
		t.Errorf("node %q is not in %s", node, metrics)
	}
}

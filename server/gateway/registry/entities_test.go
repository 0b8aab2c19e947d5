package registry

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy/builtin"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/server/gateway/apidoc"
)

var (
	update      = flag.Bool("update", false, "write what is, instead of comparing with it")
	timeOfTests = time.Unix(1, 0)
)

// TestEntities compares the whole of what a service becomes.
func TestEntities(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join("testdata", "shop.json"))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := apidoc.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	s := settings{name: "my.Shop", domain: "https://[::1]", port: 8443, requests: true}
	entities, operations, faults := makeEntities(s, "key-auth", doc, &validation{document: `{"openapi":"3.0.0","info":{"title":"a","version":"1"},"paths":{}}`, prefix: "/my.Shop"})
	got, err := json.MarshalIndent(map[string]any{"entities": entities, "operations": operations, "faults": faults}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	golden := filepath.Join("testdata", "shop.entities.json")
	if *update {
		if err := os.WriteFile(golden, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the entities are\n%s", got)
	}
	modules := map[string]*entity.Collection{}
	for _, m := range builtin.Modules() {
		modules[m.Name] = entity.PluginsOf(m.Config, m.Protocols, m.NoConsumer)
	}
	for _, e := range entities {
		c := entity.Find(e.Collection)
		if name, ok := e.Doc["name"].(string); ok && e.Collection == plugins {
			c = modules[name]
		}
		if c == nil {
			t.Errorf("there is no plugin %v", e.Doc["name"])
			continue
		}
		if _, wrong := c.New(e.Doc, timeOfTests); wrong != nil {
			t.Errorf("%s %v: %v", e.Collection, e.Doc, wrong)
		}
	}
}

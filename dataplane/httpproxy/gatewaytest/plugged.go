package gatewaytest

import (
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// Plugged starts a gateway that has plugins, and carries all requests to an
// Echo. The entities are the instances of the plugins, consumers and so on.
func Plugged(t testing.TB, modules []httpproxy.PluginModule, entities ...any) *Gateway {
	t.Helper()
	s := Service(Echo(t, "echo"))
	return Start(t, httpproxy.Options{Modules: modules}, All(append(entities, s, Route(s, "/"))...))
}

// Violations are what is wrong with a configuration, "" for nothing.
func Violations(t testing.TB, r *schema.Record, config string) string {
	t.Helper()
	doc, err := schema.Decode([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	m, _ := doc.(map[string]any)
	if v := r.Validate(r.Complete(m)); v != nil {
		return v.Error()
	}
	return ""
}

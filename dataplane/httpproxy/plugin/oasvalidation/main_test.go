package oasvalidation

import (
	"encoding/json"
	"net/http"
	"testing"

	"go.uber.org/goleak"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// settings are the configuration without the document.
type settings map[string]any

// start starts a gateway that checks against a document, in front of an upstream
// that tells what it was asked, or of another one.
func start(t testing.TB, document string, s settings, upstream ...http.Handler) *gatewaytest.Gateway {
	t.Helper()
	config := settings{"api_spec": document}
	for name, value := range s {
		config[name] = value
	}
	b, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	p := gatewaytest.Plugin("oas-validation", string(b))
	if len(upstream) == 0 {
		return gatewaytest.Plugged(t, []httpproxy.PluginModule{Module()}, p)
	}
	service := gatewaytest.Service(gatewaytest.Serve(t, upstream[0]))
	return gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{Module()}},
		gatewaytest.All(service, gatewaytest.Route(service, "/"), p))
}

// api is a document with some paths, as JSON.
func api(version, paths string) string {
	return `{"openapi":"` + version + `","info":{"title":"T","version":"1"},"paths":{` + paths + `}}`
}

// both calls f for a document of both versions.
func both(t *testing.T, f func(t *testing.T, version string)) {
	for _, version := range []string{"3.0.3", "3.1.0"} {
		t.Run(version, func(t *testing.T) { f(t, version) })
	}
}

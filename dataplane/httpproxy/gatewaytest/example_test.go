package gatewaytest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// maintenance is a plugin of one's own: it lets only some methods pass, and
// tells clients until when.
func maintenance() httpproxy.PluginModule {
	return httpproxy.PluginModule{
		Name: "maintenance", Version: "1.0.0",
		// Plugins with a higher priority are run before it.
		Priority: 1500,
		// What is configured, with defaults. It is checked before New gets it.
		Config: schema.Record{Fields: []schema.Field{
			{Name: "methods", Type: schema.Array, Default: []string{"GET", "HEAD"},
				Elements: &schema.Field{Type: schema.String, Check: schema.Method}},
			{Name: "until", Type: schema.String, Required: true},
		}},
		New: func(o httpproxy.PluginOptions) (httpproxy.Plugin, error) {
			p := &maintenancePlugin{}
			return p, json.Unmarshal(o.Config, p)
		},
	}
}

// maintenancePlugin is an instance of it, which many requests use at once.
type maintenancePlugin struct {
	Methods []string `json:"methods"`
	Until   string   `json:"until"`
}

// Access sees requests before they go to the upstream.
func (p *maintenancePlugin) Access(x *httpproxy.Exchange) error {
	if !slices.Contains(p.Methods, x.Request.Method) {
		x.Refuse(http.StatusServiceUnavailable, "maintenance until "+p.Until)
		return nil
	}
	x.Request.Header.Set("X-Maintenance", p.Until)
	return nil
}

// Respond sees responses before they go to the client.
func (p *maintenancePlugin) Respond(x *httpproxy.Exchange) error {
	x.Response.Header.Set("X-Maintenance-Until", p.Until)
	return nil
}

// A plugin of one's own is a module that a gateway is given. The test starts a
// gateway that has it, and an upstream that answers with what it was asked.
func Example() {
	gatewaytest.Example(func(t testing.TB) {
		g := gatewaytest.Plugged(t, []httpproxy.PluginModule{maintenance()},
			gatewaytest.Plugin("maintenance", `{"until":"noon"}`))

		res := g.Get("/orders")
		fmt.Println(res.StatusCode, res.Header.Get("X-Maintenance-Until"), res.Asked(t).Header["X-Maintenance"])

		res = g.Do(http.MethodPost, "/orders", "a book")
		fmt.Println(res.StatusCode, res.Header.Get("X-Maintenance-Until"), res.JSON(t)["message"])

		m := maintenance()
		fmt.Println(gatewaytest.Violations(t, &m.Config, `{"methods":["get"]}`))
	})
	// Output:
	// 200 noon [noon]
	// 503 noon maintenance until noon
	// 2 schema violations (methods.1: invalid value: get; until: required field missing)
}

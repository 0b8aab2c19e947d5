package builtin_test

import (
	"cmp"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/builtin"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// least are the configurations of those plugins that need one.
var least = map[string]string{
	"acl":            `{"allow": ["a"]}`,
	"auto-gateway":   `{"prefix": "/users"}`,
	"file-log":       `{"path": "/dev/null"}`,
	"http-log":       `{"http_endpoint": "http://127.0.0.1:1"}`,
	"ip-restriction": `{"deny": ["192.0.2.1"]}`,
	"oas-validation": `{"api_spec": "{openapi: 3.1.0}"}`,
	"proxy-cache":    `{"strategy": "memory"}`,
	"rate-limiting":  `{"year": 1000000}`,
}

func config(name string) string { return cmp.Or(least[name], `{}`) }

// Clients send what they are shown, and what they lack is filled in from the
// description: both must be the same as what is kept.
func TestACompleteConfigurationStaysAsItIs(t *testing.T) {
	for _, m := range builtin.Modules() {
		t.Run(m.Name, func(t *testing.T) {
			kept := decode(t, gatewaytest.CompleteConfig(t, &m.Config, config(m.Name)))
			if again := m.Config.Complete(kept); !schema.Equal(again, kept) {
				t.Errorf("%v becomes %v", kept, again)
			}
			if _, err := schema.DecodeObject(mustJSON(t, m.Config.Show(kept))); err != nil {
				t.Error(err)
			}
			if again := m.Config.Complete(m.Config.Show(kept)); !schema.Equal(again, kept) {
				t.Errorf("%v becomes %v after it was shown", kept, again)
			}
			described(t, m.Name, m.Config.Describe(), decode(t, []byte(config(m.Name))), kept)
		})
	}
}

func TestDefaults(t *testing.T) {
	const lists = `{"body":[],"headers":[],"querystring":[]}`
	const headers, values = `{"headers":[],"json":[]}`, `{"headers":[],"json":[],"json_types":[]}`
	want := map[string]string{
		"rate-limiting": `{"day":null,"error_code":429,"error_message":"API rate limit exceeded","fault_tolerant":true,"header_name":null,` +
			`"hide_client_headers":false,"hour":null,"limit_by":"consumer","minute":null,"month":null,"path":null,"policy":"local",` +
			`"redis":{"database":0,"host":null,"password":null,"port":6379,"server_name":null,"ssl":false,"ssl_verify":false,` +
			`"timeout":2000,"username":null},"second":null,"sync_rate":-1,"year":1000000}`,
		"request-transformer": `{"add":` + lists + `,"append":` + lists + `,"http_method":null,"remove":` + lists + `,"rename":` + lists +
			`,"replace":{"body":[],"headers":[],"querystring":[],"uri":null}}`,
		"response-transformer": `{"add":` + values + `,"append":` + values + `,"remove":` + headers + `,"rename":` + headers +
			`,"replace":` + values + `}`,
		"proxy-cache": `{"cache_control":false,"cache_ttl":300,"content_type":["text/plain","application/json"],"ignore_uri_case":false,` +
			`"memory":{"dictionary_name":"kong_db_cache"},"request_method":["GET","HEAD"],"response_code":[200,301,404],` +
			`"response_headers":{"X-Cache-Key":true,"X-Cache-Status":true,"age":true},"storage_ttl":null,"strategy":"memory",` +
			`"vary_headers":null,"vary_query_params":null}`,
		"prometheus": `{"ai_metrics":false,"bandwidth_metrics":false,"latency_metrics":false,"per_consumer":false,` +
			`"status_code_metrics":false,"upstream_health_metrics":false,"wasm_metrics":false}`,
		"http-log": `{"content_type":"application/json","custom_fields_by_lua":null,"flush_timeout":null,"headers":null,` +
			`"http_endpoint":"http://127.0.0.1:1","keepalive":60000,"method":"POST","queue":{"concurrency_limit":1,` +
			`"initial_retry_delay":0.01,"max_batch_size":1,"max_bytes":null,"max_coalescing_delay":1,"max_entries":10000,` +
			`"max_retry_delay":60,"max_retry_time":60},"queue_size":null,"retry_count":null,"timeout":10000}`,
		"file-log": `{"custom_fields_by_lua":null,"path":"/dev/null","reopen":false}`,
	}
	for _, m := range builtin.Modules() {
		if w := want[m.Name]; w != "" {
			if got := string(gatewaytest.CompleteConfig(t, &m.Config, config(m.Name))); got != w {
				t.Errorf("%s\ngot  %s\nwant %s", m.Name, got, w)
			}
		}
	}
}

// described compares a configuration with what a description says of fields
// that were not given.
func described(t *testing.T, at string, description, given, kept map[string]any) {
	t.Helper()
	fields, _ := description["fields"].([]any)
	names := map[string]bool{}
	for _, f := range fields {
		for name, d := range f.(map[string]any) {
			names[name] = true
			field := d.(map[string]any)
			value, ok := kept[name]
			if !ok {
				t.Errorf("%s.%s is missing", at, name)
			}
			if sub, ok := value.(map[string]any); ok && field["type"] == "record" {
				if field["required"] != true {
					t.Errorf("%s.%s is a record that clients do not fill in", at, name)
				}
				of, _ := given[name].(map[string]any)
				described(t, at+"."+name, field, of, sub)
			} else if _, ok := given[name]; !ok && !schema.Equal(schema.Normal(field["default"]), value) {
				t.Errorf("%s.%s is %v, and described as %v", at, name, value, field["default"])
			}
		}
	}
	for name := range kept {
		if !names[name] {
			t.Errorf("%s.%s is not described", at, name)
		}
	}
}

func decode(t *testing.T, data []byte) map[string]any {
	t.Helper()
	m, err := schema.DecodeObject(data)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestAllPluginsAreMadeAndEndWithTheGateway(t *testing.T) {
	var all []any
	for _, m := range builtin.Modules() {
		if m.Name == "jwt" || m.Name == "basic-auth" {
			continue // a request has one credential
		}
		all = append(all, gatewaytest.Plugin(m.Name, config(m.Name)))
	}
	ann := gatewaytest.Consumer("ann", "")
	g := gatewaytest.Plugged(t, builtin.Modules(), append(all, ann, gatewaytest.Key(ann, "key"), gatewaytest.Group(ann, "a"))...)
	res := g.Get("/", "User-Agent", "curl/8", "apikey", "key")
	if res.StatusCode != http.StatusServiceUnavailable || res.JSON(t)["detail"] != "Service unavailable" ||
		res.Header.Get("X-RateLimit-Remaining-Year") != "999999" || res.Header.Get("X-Cache-Status") != "Bypass" {
		t.Errorf("%s %v %s", res.Status, res.Header, res.Text)
	}
}

// What the plugins cost that most gateways have.
func BenchmarkPlugins(b *testing.B) {
	ann := gatewaytest.Consumer("ann", "")
	for _, bench := range []struct {
		name    string
		plugins []any
	}{
		{"none", nil},
		{"key-auth and rate-limiting", []any{
			gatewaytest.Plugin("key-auth", `{}`), gatewaytest.Plugin("rate-limiting", `{"minute": 1000000000, "hour": 1000000000}`),
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }))
			defer up.Close()
			s := gatewaytest.Service(up.URL)
			g := gatewaytest.Start(b, httpproxy.Options{Modules: builtin.Modules()}, gatewaytest.All(
				append(bench.plugins, s, gatewaytest.Route(s, "/"), ann, gatewaytest.Key(ann, "key"))...))
			defer g.Stop()
			c, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			request, buf := []byte("GET / HTTP/1.1\r\nHost: a.test\r\napikey: key\r\n\r\n"), make([]byte, 4096)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Write(request); err != nil {
					b.Fatal(err)
				}
				n, err := c.Read(buf)
				if err != nil || !strings.HasPrefix(string(buf[:min(n, 15)]), "HTTP/1.1 200 OK") {
					b.Fatalf("%v %s", err, buf[:n])
				}
			}
		})
	}
}

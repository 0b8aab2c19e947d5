package builtin

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

func TestModulesAreInTheOrderInWhichTheyAreRun(t *testing.T) {
	all := Modules()
	if !slices.IsSortedFunc(all, func(a, b httpproxy.PluginModule) int { return b.Priority - a.Priority }) {
		t.Error("they are not")
	}
	seen := map[string]bool{}
	for _, m := range all {
		if m.Version == "" || seen[m.Name] {
			t.Errorf("%s has no version, or is there twice", m.Name)
		}
		seen[m.Name] = true
	}
}

type row struct {
	name     string
	priority int
	global   bool // not for one consumer
	config   string
	want     string
}

// complete are configurations with all defaults, as clients are shown them.
var complete = []row{
	{"correlation-id", 100001, false, `{}`, `{"echo_downstream":false,"generator":"uuid#counter","header_name":"Kong-Request-ID"}`},
	{"bot-detection", 2500, true, `{}`, `{"allow":[],"deny":[]}`},
	{"cors", 2000, true, `{}`, `{"allow_origin_absent":true,"credentials":false,"exposed_headers":null,"headers":null,"max_age":null,` +
		`"methods":["GET","HEAD","PUT","PATCH","POST","DELETE","OPTIONS","TRACE","CONNECT"],"origins":null,` +
		`"preflight_continue":false,"private_network":false}`},
	{"jwt", 1450, true, `{}`, `{"anonymous":null,"claims_to_verify":null,"cookie_names":[],"header_names":["authorization"],` +
		`"key_claim_name":"iss","maximum_expiration":0,"realm":null,"run_on_preflight":true,"secret_is_base64":false,` +
		`"uri_param_names":["jwt"]}`},
	{"key-auth", 1250, true, `{}`, `{"anonymous":null,"hide_credentials":false,"key_in_body":false,"key_in_header":true,` +
		`"key_in_query":true,"key_names":["apikey"],"realm":null,"run_on_preflight":true}`},
	{"basic-auth", 1100, true, `{}`, `{"anonymous":null,"hide_credentials":false,"realm":"service"}`},
	{"ip-restriction", 990, false, `{"deny":["10.0.0.0/8"]}`, `{"allow":null,"deny":["10.0.0.0/8"],"message":null,"status":null}`},
	{"request-size-limiting", 951, false, `{}`, `{"allowed_payload_size":128,"require_content_length":false,"size_unit":"megabytes"}`},
	{"acl", 950, true, `{"allow":["a"]}`,
		`{"allow":["a"],"always_use_authenticated_groups":false,"deny":null,"hide_groups_header":false}`},
	{"oas-validation", 850, false, `{"api_spec":"{openapi: 3.1.0}"}`, `{"allowed_header_parameters":"Host,Content-Type,User-Agent,Accept,Content-Length",` +
		`"api_spec":"{openapi: 3.1.0}","api_spec_encoded":true,"coercion":"strict","collect_all_errors":false,"custom_base_path":null,` +
		`"detail_errors":false,"header_parameter_check":false,"include_base_path":false,"max_body":1048576,` +
		`"notify_only_request_validation_failure":false,"notify_only_response_body_validation_failure":false,"on_large_body":"refuse",` +
		`"prefix":null,"query_parameter_check":false,"unknown_operation":"pass","validate_request_body":true,` +
		`"validate_request_header_params":true,"validate_request_query_params":true,"validate_request_uri_params":true,` +
		`"validate_response_body":false,"verbose_response":false}`},
	{"auto-gateway", 860, true, `{"prefix":"/users","paths":[{"path":"/items/{id}"}]}`,
		`{"auth":"","guarded":null,"paths":[{"methods":null,"path":"/items/{id}"}],"prefix":"/users","unauthorized_status":403}`},
	{"request-termination", 2, false, `{}`,
		`{"body":null,"content_type":null,"echo":false,"message":null,"status_code":503,"trigger":null}`},
}

func TestConfigurationsAreCompletedWithDefaults(t *testing.T) {
	all := Modules()
	for _, c := range complete {
		i := slices.IndexFunc(all, func(m httpproxy.PluginModule) bool { return m.Name == c.name })
		if i < 0 {
			t.Errorf("there is no %s", c.name)
			continue
		}
		m := &all[i]
		if m.Priority != c.priority || m.NoConsumer != c.global {
			t.Errorf("%s: priority %d, not for one consumer: %v", c.name, m.Priority, m.NoConsumer)
		}
		once := gatewaytest.CompleteConfig(t, &m.Config, c.config)
		if string(once) != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.name, once, c.want)
		}
		// What a client is shown it can send again, and it is the same.
		if twice := gatewaytest.CompleteConfig(t, &m.Config, string(once)); string(twice) != string(once) {
			t.Errorf("%s: completed twice it is %s", c.name, twice)
		}
	}
}

// TestTrials: instances can be made to see whether they can be.
func TestTrials(t *testing.T) {
	all := Modules()
	more := []row{
		{name: "http-log", config: `{"http_endpoint":"http://127.0.0.1:1"}`}, {name: "file-log", config: `{"path":"/nowhere/at/all"}`},
		{name: "rate-limiting", config: `{"minute":1,"policy":"redis","sync_rate":1,"redis":{"host":"127.0.0.1","port":1}}`},
		{name: "rate-limiting", config: `{"minute":1}`}, {name: "proxy-cache", config: `{"strategy":"memory"}`},
		{name: "prometheus", config: `{"upstream_health_metrics":true}`},
	}
	for _, c := range slices.Concat(complete, more) {
		m := &all[slices.IndexFunc(all, func(m httpproxy.PluginModule) bool { return m.Name == c.name })]
		config := gatewaytest.CompleteConfig(t, &m.Config, c.config)
		if err := m.Try(&entity.Plugin{Name: c.name, Config: config}); err != nil {
			t.Errorf("%s %s: %v", c.name, c.config, err)
		}
	}
}

func TestRulesAreToldWithTheNamesThatClientsKnow(t *testing.T) {
	all := Modules()
	for _, c := range []struct{ name, config, want string }{
		{"acl", `{}`, "schema violation (exactly one of these fields must be non-empty: 'config.allow', 'config.deny')"},
		{"ip-restriction", `{}`, "schema violation (at least one of these fields must be non-empty: 'config.allow', 'config.deny')"},
		{"jwt", `{"maximum_expiration":5}`, "2 schema violations (failed conditional validation given value of field " +
			"'config.maximum_expiration'; config.claims_to_verify: expected to contain: exp)"},
		{"jwt", `{"maximum_expiration":0.5,"claims_to_verify":["exp"]}`, ""},
	} {
		i := slices.IndexFunc(all, func(m httpproxy.PluginModule) bool { return m.Name == c.name })
		doc, err := schema.Decode([]byte(`{"name":"` + c.name + `","config":` + c.config + `}`))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		plugins := entity.PluginsOf(all[i].Config, all[i].Protocols, all[i].NoConsumer)
		if _, wrong := plugins.New(doc.(map[string]any), time.Now()); wrong != nil {
			got = wrong.Error()
		}
		if got != c.want {
			t.Errorf("%s %s\ngot  %s\nwant %s", c.name, c.config, got, c.want)
		}
	}
}

func TestDescriptionsCanBeShown(t *testing.T) {
	for _, m := range Modules() {
		first, err := json.Marshal(m.Config.Describe())
		if err != nil {
			t.Fatalf("%s: %v", m.Name, err)
		}
		second, _ := json.Marshal(m.Config.Describe())
		if !reflect.DeepEqual(first, second) {
			t.Errorf("%s is described in two ways", m.Name)
		}
	}
}

// FuzzConfig makes a plugin of any configuration that is valid.
func FuzzConfig(f *testing.F) {
	for _, c := range complete {
		f.Add(c.name, []byte(c.config))
		f.Add(c.name, []byte(c.want))
	}
	all := Modules()
	f.Fuzz(func(t *testing.T, name string, config []byte) {
		i := slices.IndexFunc(all, func(m httpproxy.PluginModule) bool { return m.Name == name })
		doc, err := schema.Decode(config)
		fields, ok := doc.(map[string]any)
		if i < 0 || err != nil || !ok {
			return
		}
		m := &all[i]
		fields = m.Config.Complete(fields)
		if m.Config.Validate(fields) != nil || !slices.ContainsFunc(complete, func(r row) bool { return r.name == name }) {
			return
		}
		b, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.New(httpproxy.PluginOptions{Config: b, Host: host{}}); err != nil {
			t.Fatalf("%s is valid, but %v", b, err)
		}
	})
}

// host is a gateway that only has what is shared.
type host struct{ httpproxy.Host }

func (host) Shared(_ string, create func() any) any { return create() }

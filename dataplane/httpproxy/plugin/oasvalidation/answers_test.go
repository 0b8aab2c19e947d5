package oasvalidation

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/autogateway"
)

const answering = `"/a/{id}":{"post":{"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"integer"}},
	{"name":"page","in":"query","required":true,"schema":{"type":"integer","minimum":1}},{"name":"ids","in":"query","schema":{"type":"array","items":{"type":"integer"}}},
	{"name":"x-h","in":"header","schema":{"type":"boolean"}},{"name":"c","in":"cookie","schema":{"type":"number"}}],
	"requestBody":{"required":true,"content":{"application/json":{"schema":` + item + `}}}}}`

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		settings   settings
		path, body string
		status     int
		want       string
	}{
		{settings{}, "/a/x", `{}`, 400, `{"message":"request param doesn't conform to schema"}`},
		{settings{}, "/a/1?page=1", `{}`, 400, `{"message":"request param doesn't conform to schema"}`},
		{settings{"verbose_response": true}, "/a/x", `{}`, 400, `{"message":"path 'id' validation failed with error: 'it must be of type integer'"}`},
		{settings{"verbose_response": true}, "/a/1?page=1", `{}`, 400, `{"message":"request body validation failed with error: 'name: it is required'"}`},
		{settings{"verbose_response": true, "collect_all_errors": true}, "/a/x?page=0", `{"price":"x"}`, 400,
			`{"message":"path 'id' validation failed with error: 'it must be of type integer'; query 'page' validation failed with error: 'it must be at least 1'; ` +
				`request body validation failed with error: 'name: it is required'; request body validation failed with error: 'price: it must be of type number'"}`},
		{settings{"detail_errors": true}, "/a/x?ids=1&ids=y", `{"price":"x","tags":[1]}`, 422,
			`{"detail":[{"loc":["path","id"],"msg":"value is not a valid integer","type":"type_error.integer"},` +
				`{"loc":["query","page"],"msg":"field required","type":"value_error.missing"},` +
				`{"loc":["query","ids",1],"msg":"value is not a valid integer","type":"type_error.integer"},` +
				`{"loc":["header","x-h"],"msg":"value could not be parsed to a boolean","type":"type_error.bool"},` +
				`{"loc":["cookie","c"],"msg":"value is not a valid float","type":"type_error.float"},` +
				`{"loc":["body","name"],"msg":"field required","type":"value_error.missing"},` +
				`{"loc":["body","price"],"msg":"value is not a valid float","type":"type_error.float"},` +
				`{"loc":["body","tags",0],"msg":"str type expected","type":"type_error.str"}]}`},
		{settings{"detail_errors": true, "unknown_operation": "refuse"}, "/b", ``, 404, `{"detail":"Not Found"}`},
		{settings{"unknown_operation": "refuse"}, "/b", ``, 404, `{"message":"request doesn't conform to schema"}`},
		{settings{"unknown_operation": "refuse", "verbose_response": true}, "/b", ``, 404, `{"message":"validation failed, path not found in api specification"}`},
		{settings{"detail_errors": true, "max_body": 1}, "/a/1?page=1", `{}`, 413, `{"detail":"Request size limit exceeded"}`},
	} {
		header := []string{"Content-Type", "application/json"}
		if c.status == 422 {
			header = append(header, "X-H", "x", "Cookie", "c=x")
		}
		res := start(t, api("3.0.3", answering), c.settings).Do(http.MethodPost, c.path, c.body, header...)
		if res.StatusCode != c.status || res.Text != c.want || !strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
			t.Errorf("%v %s %s: %s\n%s, not\n%s", c.settings, c.path, c.body, res.Status, res.Text, c.want)
		}
	}
}

// The texts and types are those of pydantic 1.10.
func TestDetails(t *testing.T) {
	for _, c := range []struct{ schema, value, want string }{
		{`{"type":"integer"}`, `"x"`, `{"loc":["body","v"],"msg":"value is not a valid integer","type":"type_error.integer"}`},
		{`{"type":"number"}`, `"x"`, `{"loc":["body","v"],"msg":"value is not a valid float","type":"type_error.float"}`},
		{`{"type":"boolean"}`, `"x"`, `{"loc":["body","v"],"msg":"value could not be parsed to a boolean","type":"type_error.bool"}`},
		{`{"type":"string"}`, `[]`, `{"loc":["body","v"],"msg":"str type expected","type":"type_error.str"}`},
		{`{"type":"array"}`, `1`, `{"loc":["body","v"],"msg":"value is not a valid list","type":"type_error.list"}`},
		{`{"type":"object"}`, `1`, `{"loc":["body","v"],"msg":"value is not a valid dict","type":"type_error.dict"}`},
		{`{"type":"null"}`, `1`, `{"loc":["body","v"],"msg":"value is not none","type":"type_error.none.allowed"}`},
		{`{"type":["integer","null"]}`, `"x"`, `{"loc":["body","v"],"msg":"value is not a valid integer","type":"type_error.integer"}`},
		{`{"type":"integer"}`, `null`, `{"loc":["body","v"],"msg":"none is not an allowed value","type":"type_error.none.not_allowed"}`},
		{`{"required":["n"]}`, `{}`, `{"loc":["body","v","n"],"msg":"field required","type":"value_error.missing"}`},
		{`{"minimum":1}`, `0`, `{"loc":["body","v"],"msg":"ensure this value is greater than or equal to 1","type":"value_error.number.not_ge","ctx":{"limit_value":1}}`},
		{`{"exclusiveMinimum":0.5}`, `0`, `{"loc":["body","v"],"msg":"ensure this value is greater than 0.5","type":"value_error.number.not_gt","ctx":{"limit_value":0.5}}`},
		{`{"maximum":1}`, `3`, `{"loc":["body","v"],"msg":"ensure this value is less than or equal to 1","type":"value_error.number.not_le","ctx":{"limit_value":1}}`},
		{`{"exclusiveMaximum":1}`, `3`, `{"loc":["body","v"],"msg":"ensure this value is less than 1","type":"value_error.number.not_lt","ctx":{"limit_value":1}}`},
		{`{"multipleOf":3}`, `2`, `{"loc":["body","v"],"msg":"ensure this value is a multiple of 3","type":"value_error.number.not_multiple","ctx":{"multiple_of":3}}`},
		{`{"minLength":3}`, `"a"`, `{"loc":["body","v"],"msg":"ensure this value has at least 3 characters","type":"value_error.any_str.min_length","ctx":{"limit_value":3}}`},
		{`{"maxLength":3}`, `"aaaa"`, `{"loc":["body","v"],"msg":"ensure this value has at most 3 characters","type":"value_error.any_str.max_length","ctx":{"limit_value":3}}`},
		{`{"pattern":"^a+$"}`, `"b"`, `{"loc":["body","v"],"msg":"string does not match regex \"^a+$\"","type":"value_error.str.regex","ctx":{"pattern":"^a+$"}}`},
		{`{"enum":["a","b"]}`, `"c"`, `{"loc":["body","v"],"msg":"value is not a valid enumeration member; permitted: 'a', 'b'","type":"type_error.enum","ctx":{"enum_values":["a","b"]}}`},
		{`{"const":"x"}`, `"z"`, `{"loc":["body","v"],"msg":"unexpected value; permitted: 'x'","type":"value_error.const","ctx":{"permitted":["x"]}}`},
		{`{"enum":[1,null,true,false]}`, `2`, `{"loc":["body","v"],"msg":"value is not a valid enumeration member; permitted: 1, None, True, False","type":"type_error.enum","ctx":{"enum_values":[1,null,true,false]}}`},
		{`{"type":"string","format":"date-time"}`, `"x"`, `{"loc":["body","v"],"msg":"invalid datetime format","type":"value_error.datetime"}`},
		{`{"type":"string","format":"date"}`, `"x"`, `{"loc":["body","v"],"msg":"invalid date format","type":"value_error.date"}`},
		{`{"type":"string","format":"uuid"}`, `"x"`, `{"loc":["body","v"],"msg":"value is not a valid uuid","type":"type_error.uuid"}`},
		{`{"type":"string","format":"ipv4"}`, `"x"`, `{"loc":["body","v"],"msg":"value is not a valid IPv4 address","type":"value_error.ipv4address"}`},
		{`{"type":"string","format":"ipv6"}`, `"x"`, `{"loc":["body","v"],"msg":"value is not a valid IPv6 address","type":"value_error.ipv6address"}`},
		{`{"minItems":2}`, `[1]`, `{"loc":["body","v"],"msg":"ensure this value has at least 2 items","type":"value_error.list.min_items","ctx":{"limit_value":2}}`},
		{`{"maxItems":1}`, `[1,2]`, `{"loc":["body","v"],"msg":"ensure this value has at most 1 items","type":"value_error.list.max_items","ctx":{"limit_value":1}}`},
		{`{"uniqueItems":true}`, `[1,1]`, `{"loc":["body","v"],"msg":"the list has duplicated items","type":"value_error.list.unique_items"}`},
		{`{"additionalProperties":false}`, `{"extra":1}`, `{"loc":["body","v","extra"],"msg":"extra fields not permitted","type":"value_error.extra"}`},
		{`{"anyOf":[{"type":"integer"},{"type":"boolean"},{"type":"null"}]}`, `"x"`, `{"loc":["body","v"],"msg":"value is not a valid integer","type":"type_error.integer"},` +
			`{"loc":["body","v"],"msg":"value could not be parsed to a boolean","type":"type_error.bool"}`},
		{`{"not":{"type":"integer"}}`, `1`, `{"loc":["body","v"],"msg":"it must not fit a schema that it fits","type":"value_error"}`},
		{`{"oneOf":[{},{}]}`, `1`, `{"loc":["body","v"],"msg":"it must fit one schema alone, and fits several","type":"value_error"}`},
	} {
		g := start(t, schemaOf("3.1.0", `{"properties":{"v":`+c.schema+`}}`), settings{"detail_errors": true})
		res := g.Do(http.MethodPost, "/a", `{"v":`+c.value+`}`, "Content-Type", "application/json")
		if want := `{"detail":[` + c.want + `]}`; res.StatusCode != http.StatusUnprocessableEntity || res.Text != want {
			t.Errorf("%s %s: %s\n%s, not\n%s", c.schema, c.value, res.Status, res.Text, want)
		}
		g.Stop()
	}
	g := start(t, schemaOf("3.0.3", `{"type":"object"}`), settings{"detail_errors": true})
	for body, want := range map[string]string{
		``:      `{"loc":["body"],"msg":"field required","type":"value_error.missing"}`,
		`[]`:    `{"loc":["body"],"msg":"value is not a valid dict","type":"type_error.dict"}`,
		`{"a"}`: `{"loc":["body",5],"msg":"Invalid JSON: a fault at byte 5","type":"value_error.jsondecode"}`,
	} {
		if res := g.Do(http.MethodPost, "/a", body, "Content-Type", "application/json"); res.Text != `{"detail":[`+want+`]}` {
			t.Errorf("%s: %s", body, res.Text)
		}
	}
	if res := g.Do(http.MethodPost, "/a", `{}`, "Content-Type", "text/plain"); res.Text != `{"detail":[{"loc":["body"],"msg":"value is not a valid dict","type":"type_error.dict"}]}` {
		t.Errorf("another type: %s", res.Text)
	}
}

// What pydantic 1 takes passes, and other faults are found all the same.
func TestCoercion(t *testing.T) {
	document := schemaOf("3.0.3", `{"type":"object","required":["i"],"properties":{"i":{"type":"integer","maximum":9},"f":{"type":"number"},"b":{"type":"boolean"},"s":{"type":"string"},
		"d":{"type":"string","format":"date-time"},"l":{"type":"array","items":{"type":"integer"}},"e":{"enum":["a"],"type":"string"}}}`)
	strict, lenient := start(t, document, nil), start(t, document, settings{"coercion": "pydantic"})
	for body, status := range map[string][2]int{
		`{"i":1,"f":1.5,"b":true,"s":"a","l":[1]}`: {200, 200},
		`{"i":"1"}`: {400, 200}, `{"i":" 1 "}`: {400, 200}, `{"i":1.5}`: {400, 200}, `{"i":true}`: {400, 200}, `{"i":1,"f":"1.5"}`: {400, 200}, `{"i":1,"b":"yes"}`: {400, 200},
		`{"i":1,"b":0}`: {400, 200}, `{"i":1,"s":1}`: {400, 200}, `{"i":1,"s":null}`: {400, 200}, `{"i":1,"d":"2024-01-01 10:00"}`: {400, 200}, `{"i":1,"l":["1"]}`: {400, 200},
		`{"i":"10"}`: {400, 400}, `{"i":"x"}`: {400, 400}, `{"i":null}`: {400, 400}, `{"i":1,"b":"maybe"}`: {400, 400}, `{"i":1,"b":2}`: {400, 400}, `{"i":1,"s":{}}`: {400, 400},
		`{"i":1,"l":1}`: {400, 400}, `{"i":1,"e":"b"}`: {400, 400},
	} {
		for i, g := range []*gatewaytest.Gateway{strict, lenient} {
			res := g.Do(http.MethodPost, "/a", body, "Content-Type", "application/json")
			if res.StatusCode != status[i] || status[i] == 200 && res.Asked(t).Body != body {
				t.Errorf("%s, lenient %v: %s", body, i == 1, res.Text)
			}
		}
	}
	g := start(t, api("3.0.3", `"/a":{"get":{"parameters":[{"name":"b","in":"query","schema":{"type":"boolean"}}]}}`), settings{"coercion": "pydantic"})
	for value, status := range map[string]int{"on": 200, "True": 200, "1": 200, "no": 200, "x": 400} {
		if res := g.Get("/a?b=" + value); res.StatusCode != status {
			t.Errorf("%s: %s", value, res.Status)
		}
	}
}

// safeBuffer is a buffer that several goroutines write to.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestFaultsMayOnlyBeLogged(t *testing.T) {
	log := &safeBuffer{}
	service := gatewaytest.Service(gatewaytest.Echo(t, ""))
	config, err := json.Marshal(settings{"api_spec": api("3.0.3", answering), "notify_only_request_validation_failure": true, "unknown_operation": "refuse"})
	if err != nil {
		t.Fatal(err)
	}
	g := gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{Module()}, Logger: slog.New(slog.NewTextHandler(log, nil))},
		gatewaytest.All(service, gatewaytest.Route(service, "/"), gatewaytest.Plugin("oas-validation", string(config))))
	const body = `{"name":17171717}`
	if res := g.Do(http.MethodPost, "/a/1?page=1", body, "Content-Type", "application/json"); res.StatusCode != http.StatusOK || res.Asked(t).Body != body {
		t.Errorf("%s %s", res.Status, res.Text)
	}
	if res := g.Get("/b"); res.StatusCode != http.StatusOK {
		t.Errorf("an unknown path: %s", res.Status)
	}
	told := log.String()
	if !strings.Contains(told, "name: it must be of type string") || !strings.Contains(told, "path not found") || strings.Contains(told, "17171717") {
		t.Errorf("the log: %s", told)
	}
}

// Behind a prefix of auto-gateway the list stays, and messages get its form.
func TestWithAutoGateway(t *testing.T) {
	service := gatewaytest.Service(gatewaytest.Echo(t, ""))
	route := gatewaytest.Route(service, "/users")
	route.StripPath = false
	for _, c := range []struct {
		settings settings
		status   int
		want     string
	}{
		{settings{"detail_errors": true}, 422, `{"detail":[{"loc":["query","page"],"msg":"field required","type":"value_error.missing"}]}`},
		{settings{}, 400, `{"detail":"request param doesn't conform to schema"}`},
	} {
		c.settings["api_spec"], c.settings["prefix"] = api("3.0.3", answering), "/users"
		config, err := json.Marshal(c.settings)
		if err != nil {
			t.Fatal(err)
		}
		g := gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{Module(), autogateway.Module()}}, gatewaytest.All(service, route,
			gatewaytest.Plugin("oas-validation", string(config), service), gatewaytest.Plugin("auto-gateway", `{"prefix":"/users"}`, service)))
		if res := g.Do(http.MethodPost, "/users/a/1", `{"name":"a"}`); res.StatusCode != c.status || res.Text != c.want {
			t.Errorf("%s %s", res.Status, res.Text)
		}
		res := g.Do(http.MethodPost, "/users/a/1?page=1", `{"name":"a"}`)
		if res.StatusCode != http.StatusOK || res.Asked(t).Target != "/a/1?page=1" {
			t.Errorf("%s %s", res.Status, res.Text)
		}
	}
}

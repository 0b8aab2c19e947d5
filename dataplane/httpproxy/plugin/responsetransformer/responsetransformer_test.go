package responsetransformer

import (
	"net/http"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

// start starts a gateway with an upstream that answers with fields and a body.
func start(t *testing.T, config, body string, header ...string) *gatewaytest.Gateway {
	t.Helper()
	s := gatewaytest.Service(gatewaytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Add(header[i], header[i+1])
		}
		_, _ = w.Write([]byte(body))
	})))
	return gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{Module()}}, gatewaytest.All(
		s, gatewaytest.Route(s, "/"), gatewaytest.Plugin("response-transformer", config)))
}

func TestHeaders(t *testing.T) {
	for _, test := range []struct {
		name, config string
		header       []string
		want         string // of X-A, X-B
	}{
		{"a field is removed", `{"remove": {"headers": ["x-a"]}}`, []string{"X-A", "1", "X-B", "2"}, "|2"},
		{"a field is renamed", `{"rename": {"headers": ["X-A:X-B"]}}`, []string{"X-A", "1", "X-A", "2", "X-B", "3"}, "|1,2"},
		{"a field is replaced", `{"replace": {"headers": ["X-A:9", "X-B:8"]}}`, []string{"X-A", "1"}, "9|"},
		{"a field is added", `{"add": {"headers": ["X-A:9", "X-B:8"]}}`, []string{"X-A", "1"}, "1|8"},
		{"a value is appended", `{"append": {"headers": ["X-A:9", "X-B:8"]}}`, []string{"X-A", "1"}, "1,9|8"},
	} {
		t.Run(test.name, func(t *testing.T) {
			res := start(t, test.config, "text", append(test.header, "Content-Type", "text/plain")...).Get("/")
			got := strings.Join(res.Header.Values("X-A"), ",") + "|" + strings.Join(res.Header.Values("X-B"), ",")
			if got != test.want || res.Text != "text" {
				t.Errorf("%s, not %s; %q", got, test.want, res.Text)
			}
		})
	}
}

func TestJSON(t *testing.T) {
	json := []string{"Content-Type", "application/json; charset=utf-8"}
	for _, test := range []struct {
		name, config, body, want string
		header                   []string
	}{
		{"a member is removed", `{"remove": {"json": ["a"]}}`, `{"a":1,"b":2}`, `{"b":2}`, json},
		{"a member is renamed", `{"rename": {"json": ["a:b"]}}`, `{"a":[1]}`, `{"b":[1]}`, json},
		{"a member is replaced", `{"replace": {"json": ["a:9", "b:8"]}}`, `{"a":1}`, `{"a":"9"}`, json},
		{"a member is added", `{"add": {"json": ["a:9", "b:8"]}}`, `{"a":1}`, `{"a":1,"b":"8"}`, json},
		{"a value is appended", `{"append": {"json": ["a:9", "b:8"]}}`, `{"a":"1"}`, `{"a":["1","9"],"b":["8"]}`, json},
		{"values have types", `{"add": {"json": ["a:1.50", "b:true", "c:3"], "json_types": ["number", "boolean"]}}`, `{}`,
			`{"a":1.50,"b":true,"c":"3"}`, json},
		{"values that are not of their types are left out", `{"append": {"json": ["a:x", "b:0"], "json_types": ["number", "boolean"]}}`,
			`{}`, `{"b":[false]}`, json},
		{"another type is left alone", `{"remove": {"json": ["a"]}}`, `{"a":1}`, `{"a":1}`, []string{"Content-Type", "text/plain"}},
		{"what is compressed is left alone", `{"remove": {"json": ["a"]}}`, `{"a":1}`, `{"a":1}`, append(json, "Content-Encoding", "br")},
		{"what is no object is left alone", `{"remove": {"json": ["a"]}}`, `["a"]`, `["a"]`, json},
		{"the type is that of the upstream", `{"replace": {"headers": ["Content-Type:text/plain"]}, "remove": {"json": ["a"]}}`,
			`{"a":1}`, `{}`, json},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := start(t, test.config, test.body, test.header...)
			if res := g.Get("/"); res.Text != test.want || res.ContentLength != int64(len(test.want)) {
				t.Errorf("%s (%d), not %s", res.Text, res.ContentLength, test.want)
			}
			if res := g.Do(http.MethodHead, "/", ""); res.StatusCode != http.StatusOK {
				t.Errorf("HEAD: %s", res.Status)
			}
		})
	}
}

func TestAnswersOfTheGatewayAreChanged(t *testing.T) {
	g := start(t, `{"add": {"headers": ["X-A:1"], "json": ["a:1"]}, "remove": {"json": ["request_id"]}}`, "")
	g.Remove() // an update of nothing
	s := gatewaytest.Service("http://127.0.0.1:1")
	g.Put(s, gatewaytest.Route(s, "/down"))
	res := g.Get("/down", "Accept", "application/json")
	if res.StatusCode != http.StatusBadGateway || res.Header.Get("X-A") != "1" || res.JSON(t)["a"] != "1" || res.JSON(t)["request_id"] != nil {
		t.Errorf("%s %v %s", res.Status, res.Header, res.Text)
	}
}

func TestConfig(t *testing.T) {
	r := configSchema()
	for config, want := range map[string]string{
		`{}`:                                   "",
		`{"add": {"json": ["a"]}}`:             "has no value",
		`{"add": {"headers": ["X A:1"]}}`:      "is not a valid header",
		`{"rename": {"headers": ["X-A:X B"]}}`: "is not a valid header",
		`{"add": {"json_types": ["date"]}}`:    "expected one of",
		`{"remove": {"json_types": []}}`:       "unknown field",
	} {
		if got := gatewaytest.Violations(t, &r, config); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, not %q", config, got, want)
		}
	}
}

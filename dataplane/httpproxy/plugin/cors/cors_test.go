package cors

import (
	"net/http"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/keyauth"
)

func start(t *testing.T, config string, more ...any) *gatewaytest.Gateway {
	return gatewaytest.Plugged(t, []httpproxy.PluginModule{Module(), keyauth.Module()},
		append(more, gatewaytest.Plugin("cors", config))...)
}

// expect checks fields of a response; "" is for none.
func expect(t *testing.T, res *gatewaytest.Response, status int, fields map[string]string) {
	t.Helper()
	if res.StatusCode != status {
		t.Fatalf("%s %s", res.Status, res.Text)
	}
	for name, want := range fields {
		if got := strings.Join(res.Header.Values(name), "|"); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

const (
	allowed     = "Access-Control-Allow-Origin"
	methods     = "Access-Control-Allow-Methods"
	headers     = "Access-Control-Allow-Headers"
	credentials = "Access-Control-Allow-Credentials"
	maxAge      = "Access-Control-Max-Age"
	network     = "Access-Control-Allow-Private-Network"
	exposed     = "Access-Control-Expose-Headers"
	vary        = "Vary"
)

var preflight = []string{"Origin", "https://a.test", "Access-Control-Request-Method", "PUT"}

func TestPreflightsAreAnswered(t *testing.T) {
	for _, c := range []struct {
		name, config string
		header       []string
		want         map[string]string
	}{
		{"by default", `{}`, nil, map[string]string{
			allowed: "*", methods: "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT", headers: "", credentials: "",
			maxAge: "", network: "", exposed: "", vary: "", "X-Echo": "", "Content-Length": "0"}},
		{"with the header fields that are asked for", `{}`, []string{"Access-Control-Request-Headers", "x-a, x-b"},
			map[string]string{headers: "x-a, x-b"}},
		{"with the header fields that are configured", `{"headers":["x-c","x-d"]}`,
			[]string{"Access-Control-Request-Headers", "x-a"}, map[string]string{headers: "x-c,x-d"}},
		{"with methods", `{"methods":["GET","PUT"]}`, nil, map[string]string{methods: "GET,PUT"}},
		{"with no methods", `{"methods":null}`, nil, map[string]string{
			methods: "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT"}},
		{"with an age", `{"max_age":600}`, nil, map[string]string{maxAge: "600"}},
		{"without an age of 0", `{"max_age":0}`, nil, map[string]string{maxAge: "0"}},
		{"with credentials", `{"credentials":true}`, nil, map[string]string{
			allowed: "https://a.test", credentials: "true", vary: "Origin"}},
		{"for a private network", `{"private_network":true}`, []string{"Access-Control-Request-Private-Network", "true"},
			map[string]string{network: "true"}},
		{"for no private network", `{}`, []string{"Access-Control-Request-Private-Network", "true"}, map[string]string{network: ""}},
		{"for a private network that was not asked for", `{"private_network":true}`, nil, map[string]string{network: ""}},
		{"without exposed fields", `{"exposed_headers":["x-e"]}`, nil, map[string]string{exposed: ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := start(t, c.config)
			expect(t, g.Do(http.MethodOptions, "/", "", append(c.header, preflight...)...), 200, c.want)
		})
	}
}

func TestWhatIsNoPreflightReachesTheUpstream(t *testing.T) {
	g := start(t, `{"exposed_headers":["x-e","x-f"]}`)
	for _, header := range [][]string{nil, preflight[:2], preflight[2:]} {
		expect(t, g.Do(http.MethodOptions, "/", "", header...), 200,
			map[string]string{"X-Echo": "echo", allowed: "*", exposed: "x-e,x-f", methods: ""})
	}
	expect(t, g.Get("/", preflight...), 200, map[string]string{"X-Echo": "echo", allowed: "*"})
}

func TestPreflightsReachTheUpstreamAsConfigured(t *testing.T) {
	g := start(t, `{"preflight_continue":true}`)
	expect(t, g.Do(http.MethodOptions, "/", "", preflight...), 200, map[string]string{"X-Echo": "echo", allowed: "", methods: ""})
	expect(t, g.Get("/", preflight...), 200, map[string]string{allowed: "*"})
}

func TestOriginsAreAllowedAsConfigured(t *testing.T) {
	for _, c := range []struct{ name, config, from, origin, vary string }{
		{"all", `{"origins":["*"]}`, "https://a.test", "*", ""},
		{"all among others", `{"origins":["https://b.test","*"]}`, "https://a.test", "*", ""},
		{"all, and nobody asks", `{}`, "", "*", ""},
		{"one, whoever asks", `{"origins":["https://b.test"]}`, "https://a.test", "https://b.test", "Origin"},
		{"one of several", `{"origins":["https://a.test","https://b.test"]}`, "https://a.test", "https://a.test", "Origin"},
		{"none of several", `{"origins":["https://a.test","https://b.test"]}`, "https://c.test", "", "Origin"},
		{"several, and nobody asks", `{"origins":["https://a.test","https://b.test"]}`, "", "", "Origin"},
		{"another port", `{"origins":["https://a.test","https://b.test"]}`, "https://a.test:8443", "", "Origin"},
		{"the port of the scheme", `{"origins":["https://a.test:443","http://b.test"]}`, "https://a.test", "https://a.test", "Origin"},
		{"another scheme", `{"origins":["https://a.test","https://b.test"]}`, "http://a.test", "", "Origin"},
		{"an expression of hosts", `{"origins":[".*\\.a\\.test"]}`, "http://x.a.test:81", "http://x.a.test:81", "Origin"},
		{"an expression of the whole host", `{"origins":[".*\\.a\\.test"]}`, "http://x.a.test.evil.test", "", "Origin"},
		{"an expression of the host's beginning", `{"origins":["a(1|2)\\.test"]}`, "http://evila1.test", "", "Origin"},
		{"an expression of origins", `{"origins":["^https://.*\\.a\\.test(:[0-9]+)?$"]}`, "https://x.a.test:81", "https://x.a.test:81", "Origin"},
		{"an expression with another scheme", `{"origins":["^https://.*\\.a\\.test$"]}`, "http://x.a.test", "", "Origin"},
		{"what is no URL", `{"origins":["https://a.test","https://b.test"]}`, "null", "", "Origin"},
		{"with credentials, all", `{"credentials":true}`, "https://a.test", "https://a.test", "Origin"},
		{"with credentials, nobody asks", `{"credentials":true}`, "", "*", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var header []string
			if c.from != "" {
				header = []string{"Origin", c.from}
			}
			shown := ""
			if strings.Contains(c.config, "credentials") && c.from != "" {
				shown = "true"
			}
			expect(t, start(t, c.config).Get("/", header...), 200, map[string]string{allowed: c.origin, vary: c.vary, credentials: shown})
		})
	}
}

func TestCredentialsAreOnlyForOriginsThatAreAllowed(t *testing.T) {
	g := start(t, `{"origins":["https://a.test","https://b.test"],"credentials":true}`)
	expect(t, g.Get("/", "Origin", "https://b.test"), 200, map[string]string{credentials: "true"})
	expect(t, g.Get("/", "Origin", "https://c.test"), 200, map[string]string{credentials: ""})
}

func TestRequestsWithoutAnOriginAreLeftAloneAsConfigured(t *testing.T) {
	g := start(t, `{"allow_origin_absent":false}`)
	expect(t, g.Get("/"), 200, map[string]string{allowed: ""})
	expect(t, g.Get("/", "Origin", "https://a.test"), 200, map[string]string{allowed: "*"})
}

func TestAnswersOfOtherPluginsCanBeReadAsWell(t *testing.T) {
	g := start(t, `{}`, gatewaytest.Plugin("key-auth", `{}`))
	expect(t, g.Get("/", "Origin", "https://a.test"), 401, map[string]string{allowed: "*"})
	expect(t, g.Do(http.MethodOptions, "/", "", preflight...), 200, map[string]string{allowed: "*"})
}

func TestWhatTheUpstreamSaysIsReplaced(t *testing.T) {
	upstream := gatewaytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(allowed, "https://other.test")
		w.Header().Set(credentials, "true")
		w.Header().Set("Vary", r.URL.Query().Get("vary"))
	}))
	s := gatewaytest.Service(upstream)
	g := gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{Module()}},
		gatewaytest.All(s, gatewaytest.Route(s, "/"), gatewaytest.Plugin("cors", `{"origins":["https://a.test","https://b.test"]}`)))
	for before, after := range map[string]string{
		"Accept": "Accept|Origin", "*": "*", "accept, origin": "accept, origin",
	} {
		expect(t, g.Get("/?vary="+strings.ReplaceAll(before, " ", "%20"), "Origin", "https://c.test"), 200,
			map[string]string{allowed: "", credentials: "", vary: after})
	}
}

func TestExpressionsMustBeValid(t *testing.T) {
	m := Module()
	for config, want := range map[string]string{
		`{"origins":["(","*","https://a.test"]}`: "schema violation (origins.1: invalid regex: '(' (error parsing regexp: missing closing ): `^(?:()$`))",
		`{"methods":["BREW"]}`:                   "schema violation (methods.1: expected one of: GET, HEAD, PUT, PATCH, POST, DELETE, OPTIONS, TRACE, CONNECT)",
		`{"max_age":"x"}`:                        "schema violation (max_age: expected a number)",
	} {
		if got := gatewaytest.Violations(t, &m.Config, config); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", config, got, want)
		}
	}
}

func FuzzOrigins(f *testing.F) {
	f.Add("https://a.test", "HTTPS://A.test:443")
	f.Add(`.*\.a\.test`, "http://x.a.test")
	f.Fuzz(func(t *testing.T, configured, from string) {
		o, err := newOrigins([]string{configured, "https://b.test"})
		if err != nil || o.any {
			return
		}
		if a, _ := o.allowed(from); a != "" && a != from {
			t.Fatalf("%q may do what %q may", from, a)
		}
		if a, _ := o.allowed("https://b.test"); a == "" {
			t.Fatal("what is configured is not allowed")
		}
	})
}

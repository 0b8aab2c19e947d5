package autogateway_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/builtin"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

// operation is one of a registered service.
type operation struct {
	methods []string
	path    string
	plugins []string // names and configurations in turn
}

func get(path string, plugins ...string) operation {
	return operation{[]string{"GET", "HEAD"}, path, plugins}
}

func all(path string) operation {
	return operation{[]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}, path, nil}
}

var parameter = regexp.MustCompile(`\\\{(\w+)\\\}`)

// registered are the entities that make a service reachable below /users. The
// configuration is of the plugin, without its prefix.
func registered(s *entity.Service, config string, operations ...operation) []any {
	if config != "" {
		config = "," + config
	}
	entities := []any{s, gatewaytest.Plugin("auto-gateway", `{"prefix":"/users"`+config+`}`, s)}
	var paths []string
	add := func(path string, change func(*entity.Route), plugins ...string) *entity.Route {
		r := gatewaytest.Route(s, path, func(r *entity.Route) {
			r.StripPath, r.RequestBuffering, r.ResponseBuffering = false, false, false
		}, change)
		entities = append(entities, r)
		for i := 0; i < len(plugins); i += 2 {
			entities = append(entities, gatewaytest.Plugin(plugins[i], plugins[i+1], r))
		}
		return r
	}
	for _, o := range operations {
		expr := parameter.ReplaceAllString(regexp.QuoteMeta(o.path), "(?<$1>[^/]+)")
		add("~/users"+expr+"$", func(r *entity.Route) {
			r.Methods, r.RegexPriority = o.methods, 1000-100*strings.Count(o.path, "{")
		}, o.plugins...)
		paths = append(paths, `{"path":"`+o.path+`","methods":["`+strings.Join(o.methods, `","`)+`"]}`)
	}
	add("/users/", func(r *entity.Route) { r.Paths = append(r.Paths, "~/users$") },
		"auto-gateway", `{"prefix":"/users","paths":[`+strings.Join(paths, ",")+`]`+config+`}`)
	return entities
}

func start(t *testing.T, entities ...any) *gatewaytest.Gateway {
	t.Helper()
	return gatewaytest.Start(t, httpproxy.Options{Modules: builtin.Modules()}, gatewaytest.All(entities...))
}

// want looks at the status and at the detail, which is the whole body.
func want(t *testing.T, what string, res *gatewaytest.Response, status int, detail string) {
	t.Helper()
	if res.StatusCode != status || res.Text != `{"detail":"`+detail+`"}` || res.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s: %s %s %s instead of %d %q", what, res.Status, res.Header.Get("Content-Type"), res.Text, status, detail)
	}
}

// raw sends a request as it is, with a path that clients would change.
func raw(t *testing.T, g *gatewaytest.Gateway, method, target string) *gatewaytest.Response {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, method+" "+target+" HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return &gatewaytest.Response{Response: res, Text: string(body)}
}

func TestTargets(t *testing.T) {
	url := gatewaytest.Echo(t, "users")
	operations := []operation{all("/"), all("/items/"), all("/items/{id}"), all("/items/{id}/parts/{part}"), all("/a b/{x}-{y}.json")}
	for _, base := range []string{"", "/base", "/base/"} {
		s := gatewaytest.Service(url + base)
		g := start(t, registered(s, "", operations...)...)
		for target, want := range map[string]string{
			"/users/":                        "/",
			"/users/items/":                  "/items/",
			"/users/items/?a=b&a=%20&c":      "/items/?a=b&a=%20&c",
			"/users/items/?":                 "/items/?",
			"/users/items/17":                "/items/17",
			"/users/items/a%2Fb":             "/items/a%2Fb",
			"/users/items/a%2fb%2F":          "/items/a%2Fb%2F",
			"/users/items/100%25":            "/items/100%25",
			"/users/items/%2541":             "/items/%2541",
			"/users/items/%C3%A9%20%22":      "/items/%C3%A9%20%22",
			"/users/items/%3Fa=b%23c":        "/items/%3Fa=b%23c",
			"/users/items/a;b=c,d":           "/items/a;b=c,d",
			"/users/items/a%3Bb":             "/items/a%3Bb",
			"/users/items/...":               "/items/...",
			"/users/items/a..b":              "/items/a..b",
			"/users/items/17/parts/users":    "/items/17/parts/users",
			"/users/a%20b/1-2.json":          "/a%20b/1-2.json",
			"/users/items/17/../18":          "/items/18",
			"/users/./items//17":             "/items/17",
			"/x/../users/items/17":           "/items/17",
			"/%75sers/items/%31":             "/items/1",
			"/users/items/17?url=http://a/?": "/items/17?url=http://a/?",
		} {
			res := raw(t, g, "GET", target)
			if res.StatusCode != http.StatusOK {
				t.Errorf("%s: %s %s", target, res.Status, res.Text)
			} else if got := res.Asked(t).Target; got != strings.TrimSuffix(base, "/")+want {
				t.Errorf("%s: the upstream was asked for %s", target, got)
			}
		}
		for _, target := range []string{
			"/users/items/..%2Fsecret", "/users/items/..%2fsecret", "/users/items/a%2F..%2F..%2Fsecret", "/users/items/..%5Csecret",
			`/users/items/..\secret`, "/users/items/..;", "/users/items/..;a=b/parts/1", "/users/items/..%3Ba", "/users/items/%2E%2E%2Fsecret",
			"/users/nothing/..%2F", "/users/..%2F..%2Fetc",
		} {
			want(t, target, raw(t, g, "GET", target), http.StatusBadRequest, "Invalid path")
		}
		g.Stop()
	}
}

func TestWhatTheUpstreamIsTold(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "users"))
	entities := registered(s, "", all("/items/{id}"))
	g := start(t, append(entities, gatewaytest.Route(s, "/stripped"),
		gatewaytest.Plugin("request-transformer", `{"replace":{"uri":"/users/$(uri_captures.id)"}}`, entities[2]))...)
	res := g.Do("POST", "/users/items/17?a=b", `{"a": 1}`, "Host", "gateway.test:1234", "gateway_host", "evil.test", "X-Forwarded-Prefix", "/evil",
		"Authorization", "Bearer x", "Content-Type", "application/json", "Cookie", "a=b", "X-Own", "1", "X-Own", "2")
	asked := res.Asked(t)
	for name, want := range map[string]string{
		"Gateway_host": "gateway.test:1234", "X-Forwarded-Prefix": "/users", "X-Forwarded-Host": "gateway.test",
		"X-Forwarded-Path": "/users/items/17", "X-Forwarded-Proto": "http", "Authorization": "Bearer x",
		"Content-Type": "application/json", "Cookie": "a=b", "X-Own": "1 2",
	} {
		if got := strings.Join(asked.Header[name], " "); got != want {
			t.Errorf("%s: %q instead of %q", name, got, want)
		}
	}
	if asked.Body != `{"a": 1}` || asked.Method != "POST" || asked.Host != net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) {
		t.Errorf("%+v", asked)
	}
	// What changes requests is run afterwards: its path is the service's.
	if asked.Target != "/users/17?a=b" {
		t.Errorf("the upstream was asked for %s", asked.Target)
	}
	// A route of somebody's own has a prefix of its own.
	asked = g.Get("/stripped/items/17").Asked(t)
	if asked.Target != "/items/17" || strings.Join(asked.Header["X-Forwarded-Prefix"], " ") != "/stripped" {
		t.Errorf("%+v", asked)
	}
	asked = g.Get(g.SecureURL+"/users/items/17", "Host", "secure.test").Asked(t)
	if asked.Header["Gateway_host"][0] != "secure.test" || asked.Header["X-Forwarded-Proto"][0] != "https" {
		t.Errorf("%+v", asked)
	}
}

func TestWhatNoOperationIsFor(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "users"))
	g := start(t, registered(s, "", get("/items/"), operation{[]string{"POST"}, "/items/", nil}, get("/items/{id}"),
		operation{[]string{"DELETE"}, "/items/{id}", nil}, operation{[]string{"PUT"}, "/items/mine", nil}, get("/plain"), get("/"))...)
	for _, c := range []struct {
		method, target string
		status         int
		allow, to      string
	}{
		{"GET", "/users/nothing", 404, "", ""},
		{"POST", "/users/nothing", 404, "", ""},
		{"OPTIONS", "/users/nothing", 404, "", ""},
		{"GET", "/users/items/17/18", 404, "", ""},
		{"PUT", "/users/items/", 405, "GET, HEAD, OPTIONS, POST", ""},
		{"PATCH", "/users/items/17", 405, "DELETE, GET, HEAD, OPTIONS", ""},
		{"PATCH", "/users/items/mine", 405, "DELETE, GET, HEAD, OPTIONS, PUT", ""},
		{"POST", "/users/plain", 405, "GET, HEAD, OPTIONS", ""},
		{"TRACE", "/users/plain", 405, "GET, HEAD, OPTIONS", ""},
		{"OPTIONS", "/users/items/", 204, "GET, HEAD, OPTIONS, POST", ""},
		{"OPTIONS", "/users/items/17", 204, "DELETE, GET, HEAD, OPTIONS", ""},
		{"GET", "/users/items", 307, "", "/users/items/"},
		{"PUT", "/users/items", 307, "", "/users/items/"},
		{"GET", "/users/items?a=b&c=%20?", 307, "", "/users/items/?a=b&c=%20?"},
		{"GET", "/users/plain/?", 307, "", "/users/plain?"},
		{"HEAD", "/users/plain/", 307, "", "/users/plain"},
		{"GET", "/users/items/a%20%2F/?q", 307, "", "/users/items/a%20%2F?q"},
		{"GET", "/users", 307, "", "/users/"},
		{"GET", "/users?a", 307, "", "/users/?a"},
		{"GET", "//users//plain///", 307, "", "/users/plain"},
		{"GET", `/users/items/%5Cevil.test/`, 307, "", "/users/items/%5Cevil.test"},
	} {
		res := raw(t, g, c.method, c.target)
		if res.StatusCode != c.status || res.Header.Get("Allow") != c.allow || res.Header.Get("Location") != c.to {
			t.Errorf("%s %s: %s, Allow %q, Location %q", c.method, c.target, res.Status, res.Header.Get("Allow"), res.Header.Get("Location"))
		}
		switch {
		case c.status == 404:
			want(t, c.method+" "+c.target, res, 404, "Not Found")
		case c.status == 405:
			want(t, c.method+" "+c.target, res, 405, "Method Not Allowed")
		case res.Text != "":
			t.Errorf("%s %s: %q", c.method, c.target, res.Text)
		}
	}
	if res := g.Do("HEAD", "/users/nothing", ""); res.StatusCode != 404 || res.Text != "" || res.ContentLength != 22 {
		t.Errorf("HEAD: %s %q, of length %d", res.Status, res.Text, res.ContentLength)
	}
	// What is before the prefix is none of the plugin's business.
	if res := g.Get("/usersx"); res.StatusCode != 404 || res.JSON(t)["message"] != "no Route matched with those values" {
		t.Errorf("%s %s", res.Status, res.Text)
	}
}

// TestPreflights is that cors answers those of browsers, before the plugin.
func TestPreflights(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "users"))
	g := start(t, append(registered(s, "", get("/items/")), gatewaytest.Plugin("cors", `{"origins":["http://a.test"]}`, s))...)
	res := g.Do("OPTIONS", "/users/items/", "", "Origin", "http://a.test", "Access-Control-Request-Method", "GET")
	if res.StatusCode != 200 || res.Header.Get("Access-Control-Allow-Origin") != "http://a.test" || res.Header.Get("Allow") != "" {
		t.Errorf("a preflight: %s %v", res.Status, res.Header)
	}
	res = g.Do("PUT", "/users/items/", "", "Origin", "http://a.test")
	want(t, "PUT", res, 405, "Method Not Allowed")
	if res.Header.Get("Access-Control-Allow-Origin") != "http://a.test" || res.Header.Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("PUT: %v", res.Header)
	}
}

// TestAServiceWithoutOperations is that it has nothing.
func TestAServiceWithoutOperations(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "users"))
	g := start(t, registered(s, "")...)
	for _, path := range []string{"/users", "/users/", "/users/items"} {
		want(t, path, g.Get(path), 404, "Not Found")
	}
}

// TestGuardedPaths: what the service may take for a path that is protected needs
// the credential too, and what it may take for one that is withheld is nowhere.
func TestGuardedPaths(t *testing.T) {
	ann := gatewaytest.Consumer("ann", "")
	files := operation{[]string{"GET"}, "/files/{name}", []string{"key-auth", `{}`}}
	entities := registered(gatewaytest.Service(gatewaytest.Echo(t, "users")),
		`"guarded":[{"path":"/files/{name:path}","methods":["GET"],"protected":true},{"path":"/files/off/{x}","methods":["POST"]}]`, files, all("/{x}"))
	g := start(t, append(entities, ann, gatewaytest.Key(ann, "key"))...)
	for _, target := range []string{"/users/files%2Fa", "/users/files%5Ca", "/users/files%2Foff%2Fx"} {
		want(t, target, raw(t, g, "GET", target), http.StatusNotFound, "Not Found")
	}
	want(t, "withheld", raw(t, g, "POST", "/users/files%2Foff%2Fx"), http.StatusNotFound, "Not Found")
	if res := g.Get("/users/files/a%2Fb", "apikey", "key"); res.StatusCode != http.StatusOK || res.Asked(t).Target != "/files/a%2Fb" {
		t.Errorf("with a credential: %s %s", res.Status, res.Text)
	}
	for _, target := range []string{"/users/a%2Fb", "/users/files;a", "/users/files%252Fa"} {
		if res := raw(t, g, "GET", target); res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s %s", target, res.Status, res.Text)
		}
	}
}

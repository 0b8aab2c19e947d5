package httpproxy_test

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

// ask is a request, and the name of the route that it goes to, "" for none.
type ask struct {
	method, path string
	header       []string
	want         string
}

func get(path, want string, header ...string) ask { return ask{http.MethodGet, path, header, want} }

func paths(p ...string) route { return func(r *entity.Route) { r.Paths = p } }

func hosts(h ...string) route { return func(r *entity.Route) { r.Hosts = h } }

func methods(m ...string) route { return func(r *entity.Route) { r.Methods = m } }

func headers(h map[string][]string) route { return func(r *entity.Route) { r.Headers = h } }

func made(at int64) route { return func(r *entity.Route) { r.CreatedAt = at } }

func priority(n int) route { return func(r *entity.Route) { r.RegexPriority = n } }

// named is a route with a name and the same tag.
type named struct {
	name    string
	changes []route
}

func is(name string, changes ...route) named { return named{name, changes} }

// matching are rules of matching ("Routes" of the Kong Gateway, "How routing
// works"), each with routes and with requests for them.
var matching = []struct {
	rule   string
	routes []named
	asks   []ask
}{
	{"the path is normalized first", []named{is("a", paths("/a b/c")), is("r", paths("/%2F"))}, []ask{
		get("/a%20b/c", "a"), get("/x/../a%20b/./c", "a"), get("//a%20b//c", "a"), get("/a%20b/%63", "a"), get("/%2f", "r"), get("/a%20b", ""),
	}},
	{"attributes are all needed, values are alternatives", []named{
		is("a", paths("/p", "/q"), hosts("h1", "h2"), methods("GET", "PUT"), headers(map[string][]string{"X-A": {"1", "2"}, "x-b": {"3"}})),
	}, []ask{
		get("/p", "a", "Host", "h1", "X-A", "2", "X-B", "3"), {"PUT", "/q", []string{"Host", "h2", "x-a", "1", "X-B", "3"}, "a"},
		get("/r", "", "Host", "h1", "X-A", "2", "X-B", "3"), get("/p", "", "Host", "h3", "X-A", "2", "X-B", "3"),
		{"POST", "/p", []string{"Host", "h1", "X-A", "2", "X-B", "3"}, ""}, get("/p", "", "Host", "h1", "X-A", "2"),
		get("/p", "", "Host", "h1", "X-A", "3", "X-B", "3"), {"put", "/q", []string{"Host", "h2", "x-a", "1", "X-B", "3"}, ""},
	}},
	{"hosts", []named{
		is("exact", hosts("a.example.com")), is("suffix", hosts("*.example.com")), is("prefix", hosts("example.*")), is("port", hosts("p.test:81")), is("any port", hosts("q.test")),
	}, []ask{
		get("/", "exact", "Host", "a.example.com"), get("/", "exact", "Host", "a.example.com:8080"), get("/", "exact", "Host", "A.Example.com"),
		get("/", "suffix", "Host", "b.example.com"), get("/", "suffix", "Host", "c.b.example.com"), get("/", "", "Host", "bexample.com"),
		get("/", "prefix", "Host", "example.org"), get("/", "prefix", "Host", "example.co.uk"), get("/", "", "Host", "x.example.org"),
		get("/", "port", "Host", "p.test:81"), get("/", "", "Host", "p.test:82"), get("/", "", "Host", "p.test"), get("/", "any port", "Host", "q.test:99"),
	}},
	{"prefixes of paths are those of strings, expressions begin at the start", []named{is("plain", paths("/foo")), is("re", paths(`~/re/(?<n>\d+)`)), is("end", paths(`~/end$`))}, []ask{
		get("/foo", "plain"), get("/foobar", "plain"), get("/foo/bar", "plain"), get("/fo", ""), get("/x/foo", ""),
		get("/re/12x", "re"), get("/re/x", ""), get("/x/re/1", ""), get("/end", "end"), get("/end/", ""),
	}},
	{"headers", []named{is("re", headers(map[string][]string{"X-V": {"~*^v[0-9]+$"}})), is("plain", headers(map[string][]string{"x-v": {"Beta"}}))}, []ask{
		get("/", "re", "X-V", "V12"), get("/", "plain", "x-V", "bETA"), get("/", "", "X-V", "v"), get("/", "plain", "X-V", "no", "X-V", "beta"), get("/", ""),
	}},
	{"more attributes come first", []named{is("one", paths("/long/path/here")), is("two", paths("/"), hosts("h")), is("three", paths("/"), hosts("h"), methods("GET"))}, []ask{
		get("/long/path/here", "three", "Host", "h"), get("/long/path/here", "one", "Host", "x"), {"PUT", "/long/path/here", []string{"Host", "h"}, "two"},
	}},
	{"hosts without a wildcard come before those with one", []named{is("wild", hosts("*.b.c"), paths("/long")), is("plain", hosts("a.b.c"), paths("/"))}, []ask{
		get("/long", "plain", "Host", "a.b.c"), get("/long", "wild", "Host", "x.b.c"),
	}},
	{"more names of headers come first", []named{is("one", paths("/long"), headers(map[string][]string{"X-A": {"1"}})), is("two", paths("/"), headers(map[string][]string{"X-A": {"1"}, "X-B": {"1"}}))}, []ask{
		get("/long", "two", "X-A", "1", "X-B", "1"), get("/long", "one", "X-A", "1"),
	}},
	{"expressions come before prefixes, and by priority", []named{
		is("prefix", paths("/re/long/enough")), is("low", paths("~/re/.*")), is("high", paths("~/re/l"), priority(5)), is("prefix with priority", paths("/p"), priority(9)), is("longer", paths("/pa")),
	}, []ask{
		get("/re/long/enough", "high"), get("/re/xyz", "low"), get("/pa", "longer"),
	}},
	{"longer prefixes come first", []named{is("a", paths("/a", "/a/b/c")), is("b", paths("/a/b"))}, []ask{get("/a/b/c", "a"), get("/a/b/x", "b"), get("/a/x", "a")}},
	{"older routes come first", []named{is("newer", paths("/"), made(200)), is("older", paths("/"), made(100)), is("newest", paths("/"), made(300))}, []ask{get("/", "older")}},
	{"names of servers do not matter without TLS", []named{is("sni", paths("/sni"), func(r *entity.Route) { r.SNIs = []string{"s.test"} })}, []ask{get("/sni", "sni", "Host", "other")}},
}

// TestMatching asks for what the rules say.
func TestMatching(t *testing.T) {
	echo := gatewaytest.Echo(t, "a")
	for _, c := range matching {
		t.Run(c.rule, func(t *testing.T) {
			var entities []any
			for _, r := range c.routes {
				s := gatewaytest.Service(echo, func(s *entity.Service) { s.Name, s.Path = r.name, "/"+strings.ReplaceAll(r.name, " ", "-")+"~" })
				changed := gatewaytest.Route(s, "", r.changes...)
				changed.StripPath = false
				entities = append(entities, s, changed)
			}
			g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(entities...))
			for _, a := range c.asks {
				res, got := g.Do(a.method, a.path, "", a.header...), ""
				if res.StatusCode != http.StatusNotFound {
					got, _, _ = strings.Cut(strings.TrimPrefix(res.Asked(t).Target, "/"), "~")
				}
				if got != strings.ReplaceAll(a.want, " ", "-") {
					t.Errorf("%s %s %q: %q instead of %q", a.method, a.path, a.header, got, a.want)
				}
			}
		})
	}
}

// TestMatchingByServerName is that of snis, where there is TLS.
func TestMatchingByServerName(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "a"))
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/", func(r *entity.Route) { r.SNIs = []string{"s.test", "t.test"} })))
	for name, want := range map[string]int{"s.test": 200, "S.Test": 200, "t.test": 200, "other.test": 404} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: name}}
		res, err := (&http.Client{Transport: transport}).Get(g.SecureURL)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %s", name, res.Status)
		}
		transport.CloseIdleConnections()
	}
}

// TestListeningPort is that an entry of a host with a port is for requests that
// name none, where that is the port which is listened at.
func TestListeningPort(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "a"))
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s))
	g.Put(gatewaytest.Route(s, "", hosts("h.test"+g.URL[strings.LastIndexByte(g.URL, ':'):])))
	if res := g.Get("/", "Host", "h.test"); res.StatusCode != http.StatusOK {
		t.Errorf("without TLS: %s", res.Status)
	}
	if res := g.Do(http.MethodGet, g.SecureURL, "", "Host", "h.test"); res.StatusCode != http.StatusNotFound {
		t.Errorf("at another port: %s", res.Status)
	}
}

// TestCaptures is that what an expression captures is there for plugins, by
// number and by name.
func TestCaptures(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "a"))
	var got httpproxy.Captures
	g := gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{
		accesser("see", 1, func(x *httpproxy.Exchange) error { got = x.Captures; return nil }),
	}}, gatewaytest.All(s, gatewaytest.Route(s, `~/v(\d+)/(?<user>[a-z]+)`), gatewaytest.Plugin("see", "{}")))
	target := g.Get("/v2/joe/rest").Asked(t).Target
	if user, _ := got.Named("user"); user != "joe" || strings.Join(got.Numbered, " ") != "/v2/joe 2 joe" || target != "/rest" {
		t.Errorf("%+v, the upstream was asked for %s", got, target)
	}
}

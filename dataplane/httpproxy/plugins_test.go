package httpproxy_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// access is a plugin of a function.
type access func(*httpproxy.Exchange) error

func (f access) Access(x *httpproxy.Exchange) error { return f(x) }

type respond func(*httpproxy.Exchange) error

func (f respond) Respond(x *httpproxy.Exchange) error { return f(x) }

func accesser(name string, priority int, f func(*httpproxy.Exchange) error) httpproxy.PluginModule {
	return httpproxy.PluginModule{
		Name: name, Priority: priority, New: func(httpproxy.PluginOptions) (httpproxy.Plugin, error) { return access(f), nil },
	}
}

func responder(name string, priority int, f func(*httpproxy.Exchange) error) httpproxy.PluginModule {
	return httpproxy.PluginModule{
		Name: name, Priority: priority, New: func(httpproxy.PluginOptions) (httpproxy.Plugin, error) { return respond(f), nil },
	}
}

// trace is a plugin that notes down in which phases it was called.
type trace struct {
	label string
	seen  *traces
}

type traces struct {
	mu   sync.Mutex
	all  []string
	shut []string
}

func (t *traces) add(s string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, s)
}

func (t *traces) take() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := strings.Join(t.all, " ")
	t.all = nil
	return s
}

func (p *trace) Access(*httpproxy.Exchange) error { p.seen.add(p.label); return nil }

func (p *trace) Respond(*httpproxy.Exchange) error { p.seen.add("<" + p.label); return nil }

func (p *trace) Log(*httpproxy.Exchange) { p.seen.add("." + p.label) }

func (p *trace) Close() error {
	p.seen.mu.Lock()
	defer p.seen.mu.Unlock()
	p.seen.shut = append(p.seen.shut, p.label)
	return nil
}

var traceConfig = schema.Record{Name: "trace", Fields: []schema.Field{{Name: "label", Type: schema.String}}}

func (t *traces) module(name string, priority int) httpproxy.PluginModule {
	return httpproxy.PluginModule{
		Name: name, Priority: priority, Config: traceConfig,
		New: func(o httpproxy.PluginOptions) (httpproxy.Plugin, error) {
			var c struct{ Label string }
			if err := schema.Into(o.Config, &c); err != nil {
				return nil, err
			}
			return &trace{name + c.Label, t}, nil
		},
	}
}

// consumerBy is a plugin that takes the field "User" for a consumer.
func consumerBy(priority int) httpproxy.PluginModule {
	return accesser("auth", priority, func(x *httpproxy.Exchange) error {
		if c := x.View().Consumer(x.Request.Header.Get("User")); c != nil {
			x.SetConsumer(c, nil)
		}
		return nil
	})
}

func TestOrderOfPlugins(t *testing.T) {
	var seen traces
	s := gatewaytest.Service(gatewaytest.Echo(t, "a"))
	r := gatewaytest.Route(s, "/")
	g := gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{
		seen.module("b", 10), seen.module("a", 20), seen.module("c", 10),
		accesser("exit", 15, func(x *httpproxy.Exchange) error {
			if x.Request.Header.Has("Exit") {
				x.Exit(http.StatusTeapot, "", nil)
			}
			return nil
		}),
	}}, gatewaytest.All(s, r, gatewaytest.Plugin("c", "{}"), gatewaytest.Plugin("b", "{}"), gatewaytest.Plugin("a", "{}"),
		gatewaytest.Plugin("exit", "{}")))
	g.Get("/")
	g.Stop() // after it the phases of all requests are over
	if got := seen.take(); got != "a b c <a <b <c .a .b .c" {
		t.Errorf("it was %q", got)
	}
	g = gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{
		seen.module("b", 10), seen.module("a", 20), seen.module("c", 10),
		accesser("exit", 15, func(x *httpproxy.Exchange) error { x.Exit(http.StatusTeapot, "", nil); return nil }),
	}}, gatewaytest.All(s, r, gatewaytest.Plugin("c", "{}"), gatewaytest.Plugin("b", "{}"), gatewaytest.Plugin("a", "{}"),
		gatewaytest.Plugin("exit", "{}")))
	if res := g.Get("/"); res.StatusCode != http.StatusTeapot {
		t.Error(res.Status)
	}
	g.Stop()
	if got := seen.take(); got != "a <a <b <c .a .b .c" {
		t.Errorf("with an exit it was %q", got)
	}
}

func TestMostSpecificPlugin(t *testing.T) {
	var seen traces
	s, r := gatewaytest.Service(gatewaytest.Echo(t, "a")), (*entity.Route)(nil)
	r = gatewaytest.Route(s, "/")
	c := gatewaytest.Consumer("joe", "")
	g := gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{
		seen.module("p", 10), consumerBy(20), seen.module("early", 30),
	}}, gatewaytest.All(s, r, c, gatewaytest.Plugin("auth", "{}"),
		gatewaytest.Plugin("early", `{"label":"-all"}`), gatewaytest.Plugin("early", `{"label":"-joe"}`, c)))
	var put []*entity.Plugin
	for _, step := range []struct {
		label          string
		scopes         []any
		joe, anonymous string // which one runs
	}{
		{"global", nil, "global", "global"},
		{"service", []any{s}, "service", "service"},
		{"route", []any{r}, "route", "route"},
		{"consumer", []any{c}, "consumer", "route"},
		{"route+service", []any{r, s}, "route+service", "route+service"},
		{"service+consumer", []any{s, c}, "service+consumer", "route+service"},
		{"route+consumer", []any{r, c}, "route+consumer", "route+service"},
		{"all", []any{r, s, c}, "all", "route+service"},
	} {
		p := gatewaytest.Plugin("p", fmt.Sprintf(`{"label":%q}`, step.label), step.scopes...)
		put = append(put, p)
		g.Put(p)
		for user, want := range map[string]string{"joe": step.joe, "": step.anonymous} {
			g.Get("/", "User", user)
			waitFor(t, func() bool { return strings.Contains(peek(&seen), ".p") })
			if got := seen.take(); !strings.HasPrefix(got, "early-all p"+want+" ") {
				t.Errorf("with %s, %q: %s", step.label, user, got)
			}
		}
	}
	off := *put[len(put)-1]
	off.Enabled = false
	g.Put(&off)
	g.Get("/", "User", "joe")
	waitFor(t, func() bool { return strings.Contains(peek(&seen), ".p") })
	if got := seen.take(); !strings.HasPrefix(got, "early-all proute+consumer ") {
		t.Errorf("with the last one off: %s", got)
	}
}

func peek(t *traces) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.all, " ")
}

func TestPluginsThatFail(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "a"))
	paths := map[string]httpproxy.PluginModule{
		"/err":   accesser("err", 1, func(*httpproxy.Exchange) error { return errors.New("oh") }),
		"/panic": accesser("panic", 1, func(*httpproxy.Exchange) error { panic("oh") }),
		"/late":  responder("late", 1, func(*httpproxy.Exchange) error { return errors.New("oh") }),
		"/new": {Name: "new", New: func(httpproxy.PluginOptions) (httpproxy.Plugin, error) {
			return nil, errors.New("oh")
		}},
	}
	var modules []httpproxy.PluginModule
	for _, m := range paths {
		modules = append(modules, m)
	}
	g := gatewaytest.Start(t, httpproxy.Options{Modules: modules}, gatewaytest.All(s))
	for path, m := range paths {
		r := gatewaytest.Route(s, path)
		err := g.Update(httpproxy.Update{Put: gatewaytest.All(r, gatewaytest.Plugin(m.Name, "{}", r))})
		if (err != nil) != (path == "/new") {
			t.Errorf("%s: %v", path, err)
		}
		wantMessage(t, g.Get(path, "Accept", "*/*"), http.StatusInternalServerError, "An unexpected error occurred")
	}
	// A plugin that nobody knows guards something, perhaps.
	r := gatewaytest.Route(s, "/unknown")
	var e *httpproxy.EntityError
	p := gatewaytest.Plugin("unknown", "{}", r)
	if err := g.Update(httpproxy.Update{Put: gatewaytest.All(r, p)}); !errors.As(err, &e) || e.ID != p.ID {
		t.Errorf("an unknown plugin: %v", err)
	}
	wantMessage(t, g.Get("/unknown", "Accept", "*/*"), http.StatusInternalServerError, "An unexpected error occurred")
}

func TestPluginsChangeRequests(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "a") + "/base")
	r := gatewaytest.Route(s, "~/u/(?<name>[a-z]+)/([0-9]+)")
	g := gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{
		accesser("change", 1, func(x *httpproxy.Exchange) error {
			body, err := x.Request.ReadBody(100)
			if err != nil {
				return err
			}
			name, _ := x.Captures.Named("name")
			x.Request.SetBody([]byte(string(body) + " and " + name + x.Captures.Numbered[2]))
			x.Request.Method = http.MethodPut
			x.Request.Header.Set("X-New", "1")
			x.Upstream.Path, x.Upstream.Query, x.Upstream.HasQuery = "/other path", "z=1", true
			x.Upstream.HostHeader = "elsewhere.example"
			return nil
		}),
		responder("answer", 1, func(x *httpproxy.Exchange) error {
			body, err := x.Response.ReadBody(1 << 20)
			if err != nil {
				return err
			}
			x.Response.Status = http.StatusAccepted
			x.Response.Header.Set("X-Length", fmt.Sprint(len(body) > 0))
			x.Response.SetBody(append(body, ' '))
			return nil
		}),
	}}, gatewaytest.All(s, r, gatewaytest.Plugin("change", "{}"), gatewaytest.Plugin("answer", "{}")))
	for _, base := range []string{g.URL, g.SecureURL} {
		res := g.Do(http.MethodPost, base+"/u/joe/42", "hello")
		asked := res.Asked(t)
		if res.StatusCode != http.StatusAccepted || res.Header.Get("X-Length") != "true" {
			t.Errorf("the response is %s %v", res.Status, res.Header)
		}
		if asked.Method != http.MethodPut || asked.Body != "hello and joe42" || asked.Target != "/other%20path?z=1" ||
			asked.Host != "elsewhere.example" || asked.Header["X-New"] == nil {
			t.Errorf("it was asked %+v", asked)
		}
	}
}

func TestView(t *testing.T) {
	joe, ann := gatewaytest.Consumer("joe", "42"), gatewaytest.Consumer("ann", "")
	key := gatewaytest.Key(joe, "k")
	group := gatewaytest.Group(joe, "zebras")
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(joe, ann, key, gatewaytest.Password(ann, "u", "p"),
		gatewaytest.Secret(joe, "iss", "s"), group, gatewaytest.Group(joe, "ants")))
	v := g.View()
	for shown, want := range map[string]*entity.Consumer{"joe": joe, "42": joe, joe.ID.String(): joe, "ann": ann, "": nil, "x": nil} {
		if got := v.Consumer(shown); got != want {
			t.Errorf("%q is %+v", shown, got)
		}
	}
	for kind, shown := range map[entity.CredentialKind]string{entity.KeyAuth: "k", entity.BasicAuth: "u", entity.JWT: "iss"} {
		if v.Credential(kind, shown) == nil || v.Credential(kind, "x") != nil {
			t.Errorf("%s %s", kind, shown)
		}
	}
	if got := fmt.Sprint(v.Groups(joe.ID), v.Groups(ann.ID)); got != "[ants zebras] []" {
		t.Errorf("the groups are %s", got)
	}
	// Names that are exchanged in one change, a key that goes, a group as well.
	joe2, ann2 := *joe, *ann
	joe2.Username, ann2.Username = "ann", "joe"
	if err := g.Update(httpproxy.Update{
		Put: gatewaytest.All(&joe2, &ann2), Remove: []httpproxy.Key{{Kind: "key-auths", ID: key.ID}, {Kind: "acls", ID: group.ID}},
	}); err != nil {
		t.Fatal(err)
	}
	v = g.View()
	if v.Consumer("joe") != &ann2 || v.Consumer("ann") != &joe2 || v.Credential(entity.KeyAuth, "k") != nil {
		t.Error("the change is not in effect")
	}
	if got := fmt.Sprint(v.Groups(joe.ID)); got != "[ants]" {
		t.Errorf("the groups are %s", got)
	}
	if err := g.Update(httpproxy.Update{Reset: true, Put: gatewaytest.All(&ann2)}); err != nil {
		t.Fatal(err)
	}
	v = g.View()
	if v.Consumer("ann") != nil || v.Consumer("joe") != &ann2 || v.Groups(joe.ID) != nil || v.Credential(entity.JWT, "iss") != nil {
		t.Error("a reset has left something")
	}
}

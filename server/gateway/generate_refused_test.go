package gateway_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/server/gateway"
)

// refusals are the owners that a generation refuses, in order, with why.
func refusals(t *testing.T, w *world, gen gateway.Generation) []string {
	t.Helper()
	out, err := w.Generate(t.Context(), gen, nil)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(out.Refused)) {
		list = append(list, name+": "+out.Refused[name].Error())
	}
	return list
}

// with is an owner with some more.
func with(o gateway.Owner, more ...gateway.OwnedEntity) gateway.Owner {
	o.Entities = append(slices.Clone(o.Entities), more...)
	return o
}

// TestRefusedOwners: who is to have what others have is refused alone, and
// keeps what it has.
func TestRefusedOwners(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		made(t, w, "CreateService", `{"name":"users","host":"h"}`)
		taken := made(t, w, "CreateRoute", `{"name":"taken","paths":["/"]}`)
		generate(t, w, generation(api("a", "x")))
		settled := w.plane.state(t)
		id := generatedID("a", "more")
		service := object{"id": generatedID("a", "service")}
		for name, tt := range map[string]struct {
			more gateway.OwnedEntity
			want string
		}{
			"a name of users":   {owned("services", object{"id": id, "name": "users", "host": "h"}), `UNIQUE violation detected on '{name="users"}'`},
			"an id of users":    {owned("routes", object{"id": taken, "paths": []any{"/"}}), "primary key violation"},
			"its own id":        {owned("services", object{"id": generatedID("a", "service"), "host": "h"}), "primary key violation"},
			"its own name":      {owned("services", object{"id": id, "name": "a", "host": "h"}), "UNIQUE violation"},
			"a second plugin":   {owned("plugins", object{"id": id, "name": "limiter", "service": service}), "UNIQUE violation"},
			"what is not there": {owned("routes", object{"id": id, "paths": []any{"/"}, "service": object{"id": id}}), "does not reference an existing 'services' entity"},
			"what goes":         {owned("routes", object{"id": id, "paths": []any{"/"}, "service": object{"id": generatedID("b", "service")}}), "does not reference"},
			"a faulty document": {owned("routes", object{"id": id, "paths": []any{"no path"}}), "schema violation"},
			"an unknown plugin": {owned("plugins", object{"id": id, "name": "unknown"}), "not enabled"},
			"no id":             {owned("routes", object{"paths": []any{"/"}}), "expected a valid UUID"},
			"what users make":   {owned("consumers", object{"id": id, "username": "ann"}), "they are not generated"},
		} {
			generate(t, w, generation(api("a", "x"), api("b")))
			got := refusals(t, w, generation(with(api("a", "x", "y"), tt.more), api("c")))
			if len(got) != 1 || !strings.HasPrefix(got[0], "test:a: ") || !strings.Contains(got[0], tt.want) {
				t.Errorf("%s: refused are %q", name, got)
			}
			generate(t, w, generation(api("a", "x")))
			if !maps.Equal(w.plane.state(t), settled) {
				t.Errorf("%s: left is %v, not %v", name, w.plane.state(t), settled)
			}
		}
		for _, gen := range []gateway.Generation{generation(api("a"), api("a")), generation(gateway.Owner{})} {
			if _, err := w.Generate(t.Context(), gen, nil); err == nil {
				t.Error("owners without a name of their own pass")
			}
		}
	})
}

// TestYields: what gives way is not made beside what a user has made, and is
// made once that has gone.
func TestYields(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		generate(t, w, generation(api("a")))
		service := object{"id": generatedID("a", "service")}
		const name = "limiter"
		for list := must(t, w, "ListPlugins", `{}`)["data"].([]any); len(list) > 0; list = list[1:] {
			must(t, w, "DeletePlugin", `{"id":"`+list[0].(object)["id"].(string)+`"}`)
		}
		own := made(t, w, "CreatePlugin", `{"name":"`+name+`","service":{"id":"`+service["id"].(string)+`"}}`)
		plugin := owned("plugins", object{"id": generatedID("a", "yields"), "name": name, "service": service})
		plugin.Yields = true
		bare := api("a")
		bare.Entities = slices.DeleteFunc(bare.Entities, func(e gateway.OwnedEntity) bool { return e.Collection == "plugins" })
		generate(t, w, generation(with(bare, plugin)))
		if got := must(t, w, "ListPlugins", `{}`)["data"].([]any); len(got) != 1 || got[0].(object)["id"] != own {
			t.Errorf("beside the user's: %v", got)
		}
		must(t, w, "DeletePlugin", `{"id":"`+own+`"}`)
		generate(t, w, generation(with(bare, plugin)))
		if got := must(t, w, "ListPlugins", `{}`)["data"].([]any); len(got) != 1 || got[0].(object)["id"] != generatedID("a", "yields") {
			t.Errorf("without the user's: %v", got)
		}
	})
}

// TestNamesMove: names that owners give up are free for others in the same
// generation, but not those of owners that are refused.
func TestNamesMove(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		made(t, w, "CreateService", `{"name":"users","host":"h"}`)
		named := func(owner, name string) gateway.Owner {
			return gateway.Owner{Name: owner, Entities: []gateway.OwnedEntity{
				owned("services", object{"id": generatedID(owner, "service"), "name": name, "host": "h"}),
			}}
		}
		name := func(owner string) any {
			return must(t, w, "GetService", `{"id":"`+generatedID(owner, "service")+`"}`)["name"]
		}
		generate(t, w, generation(named("a", "one"), named("b", "two")))
		generate(t, w, generation(named("a", "two"), named("b", "one")))
		if name("a") != "two" || name("b") != "one" {
			t.Errorf("swapped: %v and %v", name("a"), name("b"))
		}
		generate(t, w, generation(named("c", "two"), named("b", "three")))
		if name("c") != "two" || name("b") != "three" {
			t.Errorf("taken over: %v and %v", name("c"), name("b"))
		}
		got := refusals(t, w, generation(named("a", "one"), named("b", "one")))
		if len(got) != 1 || !strings.HasPrefix(got[0], "b: UNIQUE violation") || name("a") != "one" || name("b") != "three" {
			t.Errorf("both the same: %q", got)
		}
		// b keeps three, as it cannot have what it is to have.
		got = refusals(t, w, generation(named("a", "three"), named("b", "users"), named("d", "four")))
		if len(got) != 2 || name("a") != "one" || name("b") != "three" || name("d") != "four" {
			t.Errorf("one after the other: %q", got)
		}
	})
}

// TestPages: pages are stored and served, with those that are always there.
func TestPages(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		paths := func() []string { return slices.Sorted(maps.Keys(w.plane.pages)) }
		if w.plane.pages == nil || len(paths()) > 0 {
			t.Errorf("at first there are %v", w.plane.pages)
		}
		gen := generation(api("a", "x"))
		generate(t, w, gen)
		if len(paths()) > 0 {
			t.Errorf("none are stored, and there are %v", paths())
		}
		gen.Pages = []*entity.Page{{Path: "/openapi.json", ContentType: "application/json", Body: []byte("{}")}}
		generate(t, w, gen)
		if p := w.plane.pages["/openapi.json"]; !slices.Equal(paths(), []string{"/docs/", "/openapi.json"}) || string(p.Body) != "{}" || p.ContentType != "application/json" || len(p.ETag) != 66 {
			t.Errorf("pages are %v", w.plane.pages)
		}
		if p := w.plane.pages["/docs/"]; p == nil || p.Header["X-Page"] != "docs" {
			t.Errorf("the page that is always there is %v", p)
		}
		before := traces(t, w)
		generate(t, w, gen)
		generate(t, w, generation(api("a", "x")))
		if got := traces(t, w); got != before || len(paths()) != 2 {
			t.Errorf("the same and none: traces %v, were %v", got, before)
		}
		gen.Pages = []*entity.Page{{Path: "/openapi.json", ContentType: "text/plain", Body: []byte("{}")}, {Path: "/second", Body: make([]byte, 5<<20), ETag: `"5"`}}
		generate(t, w, gen)
		if p := w.plane.pages; len(p) != 3 || p["/openapi.json"].ContentType != "text/plain" || len(p["/second"].Body) != 5<<20 || p["/second"].ETag != `"5"` {
			t.Errorf("pages are %v", paths())
		}
		fresh := &plane{}
		if err := w.Start(t.Context(), fresh); err != nil || len(fresh.pages) != 3 {
			t.Errorf("a data plane that starts has %d pages, %v", len(fresh.pages), err)
		}
		if err := w.Start(t.Context(), w.plane); err != nil {
			t.Fatal(err)
		}
		gen.Pages = []*entity.Page{}
		if generate(t, w, gen); w.plane.pages == nil || len(paths()) > 0 {
			t.Errorf("in the end there are %v", paths())
		}
	})
}

// TestGeneratedIsNotDeclared: documents are of what users made.
func TestGeneratedIsNotDeclared(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", t.TempDir())
	generate(t, w, generation(api("a", "x")))
	settled := w.plane.state(t)
	must(t, w, "CreatePlugin", `{"route":"a.x","document":{"name":"limiter"}}`)
	made(t, w, "CreateService", `{"name":"users","host":"h"}`)
	text := dump(t, w)
	if strings.Contains(text, "h.test") || strings.Contains(text, marker) || !strings.Contains(text, "route: a.x") || !strings.Contains(text, "name: users") {
		t.Errorf("the document is\n%s", text)
	}
	same(t, "what is so", applied(t, w, text))
	same(t, "without what users made", applied(t, w, `{"_format_version":"3.0"}`), "delete plugin limiter of route a.x", "delete service users")
	if !maps.Equal(w.plane.state(t), settled) {
		t.Errorf("left is %v", w.plane.state(t))
	}
}

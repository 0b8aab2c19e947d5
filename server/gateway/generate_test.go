package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/server/gateway"
	"github.com/backplane/backplane/server/store"
)

// generatedID is the id of what a key of an owner becomes.
func generatedID(owner, key string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(owner+" "+key)).String()
}

func owned(collection string, doc object) gateway.OwnedEntity {
	return gateway.OwnedEntity{Collection: collection, Doc: doc}
}

// api is an owner of a service of that name, with a route for each path and a
// plugin on the service and on the first route.
func api(name string, paths ...string) gateway.Owner {
	id := func(key string) string { return generatedID(name, key) }
	service := object{"id": id("service")}
	o := gateway.Owner{Name: "test:" + name, Entities: []gateway.OwnedEntity{
		owned("services", object{"id": id("service"), "name": name, "host": "h.test"}),
		owned("plugins", object{"id": id("limiter"), "name": "limiter", "service": service, "config": object{"redis": object{"password": marker}}}),
	}}
	for i, path := range paths {
		o.Entities = append(o.Entities, owned("routes", object{
			"id": id("route " + path), "name": name + "." + path, "service": service, "paths": []any{"/" + name + "/" + path}, "tags": []any{"made", name},
		}))
		if i == 0 {
			o.Entities = append(o.Entities, owned("plugins", object{"id": id("login"), "name": "login", "route": object{"id": id("route " + path)}}))
		}
	}
	return o
}

// generation is all that there is to be.
func generation(owners ...gateway.Owner) gateway.Generation {
	return gateway.Generation{Action: "RefreshServices", Owners: owners, Whole: true}
}

// generate makes a generation of which none is refused, and tells how many
// routes it added, changed and removed.
func generate(t *testing.T, w *world, gen gateway.Generation) string {
	t.Helper()
	out, err := w.Generate(t.Context(), gen, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range out.Refused {
		t.Errorf("%s is refused: %v", name, err)
	}
	return fmt.Sprint(out.RoutesAdded, out.RoutesChanged, out.RoutesRemoved)
}

// traces are what a change leaves: the revision, the records, and how often the
// data plane was told.
func traces(t *testing.T, w *world) [3]int {
	t.Helper()
	revision, _, err := w.store.CurrentRevision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	records, err := w.store.AuditRecord.Query().Count(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return [3]int{int(revision), records, w.plane.toldTimes()}
}

// checkServed checks that the data plane has exactly what the store has.
func checkServed(t *testing.T, w *world) {
	t.Helper()
	before := w.plane.state(t)
	fresh := &plane{}
	if err := w.Start(t.Context(), fresh); err != nil {
		t.Fatal(err)
	}
	if after := fresh.state(t); !maps.Equal(before, after) {
		t.Errorf("the data plane has %d entities, which are not the %d of the store", len(before), len(after))
	}
	if err := w.Start(t.Context(), w.plane); err != nil {
		t.Fatal(err)
	}
}

// everywhere runs a test on stores of every kind.
func everywhere(t *testing.T, test func(*testing.T, *world)) {
	t.Helper()
	t.Parallel()
	for name, fresh := range stores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, fresh(t), t.TempDir())
			test(t, w)
			checkServed(t, w)
		})
	}
}

// TestGenerate: entities become what they are to be, and what is so already is
// not touched.
func TestGenerate(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		before := traces(t, w)
		got := generate(t, w, generation(api("a", "x", "y"), api("b", "z")))
		after := traces(t, w)
		if want := [3]int{before[0] + 1, before[1] + 1, before[2] + 1}; got != "3 0 0" || after != want {
			t.Errorf("routes %s, and traces %v, want %v", got, after, want)
		}
		holds(t, "a service", must(t, w, "GetService", `{"id":"a"}`), `{"id":"`+generatedID("a", "service")+`","host":"h.test","retries":5}`)
		if list := data(must(t, w, "ListRoutes", `{"service":"a"}`)); len(list) != 2 {
			t.Errorf("routes are %v", list)
		}
		if list := data(must(t, w, "ListRoutes", `{"tags":"made,b"}`)); len(list) != 1 || list[0]["name"] != "b.z" {
			t.Errorf("routes by tags are %v", list)
		}
		made := must(t, w, "GetRoute", `{"id":"a.x"}`)["created_at"]
		for range 2 {
			if got := generate(t, w, generation(api("b", "z"), api("a", "x", "y"))); got != "0 0 0" || traces(t, w) != after {
				t.Errorf("nothing is to be done: routes %s, traces %v, were %v", got, traces(t, w), after)
			}
		}
		other := api("a", "x", "y")
		other.Entities[2].Doc["paths"] = []any{"/other"}
		if got := generate(t, w, generation(other, api("b", "z", "new"))); got != "1 1 0" || w.plane.last != 2 {
			t.Errorf("routes %s, and the data plane was told of %d", got, w.plane.last)
		}
		if r := must(t, w, "GetRoute", `{"id":"a.x"}`); r["created_at"] != made || fmt.Sprint(r["paths"]) != "[/other]" {
			t.Errorf("a changed route is %v, was made at %v", r, made)
		}
		if got := generate(t, w, gateway.Generation{Action: "x", Owners: []gateway.Owner{api("b")}}); got != "0 0 2" {
			t.Errorf("one owner alone: %s", got)
		}
		if got := generate(t, w, generation(api("b"))); got != "0 0 2" || w.plane.last != 5 {
			t.Errorf("an owner that goes: routes %s, told of %d", got, w.plane.last)
		}
		if got := len(w.plane.state(t)); got != 2 {
			t.Errorf("%d entities are left", got)
		}
		checkRecords(t, w)
	})
}

// checkRecords checks what the audit trail says of generations.
func checkRecords(t *testing.T, w *world) {
	t.Helper()
	all, err := w.store.AuditRecord.Query().All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range map[int]string{
		0: `[{"field":"test:a","after":"{\"added\":5,\"changed\":0,\"removed\":0}"},{"field":"test:b","after":"{\"added\":4,\"changed\":0,\"removed\":0}"}]`,
		1: `[{"field":"test:a","after":"{\"added\":0,\"changed\":1,\"removed\":0}"},{"field":"test:b","after":"{\"added\":1,\"changed\":0,\"removed\":0}"}]`,
	} {
		if r := all[i]; r.Action != "RefreshServices" || r.ResourceKind != "gateway_generation" || r.Changes != want {
			t.Errorf("record %d is %s %s %s", i, r.Action, r.ResourceKind, r.Changes)
		}
	}
}

// TestGeneratedAndUsers: what users change is set right, and what they attached
// goes as when they remove what it is attached to.
func TestGeneratedAndUsers(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		whole := generation(api("a", "x", "y"), api("b", "z"))
		generate(t, w, whole)
		settled := w.plane.state(t)
		must(t, w, "UpdateRoute", `{"id":"a.x","document":{"name":"mine","methods":["GET"]}}`)
		must(t, w, "UpdateRoute", `{"id":"a.y","document":{"name":"a.x"}}`)
		must(t, w, "UpsertService", `{"id":"b","document":{"host":"other.test"}}`)
		must(t, w, "UpdatePlugin", `{"id":"`+generatedID("a", "limiter")+`","document":{"config":{"redis":{"password":"other"}}}}`)
		must(t, w, "DeleteRoute", `{"id":"b.z"}`)
		if got := generate(t, w, whole); got != "1 2 0" || !maps.Equal(withoutTimes(w.plane.state(t)), withoutTimes(settled)) {
			t.Errorf("after what users did: %s\n%v\nwas\n%v", got, w.plane.state(t), settled)
		}
		var ids []string
		for _, method := range []string{"GetRoute a.x", "GetRoute a.y", "GetRoute b.z", "GetService b"} {
			method, id, _ := strings.Cut(method, " ")
			ids = append(ids, must(t, w, method, `{"id":"`+id+`"}`)["id"].(string))
		}
		want := []string{generatedID("a", "route x"), generatedID("a", "route y"), generatedID("b", "route z"), generatedID("b", "service")}
		if !slices.Equal(ids, want) {
			t.Errorf("ids are %v, want %v", ids, want)
		}

		made(t, w, "CreateRoute", `{"name":"mine","paths":["/mine"],"service":{"name":"b"}}`)
		onMine := must(t, w, "CreatePlugin", `{"route":"mine","document":{"name":"limiter"}}`)["id"].(string)
		onRoute := must(t, w, "CreatePlugin", `{"route":"a.y","document":{"name":"limiter"}}`)["id"].(string)
		onService := must(t, w, "CreatePlugin", `{"service":"b","document":{"name":"login"}}`)["id"].(string)
		if got := generate(t, w, generation(api("a", "x"))); got != "0 0 2" {
			t.Errorf("routes %s", got)
		}
		for id, there := range map[string]bool{onMine: true, onRoute: false, onService: false} {
			if got := w.plane.of(httpproxy.Plugins, id) != nil; got != there {
				t.Errorf("plugin %s is there: %t", id, got)
			}
		}
		holds(t, "a route of users", must(t, w, "GetRoute", `{"id":"mine"}`), `{"service":null,"paths":["/mine"]}`)
		checkServed(t, w)
		generate(t, w, gateway.Generation{Action: "x", Whole: true})
		if got := len(w.plane.state(t)); got != 2 {
			t.Errorf("%d entities are left: %v", got, w.plane.state(t))
		}
	})
}

var createdAt = regexp.MustCompile(`"created_at":[0-9]+,`)

// withoutTimes are entities without when they were made.
func withoutTimes(state map[string]string) map[string]string {
	out := map[string]string{}
	for key, text := range state {
		out[key] = createdAt.ReplaceAllString(text, "")
	}
	return out
}

// TestGenerationsTogether: several at once, and one of which a part fails.
func TestGenerationsTogether(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		failed := errors.New("as it must")
		before := traces(t, w)
		page := &entity.Page{Path: "/openapi.json", ContentType: "application/json", Body: []byte("{}")}
		gen := generation(api("a", "x"))
		gen.Pages = []*entity.Page{page}
		_, err := w.Generate(t.Context(), gen, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.RegisteredService.Query().Count(ctx)
			return errors.Join(err, failed)
		})
		if !errors.Is(err, failed) || traces(t, w) != before || len(w.plane.state(t)) > 0 || len(w.plane.pages) > 0 {
			t.Errorf("%v: traces %v, were %v", err, traces(t, w), before)
		}
		if got := generate(t, w, gen); got != "1 0 0" {
			t.Errorf("then: %s", got)
		}
		done := make(chan error)
		for i := range 4 {
			go func() {
				_, err := w.Generate(t.Context(), generation(api("a", "x"), api("b", fmt.Sprint(i%2))), nil)
				done <- err
			}()
			go func() {
				_, err := w.Generate(t.Context(), generation(api("a", "x", "y")), func(ctx context.Context, tx *store.Tx) error {
					_, err := tx.RegisteredService.Query().Count(ctx)
					return err
				})
				done <- err
			}()
		}
		for range 8 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		generate(t, w, generation(api("a", "x")))
		if got := len(w.plane.state(t)); got != 4 {
			t.Errorf("%d entities are left", got)
		}
	})
}

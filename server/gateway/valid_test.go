package gateway_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"google.golang.org/grpc/status"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/server/gateway"
)

// unlucky makes no instances for some values that the schema lets pass.
func unlucky(o httpproxy.PluginOptions) (httpproxy.Plugin, error) {
	switch {
	case strings.Contains(string(o.Config), `"minute":13`):
		return nil, &httpproxy.ConfigError{Field: "minute", Err: errors.New("must not be 13")}
	case strings.Contains(string(o.Config), `"minute":14`):
		return nil, errors.New("there is no 14th floor")
	}
	return struct{}{}, nil
}

// TestPluginsThatCannotBeMade: what passes the schema and cannot be made is
// refused, and nothing changes.
func TestPluginsThatCannotBeMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", t.TempDir())
	old := made(t, w, "CreatePlugin", `{"name":"limiter","config":{"minute":13}}`)
	made(t, w, "CreateService", `{"name":"s","host":"h"}`)
	w.Modules[0].New = unlucky
	good := must(t, w, "CreatePlugin", `{"service":"s","document":{"name":"limiter","config":{"minute":1}}}`)["id"].(string)
	before := w.plane.state(t)
	const minute, floor = `schema violation (config.minute: must not be 13)`, `schema violation (config: the plugin cannot be made of it: there is no 14th floor)`
	for _, tt := range []refusal{
		{"CreatePlugin", `{"document":{"name":"limiter","service":{"name":"s"},"config":{"minute":13}}}`, minute},
		{"CreatePlugin", `{"service":"s","document":{"name":"limiter","config":{"minute":14}}}`, floor},
		{"UpsertPlugin", `{"id":"` + absentID + `","document":{"name":"limiter","config":{"minute":13}}}`, minute},
		{"UpdatePlugin", `{"id":"` + good + `","document":{"config":{"minute":13}}}`, minute},
		{"UpdatePlugin", `{"id":"` + good + `","document":{"enabled":false,"config":{"minute":14}}}`, floor},
		{"ValidateEntity", `{"entity":"plugins","document":{"name":"limiter","config":{"minute":13}}}`, minute},
	} {
		a := call(t, w, tt.method, tt.request)
		if got, want := said(a), "InvalidArgument 2 schema violation: "+tt.want; got != want {
			t.Errorf("%s %s:\n got %s\nwant %s", tt.method, tt.request, got, want)
		}
		if a.detail != nil && a.detail.GetFields().AsMap()["config"] == nil {
			t.Errorf("%s %s: the fields are %v", tt.method, tt.request, a.detail.GetFields())
		}
	}
	if !maps.Equal(w.plane.state(t), before) {
		t.Error("the data plane has something else than before")
	}
	// One that is there already may be changed in other ways, or be put right.
	must(t, w, "UpdatePlugin", `{"id":"`+old+`","document":{"tags":["a"]}}`)
	must(t, w, "UpdatePlugin", `{"id":"`+old+`","document":{"enabled":false}}`)
	if got := said(call(t, w, "UpdatePlugin", `{"id":"`+old+`","document":{"enabled":true}}`)); !strings.Contains(got, minute) {
		t.Errorf("one that cannot be made is put in force again: %s", got)
	}
	must(t, w, "UpdatePlugin", `{"id":"`+old+`","document":{"enabled":true,"config":{"minute":12}}}`)
}

// TestStoredPluginsThatCannotBeMade: what was stored before is loaded, and so is
// the rest.
func TestStoredPluginsThatCannotBeMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", t.TempDir())
	id := made(t, w, "CreatePlugin", `{"name":"limiter","config":{"minute":13}}`)
	made(t, w, "CreateService", `{"name":"s","host":"h"}`)
	w.Modules[0].New = unlucky
	later := &plane{}
	if err := w.Start(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	if p, ok := later.of(httpproxy.Plugins, id).(*entity.Plugin); !ok || p.Name != "limiter" || len(later.state(t)) != 2 {
		t.Errorf("after a start there is %v", later.state(t))
	}
	// A document that has it as it is changes nothing; one with more of it is refused.
	text := dump(t, w)
	same(t, "the same document", applied(t, w, text))
	_, err := declare(t, w, strings.Replace(text, "minute: 13", "minute: 14", 1), false)
	if got := fmt.Sprint(status.Convert(err).Details()); !strings.Contains(got, "no 14th floor") {
		t.Errorf("a document with what cannot be made: %v: %s", err, got)
	}
}

// TestGeneratedPluginsThatCannotBeMade: their owner is refused alone.
func TestGeneratedPluginsThatCannotBeMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", t.TempDir())
	w.Modules[0].New = unlucky
	o := gateway.Owner{Name: "a", Entities: []gateway.OwnedEntity{
		owned("plugins", parse(t, `{"id":"`+absentID+`","name":"limiter","config":{"minute":13}}`)),
	}}
	out, err := w.Generate(t.Context(), generation(o), nil)
	if err != nil || out.Refused["a"] == nil || !strings.Contains(out.Refused["a"].Error(), "config.minute") || len(w.plane.state(t)) != 0 {
		t.Errorf("%v, %v", out, err)
	}
}

package gateway_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// TestStores is one suite for every kind of store. Its parts have names of
// their own.
func TestStores(t *testing.T) {
	t.Parallel()
	for name, fresh := range stores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, fresh(t), t.TempDir())
			for _, part := range []struct {
				name string
				run  func(*testing.T, *world)
			}{
				{"entities", everyEntity}, {"keys", upserts}, {"nulls", patches}, {"nested", nestedForms}, {"parents", parents}, {"cascades", cascades},
				{"pages", pages}, {"tags", tags}, {"certificates", certificates}, {"odd names", oddNames}, {"one id", oneID}, {"authorities", authorities},
			} {
				t.Run(part.name, func(t *testing.T) { part.run(t, w) })
			}
			t.Run("start", func(t *testing.T) { startsAsItWas(t, w) })
		})
	}
}

// life is an entity from its making to its end.
type life struct {
	singular, plural string
	collection       string
	in               string // selector of the parent, as JSON
	document, filled string // what is sent, and part of what is shown
	key              string // what else it is named by; "" for nothing
	change, changed  string
	replace          string // what it is replaced with; its key stays
}

// everyEntity makes, shows, lists, changes, replaces and removes one of each
// kind.
func everyEntity(t *testing.T, w *world) {
	made(t, w, "CreateUpstream", `{"name":"parent.test"}`)
	made(t, w, "CreateConsumer", `{"username":"parent"}`)
	cert, key := pair(t)
	certificate := made(t, w, "CreateCertificate", fmt.Sprintf(`{"cert":%q,"key":%q}`, cert, key))
	authority := ca(t)
	for _, l := range []life{
		{"Service", "Services", "services", "", `{"name":"life","host":"h.test"}`,
			`{"retries":5,"protocol":"http","port":80,"connect_timeout":"60000","enabled":true}`, "life", `{"port":81,"path":"/p"}`, `{"port":81,"path":"/p","host":"h.test"}`, `{"host":"g.test"}`},
		{"Route", "Routes", "routes", "", `{"name":"life","paths":["/a"]}`, `{"protocols":["http","https"],"strip_path":true,"path_handling":"v0","https_redirect_status_code":426}`,
			"life", `{"hosts":["h.test"]}`, `{"hosts":["h.test"],"paths":["/a"]}`, `{"paths":["/b"]}`},
		{"Upstream", "Upstreams", "upstreams", "", `{"name":"life.test"}`, `{"algorithm":"round-robin","slots":10000,"hash_on":"none","use_srv_name":false}`,
			"life.test", `{"hash_on":"ip"}`, `{"hash_on":"ip","algorithm":"consistent-hashing"}`, `{"slots":11}`},
		{"Target", "Targets", "targets", `"upstream":"parent.test"`, `{"target":"h"}`, `{"target":"h:8000","weight":100}`, "h:8000", `{"weight":1}`, `{"weight":1,"target":"h:8000"}`, `{"weight":2}`},
		{"CaCertificate", "CaCertificates", "ca_certificates", "", fmt.Sprintf(`{"cert":%q}`, authority), fmt.Sprintf(`{"cert_digest":%q}`, entity.Digest(authority)),
			"", `{"tags":["x"]}`, `{"tags":["x"]}`, fmt.Sprintf(`{"cert":%q}`, authority)},
		{"Sni", "Snis", "snis", "", `{"name":"life.test","certificate":{"id":"` + certificate + `"}}`, `{"name":"life.test"}`,
			"life.test", `{"tags":["x"]}`, `{"tags":["x"]}`, `{"certificate":{"id":"` + certificate + `"}}`},
		{"Plugin", "Plugins", "plugins", "", `{"name":"limiter","instance_name":"life"}`, `{"enabled":true,"protocols":["grpc","grpcs","http","https"],"config":{"minute":null,"names":["a"],"redis":{"port":6379,"password":null}}}`,
			"life", `{"config":{"minute":3,"redis":{"port":1}}}`, `{"config":{"minute":3,"names":["a"],"redis":{"port":1,"password":null}}}`, `{"name":"limiter","config":{"minute":4}}`},
		{"Consumer", "Consumers", "consumers", "", `{"username":"life"}`, `{"username":"life"}`, "life", `{"custom_id":"c"}`, `{"custom_id":"c","username":"life"}`, `{"custom_id":"d"}`},
		{"KeyAuth", "KeyAuths", "key-auths", `"consumer":"parent"`, `{"key":"life"}`, `{}`, "life", `{"ttl":5}`, `{"ttl":"5"}`, `{"ttl":6}`},
		{"BasicAuth", "BasicAuths", "basic-auths", `"consumer":"parent"`, `{"username":"life","password":"p"}`, `{"username":"life"}`, "life", `{"tags":["x"]}`, `{"tags":["x"]}`, `{"password":"q"}`},
		{"Jwt", "Jwts", "jwts", `"consumer":"parent"`, `{"key":"life"}`, `{"algorithm":"HS256","key":"life"}`, "life", `{"algorithm":"HS512"}`, `{"algorithm":"HS512"}`, `{"algorithm":"HS384"}`},
		{"ACL", "ACLs", "acls", `"consumer":"parent"`, `{"group":"life"}`, `{"group":"life"}`, "life", `{"tags":["x"]}`, `{"tags":["x"]}`, `{"tags":["y"]}`},
	} {
		t.Run(l.collection, func(t *testing.T) { live(t, w, l) })
	}
}

func live(t *testing.T, w *world, l life) {
	request := func(parts ...string) string {
		return "{" + strings.Join(slices.DeleteFunc(append(parts, l.in), func(s string) bool { return s == "" }), ",") + "}"
	}
	o := must(t, w, "Create"+l.singular, request(`"document":`+l.document))
	id, _ := o["id"].(string)
	holds(t, "made", o, l.filled)
	if _, err := uuid.Parse(id); err != nil || o["created_at"] == nil {
		t.Errorf("made %v", o)
	}
	keys := []string{id, strings.ToUpper(id)}
	if l.key != "" {
		keys = append(keys, l.key)
	}
	for _, key := range keys {
		if got := must(t, w, "Get"+l.singular, request(fmt.Sprintf(`"id":%q`, key))); fmt.Sprint(got) != fmt.Sprint(o) {
			t.Errorf("got %v by %s, made %v", got, key, o)
		}
	}
	all := data(must(t, w, "List"+l.plural, request()))
	if !slices.ContainsFunc(all, func(e object) bool { return e["id"] == id }) {
		t.Errorf("it is not in the list %v", all)
	}
	kind := httpproxy.Kind(l.collection)
	was := fmt.Sprintf("%+v", w.plane.of(kind, id))
	for _, key := range keys {
		holds(t, "changed", must(t, w, "Update"+l.singular, request(fmt.Sprintf(`"id":%q,"document":%s`, key, l.change))), l.changed)
	}
	if w.plane.of(kind, id) == nil || w.plane.last != 1 {
		t.Errorf("the data plane was told of %d things", w.plane.last)
	}
	o = must(t, w, "Upsert"+l.singular, request(fmt.Sprintf(`"id":%q,"document":%s`, keys[len(keys)-1], l.replace)))
	if o["id"] != id || l.key != "" && !strings.Contains(fmt.Sprint(o), l.key) && l.collection != "key-auths" {
		t.Errorf("replaced %v", o)
	}
	for range 2 { // what is not there can be deleted, but for targets and below something
		a := call(t, w, "Delete"+l.singular, request(`"id":"`+id+`"`))
		if a.err != nil && (w.plane.of(kind, id) != nil || l.in == "") {
			t.Errorf("delete: %v", a.err)
		}
		if w.plane.of(kind, id) != nil {
			t.Errorf("the data plane still has what was %s", was)
		}
	}
	if got := said(call(t, w, "Get"+l.singular, request(`"id":"`+id+`"`))); !strings.HasPrefix(got, "NotFound") {
		t.Errorf("after the end: %s", got)
	}
}

// upserts: by an id or a name that is there or not.
func upserts(t *testing.T, w *world) {
	o := must(t, w, "UpsertService", `{"id":"`+absentID+`","document":{"name":"up","host":"h","port":7,"tags":["a"],"created_at":5}}`)
	holds(t, "made by id", o, `{"id":"`+absentID+`","name":"up","port":7,"tags":["a"],"created_at":"5"}`)
	o = must(t, w, "UpsertService", `{"id":"`+absentID+`","document":{"id":"`+uuid.NewString()+`","host":"g"}}`)
	holds(t, "replaced by id", o, `{"id":"`+absentID+`","host":"g","port":80,"name":null,"tags":null}`)
	if o["created_at"] == "5" {
		t.Error("the time it was made stays although it was not sent")
	}
	o = must(t, w, "UpsertService", `{"id":"named","document":{"host":"h","name":"other"}}`)
	holds(t, "made by name", o, `{"name":"named"}`)
	holds(t, "replaced by name", must(t, w, "UpsertService", `{"id":"named","document":{"host":"g","retries":1}}`), `{"name":"named","host":"g","retries":1,"id":"`+o["id"].(string)+`"}`)
	holds(t, "a group by name", must(t, w, "UpsertACL", `{"consumer":"parent","id":"group","document":{}}`), `{"group":"group"}`)
	// Over gRPC, by message.
	holds(t, "by message", must(t, w, "UpsertService", `{"id":"named","service":{"url":"https://h.test/p"}}`), `{"protocol":"https","host":"h.test","port":443,"path":"/p"}`)
}

// patches: records are merged, lists replaced, null empties, and what is in the
// mask and not set is null.
func patches(t *testing.T, w *world) {
	made(t, w, "CreateService", `{"name":"patched","host":"h","path":"/p","tags":["a","b"],"retries":3}`)
	holds(t, "null", must(t, w, "UpdateService", `{"id":"patched","document":{"path":null,"retries":null,"tags":["c"]}}`), `{"path":null,"retries":null,"tags":["c"],"host":"h"}`)
	if got := said(call(t, w, "UpdateService", `{"id":"patched","document":{"host":null}}`)); !strings.HasSuffix(got, "(host: required field missing)") {
		t.Errorf("a null that may not be: %s", got)
	}
	holds(t, "set", must(t, w, "UpdateService", `{"id":"patched","service":{"path":"/q","port":5}}`), `{"path":"/q","port":5,"tags":["c"]}`)
	holds(t, "masked", must(t, w, "UpdateService", `{"id":"patched","service":{"port":6,"retries":9},"update_mask":"path,tags,port"}`), `{"path":null,"tags":null,"port":6,"retries":null}`)
	if got := said(call(t, w, "UpdateService", `{"id":"patched","service":{},"update_mask":"nonsense"}`)); !strings.Contains(got, "nonsense: unknown field") {
		t.Errorf("an unknown field in the mask: %s", got)
	}
	made(t, w, "CreateUpstream", `{"name":"patched.test","healthchecks":{"active":{"healthy":{"interval":7}}}}`)
	o := must(t, w, "UpdateUpstream", `{"id":"patched.test","document":{"healthchecks":{"active":{"timeout":3,"healthy":{"http_statuses":[201]}}}}}`)
	active := o["healthchecks"].(object)["active"].(object)
	holds(t, "merged", active, `{"timeout":3,"concurrency":"10"}`)
	holds(t, "merged below", active["healthy"].(object), `{"interval":7,"http_statuses":[201],"successes":0}`)
	o = must(t, w, "UpdateUpstream", `{"id":"patched.test","upstream":{"healthchecks":{"active":{"timeout":4}}},"update_mask":"healthchecks.active.timeout"}`)
	holds(t, "a mask that leads down", o["healthchecks"].(object)["active"].(object), `{"timeout":4,"concurrency":"10"}`)
	made(t, w, "CreatePlugin", `{"name":"limiter","instance_name":"patched","config":{"minute":1,"redis":{"password":"Zebra9"}}}`)
	o = must(t, w, "UpdatePlugin", `{"id":"patched","document":{"config":{"names":["x"],"redis":{"port":1}}}}`)
	holds(t, "config", o["config"].(object), `{"minute":1,"names":["x"]}`)
	if p := w.plane.of(httpproxy.Plugins, o["id"].(string)).(*entity.Plugin); !strings.Contains(string(p.Config), `"password":"Zebra9"`) || !strings.Contains(string(p.Config), `"port":1`) {
		t.Errorf("the data plane has %s", p.Config)
	}
	must(t, w, "DeletePlugin", `{"id":"patched"}`)
}

// oddNames: keys that stores might take for others.
func oddNames(t *testing.T, w *world) {
	long := strings.Repeat("ü", 5000)
	names := []string{"Odd", "odd", "ODD ", " odd", "odd ", "ödd", "o\u0308dd", long, long + "x", "sha256:x", "a/b?c%20", "q'\"\\;--", "😀", "nul\x00"}
	for _, name := range names {
		made(t, w, "CreateConsumer", `{"username":`+quoted(name)+`,"tags":[`+quoted(strings.NewReplacer("/", "", ",", "", "\x00", "").Replace(name))+`]}`)
	}
	for _, name := range names {
		if got := must(t, w, "GetConsumer", `{"id":`+quoted(name)+`}`); got["username"] != name {
			t.Errorf("%.40q finds %.40v", name, got["username"])
		}
		tag := strings.NewReplacer("/", "", ",", "", "\x00", "").Replace(name)
		if got := data(must(t, w, "ListConsumers", `{"tags":`+quoted(tag)+`}`)); len(got) != 1 {
			t.Errorf("the tag %.40q finds %d", tag, len(got))
		}
		if got := said(call(t, w, "CreateConsumer", `{"document":{"username":`+quoted(name)+`}}`)); !strings.Contains(got, "5 unique") {
			t.Errorf("%.40q twice: %.80s", name, got)
		}
		must(t, w, "DeleteConsumer", `{"id":`+quoted(name)+`}`)
	}
}

// quoted is a text as JSON.
func quoted(text string) string {
	out, err := json.Marshal(text)
	if err != nil {
		return "" // texts always encode
	}
	return string(out)
}

// oneID: entities of several kinds may have the same id.
func oneID(t *testing.T, w *world) {
	id := uuid.NewString()
	must(t, w, "UpsertService", `{"id":"`+id+`","document":{"host":"h","tags":["same-id"]}}`)
	must(t, w, "UpsertRoute", `{"id":"`+id+`","document":{"paths":["/"],"service":{"id":"`+id+`"},"tags":["same-id"]}}`)
	must(t, w, "DeleteRoute", `{"id":"`+id+`"}`)
	if must(t, w, "GetService", `{"id":"`+id+`"}`)["id"] != id || w.plane.of(httpproxy.Services, id) == nil {
		t.Error("the service has gone with the route")
	}
	if got := data(must(t, w, "ListTags", `{"tag":"same-id"}`)); len(got) != 1 {
		t.Errorf("tags are %v", got)
	}
}

// startsAsItWas: who starts later has what there is.
func startsAsItWas(t *testing.T, w *world) {
	later := &plane{}
	was := w.plane.state(t)
	if err := w.Start(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	is := later.state(t)
	if len(is) != len(was) || len(is) == 0 {
		t.Errorf("%d objects at the start, %d before", len(is), len(was))
	}
	for key, v := range was {
		if is[key] != v {
			t.Errorf("%s is %s, was %s", key, is[key], v)
		}
	}
}

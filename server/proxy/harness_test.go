package proxy_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/backplane/backplane/server/servertest"
)

type object = map[string]any

// step is a call with what it must come to.
type step struct {
	verb, path, body string
	status           int
	says             string // part of the answer
}

// run makes calls in order.
func run(t *testing.T, s *servertest.Server, steps []step) {
	t.Helper()
	for _, c := range steps {
		var body any
		if c.body != "" {
			body = c.body
		}
		a := s.Do(t, c.verb, "/v1"+c.path, body)
		if a.Status != c.status || !strings.Contains(string(a.Body), c.says) {
			t.Errorf("%s %s %s: %d, want %d with %q:\n%s", c.verb, c.path, c.body, a.Status, c.status, c.says, a.Body)
		}
		switch {
		case a.Status == http.StatusNoContent && len(a.Body) > 0:
			t.Errorf("%s %s: 204 with a body: %s", c.verb, c.path, a.Body)
		case a.Status >= 400 && len(a.Body) > 0:
			checkErrors(t, a)
		}
	}
}

// checkErrors checks the form of a refusal (JSON:API 1.0, error objects).
func checkErrors(t *testing.T, a servertest.Answer) {
	t.Helper()
	var out struct {
		Errors []struct{ Detail string } `json:"errors"`
	}
	if err := json.Unmarshal(a.Body, &out); err != nil || len(out.Errors) == 0 || out.Errors[0].Detail == "" {
		t.Errorf("no errors with details: %s", a.Body)
	}
}

// must makes a change that must succeed.
func must(t *testing.T, s *servertest.Server, verb, path string, body any) {
	t.Helper()
	if a := s.Do(t, verb, "/v1"+path, body); a.Status != http.StatusNoContent {
		t.Fatalf("%s %s: %d %s", verb, path, a.Status, a.Body)
	}
}

// read gets a document that must be there.
func read(t *testing.T, s *servertest.Server, path string) object {
	t.Helper()
	a := s.Do(t, "GET", "/v1"+path, nil)
	if a.Status != http.StatusOK {
		t.Fatalf("GET %s: %d %s", path, a.Status, a.Body)
	}
	return a.JSON(t)
}

// at is the value at the end of keys, nil when there is none.
func at(v any, keys ...any) any {
	for _, k := range keys {
		switch k := k.(type) {
		case string:
			o, _ := v.(object)
			v = o[k]
		case int:
			list, _ := v.([]any)
			if k >= len(list) {
				return nil
			}
			v = list[k]
		}
	}
	return v
}

// wantAt checks a value of a document.
func wantAt(t *testing.T, v any, want any, keys ...any) {
	t.Helper()
	if got := at(v, keys...); !reflect.DeepEqual(got, want) {
		t.Errorf("%v is %v (%T), want %v (%T)", keys, got, got, want, want)
	}
}

// ids are the members of a relationship or collection.
func ids(v any) (out []string) {
	list, _ := at(v, "data").([]any)
	for _, m := range list {
		out = append(out, fmt.Sprint(at(m, "id")))
	}
	return out
}

// related are the members of a relationship of a resource.
func related(t *testing.T, s *servertest.Server, path, relation string) []string {
	t.Helper()
	return ids(at(read(t, s, path), "data", "relationships", relation))
}

// wantRelated checks the members of a relationship.
func wantRelated(t *testing.T, s *servertest.Server, path, relation string, want ...string) {
	t.Helper()
	if got := related(t, s, path, relation); !slices.Equal(got, want) {
		t.Errorf("%s of %s are %v, want %v", relation, path, got, want)
	}
}

// checkDocument checks the form of a document (JSON:API 1.0), and that its
// links lead to what they say.
func checkDocument(t *testing.T, s *servertest.Server, path string) {
	t.Helper()
	doc := read(t, s, path)
	only(t, path, doc, "links", "data", "meta")
	self, _ := at(doc, "links", "self").(string)
	again := read(t, s, strings.TrimPrefix(pathOf(t, s, self), "/v1"))
	wantAt(t, again, self, "links", "self")
	resources, many := doc["data"].([]any)
	if !many {
		resources = []any{doc["data"]}
	}
	for _, r := range resources {
		checkResource(t, s, path, r.(object))
	}
}

func checkResource(t *testing.T, s *servertest.Server, path string, r object) {
	t.Helper()
	only(t, path, r, "id", "type", "attributes", "relationships", "links")
	for _, key := range []string{"id", "type"} {
		if text, _ := r[key].(string); text == "" {
			t.Errorf("%s: %s is %v", path, key, r[key])
		}
	}
	attributes, _ := r["attributes"].(object)
	for _, key := range []string{"id", "type", "links", "relationships"} {
		if _, there := attributes[key]; there {
			t.Errorf("%s: an attribute is called %s", path, key)
		}
	}
	relations, ok := r["relationships"].(object)
	if !ok {
		t.Errorf("%s: relationships are %v", path, r["relationships"])
	}
	for name, relation := range relations {
		if len(ids(relation)) == 0 {
			t.Errorf("%s: the relationship %s is empty", path, name)
		}
		link, _ := at(relation, "links", "self").(string)
		if got := read(t, s, strings.TrimPrefix(pathOf(t, s, link), "/v1")); !reflect.DeepEqual(got, relation) {
			t.Errorf("%s: the relationship %s is %v by its link, and %v here", path, name, got, relation)
		}
		collection, _ := at(relation, "links", "related").(string)
		read(t, s, strings.TrimPrefix(pathOf(t, s, collection), "/v1"))
	}
}

func only(t *testing.T, path string, o object, keys ...string) {
	t.Helper()
	for key := range o {
		if !slices.Contains(keys, key) {
			t.Errorf("%s: %q does not belong there", path, key)
		}
	}
}

// pathOf is the path of a link, which must be absolute.
func pathOf(t *testing.T, s *servertest.Server, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil || !strings.HasPrefix(link, s.URL+"/v1/") {
		t.Fatalf("link %q is not below %s", link, s.URL)
	}
	return u.RequestURI()
}

// serverBody and serviceBody are documents to create.
func serverBody(name string, port int) string {
	return fmt.Sprintf(`{"data":{"id":%q,"type":"servers","attributes":{"parameters":{"address":"127.0.0.1","port":%d}}}}`, name, port)
}

func serviceBody(name, relationships string) string {
	return fmt.Sprintf(`{"data":{"id":%q,"type":"services","attributes":{"router":"readconnroute","parameters":{"user":"maxuser","password":"maxpwd"}},"relationships":%s}}`, name, relationships)
}

func listenerBody(name string, port int) string {
	return fmt.Sprintf(`{"data":{"id":%q,"type":"listeners","attributes":{"parameters":{"address":"127.0.0.1","port":%d}}}}`, name, port)
}

// members are the data of a relationship.
func members(kind string, names ...string) string {
	out := []object{}
	for _, n := range names {
		out = append(out, object{"id": n, "type": kind})
	}
	text, err := json.Marshal(object{"data": out})
	if err != nil {
		panic(err)
	}
	return string(text)
}

package oasvalidation

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Types that differ in their parameters are different ones.
func TestTypesWithParameters(t *testing.T) {
	g := start(t, api("3.0.3", `"/a":{"post":{"requestBody":{"content":{"application/json;version=1":{"schema":{"type":"integer"}},"application/json; version=2":{"schema":{"type":"string"}},
		"text/*+json":{"schema":{"type":"boolean"}},"application/*":{"schema":{"type":"array"}}}}}},
		"/b":{"post":{"requestBody":{"content":{"application/json; charset=utf-8":{"schema":{"type":"integer"}}}}}},
		"/c":{"post":{"requestBody":{"content":{"application/json; v=1":{"schema":{"type":"integer"}},"application/json":{"schema":{"type":"string"}}}}}}`), nil)
	for _, c := range []struct {
		path, contentType, body string
		status                  int
	}{
		{"/a", "application/json; version=1", `1`, 200}, {"/a", "application/json; version=1", `"a"`, 400}, {"/a", "application/json;charset=utf-8; Version=\"2\"", `"a"`, 200},
		{"/a", "application/json;version=2", `1`, 400}, {"/b", "application/json", `1`, 200}, {"/b", "application/json", `"a"`, 400},
		{"/c", "application/json", `"a"`, 200}, {"/c", "application/json; v=1", `1`, 200}, {"/c", "application/json; v=2", `"a"`, 200}, {"/c", "application/json; v=1", `"a"`, 400},
	} {
		if res := g.Do(http.MethodPost, c.path, c.body, "Content-Type", c.contentType); res.StatusCode != c.status {
			t.Errorf("%s %s %s: %s %s", c.path, c.contentType, c.body, res.Status, res.Text)
		}
	}
}

// The column "empty" of the table "Style Examples" of the OpenAPI Specification.
func TestEmptyValues(t *testing.T) {
	for _, c := range []struct {
		style, path string
		status      int
	}{
		{"matrix", "/a/;p", 200}, {"matrix", "/a/;p=", 200}, {"matrix", "/a/;q", 400}, {"matrix", "/a/;pq", 400}, {"label", "/a/.", 404}, {"label", "/a/.x", 200},
	} {
		g := start(t, api("3.0.3", `"/a/{p}":{"get":{"parameters":[{"name":"p","in":"path","required":true,"style":"`+c.style+`","schema":{"type":"string"}}]}}`),
			settings{"unknown_operation": "refuse"})
		if res := g.Get(c.path); res.StatusCode != c.status {
			t.Errorf("%s: %s %s", c.path, res.Status, res.Text)
		}
	}
}

// The encoding of a field of a form says how it is written, and what it does not
// say is as it is by default.
func TestEncodingsOfForms(t *testing.T) {
	g := start(t, content("3.1.0", formType, `{"schema":{"type":"object","additionalProperties":false,"properties":{"c":{"type":"array","items":{"type":"integer"}},
		"r":{"type":"array","items":{"type":"integer"}},"o":{"type":"object","properties":{"a":{"type":"integer"}}},"d":{"type":"object","properties":{"a":{"type":"integer"}}},
		"x":{"type":"object","properties":{"m":{"type":"integer"}},"additionalProperties":false}}},
		"encoding":{"c":{"explode":false},"r":{"explode":true},"d":{"style":"deepObject"},"x":{"style":"form"}}}`), nil)
	for body, status := range map[string]int{
		"c=1,2": 200, "c=1": 200, "c=1,x": 400, "r=1&r=2": 200, "r=1,2": 400, "o=%7B%22a%22:1%7D": 200, "o=%7B%22a%22:1%7D&o[b]=1": 400, "d[a]=1": 200, "d[a]=x": 400,
		"o=%7B%22a%22:1,%22a%22:2%7D": 400, "m=1": 200, "m=x": 400, "d[a]=1&z[b]=1": 400,
	} {
		if res := g.Do(http.MethodPost, "/a", body, "Content-Type", formType); res.StatusCode != status {
			t.Errorf("%s: %s %s", body, res.Status, res.Text)
		}
	}
}

// A parameter that takes slashes, as some frameworks write it, takes them here.
func TestParametersWithSlashes(t *testing.T) {
	for _, template := range []string{"/f/{p:path}", "/f/{p:.*}", "/f/{p*}", "/f/{+p}"} {
		g := start(t, api("3.0.3", fmt.Sprintf(`%q:{"get":{"parameters":[{"name":"p","in":"path","required":true,"schema":{"type":"string","maxLength":5}}]}},
			"/f/{q}/x":{"get":{"parameters":[{"name":"q","in":"path","required":true,"schema":{"type":"integer"}}]}}`, template)), settings{"unknown_operation": "refuse"})
		for path, status := range map[string]int{"/f/a": 200, "/f/a/b": 200, "/f/a/b/c/d": 400, "/f/1/x": 200, "/f/a/x": 400, "/g": 404} {
			if res := g.Get(path); res.StatusCode != status {
				t.Errorf("%s by %s: %s %s", path, template, res.Status, res.Text)
			}
		}
	}
	g := start(t, api("3.0.3", `"/n/{p:int}":{"get":{"parameters":[{"name":"p","in":"path","required":true,"schema":{"type":"integer"}}]}}`), nil)
	if res := g.Get("/n/x"); res.StatusCode != http.StatusBadRequest {
		t.Errorf("a parameter with a kind: %s", res.Status)
	}
}

// What stands beside the reference of a path item goes before what it refers to.
func TestPathItemsWithReferences(t *testing.T) {
	wants := func(name string) string {
		return `{"parameters":[{"name":"` + name + `","in":"query","required":true,"schema":{}}]}`
	}
	g := start(t, `{"openapi":"3.1.0","info":{"title":"T","version":"1"},"paths":{"/a":{"$ref":"#/components/pathItems/A","get":`+wants("own")+`,
		"parameters":[{"name":"all","in":"query","required":true,"schema":{}}]}},
		"components":{"pathItems":{"A":{"$ref":"#/components/pathItems/B","put":`+wants("a")+`},"B":{"get":`+wants("b")+`,"put":`+wants("b")+`,"post":`+wants("b")+`}}}}`, nil)
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/a?own&all", 200}, {"GET", "/a?b&all", 400}, {"PUT", "/a?a&all", 200}, {"PUT", "/a?b&all", 400}, {"POST", "/a?b&all", 200}, {"POST", "/a?b", 400},
	} {
		if res := g.Do(c.method, c.path, ""); res.StatusCode != c.status {
			t.Errorf("%s %s: %s", c.method, c.path, res.Status)
		}
	}
}

// Fields of a form are looked up, not looked for: what a long one costs does not
// grow with the fields that the document knows.
func TestFieldsAreLookedUp(t *testing.T) {
	in := &input{query: parseQuery("b=0&" + strings.Repeat("a[b]=1&", 1000) + "a=2&a[c]=3&a=4")}
	if n := len(in.named("b")); n != 1 {
		t.Errorf("%d fields are looked at for one", n)
	}
	if got := fmt.Sprint(in.texts("a"), in.texts("a[c]"), in.texts("z"), len(in.named("a[x]"))); got != "[2 4] [3] [] 1003" {
		t.Error(got)
	}
}

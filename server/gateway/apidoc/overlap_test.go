package apidoc

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// What is not opted in is hidden wherever a route of what is would take its
// requests, although it is written otherwise, or is nothing that can be read.
func TestHiddenIsWhatIsReachedInOtherWays(t *testing.T) {
	for _, c := range []struct{ name, paths, want string }{
		{"the paths cross", `"/{tenant}/report":{"get":{"tags":["open"]}},"/admin/{what}":{"get":{}}`, "GET /admin/{what}"},
		{"the exposed one is more specific", `"/admin/{what}":{"get":{"tags":["open"]}},"/{tenant}/report":{"get":{}}`, ""},
		{"they cross in segments of several parts", `"/{a}.json/{b}":{"get":{"tags":["open"]}},"/x{c}/secret":{"get":{}},"/x{c}.xml/secret":{"get":{}}`, "GET /x{c}/secret"},
		{"they cross below slashes", `"/f/{p:path}/{q}":{"get":{"tags":["open"]}},"/f/{x}/secret":{"get":{}},"/g/{x}/secret":{"get":{}}`, "GET /f/{x}/secret"},
		{"an escape", `"/a%41/{id}":{"get":{"tags":["open"]}},"/aA/secret":{"get":{}},"/aB/secret":{"get":{}}`, "GET /aA/secret"},
		{"an escape of the same path", `"/a%41/x":{"get":{"tags":["open"]}},"/aA/x":{"get":{}}`, ""},
		{"HEAD alone", `"/a/{id}":{"head":{"tags":["open"]}},"/a/secret":{"get":{}}`, "GET /a/secret"},
		{"tags that are none", `"/a/{id}":{"get":{"tags":["open"]}},"/a/secret":{"get":{"tags":"open"}},"/a/other":{"get":{"tags":[7]}}`, "GET /a/secret; GET /a/other"},
		{"an operation that is none", `"/a/{id}":{"get":{"tags":["open"]}},"/a/secret":{"get":7,"put":null}`, "GET /a/secret"},
		{"a path item elsewhere", `"/a/{id}":{"get":{"tags":["open"]},"delete":{"tags":["open"]}},"/a/secret":{"$ref":"other.json"},"/b/secret":{"$ref":"other.json"}`,
			"GET /a/secret; DELETE /a/secret; HEAD /a/secret"},
		{"a path item that is none", `"/a/{id}":{"delete":{"tags":["open"]}},"/a/secret":[]`, "DELETE /a/secret"},
		{"nothing in common", `"/a/{id}/x":{"get":{"tags":["open"]}},"/a/{id}/y":{"get":{}},"/a/{id}":{"get":{}},"/a/{id}/x/":{"get":{}},"/b/{id}/x":{"get":{}}`, ""},
	} {
		d := parsed(t, []byte(document(0, `"paths":{`+c.paths+`}`)))
		if got := listed(d.Hidden()); got != c.want {
			t.Errorf("%s: hidden are %q, not %q", c.name, got, c.want)
		}
	}
}

// Templates that cross are found among as many as a document may have.
func TestHiddenAmongMany(t *testing.T) {
	var paths strings.Builder
	paths.WriteString(`"/v1/x7-y":{"get":{}},`)
	for i := range maxOperations/2 - 1 {
		fmt.Fprintf(&paths, `"/v{a}/x%d-{b}":{"get":{"tags":["open"]}},"/v1/y%d":{"get":{}},`, i, i)
	}
	d := parsed(t, []byte(document(0, `"paths":{`+paths.String()+`"/z":{}}`)))
	if got := listed(d.Hidden()); got != "GET /v1/x7-y" {
		t.Errorf("hidden are %s", got)
	}
}

// Expressions cost no more than a document of their length may.
func TestExpressionsAreBounded(t *testing.T) {
	var schemas strings.Builder
	for i := range 200 {
		fmt.Fprintf(&schemas, `"S%d":{"type":"string","pattern":"%s"},`, i, strings.Repeat("x{1000}", 1000))
	}
	raw := document(0, `"paths":{"/a":{"get":{"tags":["open"],"parameters":[{"name":"p","in":"query","schema":{"allOf":[`+refs(200)+`{"pattern":"^a$"}]}}]}}},
		"components":{"schemas":{`+schemas.String()+`"Z":{}}}`)
	out, _, _ := merged(t, Source{Name: "s", Document: parsed(t, []byte(raw))})
	doc := string(out)
	if strings.Contains(doc, `"pattern":"x`) || !strings.Contains(doc, `"x-pattern":"x{1000}`) || !strings.Contains(doc, `"pattern":"^a$"`) {
		t.Error("expressions that are large when they are compiled are kept")
	}
}

func refs(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"$ref":"#/components/schemas/S%d"},`, i)
	}
	return b.String()
}

// Examples cost what is read of them, and not only that they are read.
func TestLongExamplesCount(t *testing.T) {
	long := strings.Repeat("a", 1<<16)
	for _, leaf := range []string{`{"minLength":1}`, `{"pattern":"a$"}`, `{"not":{"enum":["` + long + `b"]}}`} {
		f := &fitter{minor: 1, schemas: map[string]any{}, patterns: map[string]*regexp.Regexp{}, total: stepsInAll, left: stepsPerValue}
		v, err := decode([]byte(`[{"allOf":[` + strings.TrimSuffix(strings.Repeat(leaf+",", 60), ",") + `]},"` + long + `"]`))
		if err != nil {
			t.Fatal(err)
		}
		if got := f.check(v.([]any)[1], v.([]any)[0]); got == yes || f.left > 0 {
			t.Errorf("%.30s: %v, with %d steps left", leaf, got, f.left)
		}
	}
}

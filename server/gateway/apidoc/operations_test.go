package apidoc

import (
	"fmt"
	"strings"
	"testing"
)

// document makes one of version 3.y with the usual tags: "open" exposes,
// "closed" exposes and protects, "plain" does neither.
func document(minor int, members string) string {
	return fmt.Sprintf(`{"openapi":"3.%d.0","info":{"title":"Test","version":"1"},"tags":[
		{"name":"open","x-auto-generate-in-api-gateway":true},
		{"name":"closed","x-auto-generate-in-api-gateway":true,"x-enable-auth-in-api-gateway":true},
		{"name":"plain"},
		{"name":"text","x-auto-generate-in-api-gateway":"true","x-enable-auth-in-api-gateway":"true"},
		{"name":"no","x-auto-generate-in-api-gateway":false},
		{"name":"truthy","x-auto-generate-in-api-gateway":1},
		{"name":"shy","x-enable-auth-in-api-gateway":true}],%s}`, minor, members)
}

// listed are operations in short: "GET /a", with a "!" if protected.
func listed(ops []Operation) string {
	var b strings.Builder
	for _, o := range ops {
		b.WriteString("; " + o.Method + " " + o.Path)
		if o.Protected {
			b.WriteByte('!')
		}
	}
	return strings.TrimPrefix(b.String(), "; ")
}

func TestTagsDecide(t *testing.T) {
	for tags, want := range map[string]string{
		`["open"]`:             "GET /a",
		`["closed"]`:           "GET /a!",
		`["text"]`:             "GET /a!",
		`["unknown","closed"]`: "GET /a!", // the first that is declared
		`["open","closed"]`:    "GET /a",
		`["plain","open"]`:     "",
		`["no","open"]`:        "",
		`["truthy"]`:           "",
		`["shy"]`:              "",
		`["unknown"]`:          "",
		`[]`:                   "",
		`null`:                 "",
	} {
		d := parsed(t, []byte(document(0, `"paths":{"/a":{"get":{"tags":`+tags+`}}}`)))
		ops, faults := d.Operations()
		if got := listed(ops); got != want || len(faults) > 0 {
			t.Errorf("with tags %s there are %q and faults %q, not %q", tags, got, faults, want)
		}
	}
}

func TestAllMethodsAreOperations(t *testing.T) {
	paths := `"paths":{"/b":{"x-first":1,"summary":"B","trace":{"tags":["open"]},"get":{"tags":["open"]},"put":{"tags":["open"]},"post":{"tags":["closed"]},
		"delete":{"tags":["open"]},"options":{"tags":["open"]},"head":{"tags":["open"]},"patch":{"tags":["open"]},"query":{"tags":["open"]},
		"additionalOperations":{"COPY":{"tags":["open"]}},"connect":{"tags":["open"]}},
		"/a":{"get":{"tags":["open"],"operationId":"theA"}},"x-extension":{"get":{"tags":["open"]}}}`
	old := "TRACE /b; GET /b; PUT /b; POST /b!; DELETE /b; OPTIONS /b; HEAD /b; PATCH /b"
	for minor, want := range []string{old + "; GET /a", old + "; GET /a", old + "; QUERY /b; COPY /b; GET /a"} {
		ops, faults := parsed(t, []byte(document(minor, paths))).Operations()
		if got := listed(ops); got != want || len(faults) > 0 {
			t.Errorf("3.%d: %s %q", minor, got, faults)
		}
		if last := ops[len(ops)-1]; last.OperationID != "theA" {
			t.Errorf("the operationId is %q", last.OperationID)
		}
	}
}

func TestBadOperationsAreFaultsOfTheirOwn(t *testing.T) {
	d := parsed(t, []byte(document(1, `"paths":{
		"/good":{"get":{"tags":["open"]},"post":7,"put":{"tags":"open"},"delete":{"tags":[1]}},
		"/item":[],
		"no/slash":{"get":{"tags":["open"]}},
		"/brace/{":{"get":{"tags":["open"]}},
		"/brace/}":{"get":{"tags":["open"]}},
		"/nested/{a{b}}":{"get":{"tags":["open"]}},
		"/empty/{}":{"get":{"tags":["open"]}},
		"/query?x=1":{"get":{"tags":["open"]}},
		"/percent/%zz":{"get":{"tags":["open"]}},
		"/a//b":{"get":{"tags":["open"]}},
		"/a/../b":{"get":{"tags":["open"]}},
		"/twice/{id}/{id}":{"get":{"tags":["open"]}},
		"/ref":{"$ref":"#/components/pathItems/Shared","get":{"tags":["closed"]}},
		"/far":{"$ref":"other.json#/a"},
		"/nowhere":{"$ref":"#/components/pathItems/None"},
		"/self":{"$ref":"#/paths/~1self"},
		"/items/{id}":{"get":{"tags":["open"]}},
		"/items/{item}":{"get":{"tags":["open"]},"put":{"tags":["open"]}}},
		"components":{"pathItems":{"Shared":{"get":{"tags":["plain"]},"patch":{"tags":["open"]}}}}`)))
	ops, faults := d.Operations()
	if got, want := listed(ops), "GET /good; GET /ref!; PATCH /ref; GET /items/{id}; PUT /items/{item}"; got != want {
		t.Errorf("exposed are %s, not %s", got, want)
	}
	for _, want := range [][]string{
		{"POST /good", "not an object"}, {"PUT /good", "not a list"}, {"DELETE /good", "not a string"}, {"/item:", "not an object"},
		{"no/slash", "does not begin with a slash"}, {"/brace/{", "without a }"}, {"/brace/}", "without a {"}, {"/nested", "without a }"},
		{"/empty/{}", "without a name"}, {"/query?x=1", "has a ?"}, {"/percent", "two digits"}, {"/a//b", "empty segment"}, {"/a/../b", "dot segment"},
		{"/twice", "twice"}, {"/far", "another document"}, {"/nowhere", "where none is"}, {"/self", "itself"}, {"GET /items/{item}", "GET /items/{id}"},
	} {
		if !contains(faults, want...) {
			t.Errorf("no fault says %q: %q", want, faults)
		}
	}
	if len(faults) != 18 {
		t.Errorf("there are %d faults: %q", len(faults), faults)
	}
}

func TestBadDocumentsHaveNoOperations(t *testing.T) {
	for _, c := range []struct{ raw, says string }{
		{`{"openapi":"3.0.0"}`, "no paths"},
		{`{"openapi":"3.0.0","paths":[]}`, `"paths" is not an object`},
		{`{"openapi":"3.1.0","tags":{},"paths":{}}`, `"tags" is not a list`},
		{`{"openapi":"3.1.0","tags":["open"],"paths":{}}`, "tag number 1"},
		{`{"openapi":"3.1.0","tags":[{"name":7}],"paths":{}}`, "tag number 1"},
	} {
		ops, faults := parsed(t, []byte(c.raw)).Operations()
		if len(ops) > 0 || len(faults) != 1 || !strings.Contains(faults[0], c.says) {
			t.Errorf("%s: %v %q", c.raw, ops, faults)
		}
	}
	if ops, faults := parsed(t, []byte(`{"openapi":"3.1.0"}`)).Operations(); len(ops)+len(faults) > 0 {
		t.Errorf("a document of webhooks alone has %v %q", ops, faults)
	}
}

func TestHiddenAreThoseThatAParameterWouldReach(t *testing.T) {
	d := parsed(t, []byte(document(0, `"paths":{
		"/items/{id}":{"get":{"tags":["open"]},"put":{}},
		"/items/report":{"get":{},"put":{}},
		"/items/{id}/parts/{part}":{"get":{"tags":["open"]}},
		"/items/all/parts/{p}":{"get":{"tags":["plain"]}},
		"/items/{id}/parts":{"get":{}},
		"/items/{name}":{"head":{},"get":{}},
		"/files/{f}.json":{"get":{"tags":["open"]}},
		"/files/all.json":{"get":{}},
		"/files/all.xml":{"get":{}},
		"/files/":{"get":{}},
		"/{any}/{other}":{"get":{}},
		"/static":{"get":{}}}`)))
	if got, want := listed(d.Hidden()), "GET /items/report; GET /items/all/parts/{p}; HEAD /items/{name}; GET /files/all.json"; got != want {
		t.Errorf("hidden are %s, not %s", got, want)
	}
}

func TestWhatIsReadOfADocumentIsBounded(t *testing.T) {
	var paths strings.Builder
	for i := range maxOperations + 50 {
		fmt.Fprintf(&paths, `"/a%d/{x}":{"get":{"tags":["open"]}},"bad%d":7,`, i, i)
	}
	d := parsed(t, []byte(document(0, `"paths":{`+paths.String()+`"/z":{}}`)))
	ops, faults := d.Operations()
	if len(ops) != maxOperations || len(faults) != maxFaults {
		t.Errorf("%d operations, %d faults", len(ops), len(faults))
	}
	if !contains(faults, "more faults than these") {
		t.Errorf("the last fault is %q", faults[len(faults)-1])
	}
}

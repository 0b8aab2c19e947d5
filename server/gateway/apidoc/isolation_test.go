package apidoc

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestWhatIsWrongIsLeftOutAlone(t *testing.T) {
	const good = `"/good":{"get":{"tags":["open"],"responses":{"200":{"description":"fine","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Good"}}}}}}}`
	for name, c := range map[string]struct {
		operation, components string
		stays                 bool
		says                  []string
	}{
		"parameter elsewhere":         {`"parameters":[{"$ref":"other.json#/p"}]`, ``, false, []string{"GET /bad", "another document"}},
		"parameter nowhere":           {`"parameters":[{"$ref":"#/components/parameters/None"}]`, ``, false, []string{"GET /bad", "to nothing"}},
		"parameters that are no list": {`"parameters":{}`, ``, false, []string{"GET /bad", "not a list"}},
		"parameter of Swagger":        {`"parameters":[{"name":"b","in":"body","schema":{}}]`, ``, false, []string{"GET /bad", `"b"`}},
		"parameter in a component":    {`"parameters":[{"$ref":"#/components/parameters/P"}]`, `"parameters":{"P":{"name":"p"}}`, false, []string{"GET /bad", "components/parameters/P"}},
		"response elsewhere":          {`"responses":{"200":{"$ref":"other.json#/r"}}`, ``, false, []string{"GET /bad", "another document"}},
		"body of a wrong type":        {`"requestBody":[]`, ``, false, []string{"GET /bad", "a request body is not an object"}},
		"reference that ends nowhere": {`"requestBody":{"$ref":"#/components/requestBodies/A"}`, `"requestBodies":{"A":{"$ref":"#/components/requestBodies/B"},"B":{"$ref":"#/components/requestBodies/A"}}`, false, []string{"GET /bad", "ends in itself"}},

		"schema elsewhere":      {`"responses":{"200":{"description":"","content":{"a/b":{"schema":{"$ref":"http://far/s.json"}}}}}`, ``, true, []string{"GET /bad", "another document", "any value"}},
		"schema nowhere":        {`"responses":{"200":{"description":"","content":{"a/b":{"schema":{"$ref":"#/components/schemas/None"}}}}}`, ``, true, []string{"to nothing", "any value"}},
		"schema that is text":   {`"responses":{"200":{"description":"","content":{"a/b":{"schema":"string"}}}}`, ``, true, []string{"not an object", "any value"}},
		"keyword of wrong type": {`"responses":{"200":{"description":"","content":{"a/b":{"schema":{"type":"object","required":true}}}}}`, ``, true, []string{`"required" has a value`}},
		"circle of all of":      {`"responses":{"200":{"description":"","content":{"a/b":{"schema":{"$ref":"#/components/schemas/A"}}}}}`, `"schemas":{"A":{"allOf":[{"$ref":"#/components/schemas/B"}]},"B":{"anyOf":[{"$ref":"#/components/schemas/A"}]}}`, true, []string{"defined by itself"}},
		"example elsewhere":     {`"responses":{"200":{"description":"","content":{"a/b":{"examples":{"x":{"$ref":"far.json"}}}}}}`, ``, true, []string{"another document"}},
		"header elsewhere":      {`"responses":{"200":{"description":"","headers":{"X":{"$ref":"far.json"}}}}`, ``, true, []string{"another document"}},
		"callback elsewhere":    {`"callbacks":{"x":{"$ref":"far.json"}}`, ``, true, []string{"another document"}},
		"example that misleads": {`"responses":{"200":{"description":"","content":{"a/b":{"schema":{"type":"integer"},"example":"x"}}}}`, ``, true, []string{"do not fit"}},
		"default that misleads": {`"responses":{"200":{"description":"","content":{"a/b":{"schema":{"type":"integer","default":"x"}}}}}`, ``, true, []string{"do not fit"}},
		"encoding of no type":   {`"requestBody":{"content":{"a/b":{"schema":{},"encoding":{"x":{"contentType":"!!"}}}}}`, ``, false, []string{"GET /bad"}},
		"header without name":   {`"requestBody":{"content":{"a/b":{"schema":{},"encoding":{"x":{"headers":{"a b":{"schema":{}}}}}}}}`, ``, false, []string{"GET /bad"}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.components != "" {
				c.components = "," + c.components
			}
			schemas := `"components":{"schemas":{"Good":{"type":"string"}}` + c.components + `}`
			if strings.Contains(c.components, `"schemas"`) {
				schemas = `"components":{` + strings.Replace(c.components[1:], `"schemas":{`, `"schemas":{"Good":{"type":"string"},`, 1) + `}`
			}
			responses := answers
			if strings.Contains(c.operation, `"responses"`) {
				responses = `"x-x":1`
			}
			doc, faults := mergeOne(t, 0, `"paths":{`+good+`,"/bad":{"get":{"tags":["open"],`+responses+`,`+c.operation+`}}},`+schemas)
			if at(doc, "paths", "/svc/good", "get") == nil {
				t.Errorf("what is right is not there: %s", shown(doc))
			}
			if stays := at(doc, "paths", "/svc/bad", "get") != nil; stays != c.stays {
				t.Errorf("that the operation stays is %t", stays)
			}
			if !contains(faults, c.says...) {
				t.Errorf("no fault says %q: %q", c.says, faults)
			}
		})
	}
}

func TestOneBadDocumentDoesNotBreakOthers(t *testing.T) {
	good := parsed(t, []byte(document(1, `"paths":{"/a":{"get":{"tags":["open"],`+answers+`}}}`)))
	for name, members := range map[string]string{
		"no paths":             `"x":1`,
		"paths are a list":     `"paths":[]`,
		"nothing is an object": `"paths":{"/a":{"get":{"tags":["open"],"parameters":7,"requestBody":"x","responses":[]}}},"components":[]`,
		"components are odd":   `"paths":{"/a":{"get":{"tags":["open"],"responses":{"200":{"$ref":"#/components/responses/R"}}}}},"components":{"responses":"x","schemas":7}`,
	} {
		bad := parsed(t, []byte(document(1, members)))
		raw, doc, _ := merged(t, Source{Name: "bad", Document: bad}, Source{Name: "good", Document: good})
		if at(doc, "paths", "/good/a", "get") == nil {
			t.Errorf("%s: %s", name, raw)
		}
		if err := Validate(raw); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNamesOfServicesDoNotMixUp(t *testing.T) {
	// Both have a component and an operation that would be a_b_c.
	first := parsed(t, []byte(document(0, `"paths":{"/x":{"get":{"tags":["open"],"operationId":"b_c","responses":{"200":{"description":"","content":{"a/b":{"schema":{"$ref":"#/components/schemas/b_c"}}}}}}}},
		"components":{"schemas":{"b_c":{"type":"string"}}}`)))
	second := parsed(t, []byte(document(0, `"paths":{"/x":{"get":{"tags":["open"],"operationId":"c","responses":{"200":{"description":"","content":{"a/b":{"schema":{"$ref":"#/components/schemas/c"}}}}}}}},
		"components":{"schemas":{"c":{"type":"integer"}}}`)))
	raw, doc, faults := merged(t, Source{Name: "a_b", Document: second}, Source{Name: "a", Document: first})
	if err := Validate(raw); err != nil || len(faults) > 0 {
		t.Errorf("%v %q", err, faults)
	}
	for name, want := range map[string]string{"a": `{"type":"string"}`, "a_b": `{"type":"integer"}`} {
		ref, _ := at(doc, "paths", "/"+name+"/x", "get", "responses", "200", "content", "a/b", "schema", "$ref").(string)
		if got := shown(at(doc, "components", "schemas", strings.TrimPrefix(ref, "#/components/schemas/"))); got != want {
			t.Errorf("%s leads to %s at %q", name, got, ref)
		}
	}
	if a, b := at(doc, "paths", "/a/x", "get", "operationId"), at(doc, "paths", "/a_b/x", "get", "operationId"); a == b {
		t.Errorf("both operations are %v", a)
	}
}

func TestIdsAreUnique(t *testing.T) {
	doc, _ := mergeOne(t, 0, `"paths":{"/a":{"get":{"tags":["open"],"operationId":"same",`+answers+`},"put":{"tags":["open"],"operationId":"same",`+answers+`}}}`)
	if a, b := at(doc, "paths", "/svc/a", "get", "operationId"), at(doc, "paths", "/svc/a", "put", "operationId"); a != "svc_same" || b != "svc_same_2" {
		t.Errorf("ids are %v and %v", a, b)
	}
}

func TestMergeRefusesWhatItCannotName(t *testing.T) {
	d := parsed(t, []byte(document(0, `"paths":{}`)))
	for _, sources := range [][]Source{
		{{Name: "a/b", Document: d}}, {{Name: "", Document: d}}, {{Name: "a"}}, {{Name: "a", Document: d}, {Name: "a", Document: d}},
		{{Name: "a", Document: d, Auth: "oauth2"}},
	} {
		if doc, _, err := Merge(Info{}, sources); err == nil {
			t.Errorf("%+v were merged: %s", sources, doc)
		}
	}
}

func TestInfoIsShown(t *testing.T) {
	raw, _, err := Merge(Info{Title: "T", Version: "V", Description: "D", Servers: []string{"https://a", "/b"}}, nil)
	want := `{"openapi":"3.0.3","info":{"title":"T","description":"D","version":"V"},"servers":[{"url":"https://a"},{"url":"/b"}],"paths":{}}`
	if err != nil || string(raw) != want {
		t.Errorf("%s %v", raw, err)
	}
}

func TestMergingIsDeterministic(t *testing.T) {
	var sources []Source
	for i, name := range samples(t) {
		if name != "octokit-github" {
			sources = append(sources, Source{Name: fmt.Sprintf("s%d", i), Document: parsed(t, optIn(t, sample(t, name))), Auth: "jwt"})
		}
	}
	first, faults, err := Merge(Info{}, sources)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(sources)
	var m Merger
	for range 2 {
		again, _, err := m.Merge(Info{}, sources)
		if err != nil || !bytes.Equal(again, first) {
			t.Fatalf("merged again in another order it is not the same (%v)", err)
		}
	}
	// What a merger keeps is no other than what is built anew.
	left := sources[:len(sources)/2]
	kept, of, err := m.Merge(Info{}, left)
	if err != nil {
		t.Fatal(err)
	}
	anew, listed, err := Merge(Info{}, left)
	if err != nil || !bytes.Equal(kept, anew) {
		t.Errorf("what was kept differs from what is new (%v)", err)
	}
	n := 0
	for _, f := range of {
		n += len(f)
	}
	if n != len(listed) || n >= len(faults) {
		t.Errorf("a merger tells %d faults, Merge %d", n, len(listed))
	}
}

func TestEffortIsBounded(t *testing.T) {
	// Each schema is twice the next: followed to the end there are 2^60.
	var twice strings.Builder
	for i := range 60 {
		fmt.Fprintf(&twice, `"S%d":{"anyOf":[{"$ref":"#/components/schemas/S%d"},{"$ref":"#/components/schemas/S%d"}],"default":{"a":1}},`, i, i+1, i+1)
	}
	twice.WriteString(`"S60":{"type":"string"}`)
	// A tree of values meets a schema that branches into itself.
	deep := strings.Repeat(`{"x":`, 60) + `1` + strings.Repeat(`}`, 60)
	// One path item, put in place in many callbacks of itself.
	var callbacks strings.Builder
	for i := range 300 {
		fmt.Fprintf(&callbacks, `,"c%d":{"{$url}":{"$ref":"#/paths/~1p%d"}}`, i, i%12)
	}
	var items strings.Builder
	for i := range 12 {
		fmt.Fprintf(&items, `"/p%d":{"post":{"tags":["open"],"callbacks":{%s},%s}},`, i, callbacks.String()[1:], answers)
	}
	// All ids are the same, and so are the names that components get.
	var same, ids strings.Builder
	for i := range 8000 {
		fmt.Fprintf(&same, `"p%d":{"$ref":"#/components/schemas/%c%c%c%c"},`, i, 0x4e00+i%97, 0x4e00+i/97%97, 0x4e00, 0x4e00)
		fmt.Fprintf(&ids, `"/x%d":{"get":{"tags":["open"],"operationId":"x"}},`, i)
	}
	var named strings.Builder
	for i := range 8000 {
		fmt.Fprintf(&named, `"%c%c%c%c":{"type":"string"},`, 0x4e00+i%97, 0x4e00+i/97%97, 0x4e00, 0x4e00)
	}
	for name, members := range map[string]string{
		"names": `"paths":{` + ids.String() + `"/a":{"get":{"tags":["open"],"responses":{"200":{"description":"","content":{"a/b":{"schema":{"properties":{` + same.String() + `"z":{}}}}}}}}}},
			"components":{"schemas":{` + named.String() + `"Z":{}}}`,
		"schemas": `"paths":{"/a":{"get":{"tags":["open"],"responses":{"200":{"description":"","content":{"a/b":{"schema":{"$ref":"#/components/schemas/S0"}}}}}}}},"components":{"schemas":{` + twice.String() + `}}`,
		"values": `"paths":{"/a":{"get":{"tags":["open"],"responses":{"200":{"description":"","content":{"a/b":{"schema":{"$ref":"#/components/schemas/R"},"example":` + deep + `}}}}}}},
			"components":{"schemas":{"R":{"type":"object","properties":{"x":{"anyOf":[{"$ref":"#/components/schemas/R"},{"$ref":"#/components/schemas/R"}]}}}}}`,
		"callbacks": `"paths":{` + items.String() + `"/a":{"get":{"tags":["open"],` + answers + `}}}`,
	} {
		raw, doc, _ := merged(t, Source{Name: "svc", Document: parsed(t, []byte(document(1, members)))})
		if at(doc, "paths", "/svc/a", "get") == nil {
			t.Errorf("%s: %.2000s", name, raw)
		}
	}
}

func TestSchemasOfThemselvesDoNotLoseReaders(t *testing.T) {
	// kin-openapi has to come through these, too.
	doc, _ := mergeOne(t, 0, `"paths":{"/a":{"get":{"tags":["open"],"responses":{"200":{"description":"","content":{"a/b":{"schema":{"$ref":"#/components/schemas/A"},"example":{"a":{"a":{}}}},
		"c/d":{"schema":{"$ref":"#/components/schemas/L"},"example":[[],[]]},"e/f":{"schema":{"$ref":"#/components/schemas/M"},"example":[]}}}}}}},
		"components":{"schemas":{"A":{"properties":{"a":{"$ref":"#/components/schemas/A"}}},"L":{"items":{"$ref":"#/components/schemas/L"}},"M":{"anyOf":[{"items":{"$ref":"#/components/schemas/M"}}]}}}`)
	if a, l := at(doc, "components", "schemas", "svc_A", "type"), at(doc, "components", "schemas", "svc_L", "type"); a != "object" || l != "array" {
		t.Errorf("types are %v and %v", a, l)
	}
}

package apidoc

import (
	"strings"
	"testing"
)

// schemaOf merges a schema in a document of version 3.y, beside another of
// version 3.z, and tells what became of it.
func schemaOf(t *testing.T, minor, beside int, schema string) string {
	t.Helper()
	d := parsed(t, []byte(document(minor, `"paths":{"/a":{"get":{"tags":["open"],"responses":{"200":{"description":"fine","content":{"application/json":{"schema":`+schema+`}}}}}}},
		"components":{"schemas":{"X":{"type":"object"}}}`)))
	other := parsed(t, []byte(document(beside, `"paths":{"/a":{"get":{"tags":["open"],`+answers+`}}}`)))
	raw, doc, faults := merged(t, Source{Name: "svc", Document: d}, Source{Name: "other", Document: other})
	if err := Validate(raw); err != nil {
		t.Errorf("not valid: %v", err)
	}
	if len(faults) > 0 {
		t.Errorf("faults: %q", faults)
	}
	return shown(at(doc, "paths", "/svc/a", "get", "responses", "200", "content", "application/json", "schema"))
}

func TestVersionOfTheMergedDocument(t *testing.T) {
	old := parsed(t, []byte(document(0, `"paths":{"/a":{"get":{"tags":["open"],`+answers+`}}}`)))
	recent := parsed(t, []byte(document(1, `"paths":{"/a":{"get":{"tags":["open"],`+answers+`}}}`)))
	newest := parsed(t, []byte(document(2, `"paths":{"/a":{"get":{"tags":["open"],`+answers+`},"query":{"tags":["open"],`+answers+`}}}`)))
	silent := parsed(t, []byte(document(1, `"paths":{"/a":{"get":{`+answers+`}}}`)))
	for name, c := range map[string]struct {
		docs []*Document
		want string
	}{
		"none":                       {nil, "3.0.3"},
		"all are 3.0":                {[]*Document{old, old}, "3.0.3"},
		"one is 3.1":                 {[]*Document{old, recent}, "3.1.0"},
		"one is 3.2":                 {[]*Document{newest}, "3.1.0"},
		"one is 3.1 but opts not in": {[]*Document{old, silent}, "3.0.3"},
	} {
		var sources []Source
		for i, d := range c.docs {
			sources = append(sources, Source{Name: string(rune('a' + i)), Document: d})
		}
		raw, doc, faults := merged(t, sources...)
		if err := Validate(raw); err != nil || doc["openapi"] != c.want {
			t.Errorf("%s: %v, %v", name, doc["openapi"], err)
		}
		if has := contains(faults, "QUERY /a", "before OpenAPI 3.2"); has != (name == "one is 3.2") {
			t.Errorf("%s: faults %q", name, faults)
		}
	}
}

func TestSchemasOf30MeanTheSameIn31(t *testing.T) {
	for _, c := range []struct{ was, is string }{
		{`{"type":"string","nullable":true}`, `{"type":["string","null"]}`},
		{`{"type":"string","nullable":false}`, `{"type":"string"}`},
		{`{"nullable":true,"allOf":[{"$ref":"#/components/schemas/X"}],"description":"x"}`, `{"anyOf":[{"allOf":[{"$ref":"#/components/schemas/svc_X"}]},{"type":"null"}],"description":"x"}`},
		{`{"nullable":true,"oneOf":[{"type":"string"}]}`, `{"oneOf":[{"type":"string"},{"type":"null"}]}`},
		{`{"nullable":true,"anyOf":[{"type":"string"}]}`, `{"anyOf":[{"type":"string"},{"type":"null"}]}`},
		{`{"nullable":true}`, `{}`},
		{`{"type":"number","minimum":1,"exclusiveMinimum":true,"maximum":9,"exclusiveMaximum":false}`, `{"exclusiveMinimum":1,"maximum":9,"type":"number"}`},
		{`{"type":"number","exclusiveMinimum":true}`, `{"type":"number"}`},
		{`{"type":"string","example":"x"}`, `{"examples":["x"],"type":"string"}`},
		{`{"type":"array","items":{"type":"object","properties":{"nullable":{"type":"string","nullable":true},"example":{"type":"string"}}}}`,
			`{"items":{"properties":{"example":{"type":"string"},"nullable":{"type":["string","null"]}},"type":"object"},"type":"array"}`},
		{`{"$ref":"#/components/schemas/X","nullable":true,"description":"said","maxLength":3}`, `{"$ref":"#/components/schemas/svc_X","description":"said"}`},
		{`{"type":"object","default":{"nullable":true,"example":1}}`, `{"default":{"example":1,"nullable":true},"type":"object"}`},
	} {
		if got := schemaOf(t, 0, 1, c.was); got != c.is {
			t.Errorf("%s became %s, not %s", c.was, got, c.is)
		}
	}
}

func TestSchemasOf31StayAsTheyAre(t *testing.T) {
	for _, schema := range []string{
		`{"type":["string","null"]}`, `{"exclusiveMinimum":1,"type":"number"}`, `{"const":"x"}`, `{"const":null}`,
		`{"prefixItems":[{"type":"string"}],"type":"array"}`, `{"else":{"maxLength":2},"if":{"minLength":2},"then":{"maxLength":3}}`,
		`{"patternProperties":{"^x":{"type":"string"}},"propertyNames":{"maxLength":3},"type":"object","unevaluatedProperties":false}`,
		`{"dependentRequired":{"a":["b"]},"dependentSchemas":{"a":{"required":["b"]}}}`, `{"contains":{"const":1},"maxContains":2,"minContains":1}`,
		`{"contentEncoding":"base64","contentMediaType":"image/png","type":"string"}`, `{"examples":[1,null,"x"]}`, `{"$comment":"x","x-own":{"$ref":"kept"}}`,
		`true`, `{"items":false,"type":"array"}`, `{"additionalProperties":false}`, `{"enum":[null,"a"]}`, `{}`,
	} {
		if got := schemaOf(t, 1, 0, schema); got != schema {
			t.Errorf("%s became %s", schema, got)
		}
	}
}

func TestSchemasThatMixVersionsUp(t *testing.T) {
	for _, c := range []struct {
		minor   int
		was, is string
	}{
		// pydantic 1 writes JSON Schema into documents of OpenAPI 3.0.
		{0, `{"type":"integer","exclusiveMinimum":0,"exclusiveMaximum":9}`, `{"exclusiveMaximum":true,"exclusiveMinimum":true,"maximum":9,"minimum":0,"type":"integer"}`},
		{0, `{"type":"array","items":[{"type":"string"},{"type":"number"}],"minItems":2,"maxItems":2}`, `{"items":{"anyOf":[{"type":"string"},{"type":"number"}]},"maxItems":2,"minItems":2,"type":"array"}`},
		{0, `{"type":"array","items":[]}`, `{"items":{},"type":"array"}`},
		{0, `{"const":"cat"}`, `{"enum":["cat"]}`},
		{0, `{"type":["string","null"]}`, `{"nullable":true,"type":"string"}`},
		{0, `{"type":["string","integer"]}`, `{}`},
		{0, `{"type":"null"}`, `{}`},
		{0, `{"type":"string","examples":["x","y"]}`, `{"example":"x","type":"string"}`},
		{0, `{"type":"object","patternProperties":{"^x":{}},"$comment":"x","contentEncoding":"base64"}`, `{"type":"object"}`},
		{0, `{"type":"array"}`, `{"items":{},"type":"array"}`},
		{0, `{"type":"object","properties":{"a":true,"b":false}}`, `{"properties":{"a":{},"b":{"not":{}}},"type":"object"}`},
		{0, `{"type":"string","title":null,"default":null}`, `{"default":null,"type":"string"}`},
		{0, `{"type":"string","minLength":2.0,"x-own":{"$ref":"#/kept"}}`, `{"minLength":2,"type":"string","x-own":{"$ref":"#/kept"}}`},
		{0, `{"type":"string","pattern":"^(?!a)"}`, `{"type":"string","x-pattern":"^(?!a)"}`},
		{0, `{"type":"object","required":[]}`, `{"type":"object"}`},
		{0, `{"type":"object","required":["a","a"]}`, `{"required":["a"],"type":"object"}`},
		{1, `{"type":"integer","minimum":3,"exclusiveMinimum":true}`, `{"exclusiveMinimum":3,"type":"integer"}`},
		{1, `{"type":"array","items":[{"type":"string"}]}`, `{"prefixItems":[{"type":"string"}],"type":"array"}`},
		{1, `{"type":"file"}`, `{}`},
		{1, `{"type":"string","own":{"$ref":"kept"}}`, `{"type":"string","x-own":{"$ref":"kept"}}`},
	} {
		if got := schemaOf(t, c.minor, c.minor, c.was); got != c.is {
			t.Errorf("3.%d: %s became %s, not %s", c.minor, c.was, got, c.is)
		}
	}
}

func TestWhatHasNoDoubtIsMended(t *testing.T) {
	doc, _ := mergeOne(t, 0, `"paths":{"/a/{id}/{more}":{
		"parameters":[{"name":"id","in":"path","schema":{"type":"integer"}},{"name":"other","in":"path","schema":{}}],
		"get":{"tags":["open"],"parameters":[{"name":"q","in":"query"},{"name":"q","in":"query","schema":{"type":"string"}},
			{"name":"w","in":"query","style":"deepObject","schema":{"type":"object"}},{"name":"s","in":"header","style":"form","schema":{"type":"string"}},
			{"name":"e","in":"query","schema":{"type":"string"},"example":"a","examples":{"b":{"value":"b"}}}],
			"responses":{"200":{},"404":{"description":""},"4xx":{"description":"x"},"teapot":{"description":"x"}}},
		"post":{"tags":["open"]},"put":{"tags":["open"],"responses":{}}}}`)
	item := at(doc, "paths", "/svc/a/{id}/{more}")
	for path, want := range map[string]string{
		"parameters": `[{"in":"path","name":"id","required":true,"schema":{"type":"integer"}}]`,
		"get parameters": `[{"in":"query","name":"q","schema":{}},{"explode":true,"in":"query","name":"w","schema":{"type":"object"},"style":"deepObject"},` +
			`{"in":"header","name":"s","schema":{"type":"string"}},{"examples":{"b":{"value":"b"}},"in":"query","name":"e","schema":{"type":"string"}},` +
			`{"in":"path","name":"more","required":true,"schema":{"type":"string"}}]`,
		"get responses 200":      `{"description":"OK"}`,
		"get responses 404":      `{"description":"Not Found"}`,
		"get responses 4XX":      `{"description":"x"}`,
		"get responses teapot":   `null`,
		"post responses default": `{"description":""}`,
		"put responses default":  `{"description":""}`,
	} {
		if got := shown(at(item, strings.Split(path, " ")...)); got != want {
			t.Errorf("%s is %s, not %s", path, got, want)
		}
	}
}

func TestPathsThatDifferInNamesAlone(t *testing.T) {
	doc, faults := mergeOne(t, 0, `"paths":{
		"/a/{id}":{"parameters":[{"name":"X-A","in":"header","schema":{"type":"string"}},{"name":"id","in":"path","required":true,"schema":{"type":"integer"}}],
			"get":{"tags":["open"],"parameters":[{"name":"X-A","in":"header","schema":{"type":"number"}}],`+answers+`}},
		"/a/{name}":{"parameters":[{"$ref":"#/components/parameters/Name"}],"delete":{"tags":["open"],`+answers+`}}},
		"components":{"parameters":{"Name":{"name":"name","in":"path","required":true,"schema":{"type":"string"}}}}`)
	if len(faults) > 0 {
		t.Errorf("faults: %q", faults)
	}
	item := at(doc, "paths", "/svc/a/{id}")
	for path, want := range map[string]string{
		"parameters":        `null`,
		"get parameters":    `[{"in":"header","name":"X-A","schema":{"type":"number"}},{"in":"path","name":"id","required":true,"schema":{"type":"integer"}}]`,
		"delete parameters": `[{"in":"path","name":"id","required":true,"schema":{"type":"string"}}]`,
	} {
		if got := shown(at(item, strings.Split(path, " ")...)); got != want {
			t.Errorf("%s is %s, not %s", path, got, want)
		}
	}
}

package jsonschema

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// compiled is the schema under "schema" of a document.
func compiled(t testing.TB, v Version, document string) *Schema {
	t.Helper()
	doc, err := Decode([]byte(document))
	if err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	set := NewSet(doc, v)
	s := set.At("#/schema", doc.(map[string]any)["schema"])
	if err := set.Finish(); err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	return s
}

func decoded(t testing.TB, value string) any {
	t.Helper()
	v, err := Decode([]byte(value))
	if err != nil {
		t.Fatalf("%s: %v", value, err)
	}
	return v
}

// keywordSchemas are schemas with each keyword, and some together.
var keywordSchemas = []string{
	`{}`, `true`, `false`,
	`{"type":"null"}`, `{"type":"boolean"}`, `{"type":"integer"}`, `{"type":"number"}`, `{"type":"string"}`, `{"type":"array"}`, `{"type":"object"}`,
	`{"type":["string","null"]}`, `{"type":["integer","array"]}`, `{"type":["number","object"]}`,
	`{"enum":[1,"a",null,[1],{"a":1}]}`, `{"enum":[1.0,true]}`, `{"const":"a"}`, `{"const":null}`, `{"const":[1,2]}`, `{"const":{"a":1}}`, `{"const":0}`, `{"const":false}`,
	`{"enum":["a","b"],"const":"b"}`,
	`{"minimum":1}`, `{"maximum":1}`, `{"exclusiveMinimum":1}`, `{"exclusiveMaximum":1}`, `{"minimum":-1.5,"maximum":1.5}`,
	`{"multipleOf":2}`, `{"multipleOf":0.1}`, `{"multipleOf":1.5}`, `{"multipleOf":0.01}`,
	`{"minLength":1}`, `{"maxLength":1}`, `{"minLength":2,"maxLength":2}`, `{"pattern":"^a+$"}`, `{"pattern":"b"}`,
	`{"minItems":1}`, `{"maxItems":1}`, `{"uniqueItems":true}`, `{"items":{"type":"integer"}}`, `{"items":false}`,
	`{"prefixItems":[{"type":"integer"},{"type":"string"}]}`, `{"prefixItems":[{"type":"integer"}],"items":{"type":"string"}}`, `{"prefixItems":[true],"items":false}`,
	`{"contains":{"type":"integer"}}`, `{"contains":{"const":1},"minContains":2}`, `{"contains":{"const":1},"maxContains":1}`, `{"contains":{"const":1},"minContains":0}`,
	`{"minProperties":1}`, `{"maxProperties":1}`, `{"required":["a"]}`, `{"required":["a","b"]}`, `{"properties":{"a":{"type":"integer"}}}`,
	`{"properties":{"a":{"type":"integer"}},"additionalProperties":false}`, `{"properties":{"a":{}},"additionalProperties":{"type":"string"}}`,
	`{"patternProperties":{"^a":{"type":"integer"}}}`, `{"patternProperties":{"^a":{"type":"integer"}},"additionalProperties":false}`,
	`{"propertyNames":{"maxLength":1}}`, `{"propertyNames":{"enum":["a"]}}`, `{"dependentRequired":{"a":["b"]}}`, `{"dependentSchemas":{"a":{"required":["b"]}}}`,
	`{"allOf":[{"type":"integer"},{"minimum":2}]}`, `{"anyOf":[{"type":"integer"},{"minLength":2}]}`, `{"oneOf":[{"type":"integer"},{"minimum":2}]}`,
	`{"oneOf":[{"required":["a"]},{"required":["b"]}]}`, `{"not":{"type":"integer"}}`, `{"not":{}}`, `{"not":{"not":{"type":"string"}}}`,
	`{"if":{"type":"integer"},"then":{"minimum":2},"else":{"type":"string"}}`, `{"if":{"required":["a"]},"then":{"required":["b"]}}`, `{"then":false}`,
	`{"unevaluatedProperties":false}`, `{"properties":{"a":true},"unevaluatedProperties":false}`, `{"unevaluatedProperties":{"type":"string"}}`,
	`{"allOf":[{"properties":{"a":true}}],"unevaluatedProperties":false}`, `{"anyOf":[{"properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"b":true},"required":["b"]}],"unevaluatedProperties":false}`,
	`{"oneOf":[{"properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"b":true},"required":["b"]}],"unevaluatedProperties":false}`,
	`{"if":{"properties":{"a":{"const":1}},"required":["a"]},"then":{"properties":{"b":true}},"unevaluatedProperties":false}`,
	`{"dependentSchemas":{"a":{"properties":{"b":true}}},"properties":{"a":true},"unevaluatedProperties":false}`,
	`{"allOf":[{"unevaluatedProperties":true}],"unevaluatedProperties":false}`, `{"not":{"properties":{"a":true},"required":["z"]},"unevaluatedProperties":false}`,
	`{"unevaluatedItems":false}`, `{"prefixItems":[true],"unevaluatedItems":false}`, `{"prefixItems":[true],"unevaluatedItems":{"type":"string"}}`,
	`{"contains":{"type":"string"},"unevaluatedItems":false}`, `{"anyOf":[{"prefixItems":[{"const":1}]},{"prefixItems":[true,{"const":"a"}]}],"unevaluatedItems":false}`,
	`{"allOf":[{"items":{"type":"integer"}}],"unevaluatedItems":false}`,
	`{"properties":{"a":{"type":"object","properties":{"b":{"type":"array","items":{"type":"integer"}}},"required":["b"]}},"required":["a"]}`,
	`{"format":"date"}`, `{"format":"date-time"}`, `{"type":"object","properties":{"a":{"enum":[1]}},"anyOf":[{"required":["a"]},{"required":["b"]}],"additionalProperties":false}`,
}

var keywordValues = []string{
	`null`, `true`, `false`, `0`, `1`, `1.0`, `2`, `3`, `-1`, `-2`, `1.5`, `0.3`, `0.25`, `1e2`, `1E-1`, `4503599627370497.5`, `12345678901234567890`,
	`""`, `"a"`, `"b"`, `"aa"`, `"ab"`, `"é"`, `"aaa"`, `"2024-02-29"`, `"2024-13-01"`, `"2024-02-28T10:11:12Z"`, `"2024-02-28T10:11:12.5+01:00"`, `"x"`,
	`[]`, `[1]`, `[1,2]`, `[1,1]`, `[1,"a"]`, `["a","b"]`, `["a",1]`, `[1,1.0]`, `[1,true]`, `[[1],[1]]`, `[{"a":1,"b":2},{"b":2,"a":1}]`, `["a","b","c"]`, `[1,"a",2]`,
	`{}`, `{"a":1}`, `{"a":"x"}`, `{"b":1}`, `{"b":"x"}`, `{"a":1,"b":2}`, `{"a":1,"b":"x"}`, `{"ab":1}`, `{"ab":"x"}`, `{"c":1}`, `{"a":1,"c":3}`,
	`{"a":{"b":[1]}}`, `{"a":{"b":["x"]}}`, `{"a":{}}`, `{"a":null}`,
}

// What a value fits is the same as another implementation of JSON Schema
// 2020-12 finds.
func TestKeywords(t *testing.T) {
	for _, schema := range keywordSchemas {
		s := compiled(t, OpenAPI31, `{"schema":`+schema+`}`)
		var other openapi3.Schema
		if err := json.Unmarshal([]byte(schema), &other); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(schema, "null") && strings.Contains(schema, "const") {
			other.Enum = []any{nil} // there a constant of null is none
		}
		for _, value := range keywordValues {
			v := decoded(t, value)
			faults := s.Check(v, Options{All: true})
			want := other.VisitJSON(v, openapi3.EnableJSONSchema2020())
			if (len(faults) == 0) != (want == nil) {
				t.Errorf("%s fits %s: %+v, and there %v", value, schema, faults, want)
			}
			if first := s.Check(v, Options{}); (first == nil) != (faults == nil) || len(first) > 1 && len(faults) == 1 {
				t.Errorf("%s fits %s: %+v of all, %+v at first", value, schema, faults, first)
			}
			if s.Fits(v, Options{}) != (faults == nil) {
				t.Errorf("%s fits %s: not the same without faults", value, schema)
			}
		}
	}
}

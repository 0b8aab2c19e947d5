package jsonschema

import (
	"bytes"
	"encoding/json"
	"testing"

	other "github.com/santhosh-tekuri/jsonschema/v6"
)

// pairs is a schema with values, and how many of these, the first ones, fit.
type pairs struct {
	schema string
	fit    []string
	not    []string
}

// differentialPairs are schemas and values for all keywords.
var differentialPairs = []pairs{
	{`true`, []string{`1`, `null`}, nil},
	{`false`, nil, []string{`1`, `null`, `{}`}},
	{`{"type":"integer"}`, []string{`1`, `1.0`, `-0`, `0.0`, `1e3`, `100e-2`, `1e400`}, []string{`1.5`, `1e-1`, `1e-400`, `1.00000000000000000000001`, `0.0000000000000000000000000001`, `"1"`}},
	{`{"type":"number"}`, []string{`1`, `1e-400`, `1.5`}, []string{`true`, `"1"`, `null`}},
	{`{"type":["string","null"]}`, []string{`null`, `""`}, []string{`0`, `[]`}},
	{`{"minimum":18446744073709551615}`, []string{`18446744073709551615`, `18446744073709551616`, `18446744073709551615.0`, `"x"`}, []string{`18446744073709551614`, `18446744073709551614.5`, `-1e400`}},
	{`{"maximum":9007199254740993}`, []string{`9007199254740993`, `9007199254740992`, `9007199254740992.9`}, []string{`9007199254740994`, `9007199254740993.1`, `9.007199254740994e15`}},
	{`{"exclusiveMinimum":0}`, []string{`1e-400`, `1`}, []string{`0`, `-0.0`, `-1e-400`, `0e5`}},
	{`{"exclusiveMaximum":0.3}`, []string{`0.29999999999999999999`, `-5`}, []string{`0.3`, `0.30`, `3e-1`, `0.30000000000000000001`}},
	{`{"multipleOf":0.01}`, []string{`0.07`, `19.99`, `1`, `0`, `-0.05`, `1e300`}, []string{`0.005`, `0.075`, `1e-3`}},
	{`{"multipleOf":0.123456789}`, []string{`0.246913578`}, []string{`1e308`, `1`}},
	{`{"multipleOf":3}`, []string{`123456789012345678901234567890`, `3e50`, `0`}, []string{`123456789012345678901234567891`, `1e50`, `3.5`}},
	{`{"multipleOf":1e-300}`, []string{`1`, `1e-300`, `1e-299`}, []string{`1e-301`, `5e-301`}},
	{`{"const":12345678901234567890}`, []string{`12345678901234567890`, `1.234567890123456789e19`}, []string{`12345678901234567891`}},
	{`{"enum":[1.10,"a",null,[1],{"a":1.0}]}`, []string{`1.1`, `"a"`, `null`, `[1.0]`, `{"a":1}`}, []string{`1.10000000000000000000001`, `"b"`, `false`, `[]`, `{"a":2}`, `{"a":1,"b":1}`}},
	{`{"const":0}`, []string{`0`, `0.0`, `-0`, `0e9`}, []string{`false`, `""`, `null`, `[]`}},
	{`{"const":false}`, []string{`false`}, []string{`0`, `null`}},
	{`{"const":{"a":{"b":[1,2]}}}`, []string{`{"a":{"b":[1,2]}}`}, []string{`{"a":{"b":[2,1]}}`, `{}`}},
	{`{"uniqueItems":true}`, []string{`[1,true]`, `[0,false]`, `[{"a":1},{"a":2}]`, `[[1],[2]]`, `["1",1]`, `[18446744073709551615,18446744073709551616]`}, []string{`[1,1.0]`, `[{"a":1,"b":2},{"b":2,"a":1}]`, `[0,-0.0]`, `[100,1e2]`}},
	{`{"minLength":2,"maxLength":3}`, []string{`"ab"`, `"💩💩"`, `"e\u0301x"`, `1`}, []string{`"a"`, `"💩"`, `"abcd"`}},
	{`{"minLength":1.0}`, []string{`"a"`}, []string{`""`}},
	{`{"pattern":"^a+$"}`, []string{`"aa"`, `1`}, []string{`"ab"`, `""`, `"a\n"`}},
	{`{"pattern":"a"}`, []string{`"xax"`}, []string{`"b"`}},
	{`{"pattern":"^\\d{2}-[\\w.-]+$"}`, []string{`"12-a.b-c"`}, []string{`"1-a"`, `"12-"`}},
	{`{"prefixItems":[{"type":"integer"},{"type":"string"}],"items":{"type":"boolean"}}`, []string{`[]`, `[1]`, `[1,"a"]`, `[1,"a",true]`, `{}`}, []string{`["a"]`, `[1,1]`, `[1,"a",1]`}},
	{`{"prefixItems":[true,false]}`, []string{`[1]`}, []string{`[1,2]`}},
	{`{"items":false}`, []string{`[]`, `{}`}, []string{`[1]`}},
	{`{"contains":{"type":"integer"},"minContains":2,"maxContains":3}`, []string{`[1,2]`, `["a",1,2,3]`, `{}`}, []string{`[]`, `[1]`, `[1,2,3,4]`}},
	{`{"contains":{"const":1},"minContains":0}`, []string{`[]`, `[2]`}, nil},
	{`{"contains":{"const":1},"minContains":0,"maxContains":1}`, []string{`[]`, `[1]`}, []string{`[1,1]`}},
	{`{"minContains":2}`, []string{`[]`, `[1]`}, nil},
	{`{"minItems":1,"maxItems":2}`, []string{`[1]`, `{}`}, []string{`[]`, `[1,2,3]`}},
	{`{"minProperties":1,"maxProperties":2}`, []string{`{"a":1}`, `[]`}, []string{`{}`, `{"a":1,"b":1,"c":1}`}},
	{`{"required":["a","b"]}`, []string{`{"a":null,"b":null}`, `[]`}, []string{`{"a":1}`, `{}`}},
	{`{"properties":{"__proto__":{"type":"integer"},"toString":{"type":"string"}}}`, []string{`{}`, `{"__proto__":1}`}, []string{`{"__proto__":"a"}`, `{"toString":1}`}},
	{`{"properties":{"a":false}}`, []string{`{}`, `{"b":1}`}, []string{`{"a":1}`}},
	{`{"properties":{"a":{}},"patternProperties":{"^x":{"type":"integer"}},"additionalProperties":{"type":"boolean"}}`,
		[]string{`{"a":"s","x1":1,"b":true}`}, []string{`{"x1":true}`, `{"b":1}`}},
	{`{"properties":{"xa":{"minimum":2}},"patternProperties":{"^x":{"maximum":3},"a$":{"multipleOf":2}}}`, []string{`{"xa":2}`}, []string{`{"xa":1}`, `{"xa":4}`, `{"xa":3}`}},
	{`{"additionalProperties":false}`, []string{`{}`, `1`}, []string{`{"a":1}`}},
	{`{"allOf":[{"properties":{"a":{}}}],"additionalProperties":false}`, []string{`{}`}, []string{`{"a":1}`}},
	{`{"propertyNames":{"pattern":"^[a-z]+$","maxLength":2}}`, []string{`{"ab":1}`, `{}`}, []string{`{"A":1}`, `{"abc":1}`}},
	{`{"propertyNames":false}`, []string{`{}`, `[]`}, []string{`{"a":1}`}},
	{`{"dependentRequired":{"a":["b","c"],"d":[]}}`, []string{`{"a":1,"b":1,"c":1}`, `{"b":1}`, `{"d":1}`}, []string{`{"a":1,"b":1}`}},
	{`{"dependentSchemas":{"a":{"properties":{"b":{"type":"integer"}}},"c":false}}`, []string{`{"b":"x"}`, `{"a":1,"b":1}`}, []string{`{"a":1,"b":"x"}`, `{"c":1}`}},
	{`{"not":{"type":"integer"}}`, []string{`"a"`, `1.5`}, []string{`1`, `1.0`}},
	{`{"not":{"allOf":[{"type":"integer"},{"not":{"minimum":5}}]}}`, []string{`5`, `"a"`}, []string{`4`}},
	{`{"if":true,"then":{"type":"string"},"else":{"type":"integer"}}`, []string{`"a"`}, []string{`1`}},
	{`{"if":false,"then":false,"else":{"type":"integer"}}`, []string{`1`}, []string{`"a"`}},
	{`{"then":false,"else":false}`, []string{`1`}, nil},
	{`{"if":{"minimum":5},"else":{"maximum":2}}`, []string{`6`, `2`, `"a"`}, []string{`3`}},
	{`{"anyOf":[{"type":"integer"},{"minimum":2}]}`, []string{`1`, `2.5`}, []string{`1.5`}},
	{`{"anyOf":[false,false]}`, nil, []string{`1`, `null`}},
	{`{"oneOf":[{"type":"integer"},{"minimum":2}]}`, []string{`1`, `2.5`}, []string{`3`, `1.5`}},
	{`{"oneOf":[true,true]}`, nil, []string{`1`, `null`}},
	{`{"oneOf":[{"type":"null"},{"const":null}]}`, nil, []string{`null`, `1`}},
	{`{"allOf":[{"minimum":1},{"maximum":3}],"anyOf":[{"multipleOf":2},{"multipleOf":3}],"oneOf":[{"const":2},{"const":3}]}`, []string{`2`, `3`}, []string{`1`, `6`, `0`}},
	{`{"$ref":"#/$defs/a","minimum":3,"$defs":{"a":{"type":"integer","maximum":5}}}`, []string{`3`, `5`}, []string{`2`, `6`, `"a"`}},
	{`{"$ref":"#/$defs/x~1y%25~0z","$defs":{"x/y%~z":{"type":"integer"}}}`, []string{`1`}, []string{`"a"`}},
	{`{"properties":{"$ref":{"type":"string"}}}`, []string{`{"$ref":"a"}`}, []string{`{"$ref":1}`}},
	{`{"properties":{"$ref":{"$ref":"#/$defs/s"}},"$defs":{"s":{"type":"string"}}}`, []string{`{"$ref":"a"}`}, []string{`{"$ref":1}`}},
	{`{"properties":{"c":{"$ref":"#"}},"required":["v"]}`, []string{`{"v":1}`, `{"v":1,"c":{"v":2}}`}, []string{`{"v":1,"c":{}}`}},
	{`{"$ref":"#item","$defs":{"a":{"$anchor":"item","type":"integer"}}}`, []string{`1`}, []string{`"a"`}},
	{`{"$ref":"#item","$defs":{"100%":{"$anchor":"item","type":"integer"},"a b%20c":{"type":"string"}}}`, []string{`1`}, []string{`"a"`}},
	{`{"$dynamicRef":"#n","$defs":{"a":{"$dynamicAnchor":"n","type":"integer"}}}`, []string{`1`}, []string{`"a"`}},
	{`{"$ref":"#/$defs/b","$dynamicRef":"#n","$defs":{"a":{"$dynamicAnchor":"n","type":"integer"},"b":{"minimum":3}}}`, []string{`3`}, []string{`"a"`, `2`, `3.5`}},
	{`{"$dynamicAnchor":"tree","properties":{"kids":{"items":{"$dynamicRef":"#tree"}}},"required":["v"]}`, []string{`{"v":1,"kids":[{"v":2}]}`}, []string{`{"v":1,"kids":[{}]}`}},
	{`{"properties":{"a":{}},"unevaluatedProperties":false}`, []string{`{"a":1}`, `[]`}, []string{`{"b":1}`}},
	{`{"$ref":"#/$defs/a","unevaluatedProperties":false,"$defs":{"a":{"properties":{"a":{}}}}}`, []string{`{"a":1}`}, []string{`{"a":1,"b":1}`}},
	{`{"allOf":[{"properties":{"a":{}}},{"patternProperties":{"^x":{}}}],"properties":{"b":{}},"unevaluatedProperties":false}`, []string{`{"a":1,"b":2,"xx":3}`}, []string{`{"c":1}`}},
	{`{"anyOf":[{"required":["a"],"properties":{"a":{}}},{"required":["b"],"properties":{"b":{}}}],"unevaluatedProperties":false}`,
		[]string{`{"a":1}`, `{"a":1,"b":1}`}, []string{`{"a":1,"c":1}`, `{}`}},
	{`{"not":{"properties":{"a":{"type":"integer"}},"required":["a"]},"unevaluatedProperties":false}`, []string{`{}`}, []string{`{"a":"x"}`, `{"a":1}`}},
	{`{"not":{"not":{"properties":{"a":{}},"required":["a"]}},"unevaluatedProperties":false}`, nil, []string{`{"a":1}`, `{}`}},
	{`{"if":{"properties":{"k":{"const":1}},"required":["k"]},"then":{"properties":{"a":{}}},"else":{"properties":{"b":{}}},"unevaluatedProperties":false}`,
		[]string{`{"k":1,"a":1}`, `{"b":1}`}, []string{`{"k":1,"b":1}`, `{"k":2,"b":1}`, `{"a":1}`}},
	{`{"dependentSchemas":{"a":{"properties":{"b":{}}}},"unevaluatedProperties":{"type":"integer"}}`, []string{`{"a":1,"b":"x"}`, `{"b":1}`}, []string{`{"b":"x"}`, `{"a":"x"}`}},
	{`{"properties":{"a":{"properties":{"b":{}}}},"allOf":[{"properties":{"a":{"properties":{"c":{}},"unevaluatedProperties":false}}}]}`,
		[]string{`{"a":{"c":1}}`}, []string{`{"a":{"b":1}}`}},
	{`{"allOf":[{"additionalProperties":{"type":"integer"}}],"unevaluatedProperties":false}`, []string{`{"a":1}`}, []string{`{"a":"x"}`}},
	{`{"allOf":[{"unevaluatedProperties":false}],"properties":{"a":{}}}`, []string{`{}`}, []string{`{"a":1}`}},
	{`{"prefixItems":[{"type":"string"}],"unevaluatedItems":false}`, []string{`["a"]`, `[]`, `{}`}, []string{`["a",1]`}},
	{`{"allOf":[{"prefixItems":[true,{"type":"integer"}]}],"prefixItems":[{"type":"string"}],"unevaluatedItems":false}`, []string{`["a",1]`}, []string{`["a",1,2]`, `["a","b"]`}},
	{`{"contains":{"type":"integer"},"unevaluatedItems":{"type":"string"}}`, []string{`[1,"a",2]`}, []string{`[1,true]`, `["a"]`}},
	{`{"allOf":[{"contains":{"multipleOf":2}},{"contains":{"multipleOf":3}}],"unevaluatedItems":{"multipleOf":5}}`, []string{`[2,3,4,5,6]`}, []string{`[2,3,4,7,8]`}},
	{`{"anyOf":[{"prefixItems":[{"const":1}]},{"prefixItems":[true,{"const":2}]}],"unevaluatedItems":false}`, []string{`[1]`, `[1,2]`, `[3,2]`}, []string{`[1,3]`, `[1,2,3]`}},
	{`{"if":{"prefixItems":[{"const":1}]},"then":{"prefixItems":[true,true]},"unevaluatedItems":false}`, []string{`[1,2]`, `[]`}, []string{`[2,2]`, `[1,2,3]`}},
	{`{"items":{"type":"integer"},"unevaluatedItems":false}`, []string{`[1,2]`}, []string{`["a"]`}},
	{`{"unevaluatedItems":{"type":"integer"},"unevaluatedProperties":{"type":"string"}}`, []string{`[1]`, `{"a":"b"}`}, []string{`["a"]`, `{"a":1}`}},
	{`{"format":"unknown","title":"x","default":1,"$comment":"y","x-z":{},"deprecated":true,"readOnly":true}`, []string{`1`, `{}`}, nil},
	{`{"required":["a"],"properties":{"a":{"readOnly":true},"b":{"writeOnly":true}}}`, []string{`{"a":1,"b":1}`}, []string{`{"b":1}`}},
	{`{"contentEncoding":"base64","contentMediaType":"application/json"}`, []string{`"{}"`, `"!"`, `1`}, nil},
}

// reference compiles a schema by another implementation.
func reference(t *testing.T, schema string) *other.Schema {
	t.Helper()
	doc, err := other.UnmarshalJSON(bytes.NewReader([]byte(schema)))
	if err != nil {
		t.Fatal(schema, err)
	}
	c := other.NewCompiler()
	if err := c.AddResource("mem:///schema", doc); err != nil {
		t.Fatal(schema, err)
	}
	s, err := c.Compile("mem:///schema")
	if err != nil {
		t.Fatal(schema, err)
	}
	return s
}

// rooted compiles a schema that is a whole document.
func rooted(t *testing.T, schema string) *Schema {
	t.Helper()
	var doc any
	d := json.NewDecoder(bytes.NewReader([]byte(schema)))
	d.UseNumber()
	if err := d.Decode(&doc); err != nil {
		t.Fatal(schema, err)
	}
	set := NewSet(doc, OpenAPI31)
	s := set.At("#", doc)
	if err := set.Finish(); err != nil {
		t.Fatal(schema, err)
	}
	return s
}

// agree tells whether all ways to check a value come to the same, and to what
// the other implementation says.
func agree(t *testing.T, s *Schema, ref *other.Schema, value string) (fits, same bool) {
	t.Helper()
	v := decoded(t, value)
	fits = s.Fits(v, Options{})
	if first := s.Check(v, Options{}) == nil; first != fits {
		t.Errorf("%s: it fits: %v, and %v with faults", value, fits, first)
	}
	if all := s.Check(v, Options{All: true}) == nil; all != fits {
		t.Errorf("%s: it fits: %v, and %v with all faults", value, fits, all)
	}
	return fits, (ref.Validate(v) == nil) == fits
}

// All keywords, by what the specification says and by another implementation.
func TestKeywordsByTheSpecification(t *testing.T) {
	n := 0
	for _, p := range differentialPairs {
		s, ref := rooted(t, p.schema), reference(t, p.schema)
		for _, want := range []bool{true, false} {
			values := p.not
			if want {
				values = p.fit
			}
			for _, value := range values {
				n++
				fits, same := agree(t, s, ref, value)
				if fits != want {
					t.Errorf("%s fits %s: %v", value, p.schema, fits)
				}
				if !same {
					t.Errorf("%s fits %s: %v, and %v there", value, p.schema, fits, !fits)
				}
			}
		}
	}
	if n < 250 {
		t.Errorf("%d pairs alone", n)
	}
}

// The schemas and values of TestKeywords, each with each.
func TestKeywordsByAnotherImplementation(t *testing.T) {
	for _, schema := range keywordSchemas {
		s, ref := rooted(t, schema), reference(t, schema)
		for _, value := range keywordValues {
			if formatted(schema) {
				continue // a note in the other one, an assertion here
			}
			if fits, same := agree(t, s, ref, value); !same {
				t.Errorf("%s fits %s: %v, and %v there", value, schema, fits, !fits)
			}
		}
	}
}

// formatted tells of a schema with a format: in JSON Schema 2020-12 that is an
// annotation alone unless asked for (7.2.1), and OpenAPI's are always checked.
func formatted(schema string) bool {
	return bytes.Contains([]byte(schema), []byte(`"format"`)) && !bytes.Contains([]byte(schema), []byte(`"unknown"`))
}

package apidoc

import (
	"encoding/json"
	"regexp"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// fitted tells whether a value fits a schema, both JSON, in OpenAPI 3.y.
func fitted(t testing.TB, minor int, schema, value string, way direction) verdict {
	t.Helper()
	s, err := decode([]byte(schema))
	if err != nil {
		t.Fatalf("%s: %v", schema, err)
	}
	v, err := decode([]byte(value))
	if err != nil {
		t.Fatalf("%s: %v", value, err)
	}
	f := fitter{minor: minor, schemas: map[string]any{}, patterns: map[string]*regexp.Regexp{}, total: stepsInAll, left: stepsPerValue, direction: way}
	return f.check(v, s)
}

func TestFits(t *testing.T) {
	for _, c := range []struct {
		schema, value string
		want          verdict
	}{
		{`{"type":"string"}`, `"x"`, yes}, {`{"type":"string"}`, `1`, no}, {`{"type":"integer"}`, `1`, yes}, {`{"type":"integer"}`, `1.0`, yes},
		{`{"type":"integer"}`, `1.5`, no}, {`{"type":"number"}`, `1`, yes}, {`{"type":"boolean"}`, `true`, yes}, {`{"type":"boolean"}`, `"true"`, no},
		{`{"type":"array","items":{}}`, `[]`, yes}, {`{"type":"object"}`, `[]`, no}, {`{"type":["string","integer"]}`, `1`, yes},
		{`{"enum":["a",1,{"b":[1.0]}]}`, `1.0`, yes}, {`{"enum":["a",1,{"b":[1.0]}]}`, `{"b":[1]}`, yes}, {`{"enum":["a"]}`, `"b"`, no},
		{`{"const":"a"}`, `"a"`, yes}, {`{"const":"a"}`, `"b"`, no},
		{`{"minimum":1,"maximum":2}`, `1`, yes}, {`{"minimum":1}`, `0`, no}, {`{"maximum":2}`, `3`, no}, {`{"exclusiveMinimum":1}`, `1`, no},
		{`{"exclusiveMaximum":1}`, `1`, no}, {`{"minimum":1,"exclusiveMinimum":true}`, `1`, no}, {`{"maximum":1,"exclusiveMaximum":true}`, `1`, no},
		{`{"multipleOf":3}`, `9`, yes}, {`{"multipleOf":3}`, `10`, no}, {`{"multipleOf":0.1}`, `0.3`, unsure},
		{`{"type":"integer","format":"int32"}`, `2147483648`, no}, {`{"type":"integer","format":"int64"}`, `9223372036854775807`, unsure},
		{`{"minLength":2,"maxLength":3}`, `"äö"`, yes}, {`{"minLength":2}`, `"ä"`, no}, {`{"maxLength":1}`, `"äö"`, no},
		{`{"pattern":"^a+$"}`, `"aa"`, yes}, {`{"pattern":"^a+$"}`, `"b"`, no}, {`{"pattern":"^\\u0041$"}`, `"A"`, yes},
		{`{"format":"date"}`, `"2024-02-30"`, yes}, {`{"format":"date"}`, `"soon"`, no}, {`{"format":"date-time"}`, `"2024-01-01T00:00:00Z"`, yes},
		{`{"format":"anything"}`, `"x"`, yes},
		{`{"items":{"type":"integer"},"minItems":1,"maxItems":2}`, `[1,2]`, yes}, {`{"minItems":1}`, `[]`, no}, {`{"maxItems":1}`, `[1,2]`, no},
		{`{"items":{"type":"integer"}}`, `["x"]`, no}, {`{"uniqueItems":true}`, `[1,2]`, yes}, {`{"uniqueItems":true}`, `[{"a":1},{"a":1.0}]`, no},
		{`{"prefixItems":[{"type":"string"}],"items":{"type":"integer"}}`, `["x",1]`, yes}, {`{"prefixItems":[{"type":"string"}],"items":false}`, `["x",1]`, no},
		{`{"contains":{"const":1}}`, `[2,1]`, yes}, {`{"contains":{"const":1}}`, `[2]`, no}, {`{"contains":{"const":1},"minContains":2}`, `[1]`, no},
		{`{"contains":{"const":1},"minContains":0}`, `[]`, yes},
		{`{"required":["a"]}`, `{"a":1}`, yes}, {`{"required":["a"]}`, `{}`, no}, {`{"properties":{"a":{"type":"string"}}}`, `{"a":1}`, no},
		{`{"additionalProperties":false,"properties":{"a":{}}}`, `{"a":1}`, yes}, {`{"additionalProperties":false}`, `{"a":1}`, no},
		{`{"additionalProperties":{"type":"string"}}`, `{"a":1}`, no}, {`{"minProperties":1}`, `{}`, no}, {`{"maxProperties":0}`, `{"a":1}`, no},
		{`{"patternProperties":{"^x":{"type":"string"}},"additionalProperties":false}`, `{"xa":"1"}`, yes},
		{`{"patternProperties":{"^x":{"type":"string"}},"additionalProperties":false}`, `{"ya":"1"}`, no},
		{`{"propertyNames":{"maxLength":1}}`, `{"ab":1}`, no}, {`{"unevaluatedProperties":false}`, `{}`, unsure},
		{`{"dependentRequired":{"a":["b"]}}`, `{"a":1}`, no}, {`{"dependentRequired":{"a":["b"]}}`, `{"b":1}`, yes},
		{`{"dependentSchemas":{"a":{"required":["b"]}}}`, `{"a":1}`, no},
		{`{"allOf":[{"type":"string"},{"minLength":2}]}`, `"ab"`, yes}, {`{"allOf":[{"type":"string"},{"minLength":2}]}`, `"a"`, no},
		{`{"anyOf":[{"type":"string"},{"type":"integer"}]}`, `1`, yes}, {`{"anyOf":[{"type":"string"}]}`, `1`, no},
		{`{"oneOf":[{"type":"number"},{"type":"integer"}]}`, `1`, no}, {`{"oneOf":[{"type":"number"},{"type":"integer"}]}`, `1.5`, yes},
		{`{"oneOf":[{"multipleOf":0.1},{"type":"string"}]}`, `1.5`, unsure}, {`{"not":{"type":"string"}}`, `1`, yes}, {`{"not":{"multipleOf":0.1}}`, `1`, unsure}, {`{"not":{}}`, `1`, unsure},
		{`{"if":{"type":"string"},"then":{"minLength":2},"else":{"const":1}}`, `"a"`, no}, {`{"if":{"type":"string"},"then":{"minLength":2},"else":{"const":1}}`, `1`, yes},
		{`{"if":{"multipleOf":0.1},"then":{"const":2},"else":{"const":2}}`, `2`, unsure},
		{`{"type":["string","null"]}`, `null`, yes}, {`{"type":"string"}`, `null`, no}, {`{"anyOf":[{"type":"null"},{"type":"string"}]}`, `null`, yes},
		{`{}`, `null`, unsure}, {`true`, `1`, yes}, {`false`, `1`, no}, {`{"$ref":"#/components/schemas/None"}`, `1`, unsure},
		{`{"oneOf":[{"type":"object"}],"discriminator":{"propertyName":"k","mapping":{"a":"#/components/schemas/A"}}}`, `{"k":"a"}`, no},
		{`{"anyOf":[{"type":"object"}],"discriminator":{"propertyName":"k"}}`, `{}`, unsure},
	} {
		if got := fitted(t, 1, c.schema, c.value, nowhere); got != c.want {
			t.Errorf("%s fits %s: %d, not %d", c.value, c.schema, got, c.want)
		}
	}
	for _, c := range []struct {
		schema, value string
		want          verdict
	}{
		{`{"type":"string","nullable":true}`, `null`, yes}, {`{"type":"string"}`, `null`, no}, {`{}`, `null`, no},
		{`{"nullable":true,"enum":["a"]}`, `null`, no}, {`{"oneOf":[{"type":"string","nullable":true}]}`, `null`, yes},
	} {
		if got := fitted(t, 0, c.schema, c.value, nowhere); got != c.want {
			t.Errorf("in 3.0 %s fits %s: %d, not %d", c.value, c.schema, got, c.want)
		}
	}
}

func TestFitsByDirection(t *testing.T) {
	const schema = `{"type":"object","required":["id","secret"],"properties":{"id":{"type":"integer","readOnly":true},"secret":{"type":"string","writeOnly":true}}}`
	for _, c := range []struct {
		way   direction
		value string
		want  verdict
	}{
		{nowhere, `{"id":1,"secret":"x"}`, yes}, {request, `{"secret":"x"}`, yes}, {response, `{"id":1}`, yes},
		{request, `{"id":1,"secret":"x"}`, unsure}, {response, `{"id":1,"secret":"x"}`, unsure}, {request, `{"id":null,"secret":"x"}`, no},
	} {
		if got := fitted(t, 0, schema, c.value, c.way); got != c.want {
			t.Errorf("%s in direction %d: %d, not %d", c.value, c.way, got, c.want)
		}
	}
}

// FuzzFits makes sure that what is said to fit does so for kin-openapi too,
// whose validation of documents the merged document has to pass.
func FuzzFits(f *testing.F) {
	for _, schema := range []string{
		`{"type":"string","format":"date","minLength":3}`, `{"anyOf":[{"type":"integer"},{"type":"null"}]}`, `{"type":"object","required":["a"],"properties":{"a":{"type":"array","items":{"type":"number"}}}}`,
		`{"oneOf":[{"not":{"const":1}},{"enum":[1,2]}]}`, `{"prefixItems":[{"type":"string"}],"uniqueItems":true}`, `{"type":"integer","exclusiveMinimum":3,"multipleOf":2}`,
	} {
		for _, value := range []string{`1`, `"2024-01-01"`, `{"a":[1,2]}`, `[1,"x"]`, `null`, `4.5`} {
			f.Add(schema, value)
		}
	}
	f.Fuzz(func(t *testing.T, schema, value string) {
		v, err := decode([]byte(value))
		if err != nil || v == nil {
			return
		}
		for minor := range 2 {
			d, err := Parse([]byte(document(minor, `"paths":{"/a":{"get":{"tags":["open"],"responses":{"200":{"description":"","content":{"a/b":{"schema":`+schema+`}}}}}}}`)))
			if err != nil {
				return
			}
			raw, _, err := Merge(Info{}, []Source{{Name: "svc", Document: d}})
			if err != nil {
				t.Fatal(err)
			}
			doc, err := openapi3.NewLoader().LoadFromData(raw)
			if err != nil {
				t.Fatalf("%v: %s", err, raw)
			}
			if doc.Paths.Len() == 0 {
				continue
			}
			media := doc.Paths.Value("/svc/a").Get.Responses.Value("200").Value.Content["a/b"]
			if media == nil || media.Schema == nil {
				continue
			}
			built, err := json.Marshal(media.Schema)
			if err != nil || fitted(t, minor, string(built), value, nowhere) != yes {
				continue
			}
			var plain any
			if err := json.Unmarshal([]byte(value), &plain); err != nil {
				continue
			}
			options := []openapi3.SchemaValidationOption{openapi3.MultiErrors()}
			if minor > 0 {
				options = append(options, openapi3.EnableJSONSchema2020())
			}
			if err := media.Schema.Value.VisitJSON(plain, options...); err != nil {
				t.Errorf("3.%d: %s is said to fit %s: %v", minor, value, built, err)
			}
		}
	})
}

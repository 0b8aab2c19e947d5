package jsonschema

import (
	"encoding/json"
	"fmt"
	"strconv"
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

// A value that fits a recursive schema in many ways costs no more than it may.
func TestWorkIsBounded(t *testing.T) {
	schema := `{"schema":{"$ref":"#/node"},"node":{"oneOf":[{"$ref":"#/a"},{"$ref":"#/b"}]},
		"a":{"properties":{"z":{"const":"a"},"next":{"$ref":"#/node"}}},"b":{"properties":{"z":{"const":"b"},"next":{"$ref":"#/node"}}}}`
	s := compiled(t, OpenAPI31, schema)
	nested := func(depth int) string {
		return strings.Repeat(`{"z":"a","next":`, depth) + `{"z":"a"}` + strings.Repeat("}", depth)
	}
	if faults := s.Check(decoded(t, nested(5)), Options{}); faults != nil {
		t.Errorf("a value of little depth: %+v", faults)
	}
	value := nested(200)
	for _, all := range []bool{false, true} {
		faults := s.Check(decoded(t, value), Options{All: all, Size: len(value)})
		if len(faults) != 1 || !faults[0].TooComplex() || faults[0].Message() != "it is too complex to be checked" {
			t.Errorf("a value of great depth: %+v", faults)
		}
	}
	if s.Fits(decoded(t, value), Options{Size: len(value)}) {
		t.Error("a value of great depth fits")
	}
	// Where the value tells its branch there is nothing to try.
	s = compiled(t, OpenAPI31, strings.Replace(schema, `"node":{`, `"node":{"discriminator":{"propertyName":"z"},`, 1))
	if faults := s.Check(decoded(t, value), Options{Size: len(value)}); faults != nil {
		t.Errorf("a value that tells its branch: %+v", faults)
	}
}

// Documents that are made to cost much are refused, or do not.
func TestHostileSchemas(t *testing.T) {
	chain := func(from, to, step int, end string) string {
		var b strings.Builder
		for i := from; i != to; i += step {
			fmt.Fprintf(&b, `"%06d":{"$ref":"#/%06d"},`, i, i+1)
		}
		return b.String() + end
	}
	const length = 20000
	doc := decoded(t, `{"schema":{"$ref":"#/000000"},`+chain(0, length, 1, fmt.Sprintf(`"%06d":{}}`, length)))
	set := NewSet(doc, OpenAPI31)
	set.At("#/schema", doc.(map[string]any)["schema"])
	if err := set.Finish(); err == nil || !strings.Contains(err.Error(), "too many schemas") {
		t.Errorf("a long chain: %v", err)
	}
	// One that is come to from its end.
	set = NewSet(doc, OpenAPI31)
	for i := length; i > 0; i-- {
		pointer := fmt.Sprintf("#/%06d", i)
		set.At(pointer, doc.(map[string]any)[pointer[2:]])
	}
	s := set.At("#/schema", doc.(map[string]any)["schema"])
	if err := set.Finish(); err != nil {
		t.Fatal(err)
	}
	if faults := s.Check(nil, Options{Size: 1 << 20}); len(faults) != 1 || !faults[0].TooComplex() {
		t.Errorf("a long chain from its end: %+v", faults)
	}

	// Each schema applies another one twenty times.
	var b strings.Builder
	for i := range 30 {
		fmt.Fprintf(&b, `"%d":{"allOf":[%s{}],"properties":{"p%d":{"readOnly":true}}},`, i, strings.Repeat(fmt.Sprintf(`{"$ref":"#/%d"},`, i+1), 20), i)
	}
	s = compiled(t, OpenAPI31, `{"schema":{"$ref":"#/0"},`+b.String()+`"30":{"required":["x"]}}`)
	if faults := s.Check(decoded(t, `{"x":1}`), Options{Direction: Request}); len(faults) != 1 || !faults[0].TooComplex() {
		t.Errorf("branches of branches: %+v", faults)
	}
	s.Property("y")
	s.Properties()

	// Patterns that are small and become large.
	for pattern, checked := range map[string]bool{
		"^a{1,1000}$": true, "(((a{100}){10}){10}){10}": false, strings.Repeat("[a-z]{1000}", 1000): false, "^(?!a)": false, "[": false,
	} {
		set := NewSet(map[string]any{}, OpenAPI31)
		s := set.At("#/schema", map[string]any{"pattern": pattern})
		if err := set.Finish(); err != nil {
			t.Fatal(err)
		}
		if (len(set.Notes()) == 0) != checked || s.Fits("b", Options{}) == checked {
			t.Errorf("%.50s is checked: %v; %v", pattern, !checked, set.Notes())
		}
	}
	s = compiled(t, OpenAPI31, `{"schema":{"pattern":"^(a?){500}b$"}}`)
	long := strings.Repeat("a", 1<<20)
	if faults := s.Check(long, Options{Size: len(long)}); len(faults) != 1 || !faults[0].TooComplex() {
		t.Errorf("a long text and a large pattern: %+v", faults)
	}
}

// What is long, but not deep, is checked whatever its length is.
func TestLongValuesAreChecked(t *testing.T) {
	s := compiled(t, OpenAPI31, `{"schema":{"type":"array","uniqueItems":true,"items":{"allOf":[{"type":"integer"},{"minimum":0},{"not":{"const":-1}}],"anyOf":[{"type":"null"},{"maximum":1000000}]}}}`)
	var b strings.Builder
	for i := range 100000 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(i))
	}
	value := "[" + b.String() + "]"
	if faults := s.Check(decoded(t, value), Options{Size: len(value)}); faults != nil {
		t.Errorf("%+v", faults[0])
	}
	faults := s.Check(decoded(t, "["+strings.Repeat("-1,", 1000)+"-1]"), Options{All: true, Size: 3000})
	if len(faults) != maxFaults {
		t.Errorf("%d faults are told", len(faults))
	}
}

// A schema that applies to the same value again says nothing more.
func TestSchemasThatApplyThemselves(t *testing.T) {
	for _, document := range []string{
		`{"schema":{"$ref":"#/schema"}}`,
		`{"schema":{"type":"integer","allOf":[{"$ref":"#/schema"}]}}`,
		`{"schema":{"anyOf":[{"type":"integer"},{"allOf":[{"$ref":"#/schema"},{"type":"integer"}]}]}}`,
		`{"schema":{"type":"integer","$ref":"#/a"},"a":{"$ref":"#/b"},"b":{"allOf":[{"$ref":"#/a"}]}}`,
	} {
		if s := compiled(t, OpenAPI31, document); !s.Fits(decoded(t, `1`), Options{}) {
			t.Errorf("1 does not fit %s", document)
		}
	}
	s := compiled(t, OpenAPI30, `{"schema":{"oneOf":[{"$ref":"#/cat"}],"required":["k"]},"cat":{"allOf":[{"$ref":"#/schema"},{"required":["n"]}]}}`)
	for value, fits := range map[string]bool{`{"k":1,"n":1}`: true, `{"k":1}`: false, `{"n":1}`: false} {
		if s.Fits(decoded(t, value), Options{}) != fits {
			t.Errorf("%s fits: %v", value, !fits)
		}
	}
}

func TestFormats(t *testing.T) {
	for format, values := range map[string][2]string{
		"date":      {"2024-02-29 0001-01-01", "2023-02-29 2024-1-1 20240101 2024-01-01T00:00:00Z"},
		"date-time": {"2024-02-29T23:59:60Z 2024-01-01t00:00:00.123z 2024-01-01T00:00:00+23:59", "2024-01-01 2024-01-01T24:00:00Z 2024-01-01T00:60:00Z 2024-01-01T00:00:00 2024-02-30T00:00:00Z 2024-01-01T00:00:00+24:00 2024-01-01T00:00:61Z"},
		"uuid":      {"123e4567-e89b-12d3-a456-426614174000 00000000-0000-0000-0000-000000000000", "123e4567e89b12d3a456426614174000 x"},
		"ipv4":      {"127.0.0.1", "::1 127.0.0.256 127.1"},
		"ipv6":      {"::1 2001:db8::1", "127.0.0.1 fe80::1%eth0 x"},
		"byte":      {"YQ== YQ YWI= -_-_", "Y Y$=="},
		"email":     {"x", ""}, // not checked
	} {
		s := compiled(t, OpenAPI30, `{"schema":{"type":"string","format":"`+format+`"}}`)
		for value := range strings.FieldsSeq(values[0]) {
			if faults := s.Check(value, Options{}); faults != nil {
				t.Errorf("%s is no %s: %s", value, format, faults[0].Message())
			}
		}
		for value := range strings.FieldsSeq(values[1]) {
			if s.Fits(value, Options{}) {
				t.Errorf("%s is a %s", value, format)
			}
		}
	}
	for value, fits := range map[string]bool{"2147483647": true, "-2147483648": true, "2147483648": false, "1e9": true, "1e10": false, "1.5": true} {
		s := compiled(t, OpenAPI30, `{"schema":{"format":"int32"}}`)
		if s.Fits(json.Number(value), Options{}) != fits {
			t.Errorf("%s is an int32: %v", value, !fits)
		}
	}
	for value, fits := range map[string]bool{"9223372036854775807": true, "9223372036854775808": false, "1e18": true, "1e19": false} {
		s := compiled(t, OpenAPI30, `{"schema":{"format":"int64"}}`)
		if s.Fits(json.Number(value), Options{}) != fits {
			t.Errorf("%s is an int64: %v", value, !fits)
		}
	}
}

// Messages tell what is wrong, and never the value.
func TestMessages(t *testing.T) {
	for _, c := range []struct{ schema, value, want string }{
		{`{"enum":["a",1]}`, `"secret"`, `it must be one of ["a",1]`},
		{`{"const":"a"}`, `"secret"`, `it must be "a"`},
		{`{"type":["integer","null"]}`, `"secret"`, "it must be of type null or integer"},
		{`{"multipleOf":2}`, `3`, "it must be a multiple of 2"},
		{`{"format":"date"}`, `"secret"`, "it must have the format date"},
		{`{"minProperties":1}`, `{}`, "it must have at least 1 properties"},
		{`{"maxProperties":0}`, `{"a":1}`, "it must have at most 0 properties"},
		{`{"dependentRequired":{"a":["b"]}}`, `{"a":1}`, "b: it is required, since there is a"},
		{`{"propertyNames":{"maxLength":1}}`, `{"ab":1}`, "ab: a property must not have this name"},
		{`{"unevaluatedItems":false}`, `[1]`, "[0]: no item is known at this place"},
		{`{"contains":{"const":1}}`, `[]`, "none of its items is what it must contain"},
		{`{"contains":{"const":1},"minContains":2}`, `[1]`, "at least 2 of its items must be what it must contain"},
		{`{"contains":{"const":1},"maxContains":1}`, `[1,1]`, "at most 1 of its items may be what it must contain"},
		{`{"properties":{"a":{"anyOf":[{"properties":{"b":{"type":"integer"}}},{"type":"null"}]}}}`, `{"a":{"b":"secret"}}`,
			"a: it fits none of the schemas that are possible, for instance not one because b: it must be of type integer"},
		{`{"items":false}`, `[1]`, "[0]: nothing can be here"},
	} {
		faults := compiled(t, OpenAPI31, `{"schema":`+c.schema+`}`).Check(decoded(t, c.value), Options{})
		if len(faults) != 1 {
			t.Fatalf("%s %s: %+v", c.schema, c.value, faults)
		}
		got := faults[0].Message()
		if len(faults[0].Path) > 0 {
			got = Place(faults[0].Path) + ": " + got
		}
		if got != c.want {
			t.Errorf("%s %s: %s, not %s", c.schema, c.value, got, c.want)
		}
	}
}

func TestTextsAreReadAsWhatIsWanted(t *testing.T) {
	for _, c := range []struct {
		schema, text string
		want         any
	}{
		{`{"type":"integer"}`, "007", json.Number("7")}, {`{"type":"integer"}`, "-0", json.Number("-0")}, {`{"type":"integer"}`, "x", "x"}, {`{"type":"integer"}`, "", ""},
		{`{"type":"number"}`, "5.", json.Number("5")}, {`{"type":"number"}`, "1e999", "1e999"}, {`{"type":"boolean"}`, "true", true}, {`{"type":"null"}`, "", nil},
		{`{"type":"string"}`, "5", "5"}, {`{"type":["string","integer"]}`, "5", json.Number("5")}, {`{"type":["string","integer"],"maxLength":1,"maximum":3}`, "5", "5"},
		{`{"type":"array"}`, "5", "5"}, {`{"allOf":[{"type":"number"},{"type":"integer"}]}`, "5", json.Number("5")},
	} {
		if got := Read(c.text, compiled(t, OpenAPI31, `{"schema":`+c.schema+`}`), Options{}); got != c.want {
			t.Errorf("%q by %s: %#v, not %#v", c.text, c.schema, got, c.want)
		}
	}
	if got := Read("5", nil, Options{}); got != "5" {
		t.Errorf("%#v", got)
	}
}

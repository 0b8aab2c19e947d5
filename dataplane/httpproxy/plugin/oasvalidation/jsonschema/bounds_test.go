package jsonschema

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// What a keyword reads of a long value counts, and not only that it is read.
func TestLongValuesCount(t *testing.T) {
	// Three levels of twenty, each of which applies the next one to the same value.
	levels := func(leaf string) string {
		twenty := func(name string) string {
			return `{"allOf":[` + strings.TrimSuffix(strings.Repeat(`{"$ref":"#/`+name+`"},`, 20), ",") + `]}`
		}
		return `{"schema":` + twenty("b") + `,"b":` + twenty("c") + `,"c":` + twenty("d") + `,"d":` + leaf + `}`
	}
	long := strings.Repeat("a", 1<<20)
	var members, items strings.Builder
	for i := range 1 << 16 {
		fmt.Fprintf(&members, `"%d":1,`, i)
		items.WriteString("1,")
	}
	object, array := "{"+members.String()+`"z":1}`, "["+items.String()+"1]"
	for _, c := range []struct{ schema, value string }{
		{`{"minLength":1}`, `"` + long + `"`}, {`{"maxLength":99999999}`, `"` + long + `"`}, {`{"enum":["` + long + `"]}`, `"` + long + `"`},
		{`{"minimum":0}`, strings.Repeat("9", 1<<20)}, {`{"type":"integer"}`, strings.Repeat("9", 1<<20)},
		{`{"unevaluatedProperties":{}}`, object}, {`{"unevaluatedItems":{}}`, array},
		{`{"anyOf":[{"additionalProperties":true}]}`, object},
	} {
		schema := levels(c.schema)
		if strings.Contains(c.schema, "anyOf") {
			schema = strings.Replace(schema, `{"allOf"`, `{"unevaluatedProperties":false,"allOf"`, 1)
		}
		s := compiled(t, OpenAPI31, schema)
		if faults := s.Check(decoded(t, c.value), Options{Size: len(c.value)}); len(faults) != 1 || !faults[0].TooComplex() {
			t.Errorf("%.60s, 8000 times for %d bytes: %+v", c.schema, len(c.value), faults)
		}
		one := compiled(t, OpenAPI31, `{"schema":`+c.schema+`}`)
		if faults := one.Check(decoded(t, c.value), Options{Size: len(c.value)}); faults != nil {
			t.Errorf("%.60s, once: %+v", c.schema, faults)
		}
	}
}

// Numbers as long as a body may be are divided, too.
func TestLongNumbers(t *testing.T) {
	s := compiled(t, OpenAPI31, `{"schema":{"multipleOf":7}}`)
	long := strings.Repeat("7", 1<<20)
	if faults := s.Check(json.Number(long), Options{Size: len(long)}); faults != nil {
		t.Errorf("%+v", faults)
	}
	if s.Fits(json.Number(long+"1"), Options{Size: len(long)}) || !s.Fits(json.Number("7e999999999"), Options{}) || s.Fits(json.Number("1e999999999"), Options{}) {
		t.Error("what is no multiple of 7 is one, or the other way round")
	}
	set := NewSet(map[string]any{}, OpenAPI31)
	s = set.At("#/schema", map[string]any{"multipleOf": json.Number("3" + strings.Repeat("1", maxDivisor))})
	if err := set.Finish(); err != nil || len(set.Notes()) != 1 || !s.Fits(json.Number("5"), Options{}) {
		t.Errorf("a divisor that is too long: %v, %v", err, set.Notes())
	}
}

// ECMA-262 writes what is beyond 16 bits in two escapes.
func TestPatternsInSurrogates(t *testing.T) {
	s := compiled(t, OpenAPI31, `{"schema":{"pattern":"^(\\uD83D\\uDCA9|[\\u{1F600}-\\u{1F602}]|\\\\uD83D|\\u0041)$"}}`)
	for value, fits := range map[string]bool{"💩": true, "😁": true, `\uD83D`: true, "A": true, "uD83D": false, "B": false} {
		if s.Fits(value, Options{}) != fits {
			t.Errorf("%s fits: %v", value, !fits)
		}
	}
}

// The mapping of a discriminator goes before the names of schemas.
func TestMappingsGoFirst(t *testing.T) {
	s := compiled(t, OpenAPI31, `{"schema":{"oneOf":[{"$ref":"#/components/schemas/Dog"},{"$ref":"#/components/schemas/Cat"}],
		"discriminator":{"propertyName":"t","mapping":{"Cat":"#/components/schemas/Dog","c":"Cat"}}},
		"components":{"schemas":{"Dog":{"required":["bark"]},"Cat":{"required":["meow"]}}}}`)
	for value, fits := range map[string]bool{
		`{"t":"Cat","bark":1}`: true, `{"t":"Cat","meow":1}`: false, `{"t":"c","meow":1}`: true, `{"t":"c","bark":1}`: false, `{"t":"Dog","bark":1}`: true,
	} {
		if s.Fits(decoded(t, value), Options{}) != fits {
			t.Errorf("%s fits: %v", value, !fits)
		}
	}
}

// Who has the first of two members with one name, and who has the last, see
// different values.
func TestRepeatedNames(t *testing.T) {
	for text, refused := range map[string]bool{
		`{"a":1,"a":2}`: true, `{"a":1,"\u0061":2}`: true, `[{"b":{"a":1,"a":1}}]`: true, `{"a":{"a":1},"b":{"a":2}}`: false,
		`[{"a":1},{"a":2}]`: false, `{"a":"a","b":"a"}`: false, `{}`: false, `{"a":1,"A":2}`: false, `{"é":1,"\u00e9":2}`: true,
	} {
		if _, err := DecodeStrictly([]byte(text)); (err == ErrTwice) != refused || !refused && err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if _, err := Decode([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	// What Decode refuses is refused in the same words.
	for _, text := range []string{`{"a"}`, `{"a":1`, `{}{}`, "{\"\xff\":1}", strings.Repeat("[", 300), ``} {
		_, strict := DecodeStrictly([]byte(text))
		if _, err := Decode([]byte(text)); err == nil || strict == nil || err.Error() != strict.Error() {
			t.Errorf("%.20s: %v, and strictly %v", text, err, strict)
		}
	}
}

// A file is no text that rules for texts have been seen to hold for.
func TestFilesAreNoTexts(t *testing.T) {
	for schema, fits := range map[string]bool{
		`{"type":"string","format":"binary"}`: true, `{"type":"string"}`: true, `{}`: true, `{"type":"string","contentMediaType":"image/png"}`: true,
		`{"type":"string","format":"binary","maxLength":10}`: true, `{"type":"string","format":"binary","maxLength":9}`: false,
		`{"type":"string","format":"binary","minLength":11}`: false, `{"maxLength":9}`: false,
		`{"type":"string","pattern":"^a"}`: false, `{"enum":["a"]}`: false, `{"const":"a"}`: false, `{"format":"date"}`: false, `{"type":"integer"}`: false,
	} {
		if compiled(t, OpenAPI31, `{"schema":`+schema+`}`).Fits(File{Size: 10}, Options{}) != fits {
			t.Errorf("a file fits %s: %v", schema, !fits)
		}
	}
}

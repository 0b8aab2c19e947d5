package jsonschema

import (
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"testing"
)

// generator makes schemas and values of few names and numbers, so that they have
// to do with each other.
type generator struct{ *rand.Rand }

func pick[T any](g generator, of ...T) T { return of[g.IntN(len(of))] }

var generatedScalars = []any{
	nil, true, false, json.Number("0"), json.Number("1"), json.Number("2"), json.Number("1.0"), json.Number("2.5"), json.Number("-3"), json.Number("1e1"),
	json.Number("1e-400"), json.Number("18446744073709551616"), "", "a", "b", "ab", "abc", "é",
}

func (g generator) name() string { return pick(g, "a", "b", "c", "ab") }

func (g generator) value(depth int) any {
	switch n := g.IntN(10); {
	case depth > 0 && n < 4:
		o := map[string]any{}
		for range g.IntN(4) {
			o[g.name()] = g.value(depth - 1)
		}
		return o
	case depth > 0 && n < 7:
		l := []any{}
		for range g.IntN(4) {
			l = append(l, g.value(depth-1))
		}
		return l
	}
	return pick(g, generatedScalars...)
}

func (g generator) count() json.Number { return json.Number(strconv.Itoa(g.IntN(3))) }

func (g generator) names() []any {
	l := []any{}
	for _, name := range []string{"a", "b", "c"} {
		if g.IntN(2) == 0 {
			l = append(l, name)
		}
	}
	return l
}

// scope is what a schema may refer to: definitions from a number on, which keeps
// them from applying to themselves, and the whole one where it is for a part of
// the value.
type scope struct {
	from  int
	below bool
}

const definitions = 3

func (g generator) schemas(depth int, in scope) []any {
	l := []any{}
	for range 1 + g.IntN(3) {
		l = append(l, g.schema(depth-1, in))
	}
	return l
}

func (g generator) named(depth int, in scope, names ...string) map[string]any {
	o := map[string]any{}
	for range 1 + g.IntN(2) {
		o[pick(g, names...)] = g.schema(depth-1, in)
	}
	return o
}

func (g generator) schema(depth int, in scope) any {
	if g.IntN(12) == 0 {
		return g.IntN(3) > 0
	}
	s := map[string]any{}
	for range 1 + g.IntN(3) {
		if depth > 0 && g.IntN(2) == 0 {
			g.applicator(s, depth, in)
		} else {
			g.assertion(s)
		}
	}
	return s
}

func (g generator) assertion(s map[string]any) {
	number := func() any {
		return pick(g, json.Number("0"), json.Number("1"), json.Number("1.5"), json.Number("18446744073709551615"), json.Number("-1"))
	}
	types := []any{"null", "boolean", "integer", "number", "string", "array", "object"}
	switch keyword := pick(g, "type", "types", "enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
		"pattern", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "required", "dependentRequired"); keyword {
	case "type":
		s["type"] = pick(g, types...)
	case "types":
		i := g.IntN(len(types) - 1)
		s["type"] = types[i : i+2]
	case "enum":
		s["enum"] = []any{g.value(2), g.value(1), g.value(0)}
	case "const":
		s["const"] = g.value(2)
	case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum":
		s[keyword] = number()
	case "multipleOf":
		s[keyword] = pick(g, json.Number("2"), json.Number("0.5"), json.Number("1e-2"), json.Number("3"))
	case "pattern":
		s[keyword] = pick(g, "^a", "b$", "^.$", "a|c")
	case "uniqueItems":
		s[keyword] = true
	case "required":
		s[keyword] = g.names()
	case "dependentRequired":
		s[keyword] = map[string]any{g.name(): g.names()}
	default:
		s[keyword] = g.count()
	}
}

func (g generator) applicator(s map[string]any, depth int, in scope) {
	below := scope{in.from, true}
	switch keyword := pick(g, "allOf", "anyOf", "oneOf", "not", "if", "$ref", "$ref", "$dynamicRef", "properties", "properties", "patternProperties", "additionalProperties", "propertyNames",
		"dependentSchemas", "unevaluatedProperties", "unevaluatedProperties", "prefixItems", "items", "contains", "unevaluatedItems", "unevaluatedItems"); keyword {
	case "allOf", "anyOf", "oneOf":
		s[keyword] = g.schemas(depth, in)
	case "not":
		s[keyword] = g.schema(depth-1, in)
	case "if":
		for _, keyword := range []string{"if", "then", "else"} {
			if g.IntN(4) > 0 {
				s[keyword] = g.schema(depth-1, in)
			}
		}
	case "$ref":
		if in.below && g.IntN(3) == 0 {
			s[keyword] = "#"
		} else if in.from < definitions {
			n := strconv.Itoa(in.from + g.IntN(definitions-in.from))
			s[keyword] = pick(g, "#/$defs/"+n, "#anchor"+n)
		}
	case "$dynamicRef":
		if in.from < definitions {
			s[keyword] = "#dynamic" + strconv.Itoa(in.from+g.IntN(definitions-in.from))
		}
	case "properties":
		s[keyword] = g.named(depth, below, "a", "b", "c", "ab")
	case "patternProperties":
		s[keyword] = g.named(depth, below, "^a", "b", "^c$")
	case "dependentSchemas":
		s[keyword] = g.named(depth, in, "a", "b", "c")
	case "prefixItems":
		s[keyword] = g.schemas(depth, below)
	case "contains":
		s[keyword] = g.schema(depth-1, below)
		if g.IntN(2) == 0 {
			s[pick(g, "minContains", "maxContains")] = g.count()
		}
	default:
		s[keyword] = g.schema(depth-1, below)
	}
}

// document is a schema with definitions.
func (g generator) document() string {
	s, ok := g.schema(3, scope{}).(map[string]any)
	if !ok {
		s = map[string]any{}
	}
	defs := map[string]any{}
	for i := range definitions {
		n := strconv.Itoa(i)
		def, ok := g.schema(2, scope{from: i + 1}).(map[string]any)
		if !ok {
			def = map[string]any{"type": "object"}
		}
		def["$anchor"], def["$dynamicAnchor"] = "anchor"+n, "dynamic"+n
		defs[n] = def
	}
	s["$defs"] = defs
	return text(s)
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// Schemas that nobody thought of mean what another implementation takes them for.
// The seed is always the same.
func TestGeneratedSchemas(t *testing.T) {
	g := generator{rand.New(rand.NewPCG(2020, 12))}
	fitting, pairs := 0, 0
	for range 2500 {
		schema := g.document()
		s, ref := rooted(t, schema), reference(t, schema)
		for range 4 {
			value := text(g.value(3))
			fits, same := agree(t, s, ref, value)
			if pairs++; fits {
				fitting++
			}
			if !same {
				t.Errorf("%s fits %s: %v, and %v there", value, schema, fits, !fits)
			}
		}
		if t.Failed() {
			return
		}
	}
	if fitting < pairs/10 || fitting > pairs*9/10 {
		t.Errorf("%d of %d values fit", fitting, pairs)
	}
}

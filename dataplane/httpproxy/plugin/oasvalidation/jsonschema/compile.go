package jsonschema

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// compile reads the keywords of a schema. Those that JSON Schema has and
// OpenAPI 3.0 has not are read for it as well, and the other way round, since
// generators of documents mix them.
func (t *Set) compile(s *Schema, raw any) error {
	switch v := raw.(type) {
	case bool:
		s.never = !v
		return nil
	case map[string]any:
		k := &keywords{set: t, schema: s, raw: v}
		if _, has := v["$ref"]; has {
			s.ref = k.reference("$ref")
			if t.version == OpenAPI30 {
				return k.err // what is beside a reference counts from 3.1 on
			}
		}
		k.dynamic()
		k.general()
		k.numbers()
		k.texts()
		k.lists()
		k.objects()
		k.branches()
		return k.err
	}
	return errors.New("a schema must be an object")
}

// keywords reads what a schema says.
type keywords struct {
	set    *Set
	schema *Schema
	raw    map[string]any
	err    error // the first
}

func (k *keywords) fail(keyword, what string) {
	if k.err == nil {
		k.err = fmt.Errorf("%s must be %s", keyword, what)
	}
}

func (k *keywords) reference(keyword string) *Schema {
	ref, ok := k.raw[keyword].(string)
	if !ok {
		k.fail(keyword, "a string")
		return nil
	}
	pointer, value, err := k.set.Resolve(ref)
	if err != nil {
		if k.err == nil {
			k.err = err
		}
		return nil
	}
	return k.set.At(pointer, value)
}

// dynamic reads a dynamic reference. A document that is one resource has one
// schema that it can lead to.
func (k *keywords) dynamic() {
	if _, has := k.raw["$dynamicRef"]; !has {
		return
	}
	to := k.reference("$dynamicRef")
	switch {
	case to == nil:
	case k.schema.ref == nil:
		k.schema.ref = to
	default:
		k.schema.allOf = append(k.schema.allOf, to)
	}
}

// sub is a schema under a keyword, nil if there is none.
func (k *keywords) sub(keyword string) *Schema {
	raw, ok := k.raw[keyword]
	if !ok {
		return nil
	}
	return k.set.At(Child(k.schema.pointer, keyword), raw)
}

// list are schemas under a keyword.
func (k *keywords) list(keyword string) []*Schema {
	raw, ok := k.raw[keyword]
	if !ok {
		return nil
	}
	list, ok := raw.([]any)
	if !ok {
		k.fail(keyword, "an array of schemas")
		return nil
	}
	pointer := Child(k.schema.pointer, keyword)
	schemas := make([]*Schema, len(list))
	for i, sub := range list {
		schemas[i] = k.set.At(Child(pointer, strconv.Itoa(i)), sub)
	}
	return schemas
}

// named are schemas by name under a keyword.
func (k *keywords) named(keyword string) (schemas map[string]*Schema, names []string) {
	raw, ok := k.raw[keyword]
	if !ok {
		return nil, nil
	}
	object, ok := raw.(map[string]any)
	if !ok {
		k.fail(keyword, "an object with schemas")
		return nil, nil
	}
	names = slices.Sorted(maps.Keys(object))
	pointer := Child(k.schema.pointer, keyword)
	schemas = make(map[string]*Schema, len(object))
	for _, name := range names {
		schemas[name] = k.set.At(Child(pointer, name), object[name])
	}
	return schemas, names
}

// count is a number of things, or otherwise if there is none.
func (k *keywords) count(keyword string, otherwise int) int {
	raw, ok := k.raw[keyword]
	if !ok {
		return otherwise
	}
	text, ok := raw.(json.Number)
	n := readNumber(text)
	if !ok || !n.integer || n.f < 0 {
		k.fail(keyword, "a number of things")
		return otherwise
	}
	if n.f > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(n.i)
}

func (k *keywords) flag(keyword string) bool {
	raw, ok := k.raw[keyword]
	b, is := raw.(bool)
	if ok && !is {
		k.fail(keyword, "true or false")
	}
	return b
}

func (k *keywords) string(keyword string) string {
	raw, ok := k.raw[keyword]
	s, is := raw.(string)
	if ok && !is {
		k.fail(keyword, "a string")
	}
	return s
}

func (k *keywords) strings(keyword string, raw any) []string {
	list, ok := raw.([]any)
	all := make([]string, 0, len(list))
	for _, v := range list {
		s, is := v.(string)
		ok = ok && is
		all = append(all, s)
	}
	if !ok {
		k.fail(keyword, "an array of strings")
	}
	return all
}

// general reads what is for values of any type.
func (k *keywords) general() {
	s := k.schema
	switch raw := k.raw["type"].(type) {
	case nil:
		if _, has := k.raw["type"]; has {
			k.fail("type", "the name of a type")
		}
	case string:
		s.types = k.oneType(raw)
	case []any:
		for _, name := range k.strings("type", raw) {
			s.types |= k.oneType(name)
		}
	default:
		k.fail("type", "the name of a type")
	}
	// Unknown keywords are allowed from 3.1 on, and this one is none of its own.
	s.nullable = k.set.version == OpenAPI30 && k.flag("nullable")
	s.readOnly, s.writeOnly = k.flag("readOnly"), k.flag("writeOnly")
	if raw, has := k.raw["enum"]; has {
		list, ok := raw.([]any)
		if !ok {
			k.fail("enum", "an array")
		}
		s.enum = newMembers("enum", list)
	}
	if raw, has := k.raw["const"]; has {
		constant := newMembers("const", []any{raw})
		if s.enum != nil {
			s.allOf = append(s.allOf, &Schema{pointer: Child(s.pointer, "const"), enum: constant, kinds: constant.types})
		} else {
			s.enum = constant
		}
	}
}

func (k *keywords) oneType(name string) Types {
	for _, n := range typeNames {
		if n.name == name {
			return n.bits
		}
	}
	k.fail("type", "one of null, boolean, integer, number, string, array, object, and is "+strconv.Quote(name))
	return 0
}

// bound is a number, nil if there is none.
func (k *keywords) bound(keyword string) *number {
	raw, ok := k.raw[keyword]
	if !ok {
		return nil
	}
	text, ok := raw.(json.Number)
	if !ok {
		k.fail(keyword, "a number")
		return nil
	}
	n := readNumber(text)
	return &n
}

// maxDivisor is how many digits a number may have that others are divided by.
const maxDivisor = 400

func (k *keywords) numbers() {
	r := &numberRules{min: k.bound("minimum"), max: k.bound("maximum"), multipleOf: k.bound("multipleOf")}
	if m := r.multipleOf; m != nil {
		d := decimalOf(string(m.text))
		if d.signum() <= 0 {
			k.fail("multipleOf", "greater than 0")
		}
		if len(d.digits) > maxDivisor {
			k.note("multipleOf", m.text.String())
			r.multipleOf = nil
		}
	}
	for _, b := range [...]struct {
		keyword   string
		bound, to **number
	}{{"exclusiveMinimum", &r.min, &r.above}, {"exclusiveMaximum", &r.max, &r.below}} {
		// OpenAPI 3.0 has a switch where JSON Schema has the bound.
		if is, ok := k.raw[b.keyword].(bool); !ok {
			*b.to = k.bound(b.keyword)
		} else if is {
			*b.to, *b.bound = *b.bound, nil
		}
	}
	switch format := k.raw["format"]; format {
	case "int32":
		r.formatted, r.least, r.most = "int32", math.MinInt32, math.MaxInt32
	case "int64":
		r.formatted, r.least, r.most = "int64", math.MinInt64, math.MaxInt64
	}
	if *r != (numberRules{}) {
		k.schema.number = r
	}
}

func (k *keywords) texts() {
	r := &textRules{min: k.count("minLength", 0), max: k.count("maxLength", -1), format: formatOf(k.string("format"))}
	if k.string("contentMediaType") != "" && k.string("contentEncoding") == "" {
		r.format = &format{name: "binary", binary: true}
	}
	if pattern := k.string("pattern"); pattern != "" {
		var err error
		if r.pattern, err = k.set.compilePattern(pattern); err != nil {
			r.pattern = nil
			k.note("pattern", pattern)
		}
	}
	if r.min > 0 || r.max >= 0 || r.pattern != nil || r.format != nil {
		k.schema.text = r
	}
}

// maxNotes bounds what is told of what is not checked.
const maxNotes = 20

func (k *keywords) note(keyword, what string) {
	if len(k.set.notes) < maxNotes {
		k.set.notes = append(k.set.notes, fmt.Sprintf("%s: %s %.200s", k.schema.pointer, keyword, what))
	}
}

func (k *keywords) lists() {
	r := &listRules{min: k.count("minItems", 0), max: k.count("maxItems", -1), unique: k.flag("uniqueItems"),
		prefix: k.list("prefixItems"), contains: k.sub("contains"),
		minContains: k.count("minContains", 1), maxContains: k.count("maxContains", -1)}
	if _, several := k.raw["items"].([]any); several {
		// What prefixItems is in JSON Schema 2020-12 was written like this before.
		r.prefix, r.items = k.list("items"), k.sub("additionalItems")
	} else {
		r.items = k.sub("items")
	}
	k.schema.unevaluatedItems = k.sub("unevaluatedItems")
	if r.min > 0 || r.max >= 0 || r.unique || r.prefix != nil || r.items != nil || r.contains != nil {
		k.schema.list = r
	}
}

func (k *keywords) objects() {
	r := &objectRules{min: k.count("minProperties", 0), max: k.count("maxProperties", -1),
		additional: k.sub("additionalProperties"), propertyNames: k.sub("propertyNames")}
	r.properties, r.names = k.named("properties")
	if raw, has := k.raw["required"]; has {
		r.required = k.strings("required", raw)
	}
	patterns, names := k.named("patternProperties")
	for _, name := range names {
		p, err := k.set.compilePattern(name)
		if err != nil {
			p = nil
			k.note("patternProperties", name)
		}
		r.patterns = append(r.patterns, patternRule{p, patterns[name]})
	}
	dependent, names := k.named("dependentSchemas")
	for _, name := range names {
		r.dependentSchemas = append(r.dependentSchemas, dependentSchema{name, dependent[name]})
	}
	if raw, has := k.raw["dependentRequired"]; has {
		needs, ok := raw.(map[string]any)
		if !ok {
			k.fail("dependentRequired", "an object with arrays of strings")
		}
		for _, name := range slices.Sorted(maps.Keys(needs)) {
			r.dependentRequired = append(r.dependentRequired, dependency{name, k.strings("dependentRequired", needs[name])})
		}
	}
	k.schema.unevaluatedProperties = k.sub("unevaluatedProperties")
	if r.min > 0 || r.max >= 0 || r.required != nil || r.properties != nil || r.patterns != nil || r.additional != nil ||
		r.propertyNames != nil || r.dependentRequired != nil || r.dependentSchemas != nil {
		k.schema.object = r
	}
}

func (k *keywords) branches() {
	s := k.schema
	s.allOf = append(s.allOf, k.list("allOf")...)
	s.anyOf, s.oneOf = k.list("anyOf"), k.list("oneOf")
	s.not, s.when = k.sub("not"), k.sub("if")
	if s.when != nil {
		s.then, s.other = k.sub("then"), k.sub("else")
	}
	if raw, has := k.raw["discriminator"]; has {
		s.chosen = k.discriminator(raw)
	}
}

// discriminator reads how a value tells which branch it is of. Values that do
// not tell are tried with all of them.
func (k *keywords) discriminator(raw any) *discriminator {
	object, _ := raw.(map[string]any)
	property, ok := object["propertyName"].(string)
	if !ok {
		k.fail("discriminator", "an object with a propertyName")
		return nil
	}
	values := map[string][]string{} // by the pointer of a branch
	mapping, _ := object["mapping"].(map[string]any)
	for value, to := range mapping {
		to, _ := to.(string)
		if !strings.ContainsAny(to, "#/") {
			to = "#/components/schemas/" + to
		}
		if pointer, _, err := k.set.Resolve(to); err == nil {
			values[pointer] = append(values[pointer], value)
		}
	}
	d := &discriminator{property, map[string]*Schema{}}
	for _, b := range [...]struct {
		keyword  string
		branches []*Schema
	}{{"anyOf", k.schema.anyOf}, {"oneOf", k.schema.oneOf}} {
		list, _ := k.raw[b.keyword].([]any)
		for i, branch := range b.branches {
			object, _ := list[i].(map[string]any)
			ref, ok := object["$ref"].(string)
			if !ok {
				continue
			}
			pointer, _, err := k.set.Resolve(ref)
			if err != nil {
				continue // which is told where the branch is compiled
			}
			// A name that the mapping has for another schema is not that of this one.
			if name := pointer[strings.LastIndexByte(pointer, '/')+1:]; mapping[name] == nil {
				d.branches[name] = branch
			}
			for _, value := range values[pointer] {
				d.branches[value] = branch
			}
		}
	}
	return d
}

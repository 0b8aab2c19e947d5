package apidoc

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// schema builds a schema. What is wrong with one is not worth an operation: any
// value stands in its place.
func (b *builder) schema(v any) (any, error) {
	o, ok := v.(*object)
	if !ok {
		if allowed, ok := v.(bool); ok {
			return b.always(allowed), nil
		}
		return b.anything(nil, "a schema is not an object"), nil
	}
	if ref, there := address(o); there {
		return b.schemaReference(o, ref)
	}
	return b.keywords(o)
}

// always is the schema of all values or of none.
func (b *builder) always(allowed bool) any {
	switch {
	case b.space.minor > 0:
		return allowed
	case allowed:
		return newObject()
	}
	return objectOf("not", newObject())
}

// address is what a schema refers to. A dynamic reference is taken for what it
// means by itself.
func address(o *object) (string, bool) {
	for _, key := range []string{"$ref", "$dynamicRef", "$recursiveRef"} {
		if ref, ok := o.values[key].(string); ok {
			return ref, true
		}
	}
	return "", false
}

func (b *builder) schemaReference(o *object, ref string) (any, error) {
	t, err := b.find(ref)
	if err != nil {
		return b.anything(o, err.Error()), nil
	}
	// What stands beside a reference has a meaning since OpenAPI 3.1 only.
	beside := newObject()
	for _, key := range o.keys {
		if !scoping[key] && key != "$ref" && (b.doc.minor > 0 || key == "description" || strings.HasPrefix(key, "x-")) {
			beside.set(key, o.values[key])
		}
	}
	out := newObject()
	if _, isObject := t.value.(*object); !isObject {
		// true and false cannot be told apart as components.
		return b.schema(t.value)
	}
	out.set("$ref", b.need(kindSchema, t))
	if len(beside.keys) == 0 {
		return out, nil
	}
	built, err := b.keywords(beside)
	if err != nil {
		return nil, err
	}
	for _, key := range built.keys {
		out.set(key, built.values[key])
	}
	return out, nil
}

// keywords builds a schema that is not a reference.
func (b *builder) keywords(o *object) (*object, error) {
	if o.has("$id") {
		outer := b.scope
		b.scope = append(slices.Clone(outer), o)
		defer func() { b.scope = outer }()
	}
	if len(b.scope) == 0 {
		b.scope = []*object{o}
		defer func() { b.scope = nil }()
	}
	out := newObject()
	for _, key := range o.keys {
		v := o.values[key]
		m, known := members[kindSchema][key]
		if !known && b.space.minor > 0 {
			m, known = newerKeywords[key]
		}
		switch {
		case scoping[key], key == "$ref", key == "$dynamicRef":
		case key == "items" || key == "additionalProperties":
			if err := b.itemsOrMore(out, key, v); err != nil {
				return nil, err
			}
		case known:
			if err := b.member(out, key, m, v); errors.Is(err, errTooLarge) {
				return nil, err
			} else if err != nil {
				b.fault("%v", err)
			}
		case strings.HasPrefix(key, "x-"):
			out.set(key, v)
		case b.space.minor > 0:
			// Anybody may have keywords of their own, but not all readers know that.
			out.set("x-"+key, v)
		}
	}
	if err := b.discriminates(out, o); err != nil {
		return nil, err
	}
	if b.space.minor == 0 {
		b.older(out, o)
	} else {
		newer(out, b.doc.minor == 0)
	}
	b.tidyKeywords(out)
	return out, nil
}

// tidyKeywords takes out what no schema may have.
func (b *builder) tidyKeywords(o *object) {
	for _, key := range []string{"required", "enum", "allOf", "anyOf", "oneOf"} {
		if l, ok := o.values[key].([]any); ok && len(l) == 0 {
			o.remove(key)
		}
	}
	if n, ok := o.values["multipleOf"].(json.Number); ok {
		if f, _ := n.Float64(); f <= 0 {
			o.remove("multipleOf")
		}
	}
	// Expressions that look around are right in ECMAScript, but what readers in
	// other languages are made with does not know them. Those that are large when
	// they are compiled cost more than they are worth.
	if pattern, ok := o.values["pattern"].(string); ok {
		size := patternSize(pattern)
		if b.patterns += size; size == 0 || b.patterns > maxPatterns {
			b.patterns -= size
			o.remove("pattern")
			o.set("x-pattern", pattern)
		}
	}
}

// itemsOrMore builds "items", which older generators give a list for tuples,
// and "additionalProperties", which may be true or false in all versions.
func (b *builder) itemsOrMore(out *object, key string, v any) error {
	if allowed, ok := v.(bool); ok && key == "additionalProperties" {
		out.set(key, allowed)
		return nil
	}
	tuple, ok := v.([]any)
	if !ok {
		return b.set(kindSchema, v, func(v any) { out.set(key, v) })
	}
	schemas := []any{}
	for _, v := range tuple {
		if err := b.set(kindSchema, v, func(v any) { schemas = append(schemas, v) }); err != nil {
			return err
		}
	}
	switch {
	case len(schemas) == 0:
		out.set(key, newObject())
	case b.space.minor > 0:
		out.set("prefixItems", schemas)
	default:
		out.set(key, objectOf("anyOf", schemas))
	}
	return nil
}

// newer brings keywords into the form of OpenAPI 3.1. Those of schemas that
// were written for 3.0 mean what they meant there.
func newer(o *object, was30 bool) {
	newerBound(o, "minimum", "exclusiveMinimum")
	newerBound(o, "maximum", "exclusiveMaximum")
	newerType(o)
	if !was30 {
		return
	}
	if v, there := o.values["example"]; there {
		o.remove("example")
		o.set("examples", append(slices.Clone(o.list("examples")), v))
	}
	if o.get("nullable") == true {
		newerNullable(o)
	}
	o.remove("nullable")
}

func newerBound(o *object, bound, exclusive string) {
	switch v := o.values[exclusive].(type) {
	case json.Number:
	case bool:
		limit, there := o.values[bound]
		o.remove(exclusive)
		if v && there {
			o.remove(bound)
			o.set(exclusive, limit)
		}
	default:
		o.remove(exclusive)
	}
}

var types = []string{"array", "boolean", "integer", "number", "object", "string", "null"}

// newerType leaves of types what is one.
func newerType(o *object) {
	switch t := o.values["type"].(type) {
	case string:
		if !slices.Contains(types, t) {
			o.remove("type")
		}
	case []any:
		l, ok := textList(t)
		if !ok || len(l.([]any)) == 0 || slices.ContainsFunc(l.([]any), func(v any) bool { return !slices.Contains(types, v.(string)) }) {
			o.remove("type")
		} else {
			o.set("type", l)
		}
	default:
		o.remove("type")
	}
}

// newerNullable says that null is allowed. Where no type is told, those who say
// so mean what their schema is composed of.
func newerNullable(o *object) {
	null := objectOf("type", "null")
	if t, ok := o.values["type"].(string); ok {
		if t != "null" {
			o.set("type", []any{t, "null"})
		}
		return
	}
	switch {
	case o.has("anyOf"):
		o.set("anyOf", append(slices.Clone(o.list("anyOf")), null))
	case o.has("oneOf"):
		o.set("oneOf", append(slices.Clone(o.list("oneOf")), null))
	case o.has("allOf"):
		all := objectOf("allOf", o.values["allOf"])
		o.remove("allOf")
		o.set("anyOf", []any{all, null})
	}
}

// older brings keywords into the form of OpenAPI 3.0, which generators mix up
// with that of JSON Schema. What it has no form for is left out.
func (b *builder) older(o, from *object) {
	olderBound(o, "minimum", "exclusiveMinimum")
	olderBound(o, "maximum", "exclusiveMaximum")
	olderType(o)
	if v, there := from.values["const"]; there && !o.has("enum") {
		o.set("enum", []any{v})
	}
	if l := from.list("examples"); len(l) > 0 && !o.has("example") {
		o.set("example", l[0])
	}
	if o.text("type") == "array" && !o.has("items") {
		o.set("items", newObject())
	}
	if o.get("readOnly") == true && o.get("writeOnly") == true {
		o.remove("writeOnly")
	}
}

func olderBound(o *object, bound, exclusive string) {
	switch v := o.values[exclusive].(type) {
	case bool:
	case json.Number:
		o.set(bound, v)
		o.set(exclusive, true)
	default:
		o.remove(exclusive)
	}
}

func olderType(o *object) {
	t, ok := o.values["type"].(string)
	if l, isList := o.values["type"].([]any); isList {
		// ["string", "null"] is a string that may be null.
		rest := slices.DeleteFunc(slices.Clone(l), func(v any) bool { return v == "null" })
		if len(rest) < len(l) {
			o.set("nullable", true)
		}
		if len(rest) == 1 {
			t, ok = rest[0].(string)
		}
	}
	if !ok || t == "null" || !slices.Contains(types, t) {
		o.remove("type")
		return
	}
	o.set("type", t)
}

// discriminator builds one without its mapping, which discriminates does.
func (b *builder) discriminator(o *object) (any, error) {
	out := newObject()
	for _, key := range o.keys {
		if key == "propertyName" || strings.HasPrefix(key, "x-") {
			out.set(key, o.values[key])
		}
	}
	if out.text("propertyName") == "" {
		return nil, errDrop
	}
	return out, nil
}

// discriminates gives the discriminator of a schema its mapping. As components
// are called otherwise here, values that were their names are told too.
func (b *builder) discriminates(out, o *object) error {
	d := out.object("discriminator")
	if d == nil {
		return nil
	}
	mapping := newObject()
	mapped := map[string]bool{}
	given := o.object("discriminator").object("mapping")
	for _, value := range given.names() {
		ref, ok := given.values[value].(string)
		if !ok {
			continue
		}
		if to, ok := b.mapped(ref); ok {
			mapping.set(value, to)
			mapped[to] = true
		} else {
			b.fault("the discriminator's mapping of %q is to nothing", shorten(value))
		}
	}
	for _, name := range b.alternatives(o) {
		if to, ok := b.mapped("#/components/schemas/" + tokenEscaper.Replace(name)); ok && !mapped[to] && !mapping.has(name) {
			mapping.set(name, to)
		}
	}
	if len(mapping.keys) > 0 {
		d.set("mapping", mapping)
	}
	return nil
}

// mapped is what a mapping's value, a name or a reference, is now.
func (b *builder) mapped(ref string) (string, bool) {
	if v, there := b.doc.root.object("components").object("schemas").get(ref).(*object); there {
		return b.need(kindSchema, target{value: v, name: ref, scope: []*object{v}}), true
	}
	t, err := b.find(ref)
	if err != nil {
		return "", false
	}
	if _, ok := t.value.(*object); !ok {
		return "", false
	}
	return b.need(kindSchema, t), true
}

// alternatives are the names of the schemas that a discriminator tells apart.
func (b *builder) alternatives(o *object) []string {
	if !o.has("oneOf") && !o.has("anyOf") {
		return b.index.extending(o)
	}
	var names []string
	for _, key := range []string{"oneOf", "anyOf"} {
		for _, v := range o.list(key) {
			alternative, _ := v.(*object)
			if ref, there := address(alternative); there {
				if t, ok := b.index.find(ref, b.scope); ok && t.name != "" {
					names = append(names, t.name)
				}
			}
		}
	}
	return names
}

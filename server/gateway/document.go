package gateway

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// Documents are the entities as the values of package schema. This file makes
// them of messages, and messages of them: both have the same fields.

// documentOf is a message as a document with the fields that are set, and with
// those of the mask: null where they are not set.
func documentOf(m protoreflect.Message, mask []string) (map[string]any, error) {
	doc := messageDocument(m)
	if len(mask) == 0 {
		return doc, nil
	}
	out := map[string]any{}
	for _, path := range mask {
		if err := copyPath(out, doc, m.Descriptor(), path); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// copyPath copies what a path of a mask leads to; below what has no fields of
// its own, such as a configuration, paths lead on.
func copyPath(out, from map[string]any, d protoreflect.MessageDescriptor, path string) error {
	name, rest := path, ""
	for i := range path {
		if path[i] == '.' {
			name, rest = path[:i], path[i+1:]
			break
		}
	}
	var inner protoreflect.MessageDescriptor
	if d != nil {
		f := d.Fields().ByTextName(name)
		if f == nil {
			f = d.Fields().ByJSONName(name)
		}
		if f == nil {
			return invalidField(path, "unknown field")
		}
		name = f.TextName()
		if !f.IsList() && !f.IsMap() && f.Message() != nil && f.Message().ParentFile().Package() != "google.protobuf" {
			inner = f.Message()
		}
	}
	if rest == "" {
		out[name] = from[name] // null when it is not set
		return nil
	}
	below, ok := from[name].(map[string]any)
	if !ok {
		below = map[string]any{}
	}
	to, ok := out[name].(map[string]any)
	if !ok {
		to = map[string]any{}
		out[name] = to
	}
	return copyPath(to, below, inner, rest)
}

func messageDocument(m protoreflect.Message) map[string]any {
	doc := map[string]any{}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		doc[f.TextName()] = fieldValue(f, v)
		return true
	})
	return doc
}

func fieldValue(f protoreflect.FieldDescriptor, v protoreflect.Value) any {
	switch {
	case f.IsMap():
		out := map[string]any{}
		v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			out[k.String()] = oneValue(f.MapValue(), v)
			return true
		})
		return out
	case f.IsList():
		out := make([]any, v.List().Len())
		for i := range out {
			out[i] = oneValue(f, v.List().Get(i))
		}
		return out
	}
	return oneValue(f, v)
}

func oneValue(f protoreflect.FieldDescriptor, v protoreflect.Value) any {
	switch f.Kind() {
	case protoreflect.MessageKind:
		switch m := v.Message().Interface().(type) {
		case *structpb.Struct:
			return schema.Normal(m.AsMap())
		case *structpb.ListValue:
			return schema.Normal(m.AsSlice())
		case *structpb.Value:
			return schema.Normal(m.AsInterface())
		}
		return messageDocument(v.Message())
	case protoreflect.Int32Kind, protoreflect.Int64Kind:
		return v.Int()
	case protoreflect.DoubleKind:
		return wholeNumber(v.Float())
	}
	return v.Interface()
}

// wholeNumber is a number as package schema has it.
func wholeNumber(n float64) any {
	if n == math.Trunc(n) && math.Abs(n) <= 1<<53 {
		return int64(n)
	}
	return n
}

// fill sets the fields of a message to those of a document. What a message has
// no field for is left out.
func fill(m protoreflect.Message, doc map[string]any) error {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		v := doc[f.TextName()]
		if v == nil {
			continue
		}
		if err := fillField(m, f, v); err != nil {
			return fmt.Errorf("%s: %w", f.TextName(), err)
		}
	}
	return nil
}

func fillField(m protoreflect.Message, f protoreflect.FieldDescriptor, v any) error {
	switch {
	case f.IsMap():
		given, ok := v.(map[string]any)
		if !ok {
			return mismatch(v)
		}
		entries := m.Mutable(f).Map() // which is there from now on, also with nothing in it
		for key, e := range given {
			value, err := valueOf(entries.NewValue, f.MapValue(), e)
			if err != nil {
				return err
			}
			entries.Set(protoreflect.ValueOfString(key).MapKey(), value)
		}
	case f.IsList():
		given, ok := v.([]any)
		if !ok {
			return mismatch(v)
		}
		list := m.Mutable(f).List()
		if len(given) == 0 {
			// A list that is there and empty is another thing than none.
			list.Append(list.NewElement())
			list.Truncate(0)
		}
		for _, e := range given {
			value, err := valueOf(list.NewElement, f, e)
			if err != nil {
				return err
			}
			list.Append(value)
		}
	default:
		value, err := valueOf(func() protoreflect.Value { return m.NewField(f) }, f, v)
		if err != nil {
			return err
		}
		m.Set(f, value)
	}
	return nil
}

func mismatch(v any) error { return fmt.Errorf("a %T does not fit", v) }

func valueOf(fresh func() protoreflect.Value, f protoreflect.FieldDescriptor, v any) (out protoreflect.Value, err error) {
	switch f.Kind() {
	case protoreflect.MessageKind:
		return messageValue(fresh(), v)
	case protoreflect.StringKind:
		if s, ok := v.(string); ok {
			return protoreflect.ValueOfString(s), nil
		}
	case protoreflect.BoolKind:
		if b, ok := v.(bool); ok {
			return protoreflect.ValueOfBool(b), nil
		}
	case protoreflect.Int32Kind, protoreflect.Int64Kind:
		n, ok := v.(int64)
		switch {
		case ok && f.Kind() == protoreflect.Int64Kind:
			return protoreflect.ValueOfInt64(n), nil
		case ok && n == int64(int32(n)):
			return protoreflect.ValueOfInt32(int32(n)), nil
		}
	case protoreflect.DoubleKind:
		switch n := v.(type) {
		case int64:
			return protoreflect.ValueOfFloat64(float64(n)), nil
		case float64:
			return protoreflect.ValueOfFloat64(n), nil
		}
	}
	return out, mismatch(v)
}

func messageValue(out protoreflect.Value, v any) (protoreflect.Value, error) {
	var err error
	switch m := out.Message().Interface().(type) {
	case *structpb.Struct:
		given, ok := v.(map[string]any)
		if !ok {
			return out, mismatch(v)
		}
		var made *structpb.Struct
		if made, err = structpb.NewStruct(plainMap(given)); err == nil {
			m.Fields = made.Fields
		}
	case *structpb.ListValue:
		given, ok := v.([]any)
		if !ok {
			return out, mismatch(v)
		}
		var made *structpb.ListValue
		if made, err = structpb.NewList(given); err == nil {
			m.Values = made.Values
		}
	default:
		given, ok := v.(map[string]any)
		if !ok {
			return out, mismatch(v)
		}
		err = fill(out.Message(), given)
	}
	return out, err
}

// plainMap is a document that structpb can take: never nil.
func plainMap(doc map[string]any) map[string]any {
	if doc == nil {
		return map[string]any{}
	}
	return doc
}

// get and set are of a dotted path in a document.
func get(doc map[string]any, path string) any { return schema.Get(doc, path) }

func set(doc map[string]any, path string, v any) {
	for i := range path {
		if path[i] != '.' {
			continue
		}
		below, ok := doc[path[:i]].(map[string]any)
		if !ok {
			below = map[string]any{}
			doc[path[:i]] = below
		}
		set(below, path[i+1:], v)
		return
	}
	doc[path] = v
}

// text is a field that holds a text, "" when it does not.
func text(doc map[string]any, field string) string {
	s, _ := doc[field].(string)
	return s
}

// reference is the id that a foreign field holds, "" when it holds none.
func reference(doc map[string]any, field string) string {
	o, _ := doc[field].(map[string]any)
	return text(o, "id")
}

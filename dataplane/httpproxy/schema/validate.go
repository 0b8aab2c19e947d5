package schema

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// What is wrong with values. Clients compare these.
const (
	required   = "required field missing"
	unknown    = "unknown field"
	mustBeNull = "value must be null"
)

// Validate tells what is wrong with a complete document, or nil: a nil pointer,
// which must not be made an error without a look.
func (r *Record) Validate(doc map[string]any) *Violations {
	if errs := checkRecord(r.field(), doc); errs != nil {
		return &Violations{Fields: errs}
	}
	return nil
}

// Validate tells what is wrong with one value: nil, a string, or what
// Violations have for arrays and records.
func (f *Field) Validate(v any) any {
	if v == nil {
		if f.Required && !f.Auto && !f.Eq {
			return required
		}
		return nil
	}
	return f.wrong(v)
}

func (f *Field) wrong(v any) any {
	if f.Eq {
		return mustBeNull
	}
	var wrong any
	switch t := v.(type) {
	case string:
		wrong = f.wrongString(t)
	case int64:
		wrong = f.wrongNumber(float64(t), f.Type == Integer || f.Type == Number)
	case float64:
		whole := t == math.Trunc(t) && !math.IsInf(t, 0)
		wrong = f.wrongNumber(t, f.Type == Number || f.Type == Integer && whole)
	case bool:
		if f.Type != Boolean && f.Type != JSON {
			wrong = f.typeMessage()
		}
	case []any:
		wrong = f.wrongList(t)
	case map[string]any:
		wrong = f.wrongMap(t)
	default:
		wrong = f.typeMessage()
	}
	if wrong == nil && f.Check != nil {
		if err := f.Check(v); err != nil {
			return err.Error()
		}
	}
	return wrong
}

// typeMessage says what a value of another type is told; a foreign key that is
// none lacks its id.
func (f *Field) typeMessage() any {
	switch f.Type {
	case Integer, Array:
		return "expected an " + string(f.Type)
	case Foreign:
		return map[string]any{"id": "missing primary key"}
	}
	return "expected a " + string(f.Type)
}

func (f *Field) wrongString(s string) any {
	if f.Type == JSON {
		return nil
	}
	if f.Type != String {
		return f.typeMessage()
	}
	if m := f.notOneOf(s); m != nil {
		return m
	}
	if f.UUID && !isUUID(s) {
		return "expected a valid UUID"
	}
	if m := f.wrongLength(len(s), 1); m != nil {
		return m
	}
	if !strings.HasPrefix(s, f.StartsWith) {
		return "should start with: " + f.StartsWith
	}
	return nil
}

func (f *Field) wrongNumber(n float64, ofType bool) any {
	if f.Type == JSON {
		return nil
	}
	if !ofType {
		return f.typeMessage()
	}
	if m := f.notOneOf(n); m != nil {
		return m
	}
	if f.Above != nil && n <= *f.Above {
		return "value must be greater than " + show(*f.Above)
	}
	if b := f.Between; b != nil && (n < b[0] || n > b[1]) {
		return fmt.Sprintf("value should be between %s and %s", show(b[0]), show(b[1]))
	}
	return nil
}

func (f *Field) notOneOf(v any) any {
	if f.OneOf == nil || slices.ContainsFunc(f.OneOf, func(o any) bool { return Equal(o, v) }) {
		return nil
	}
	names := make([]string, len(f.OneOf))
	for i, o := range f.OneOf {
		names[i] = show(o)
	}
	return "expected one of: " + strings.Join(names, ", ")
}

func (f *Field) wrongLength(n, min int) any {
	if f.MinLen != 0 {
		min = f.MinLen
	}
	if n < min {
		return fmt.Sprintf("length must be at least %d", min)
	}
	if f.MaxLen > 0 && n > f.MaxLen {
		return fmt.Sprintf("length must be at most %d", f.MaxLen)
	}
	return nil
}

func (f *Field) wrongList(list []any) any {
	if f.Type == JSON {
		return nil
	}
	if f.Type != Array && f.Type != Set {
		return f.typeMessage()
	}
	var errs []any
	for i, v := range list {
		if wrong := element(f.Elements, v); wrong != nil {
			errs = append(append(errs, make([]any, i-len(errs))...), wrong)
		}
	}
	if errs != nil {
		return errs
	}
	return f.wrongLength(len(list), 0)
}

func (f *Field) wrongMap(m map[string]any) any {
	switch f.Type {
	case JSON:
		return nil
	case RecordT:
		if errs := checkRecord(f, m); errs != nil {
			return errs
		}
		return nil
	case Map:
		for _, k := range sortedKeys(m) {
			if wrong := element(f.Keys, k); wrong != nil {
				return wrong
			}
			if wrong := element(f.Values, m[k]); wrong != nil {
				return wrong
			}
		}
		return f.wrongLength(len(m), 0)
	case Foreign:
		return f.wrongReference(m)
	}
	return f.typeMessage()
}

// element checks what is in an array or a map, which is never null.
func element(f *Field, v any) any {
	if f == nil {
		return nil
	}
	if v == nil {
		return required
	}
	return f.Validate(v)
}

func (f *Field) wrongReference(m map[string]any) any {
	if id, ok := m["id"]; ok && id != nil {
		if s, ok := id.(string); !ok || !isUUID(s) {
			return map[string]any{"id": "expected a valid UUID"}
		}
		return nil
	}
	for i := range f.Alternatives {
		alt := &f.Alternatives[i]
		v := m[alt.Name]
		if v == nil {
			continue
		}
		if wrong := alt.Validate(v); wrong != nil {
			return map[string]any{alt.Name: wrong}
		}
		return nil
	}
	return f.typeMessage()
}

func checkRecord(f *Field, doc map[string]any) map[string]any {
	errs := map[string]any{}
	for name := range doc {
		if lookup(f.Fields, name) == nil {
			errs[name] = f.unknown(doc, name)
		}
	}
	for i := range f.Fields {
		sub := &f.Fields[i]
		if wrong := sub.Validate(doc[sub.Name]); wrong != nil {
			errs[sub.Name] = wrong
		}
	}
	for _, check := range f.Checks {
		if slices.ContainsFunc(check.Needs, func(name string) bool { return errs[name] != nil }) {
			continue
		}
		check.Func(doc, func(field, message string) { add(errs, field, message) })
	}
	if len(errs) == 0 {
		return nil
	}
	return errs
}

// unknown is what is wrong with a name that is no field's: an old name that is
// still there contradicts the new one.
func (f *Field) unknown(doc map[string]any, name string) string {
	path, ok := f.Aliases[name]
	is := strings.Join(path, ".")
	value := Get(doc, is)
	if !ok || value == nil {
		return unknown
	}
	old := name
	if field := at(f.Fields, path); field != nil && !field.Hidden {
		old, is = old+" = "+show(doc[name]), is+" = "+show(value)
	}
	return "both deprecated and new field are used but their values mismatch: " + old + " vs " + is
}

// show writes a value as messages have it.
func show(v any) string {
	if f, ok := asFloat(v); ok {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
		default:
			return false
		}
	}
	return true
}

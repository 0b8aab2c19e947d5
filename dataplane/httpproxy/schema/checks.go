package schema

import "strings"

// The rules between fields that many records have. Names may be paths such as
// "redis.host".

// AtLeastOneOf wants one of the fields to hold something.
func AtLeastOneOf(names ...string) Check {
	return counted("at_least_one_of", "at least one of these fields must be non-empty: ", names,
		func(n int) bool { return n >= 1 })
}

// OnlyOneOf wants exactly one of the fields to hold something.
func OnlyOneOf(names ...string) Check {
	return counted("only_one_of", "exactly one of these fields must be non-empty: ", names,
		func(n int) bool { return n == 1 })
}

// MutuallyExclusive wants at most one of the fields to hold something.
func MutuallyExclusive(names ...string) Check {
	return counted("mutually_exclusive", "only one or none of these fields must be set: ", names,
		func(n int) bool { return n <= 1 })
}

// MutuallyRequired wants all of the fields to hold something, or none.
func MutuallyRequired(names ...string) Check {
	return counted("mutually_required", "all or none of these fields must be set: ", names,
		func(n int) bool { return n == 0 || n == len(names) })
}

func counted(name, message string, names []string, good func(n int) bool) Check {
	return Check{
		Shown: map[string]any{name: names},
		Func: func(record map[string]any, report func(field, message string)) {
			n := 0
			for _, name := range names {
				if !Empty(Get(record, name)) {
					n++
				}
			}
			if !good(n) {
				report("", message+Quoted(names))
			}
		},
		Within: func(in string) Check { return counted(name, message, within(in, names), good) },
	}
}

// within are the names of fields as they are for the record around theirs.
func within(in string, names []string) []string {
	outer := make([]string, len(names))
	for i, name := range names {
		outer[i] = in + "." + name
	}
	return outer
}

// Distinct wants no two of the fields to hold the same.
func Distinct(names ...string) Check {
	return Check{
		Shown: map[string]any{"distinct": names},
		Func: func(record map[string]any, report func(field, message string)) {
			for i, name := range names {
				for _, other := range names[:i] {
					if v := Get(record, name); !Empty(v) && Equal(v, Get(record, other)) {
						report("", "values of these fields must be distinct: "+Quoted(names))
						return
					}
				}
			}
		},
		Within: func(in string) Check { return Distinct(within(in, names)...) },
	}
}

// RequiredIf wants a field to hold something if another one has a value.
func RequiredIf(field string, value any, then string) Check {
	return When(field, Match{OneOf: []any{value}}, then, Field{Required: true})
}

// NullIf wants a field to be null if another one has one of the values.
func NullIf(field string, values []any, then string) Check {
	return When(field, Match{OneOf: values}, then, Field{Eq: true})
}

// NullUnless wants a field to be null unless another one has one of the values.
func NullUnless(field string, values []any, then string) Check {
	return When(field, Match{NotOneOf: values}, then, Field{Eq: true})
}

// OneOfIf wants a field to have one of some values if another one has a value.
func OneOfIf(field string, value any, then string, oneOf ...any) Check {
	return When(field, Match{OneOf: []any{value}}, then, Field{OneOf: oneOf, MinLen: -1})
}

// Match is a condition on a value.
type Match struct{ OneOf, NotOneOf []any }

func (m Match) holds(v any) bool {
	for _, o := range m.OneOf {
		if Equal(o, v) {
			return true
		}
	}
	for _, o := range m.NotOneOf {
		if Equal(o, v) {
			return false
		}
	}
	return m.OneOf == nil && v != nil
}

func (m Match) shown() map[string]any {
	if m.OneOf != nil {
		return map[string]any{"one_of": m.OneOf}
	}
	return map[string]any{"not_one_of": m.NotOneOf}
}

// When wants a field to be as another Field says (of which Required, Eq, OneOf
// and Check count) if a condition holds for another field. Both the field and
// the record are told.
func When(field string, is Match, then string, must Field) Check {
	shown := map[string]any{}
	for k, v := range must.Describe() {
		if k == "required" || k == "eq" || k == "one_of" {
			shown[k] = v
		}
	}
	return Check{
		Shown: map[string]any{"conditional": map[string]any{
			"if_field": field, "if_match": is.shown(),
			"then_field": then, "then_match": shown,
		}},
		Func: func(record map[string]any, report func(field, message string)) {
			if !is.holds(Get(record, field)) {
				return
			}
			wrong := ""
			switch v := Get(record, then); {
			case v == nil:
				if must.Required {
					wrong = required
				}
			case must.Eq:
				wrong = mustBeNull
			default:
				if m, ok := must.notOneOf(v).(string); ok {
					wrong = m
				} else if must.Check != nil {
					if err := must.Check(v); err != nil {
						wrong = err.Error()
					}
				}
			}
			if wrong != "" {
				report(then, wrong)
				report("", "failed conditional validation given value of field '"+field+"'")
			}
		},
		Within: func(in string) Check { return When(in+"."+field, is, in+"."+then, must) },
	}
}

// Quoted lists names as messages do: 'a', 'b'.
func Quoted(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "'" + strings.Join(names, "', '") + "'"
}

package schema

import (
	"maps"
	"slices"
)

// Describe is what clients are shown of a record: {"fields": [{name: {…}}, …],
// "entity_checks": […]}.
func (r *Record) Describe() map[string]any { return describeRecord(r.field()) }

func describeRecord(f *Field) map[string]any {
	fields := make([]any, len(f.Fields))
	for i := range f.Fields {
		fields[i] = map[string]any{f.Fields[i].Name: f.Fields[i].Describe()}
	}
	d := map[string]any{"fields": fields}
	var checks []any
	for _, c := range f.Checks {
		if c.Shown != nil {
			checks = append(checks, Normal(c.Shown))
		}
	}
	if checks != nil {
		d["entity_checks"] = checks
	}
	var old []any
	for _, name := range sortedKeys(f.Aliases) {
		path := f.Aliases[name]
		alias := map[string]any{"deprecation": map[string]any{
			"replaced_with": []any{map[string]any{"path": Normal(path)}},
		}}
		if target := at(f.Fields, path); target != nil {
			alias["type"] = string(target.Type)
		}
		old = append(old, map[string]any{name: alias})
	}
	if old != nil {
		d["shorthand_fields"] = old
	}
	return d
}

// Describe is what clients are shown of a field.
func (f *Field) Describe() map[string]any {
	d := map[string]any{}
	if f.Type == RecordT {
		d = describeRecord(f)
	}
	d["type"] = string(f.Type)
	set := func(name string, when bool, v any) {
		if when {
			d[name] = v
		}
	}
	set("required", f.Required, true)
	set("auto", f.Auto, true)
	set("unique", f.Unique, true)
	set("uuid", f.UUID, true)
	set("eq", f.Eq, nil)
	set("encrypted", f.Hidden, true)
	set("len_min", f.MinLen > 0, int64(f.MinLen))
	set("len_min", f.MinLen < 0, int64(0))
	set("len_max", f.MaxLen > 0, int64(f.MaxLen))
	set("starts_with", f.StartsWith != "", f.StartsWith)
	set("match", f.Match != "", f.Match)
	set("reference", f.Reference != "", f.Reference)
	set("description", f.Description != "", f.Description)
	if f.Default != nil {
		d["default"] = Clone(Normal(f.Default))
	}
	if f.OneOf != nil {
		d["one_of"] = Normal(f.OneOf)
	}
	if f.Between != nil {
		d["between"] = []any{whole(f.Between[0]), whole(f.Between[1])}
	}
	if f.Above != nil {
		d["gt"] = whole(*f.Above)
	}
	if f.Elements != nil {
		d["elements"] = f.Elements.Describe()
	}
	if f.Keys != nil {
		d["keys"] = f.Keys.Describe()
	}
	if f.Values != nil {
		d["values"] = f.Values.Describe()
	}
	return d
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

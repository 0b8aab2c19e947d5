package schema

import (
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"strings"
)

// Complete fills in what a document lacks: defaults, the fields of nested
// records, and null for the rest. What is required and has no default stays
// missing, which Validate finds. Aliases are moved to where they stand,
// duplicates in sets are dropped. The document itself is left alone.
func (r *Record) Complete(doc map[string]any) map[string]any {
	c, _ := Clone(doc).(map[string]any)
	if c == nil {
		c = map[string]any{}
	}
	if r.Prepare != nil {
		r.Prepare(c)
	}
	return completeRecord(r.field(), c)
}

func completeRecord(f *Field, doc map[string]any) map[string]any {
	alias(f, doc)
	for i := range f.Fields {
		sub := &f.Fields[i]
		v, ok := doc[sub.Name]
		if !ok {
			if v, ok = missing(sub); !ok {
				continue
			}
		}
		doc[sub.Name] = complete(sub, v)
	}
	return doc
}

// missing is what stands for a value that was not given; false for none.
func missing(f *Field) (any, bool) {
	switch {
	case f.Default != nil:
		return Clone(Normal(f.Default)), true
	case f.Auto, f.Required && f.Type != RecordT:
		return nil, false
	case f.Required:
		return map[string]any{}, true
	}
	return nil, true
}

// complete fills in what a value lacks. A value of another type than the
// field's is kept as it is.
func complete(f *Field, v any) any {
	switch t := v.(type) {
	case string:
		if f.UUID && isUUID(t) {
			return strings.ToLower(t)
		}
	case float64:
		if f.Type == Integer {
			return whole(t)
		}
	case []any:
		return completeList(f, t)
	case map[string]any:
		switch f.Type {
		case RecordT:
			return completeRecord(f, t)
		case Map:
			for k := range t {
				t[k] = complete(f.Values, t[k])
			}
		case Foreign:
			// The id says it all: what else names the entity is dropped.
			if id, ok := t["id"].(string); ok {
				if isUUID(id) {
					id = strings.ToLower(id)
				}
				return map[string]any{"id": id}
			}
		}
	}
	return v
}

func completeList(f *Field, list []any) any {
	if f.Type != Array && f.Type != Set {
		return list
	}
	for i := range list {
		list[i] = complete(f.Elements, list[i])
	}
	if f.Type != Set || len(list) < 2 {
		return list
	}
	seen := make(map[string]bool, len(list))
	return slices.DeleteFunc(list, func(v any) bool {
		key, err := json.Marshal(v)
		if err != nil || seen[string(key)] {
			return err == nil
		}
		seen[string(key)] = true
		return false
	})
}

// alias moves the old names of fields in a record to what they stand for. One
// that contradicts the new name stays, which is told.
func alias(f *Field, doc map[string]any) {
	for _, old := range sortedKeys(f.Aliases) {
		v, ok := doc[old]
		if !ok {
			continue
		}
		path := f.Aliases[old]
		parent, last := parentOf(doc, path), path[len(path)-1]
		if parent == nil || v != nil && parent[last] != nil && !Equal(v, parent[last]) {
			continue
		}
		if _, given := parent[last]; v != nil || !given {
			parent[last] = v
		}
		delete(doc, old)
	}
}

// Show is a document as clients see it who may know fields by their old names:
// with those beside the new ones. Complete takes them back.
func (r *Record) Show(doc map[string]any) map[string]any { return showRecord(r.field(), doc) }

func showRecord(f *Field, doc map[string]any) map[string]any {
	shown := maps.Clone(doc)
	for i := range f.Fields {
		sub := &f.Fields[i]
		if m, ok := doc[sub.Name].(map[string]any); ok && sub.Type == RecordT {
			shown[sub.Name] = showRecord(sub, m)
		}
	}
	for old, path := range f.Aliases {
		shown[old] = Clone(Get(doc, strings.Join(path, ".")))
	}
	return shown
}

// parentOf is the record that has the last name of a path, made where there is
// none; nil if something else is in the way.
func parentOf(doc map[string]any, path []string) map[string]any {
	for _, name := range path[:len(path)-1] {
		sub, ok := doc[name].(map[string]any)
		if !ok {
			if doc[name] != nil {
				return nil
			}
			sub = map[string]any{}
			doc[name] = sub
		}
		doc = sub
	}
	return doc
}

// Merge is a document with a change: the fields of the change replace those of
// the document, but that records are merged. Neither is changed.
func (r *Record) Merge(doc, change map[string]any) map[string]any {
	d, _ := Clone(doc).(map[string]any)
	c, _ := Clone(change).(map[string]any)
	if d == nil {
		d = map[string]any{}
	}
	return mergeRecord(r.field(), d, c)
}

func mergeRecord(f *Field, doc, change map[string]any) map[string]any {
	alias(f, change)
	for name, v := range change {
		sub := lookup(f.Fields, name)
		was, isRecord := doc[name].(map[string]any)
		is, toRecord := v.(map[string]any)
		if sub != nil && sub.Type == RecordT && isRecord && toRecord {
			v = mergeRecord(sub, was, is)
		}
		doc[name] = v
	}
	return doc
}

func splitDots(path string) iter.Seq[string] { return strings.SplitSeq(path, ".") }

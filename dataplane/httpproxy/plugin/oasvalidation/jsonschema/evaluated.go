package jsonschema

import (
	"maps"
	"slices"
)

// evaluated is what of a value was looked at, for the keywords unevaluatedItems
// and unevaluatedProperties. A nil one takes nothing down.
type evaluated struct {
	allProperties, allItems bool
	properties              map[string]bool
	items                   int // the first so many
	single                  map[int]bool
}

func (d *evaluated) property(name string) {
	if d == nil {
		return
	}
	if d.properties == nil {
		d.properties = map[string]bool{}
	}
	d.properties[name] = true
}

func (d *evaluated) item(index int) {
	if d == nil {
		return
	}
	if d.single == nil {
		d.single = map[int]bool{}
	}
	d.single[index] = true
}

// branch is what a schema takes down that may turn out not to fit.
func (d *evaluated) branch() *evaluated {
	if d == nil {
		return nil
	}
	return new(evaluated)
}

// merge takes over what another one has taken down.
func (d *evaluated) merge(e *evaluation, o *evaluated) {
	if d == nil || o == nil {
		return
	}
	e.steps -= len(o.properties) + len(o.single)
	d.allProperties, d.allItems = d.allProperties || o.allProperties, d.allItems || o.allItems
	d.items = max(d.items, o.items)
	for name := range o.properties {
		d.property(name)
	}
	for index := range o.single {
		d.item(index)
	}
}

// checkRest checks what nothing has looked at.
func (s *Schema) checkRest(e *evaluation, v any, seen *evaluated) bool {
	r := verdict{e, true}
	switch v := v.(type) {
	case map[string]any:
		if s.unevaluatedProperties == nil || seen.allProperties {
			return true
		}
		e.steps -= len(v)
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if !seen.properties[name] && !r.and(e.leftover(step{name, -1}, "unevaluatedProperties", s.unevaluatedProperties, v[name])) {
				return false
			}
		}
		seen.allProperties = true
	case []any:
		if s.unevaluatedItems == nil || seen.allItems {
			return true
		}
		e.steps -= max(len(v)-seen.items, 0)
		for i := seen.items; i < len(v); i++ {
			if !seen.single[i] && !r.and(e.leftover(step{"", i}, "unevaluatedItems", s.unevaluatedItems, v[i])) {
				return false
			}
		}
		seen.allItems = true
	}
	return r.ok
}

// leftover checks a value that only one keyword is for.
func (e *evaluation) leftover(at step, keyword string, s *Schema, v any) bool {
	if !s.never {
		return e.descend(at, s, v)
	}
	e.path = append(e.path, at)
	e.fault(keyword, nil)
	e.path = e.path[:len(e.path)-1]
	return false
}

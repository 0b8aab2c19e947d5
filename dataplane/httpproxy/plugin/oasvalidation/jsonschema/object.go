package jsonschema

import (
	"maps"
	"slices"
)

func (s *Schema) checkObject(e *evaluation, object map[string]any, seen *evaluated) bool {
	o, r := s.object, verdict{e, true}
	if len(object) < o.min {
		e.fault("minProperties", o.min)
		r.ok = false
	}
	if o.max >= 0 && len(object) > o.max {
		e.fault("maxProperties", o.max)
		r.ok = false
	}
	return r.and(s.checkRequired(e, object)) && r.and(o.checkProperties(e, object, seen)) &&
		r.and(o.checkOthers(e, object, seen)) && r.and(o.checkDependent(e, object, seen)) && r.ok
}

func (s *Schema) checkRequired(e *evaluation, object map[string]any) bool {
	r := verdict{e, true}
	e.steps -= len(s.object.required)
	for _, name := range s.object.required {
		if _, has := object[name]; has || s.needless(e, name) {
			continue
		}
		e.faultAt(name, "required", nil)
		if !r.and(false) {
			return false
		}
	}
	for _, d := range s.object.dependentRequired {
		if _, has := object[d.name]; !has {
			continue
		}
		for _, name := range d.needs {
			if _, has := object[name]; has {
				continue
			}
			e.faultAt(name, "dependentRequired", d.name)
			if !r.and(false) {
				return false
			}
		}
	}
	return r.ok
}

// needless tells whether a property is not required, since it is not sent in
// this direction.
func (s *Schema) needless(e *evaluation, name string) bool {
	if e.direction == 0 {
		return false
	}
	if s.unrequired[name]&e.direction != 0 {
		return true
	}
	return slices.ContainsFunc(e.unrequired, func(around map[string]Direction) bool { return around[name]&e.direction != 0 })
}

func (o *objectRules) checkProperties(e *evaluation, object map[string]any, seen *evaluated) bool {
	r := verdict{e, true}
	e.steps -= len(o.names)
	for _, name := range o.names {
		v, has := object[name]
		if !has {
			continue
		}
		p := o.properties[name]
		seen.property(name)
		if e.direction == Response && p.hidden(0)&Response != 0 {
			e.faultAt(name, "writeOnly", nil)
			if !r.and(false) {
				return false
			}
			continue
		}
		if v == nil && e.lenient && !slices.Contains(o.required, name) {
			continue
		}
		if !r.and(e.descend(step{name, -1}, p, v)) {
			return false
		}
	}
	return r.ok
}

// checkOthers checks properties by what is not said of them by name.
func (o *objectRules) checkOthers(e *evaluation, object map[string]any, seen *evaluated) bool {
	if o.patterns == nil && o.additional == nil && o.propertyNames == nil {
		return true
	}
	r := verdict{e, true}
	e.steps -= len(object) * (1 + len(o.patterns))
	for _, name := range slices.Sorted(maps.Keys(object)) {
		at := step{name, -1}
		if o.propertyNames != nil && !e.named(o.propertyNames, name) && !r.and(false) {
			return false
		}
		_, known := o.properties[name]
		for _, p := range o.patterns {
			// One that cannot be said in Go may be meant: nothing is said of what is
			// under the name then.
			if p.pattern == nil {
				known = true
				seen.property(name)
				continue
			}
			if !p.pattern.match(e, name) {
				continue
			}
			known = true
			seen.property(name)
			if !r.and(e.descend(at, p.schema, object[name])) {
				return false
			}
		}
		if known || o.additional == nil {
			continue
		}
		seen.property(name)
		if !r.and(e.leftover(at, "additionalProperties", o.additional, object[name])) {
			return false
		}
	}
	return r.ok
}

// named tells whether a property may have a name.
func (e *evaluation) named(s *Schema, name string) bool {
	e.quiet++
	ok := e.descend(step{name, -1}, s, name)
	e.quiet--
	if !ok {
		e.faultAt(name, "propertyNames", nil)
	}
	return ok
}

func (o *objectRules) checkDependent(e *evaluation, object map[string]any, seen *evaluated) bool {
	r := verdict{e, true}
	for _, d := range o.dependentSchemas {
		if _, has := object[d.name]; has && !r.and(d.schema.check(e, object, seen)) {
			return false
		}
	}
	return r.ok
}

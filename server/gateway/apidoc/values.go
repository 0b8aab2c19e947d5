package apidoc

import (
	"fmt"
	"regexp"
)

// dropValues takes examples and defaults out that do not fit their schemas:
// they mislead readers, and make the document invalid.
func (f *fragment) dropValues(minor int) {
	d := &dropper{
		fitter:     fitter{minor: minor, schemas: map[string]any{}, patterns: map[string]*regexp.Regexp{}, total: stepsInAll},
		components: map[string]any{},
	}
	for _, c := range f.components {
		ref := "#/components/" + c.section + "/" + c.name
		d.components[ref] = c.out
		if c.kind == kindSchema {
			d.schemas[ref] = c.out
		}
	}
	drop := func(p *part, k kind, v any) {
		d.dropped = 0
		d.walk(k, v, nowhere)
		if d.dropped > 0 {
			f.faults = append(f.faults, fmt.Sprintf("%s: examples and defaults that do not fit their schemas, or may not, are left out: %d", p.shown(), d.dropped))
		}
	}
	for _, o := range f.operations {
		drop(o, kindOperation, o.out)
	}
	for _, path := range f.paths.keys {
		for _, p := range f.paths.object(path).list("parameters") {
			d.walk(kindParameter, p, nowhere)
		}
	}
	for _, c := range f.components {
		drop(c, c.kind, c.out)
	}
}

type dropper struct {
	fitter
	// components are all of the fragment, by reference.
	components map[string]any
	dropped    int
}

// walk goes through what was built.
func (d *dropper) walk(k kind, v any, way direction) {
	o, ok := v.(*object)
	if !ok {
		return
	}
	switch k {
	case kindRequestBody:
		way = request
	case kindResponse:
		way = response
	case kindSchema:
		d.schema(o)
	case kindMediaType:
		d.examples(o, way)
	case kindParameter, kindHeader:
		d.examples(o, nowhere)
	}
	for _, key := range o.keys {
		memberOf(k, key).each(o.values[key], func(k kind, v any) any {
			d.walk(k, v, way)
			return v
		})
	}
}

// schema checks the default and the example of a schema.
func (d *dropper) schema(s *object) {
	for _, key := range []string{"default", "example"} {
		if v := s.get(key); v != nil && !d.fits(v, s, nowhere) {
			s.remove(key)
			d.dropped++
		}
	}
}

// examples checks those of a media type or parameter.
func (d *dropper) examples(o *object, way direction) {
	if !o.has("schema") {
		return
	}
	schema := o.get("schema")
	if v := o.get("example"); v != nil && !d.fits(v, schema, way) {
		o.remove("example")
		d.dropped++
	}
	examples := o.object("examples")
	if examples == nil {
		return
	}
	kept := newObject()
	for _, name := range examples.keys {
		e := examples.values[name]
		example, _ := e.(*object)
		for range maxHops {
			ref, there := example.get("$ref").(string)
			if !there {
				break
			}
			example, _ = d.components[ref].(*object)
		}
		// The value of an external example is not known, and taken for null.
		if d.fits(example.get("value"), schema, way) {
			kept.set(name, e)
		} else {
			d.dropped++
		}
	}
	if len(kept.keys) > 0 {
		o.set("examples", kept)
	} else {
		o.remove("examples")
	}
}

package apidoc

// breakCircles takes apart schemas that are defined by themselves: A is all of
// B, and B all of A. They say nothing, and readers follow them without end.
// Schemas that have themselves as a property are as usual, but some readers
// (kin-openapi 0.152 among them) get lost in those that have no type.
func (f *fragment) breakCircles() {
	f.circles(sameValue, f.replace)
	f.circles(untyped, func(p *part) {
		o := p.out.(*object)
		switch {
		case o.has("properties") || o.has("additionalProperties") || o.has("patternProperties"):
			o.set("type", "object")
		case o.has("items") || o.has("prefixItems"):
			o.set("type", "array")
		default:
			f.replace(p)
		}
	})
}

// replace puts a schema that allows anything in the place of one.
func (f *fragment) replace(p *part) {
	f.faults = append(f.faults, p.shown()+" is defined by itself; any value is shown in its place")
	p.out = newObject()
}

// circles finds schemas from which references lead back to them, and has them
// mended.
func (f *fragment) circles(refs func(v any, refs []string) []string, mend func(*part)) {
	byRef := map[string]*part{}
	for _, c := range f.components {
		byRef["#/components/"+c.section+"/"+c.name] = c
	}
	const (
		open = 1
		done = 2
	)
	state := map[*part]int{}
	var visit func(p *part)
	visit = func(p *part) {
		state[p] = open
		for _, ref := range refs(p.out, nil) {
			next := byRef[ref]
			if next == nil || next.kind != kindSchema {
				continue
			}
			switch state[next] {
			case 0:
				visit(next)
			case open:
				if _, ok := next.out.(*object); ok {
					mend(next)
				}
				// It leads nowhere any more.
				state[next] = done
			}
		}
		state[p] = done
	}
	for _, c := range f.components {
		if c.kind == kindSchema && c.err == nil && state[c] == 0 {
			visit(c)
		}
	}
}

// sameValue adds the references that a schema applies to the very value that
// it describes.
func sameValue(v any, refs []string) []string {
	o, ok := v.(*object)
	if !ok {
		return refs
	}
	refs = referred(o, refs)
	for _, key := range []string{"allOf", "anyOf", "oneOf"} {
		for _, v := range o.list(key) {
			refs = sameValue(v, refs)
		}
	}
	for _, key := range []string{"not", "if", "then", "else"} {
		refs = sameValue(o.get(key), refs)
	}
	for _, name := range o.object("dependentSchemas").names() {
		refs = sameValue(o.object("dependentSchemas").values[name], refs)
	}
	return refs
}

// untyped adds the references in a schema that stand in schemas without a type
// alone.
func untyped(v any, refs []string) []string {
	o, ok := v.(*object)
	if !ok || o.has("type") {
		return refs
	}
	refs = referred(o, refs)
	for _, key := range o.keys {
		if m := memberOf(kindSchema, key); m.kind == kindSchema {
			m.each(o.values[key], func(_ kind, v any) any {
				refs = untyped(v, refs)
				return v
			})
		}
	}
	return refs
}

// referred adds the reference that a schema is.
func referred(o *object, refs []string) []string {
	if ref, ok := o.values["$ref"].(string); ok {
		return append(refs, ref)
	}
	return refs
}

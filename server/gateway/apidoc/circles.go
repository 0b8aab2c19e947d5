package apidoc

import "strings"

// breakCircles takes apart schemas that are defined by themselves: A is all of
// B, and B all of A. They say nothing, and readers follow them without end.
// Schemas that have themselves as a property are as usual.
func (f *fragment) breakCircles(x *index, s space) {
	byRef := map[string]*part{}
	for _, c := range f.components {
		byRef["#/components/"+c.section+"/"+c.name] = c
	}
	const (
		open = 1
		done = 2
	)
	state := map[*part]int{}
	var visit func(p *part, depth int) bool
	// visit tells whether p is, in the end, itself.
	visit = func(p *part, depth int) bool {
		if state[p] != 0 {
			return state[p] == open
		}
		state[p] = open
		for _, ref := range sameValue(p.out, nil) {
			if next := byRef[ref]; next != nil && next.kind == kindSchema && visit(next, depth+1) {
				f.faults = append(f.faults, "components/schemas/"+shorten(strings.TrimPrefix(next.name, s.name))+
					" is defined by itself; any value is shown in its place")
				next.out = newObject()
				// Who stands between here and there is not a circle any more.
				state[next] = done
			}
		}
		state[p] = done
		return false
	}
	for _, c := range f.components {
		if c.kind == kindSchema && c.err == nil {
			visit(c, 0)
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
	if ref, ok := o.values["$ref"].(string); ok {
		refs = append(refs, ref)
	}
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

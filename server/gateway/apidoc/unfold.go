package apidoc

// unfold is an operation with what it refers to in the place of references. What
// refers to itself is cut where it begins anew: so nobody who reads it can go
// round in circles, as oasdiff does in some. It is not ok if that is too much.
func (c *comparison) unfold(p *prints, o Operation) (op *object, ok bool) {
	u := &unfolder{components: p.components, open: map[string]bool{}, left: min(effortPerOperation, c.left)}
	limit := u.left
	part := p.operations[o.Method+" "+o.Path]
	op, _ = u.part(kindOperation, part.out).(*object)
	item := objectOf("parameters", p.common[part.path])
	item, _ = u.part(kindPathItem, item).(*object)
	if common := item.list("parameters"); len(common) > 0 && op != nil {
		op.set("parameters", overridden(op.list("parameters"), common))
	}
	c.left -= limit - u.left
	return op, u.left > 0 && op != nil
}

// overridden are the parameters of an operation with those of its path that it
// does not have itself.
func overridden(own, common []any) []any {
	identity := func(v any) string {
		o, _ := v.(*object)
		return o.text("in") + " " + o.text("name")
	}
	has := map[string]bool{}
	for _, p := range own {
		has[identity(p)] = true
	}
	for _, p := range common {
		if !has[identity(p)] {
			own = append(own, p)
		}
	}
	return own
}

type unfolder struct {
	components map[string]*part
	// open are the components that what is being unfolded stands in.
	open  map[string]bool
	depth int
	left  int
}

func (u *unfolder) part(k kind, v any) any {
	o, ok := v.(*object)
	if !ok {
		return v
	}
	u.depth++
	defer func() { u.depth-- }()
	// What is nested is read on each level.
	if u.left -= u.depth; u.left <= 0 {
		return newObject()
	}
	ref, _ := o.values["$ref"].(string)
	c := u.components[ref]
	if c == nil {
		return u.members(k, o)
	}
	out := u.component(ref, c)
	if len(o.keys) == 1 || k != kindSchema {
		return out
	}
	// What stands beside a reference holds as well.
	beside := u.members(k, o)
	beside.set("allOf", append(beside.list("allOf"), out))
	return beside
}

// component unfolds one. Schemas get their names as titles, by which oasdiff
// tells alternatives apart.
func (u *unfolder) component(ref string, c *part) any {
	if u.open[ref] {
		if c.kind == kindSchema {
			return objectOf("title", c.name)
		}
		return newObject()
	}
	u.open[ref] = true
	defer delete(u.open, ref)
	out := u.part(c.kind, c.out)
	if o, ok := out.(*object); ok && c.kind == kindSchema && !o.has("title") {
		o.set("title", c.name)
	}
	return out
}

func (u *unfolder) members(k kind, o *object) *object {
	out := newObject()
	for _, key := range o.keys {
		if key == "$ref" {
			continue
		}
		out.set(key, memberOf(k, key).each(o.values[key], u.part))
	}
	return out
}

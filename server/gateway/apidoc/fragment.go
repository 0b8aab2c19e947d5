package apidoc

import (
	"slices"
	"strings"
)

// fragment is what one document adds to another.
type fragment struct {
	// operations are those that were built, in the source's order, and paths
	// their path items.
	operations []*part
	paths      *object
	components []*part
	faults     []string
	// json is what it is written as.
	json encoded
}

// build makes a fragment of operations. Those that cannot be built are left
// out, with a fault.
func build(x *index, s space, operations []Operation, r repairs) *fragment {
	var dropped []string
	for {
		b := newBuilder(x, s, operations, r)
		f := b.fragment(operations)
		broken := f.broken()
		if len(broken) == 0 {
			f.breakCircles()
			f.faults = append(dropped, f.faults...)
			return f
		}
		// What linked or led to these goes too, so all is built again.
		operations = slices.DeleteFunc(slices.Clone(operations), func(o Operation) bool {
			why, out := broken[keyOf(o)]
			if out {
				dropped = append(dropped, notShown(o, why))
			}
			return out
		})
	}
}

func notShown(o Operation, why string) string {
	return shorten(o.Method+" "+o.Path) + " is not in the merged document: " + why
}

func keyOf(o Operation) string { return "paths " + o.Method + " " + o.Path }

func newBuilder(x *index, s space, operations []Operation, r repairs) *builder {
	b := &builder{
		doc: x.doc, space: s, index: x, repairs: r,
		included: map[*object]place{}, byID: map[string]place{}, common: map[*object]*common{},
		byTarget: map[any]*part{}, byRef: map[string]*part{}, taken: map[string]int{},
		names: map[string][]string{}, shared: map[string]bool{}, placing: map[*object]bool{},
	}
	b.shareShapes(operations)
	for _, o := range operations {
		to := place{ref: "#/paths/" + tokenEscaper.Replace(b.pathOf(o)) + "/" + strings.ToLower(o.Method)}
		if o.OperationID != "" {
			to.id = unique(s.name+o.OperationID, "operation ", b.taken)
			if _, there := b.byID[o.OperationID]; !there {
				b.byID[o.OperationID] = to
			}
		}
		if _, there := b.included[o.op]; !there {
			b.included[o.op] = to
		}
	}
	return b
}

func (b *builder) fragment(operations []Operation) *fragment {
	for _, o := range operations {
		b.addCommon(o)
		p := &part{section: "paths", name: o.Method + " " + o.Path, kind: kindOperation, from: target{value: o.op}, path: b.pathOf(o)}
		b.operations = append(b.operations, p)
		b.begin(p, nil)
		switch why := b.repair().drop; {
		case why != "":
			p.err = errDropped(why)
		case members[kindPathItem][strings.ToLower(o.Method)].kind != kindOperation:
			p.err = errDropped("before OpenAPI 3.2 there are no operations of this method")
		default:
			p.out, p.err = b.exposed(o)
		}
	}
	b.finish()
	f := &fragment{operations: b.operations, paths: newObject(), components: b.components, faults: b.faults}
	for i, o := range operations {
		f.add(b, o, b.operations[i])
	}
	return f
}

type errDropped string

func (e errDropped) Error() string { return string(e) }

// add puts an operation into its path item.
func (f *fragment) add(b *builder, o Operation, p *part) {
	if p.err != nil {
		return
	}
	path := p.path
	item := f.paths.object(path)
	if item == nil {
		item = newObject()
		for _, key := range o.item.keys {
			s, isText := o.item.values[key].(string)
			if strings.HasPrefix(key, "x-") {
				item.set(key, o.item.values[key])
			} else if isText && (key == "summary" || key == "description") {
				item.set(key, s)
			}
		}
		if l := b.common[o.item].list; len(l) > 0 && !b.shared[o.Template.shape()] {
			item.set("parameters", l)
		}
		f.paths.set(path, item)
	}
	item.set(strings.ToLower(o.Method), p.out)
}

// broken are the operations that cannot stay, by their keys, and why: they or
// something that they need failed.
func (f *fragment) broken() map[any]string {
	broken := map[any]string{}
	for _, p := range f.operations {
		if p.err != nil {
			broken[p.key()] = p.err.Error()
		}
	}
	users := f.users()
	for _, c := range f.components {
		if c.err == nil {
			continue
		}
		for _, p := range users.of(c) {
			if _, there := broken[p.key()]; !there {
				broken[p.key()] = c.shown() + ": " + c.err.Error()
			}
		}
	}
	return broken
}

// users tells what needs a part.
type users map[*part][]*part

func (f *fragment) users() users {
	u := users{}
	for _, parts := range [][]*part{f.operations, f.components} {
		for _, p := range parts {
			for _, needed := range p.needs {
				u[needed] = append(u[needed], p)
			}
		}
	}
	return u
}

// of are the operations that need a part, directly or not.
func (u users) of(p *part) []*part {
	seen := map[*part]bool{p: true}
	next := []*part{p}
	var operations []*part
	for len(next) > 0 {
		for _, user := range u[next[0]] {
			if !seen[user] {
				seen[user] = true
				next = append(next, user)
				if user.kind == kindOperation {
					operations = append(operations, user)
				}
			}
		}
		next = next[1:]
	}
	return operations
}

package apidoc

import (
	"net/url"
	"slices"
	"strings"
)

// maxHops is how many references may stand on the way to what one means.
const maxHops = 64

// target is what a reference means.
type target struct {
	value any
	// name is what the document calls it; empty if it is no component.
	name string
	// path is where it stands, for a name to be made of.
	path []string
	// scope is what references in it are looked up in, besides the document.
	scope []*object
}

// resolve follows a reference within the document, such as
// "#/components/schemas/A", through the references that stand on its way.
func (d *Document) resolve(ref string) (any, bool) {
	fragment, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil, false
	}
	return d.follow(d.root, tokens(fragment))
}

// tokens takes the fragment of a reference apart; nil if it is no pointer.
func tokens(fragment string) []string {
	if strings.Contains(fragment, "%") {
		// Fragments of URLs escape what URLs cannot have.
		if decoded, err := url.PathUnescape(fragment); err == nil {
			fragment = decoded
		}
	}
	if !strings.HasPrefix(fragment, "/") {
		return nil
	}
	path := strings.Split(fragment[1:], "/")
	for i, token := range path {
		path[i] = tokenUnescaper.Replace(token)
	}
	return path
}

// follow goes from v along the tokens of a pointer.
func (d *Document) follow(v any, path []string) (any, bool) {
	hops := maxHops
	return d.walk(v, path, &hops)
}

func (d *Document) walk(v any, path []string, hops *int) (any, bool) {
	if path == nil {
		return nil, false
	}
	for _, token := range path {
		next, ok := step(v, token)
		for !ok {
			o, _ := v.(*object)
			fragment, local := strings.CutPrefix(o.text("$ref"), "#")
			if !local || *hops == 0 {
				return nil, false
			}
			*hops--
			if v, ok = d.walk(d.root, tokens(fragment), hops); !ok {
				return nil, false
			}
			next, ok = step(v, token)
		}
		v = next
	}
	return v, true
}

// index finds the parts of a document that references name.
type index struct {
	doc *Document
	// component has the names of the components.
	component map[*object]string
	// resources have an $id, anchors an $anchor or $dynamicAnchor; nil as long
	// as nobody asked.
	resources, anchors map[string]*object
	// children are the schemas that extend another, which allOf tells; nil as
	// long as nobody asked.
	children map[*object][]string
}

func newIndex(d *Document) *index {
	x := &index{doc: d, component: map[*object]string{}}
	components := d.root.object("components")
	for _, s := range sections {
		parts := components.object(s.name)
		for _, name := range parts.names() {
			if o, ok := parts.values[name].(*object); ok {
				x.component[o] = name
			}
		}
	}
	return x
}

// find tells what a reference means that stands within scope, whose last entry
// is the innermost.
func (x *index) find(ref string, scope []*object) (target, bool) {
	t, ok := x.locate(ref, scope)
	if !ok {
		return target{}, false
	}
	o, _ := t.value.(*object)
	if name, there := x.component[o]; there {
		t.name, t.scope = name, []*object{o}
	}
	return t, true
}

func (x *index) locate(ref string, scope []*object) (target, bool) {
	base, fragment, _ := strings.Cut(ref, "#")
	if base != "" {
		root := x.resource(base, scope)
		if root == nil {
			return target{}, false
		}
		if fragment == "" {
			return target{value: root, path: []string{root.text("$id")}, scope: []*object{root}}, true
		}
		scope = []*object{root}
	}
	if fragment == "" {
		if len(scope) == 0 {
			return target{}, false
		}
		return target{value: scope[0], path: []string{"root"}, scope: scope[:1]}, true
	}
	path := tokens(fragment)
	if path == nil {
		x.readIDs()
		o, there := x.anchors[fragment]
		return target{value: o, path: []string{fragment}, scope: []*object{o}}, there
	}
	// What is in a schema that has an $id comes first, then the document, then
	// the schemas around: some generators leave references to their own root.
	roots := []*object{x.doc.root}
	if n := len(scope); n > 0 && scope[n-1].has("$id") {
		roots = []*object{scope[n-1], x.doc.root}
	}
	roots = append(roots, scope...)
	for i, root := range roots {
		v, ok := x.doc.follow(root, path)
		if !ok {
			continue
		}
		if root == x.doc.root {
			scope = x.around(path)
		} else if i > 0 {
			scope = []*object{root}
		}
		return target{value: v, path: path, scope: scope}, true
	}
	return target{}, false
}

// around is the schema that something is in which a pointer names.
func (x *index) around(path []string) []*object {
	if len(path) > 3 && path[0] == "components" {
		if v, ok := x.doc.follow(x.doc.root, path[:3]); ok {
			if o, ok := v.(*object); ok {
				return []*object{o}
			}
		}
	}
	return nil
}

// resource is the schema whose $id an address is, which may be relative to the
// one that it stands in.
func (x *index) resource(address string, scope []*object) *object {
	x.readIDs()
	if o := x.resources[address]; o != nil {
		return o
	}
	for _, around := range slices.Backward(scope) {
		base, err := url.Parse(around.text("$id"))
		if err != nil || base.Path == "" {
			continue
		}
		relative, err := url.Parse(address)
		if err != nil {
			return nil
		}
		if o := x.resources[base.ResolveReference(relative).String()]; o != nil {
			return o
		}
	}
	return nil
}

// readIDs collects what has an address or an anchor.
func (x *index) readIDs() {
	if x.resources != nil {
		return
	}
	x.resources, x.anchors = map[string]*object{}, map[string]*object{}
	x.readIDsOf(x.doc.root)
}

func (x *index) readIDsOf(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			x.readIDsOf(e)
		}
	case *object:
		add(x.resources, strings.TrimSuffix(v.text("$id"), "#"), v)
		add(x.anchors, v.text("$anchor"), v)
		add(x.anchors, v.text("$dynamicAnchor"), v)
		for _, key := range v.keys {
			x.readIDsOf(v.values[key])
		}
	}
}

func add(m map[string]*object, key string, o *object) {
	if _, there := m[key]; key != "" && !there {
		m[key] = o
	}
}

// extending are the names of the schemas that name another in their allOf,
// directly or through others.
func (x *index) extending(parent *object) []string {
	schemas := x.doc.root.object("components").object("schemas")
	if x.children == nil {
		x.children = map[*object][]string{}
		for _, name := range schemas.names() {
			child, _ := schemas.values[name].(*object)
			for _, v := range child.list("allOf") {
				o, _ := v.(*object)
				if t, ok := x.find(o.text("$ref"), nil); ok {
					if o, ok := t.value.(*object); ok {
						x.children[o] = append(x.children[o], name)
					}
				}
			}
		}
	}
	var names []string
	seen := map[string]bool{}
	next := slices.Clone(x.children[parent])
	for len(next) > 0 {
		name := next[0]
		next = next[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		names = append(names, name)
		next = append(next, x.children[schemas.object(name)]...)
	}
	return names
}

package jsonschema

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Version is the kind of schemas.
type Version uint8

// The versions.
const (
	OpenAPI30 Version = iota // the Schema Object of OpenAPI 3.0
	OpenAPI31                // JSON Schema 2020-12
)

// Set are the schemas of a document. They are compiled by Finish.
type Set struct {
	document any
	version  Version
	schemas  map[string]*Schema // by pointer
	pending  []pending
	order    []*Schema
	anchors  map[string]string // pointers by anchor, nil until they are looked for
	notes    []string
	patterns int // how much the patterns may still be
}

type pending struct {
	schema *Schema
	raw    any
}

// NewSet is a set of schemas of a document, as Decode makes it.
func NewSet(document any, version Version) *Set {
	return &Set{document: document, version: version, schemas: map[string]*Schema{}, patterns: maxPatterns}
}

// At is the schema that is at a pointer. It must not be used before Finish.
func (t *Set) At(pointer string, raw any) *Schema {
	if s := t.schemas[pointer]; s != nil {
		return s
	}
	s := &Schema{pointer: pointer}
	t.schemas[pointer] = s
	t.order = append(t.order, s)
	t.pending = append(t.pending, pending{s, raw})
	return s
}

// Finish compiles the schemas, and what they refer to. The error tells where
// the fault is.
func (t *Set) Finish() error {
	for len(t.pending) > 0 {
		p := t.pending[len(t.pending)-1]
		t.pending = t.pending[:len(t.pending)-1]
		if err := t.compile(p.schema, p.raw); err != nil {
			return fmt.Errorf("%s: %w", p.schema.pointer, err)
		}
	}
	state := map[*Schema]bool{}
	for _, s := range t.order {
		if !s.findReentry(0, state) {
			return fmt.Errorf("%s: too many schemas apply one through the other", s.pointer)
		}
	}
	for _, s := range t.order {
		s.findKinds()
		if o := s.object; o != nil {
			for _, name := range o.names {
				if o.properties[name].hidden(0) != 0 {
					o.sent = append(o.sent, name)
				}
			}
		}
	}
	for _, s := range t.order {
		s.findUnrequired()
	}
	t.document, t.schemas, t.order, t.anchors = nil, nil, nil, nil
	return nil
}

// Notes tell what is not checked, though the schemas say it.
func (t *Set) Notes() []string { return t.notes }

// Resolve finds what a reference within the document leads to: its pointer, in
// one form for all ways to write it, and the value there.
func (t *Set) Resolve(ref string) (pointer string, value any, err error) {
	fragment, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return "", nil, fmt.Errorf("$ref %q leads out of the document", ref)
	}
	if fragment, err = url.PathUnescape(fragment); err != nil {
		return "", nil, fmt.Errorf("$ref %q is not well formed", ref)
	}
	if fragment != "" && fragment[0] != '/' {
		if fragment, ok = t.anchored(fragment); !ok {
			return "", nil, fmt.Errorf("$ref %q leads nowhere", ref)
		}
	}
	value, pointer = t.document, "#"
	for i, token := range strings.Split(fragment, "/") {
		if i == 0 {
			continue
		}
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		found := false
		switch v := value.(type) {
		case map[string]any:
			value, found = v[token]
		case []any:
			if n, err := strconv.Atoi(token); err == nil && n >= 0 && n < len(v) {
				value, found = v[n], true
			}
		}
		if !found {
			return "", nil, fmt.Errorf("$ref %q leads nowhere", ref)
		}
		pointer = Child(pointer, token)
	}
	return pointer, value, nil
}

// Child is the pointer of what a value has under a name.
func Child(pointer, name string) string {
	return pointer + "/" + strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

// anchored is the fragment of what has an anchor. Anchors are those of the whole
// document: schemas with an $id of their own are not told apart.
func (t *Set) anchored(name string) (fragment string, ok bool) {
	if t.anchors == nil {
		t.anchors = map[string]string{}
		t.findAnchors("", t.document)
	}
	fragment, ok = t.anchors[name]
	return fragment, ok
}

func (t *Set) findAnchors(fragment string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, keyword := range [...]string{"$anchor", "$dynamicAnchor"} {
			if name, ok := v[keyword].(string); ok {
				if was, has := t.anchors[name]; !has || fragment < was {
					t.anchors[name] = fragment
				}
			}
		}
		for name, sub := range v {
			t.findAnchors(Child(fragment, name), sub)
		}
	case []any:
		for i, sub := range v {
			t.findAnchors(Child(fragment, strconv.Itoa(i)), sub)
		}
	}
}

// inPlace are the schemas that apply to the same value as s.
func (s *Schema) inPlace(f func(*Schema)) {
	for _, one := range [...]*Schema{s.ref, s.not, s.when, s.then, s.other} {
		if one != nil {
			f(one)
		}
	}
	for _, branches := range [...][]*Schema{s.allOf, s.anyOf, s.oneOf} {
		for _, b := range branches {
			f(b)
		}
	}
	if s.object != nil {
		for _, d := range s.object.dependentSchemas {
			f(d.schema)
		}
	}
}

// maxApplied bounds how many schemas may apply to a value one through the other.
const maxApplied = 512

// findReentry marks schemas that apply to the same value again: state has those
// that were looked at, true while what they apply to is looked at. It is false
// if they do not come to an end soon.
func (s *Schema) findReentry(depth int, state map[*Schema]bool) bool {
	if open, seen := state[s]; seen {
		s.reenters = s.reenters || open
		return true
	}
	if depth > maxApplied {
		return false
	}
	state[s] = true
	ok := true
	s.inPlace(func(sub *Schema) { ok = ok && sub.findReentry(depth+1, state) })
	state[s] = false
	return ok
}

// findKinds finds what types values that fit can have.
func (s *Schema) findKinds() Types {
	if s.kinds != 0 {
		return s.kinds
	}
	s.kinds = Anything // for those that apply themselves
	kinds := Anything
	if s.types != 0 {
		kinds = s.types
	}
	if s.enum != nil {
		kinds &= s.enum.types
	}
	if s.ref != nil {
		kinds &= s.ref.findKinds()
	}
	for _, b := range s.allOf {
		kinds &= b.findKinds()
	}
	for _, branches := range [...][]*Schema{s.anyOf, s.oneOf} {
		if branches == nil {
			continue
		}
		some := Types(0)
		for _, b := range branches {
			some |= b.findKinds()
		}
		kinds &= some
	}
	if s.nullable {
		kinds |= Null
	}
	if kinds == 0 {
		kinds = Anything // nothing fits, which it is told
	}
	s.kinds = kinds
	return kinds
}

// findUnrequired finds the properties that are not sent in a direction, by what
// is said of them here or in what always applies as well.
func (s *Schema) findUnrequired() {
	if s.ref == nil && s.allOf == nil && s.object == nil {
		return
	}
	left := maxVisited
	s.walk(0, &left, false, func(sub *Schema) bool {
		if sub.object == nil {
			return true
		}
		for _, name := range sub.object.sent {
			if s.unrequired == nil {
				s.unrequired = map[string]Direction{}
			}
			s.unrequired[name] |= sub.object.properties[name].hidden(0)
		}
		return true
	})
}

// hidden are the directions in which a property is not sent.
func (s *Schema) hidden(depth int) (d Direction) {
	if s.readOnly {
		d |= Request
	}
	if s.writeOnly {
		d |= Response
	}
	if s.ref != nil && depth < maxNesting {
		d |= s.ref.hidden(depth + 1)
	}
	return d
}

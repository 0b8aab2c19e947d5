package schema

import (
	"errors"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Pair is an argument of a form.
type Pair struct{ Key, Value string }

// maxFormDepth bounds the nesting of a form's keys.
const maxFormDepth = 32

// ParseForm reads url-encoded arguments in their order.
func ParseForm(body string) ([]Pair, error) {
	var pairs []Pair
	for part := range strings.SplitSeq(body, "&") {
		if part == "" {
			continue
		}
		k, v, _ := strings.Cut(part, "=")
		key, err := url.QueryUnescape(k)
		if err != nil {
			return nil, err
		}
		value, err := url.QueryUnescape(v)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, Pair{key, value})
	}
	return pairs, nil
}

// FromForm makes a document of arguments: "a.b" and "a[b]" are fields of a,
// "a[]", "a[1]" and a repeated "a" elements of an array, and values have the
// types of the fields. An empty value is null. An argument that contradicts
// another is a *Violations.
func (r *Record) FromForm(pairs []Pair) (map[string]any, error) {
	root, wrong := &node{}, &Violations{Fields: map[string]any{}}
	for _, p := range pairs {
		path, err := formPath(p.Key)
		if err == nil {
			err = root.put(path, p.Value)
		}
		if err != nil {
			name := p.Key
			if end := strings.IndexAny(name, ".["); end > 0 {
				name = name[:end]
			}
			wrong.Fields[name] = err.Error()
		}
	}
	if len(wrong.Fields) > 0 {
		return nil, wrong
	}
	f := r.field()
	f.Fields = slices.Concat(f.Fields, r.Inputs)
	doc, _ := root.value(f).(map[string]any)
	if doc == nil {
		doc = map[string]any{}
	}
	return doc, nil
}

// step is a part of a form's key: the name of a field, an index, or [] for the
// next element.
type step struct {
	name  string
	index int // of elements; -1 for the next one, 0 for a name
}

func formPath(key string) ([]step, error) {
	var path []step
	for i := 0; i <= len(key); {
		if len(path) == maxFormDepth {
			return nil, errors.New("is nested too deep")
		}
		if i < len(key) && key[i] == '[' && i > 0 {
			end := strings.IndexByte(key[i:], ']')
			if end < 0 {
				return nil, errors.New("has no closing bracket")
			}
			path = append(path, bracket(key[i+1:i+end]))
			if i += end + 1; i == len(key) {
				return path, nil
			}
			if key[i] == '.' {
				i++
			} else if key[i] != '[' {
				return nil, errors.New("has text after a bracket")
			}
			continue
		}
		end := strings.IndexAny(key[i:], ".[")
		if end < 0 {
			return append(path, step{name: key[i:]}), nil
		}
		if end == 0 && i == 0 && key[0] == '[' {
			return nil, errors.New("has no name before a bracket")
		}
		path = append(path, step{name: key[i : i+end]})
		if i += end; key[i] == '.' {
			i++
		}
	}
	return path, nil
}

func bracket(s string) step {
	if s == "" {
		return step{index: -1}
	}
	if n, err := strconv.Atoi(s); err == nil && n > 0 && s[0] != '+' {
		return step{name: s, index: n}
	}
	return step{name: s}
}

// node is a value that a form says: of one kind of values, names and elements.
type node struct {
	values   []string
	names    []string // in order
	fields   map[string]*node
	elements []item
}

type item struct {
	index int // 0 for the next one
	node  *node
}

var errConflict = errors.New("is given in several ways that contradict each other")

func (n *node) put(path []step, value string) error {
	if len(path) == 0 {
		if n.fields != nil || n.elements != nil {
			return errConflict
		}
		n.values = append(n.values, value)
		return nil
	}
	if n.values != nil {
		return errConflict
	}
	s := path[0]
	if s.index != 0 {
		if n.fields != nil {
			return errConflict
		}
		return n.element(s).put(path[1:], value)
	}
	if n.elements != nil {
		return errConflict
	}
	if n.fields == nil {
		n.fields = map[string]*node{}
	}
	sub := n.fields[s.name]
	if sub == nil {
		sub = &node{}
		n.fields[s.name] = sub
		n.names = append(n.names, s.name)
	}
	return sub.put(path[1:], value)
}

func (n *node) element(s step) *node {
	if s.index > 0 {
		for _, e := range n.elements {
			if e.index == s.index {
				return e.node
			}
		}
	}
	e := item{max(s.index, 0), &node{}}
	n.elements = append(n.elements, e)
	return e.node
}

// value is what a node says, typed by a field; f is nil if there is none.
func (n *node) value(f *Field) any {
	if n.values != nil {
		return scalars(f, n.values)
	}
	if n.elements != nil {
		return n.list(f)
	}
	if n.fields == nil {
		return nil
	}
	m := make(map[string]any, len(n.fields))
	if f != nil && f.Type == Map {
		n.flat(f.Values, "", m)
		return m
	}
	for _, name := range n.names {
		m[name] = n.fields[name].value(below(f, name))
	}
	return m
}

// below is the field of a name in a record or a foreign key.
func below(f *Field, name string) *Field {
	if f == nil {
		return nil
	}
	if f.Type == Foreign {
		return lookup(f.Alternatives, name)
	}
	if sub := lookup(f.Fields, name); sub != nil {
		return sub
	}
	if path, ok := f.Aliases[name]; ok {
		return at(f.Fields, path)
	}
	return nil
}

// flat fills a map whose keys may have dots, unless its values are records.
func (n *node) flat(values *Field, prefix string, m map[string]any) {
	for _, name := range n.names {
		sub := n.fields[name]
		nests := values != nil && (values.Type == RecordT || values.Type == Map || values.Type == JSON)
		if sub.fields != nil && !nests {
			sub.flat(values, prefix+name+".", m)
			continue
		}
		m[prefix+name] = sub.value(values)
	}
}

// list is what elements say: an array if they are numbered without a gap, else
// an object with the numbers, which is no array and told so.
func (n *node) list(f *Field) any {
	var sub *Field
	if f != nil {
		switch f.Type {
		case Array, Set:
			sub = f.Elements
		case Map:
			sub = f.Values
		}
	}
	items := slices.Clone(n.elements)
	slices.SortStableFunc(items, func(a, b item) int {
		return order(a.index) - order(b.index)
	})
	list, object, gap := []any{}, map[string]any{}, false
	for i, e := range items {
		v := e.node.value(sub)
		list = append(list, v)
		object[strconv.Itoa(i+1)] = v
		if e.index > 0 {
			gap = gap || e.index != i+1
			delete(object, strconv.Itoa(i+1))
			object[strconv.Itoa(e.index)] = v
		}
	}
	if gap || f != nil && (f.Type == Map || f.Type == RecordT) {
		return object
	}
	return list
}

// order puts elements without a number after those with one.
func order(index int) int {
	if index == 0 {
		return math.MaxInt32
	}
	return min(index, math.MaxInt32-1)
}

func scalars(f *Field, values []string) any {
	isList := f != nil && (f.Type == Array || f.Type == Set)
	if len(values) == 1 && (values[0] == "" || !isList) {
		return scalar(f, values[0])
	}
	if isList {
		f = f.Elements
	}
	list := make([]any, len(values))
	for i, s := range values {
		list[i] = scalar(f, s)
	}
	return list
}

func scalar(f *Field, s string) any {
	if s == "" {
		return nil
	}
	if f == nil {
		return s
	}
	switch f.Type {
	case Integer, Number:
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n
		}
		if n, err := strconv.ParseFloat(s, 64); err == nil && !math.IsInf(n, 0) && !math.IsNaN(n) {
			return whole(n)
		}
	case Boolean:
		if s == "true" || s == "false" {
			return s == "true"
		}
	}
	return s
}

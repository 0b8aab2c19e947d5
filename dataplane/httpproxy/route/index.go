package route

import (
	"cmp"
	"slices"

	"github.com/google/uuid"
)

// index finds rules by host, path and keys. All of it is shared with other
// indexes, and changed by copies.
type index[V any] struct {
	count  int
	routes *node[compiled[V]] // by ID

	anyHost *node[bucket[V]] // by path, without those in segments
	// segments have those of all hosts whose paths have a first segment to its
	// end.
	segments *segments[V]

	exact *node[ports[V]] // by name
	front *node[ports[V]] // by the name backwards
	back  *node[ports[V]] // by name
}

// ports are rules by the port of a host entry.
type ports[V any] struct {
	any    *node[bucket[V]] // by path
	others []portRules[V]   // by port
}

type portRules[V any] struct {
	port  int
	paths *node[bucket[V]]
}

// A bucket has the rules of one path and below.
type bucket[V any] struct {
	best *rule[V] // the first of its rules, nil without
	more *more[V] // nil where there is nothing else
}

// more is all that a bucket has.
type more[V any] struct {
	rules  []*rule[V]
	facets []facet[V] // in the order of names
	by     *edit
}

// A key is what a rule is looked up by: a header's value, or, if the name is
// "", the server name of TLS.
type key struct {
	name   string
	values []string
}

// A facet has the rules that have a key of a name.
type facet[V any] struct {
	name   string
	values *node[bucket[V]]
	clear  *bucket[V] // of a server name: all of them, for connections without TLS
}

func (x *index[V]) put(c *compiled[V], by *edit) {
	x.remove(c.id, by)
	x.count++
	x.routes = x.routes.change(string(c.id[:]), by, nil, func(*compiled[V]) *compiled[V] { return c })
	x.eachRule(c, by, (*bucket[V]).add)
}

func (x *index[V]) remove(id uuid.UUID, by *edit) bool {
	c := get(x.routes, id[:])
	if c == nil {
		return false
	}
	x.count--
	x.routes = x.routes.change(string(id[:]), by, nil, func(*compiled[V]) *compiled[V] { return nil })
	x.eachRule(c, by, (*bucket[V]).drop)
	return true
}

// change is what is done to a bucket: b may be nil, before and after.
type change[V any] func(b *bucket[V], r *rule[V], by *edit) *bucket[V]

// eachRule changes all buckets that a route's rules belong to.
func (x *index[V]) eachRule(c *compiled[V], by *edit, do change[V]) {
	path := func(root *node[bucket[V]], r *rule[V]) *node[bucket[V]] {
		return root.change(r.rest.path, by, &r.leaf, func(b *bucket[V]) *bucket[V] { return b.change(r, c.keys, by, do) })
	}
	if len(c.hosts) == 0 {
		for _, r := range c.rules {
			if segment, ok := firstSegment(r.rest.path); ok {
				x.segments = x.segments.change(segment, by, func(root *node[bucket[V]]) *node[bucket[V]] { return path(root, r) })
			} else {
				x.anyHost = path(x.anyHost, r)
			}
		}
	}
	paths := func(root *node[bucket[V]]) *node[bucket[V]] {
		for _, r := range c.rules {
			root = path(root, r)
		}
		return root
	}
	for _, h := range c.hosts {
		root := &x.exact
		switch h.wild {
		case front:
			root = &x.front
		case back:
			root = &x.back
		}
		*root = (*root).change(h.name, by, nil, func(p *ports[V]) *ports[V] { return p.change(h.port, paths) })
	}
}

// change puts f's result in the place of the rules of a port.
func (p *ports[V]) change(port int, f func(*node[bucket[V]]) *node[bucket[V]]) *ports[V] {
	var is ports[V]
	if p != nil {
		is = *p
	}
	if port == 0 {
		is.any = f(is.any)
	} else {
		is.others = slices.Clone(is.others)
		i, found := slices.BinarySearchFunc(is.others, port, func(r portRules[V], port int) int { return cmp.Compare(r.port, port) })
		if !found {
			is.others = slices.Insert(is.others, i, portRules[V]{port: port})
		}
		if is.others[i].paths = f(is.others[i].paths); is.others[i].paths == nil {
			is.others = slices.Delete(is.others, i, i+1)
		}
	}
	if is.any == nil && len(is.others) == 0 {
		return nil
	}
	return &is
}

// change does something to the bucket of a rule for each value of the keys.
func (b *bucket[V]) change(r *rule[V], keys []key, by *edit, do change[V]) *bucket[V] {
	if len(keys) == 0 {
		return do(b, r, by)
	}
	k, keys := keys[0], keys[1:]
	b = b.own(by)
	m := b.more
	i, found := slices.BinarySearchFunc(m.facets, k.name, func(f facet[V], name string) int { return cmp.Compare(f.name, name) })
	if !found {
		m.facets = slices.Insert(m.facets, i, facet[V]{name: k.name})
	}
	f := &m.facets[i]
	below := func(b *bucket[V]) *bucket[V] { return b.change(r, keys, by, do) }
	for _, v := range k.values {
		f.values = f.values.change(v, by, nil, below)
	}
	if k.name == "" {
		f.clear = below(f.clear)
	}
	if f.values == nil && f.clear == nil {
		m.facets = slices.Delete(m.facets, i, i+1)
	}
	return b.tidy()
}

func (b *bucket[V]) add(r *rule[V], by *edit) *bucket[V] {
	if b == nil {
		return &r.alone
	}
	if b == &r.alone {
		return b
	}
	b = b.own(by)
	if i, found := b.more.search(r); !found {
		b.more.rules = slices.Insert(b.more.rules, i, r)
	}
	return b.tidy()
}

func (b *bucket[V]) drop(r *rule[V], by *edit) *bucket[V] {
	if b == nil {
		return nil
	}
	b = b.own(by)
	if i, found := b.more.search(r); found {
		b.more.rules = slices.Delete(b.more.rules, i, i+1)
	}
	return b.tidy()
}

func (m *more[V]) search(r *rule[V]) (int, bool) {
	return slices.BinarySearchFunc(m.rules, r, func(a, b *rule[V]) int { return a.rest.order.compare(&b.rest.order) })
}

// own is the bucket itself if it may be changed, else a copy.
func (b *bucket[V]) own(by *edit) *bucket[V] {
	switch {
	case b == nil:
		return &bucket[V]{more: &more[V]{by: by}}
	case b.more == nil:
		return &bucket[V]{best: b.best, more: &more[V]{rules: []*rule[V]{b.best}, by: by}}
	case b.more.by == by:
		return b
	}
	return &bucket[V]{best: b.best, more: &more[V]{rules: slices.Clone(b.more.rules), facets: slices.Clone(b.more.facets), by: by}}
}

// tidy is a bucket after a change: nil if nothing is left, and the rule's own
// if that is all.
func (b *bucket[V]) tidy() *bucket[V] {
	m := b.more
	b.best = nil
	if len(m.rules) > 0 {
		b.best = m.rules[0]
	}
	switch {
	case len(m.facets) > 0 || len(m.rules) > 1:
		return b
	case len(m.rules) == 1:
		return &b.best.alone
	}
	return nil
}

package route

import (
	"cmp"
	"slices"

	"github.com/google/uuid"
)

// index finds rules by host, path and keys. All of it is shared with other
// indexes, and changed by copies.
type index struct {
	count  int
	routes *node[compiled] // by ID

	anyHost *node[bucket] // by path
	exact   *node[ports]  // by name
	front   *node[ports]  // by the name backwards
	back    *node[ports]  // by name
}

// ports are rules by the port of a host entry.
type ports struct {
	any    *node[bucket] // by path
	others []portRules   // by port
}

type portRules struct {
	port  int
	paths *node[bucket]
}

// A bucket has the rules of one path and below.
type bucket struct {
	best   *rule // the first of rules, nil without
	rules  []*rule
	facets []facet // in the order of names
	by     *edit
}

// A key is what a rule is looked up by: a header's value, or, if the name is
// "", the server name of TLS.
type key struct {
	name   string
	values []string
}

// A facet has the rules that have a key of a name.
type facet struct {
	name   string
	values *node[bucket]
	clear  *bucket // of a server name: all of them, for connections without TLS
}

func (x *index) put(c *compiled, by *edit) {
	x.remove(c.id, by)
	x.count++
	x.routes = x.routes.change(string(c.id[:]), by, func(*compiled) *compiled { return c })
	x.eachRule(c, by, (*bucket).add)
}

func (x *index) remove(id uuid.UUID, by *edit) bool {
	c := get(x.routes, id[:])
	if c == nil {
		return false
	}
	x.count--
	x.routes = x.routes.change(string(id[:]), by, func(*compiled) *compiled { return nil })
	x.eachRule(c, by, (*bucket).drop)
	return true
}

// change is what is done to a bucket: b may be nil, before and after.
type change func(b *bucket, r *rule, by *edit) *bucket

// eachRule changes all buckets that a route's rules belong to.
func (x *index) eachRule(c *compiled, by *edit, do change) {
	paths := func(root *node[bucket]) *node[bucket] {
		for _, r := range c.rules {
			root = root.change(r.path, by, func(b *bucket) *bucket { return b.change(r, c.keys, by, do) })
		}
		return root
	}
	if len(c.hosts) == 0 {
		x.anyHost = paths(x.anyHost)
	}
	for _, h := range c.hosts {
		root := &x.exact
		switch h.wild {
		case front:
			root = &x.front
		case back:
			root = &x.back
		}
		*root = (*root).change(h.name, by, func(p *ports) *ports { return p.change(h.port, paths) })
	}
}

// change puts f's result in the place of the rules of a port.
func (p *ports) change(port int, f func(*node[bucket]) *node[bucket]) *ports {
	var is ports
	if p != nil {
		is = *p
	}
	if port == 0 {
		is.any = f(is.any)
	} else {
		is.others = slices.Clone(is.others)
		i, found := slices.BinarySearchFunc(is.others, port, func(r portRules, port int) int { return cmp.Compare(r.port, port) })
		if !found {
			is.others = slices.Insert(is.others, i, portRules{port: port})
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
func (b *bucket) change(r *rule, keys []key, by *edit, do change) *bucket {
	if len(keys) == 0 {
		return do(b, r, by)
	}
	k, keys := keys[0], keys[1:]
	b = b.own(by)
	i, found := slices.BinarySearchFunc(b.facets, k.name, func(f facet, name string) int { return cmp.Compare(f.name, name) })
	if !found {
		b.facets = slices.Insert(b.facets, i, facet{name: k.name})
	}
	f := &b.facets[i]
	below := func(b *bucket) *bucket { return b.change(r, keys, by, do) }
	for _, v := range k.values {
		f.values = f.values.change(v, by, below)
	}
	if k.name == "" {
		f.clear = below(f.clear)
	}
	if f.values == nil && f.clear == nil {
		b.facets = slices.Delete(b.facets, i, i+1)
	}
	return b.tidy()
}

func (b *bucket) add(r *rule, by *edit) *bucket {
	b = b.own(by)
	if i, found := b.search(r); !found {
		b.rules = slices.Insert(b.rules, i, r)
	}
	b.best = b.rules[0]
	return b
}

func (b *bucket) drop(r *rule, by *edit) *bucket {
	if b == nil {
		return nil
	}
	b = b.own(by)
	if i, found := b.search(r); found {
		b.rules = slices.Delete(b.rules, i, i+1)
	}
	return b.tidy()
}

func (b *bucket) search(r *rule) (int, bool) {
	return slices.BinarySearchFunc(b.rules, r, func(a, b *rule) int { return a.order.compare(&b.order) })
}

// own is the bucket itself if it may be changed, else a copy.
func (b *bucket) own(by *edit) *bucket {
	if b == nil {
		return &bucket{by: by}
	}
	if b.by == by {
		return b
	}
	return &bucket{by: by, best: b.best, rules: slices.Clone(b.rules), facets: slices.Clone(b.facets)}
}

func (b *bucket) tidy() *bucket {
	b.best = nil
	if len(b.rules) > 0 {
		b.best = b.rules[0]
	} else if len(b.facets) == 0 {
		return nil
	}
	return b
}

package route

import "strings"

// An edit is who may change nodes in place: those that it has made, which
// nobody else has seen yet. It must not be of size zero, to be told apart.
type edit struct{ _ byte }

// A node is the root of a radix tree, or below one. The nil node is the empty
// tree. Nodes never change but by the edit that has made them.
type node[T any] struct {
	prefix string // what of the keys below is here; begins with the label
	labels string // the first bytes of the kids' prefixes, in step with kids
	kids   []*node[T]
	value  *T // nil for none
	by     *edit
}

// change puts f's result in the place of the value of a key: f gets the value
// that there is, or nil, and gives back nil to have none.
func (n *node[T]) change(key string, by *edit, f func(*T) *T) *node[T] {
	if n == nil {
		if v := f(nil); v != nil {
			return &node[T]{prefix: key, value: v, by: by}
		}
		return nil
	}
	common := commonPrefix(n.prefix, key)
	if common < len(n.prefix) {
		v := f(nil)
		if v == nil {
			return n
		}
		return n.split(common, key, v, by)
	}
	key = key[common:]
	if key == "" {
		v := f(n.value)
		if v == n.value {
			return n
		}
		n = n.own(by)
		n.value = v
		return n.tidy(by)
	}
	i := strings.IndexByte(n.labels, key[0])
	if i < 0 {
		v := f(nil)
		if v == nil {
			return n
		}
		n = n.own(by)
		n.add(&node[T]{prefix: key, value: v, by: by})
		return n
	}
	kid := n.kids[i].change(key, by, f)
	if kid == n.kids[i] {
		return n
	}
	n = n.own(by)
	if kid != nil {
		n.kids[i] = kid
		return n
	}
	n.labels = n.labels[:i] + n.labels[i+1:]
	n.kids = append(n.kids[:i], n.kids[i+1:]...)
	return n.tidy(by)
}

// split makes two nodes of one whose prefix a new key leaves at common.
func (n *node[T]) split(common int, key string, v *T, by *edit) *node[T] {
	above := &node[T]{prefix: n.prefix[:common], by: by}
	below := n.own(by)
	below.prefix = below.prefix[common:]
	above.add(below)
	if common == len(key) {
		above.value = v
	} else {
		above.add(&node[T]{prefix: key[common:], value: v, by: by})
	}
	return above
}

func (n *node[T]) add(kid *node[T]) {
	n.labels += kid.prefix[:1]
	n.kids = append(n.kids, kid)
}

// own is the node itself if it may be changed, else a copy.
func (n *node[T]) own(by *edit) *node[T] {
	if n.by == by {
		return n
	}
	c := *n
	c.kids = append(make([]*node[T], 0, len(n.kids)+1), n.kids...)
	c.by = by
	return &c
}

// tidy drops a node that nothing needs any more. The node is the edit's own.
func (n *node[T]) tidy(by *edit) *node[T] {
	switch {
	case n.value != nil || len(n.kids) > 1:
		return n
	case len(n.kids) == 0:
		return nil
	}
	kid := n.kids[0].own(by)
	kid.prefix = n.prefix + kid.prefix
	return kid
}

// get is the value of a key, nil if there is none.
func get[T any, K string | []byte](n *node[T], key K) *T {
	for n != nil {
		if len(key) < len(n.prefix) || string(key[:len(n.prefix)]) != n.prefix {
			return nil
		}
		key = key[len(n.prefix):]
		if len(key) == 0 {
			return n.value
		}
		n = n.kid(key[0])
	}
	return nil
}

// kid is the node below that begins with a byte.
func (n *node[T]) kid(first byte) *node[T] {
	if i := strings.IndexByte(n.labels, first); i >= 0 {
		return n.kids[i]
	}
	return nil
}

// next goes on from a node on the way to a key: it gives back the next node
// that has a value, and what of the key is left there. It is where walks over
// all prefixes of a key are made of, without a function to call.
func next[T any, K string | []byte](n *node[T], key K) (*node[T], K) {
	for n != nil {
		if len(key) < len(n.prefix) || string(key[:len(n.prefix)]) != n.prefix {
			return nil, key
		}
		key = key[len(n.prefix):]
		if n.value != nil {
			return n, key
		}
		if len(key) == 0 {
			return nil, key
		}
		n = n.kid(key[0])
	}
	return nil, key
}

// below is where a walk goes on after a node that had a value.
func below[T any, K string | []byte](n *node[T], key K) *node[T] {
	if len(key) == 0 {
		return nil
	}
	return n.kid(key[0])
}

func commonPrefix(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

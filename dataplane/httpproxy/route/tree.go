package route

import (
	"math/bits"
	"slices"
)

// An edit is who may change nodes in place: those that it has made, which
// nobody else has seen yet. It must not be of size zero, to be told apart.
type edit struct{ _ byte }

// A node is the root of a radix tree, or below one. The nil node is the empty
// tree. Nodes never change but by the edit that has made them. Its form is one
// that a search reads few lines of memory of: among many keys, that is what it
// takes its time for.
type node[T any] struct {
	labels labels
	kids   []*node[T] // one for each label, in their order
	value  *T         // nil for none
	prefix string     // what the keys here have in common, after the label
	by     *edit
}

// labels are the bytes that the keys below a node go on with.
type labels [4]uint64

func (l *labels) has(b byte) bool { return l[b>>6]>>(b&63)&1 != 0 }

// place is how many labels are before one.
func (l *labels) place(b byte) int {
	n := bits.OnesCount64(l[b>>6] & (1<<(b&63) - 1))
	for i := range b >> 6 {
		n += bits.OnesCount64(l[i])
	}
	return n
}

// first is the lowest label; there must be one.
func (l *labels) first() byte {
	i := 0
	for l[i] == 0 {
		i++
	}
	return byte(i<<6 + bits.TrailingZeros64(l[i]))
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
	was := n.kid(key[0])
	kid := was.change(key[1:], by, f)
	if kid == was {
		return n
	}
	n = n.own(by)
	n.set(key[0], kid)
	return n.tidy(by)
}

// split makes two nodes of one whose prefix a new key leaves at common.
func (n *node[T]) split(common int, key string, v *T, by *edit) *node[T] {
	above := &node[T]{prefix: n.prefix[:common], by: by}
	below := n.own(by)
	label := below.prefix[common]
	below.prefix = below.prefix[common+1:]
	above.set(label, below)
	if common == len(key) {
		above.value = v
	} else {
		above.set(key[common], &node[T]{prefix: key[common+1:], value: v, by: by})
	}
	return above
}

// set puts a kid under a label, or takes it away if it is nil.
func (n *node[T]) set(label byte, kid *node[T]) {
	i, had := n.labels.place(label), n.labels.has(label)
	switch {
	case had && kid == nil:
		n.kids = slices.Delete(n.kids, i, i+1)
	case had:
		n.kids[i] = kid
		return
	default:
		n.kids = slices.Insert(n.kids, i, kid)
	}
	n.labels[label>>6] ^= 1 << (label & 63)
}

// own is the node itself if it may be changed, else a copy.
func (n *node[T]) own(by *edit) *node[T] {
	if n.by == by {
		return n
	}
	c := *n
	c.kids = slices.Clone(n.kids)
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
	kid.prefix = n.prefix + string([]byte{n.labels.first()}) + kid.prefix
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
		n, key = n.kid(key[0]), key[1:]
	}
	return nil
}

// kid is the node below with a label, nil if there is none.
func (n *node[T]) kid(label byte) *node[T] {
	if n.labels.has(label) {
		return n.kids[n.labels.place(label)]
	}
	return nil
}

// next goes on from a node on the way to a key: it gives back the next node
// that has a value, and what of the key is left there. It is what walks over
// all prefixes of a key are made of, without a function to call.
func next[T any, K string | []byte](n *node[T], key K) (*node[T], K) {
	for n != nil {
		if len(key) < len(n.prefix) || string(key[:len(n.prefix)]) != n.prefix {
			return nil, key
		}
		key = key[len(n.prefix):]
		if n.value != nil || len(key) == 0 {
			break
		}
		n, key = n.kid(key[0]), key[1:]
	}
	if n == nil || n.value == nil {
		return nil, key
	}
	return n, key
}

// after is where a walk goes on after a node that had a value.
func after[T any, K string | []byte](n *node[T], key K) (*node[T], K) {
	if len(key) == 0 {
		return nil, key
	}
	return n.kid(key[0]), key[1:]
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

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
	value  *T         // nil for none
	below  *branch[T] // nil where the keys end
	by     *edit
	prefix prefix // what the keys here have in common, after the label
}

// A branch is the nodes below one. It is changed along with that.
type branch[T any] struct {
	labels labels
	kids   []*node[T] // one for each label, in their order
}

// A prefix is a text. A short one is in its node, which a search need not leave
// for it then.
type prefix struct {
	long  string // "" for short ones
	n     uint8  // of short
	short [15]byte
}

func newPrefix(s string) (p prefix) {
	if len(s) > len(p.short) {
		p.long = s
	} else {
		p.n = uint8(copy(p.short[:], s))
	}
	return p
}

func (p *prefix) String() string {
	if p.long != "" {
		return p.long
	}
	return string(p.short[:p.n])
}

// cutPrefix cuts a prefix off a key, and tells whether it was there.
func cutPrefix[K string | []byte](key K, p *prefix) (rest K, ok bool) {
	if p.long != "" {
		if len(key) < len(p.long) || string(key[:len(p.long)]) != p.long {
			return key, false
		}
		return key[len(p.long):], true
	}
	n := int(p.n)
	if len(key) < n {
		return key, false
	}
	for i := range n {
		if key[i] != p.short[i] {
			return key, false
		}
	}
	return key[n:], true
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
			return &node[T]{prefix: newPrefix(key), value: v, by: by}
		}
		return nil
	}
	here := n.prefix.String()
	common := commonPrefix(here, key)
	if common < len(here) {
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
	here := n.prefix.String()
	above := &node[T]{prefix: newPrefix(here[:common]), by: by}
	kid := n.own(by)
	kid.prefix = newPrefix(here[common+1:])
	above.set(here[common], kid)
	if common == len(key) {
		above.value = v
	} else {
		above.set(key[common], &node[T]{prefix: newPrefix(key[common+1:]), value: v, by: by})
	}
	return above
}

// set puts a kid under a label, or takes it away if it is nil. The node is the
// edit's own.
func (n *node[T]) set(label byte, kid *node[T]) {
	if n.below == nil {
		n.below = &branch[T]{}
	}
	b := n.below
	i, had := b.labels.place(label), b.labels.has(label)
	switch {
	case had && kid == nil:
		b.kids = slices.Delete(b.kids, i, i+1)
	case had:
		b.kids[i] = kid
		return
	default:
		b.kids = slices.Insert(b.kids, i, kid)
	}
	b.labels[label>>6] ^= 1 << (label & 63)
	if len(b.kids) == 0 {
		n.below = nil
	}
}

// own is the node itself if it may be changed, else a copy.
func (n *node[T]) own(by *edit) *node[T] {
	if n.by == by {
		return n
	}
	c := *n
	if n.below != nil {
		c.below = &branch[T]{n.below.labels, slices.Clone(n.below.kids)}
	}
	c.by = by
	return &c
}

// tidy drops a node that nothing needs any more. The node is the edit's own.
func (n *node[T]) tidy(by *edit) *node[T] {
	switch {
	case n.value != nil || n.below != nil && len(n.below.kids) > 1:
		return n
	case n.below == nil:
		return nil
	}
	kid := n.below.kids[0].own(by)
	kid.prefix = newPrefix(n.prefix.String() + string([]byte{n.below.labels.first()}) + kid.prefix.String())
	return kid
}

// get is the value of a key, nil if there is none.
func get[T any, K string | []byte](n *node[T], key K) *T {
	for n != nil {
		var ok bool
		if key, ok = cutPrefix(key, &n.prefix); !ok {
			return nil
		}
		if len(key) == 0 {
			return n.value
		}
		n, key = n.kid(key[0]), key[1:]
	}
	return nil
}

// kid is the node below with a label, nil if there is none.
func (n *node[T]) kid(label byte) *node[T] {
	if b := n.below; b != nil && b.labels.has(label) {
		return b.kids[b.labels.place(label)]
	}
	return nil
}

// next goes on from a node on the way to a key: it gives back the next node
// that has a value, and what of the key is left there. It is what walks over
// all prefixes of a key are made of, without a function to call.
func next[T any, K string | []byte](n *node[T], key K) (*node[T], K) {
	for n != nil {
		var ok bool
		if key, ok = cutPrefix(key, &n.prefix); !ok {
			return nil, key
		}
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

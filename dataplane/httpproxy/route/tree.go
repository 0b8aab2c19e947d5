package route

import (
	"math/bits"
	"slices"
)

// An edit is who may change nodes in place: those that it has made, which
// nobody else has seen yet. It must not be of size zero, to be told apart.
type edit struct{ _ byte }

// A node is the root of a radix tree, or below one. The nil node is the empty
// tree. Nodes never change but by the edit that has made them. Their form is one
// that a search reads few lines of memory of: among many keys, that is what it
// takes its time for. A node is as long as a line.
type node[T any] struct {
	value *T         // nil for none
	kids  []*node[T] // one for each label, in their order
	wide  *wide      // where the text has too little room, nil otherwise
	text  [15]byte   // the prefix and the labels
	n     uint8      // how long the prefix in text is
	by    *edit      // has made it, nil for nobody yet
}

// wide is what the keys here have in common, after the label, and the bytes
// that those below go on with.
type wide struct {
	prefix string
	labels labels
}

// newLeaf makes a node without others below, in spare if that is not nil and was
// not used yet.
func newLeaf[T any](spare *node[T], prefix string, v *T, by *edit) *node[T] {
	if spare == nil || spare.by != nil {
		spare = &node[T]{}
	}
	spare.value, spare.by = v, by
	spare.write(prefix, nil)
	return spare
}

// write sets the prefix and the labels, which are in order.
func (n *node[T]) write(prefix string, list []byte) {
	n.wide, n.n, n.text = nil, 0, [len(n.text)]byte{}
	if len(prefix)+len(list) > len(n.text) {
		n.wide = &wide{prefix: prefix}
		for _, b := range list {
			n.wide.labels[b>>6] |= 1 << (b & 63)
		}
		return
	}
	n.n = uint8(copy(n.text[:], prefix))
	copy(n.text[n.n:], list)
}

// prefix is what the keys here have in common, after the label.
func (n *node[T]) prefix() string {
	if n.wide != nil {
		return n.wide.prefix
	}
	return string(n.text[:n.n])
}

// labels are the bytes that the keys below go on with, in order, appended to b.
func (n *node[T]) labels(b []byte) []byte {
	if n.wide != nil {
		return n.wide.labels.list(b)
	}
	return append(b, n.text[n.n:int(n.n)+len(n.kids)]...)
}

// place is where a label is among those below, or would be.
func (n *node[T]) place(label byte) (i int, has bool) {
	if n.wide != nil {
		return n.wide.labels.place(label), n.wide.labels.has(label)
	}
	here := n.text[n.n:]
	for i = range n.kids {
		if here[i] >= label {
			return i, here[i] == label
		}
	}
	return len(n.kids), false
}

// cutPrefix cuts the prefix of a node off a key, and tells whether it was there.
func cutPrefix[T any, K string | []byte](n *node[T], key K) (rest K, ok bool) {
	if n.wide != nil {
		p := n.wide.prefix
		if len(key) < len(p) || string(key[:len(p)]) != p {
			return key, false
		}
		return key[len(p):], true
	}
	l := int(n.n)
	if len(key) < l {
		return key, false
	}
	for i := range l {
		if key[i] != n.text[i] {
			return key, false
		}
	}
	return key[l:], true
}

// labels are a set of bytes.
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

// list appends the labels to b, in order.
func (l *labels) list(b []byte) []byte {
	for i, part := range l {
		for ; part != 0; part &= part - 1 {
			b = append(b, byte(i<<6+bits.TrailingZeros64(part)))
		}
	}
	return b
}

// change puts f's result in the place of the value of a key: f gets the value
// that there is, or nil, and gives back nil to have none. spare is where a node
// may be made; it may be nil.
func (n *node[T]) change(key string, by *edit, spare *node[T], f func(*T) *T) *node[T] {
	if n == nil {
		if v := f(nil); v != nil {
			return newLeaf(spare, key, v, by)
		}
		return nil
	}
	here := n.prefix()
	common := commonPrefix(here, key)
	rest := key[common:]
	switch {
	case common < len(here):
		if v := f(nil); v != nil {
			return n.split(here, common, by).add(rest, by, spare, v)
		}
		return n
	case rest == "":
		v := f(n.value)
		if v == n.value {
			return n
		}
		n = n.own(by)
		n.value = v
		return n.tidy(by)
	}
	i, has := n.place(rest[0])
	if !has {
		if v := f(nil); v != nil {
			return n.own(by).add(rest, by, spare, v)
		}
		return n
	}
	was := n.kids[i]
	kid := was.change(rest[1:], by, spare, f)
	if kid == was {
		return n
	}
	n = n.own(by)
	n.set(i, kid)
	return n.tidy(by)
}

// own is the node itself if it may be changed, else a copy.
func (n *node[T]) own(by *edit) *node[T] {
	if n.by == by {
		return n
	}
	c := *n
	c.kids, c.by = slices.Clone(n.kids), by
	return &c
}

// split makes a node of a part of the prefix, here, with the rest of it below.
func (n *node[T]) split(here string, common int, by *edit) *node[T] {
	above := newLeaf[T](nil, here[:common], nil, by)
	kid := n.own(by)
	var own [256]byte
	kid.write(here[common+1:], kid.labels(own[:0]))
	above.insert(0, here[common], kid)
	return above
}

// add puts a value where there is none; rest is what the key goes on with.
func (n *node[T]) add(rest string, by *edit, spare *node[T], v *T) *node[T] {
	if rest == "" {
		n.value = v
		return n
	}
	i, _ := n.place(rest[0])
	n.insert(i, rest[0], newLeaf(spare, rest[1:], v, by))
	return n
}

// insert puts a new kid under a label.
func (n *node[T]) insert(i int, label byte, kid *node[T]) {
	var own [256]byte
	list := slices.Insert(n.labels(own[:0]), i, label)
	n.kids = slices.Insert(n.kids, i, kid)
	n.write(n.prefix(), list)
}

// set puts a kid in the place of another one, or takes that away with nil.
func (n *node[T]) set(i int, kid *node[T]) {
	if kid != nil {
		n.kids[i] = kid
		return
	}
	var own [256]byte
	list := slices.Delete(n.labels(own[:0]), i, i+1)
	n.kids = slices.Delete(n.kids, i, i+1)
	n.write(n.prefix(), list)
}

// tidy is the node, or the one below it if nothing else needs it any more, or
// nil if nothing is left.
func (n *node[T]) tidy(by *edit) *node[T] {
	switch {
	case n.value != nil || len(n.kids) > 1:
		return n
	case len(n.kids) == 0:
		return nil
	}
	kid := n.kids[0].own(by)
	var above, below [256]byte
	kid.write(n.prefix()+string(n.labels(above[:0]))+kid.prefix(), kid.labels(below[:0]))
	return kid
}

// get is the value of a key, nil if there is none.
func get[T any, K string | []byte](n *node[T], key K) *T {
	for n != nil {
		var ok bool
		if key, ok = cutPrefix(n, key); !ok {
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
	if i, has := n.place(label); has {
		return n.kids[i]
	}
	return nil
}

// next goes on from a node on the way to a key: it gives back the next node
// that has a value, and what of the key is left there. It is what walks over
// all prefixes of a key are made of, without a function to call.
func next[T any, K string | []byte](n *node[T], key K) (*node[T], K) {
	for n != nil {
		var ok bool
		if key, ok = cutPrefix(n, key); !ok {
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

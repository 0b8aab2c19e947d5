package route

import (
	"math/bits"
	"slices"
)

// An edit is who may change nodes in place: those that it has made, which
// nobody else has seen yet. It must not be of size zero, to be told apart.
type edit struct{ _ byte }

// A node is the root of a radix tree, or below one. The nil node is the empty
// tree. Nodes never change but by the edit that has made the list that they are
// in. Their form is one that a search reads few lines of memory of: among many
// keys, that is what it takes its time for. So the nodes below one lie side by
// side, each is as long as a line, and what a search does not need comes last:
// it may be in the next line, since long lists do not begin with one.
type node[T any] struct {
	value *T        // nil for none
	kids  []node[T] // one for each label, in their order
	wide  *wide     // where the text has too little room, nil otherwise
	text  [15]byte  // the prefix and the labels
	n     uint8     // how long the prefix in text is
	by    *edit     // has made kids
}

// wide is what the keys here have in common, after the label, and the bytes
// that those below go on with.
type wide struct {
	prefix string
	labels labels
}

func newNode[T any](prefix string, v *T) (n node[T]) {
	n.value = v
	n.write(prefix, nil)
	return n
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
// that there is, or nil, and gives back nil to have none. spare is where the
// first node of a tree may be made; it may be nil, or used already.
func (n *node[T]) change(key string, by *edit, spare *node[T], f func(*T) *T) *node[T] {
	if n == nil {
		if v := f(nil); v != nil {
			if spare == nil || spare.value != nil {
				spare = new(node[T])
			}
			*spare = newNode(key, v)
			return spare
		}
		return nil
	}
	c, changed := n.changed(key, by, f)
	switch {
	case !changed:
		return n
	case c.empty():
		return nil
	}
	return &c
}

// changed is a node as it is after a change, and whether there is one.
func (n *node[T]) changed(key string, by *edit, f func(*T) *T) (c node[T], changed bool) {
	c = *n
	here := n.prefix()
	common := commonPrefix(here, key)
	rest := key[common:]
	switch {
	case common < len(here):
		v := f(nil)
		if v == nil {
			return c, false
		}
		return n.split(here, common, rest, v, by), true
	case rest == "":
		if c.value = f(n.value); c.value == n.value {
			return c, false
		}
		return c.tidy(), true
	}
	var kid node[T]
	if was := n.kid(rest[0]); was != nil {
		if kid, changed = was.changed(rest[1:], by, f); !changed {
			return c, false
		}
	} else {
		v := f(nil)
		if v == nil {
			return c, false
		}
		kid = newNode(rest[1:], v)
	}
	c.set(rest[0], kid, by)
	return c.tidy(), true
}

// split makes two nodes of one whose prefix, here, a new key leaves at common;
// rest is what the key goes on with.
func (n *node[T]) split(here string, common int, rest string, v *T, by *edit) node[T] {
	above := newNode[T](here[:common], nil)
	kid := *n
	var own [256]byte
	kid.write(here[common+1:], n.labels(own[:0]))
	above.set(here[common], kid, by)
	if rest == "" {
		above.value = v
	} else {
		above.set(rest[0], newNode(rest[1:], v), by)
	}
	return above
}

func (n *node[T]) empty() bool { return n.value == nil && len(n.kids) == 0 }

// set puts a kid under a label, or takes it away if it is empty.
func (n *node[T]) set(label byte, kid node[T], by *edit) {
	if n.by != by {
		n.kids, n.by = slices.Clone(n.kids), by
	}
	i, had := n.place(label)
	if had && !kid.empty() {
		n.kids[i] = kid
		return
	}
	var own [256]byte
	list := n.labels(own[:0])
	switch {
	case had:
		n.kids, list = slices.Delete(n.kids, i, i+1), slices.Delete(list, i, i+1)
	case kid.empty():
		return
	default:
		n.kids, list = slices.Insert(n.kids, i, kid), slices.Insert(list, i, label)
	}
	n.write(n.prefix(), list)
}

// tidy is the node, or the one below it if nothing else needs it any more.
func (n *node[T]) tidy() node[T] {
	if n.value != nil || len(n.kids) != 1 {
		return *n
	}
	kid := n.kids[0]
	var own [256]byte
	prefix := n.prefix() + string(n.labels(own[:0])) + kid.prefix()
	kid.write(prefix, kid.labels(own[:0]))
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
		return &n.kids[i]
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

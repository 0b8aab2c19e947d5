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
// side, and what is asked first comes first.
type node[T any] struct {
	prefix prefix    // what the keys here have in common, after the label
	value  *T        // nil for none
	kids   []node[T] // one for each label, in their order
	by     *edit     // has made kids
	labels labels
}

// A prefix is a text. A short one is in its node, which a search need not leave
// for it then.
type prefix struct {
	long  *string // nil for short ones
	n     uint8   // of short
	short [15]byte
}

func newPrefix(s string) (p prefix) {
	if len(s) > len(p.short) {
		p.long = &s
	} else {
		p.n = uint8(copy(p.short[:], s))
	}
	return p
}

func (p *prefix) String() string {
	if p.long != nil {
		return *p.long
	}
	return string(p.short[:p.n])
}

// cutPrefix cuts a prefix off a key, and tells whether it was there.
func cutPrefix[K string | []byte](key K, p *prefix) (rest K, ok bool) {
	if p.long != nil {
		if len(key) < len(*p.long) || string(key[:len(*p.long)]) != *p.long {
			return key, false
		}
		return key[len(*p.long):], true
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
			return &node[T]{prefix: newPrefix(key), value: v}
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
	here := n.prefix.String()
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
		kid = node[T]{prefix: newPrefix(rest[1:]), value: v}
	}
	c.set(rest[0], kid, by)
	return c.tidy(), true
}

// split makes two nodes of one whose prefix, here, a new key leaves at common;
// rest is what the key goes on with.
func (n *node[T]) split(here string, common int, rest string, v *T, by *edit) node[T] {
	above := node[T]{prefix: newPrefix(here[:common])}
	kid := *n
	kid.prefix = newPrefix(here[common+1:])
	above.set(here[common], kid, by)
	if rest == "" {
		above.value = v
	} else {
		above.set(rest[0], node[T]{prefix: newPrefix(rest[1:]), value: v}, by)
	}
	return above
}

func (n *node[T]) empty() bool { return n.value == nil && len(n.kids) == 0 }

// set puts a kid under a label, or takes it away if it is empty.
func (n *node[T]) set(label byte, kid node[T], by *edit) {
	if n.by != by {
		n.kids, n.by = slices.Clone(n.kids), by
	}
	i, had := n.labels.place(label), n.labels.has(label)
	switch {
	case had && kid.empty():
		n.kids = slices.Delete(n.kids, i, i+1)
	case had:
		n.kids[i] = kid
		return
	case kid.empty():
		return
	default:
		n.kids = slices.Insert(n.kids, i, kid)
	}
	n.labels[label>>6] ^= 1 << (label & 63)
}

// tidy is the node, or the one below it if nothing else needs it any more.
func (n *node[T]) tidy() node[T] {
	if n.value != nil || len(n.kids) != 1 {
		return *n
	}
	kid := n.kids[0]
	kid.prefix = newPrefix(n.prefix.String() + string([]byte{n.labels.first()}) + kid.prefix.String())
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
	if len(n.kids) > 0 && n.labels.has(label) {
		return &n.kids[n.labels.place(label)]
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

package route

import (
	"hash/maphash"
	"math/bits"
	"slices"
	"strings"
)

// segments find rules by the first segment of their paths, with the slash that
// ends it: where there are many, a search gets to the one that it needs in two
// steps, and not by one for each byte in which they differ. The nil segments are
// empty. They never change but by the edit that has made them.
type segments[V any] struct {
	seed  maphash.Seed
	count int
	parts []*part[V] // by the highest bits of the hash: 1, 2, 4…
	by    *edit
}

// A part is a hash table. A change copies one, and the list of them.
type part[V any] struct {
	count int
	slots []slot[V] // by the lowest bits, or after that: 4, 8, 16…; some are free
	by    *edit
}

// slot has the paths whose first segments have one hash.
type slot[V any] struct {
	hash  uint64
	paths *node[bucket[V]] // by the whole path; nil where the slot is free
}

const (
	minSlots = 4
	// perPart is how many segments there are to a part, on average, at most.
	perPart = 64
)

// firstSegment is the first segment of a path with a slash at both ends, if it
// has one.
func firstSegment(path string) (segment string, ok bool) {
	if path == "" || path[0] != '/' {
		return "", false
	}
	end := strings.IndexByte(path[1:], '/')
	return path[:end+2], end >= 0
}

// get is the paths of a segment, and maybe those of others.
func (s *segments[V]) get(segment string) *node[bucket[V]] {
	if s == nil {
		return nil
	}
	hash := maphash.String(s.seed, segment)
	p := s.parts[s.part(hash)]
	return p.slots[p.find(hash)].paths
}

func (s *segments[V]) part(hash uint64) int {
	return int(hash >> 1 >> (64 - bits.Len(uint(len(s.parts)))))
}

// find is where a hash is, or the free slot where it would be.
func (p *part[V]) find(hash uint64) int {
	mask := uint64(len(p.slots) - 1)
	at := hash & mask
	for p.slots[at].paths != nil && p.slots[at].hash != hash {
		at = (at + 1) & mask
	}
	return int(at)
}

// change puts f's result in the place of the paths of a segment; nil is none.
func (s *segments[V]) change(segment string, by *edit, f func(*node[bucket[V]]) *node[bucket[V]]) *segments[V] {
	if s == nil {
		s = newSegments[V](maphash.MakeSeed(), 1, by)
	}
	hash := maphash.String(s.seed, segment)
	i := s.part(hash)
	p := s.parts[i]
	was := p.slots[p.find(hash)].paths
	is := f(was)
	if is == was {
		return s.tidy()
	}
	s = s.own(by)
	p = p.own(by)
	s.parts[i] = p
	s.count -= p.count
	p.put(hash, is)
	s.count += p.count
	return s.tidy()
}

// tidy is nil if nothing is left, and has more parts where they have become long.
func (s *segments[V]) tidy() *segments[V] {
	if s.count == 0 {
		return nil
	}
	if s.count <= perPart*len(s.parts) {
		return s
	}
	more := newSegments[V](s.seed, 2*len(s.parts), s.by)
	more.count = s.count
	for _, p := range s.parts {
		for _, slot := range p.slots {
			if slot.paths != nil {
				more.parts[more.part(slot.hash)].put(slot.hash, slot.paths)
			}
		}
	}
	return more
}

func newSegments[V any](seed maphash.Seed, parts int, by *edit) *segments[V] {
	s := &segments[V]{seed: seed, parts: make([]*part[V], parts), by: by}
	for i := range s.parts {
		s.parts[i] = &part[V]{slots: make([]slot[V], minSlots), by: by}
	}
	return s
}

// own is the segments themselves if they may be changed, else a copy.
func (s *segments[V]) own(by *edit) *segments[V] {
	if s.by == by {
		return s
	}
	return &segments[V]{seed: s.seed, count: s.count, parts: slices.Clone(s.parts), by: by}
}

func (p *part[V]) own(by *edit) *part[V] {
	if p.by == by {
		return p
	}
	return &part[V]{count: p.count, slots: slices.Clone(p.slots), by: by}
}

// put puts the paths of a hash, or takes them out if they are nil.
func (p *part[V]) put(hash uint64, paths *node[bucket[V]]) {
	at := p.find(hash)
	had := p.slots[at].paths != nil
	switch {
	case paths == nil && had:
		p.slots[at] = slot[V]{}
		p.count--
		p.resize(len(p.slots)) // others may have passed by here
	case paths == nil:
	case had:
		p.slots[at].paths = paths
	default:
		p.slots[at] = slot[V]{hash, paths}
		if p.count++; 4*p.count > 3*len(p.slots) { // there must be free ones
			p.resize(2 * len(p.slots))
		}
	}
}

// resize puts everything anew.
func (p *part[V]) resize(slots int) {
	old := p.slots
	p.slots = make([]slot[V], slots)
	for _, s := range old {
		if s.paths != nil {
			p.slots[p.find(s.hash)] = s
		}
	}
}

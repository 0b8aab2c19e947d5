// Package header is the fields of HTTP messages.
package header

import (
	"iter"
	"slices"
	"strings"
)

// Field is a field of a header, with its name as it was received.
type Field struct{ Name, Value string }

// Header is the fields of a message in their order. Names are found in any
// case. The zero Header is empty.
type Header struct{ fields []Field }

// Len is the number of fields.
func (h *Header) Len() int { return len(h.fields) }

// Fields are all fields. They must not be changed.
func (h *Header) Fields() []Field { return h.fields }

// Reset takes all fields out and keeps their memory.
func (h *Header) Reset() {
	clear(h.fields)
	h.fields = h.fields[:0]
}

// Get is the first value under a name, "" if there is none.
func (h *Header) Get(name string) string {
	for i := range h.fields {
		if EqualName(h.fields[i].Name, name) {
			return h.fields[i].Value
		}
	}
	return ""
}

// Has tells whether there is a field of that name.
func (h *Header) Has(name string) bool {
	return slices.ContainsFunc(h.fields, func(f Field) bool { return EqualName(f.Name, name) })
}

// Values are all values under a name.
func (h *Header) Values(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range h.fields {
			if EqualName(h.fields[i].Name, name) && !yield(h.fields[i].Value) {
				return
			}
		}
	}
}

// Join is all values under a name with ", " between them (RFC 9110, 5.3).
func (h *Header) Join(name string) string {
	first, many := "", []string(nil)
	for v := range h.Values(name) {
		switch {
		case many != nil:
			many = append(many, v)
		case first != "":
			many = []string{first, v}
		default:
			first = v
		}
	}
	if many != nil {
		return strings.Join(many, ", ")
	}
	return first
}

// Add adds a field at the end.
func (h *Header) Add(name, value string) { h.fields = append(h.fields, Field{name, value}) }

// Set puts one field in the place of all that have the name.
func (h *Header) Set(name, value string) {
	for i := range h.fields {
		if EqualName(h.fields[i].Name, name) {
			h.fields[i] = Field{name, value}
			h.drop(name, i+1)
			return
		}
	}
	h.Add(name, value)
}

// SetAll is Set for each of some fields, which have different names. It is for
// many that are seldom there: the header is gone through once.
func (h *Header) SetAll(fields []Field) {
	var lengths uint64
	for i := range fields {
		lengths |= 1 << (len(fields[i].Name) & 63)
	}
	for i := range h.fields {
		name := h.fields[i].Name
		if lengths>>(len(name)&63)&1 == 0 {
			continue
		}
		if slices.ContainsFunc(fields, func(f Field) bool { return EqualName(f.Name, name) }) {
			for _, f := range fields {
				h.Set(f.Name, f.Value)
			}
			return
		}
	}
	h.fields = append(h.fields, fields...)
}

// Del takes out all fields of a name.
func (h *Header) Del(name string) { h.drop(name, 0) }

func (h *Header) drop(name string, from int) {
	h.deleteFrom(from, func(f Field) bool { return EqualName(f.Name, name) })
}

// DeleteFunc takes out the fields that drop is true for.
func (h *Header) DeleteFunc(drop func(Field) bool) { h.deleteFrom(0, drop) }

func (h *Header) deleteFrom(from int, drop func(Field) bool) {
	kept := from
	for i := from; i < len(h.fields); i++ {
		if !drop(h.fields[i]) {
			if kept != i {
				h.fields[kept] = h.fields[i]
			}
			kept++
		}
	}
	if kept < len(h.fields) {
		clear(h.fields[kept:])
		h.fields = h.fields[:kept]
	}
}

// Truncate takes out all fields but the first n.
func (h *Header) Truncate(n int) {
	clear(h.fields[n:])
	h.fields = h.fields[:n]
}

// Next is the value of the first field of a name at or after a position, and
// the position after it, which is below 0 if there is none: a loop begins at 0.
func (h *Header) Next(name string, from int) (value string, next int) {
	for i := from; i < len(h.fields); i++ {
		if EqualName(h.fields[i].Name, name) {
			return h.fields[i].Value, i + 1
		}
	}
	return "", -1
}

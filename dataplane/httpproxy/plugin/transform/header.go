package transform

import (
	"github.com/backplane/backplane/dataplane/httpproxy/header"
)

// Header makes a Target of the fields of a message.
type Header struct{ *header.Header }

// Remove implements Target.
func (h Header) Remove(name string) { h.Del(name) }

// Rename implements Target.
func (h Header) Rename(name, to string) {
	var values []string
	for v := range h.Values(name) {
		values = append(values, v)
	}
	h.Del(name)
	h.Del(to)
	for _, v := range values {
		h.Add(to, v)
	}
}

// Set implements Target.
func (h Header) Set(e *Edit) { h.Header.Set(e.Name, e.Value) }

// Append implements Target.
func (h Header) Append(e *Edit) { h.Add(e.Name, e.Value) }

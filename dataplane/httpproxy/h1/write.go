package h1

import (
	"strconv"

	"github.com/backplane/backplane/dataplane/httpproxy/header"
)

// checkFields tells whether fields can be written.
func checkFields(h *header.Header) error {
	if h == nil {
		return nil
	}
	for _, f := range h.Fields() {
		if !header.ValidName(f.Name) || !header.ValidValue(f.Value) {
			return &FieldError{f.Name}
		}
	}
	return nil
}

// appendFields appends the fields that are not those of the connection.
func appendFields(b []byte, h *header.Header) []byte {
	if h == nil {
		return b
	}
	for _, f := range h.Fields() {
		if k := kindOf(f.Name); k == endToEnd || k == fieldTrailer {
			b = appendField(b, f.Name, f.Value)
		}
	}
	return b
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

func appendLength(b []byte, n int64) []byte {
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, n, 10)
	return append(b, "\r\n"...)
}

// appendTrailers appends the end of a body in chunks.
func appendTrailers(b []byte, h *header.Header) []byte {
	b = append(b, "0\r\n"...)
	if h != nil {
		for _, f := range h.Fields() {
			if !forbidden(f.Name) {
				b = appendField(b, f.Name, f.Value)
			}
		}
	}
	return append(b, "\r\n"...)
}

// appendConnection appends Connection and Upgrade, as far as there is
// something to say.
func appendConnection(b []byte, upgrade string, options ...string) []byte {
	if upgrade == "" && len(options) == 0 {
		return b
	}
	b = append(b, "Connection: "...)
	for i, o := range options {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, o...)
	}
	if upgrade != "" {
		if len(options) > 0 {
			b = append(b, ", "...)
		}
		b = append(b, "Upgrade\r\nUpgrade: "...)
		b = append(b, upgrade...)
	}
	return append(b, "\r\n"...)
}

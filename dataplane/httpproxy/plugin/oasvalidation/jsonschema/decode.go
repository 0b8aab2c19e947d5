package jsonschema

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"
)

// MaxDepth bounds the nesting of values.
const MaxDepth = 256

// Errors of Decode that are not those of encoding/json.
var (
	ErrDepth = errors.New("it is nested too deep")
	ErrUTF8  = errors.New("it is not UTF-8")
	ErrMore  = errors.New("there is more after the value")
	ErrTwice = errors.New("an object has two members of one name")
)

// Decode reads one JSON value. Numbers stay as they are written.
func Decode(data []byte) (any, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if deeper(data, MaxDepth) {
		return nil, ErrDepth
	}
	if !utf8.Valid(data) {
		return nil, ErrUTF8
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, ErrMore
	}
	return v, nil
}

// DecodeStrictly is Decode that refuses objects with two members of one name:
// readers differ in which of both they take (RFC 8259, 4), so that what is checked
// might not be what is used.
func DecodeStrictly(data []byte) (any, error) {
	v, err := Decode(data)
	if err == nil && written(data) != held(v) {
		err = ErrTwice
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// written counts the members of all objects in a text that is JSON.
func written(data []byte) (n int) {
	quoted := false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ':' && !quoted:
			n++
		}
	}
	return n
}

// held counts the members of all objects in a value.
func held(v any) (n int) {
	switch v := v.(type) {
	case map[string]any:
		n = len(v)
		for _, sub := range v {
			n += held(sub)
		}
	case []any:
		for _, sub := range v {
			n += held(sub)
		}
	}
	return n
}

// deeper tells whether arrays and objects are nested more than max deep.
func deeper(data []byte, max int) bool {
	depth, quoted := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > max {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

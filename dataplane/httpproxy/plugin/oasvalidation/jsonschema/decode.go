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

package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
)

// MaxSize and MaxDepth bound the documents that Decode reads.
const (
	MaxSize  = 8 << 20
	MaxDepth = 64
)

// ErrTooLarge is the error of documents beyond MaxSize or MaxDepth.
var ErrTooLarge = errors.New("the document is too large")

// Decode reads a JSON value. Numbers without a fraction that fit are int64,
// others float64; of several members with the same name the last one counts.
func Decode(data []byte) (any, error) {
	if len(data) > MaxSize || deeper(data, MaxDepth) {
		return nil, ErrTooLarge
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("there is more after the value")
	}
	return numbers(v)
}

// DecodeObject is Decode for what must be an object.
func DecodeObject(data []byte) (map[string]any, error) {
	v, err := Decode(data)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("not an object")
	}
	return m, nil
}

// Into fills a struct from a value of this package, or from JSON.
func Into(v any, dst any) error {
	data, ok := v.(json.RawMessage)
	if !ok {
		var err error
		if data, err = json.Marshal(v); err != nil {
			return err
		}
	}
	return json.Unmarshal(data, dst)
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

// numbers makes int64 and float64 of the numbers in v.
func numbers(v any) (any, error) {
	var err error
	switch t := v.(type) {
	case json.Number:
		return number(t.String())
	case []any:
		for i := range t {
			if t[i], err = numbers(t[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k := range t {
			if t[k], err = numbers(t[k]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

func number(s string) (any, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return nil, fmt.Errorf("the number %.40s is out of range", s)
	}
	return whole(f), nil
}

// whole makes an integer of a float that is exactly one.
func whole(f float64) any {
	if f == math.Trunc(f) && math.Abs(f) <= 1<<53 {
		return int64(f)
	}
	return f
}

// Normal makes a value of this package from a Go value: by encoding/json if it
// is none yet.
func Normal(v any) any {
	switch t := v.(type) {
	case nil, bool, string, int64:
		return v
	case int:
		return int64(t)
	case float64:
		return whole(t)
	}
	data, err := json.Marshal(v)
	if err != nil {
		panic("schema: " + err.Error()) // a default that is no JSON value
	}
	n, err := Decode(data)
	if err != nil {
		panic("schema: " + err.Error())
	}
	return n
}

// Clone copies a value as deep as it is.
func Clone(v any) any {
	switch t := v.(type) {
	case []any:
		c := make([]any, len(t))
		for i := range t {
			c[i] = Clone(t[i])
		}
		return c
	case map[string]any:
		c := make(map[string]any, len(t))
		for k, e := range t {
			c[k] = Clone(e)
		}
		return c
	}
	return v
}

// Equal compares two values.
func Equal(a, b any) bool {
	switch t := a.(type) {
	case []any:
		u, ok := b.([]any)
		return ok && slices.EqualFunc(t, u, Equal)
	case map[string]any:
		u, ok := b.(map[string]any)
		return ok && maps.EqualFunc(t, u, Equal)
	}
	if x, ok := asFloat(a); ok {
		y, ok := asFloat(b)
		return ok && x == y
	}
	switch b.(type) {
	case []any, map[string]any:
		return false
	}
	return a == b
}

// Empty tells whether a value is null, or an empty string, array or object.
func Empty(v any) bool {
	switch t := v.(type) {
	case nil:
		return true
	case string:
		return t == ""
	case []any:
		return len(t) == 0
	case map[string]any:
		return len(t) == 0
	}
	return false
}

// Get is the value at a path of names separated by dots; nil if there is none.
func Get(record map[string]any, path string) any {
	var v any = record
	for name := range splitDots(path) {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[name]
	}
	return v
}

func asFloat(v any) (float64, bool) {
	switch t := v.(type) {
	case int64:
		return float64(t), true
	case int:
		return float64(t), true
	case float64:
		return t, true
	}
	return 0, false
}

package apidoc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// maxDepth is how deep a document may nest: no real one comes near, and what
// walks the tree need not fear for its stack, nor wait for readers that read
// what is nested once for each level.
const maxDepth = 128

// object is a JSON object that keeps its members in order. The other values of
// a tree are []any, string, json.Number, bool and nil.
type object struct {
	keys   []string
	values map[string]any
}

func newObject() *object { return &object{values: map[string]any{}} }

// objectOf makes an object of keys and values in turn.
func objectOf(pairs ...any) *object {
	o := newObject()
	for i := 0; i+1 < len(pairs); i += 2 {
		o.set(pairs[i].(string), pairs[i+1])
	}
	return o
}

// get is a member's value; nil for what is not there, also of no object.
func (o *object) get(key string) any {
	if o == nil {
		return nil
	}
	return o.values[key]
}

func (o *object) has(key string) bool {
	if o == nil {
		return false
	}
	_, ok := o.values[key]
	return ok
}

// set replaces a member where it stands, or adds it at the end.
func (o *object) set(key string, value any) {
	if _, ok := o.values[key]; !ok {
		o.keys = append(o.keys, key)
	}
	o.values[key] = value
}

func (o *object) remove(key string) {
	if _, ok := o.values[key]; !ok {
		return
	}
	delete(o.values, key)
	i := slices.Index(o.keys, key)
	o.keys = slices.Delete(o.keys, i, i+1)
}

// names are the keys in order; none of no object.
func (o *object) names() []string {
	if o == nil {
		return nil
	}
	return o.keys
}

// text is a member that is a string.
func (o *object) text(key string) string {
	s, _ := o.get(key).(string)
	return s
}

// object is a member that is an object; nil if it is none.
func (o *object) object(key string) *object {
	v, _ := o.get(key).(*object)
	return v
}

// list is a member that is an array.
func (o *object) list(key string) []any {
	v, _ := o.get(key).([]any)
	return v
}

// decode reads one JSON value and nothing after it.
func decode(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	v, err := decodeValue(d, 0)
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			return v, nil
		} else if err == nil {
			err = errors.New("there is more after the end of the document")
		}
	}
	if errors.Is(err, errTooDeep) {
		return nil, err
	}
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends too early")
	}
	line := 1 + bytes.Count(raw[:min(d.InputOffset(), int64(len(raw)))], []byte("\n"))
	return nil, fmt.Errorf("line %d: %w", line, err)
}

var errTooDeep = fmt.Errorf("the document nests deeper than %d levels", maxDepth)

func decodeValue(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if depth == maxDepth {
		return nil, errTooDeep
	}
	if delim == '[' {
		list := []any{}
		for d.More() {
			v, err := decodeValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	}
	o := newObject()
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		v, err := decodeValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		o.set(key.(string), v)
	}
	_, err = d.Token()
	return o, err
}

// encode writes a tree as compact JSON, members in their order.
func encode(v any) []byte {
	var b bytes.Buffer
	encodeTo(&b, v)
	return b.Bytes()
}

func encodeTo(b *bytes.Buffer, v any) {
	switch v := v.(type) {
	case *object:
		b.WriteByte('{')
		for i, key := range v.keys {
			if i > 0 {
				b.WriteByte(',')
			}
			encodeText(b, key)
			b.WriteByte(':')
			encodeTo(b, v.values[key])
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			encodeTo(b, e)
		}
		b.WriteByte(']')
	case string:
		encodeText(b, v)
	case json.Number:
		b.WriteString(v.String())
	case bool:
		if v {
			b.WriteString("true")
		} else {
			b.WriteString("false")
		}
	default:
		b.WriteString("null")
	}
}

func encodeText(b *bytes.Buffer, s string) {
	if isPlain(s) {
		b.WriteByte('"')
		b.WriteString(s)
		b.WriteByte('"')
		return
	}
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	// A string always encodes, and the buffer takes it.
	_ = e.Encode(s)
	b.Truncate(b.Len() - 1)
}

// isPlain tells whether a string stands in JSON as it is.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// step is the member or element of v that a token of a pointer names.
func step(v any, token string) (any, bool) {
	switch v := v.(type) {
	case *object:
		e, ok := v.values[token]
		return e, ok
	case []any:
		i, ok := position(token, len(v))
		if !ok {
			return nil, false
		}
		return v[i], true
	}
	return nil, false
}

// position reads a token as the number of an element.
func position(token string, n int) (int, bool) {
	if token == "" || len(token) > 9 || len(token) > 1 && token[0] == '0' {
		return 0, false
	}
	i := 0
	for _, c := range []byte(token) {
		if c < '0' || c > '9' {
			return 0, false
		}
		i = i*10 + int(c-'0')
	}
	return i, i < n
}

// Tokens of JSON pointers (RFC 6901) escape slashes.
var (
	tokenEscaper   = strings.NewReplacer("~", "~0", "/", "~1")
	tokenUnescaper = strings.NewReplacer("~1", "/", "~0", "~")
)

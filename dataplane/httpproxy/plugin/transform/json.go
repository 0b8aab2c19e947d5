package transform

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// Object is a JSON object. Numbers stay as they are written.
type Object map[string]any

var errNoObject = errors.New("it is no JSON object")

// maxDepth bounds the nesting of JSON that is read.
const maxDepth = 256

// ParseObject reads a JSON object.
func ParseObject(data []byte) (Object, error) {
	if deeper(data, maxDepth) {
		return nil, errors.New("it is nested too deep")
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
	o, ok := v.(map[string]any)
	if !ok {
		return nil, errNoObject
	}
	return o, nil
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

// Bytes writes the object.
func (o Object) Bytes() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(map[string]any(o)); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Has implements Target: null is as if it were not there.
func (o Object) Has(name string) bool { return o[name] != nil }

// Remove implements Target.
func (o Object) Remove(name string) { delete(o, name) }

// Rename implements Target.
func (o Object) Rename(name, to string) {
	v := o[name]
	delete(o, name)
	o[to] = v
}

// Set implements Target.
func (o Object) Set(e *Edit) { o[e.Name] = e.json() }

// Append implements Target: it makes an array of what is none.
func (o Object) Append(e *Edit) {
	switch v := o[e.Name].(type) {
	case nil:
		o[e.Name] = []any{e.json()}
	case []any:
		o[e.Name] = append(v, e.json())
	default:
		o[e.Name] = []any{v, e.json()}
	}
}

func (e *Edit) json() any {
	if e.JSON != nil {
		return e.JSON
	}
	return e.Value
}

// IsJSON tells whether a Content-Type is application/json.
func IsJSON(contentType string) bool {
	name, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(name), "application/json")
}

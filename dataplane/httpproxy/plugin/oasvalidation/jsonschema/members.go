package jsonschema

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// members are the values that are possible.
type members struct {
	keyword string // enum or const
	shown   []any
	strings map[string]struct{}
	others  map[string]struct{} // by key
	types   Types
}

func newMembers(keyword string, values []any) *members {
	m := &members{keyword: keyword, shown: values, strings: map[string]struct{}{}, others: map[string]struct{}{}}
	for _, v := range values {
		m.types |= typeOf(v)
		if s, ok := v.(string); ok {
			m.strings[s] = struct{}{}
		} else {
			m.others[string(appendKey(nil, v))] = struct{}{}
		}
	}
	return m
}

func (m *members) has(e *evaluation, v any) bool {
	if s, ok := v.(string); ok {
		_, has := m.strings[s]
		return has
	}
	if len(m.others) == 0 {
		return false
	}
	_, has := m.others[string(e.key(v))]
	return has
}

// typeOf is the type of a value.
func typeOf(v any) Types {
	switch v := v.(type) {
	case nil:
		return Null
	case bool:
		return Boolean
	case json.Number:
		return readNumber(v).typeOf()
	case string, File:
		return String
	case []any:
		return Array
	default:
		return Object
	}
}

// appendKey appends what is the same for equal values alone.
func appendKey(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, 'n')
	case bool:
		return append(strconv.AppendBool(b, v), ';')
	case json.Number:
		return append(readNumber(v).appendKey(b), ';')
	case string:
		b = strconv.AppendInt(append(b, '"'), int64(len(v)), 10)
		return append(append(b, ':'), v...)
	case []any:
		b = append(b, '[')
		for _, item := range v {
			b = appendKey(b, item)
		}
		return append(b, ']')
	case map[string]any:
		b = append(b, '{')
		for _, name := range slices.Sorted(maps.Keys(v)) {
			b = appendKey(appendKey(b, name), v[name])
		}
		return append(b, '}')
	default:
		return append(b, '?')
	}
}

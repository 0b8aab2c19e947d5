package logrecord

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// Fields are custom fields of records: values for paths of names with dots
// between them. They are configured as programs in Lua, of which those are known
// that return a constant.
type Fields struct {
	paths  []string
	values map[string]any // nil takes a field out
}

// FieldsSchema is the field of a configuration that NewFields reads.
func FieldsSchema() schema.Field {
	return schema.Field{
		Name: "custom_fields_by_lua", Type: schema.Map,
		Keys: &schema.Field{Type: schema.String}, Values: &schema.Field{Type: schema.String},
	}
}

// NewFields reads custom fields. Programs that are more than a constant are left
// out, which the log is told.
func NewFields(programs map[string]string, log *slog.Logger) *Fields {
	f := &Fields{values: map[string]any{}}
	for _, path := range slices.Sorted(maps.Keys(programs)) {
		v, err := constant(programs[path])
		if err != nil {
			log.Warn("a custom field is left out of logs", "field", path, "error", err)
			continue
		}
		f.paths = append(f.paths, path)
		f.values[path] = v
	}
	return f
}

func (f *Fields) empty() bool { return len(f.paths) == 0 }

// constant is the value of a program "return …".
func constant(program string) (any, error) {
	s, ok := strings.CutPrefix(strings.TrimSpace(program), "return")
	s = strings.TrimSpace(strings.TrimRight(strings.TrimSpace(s), ";"))
	if !ok || s == "" {
		return nil, fmt.Errorf("only programs of the form \"return …\" with a constant are known")
	}
	switch s {
	case "nil":
		return nil, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	if n := len(s); n >= 2 && (s[0] == '"' || s[0] == '\'') && s[n-1] == s[0] && !strings.ContainsAny(s[1:n-1], "\\\n"+s[:1]) {
		return s[1 : n-1], nil
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil && json.Valid([]byte(s)) {
		return json.Number(s), nil
	}
	return nil, fmt.Errorf("only programs of the form \"return …\" with a constant are known")
}

// apply puts the fields into a record.
func (f *Fields) apply(r any) (map[string]any, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		return nil, err
	}
	for _, path := range f.paths {
		set(m, strings.Split(path, "."), f.values[path])
	}
	return m, nil
}

func set(m map[string]any, path []string, v any) {
	for _, name := range path[:len(path)-1] {
		sub, ok := m[name].(map[string]any)
		if !ok {
			if v == nil {
				return
			}
			sub = map[string]any{}
			m[name] = sub
		}
		m = sub
	}
	last := path[len(path)-1]
	if v == nil {
		delete(m, last)
	} else {
		m[last] = v
	}
}

package schema

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Entity is the name under which what is wrong with a record as a whole stands
// among the fields.
const Entity = "@entity"

// Violations are what is wrong with a document.
type Violations struct {
	// Fields are the messages by field: a string, for records a map like this
	// one, for arrays a []any with nil for elements that are good. What
	// concerns the record as a whole is a []any of strings under Entity.
	Fields map[string]any
}

// The code and the name of violations.
const (
	ViolationCode = 2
	ViolationName = "schema violation"
)

// Violation is one message to one field, which may be below another, such as
// "service.id".
func Violation(field, message string) *Violations {
	v := &Violations{Fields: map[string]any{}}
	v.Add(field, message)
	return v
}

// Add adds a message to a field, or to the document as a whole (""). The first
// message to a field stays.
func (v *Violations) Add(field, message string) {
	if v.Fields == nil {
		v.Fields = map[string]any{}
	}
	add(v.Fields, field, message)
}

func add(fields map[string]any, field, message string) {
	if field == "" {
		list, _ := fields[Entity].([]any)
		fields[Entity] = append(list, message)
		return
	}
	name, rest, nested := strings.Cut(field, ".")
	if !nested {
		if _, ok := fields[name]; !ok {
			fields[name] = message
		}
		return
	}
	sub, ok := fields[name].(map[string]any)
	if !ok {
		if fields[name] != nil {
			return
		}
		sub = map[string]any{}
		fields[name] = sub
	}
	add(sub, rest, message)
}

// Error is the message: each violation with the path of its field, sorted,
// those of the document as a whole first.
func (v *Violations) Error() string {
	var list []string
	flatten(v.Fields, "", &list)
	what := ViolationName
	if len(list) != 1 {
		what = fmt.Sprintf("%d %ss", len(list), ViolationName)
	}
	return what + " (" + strings.Join(list, "; ") + ")"
}

func flatten(v any, path string, list *[]string) {
	switch t := v.(type) {
	case string:
		*list = append(*list, path+": "+t)
	case []any:
		for i, e := range t {
			flatten(e, path+"."+strconv.Itoa(i+1), list)
		}
	case map[string]any:
		if whole, ok := t[Entity].([]any); ok {
			at := ""
			if path != "" {
				at = path + "." + Entity + ": "
			}
			for _, message := range whole {
				*list = append(*list, at+fmt.Sprint(message))
			}
		}
		if path != "" {
			path += "."
		}
		for _, name := range slices.Sorted(maps.Keys(t)) {
			if name != Entity {
				flatten(t[name], path+name, list)
			}
		}
	}
}

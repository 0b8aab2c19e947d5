package jsonschema

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Fault is a way in which a value does not fit. It never shows the value.
type Fault struct {
	// Path leads to the value: names of properties (string) and indexes (int).
	Path []any
	// Keyword is that of the schema which the value breaks.
	Keyword string
	// Limit is what the schema says: a bound as json.Number or int, a pattern or
	// the name of a format, of a property or of types (string), or the values
	// that are possible ([]any).
	Limit any
	// Null tells that the value is null.
	Null bool
	// Causes are the faults in the branches, where none fits.
	Causes []Fault
}

// tooComplex is the keyword of a fault that tells that the work which a value
// costs is beyond its bound.
const tooComplex = "complexity"

// TooComplex tells whether checking was given up because of what it would cost.
func (f *Fault) TooComplex() bool { return f.Keyword == tooComplex }

// Message says what is wrong.
func (f *Fault) Message() string {
	limit := shown(f.Limit)
	switch f.Keyword {
	case "type":
		return "it must be of type " + strings.Join(strings.Split(limit, ","), " or ")
	case "enum":
		return "it must be one of " + limit
	case "const":
		return "it must be " + strings.TrimSuffix(strings.TrimPrefix(limit, "["), "]")
	case "minimum":
		return "it must be at least " + limit
	case "maximum":
		return "it must be at most " + limit
	case "exclusiveMinimum":
		return "it must be greater than " + limit
	case "exclusiveMaximum":
		return "it must be less than " + limit
	case "multipleOf":
		return "it must be a multiple of " + limit
	case "minLength":
		return "it must have at least " + limit + " characters"
	case "maxLength":
		return "it must have at most " + limit + " characters"
	case "pattern":
		return "it must match the pattern " + limit
	case "format":
		return "it must have the format " + limit
	case "minItems":
		return "it must have at least " + limit + " items"
	case "maxItems":
		return "it must have at most " + limit + " items"
	case "uniqueItems":
		return "its items must differ"
	default:
		return f.structure(limit)
	}
}

// structure is Message for the rest of keywords.
func (f *Fault) structure(limit string) string {
	switch f.Keyword {
	case "contains":
		return "none of its items is what it must contain"
	case "minContains":
		return "at least " + limit + " of its items must be what it must contain"
	case "maxContains":
		return "at most " + limit + " of its items may be what it must contain"
	case "required":
		return "it is required"
	case "dependentRequired":
		return "it is required, since there is " + limit
	case "minProperties":
		return "it must have at least " + limit + " properties"
	case "maxProperties":
		return "it must have at most " + limit + " properties"
	case "additionalProperties", "unevaluatedProperties":
		return "no such property is known"
	case "unevaluatedItems":
		return "no item is known at this place"
	case "propertyNames":
		return "a property must not have this name"
	case "writeOnly":
		return "it must not be sent in a response"
	case "anyOf", "oneOf":
		return f.branches()
	case "oneOfMany":
		return "it must fit one schema alone, and fits several"
	case "not":
		return "it must not fit a schema that it fits"
	case "style":
		return "it must be written in the style " + limit
	case "json":
		return "it is no valid JSON: " + limit
	case "form":
		return "it is no valid form: " + limit
	case "content":
		return "its type must be " + strings.ReplaceAll(limit, ",", " or ")
	case tooComplex:
		return "it is too complex to be checked"
	default:
		return "nothing can be here"
	}
}

// branches tells what is wrong where there is a choice.
func (f *Fault) branches() string {
	if len(f.Causes) == 0 {
		return "it fits none of the schemas that are possible"
	}
	c := &f.Causes[0]
	at := ""
	if rest := c.Path[min(len(f.Path), len(c.Path)):]; len(rest) > 0 {
		at = Place(rest) + ": "
	}
	return "it fits none of the schemas that are possible, for instance not one because " + at + c.Message()
}

func shown(limit any) string {
	switch l := limit.(type) {
	case nil:
		return ""
	case string:
		return l
	case int:
		return strconv.Itoa(l)
	case json.Number:
		return l.String()
	}
	b, err := json.Marshal(limit)
	if err != nil {
		return fmt.Sprint(limit)
	}
	return string(b)
}

// Place is a path as text: a.b[0].
func Place(path []any) string {
	var b strings.Builder
	for i, step := range path {
		switch s := step.(type) {
		case int:
			b.WriteString("[" + strconv.Itoa(s) + "]")
		case string:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s)
		}
	}
	return b.String()
}

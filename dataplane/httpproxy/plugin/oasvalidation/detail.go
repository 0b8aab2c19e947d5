package oasvalidation

import (
	"fmt"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy/plugin/oasvalidation/jsonschema"
)

// detail is a fault as FastAPI 0.88 with pydantic 1.10 tells it ("Handling
// Errors" of its documentation).
type detail struct {
	Loc  []any  `json:"loc"`
	Msg  string `json:"msg"`
	Type string `json:"type"`
	Ctx  any    `json:"ctx,omitempty"`
}

type details struct {
	Detail []detail `json:"detail"`
}

// detailList are faults as FastAPI tells them.
func detailList(faults []fault) details {
	d := details{Detail: []detail{}}
	for i := range faults {
		f := &faults[i]
		loc := []any{f.in}
		if f.in != "body" {
			loc = append(loc, f.name)
		}
		if f.unknown {
			d.Detail = append(d.Detail, detail{loc, "extra fields not permitted", "value_error.extra", nil})
			continue
		}
		d.add(loc, &f.Fault)
	}
	return d
}

func (d *details) add(loc []any, f *jsonschema.Fault) {
	if len(f.Causes) > 0 {
		for i := range f.Causes {
			d.add(loc, &f.Causes[i])
		}
		return
	}
	one := describe(f)
	one.Loc = append(append([]any{}, loc...), f.Path...)
	d.Detail = append(d.Detail, one)
}

type limitValue struct {
	Limit any `json:"limit_value"`
}

// bounds are the keywords that have a bound.
var bounds = map[string]struct{ msg, kind string }{
	"minimum":          {"ensure this value is greater than or equal to %v", "value_error.number.not_ge"},
	"maximum":          {"ensure this value is less than or equal to %v", "value_error.number.not_le"},
	"exclusiveMinimum": {"ensure this value is greater than %v", "value_error.number.not_gt"},
	"exclusiveMaximum": {"ensure this value is less than %v", "value_error.number.not_lt"},
	"minLength":        {"ensure this value has at least %v characters", "value_error.any_str.min_length"},
	"maxLength":        {"ensure this value has at most %v characters", "value_error.any_str.max_length"},
	"minItems":         {"ensure this value has at least %v items", "value_error.list.min_items"},
	"maxItems":         {"ensure this value has at most %v items", "value_error.list.max_items"},
}

// describe is a fault without its place.
func describe(f *jsonschema.Fault) detail {
	if b, ok := bounds[f.Keyword]; ok {
		return detail{Msg: fmt.Sprintf(b.msg, f.Limit), Type: b.kind, Ctx: limitValue{f.Limit}}
	}
	switch f.Keyword {
	case "type", "enum", "const":
		return wrongValue(f)
	case "required", "dependentRequired":
		return detail{Msg: "field required", Type: "value_error.missing"}
	case "additionalProperties", "unevaluatedProperties":
		return detail{Msg: "extra fields not permitted", Type: "value_error.extra"}
	case "multipleOf":
		return detail{Msg: fmt.Sprintf("ensure this value is a multiple of %v", f.Limit), Type: "value_error.number.not_multiple",
			Ctx: struct {
				Of any `json:"multiple_of"`
			}{f.Limit}}
	case "pattern":
		return detail{Msg: fmt.Sprintf("string does not match regex \"%v\"", f.Limit), Type: "value_error.str.regex",
			Ctx: struct {
				Pattern any `json:"pattern"`
			}{f.Limit}}
	case "uniqueItems":
		return detail{Msg: "the list has duplicated items", Type: "value_error.list.unique_items"}
	case "format":
		return wrongFormat(f)
	case "json":
		return detail{Msg: "Invalid JSON: " + fmt.Sprint(f.Limit), Type: "value_error.jsondecode"}
	case "content":
		return detail{Msg: "value is not a valid dict", Type: "type_error.dict"}
	}
	return detail{Msg: f.Message(), Type: "value_error"}
}

func wrongValue(f *jsonschema.Fault) detail {
	if f.Null {
		return detail{Msg: "none is not an allowed value", Type: "type_error.none.not_allowed"}
	}
	if f.Keyword == "type" {
		kind, _, _ := strings.Cut(strings.TrimPrefix(fmt.Sprint(f.Limit), "null,"), ",")
		switch kind {
		case "boolean":
			return detail{Msg: "value could not be parsed to a boolean", Type: "type_error.bool"}
		case "integer":
			return detail{Msg: "value is not a valid integer", Type: "type_error.integer"}
		case "number":
			return detail{Msg: "value is not a valid float", Type: "type_error.float"}
		case "array":
			return detail{Msg: "value is not a valid list", Type: "type_error.list"}
		case "object":
			return detail{Msg: "value is not a valid dict", Type: "type_error.dict"}
		case "string":
			return detail{Msg: "str type expected", Type: "type_error.str"}
		}
		return detail{Msg: "value is not none", Type: "type_error.none.allowed"}
	}
	permitted, _ := f.Limit.([]any)
	texts := make([]string, len(permitted))
	for i, v := range permitted {
		texts[i] = python(v)
	}
	if f.Keyword == "const" {
		return detail{Msg: "unexpected value; permitted: " + strings.Join(texts, ", "), Type: "value_error.const",
			Ctx: struct {
				Permitted any `json:"permitted"`
			}{permitted}}
	}
	return detail{Msg: "value is not a valid enumeration member; permitted: " + strings.Join(texts, ", "), Type: "type_error.enum",
		Ctx: struct {
			Values any `json:"enum_values"`
		}{permitted}}
}

// python is a value as Python shows it.
func python(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case string:
		return "'" + strings.ReplaceAll(strings.ReplaceAll(v, `\`, `\\`), "'", `\'`) + "'"
	}
	return fmt.Sprint(v)
}

// wrongFormat is a text or a number that has not the format that is wanted.
func wrongFormat(f *jsonschema.Fault) detail {
	switch f.Limit {
	case "date-time":
		return detail{Msg: "invalid datetime format", Type: "value_error.datetime"}
	case "date":
		return detail{Msg: "invalid date format", Type: "value_error.date"}
	case "uuid":
		return detail{Msg: "value is not a valid uuid", Type: "type_error.uuid"}
	case "ipv4":
		return detail{Msg: "value is not a valid IPv4 address", Type: "value_error.ipv4address"}
	case "ipv6":
		return detail{Msg: "value is not a valid IPv6 address", Type: "value_error.ipv6address"}
	}
	return detail{Msg: f.Message(), Type: "value_error"}
}

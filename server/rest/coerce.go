package rest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	restv1 "github.com/backplane/backplane/gen/backplane/rest/v1"
	"github.com/backplane/backplane/internal/errs"
)

// What is wrong with a value.
const (
	fieldRequired = "This field is required."
	notNull       = "This field may not be null."
	notText       = "Not a valid string."
	notInteger    = "A valid integer is required."
	notNumber     = "A valid number is required."
	notTruth      = "Must be a valid boolean."
	notBase64     = "Must be text in base64."
)

// coerce makes an object of JSON or a form what the RPC of a route can decode.
// Keys that it does not know are left out, and so are values that do not fit,
// which are the faults. With them is named what is required and missing; without
// any the RPC will say it.
func coerce(sent map[string]any, r *route, verb string) (clean map[string]any, faults []errs.Field) {
	var c coercer
	clean = map[string]any{}
	var absent []errs.Field
	fields := r.content.Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if r.inPath(f.Name()) {
			continue
		}
		v, ok := sentFor(sent, f)
		before := len(c.faults)
		if ok {
			clean[f.JSONName()] = c.field(f.JSONName(), v, f)
		}
		if len(c.faults) > before {
			delete(clean, f.JSONName())
		} else if isRequired(f) && (ok || verb != http.MethodPatch) && isEmpty(clean[f.JSONName()]) {
			absent = append(absent, errs.Field{Path: f.JSONName(), Message: fieldRequired})
		}
	}
	if len(c.faults) > 0 {
		faults = append(c.faults, absent...)
	}
	return clean, faults
}

// sentFor is the value of a field by either of its names.
func sentFor(sent map[string]any, f protoreflect.FieldDescriptor) (any, bool) {
	if v, ok := sent[f.JSONName()]; ok {
		return v, true
	}
	v, ok := sent[f.TextName()]
	return v, ok
}

func isRequired(f protoreflect.FieldDescriptor) bool {
	behavior, _ := proto.GetExtension(f.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.Contains(behavior, annotations.FieldBehavior_REQUIRED)
}

// isRelation reports whether a field has the URL of something else.
func isRelation(f protoreflect.FieldDescriptor) bool {
	relation, _ := proto.GetExtension(f.Options(), restv1.E_Relation).(bool)
	return relation
}

func isEmpty(v any) bool { return v == nil || v == "" }

// coercer collects what does not fit.
type coercer struct{ faults []errs.Field }

// refuse notes a fault and stands in for the value.
func (c *coercer) refuse(path, message string) any {
	c.faults = append(c.faults, errs.Field{Path: path, Message: message})
	return nil
}

func (c *coercer) message(path string, sent map[string]any, d protoreflect.MessageDescriptor) map[string]any {
	out := map[string]any{}
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if v, ok := sentFor(sent, f); ok {
			out[f.JSONName()] = c.field(join(path, f.JSONName()), v, f)
		}
	}
	return out
}

// field is the value of a field. Faults of the elements of a list are the
// list's.
func (c *coercer) field(path string, v any, f protoreflect.FieldDescriptor) any {
	if v == nil {
		return nil
	}
	if values, ok := v.(formValues); ok {
		v = values.last()
		if f.IsList() {
			list := make([]any, len(values))
			for i, text := range values {
				list[i] = text
			}
			v = list
		}
	}
	switch {
	case f.IsMap():
		entries, ok := v.(map[string]any)
		if !ok {
			return c.refuse(path, fmt.Sprintf("Expected a dictionary of items but got type %q.", typeName(v)))
		}
		out := make(map[string]any, len(entries))
		for key, entry := range entries {
			out[key] = c.element(path, entry, f.MapValue())
		}
		return out
	case f.IsList():
		list, ok := v.([]any)
		if !ok {
			return c.refuse(path, fmt.Sprintf("Expected a list of items but got type %q.", typeName(v)))
		}
		out := make([]any, len(list))
		for i, entry := range list {
			out[i] = c.element(path, entry, f)
		}
		return out
	default:
		return c.value(path, v, f)
	}
}

func (c *coercer) element(path string, v any, f protoreflect.FieldDescriptor) any {
	if v == nil {
		return c.refuse(path, notNull)
	}
	return c.value(path, v, f)
}

func (c *coercer) value(path string, v any, f protoreflect.FieldDescriptor) any {
	switch f.Kind() {
	case protoreflect.StringKind:
		return c.text(path, v, f)
	case protoreflect.MessageKind, protoreflect.GroupKind:
		if isForeign(f.Message()) {
			if faults := checkNested(path, v, f.Message()); len(faults) > 0 {
				return c.refuse(path, "This field "+faults[0].Message+".")
			}
			return v
		}
		sent, ok := v.(map[string]any)
		if !ok {
			return c.refuse(path, fmt.Sprintf("Expected a dictionary but got type %q.", typeName(v)))
		}
		return c.message(path, sent, f.Message())
	}
	text, ok := plain(v)
	switch {
	case text == "" && ok:
		return nil // what a form has for nothing
	case f.Kind() == protoreflect.BoolKind:
		return c.truth(path, text)
	case f.Kind() == protoreflect.BytesKind:
		if _, err := base64.StdEncoding.DecodeString(text); err != nil || !ok {
			return c.refuse(path, notBase64)
		}
		return text
	case f.Kind() == protoreflect.EnumKind:
		if f.Enum().Values().ByName(protoreflect.Name(text)) == nil {
			return c.refuse(path, fmt.Sprintf("%q is not a valid choice.", text))
		}
		return text
	case f.Kind() == protoreflect.FloatKind, f.Kind() == protoreflect.DoubleKind:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || !ok || math.IsNaN(n) || math.IsInf(n, 0) || f.Kind() == protoreflect.FloatKind && math.Abs(n) > math.MaxFloat32 {
			return c.refuse(path, notNumber)
		}
		return n
	default:
		return c.integer(path, text, f.Kind())
	}
}

// text takes numbers for text, but where the URL of something is wanted.
func (c *coercer) text(path string, v any, f protoreflect.FieldDescriptor) any {
	if text, ok := v.(string); ok {
		return text
	}
	if isRelation(f) {
		return c.refuse(path, "Incorrect type.  Expected url string, received "+typeName(v)+".")
	}
	if n, ok := v.(json.Number); ok {
		return n.String()
	}
	return c.refuse(path, notText)
}

func (c *coercer) truth(path, text string) any {
	switch strings.ToLower(text) {
	case "true", "t", "yes", "on", "1":
		return true
	case "false", "f", "no", "off", "0":
		return false
	}
	return c.refuse(path, notTruth)
}

func (c *coercer) integer(path, text string, kind protoreflect.Kind) any {
	var err error
	low, high := "0", strconv.FormatUint(math.MaxUint64, 10)
	switch kind {
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		high = strconv.FormatUint(math.MaxUint32, 10)
		_, err = strconv.ParseUint(text, 10, 32)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		_, err = strconv.ParseUint(text, 10, 64)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		low, high = strconv.Itoa(math.MinInt64), strconv.Itoa(math.MaxInt64)
		_, err = strconv.ParseInt(text, 10, 64)
	default:
		low, high = strconv.Itoa(math.MinInt32), strconv.Itoa(math.MaxInt32)
		_, err = strconv.ParseInt(text, 10, 32)
	}
	switch {
	case errors.Is(err, strconv.ErrRange), err != nil && isDigits(strings.TrimPrefix(text, "-")):
		return c.refuse(path, "Must be an integer from "+low+" to "+high+".")
	case err != nil:
		return c.refuse(path, notInteger)
	}
	return strings.TrimPrefix(text, "+")
}

func isDigits(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

// plain is a scalar as text.
func plain(v any) (text string, ok bool) {
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v), true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

// typeName is what clients of this API know a JSON type as.
func typeName(v any) string {
	switch v := v.(type) {
	case string:
		return "str"
	case json.Number:
		if isDigits(strings.TrimPrefix(v.String(), "-")) {
			return "int"
		}
		return "float"
	case bool:
		return "bool"
	case []any:
		return "list"
	default:
		return "dict"
	}
}

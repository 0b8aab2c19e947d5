package gateway

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/backplane/backplane/dataplane/httpproxy/schema"
	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/internal/errs"
)

// The numbers of refusals (Kong Admin API). Clients see them.
const (
	codeInvalidKey       = 1
	codeViolation        = 2
	codeKeyTaken         = 3
	codeForeignKey       = 4
	codeUnique           = 5
	codeNotFound         = 6
	codeInvalidOffset    = 7
	codeInvalidSize      = 9
	codeInvalidUnique    = 10
	codeInvalidOptions   = 11
	codeUnresolved       = 13
	codeReferenced       = 19
	referencedBy         = "@referenced_by"
	hiddenValue          = "***"
	nothingThere         = "Not found"
	nameForeignKey       = "foreign key violation"
	nameUniqueConstraint = "unique constraint violation"
)

// refusal is an error with what the admin API tells of it.
func refusal(reason errs.Reason, code int32, name, message string, fields map[string]any) *errs.Error {
	e := &errs.Error{Reason: reason, Message: message, Fields: listed(fields)}
	detail := &gatewayv1.ErrorDetail{Name: name, Code: code}
	if shown, err := structpb.NewStruct(plainMap(fields)); err == nil && len(fields) > 0 {
		detail.Fields = shown
	}
	e.Details = []protoadapt.MessageV1{protoadapt.MessageV1Of(detail)}
	return e
}

// listed are the messages to fields, by path.
func listed(fields map[string]any) (out []errs.Field) {
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case string:
			out = append(out, errs.Field{Path: path, Message: v})
		case []any:
			for i, e := range v {
				walk(path+"."+strconv.Itoa(i+1), e)
			}
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(v)) {
				walk(strings.TrimPrefix(path+"."+name, "."), v[name])
			}
		}
	}
	walk("", fields)
	return out
}

// invalid is the error of a document that breaks its schema.
func invalid(v *schema.Violations) error {
	return refusal(errs.ValidationFailed, codeViolation, schema.ViolationName, v.Error(), v.Fields)
}

func invalidField(field, message string) error { return invalid(schema.Violation(field, message)) }

// absent is the error for what a path names and is not there.
func absent() error { return errs.New(errs.NotFound, nothingThere) }

// notFound is the error for what is to be changed and is not there.
func notFound(field, value string) error {
	shown := pairs(map[string]any{field: value})
	message := "could not find the entity with '" + shown + "'"
	if field == "id" {
		message = "could not find the entity with primary key '" + shown + "'"
	}
	return refusal(errs.NotFound, codeNotFound, "not found", message, map[string]any{field: value})
}

func invalidKey(message string) error {
	return refusal(errs.ValidationFailed, codeInvalidKey, "invalid primary key", "invalid primary key: '"+pairs(map[string]any{"id": message})+"'", map[string]any{"id": message})
}

func invalidUnique(field, message string) error {
	return refusal(errs.ValidationFailed, codeInvalidUnique, "invalid unique "+field, message, map[string]any{field: message})
}

func keyTaken(id string) error {
	key := map[string]any{"id": id}
	return refusal(errs.NameTaken, codeKeyTaken, "primary key violation", "primary key violation on key '"+pairs(key)+"'", key)
}

// notUnique is the error for values that another entity has. Secrets among
// them are not repeated.
func notUnique(values map[string]any) error {
	return refusal(errs.NameTaken, codeUnique, nameUniqueConstraint, "UNIQUE violation detected on '"+pairs(values)+"'", values)
}

func unknownReference(field, id, to string) error {
	key := map[string]any{"id": id}
	message := fmt.Sprintf("the foreign key '%s' does not reference an existing '%s' entity.", pairs(key), to)
	return refusal(errs.ValidationFailed, codeForeignKey, nameForeignKey, message, map[string]any{field: key})
}

func restricted(by, of string) error {
	message := fmt.Sprintf("an existing '%s' entity references this '%s' entity", by, of)
	return refusal(errs.InUse, codeForeignKey, nameForeignKey, message, map[string]any{referencedBy: by})
}

// unresolved is the error for a parent that is given by a name that none has.
func unresolved(field, by, value, to string) error {
	text := fmt.Sprintf("the foreign key cannot be resolved with '%s' for an existing '%s' entity", pairs(map[string]any{by: value}), to)
	return refusal(errs.ValidationFailed, codeUnresolved, "foreign keys unresolved",
		fmt.Sprintf("foreign key unresolved (%s.%s: %s)", field, by, text), map[string]any{field: map[string]any{by: text}})
}

func referenced(id, by string) error {
	return refusal(errs.InUse, codeReferenced, "referenced by others",
		fmt.Sprintf("ca_certificate %s is still referenced by %s (id = %s)", id, "services", by), nil)
}

func invalidOffset(offset string) error {
	return refusal(errs.BadRequest, codeInvalidOffset, "invalid offset", fmt.Sprintf("'%s' is not a valid offset: bad base64 encoding", offset), nil)
}

func invalidSize() error {
	return refusal(errs.BadRequest, codeInvalidSize, "invalid size", "size must be an integer between 1 and 1000", nil)
}

// invalidOption is the error for a filter that cannot be one.
func invalidOption(option, message string) error {
	e := refusal(errs.BadRequest, codeInvalidOptions, "invalid options", fmt.Sprintf("invalid option (%s: %s)", option, message), nil)
	e.Fields = []errs.Field{{Path: option, Message: message}}
	e.Details = []protoadapt.MessageV1{protoadapt.MessageV1Of(&gatewayv1.ErrorDetail{
		Name: "invalid options", Code: codeInvalidOptions,
		Options: &structpb.Struct{Fields: map[string]*structpb.Value{option: structpb.NewStringValue(message)}},
	})}
	return e
}

// pairs writes a key as the admin API does: {id="…",name="…"}.
func pairs(values map[string]any) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch v := values[name].(type) {
		case map[string]any:
			out = append(out, name+"="+pairs(v))
		case nil:
			out = append(out, name+"=null")
		default:
			out = append(out, fmt.Sprintf("%s=%q", name, fmt.Sprint(v)))
		}
	}
	return "{" + strings.Join(out, ",") + "}"
}

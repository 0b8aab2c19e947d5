package rest

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/backplane/backplane/internal/errs"
)

// verdict is what is wrong with a value, as pydantic 1.10 says it.
type verdict struct {
	Message string
	Type    string
	Context any // nil for none
}

// What is wrong with values.
var (
	required     = verdict{"field required", "value_error.missing", nil}
	notNone      = verdict{"none is not an allowed value", "type_error.none.not_allowed", nil}
	notAString   = verdict{"str type expected", "type_error.str", nil}
	notAnInteger = verdict{"value is not a valid integer", "type_error.integer", nil}
	notABoolean  = verdict{"value could not be parsed to a boolean", "type_error.bool", nil}
	notADict     = verdict{"value is not a valid dict", "type_error.dict", nil}
	noDomain     = verdict{"Invalid domain", "assertion_error", nil}
)

// limited is the context of what is said of a limit.
type limited struct {
	Limit int `json:"limit_value"`
}

// patterned is the same of a pattern.
type patterned struct {
	Pattern string `json:"pattern"`
}

func tooSmall(limit int) verdict {
	return verdict{fmt.Sprintf("ensure this value is greater than or equal to %d", limit), "value_error.number.not_ge", limited{limit}}
}

func tooLarge(limit int) verdict {
	return verdict{fmt.Sprintf("ensure this value is less than or equal to %d", limit), "value_error.number.not_le", limited{limit}}
}

// namePattern is that of the names of services, as the RPCs have it.
const namePattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

var serviceName = regexp.MustCompile(namePattern)

// aboutName is what is wrong with a name that was refused.
func aboutName(name, message string) verdict {
	if !serviceName.MatchString(name) {
		return verdict{fmt.Sprintf("string does not match regex %q", namePattern), "value_error.str.regex", patterned{namePattern}}
	}
	return verdict{message, "value_error", nil}
}

// wrongField is what is wrong with a field.
type wrongField struct {
	field string
	verdict
	at any // where in the body, if it is about that as a whole and known
}

// item is an entry of the answer to a request that is not valid.
type item struct {
	Loc     []any  `json:"loc"`
	Message string `json:"msg"`
	Type    string `json:"type"`
	Context any    `json:"ctx,omitempty"`
}

// invalid is that answer.
type invalid struct{ items []item }

// Error implements error.
func (*invalid) Error() string { return "the request is not valid" }

// wholeBody stands for the body where others are names of fields.
const wholeBody = "body"

// fieldOrder is that in which faults are told.
var fieldOrder = []string{"id_service", "page", wholeBody, "domain", "name_service", "port", "document_path", "auth", "validate_requests", "validate_responses"}

// fault notes what is wrong with a field.
func (c *autoCall) fault(field string, what verdict) {
	c.faults = append(c.faults, wrongField{field: field, verdict: what})
}

// items tells what is wrong with fields: what was known before the RPC was asked
// as it is, and what the RPC told as pydantic would.
func (c *autoCall) items(fields []errs.Field) []item {
	var out []item
	body := slices.ContainsFunc(c.faults, func(f wrongField) bool { return f.field == wholeBody })
	rank := func(name string) int {
		if at := slices.Index(fieldOrder, name); at >= 0 {
			return at
		}
		return len(fieldOrder)
	}
	fields = slices.Clone(fields)
	slices.SortStableFunc(fields, func(a, b errs.Field) int { return rank(a.Path) - rank(b.Path) })
	for _, f := range fields {
		if body && rank(f.Path) > rank(wholeBody) {
			continue // nothing of it could be read
		}
		what := c.about(f)
		out = append(out, item{c.loc(what), what.Message, what.Type, what.Context})
	}
	return out
}

// about is what is wrong with a field.
func (c *autoCall) about(f errs.Field) wrongField {
	if at := slices.IndexFunc(c.faults, func(known wrongField) bool { return known.field == f.Path }); at >= 0 {
		return c.faults[at]
	}
	out := wrongField{field: f.Path, verdict: verdict{f.Message, "value_error", nil}}
	switch f.Path {
	case "domain":
		out.verdict = noDomain
	case "name_service":
		out.verdict = aboutName(c.sent.GetNameService(), f.Message)
	case "id_service", "page":
		out.verdict = tooSmall(1)
	}
	return out
}

// loc is where the fault is.
func (c *autoCall) loc(f wrongField) []any {
	switch f.field {
	case wholeBody:
		if f.at != nil {
			return []any{wholeBody, f.at}
		}
		return []any{wholeBody}
	case "page":
		return []any{"query", f.field}
	case "id_service":
		if c.segment != "" {
			return []any{"path", f.field}
		}
		return []any{"query", f.field}
	default:
		return []any{c.place, f.field}
	}
}

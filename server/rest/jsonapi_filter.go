package rest

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/backplane/backplane/internal/errs"
)

// maxNesting bounds how deep expressions are nested.
const maxNesting = 64

// rowFilter decides which resources of a collection are shown.
type rowFilter struct {
	path jsonPath
	want expression
}

// expression is true or false of a value.
type expression func(v any) bool

// parseEquals reads the value of filter=POINTER=VALUE.
func parseEquals(text string) (rowFilter, error) {
	pointer, value, ok := strings.Cut(text, "=")
	if !ok {
		return rowFilter{}, errs.New(errs.BadRequest, "filter must be a path and a value: filter=/attributes/state=\"Running\"")
	}
	path, err := parsePointer(pointer)
	if err != nil {
		return rowFilter{}, err
	}
	want, err := parseWanted(value)
	return rowFilter{path, want}, err
}

// parseMatches reads filter[PATH]=EXPRESSION.
func parseMatches(path, text string) (rowFilter, error) {
	at, err := parsePath(path)
	if err != nil {
		return rowFilter{}, err
	}
	want, err := parseWanted(text)
	return rowFilter{at, want}, err
}

// keeps reports whether a row is shown: when the expression is true of one of
// the values that the path leads to.
func (f rowFilter) keeps(row any) bool {
	return f.path.reach(row, func(v any) bool {
		if f.path.isID() {
			v = resourceID{v}
		}
		return f.want(v)
	})
}

// resourceID is the id of a resource, which is compared with a number as one:
// those of sessions and threads are.
type resourceID struct{ value any }

// parseWanted reads an expression, or a literal that stands for equality.
func parseWanted(text string) (expression, error) {
	p := &expressions{text: text}
	if p.space(); p.literal() {
		return p.compare("eq")
	}
	out, err := p.expression(0)
	if err == nil && p.rest() != "" {
		err = p.bad()
	}
	return out, err
}

// expressions reads the language of filters: eq, ne, lt, le, gt and ge of one
// JSON literal, and and, or and not of expressions.
type expressions struct {
	text string
	at   int
	// value is the literal read last.
	value any
}

func (p *expressions) bad() error {
	return errs.New(errs.BadRequest, "The filter expression %q is not one; such as eq(\"Running\"), or and(ge(1),lt(10))", p.text)
}

func (p *expressions) rest() string { return p.text[p.at:] }

func (p *expressions) space() { p.at += len(p.rest()) - len(strings.TrimLeft(p.rest(), " \t\r\n")) }

// take reads a token.
func (p *expressions) take(token string) bool {
	p.space()
	if !strings.HasPrefix(p.rest(), token) {
		return false
	}
	p.at += len(token)
	p.space()
	return true
}

// literal reads the JSON literal that all of the rest is.
func (p *expressions) literal() bool {
	if wellFormed([]byte(p.rest())) != nil {
		return false
	}
	return p.decode()
}

// decode reads a JSON literal.
func (p *expressions) decode() bool {
	dec := json.NewDecoder(strings.NewReader(p.rest()))
	dec.UseNumber()
	if dec.Decode(&p.value) != nil {
		return false
	}
	p.at += int(dec.InputOffset())
	p.space()
	return true
}

// expression reads a function with its arguments.
func (p *expressions) expression(depth int) (expression, error) {
	p.space()
	end := strings.IndexByte(p.rest(), '(')
	if end < 0 || depth > maxNesting {
		return nil, p.bad()
	}
	name := strings.TrimSpace(p.rest()[:end])
	p.at += end + 1
	p.space()
	switch name {
	case "and", "or", "not":
		return p.logic(name, depth)
	}
	if !p.decode() || !p.take(")") {
		return nil, p.bad()
	}
	return p.compare(name)
}

// logic reads the arguments of and, or and not: one or more expressions. Not is
// true when none of them is.
func (p *expressions) logic(name string, depth int) (expression, error) {
	var all []expression
	for {
		one, err := p.expression(depth + 1)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
		if p.take(")") {
			break
		}
		if !p.take(",") {
			return nil, p.bad()
		}
	}
	return func(v any) bool {
		is := func(e expression) bool { return e(v) }
		isNot := func(e expression) bool { return !e(v) }
		switch name {
		case "and":
			return !slices.ContainsFunc(all, isNot)
		case "or":
			return slices.ContainsFunc(all, is)
		default:
			return !slices.ContainsFunc(all, is)
		}
	}, nil
}

// compare is the comparison with the literal read last. Only numbers and texts
// have an order.
func (p *expressions) compare(name string) (expression, error) {
	want := p.value
	ordered := func(holds func(int) bool) expression {
		return func(v any) bool {
			order, ok := orderOf(have(v, want), want)
			return ok && holds(order)
		}
	}
	switch name {
	case "eq":
		return func(v any) bool { return sameJSON(have(v, want), want) }, nil
	case "ne":
		return func(v any) bool { return !sameJSON(have(v, want), want) }, nil
	case "lt":
		return ordered(func(order int) bool { return order < 0 }), nil
	case "le":
		return ordered(func(order int) bool { return order <= 0 }), nil
	case "gt":
		return ordered(func(order int) bool { return order > 0 }), nil
	case "ge":
		return ordered(func(order int) bool { return order >= 0 }), nil
	}
	return nil, p.bad()
}

// have is a value as it is compared with what is wanted.
func have(v, want any) any {
	id, ok := v.(resourceID)
	if !ok {
		return v
	}
	if _, number := want.(json.Number); number {
		return numeric(id.value)
	}
	return id.value
}

// orderOf compares two numbers or two texts.
func orderOf(a, b any) (int, bool) {
	switch a := a.(type) {
	case json.Number:
		if b, ok := b.(json.Number); ok {
			return compareNumbers(a, b), true
		}
	case string:
		if b, ok := b.(string); ok {
			return strings.Compare(a, b), true
		}
	}
	return 0, false
}

// compareNumbers compares whole numbers of 64 bits exactly, others as well as
// floating point does.
func compareNumbers(a, b json.Number) int {
	x, errX := strconv.ParseInt(a.String(), 10, 64)
	y, errY := strconv.ParseInt(b.String(), 10, 64)
	if errX == nil && errY == nil {
		return cmp.Compare(x, y)
	}
	// What is too large for a float is read as an infinity, which will do.
	f, _ := strconv.ParseFloat(a.String(), 64)
	g, _ := strconv.ParseFloat(b.String(), 64)
	return cmp.Compare(f, g)
}

// sameJSON reports whether two values are equal, however their numbers are
// written.
func sameJSON(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for key, v := range a {
			if w, ok := b[key]; !ok || !sameJSON(v, w) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, sameJSON)
	case json.Number:
		b, ok := b.(json.Number)
		return ok && compareNumbers(a, b) == 0
	}
	switch b.(type) {
	case map[string]any, []any, json.Number:
		return false
	}
	return a == b
}

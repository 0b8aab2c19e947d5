package jsonschema

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Options say how a value is checked.
type Options struct {
	// Direction is where the value goes: what must not be sent there is not
	// required. 0 is for nowhere.
	Direction Direction
	// All finds all faults, up to a bound, and not only the first.
	All bool
	// Lenient reads values as pydantic 1 does: numbers and booleans may be
	// strings, properties that are not required may be null, and formats are not
	// checked.
	Lenient bool
	// Size is how long the value was as text; the work that may be done grows
	// with it.
	Size int
}

const (
	// maxFaults bounds the faults that are told.
	maxFaults = 100
	// The steps that may be done: so many, and so many for each byte. A value
	// that is checked by twenty schemas needs less.
	baseSteps, stepsPerByte = 1 << 17, 8
	// maxCalls bounds how many schemas are open: those of a value in another one,
	// and those that apply one through the other.
	maxCalls = 1 << 13
)

// Check tells in what ways a value does not fit; nil for none.
func (s *Schema) Check(v any, o Options) []Fault {
	e := evaluation{direction: o.Direction, all: o.All, lenient: o.Lenient, steps: baseSteps + stepsPerByte*o.Size}
	if s.check(&e, v, nil) {
		return nil
	}
	if e.steps < 0 {
		return []Fault{{Keyword: tooComplex}}
	}
	return e.faults
}

// Fits tells whether a value fits.
func (s *Schema) Fits(v any, o Options) bool {
	e := evaluation{direction: o.Direction, lenient: o.Lenient, steps: baseSteps + stepsPerByte*o.Size, quiet: 1}
	return s.check(&e, v, nil)
}

// evaluation is the check of one value.
type evaluation struct {
	direction    Direction
	all, lenient bool
	steps        int // that may still be done
	calls        int // that are open
	quiet        int // above 0 where faults are not told
	faults       []Fault
	path         []step

	// Of the value that is looked at: the schemas that reenter and are open, and
	// what is not required by the schemas around.
	open       []*Schema
	unrequired []map[string]Direction

	buffer []byte
}

type step struct {
	name  string
	index int // -1 for a name
}

// fault tells a fault of the value that is looked at.
func (e *evaluation) fault(keyword string, limit any) {
	if e.quiet > 0 || len(e.faults) >= maxFaults {
		return
	}
	path := make([]any, len(e.path))
	for i, s := range e.path {
		if s.index >= 0 {
			path[i] = s.index
		} else {
			path[i] = s.name
		}
	}
	e.faults = append(e.faults, Fault{Path: path, Keyword: keyword, Limit: limit})
}

// faultAt tells a fault of a property, which may be missing.
func (e *evaluation) faultAt(name, keyword string, limit any) {
	e.path = append(e.path, step{name, -1})
	e.fault(keyword, limit)
	e.path = e.path[:len(e.path)-1]
}

// key is the key of a value. The result is for a moment only.
func (e *evaluation) key(v any) []byte {
	e.buffer = appendKey(e.buffer[:0], v)
	e.steps -= len(e.buffer) / 16
	return e.buffer
}

// descend checks a value within the one that is looked at.
func (e *evaluation) descend(at step, s *Schema, v any) bool {
	e.path = append(e.path, at)
	open, unrequired := e.open, e.unrequired
	e.open, e.unrequired = nil, nil
	ok := s.check(e, v, nil)
	e.open, e.unrequired = open, unrequired
	e.path = e.path[:len(e.path)-1]
	return ok
}

// verdict puts the results of checks together.
type verdict struct {
	e  *evaluation
	ok bool
}

// and takes a result; false if no more are wanted.
func (r *verdict) and(ok bool) bool {
	r.ok = r.ok && ok
	return r.ok || r.e.more()
}

// more tells whether more faults are wanted after the first.
func (e *evaluation) more() bool {
	return e.all && e.quiet == 0 && e.steps >= 0 && len(e.faults) < maxFaults
}

// check tells whether a value fits, and takes down in seen, which may be nil,
// what of it was looked at.
func (s *Schema) check(e *evaluation, v any, seen *evaluated) bool {
	if e.steps -= 1 + size(v)/bytesPerStep; e.calls > maxCalls {
		e.steps = -1
	}
	if e.steps < 0 {
		return false
	}
	e.calls++
	ok := s.apply(e, v, seen)
	e.calls--
	return ok
}

// bytesPerStep is how much of a text or a number is read in a step.
const bytesPerStep = 32

// size is how long a value is that is read as a whole.
func size(v any) int {
	switch v := v.(type) {
	case string:
		return len(v)
	case json.Number:
		return len(v)
	}
	return 0
}

func (s *Schema) apply(e *evaluation, v any, seen *evaluated) bool {
	if s.never {
		e.fault("false", nil)
		return false
	}
	if v == nil && s.nullable {
		return true
	}
	if s.reenters {
		for _, open := range e.open {
			if open == s {
				return true // it is being found out
			}
		}
		e.open = append(e.open, s)
		defer func() { e.open = e.open[:len(e.open)-1] }()
	}
	v, ok := s.checkType(e, v)
	if !ok {
		return false
	}
	own := seen
	if s.unevaluatedItems != nil || s.unevaluatedProperties != nil {
		own = new(evaluated)
	}
	r := verdict{e, true}
	if !r.and(s.checkValue(e, v, own)) || !r.and(s.checkBranches(e, v, own)) {
		return false
	}
	if own != seen {
		r.and(s.checkRest(e, v, own))
		seen.merge(e, own)
	}
	return r.ok
}

// checkType checks the type of a value, and whether it is one of those that are
// possible at all.
func (s *Schema) checkType(e *evaluation, v any) (any, bool) {
	if s.types != 0 {
		is := typeOf(v)
		if e.lenient && !s.types.Has(is) {
			v = convert(v, s.types)
			is = typeOf(v)
		}
		if !s.types.Has(is) {
			e.fault("type", strings.Join(s.types.names(), ","))
			e.markNull(v)
			return v, false
		}
	}
	if s.enum != nil && !s.enum.has(e, v) {
		e.fault(s.enum.keyword, s.enum.shown)
		e.markNull(v)
		return v, false
	}
	return v, true
}

// markNull takes down of the last fault that the value is null.
func (e *evaluation) markNull(v any) {
	if n := len(e.faults); v == nil && n > 0 && e.quiet == 0 {
		e.faults[n-1].Null = true
	}
}

// convert makes another value of one that is not of the types that are wanted,
// as pydantic 1 does, if it can.
func convert(v any, to Types) any {
	switch v := v.(type) {
	case string:
		if as, ok := readText(strings.TrimSpace(v), to, true); ok {
			return as
		}
	case json.Number:
		n := readNumber(v)
		switch {
		case to.Has(Boolean) && n.whole && (n.i == 0 || n.i == 1):
			return n.i == 1
		case to.Has(Integer) && n.f < 1<<53 && n.f > -1<<53:
			return json.Number(strconv.FormatInt(int64(n.f), 10))
		case to.Has(String):
			return string(v)
		}
	case bool:
		switch {
		case to.Has(Integer) && v:
			return json.Number("1")
		case to.Has(Integer):
			return json.Number("0")
		case to.Has(String):
			return strconv.FormatBool(v)
		}
	}
	return v
}

// checkValue checks what is in a value.
func (s *Schema) checkValue(e *evaluation, v any, seen *evaluated) bool {
	switch v := v.(type) {
	case json.Number:
		return s.number == nil || s.number.check(e, v)
	case string:
		return s.text == nil || s.text.check(e, v)
	case File:
		return s.text == nil || s.text.checkFile(e, v)
	case []any:
		return s.list == nil || s.list.check(e, v, seen)
	case map[string]any:
		return s.object == nil || s.checkObject(e, v, seen)
	}
	return true
}

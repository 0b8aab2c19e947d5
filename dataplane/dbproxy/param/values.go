package param

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Values are parameters that were given, by name, in the Go types that Type
// tells of. What was not given is not in it: the accessors of Set know the
// defaults.
type Values map[string]any

// Set is the parameters of one object with their descriptions.
type Set struct {
	specs  Specs
	values Values
}

// Fault is something wrong with one parameter.
type Fault struct{ Name, Message string }

// Error is the fault in words.
func (f Fault) Error() string { return fmt.Sprintf("%s %s", f.Name, f.Message) }

// Faults are all faults of a set, in the order of names.
type Faults []Fault

// Error lists the faults.
func (f Faults) Error() string {
	words := make([]string, len(f))
	for i, fault := range f {
		words[i] = fault.Error()
	}
	return strings.Join(words, "; ")
}

// Parse reads parameters as JSON has them (json.Number or float64 for
// numbers). A null resets a parameter to its default. The fault of each one
// that cannot be read is told, and of each that is missing or not known.
func Parse(specs Specs, given map[string]any) (Set, Faults) {
	set, faults := ParseSome(specs, given)
	for i := range specs {
		if spec := &specs[i]; spec.Mandatory && set.values[spec.Name] == nil && !slices.ContainsFunc(faults, func(f Fault) bool { return f.Name == spec.Name }) {
			faults = append(faults, Fault{spec.Name, "must be given"})
		}
	}
	slices.SortFunc(faults, func(a, b Fault) int { return strings.Compare(a.Name, b.Name) })
	return set, faults
}

// ParseSome is Parse where mandatory parameters may be missing.
func ParseSome(specs Specs, given map[string]any) (set Set, faults Faults) {
	set = Set{specs: specs, values: Values{}}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		spec, ok := specs.Find(name)
		if !ok {
			faults = append(faults, Fault{name, "is not a parameter here"})
			continue
		}
		if given[name] == nil || spec.Ignored {
			continue
		}
		value, err := spec.parse(given[name])
		if err != nil {
			faults = append(faults, Fault{name, err.Error()})
			continue
		}
		if value == nil {
			continue
		}
		if _, twice := set.values[spec.Name]; twice && name != spec.Name {
			continue // the name itself counts before its older ones
		}
		set.values[spec.Name] = value
	}
	return set, faults
}

// MustParse is Parse for parameters that a program writes down: it panics when
// one is wrong.
func MustParse(specs Specs, given map[string]any) Set {
	set, faults := Parse(specs, given)
	if len(faults) > 0 {
		panic(faults)
	}
	return set
}

// Specs describe the parameters of the set.
func (s Set) Specs() Specs { return s.specs }

// Given are the values that were given.
func (s Set) Given() Values { return s.values }

// Has tells whether a parameter was given.
func (s Set) Has(name string) bool { return s.values[name] != nil }

// value is what was given or else the default.
func (s Set) value(name string) any {
	if v, ok := s.values[name]; ok {
		return v
	}
	if spec, ok := s.specs.Find(name); ok {
		return spec.Default
	}
	return nil
}

func get[T any](s Set, name string) T {
	v, _ := s.value(name).(T) //nolint:errcheck // the zero value stands for none
	return v
}

// Bool is a truth value, false when there is none.
func (s Set) Bool(name string) bool { return get[bool](s, name) }

// Int is a number: an Int, a Count or a Size; 0 when there is none.
func (s Set) Int(name string) int64 { return get[int64](s, name) }

// Duration is a duration, 0 when there is none, negative for "off".
func (s Set) Duration(name string) time.Duration { return get[time.Duration](s, name) }

// String is a text of any kind, "" when there is none.
func (s Set) String(name string) string { return get[string](s, name) }

// List is a StringList or an EnumMask.
func (s Set) List(name string) []string { return get[[]string](s, name) }

// Regex is a regular expression, nil when there is none.
func (s Set) Regex(name string) *Regex { return get[*Regex](s, name) }

// Object is a value as JSON has it.
func (s Set) Object(name string) map[string]any { return get[map[string]any](s, name) }

// Package jsonschema checks values against the schemas of OpenAPI documents:
// the Schema Object of OpenAPI 3.0, and JSON Schema 2020-12, which is that of
// 3.1. Schemas are compiled once, refer to each other freely, and are used by
// many requests at once. The work that one value may cost is bounded, whatever
// the schemas are: a value that branches of a recursive schema fit in many ways
// would otherwise cost time that grows exponentially with its depth.
//
// Values are those of Decode: nil, bool, json.Number, string, []any,
// map[string]any, and File.
package jsonschema

// Schema is a compiled schema.
type Schema struct {
	pointer string
	never   bool // it fits nothing
	types   Types
	kinds   Types // what types values that fit can have, by all that it says
	// nullable lets null pass, whatever else is said (OpenAPI 3.0).
	nullable            bool
	readOnly, writeOnly bool
	// unrequired are properties that are not required in a direction, since
	// they are not to be sent in it.
	unrequired map[string]Direction

	enum   *members
	number *numberRules
	text   *textRules
	list   *listRules
	object *objectRules

	ref                    *Schema
	allOf, anyOf, oneOf    []*Schema
	not, when, then, other *Schema
	chosen                 *discriminator
	// What is left over when all else has looked at a value; nil if anything
	// may be.
	unevaluatedItems, unevaluatedProperties *Schema
	// reenters marks a schema that applies to the same value again.
	reenters bool
}

// Pointer is where the schema is in the document.
func (s *Schema) Pointer() string { return s.pointer }

// Types are types of values: a set of bits.
type Types uint8

// The types. Integers are numbers as well: Number alone is for fractions.
const (
	Null Types = 1 << iota
	Boolean
	Integer
	Number
	String
	Array
	Object

	// Anything is all of them.
	Anything = Null | Boolean | Integer | Number | String | Array | Object
)

// Has tells whether all of some types are among them.
func (t Types) Has(some Types) bool { return t&some == some }

// typeNames are the types as documents name them, in the order in which they
// are told.
var typeNames = [...]struct {
	name string
	bits Types
}{
	{"null", Null}, {"boolean", Boolean}, {"integer", Integer}, {"number", Integer | Number}, {"string", String},
	{"array", Array}, {"object", Object},
}

// names are the types as documents name them.
func (t Types) names() []string {
	var names []string
	for _, n := range typeNames {
		if t.Has(n.bits) && (n.name != "integer" || !t.Has(Number)) {
			names = append(names, n.name)
		}
	}
	return names
}

// Direction is where a value goes.
type Direction uint8

// The directions.
const (
	Request Direction = 1 << iota
	Response
)

// File stands for content that is not looked at, such as a file in a form. It
// fits where a string may be of which nothing is said but its length, which for
// a file is in bytes.
type File struct{ Size int }

type numberRules struct {
	min, max     *number
	above, below *number // exclusive
	multipleOf   *number
	least, most  int64 // of a format
	formatted    string
}

type textRules struct {
	min, max int // max is -1 for none
	pattern  *pattern
	format   *format
}

type listRules struct {
	min, max                 int // max is -1 for none
	unique                   bool
	prefix                   []*Schema
	items                    *Schema
	contains                 *Schema
	minContains, maxContains int // max is -1 for none
}

type objectRules struct {
	min, max          int // max is -1 for none
	required          []string
	properties        map[string]*Schema
	names             []string // of properties, sorted
	sent              []string // of those that are sent in one direction alone
	patterns          []patternRule
	additional        *Schema // nil for anything
	propertyNames     *Schema
	dependentRequired []dependency
	dependentSchemas  []dependentSchema
}

type patternRule struct {
	pattern *pattern // nil for one that cannot be said in Go
	schema  *Schema
}

type dependency struct {
	name  string
	needs []string
}

type dependentSchema struct {
	name   string
	schema *Schema
}

// discriminator finds the branch that a value says it is of.
type discriminator struct {
	property string
	branches map[string]*Schema
}

// Kinds are the types that values which fit can have, as far as that is said.
func (s *Schema) Kinds() Types { return s.kinds }

// Schemas are followed so far, and so many of them, to find what they say of a
// property or an item.
const maxNesting, maxVisited = 16, 512

// maxLookup is how much patterns may cost to find the schema of one property: what
// is found tells how a text is read, and not whether it fits.
const maxLookup = 1 << 10

// Property is the schema of a property, as far as one is given for that name;
// declared tells whether it is named, and not only not forbidden.
func (s *Schema) Property(name string) (property *Schema, declared bool) {
	left := maxLookup
	s.visit(func(s *Schema) bool {
		o := s.object
		if o == nil {
			return true
		}
		if p := o.properties[name]; p != nil {
			property, declared = p, true
			return false
		}
		if property != nil {
			return true
		}
		for _, p := range o.patterns {
			if p.pattern == nil {
				continue
			}
			if left -= p.pattern.cost; left >= 0 && p.pattern.re.MatchString(name) {
				property = p.schema
				return true
			}
		}
		property = o.additional
		return true
	})
	return property, declared
}

// Properties are the names of all properties that are declared, and whether
// others are said to be possible.
func (s *Schema) Properties() (names []string, open bool) {
	seen := map[string]bool{}
	s.visit(func(s *Schema) bool {
		o := s.object
		if o == nil {
			return true
		}
		for _, name := range o.names {
			if !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
		open = open || o.additional != nil && !o.additional.never || len(o.patterns) > 0
		return true
	})
	return names, open
}

// Item is the schema of an item of an array, nil if none is given.
func (s *Schema) Item(index int) (item *Schema) {
	s.visit(func(s *Schema) bool {
		l := s.list
		switch {
		case l == nil:
		case index < len(l.prefix):
			item = l.prefix[index]
		default:
			item = l.items
		}
		return item == nil
	})
	return item
}

// Holds tells whether values can hold content that is no text: files.
func (s *Schema) Holds() (files bool) {
	s.visit(func(s *Schema) bool {
		files = s.text != nil && s.text.format != nil && s.text.format.binary
		return !files
	})
	return files
}

// visit calls f for a schema and those that apply to the same value, until f
// returns false.
func (s *Schema) visit(f func(*Schema) bool) {
	left := maxVisited
	s.walk(0, &left, true, f)
}

// walk calls f for a schema and those that apply to the same value, or, without
// choices, those that do so always. It is false when f was.
func (s *Schema) walk(depth int, left *int, choices bool, f func(*Schema) bool) bool {
	if *left--; depth > maxNesting || *left < 0 {
		return true
	}
	if !f(s) || s.ref != nil && !s.ref.walk(depth+1, left, choices, f) {
		return false
	}
	for i, branches := range [...][]*Schema{s.allOf, s.anyOf, s.oneOf} {
		if i > 0 && !choices {
			break
		}
		for _, b := range branches {
			if !b.walk(depth+1, left, choices, f) {
				return false
			}
		}
	}
	return true
}

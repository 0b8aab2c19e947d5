// Package schema describes entities and configurations: their fields with
// types, defaults and rules. From one description come the reading of JSON and
// of forms, the defaults, the checks with their messages, the merging of
// changes, and the description that clients are shown (GET /schemas).
//
// Values are those of encoding/json, but that integers are int64: nil, bool,
// int64, float64, string, []any, map[string]any.
package schema

// Type is the type of a field.
type Type string

// The types.
const (
	String  Type = "string"
	Integer Type = "integer"
	Number  Type = "number"
	Boolean Type = "boolean"
	Array   Type = "array"
	Set     Type = "set" // an array without duplicates
	Map     Type = "map"
	RecordT Type = "record"
	Foreign Type = "foreign" // {"id": …} of another entity
	JSON    Type = "json"    // anything
)

// Field describes a value.
type Field struct {
	Name     string // "" for elements, keys and values
	Type     Type
	Required bool // null is refused; a missing record is made of its defaults
	// Default is filled in when the field is missing; nil for none. It may be
	// of any Go type that encoding/json makes the value of.
	Default any
	// Auto is filled in when it is missing, and Unique barred twice; both are
	// for who stores entities.
	Auto, Unique bool
	UUID         bool // a string that is a UUID

	OneOf   []any       // of the types that values have, or int
	Between *[2]float64 // numbers, inclusive
	Above   *float64    // numbers, exclusive ("gt")
	// Lengths of strings, arrays, sets and maps. Strings have one byte at
	// least unless MinLen is negative.
	MinLen, MaxLen int
	StartsWith     string
	Match          string // a regular expression, for clients to see; Check is what counts
	Eq             bool   // must be null
	Hidden         bool   // a secret that is not shown in logs

	Elements  *Field  // of arrays and sets
	Keys      *Field  // of maps
	Values    *Field  // of maps
	Fields    []Field // of records
	Reference string  // of foreign fields: the collection
	// Alternatives are the fields by which a foreign entity may be named
	// besides its id, such as "name", with their checks.
	Alternatives []Field

	// Check tells what is wrong with a value of the right type that is not
	// null.
	Check func(v any) error
	// Checks are the rules of a record between its fields.
	Checks []Check
	// Aliases are old names of fields inside a record, by name: with the path
	// of what they stand for.
	Aliases map[string][]string

	Description string
}

// Record describes an entity, or the configuration of a plugin.
type Record struct {
	Name   string
	Fields []Field
	Checks []Check
	// Aliases are as in Field.
	Aliases map[string][]string
	// Inputs are fields that clients may send and that are not kept: forms are
	// read by them, and who handles them takes them out before Complete.
	Inputs []Field
	// Prepare changes a document before its defaults are filled in, where a
	// default depends on another field. The document is a copy.
	Prepare func(doc map[string]any)
}

// Check is a rule between the fields of a record.
type Check struct {
	// Shown is how clients are shown the rule, such as
	// {"at_least_one_of": ["hosts", "paths"]}; nil keeps it to ourselves.
	Shown any
	// Needs are fields: when one of them is wrong by itself the rule is not
	// asked. Others may hold anything.
	Needs []string
	// Func reports what is wrong: to the record as a whole with field "", or to
	// a field below it, such as "redis.host".
	Func func(record map[string]any, report func(field, message string))
	// Within is the same rule for a record that has this one under a name: its
	// fields are "name.field" there. It is nil for rules that cannot say so.
	Within func(name string) Check
}

// field is the record as a field.
func (r *Record) field() *Field {
	return &Field{Type: RecordT, Required: true, Fields: r.Fields, Checks: r.Checks, Aliases: r.Aliases}
}

// lookup finds a field of a record by its name, or nil.
func lookup(fields []Field, name string) *Field {
	for i := range fields {
		if fields[i].Name == name {
			return &fields[i]
		}
	}
	return nil
}

// at finds the field of a record that a path leads to, or nil.
func at(fields []Field, path []string) *Field {
	for i, name := range path {
		f := lookup(fields, name)
		if f == nil || i == len(path)-1 {
			return f
		}
		fields = f.Fields
	}
	return nil
}

// Field is the field of a name, or nil.
func (r *Record) Field(name string) *Field { return lookup(r.Fields, name) }

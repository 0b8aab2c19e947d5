package param

import (
	"slices"
	"time"
)

// Type is the type of a parameter, by the name that clients know.
type Type string

// The types, with the Go type in which Values holds them.
const (
	TypeBool       Type = "bool"       // bool
	TypeInt        Type = "int"        // int64
	TypeCount      Type = "count"      // int64, not negative
	TypeSize       Type = "size"       // int64, in bytes
	TypeDuration   Type = "duration"   // time.Duration
	TypeString     Type = "string"     // string
	TypePassword   Type = "password"   // string, never shown
	TypePath       Type = "path"       // string
	TypeHost       Type = "host"       // string
	TypeRegex      Type = "regex"      // *Regex
	TypeEnum       Type = "enum"       // string
	TypeEnumMask   Type = "enum_mask"  // []string, in the order of Spec.Enum
	TypeStringList Type = "stringlist" // []string
	TypeTarget     Type = "target"     // string, the name of a server or service
	TypeObject     Type = "object"     // map[string]any, as JSON has it
	TypeThrottling Type = "throttling" // map[string]any with count, and window and suppress in ms
)

// Spec describes one parameter.
type Spec struct {
	Name string
	Type Type
	// Default is the value, of the Go type of Type, when none is given; nil is
	// none, shown as null.
	Default     any
	Mandatory   bool
	Fixed       bool // cannot be changed after the object is made
	Description string
	// Unit is what a bare number means, and how fine a duration is kept.
	// Seconds when zero.
	Unit time.Duration
	// Fine keeps parts of seconds also where a bare number means seconds.
	Fine bool
	// Enum are the values of Enum and EnumMask.
	Enum []string
	// EnumAliases are other words for values of Enum, or in a String that lists
	// words.
	EnumAliases map[string]string
	// Min and Max bound numbers, where Max is above Min; durations are bounded
	// in nanoseconds.
	Min, Max int64
	// Negative lets a duration or a size be -1 of its unit: "off".
	Negative bool
	// Aliases are older names that are read as this one.
	Aliases    []string
	Deprecated bool
	// Ignored is read and checked for nothing, and not shown.
	Ignored bool
}

// Specs are the parameters of one kind of object.
type Specs []Spec

// Find returns the parameter of a name or of an alias of it.
func (s Specs) Find(name string) (*Spec, bool) {
	for i := range s {
		if s[i].Name == name || slices.Contains(s[i].Aliases, name) {
			return &s[i], true
		}
	}
	return nil, false
}

// With returns s and more together.
func (s Specs) With(more ...Spec) Specs { return slices.Concat(s, Specs(more)) }

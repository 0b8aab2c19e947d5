package schema

// The fields that many records have.

// ID is the field "id".
func ID() Field { return Field{Name: "id", Type: String, UUID: true, Auto: true} }

// Time is a field of seconds since 1970 that is filled in by who stores it.
func Time(name string) Field { return Field{Name: name, Type: Integer, Auto: true} }

// Tags is the field "tags".
func Tags() Field {
	return Field{Name: "tags", Type: Set, Elements: &Field{Type: String, Required: true, Check: Tag}}
}

// Bool is a switch that has a default.
func Bool(name string, byDefault bool) Field {
	return Field{Name: name, Type: Boolean, Required: true, Default: byDefault}
}

// Int is an integer between two bounds that has a default; nil for none.
func Int(name string, least, most float64, byDefault any) Field {
	return Field{Name: name, Type: Integer, Between: Between(least, most), Default: byDefault}
}

// Strings is an array of strings that each pass a check, or nil for none.
func Strings(name string, check func(v any) error) Field {
	return Field{Name: name, Type: Array, Elements: &Field{Type: String, Check: check}}
}

// Choice is one of some strings.
func Choice(name string, byDefault any, oneOf ...any) Field {
	return Field{Name: name, Type: String, OneOf: oneOf, Default: byDefault}
}

// Nested is a record that is never null.
func Nested(name string, fields ...Field) Field {
	return Field{Name: name, Type: RecordT, Required: true, Fields: fields}
}

// Between are bounds for Field.Between.
func Between(least, most float64) *[2]float64 { return &[2]float64{least, most} }

// Above is a bound for Field.Above.
func Above(bound float64) *float64 { return &bound }

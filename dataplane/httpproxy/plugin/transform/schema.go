package transform

import (
	"fmt"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy/header"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// List is a field of entries that each pass a check, empty by default.
func List(name string, check func(entry string) error) schema.Field {
	f := schema.Field{
		Name: name, Type: schema.Array, Required: true, Default: []string{}, Elements: &schema.Field{Type: schema.String},
	}
	if check != nil {
		f.Elements.Check = schema.Text(check)
	}
	return f
}

// HeaderName wants the name of a field.
func HeaderName(entry string) error {
	if !header.ValidName(entry) {
		return fmt.Errorf("'%s' is not a valid header", entry)
	}
	return nil
}

// HeaderPair wants the name of a field with a value.
func HeaderPair(entry string) error {
	if err := Valued(entry); err != nil {
		return err
	}
	name, value, _ := strings.Cut(entry, ":")
	if !header.ValidValue(value) {
		return fmt.Errorf("the value of '%s' is not valid in a header", name)
	}
	return HeaderName(name)
}

// HeaderRename wants two names of fields.
func HeaderRename(entry string) error {
	if err := HeaderPair(entry); err != nil {
		return err
	}
	_, to, _ := strings.Cut(entry, ":")
	return HeaderName(to)
}

// Valued wants a name with a value.
func Valued(entry string) error {
	name, value, _ := strings.Cut(entry, ":")
	if name == "" || value == "" {
		return fmt.Errorf("key '%s' has no value", name)
	}
	return nil
}

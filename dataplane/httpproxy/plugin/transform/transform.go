// Package transform has what the plugins have in common that change requests
// and responses: edits of named values, and JSON objects that they are made to.
package transform

import "strings"

// Edit is a change of what has a name. Rename takes the new name from Value.
type Edit struct {
	Name, Value string
	// JSON is the value where it goes into JSON; nil for the string.
	JSON any
}

// Edits are changes that are made in the order of the fields.
type Edits struct {
	Remove, Rename, Replace, Add, Append []Edit
}

// Empty tells whether there are none.
func (e *Edits) Empty() bool {
	return len(e.Remove)+len(e.Rename)+len(e.Replace)+len(e.Add)+len(e.Append) == 0
}

// All calls f for each list, in order.
func (e *Edits) All(f func(list []Edit)) {
	for _, list := range [][]Edit{e.Remove, e.Rename, e.Replace, e.Add, e.Append} {
		f(list)
	}
}

// Target is what edits are made to.
type Target interface {
	Has(name string) bool
	Remove(name string)
	// Rename is called for names that there are; what had the new name is gone.
	Rename(name, to string)
	// Set puts one value in the place of all that have the name.
	Set(e *Edit)
	// Append adds a value to those that have the name.
	Append(e *Edit)
}

// Apply makes the changes.
func (e *Edits) Apply(t Target) {
	for i := range e.Remove {
		t.Remove(e.Remove[i].Name)
	}
	for i := range e.Rename {
		if r := &e.Rename[i]; r.Name != r.Value && r.Value != "" && t.Has(r.Name) {
			t.Rename(r.Name, r.Value)
		}
	}
	for i := range e.Replace {
		if t.Has(e.Replace[i].Name) {
			t.Set(&e.Replace[i])
		}
	}
	for i := range e.Add {
		if !t.Has(e.Add[i].Name) {
			t.Set(&e.Add[i])
		}
	}
	for i := range e.Append {
		t.Append(&e.Append[i])
	}
}

// Parse reads entries of the form name:value, or of a name alone.
func Parse(entries []string) []Edit {
	edits := make([]Edit, len(entries))
	for i, entry := range entries {
		edits[i].Name, edits[i].Value, _ = strings.Cut(entry, ":")
	}
	return edits
}

package proxy

import (
	"fmt"
	"strings"

	"github.com/backplane/backplane/internal/errs"
)

// kind is a kind of object: how it is named, and what it can be related to.
type kind struct {
	plural, singular string
	fold             bool // whether the case of names does not count
	// relations can be written, whichever of the two objects keeps them.
	relations []string
	// moduleField is the attribute that names the module; "" without one.
	moduleField string
}

// The names of the kinds, which are also the types of resources, the segments
// of paths and the names of relationships.
const (
	services  = "services"
	servers   = "servers"
	listeners = "listeners"
	filters   = "filters"
	monitors  = "monitors"
	sessions  = "sessions"
	users     = "users"
	program   = "maxscale"
	counters  = "collection" // rows that count the versions of collections
)

// kinds are the kinds of objects, in the order in which they depend on each
// other.
func kinds() []kind {
	return []kind{
		{plural: servers, singular: "server", fold: true, relations: []string{services, monitors}},
		{plural: filters, singular: "filter", moduleField: "module"},
		{plural: monitors, singular: "monitor", relations: []string{servers, services}, moduleField: "module"},
		{plural: services, singular: "service", fold: true, relations: []string{servers, services, filters, monitors}, moduleField: "router"},
		{plural: listeners, singular: "listener", fold: true, relations: []string{services}},
	}
}

// kindOf is the kind of that name; for others that have objects in the store,
// the name stands for itself.
func kindOf(name string) kind {
	for _, k := range kinds() {
		if k.plural == name {
			return k
		}
	}
	return kind{plural: name, singular: name}
}

// key is what a name is found by.
func (k kind) key(name string) string {
	name = hyphens(name)
	if k.fold {
		return strings.ToLower(name)
	}
	return name
}

// hyphens is a name with hyphens in place of white space.
func hyphens(name string) string { return strings.Join(strings.FieldsFunc(name, isSpace), "-") }

func isSpace(r rune) bool { return strings.ContainsRune(" \t\r\n\v\f", r) }

const (
	nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.~-"
	maxName     = 255
)

// checkName is the name of a new object, or what is wrong with it.
func checkName(given string) (string, error) {
	name := hyphens(given)
	switch {
	case name == "":
		return "", invalid("data.id", "must be the name of what to make")
	case len(name) > maxName:
		return "", invalid("data.id", fmt.Sprintf("must have at most %d characters", maxName))
	case strings.Trim(name, nameLetters) != "":
		return "", invalid("data.id", "may have letters, digits, _ . ~ and -")
	}
	return name, nil
}

// missing is the error for an object that is not there.
func (k kind) missing(name string) error {
	return errs.New(errs.NotFound, "%s is not %s %s", name, article(k.singular), k.singular)
}

func article(word string) string {
	if strings.ContainsRune("aeio", rune(word[0])) {
		return "an"
	}
	return "a"
}

func invalid(path, message string) error {
	return errs.Invalid(errs.Field{Path: path, Message: message})
}

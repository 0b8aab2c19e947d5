// Package declarative reads and writes the configuration of the HTTP gateway as
// one document: the declarative format of the Kong Admin API, version 3.0, in
// YAML or JSON.
//
// A document has lists of entities under the names of their schemas. What
// belongs to an entity may be below it, such as the routes of a service, or
// name it.
package declarative

import (
	"slices"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// Version is the version of the format.
const Version = "3.0"

// levels are the collections in the order in which entities can be made: what
// they refer to comes before them.
var levels = []string{
	"certificates", "ca_certificates", "consumers", "snis", "services", "upstreams",
	string(entity.KeyAuth), string(entity.BasicAuth), string(entity.JWT), string(entity.ACL), "routes", "targets", "plugins",
}

// Level is the place of a collection in the order in which entities are made.
func Level(c *entity.Collection) int { return slices.Index(levels, c.Name) }

// below is what belongs to the entities of a collection, and by which field.
type below struct {
	*entity.Collection
	field string
}

// children are what may be below the entities of a collection, in the order in
// which it is written.
func children(c *entity.Collection) (out []below) {
	for _, other := range entity.Collections() {
		for _, f := range other.Foreign {
			if f.Collection == c.Name && (f.Cascade || other.Name == "routes") {
				out = append(out, below{other, f.Field})
			}
		}
	}
	return out
}

// bySchema finds the collection whose list has a name.
func bySchema(name string) *entity.Collection {
	for _, c := range entity.Collections() {
		if c.SchemaName() == name {
			return c
		}
	}
	return nil
}

package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
)

// Lease names the one process that does what must happen once.
type Lease struct{ ent.Schema }

// Annotations of the Lease.
func (Lease) Annotations() []schema.Annotation { return []schema.Annotation{binary()} }

// Fields of the Lease.
func (Lease) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").MaxLen(64).Immutable(),
		field.String("holder").MaxLen(64),
		field.Int64("expires_at"),
	}
}

package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"
)

// ProxyObject is something that the database proxy is configured with: a
// server, service, listener, filter or monitor, the settings of the proxy, or
// the version counter of a collection.
type ProxyObject struct{ ent.Schema }

// Annotations of the ProxyObject.
func (ProxyObject) Annotations() []schema.Annotation { return []schema.Annotation{binary()} }

// Fields of the ProxyObject.
func (ProxyObject) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Default(uuid.New).Immutable(),
		field.String("kind").MaxLen(16).Immutable(),
		field.String("name").MaxLen(255).Immutable(),
		field.String("name_key").MaxLen(255).Immutable().
			Comment("The name, in lower case where case does not count."),
		field.String("module").MaxLen(64).Default(""),
		field.JSON("parameters", map[string]any{}).
			Comment("What was given, without passwords and defaults."),
		field.JSON("sealed", map[string][]byte{}).Sensitive().
			Comment("Parameter name to sealed value."),
		field.JSON("links", map[string][]string{}).
			Comment("Relationship to names, in order."),
		field.JSON("states", []string{}).Optional().
			Comment("States of a server that were set by hand."),
		field.Bool("stopped").Default(false),
		field.Uint32("version").Default(0),
		field.Int64("created_at").Immutable(),
		field.Int64("changed_at"),
	}
}

// Indexes of the ProxyObject.
func (ProxyObject) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("kind", "name_key").Unique(),
		index.Fields("kind", "created_at", "id"),
	}
}

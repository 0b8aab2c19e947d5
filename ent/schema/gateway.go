package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"
)

// plainUUID is the type of ids that are read in order: the UUIDs of MariaDB have
// an order of their own.
func plainUUID() map[string]string { return map[string]string{dialect.MySQL: "char(36)"} }

// GatewayObject is something that the HTTP gateway is configured with: a row of
// one of its collections, such as a service or a plugin.
type GatewayObject struct{ ent.Schema }

// Annotations of the GatewayObject.
func (GatewayObject) Annotations() []schema.Annotation { return []schema.Annotation{binary()} }

// Fields of the GatewayObject.
func (GatewayObject) Fields() []ent.Field {
	return []ent.Field{
		field.String("kind").MaxLen(32).Immutable().Comment("The collection that it is in."),
		field.UUID("object_id", uuid.UUID{}).SchemaType(plainUUID()).Immutable().
			Comment("The id that clients know it by. Objects of several kinds may have the same."),
		field.String("name_key").MaxLen(255).Optional().Nillable().
			Comment("What it is named by, which no other of its kind has: the name, or a hash of one that is long or secret."),
		field.String("other_key").MaxLen(255).Optional().Nillable().
			Comment("What else no other of its kind has."),
		field.UUID("service_id", uuid.UUID{}).SchemaType(plainUUID()).Optional().Nillable(),
		field.UUID("route_id", uuid.UUID{}).SchemaType(plainUUID()).Optional().Nillable(),
		field.UUID("consumer_id", uuid.UUID{}).SchemaType(plainUUID()).Optional().Nillable(),
		field.UUID("upstream_id", uuid.UUID{}).SchemaType(plainUUID()).Optional().Nillable(),
		field.UUID("certificate_id", uuid.UUID{}).SchemaType(plainUUID()).Optional().Nillable(),
		field.Bytes("document").
			SchemaType(map[string]string{dialect.MySQL: "mediumblob"}).
			Comment("The entity as JSON, without secrets."),
		field.JSON("sealed", map[string][]byte{}).Sensitive().
			Comment("Path of a secret in the document to its sealed value."),
		field.Int64("created_at").Comment("Milliseconds since 1970."),
		field.Int64("updated_at"),
		field.Uint64("version").Comment("How often it was written."),
		field.String("owner").MaxLen(128).Default("").
			Comment("What generated it and keeps it as it is to be; empty for what users made."),
	}
}

// Indexes of the GatewayObject.
func (GatewayObject) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("kind", "object_id").Unique(),
		index.Fields("kind", "name_key").Unique(),
		index.Fields("kind", "other_key").Unique(),
		index.Fields("service_id", "kind", "object_id"),
		index.Fields("route_id", "kind", "object_id"),
		index.Fields("consumer_id", "kind", "object_id"),
		index.Fields("upstream_id", "kind", "object_id"),
		index.Fields("certificate_id", "kind", "object_id"),
		index.Fields("owner", "kind"),
	}
}

// GatewayLabel is what GatewayObjects are found by besides: a tag, or an
// authority that a service is trusted by.
type GatewayLabel struct{ ent.Schema }

// Annotations of the GatewayLabel.
func (GatewayLabel) Annotations() []schema.Annotation { return []schema.Annotation{binary()} }

// Fields of the GatewayLabel.
func (GatewayLabel) Fields() []ent.Field {
	return []ent.Field{
		field.String("class").MaxLen(16).Immutable().Comment("tag, authority or plugin."),
		field.String("value_key").MaxLen(255).Immutable().Comment("The value, or a hash of one that is long."),
		field.Bytes("value").SchemaType(map[string]string{dialect.MySQL: "mediumblob"}).Immutable().
			Comment("A text, of which not every store takes all as one."),
		field.String("kind").MaxLen(32).Immutable().Comment("The collection that the object is in."),
		field.UUID("object_id", uuid.UUID{}).SchemaType(plainUUID()).Immutable(),
	}
}

// Indexes of the GatewayLabel.
func (GatewayLabel) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("class", "value_key", "kind", "object_id").Unique(),
		index.Fields("class", "id"),
		index.Fields("class", "value_key", "id"),
		index.Fields("object_id", "kind"),
	}
}

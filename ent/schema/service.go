// Package schema declares the entities of the store. Run `make generate` after
// a change.
//
// Times are integers, microseconds since the Unix epoch, because the three
// kinds of store round and order their own time types differently.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"
)

// binary makes MariaDB and MySQL compare text as SQLite and PostgreSQL do.
func binary() schema.Annotation {
	return entsql.Annotation{Charset: "utf8mb4", Collation: "utf8mb4_bin"}
}

// Service is one backend connection of the catalogue.
type Service struct{ ent.Schema }

// Annotations of the Service.
func (Service) Annotations() []schema.Annotation { return []schema.Annotation{binary()} }

// Fields of the Service.
func (Service) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Default(uuid.New).Immutable(),
		field.String("name").MaxLen(512),
		field.String("project").MaxLen(63).Immutable(),
		field.String("name_key").MaxLen(64).
			Comment("Digest of the name in folded case: unique names under every collation."),
		field.String("service_type").MaxLen(32).Immutable(),
		field.JSON("config", map[string]any{}).
			Comment("The configuration as written, without what is sealed and without defaults."),
		field.JSON("sealed", map[string][]byte{}).Sensitive().
			Comment("Field name to sealed value."),
		field.Bool("enabled").Default(true),
		field.Bool("active").Default(true),
		field.Text("description").Default(""),
		field.Text("search").Default("").
			Comment("Name and description in folded case: stores differ in what case is."),
		field.JSON("tags", []string{}).Optional(),
		field.JSON("labels", map[string]string{}).Optional(),
		field.Int64("check_interval_us").Default(0).Comment("0: the monitor leaves the service alone."),
		field.Int64("check_timeout_us").Default(0),
		field.Uint32("failures_before_critical").Default(0),
		field.Uint32("successes_before_passing").Default(0),
		field.Uint32("version").Default(1),
		field.Int64("created_at").Immutable(),
		field.Int64("updated_at"),

		field.String("health_status").MaxLen(16).Default("unknown"),
		field.Int64("health_since"),
		field.Int64("last_checked").Default(0),
		field.String("last_code").MaxLen(32).Default(""),
		field.Text("last_message").Default(""),
		field.Uint32("failures").Default(0).Comment("Failed tests in a row."),
		field.Uint32("successes").Default(0).Comment("Good tests in a row."),
		field.Uint32("auth_failures").Default(0).Comment("Refused logins in a row."),
	}
}

// Edges of the Service.
func (Service) Edges() []ent.Edge {
	cascade := entsql.OnDelete(entsql.Cascade)
	return []ent.Edge{
		edge.From("in_project", Project.Type).Ref("services").Field("project").Unique().Required().Immutable(),
		edge.To("tag_rows", ServiceTag.Type).Annotations(cascade),
		edge.To("label_rows", ServiceLabel.Type).Annotations(cascade),
		edge.To("versions", ServiceVersion.Type).Annotations(cascade),
		edge.To("health", HealthEntry.Type).Annotations(cascade),
		// A server that holds databases, or that a plan makes them on, stays.
		edge.From("plans", Plan.Type).Ref("services"),
		edge.To("databases", Database.Type),
	}
}

// Indexes of the Service.
func (Service) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("project", "name_key").Unique(),
		index.Fields("created_at", "id"),
		index.Fields("project", "created_at", "id"),
		index.Fields("service_type", "created_at", "id"),
		index.Fields("health_status", "created_at", "id"),
		index.Fields("check_interval_us"),
	}
}

// ServiceTag makes services findable by tag.
type ServiceTag struct{ ent.Schema }

// Annotations of the ServiceTag.
func (ServiceTag) Annotations() []schema.Annotation { return []schema.Annotation{binary()} }

// Fields of the ServiceTag.
func (ServiceTag) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("service_id", uuid.UUID{}),
		field.String("tag").MaxLen(63),
	}
}

// Edges of the ServiceTag.
func (ServiceTag) Edges() []ent.Edge {
	return []ent.Edge{edge.From("service", Service.Type).Ref("tag_rows").Field("service_id").Unique().Required()}
}

// Indexes of the ServiceTag.
func (ServiceTag) Indexes() []ent.Index {
	return []ent.Index{index.Fields("tag", "service_id").Unique(), index.Fields("service_id")}
}

// ServiceLabel makes services findable by label.
type ServiceLabel struct{ ent.Schema }

// Annotations of the ServiceLabel.
func (ServiceLabel) Annotations() []schema.Annotation { return []schema.Annotation{binary()} }

// Fields of the ServiceLabel.
func (ServiceLabel) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("service_id", uuid.UUID{}),
		field.String("key").MaxLen(127),
		// Up to 256 characters: MaxLen counts bytes, MySQL's varchar characters.
		field.String("value").MaxLen(1024).SchemaType(map[string]string{dialect.MySQL: "varchar(256)"}),
	}
}

// Edges of the ServiceLabel.
func (ServiceLabel) Edges() []ent.Edge {
	return []ent.Edge{edge.From("service", Service.Type).Ref("label_rows").Field("service_id").Unique().Required()}
}

// Indexes of the ServiceLabel.
func (ServiceLabel) Indexes() []ent.Index {
	return []ent.Index{index.Fields("key", "value", "service_id"), index.Fields("service_id")}
}

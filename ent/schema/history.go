package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"
)

// Snapshot is a service as it was at one version.
type Snapshot struct {
	Name                   string            `json:"name"`
	Config                 map[string]any    `json:"config"`
	Sealed                 map[string][]byte `json:"sealed,omitempty"`
	Enabled                bool              `json:"enabled"`
	Description            string            `json:"description,omitempty"`
	Tags                   []string          `json:"tags,omitempty"`
	Labels                 map[string]string `json:"labels,omitempty"`
	CheckIntervalUs        int64             `json:"check_interval_us,omitempty"`
	CheckTimeoutUs         int64             `json:"check_timeout_us,omitempty"`
	FailuresBeforeCritical uint32            `json:"failures_before_critical,omitempty"`
	SuccessesBeforePassing uint32            `json:"successes_before_passing,omitempty"`
}

// ServiceVersion is a kept version of a service.
type ServiceVersion struct{ ent.Schema }

// Annotations of the ServiceVersion.
func (ServiceVersion) Annotations() []schema.Annotation { return []schema.Annotation{binary()} }

// Fields of the ServiceVersion.
func (ServiceVersion) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("service_id", uuid.UUID{}).Immutable(),
		field.Uint32("version").Immutable(),
		field.Int64("created_at").Immutable(),
		field.String("created_by").MaxLen(255).Immutable(),
		field.JSON("snapshot", Snapshot{}).Sensitive().Immutable(),
	}
}

// Edges of the ServiceVersion.
func (ServiceVersion) Edges() []ent.Edge {
	return []ent.Edge{edge.From("service", Service.Type).Ref("versions").Field("service_id").Unique().Required().Immutable()}
}

// Indexes of the ServiceVersion.
func (ServiceVersion) Indexes() []ent.Index {
	return []ent.Index{index.Fields("service_id", "version").Unique()}
}

// HealthEntry is one test of a service.
type HealthEntry struct{ ent.Schema }

// Annotations of the HealthEntry.
func (HealthEntry) Annotations() []schema.Annotation { return []schema.Annotation{binary()} }

// Fields of the HealthEntry.
func (HealthEntry) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("service_id", uuid.UUID{}).Immutable(),
		field.Int64("at").Immutable(),
		field.Bool("connected").Immutable(),
		field.Uint32("latency_ms").Immutable(),
		field.String("code").MaxLen(32).Immutable(),
		field.Text("message").Immutable(),
	}
}

// Edges of the HealthEntry.
func (HealthEntry) Edges() []ent.Edge {
	return []ent.Edge{edge.From("service", Service.Type).Ref("health").Field("service_id").Unique().Required().Immutable()}
}

// Indexes of the HealthEntry.
func (HealthEntry) Indexes() []ent.Index {
	return []ent.Index{index.Fields("service_id", "id"), index.Fields("at")}
}

// Revision is the one row that counts committed changes. Every change moves it
// on in its own transaction, so that changes become visible in the order of
// their numbers.
type Revision struct{ ent.Schema }

// Fields of the Revision.
func (Revision) Fields() []ent.Field {
	return []ent.Field{
		field.Int("id"),
		field.Uint64("value"),
		field.Uint64("oldest").Comment("The last change that is no longer kept."),
	}
}

// Change is one committed change; its id is the revision.
type Change struct{ ent.Schema }

// Annotations of the Change.
func (Change) Annotations() []schema.Annotation { return []schema.Annotation{binary()} }

// Fields of the Change.
func (Change) Fields() []ent.Field {
	return []ent.Field{
		field.Uint64("id").Immutable(),
		field.String("event").MaxLen(16).Immutable(),
		field.UUID("service_id", uuid.UUID{}).Immutable(),
		field.String("project").MaxLen(63).Default("default").Immutable(),
		field.Bytes("payload").Immutable().
			SchemaType(map[string]string{dialect.MySQL: "mediumblob"}).
			Comment("The service after the change, as the API shows it, as protobuf."),
	}
}

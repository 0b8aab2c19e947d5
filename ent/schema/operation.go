package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"
)

// Operation is work of several steps on a real backend. Each step can be done
// again, so that whoever finds the work cut off can finish or undo it.
type Operation struct{ ent.Schema }

// Annotations of the Operation.
func (Operation) Annotations() []schema.Annotation { return []schema.Annotation{binary()} }

// Fields of the Operation.
func (Operation) Fields() []ent.Field {
	return []ent.Field{
		field.Int("id").Positive().Immutable(),
		field.UUID("task_id", uuid.UUID{}).Default(uuid.New).Immutable().Unique(),
		field.String("kind").MaxLen(64).Immutable(),
		field.String("object_class").MaxLen(32).Default("").Immutable(),
		field.Int("object_id").Default(0).Immutable(),
		field.String("database_name").MaxLen(63).Default("").Immutable(),
		field.String("environment").MaxLen(400).SchemaType(label()).Default("").Immutable(),
		field.String("engine").MaxLen(100).Default("").Immutable(),
		field.String("project").MaxLen(63).Default("").Immutable(),
		field.String("actor").MaxLen(255).Default("").Immutable(),
		field.String("relevance").MaxLen(16).Default("WARNING").Immutable(),

		field.String("status").MaxLen(16).Default("WAITING").Comment("WAITING, RUNNING, SUCCESS, ERROR or WARNING."),
		field.Int("step").Default(0).Comment("How many steps are done."),
		field.String("step_name").MaxLen(64).Default("").Comment("The step under way."),
		field.Bool("undoing").Default(false),
		field.JSON("data", map[string]any{}).Optional().Comment("What the steps need to know and leave behind; no secrets."),
		field.Text("message").Default("").Comment("Why it failed, or waits."),
		field.Int64("done_bytes").Default(0),
		field.Int64("total_bytes").Default(0),
		field.Int("attempts").Default(0).Comment("Failed tries of the step under way."),
		field.Int64("next_at").Default(0).Comment("When the step is tried again."),
		field.String("holder").MaxLen(64).Default("").Comment("The process that works on it."),
		field.Int64("held_until").Default(0),
		field.Bool("finished").Default(false),

		field.Int64("created_at").Immutable(),
		field.Int64("updated_at"),
		field.Int64("ended_at").Default(0),
	}
}

// Indexes of the Operation.
func (Operation) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("finished", "next_at"), index.Fields("object_class", "object_id"),
		index.Fields("created_at", "id"), index.Fields("project", "created_at", "id"),
		index.Fields("updated_at"), // for watches
	}
}

// Backup is a copy of the content of a database.
type Backup struct{ ent.Schema }

// Annotations of the Backup.
func (Backup) Annotations() []schema.Annotation { return []schema.Annotation{binary()} }

// Fields of the Backup.
func (Backup) Fields() []ent.Field {
	return []ent.Field{
		field.Int("id").Positive().Immutable(),
		field.Int("database_id").Immutable().Comment("May be gone: a backup outlives what it is of."),
		field.String("database_name").MaxLen(63).Immutable(),
		field.String("engine_type").MaxLen(32).Immutable(),
		field.Int("plan_id").Immutable(),
		field.Int("environment_id").Immutable(),
		field.String("project").MaxLen(63).Immutable(),
		field.String("status").MaxLen(16).Default("WAITING"),
		field.UUID("store_service_id", uuid.UUID{}).Optional().Nillable().Immutable().
			Comment("The minio service that holds it; none: the data directory."),
		field.String("location").MaxLen(512).Default("").Comment("File below the data directory, or key of the object."),
		field.Bytes("sealed").Optional().Sensitive().Comment("The key that it is encrypted under."),
		field.String("format").MaxLen(32).Default(""),
		field.Int64("size").Default(0),
		field.String("sha256").MaxLen(64).Default(""),
		field.Int("operation_id").Default(0),
		field.String("created_by").MaxLen(255).Default("").Immutable(),
		field.Int64("start_at").Immutable(),
		field.Int64("end_at").Default(0),
	}
}

// Indexes of the Backup.
func (Backup) Indexes() []ent.Index {
	return []ent.Index{index.Fields("database_id", "id"), index.Fields("project", "id")}
}

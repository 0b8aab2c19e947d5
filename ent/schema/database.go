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

// label is how MySQL keeps a name for people, of up to 100 characters: MaxLen
// counts bytes, and takes four for each.
func label() map[string]string { return map[string]string{dialect.MySQL: "varchar(100)"} }

// Environment is where databases are: laboratory, production.
type Environment struct{ ent.Schema }

// Annotations of the Environment.
func (Environment) Annotations() []schema.Annotation { return []schema.Annotation{binary()} }

// Fields of the Environment.
func (Environment) Fields() []ent.Field {
	return []ent.Field{
		field.Int("id").Positive().Immutable(),
		field.String("name").MaxLen(400).SchemaType(label()).Unique(),
		field.Int("stage").Default(1).Comment("1 development, 2 production."),
		field.Int("provisioner").Default(1),
		field.Int64("created_at").Immutable(),
	}
}

// Edges of the Environment.
func (Environment) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("plans", Plan.Type).Ref("environments"),
		edge.To("databases", Database.Type),
	}
}

// Engine is one version of one kind of server that plans can name.
type Engine struct{ ent.Schema }

// Annotations of the Engine.
func (Engine) Annotations() []schema.Annotation { return []schema.Annotation{binary()} }

// Fields of the Engine.
func (Engine) Fields() []ent.Field {
	return []ent.Field{
		field.Int("id").Positive().Immutable(),
		field.String("engine_type").MaxLen(32).Immutable().Comment("mongodb, mysql, postgresql or redis."),
		field.String("version").MaxLen(64).Immutable(),
	}
}

// Edges of the Engine.
func (Engine) Edges() []ent.Edge { return []ent.Edge{edge.To("plans", Plan.Type)} }

// Indexes of the Engine.
func (Engine) Indexes() []ent.Index {
	return []ent.Index{index.Fields("engine_type", "version").Unique()}
}

// Plan is what a database may be asked for as: an engine, its limits, and the
// servers it is made on.
type Plan struct{ ent.Schema }

// Annotations of the Plan.
func (Plan) Annotations() []schema.Annotation { return []schema.Annotation{binary()} }

// Fields of the Plan.
func (Plan) Fields() []ent.Field {
	return []ent.Field{
		field.Int("id").Positive().Immutable(),
		field.String("name").MaxLen(400).SchemaType(label()).Unique(),
		field.Text("description").Default(""),
		field.Bool("is_active").Default(true),
		field.Bool("is_default").Default(false),
		field.Int("engine_id").Immutable(),
		field.Int64("total_size_in_bytes").Default(0).Comment("0: no limit."),
		field.Bool("enforce").Default(false).Comment("Whether databases over the size become read-only."),
		field.Int("capacity").Default(0).Comment("How many databases each of its services takes; 0: no limit."),
		field.Int64("created_at").Immutable(),
	}
}

// Edges of the Plan.
func (Plan) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("engine", Engine.Type).Ref("plans").Field("engine_id").Unique().Required().Immutable(),
		edge.To("environments", Environment.Type),
		edge.To("services", Service.Type),
		edge.To("databases", Database.Type),
	}
}

// Database is a database that was made on a service of the catalogue.
type Database struct{ ent.Schema }

// Annotations of the Database.
func (Database) Annotations() []schema.Annotation { return []schema.Annotation{binary()} }

// Fields of the Database.
func (Database) Fields() []ent.Field {
	return []ent.Field{
		field.Int("id").Positive().Immutable(),
		field.String("name").MaxLen(63).Immutable().Comment("As it is in the engine."),
		field.Int("plan_id").Immutable(),
		field.Int("environment_id").Immutable(),
		field.UUID("service_id", uuid.UUID{}).Immutable().Comment("The service of the catalogue that it is on."),
		field.String("project").MaxLen(63),
		field.Bool("project_named").Default(false).Comment("Whether the project was asked for, and so is shown."),
		field.Text("description").Default(""),
		field.String("state").MaxLen(16).Default("creating").
			Comment("creating, alive, quarantined, dropping."),
		field.Int64("quarantined_at").Default(0).Comment("0: not quarantined."),
		field.String("quarantined_by").MaxLen(255).Default(""),
		field.String("endpoint").MaxLen(1024).Default(""),
		field.Int64("total_size_in_bytes").Default(0).Comment("The plan's, when it was made; 0: no limit."),
		field.Int64("used_size_in_bytes").Default(0),
		field.Int64("measured_at").Default(0).Comment("0: never."),
		field.Bool("missing").Default(false).Comment("Whether the engine does not know it."),
		field.Bool("oversize").Default(false),
		field.Bool("read_only").Default(false).Comment("Whether its logins may only read, because it is too big."),
		field.UUID("registered_id", uuid.UUID{}).Optional().Nillable().
			Comment("The service that it is registered as in the catalogue."),
		field.Int("operation_id").Default(0).Comment("The operation that has it locked; 0: none."),
		field.Int64("created_at").Immutable(),
		field.String("created_by").MaxLen(255).Default("").Immutable(),
	}
}

// Edges of the Database.
func (Database) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("plan", Plan.Type).Ref("databases").Field("plan_id").Unique().Required().Immutable(),
		edge.From("environment", Environment.Type).Ref("databases").Field("environment_id").Unique().Required().Immutable(),
		edge.From("service", Service.Type).Ref("databases").Field("service_id").Unique().Required().Immutable(),
		edge.From("in_project", Project.Type).Ref("databases").Field("project").Unique().Required(),
		edge.To("credentials", Credential.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Indexes of the Database.
func (Database) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("environment_id", "name").Unique(),
		// One server holds a name once, whatever environments it serves.
		index.Fields("service_id", "name").Unique(),
		index.Fields("name", "id"),
		index.Fields("project", "name", "id"),
		index.Fields("quarantined_at"),
	}
}

// Credential is a login that has access to one database.
type Credential struct{ ent.Schema }

// Annotations of the Credential.
func (Credential) Annotations() []schema.Annotation { return []schema.Annotation{binary()} }

// Fields of the Credential.
func (Credential) Fields() []ent.Field {
	return []ent.Field{
		field.Int("id").Positive().Immutable(),
		field.Int("database_id").Immutable(),
		field.String("user").MaxLen(63).Comment("The login in force, as it is in the engine."),
		field.String("base_user").MaxLen(63).Comment("The login it was created with."),
		field.String("other_user").MaxLen(63).Default("").Comment("The login that rotations alternate with."),
		field.String("privilege").MaxLen(16).Default("owner").Comment("owner, read-write or read-only."),
		field.Bytes("sealed").Sensitive().Comment("The password."),
		field.Bytes("pending").Optional().Sensitive().
			Comment("The password that an operation is about to set."),
		field.String("pending_user").MaxLen(63).Default("").Comment("The login that a rotation is about to make."),
		field.Int("version").Default(1).Comment("Moves on with every change of the passwords or the login."),
		field.Bool("ready").Default(false).Comment("Whether the engine has it."),
		field.String("former_user").MaxLen(63).Default("").Comment("The login before the last rotation, until it is dropped."),
		field.Int64("former_until").Default(0),
		field.Int64("expires_at").Default(0).Comment("The end of its lease; 0: none."),
		field.Int64("lease_us").Default(0),
		field.Int64("rotate_every_us").Default(0).Comment("0: only when asked."),
		field.Int64("rotated_at").Default(0),
		field.Int64("created_at").Immutable(),
		field.String("created_by").MaxLen(255).Default("").Immutable(),
	}
}

// Edges of the Credential.
func (Credential) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("database", Database.Type).Ref("credentials").Field("database_id").Unique().Required().Immutable(),
		edge.To("logins", Login.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Indexes of the Credential.
func (Credential) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("database_id", "user").Unique(),
		index.Fields("expires_at"), index.Fields("former_until"),
	}
}

// Login is a name that a server knows, or is about to know: it keeps two
// credentials from taking the same one.
type Login struct{ ent.Schema }

// Annotations of the Login.
func (Login) Annotations() []schema.Annotation { return []schema.Annotation{binary()} }

// Fields of the Login.
func (Login) Fields() []ent.Field {
	return []ent.Field{
		field.Int("id").Positive().Immutable(),
		field.Int("credential_id").Immutable(),
		field.UUID("service_id", uuid.UUID{}).Immutable(),
		field.String("scope").MaxLen(63).Immutable().
			Comment("The database, where names are the database's own; empty where they are the server's."),
		field.String("user").MaxLen(63).Immutable(),
	}
}

// Edges of the Login.
func (Login) Edges() []ent.Edge {
	return []ent.Edge{edge.From("credential", Credential.Type).Ref("logins").Field("credential_id").Unique().Required().Immutable()}
}

// Indexes of the Login.
func (Login) Indexes() []ent.Index {
	return []ent.Index{index.Fields("service_id", "scope", "user").Unique()}
}

package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"
)

// RoleBinding gives a role everywhere, or in one project.
type RoleBinding struct {
	Role    string `json:"role"`
	Project string `json:"project,omitempty"`
}

// User may log in.
type User struct{ ent.Schema }

// Annotations of the User.
func (User) Annotations() []schema.Annotation { return []schema.Annotation{binary()} }

// Fields of the User.
func (User) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Default(uuid.New).Immutable(),
		field.String("username").MaxLen(255).Unique(),
		field.String("password_hash").MaxLen(255).Sensitive(),
		field.JSON("roles", []RoleBinding{}).Optional(),
		field.Bool("enabled").Default(true),
		field.Int64("created_at").Immutable(),
		field.Int64("updated_at").Default(0),
		field.Int64("password_changed_at").Default(0).Comment("0: it is the one that the user was made with."),
		field.Int64("last_login_at").Default(0).Comment("0: the user has never logged in with the password."),
	}
}

// Token lets a program call on behalf of a user.
type Token struct{ ent.Schema }

// Annotations of the Token.
func (Token) Annotations() []schema.Annotation { return []schema.Annotation{binary()} }

// Fields of the Token.
func (Token) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Default(uuid.New).Immutable(),
		field.String("name").MaxLen(512).Immutable(),
		field.String("digest").MaxLen(64).Unique().Sensitive().Immutable().
			Comment("SHA-256 of the token, which is random and long enough to need no salt."),
		field.String("prefix").MaxLen(16).Immutable(),
		field.String("username").MaxLen(255).Immutable(),
		field.JSON("roles", []RoleBinding{}).Optional().Immutable(),
		field.Int64("created_at").Immutable(),
		field.Int64("expires_at").Default(0).Immutable().Comment("0: never."),
		field.Int64("last_used_at").Default(0),
	}
}

// Indexes of the Token.
func (Token) Indexes() []ent.Index { return []ent.Index{index.Fields("username")} }

// Project is what resources belong to. Its id is its name, which never changes.
type Project struct{ ent.Schema }

// Annotations of the Project.
func (Project) Annotations() []schema.Annotation { return []schema.Annotation{binary()} }

// Fields of the Project.
func (Project) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").MaxLen(63).Immutable(),
		field.Int("number").Optional().Nillable().Unique().
			Comment("Its id for those who know projects by number. Only rows of old stores have none, until the next start."),
		field.Text("description").Default(""),
		field.Int("database_count").Default(0).Comment("How many databases it has, so that a page of a list need not count them."),
		field.Int("hidden_database_count").Default(0).Comment("How many of these only admins see."),
		field.Int64("created_at").Immutable(),
	}
}

// Edges of the Project.
func (Project) Edges() []ent.Edge {
	return []ent.Edge{edge.To("services", Service.Type), edge.To("databases", Database.Type)}
}

// Setting is a value of the installation itself.
type Setting struct{ ent.Schema }

// Annotations of the Setting.
func (Setting) Annotations() []schema.Annotation { return []schema.Annotation{binary()} }

// Fields of the Setting.
func (Setting) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").MaxLen(64).Immutable(),
		field.Bytes("value"),
	}
}

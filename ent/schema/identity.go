package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"github.com/google/uuid"
)

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
		field.Int64("created_at").Immutable(),
	}
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

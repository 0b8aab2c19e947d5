package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// AuditChange is one changed field, as JSON before and after.
type AuditChange struct {
	Field  string `json:"field"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// AuditRecord is one thing that was done. Records are only ever added; each
// holds the hash of the one before.
type AuditRecord struct{ ent.Schema }

// Annotations of the AuditRecord.
func (AuditRecord) Annotations() []schema.Annotation { return []schema.Annotation{binary()} }

// Fields of the AuditRecord.
func (AuditRecord) Fields() []ent.Field {
	return []ent.Field{
		field.Uint64("id").Immutable().Annotations(entsql.Annotation{Incremental: new(bool)}).
			Comment("1, 2, 3… without gaps."),
		field.Int64("at").Immutable(),
		field.String("actor").MaxLen(255).Immutable(),
		field.String("token_id").MaxLen(36).Default("").Immutable(),
		field.String("address").MaxLen(64).Default("").Immutable(),
		field.String("request_id").MaxLen(64).Default("").Immutable(),
		field.String("action").MaxLen(64).Immutable(),
		field.String("resource_kind").MaxLen(32).Immutable(),
		field.String("resource_id").MaxLen(255).Immutable(),
		field.String("resource_name").MaxLen(512).Default("").Immutable(),
		field.String("project").MaxLen(63).Default("").Immutable(),
		field.Text("changes").Immutable().
			Comment("A list of AuditChange as JSON: text, so that the hash covers every byte of it."),
		field.String("previous_hash").MaxLen(64).Immutable(),
		field.String("hash").MaxLen(64).Immutable().
			Comment("HMAC-SHA-256 of all the rest, under the key of the trail."),
	}
}

// Indexes of the AuditRecord.
func (AuditRecord) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("actor", "id"), index.Fields("resource_id", "id"), index.Fields("project", "id"), index.Fields("at"),
	}
}

// AuditHead is the one row that says where the audit trail ends. A record is
// missing when the trail ends before it. Numbers have no gaps, so that the last
// one is also how many there are.
type AuditHead struct{ ent.Schema }

// Fields of the AuditHead.
func (AuditHead) Fields() []ent.Field {
	return []ent.Field{
		field.Int("id"),
		field.Uint64("last"),
		field.String("hash").MaxLen(64).Comment("That of the last record."),
		field.String("mac").MaxLen(64).Default("").
			Comment("HMAC-SHA-256 of this row under the key of the trail; empty once that did not fit: the end is not known for sure any more."),
	}
}

// DataKey is a key that secrets are sealed with, itself sealed under the
// master key.
type DataKey struct{ ent.Schema }

// Annotations of the DataKey.
func (DataKey) Annotations() []schema.Annotation { return []schema.Annotation{binary()} }

// Fields of the DataKey.
func (DataKey) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").MaxLen(16).Immutable(),
		field.Bytes("wrapped").Sensitive(),
		field.Int64("created_at").Immutable(),
		field.Bool("active"),
	}
}

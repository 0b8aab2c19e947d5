package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// longBytes is the type of what may be longer than 16 MiB.
func longBytes() map[string]string { return map[string]string{dialect.MySQL: "longblob"} }

// RegisteredService is a service that the HTTP gateway makes routes for from the
// service's own OpenAPI document.
type RegisteredService struct{ ent.Schema }

// RegisteredOperation is an operation of such a service that is served.
type RegisteredOperation struct {
	Method      string `json:"method"` // in upper case
	Path        string `json:"path"`   // as the document has it
	Protected   bool   `json:"protected,omitempty"`
	OperationID string `json:"operation_id,omitempty"`
	Route       string `json:"route"` // the route's name
}

// Annotations of the RegisteredService.
func (RegisteredService) Annotations() []schema.Annotation { return []schema.Annotation{binary()} }

// Fields of the RegisteredService.
func (RegisteredService) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id").Comment("The number that clients know it by."),
		field.String("name").MaxLen(64),
		field.String("domain").MaxLen(512).Comment("Scheme and host."),
		field.Int32("port"),
		field.String("document_path").MaxLen(1024).Comment("Of its OpenAPI document."),
		field.String("auth").MaxLen(32).Comment("The plugin that protects operations; empty for the program's default."),
		field.Bool("validate_requests").Default(false),
		field.Bool("validate_responses").Default(false),
		field.Int32("status_code").Default(0).Comment("What came of fetching the document last."),
		field.Text("error").Comment("What went wrong then."),
		field.JSON("faults", []string{}).Comment("What of the document cannot be served."),
		field.JSON("operations", []RegisteredOperation{}).Comment("What is served."),
		field.Bytes("document").Optional().SchemaType(longBytes()).Comment("The last document that could be read, gzipped."),
		field.String("document_hash").MaxLen(64).Comment("SHA-256 of it, hexadecimal; empty if there is none."),
		field.Int64("registered_at").Immutable().Comment("Microseconds since 1970, as the following."),
		field.Int64("checked_at").Default(0),
		field.Int64("fetched_at").Default(0),
		field.Int64("deleted_at").Default(0).Comment("When it was marked as deleted; 0 if it is not."),
	}
}

// Indexes of the RegisteredService.
func (RegisteredService) Indexes() []ent.Index { return []ent.Index{index.Fields("name").Unique()} }

// ServiceChange is something that is not as before in the document of a
// registered service. It outlives the service.
type ServiceChange struct{ ent.Schema }

// Annotations of the ServiceChange.
func (ServiceChange) Annotations() []schema.Annotation { return []schema.Annotation{binary()} }

// Fields of the ServiceChange.
func (ServiceChange) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.Int64("service_id").Immutable(),
		field.String("service").MaxLen(64).Immutable().Comment("The service's name."),
		field.Int64("at").Immutable().Comment("Microseconds since 1970."),
		field.Int8("level").Immutable().Comment("1 info, 2 warning, 3 breaking."),
		field.String("code").MaxLen(128).Immutable(),
		field.String("method").MaxLen(32).Immutable(),
		field.Text("path").Immutable(),
		field.Text("text").Immutable(),
		field.String("before").MaxLen(64).Immutable().Comment("Hash of the document that it was."),
		field.String("after").MaxLen(64).Immutable(),
	}
}

// Indexes of the ServiceChange.
func (ServiceChange) Indexes() []ent.Index {
	return []ent.Index{index.Fields("service", "id"), index.Fields("level", "id"), index.Fields("at")}
}

// GatewayPage is something that the HTTP gateway answers by itself, such as the
// document of all that it serves.
type GatewayPage struct{ ent.Schema }

// Annotations of the GatewayPage.
func (GatewayPage) Annotations() []schema.Annotation { return []schema.Annotation{binary()} }

// Fields of the GatewayPage.
func (GatewayPage) Fields() []ent.Field {
	return []ent.Field{
		field.String("path").MaxLen(255).Unique().Immutable(),
		field.String("content_type").MaxLen(255),
		field.Bytes("body").SchemaType(longBytes()),
		field.String("etag").MaxLen(80).Comment("With its quotes."),
	}
}

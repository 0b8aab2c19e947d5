package catalog

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/backplane/backplane/connectors"
	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	"github.com/backplane/backplane/internal/errs"
)

// ListServiceTypes implements the RPC.
func (c *Catalog) ListServiceTypes(context.Context, *catalogv1.ListServiceTypesRequest) (*catalogv1.ListServiceTypesResponse, error) {
	return &catalogv1.ListServiceTypesResponse{Ok: true, Data: c.types}, nil
}

// GetServiceType implements the RPC.
func (c *Catalog) GetServiceType(_ context.Context, req *catalogv1.GetServiceTypeRequest) (*catalogv1.GetServiceTypeResponse, error) {
	for _, t := range c.types {
		if t.GetServiceType() == req.GetServiceType() {
			return &catalogv1.GetServiceTypeResponse{Ok: true, Data: t}, nil
		}
	}
	return nil, errs.New(errs.NotFound, "There is no service type of that name; there are %s", c.Registry.TypeList())
}

func typeToProto(spec connectors.Spec) (*catalogv1.ServiceType, error) {
	schema, err := structpb.NewStruct(Schema(spec))
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", spec.Type, err)
	}
	return &catalogv1.ServiceType{ServiceType: spec.Type, Title: spec.Title, Description: spec.Doc, Schema: schema}, nil
}

// Schema describes the configuration of a type as JSON Schema (2020-12).
func Schema(spec connectors.Spec) map[string]any {
	properties, required := map[string]any{}, []any{}
	for _, f := range spec.Fields {
		properties[f.Name] = fieldSchema(f)
		if f.Required {
			required = append(required, f.Name)
		}
	}
	return map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": spec.Title, "description": spec.Doc,
		"type": "object", "properties": properties, "required": required, "additionalProperties": false,
	}
}

func fieldSchema(f connectors.Field) map[string]any {
	p := map[string]any{"description": f.Doc}
	kind, lower, upper := "string", "minLength", "maxLength"
	switch f.Kind {
	case connectors.Integer:
		kind, lower, upper = "integer", "minimum", "maximum"
	case connectors.Boolean:
		kind = "boolean"
	case connectors.Strings:
		kind, lower, upper = "array", "minItems", "maxItems"
		p["items"] = map[string]any{"type": "string"}
	}
	p["type"] = kind
	if f.Min != 0 || f.Max != 0 {
		p[lower], p[upper] = f.Min, f.Max
	}
	if len(f.Enum) > 0 {
		list := make([]any, len(f.Enum))
		for i, e := range f.Enum {
			list[i] = e
		}
		p["enum"] = list
	}
	if f.Default != nil {
		p["default"] = f.Default
	}
	if f.Sealed() {
		p["secret"], p["writeOnly"] = true, f.Secret
	}
	if f.MediaType != "" {
		p["contentMediaType"] = f.MediaType
	}
	return p
}

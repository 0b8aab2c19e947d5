package openapi

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	restv1 "github.com/backplane/backplane/gen/backplane/rest/v1"
	"github.com/backplane/backplane/gen/openapi"
)

// Generated is what the protos say by themselves: the generated documents as
// one, with every type as server/rest writes it.
func Generated() (map[string]any, error) {
	doc := object{}
	err := fs.WalkDir(openapi.Documents, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(openapi.Documents, path)
		if err != nil {
			return err
		}
		part := object{}
		if err := json.Unmarshal(text, &part); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return merge(doc, part)
	})
	if err != nil {
		return nil, err
	}
	asWritten(doc)
	return doc, addNulls(at(at(doc, "components"), "schemas"), protoregistry.GlobalFiles)
}

// merge adds the paths, tags and schemas of one document to another.
func merge(doc, part object) error {
	doc["openapi"] = part["openapi"]
	tags, _ := doc["tags"].([]any)
	more, _ := part["tags"].([]any)
	doc["tags"] = append(tags, more...)
	for path, item := range at(part, "paths") {
		if _, dup := at(doc, "paths")[path]; dup {
			return fmt.Errorf("two services declare %s", path)
		}
		at(doc, "paths")[path] = item
	}
	maps.Copy(at(at(doc, "components"), "schemas"), at(at(part, "components"), "schemas"))
	return nil
}

// asWritten corrects the types that the generator takes for what protojson
// writes: integers of 64 bits are numbers, and google.protobuf.NullValue is the
// null that it is in JSON, not an enum like any other.
func asWritten(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			asWritten(e)
		}
	case object:
		if v["type"] == "string" && (v["format"] == "int64" || v["format"] == "uint64") {
			v["type"] = "integer"
		}
		if list, ok := v["enum"].([]any); ok && len(list) == 1 && list[0] == "NULL_VALUE" {
			delete(v, "enum")
			v["type"] = "null"
		}
		for _, e := range v {
			asWritten(e)
		}
	}
}

// finder finds the message of a schema.
type finder interface {
	FindDescriptorByName(protoreflect.FullName) (protoreflect.Descriptor, error)
}

// addNulls allows null wherever a field has the option nullable.
func addNulls(schemas object, protos finder) error {
	for name, schema := range schemas {
		d, err := protos.FindDescriptorByName(protoreflect.FullName(name))
		if err != nil {
			return fmt.Errorf("schema %s: %w", name, err)
		}
		message, ok := d.(protoreflect.MessageDescriptor)
		if !ok {
			continue // an enum
		}
		properties := at(schema.(object), "properties")
		for i := range message.Fields().Len() {
			f := message.Fields().Get(i)
			if nullable, _ := proto.GetExtension(f.Options(), restv1.E_Nullable).(bool); nullable {
				properties[f.JSONName()] = orNull(at(properties, f.JSONName()))
			}
		}
	}
	return nil
}

// orNull is the schema of a value or null. What describes the property stays
// outside of the choice.
func orNull(schema object) object {
	if kind, ok := schema["type"].(string); ok {
		schema["type"] = []any{kind, "null"}
		if list, ok := schema["enum"].([]any); ok {
			schema["enum"] = append(list, nil)
		}
		return schema
	}
	_, refers := schema["$ref"]
	_, combines := schema["allOf"]
	if !refers && !combines {
		// Anything, which null is too; not every reader takes it so.
		schema["type"] = []any{"array", "boolean", "null", "number", "object", "string"}
		return schema
	}
	value, out := object{}, object{}
	for key, v := range schema {
		if key == "$ref" || key == "allOf" {
			value[key] = v
		} else {
			out[key] = v
		}
	}
	out["anyOf"] = []any{value, object{"type": "null"}}
	return out
}

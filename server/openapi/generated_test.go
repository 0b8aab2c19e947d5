package openapi

import (
	"encoding/json"
	"reflect"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

func decoded(t *testing.T, text string) object {
	t.Helper()
	out := object{}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func wantJSON(t *testing.T, got any, want string) {
	t.Helper()
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var g, w any
	if json.Unmarshal(text, &g) != nil || json.Unmarshal([]byte(want), &w) != nil || !reflect.DeepEqual(g, w) {
		t.Errorf("got %s, want %s", text, want)
	}
}

func TestWideIntegersAreIntegers(t *testing.T) {
	t.Parallel()
	doc, err := Generated()
	if err != nil {
		t.Fatal(err)
	}
	schemas := at(at(doc, "components"), "schemas")
	id := at(at(at(schemas, "backplane.catalog.v1.HealthEntry"), "properties"), "id")
	if id["type"] != "integer" || id["format"] != "uint64" {
		t.Errorf("the id of a health entry is %v", id)
	}
	wide := 0
	var look func(at string, v any)
	look = func(at string, v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				look(at, e)
			}
		case object:
			if f := v["format"]; f == "int64" || f == "uint64" {
				wide++
				if v["type"] != "integer" && !reflect.DeepEqual(v["type"], []any{"integer", "null"}) {
					t.Errorf("%s is %v", at, v)
				}
			}
			for key, e := range v {
				look(at+"/"+key, e)
			}
		}
	}
	look("", doc)
	if wide < 20 {
		t.Errorf("only %d integers were looked at", wide)
	}
}

func TestNullableIsToldInTheDocument(t *testing.T) {
	t.Parallel()
	fd := &descriptorpb.FileDescriptorProto{}
	err := prototext.Unmarshal([]byte(`
		name: "nullable.proto" package: "nullable" syntax: "proto3" dependency: "backplane/rest/v1/options.proto"
		enum_type { name: "Colour" value { name: "RED" number: 0 } }
		message_type {
			name: "Route"
			field { name: "plain" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
			field { name: "wide_one" number: 2 type: TYPE_INT64 label: LABEL_OPTIONAL options { [backplane.rest.v1.nullable]: true } }
			field { name: "list" number: 3 type: TYPE_STRING label: LABEL_REPEATED options { [backplane.rest.v1.nullable]: true } }
			field { name: "inner" number: 4 type: TYPE_MESSAGE type_name: ".nullable.Route" label: LABEL_OPTIONAL options { [backplane.rest.v1.nullable]: true } }
			field { name: "told" number: 5 type: TYPE_MESSAGE type_name: ".nullable.Route" label: LABEL_OPTIONAL options { [backplane.rest.v1.nullable]: true } }
			field { name: "closed" number: 6 type: TYPE_STRING label: LABEL_OPTIONAL options { [backplane.rest.v1.nullable]: true } }
			field { name: "free" number: 7 type: TYPE_STRING label: LABEL_OPTIONAL options { [backplane.rest.v1.nullable]: true } }
		}`), fd)
	if err != nil {
		t.Fatal(err)
	}
	file, err := protodesc.NewFile(fd, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	files := new(protoregistry.Files)
	if err := files.RegisterFile(file); err != nil {
		t.Fatal(err)
	}
	doc := decoded(t, `{
		"nullable.Colour": {"type": "string", "enum": ["RED"]},
		"nullable.Route": {"type": "object", "required": ["list"], "properties": {
			"plain": {"type": "string"},
			"wideOne": {"type": "string", "format": "int64", "description": "How wide."},
			"list": {"type": "array", "items": {"type": "string"}},
			"inner": {"$ref": "#/components/schemas/nullable.Route", "description": "Inside."},
			"told": {"allOf": [{"$ref": "#/components/schemas/nullable.Route"}], "readOnly": true},
			"closed": {"type": "string", "enum": ["a"]},
			"free": {"type": ["array", "boolean", "null", "number", "object", "string"], "description": "Any value."}
		}}}`)
	asWritten(doc)
	if err := addNulls(doc, files); err != nil {
		t.Fatal(err)
	}
	wantJSON(t, doc, `{
		"nullable.Colour": {"type": "string", "enum": ["RED"]},
		"nullable.Route": {"type": "object", "required": ["list"], "properties": {
			"plain": {"type": "string"},
			"wideOne": {"type": ["integer", "null"], "format": "int64", "description": "How wide."},
			"list": {"type": ["array", "null"], "items": {"type": "string"}},
			"inner": {"anyOf": [{"$ref": "#/components/schemas/nullable.Route"}, {"type": "null"}], "description": "Inside."},
			"told": {"anyOf": [{"allOf": [{"$ref": "#/components/schemas/nullable.Route"}]}, {"type": "null"}], "readOnly": true},
			"closed": {"type": ["string", "null"], "enum": ["a", null]},
			"free": {"type": ["array", "boolean", "null", "number", "object", "string"], "description": "Any value."}
		}}}`)
	if err := addNulls(object{"no.Message": object{}}, files); err == nil {
		t.Error("a schema of no message is accepted")
	}
}

package rest

import (
	"testing"

	"google.golang.org/protobuf/proto"
)

const nullableFile = `
	name: "nullable.proto" package: "nullable" syntax: "proto3"
	dependency: "backplane/rest/v1/options.proto" dependency: "google/protobuf/timestamp.proto" dependency: "google/protobuf/wrappers.proto"
	message_type {
		name: "Route"
		field { name: "id" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
		field { name: "left_out" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL proto3_optional: true oneof_index: 0 }
		field { name: "text" number: 3 type: TYPE_STRING label: LABEL_OPTIONAL proto3_optional: true oneof_index: 1 options { [backplane.rest.v1.nullable]: true } }
		field { name: "wide" number: 4 type: TYPE_UINT64 label: LABEL_OPTIONAL proto3_optional: true oneof_index: 2 options { [backplane.rest.v1.nullable]: true } }
		field { name: "inner" number: 5 type: TYPE_MESSAGE type_name: ".nullable.Route" label: LABEL_OPTIONAL options { [backplane.rest.v1.nullable]: true } }
		field { name: "at" number: 6 type: TYPE_MESSAGE type_name: ".google.protobuf.Timestamp" label: LABEL_OPTIONAL options { [backplane.rest.v1.nullable]: true } }
		field { name: "wrapped" number: 7 type: TYPE_MESSAGE type_name: ".google.protobuf.Int64Value" label: LABEL_OPTIONAL options { [backplane.rest.v1.nullable]: true } }
		field { name: "hosts" number: 8 type: TYPE_STRING label: LABEL_REPEATED options { [backplane.rest.v1.nullable]: true } }
		field { name: "count" number: 9 type: TYPE_INT32 label: LABEL_OPTIONAL options { [backplane.rest.v1.nullable]: true } }
		field { name: "headers" number: 10 type: TYPE_MESSAGE type_name: ".nullable.Route.HeadersEntry" label: LABEL_REPEATED options { [backplane.rest.v1.nullable]: true } }
		field { name: "tags" number: 11 type: TYPE_STRING label: LABEL_REPEATED options { [backplane.rest.v1.nullable]: false } }
		nested_type {
			name: "HeadersEntry" options { map_entry: true }
			field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
			field { name: "value" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL }
		}
		oneof_decl { name: "_left_out" } oneof_decl { name: "_text" } oneof_decl { name: "_wide" }
	}`

func TestNullable(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		``: `{"id":"","text":null,"wide":null,"inner":null,"at":null,"wrapped":null,"hosts":null,"count":null,"headers":null,"tags":[]}`,
		// What is set is not null, even when it is the zero value.
		`left_out: "" text: "" wide: 0 at {} wrapped {} hosts: "" count: 1 headers { key: "a" value: "b" } tags: "t"`: `{"id":"","leftOut":"","text":"","wide":0,` +
			`"inner":null,"at":"1970-01-01T00:00:00Z","wrapped":0,"hosts":[""],"count":1,"headers":{"a":"b"},"tags":["t"]}`,
	} {
		m := made(t, nullableFile, content)
		got, err := newStrictJSON().Marshal(m)
		if err != nil || string(got) != want {
			t.Fatalf("error %v, got\n%s, want\n%s", err, got, want)
		}
		back := m.ProtoReflect().New().Interface()
		if err := newStrictJSON().Unmarshal(got, back); err != nil || !proto.Equal(m, back) {
			t.Errorf("%s is read back as %v, error %v", got, back, err)
		}
	}
}

package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/backplane/backplane/internal/errs"
)

// wideAsNumbers takes the quotes from the integers of 64 bits in what protojson
// wrote.
func wideAsNumbers(t *testing.T, text []byte, d protoreflect.MessageDescriptor) string {
	t.Helper()
	u := &unquoter{t: t, text: text, dec: json.NewDecoder(bytes.NewReader(text))}
	if f := d.Fields().ByName("value"); f != nil && strings.HasSuffix(string(d.FullName()), "64Value") {
		u.value(f, false)
	} else {
		u.message(d)
	}
	return u.out.String()
}

// unquoter copies JSON token by token, beside the fields that it is made from.
type unquoter struct {
	t    *testing.T
	text []byte
	dec  *json.Decoder
	out  strings.Builder
}

// next copies a token with the separator before it.
func (u *unquoter) next(unquote bool) json.Token {
	u.t.Helper()
	from := u.dec.InputOffset()
	tok, err := u.dec.Token()
	if err != nil {
		u.t.Fatal(err)
	}
	piece := string(u.text[from:u.dec.InputOffset()])
	if _, quoted := tok.(string); quoted && unquote {
		piece = strings.ReplaceAll(piece, `"`, "")
	}
	u.out.WriteString(piece)
	return tok
}

// message copies a message, or JSON of any kind when d is nil or has its own.
func (u *unquoter) message(d protoreflect.MessageDescriptor) {
	u.members(u.next(false), func(key string) {
		if d == nil || d.ParentFile().Package() == "google.protobuf" {
			u.message(nil)
			return
		}
		u.value(d.Fields().ByJSONName(key), false)
	})
}

// value copies what a field holds, or one element of it.
func (u *unquoter) value(f protoreflect.FieldDescriptor, element bool) {
	switch {
	case !element && f.IsMap():
		u.members(u.next(false), func(string) { u.value(f.MapValue(), true) })
	case !element && f.IsList():
		u.members(u.next(false), func(string) { u.value(f, true) })
	case f.Message() != nil && strings.HasSuffix(string(f.Message().FullName()), "64Value"):
		u.next(true)
	case f.Message() != nil:
		u.message(f.Message())
	default:
		u.next(strings.HasSuffix(f.Kind().String(), "64"))
	}
}

// members copies the rest of an object or array that open begins.
func (u *unquoter) members(open json.Token, copyValue func(key string)) {
	if open != json.Delim('{') && open != json.Delim('[') {
		return
	}
	for u.dec.More() {
		key := ""
		if open == json.Delim('{') {
			key, _ = u.next(false).(string)
		}
		copyValue(key)
	}
	u.next(false)
}

// made is a message for a test, from its file in text format; the first in it.
func made(t *testing.T, file, content string) proto.Message {
	t.Helper()
	fd := &descriptorpb.FileDescriptorProto{}
	if err := prototext.Unmarshal([]byte(file), fd); err != nil {
		t.Fatal(err)
	}
	d, err := protodesc.NewFile(fd, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	m := dynamicpb.NewMessage(d.Messages().Get(0))
	read(t, m, content)
	return m
}

func read(t *testing.T, m proto.Message, content string) {
	t.Helper()
	if err := prototext.Unmarshal([]byte(content), m); err != nil {
		t.Fatal(err)
	}
}

// faultsOf are the paths of the faults that an error names.
func faultsOf(t *testing.T, err error) string {
	t.Helper()
	var e *errs.Error
	if !errors.As(err, &e) {
		t.Fatalf("the error is %v", err)
	}
	var paths []string
	for _, f := range e.Fields {
		paths = append(paths, f.Path)
	}
	return strings.Join(paths, " ")
}

const wideFile = `
	name: "wide.proto" package: "wide" syntax: "proto3"
	dependency: "google/protobuf/wrappers.proto" dependency: "google/protobuf/struct.proto"
	message_type {
		name: "Wide"
		field { name: "signed" number: 1 type: TYPE_INT64 label: LABEL_OPTIONAL }
		field { name: "unsigned" number: 2 type: TYPE_UINT64 label: LABEL_OPTIONAL }
		field { name: "list" number: 3 type: TYPE_SFIXED64 label: LABEL_REPEATED }
		field { name: "map" number: 4 type: TYPE_MESSAGE type_name: ".wide.Wide.MapEntry" label: LABEL_REPEATED }
		field { name: "chosen" number: 5 type: TYPE_FIXED64 label: LABEL_OPTIONAL oneof_index: 0 }
		field { name: "other" number: 6 type: TYPE_SINT64 label: LABEL_OPTIONAL oneof_index: 0 }
		field { name: "wrapped" number: 7 type: TYPE_MESSAGE type_name: ".google.protobuf.Int64Value" label: LABEL_OPTIONAL }
		field { name: "all_wrapped" number: 8 type: TYPE_MESSAGE type_name: ".google.protobuf.UInt64Value" label: LABEL_REPEATED }
		field { name: "free" number: 9 type: TYPE_MESSAGE type_name: ".google.protobuf.Value" label: LABEL_OPTIONAL }
		field { name: "inner" number: 10 type: TYPE_MESSAGE type_name: ".wide.Wide" label: LABEL_OPTIONAL }
		nested_type {
			name: "MapEntry" options { map_entry: true }
			field { name: "key" number: 1 type: TYPE_INT64 label: LABEL_OPTIONAL }
			field { name: "value" number: 2 type: TYPE_SINT64 label: LABEL_OPTIONAL }
		}
		oneof_decl { name: "choice" }
	}`

func TestWideIntegersAreNumbers(t *testing.T) {
	t.Parallel()
	m := made(t, wideFile, `
		signed: -9223372036854775808 unsigned: 18446744073709551615 list: [1, -2] map { key: 3 value: -4 } chosen: 5
		wrapped { value: 6 } all_wrapped { value: 7 } all_wrapped {} free { string_value: "9" } inner { other: 8 }`)
	const want = `{"signed":-9223372036854775808,"unsigned":18446744073709551615,"list":[1,-2],"map":{"3":-4},"chosen":5,` +
		`"wrapped":6,"allWrapped":[7,0],"free":"9","inner":{"signed":0,"unsigned":0,"list":[],"map":{},"other":8,"allWrapped":[]}}`
	got, err := newStrictJSON().Marshal(m)
	if err != nil || string(got) != want {
		t.Fatalf("error %v, got\n%s, want\n%s", err, got, want)
	}
	equalToProtojson(t, m)
	back := m.ProtoReflect().New().Interface()
	if err := newStrictJSON().Unmarshal(got, back); err != nil || !proto.Equal(m, back) {
		t.Errorf("it is read back as %v, error %v", back, err)
	}
}

// Numbers may be sent either way, and only what is wrong is called wrong.
func TestWideIntegersAreReadAsTextToo(t *testing.T) {
	t.Parallel()
	both := made(t, wideFile, "")
	want := both.ProtoReflect().New().Interface()
	text := `{"signed":"-5","unsigned":6,"list":["7"],"map":{"1":"8"},"wrapped":"9","allWrapped":[10]}`
	if err := newStrictJSON().Unmarshal([]byte(text), both); err != nil {
		t.Fatal(err)
	}
	read(t, want, `signed: -5 unsigned: 6 list: 7 map { key: 1 value: 8 } wrapped { value: 9 } all_wrapped { value: 10 }`)
	if !proto.Equal(both, want) {
		t.Errorf("%s is read as %v", text, both)
	}
	for wrong, path := range map[string]string{
		`{"signed":"5","unsigned":"6","wrapped":7,"allWrapped":["8"],"list":[true]}`: "list[0]",
		`{"signed":"0x10","unsigned":"6"}`:                                           "signed",
		`{"unsigned":"-1"}`:                                                          "unsigned",
		`{"wrapped":{"value":1},"signed":"1"}`:                                       "wrapped",
	} {
		if newStrictJSON().Unmarshal([]byte(wrong), both) == nil {
			t.Fatalf("%s is accepted", wrong)
		}
		if got := faultsOf(t, diagnose([]byte(wrong), both.ProtoReflect().Descriptor())); got != path {
			t.Errorf("%s: faults at %q, want %q", wrong, got, path)
		}
	}
}

// What is left to protojson has wide integers as text, so that no message of
// an API may need it for them.
func TestNoWideIntegerIsLeftToProtojson(t *testing.T) {
	t.Parallel()
	plain := map[protoreflect.FullName]bool{
		"google.protobuf.Duration": true, "google.protobuf.Timestamp": true, "google.protobuf.FieldMask": true, "google.protobuf.Empty": true,
		"google.protobuf.Struct": true, "google.protobuf.Value": true, "google.protobuf.ListValue": true,
		"google.protobuf.Int64Value": true, "google.protobuf.UInt64Value": true, // the encoder's own
		"google.protobuf.Int32Value": true, "google.protobuf.UInt32Value": true, "google.protobuf.FloatValue": true, "google.protobuf.DoubleValue": true,
		"google.protobuf.BoolValue": true, "google.protobuf.StringValue": true, "google.protobuf.BytesValue": true,
	}
	seen := 0
	var look func(protoreflect.MessageDescriptors)
	look = func(all protoreflect.MessageDescriptors) {
		for i := range all.Len() {
			d := all.Get(i)
			if isForeign(d) {
				t.Errorf("%s is left to protojson", d.FullName())
			}
			for j := range d.Fields().Len() {
				if m := d.Fields().Get(j).Message(); m != nil && isForeign(m) && !plain[m.FullName()] {
					t.Errorf("%s is left to protojson", d.Fields().Get(j).FullName())
				}
			}
			seen++
			look(d.Messages())
		}
	}
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if strings.HasPrefix(string(f.Package()), "backplane.") {
			look(f.Messages())
		}
		return true
	})
	if seen < 50 {
		t.Errorf("only %d messages were looked at", seen)
	}
}

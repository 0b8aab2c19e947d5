package rest

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	restv1 "github.com/backplane/backplane/gen/backplane/rest/v1"
)

// encoder writes messages as proto3 JSON: compact, with every field that has a
// value or a default. It writes what protojson does, but for two things that
// the documented APIs need: integers of 64 bits are numbers, not text, and a
// field with the option nullable that is not there is null. It is several times as fast,
// because it learns the fields of a type once and appends to one buffer. What
// is rare is left to protojson.
type encoder struct {
	rest  protojson.MarshalOptions
	plans sync.Map // protoreflect.MessageDescriptor to *plan
}

// plan is what is known of a type of message.
type plan struct {
	goType  reflect.Type
	foreign bool // left to protojson
	bare    bool // a wrapper, written as the value of its only field
	fields  []field
}

type field struct {
	protoreflect.FieldDescriptor
	key      string // with quotes and colon
	kind     protoreflect.Kind
	list     bool
	mapping  bool
	presence bool
	nullable bool
	at       int // among the fields of goType, for lists and maps that are nullable; else -1
}

func newEncoder() *encoder {
	return &encoder{rest: protojson.MarshalOptions{EmitDefaultValues: true}}
}

func (e *encoder) plan(m protoreflect.Message) *plan {
	d := m.Descriptor()
	if p, ok := e.plans.Load(d); ok {
		return p.(*plan)
	}
	p := &plan{foreign: isForeign(d), bare: isWideWrapper(d), goType: reflect.TypeOf(m.Interface())}
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		nullable, _ := proto.GetExtension(f.Options(), restv1.E_Nullable).(bool)
		p.fields = append(p.fields, field{
			FieldDescriptor: f, key: string(appendText(nil, f.JSONName())) + ":", kind: f.Kind(),
			list: f.IsList(), mapping: f.IsMap(), presence: f.HasPresence(), nullable: nullable, at: -1,
		})
		if nullable && (f.IsList() || f.IsMap()) {
			p.fields[i].at = structField(p.goType, f)
		}
	}
	stored, _ := e.plans.LoadOrStore(d, p)
	return stored.(*plan)
}

// structField is the index of a field of a message in its Go type, -1 if that has
// none.
func structField(t reflect.Type, f protoreflect.FieldDescriptor) int {
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return -1
	}
	for i := range t.Elem().NumField() {
		tag := strings.Split(t.Elem().Field(i).Tag.Get("protobuf"), ",") // kind, number, …
		if len(tag) > 1 && tag[1] == strconv.Itoa(int(f.Number())) {
			return i
		}
	}
	return -1
}

// isEmpty tells whether a list or a map is there and has nothing in it. Messages
// that came over a network do not say.
func (p *plan) isEmpty(m protoreflect.Message, f *field) bool {
	if f.at < 0 {
		return false
	}
	v := reflect.ValueOf(m.Interface())
	if v.Type() != p.goType || v.IsNil() {
		return false
	}
	v = v.Elem().Field(f.at)
	return !v.IsNil() && v.Len() == 0
}

// isForeign reports whether protojson knows a type better: those with a JSON of
// their own, and what only proto2 has.
func isForeign(d protoreflect.MessageDescriptor) bool {
	file := d.ParentFile()
	return file == nil || file.Package() == "google.protobuf" || d.ExtensionRanges().Len() > 0 || d.RequiredNumbers().Len() > 0
}

// isWideWrapper tells the wrappers of the integers that protojson writes as
// text.
func isWideWrapper(d protoreflect.MessageDescriptor) bool {
	return d.FullName() == "google.protobuf.Int64Value" || d.FullName() == "google.protobuf.UInt64Value"
}

// message appends a message.
func (e *encoder) message(b []byte, m protoreflect.Message) ([]byte, error) {
	switch known := m.Interface().(type) {
	case *structpb.Struct:
		return appendStruct(b, known)
	case *structpb.Value:
		return appendValue(b, known)
	case *structpb.ListValue:
		return appendValues(b, known)
	case *timestamppb.Timestamp:
		if known.GetNanos() == 0 && known.IsValid() {
			b = append(b, '"')
			b = time.Unix(known.GetSeconds(), 0).UTC().AppendFormat(b, "2006-01-02T15:04:05Z")
			return append(b, '"'), nil
		}
	}
	p := e.plan(m)
	switch {
	case p.bare:
		f := &p.fields[0]
		return e.value(b, f.FieldDescriptor, f.kind, m.Get(f.FieldDescriptor))
	case p.foreign:
		return e.foreign(b, m.Interface())
	}
	b = append(b, '{')
	start := len(b)
	for i := range p.fields {
		f := &p.fields[i]
		empty := (f.presence || f.nullable) && !m.Has(f.FieldDescriptor)
		if empty && !f.nullable {
			continue
		}
		if len(b) > start {
			b = append(b, ',')
		}
		b = append(b, f.key...)
		if empty && !p.isEmpty(m, f) {
			b = append(b, "null"...)
			continue
		}
		var err error
		if b, err = e.field(b, f, m.Get(f.FieldDescriptor)); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

func (e *encoder) foreign(b []byte, m proto.Message) ([]byte, error) {
	text, err := e.rest.Marshal(m)
	return append(b, compact(text)...), err
}

func (e *encoder) field(b []byte, f *field, v protoreflect.Value) (_ []byte, err error) {
	switch {
	case f.list:
		b = append(b, '[')
		list := v.List()
		for i := range list.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = e.value(b, f.FieldDescriptor, f.kind, list.Get(i)); err != nil {
				return b, err
			}
		}
		return append(b, ']'), nil
	case f.mapping:
		return e.mapping(b, f, v.Map())
	default:
		return e.value(b, f.FieldDescriptor, f.kind, v)
	}
}

// mapping appends a map in the order of its keys.
func (e *encoder) mapping(b []byte, f *field, entries protoreflect.Map) (_ []byte, err error) {
	var few [8]protoreflect.MapKey
	keys := few[:0]
	entries.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, k)
		return true
	})
	slices.SortFunc(keys, mapKeyOrder(f.MapKey().Kind()))
	b = append(b, '{')
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		key := k.String()
		if !utf8.ValidString(key) {
			return b, notUTF8(f.FieldDescriptor)
		}
		b = append(appendText(b, key), ':')
		if b, err = e.value(b, f.MapValue(), f.MapValue().Kind(), entries.Get(k)); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

func mapKeyOrder(kind protoreflect.Kind) func(x, y protoreflect.MapKey) int {
	switch kind {
	case protoreflect.StringKind, protoreflect.BoolKind: // false comes before true
		return func(x, y protoreflect.MapKey) int { return cmp.Compare(x.String(), y.String()) }
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return func(x, y protoreflect.MapKey) int { return cmp.Compare(x.Uint(), y.Uint()) }
	default:
		return func(x, y protoreflect.MapKey) int { return cmp.Compare(x.Int(), y.Int()) }
	}
}

func (e *encoder) value(b []byte, f protoreflect.FieldDescriptor, kind protoreflect.Kind, v protoreflect.Value) ([]byte, error) {
	switch kind {
	case protoreflect.StringKind:
		if !utf8.ValidString(v.String()) {
			return b, notUTF8(f)
		}
		return appendText(b, v.String()), nil
	case protoreflect.BoolKind:
		return strconv.AppendBool(b, v.Bool()), nil
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind,
		protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return strconv.AppendInt(b, v.Int(), 10), nil
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return strconv.AppendUint(b, v.Uint(), 10), nil
	case protoreflect.FloatKind:
		return appendFloat(b, v.Float(), 32), nil
	case protoreflect.DoubleKind:
		return appendFloat(b, v.Float(), 64), nil
	case protoreflect.BytesKind:
		return append(base64.StdEncoding.AppendEncode(append(b, '"'), v.Bytes()), '"'), nil
	case protoreflect.EnumKind:
		return appendEnum(b, f.Enum(), v.Enum()), nil
	default:
		return e.message(b, v.Message())
	}
}

func notUTF8(f protoreflect.FieldDescriptor) error {
	return fmt.Errorf("%s is not valid UTF-8", f.FullName())
}

func appendEnum(b []byte, d protoreflect.EnumDescriptor, n protoreflect.EnumNumber) []byte {
	if d.FullName() == "google.protobuf.NullValue" {
		return append(b, "null"...)
	}
	if v := d.Values().ByNumber(n); v != nil {
		return appendText(b, string(v.Name()))
	}
	return strconv.AppendInt(b, int64(n), 10)
}

func appendStruct(b []byte, s *structpb.Struct) (_ []byte, err error) {
	var few [16]string
	keys := few[:0]
	for k := range s.GetFields() {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	b = append(b, '{')
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		if !utf8.ValidString(k) {
			return b, fmt.Errorf("key %q is not valid UTF-8", k)
		}
		b = append(appendText(b, k), ':')
		if b, err = appendValue(b, s.GetFields()[k]); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

func appendValues(b []byte, l *structpb.ListValue) (_ []byte, err error) {
	b = append(b, '[')
	for i, v := range l.GetValues() {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendValue(b, v); err != nil {
			return b, err
		}
	}
	return append(b, ']'), nil
}

func appendValue(b []byte, v *structpb.Value) ([]byte, error) {
	switch k := v.GetKind().(type) {
	case *structpb.Value_NullValue:
		return append(b, "null"...), nil
	case *structpb.Value_BoolValue:
		return strconv.AppendBool(b, k.BoolValue), nil
	case *structpb.Value_NumberValue:
		if math.IsNaN(k.NumberValue) || math.IsInf(k.NumberValue, 0) {
			return b, fmt.Errorf("%v is not a number of JSON", k.NumberValue)
		}
		return appendFloat(b, k.NumberValue, 64), nil
	case *structpb.Value_StringValue:
		if !utf8.ValidString(k.StringValue) {
			return b, fmt.Errorf("a text is not valid UTF-8")
		}
		return appendText(b, k.StringValue), nil
	case *structpb.Value_StructValue:
		return appendStruct(b, k.StructValue)
	case *structpb.Value_ListValue:
		return appendValues(b, k.ListValue)
	default:
		return b, fmt.Errorf("a value without a kind")
	}
}

// appendFloat writes a number as ECMAScript does (ECMA-262, Number::toString).
func appendFloat(b []byte, n float64, bits int) []byte {
	switch {
	case math.IsNaN(n):
		return append(b, `"NaN"`...)
	case math.IsInf(n, 1):
		return append(b, `"Infinity"`...)
	case math.IsInf(n, -1):
		return append(b, `"-Infinity"`...)
	}
	abs := math.Abs(n)
	small, big := abs < 1e-6, abs >= 1e21
	if bits == 32 {
		small, big = float32(abs) < 1e-6, float32(abs) >= 1e21
	}
	if abs == 0 || !small && !big {
		return strconv.AppendFloat(b, n, 'f', -1, bits)
	}
	b = strconv.AppendFloat(b, n, 'e', -1, bits)
	if at := len(b) - 4; string(b[at:at+3]) == "e-0" { // e-07 becomes e-7
		b = append(b[:at+2], b[at+3])
	}
	return b
}

// appendText writes valid UTF-8 with quotes, escaping only what JSON demands
// (RFC 8259, section 7).
func appendText(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, '\\', 'b')
		case '\f':
			b = append(b, '\\', 'f')
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		}
	}
	return append(append(b, s[from:]...), '"')
}

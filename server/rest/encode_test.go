package rest

import (
	"math"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
)

// texts, numbers and sizes that are handled by cases of their own.
var (
	texts   = []string{"", "plain", `quote " and \ slash`, "\x00\x01\b\f\n\r\t\x1f\x7f", "ä€😀\u2028", "<&>"}
	numbers = []float64{0, math.Copysign(0, -1), 1, -1, 0.1, 1e-6, 9.9e-7, 1e-10, 1e20, 1e21, -1.5e300, math.MaxFloat64, math.SmallestNonzeroFloat64}
)

// equalToProtojson compares with protojson, whose spaces are removed and whose
// integers of 64 bits are made numbers: the one difference that there must be.
func equalToProtojson(t *testing.T, m proto.Message) {
	t.Helper()
	want, wantErr := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(m)
	got, err := newEncoder().message(nil, m.ProtoReflect())
	if (err != nil) != (wantErr != nil) {
		t.Fatalf("error is %v, that of protojson %v", err, wantErr)
	}
	if err != nil {
		return
	}
	if want := wideAsNumbers(t, compact(want), m.ProtoReflect().Descriptor()); string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestEncoderEqualsProtojson(t *testing.T) {
	list := &structpb.ListValue{Values: []*structpb.Value{structpb.NewNullValue(), structpb.NewBoolValue(true)}}
	fields := map[string]*structpb.Value{"list": structpb.NewListValue(list), "empty": structpb.NewStructValue(&structpb.Struct{})}
	for _, s := range texts {
		list.Values = append(list.Values, structpb.NewStringValue(s))
		fields["key "+s] = structpb.NewStringValue(s)
	}
	for _, n := range numbers {
		list.Values = append(list.Values, structpb.NewNumberValue(n))
	}
	for name, m := range map[string]proto.Message{
		"struct":         &structpb.Struct{Fields: fields},
		"nil in struct":  &structpb.Struct{Fields: map[string]*structpb.Value{"a": nil}},
		"not a number":   structpb.NewNumberValue(math.NaN()),
		"infinity":       structpb.NewNumberValue(math.Inf(1)),
		"bad text":       structpb.NewStringValue("\xff"),
		"bad key":        &structpb.Struct{Fields: map[string]*structpb.Value{"\xff": structpb.NewNullValue()}},
		"bad field":      &catalogv1.Service{Name: "\xff"},
		"bad map key":    &catalogv1.Service{Labels: map[string]string{"\xff": ""}},
		"seconds":        &timestamppb.Timestamp{Seconds: 1_700_000_000},
		"before 1970":    &timestamppb.Timestamp{Seconds: -62_135_596_800},
		"too early":      &timestamppb.Timestamp{Seconds: -62_135_596_801},
		"milliseconds":   &timestamppb.Timestamp{Seconds: 1, Nanos: 5_000_000},
		"duration":       durationpb.New(1_500_000_000),
		"wrapper":        wrapperspb.UInt64(math.MaxUint64),
		"wide, negative": wrapperspb.Int64(math.MinInt64),
		"narrow wrapper": wrapperspb.UInt32(math.MaxUint32),
		"proto2":         &descriptorpb.FieldOptions{Deprecated: proto.Bool(true)},
		"empty service":  &catalogv1.Service{},
		"empty response": &catalogv1.ListServicesResponse{},
	} {
		t.Run(name, func(t *testing.T) { equalToProtojson(t, m) })
	}
}

// Every message of the API is filled at random and compared.
func TestEncoderEqualsProtojsonOnTheAPI(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, file := range []protoreflect.FileDescriptor{catalogv1.File_backplane_catalog_v1_catalog_proto, identityv1.File_backplane_identity_v1_identity_proto} {
		for i := range file.Messages().Len() {
			name := file.Messages().Get(i).FullName()
			t.Run(string(name.Name()), func(t *testing.T) {
				for range 20 {
					m := messageNamed(t, name)
					fill(m.ProtoReflect(), random, 0)
					equalToProtojson(t, m)
				}
			})
		}
	}
}

func messageNamed(t *testing.T, name protoreflect.FullName) proto.Message {
	t.Helper()
	mt, err := protoregistry.GlobalTypes.FindMessageByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return mt.New().Interface()
}

// fill sets about half of the fields, and of theirs.
func fill(m protoreflect.Message, random *rand.Rand, depth int) {
	fields := m.Descriptor().Fields()
	if v, ok := m.Interface().(*structpb.Value); ok {
		v.Kind = structpb.NewStringValue(texts[random.IntN(len(texts))]).GetKind() // one is needed
		return
	}
	if at, ok := m.Interface().(*timestamppb.Timestamp); ok {
		at.Seconds = random.Int64N(1 << 33)
		return
	}
	if d, ok := m.Interface().(*durationpb.Duration); ok {
		d.Seconds = random.Int64N(1 << 30)
		return
	}
	for i := range fields.Len() {
		f := fields.Get(i)
		if depth > 5 || random.IntN(2) == 0 || f.Message() != nil && f.Message().FullName() == "google.protobuf.FieldMask" {
			continue
		}
		switch {
		case f.IsMap():
			for range random.IntN(12) {
				m.Mutable(f).Map().Set(scalar(f.MapKey(), random).MapKey(), element(f.MapValue(), m.Mutable(f).Map().NewValue, random, depth))
			}
		case f.IsList():
			for range random.IntN(3) {
				m.Mutable(f).List().Append(element(f, m.Mutable(f).List().NewElement, random, depth))
			}
		default:
			m.Set(f, element(f, func() protoreflect.Value { return m.NewField(f) }, random, depth))
		}
	}
}

func element(f protoreflect.FieldDescriptor, made func() protoreflect.Value, random *rand.Rand, depth int) protoreflect.Value {
	if f.Message() == nil {
		return scalar(f, random)
	}
	v := made()
	fill(v.Message(), random, depth+1)
	return v
}

func scalar(f protoreflect.FieldDescriptor, random *rand.Rand) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOf(texts[random.IntN(len(texts))])
	case protoreflect.BytesKind:
		return protoreflect.ValueOf([]byte(texts[random.IntN(len(texts))]))
	case protoreflect.BoolKind:
		return protoreflect.ValueOf(random.IntN(2) == 0)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOf(int32(random.Uint32()))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOf(random.Uint32())
	case protoreflect.Int64Kind:
		return protoreflect.ValueOf(int64(random.Uint64()))
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOf(random.Uint64())
	case protoreflect.DoubleKind:
		return protoreflect.ValueOf(numbers[random.IntN(len(numbers))])
	case protoreflect.EnumKind:
		return protoreflect.ValueOf(protoreflect.EnumNumber(random.IntN(3)))
	default:
		panic("a kind of field that the API had not: " + f.Kind().String())
	}
}

// What fill does not make: each kind of field, and of map key.
func TestEncoderEqualsProtojsonOnEveryKind(t *testing.T) {
	for _, syntax := range []string{"proto2", "proto3"} {
		t.Run(syntax, func(t *testing.T) { equalToProtojson(t, everyKind(t, syntax)) })
	}
}

// everyKind is a message with fields of every kind, made for this test.
func everyKind(t *testing.T, syntax string) proto.Message {
	t.Helper()
	type kind = descriptorpb.FieldDescriptorProto_Type
	file := &descriptorpb.FileDescriptorProto{
		Name: proto.String("every.proto"), Package: proto.String("every"), Syntax: &syntax,
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("Every")}},
		EnumType: []*descriptorpb.EnumDescriptorProto{{Name: proto.String("Colour"), Value: []*descriptorpb.EnumValueDescriptorProto{
			{Name: proto.String("RED"), Number: proto.Int32(0)}, {Name: proto.String("BLUE"), Number: proto.Int32(1)},
		}}},
	}
	every := file.MessageType[0]
	for k := descriptorpb.FieldDescriptorProto_TYPE_DOUBLE; k <= descriptorpb.FieldDescriptorProto_TYPE_SINT64; k++ {
		if k == descriptorpb.FieldDescriptorProto_TYPE_GROUP || k == descriptorpb.FieldDescriptorProto_TYPE_MESSAGE {
			continue
		}
		f := &descriptorpb.FieldDescriptorProto{
			Name: proto.String("f_" + kind.String(k)), Number: proto.Int32(int32(k)), Type: k.Enum(),
			Label: descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum(),
		}
		if k == descriptorpb.FieldDescriptorProto_TYPE_ENUM {
			f.TypeName = proto.String(".every.Colour")
		}
		every.Field = append(every.Field, f)
	}
	for i, kinds := range [][2]kind{ // of the keys and the values of maps
		{descriptorpb.FieldDescriptorProto_TYPE_BOOL, descriptorpb.FieldDescriptorProto_TYPE_UINT64},
		{descriptorpb.FieldDescriptorProto_TYPE_STRING, descriptorpb.FieldDescriptorProto_TYPE_SINT64},
		{descriptorpb.FieldDescriptorProto_TYPE_INT64, descriptorpb.FieldDescriptorProto_TYPE_BOOL},
		{descriptorpb.FieldDescriptorProto_TYPE_UINT64, descriptorpb.FieldDescriptorProto_TYPE_STRING},
	} {
		name := string(rune('A'+i)) + "Entry"
		every.NestedType = append(every.NestedType, &descriptorpb.DescriptorProto{
			Name: &name, Options: &descriptorpb.MessageOptions{MapEntry: proto.Bool(true)},
			Field: []*descriptorpb.FieldDescriptorProto{
				{Name: proto.String("key"), Number: proto.Int32(1), Type: kinds[0].Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()},
				{Name: proto.String("value"), Number: proto.Int32(2), Type: kinds[1].Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()},
			},
		})
		every.Field = append(every.Field, &descriptorpb.FieldDescriptorProto{
			Name: proto.String(string(rune('a' + i))), Number: proto.Int32(int32(100 + i)), TypeName: proto.String(".every.Every." + name),
			Type: descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum(),
		})
	}
	d, err := protodesc.NewFile(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := dynamicpb.NewMessage(d.Messages().Get(0))
	random := rand.New(rand.NewPCG(3, 4))
	for i := range every.Field {
		f := m.Descriptor().Fields().Get(i)
		for range 12 {
			if f.IsMap() {
				m.Mutable(f).Map().Set(anyScalar(f.MapKey(), random).MapKey(), anyScalar(f.MapValue(), random))
			} else {
				m.Mutable(f).List().Append(anyScalar(f, random))
			}
		}
	}
	return m
}

// anyScalar is scalar for the kinds that the API lacks too.
func anyScalar(f protoreflect.FieldDescriptor, random *rand.Rand) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOf(int32(random.Uint32()))
	case protoreflect.Fixed32Kind:
		return protoreflect.ValueOf(random.Uint32())
	case protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOf(int64(random.Uint64()))
	case protoreflect.Fixed64Kind:
		return protoreflect.ValueOf(random.Uint64())
	case protoreflect.FloatKind:
		return protoreflect.ValueOf(float32(numbers[random.IntN(len(numbers))]))
	default:
		return scalar(f, random)
	}
}

package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// writeJSON shows a value indented.
func (p printer) writeJSON(v any) error {
	enc := json.NewEncoder(p.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// writeJSONLine shows a value on one line, for streams.
func (p printer) writeJSONLine(v any) error {
	enc := json.NewEncoder(p.out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// object keeps the order of the fields in the definition.
type object []member

type member struct {
	name  string
	value any
}

// MarshalJSON implements json.Marshaler.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		for j, v := range []any{m.name, m.value} {
			if j == 1 {
				b.WriteByte(':')
			}
			enc := json.NewEncoder(&b)
			enc.SetEscapeHTML(false) // json.Marshal would write < as \u003c
			if err := enc.Encode(v); err != nil {
				return nil, err
			}
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// arrayJSON is a list of messages as JSON; [] when there are none.
func arrayJSON[M proto.Message](all []M) []any {
	out := make([]any, len(all))
	for i, m := range all {
		out[i] = messageJSON(m.ProtoReflect())
	}
	return out
}

// messageJSON is a message as the REST API shows it: numbers are numbers, which
// protojson would write as text when they are wide, and what is only ever sent
// by clients is left out.
func messageJSON(m protoreflect.Message) any {
	if t, ok := m.Interface().(*timestamppb.Timestamp); ok {
		return t.AsTime().UTC().Format(time.RFC3339Nano)
	}
	out := object{}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if fd.HasPresence() && !m.Has(fd) || inputOnly(fd) {
			continue
		}
		v := m.Get(fd)
		if !fd.IsList() {
			out = append(out, member{fd.JSONName(), valueJSON(fd, v)})
			continue
		}
		items := make([]any, v.List().Len())
		for j := range items {
			items[j] = valueJSON(fd, v.List().Get(j))
		}
		out = append(out, member{fd.JSONName(), items})
	}
	return out
}

func valueJSON(fd protoreflect.FieldDescriptor, v protoreflect.Value) any {
	switch fd.Kind() {
	case protoreflect.MessageKind:
		return messageJSON(v.Message())
	case protoreflect.BytesKind:
		return base64.StdEncoding.EncodeToString(v.Bytes())
	case protoreflect.EnumKind:
		if ev := fd.Enum().Values().ByNumber(v.Enum()); ev != nil {
			return string(ev.Name())
		}
		return v.Enum()
	default:
		return v.Interface()
	}
}

func inputOnly(fd protoreflect.FieldDescriptor) bool {
	behaviors, _ := proto.GetExtension(fd.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.Contains(behaviors, annotations.FieldBehavior_INPUT_ONLY)
}

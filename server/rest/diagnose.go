package rest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/backplane/backplane/internal/errs"
)

const (
	// maxDepth bounds how deep a diagnosis looks into nested JSON.
	maxDepth = 100
	// maxMessages bounds how deep messages may be nested in a body. Each level
	// of JSON in a google.protobuf.Struct is up to three of them.
	maxMessages = 3 * maxDepth
)

// diagnose says why a body was refused: malformed JSON as one sentence, and
// otherwise every field that is unknown or of the wrong type.
func diagnose(data []byte, d protoreflect.MessageDescriptor) error {
	if err := wellFormed(data); err != nil {
		return err
	}
	var v any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return errs.New(errs.BadRequest, "The body is not valid JSON")
	}
	object, ok := v.(map[string]any)
	if !ok {
		return errs.New(errs.BadRequest, "The body must be a JSON object")
	}
	faults := checkMessage("", object, d)
	if len(faults) == 0 {
		return errs.New(errs.BadRequest, "The body does not fit this request")
	}
	sort.Slice(faults, func(i, j int) bool { return faults[i].Path < faults[j].Path })
	return errs.Invalid(faults...)
}

// wellFormed refuses malformed JSON, text that is not UTF-8, trailing data and duplicate keys.
func wellFormed(data []byte) error {
	if !utf8.Valid(data) {
		return errs.New(errs.BadRequest, "The body must be JSON in UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := walk(dec, "", 0); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errs.New(errs.BadRequest, "The body has data after the JSON object")
	}
	return nil
}

func walk(dec *json.Decoder, path string, depth int) error {
	malformed := func() error {
		return errs.New(errs.BadRequest, "The body is not valid JSON near byte %d", dec.InputOffset())
	}
	if depth > maxDepth {
		return errs.New(errs.BadRequest, "The body is nested too deeply")
	}
	tok, err := dec.Token()
	if err != nil {
		return malformed()
	}
	delim, ok := tok.(json.Delim)
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	for i := 0; dec.More(); i++ {
		at := path + "[" + strconv.Itoa(i) + "]"
		if delim == '{' {
			key, err := dec.Token()
			if err != nil {
				return malformed()
			}
			name, _ := key.(string)
			at = join(path, name)
			if seen[name] {
				return errs.New(errs.BadRequest, "The body has the key %q twice", at)
			}
			seen[name] = true
		}
		if err := walk(dec, at, depth+1); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return malformed()
	}
	return nil
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func checkMessage(path string, object map[string]any, d protoreflect.MessageDescriptor) (faults []errs.Field) {
	for key, v := range object {
		fd := d.Fields().ByJSONName(key)
		if fd == nil {
			fd = d.Fields().ByTextName(key)
		}
		at := join(path, key)
		switch {
		case fd == nil:
			faults = append(faults, errs.Field{Path: at, Message: "is not a known field; known are " + fieldList(d)})
		case v != nil:
			faults = append(faults, checkField(at, v, fd)...)
		}
	}
	return faults
}

func fieldList(d protoreflect.MessageDescriptor) string {
	names := make([]string, d.Fields().Len())
	for i := range names {
		names[i] = d.Fields().Get(i).JSONName()
	}
	return strings.Join(names, ", ")
}

func checkField(path string, v any, fd protoreflect.FieldDescriptor) (faults []errs.Field) {
	bad := func(want string) []errs.Field { return []errs.Field{{Path: path, Message: "must be " + want}} }
	switch {
	case fd.IsMap():
		object, ok := v.(map[string]any)
		if !ok {
			return bad("an object")
		}
		for k, e := range object {
			faults = append(faults, checkValue(join(path, k), e, fd.MapValue())...)
		}
		return faults
	case fd.IsList():
		list, ok := v.([]any)
		if !ok {
			return bad("a list")
		}
		for i, e := range list {
			faults = append(faults, checkValue(fmt.Sprintf("%s[%d]", path, i), e, fd)...)
		}
		return faults
	default:
		return checkValue(path, v, fd)
	}
}

func checkValue(path string, v any, fd protoreflect.FieldDescriptor) []errs.Field {
	want := ""
	switch fd.Kind() {
	case protoreflect.BoolKind:
		if _, ok := v.(bool); !ok {
			want = "true or false"
		}
	case protoreflect.StringKind:
		if _, ok := v.(string); !ok {
			want = "a string"
		}
	case protoreflect.BytesKind:
		if s, ok := v.(string); !ok || !isBase64(s) {
			want = "a string in base64"
		}
	case protoreflect.EnumKind:
		s, ok := v.(string)
		if !ok || fd.Enum().Values().ByName(protoreflect.Name(s)) == nil {
			want = "one of the names of " + string(fd.Enum().Name())
		}
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return checkNested(path, v, fd.Message())
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		if _, ok := v.(json.Number); !ok {
			want = "a number"
		}
	default:
		want = checkInteger(v, fd.Kind())
	}
	if want == "" {
		return nil
	}
	return []errs.Field{{Path: path, Message: "must be " + want}}
}

func isBase64(s string) bool {
	_, err := base64.StdEncoding.DecodeString(s)
	return err == nil
}

func checkInteger(v any, kind protoreflect.Kind) string {
	low, high := float64(math.MinInt32), float64(math.MaxInt32)
	switch kind {
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		low, high = 0, math.MaxUint32
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		low, high = 0, math.MaxUint64
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		low, high = math.MinInt64, math.MaxInt64
	}
	want := fmt.Sprintf("an integer from %.0f to %.0f", low, high)
	n, ok := v.(json.Number)
	if text, isText := v.(string); isText && json.Valid([]byte(text)) {
		n, ok = json.Number(text), true // proto3 JSON takes numbers as text too
	}
	if !ok {
		return want
	}
	f, err := n.Float64()
	if err != nil || f != math.Trunc(f) || f < low || f > high {
		return want
	}
	return ""
}

func checkNested(path string, v any, d protoreflect.MessageDescriptor) []errs.Field {
	bad := func(want string) []errs.Field { return []errs.Field{{Path: path, Message: "must be " + want}} }
	switch d.FullName() {
	case "google.protobuf.Struct":
		if _, ok := v.(map[string]any); !ok {
			return bad("an object")
		}
		return nil
	case "google.protobuf.Value":
		return nil
	case "google.protobuf.Int32Value", "google.protobuf.UInt32Value", "google.protobuf.Int64Value", "google.protobuf.UInt64Value",
		"google.protobuf.FloatValue", "google.protobuf.DoubleValue", "google.protobuf.BoolValue", "google.protobuf.StringValue", "google.protobuf.BytesValue":
		return checkValue(path, v, d.Fields().ByName("value"))
	case "google.protobuf.Timestamp":
		s, _ := v.(string)
		if _, err := time.Parse(time.RFC3339Nano, s); err != nil {
			return bad(`a time such as "2024-01-15T10:30:00Z"`)
		}
		return nil
	case "google.protobuf.Duration":
		s, _ := v.(string)
		if n, ok := strings.CutSuffix(s, "s"); ok {
			if _, err := strconv.ParseFloat(n, 64); err == nil {
				return nil
			}
		}
		return bad(`a duration in seconds such as "30s"`)
	}
	object, ok := v.(map[string]any)
	if !ok {
		return bad("an object")
	}
	return checkMessage(path, object, d)
}

package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/backplane/backplane/internal/errs"
)

// firstBuffer is about the size of one service as JSON.
const firstBuffer = 1 << 10

// strictJSON writes compact JSON with every field that has a value or a
// default, and refuses what it does not understand.
type strictJSON struct {
	encoder   *encoder
	unmarshal protojson.UnmarshalOptions
}

var _ runtime.Marshaler = (*strictJSON)(nil)

func newStrictJSON() *strictJSON {
	return &strictJSON{
		encoder:   newEncoder(),
		unmarshal: protojson.UnmarshalOptions{RecursionLimit: maxMessages},
	}
}

// ContentType implements runtime.Marshaler.
func (*strictJSON) ContentType(any) string { return "application/json" }

// Marshal implements runtime.Marshaler.
func (s *strictJSON) Marshal(v any) ([]byte, error) {
	if m, ok := v.(proto.Message); ok {
		return s.encoder.message(make([]byte, 0, firstBuffer), m.ProtoReflect())
	}
	var b bytes.Buffer
	err := plainEncoder(&b).Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// plainEncoder writes what is no message, and like the encoder of messages
// leaves <, > and & as they are.
func plainEncoder(w io.Writer) *json.Encoder {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc
}

// compact removes the spaces between tokens, which protojson adds or leaves
// out at random.
func compact(b []byte) []byte {
	out, text, escaped := b[:0], false, false
	for _, c := range b {
		switch {
		case text:
			if escaped {
				escaped = false
			} else if c == '\\' {
				escaped = true
			} else if c == '"' {
				text = false
			}
		case c == ' ':
			continue
		case c == '"':
			text = true
		}
		out = append(out, c)
	}
	return out
}

// NewEncoder implements runtime.Marshaler.
func (s *strictJSON) NewEncoder(w io.Writer) runtime.Encoder {
	return runtime.EncoderFunc(func(v any) error {
		out, err := s.Marshal(v)
		if err != nil {
			return err
		}
		_, err = w.Write(out)
		return err
	})
}

// Unmarshal implements runtime.Marshaler.
func (s *strictJSON) Unmarshal(data []byte, v any) error {
	m, err := messageOf(v)
	if err != nil {
		return err
	}
	return s.unmarshal.Unmarshal(data, m)
}

// NewDecoder implements runtime.Marshaler. The decoder leaves the reason of a
// refusal in the exchange, because the generated handler flattens errors. What
// does not come from an exchange was settled before: the generated handlers of
// PATCH read it aside, to see which fields it has.
func (s *strictJSON) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error {
		b, ok := r.(*body)
		if !ok || b.exchange.settled {
			data, err := io.ReadAll(r)
			if err != nil {
				return err
			}
			if len(data) == 0 {
				return io.EOF // which the generated handlers take for no body
			}
			if err = s.Unmarshal(data, v); err != nil && ok {
				return b.exchange.refuse(&errs.Error{Reason: errs.BadRequest, Message: "The body has a value that is too large, or nested too deeply", Err: err})
			}
			return err
		}
		e := b.exchange
		e.deadline(time.Now().Add(bodyTimeout))
		data, err := io.ReadAll(r)
		if err != nil {
			return e.refuse(readError(err)) // and what is left of the body may take no longer either
		}
		e.deadline(time.Time{})
		m, err := messageOf(v)
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(data)) == 0 {
			return e.refuse(errs.New(errs.BadRequest, "The body must be a JSON object"))
		}
		if err := s.unmarshal.Unmarshal(data, m); err != nil {
			return e.refuse(diagnose(data, m.ProtoReflect().Descriptor()))
		}
		e.keys, err = fieldNames(data, m)
		return err
	})
}

func readError(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return errs.New(errs.TooLarge, "The body is larger than %d bytes", tooLarge.Limit)
	}
	return &errs.Error{Reason: errs.BadRequest, Message: "The body could not be read to its end", Err: err}
}

// fieldNames are the top-level fields that the body has.
func fieldNames(data []byte, m proto.Message) ([]string, error) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(data, &top); err != nil {
		return nil, fmt.Errorf("keys of the body: %w", err)
	}
	fields := m.ProtoReflect().Descriptor().Fields()
	var names []string
	for _, key := range slices.Sorted(maps.Keys(top)) {
		if fd := fields.ByJSONName(key); fd != nil {
			names = append(names, string(fd.Name()))
		} else if fd := fields.ByTextName(key); fd != nil {
			names = append(names, string(fd.Name()))
		}
	}
	return names, nil
}

// messageOf finds the message behind what generated handlers decode into: a
// message, or a pointer to a field that may still be nil.
func messageOf(v any) (proto.Message, error) {
	if m, ok := v.(proto.Message); ok {
		return m, nil
	}
	rv := reflect.ValueOf(v)
	if rv.Kind() == reflect.Pointer && rv.Elem().Kind() == reflect.Pointer {
		if rv.Elem().IsNil() {
			rv.Elem().Set(reflect.New(rv.Elem().Type().Elem()))
		}
		if m, ok := rv.Elem().Interface().(proto.Message); ok {
			return m, nil
		}
	}
	return nil, fmt.Errorf("cannot decode JSON into %T", v)
}

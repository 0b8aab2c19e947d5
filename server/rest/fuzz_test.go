package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	"github.com/backplane/backplane/internal/errs"
)

var bodies = []string{
	`{}`, `{"name":"a","config":{"port":5432,"tls_ca":null}}`, `{"name":1,"tags":"x","labels":[],"enabled":"yes","nmae":2}`,
	`{"check":{"interval":"x","failures_before_critical":-1}}`, `{"created_at":"yesterday"}`, `{"a":1,"a":2}`, `[1]`, `null`, `{"a":`, `{} x`, "\xff",
	`{"config":{"a":[{"b":{"c":[]}}]}}`, `{"version":1e3}`, `{"version":4294967296}`, `{"secrets_set":[1,null]}`, `{"labels":{"a":1}}`,
}

// FuzzDiagnose holds what is said about a refused body against the decoder and
// against encoding/json.
func FuzzDiagnose(f *testing.F) {
	for _, b := range bodies {
		f.Add([]byte(b))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		valid := json.Valid(data)
		if err := wellFormed(data); err == nil && !valid {
			t.Fatalf("%q is taken for JSON", data)
		}
		for _, m := range []protoreflect.ProtoMessage{&catalogv1.Service{}, &catalogv1.RollbackServiceRequest{}, &catalogv1.WatchServicesResponse{}} {
			if (protojson.UnmarshalOptions{RecursionLimit: maxMessages}).Unmarshal(data, m) == nil {
				continue // never diagnosed
			}
			var e *errs.Error
			if err := diagnose(data, m.ProtoReflect().Descriptor()); !errors.As(err, &e) {
				t.Fatalf("%q is diagnosed as %v", data, err)
			}
			switch {
			case e.Message == "", e.Reason != errs.BadRequest && e.Reason != errs.ValidationFailed:
				t.Errorf("%q is diagnosed as %+v", data, e)
			case e.Reason == errs.ValidationFailed && (len(e.Fields) == 0 || !valid):
				t.Errorf("%q has the faults %+v", data, e.Fields)
			}
		}
	})
}

// FuzzCompact removes spaces from JSON and must leave its meaning.
func FuzzCompact(f *testing.F) {
	for _, b := range bodies {
		f.Add([]byte(b))
	}
	f.Add([]byte(`{"a" :  " \" \\",  "b": [1,  2]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after any
		if json.Unmarshal(data, &before) != nil {
			return
		}
		out := compact(bytes.Clone(data))
		if err := json.Unmarshal(out, &after); err != nil || !reflect.DeepEqual(before, after) {
			t.Fatalf("%q becomes %q: %v", data, out, err)
		}
		if again := compact(bytes.Clone(out)); !bytes.Equal(again, out) {
			t.Errorf("%q becomes %q and then %q", data, out, again)
		}
	})
}

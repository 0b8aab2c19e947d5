package proxy

import (
	"encoding/json"
	"net/http"
	"time"

	"google.golang.org/protobuf/types/known/structpb"
)

// structOf is a map as a message, whatever types its values have.
func structOf(values map[string]any) (*structpb.Struct, error) {
	v, err := valueOf(values)
	if err != nil {
		return nil, err
	}
	return v.GetStructValue(), nil
}

// valueOf is a value as a message: what its JSON is.
func valueOf(v any) (*structpb.Value, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var plain any
	if err := json.Unmarshal(text, &plain); err != nil {
		return nil, err
	}
	return structpb.NewValue(plain)
}

// date is a time as clients of this API know it (RFC 9110, section 5.6.7).
func date(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

// dateOrNull is a date, "" for no time.
func dateOrNull(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return date(t)
}

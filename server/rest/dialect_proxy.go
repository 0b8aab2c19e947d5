package rest

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/backplane/backplane/internal/errs"
)

// proxyDialect differs from the catalogue's in what it overlooks, and in its
// errors.
var proxyDialect dialect = strictDialect{query: (*route).settleQuery, failure: failAsProxy}

// proxyErrors is a failure in the proxy's dialect (JSON:API 1.0, error
// objects).
type proxyErrors struct {
	Errors []proxyError `json:"errors"`
}

type proxyError struct {
	Status string `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// failAsProxy writes an error as one error object for each fault.
func failAsProxy(_ *facade, w http.ResponseWriter, _ *exchange, e *errs.Error) {
	status := StatusOf(e.Reason)
	fault := proxyError{Status: strconv.Itoa(status), Code: string(e.Reason), Detail: e.Message}
	out := proxyErrors{Errors: []proxyError{fault}}
	if len(e.Fields) > 0 {
		out.Errors = nil
	}
	for _, field := range e.Fields {
		fault.Detail = field.Path + " " + field.Message
		out.Errors = append(out.Errors, fault)
	}
	w.WriteHeader(status)
	plainEncoder(w).Encode(out) //nolint:errcheck // the client has gone
}

// settleQuery reads the query as the proxy's dialect does: what the RPC does
// not know is left out, as are numbers and truth values that it cannot read,
// and the last of several values counts.
func (r *route) settleQuery(rawQuery string) (string, error) {
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return "", errs.New(errs.BadRequest, "The query string is malformed")
	}
	for name, all := range values {
		field := r.fields.ByJSONName(name)
		if field == nil || !r.query[name] {
			delete(values, name)
			continue
		}
		if field.IsList() {
			continue
		}
		if value, ok := settleValue(field.Kind(), all[len(all)-1]); ok {
			values.Set(name, value)
		} else {
			delete(values, name)
		}
	}
	return values.Encode(), nil
}

// settleValue is a value as the generated code reads it.
func settleValue(kind protoreflect.Kind, value string) (string, bool) {
	switch kind {
	case protoreflect.BoolKind:
		switch strings.ToLower(value) {
		case "true", "yes", "on", "1":
			return "true", true
		case "false", "no", "off", "0":
			return "false", true
		}
		return "", false
	case protoreflect.Uint32Kind:
		_, err := strconv.ParseUint(value, 10, 32)
		return value, err == nil
	}
	return value, true
}

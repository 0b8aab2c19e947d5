package rest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/backplane/backplane/internal/errs"
)

// catalogDialect is that of the catalogue: of JSON bodies in which nothing
// unknown may be.
type catalogDialect struct{}

// serve implements dialect.
func (d catalogDialect) serve(f *facade, w http.ResponseWriter, r *http.Request, x *exchange) {
	verb := r.Method
	if verb == http.MethodHead {
		verb = http.MethodGet // net/http leaves the body out
	}
	route, allow, err := f.routes.find(verb, r.URL.EscapedPath())
	if err != nil {
		if allow != nil {
			w.Header().Set("Allow", strings.Join(allow, ", "))
		}
		f.writeError(w, r, err)
		return
	}
	if !f.Gate.Public(route.method) {
		if r, err = f.admit(r); err != nil {
			f.writeError(w, r, err)
			return
		}
	}
	if r.URL.RawQuery, err = route.checkQuery(r.URL.RawQuery); err != nil {
		f.writeError(w, r, err)
		return
	}
	if route.body {
		if err := checkContentType(r); err != nil {
			f.writeError(w, r, err)
			return
		}
	}
	r.Method = verb
	r.Body = &body{http.MaxBytesReader(w, r.Body, MaxBody), x}
	f.forward(w, r, route)
}

// catalogError is a failure in the catalogue's dialect, which is also that of
// every path of our own.
type catalogError struct {
	OK        bool            `json:"ok"`
	Error     string          `json:"error"`
	Code      string          `json:"code"`
	RequestID string          `json:"request_id"`
	Fields    []catalogFault  `json:"fields,omitempty"`
	Data      json.RawMessage `json:"data,omitempty"`
}

type catalogFault struct {
	Path    string `json:"path"`
	Message string `json:"message"`
}

// fail implements dialect.
func (d catalogDialect) fail(f *facade, w http.ResponseWriter, _ *http.Request, x *exchange, e *errs.Error) {
	if e.Reason == errs.Unauthenticated {
		w.Header().Set("WWW-Authenticate", loginChallenge)
	}
	out := catalogError{Error: e.Message, Code: string(e.Reason), RequestID: x.requestID}
	for _, field := range e.Fields {
		out.Fields = append(out.Fields, catalogFault(field))
	}
	for _, d := range e.Details {
		if m, ok := d.(proto.Message); ok {
			if data, err := f.json.Marshal(m); err == nil {
				out.Data = data
			}
		}
	}
	w.WriteHeader(StatusOf(e.Reason))
	plainEncoder(w).Encode(out) //nolint:errcheck // the client has gone
}

// checkQuery refuses parameters that the RPC does not have: a typo must not
// silently widen a list.
func (r *route) checkQuery(rawQuery string) (string, error) {
	if rawQuery == "" {
		return "", nil
	}
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return "", errs.New(errs.BadRequest, "The query string is malformed")
	}
	var faults []errs.Field
	for name := range values {
		top, _, _ := strings.Cut(name, ".")
		if !r.query[top] {
			faults = append(faults, errs.Field{Path: name, Message: "is not a parameter here; known are " + r.parameters()})
		}
	}
	if len(faults) == 0 {
		return rawQuery, nil
	}
	slices.SortFunc(faults, func(a, b errs.Field) int { return strings.Compare(a.Path, b.Path) })
	e := errs.Invalid(faults...)
	e.Reason = errs.BadRequest
	return "", e
}

func (r *route) parameters() string {
	var names []string
	for name, ok := range r.query {
		if ok {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// checkContentType accepts JSON, and nothing where there is no body.
func checkContentType(r *http.Request) error {
	if r.ContentLength == 0 {
		return nil
	}
	mediaType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	if mediaType == "application/json" || strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json") {
		return nil
	}
	return errs.New(errs.UnsupportedType, "The body must be JSON: send Content-Type: application/json")
}

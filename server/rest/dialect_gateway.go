package rest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/internal/errs"
)

// gatewayDialect is that of the HTTP gateway: the Kong Admin API as its
// existing clients know it. It takes forms for JSON, and overlooks parameters
// of queries that it does not know.
type gatewayDialect struct{}

const (
	// gatewayServer is what the Server header says. Clients read the version of
	// the API from it.
	gatewayServer = "kong/3.10.0"
	gatewayType   = jsonType + "; charset=utf-8"
	// gatewayPackage is the prefix of the services that the dialect is for.
	gatewayPackage = "backplane.gateway."
)

// serve implements dialect. Who calls is settled before anything else, but for
// what browsers ask ahead of a call, which they do without a login.
func (d gatewayDialect) serve(f *facade, w http.ResponseWriter, r *http.Request, x *exchange) {
	x.url = urlOf(f.address(r), r.URL)
	out := &timed{ResponseWriter: w, began: time.Now()}
	announce(out.Header(), r, x)
	path := r.URL.EscapedPath()
	verbs := possible(f.routes.verbs(path))
	there := len(verbs) > 1 // OPTIONS alone is nothing
	if there {
		out.Header().Set("Allow", strings.Join(verbs, ", "))
	}
	if there && r.Method == http.MethodOptions {
		preflight(out, verbs)
		return
	}
	known, err := f.admit(r)
	if err != nil {
		f.writeError(out, r, err)
		return
	}
	r, x.admitted = known, true
	verb := r.Method
	if verb == http.MethodHead {
		verb = http.MethodGet // net/http leaves the body out
	}
	switch {
	case !there:
		err = errs.New(errs.NotFound, "Not found")
	case !slices.Contains(verbs, verb):
		err = d.notPossible(f, r, path)
	default:
		err = d.call(f, out, r, verb, path)
	}
	if err != nil {
		f.writeError(out, r, err)
	}
}

// notPossible is the error for a verb that a path does not have. What others
// refer to cannot be deleted through them; where they do not refer to anything,
// nothing is there.
func (d gatewayDialect) notPossible(f *facade, r *http.Request, path string) error {
	if r.Method == http.MethodDelete {
		if get, _, err := f.routes.find(http.MethodGet, path); err == nil && strings.HasPrefix(get.name(), "Get") {
			if _, err := d.invoke(f, r, get, path, nil); err != nil {
				return err
			}
		}
	}
	return errs.New(errs.MethodNotAllowed, "Method not allowed")
}

// announce sets the headers that every answer has.
func announce(h http.Header, r *http.Request, x *exchange) {
	h.Set("Server", gatewayServer)
	share(h, r, x)
}

// preflight tells a browser what it may ask for.
func preflight(w http.ResponseWriter, verbs []string) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", strings.Join(verbs, ", "))
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Kong-Admin-Token")
	w.WriteHeader(http.StatusNoContent)
}

// share says that a page of another site may read the answer unless it is the
// browser that has logged in: then whoever lures a person to a page could read
// what the person may.
func share(h http.Header, r *http.Request, x *exchange) {
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Access-Control-Allow-Origin", "*")
	origin := r.Header.Get("Origin")
	if origin == "" {
		return
	}
	h.Set("Vary", "Origin")
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	ofPage := !x.cookie && (r.Header.Get("Kong-Admin-Token") != "" || strings.EqualFold(scheme, "Bearer"))
	if ofPage || r.Method == http.MethodOptions {
		h.Set("Access-Control-Allow-Origin", origin)
	}
}

// timed says in a header how long an answer took.
type timed struct {
	http.ResponseWriter
	began time.Time
	wrote bool
}

// WriteHeader implements http.ResponseWriter.
func (t *timed) WriteHeader(status int) {
	if !t.wrote {
		t.wrote = true
		t.Header().Set("X-Kong-Admin-Latency", strconv.FormatInt(time.Since(t.began).Milliseconds(), 10))
	}
	t.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (t *timed) Write(text []byte) (int, error) {
	if !t.wrote {
		t.WriteHeader(http.StatusOK)
	}
	return t.ResponseWriter.Write(text)
}

// Unwrap serves http.ResponseController.
func (t *timed) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// gatewayError is a failure in the gateway's dialect.
type gatewayError struct {
	Message string          `json:"message"`
	Name    string          `json:"name,omitempty"`
	Code    int32           `json:"code,omitempty"`
	Fields  json.RawMessage `json:"fields,omitempty"`
	Options json.RawMessage `json:"options,omitempty"`
}

// The numbers of refusals that are not 400.
const (
	codeUnique   = 5
	codeNotFound = 6
)

// fail implements dialect.
func (d gatewayDialect) fail(f *facade, w http.ResponseWriter, r *http.Request, x *exchange, e *errs.Error) {
	h := w.Header()
	announce(h, r, x)
	out := gatewayError{Message: e.Message}
	detail := detailOf(e)
	status := gatewayStatus(e.Reason, detail.GetCode())
	switch status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", loginChallenge)
	case http.StatusMethodNotAllowed:
		out.Message = "Method not allowed"
	case http.StatusInternalServerError:
		out.Message = "An unexpected error occurred"
	case http.StatusUnsupportedMediaType:
		h.Del("Content-Type")
		w.WriteHeader(status)
		return
	}
	out.Name, out.Code = detail.GetName(), detail.GetCode()
	if detail.GetFields() != nil {
		out.Fields, _ = f.json.Marshal(detail.GetFields()) //nolint:errcheck // it came over the wire
	}
	if detail.GetOptions() != nil {
		out.Options, _ = f.json.Marshal(detail.GetOptions()) //nolint:errcheck // it came over the wire
	}
	var b bytes.Buffer
	plainEncoder(&b).Encode(out) //nolint:errcheck // into memory
	h.Set("Content-Type", gatewayType)
	w.WriteHeader(status)
	w.Write(bytes.TrimSuffix(b.Bytes(), []byte("\n"))) //nolint:errcheck // the client has gone
}

// detailOf is what the API tells of a refusal; nil for other errors.
func detailOf(e *errs.Error) *gatewayv1.ErrorDetail {
	for _, d := range e.Details {
		if detail, ok := d.(*gatewayv1.ErrorDetail); ok {
			return detail
		}
	}
	return nil
}

func gatewayStatus(reason errs.Reason, code int32) int {
	switch {
	case code == codeUnique:
		return http.StatusConflict
	case code == codeNotFound:
		return http.StatusNotFound
	case code != 0, reason == errs.ValidationFailed:
		return http.StatusBadRequest
	}
	return StatusOf(reason)
}

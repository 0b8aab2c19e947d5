package rest

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"

	"github.com/backplane/backplane/internal/errs"
)

// loginChallenge says how to log in (RFC 7617).
const loginChallenge = `Basic realm="backplane", charset="UTF-8"`

// statuses is the one mapping from reasons to HTTP.
var statuses = map[errs.Reason]int{
	errs.BadRequest:       http.StatusBadRequest,
	errs.Unauthenticated:  http.StatusUnauthorized,
	errs.PermissionDenied: http.StatusForbidden,
	errs.NotFound:         http.StatusNotFound,
	errs.MethodNotAllowed: http.StatusMethodNotAllowed,
	errs.TooLarge:         http.StatusRequestEntityTooLarge,
	errs.UnsupportedType:  http.StatusUnsupportedMediaType,
	errs.NameTaken:        http.StatusConflict,
	errs.InUse:            http.StatusConflict,
	errs.TypeImmutable:    http.StatusConflict,
	errs.Disabled:         http.StatusConflict,
	errs.VersionMismatch:  http.StatusPreconditionFailed,
	errs.IndexGone:        http.StatusGone,
	errs.ValidationFailed: http.StatusUnprocessableEntity,
	errs.TestFailed:       http.StatusUnprocessableEntity,
	errs.TooManyTests:     http.StatusTooManyRequests,
	errs.TooManyLogins:    http.StatusTooManyRequests,
	errs.TooManyCalls:     http.StatusTooManyRequests,
	errs.Timeout:          http.StatusGatewayTimeout,
	errs.Canceled:         499, // what nginx logs when the client has gone
	errs.Unavailable:      http.StatusServiceUnavailable,
	errs.BackendFailed:    http.StatusBadGateway,
	errs.Internal:         http.StatusInternalServerError,
}

// StatusOf is the HTTP status of a reason.
func StatusOf(r errs.Reason) int {
	if s, ok := statuses[r]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// writeError renders an error in the caller's dialect.
func (f *facade) writeError(w http.ResponseWriter, r *http.Request, err error) {
	e, h := errs.FromStatus(err), w.Header()
	x := exchangeOf(r.Context())
	switch e.Reason {
	case errs.Unauthenticated:
		if x.cookie && !x.admitted { // otherwise it is not the login that is wrong
			forgetToken(w, r)
		}
	case errs.TooManyTests, errs.TooManyLogins, errs.TooManyCalls:
		h.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(e.RetryAfter.Seconds())))))
	}
	h.Set("Content-Type", "application/json")
	x.dialect.fail(f, w, r, x, e)
}

// callError renders what a call returned. Why a body was refused is known to
// the exchange better than to the generated handler.
func (f *facade) callError(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	if md, ok := runtime.ServerMetadataFromContext(ctx); ok {
		copyHeaders(w.Header(), md)
	}
	if x := exchangeOf(r.Context()); x != nil && x.err != nil {
		err = x.err
	}
	f.writeError(w, r, err)
}

// routingError renders what the generated router refuses by itself; the route
// table has let such a request through only when a path value is malformed.
func (f *facade) routingError(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, _ int) {
	f.writeError(w, r, errs.New(errs.NotFound, "There is nothing at this path"))
}

func copyHeaders(h http.Header, md runtime.ServerMetadata) {
	for key, values := range md.HeaderMD {
		if name, ok := outgoingHeader(key); ok {
			for _, v := range values {
				h.Set(name, v)
			}
		}
	}
}

// outgoingHeader lists what an RPC may tell its REST caller in a header.
func outgoingHeader(key string) (string, bool) {
	switch strings.ToLower(key) {
	case "etag", "last-modified", "location", "mxs-warning", "x-index", "x-next-cursor":
		return http.CanonicalHeaderKey(key), true
	}
	return "", false
}

// incomingHeader lists what a REST caller may tell an RPC in a header, beside
// Authorization.
func incomingHeader(key string) (string, bool) {
	switch strings.ToLower(key) {
	case "if-match", "if-unmodified-since", "kong-admin-token":
		return strings.ToLower(key), true
	}
	return "", false
}

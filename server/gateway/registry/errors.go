package registry

import (
	"google.golang.org/protobuf/protoadapt"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/internal/errs"
)

// The numbers of refusals. Clients see them.
const (
	codeOther   = -1
	codeExists  = 1
	codeEmpty   = 2
	codeUnknown = 3
	codePage    = 4
	codeMarked  = 5
)

// refusal is an error with its number.
func refusal(reason errs.Reason, code int32, format string, args ...any) *errs.Error {
	e := errs.New(reason, format, args...)
	e.Details = []protoadapt.MessageV1{protoadapt.MessageV1Of(&gatewayv1.ErrorDetail{Name: "service registry", Code: code})}
	return e
}

func errExists(name string) error {
	return refusal(errs.NameTaken, codeExists, "The %q service already exists.", name)
}

func errUnknown(id int64) error {
	return refusal(errs.NotFound, codeUnknown, "The service with id %d was not found.", id)
}

func errMarked(id int64) error {
	return refusal(errs.Disabled, codeMarked, "Service %d has already been marked as deleted.", id)
}

// errOff is the error of all calls where services are not managed.
func errOff() error {
	return errs.New(errs.MethodNotAllowed, "The management of services is switched off (--service-management)")
}

func errClosed() error {
	return errs.New(errs.Unavailable, "The server is shutting down; try again in a moment")
}

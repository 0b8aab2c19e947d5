// Package errs holds the one error type that crosses the rooms of the house,
// and the one mapping from it to a gRPC status.
package errs

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Domain marks the ErrorInfo details of this program.
const Domain = "backplane"

// Reason says, for programs, what went wrong: a closed set. It is the `code`
// of REST answers and the reason of the ErrorInfo detail over gRPC.
type Reason string

// The reasons.
const (
	BadRequest       Reason = "bad_request"
	Unauthenticated  Reason = "unauthenticated"
	PermissionDenied Reason = "permission_denied"
	NotFound         Reason = "not_found"
	MethodNotAllowed Reason = "method_not_allowed"
	TooLarge         Reason = "too_large"
	UnsupportedType  Reason = "unsupported_media_type"
	NameTaken        Reason = "name_taken"
	InUse            Reason = "in_use"
	TypeImmutable    Reason = "type_immutable"
	Disabled         Reason = "disabled"
	VersionMismatch  Reason = "version_mismatch"
	IndexGone        Reason = "index_gone"
	ValidationFailed Reason = "validation_failed"
	TestFailed       Reason = "test_failed"
	TooManyTests     Reason = "too_many_tests"
	TooManyLogins    Reason = "too_many_logins"
	TooManyCalls     Reason = "too_many_calls"
	Timeout          Reason = "timeout"
	Canceled         Reason = "canceled"
	Unavailable      Reason = "unavailable"
	// BackendFailed is a backend's refusal of what Backplane asked of it.
	BackendFailed Reason = "backend_failed"
	Internal      Reason = "internal"
)

// grpcCodes is the one mapping to gRPC.
var grpcCodes = map[Reason]codes.Code{
	BadRequest:       codes.InvalidArgument,
	Unauthenticated:  codes.Unauthenticated,
	PermissionDenied: codes.PermissionDenied,
	NotFound:         codes.NotFound,
	MethodNotAllowed: codes.Unimplemented,
	TooLarge:         codes.ResourceExhausted,
	UnsupportedType:  codes.InvalidArgument,
	NameTaken:        codes.AlreadyExists,
	InUse:            codes.FailedPrecondition,
	TypeImmutable:    codes.FailedPrecondition,
	Disabled:         codes.FailedPrecondition,
	VersionMismatch:  codes.Aborted,
	IndexGone:        codes.OutOfRange,
	ValidationFailed: codes.InvalidArgument,
	TestFailed:       codes.FailedPrecondition,
	TooManyTests:     codes.ResourceExhausted,
	TooManyLogins:    codes.ResourceExhausted,
	TooManyCalls:     codes.ResourceExhausted,
	Timeout:          codes.DeadlineExceeded,
	Canceled:         codes.Canceled,
	Unavailable:      codes.Unavailable,
	BackendFailed:    codes.FailedPrecondition,
	Internal:         codes.Internal,
}

// Reasons lists the closed set.
func Reasons() []Reason {
	out := make([]Reason, 0, len(grpcCodes))
	for r := range grpcCodes {
		out = append(out, r)
	}
	return out
}

// Field is one faulty input.
type Field struct {
	Path    string // such as config.port
	Message string // what it should be
}

// Error is an error that may be shown to the caller, but for Err.
type Error struct {
	Reason  Reason
	Message string // what to change; never a secret
	Fields  []Field
	Details []protoadapt.MessageV1 // more for programs, such as a failed test
	// RetryAfter is how long the caller should wait; 0 when that is unknown.
	RetryAfter time.Duration
	Err        error // the cause, for the log only
}

// Error returns the message and the cause.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", e.Message, e.Err)
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New makes an Error with a formatted message.
func New(reason Reason, format string, args ...any) *Error {
	return &Error{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Invalid makes the Error for faulty fields: all of them at once.
func Invalid(fields ...Field) *Error {
	e := &Error{Reason: ValidationFailed, Message: "Some fields are not valid", Fields: fields}
	if len(fields) == 1 {
		e.Message = fields[0].Path + " " + fields[0].Message
	}
	return e
}

// Convert maps any error to one that may be shown: an Error stays, a status
// made elsewhere keeps its meaning, the end of a context becomes Timeout or
// Canceled, a store that cannot be reached Unavailable, and whatever else becomes an opaque Internal with the cause kept
// for the log.
func Convert(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Reason: Timeout, Message: "The request took too long", Err: err}
	case errors.Is(err, context.Canceled):
		return &Error{Reason: Canceled, Message: "The request was cancelled", Err: err}
	}
	if st, ok := status.FromError(err); ok {
		return fromStatus(st, err)
	}
	var network net.Error
	if errors.Is(err, driver.ErrBadConn) || errors.As(err, &network) {
		return &Error{Reason: Unavailable, Message: "The store cannot be reached; try again in a moment", Err: err}
	}
	return &Error{Reason: Internal, Message: "Internal error", Err: err}
}

// ToStatus is the one mapping from errors to gRPC statuses.
func ToStatus(err error) *status.Status {
	e := Convert(err)
	code, ok := grpcCodes[e.Reason]
	if !ok {
		code = codes.Internal
	}
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: string(e.Reason), Domain: Domain}}
	if len(e.Fields) > 0 {
		bad := &errdetails.BadRequest{}
		for _, f := range e.Fields {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: f.Path, Description: f.Message})
		}
		details = append(details, bad)
	}
	if e.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)})
	}
	st := status.New(code, e.Message)
	if with, err := st.WithDetails(append(details, e.Details...)...); err == nil {
		st = with
	}
	return st
}

// FromStatus is the inverse of ToStatus, for the REST façade.
func FromStatus(err error) *Error {
	st, ok := status.FromError(err)
	if !ok {
		return Convert(err)
	}
	return fromStatus(st, nil)
}

func fromStatus(st *status.Status, cause error) *Error {
	e := &Error{Reason: reasonOf(st.Code()), Message: st.Message(), Err: cause}
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() == Domain {
				e.Reason = Reason(d.GetReason())
			}
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				e.Fields = append(e.Fields, Field{v.GetField(), v.GetDescription()})
			}
		case *errdetails.RetryInfo:
			e.RetryAfter = d.GetRetryDelay().AsDuration()
		case protoadapt.MessageV1:
			e.Details = append(e.Details, d)
		}
	}
	if e.Reason == Internal {
		e.Message = "Internal error"
	}
	return e
}

// reasonOf reads statuses made by libraries.
func reasonOf(c codes.Code) Reason {
	switch c {
	case codes.InvalidArgument, codes.OutOfRange:
		return BadRequest
	case codes.NotFound:
		return NotFound
	case codes.Unimplemented:
		return MethodNotAllowed
	case codes.Unauthenticated:
		return Unauthenticated
	case codes.PermissionDenied:
		return PermissionDenied
	case codes.DeadlineExceeded:
		return Timeout
	case codes.Canceled:
		return Canceled
	case codes.ResourceExhausted:
		return TooLarge
	case codes.Unavailable:
		return Unavailable
	default:
		return Internal
	}
}

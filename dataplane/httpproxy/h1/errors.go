package h1

import (
	"errors"
	"fmt"
)

// ErrHTTP2 is in the error of a server that was sent the preface of HTTP/2.
var ErrHTTP2 = errors.New("the connection preface of HTTP/2")

// ErrBodyPending is returned by Client.WriteRequest when there is a response
// before the body is all sent, or when the body has to be waited for, in which
// time there may be one. Client.WriteRest sends the rest, and may do so while
// the response is read.
var ErrBodyPending = errors.New("there may be a response before the request is sent")

// ErrBodyLength is in a SourceError: the body has not the length it was told
// to have.
var ErrBodyLength = errors.New("the body is not as long as was told")

// ProtocolError is that the peer sent what is not to be accepted. The
// connection cannot be used any more, except for a server to answer.
type ProtocolError struct {
	// Status is what a server answers: 400, 405, 414, 417, 431 or 505. The
	// like from an upstream is answered with 502.
	Status int
	Reason string
	Err    error // ErrHTTP2 or nil
}

// Error implements error.
func (e *ProtocolError) Error() string { return e.Reason }

// Unwrap is ErrHTTP2 where that is the cause.
func (e *ProtocolError) Unwrap() error { return e.Err }

// ConnError is that the connection could not be read or written. A time that
// was exceeded is os.ErrDeadlineExceeded, the end of the connection io.EOF
// between messages and io.ErrUnexpectedEOF within one.
type ConnError struct {
	Op  string // read or write
	Err error
	// Began tells that some of the message that was to be read had arrived.
	// If not, a request may be tried elsewhere.
	Began bool
}

// Error implements error.
func (e *ConnError) Error() string { return fmt.Sprintf("%s: %v", e.Op, e.Err) }

// Unwrap is the cause.
func (e *ConnError) Unwrap() error { return e.Err }

// SourceError is that the body that was to be written could not be read.
type SourceError struct{ Err error }

// Error implements error.
func (e *SourceError) Error() string { return fmt.Sprintf("read the body: %v", e.Err) }

// Unwrap is the cause.
func (e *SourceError) Unwrap() error { return e.Err }

// FieldError is that a field cannot be written. Nothing of the message was.
type FieldError struct{ Name string }

// Error implements error.
func (e *FieldError) Error() string { return fmt.Sprintf("the field %q cannot be sent", e.Name) }

func bad(reason string) error { return &ProtocolError{Status: 400, Reason: reason} }

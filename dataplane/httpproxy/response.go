package httpproxy

import (
	"bytes"
	"io"
)

// Source tells where a response is from.
type Source uint8

// The sources.
const (
	FromService Source = iota + 1 // the upstream
	FromPlugin                    // a plugin, or the gateway because of what was asked
	FromError                     // the gateway, because it could not do what was asked
)

// String is the name of the source in logs and metrics.
func (s Source) String() string {
	switch s {
	case FromService:
		return "service"
	case FromPlugin:
		return "exit"
	default:
		return "error"
	}
}

// Response is what the client gets. Plugins may change it in Responder.
type Response struct {
	Status int
	Source Source
	// Header has no fields that concern the connection alone.
	Header  Header
	Trailer Header // known once Body has ended
	// ContentLength is the length of the body, -1 while it is not known.
	ContentLength int64
	// Body is the body; it is never nil.
	Body io.Reader
	// Sent is how many bytes of the body the client was sent so far.
	Sent int64
}

// ReadBody reads the whole body, which is then kept for who reads it next. The
// error is ErrTooLarge if it has more than limit bytes: what was read until
// then is kept as well.
func (r *Response) ReadBody(limit int64) ([]byte, error) {
	b, err := readBody(&r.Body, r.ContentLength, limit)
	if err == nil {
		r.ContentLength = int64(len(b))
	}
	return b, err
}

// SetBody puts another body in the place of the upstream's.
func (r *Response) SetBody(b []byte) { r.Body, r.ContentLength = bytes.NewReader(b), int64(len(b)) }

package h1

import (
	"io"

	"github.com/backplane/backplane/dataplane/httpproxy/header"
)

// Request is a request. Header, and Trailer if it is wanted, must be set before
// it is read, and are emptied and filled; they may point into what the caller
// keeps its own request in.
type Request struct {
	Method string
	// Target is the target as it was sent. It is not used for writing.
	Target string
	// Path is the path and query that are asked for, "*" in "OPTIONS *".
	Path string
	// Host is the authority that is asked for, with its port if it was sent;
	// only HTTP/1.0 may leave it empty.
	Host                   string
	ProtoMajor, ProtoMinor int
	Header                 *header.Header
	// Trailer is filled when Body has ended, and written, if the body is sent
	// in chunks, when it has ended; nil drops trailers.
	Trailer *header.Header
	// ContentLength is the length of the body, -1 while it is not known: it is
	// written in chunks then.
	ContentLength int64
	// Body is never nil after reading. It is valid until the next message is
	// read. When writing, nil is an empty one.
	Body io.Reader
	// Upgrade is the protocol that is asked for, "" for none.
	Upgrade string
	// Trailers tells that trailers are accepted in the response ("TE:
	// trailers").
	Trailers bool
	// ExpectContinue tells that "100 Continue" is waited for before the body is
	// sent. It is sent when the body is first read. It is not used for writing.
	ExpectContinue bool
	// Close tells that the connection ends with the response.
	Close bool
}

// Response is a response. Header and Trailer must be set before it is read, as
// those of Request.
type Response struct {
	Status int
	// Reason is the phrase after the status. When writing, "" is the usual one.
	Reason                 string
	ProtoMajor, ProtoMinor int
	Header                 *header.Header
	Trailer                *header.Header
	// ContentLength is the length of the body, -1 while it is not known. In
	// responses that have no body (to HEAD, or of status 304) it is what is
	// told of the one there could be, -1 if nothing is.
	ContentLength int64
	Body          io.Reader
	// Upgrade is the protocol that is changed to (status 101), or that is
	// offered.
	Upgrade string
	// Close tells that the connection ends with the response: when written,
	// that it shall.
	Close bool
}

package httpproxy

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net/netip"
)

// Request is what a client asks. What plugins change of it is what the upstream
// gets.
type Request struct {
	Method string
	// Target is the target as the client sent it, query included.
	Target string
	// RawPath is the path of the target as it was sent, and Path the same in
	// normal form, by which routes are matched: without %-escapes of what need
	// not be escaped, dot segments and repeated slashes.
	RawPath, Path string
	// Query is what follows the first "?" of the target, HasQuery whether
	// there is one.
	Query    string
	HasQuery bool
	// Host is the authority that was asked for, with its port if it was sent.
	Host string
	// ProtoMajor and ProtoMinor are the version of HTTP.
	ProtoMajor, ProtoMinor int
	// Header has no fields that concern the connection alone (RFC 9110, 7.6.1),
	// and no Host.
	Header  Header
	Trailer Header // known once Body has ended
	// ContentLength is the length of the body, -1 while it is not known.
	ContentLength int64
	// Body is the body; it is never nil.
	Body io.Reader
	// Upgrade is the protocol that the client wants to change to, "" for none.
	Upgrade string
	// ExpectContinue tells that the client waits for "100 Continue" before it
	// sends the body: it is sent when the body is first read.
	ExpectContinue bool

	trailers bool   // the client accepts them
	origin   string // the path and query of the target

	// Scheme is http or https, of the connection.
	Scheme string
	// Peer is who the connection is from, Local the address that it came to.
	Peer, Local netip.AddrPort
	// Client is who the request is from: the peer, or who a trusted peer says.
	Client netip.Addr
	// TLS is what was agreed on, nil without TLS.
	TLS *tls.ConnectionState
}

// ErrTooLarge is the error of a body that is longer than may be.
var ErrTooLarge = errors.New("the body is too large")

// BodyRefusal is an error of a Body that a plugin has put around the client's:
// the request is answered with it.
type BodyRefusal struct {
	Status  int
	Message string
}

// Error is the message.
func (e *BodyRefusal) Error() string { return e.Message }

// ReadBody reads the whole body, which is then kept for who reads it next. The
// error is ErrTooLarge if it has more than limit bytes: what was read until
// then is kept as well.
func (r *Request) ReadBody(limit int64) ([]byte, error) {
	b, err := readBody(&r.Body, r.ContentLength, limit)
	if err == nil {
		r.ContentLength = int64(len(b))
	}
	return b, err
}

// SetBody puts another body in the place of the client's.
func (r *Request) SetBody(b []byte) { r.Body, r.ContentLength = bytes.NewReader(b), int64(len(b)) }

// readBody reads a body and puts it back.
func readBody(body *io.Reader, length, limit int64) ([]byte, error) {
	if length > limit {
		return nil, ErrTooLarge
	}
	if kept, ok := (*body).(*bytes.Reader); ok && kept.Size() == int64(kept.Len()) && kept.Size() <= limit {
		b := make([]byte, kept.Len())
		_, err := io.ReadFull(kept, b)
		*body = bytes.NewReader(b)
		return b, err
	}
	b, err := io.ReadAll(io.LimitReader(*body, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = ErrTooLarge
	}
	if err != nil {
		*body = io.MultiReader(bytes.NewReader(b), *body)
		return nil, err
	}
	*body = bytes.NewReader(b)
	return b, nil
}

package h1

import (
	"io"
	"math"
	"net"
	"sync/atomic"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy/header"
)

// maxInterim bounds how many interim responses there may be before one.
const maxInterim = 32

// Client is the client's end of a connection. One goroutine at a time reads
// from it and one writes; Close may be called by others.
type Client struct {
	conn
	outbound outbound

	head    bool // the last request is HEAD
	upgrade bool // it asks for another protocol
	sent    atomic.Bool
	close   bool // the connection ends with the last response
}

// NewClient takes over a connection.
func NewClient(nc net.Conn, o Options) *Client {
	c := &Client{}
	c.init(nc, o)
	c.outbound.c = &c.conn
	c.outbound.stop = c.interrupt
	c.body.reset(formNone, 0, nil)
	c.sent.Store(true)
	return c
}

// SetTimeouts changes how long reads and writes may take.
func (c *Client) SetTimeouts(read, write time.Duration) {
	c.o.ReadTimeout, c.o.WriteTimeout = read, write
}

// SetReadTimeout changes how long reads may take. It may be called while the
// rest of a body is written. After 0 deadlines of the connection are the
// caller's until it is called again.
func (c *Client) SetReadTimeout(read time.Duration) {
	if c.o.ReadTimeout = read; read <= 0 {
		c.armRead(0)
	}
}

// patience is how long more of a body is waited for while nobody looks whether
// there is a response.
const patience = 10 * time.Millisecond

// interrupt is asked before more of a body is read.
func (c *Client) interrupt(src io.Reader) error {
	if !c.silent() {
		return ErrBodyPending
	}
	if ready(src) {
		return nil
	}
	b, ok := src.(*body)
	if !ok {
		return ErrBodyPending
	}
	if err := b.ask(); err != nil {
		return &SourceError{err}
	}
	if !b.c.soon(patience) {
		return ErrBodyPending
	}
	return nil
}

// WriteRequest writes a request. The error is a FieldError, a SourceError, a
// ConnError, or ErrBodyPending. After a ConnError there may be a response all
// the same, which ReadResponse tells.
func (c *Client) WriteRequest(r *Request) error {
	if err := r.check(); err != nil {
		return err
	}
	c.head, c.upgrade = r.Method == "HEAD", r.Upgrade != ""
	c.close = r.Close
	c.sent.Store(false)
	c.body.reset(formClose, 0, nil) // it has not ended
	length := r.ContentLength
	if r.Body == nil {
		length = 0
	}
	o := &c.outbound
	b := append(o.begin(length), r.Method...)
	b = append(b, ' ')
	b = append(b, r.Path...)
	b = append(b, " HTTP/1.1\r\n"...)
	b = appendField(b, "Host", r.Host)
	b = appendFields(b, r.Header)
	o.form, o.src, o.trailer, o.left = formLength, r.Body, r.Trailer, length
	switch {
	case length < 0:
		o.form, o.left = formChunked, math.MaxInt64
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case length > 0 || r.Method == "POST" || r.Method == "PUT" || r.Method == "PATCH":
		b = appendLength(b, length)
	}
	o.head(append(r.appendConnection(b), "\r\n"...))
	return c.wrote(o.body())
}

// WriteRest goes on with the body after ErrBodyPending, and may do so while the
// response is read.
func (c *Client) WriteRest() error {
	c.outbound.stop = nil
	err := c.wrote(c.outbound.body())
	c.outbound.stop = c.interrupt
	return err
}

func (c *Client) wrote(err error) error {
	switch err {
	case nil:
		c.sent.Store(true)
	case ErrBodyPending:
	default:
		c.outbound.abandon()
	}
	return err
}

// check tells whether the head of a request can be written.
func (r *Request) check() error {
	switch {
	case !header.ValidName(r.Method) || r.Method == "CONNECT":
		return &FieldError{"method"}
	case r.Path == "*" && r.Method == "OPTIONS":
	case r.Path == "" || r.Path[0] != '/' || !validTarget(r.Path):
		return &FieldError{"target"}
	}
	if !validHost(r.Host) {
		return &FieldError{"Host"}
	}
	if !header.ValidValue(r.Upgrade) {
		return &FieldError{"Upgrade"}
	}
	return checkFields(r.Header)
}

func validTarget(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return validPath(s)
}

func (r *Request) appendConnection(b []byte) []byte {
	switch {
	case r.Upgrade != "":
		return appendConnection(b, r.Upgrade, "keep-alive")
	case r.Trailers && r.Close:
		b = appendConnection(b, "", "close", "TE")
	case r.Trailers:
		b = appendConnection(b, "", "TE")
	case r.Close:
		return appendConnection(b, "", "close")
	default:
		return b
	}
	return appendField(b, "TE", "trailers")
}

// ReadResponse reads the response to the last request. Interim ones but 101 are
// skipped. The error is a ProtocolError or a ConnError; the header is empty
// then.
func (c *Client) ReadResponse(r *Response) error {
	err := c.readResponse(r)
	if err != nil {
		c.close = true
		r.Header.Reset() // of what was understood, and of interim responses
	}
	return err
}

func (c *Client) readResponse(r *Response) error {
	for range maxInterim {
		head, err := c.readHead(c.o.ReadTimeout, 0)
		if err != nil {
			return err
		}
		again, err := c.parse(head, r)
		if err != nil || !again {
			return err
		}
	}
	return bad("too many interim responses")
}

// parse reads a head into r, and tells whether it is of an interim response.
func (c *Client) parse(head string, r *Response) (again bool, err error) {
	r.Header.Reset()
	if r.Trailer != nil {
		r.Trailer.Reset()
	}
	line, fields := cutLine(head)
	if err := r.parseStatus(line); err != nil {
		return false, err
	}
	var f framing
	if err := c.parseFields(fields, r.Header, &f); err != nil {
		return false, err
	}
	r.Upgrade = f.upgrade
	r.Close = f.close || r.ProtoMinor == 0 && !f.keepAlive
	form, err := r.frameBody(&f, c.head)
	if err != nil {
		return false, err
	}
	switch {
	case r.Status == 101:
		if !c.upgrade || f.upgrade == "" {
			return false, bad("a change of protocol that was not asked for")
		}
		r.Close = true
	case r.Status < 200:
		return true, nil
	}
	c.close = c.close || r.Close
	c.body.reset(form, f.length, r.Trailer)
	r.Body = &c.body
	return false, nil
}

// Reusable tells whether another request can be sent: the last was written and
// its response read, both to their ends, neither side has said that the
// connection ends, and the server has said nothing more.
func (c *Client) Reusable() bool {
	return c.sent.Load() && c.body.ended.Load() && !c.close && !c.failed && c.buffered() == 0
}

// Alive tells, without waiting, whether a connection that was idle can still be
// used: the server has neither closed it nor said anything.
func (c *Client) Alive() bool { return c.Reusable() && c.silent() }

// Hijack gives the connection away, with what was read of it already, and
// without deadlines.
func (c *Client) Hijack() (nc net.Conn, read []byte) {
	c.close = true
	return c.hijack()
}

// NetConn is the connection.
func (c *Client) NetConn() net.Conn { return c.nc }

// Close closes the connection.
func (c *Client) Close() error { return c.nc.Close() }

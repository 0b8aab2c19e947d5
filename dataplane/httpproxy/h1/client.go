package h1

import (
	"errors"
	"net"
	"time"
)

// Client is the client's end of a connection. One goroutine at a time reads
// from it and one writes, except for Close.
type Client struct{ nc net.Conn }

// NewClient takes over a connection.
func NewClient(nc net.Conn, o Options) *Client { return &Client{nc: nc} }

// SetTimeouts changes how long reads and writes may take.
func (c *Client) SetTimeouts(read, write time.Duration) {}

// WriteRequest writes a request. The error is a FieldError, a SourceError, a
// ConnError, or ErrResponding. After a ConnError there may be a response all
// the same, which ReadResponse tells.
func (c *Client) WriteRequest(r *Request) error { return errors.ErrUnsupported }

// WriteRest goes on with the body after ErrResponding.
func (c *Client) WriteRest() error { return errors.ErrUnsupported }

// ReadResponse reads the response to the last request. Interim ones but 101 are
// skipped. The error is a ProtocolError or a ConnError.
func (c *Client) ReadResponse(r *Response) error { return errors.ErrUnsupported }

// Reusable tells whether another request can be sent: the last was written and
// its response read, both to their ends, and neither side has said that the
// connection ends.
func (c *Client) Reusable() bool { return false }

// Alive tells, without waiting, whether a connection that was idle can still be
// used: the server has neither closed it nor said anything.
func (c *Client) Alive() bool { return false }

// Hijack gives the connection away, with what was read of it already.
func (c *Client) Hijack() (nc net.Conn, read []byte) { return c.nc, nil }

// NetConn is the connection.
func (c *Client) NetConn() net.Conn { return c.nc }

// Close closes the connection.
func (c *Client) Close() error { return c.nc.Close() }

package h1

import (
	"errors"
	"net"

	"github.com/backplane/backplane/dataplane/httpproxy/header"
)

// Server is the server's end of a connection. One goroutine at a time reads
// from it and one writes, except for Close.
type Server struct{ nc net.Conn }

// NewServer takes over a connection. Options.IdleTimeout is that until the
// first request, too.
func NewServer(nc net.Conn, o Options) *Server { return &Server{nc: nc} }

// ReadRequest waits for the next request. What is left of the body of the one
// before is read first, if it is within bounds. The error is a ProtocolError,
// to be answered with WriteResponse, or a ConnError: with io.EOF in it if the
// client has gone.
func (c *Server) ReadRequest(r *Request) error { return errors.ErrUnsupported }

// WriteResponse writes the response to the request that was read last, or to
// the one that could not be read. It tells how much of the body was written.
// The error is a FieldError, a SourceError, or a ConnError.
//
// The body is written as it comes: nothing is held back while more is waited
// for. A status of 101 ends HTTP: Hijack is next.
func (c *Server) WriteResponse(r *Response) (sent int64, err error) {
	return 0, errors.ErrUnsupported
}

// WriteInfo writes an interim response, such as of status 103. Clients of
// HTTP/1.0 get none.
func (c *Server) WriteInfo(status int, h *header.Header) error { return errors.ErrUnsupported }

// Responded tells whether a part of the response to the last request is
// written: another one is impossible then.
func (c *Server) Responded() bool { return false }

// KeepAlive tells whether another request can be read. If not, Linger is next.
func (c *Server) KeepAlive() bool { return false }

// Idle tells whether no byte of a next request is here.
func (c *Server) Idle() bool { return false }

// Hijack gives the connection away, with what was read of it already. The
// deadlines are those of the last read and write.
func (c *Server) Hijack() (nc net.Conn, read []byte) { return c.nc, nil }

// NetConn is the connection.
func (c *Server) NetConn() net.Conn { return c.nc }

// Linger closes the connection so that the client gets what was written even
// if it is still sending: it is read from for a little while.
func (c *Server) Linger() error { return c.nc.Close() }

// Close closes the connection.
func (c *Server) Close() error { return c.nc.Close() }

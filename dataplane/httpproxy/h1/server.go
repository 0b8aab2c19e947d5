package h1

import (
	"errors"
	"io"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy/header"
)

// What Linger waits for.
const (
	lingerTime  = 2 * time.Second
	lingerBytes = 64 << 20
)

// States of a Server.
const (
	busy int32 = iota
	idle       // waiting for a request
	gone
)

var (
	errStatus   = errors.New("a status that no response can have")
	errAnswered = errors.New("the body was not asked for before the response")
)

// Server is the server's end of a connection. One goroutine at a time reads
// from it and one writes; Close and Shutdown may be called by others.
type Server struct {
	conn
	outbound outbound
	ask      func() error // sendContinue, bound once

	state    atomic.Int32
	stopping atomic.Bool

	// Of the last request.
	head   bool  // it is HEAD
	minor  int   // its version
	length int64 // of its body
	close  bool  // no other is read

	mu        sync.Mutex
	expecting bool // 100 Continue is waited for
	answering bool // the response is begun, which bars 100 Continue
}

// NewServer takes over a connection.
func NewServer(nc net.Conn, o Options) *Server {
	c := &Server{}
	c.init(nc, o)
	c.lenient = true
	c.outbound.c = &c.conn
	c.ask = c.sendContinue
	c.body.reset(formNone, 0, nil)
	return c
}

// ReadRequest waits for the next request. What is left of the body of the one
// before is read first, if it is within bounds. The error is a ProtocolError,
// to be answered with WriteResponse, or a ConnError: with io.EOF in it if the
// client has gone or Shutdown was called.
func (c *Server) ReadRequest(r *Request) error {
	if !c.KeepAlive() || !c.body.discard(c.o.Drain) {
		return c.end()
	}
	r.Header.Reset()
	if r.Trailer != nil {
		r.Trailer.Reset()
	}
	c.expecting, c.answering, c.outbound.started = false, false, false
	c.head, c.minor, c.close = false, 1, true // until it is read
	c.body.reset(formClose, 0, nil)
	r.Body = &c.body
	if err := c.await(); err != nil {
		return err
	}
	head, err := c.readHead(c.o.HeadTimeout, c.o.HeadTimeout)
	if err != nil {
		return err
	}
	if err := c.parse(head, r); err != nil {
		return err
	}
	c.head, c.minor, c.close, c.length = r.Method == "HEAD", r.ProtoMinor, r.Close, r.ContentLength
	if r.ContentLength < 0 {
		c.body.reset(formChunked, 0, r.Trailer)
	} else {
		c.body.reset(formLength, r.ContentLength, nil)
	}
	if r.ExpectContinue {
		c.expecting, c.body.before = true, c.ask
	}
	return nil
}

func (c *Server) end() error {
	c.close = true
	return &ConnError{Op: "read", Err: io.EOF}
}

// await waits for the first byte of a request.
func (c *Server) await() error {
	if c.buffered() > 0 {
		return nil
	}
	c.state.Store(idle)
	if c.stopping.Load() {
		c.state.Store(busy)
		return c.end()
	}
	c.armRead(c.o.IdleTimeout)
	err := c.conn.idle()
	if !c.state.CompareAndSwap(idle, busy) {
		return c.end()
	}
	if err != nil {
		return c.headError(err, false)
	}
	return nil
}

// Shutdown lets the connection end with the request that is under way, or at
// once if there is none.
func (c *Server) Shutdown() {
	c.stopping.Store(true)
	if c.state.CompareAndSwap(idle, gone) {
		_ = c.nc.Close() // nobody waits for anything
	}
}

// sendContinue is called before the body is first waited for.
func (c *Server) sendContinue() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answering {
		return errAnswered
	}
	c.expecting = false
	return c.write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
}

// WriteInfo writes an interim response, such as of status 103. Clients of
// HTTP/1.0 get none.
func (c *Server) WriteInfo(status int, h *header.Header) error {
	if status < 100 || status > 199 || status == 101 {
		return errStatus
	}
	if err := checkFields(h); err != nil {
		return err
	}
	if c.minor == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answering {
		return errAnswered
	}
	if status == 100 {
		c.expecting = false
	}
	b := appendStatus(nil, status, "")
	b = appendFields(b, h)
	return c.write(append(b, "\r\n"...))
}

// WriteResponse writes the response to the request that was read last, or to
// the one that could not be read. It tells how much of the body was written.
// The error is a FieldError, a SourceError, or a ConnError.
//
// The body is written as it comes: nothing is held back while more is waited
// for. A status of 101 ends HTTP: Hijack is next.
func (c *Server) WriteResponse(r *Response) (sent int64, err error) {
	if err := r.check(); err != nil {
		return 0, err
	}
	c.mu.Lock()
	c.answering = true
	unasked := c.expecting // whether the body comes then is not known
	c.mu.Unlock()
	if r.Close || c.failed || unasked || !c.body.ended.Load() && c.length > c.o.Drain || c.stopping.Load() {
		c.close = true
	}
	f, length := r.form(c.head, c.minor)
	if f == formClose || r.Status == 101 {
		c.close = true
	}
	o := &c.outbound
	room := length
	if f == formNone {
		room = 0
	}
	b := appendStatus(o.begin(room), r.Status, r.Reason)
	b = appendFields(b, r.Header)
	switch {
	case f == formChunked:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case length >= 0:
		b = appendLength(b, length)
	}
	o.head(append(c.appendConnection(b, r), "\r\n"...))
	o.form, o.src, o.trailer, o.left = f, r.Body, r.Trailer, length
	if f == formNone {
		o.left = 0
	} else if length < 0 {
		o.left = math.MaxInt64
	}
	err = o.body()
	if err != nil {
		c.close = true
		o.abandon()
	}
	return o.sent, err
}

func (c *Server) appendConnection(b []byte, r *Response) []byte {
	switch {
	case r.Status == 101:
		return appendConnection(b, r.Upgrade)
	case c.close:
		return appendConnection(b, r.Upgrade, "close")
	case c.minor == 0:
		return appendConnection(b, r.Upgrade, "keep-alive")
	}
	return appendConnection(b, r.Upgrade)
}

// Responded tells whether a part of the response to the last request is
// written: another one is impossible then.
func (c *Server) Responded() bool { return c.outbound.started }

// KeepAlive tells whether another request can be read. If not, Linger is next.
func (c *Server) KeepAlive() bool { return !c.close && !c.failed }

// Hijack gives the connection away, with what was read of it already, and
// without deadlines.
func (c *Server) Hijack() (nc net.Conn, read []byte) {
	c.close = true
	return c.hijack()
}

// NetConn is the connection.
func (c *Server) NetConn() net.Conn { return c.nc }

// Linger closes the connection so that the client gets what was written even
// if it is still sending: it is read from for a little while then.
func (c *Server) Linger() error {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if ok && !c.failed && (c.body.err != io.EOF || c.buffered() > 0) && half.CloseWrite() == nil {
		_ = c.nc.SetReadDeadline(time.Now().Add(lingerTime)) // what fails here fails in reading
		b := take(smallSize)
		for got := 0; got < lingerBytes; {
			n, err := c.nc.Read(b)
			if err != nil {
				break
			}
			got += n
		}
		give(b)
	}
	c.drop()
	return c.nc.Close()
}

// Close closes the connection.
func (c *Server) Close() error { return c.nc.Close() }

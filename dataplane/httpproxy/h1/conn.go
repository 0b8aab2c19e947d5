package h1

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/backplane/backplane/internal/evloop"
)

// errFull is that a head does not fit the largest buffer.
var errFull = errors.New("the buffer is full")

// conn is what both ends have in common: a connection that is read through a
// buffer, which it has only while there is something in it (where the operating
// system lets that be known), so that idle connections cost little.
type conn struct {
	nc      net.Conn
	o       Options
	lenient bool // one empty line before a head is none (RFC 9112, 2.2)

	raw  syscall.RawConn // nil where buffers cannot be left away while waiting
	base syscall.RawConn // of the TCP connection beneath, nil if unknown
	poll func(fd uintptr) bool
	look func(fd uintptr)
	dst  []byte // what poll reads to; nil for a buffer that it takes
	size int    // of that one, 0 if it is not to be taken
	from int    // where in it
	to   int
	n    int // what poll has read
	err  error
	seen bool // what look has found

	events *evloop.Conn // beneath, where that is on an event loop
	loop   *evloop.Conn // the same where there is no TLS

	first [1]byte
	in    []byte // nil when nothing is buffered
	r, w  int    // what is buffered is in[r:w]

	body  body
	named []string // what the Connection fields of the last head name

	failed   bool // writing has
	noSplice bool // splice has failed

	readUntil, writeUntil time.Time
	setRead, setWrite     func(time.Time) error // the connection's, bound once
}

func (c *conn) init(nc net.Conn, o Options) {
	o.complete()
	c.nc, c.o = nc, o
	c.setRead, c.setWrite = nc.SetReadDeadline, nc.SetWriteDeadline
	c.body.c = c
	c.pollable()
}

// buffered is how many bytes there are in the buffer.
func (c *conn) buffered() int { return c.w - c.r }

// release gives the read buffer back if there is nothing in it.
func (c *conn) release() {
	if c.r == c.w && c.in != nil {
		give(c.in)
		c.in, c.r, c.w = nil, 0, 0
	}
}

// drop gives back what there is.
func (c *conn) drop() {
	c.r = c.w
	c.release()
}

// armRead bounds the reads to come to between d and 1.25 d, so that the
// deadline need not be set for every one of them.
func (c *conn) armRead(d time.Duration) {
	c.readUntil = c.arm(c.readUntil, d, c.setRead)
}

func (c *conn) armWrite(d time.Duration) {
	c.writeUntil = c.arm(c.writeUntil, d, c.setWrite)
}

func (c *conn) arm(until time.Time, d time.Duration, set func(time.Time) error) time.Time {
	if d <= 0 {
		if !until.IsZero() {
			_ = set(time.Time{}) // what fails here fails again when it is used
		}
		return time.Time{}
	}
	if left := until.Sub(c.now()); left >= d && left <= d+d/4 {
		return until
	}
	until = time.Now().Add(d + d/4)
	_ = set(until)
	return until
}

// now is about the present time.
func (c *conn) now() time.Time {
	if c.events != nil {
		return c.events.Now()
	}
	return time.Now()
}

// idle is as more, for when a message is waited for, perhaps for long. The
// first byte is waited for without a buffer, if that is impossible otherwise.
func (c *conn) idle() error {
	if c.raw != nil || c.in != nil {
		return c.more()
	}
	n, err := c.plain(c.first[:])
	if n > 0 {
		c.in, c.r, c.w = take(smallSize), 0, 1
		c.in[0] = c.first[0]
	}
	return err
}

// more adds to the buffer what one read gives, and waits if there is nothing.
func (c *conn) more() error {
	if c.in != nil && c.w == len(c.in) {
		if err := c.room(); err != nil {
			return err
		}
	}
	if c.in == nil {
		b, n, err := c.lend(smallSize, 0, smallSize)
		if err != nil {
			return err
		}
		c.in, c.r, c.w = b, 0, n
		return nil
	}
	n, err := c.readTo(c.in[c.w:])
	c.w += n
	return err
}

// room makes some at the end of the buffer.
func (c *conn) room() error {
	switch {
	case c.r > 0:
		c.w = copy(c.in, c.in[c.r:c.w])
		c.r = 0
	case len(c.in) < largeSize:
		b := take(largeSize)
		c.w = copy(b, c.in[:c.w])
		give(c.in)
		c.in = b
	default:
		return errFull
	}
	return nil
}

// readTo reads past the buffer what there is, and waits if there is nothing.
func (c *conn) readTo(p []byte) (int, error) {
	switch {
	case c.raw == nil:
		return c.plain(p)
	case c.loop != nil:
		return c.readLoop(p)
	}
	c.dst, c.from, c.to = p, 0, len(p)
	err := c.raw.Read(c.poll)
	c.dst = nil
	return c.result(err)
}

// lend reads past the buffer into one that is taken only once there is
// something to read, from an index in it to another.
func (c *conn) lend(size, from, to int) (b []byte, n int, err error) {
	if c.raw == nil { // a record of TLS fits a small buffer, nearly
		b = take(smallSize)
		if n, err = c.plain(b[from:min(to, smallSize-chunkAfter)]); n == 0 {
			give(b)
			return nil, 0, err
		}
		return b, n, nil
	}
	if c.loop != nil {
		return c.lendLoop(size, from, to)
	}
	c.size, c.from, c.to = size, from, to
	n, err = c.result(c.raw.Read(c.poll))
	b, c.dst = c.dst, nil
	if n == 0 {
		give(b)
		b = nil
	}
	return b, n, err
}

func (c *conn) result(err error) (int, error) {
	n := c.n
	if err == nil {
		err = c.err
	}
	c.n, c.err, c.size = 0, nil, 0
	return n, err
}

// readLoop is readTo on an event loop.
func (c *conn) readLoop(p []byte) (int, error) {
	for {
		n, err := c.loop.TryRead(p)
		switch {
		case err == evloop.ErrAgain:
			if err = c.loop.WaitRead(); err != nil {
				return 0, err
			}
		case err == nil && n == 0:
			return 0, io.EOF
		default:
			return n, err
		}
	}
}

// lendLoop is lend on an event loop, which knows whether there is something to
// read.
func (c *conn) lendLoop(size, from, to int) (b []byte, n int, err error) {
	for {
		if err := c.loop.WaitRead(); err != nil {
			return nil, 0, err
		}
		b := take(size)
		n, err := c.loop.TryRead(b[from:to])
		if n > 0 {
			return b, n, nil
		}
		give(b)
		switch err {
		case evloop.ErrAgain:
		case nil:
			return nil, 0, io.EOF
		default:
			return nil, 0, err
		}
	}
}

func (c *conn) plain(p []byte) (int, error) {
	n, err := c.nc.Read(p)
	if n > 0 {
		return n, nil // an error comes again with the next read
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return 0, err
}

// write writes all of b. The time is bounded in which nothing of it is taken.
func (c *conn) write(b []byte) error {
	for len(b) > 0 {
		c.armWrite(c.o.WriteTimeout)
		n, err := c.nc.Write(b)
		if err == nil {
			return nil
		}
		if n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			c.failed = true
			return &ConnError{Op: "write", Err: err}
		}
		b = b[n:]
	}
	return nil
}

// hijack gives the connection away.
func (c *conn) hijack() (net.Conn, []byte) {
	var read []byte
	if c.r != c.w {
		read = append(read, c.in[c.r:c.w]...)
	}
	c.drop()
	if !c.readUntil.IsZero() || !c.writeUntil.IsZero() {
		_ = c.nc.SetDeadline(time.Time{}) // what fails here fails again when it is used
	}
	return c.nc, read
}

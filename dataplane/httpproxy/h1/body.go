package h1

import (
	"errors"
	"io"
	"math"
	"sync/atomic"

	"github.com/backplane/backplane/dataplane/httpproxy/header"
)

// form is how the end of a body is told.
type form uint8

const (
	formNone form = iota
	formLength
	formChunked
	formClose // by the end of the connection
)

// direct is from how many bytes on it pays to read past the buffer.
const direct = 4 << 10

// body is the body of the message that a conn reads. It ends with an error:
// io.EOF once all is read.
type body struct {
	c     *conn
	form  form
	left  int64 // of the body, or of the chunk
	err   error
	chunk chunkState
	ended atomic.Bool // err is io.EOF, for who writes

	trailer *header.Header
	// before is called before something is waited for that was not yet
	// asked for; nil when that is done.
	before func() error
}

func (b *body) reset(f form, left int64, trailer *header.Header) {
	b.form, b.left, b.trailer = f, left, trailer
	b.chunk = chunkState{}
	b.err, b.before = nil, nil
	b.ended.Store(false)
	if f == formNone || f == formLength && left == 0 {
		b.end()
	}
}

func (b *body) end() {
	b.err = io.EOF
	b.before = nil
	b.ended.Store(true)
}

func (b *body) fail(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	var protocol *ProtocolError
	if !errors.As(err, &protocol) {
		err = &ConnError{Op: "read", Err: err, Began: true}
	}
	b.err = err
	return err
}

// Read reads some of the body. With its last bytes it returns io.EOF, if the
// end is known by then.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	if err := b.ask(); err != nil {
		return 0, err
	}
	if b.form == formChunked {
		return b.readChunked(p)
	}
	if b.form == formLength && int64(len(p)) > b.left {
		p = p[:b.left]
	}
	c := b.c
	if c.buffered() == 0 {
		c.armRead(c.o.ReadTimeout)
		if len(p) >= direct {
			n, err := c.readTo(p)
			return b.took(n, err)
		}
		if err := c.more(); err != nil {
			return b.took(0, err)
		}
	}
	return b.took(c.consume(p), nil)
}

// consume copies out of the buffer.
func (c *conn) consume(p []byte) int {
	n := copy(p, c.in[c.r:c.w])
	c.r += n
	c.release()
	return n
}

func (b *body) ask() error {
	if b.before == nil || b.c.buffered() > 0 {
		return nil
	}
	ask := b.before
	b.before = nil
	if err := ask(); err != nil {
		return b.fail(err)
	}
	return nil
}

// took counts what was read of a body that is not chunked.
func (b *body) took(n int, err error) (int, error) {
	switch {
	case b.form == formLength:
		if b.left -= int64(n); b.left == 0 {
			b.end()
			return n, io.EOF
		}
	case b.form == formClose && err == io.EOF:
		b.end()
		return n, io.EOF
	}
	if err != nil {
		return n, b.fail(err)
	}
	return n, nil
}

// Ready tells whether Read returns without waiting.
func (b *body) Ready() bool { return b.err != nil || b.c.buffered() > 0 }

// lend reads some of the body into a buffer that is taken once there is
// something, from an index in it to another.
func (b *body) lend(from, to int) (buf []byte, n int, err error) {
	c := b.c
	if b.err == nil && c.buffered() == 0 {
		if err := b.ask(); err != nil {
			return nil, 0, err
		}
		c.armRead(c.o.ReadTimeout)
		if most := b.straight(); most >= direct {
			if most < int64(to-from) {
				to = from + int(most)
			}
			buf, n, err = c.lend(largeSize, from, to)
			n, err = b.tookStraight(n, err)
			return buf, n, err
		}
		if err := c.more(); err != nil {
			_, err = b.took(0, err)
			return nil, 0, err
		}
	}
	buf = take(largeSize)
	n, err = b.Read(buf[from:to])
	return buf, n, err
}

// straight is how much of the body can be read past the buffer.
func (b *body) straight() int64 {
	switch {
	case b.form == formLength, b.form == formChunked && b.chunk.step == stepData:
		return b.left
	case b.form == formClose:
		return math.MaxInt64
	}
	return 0
}

func (b *body) tookStraight(n int, err error) (int, error) {
	if b.form != formChunked {
		return b.took(n, err)
	}
	if b.left -= int64(n); b.left == 0 {
		b.chunk.step = stepDataEnd
	}
	if err != nil {
		return n, b.fail(err)
	}
	return n, nil
}

// WriteTo writes what is left of the body to w.
func (b *body) WriteTo(w io.Writer) (sent int64, err error) {
	for {
		buf, n, err := b.lend(0, largeSize)
		if n > 0 {
			m, failed := w.Write(buf[:n])
			sent += int64(m)
			if failed != nil {
				err = failed
			}
		}
		give(buf)
		switch err {
		case nil:
		case io.EOF:
			return sent, nil
		default:
			return sent, err
		}
	}
}

// discard reads at most limit bytes of what is left, and tells whether that
// was all.
func (b *body) discard(limit int64) bool {
	for b.err == nil && limit >= 0 {
		buf, n, _ := b.lend(0, largeSize)
		give(buf)
		limit -= int64(n)
	}
	return b.err == io.EOF
}

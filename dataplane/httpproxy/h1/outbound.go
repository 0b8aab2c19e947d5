package h1

import (
	"bytes"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy/header"
)

const (
	// What a chunk needs before it, and after it with the end of the body.
	chunkBefore = len("ffff\r\n")
	chunkAfter  = len("\r\n" + "0\r\n\r\n")

	minRoom = 1 << 10 // less is not worth a read
)

// outbound is a message that is being written. Head and body are gathered in a
// buffer for as long as nothing is waited for.
type outbound struct {
	c       *conn
	buf     []byte // nil when nothing is pending
	from    int    // what is pending is buf[from:to]
	to      int
	pending int64 // how much of it is of the body

	src     io.Reader
	form    form
	left    int64 // what may come of src
	trailer *header.Header

	started bool  // some was written
	sent    int64 // of the body
	// stop is asked before more of the body is waited for: an error that it
	// returns interrupts the writing.
	stop func(src io.Reader) error
}

// begin starts a message; length is that of the body, -1 if it is not known.
// What is appended to the buffer is given to head.
func (o *outbound) begin(length int64) []byte {
	size := largeSize
	if length >= 0 && length <= smallSize-4<<10 {
		size = smallSize
	}
	*o = outbound{c: o.c, stop: o.stop, buf: take(size)}
	return o.buf[:0]
}

func (o *outbound) head(b []byte) { o.keep(b) }

// keep takes what was appended to the pending part.
func (o *outbound) keep(b []byte) {
	b, o.to = b[:cap(b)], len(b)
	if &b[0] != &o.buf[0] {
		give(o.buf)
	}
	o.buf = b
}

// abandon forgets what is pending.
func (o *outbound) abandon() {
	give(o.buf)
	o.buf, o.from, o.to, o.pending = nil, 0, 0, 0
	o.src, o.trailer = nil, nil
}

func (o *outbound) flush() error {
	if o.buf == nil {
		return nil
	}
	o.started = true
	err := o.c.write(o.buf[o.from:o.to])
	if err == nil {
		o.sent += o.pending
	}
	give(o.buf)
	o.buf, o.from, o.to, o.pending = nil, 0, 0, 0
	return err
}

// body writes the body, or what is left of it, and all that is pending.
func (o *outbound) body() error {
	var err error
	switch {
	case o.form == formChunked:
		err = o.chunks()
	default:
		err = o.plain()
	}
	if err == nil {
		err = o.flush()
	}
	switch err.(type) {
	case nil:
		o.src, o.trailer = nil, nil
	case *SourceError:
		if o.started {
			err = o.broken(err)
		}
	}
	return err
}

// broken is that a message ends in its midst. What there is of it is written,
// and the peer sees that it is not all.
func (o *outbound) broken(err error) error {
	if o.buf != nil {
		_ = o.flush() // the first error is the cause
	}
	o.c.failed = true
	return err
}

// plain writes a body that is not in chunks.
func (o *outbound) plain() error {
	for o.left > 0 {
		if done, err := o.splice(); done || err != nil {
			return err
		}
		n, err := o.pull(0, 0)
		o.to += n
		o.pending += int64(n)
		o.left -= int64(n)
		switch {
		case err == io.EOF && o.form == formLength && o.left > 0:
			return &SourceError{ErrBodyLength}
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
	return nil
}

// chunks writes a body in chunks.
func (o *outbound) chunks() error {
	for {
		n, err := o.pull(chunkBefore, chunkAfter)
		if n > 0 {
			o.chunk(n)
		}
		switch {
		case err == io.EOF:
			if err := checkFields(o.trailer); err != nil {
				return o.broken(err)
			}
			if o.buf == nil {
				o.buf = take(smallSize)
			}
			o.keep(appendTrailers(o.buf[:o.to], o.trailer))
			return nil
		case err != nil:
			return err
		}
	}
}

// chunk makes one of n bytes that are there behind what is pending, with room
// before them. What is pending is moved up to it: it is a head at most.
func (o *outbound) chunk(n int) {
	var digits [4]byte
	hex := strconv.AppendUint(digits[:0], uint64(n), 16)
	gap := len(digits) - len(hex)
	copy(o.buf[o.from+gap:], o.buf[o.from:o.to])
	o.from += gap
	o.to += gap
	o.to += copy(o.buf[o.to:], hex)
	o.to += copy(o.buf[o.to:], "\r\n")
	o.to += n
	o.to += copy(o.buf[o.to:], "\r\n")
	o.pending += int64(n)
}

// pull reads some of the body to where it will be pending, with room before and
// after it. What is pending is written first if the body has to be waited for.
func (o *outbound) pull(before, after int) (n int, err error) {
	if o.buf != nil && (len(o.buf)-o.to-before-after < minRoom || before > 0 && o.pending > direct || !ready(o.src)) {
		if err := o.flush(); err != nil {
			return 0, err
		}
	}
	if o.buf != nil {
		return o.read(before, after)
	}
	if o.stop != nil {
		if err := o.stop(o.src); err != nil {
			return 0, err
		}
	}
	b, ok := o.src.(*body)
	if !ok {
		o.buf = take(largeSize)
		return o.read(before, after)
	}
	o.buf, n, err = b.lend(before, o.limit(largeSize, before, after))
	return n, o.source(err)
}

// limit is up to where a buffer may be read to.
func (o *outbound) limit(size, before, after int) int {
	n := size - o.to - before - after
	if before > 0 {
		n = min(n, math.MaxUint16)
	}
	if int64(n) > o.left {
		n = int(o.left)
	}
	return o.to + before + n
}

func (o *outbound) read(before, after int) (n int, err error) {
	p := o.buf[o.to+before : o.limit(len(o.buf), before, after)]
	for range 100 {
		if n, err = o.src.Read(p); n > 0 || err != nil {
			return n, o.source(err)
		}
	}
	return 0, &SourceError{io.ErrNoProgress}
}

func (o *outbound) source(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &SourceError{err}
}

// ready tells whether a source can be read without waiting. Bodies that wrap
// others may have such a method.
func ready(src io.Reader) bool {
	switch src := src.(type) {
	case interface{ Ready() bool }:
		return src.Ready()
	case *bytes.Reader, *bytes.Buffer, *strings.Reader, *os.File:
		return true
	}
	return false
}

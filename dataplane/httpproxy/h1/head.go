package h1

import (
	"bytes"
	"io"
	"time"
)

// scan is how far a head was looked through for its end.
type scan struct {
	at    int // what was looked through, from the start of the head
	lines int
}

// readHead reads a head, first line and fields, as far as the empty line that
// ends it. wait bounds the time until its first byte, and within, if it is not
// zero, that from there to the end of the head.
func (c *conn) readHead(wait, within time.Duration) (string, error) {
	var s scan
	var until time.Time
	for {
		if c.r != c.w {
			head, err := c.takeHead(&s)
			if head != "" || err != nil {
				return head, err
			}
		}
		began := c.r != c.w
		switch {
		case !began || within <= 0:
			c.armRead(wait)
		case until.IsZero():
			until = time.Now().Add(within)
			c.readUntil = until
			_ = c.nc.SetReadDeadline(until) // what fails here fails in reading
		}
		if err := c.idle(); err != nil {
			return "", c.headError(err, began)
		}
	}
}

func (c *conn) headError(err error, began bool) error {
	switch {
	case err == errFull:
		return &ProtocolError{Status: 431, Reason: "the head is too large"}
	case err == io.EOF && began:
		err = io.ErrUnexpectedEOF
	}
	return &ConnError{Op: "read", Err: err, Began: began}
}

// takeHead takes a head out of the buffer if its end is there; "" if not. What
// cannot become one is refused as soon as it is seen.
func (c *conn) takeHead(s *scan) (string, error) {
	if s.lines == 0 && c.lenient && c.in[c.r] == '\r' {
		if c.w-c.r < 2 {
			return "", nil
		}
		if c.in[c.r+1] != '\n' {
			return "", bad("a carriage return without a line feed")
		}
		c.r += 2
		s.lines = 1
		if c.r == c.w {
			return "", nil
		}
	} else if s.lines == 0 {
		s.lines = 1
	}
	if s.at == 0 && !tokenByte(c.in[c.r]) {
		return "", bad("the first line is not one of HTTP")
	}
	end, err := c.findEnd(s)
	if end == 0 || err != nil {
		return "", err
	}
	head := string(c.in[c.r : c.r+end-2])
	c.r += end
	c.release()
	return head, nil
}

// findEnd finds where the lines end that an empty one follows, 0 if that is
// not there yet. The first line is counted as fields are not.
func (c *conn) findEnd(s *scan) (int, error) {
	b := c.in[c.r:c.w]
	for {
		i := bytes.IndexByte(b[s.at:], '\n')
		if i < 0 {
			if s.lines == 1 && len(b) > c.o.MaxLine {
				return 0, errLine
			}
			if len(b) >= c.o.MaxHead {
				return 0, errHead
			}
			return 0, nil
		}
		end := s.at + i + 1
		switch {
		case i == 0 || b[end-2] != '\r':
			return 0, bad("a line feed without a carriage return")
		case s.lines == 1 && end-2 > c.o.MaxLine:
			return 0, errLine
		case end > c.o.MaxHead || s.lines-2 > c.o.MaxFields:
			return 0, errHead
		case i == 1:
			return end, nil
		}
		s.at = end
		s.lines++
	}
}

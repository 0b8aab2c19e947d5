package wire

import (
	"bytes"
	"encoding/binary"
)

// Cursor takes a packet apart. Methods that meet the end of the packet too
// early return zero values from then on, and Err tells.
type Cursor struct {
	b   []byte
	bad bool
}

// NewCursor starts at the first byte of b. What it returns are parts of b.
func NewCursor(b []byte) Cursor { return Cursor{b: b} }

// Err is ErrMalformed when something was missing or wrong.
func (c *Cursor) Err() error {
	if c.bad {
		return ErrMalformed
	}
	return nil
}

// Len is the number of bytes left.
func (c *Cursor) Len() int { return len(c.b) }

// Take returns the next n bytes.
func (c *Cursor) Take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.bad, c.b = true, nil
		return nil
	}
	p := c.b[:n:n]
	c.b = c.b[n:]
	return p
}

// Rest returns all that is left.
func (c *Cursor) Rest() []byte { return c.Take(len(c.b)) }

// Uint8 returns the next byte.
func (c *Cursor) Uint8() byte {
	if p := c.Take(1); p != nil {
		return p[0]
	}
	return 0
}

// Uint16 returns the next two bytes as a number.
func (c *Cursor) Uint16() uint16 {
	if p := c.Take(2); p != nil {
		return binary.LittleEndian.Uint16(p)
	}
	return 0
}

// Uint32 returns the next four bytes as a number.
func (c *Cursor) Uint32() uint32 {
	if p := c.Take(4); p != nil {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}

// Lenenc returns a length-encoded integer. NULL is none.
func (c *Cursor) Lenenc() uint64 {
	v, n := Lenenc(c.b)
	if n == 0 {
		c.bad, c.b = true, nil
		return 0
	}
	c.b = c.b[n:]
	return v
}

// Bytes returns a length-encoded string.
func (c *Cursor) Bytes() []byte {
	n := c.Lenenc()
	if n > uint64(len(c.b)) {
		c.bad, c.b = true, nil
		return nil
	}
	return c.Take(int(n))
}

// Value returns a value of a text row; null tells that it is NULL.
func (c *Cursor) Value() (value []byte, null bool) {
	if len(c.b) > 0 && c.b[0] == headLocal {
		c.b = c.b[1:]
		return nil, true
	}
	return c.Bytes(), false
}

// NulString returns the bytes up to a NUL, which must be there.
func (c *Cursor) NulString() []byte {
	i := bytes.IndexByte(c.b, 0)
	if i < 0 {
		c.bad, c.b = true, nil
		return nil
	}
	p := c.Take(i)
	c.Take(1)
	return p
}

// Lenenc reads a length-encoded integer (Knowledge Base, "Protocol Data
// Types") and tells how many bytes it has: none when b does not begin with one.
func Lenenc(b []byte) (v uint64, n int) {
	if len(b) == 0 {
		return 0, 0
	}
	switch b[0] {
	case 0xfc:
		n = 3
	case 0xfd:
		n = 4
	case 0xfe:
		n = 9
	case 0xfb, 0xff:
		return 0, 0
	default:
		return uint64(b[0]), 1
	}
	if len(b) < n {
		return 0, 0
	}
	for i := n - 1; i > 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return v, n
}

// AppendLenenc adds a length-encoded integer.
func AppendLenenc(b []byte, v uint64) []byte {
	switch {
	case v < 0xfb:
		return append(b, byte(v))
	case v < 1<<16:
		return append(b, 0xfc, byte(v), byte(v>>8))
	case v < 1<<24:
		return append(b, 0xfd, byte(v), byte(v>>8), byte(v>>16))
	}
	return binary.LittleEndian.AppendUint64(append(b, 0xfe), v)
}

// AppendString adds a length-encoded string.
func AppendString[S ~string | ~[]byte](b []byte, s S) []byte {
	return append(AppendLenenc(b, uint64(len(s))), s...)
}

func appendNul[S ~string | ~[]byte](b []byte, s S) []byte { return append(append(b, s...), 0) }

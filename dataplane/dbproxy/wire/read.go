package wire

import (
	"errors"
	"io"
	"slices"

	"github.com/backplane/backplane/internal/evloop"
)

// release gives the read buffer back.
func (c *Conn) release() {
	if c.in != nil {
		buffers.Put(c.in)
		c.in = nil
	}
	c.r, c.w = 0, 0
}

// Recycle gives the buffers back: those of a connection that has been closed or
// that is not used for a while. What they hold is lost, and what was read is not
// valid any more.
func (c *Conn) Recycle() {
	c.release()
	if c.out != nil {
		buffers.Put(c.out)
		c.out, c.outFrom, c.outLen = nil, 0, 0
	}
}

// fill sees to it that n bytes, at most bufferSize, are buffered.
func (c *Conn) fill(n int) error {
	if c.w-c.r >= n {
		return nil
	}
	if c.r == c.w {
		c.r, c.w = 0, 0
	} else if bufferSize-c.r < n {
		c.w = copy(c.in[:], c.in[c.r:c.w])
		c.r = 0
	}
	for c.w-c.r < n {
		if err := c.read(); err != nil {
			if err == io.EOF && c.r != c.w {
				err = io.ErrUnexpectedEOF
			}
			return c.fail("read", err)
		}
	}
	return nil
}

// read adds to the buffer what one read from the peer gives.
func (c *Conn) read() error {
	c.publish()
	if c.loop != nil {
		if err := c.readLoop(); err != nil {
			return c.unread(err)
		}
	} else if c.raw != nil {
		c.n, c.err = 0, nil
		if err := c.raw.Read(c.poll); err != nil {
			return c.unread(err)
		}
		if c.err != nil {
			return c.unread(c.err)
		}
	} else if err := c.readPlain(); err != nil {
		return c.unread(err)
	}
	c.w += c.n
	c.stats.bytesIn.Add(uint64(c.n))
	return nil
}

// readLoop reads from a connection on an event loop, which knows whether there
// is something.
func (c *Conn) readLoop() error {
	for {
		if !c.loop.Readable() {
			if c.r == c.w {
				c.release()
			}
			if c.wake != nil {
				if err := c.wake.Flush(); err != nil {
					return err
				}
			}
			if err := c.loop.WaitRead(); err != nil {
				return err
			}
		}
		if c.in == nil {
			c.in = buffers.Get().(*buffer)
		}
		n, err := c.loop.TryRead(c.in[c.w:])
		switch {
		case err == evloop.ErrAgain:
			continue
		case err != nil:
			return err
		case n == 0:
			return io.EOF
		}
		c.n = n
		return nil
	}
}

func (c *Conn) unread(err error) error {
	if c.r == c.w {
		c.release()
	}
	return err
}

// readPlain reads from a connection that cannot tell beforehand whether there
// is something. The first byte is waited for without a buffer; a TLS
// connection has the others of its record ready then.
func (c *Conn) readPlain() (err error) {
	if c.wake != nil {
		if err := c.wake.Flush(); err != nil {
			return err
		}
	}
	if c.in != nil {
		c.n, err = c.nc.Read(c.in[c.w:])
	} else {
		c.n, err = c.nc.Read(c.first[:])
		if c.n > 0 {
			c.in = buffers.Get().(*buffer)
			copy(c.in[:], c.first[:c.n])
		}
	}
	if c.n > 0 {
		return nil // an error comes again with the next read
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// header returns the length of the next packet, which it leaves unread. A
// packet of MaxPayload goes on in the next one.
func (c *Conn) header() (size int, err error) {
	c.big = nil
	if c.raw == nil && c.loop == nil && c.r == c.w {
		c.release()
	}
	if err := c.fill(headerSize); err != nil {
		return 0, err
	}
	size = int(c.in[c.r]) | int(c.in[c.r+1])<<8 | int(c.in[c.r+2])<<16
	if got := c.in[c.r+3]; got != c.seq {
		if err := c.outOfTurn(size); err != nil {
			return 0, err
		}
		c.seq = got
	}
	return size, nil
}

// outOfTurn lets errors of servers pass.
func (c *Conn) outOfTurn(size int) error {
	if c.peer == PeerServer && size > 0 {
		if err := c.fill(headerSize + 1); err != nil {
			return err
		}
		if c.in[c.r+headerSize] == headError {
			return nil
		}
	}
	return c.fail("read", ErrSequence)
}

// accept takes the header of a packet out of the buffer.
func (c *Conn) accept() {
	c.r += headerSize
	c.seq++
	c.packetsIn++
}

// Peek returns the first bytes of the next packet, n of them (MaxPeek at most)
// or all if it has less, and its length. A length of MaxPayload means that it
// goes on after that. The bytes may be changed in place before the packet is
// relayed; they are valid until then.
func (c *Conn) Peek(n int) (head []byte, size int, err error) {
	size, err = c.header()
	if err != nil {
		return nil, 0, err
	}
	n = min(n, size, MaxPeek)
	if err := c.fill(headerSize + n); err != nil {
		return nil, 0, err
	}
	from := c.r + headerSize
	return c.in[from : from+n : from+n], size, nil
}

// Buffered tells whether the buffer holds more than has been read. There may
// be more to read when it does not.
func (c *Conn) Buffered() bool { return c.r != c.w }

// ReadPacket returns the next packet, valid until the next read. One that
// exceeds the limit is left unread, so that it can be relayed or discarded;
// only when the limit is above MaxPayload may the connection be unusable then.
func (c *Conn) ReadPacket() ([]byte, error) {
	size, err := c.header()
	if err != nil {
		return nil, err
	}
	if size > c.limit {
		return nil, c.fail("read", ErrTooLarge)
	}
	if size > MaxPeek {
		return c.readBig(size)
	}
	if err := c.fill(headerSize + size); err != nil {
		return nil, err
	}
	c.accept()
	p := c.in[c.r : c.r+size : c.r+size]
	c.r += size
	return p, nil
}

// readBig assembles a packet. Memory grows with what arrives, not with what
// the header promises.
func (c *Conn) readBig(size int) ([]byte, error) {
	whole := make([]byte, 0, min(size, bulkSize))
	for {
		c.accept()
		if len(whole)+size > c.limit {
			return nil, c.fail("read", ErrTooLarge)
		}
		var err error
		if whole, err = c.appendBody(whole, size); err != nil {
			return nil, err
		}
		if size < MaxPayload {
			c.big = whole
			return whole, nil
		}
		if size, err = c.header(); err != nil {
			return nil, err
		}
	}
}

// appendBody adds the next n bytes to b.
func (c *Conn) appendBody(b []byte, n int) ([]byte, error) {
	for end := len(b) + n; len(b) < end; {
		left := end - len(b)
		if c.r == c.w && left >= bulkSize {
			b = slices.Grow(b, min(left, max(bulkSize, len(b))))
			got, err := c.readDirect(b[len(b):min(cap(b), end)])
			if err != nil {
				return nil, err
			}
			b = b[:len(b)+got]
			continue
		}
		part, err := c.part(left)
		if err != nil {
			return nil, err
		}
		b = append(b, part...)
	}
	return b, nil
}

// part takes from the buffer what there is, n bytes at most, and waits when
// there is nothing. It is called in the midst of packets.
func (c *Conn) part(n int) ([]byte, error) {
	if c.in == nil {
		c.in = buffers.Get().(*buffer) // there is no idling in the midst of packets
	}
	if err := c.fill(1); err != nil {
		if errors.Is(err, io.EOF) {
			err = c.fail("read", io.ErrUnexpectedEOF)
		}
		return nil, err
	}
	from := c.r
	c.r += min(n, c.w-c.r)
	return c.in[from:c.r], nil
}

// readDirect reads past the buffer, which must be empty, in the midst of a
// packet.
func (c *Conn) readDirect(b []byte) (int, error) {
	c.publish()
	n, err := c.nc.Read(b)
	c.stats.bytesIn.Add(uint64(n))
	if n > 0 {
		return n, nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return 0, c.fail("read", err)
}

// PeekRaw returns the next n bytes, MaxPeek at most, without regard to
// packets: what comes before the protocol, like a PROXY header, is read so.
func (c *Conn) PeekRaw(n int) ([]byte, error) {
	n = min(n, MaxPeek)
	if err := c.fill(n); err != nil {
		return nil, err
	}
	return c.in[c.r : c.r+n : c.r+n], nil
}

// DiscardRaw drops bytes that PeekRaw has shown.
func (c *Conn) DiscardRaw(n int) { c.r += min(n, c.w-c.r) }

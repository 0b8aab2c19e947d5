package wire

import (
	"io"

	"github.com/backplane/backplane/internal/evloop"
)

// What follows is for steps of a task on an event loop (evloop.Task.Serve),
// which must not wait.

// CanTry tells whether the connection has the methods that begin with Try, and
// Expect and Hand: it must be on an event loop, without TLS.
func (c *Conn) CanTry() bool { return c.loop != nil }

// Expect has the task go on as soon as there is something to read, and tells
// whether there may be already. If not, the connection holds no buffer.
func (c *Conn) Expect() bool {
	if c.r != c.w {
		return true
	}
	c.release()
	return c.loop.Expect()
}

// tryFill reads once. It fails with evloop.ErrAgain where nothing is there.
func (c *Conn) tryFill() error {
	c.big = nil
	if !c.loop.Readable() {
		return evloop.ErrAgain
	}
	if c.in == nil {
		c.in = buffers.Get().(*buffer)
	}
	n, err := c.loop.TryRead(c.in[c.w:])
	switch {
	case err == evloop.ErrAgain:
		return c.unread(err)
	case err == nil && n == 0:
		err = io.EOF
	}
	if err != nil {
		return c.fail("read", c.unread(err))
	}
	c.w += n
	c.stats.bytesIn.Add(uint64(n))
	return nil
}

// TryPacket returns the next packet if it is all that is there, and begins an
// exchange. It stays unread until Hand. nil is for one that is to be read
// otherwise; evloop.ErrAgain tells that nothing is there.
func (c *Conn) TryPacket() ([]byte, error) {
	if c.r == c.w {
		c.r, c.w = 0, 0
		if err := c.tryFill(); err != nil {
			return nil, err
		}
	}
	b := c.in[c.r:c.w]
	if len(b) <= headerSize || b[3] != 0 || len(b)-headerSize != int(b[0])|int(b[1])<<8|int(b[2])<<16 {
		return nil, nil
	}
	return b[headerSize:], nil
}

// Hand passes the packet that TryPacket has returned on to dst, which must have
// nothing else to send, as the first one of an exchange. The packet must not be
// used any more.
func (c *Conn) Hand(dst *Conn) {
	from := c.r
	c.r = c.w
	c.seq, dst.seq = 1, 1
	c.packetsIn++
	dst.packetsOut++
	dst.writeBuffered(c, from) //nolint:errcheck // Flush tells it as well
}

// TryFlush is Flush as far as that need not wait, and tells whether all is done.
// If not, Flush does the rest, or tells why that cannot be.
func (c *Conn) TryFlush() bool {
	switch {
	case c.written != nil:
		return false
	case c.outLen == 0:
		return true
	}
	if err := c.bound(); err != nil {
		c.unwritten(err) //nolint:errcheck // Flush tells it
		return false
	}
	n, err := c.loop.TryWrite(c.out[c.outFrom:c.outLen])
	c.stats.bytesOut.Add(uint64(n))
	c.outFrom += n
	if err != nil && err != evloop.ErrAgain {
		c.unwritten(err) //nolint:errcheck // Flush tells it
	}
	if c.outFrom < c.outLen {
		return false
	}
	c.publish()
	buffers.Put(c.out)
	c.out, c.outFrom, c.outLen = nil, 0, 0
	return true
}

// TryRelayReply is RelayReply as far as one read goes: that does the rest, if
// there is one. dst must have nothing to send before, and is not flushed. It
// fails with evloop.ErrAgain where nothing is there.
func (c *Conn) TryRelayReply(dst *Conn, r *Reply) error {
	if c.r == c.w {
		c.r, c.w = 0, 0
		if err := c.tryFill(); err != nil {
			return err
		}
	}
	_, err := c.relayWhole(dst, r)
	return err
}

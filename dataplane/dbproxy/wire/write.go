package wire

import "time"

// publish makes the counts of packets visible to Stats.
func (c *Conn) publish() {
	c.stats.packetsIn.Store(c.packetsIn)
	c.stats.packetsOut.Store(c.packetsOut)
}

// WritePacket adds a packet to what is to be sent; Flush sends it. Payloads
// of any size are cut as the protocol wants it.
func (c *Conn) WritePacket(payload []byte) error {
	for {
		n := min(len(payload), MaxPayload)
		if err := c.writeHeader(n); err != nil {
			return err
		}
		if err := c.write(payload[:n]); err != nil {
			return err
		}
		payload = payload[n:]
		if n < MaxPayload {
			return nil
		}
	}
}

// WriteCommand begins a new exchange with a packet of a command and its
// argument.
func (c *Conn) WriteCommand(cmd Command, arg ...byte) error {
	c.seq = 0
	if len(arg)+1 >= MaxPayload {
		return c.WritePacket(append([]byte{byte(cmd)}, arg...))
	}
	if err := c.writeHeader(1 + len(arg)); err != nil {
		return err
	}
	if err := c.reserve(1); err != nil {
		return err
	}
	c.out[c.outLen] = byte(cmd)
	c.outLen++
	return c.write(arg)
}

// WriteRaw adds bytes that are no packet, like a PROXY header.
func (c *Conn) WriteRaw(b []byte) error { return c.write(b) }

// Flush sends what has been written.
func (c *Conn) Flush() error {
	if c.outLen == 0 {
		return c.written
	}
	c.publish()
	err := c.send(c.out[c.outFrom:c.outLen])
	buffers.Put(c.out)
	c.out, c.outFrom, c.outLen = nil, 0, 0
	return err
}

// reserve makes room for n bytes, few enough for a buffer.
func (c *Conn) reserve(n int) error {
	if c.outLen+n > bufferSize {
		if err := c.Flush(); err != nil {
			return err
		}
	}
	if c.written != nil {
		return c.written
	}
	if c.out == nil {
		c.out = buffers.Get().(*buffer)
	}
	return nil
}

func (c *Conn) writeHeader(size int) error {
	if err := c.reserve(headerSize); err != nil {
		return err
	}
	h := c.out[c.outLen : c.outLen+headerSize]
	h[0], h[1], h[2], h[3] = byte(size), byte(size>>8), byte(size>>16), c.seq
	c.outLen += headerSize
	c.seq++
	c.packetsOut++
	return nil
}

// write adds bytes; those that do not fit the buffer are sent without being
// copied.
func (c *Conn) write(b []byte) error {
	if len(b) == 0 {
		return c.written
	}
	if c.outLen > 0 || len(b) < bufferSize {
		if err := c.reserve(1); err != nil {
			return err
		}
		n := copy(c.out[c.outLen:], b)
		c.outLen += n
		if b = b[n:]; len(b) == 0 {
			return nil
		}
		if err := c.Flush(); err != nil {
			return err
		}
		if len(b) < bufferSize {
			return c.write(b)
		}
	}
	return c.send(b)
}

// writeBuffered adds what src has read, from some place on. All of it goes with
// its buffer, where that can be, instead of being copied.
func (c *Conn) writeBuffered(src *Conn, from int) error {
	if c.out != nil || src.r != src.w || c.written != nil {
		return c.write(src.in[from:src.r])
	}
	c.out, c.outFrom, c.outLen = src.in, from, src.w
	src.in, src.r, src.w = nil, 0, 0
	return nil
}

func (c *Conn) send(b []byte) error {
	if c.written != nil {
		return c.written
	}
	if err := c.bound(); err != nil {
		return c.unwritten(err)
	}
	n, err := c.nc.Write(b)
	c.stats.bytesOut.Add(uint64(n))
	if err != nil {
		return c.unwritten(err)
	}
	return nil
}

// bound sees to the deadline of a write.
func (c *Conn) bound() error {
	if c.writeTimeout <= 0 {
		return nil
	}
	now := time.Now()
	if c.writeUntil.Sub(now) >= c.writeTimeout {
		return nil
	}
	c.writeUntil = now.Add(c.writeTimeout + c.writeTimeout/4)
	return c.base.SetWriteDeadline(c.writeUntil)
}

func (c *Conn) unwritten(err error) error {
	c.written = c.fail("write", err)
	return c.written
}

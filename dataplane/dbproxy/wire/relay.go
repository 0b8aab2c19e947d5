package wire

// RelayPacket passes the next packet on to dst, or drops it when dst is nil,
// and returns its length. A packet of any length passes in pieces, numbered as
// dst has it.
func (c *Conn) RelayPacket(dst *Conn) (size int64, err error) {
	for {
		n, err := c.header()
		if err != nil {
			return size, err
		}
		c.accept()
		if dst != nil {
			if err := dst.writeHeader(n); err != nil {
				return size, err
			}
		}
		if err := c.relayBody(dst, n); err != nil {
			if dst != nil {
				dst.torn = true
			}
			return size, err
		}
		size += int64(n)
		if n < MaxPayload {
			return size, nil
		}
	}
}

// DiscardPacket drops the next packet.
func (c *Conn) DiscardPacket() error {
	_, err := c.RelayPacket(nil)
	return err
}

// relayBody passes n bytes on.
func (c *Conn) relayBody(dst *Conn, n int) error {
	for n > 0 {
		if c.r == c.w && n >= bulkSize {
			return c.relayBulk(dst, n)
		}
		part, err := c.part(n)
		if err != nil {
			return err
		}
		n -= len(part)
		if dst != nil {
			if err := dst.write(part); err != nil {
				return err
			}
		}
	}
	return nil
}

// relayBulk is relayBody with a bigger buffer, while there is nothing in the
// usual one.
func (c *Conn) relayBulk(dst *Conn, n int) error {
	b := bulks.Get().(*bulk)
	defer bulks.Put(b)
	for n > 0 {
		got, err := c.readDirect(b[:min(n, bulkSize)])
		if err != nil {
			return err
		}
		n -= got
		if dst != nil {
			if err := dst.write(b[:got]); err != nil {
				return err
			}
		}
	}
	return nil
}

// RelayFile passes packets on up to an empty one: the contents of a file that
// the server has asked for (Knowledge Base, "LOCAL INFILE Packet").
func (c *Conn) RelayFile(dst *Conn) (size int64, err error) {
	for {
		n, err := c.RelayPacket(dst)
		size += n
		if err != nil || n == 0 {
			return size, err
		}
	}
}

// RelayReply passes an answer on to dst, or drops it when dst is nil, until r
// says that it has ended or that it is the client's turn. dst is flushed
// whenever the answer is waited for, but not at the end.
func (c *Conn) RelayReply(dst *Conn, r *Reply) error {
	before := c.wake
	if dst != nil {
		c.wake = dst
	}
	err := c.relayReply(dst, r)
	c.wake = before
	return err
}

func (c *Conn) relayReply(dst *Conn, r *Reply) error {
	for !r.Done() && !r.AwaitsClient() {
		passed, err := c.relayWhole(dst, r)
		if err != nil {
			return err
		}
		if passed {
			continue
		}
		size, err := c.header()
		if err != nil {
			return err
		}
		if size <= MaxPeek {
			err = c.fill(headerSize + size)
		} else {
			err = c.relayBig(dst, r, size)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// relayWhole passes on the packets that are wholly in the buffer, in one
// piece.
func (c *Conn) relayWhole(dst *Conn, r *Reply) (passed bool, err error) {
	from := c.r
	for c.w-c.r >= headerSize && err == nil && !r.Done() && !r.AwaitsClient() {
		h := c.in[c.r:c.w]
		size := int(h[0]) | int(h[1])<<8 | int(h[2])<<16
		if len(h) < headerSize+size {
			break
		}
		if h[3] != c.seq {
			if err = c.outOfTurn(size); err != nil {
				break
			}
			c.seq = h[3]
		}
		if _, err = r.Feed(h[headerSize:headerSize+size], size); err != nil {
			err = c.fail("read", err)
			break
		}
		if dst != nil {
			h[3] = dst.seq
			dst.seq++
			dst.packetsOut++
		}
		c.accept()
		c.r += size
	}
	if from == c.r {
		return false, err
	}
	if dst != nil {
		if werr := dst.writeBuffered(c, from); err == nil {
			err = werr
		}
	}
	return true, err
}

// relayBig passes on a packet that does not fit the buffer. What Reply wants
// to see as a whole, an OK packet with much to tell, is read whole if it may
// be; of others the beginning is enough.
func (c *Conn) relayBig(dst *Conn, r *Reply, size int) error {
	head, _, err := c.Peek(MaxPeek)
	if err != nil {
		return err
	}
	if size < MaxPayload && size <= c.limit && r.wantsWhole(head[0], size) {
		if head, err = c.ReadPacket(); err != nil {
			return err
		}
		if _, err = r.Feed(head, size); err != nil {
			return c.fail("read", err)
		}
		if dst == nil {
			return nil
		}
		return dst.WritePacket(head)
	}
	if _, err = r.Feed(head, size); err != nil {
		return c.fail("read", err)
	}
	_, err = c.RelayPacket(dst)
	return err
}

package wire

import (
	"context"
	"crypto/tls"
	"net"
)

// recordHandshake is the first byte of a TLS handshake (RFC 8446, section
// 5.1).
const recordHandshake = 0x16

// StartTLSServer goes on under TLS after a client's SSLRequest has been read.
// Clients do not wait before they begin the handshake, so that its bytes may
// be buffered already; they go to the handshake. Anything else that came with
// the request is refused: taken for a packet that came under TLS, it would let
// an attacker on the way put commands into the session.
func (c *Conn) StartTLSServer(ctx context.Context, cfg *tls.Config) error {
	if err := c.Flush(); err != nil {
		return err
	}
	early := append([]byte(nil), c.buffered()...)
	c.release()
	if len(early) > 0 && early[0] != recordHandshake {
		return c.fail("TLS handshake", ErrPlaintext)
	}
	return c.startTLS(ctx, tls.Server(&prefixed{Conn: c.nc, prefix: early}, cfg))
}

// StartTLSClient goes on under TLS after an SSLRequest, which it flushes. A
// server has nothing to say before the handshake.
func (c *Conn) StartTLSClient(ctx context.Context, cfg *tls.Config) error {
	if err := c.Flush(); err != nil {
		return err
	}
	if c.Buffered() {
		return c.fail("TLS handshake", ErrPlaintext)
	}
	c.release()
	return c.startTLS(ctx, tls.Client(c.nc, cfg))
}

func (c *Conn) startTLS(ctx context.Context, tc *tls.Conn) error {
	if err := tc.HandshakeContext(ctx); err != nil {
		return c.fail("TLS handshake", err)
	}
	c.nc, c.loop, c.raw, c.poll = tc, nil, nil, nil
	c.under.Store(tc)
	return nil
}

func (c *Conn) buffered() []byte {
	if c.in == nil {
		return nil
	}
	return c.in[c.r:c.w]
}

// prefixed is a connection of which the beginning has been read.
type prefixed struct {
	net.Conn
	prefix []byte
}

// Read returns the beginning first.
func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.prefix) > 0 {
		n := copy(b, p.prefix)
		p.prefix = p.prefix[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}

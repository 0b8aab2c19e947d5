package httpproxy

import (
	"crypto/tls"
	"net"

	"github.com/backplane/backplane/internal/evloop"
)

// Connections that speak HTTP/1 run on event loops, as tasks of them, where the
// system has that; elsewhere, and with HTTP/2, each has goroutines. Requests
// use connections to upstreams of their own loop. What waits for something
// else than the connections of a request is run outside the loop.

// startLoops starts the event loops.
func (p *Proxy) startLoops() {
	n := p.options.Loops
	if n < 0 {
		return
	}
	if n == 0 {
		n = evloop.DefaultLoops()
	}
	if g, err := evloop.New(evloop.Options{Loops: n}); err == nil {
		p.loops = g
	}
}

// endLoops ends them, after all connections.
func (p *Proxy) endLoops() {
	if p.loops != nil {
		_ = p.loops.Close() // it never fails
	}
}

// carry serves a connection that speaks HTTP/1 until it ends.
func (p *Proxy) carry(nc net.Conn) {
	info := newConnection(nc)
	c := p.adopted(nc)
	if c == nil {
		p.running.Go(func() { p.serveH1(nc, info) })
		return
	}
	p.carryOn(c, c, info)
}

// carryTLS is carry for a connection that has shaken hands.
func (p *Proxy) carryTLS(tc *tls.Conn, beneath *beneathTLS) {
	info := newConnection(tc)
	c := p.adopted(beneath.Conn)
	if c == nil {
		p.serveH1(tc, info)
		return
	}
	beneath.Conn = c
	p.carryOn(&tlsConn{tc, c}, c, info)
}

// carryOn serves a connection on an event loop: c, or what is above it.
func (p *Proxy) carryOn(nc net.Conn, c *evloop.Conn, info *connection) {
	p.running.Add(1)
	p.loops.Go(func(t *evloop.Task) {
		defer p.running.Done()
		_ = c.Bind(t) // what fails here fails again in reading
		info.task, info.events = t, c
		p.serveH1(nc, info)
	})
}

// adopted is a connection on an event loop, nil if it cannot be there.
func (p *Proxy) adopted(nc net.Conn) *evloop.Conn {
	if c, ok := nc.(*evloop.Conn); ok {
		return c
	}
	if p.loops == nil {
		return nil
	}
	c, err := p.loops.Adopt(nc)
	if err != nil {
		return nil
	}
	return c
}

// beneathTLS is the connection under TLS. It comes to an event loop once it is
// known that no HTTP/2 is spoken.
type beneathTLS struct{ net.Conn }

// tlsConn is a connection with TLS on an event loop.
type tlsConn struct {
	*tls.Conn
	beneath *evloop.Conn
}

// Close may be called from anywhere, and says farewell if that can be done at
// once.
func (c *tlsConn) Close() error {
	c.beneath.Hurry()
	return c.Conn.Close()
}

// Outside runs f where it may take its time, or wait for something, without
// holding up other requests. Plugins have it for what is not a matter of the
// request's own body or response.
func (x *Exchange) Outside(f func()) { x.conn.task.Outside(f) }

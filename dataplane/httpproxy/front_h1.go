package httpproxy

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy/h1"
)

// h1Conn is the front end of HTTP/1: a connection with a client.
type h1Conn struct {
	p      *Proxy
	server *h1.Server
	nc     net.Conn
	info   *connection
	ctx    context.Context

	request  h1.Request
	response h1.Response
}

// serveH1 serves a connection until it ends.
func (p *Proxy) serveH1(nc net.Conn, info *connection) {
	defer p.counts.active.Add(-1)
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	c := &h1Conn{p: p, nc: nc, info: info, ctx: ctx, server: h1.NewServer(nc, h1.Options{
		MaxHead: maxHead, IdleTimeout: p.options.IdleTimeout, HeadTimeout: p.options.HeadTimeout,
		ReadTimeout: p.options.BodyTimeout, WriteTimeout: p.options.BodyTimeout,
	})}
	if !p.conns.add(nc, c.server) {
		_ = nc.Close()
		return
	}
	defer p.conns.remove(nc)
	if info.events != nil {
		info.client = &departure{cancel: cancel}
		info.events.OnHangup(info.client.hangup)
	}
	x := p.exchanges.take(p)
	defer p.exchanges.give(x)
	for c.next(x) {
		x.reset()
	}
	x.reset()
}

// next serves one request, and tells whether there may be another one. If not,
// the connection is closed, or somebody else's.
func (c *h1Conn) next(x *Exchange) bool {
	// Of one that cannot be read it is told what it has, not what the last one had.
	c.request = h1.Request{Header: &x.Request.Header, Trailer: &x.Request.Trailer}
	err := c.server.ReadRequest(&c.request)
	if err != nil {
		return c.unreadable(x, err)
	}
	c.take(x)
	x.begin(c.ctx, c.info, c)
	if c.info.client != nil {
		c.info.client.begin()
	}
	err = c.p.serve(x)
	switch {
	case x.up.tunnelled:
		_ = c.nc.Close()
		return false
	case err != nil:
		_ = c.server.Close()
		return false
	case !c.server.KeepAlive():
		_ = c.server.Linger()
		return false
	}
	return true
}

// unreadable answers what is no request.
func (c *h1Conn) unreadable(x *Exchange, err error) bool {
	var protocol *h1.ProtocolError
	switch {
	case errors.Is(err, h1.ErrHTTP2) && c.info.tls == nil:
		nc, read := c.server.Hijack()
		c.p.conns.remove(nc)
		c.info.task.Leave() // others use the connection from now on
		c.p.front.serve(&prefixedConn{nc, bytes.NewReader(append([]byte(prefaceHead), read...))})
		return false
	case !errors.As(err, &protocol):
		_ = c.server.Linger() // the last request's body may be still on its way
		return false
	}
	c.take(x)
	x.Request.origin = "/"
	x.begin(c.ctx, c.info, c)
	_ = x.refuseUnreadable(protocol) // the connection ends in any case
	_ = c.server.Linger()
	return false
}

// refuseUnreadable answers what is no request to be served.
func (x *Exchange) refuseUnreadable(why *h1.ProtocolError) error {
	x.refuse(why.Status, statusMessage(why.Status), FromPlugin)
	x.finishHeader()
	err := x.down.respond(x)
	x.finish(err)
	return err
}

// prefaceHead is what is read of the preface of HTTP/2 by who takes it for a
// head of HTTP/1.
const prefaceHead = "PRI * HTTP/2.0\r\n\r\n"

// statusMessage is what is said of requests that cannot be read.
func statusMessage(status int) string {
	if status == http.StatusBadRequest {
		return msgBadRequest
	}
	return http.StatusText(status)
}

// take hands the request that was read over to the Exchange.
func (c *h1Conn) take(x *Exchange) {
	from, to := &c.request, &x.Request
	to.Method, to.Target, to.origin, to.Host = from.Method, from.Target, from.Path, from.Host
	to.ProtoMajor, to.ProtoMinor = from.ProtoMajor, from.ProtoMinor
	to.ContentLength, to.Body = from.ContentLength, from.Body
	to.Upgrade, to.ExpectContinue = from.Upgrade, from.ExpectContinue
	to.trailers = from.Trailers
}

// respond implements downstream.
func (c *h1Conn) respond(x *Exchange) error {
	if c.info.client != nil {
		c.info.client.end()
		if c.info.client.gone() {
			return errLeft
		}
	}
	from, to := &x.Response, &c.response
	*to = h1.Response{
		Status: x.status(), Header: &from.Header, Trailer: &from.Trailer,
		ContentLength: from.ContentLength, Body: from.Body, Upgrade: x.upgrade,
	}
	var err error
	from.Sent, err = c.server.WriteResponse(to)
	if err != nil && !c.server.Responded() && x.ctx.Err() == nil && !errors.As(err, new(*h1.ConnError)) {
		x.unsendable(err)
		to.Status, to.ContentLength, to.Body, to.Upgrade = x.status(), from.ContentLength, from.Body, ""
		from.Sent, err = c.server.WriteResponse(to)
	}
	if err == nil && to.Status == http.StatusSwitchingProtocols {
		x.tunnel(c.server.Hijack())
	}
	return err
}

// interrupt implements downstream. The connection stays open, so that the client
// gets the response.
func (c *h1Conn) interrupt() { _ = c.nc.SetReadDeadline(time.Unix(1, 0)) }

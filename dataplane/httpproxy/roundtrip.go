package httpproxy

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy/h1"
	"github.com/backplane/backplane/dataplane/httpproxy/urlpath"
)

// roundTrip sends the request to the peer, and reads the head of the response.
func (t *transport) roundTrip(x *Exchange) error {
	if x.Upstream.Scheme == "grpc" || x.Upstream.Scheme == "grpcs" {
		return t.roundTripH2(x)
	}
	p := t.pool(x, false)
	again := x.resendable()
	if c := p.take(x.conn.task, x.up.began, !again); c != nil {
		err := c.roundTrip(x)
		if err == nil || !again || !closedEarly(err) {
			return err
		}
		// The upstream has closed it in the meantime, which is no fault.
		if err := x.rewindBody(); err != nil {
			return err
		}
	}
	c, err := t.connect(x, p)
	if err != nil {
		return err
	}
	return c.roundTrip(x)
}

// resendable tells whether the request may be sent twice.
func (x *Exchange) resendable() bool { return x.up.body.rewind && !onlyOnce(x.Request.Method) }

// closedEarly tells whether a connection has ended before any of a response.
func closedEarly(err error) bool {
	var conn *h1.ConnError
	return errors.As(err, &conn) && !conn.Began && !isTimeout(err)
}

func (t *transport) connect(x *Exchange, p *pool) (*upstreamConn, error) {
	task := x.conn.task
	c := &upstreamConn{t: t, pool: p, lane: &p.lanes[laneOf(task)]}
	var err error // a new connection is rare enough for what this allocates
	task.Outside(func() { c.nc, c.events, err = t.dial(x.ctx, p, x.service.connect, task) })
	if err != nil {
		return nil, &connectError{err}
	}
	c.client = h1.NewClient(c.nc, h1.Options{MaxHead: maxHead})
	return c, nil
}

// roundTrip sends the request on a connection. After an error it is closed.
func (c *upstreamConn) roundTrip(x *Exchange) error {
	c.uses++
	c.client.SetTimeouts(x.service.read, x.service.write)
	if x.cancels {
		x.up.uncancel = context.AfterFunc(x.ctx, c.abandon)
	} else {
		x.conn.client.hold(c)
	}
	x.up.held = c
	err := c.exchange(x)
	if err != nil {
		x.up.held = nil
		c.discard(x)
	}
	return err
}

func (c *upstreamConn) exchange(x *Exchange) error {
	x.upstreamRequest()
	sent := c.client.WriteRequest(&x.up.request)
	if errors.Is(sent, h1.ErrBodyPending) {
		x.conn.task.Leave() // the connections are used by two goroutines now
		c.sendRest(x)
		sent = nil
	}
	if sent != nil {
		if err := unsent(sent); err != nil {
			return err
		}
	}
	res := &x.up.response
	*res = h1.Response{Header: &x.Response.Header, Trailer: &x.Response.Trailer}
	err := c.client.ReadResponse(res)
	if c.rest != nil {
		if sent = c.rest.answered(c, x.service.read, err == nil); err != nil && sent != nil {
			if why := unsent(sent); why != nil {
				return why
			}
		}
	}
	if err != nil {
		return unanswered(sent, err)
	}
	if res.Status == http.StatusSwitchingProtocols && (sent != nil || !c.rest.ended()) {
		// The other protocol begins after the request (RFC 9110, 7.8), which is
		// not sent to its end.
		x.Response.Header.Reset()
		return &tryError{err: errEarlySwitch, sent: true, answered: true, invalid: true}
	}
	x.Response.Status, x.Response.ContentLength, x.Response.Body = res.Status, res.ContentLength, res.Body
	if res.Body == nil {
		x.Response.Body = http.NoBody
	}
	if x.upgrade = res.Upgrade; res.Status == http.StatusSwitchingProtocols {
		x.Response.ContentLength = 0
	}
	return nil
}

var errEarlySwitch = errors.New("the protocol was changed before the request was sent")

// unsent is the error of a request that could not be sent, nil if there may be
// a response all the same.
func unsent(err error) error {
	var source *h1.SourceError
	switch {
	case errors.As(err, &source):
		return &bodyError{source.Err}
	case errors.As(err, new(*h1.ConnError)) && isTimeout(err):
		return &tryError{err: err, sent: true} // who does not read has nothing to say either
	case errors.As(err, new(*h1.ConnError)):
		return nil
	default:
		return err
	}
}

// unanswered is the error of a request without a response.
func unanswered(sent, err error) error {
	if sent != nil {
		return &tryError{err: sent, sent: true}
	}
	var conn *h1.ConnError
	return &tryError{
		err: err, sent: true,
		answered: errors.As(err, &conn) && conn.Began, invalid: errors.As(err, new(*h1.ProtocolError)),
	}
}

// upstreamRequest makes the request as it is sent. Trailers are left out: they
// come after plugins have seen to what upstreams may be told, and some take
// them for fields of the header.
func (x *Exchange) upstreamRequest() {
	r, u := &x.Request, &x.Upstream
	x.up.request = h1.Request{
		Method: r.Method, Path: upstreamTarget(r.Target, u), Host: x.up.host, Header: &x.up.header,
		ContentLength: r.ContentLength, Body: r.Body, Upgrade: passedUpgrade(r.Upgrade), Trailers: r.trailers,
	}
}

// upstreamTarget is the path with the query: if it can be, a part of the target
// that the client has sent.
func upstreamTarget(target string, u *Destination) string {
	path := urlpath.Escape(u.Path)
	if !u.HasQuery {
		return path
	}
	if n := len(target) - len(path) - 1 - len(u.Query); n >= 0 {
		same := target[n:]
		if same[:len(path)] == path && same[len(path)] == '?' && same[len(path)+1:] == u.Query {
			return same
		}
	}
	return path + "?" + u.Query
}

// cancelled tells whether the client has gone while the connection was used,
// and ends looking out for that.
func (c *upstreamConn) cancelled(x *Exchange) bool {
	if !x.cancels {
		return x.conn.client.let(c)
	}
	stop := x.up.uncancel
	x.up.uncancel = nil
	return stop != nil && !stop()
}

// discard implements holder.
func (c *upstreamConn) discard(x *Exchange) {
	c.stopRest(x)
	c.cancelled(x)
	c.close()
}

// release implements holder.
func (c *upstreamConn) release(x *Exchange) {
	c.stopRest(x)
	if c.cancelled(x) || !c.client.Reusable() || c.uses >= maxUses || c.t.p.ctx.Err() != nil {
		c.close()
		return
	}
	if c.since = x.Ended; c.since.IsZero() {
		c.since = time.Now()
	}
	c.pool.give(c)
}

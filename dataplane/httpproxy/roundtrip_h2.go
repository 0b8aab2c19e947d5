package httpproxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy/urlpath"
)

// h2Pool speaks HTTP/2 with one address, by net/http.
type h2Pool struct{ transport *http.Transport }

// connectTimeout is the key of a context's value.
type connectTimeout struct{}

func newH2Pool(t *transport, p *pool) *h2Pool {
	made := &http.Transport{
		Protocols:          new(http.Protocols),
		DisableCompression: true,
		IdleConnTimeout:    idleUpstream,
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		timeout, _ := ctx.Value(connectTimeout{}).(time.Duration)
		nc, _, err := t.dial(ctx, p, timeout, nil)
		return nc, err
	}
	if p.tls != nil {
		made.Protocols.SetHTTP2(true)
		made.DialTLSContext = dial
	} else {
		made.Protocols.SetUnencryptedHTTP2(true)
		made.DialContext = dial
	}
	return &h2Pool{made}
}

func (h *h2Pool) close() { h.transport.CloseIdleConnections() }

// h2Response is what a response of HTTP/2 is read from.
type h2Response struct {
	res     *http.Response
	cancel  context.CancelCauseFunc
	read    time.Duration // how long a read may take
	overdue *time.Timer
	x       *Exchange
}

// errOverdue is that an upstream took too long.
var errOverdue error = overdueError{}

type overdueError struct{}

func (overdueError) Error() string { return "the upstream took too long" }

func (overdueError) Timeout() bool { return true }

func (t *transport) roundTripH2(x *Exchange) error {
	x.conn.task.Leave() // net/http has goroutines of its own
	p := t.pool(x, true)
	p.used.Store(x.up.began.Unix())
	ctx, cancel := context.WithCancelCause(context.WithValue(x.ctx, connectTimeout{}, x.service.connect))
	h := &h2Response{cancel: cancel, read: x.service.read, x: x}
	// The response may take the time for connecting besides. Whatever passes in
	// either direction afterwards gives it its time anew.
	h.overdue = time.AfterFunc(x.service.connect+x.service.read, func() { cancel(errOverdue) })
	res, err := p.h2.transport.RoundTrip(x.h2Request(ctx, h))
	if err != nil {
		h.overdue.Stop()
		cause := context.Cause(ctx)
		cancel(nil)
		if errors.Is(cause, errOverdue) {
			return &tryError{err: errOverdue, sent: true}
		}
		if op := new(net.OpError); errors.As(err, &op) && op.Op == "dial" {
			return err
		}
		return &tryError{err: err, sent: true}
	}
	h.res = res
	x.up.held = h
	x.Response.Status, x.Response.ContentLength = res.StatusCode, res.ContentLength
	fromHTTPHeader(&x.Response.Header, res.Header)
	x.Response.Body = h
	return nil
}

// h2Request makes the request as it is sent.
func (x *Exchange) h2Request(ctx context.Context, h *h2Response) *http.Request {
	u, r := &x.Upstream, &x.Request
	to := &url.URL{
		Scheme: "http", Host: x.up.peer.Address, Opaque: urlpath.Escape(u.Path), RawQuery: u.Query,
		ForceQuery: u.HasQuery,
	}
	if x.up.tls != nil {
		to.Scheme = "https"
	}
	req := (&http.Request{
		Method: r.Method, URL: to, Host: x.up.host, Header: http.Header{}, ContentLength: r.ContentLength,
		Proto: "HTTP/2.0", ProtoMajor: 2,
	}).WithContext(ctx)
	for _, f := range x.up.header.Fields() {
		req.Header.Add(f.Name, f.Value)
	}
	if r.trailers || x.isGRPC() {
		req.Header.Set("Te", "trailers")
	}
	if kept, ok := r.Body.(*bytes.Reader); ok {
		// It may be read after the request has ended, when its memory is used
		// for others.
		b, _ := io.ReadAll(kept)
		req.Body = io.NopCloser(bytes.NewReader(b))
	} else if r.Body != nil {
		req.Body = &h2Body{Reader: r.Body, overdue: h.overdue, read: h.read, down: x.down, log: x.log, id: x.ID}
	}
	return req
}

// h2Body is a body that is being sent.
type h2Body struct {
	io.Reader
	overdue *time.Timer
	read    time.Duration
	down    downstream
	ended   atomic.Bool
	log     *slog.Logger
	id      string // of the request
}

// Read is called by a goroutine of net/http's, in which nobody recovers.
func (b *h2Body) Read(p []byte) (n int, err error) {
	defer func() {
		if r := recover(); r != nil {
			logPanic(b.log, b.id, r)
			n, err = 0, errPanic
			b.ended.Store(true)
		}
	}()
	n, err = b.Reader.Read(p)
	b.overdue.Reset(b.read)
	if err != nil {
		b.ended.Store(true)
	}
	return n, err
}

// Close ends a Read that waits for the client: net/http waits for it.
func (b *h2Body) Close() error {
	if !b.ended.Load() {
		b.down.interrupt()
	}
	return nil
}

// Read reads the body. Its trailers are there when it has ended.
func (h *h2Response) Read(p []byte) (int, error) {
	h.overdue.Reset(h.read)
	n, err := h.res.Body.Read(p)
	if err != nil && errors.Is(context.Cause(h.res.Request.Context()), errOverdue) {
		err = errOverdue
	}
	if err == io.EOF {
		fromHTTPHeader(&h.x.Response.Trailer, h.res.Trailer)
	}
	return n, err
}

// release implements holder.
func (h *h2Response) release(*Exchange) {
	h.overdue.Stop()
	_ = h.res.Body.Close()
	h.cancel(nil)
}

// discard implements holder.
func (h *h2Response) discard(x *Exchange) { h.release(x) }

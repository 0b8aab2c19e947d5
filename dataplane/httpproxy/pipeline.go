package httpproxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy/h1"
)

// downstream is the client's side of an Exchange.
type downstream interface {
	// respond sends the response, and counts what it sends of the body.
	respond(x *Exchange) error
	// interrupt ends what waits for the client, which cannot go on afterwards.
	interrupt()
}

// begin makes an Exchange ready for the request that it has.
func (x *Exchange) begin(ctx context.Context, c *connection, d downstream) {
	x.Started = time.Now()
	x.ctx, x.conn, x.down, x.log = ctx, c, d, x.proxy.log
	x.snapshot = x.enter()
	x.ID = newID()
	x.Response.ContentLength, x.Response.Body = 0, http.NoBody
	r := &x.Request
	r.Peer, r.Local, r.TLS, r.Scheme = c.peer, c.local, c.tls, c.scheme()
	x.trusted = x.proxy.trusts(r.Peer.Addr())
	r.Client = r.Peer.Addr()
	if x.trusted {
		r.Client = x.proxy.clientOf(r)
	}
	path, query, has := strings.Cut(r.origin, "?")
	r.RawPath, r.Query, r.HasQuery = path, query, has
}

// reset makes an Exchange ready for another request. What it refers to is let
// go.
func (x *Exchange) reset() {
	clear(x.values)
	clear(x.used)
	clear(x.Tries)
	request, response, out, input := x.Request, x.Response, x.up.header, x.up.input
	request.Header.Reset()
	request.Trailer.Reset()
	response.Header.Reset()
	response.Trailer.Reset()
	out.Reset()
	input.Reset()
	values, used, tries := x.values[:0], x.used[:0], x.Tries[:0]
	proxy, index := x.proxy, x.index
	x.Request = Request{Header: request.Header, Trailer: request.Trailer}
	x.Response = Response{Header: response.Header, Trailer: response.Trailer}
	x.exchangeState = exchangeState{}
	x.values, x.used, x.Tries = values, used, tries
	x.proxy, x.index = proxy, index
	x.up.header, x.up.input = out, input
}

const hexDigits = "0123456789abcdef"

// newID makes the ID of a request. It tells requests apart, and is no secret.
func newID() string {
	var b [32]byte
	for i := 0; i < len(b); i += 16 {
		for n, at := rand.Uint64(), i; at < i+16; at++ {
			b[at] = hexDigits[n&15]
			n >>= 4
		}
	}
	return string(b[:])
}

// serve takes a request through all its steps. The error is that the client
// was not sent the whole response.
func (p *Proxy) serve(x *Exchange) (err error) {
	defer func() {
		// A fault in the gateway costs this request, not all of them.
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errPanic, r)
			logPanic(x.log, x.ID, r)
			x.discardUpstream()
			x.leave()
		}
	}()
	p.counts.requests.Add(1)
	p.counts.busy.Add(1)
	defer p.counts.busy.Add(-1)
	x.match()
	x.Matched = time.Now()
	x.Accessed = x.Matched
	if x.Route != nil && !x.answered {
		if x.access(); len(x.used) > 0 {
			x.Accessed = time.Now()
		}
	}
	if !x.answered {
		if x.service == nil {
			x.refuse(http.StatusServiceUnavailable, msgNoService, FromPlugin)
		} else {
			x.forward()
		}
	}
	if x.Route == nil || len(x.used) == 0 {
		x.used = append(x.used, x.snapshot.plugins.global...)
	}
	for _, i := range x.used {
		if i.responder != nil {
			x.call(i, "respond", i.responder.Respond)
		}
	}
	if x.refusal != "" {
		x.reword()
	}
	x.finishHeader()
	err = x.respond()
	x.finish(err)
	return err
}

func logPanic(log *slog.Logger, id string, what any) {
	log.Error("the gateway has panicked", "request_id", id, "panic", what, "stack", string(debug.Stack()))
}

func (x *Exchange) respond() error {
	x.proxy.counts.writing.Add(1)
	defer x.proxy.counts.writing.Add(-1)
	return x.down.respond(x)
}

// finish ends an Exchange whose response is sent.
func (x *Exchange) finish(err error) {
	x.Ended = time.Now()
	x.releaseUpstream()
	x.conn.task.Return()
	for _, i := range x.used {
		if i.logger != nil {
			x.call(i, "log", func(x *Exchange) error { i.logger.Log(x); return nil })
		}
	}
	x.proxy.logAccess(x, err)
	x.leave()
}

// access runs the plugins. Those that are come to after the consumer was found
// out are the ones for that consumer.
func (x *Exchange) access() {
	plugins := x.snapshot.plugins
	route := x.matched.Value
	chain, consumer := plugins.forRoute(route), x.Consumer
	for at := 0; at < len(chain); at++ {
		i := chain[at]
		x.used = append(x.used, i)
		if x.answered || i.accesser == nil {
			continue
		}
		x.call(i, "access", i.accesser.Access)
		if x.Consumer == consumer {
			continue
		}
		if consumer = x.Consumer; consumer != nil {
			chain = plugins.forConsumer(route, consumer.ID)
		} else {
			chain = plugins.forRoute(route)
		}
		for at = 0; at < len(chain) && byName(chain[at], i) <= 0; at++ {
		}
		at--
	}
}

// call calls a plugin.
func (x *Exchange) call(i *instance, what string, f func(*Exchange) error) {
	defer func() {
		if r := recover(); r != nil {
			x.failed(i, what, fmt.Errorf("%w: %v\n%s", errPanic, r, debug.Stack()))
		}
	}()
	if err := f(x); err != nil {
		x.failed(i, what, err)
	}
}

func (x *Exchange) failed(i *instance, what string, err error) {
	x.log.Error("a plugin has failed", "plugin", i.name, "plugin_id", i.entity.ID.String(), "phase", what,
		"request_id", x.ID, "error", err)
	if what != "log" {
		x.refuse(http.StatusInternalServerError, msgUnexpected, FromError)
	}
}

// finishHeader adds what the gateway tells in the head of a response.
func (x *Exchange) finishHeader() {
	h := &x.Response.Header
	if x.Response.Source == FromService {
		x.addVia(h)
		if x.up.input.SetCookie != "" {
			h.Add("Set-Cookie", x.up.input.SetCookie)
		}
		h.Set("X-Kong-Upstream-Latency", milliseconds(x.HeadReceived.Sub(x.Accessed)))
		h.Set("X-Kong-Proxy-Latency", milliseconds(x.Accessed.Sub(x.Started)))
	} else {
		h.Set("Server", x.proxy.options.Name)
		h.Set("X-Kong-Response-Latency", milliseconds(time.Since(x.Started)))
	}
	h.Set("X-Kong-Request-Id", x.ID)
	if !h.Has("Date") {
		h.Add("Date", x.proxy.date(time.Now()))
	}
}

// second is a time as it is in headers.
type second struct {
	unix int64
	text string
}

// date is a time as it is in headers.
func (p *Proxy) date(now time.Time) string {
	d := p.dated.Load()
	if d == nil || d.unix != now.Unix() {
		d = &second{now.Unix(), now.UTC().Format(http.TimeFormat)}
		p.dated.Store(d)
	}
	return d.text
}

// status is what the client is told.
func (x *Exchange) status() int {
	if x.wireStatus != 0 {
		return x.wireStatus
	}
	return x.Response.Status
}

// unsendable takes the place of a response that cannot be sent.
func (x *Exchange) unsendable(err error) {
	x.log.Error("a response cannot be sent", "request_id", x.ID, "error", err)
	status, message := http.StatusInternalServerError, msgUnexpected
	if x.Response.Source == FromService && !errors.As(err, new(*h1.FieldError)) {
		status, message = http.StatusBadGateway, msgBadUpstream // its body cannot be read
	}
	x.dropResponse()
	x.Response.Header.Reset()
	x.refuse(status, message, FromError)
	x.reword()
	x.finishHeader()
}

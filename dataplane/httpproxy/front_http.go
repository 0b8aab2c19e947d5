package httpproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy/h1"
)

// httpFront is the front end of HTTP/2: net/http's server, which is given
// connections that have agreed on it.
type httpFront struct {
	p      *Proxy
	server *http.Server
	conns  chan net.Conn
	closed chan struct{} // when it takes no more connections
	once   sync.Once
}

func newHTTPFront(p *Proxy) *httpFront {
	f := &httpFront{p: p, conns: make(chan net.Conn), closed: make(chan struct{})}
	f.server = &http.Server{
		Handler:           f,
		ReadHeaderTimeout: p.options.HeadTimeout,
		IdleTimeout:       p.options.IdleTimeout,
		MaxHeaderBytes:    maxHead,
		HTTP2:             &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		// What goes wrong with a client's connection is no news.
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		Protocols: new(http.Protocols),
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			return context.WithValue(ctx, connectionKey{}, newConnection(nc))
		},
	}
	f.server.ConnState = func(nc net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			p.counts.active.Add(1)
		case http.StateClosed, http.StateHijacked:
			p.counts.active.Add(-1)
		}
	}
	f.server.Protocols.SetHTTP2(true)
	f.server.Protocols.SetUnencryptedHTTP2(true)
	p.running.Go(func() { _ = f.server.Serve(f) })
	return f
}

// Connections on which nothing is said are asked whether they are there still.
const (
	pingAfter   = 30 * time.Second
	pingTimeout = 15 * time.Second
)

// connectionKey is the key of the connection in contexts of requests.
type connectionKey struct{}

// Accept implements net.Listener.
func (f *httpFront) Accept() (net.Conn, error) {
	select {
	case c := <-f.conns:
		return c, nil
	case <-f.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (f *httpFront) Close() error {
	f.once.Do(func() { close(f.closed) })
	return nil
}

// Addr implements net.Listener.
func (f *httpFront) Addr() net.Addr { return &net.TCPAddr{} }

func (f *httpFront) close() { _ = f.server.Close() }

// serve hands a connection over.
func (f *httpFront) serve(c net.Conn) {
	select {
	case f.conns <- c:
	case <-f.closed:
		_ = c.Close()
	}
}

// ServeHTTP serves a request.
func (f *httpFront) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := f.p.exchanges.take(f.p)
	timeout := f.p.options.BodyTimeout
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		timeout = 0 // such a stream may be silent for long
	}
	fromHTTPRequest(x, w, r, timeout)
	c, _ := r.Context().Value(connectionKey{}).(*connection)
	x.begin(r.Context(), c, httpDownstream{w, r})
	x.cancels = true
	err := f.serveOrRefuse(x)
	x.reset()
	f.p.exchanges.give(x)
	if err != nil {
		// Ends the stream so that the client knows that something is missing.
		panic(http.ErrAbortHandler)
	}
}

// serveOrRefuse serves a request, unless it is one that HTTP/1 could not carry:
// the same is refused on all connections.
func (f *httpFront) serveOrRefuse(x *Exchange) error {
	var protocol *h1.ProtocolError
	if !errors.As(h1.CheckTarget(x.Request.Method, x.Request.origin, x.Request.Host), &protocol) {
		return f.p.serve(x)
	}
	return x.refuseUnreadable(protocol)
}

// httpBody is the body of a request. The client may take a while between two
// reads, and no longer.
type httpBody struct {
	io.Reader
	stream  *http.ResponseController
	timeout time.Duration
}

func (b *httpBody) Read(p []byte) (int, error) {
	if b.timeout > 0 {
		_ = b.stream.SetReadDeadline(time.Now().Add(b.timeout)) // what fails here fails again in reading
	}
	return b.Reader.Read(p)
}

// fromHTTPRequest takes over a request. The timeout is that of its body.
func fromHTTPRequest(x *Exchange, w http.ResponseWriter, r *http.Request, timeout time.Duration) {
	q := &x.Request
	q.Method, q.Target, q.origin, q.Host = r.Method, r.RequestURI, r.RequestURI, r.Host
	q.ProtoMajor, q.ProtoMinor = r.ProtoMajor, r.ProtoMinor
	fromHTTPHeader(&q.Header, r.Header)
	q.ContentLength, q.Body = r.ContentLength, &httpBody{r.Body, http.NewResponseController(w), timeout}
	if q.ContentLength == 0 {
		q.Body = http.NoBody
	}
	if !strings.HasPrefix(q.origin, "/") && q.origin != "*" {
		q.origin = r.URL.RequestURI()
	}
	q.trailers = strings.EqualFold(r.Header.Get("Te"), "trailers")
}

// connectionFields are the fields that concern a connection alone.
var connectionFields = []string{
	"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Transfer-Encoding", "Upgrade", "Content-Length", "Host", "Expect", "Trailer",
}

// fromHTTPHeader takes over the fields of net/http's header.
func fromHTTPHeader(to *Header, from http.Header) {
	to.Reset()
	var options []string
	for _, v := range from["Connection"] {
		for o := range strings.SplitSeq(v, ",") {
			options = append(options, http.CanonicalHeaderKey(strings.TrimSpace(o)))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(from)) {
		if slices.Contains(connectionFields, name) || slices.Contains(options, name) {
			continue
		}
		for _, v := range from[name] {
			to.Add(name, v)
		}
	}
}

// httpDownstream is the client's side of an Exchange.
type httpDownstream struct {
	w http.ResponseWriter
	r *http.Request
}

// interrupt implements downstream.
func (d httpDownstream) interrupt() { _ = d.r.Body.Close() }

// respond implements downstream.
func (d httpDownstream) respond(x *Exchange) error {
	if status := x.status(); status < http.StatusOK || status > 999 {
		x.unsendable(fmt.Errorf("no response can have the status %d", status))
	}
	res := &x.Response
	h := d.w.Header()
	for _, f := range res.Header.Fields() {
		h[http.CanonicalHeaderKey(f.Name)] = append(h[http.CanonicalHeaderKey(f.Name)], f.Value)
	}
	if res.ContentLength >= 0 {
		h.Set("Content-Length", strconv.FormatInt(res.ContentLength, 10))
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // else net/http guesses one
	}
	status := x.status()
	d.w.WriteHeader(status)
	flush := http.NewResponseController(d.w)
	if d.r.Method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified {
		return nil
	}
	// What is waited for may come late, or only once the client has seen the head.
	if res.ContentLength != 0 && !ready(res.Body) {
		if err := flush.Flush(); err != nil {
			return err
		}
	}
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	for {
		n, err := res.Body.Read(buf[:])
		if n > 0 {
			_ = flush.SetWriteDeadline(time.Now().Add(x.proxy.options.BodyTimeout)) // what fails here fails again in writing
			if _, werr := d.w.Write(buf[:n]); werr != nil {
				return werr
			}
			res.Sent += int64(n)
			if err == nil {
				if ferr := flush.Flush(); ferr != nil {
					return ferr
				}
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	for _, f := range res.Trailer.Fields() {
		h.Add(http.TrailerPrefix+f.Name, f.Value)
	}
	return nil
}

// ready tells whether a body can be read without waiting, as far as is known.
func ready(body io.Reader) bool {
	switch body := body.(type) {
	case interface{ Ready() bool }:
		return body.Ready()
	case *bytes.Reader:
		return true
	}
	return false
}

var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

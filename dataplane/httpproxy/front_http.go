package httpproxy

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
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
		ErrorLog:          nil,
	}
	p.running.Go(func() { _ = f.server.Serve(f) })
	return f
}

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
	fromHTTPRequest(x, r)
	x.begin(r.Context(), httpDownstream{w, r})
	err := f.p.serve(x)
	x.reset()
	f.p.exchanges.give(x)
	if err != nil {
		// Ends the stream so that the client knows that something is missing.
		panic(http.ErrAbortHandler)
	}
}

func fromHTTPRequest(x *Exchange, r *http.Request) {
	q := &x.Request
	q.Method, q.Target, q.Host = r.Method, r.RequestURI, r.Host
	q.ProtoMajor, q.ProtoMinor = r.ProtoMajor, r.ProtoMinor
	fromHTTPHeader(&q.Header, r.Header)
	q.ContentLength, q.Body = r.ContentLength, r.Body
	q.Scheme, q.TLS = "http", r.TLS
	if r.TLS != nil {
		q.Scheme = "https"
	}
	q.Peer, _ = netip.ParseAddrPort(r.RemoteAddr)
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		q.Local = a.AddrPort()
		x.port = a.Port
	}
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

func (d httpDownstream) respond(x *Exchange) error {
	res := &x.Response
	h := d.w.Header()
	for _, f := range res.Header.Fields() {
		h[http.CanonicalHeaderKey(f.Name)] = append(h[http.CanonicalHeaderKey(f.Name)], f.Value)
	}
	if res.ContentLength >= 0 {
		h.Set("Content-Length", strconv.FormatInt(res.ContentLength, 10))
	}
	status := res.Status
	if x.wireStatus != 0 {
		status = x.wireStatus
	}
	d.w.WriteHeader(status)
	flush := http.NewResponseController(d.w)
	if d.r.Method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified {
		return nil
	}
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	for {
		n, err := res.Body.Read(buf[:])
		if n > 0 {
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

var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

var _ = context.Canceled

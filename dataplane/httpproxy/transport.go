package httpproxy

import (
	"net/http"
	"net/url"

	"github.com/backplane/backplane/dataplane/httpproxy/route"
)

type transport struct {
	p *Proxy
	t *http.Transport
}

func newTransport(p *Proxy) *transport {
	t := &http.Transport{DisableCompression: true}
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	return &transport{p, t}
}

func (t *transport) close() { t.t.CloseIdleConnections() }

type held struct{ resp *http.Response }

func (h held) release() { h.resp.Body.Close() }

func (t *transport) roundTrip(x *Exchange) error {
	u := &url.URL{Scheme: "http", Host: x.up.peer.address, Opaque: route.Escape(x.Upstream.Path), RawQuery: x.Upstream.Query, ForceQuery: x.Upstream.HasQuery}
	if x.up.tls != nil {
		u.Scheme = "https"
		t.t.TLSClientConfig = x.up.tls.config(hostOnly(x.up.host))
	}
	req := (&http.Request{Method: x.Request.Method, URL: u, Host: x.up.host, Header: http.Header{}, ContentLength: x.Request.ContentLength}).WithContext(x.ctx)
	for _, f := range x.up.header.Fields() {
		req.Header.Add(f.Name, f.Value)
	}
	if x.Request.ContentLength != 0 {
		x.up.body = countedBody{x.Request.Body, x}
		req.Body = http.NoBody
		req.Body = readCloser{&x.up.body}
	}
	resp, err := t.t.RoundTrip(req)
	if err != nil {
		return err
	}
	x.up.held = held{resp}
	x.Response.Status = resp.StatusCode
	fromHTTPHeader(&x.Response.Header, resp.Header)
	x.Response.Body, x.Response.ContentLength = resp.Body, resp.ContentLength
	return nil
}

type readCloser struct{ *countedBody }

func (readCloser) Close() error { return nil }

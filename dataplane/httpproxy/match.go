package httpproxy

import (
	"net/http"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy/route"
)

// match finds the route, and answers where there is none, with a page if there
// is one, or where the request is not what the route is for.
func (x *Exchange) match() {
	r := &x.Request
	var ok bool
	if r.Path, ok = route.Normalize(r.RawPath); !ok {
		x.refuse(http.StatusBadRequest, msgBadRequest, FromPlugin)
		return
	}
	in := &x.input
	*in = route.Input{
		Method: r.Method, Path: r.Path, Host: r.Host, Port: x.conn.port, Header: &r.Header,
		Scheme: x.scheme(), TLS: r.TLS != nil,
	}
	if r.TLS != nil {
		in.SNI = r.TLS.ServerName
	}
	x.matched, ok = x.snapshot.routes.Match(in)
	if !ok {
		if !x.answerPage() {
			x.refuse(http.StatusNotFound, msgNoRoute, FromPlugin)
		}
		return
	}
	m := &x.matched
	if m.Value.service != nil {
		x.service, _ = x.snapshot.services.get(*m.Value.service)
	}
	x.Route = m.Value.Route
	if x.service != nil {
		x.Service = x.service.Service
	}
	x.Captures = Captures{Numbered: m.Captures, Names: m.Names}
	x.checkProtocol()
	if x.service != nil && !x.answered {
		x.setDestination()
	}
}

// scheme is http or https as the client sees it.
func (x *Exchange) scheme() string {
	if x.trusted {
		switch proto := x.Request.Header.Get("X-Forwarded-Proto"); proto {
		case "http", "https":
			return proto
		}
	}
	return x.Request.Scheme
}

// checkProtocol answers requests that have another protocol than the route.
func (x *Exchange) checkProtocol() {
	switch {
	case x.matched.Protocols.GRPC():
		x.checkGRPC()
	case x.matched.NeedsTLS && x.Route.HTTPSRedirectStatusCode != http.StatusUpgradeRequired &&
		x.Route.HTTPSRedirectStatusCode != 0:
		x.Exit(x.Route.HTTPSRedirectStatusCode, "", nil)
		x.Response.Header.Set("Location", "https://"+hostOnly(x.Request.Host)+x.Request.origin)
	case x.matched.NeedsTLS:
		x.refuse(http.StatusUpgradeRequired, "Please use HTTPS protocol", FromPlugin)
		x.upgrade = "TLS/1.2, HTTP/1.1"
	}
}

func (x *Exchange) checkGRPC() {
	switch {
	case x.Request.ProtoMajor != 2:
		x.refuse(http.StatusUpgradeRequired, "Please use HTTP2 protocol", FromPlugin)
		x.upgrade = "HTTP/2"
	case !x.isGRPC():
		x.refuse(http.StatusUnsupportedMediaType, "Non-gRPC request matched gRPC route", FromPlugin)
	case x.matched.NeedsTLS:
		x.refuse(http.StatusOK, "gRPC request matched gRPCs route", FromPlugin)
		x.Response.Header.Set("Grpc-Status", "1")
	}
}

// hostOnly is an authority without its port. IPv6 addresses keep their
// brackets.
func hostOnly(authority string) string {
	colon := strings.LastIndexByte(authority, ':')
	if colon < 0 || strings.HasSuffix(authority, "]") {
		return authority
	}
	return authority[:colon]
}

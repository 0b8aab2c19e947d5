package rest

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"google.golang.org/grpc/metadata"

	"github.com/backplane/backplane/server/dbaas"
)

// address is the scheme and host that links begin with: what the client has
// called this server, as far as that is a host at all.
func (f *facade) address(r *http.Request) string {
	scheme, host := "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if f.TrustForwarded {
		if s := forwarded(r, "X-Forwarded-Proto"); s == "http" || s == "https" {
			scheme = s
		}
		if h := forwarded(r, "X-Forwarded-Host"); isHost(h) {
			host = h
		}
	}
	if !isHost(host) {
		host = "localhost"
		if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
			host = local.String()
		}
	}
	return scheme + "://" + host
}

// forwarded is what the proxy nearest to the client has said.
func forwarded(r *http.Request, header string) string {
	first, _, _ := strings.Cut(r.Header.Get(header), ",")
	return strings.ToLower(strings.TrimSpace(first))
}

// isHost reports whether text is a name or an address, with or without a port.
func isHost(text string) bool {
	host := text
	if at := strings.LastIndexByte(text, ':'); at >= 0 && !strings.HasSuffix(text, "]") {
		port, err := strconv.ParseUint(text[at+1:], 10, 16)
		if err != nil || port == 0 {
			return false
		}
		host = text[:at]
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		address, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return err == nil && strings.HasSuffix(inner, "]") && address.Is6() && address.Zone() == ""
	}
	return host != "" && len(host) <= 255 && strings.Trim(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == ""
}

// urlOf is the URL of a request below an address, with a trailing slash.
func urlOf(address string, u *url.URL) string {
	out := address + strings.TrimSuffix(u.EscapedPath(), "/") + "/"
	if u.RawQuery != "" {
		out += "?" + escapeQuery(u.RawQuery)
	}
	return out
}

// escapeQuery escapes what a server accepts in a query although no URL may have
// it (RFC 3986, section 3.4).
func escapeQuery(raw string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(raw) {
		if c := raw[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"#<>\^{|}`+"`", c) >= 0 {
			b.Write([]byte{'%', hex[c>>4], hex[c&0xf]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// aboutRequest tells a call the URL that it answers for.
func aboutRequest(ctx context.Context, _ *http.Request) metadata.MD {
	if x := exchangeOf(ctx); x != nil && x.url != "" {
		return metadata.Pairs(dbaas.RequestURLKey, x.url)
	}
	return nil
}

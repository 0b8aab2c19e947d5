package httpproxy

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy/urlpath"
)

// trusts tells whether a peer is believed when it says who a request is from.
func (p *Proxy) trusts(peer netip.Addr) bool {
	peer = peer.Unmap()
	for _, prefix := range p.options.TrustedIPs {
		if prefix.Contains(peer) {
			return true
		}
	}
	return false
}

// clientOf is who a trusted peer says that a request is from.
func (p *Proxy) clientOf(r *Request) netip.Addr {
	if ip, err := netip.ParseAddr(strings.TrimSpace(r.Header.Get("X-Real-IP"))); err == nil {
		return ip.Unmap()
	}
	// The last one that no trusted one has added: what stands before could be
	// anybody's invention.
	forwarded := strings.Split(r.Header.Join("X-Forwarded-For"), ",")
	for i := len(forwarded) - 1; i >= 0; i-- {
		ip, err := netip.ParseAddr(strings.TrimSpace(forwarded[i]))
		if err != nil {
			break
		}
		if !p.trusts(ip) || i == 0 {
			return ip.Unmap()
		}
	}
	return r.Peer.Addr().Unmap()
}

// upstreamHeader makes the header that the upstream gets.
func (x *Exchange) upstreamHeader() {
	out, r := &x.up.header, &x.Request
	out.Reset()
	var forwardedFor, via string
	for _, f := range r.Header.Fields() {
		switch fieldOf(f.Name) {
		case fieldDropped:
		case fieldForwardedFor:
			forwardedFor = joined(forwardedFor, f.Value)
		case fieldVia:
			via = joined(via, f.Value)
		case fieldForwarded:
			if x.trusted {
				out.Add(f.Name, f.Value)
			}
		default:
			out.Add(f.Name, f.Value)
		}
	}
	peer := x.conn.peerText
	out.Add("X-Forwarded-For", joined(forwardedFor, peer))
	if r.Client == r.Peer.Addr() {
		out.Add("X-Real-IP", peer)
	} else {
		out.Add("X-Real-IP", r.Client.String())
	}
	x.forwarded("X-Forwarded-Proto", r.Scheme)
	x.forwarded("X-Forwarded-Host", hostOnly(r.Host))
	x.forwarded("X-Forwarded-Port", x.conn.portText)
	x.forwarded("X-Forwarded-Path", r.RawPath)
	if x.stripped != "" && x.stripped != "/" {
		// A regular expression may match what cannot be in a field as it is.
		x.forwarded("X-Forwarded-Prefix", urlpath.Escape(x.stripped))
	}
	out.Add("Via", joined(via, x.via()))
	out.Add("X-Kong-Request-Id", x.ID)
}

// forwarded adds a field, unless a trusted peer has sent it.
func (x *Exchange) forwarded(name, value string) {
	if x.trusted && x.up.header.Has(name) {
		return
	}
	x.up.header.Add(name, value)
}

func joined(before, value string) string {
	if before == "" {
		return value
	}
	return before + ", " + value
}

// via is what the gateway adds to Via.
func (x *Exchange) via() string {
	if x.Request.ProtoMajor == 2 {
		return x.proxy.via2
	}
	return x.proxy.via1
}

// addVia adds the gateway to the Via of a response.
func (x *Exchange) addVia(h *Header) {
	h.Set("Via", joined(h.Join("Via"), x.proxy.via1))
}

// What the fields of a request are for the upstream.
const (
	fieldPassed = iota
	fieldDropped
	fieldForwardedFor
	fieldForwarded
	fieldVia
)

// fieldOf sorts the fields of requests. Those that concern the connection alone
// are out already, but plugins may have added some.
func fieldOf(name string) int {
	switch len(name) {
	case 2:
		return named(name, "te", fieldDropped)
	case 3:
		return named(name, "via", fieldVia)
	case 4:
		return named(name, "host", fieldDropped)
	case 5:
		return named(name, "proxy", fieldDropped)
	case 6:
		return named(name, "expect", fieldDropped)
	case 7:
		return max(named(name, "upgrade", fieldDropped), named(name, "trailer", fieldDropped))
	case 9:
		return named(name, "x-real-ip", fieldDropped)
	case 10:
		return max(named(name, "connection", fieldDropped), named(name, "keep-alive", fieldDropped))
	case 14:
		return named(name, "content-length", fieldDropped)
	case 15:
		return named(name, "x-forwarded-for", fieldForwardedFor)
	case 16:
		return max(named(name, "x-forwarded-port", fieldForwarded), named(name, "x-forwarded-host", fieldForwarded),
			named(name, "x-forwarded-path", fieldForwarded), named(name, "proxy-connection", fieldDropped))
	case 17:
		return max(named(name, "x-forwarded-proto", fieldForwarded), named(name, "x-kong-request-id", fieldDropped),
			named(name, "transfer-encoding", fieldDropped))
	case 18:
		return named(name, "x-forwarded-prefix", fieldForwarded)
	default:
		return fieldPassed
	}
}

func named(name, lower string, kind int) int {
	if strings.EqualFold(name, lower) {
		return kind
	}
	return fieldPassed
}

// milliseconds is a time in a header.
func milliseconds(d time.Duration) string {
	return strconv.FormatInt(max(d, 0).Milliseconds(), 10)
}

// passedUpgrade is the protocol that the upstream is asked to change to: none
// that is HTTP or TLS again, in which requests would pass by the gateway.
func passedUpgrade(asked string) string {
	for _, barred := range [...]string{"h2c", "h2", "http/", "tls/"} {
		if len(asked) >= len(barred) && strings.EqualFold(asked[:len(barred)], barred) {
			return ""
		}
	}
	if strings.ContainsRune(asked, ',') {
		return "" // one of several
	}
	return asked
}

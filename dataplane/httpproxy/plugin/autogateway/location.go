package autogateway

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/urlpath"
)

// place is a host with a port.
type place struct {
	host string // without brackets
	port int
}

// upstream is how references to what is behind the gateway are told from others.
type upstream struct {
	scheme string
	places []place // under which it is known
	// named is what it was told to be, and forwardedTLS that clients use TLS:
	// some take that for their own address.
	named        place
	forwardedTLS bool
	base         string // what its paths begin with, without a slash at the end
	prefix       string // what the gateway has in the place of base
}

// relocate has the references in a response lead to the gateway.
func (p *plugin) relocate(x *httpproxy.Exchange) {
	h := &x.Response.Header
	var u *upstream // made only if there is something to do
	for _, name := range [...]string{"Location", "Content-Location"} {
		to := h.Get(name)
		if to == "" {
			continue
		}
		if u == nil {
			u = p.upstream(x)
		}
		if moved, ok := u.move(to); ok {
			h.Set(name, moved)
		}
	}
}

func (p *plugin) upstream(x *httpproxy.Exchange) *upstream {
	s := x.Service
	u := &upstream{
		scheme: s.Protocol, base: strings.TrimSuffix(s.Path, "/"), prefix: urlpath.Escape(p.Prefix),
		places: []place{{strings.Trim(s.Host, "[]"), s.Port}},
		forwardedTLS: x.Request.Scheme == "https" ||
			strings.EqualFold(x.Request.Header.Get("X-Forwarded-Proto"), "https"),
	}
	if named, ok := parsePlace(x.UpstreamHost(), s.Protocol); ok {
		u.named = named
		u.places = append(u.places, named)
	}
	if n := len(x.Tries); n > 0 {
		if a, err := netip.ParseAddrPort(x.Tries[n-1].Address); err == nil {
			u.places = append(u.places, place{a.Addr().String(), int(a.Port())})
		}
	}
	return u
}

// move is where a reference leads at the gateway, not ok if it does not lead to
// the upstream. References that are relative lead there as they are.
func (u *upstream) move(reference string) (moved string, ok bool) {
	rest := reference
	if scheme, authority, after, ok := cutAuthority(reference); ok {
		if !u.is(scheme, authority) {
			return "", false
		}
		rest = after
	} else if !strings.HasPrefix(reference, "/") {
		return "", false
	}
	path, tail := rest, ""
	if end := strings.IndexAny(rest, "?#"); end >= 0 {
		path, tail = rest[:end], rest[end:]
	}
	below, ok := strings.CutPrefix(withoutDots(path), u.base)
	switch {
	case !ok || below != "" && below[0] != '/' && below[0] != '\\':
		return "", false
	case below == "":
		below = "/"
	}
	return u.prefix + below + tail, true
}

// is tells whether an authority is the upstream's. The scheme is "" where it is
// left out.
func (u *upstream) is(scheme, authority string) bool {
	if scheme == "" {
		scheme = u.scheme
	}
	to, ok := parsePlace(authority, scheme)
	if !ok {
		return false
	}
	for _, known := range u.places {
		// One port does not speak both with and without TLS: who gives it by
		// number means the same, whatever the scheme says.
		if to.same(known) && (scheme == u.scheme || hasPort(authority)) {
			return true
		}
	}
	// It was asked with TLS, as far as it knows, under its own name.
	to, _ = parsePlace(authority, u.scheme)
	return scheme == "https" && u.forwardedTLS && to.same(u.named)
}

func (p place) same(q place) bool { return p.port == q.port && strings.EqualFold(p.host, q.host) }

// cutAuthority cuts a reference to something on http or https, or without a
// scheme, behind its authority.
func cutAuthority(reference string) (scheme, authority, rest string, ok bool) {
	rest = reference
	if i := strings.IndexByte(rest, ':'); i == len("http") || i == len("https") {
		if scheme = strings.ToLower(rest[:i]); scheme == "http" || scheme == "https" {
			rest = rest[i+1:]
		}
	}
	if rest, ok = strings.CutPrefix(rest, "//"); !ok {
		return "", "", "", false
	}
	end := strings.IndexAny(rest, `/?#\`)
	if end < 0 {
		end = len(rest)
	}
	return scheme, rest[:end], rest[end:], true
}

// parsePlace takes an authority apart. Without a port it is that of the scheme.
func parsePlace(authority, scheme string) (p place, ok bool) {
	host, port := authority, ""
	if hasPort(authority) {
		i := strings.LastIndexByte(authority, ':')
		host, port = authority[:i], authority[i+1:]
	}
	switch {
	case port != "":
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return place{}, false
		}
		p.port = int(n)
	case scheme == "https":
		p.port = 443
	default:
		p.port = 80
	}
	p.host = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(host, ":"), "["), "]")
	return p, p.host != "" && !strings.Contains(host, "@")
}

// hasPort tells whether an authority has a port.
func hasPort(authority string) bool {
	i := strings.LastIndexByte(authority, ':')
	return i >= 0 && i > strings.LastIndexByte(authority, ']') && i < len(authority)-1
}

// withoutDots takes the segments "." and ".." out of a path (RFC 3986, 5.2.4),
// which would lead out of the prefix after it was put in front. Escaped ones are
// taken for the same by browsers.
func withoutDots(path string) string {
	if !strings.Contains(path, ".") && !strings.Contains(strings.ToLower(path), "%2e") {
		return path
	}
	segments := strings.Split(path, "/")
	kept := segments[:1] // what is before the first slash: nothing
	for i, s := range segments[1:] {
		last := i == len(segments)-2
		switch strings.ReplaceAll(strings.ToLower(s), "%2e", ".") {
		case "..":
			kept = kept[:max(len(kept)-1, 1)]
		case ".":
		default:
			kept = append(kept, s)
			continue
		}
		if last {
			kept = append(kept, "")
		}
	}
	return strings.Join(kept, "/")
}

package httpproxy

import "strings"

// setDestination settles where a request goes.
func (x *Exchange) setDestination() {
	s := x.Service
	r := x.matched.Value
	path, stripped := upstreamPath(r.v1, s.Path, x.matched.Prefix, x.Request.Path, r.strip)
	x.stripped = stripped
	x.Upstream = Destination{
		Scheme: s.Protocol, Host: s.Host, Port: s.Port,
		Path: path, Query: x.Request.Query, HasQuery: x.Request.HasQuery,
	}
	if r.keepHost {
		x.Upstream.HostHeader = x.Request.Host
	}
}

// StripPrefix takes a prefix from the path that the upstream is asked for, which
// stands behind the service's own, and has X-Forwarded-Prefix tell of it. The
// result is whether it was there, as whole segments.
func (x *Exchange) StripPrefix(prefix string) bool {
	if x.Service == nil {
		return false
	}
	base := strings.TrimSuffix(x.Service.Path, "/")
	rest, ok := strings.CutPrefix(x.Upstream.Path, base+prefix)
	if !ok || rest != "" && rest[0] != '/' {
		return false
	}
	if rest == "" {
		rest = "/"
	}
	x.Upstream.Path, x.stripped = base+rest, strings.TrimSuffix(x.stripped, "/")+prefix
	return true
}

// UpstreamHost is what the upstream was told for Host, "" before.
func (x *Exchange) UpstreamHost() string { return x.up.host }

// upstreamPath is the path that is asked for at the upstream: that of the
// service followed by that of the request, without what the route has matched
// if it is to be stripped. The second result is what was stripped ("Path
// handling algorithms" of the Kong Admin API).
func upstreamPath(v1 bool, base, prefix, path string, strip bool) (joined, stripped string) {
	if base == "" {
		base = "/"
	}
	if !strip || prefix == "" || !strings.HasPrefix(path, prefix) {
		switch {
		case v1:
			return base + strings.TrimPrefix(path, "/"), ""
		case path == "/":
			return base, ""
		default:
			return strings.TrimSuffix(base, "/") + path, ""
		}
	}
	rest := withoutDots(path[len(prefix):])
	if v1 {
		if strings.HasSuffix(base, "/") {
			rest = strings.TrimPrefix(rest, "/")
		}
		return base + rest, prefix
	}
	switch {
	case rest != "" && rest[0] == '/':
		return strings.TrimSuffix(base, "/") + rest, prefix
	case rest != "":
		return strings.TrimSuffix(base, "/") + "/" + rest, prefix
	case strings.HasSuffix(path, "/"):
		return strings.TrimSuffix(base, "/") + "/", prefix
	case base == "/":
		return base, prefix
	default:
		return strings.TrimSuffix(base, "/"), prefix
	}
}

// withoutDots takes "." or ".." from the start of what is left of a path, where
// it would be a segment of its own after joining.
func withoutDots(rest string) string {
	for _, dots := range [...]string{"..", "."} {
		if after, ok := strings.CutPrefix(rest, dots); ok {
			if after == "" {
				return ""
			}
			if after[0] == '/' {
				return after[1:]
			}
		}
	}
	return rest
}

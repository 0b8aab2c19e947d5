package autogateway

import (
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/urlpath"
)

// guard has the paths that requests reach by routes of their own alone, or not
// at all. To the gateway /items/1%2Fsecret is an item; many services take it for
// /items/1/secret, which may be protected.
type guard struct {
	protected segment // which requests with a credential may reach
	withheld  segment // which none may
}

func (g *guard) put(template string, methods []string, protected bool) {
	if protected {
		g.protected.put(template, methods)
	} else {
		g.withheld.put(template, methods)
	}
}

// keeps tells whether a request is kept from a path in normal form for what the
// service may take that for.
func (g *guard) keeps(x *httpproxy.Exchange, path string) bool {
	if !strings.ContainsAny(path, `%;\`) {
		return false
	}
	slashes := opened.Replace(path)
	for _, other := range [...]string{slashes, bare(path), bare(slashes)} {
		if other == path {
			continue
		}
		merged, _ := urlpath.Normalize(other)
		for _, to := range [...]string{other, merged} {
			if has(g.withheld.allowed(to), x.Request.Method) || x.Credential == nil && has(g.protected.allowed(to), x.Request.Method) {
				return true
			}
		}
	}
	return false
}

// opened are what some take for a slash.
var opened = strings.NewReplacer("%2F", "/", `\`, "/")

// bare takes the parameters from the segments of a path.
func bare(path string) string {
	path = strings.ReplaceAll(path, "%3B", ";")
	if !strings.Contains(path, ";") {
		return path
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		segments[i], _, _ = strings.Cut(s, ";")
	}
	return strings.Join(segments, "/")
}

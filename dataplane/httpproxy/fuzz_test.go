package httpproxy

import (
	"net/url"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy/urlpath"
)

// FuzzUpstreamPath is that a path that is joined begins with the service's, has
// what is left of the request's at its end, and never climbs.
func FuzzUpstreamPath(f *testing.F) {
	f.Add("/srv", "/rou", "/rou/../x", true, false)
	f.Add("/", "/route", "/routereq", true, false)
	f.Add("/srv/", "", "/a/b", false, true)
	f.Fuzz(func(t *testing.T, base, prefix, raw string, strip, v1 bool) {
		path, ok := urlpath.Normalize(raw)
		base, okBase := urlpath.Normalize(base)
		if !ok || !okBase || !strings.HasPrefix(path, "/") || !strings.HasPrefix(base, "/") || !strings.HasPrefix(path, prefix) {
			return
		}
		got, stripped := upstreamPath(v1, base, prefix, path, strip)
		if !strings.HasPrefix(got, strings.TrimSuffix(base, "/")) {
			t.Errorf("%q is not below %q", got, base)
		}
		if strip && stripped != prefix || !strip && stripped != "" {
			t.Errorf("%q was stripped of %q", stripped, path)
		}
		if again, ok := urlpath.Normalize(urlpath.Escape(got)); v1 || !ok || again != got {
			if !v1 {
				t.Errorf("%q is read as %q", got, again)
			}
		}
	})
}

// FuzzRequestParts is that what is read of fields agrees with others, and does
// not panic.
func FuzzRequestParts(f *testing.F) {
	f.Add("a=b; session=1", "x=%20&session=2", "text/html;q=0.5, */*", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	f.Add("session=\"q\"", "session", "application/xml", "")
	f.Fuzz(func(t *testing.T, cookie, query, accept, trace string) {
		r := Request{Query: query}
		r.Header.Add("Cookie", cookie)
		_ = r.Cookie("session")
		want := ""
		if values, err := url.ParseQuery(query); err == nil {
			want = values.Get("session")
			if got := r.QueryArg("session"); got != want {
				t.Errorf("%q has %q, and not %q", query, got, want)
			}
		}
		contentType, body := errorBody(accept, "m", "i")
		if contentType == "" || len(body) == 0 {
			t.Errorf("%q: %q %q", accept, contentType, body)
		}
		if id := traceID(trace); id != "" && len(id) != 32 {
			t.Errorf("%q: %q", trace, id)
		}
		if message := grpcMessage(accept); strings.ContainsFunc(message, func(c rune) bool { return c < ' ' || c > '~' }) {
			t.Errorf("%q", message)
		}
		if status := grpcStatus(len(query)); status < 1 || status > 16 {
			t.Errorf("%d", status)
		}
	})
}

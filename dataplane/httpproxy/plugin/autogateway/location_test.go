package autogateway

import (
	"net/url"
	"strings"
	"testing"
)

// upstreams is one upstream at each of several places.
var upstreams = struct{ plain, standard, secure, behindTLS, based upstream }{
	plain: upstream{scheme: "http", prefix: "/users", named: place{"users.test", 8080},
		places: []place{{"users.test", 8080}, {"10.0.0.7", 8080}, {"fd00::7", 8080}}},
	standard: upstream{scheme: "http", prefix: "/users", named: place{"users.test", 80}, places: []place{{"users.test", 80}}},
	secure:   upstream{scheme: "https", prefix: "/users", named: place{"users.test", 443}, places: []place{{"users.test", 443}}},
	behindTLS: upstream{scheme: "http", prefix: "/users", named: place{"users.test", 80}, places: []place{{"users.test", 80}},
		forwardedTLS: true},
	based: upstream{scheme: "http", prefix: "/users", places: []place{{"users.test", 80}}, base: "/base"},
}

func TestMove(t *testing.T) {
	for _, c := range moves {
		got, ok := c.u.move(c.in)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q is %q, %v instead of %q", c.name, c.in, got, ok, c.want)
		}
	}
}

var moves = []struct {
	name string
	u    upstream
	in   string
	want string // "" for as it is
}{
	{"path", upstreams.plain, "/items/", "/users/items/"},
	{"path", upstreams.plain, "/", "/users/"},
	{"path", upstreams.plain, "/items?q=/a%20b&r=http://users.test:8080/#/frag?ment", "/users/items?q=/a%20b&r=http://users.test:8080/#/frag?ment"},
	{"path", upstreams.plain, "/a%2Fb/%7e/caf%c3%a9", "/users/a%2Fb/%7e/caf%c3%a9"},
	{"its own name in the path", upstreams.plain, "/users/7", "/users/users/7"},
	{"path", upstreams.plain, `/\evil.test/x`, `/users/\evil.test/x`},
	{"empty segments", upstreams.plain, "/a//b", "/users/a//b"},
	{"dots", upstreams.plain, "/a/../b", "/users/b"},
	{"dots", upstreams.plain, "/../../x", "/users/x"},
	{"dots", upstreams.plain, "/a/..", "/users/"},
	{"dots", upstreams.plain, "/a/.", "/users/a/"},
	{"dots", upstreams.plain, "/%2E%2e/..//evil.test", "/users//evil.test"},
	{"dots that are none", upstreams.plain, "/.../a.b/..c?d=/../e", "/users/.../a.b/..c?d=/../e"},
	{"relative", upstreams.plain, "items/7", ""},
	{"relative", upstreams.plain, "../items", ""},
	{"relative", upstreams.plain, "?a=b", ""},
	{"relative", upstreams.plain, "", ""},
	{"host", upstreams.plain, "http://users.test:8080/items/?a=b", "/users/items/?a=b"},
	{"host", upstreams.plain, "HTTP://Users.Test:8080/Items", "/users/Items"},
	{"host", upstreams.plain, "http://users.test:8080", "/users/"},
	{"host", upstreams.plain, "http://users.test:8080?a=b", "/users/?a=b"},
	{"host", upstreams.plain, "http://users.test:8080#a", "/users/#a"},
	{"host", upstreams.plain, "http://users.test:8080/../x", "/users/x"},
	{"host without a scheme", upstreams.plain, "//users.test:8080/x", "/users/x"},
	{"address", upstreams.plain, "http://10.0.0.7:8080/x", "/users/x"},
	{"address", upstreams.plain, "http://[fd00::7]:8080/x", "/users/x"},
	{"as seen behind TLS, by its port", upstreams.plain, "https://users.test:8080/x", "/users/x"},
	{"another port", upstreams.plain, "http://users.test/x", ""},
	{"another port", upstreams.plain, "http://users.test:8081/x", ""},
	{"another port", upstreams.plain, "https://users.test/x", ""},
	{"another host", upstreams.plain, "http://other.test:8080/x", ""},
	{"another host", upstreams.plain, "http://users.test.evil.test:8080/x", ""},
	{"another host", upstreams.plain, "//other.test/x", ""},
	{"user info", upstreams.plain, "http://users.test:8080@evil.test/x", ""},
	{"user info", upstreams.plain, "http://me@users.test:8080/x", ""},
	{"another scheme", upstreams.plain, "ftp://users.test:8080/x", ""},
	{"another scheme", upstreams.plain, "mailto:a@users.test", ""},
	{"no authority", upstreams.plain, "http:/x", ""},
	{"no authority", upstreams.plain, "http:///x", ""},
	{"no port", upstreams.plain, "http://users.test:99999/x", ""},
	{"no port", upstreams.plain, "http://users.test:x/x", ""},
	{"the default port", upstreams.standard, "http://users.test/x", "/users/x"},
	{"the default port", upstreams.standard, "http://users.test:80/x", "/users/x"},
	{"the default port", upstreams.standard, "http://users.test:/x", "/users/x"},
	{"the default port", upstreams.standard, "//users.test/x", "/users/x"},
	{"it moves clients to TLS", upstreams.standard, "https://users.test/x", ""},
	{"as seen behind TLS", upstreams.behindTLS, "https://users.test/x", "/users/x"},
	{"as seen behind TLS", upstreams.behindTLS, "http://users.test/x", "/users/x"},
	{"another host behind TLS", upstreams.behindTLS, "https://other.test/x", ""},
	{"another port behind TLS", upstreams.behindTLS, "https://users.test:443/x", ""},
	{"TLS", upstreams.secure, "https://users.test/x", "/users/x"},
	{"TLS", upstreams.secure, "https://users.test:443/x", "/users/x"},
	{"TLS", upstreams.secure, "//users.test/x", "/users/x"},
	{"without TLS", upstreams.secure, "http://users.test/x", ""},
	{"base", upstreams.based, "/base/x", "/users/x"},
	{"base", upstreams.based, "/base", "/users/"},
	{"base", upstreams.based, "http://users.test/base?a", "/users/?a"},
	{"outside of base", upstreams.based, "/other", ""},
	{"outside of base", upstreams.based, "/based/x", ""},
	{"outside of base", upstreams.based, "/base/../x", ""},
}

// FuzzMove is that what a reference leads to behind the gateway is what it leads
// to at the upstream, by the rules of net/url, and that it is there in any case.
func FuzzMove(f *testing.F) {
	for _, s := range []string{
		"/items/", "http://users.test:8080/a/../b?c#d", "//users.test:8080", "/..//x", "/%2e./x", "https://users.test:8080/", "http://[::1]/",
		`/\x`, "http://users.test:8080/a/./b/..", "/a?b/../c",
	} {
		f.Add(s)
	}
	u := upstream{scheme: "http", prefix: "/users", named: place{"users.test", 8080}, places: []place{{"users.test", 8080}}}
	gateway, _ := url.Parse("http://gateway.test/users/x/y")
	asked, _ := url.Parse("http://users.test:8080/x/y")
	f.Fuzz(func(t *testing.T, in string) {
		moved, ok := u.move(in)
		if !ok {
			return
		}
		if !strings.HasPrefix(moved, "/users/") {
			t.Fatalf("%q leads to %q", in, moved)
		}
		before, err := url.Parse(in)
		if err != nil || strings.Contains(strings.ToLower(in), "%2e") {
			return
		}
		after, err := url.Parse(moved)
		if err != nil {
			t.Fatalf("%q is a reference, and %q is not: %v", in, moved, err)
		}
		before, after = asked.ResolveReference(before), gateway.ResolveReference(after)
		// net/url leaves no path that begins with two slashes.
		want := "/users/" + strings.TrimLeft(before.EscapedPath(), "/")
		got := "/users/" + strings.TrimLeft(strings.TrimPrefix(after.EscapedPath(), "/users"), "/")
		if after.Host != gateway.Host || got != want || after.RawQuery != before.RawQuery ||
			after.EscapedFragment() != before.EscapedFragment() {
			t.Errorf("%q is %v, and %q is %v", in, before, moved, after)
		}
	})
}

package autogateway

import (
	"net/url"
	"strings"
	"testing"
)

func TestMove(t *testing.T) {
	plain := upstream{scheme: "http", prefix: "/users", named: place{"users.test", 8080},
		places: []place{{"users.test", 8080}, {"10.0.0.7", 8080}, {"fd00::7", 8080}}}
	standard := upstream{scheme: "http", prefix: "/users", named: place{"users.test", 80}, places: []place{{"users.test", 80}}}
	secure := upstream{scheme: "https", prefix: "/users", named: place{"users.test", 443}, places: []place{{"users.test", 443}}}
	behindTLS := standard
	behindTLS.forwardedTLS = true
	based := standard
	based.base = "/base"
	for _, c := range []struct {
		name string
		u    upstream
		in   string
		want string // "" for as it is
	}{
		{"path", plain, "/items/", "/users/items/"},
		{"path", plain, "/", "/users/"},
		{"path", plain, "/items?q=/a%20b&r=http://users.test:8080/#/frag?ment", "/users/items?q=/a%20b&r=http://users.test:8080/#/frag?ment"},
		{"path", plain, "/a%2Fb/%7e/caf%c3%a9", "/users/a%2Fb/%7e/caf%c3%a9"},
		{"its own name in the path", plain, "/users/7", "/users/users/7"},
		{"path", plain, `/\evil.test/x`, `/users/\evil.test/x`},
		{"empty segments", plain, "/a//b", "/users/a//b"},
		{"dots", plain, "/a/../b", "/users/b"},
		{"dots", plain, "/../../x", "/users/x"},
		{"dots", plain, "/a/..", "/users/"},
		{"dots", plain, "/a/.", "/users/a/"},
		{"dots", plain, "/%2E%2e/..//evil.test", "/users//evil.test"},
		{"dots that are none", plain, "/.../a.b/..c?d=/../e", "/users/.../a.b/..c?d=/../e"},
		{"relative", plain, "items/7", ""},
		{"relative", plain, "../items", ""},
		{"relative", plain, "?a=b", ""},
		{"relative", plain, "", ""},
		{"host", plain, "http://users.test:8080/items/?a=b", "/users/items/?a=b"},
		{"host", plain, "HTTP://Users.Test:8080/Items", "/users/Items"},
		{"host", plain, "http://users.test:8080", "/users/"},
		{"host", plain, "http://users.test:8080?a=b", "/users/?a=b"},
		{"host", plain, "http://users.test:8080#a", "/users/#a"},
		{"host", plain, "http://users.test:8080/../x", "/users/x"},
		{"host without a scheme", plain, "//users.test:8080/x", "/users/x"},
		{"address", plain, "http://10.0.0.7:8080/x", "/users/x"},
		{"address", plain, "http://[fd00::7]:8080/x", "/users/x"},
		{"as seen behind TLS, by its port", plain, "https://users.test:8080/x", "/users/x"},
		{"another port", plain, "http://users.test/x", ""},
		{"another port", plain, "http://users.test:8081/x", ""},
		{"another port", plain, "https://users.test/x", ""},
		{"another host", plain, "http://other.test:8080/x", ""},
		{"another host", plain, "http://users.test.evil.test:8080/x", ""},
		{"another host", plain, "//other.test/x", ""},
		{"user info", plain, "http://users.test:8080@evil.test/x", ""},
		{"user info", plain, "http://me@users.test:8080/x", ""},
		{"another scheme", plain, "ftp://users.test:8080/x", ""},
		{"another scheme", plain, "mailto:a@users.test", ""},
		{"no authority", plain, "http:/x", ""},
		{"no authority", plain, "http:///x", ""},
		{"no port", plain, "http://users.test:99999/x", ""},
		{"no port", plain, "http://users.test:x/x", ""},
		{"the default port", standard, "http://users.test/x", "/users/x"},
		{"the default port", standard, "http://users.test:80/x", "/users/x"},
		{"the default port", standard, "http://users.test:/x", "/users/x"},
		{"the default port", standard, "//users.test/x", "/users/x"},
		{"it moves clients to TLS", standard, "https://users.test/x", ""},
		{"as seen behind TLS", behindTLS, "https://users.test/x", "/users/x"},
		{"as seen behind TLS", behindTLS, "http://users.test/x", "/users/x"},
		{"another host behind TLS", behindTLS, "https://other.test/x", ""},
		{"another port behind TLS", behindTLS, "https://users.test:443/x", ""},
		{"TLS", secure, "https://users.test/x", "/users/x"},
		{"TLS", secure, "https://users.test:443/x", "/users/x"},
		{"TLS", secure, "//users.test/x", "/users/x"},
		{"without TLS", secure, "http://users.test/x", ""},
		{"base", based, "/base/x", "/users/x"},
		{"base", based, "/base", "/users/"},
		{"base", based, "http://users.test/base?a", "/users/?a"},
		{"outside of base", based, "/other", ""},
		{"outside of base", based, "/based/x", ""},
		{"outside of base", based, "/base/../x", ""},
	} {
		got, ok := c.u.move(c.in)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q is %q, %v instead of %q", c.name, c.in, got, ok, c.want)
		}
	}
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

package urlpath

import (
	"net/url"
	"path"
	"strings"
	"testing"
)

func TestNormalize(t *testing.T) {
	for raw, want := range map[string]string{
		"": "/", "/": "/", "*": "*", "/a": "/a", "/a/": "/a/",
		"//": "/", "/a//b": "/a/b", "///a///": "/a/",
		"/.": "/", "/..": "/", "/./": "/", "/../": "/", "/../a": "/a",
		"/a/.": "/a/", "/a/..": "/", "/a/../": "/", "/a/b/..": "/a/", "/a/b/../": "/a/", "/a/b/../c": "/a/c",
		"/a/./b": "/a/b", "/a//../b": "/b", "/a/.//b": "/a/b", "/a/b/../../../c": "/c",
		"/.a": "/.a", "/..a": "/..a", "/a.": "/a.", "/a..": "/a..", "/...": "/...", "/a/.../b": "/a/.../b",
		"/%61%7e%2D%5F%2e": "/a~-_.", "/%2e%2e/a": "/a", "/a/%2E": "/a/", "/a/.%2e/b": "/b",
		"/a%2fb": "/a%2Fb", "/%2f%2F": "/%2F%2F", "/a/..%2fb": "/a/..%2Fb",
		"/%25": "/%25", "/%2541": "/%2541", "/%252e%252e/": "/%252e%252e/", "/%3a%3B%26%3d": "/%3A%3B%26%3D",
		"/%20": "/ ", "/%c3%a9": "/é", "/é": "/é", "/a%5cb": `/a\b`, `/a\..\b`: `/a\..\b`, "/a;b=c/..": "/",
		"/%3f%23%5b%5d": "/%3F%23%5B%5D", "/[]": "/[]", "/%0d%0a": "/\r\n", "/%7F": "/\x7f",
	} {
		got, ok := Normalize(raw)
		if !ok || got != want {
			t.Errorf("%q is %q, %v instead of %q", raw, got, ok, want)
		}
		if again, ok := Normalize(Escape(got)); !ok || again != got {
			t.Errorf("%q escaped is %q, and then %q", got, Escape(got), again)
		}
	}
	for _, raw := range []string{"/%", "/%4", "/%zz", "/%4g", "/a%%41", "/%00", "/a%00b", "/\x00", "/a?b", "/a#b", "a", "a/b", "**", "%2f"} {
		if got, ok := Normalize(raw); ok {
			t.Errorf("%q is taken as %q", raw, got)
		}
	}
}

func TestEscape(t *testing.T) {
	for p, want := range map[string]string{
		"/": "/", "/a b": "/a%20b", "/é": "/%C3%A9", "/a%2Fb;c=d,e": "/a%2Fb;c=d,e", "/\r\n": "/%0D%0A", `/\`: "/%5C",
		"/!$&'()*+,:@-._~[]": "/!$&'()*+,:@-._~[]", `/"<>^{|}` + "`": "/%22%3C%3E%5E%7B%7C%7D%60", "/?#": "/%3F%23",
	} {
		if got := Escape(p); got != want {
			t.Errorf("%q is %q instead of %q", p, got, want)
		}
	}
}

func TestNormalizeOfNormalPathsDoesNotAllocate(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { Normalize("/a/b.c/d-e_f~g/17") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzNormalize(f *testing.F) {
	for _, s := range []string{"/a/../b", "/%2e%2E%2f/a//b", "/%25%32%65", "*", "/a%", "/\xff%ff", "/..//.%2e/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		p, ok := Normalize(raw)
		if !ok {
			return
		}
		if again, ok := Normalize(p); !ok || again != p {
			t.Fatalf("%q is %q, and that %q, %v", raw, p, again, ok)
		}
		if again, ok := Normalize(Escape(p)); !ok || again != p {
			t.Fatalf("%q is %q, which is sent as %q and read as %q, %v", raw, p, Escape(p), again, ok)
		}
		if p == "*" {
			return
		}
		clean := path.Clean(p)
		if strings.HasSuffix(p, "/") && clean != "/" {
			clean += "/"
		}
		if clean != p {
			t.Fatalf("%q is %q, not clean", raw, p)
		}
		before, err := url.PathUnescape(raw)
		if err != nil {
			t.Fatalf("%q is taken: %v", raw, err)
		}
		after, err := url.PathUnescape(p)
		if err != nil {
			t.Fatal(err)
		}
		// An escaped slash is none: without such, it is the same to decode first.
		if !strings.Contains(strings.ToLower(raw), "%2f") && path.Clean("/"+before) != path.Clean(after) {
			t.Fatalf("%q is %q, another path", raw, p)
		}
	})
}

package route

import (
	"regexp"
	"slices"
	"testing"
	"unicode/utf8"
)

// wantSame compares a pattern with the expression that it stands for.
func wantSame(t *testing.T, expr, path string) (isTemplate bool) {
	t.Helper()
	re, err := regexp.Compile("^(?:" + expr + ")")
	p, perr := newPattern(expr)
	if err != nil || perr != nil {
		if (err == nil) != (perr == nil) {
			t.Fatalf("%q: %v, and as a pattern %v", expr, err, perr)
		}
		return false
	}
	want, got := re.FindStringSubmatch(path), p.FindStringSubmatch(path)
	if !slices.Equal(got, want) || (got == nil) != (want == nil) || p.MatchString(path) != (want != nil) {
		t.Errorf("%q at %q: %q instead of %q", expr, path, got, want)
	}
	if !slices.Equal(p.names, re.SubexpNames()) {
		t.Errorf("%q has the names %q instead of %q", expr, p.names, re.SubexpNames())
	}
	return p.re == nil
}

var patterns = map[string]bool{ // whether they are templates
	`/users/items/(?<item_id>[^/]+)$`: true, `/users$`: true, `/users/a/[^/]+/b`: true, `/u/([^/]+)/(?P<x>[^/]+)`: true,
	`/a\.b/(?:[^/]+)/$`: true, `/x-(?<a>[^/]+)$`: true, ``: true, `$`: true, `/é/(?<a>[^/]+)/ü$`: true, `(?<a>[^/]+)`: true,
	`/(?<a>[^/]+)\.json$`: false, `/(?<a>[^/]+)(?<b>[^/]+)$`: false, `/(?<a>[^/]*)$`: false, `/(?<a>[^/]+?)$`: false,
	`/(?<a>.+)$`: false, `/(?<a>[^/x]+)$`: false, `(?i)/a`: false, `/a|/b`: false, `/\d+`: false, `/a$/b`: false, `(?m)/a$`: false,
	`/((?<a>[^/]+)/b)$`: false, `^/a`: true, `/a^`: false, `/a)|(/b`: false, `/a\x{fffd}`: false, `/a(`: false,
}

func TestPatterns(t *testing.T) {
	paths := []string{"", "/", "/users", "/users/", "/users/items/17", "/users/items/", "/users/items/17/", "/users/items/a\nb",
		"/users/a/x/b", "/users/a//b", "/users/a/x/bc", "/u/1/2", "/u/1/2/3", "/u/1", "/a.b/c/", "/axb/c/", "/x-1", "/x-", "/é/\xff/ü", "/é/1/ü",
		"/1.json", "/a", "/A", "/b", "/a\ufffd", "/a\xff", "x/y"}
	for expr, template := range patterns {
		for _, path := range paths {
			if got := wantSame(t, expr, path); got != template {
				t.Fatalf("%q is a template: %v", expr, got)
			}
		}
	}
}

func FuzzPattern(f *testing.F) {
	for expr := range patterns {
		f.Add(expr, "/users/items/17")
	}
	f.Add(`/a/([^/]+)/(?<b>[^/]+)`, "/a/\xff/b/c")
	f.Fuzz(func(t *testing.T, expr, path string) {
		if len(expr) < 200 && utf8.ValidString(expr) {
			wantSame(t, expr, path)
		}
	})
}

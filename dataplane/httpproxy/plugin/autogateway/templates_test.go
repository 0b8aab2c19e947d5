package autogateway

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/backplane/backplane/dataplane/httpproxy/urlpath"
)

func TestTemplates(t *testing.T) {
	s := &segment{}
	for _, known := range []struct {
		path    string
		methods []string
	}{
		{"/", []string{"GET"}},
		{"/items", []string{"POST"}},
		{"/items/{id}", []string{"GET", "DELETE"}},
		{"/items/mine", []string{"PUT"}},
		{"/items/{item}/parts/{part}", []string{"GET"}},
		{"/items/{id}.json", []string{"PATCH"}},
		{"/{kind}/{id}/", []string{"GET"}},
		{"/ranges/{from}-{to}", []string{"GET"}},
		{"/jobs/{id}:cancel", []string{"POST"}},
		{"/pair/{a}{b}", []string{"GET"}},
		{"/files/{path:path}", []string{"GET"}},
		{"/tree/{path*}/raw", []string{"HEAD"}},
		{"/a b/caf%C3%A9/%7e", []string{"GET"}},
		{"/sep%2fed/x;y", []string{"GET"}},
		{"/odd/{open", []string{"GET"}},
		{"/odd/clo}sed", []string{"GET"}},
		{"/none", nil},
	} {
		s.put(known.path, known.methods)
	}
	for path, want := range map[string]string{
		"/": "GET HEAD OPTIONS", "": "", "//": "", "/items": "OPTIONS POST", "/items/": "",
		"/items/17": "DELETE GET HEAD OPTIONS", "/items/mine": "DELETE GET HEAD OPTIONS PUT",
		"/items/17/": "GET HEAD OPTIONS", "/other/17/": "GET HEAD OPTIONS", "/other/17": "",
		"/items/17/parts": "", "/items/17/parts/4": "GET HEAD OPTIONS", "/items/17/parts/4/5": "", "/items//parts/4": "",
		"/items/a%2Fb": "DELETE GET HEAD OPTIONS", "/items/a.json": "DELETE GET HEAD OPTIONS PATCH", "/items/.json": "DELETE GET HEAD OPTIONS",
		"/ranges/1-2": "GET HEAD OPTIONS", "/ranges/1-2-3": "GET HEAD OPTIONS", "/ranges/-2": "", "/ranges/1-": "", "/ranges/--": "",
		"/ranges/---": "GET HEAD OPTIONS", "/ranges/12": "",
		"/jobs/7:cancel": "OPTIONS POST", "/jobs/:cancel": "", "/jobs/7:cancelled": "",
		"/pair/x": "", "/pair/xy": "GET HEAD OPTIONS", "/pair/é": "", "/pair/éa": "GET HEAD OPTIONS",
		"/files/": "GET HEAD OPTIONS", "/files/a": "GET HEAD OPTIONS", "/files/a/b/": "GET HEAD OPTIONS", "/files": "",
		"/tree/a/b/raw": "HEAD OPTIONS", "/tree/raw": "", "/tree//raw": "HEAD OPTIONS", "/tree/a/b/raw/": "",
		"/a b/café/~": "GET HEAD OPTIONS", "/sep%2Fed/x;y": "GET HEAD OPTIONS", "/sep/ed/x;y": "",
		"/odd/{open": "GET HEAD OPTIONS", "/odd/clo}sed": "GET HEAD OPTIONS", "/odd/x": "",
		"/none": "OPTIONS", "/nothing": "",
	} {
		got := s.allowed(path)
		if text := strings.Join(got, " "); text != want || (got == nil) != (want == "") {
			t.Errorf("%q: %q instead of %q", path, text, want)
		}
	}
	if len((&segment{}).allowed("/")) != 0 {
		t.Error("a service without paths has one")
	}
}

// FuzzTemplates compares the index with a regular expression for each template.
func FuzzTemplates(f *testing.F) {
	f.Add("/items/{id}", "/items/{id}.json", "/{kind}/{id:path}/x", "/items/17.json")
	f.Add("/a/{x}-{y}{z}", "/a/{x}--{y}", "/a/{+x}", "/a/---")
	f.Add("/{a}é{b}", "/%7e/{", "/}{", "/\xc3é\xff")
	f.Add("/{p*}/{q}/", "/{a}/{b}/{c}/", "/", "/x//y/")
	f.Fuzz(func(t *testing.T, a, b, c, raw string) {
		path, ok := urlpath.Normalize(raw)
		if !ok || !strings.HasPrefix(path, "/") {
			return
		}
		s := &segment{}
		var want []string
		for i, template := range []string{a, b, c} {
			if !strings.HasPrefix(template, "/") || !utf8.ValidString(template) {
				return
			}
			method := fmt.Sprintf("M%d", i)
			s.put(template, []string{method})
			re, err := regexp.Compile("^/" + expression(split(template))[1:])
			if err != nil {
				continue // no path has it
			}
			if re.MatchString(path) {
				want = append(want, method)
			}
		}
		if want != nil {
			want = append(want, "OPTIONS")
		}
		if got := s.allowed(path); !slices.Equal(got, want) {
			t.Errorf("%q at %q, %q, %q: %q instead of %q", path, a, b, c, got, want)
		}
	})
}

func FuzzBare(f *testing.F) {
	for _, s := range []string{"/a;b/c", "/a%3Bb", ";", "/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got := bare(path)
		if strings.Contains(got, ";") || strings.Count(got, "/") != strings.Count(path, "/") || bare(got) != got && !strings.Contains(got, "%3B") {
			t.Errorf("%q is %q", path, got)
		}
	})
}

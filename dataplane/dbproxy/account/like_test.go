package account

import (
	"regexp"
	"strings"
	"testing"
)

func TestLike(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true}, {"", "a", false}, {"%", "", true}, {"%", "abc", true}, {"%%", "abc", true},
		{"_", "", false}, {"_", "a", true}, {"_", "ab", false}, {"_%", "a", true}, {"_%", "", false},
		{"a%c", "abbc", true}, {"a%c", "ac", true}, {"a%c", "acb", false}, {"%b%b", "abcab", true},
		{"%ab", "aab", true}, {"%aab%", "aaab", true}, {`a\_b`, "a_b", true}, {`a\_b`, "aXb", false},
		{`a\%`, "a%", true}, {`a\%`, "ab", false}, {`\a`, "a", true}, {`a\`, `a\`, true}, {`a\`, "a", false},
		{`\\`, `\`, true}, {"a_b", "aXb", true}, {"A", "a", false}, {"198.51.100.%", "198.51.100.7", true},
		{"198.51.100.%", "198.51.10.7", false}, {"%.example.com", "a.b.example.com", true}, {"%.example.com", "example.com", false},
	} {
		if got := like(c.pattern, c.text); got != c.want {
			t.Errorf("like(%q, %q) = %v", c.pattern, c.text, got)
		}
	}
	// Backtracking goes to the last % alone, so this does not take for ever.
	if like(strings.Repeat("%a", 2000)+"b", strings.Repeat("a", 20000)) {
		t.Error("matched without a b")
	}
}

// asRegexp says the same as a pattern, another way.
func asRegexp(pattern string) *regexp.Regexp {
	var out strings.Builder
	out.WriteString(`(?s)\A`)
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '%':
			out.WriteString(".*")
		case c == '_':
			out.WriteString(".")
		case c == '\\' && i+1 < len(pattern):
			i++
			out.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		default:
			out.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		}
	}
	out.WriteString(`\z`)
	return regexp.MustCompile(out.String())
}

func FuzzLike(f *testing.F) {
	f.Add("a%b_c\\%", "axxbyc%")
	f.Add("%.0.0._", "127.0.0.1")
	f.Add(`\`, `\`)
	f.Fuzz(func(t *testing.T, pattern, text string) {
		for _, s := range []string{pattern, text} {
			for i := range len(s) {
				if s[i] >= 0x80 { // regexp counts in runes
					return
				}
			}
		}
		if len(pattern) > 200 || len(text) > 2000 {
			return
		}
		got, want := like(pattern, text), asRegexp(pattern).MatchString(text)
		if got != want {
			t.Fatalf("like(%q, %q) = %v", pattern, text, got)
		}
		if got && !strings.HasSuffix(pattern, `\`) && !like(pattern+"%", text) {
			t.Fatalf("%q matches %q, but not with %% added", pattern, text)
		}
		compileHost(pattern, MariaDB)
		compileHost(pattern, MySQL)
		unescape(pattern)
	})
}

package filter

import (
	"strings"
	"testing"
	"time"
)

// patterns are expressions with texts in which they are found (+) or not (-),
// as a PCRE2 without UTF does.
var patterns = []struct{ pattern, text string }{
	{`^select`, "+select 1"}, {`^select`, "-SELECT 1"}, {`(?i)^select`, "+SELECT 1"}, {`a.c`, "+abc"}, {`a.c`, "-a\nc"}, {`(?s)a.c`, "+a\nc"},
	{`^b`, "-a\nb"}, {`(?m)^b`, "+a\nb"}, {`(?m)^$`, "-a\n"}, {`(?m)^$`, "+a\n\nb"}, {`a$`, "+a\n"}, {`a\z`, "-a\n"}, {`a\Z`, "+a\n"},
	{`[[:alpha:]]+[[:digit:]]`, "+ab1"}, {`^[[:^digit:]]+$`, "-a1"}, {`^[^[:space:]]+$`, "-a b"}, {`\h`, "+a\tb"}, {`\h`, "-a\nb"}, {`\v`, "+a\nb"},
	{`a\Rb`, "+a\r\nb"}, {`a\Rb`, "-a b"}, {`a\Nb`, "+axb"}, {`a\Nb`, "-a\nb"}, {`\Qa.b\E+`, "+a.bb"}, {`\Qa.b\E`, "-axb"}, {`[\Q]^-\E]`, "+^"},
	{`a++a`, "-aaa"}, {`a+a`, "+aaa"}, {`(?>a|ab)c`, "-abc"}, {`(?:a|ab)c`, "+abc"}, {`x*+x`, "-xx"}, {`x?+x`, "-x"}, {`^(ab){2}+$`, "+abab"},
	{`(a)(b)\2\1`, "+abba"}, {`(?<n>a)\k<n>`, "+aa"}, {`(?P<n>a)(?P=n)`, "+aa"}, {`(?'n'a)\k{n}`, "+aa"}, {`(a)\g{-1}`, "+aa"}, {`(a)\g1`, "+aa"},
	{`(?<n>a)(b)\2`, "+abb"}, {`(a)\10`, "-aa0"}, {`\101`, "+A"}, {`\x41\x{42}\o{103}`, "+ABC"}, {`\cA`, "+\x01"}, {`\e`, "+\x1b"}, {`\0`, "+\x00"},
	{`[]a]`, "+]"}, {`[^]a]`, "-]a"}, {`[a-c-[b]]`, "+b]"}, {`[a-c-[b]]`, "+-]"}, {`[a\-c]`, "+-"}, {`[a\-c]`, "-b"}, {`[\b]`, "+\b"}, {`[\x41-\x43]`, "+B"}, {`[\d-]`, "+-"},
	{`a{,3}`, "+a{,3}"}, {`a{x}`, "+a{x}"}, {`^a{2,3}$`, "-aaaa"}, {`^a{2,}$`, "+aaaa"}, {`{`, "+{"},
	{`(?x) a b # comment (`, "+ab"}, {"(?x) a # one (\n b", "+ab"}, {`(?x)a[ ]b`, "+a b"}, {`(?x)a +b`, "+aab"}, {`(?x:a b)c d`, "+abc d"}, {`((?x) a b)c d`, "+abc d"},
	{`(?i:a)b`, "+Ab"}, {`(?i:a)b`, "-AB"}, {`(?i)a(?-i)b`, "-AB"}, {`(?i)(?^)b`, "-B"}, {`(?i)[^a]`, "-A"}, {`(?i)[b-d]`, "+C"},
	{`a(?#no)b`, "+ab"}, {`a(?=b)`, "+ab"}, {`a(?!b)`, "-ab"}, {`(?<=a)b`, "+ab"}, {`(?<!a)b`, "-ab"}, {`^(a)?(?(1)b|c)$`, "+ab"}, {`^(a)?(?(1)b|c)$`, "-ac"}, {`^(?(?=a)ab|cd)$`, "+cd"},
	{`^(?<q>a)?(?(<q>)b|c)$`, "+c"}, {`\bfrom\b`, "+select from t"}, {`\bfrom\b`, "-fromage"}, {`^.$`, "-\xc3\xa9"}, {`^..$`, "+\xc3\xa9"}, {`é`, "+caf\xc3\xa9"}, {`\xe9`, "+caf\xe9"},
	{`(?i)\xe9`, "-\xc9"}, {`\w`, "-\xe9"}, {`\W`, "+\xe9"}, {`[^a]`, "+\xff"}, {`[\x80-\xff]`, "+\xe9"}, {`[\x80-\xff]`, "-z"}, {`\p{Lu}`, "+A"}, {`\P{L}`, "-a"}, {`\pN`, "+1"},
	{`(?i)k`, "-\xe2\x84\xaa"}, {`a|b|`, "+c"}, {`\.`, "-a"}, {`\/`, "+/"}, {`\-`, "+-"}, {`\_`, "+_"}, {`\'`, "+'"}, {`[\w.]+@`, "+a.b@"}, {`\S+\s`, "+a "}, {`[[]`, "+["}, {`[[:]`, "+:"}, {`[\]]`, "+]"},
}

func TestRegexpMatches(t *testing.T) {
	for _, tt := range patterns {
		x, err := CompileRegexp(tt.pattern, 0)
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
			continue
		}
		found, err := x.Match([]byte(tt.text[1:]))
		if err != nil || found != (tt.text[0] == '+') {
			t.Errorf("%s in %q: %v, %v", tt.pattern, tt.text[1:], found, err)
		}
	}
}

func TestRegexpOptions(t *testing.T) {
	x, err := CompileRegexp("SELECT # all of it\n .* FROM", IgnoreCase|Extended)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := x.Match([]byte("select a from b")); !found || err != nil {
		t.Error(found, err)
	}
	if found, err := x.Match([]byte("select a, b")); found || err != nil {
		t.Error(found, err)
	}
}

// refused are expressions that are wrong or cannot be had.
var refused = []string{
	`(`, `)`, `[`, `[a`, `a**`, `*a`, `+`, `a{2}{3}`, `\`, `[z-a]`, `[a-\d]`, `[\d-z]`, `\k<n>`, `(?<n>a)(?<n>b)`, `\1`, `(a)\2`, `\g{-1}`, `(?`, `(?<n`, `(?<>a)`, `(?P=n)`,
	`(?R)`, `(?1)`, `(?&n)`, `(?|a|b)`, `\Ka`, `\X`, `\C`, `(*UTF8)a`, `\x{100}`, `\400`, `\i`, `\p{Nope}`, `[[:nope:]]`, `[[.a.]]`, `(?J)a`, `(?U)a`, `(?(2)a)`, `(?#`, `\x{`, `\c`, `[\Qa`, `(?i`, `(?y)`,
	strings.Repeat("a", maxPattern+1),
}

func TestRegexpRefuses(t *testing.T) {
	for _, pattern := range refused {
		if x, err := CompileRegexp(pattern, 0); err == nil {
			t.Errorf("%.40s: %s", pattern, x.engine)
		}
	}
}

func TestRegexpEndsInTime(t *testing.T) {
	x, err := CompileRegexp(`^(a+)+$`, 0)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte(strings.Repeat("a", 200) + "b")
	if found, err := x.Match(text); found || err == nil {
		t.Errorf("%v, %v", found, err)
	}
	r, err := x.Replacement("x")
	if err != nil {
		t.Fatal(err)
	}
	if _, found, err := r.Apply(text); found || err == nil {
		t.Errorf("%v, %v", found, err)
	}
}

func TestReplacement(t *testing.T) {
	for _, tt := range []struct{ pattern, with, text, want string }{
		{`TYPE\s*=`, "ENGINE=", "create table t (a int) TYPE = x", "create table t (a int) ENGINE= x"},
		{`(a)(b)`, "$2${1}", "xabyab", "xbayba"},
		{`(?<one>a)(?<two>b)`, "$two-${one}", "ab", "b-a"},
		{`a`, "$$1", "a", "$1"}, {`a`, "[$0]", "bab", "b[a]b"}, {`a*`, "x", "baac", "xbxxcx"}, {``, "-", "ab", "-a-b-"},
		{`(a)|(b)`, "<$1>", "ab", "<a><>"}, {`(a)`, "$1x", "a", "ax"}, {`\xe9`, "e", "caf\xe9\xff", "cafe\xff"}, {`(é)`, "$1$1", "é", "éé"}, {`a`, "", "bab", "bb"},
	} {
		x, err := CompileRegexp(tt.pattern, 0)
		if err != nil {
			t.Fatal(tt.pattern, err)
		}
		r, err := x.Replacement(tt.with)
		if err != nil {
			t.Errorf("%s: %v", tt.with, err)
			continue
		}
		got, found, err := r.Apply([]byte(tt.text))
		if string(got) != tt.want || !found || err != nil {
			t.Errorf("%s with %s in %q: %q, %v, %v", tt.pattern, tt.with, tt.text, got, found, err)
		}
		if got, found, err := r.Apply([]byte{}); tt.pattern == "a" && (len(got) > 0 || found || err != nil) {
			t.Errorf("%q, %v, %v", got, found, err)
		}
	}
	x, err := CompileRegexp("(a)", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, with := range []string{"$", "$2", "${", "${}", "$name", "${1", "a$-", "$99999999999999999999"} {
		if _, err := x.Replacement(with); err == nil {
			t.Errorf("%s is taken", with)
		}
	}
}

func FuzzRegexp(f *testing.F) {
	for _, tt := range patterns {
		f.Add(tt.pattern, tt.text[1:], "$1", false)
	}
	for _, pattern := range refused[:len(refused)-1] {
		f.Add(pattern, "a", "${n}", true)
	}
	f.Fuzz(func(t *testing.T, pattern, text, with string, extended bool) {
		var options RegexpOptions
		if extended {
			options = Extended | IgnoreCase
		}
		x, err := CompileRegexp(pattern, options)
		if err != nil || len(text) > 100 {
			return
		}
		x.engine.MatchTimeout = 50 * time.Millisecond
		found, err := x.Match([]byte(text))
		if err != nil {
			return
		}
		r, err := x.Replacement(with)
		if err != nil {
			return
		}
		out, replaced, err := r.Apply([]byte(text))
		if err == nil && (replaced != found || !replaced && string(out) != text) {
			t.Errorf("%q in %q: found %v, replaced %v: %q", pattern, text, found, replaced, out)
		}
	})
}

package schema

import (
	"strings"
	"testing"
)

func TestRules(t *testing.T) {
	for _, c := range []struct {
		name  string
		check func(v any) error
		good  []any
		bad   map[string]string
	}{
		{"HostName", HostName, []any{"a", "a.b.", "A-1_x.y", "1.2.3.4", "::1", "[::1]", "xn--bcher-kva.example", 5}, map[string]string{
			"a:1": "must not have a port", "a:x": "must not have a port", "[::1]:8": "must not have a port",
			"a..b": "invalid value: a..b", "a-.b": "invalid value: a-.b", "1.2.3.256": "invalid value: 1.2.3.256",
			"::g": "invalid value: ::g", "[::1": "invalid value: [::1", "[::1]x": "invalid value: [::1]x",
			"bücher.example": "invalid value: bücher.example", "fe80::1%eth0": "invalid value: fe80::1%eth0",
			".":                       "invalid value: .",
			strings.Repeat("a.", 200): "invalid value: " + strings.Repeat("a.", 200),
			strings.Repeat("a", 64):   "invalid value: " + strings.Repeat("a", 64),
		}},
		{"HostPort", HostPort, []any{"a", "a:0", "a:65535", "1.2.3.4:80", "[::1]:80", nil}, map[string]string{
			"a:": "invalid port number", "a:65536": "invalid port number", "a:+1": "invalid port number", "a/b": "invalid hostname: a/b",
			"[::1]:": "invalid port number", "[1.2.3.4]:80": "invalid ipv6 address: 1.2.3.4", "1.2/3": "invalid ipv4 address: 1.2/3",
		}},
		{"ServerName", ServerName, []any{"a.b", true}, map[string]string{
			"1.2.3.4": "must not be an IP", "1.2.3.4:80": "must not be an IP", "a:80": "must not have a port", "*.a": "invalid value: *.a",
		}},
		{"WildcardServerName", WildcardServerName, []any{"a", "*.a", "a.*", "*"}, map[string]string{
			"a.*.b": "wildcard must be leftmost or rightmost character", "*.*": "only one wildcard must be specified",
		}},
		{"IP", IP, []any{"1.2.3.4", "::1"}, map[string]string{"a": "not an ip address: a", "1.2.3.0/24": "not an ip address: 1.2.3.0/24"}},
		{"IPOrCIDR", IPOrCIDR, []any{"1.2.3.4", "1.2.3.0/24", "::/0"}, map[string]string{
			"a": "invalid ip or cidr range: 'a'", "1.2.3.4/33": "invalid ip or cidr range: '1.2.3.4/33'",
		}},
		{"Path", Path, []any{"/", "/a/b%2F", "/~:@!$&'()*+,;="}, map[string]string{
			"a": "should start with: /", "//": "must not have empty segments", "/%": "invalid url-encoded value: '%'",
			"/%g0/": "invalid url-encoded value: '%g0'",
			"/é":    "invalid path: '/é' (characters outside of the reserved list of RFC 3986 found)",
		}},
		{"RoutePath", RoutePath, []any{"/", "/a b", "~/a.*", "/a%2Fb"}, map[string]string{
			"": "should start with: / (fixed path) or ~/ (regex path)", "/./a": "non-normalized path, consider use '/a' instead",
			"/a/..": "non-normalized path, consider use '/' instead", "/%00": "invalid path: '/%00'",
		}},
		{"Regexp", Regexp, []any{"a", "", "^(a|b)$"}, map[string]string{"(": "error parsing regexp: missing closing ): `(`"}},
		{"URL", URL, []any{"http://a", "redis://a:1/2"}, map[string]string{
			"http://": "missing host in url", "//a": "missing scheme in url", "a": "missing host in url", "http://a b": "could not parse url",
		}},
		{"Name", Name, []any{"a", "é", "~"}, map[string]string{
			"a b":    "invalid value 'a b': the only accepted ascii characters are alphanumerics or ., -, _, and ~",
			"ab\xff": "invalid utf-8 character sequence detected at position 3",
		}},
		{"UTF8", UTF8, []any{"a\uFFFD", ""}, map[string]string{"\xc3": "invalid utf-8 character sequence detected at position 1"}},
		{"Tag", Tag, []any{"a b", "é", "!"}, map[string]string{
			"a,b":  "invalid tag 'a,b': expected printable ascii (except `,` and `/`) or valid utf-8 sequences",
			"a\n":  "invalid tag 'a\n': expected printable ascii (except `,` and `/`) or valid utf-8 sequences",
			"\xff": "invalid utf-8 character sequence detected at position 1",
		}},
		{"HeaderName", HeaderName, []any{"X-a_1"}, map[string]string{
			"a b": "bad header name 'a b', allowed characters are A-Z, a-z, 0-9, '_', and '-'",
		}},
		{"CookieName", CookieName, []any{"a"}, map[string]string{
			"a=": "bad cookie name 'a=', allowed characters are A-Z, a-z, 0-9, '_', and '-'",
		}},
		{"Method", Method, []any{"GET"}, map[string]string{"Get": "invalid value: Get", "M-SEARCH": "invalid value: M-SEARCH"}},
	} {
		for _, v := range c.good {
			if err := c.check(v); err != nil {
				t.Errorf("%s %v: %v", c.name, v, err)
			}
		}
		for v, want := range c.bad {
			if err := c.check(v); err == nil || err.Error() != want {
				t.Errorf("%s %q:\ngot  %v\nwant %s", c.name, v, err, want)
			}
		}
	}
}

func TestChecks(t *testing.T) {
	for _, c := range []struct {
		check     Check
		doc, want string
	}{
		{AtLeastOneOf("a", "b.c"), `{"a":"","b":{"c":[]}}`, `{"@entity":["at least one of these fields must be non-empty: 'a', 'b.c'"]}`},
		{AtLeastOneOf("a", "b.c"), `{"b":{"c":0}}`, `{}`},
		{OnlyOneOf("a", "b"), `{"a":1,"b":2}`, `{"@entity":["exactly one of these fields must be non-empty: 'a', 'b'"]}`},
		{OnlyOneOf("a", "b"), `{}`, `{"@entity":["exactly one of these fields must be non-empty: 'a', 'b'"]}`},
		{OnlyOneOf("a", "b"), `{"b":2}`, `{}`},
		{MutuallyExclusive("a", "b"), `{}`, `{}`},
		{MutuallyExclusive("a", "b"), `{"a":1,"b":1}`, `{"@entity":["only one or none of these fields must be set: 'a', 'b'"]}`},
		{MutuallyRequired("a", "b"), `{"a":1}`, `{"@entity":["all or none of these fields must be set: 'a', 'b'"]}`},
		{MutuallyRequired("a", "b"), `{"a":1,"b":1}`, `{}`},
		{Distinct("a", "b", "c"), `{"a":1,"c":1}`, `{"@entity":["values of these fields must be distinct: 'a', 'b', 'c'"]}`},
		{Distinct("a", "b"), `{"a":null,"b":null}`, `{}`},
		{RequiredIf("a", "x", "b.c"), `{"a":"x"}`, `{"@entity":["failed conditional validation given value of field 'a'"],"b":{"c":"required field missing"}}`},
		{RequiredIf("a", "x", "b"), `{"a":"y"}`, `{}`},
		{NullIf("a", []any{"x"}, "b"), `{"a":"x","b":false}`, `{"@entity":["failed conditional validation given value of field 'a'"],"b":"value must be null"}`},
		{NullUnless("a", []any{"x"}, "b"), `{"a":"y","b":1}`, `{"@entity":["failed conditional validation given value of field 'a'"],"b":"value must be null"}`},
		{NullUnless("a", []any{"x"}, "b"), `{"a":"x","b":1}`, `{}`},
		{NullUnless("a", []any{"x"}, "b"), `{"b":1}`, `{}`},
		{OneOfIf("a", 1, "b", "p", "q"), `{"a":1,"b":"r"}`, `{"@entity":["failed conditional validation given value of field 'a'"],"b":"expected one of: p, q"}`},
		{When("a", Match{OneOf: []any{1}}, "b", Field{Check: Method}), `{"a":1.0,"b":"get"}`,
			`{"@entity":["failed conditional validation given value of field 'a'"],"b":"invalid value: get"}`},
	} {
		v := Violations{Fields: map[string]any{}}
		c.check.Func(decode(t, c.doc), v.Add)
		if got := encode(t, v.Fields); got != c.want {
			t.Errorf("%s %s:\ngot  %s\nwant %s", encode(t, c.check.Shown), c.doc, got, c.want)
		}
	}
	if got := encode(t, RequiredIf("a", "x", "b").Shown); got !=
		`{"conditional":{"if_field":"a","if_match":{"one_of":["x"]},"then_field":"b","then_match":{"required":true}}}` {
		t.Error(got)
	}
}

func TestNeeds(t *testing.T) {
	r := Record{
		Fields: []Field{{Name: "a", Type: Integer}, {Name: "b", Type: Integer}},
		Checks: []Check{{Needs: []string{"a"}, Func: func(doc map[string]any, report func(field, message string)) {
			if n, _ := doc["a"].(int64); n != doc["b"] {
				report("b", "differs")
			}
		}}},
	}
	for doc, want := range map[string]string{
		`{"a":1,"b":1}`:   "",
		`{"a":1,"b":2}`:   "schema violation (b: differs)",
		`{"a":"x","b":2}`: "schema violation (a: expected an integer)",
		`{"a":1,"b":"x"}`: "schema violation (b: expected an integer)",
	} {
		if v := r.Validate(decode(t, doc)); (v == nil) != (want == "") || v != nil && v.Error() != want {
			t.Errorf("%s: %v", doc, v)
		}
	}
}

package masking

import (
	"bytes"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

func TestRulesAreParsed(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:              "lacks",
		`{"rules": {}}`:   "must be",
		`{"rules": [{}]}`: "either",
		`{"rules": [{"replace": {"column": "a"}}]}`:                                             `"with" must be given`,
		`{"rules": [{"replace": {"column": "a"}, "obfuscate": {"column": "a"}}]}`:               "either",
		`{"rules": [{"replace": {"table": "a"}, "with": {"fill": "X"}}]}`:                       `"column"`,
		`{"rules": [{"replace": {"column": "a"}, "with": {"fill": ""}}]}`:                       "empty",
		`{"rules": [{"replace": {"column": "a"}, "with": {}}]}`:                                 "must have",
		`{"rules": [{"replace": {"column": "a", "match": "("}, "with": {"fill": "X"}}]}`:        "match",
		`{"rules": [{"replace": {"column": "a"}, "with": {"fill": "X"}, "exempt": []}]}`:        "line 1",
		`{"rules": [{"replace": {"column": "a"}, "with": {"fill": "X"}, "applies_to": ["@"]}]}`: "applies_to",
		`{"rules": [{"obfuscate": {"column": "a"}, "with": {"fill": "X"}}]}`:                    "goes without",
		`{"rules": []}`: "",
		`{"rules": [{"obfuscate": {"column": "a"}, "exempted": ["'bob'@'%'"]}]}`: "",
	} {
		_, err := parseRules([]byte(text))
		if got := ""; err != nil {
			got = err.Error()
			if want == "" || !strings.Contains(got, want) {
				t.Errorf("%s: %s", text, got)
			}
		} else if want != "" {
			t.Errorf("%s is taken", text)
		}
	}
}

func FuzzRules(f *testing.F) {
	f.Add([]byte(ssn))
	f.Add([]byte(`{"rules": [{"replace": {"column": "a", "match": "\\d"}, "with": {"value": "1", "fill": "2"}, "applies_to": ["a@b"]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := parseRules(text)
		if err != nil {
			return
		}
		for _, r := range list {
			value := []byte("721-07-4426")
			if r.mask(value, []byte("key")); len(value) != 11 || r.column == "" {
				t.Errorf("%+v makes %q", r, value)
			}
		}
	})
}

func masked(t *testing.T, object, value string) string {
	t.Helper()
	v := []byte(value)
	mustParse(t, `{"rules": [`+object+`]}`)[0].mask(v, []byte("key"))
	return string(v)
}

func TestValuesAreMasked(t *testing.T) {
	for _, c := range [][3]string{
		{`{"replace": {"column": "a"}, "with": {"fill": "*-"}}`, "12345", "*-*-*"},
		{`{"replace": {"column": "a"}, "with": {"value": "###-##-####"}}`, "721-07-4426", "###-##-####"},
		{`{"replace": {"column": "a"}, "with": {"value": "###-##-####"}}`, "721", strings.Repeat("X", 3)},
		{`{"replace": {"column": "a"}, "with": {"value": "abc", "fill": "0"}}`, "1234", "0000"},
		{`{"replace": {"column": "a", "match": "\\d{3}"}, "with": {"fill": "#"}}`, "a123b\xff4567", "a###b\xff###7"},
		{`{"replace": {"column": "a", "match": "\\d+"}, "with": {"value": "xyz", "fill": "#"}}`, "123 45", "xyz ##"},
		{`{"replace": {"column": "a"}, "with": {"fill": "X"}}`, "", ""},
	} {
		if got := masked(t, c[0], c[1]); got != c[2] {
			t.Errorf("%s makes %q of %q", c[0], got, c[1])
		}
	}
	const hidden = `{"obfuscate": {"column": "a"}}`
	long := strings.Repeat("secret", 20)
	got := masked(t, hidden, long)
	if got != masked(t, hidden, long) || len(got) != len(long) || strings.Contains(got, "secret") || got[:40] == masked(t, hidden, long+"s")[:40] {
		t.Errorf("obfuscated: %q", got)
	}
	if strings.Trim(got, "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~") != "" {
		t.Errorf("not printable: %q", got)
	}
}

// An expression that takes too long hides the whole value.
func TestWhatTakesTooLongIsHidden(t *testing.T) {
	got := masked(t, `{"replace": {"column": "a", "match": "(a+)+$"}, "with": {"fill": "X"}}`, strings.Repeat("a", 40)+"b")
	if got != strings.Repeat("X", 41) {
		t.Error(got)
	}
}

func TestRowsAreMasked(t *testing.T) {
	r := mustParse(t, ssn)[0]
	text := append(wire.AppendString(wire.AppendString([]byte{0xfb}, "721"), "Alice"), 0)
	want := append(wire.AppendString(wire.AppendString([]byte{0xfb}, strings.Repeat("X", 3)), "Alice"), 0)
	if err := maskText(text, []*rule{r, r, nil, r}, nil); err != nil || !bytes.Equal(text, want) {
		t.Errorf("%q, %v", text, err)
	}
	types := []wire.Type{wire.TypeLong, wire.TypeString, wire.TypeDatetime, wire.TypeVarString, wire.TypeTiny, wire.TypeBlob, wire.TypeLonglong, wire.TypeNewDecimal, wire.TypeShort}
	rules := []*rule{nil, r, nil, r, nil, r, nil, nil, nil}
	binary := func(a, b string) []byte {
		row := []byte{0, 1 << 3, 0, 1, 0, 0, 0} // the second column is NULL
		row = append(row, 4, 0xea, 7, 1, 2)
		row = append(wire.AppendString(row, a), 7)
		row = append(wire.AppendString(row, b), 1, 2, 3, 4, 5, 6, 7, 8)
		return append(wire.AppendString(row, "1.5"), 9, 9)
	}
	row := binary("721", strings.Repeat("b", 300))
	if err := maskBinary(row, rules, types, nil); err != nil || !bytes.Equal(row, binary(strings.Repeat("X", 3), strings.Repeat("X", 300))) {
		t.Errorf("%q, %v", row, err)
	}
	for n := range len(row) {
		if maskBinary(bytes.Clone(row[:n]), rules, types, nil) == nil {
			t.Errorf("a row cut off at %d passes", n)
		}
	}
	if maskBinary(append(row, 0), rules, types, nil) == nil || maskText(append(text, 0), []*rule{r, r, nil, r}, nil) == nil {
		t.Error("rows with something left pass")
	}
}

func FuzzRows(f *testing.F) {
	f.Add([]byte("\x03721"), []byte{253})
	f.Add([]byte("\x00\x00\x03721\x01"), []byte{253, 1})
	f.Fuzz(func(t *testing.T, row, types []byte) {
		r := mustParse(t, ssn)[0]
		rules, columns := make([]*rule, len(types)), make([]wire.Type, len(types))
		for i, b := range types {
			columns[i] = wire.Type(b)
			if maskable(columns[i]) {
				rules[i] = r
			}
		}
		for _, mask := range []func([]byte) error{
			func(p []byte) error { return maskText(p, rules, nil) },
			func(p []byte) error { return maskBinary(p, rules, columns, nil) },
		} {
			p := bytes.Clone(row)
			if mask(p) != nil {
				continue
			}
			again := bytes.Clone(p)
			if mask(again) != nil || !bytes.Equal(p, again) {
				t.Errorf("%q becomes %q and %q", row, p, again)
			}
		}
	})
}

func TestColumnsAreFound(t *testing.T) {
	list := mustParse(t, `{"rules": [{"replace": {"column": "ssn", "table": "person", "database": "db"}, "with": {"fill": "X"}}]}`)
	for _, c := range []struct {
		column wire.Column
		hit    bool
	}{
		{wire.Column{Schema: []byte("db"), OrgTable: []byte("person"), OrgName: []byte("SSN"), Name: []byte("x")}, true},
		{wire.Column{Schema: []byte("db"), OrgTable: []byte("other"), OrgName: []byte("ssn"), Name: []byte("ssn")}, false},
		{wire.Column{Schema: []byte("db2"), OrgTable: []byte("person"), OrgName: []byte("ssn"), Name: []byte("ssn")}, false},
		{wire.Column{Schema: []byte("db"), OrgTable: []byte("person"), OrgName: []byte("name"), Name: []byte("ssn")}, false},
		{wire.Column{Name: []byte("ssn")}, true},
	} {
		if (list.column(&c.column) != nil) != c.hit {
			t.Errorf("%+v: %v", c.column, !c.hit)
		}
	}
}

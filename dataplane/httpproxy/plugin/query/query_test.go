package query

import (
	"net/url"
	"slices"
	"testing"
)

func TestArguments(t *testing.T) {
	for _, c := range []struct {
		query, name, value string
		n                  int
		has                bool
		without            string
	}{
		{"", "a", "", 0, false, ""},
		{"a=1", "a", "1", 1, true, ""},
		{"a=1&b=2&a=3", "a", "1", 2, true, "b=2"},
		{"b=%2&a", "a", "", 0, true, "b=%2"},
		{"%61=x+y%2B&c", "a", "x y+", 1, true, "c"},
		{"a=%zz", "a", "%zz", 1, true, ""},
		{"+=1", "+", "", 0, false, "+=1"},
		{"A=1", "a", "", 0, false, "A=1"},
		{"b&&c", "a", "", 0, false, "b&&c"},
	} {
		if value, n := Find(c.query, c.name); value != c.value || n != c.n {
			t.Errorf("Find(%q, %q) = %q, %d", c.query, c.name, value, n)
		}
		if got := Has(c.query, c.name); got != c.has {
			t.Errorf("Has(%q, %q) = %v", c.query, c.name, got)
		}
		if got := Without(c.query, c.name); got != c.without {
			t.Errorf("Without(%q, %q) = %q", c.query, c.name, got)
		}
		if got := len(Values(c.query, c.name)); got != c.n {
			t.Errorf("Values(%q, %q) are %d", c.query, c.name, got)
		}
	}
}

func FuzzQuery(f *testing.F) {
	f.Add("a=1&b=%41&c", "b")
	f.Fuzz(func(t *testing.T, q, name string) {
		if Has(Without(q, name), name) && name != "" {
			t.Fatalf("Without(%q, %q) = %q", q, name, Without(q, name))
		}
		parsed, err := url.ParseQuery(q)
		if err != nil {
			return
		}
		for _, v := range Values(q, name) {
			if !slices.Contains(parsed[name], v) {
				t.Fatalf("%q has no %q under %q", q, v, name)
			}
		}
	})
}

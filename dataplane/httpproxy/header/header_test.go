package header

import (
	"bytes"
	"slices"
	"testing"
)

func TestHeader(t *testing.T) {
	var h Header
	h.Add("Accept", "a")
	h.Add("X-One", "1")
	h.Add("accept", "b")
	if got := h.Join("ACCEPT"); got != "a, b" {
		t.Fatalf("Join: %q", got)
	}
	h.Set("aCCept", "c")
	if want := []Field{{"aCCept", "c"}, {"X-One", "1"}}; !slices.Equal(h.Fields(), want) {
		t.Fatalf("after Set: %v", h.Fields())
	}
	h.Add("x-one", "2")
	h.Del("x-ONE")
	if h.Len() != 1 || h.Has("X-One") || h.Get("accept") != "c" {
		t.Fatalf("after Del: %v", h.Fields())
	}
	h.Add("A", "1")
	h.Add("B", "2")
	h.DeleteFunc(func(f Field) bool { return f.Name == "A" })
	if h.Len() != 2 || h.Get("b") != "2" {
		t.Fatalf("after DeleteFunc: %v", h.Fields())
	}
	if h.Truncate(1); h.Len() != 1 {
		t.Fatalf("after Truncate: %v", h.Fields())
	}
	if h.Reset(); h.Len() != 0 {
		t.Fatalf("after Reset: %v", h.Fields())
	}
}

func TestEqualName(t *testing.T) {
	for _, c := range []struct {
		a, b  string
		equal bool
	}{
		{"Host", "hOST", true},
		{"Host", "Hos", false},
		{"a@b", "a`b", false},
		{"a[", "a{", false},
		{"\u212a", "kkk", false}, // the sign of Kelvin folds to k elsewhere
	} {
		if got := EqualName(c.a, c.b); got != c.equal {
			t.Errorf("%q, %q: %v", c.a, c.b, got)
		}
	}
}

func TestValid(t *testing.T) {
	for c := range 256 {
		s := string([]byte{'a', byte(c), 'a'})
		token := c > ' ' && c < 0x7f && !slices.Contains([]byte(`"(),/:;<=>?@[\]{}`), byte(c))
		if ValidName(s) != token {
			t.Errorf("name with %#x: %v", c, !token)
		}
		if value := c >= ' ' && c != 0x7f || c == '\t'; ValidValue(s) != value {
			t.Errorf("value with %#x: %v", c, !value)
		}
	}
	for c := range 256 { // wherever it stands, and beside whatever
		for at := range 20 {
			s := bytes.Repeat([]byte("a\xff \t~"), 4)
			s[at] = byte(c)
			if value := c >= ' ' && c != 0x7f || c == '\t'; ValidValue(string(s)) != value {
				t.Errorf("value with %#x at %d: %v", c, at, !value)
			}
		}
	}
	if ValidName("") {
		t.Error("an empty name is valid")
	}
}

func TestSetAllIsSetOfEach(t *testing.T) {
	with := []Field{{"X-One", "1"}, {"X-Two", "2"}, {"Three", "3"}}
	for _, before := range [][]Field{
		nil, {{"A", "b"}}, {{"x-two", "b"}, {"X-ONE", "a"}, {"X-Ten", "c"}, {"X-Two", "d"}}, {{"Ehree", "b"}, {"three", "c"}},
	} {
		all, each := Header{slices.Clone(before)}, Header{slices.Clone(before)}
		all.SetAll(with)
		for _, f := range with {
			each.Set(f.Name, f.Value)
		}
		if !slices.Equal(all.Fields(), each.Fields()) {
			t.Errorf("%v: %v instead of %v", before, all.Fields(), each.Fields())
		}
	}
}

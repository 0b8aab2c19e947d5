package rwsplit

import "testing"

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		at, wanted string
		covers     bool
	}{
		{"", "", true},
		{"0-1-5", "", true},
		{"", "0-1-5", false},
		{"0-1-5", "0-1-5", true},
		{"0-2-6", "0-1-5", true},
		{"0-1-4", "0-1-5", false},
		{"1-1-9", "0-1-5", false},
		{"0-1-5,1-1-9", "1-2-9,0-1-1", true},
		{"0-1-5, 1-1-8", "1-2-9,0-1-1", false},
		{"nonsense", "0-1-1", false},
		{"0-1", "0-1-1", false},
	} {
		wanted, ok := newTarget(c.wanted)
		if !ok {
			t.Fatal(c.wanted)
		}
		var cov coverage
		for range 2 {
			if got := cov.has(c.at, &wanted); got != c.covers {
				t.Errorf("%q has %q: %v", c.at, c.wanted, got)
			}
		}
	}
	for _, text := range []string{"0-1-x", "0-1-1-1", "a", "0-1-99999999999999999999", ","} {
		if _, ok := parseGTIDs(text); ok {
			t.Errorf("%q was read", text)
		}
	}
}

func FuzzGTIDs(f *testing.F) {
	f.Add("0-1-5,1-2-7")
	f.Fuzz(func(t *testing.T, text string) {
		list, ok := parseGTIDs(text)
		if ok && !covers(list, list) {
			t.Fatalf("%q does not have itself", text)
		}
	})
}

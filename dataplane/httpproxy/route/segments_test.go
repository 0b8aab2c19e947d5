package route

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestFirstSegment(t *testing.T) {
	for path, want := range map[string]string{
		"": "", "/": "", "a": "", "a/b/": "", "/a": "", "/a/": "/a/", "/a/b/c": "/a/", "//": "//", "*": "",
	} {
		if got, ok := firstSegment(path); ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v", path, got, ok)
		}
	}
}

// TestSegmentsAreAMap changes segments many times over, and keeps the versions
// before.
func TestSegmentsAreAMap(t *testing.T) {
	type version struct {
		is   *segments[int]
		want map[string]*node[bucket[int]]
	}
	g := rand.New(rand.NewPCG(1, 2))
	now := version{want: map[string]*node[bucket[int]]{}}
	var versions []version
	for range 60 {
		by, next := &edit{}, version{is: now.is, want: map[string]*node[bucket[int]]{}}
		for k, v := range now.want {
			next.want[k] = v
		}
		for range 1 + g.IntN(400) {
			key, v := fmt.Sprintf("/%d/", g.IntN(3000)), &node[bucket[int]]{}
			if g.IntN(3) == 0 {
				v = nil
			}
			next.is = next.is.change(key, by, func(was *node[bucket[int]]) *node[bucket[int]] {
				if was != next.want[key] {
					t.Fatalf("%s had %p instead of %p", key, was, next.want[key])
				}
				return v
			})
			if next.want[key] = v; v == nil {
				delete(next.want, key)
			}
		}
		now = next
		versions = append(versions, now)
	}
	if n := len(now.is.parts); n < 16 {
		t.Errorf("only %d parts", n)
	}
	for i, v := range versions {
		if v.is.count != len(v.want) {
			t.Fatalf("version %d has %d instead of %d", i, v.is.count, len(v.want))
		}
		for n := range 3000 {
			if key := fmt.Sprintf("/%d/", n); v.is.get(key) != v.want[key] {
				t.Fatalf("version %d: %s is another one", i, key)
			}
		}
	}
	by := &edit{}
	for key := range now.want {
		now.is = now.is.change(key, by, func(*node[bucket[int]]) *node[bucket[int]] { return nil })
	}
	if now.is != nil {
		t.Errorf("something is left of no segments: %+v", now.is)
	}
}

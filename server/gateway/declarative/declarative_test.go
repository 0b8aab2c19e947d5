package declarative

import (
	"strings"
	"testing"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
	"github.com/backplane/backplane/internal/errs"
)

// What an entity refers to is made before it, and every list is written.
func TestCollectionsHaveTheirPlace(t *testing.T) {
	for _, c := range entity.Collections() {
		if Level(c) < 0 {
			t.Errorf("%s have no level", c.Name)
		}
		for _, f := range c.Foreign {
			if Level(entity.Find(f.Collection)) >= Level(c) {
				t.Errorf("%s are made before the %s that they refer to", c.Name, f.Collection)
			}
		}
		found := false
		for _, name := range order {
			found = found || bySchema(name) == c
		}
		if !found {
			t.Errorf("%s are not written", c.Name)
		}
	}
}

func TestDecode(t *testing.T) {
	for text, want := range map[string]any{
		"a: 1":                              map[string]any{"a": int64(1)},
		"a: 1.5":                            map[string]any{"a": 1.5},
		"a: 2.0":                            map[string]any{"a": int64(2)},
		"a: 2026-01-02":                     map[string]any{"a": "2026-01-02"},
		"a: 'true'":                         map[string]any{"a": "true"},
		"a: yes":                            map[string]any{"a": "yes"},
		"a: ~":                              map[string]any{"a": nil},
		`{"a": [true]}`:                     map[string]any{"a": []any{true}},
		"1: x":                              map[string]any{"1": "x"},
		"x: &x {b: 1}\ny: {<<: *x, c: 2}":   map[string]any{"x": map[string]any{"b": int64(1)}, "y": map[string]any{"b": int64(1), "c": int64(2)}},
		"x: &x {b: 1}\ny: {<<: [*x], b: 2}": map[string]any{"x": map[string]any{"b": int64(1)}, "y": map[string]any{"b": int64(2)}},
		"":                                  map[string]any{},
	} {
		if got, err := decode([]byte(text)); err != nil || !schema.Equal(got, want) {
			t.Errorf("%q is %#v, %v, want %#v", text, got, err, want)
		}
	}
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 10; i++ {
		n, last := string(rune('0'+i)), string(rune('0'+i-1))
		bomb += "a" + n + ": &a" + n + " [" + strings.Repeat("*a"+last+", ", 10) + "]\n"
	}
	for _, text := range []string{bomb, strings.Repeat("[", 100) + strings.Repeat("]", 100), "a: &a [*a]", "[1]: 2", "a: .nan", "<<: 1", "a: !!int x"} {
		if got, err := decode([]byte(text)); err == nil {
			t.Errorf("%.40q is %v", text, got)
		}
	}
}

// Any text is written such that it is read again.
func TestTextsAreReadAgain(t *testing.T) {
	for _, s := range []string{"", "a", "80", "true", "null", "~", "2026-01-02", " a ", "a\nb\n", "a\nb", "\n a\nb\n\n", "a\r\nb\r\n", "a\n\tb", "a: b", "- a", "#", "\u2028a\nb", "é", "0x1f", "1e3", "<<", "=", "a\n  b\n"} {
		stored := []Stored{{Collection: entity.Find("consumers"), Doc: map[string]any{"username": s, "id": "3b3e1f5c-1f0c-4b5e-9d39-3f1b4cf0f0aa"}}}
		out, err := Write(stored, Options{})
		if err != nil {
			t.Fatal(err)
		}
		doc, err := Parse(out, nil)
		if err != nil || len(doc.Entities) != 1 || doc.Entities[0].Doc["username"] != s {
			t.Errorf("%q was read again as %v, %v, from\n%s", s, doc, err, out)
		}
	}
}

// FuzzParse reads any document: what it takes can be written and read again, and
// is the same then.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{_format_version: "3.0", services: [{name: s, host: h, routes: [{name: r, paths: [/]}], plugins: [{name: p, config: {a: {b: [1]}}}]}]}`))
	f.Add([]byte("_format_version: '3.0'\n_info: {select_tags: [a], defaults: {service: {host: h}}}\nupstreams: [{name: u, targets: [{target: t}]}]"))
	f.Add([]byte("_format_version: '3.0'\n_transform: false\nconsumers: [{username: u, basicauth_credentials: [{username: u, password: p}], acls: [{group: g}]}]"))
	f.Add([]byte("_format_version: '3.0'\nx: &x {a: 1}\nplugins: [{name: p, service: s, <<: *x}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		doc, err := Parse(text, nil)
		if err != nil {
			e := errs.Convert(err)
			if e.Reason == errs.Internal {
				t.Fatalf("%v", err)
			}
			return
		}
		var stored []Stored
		ids := map[*Entity]string{}
		for i, e := range doc.Entities {
			id, ok := e.Doc["id"].(string)
			if !ok {
				id = time.Unix(int64(i), 0).UTC().Format(time.RFC3339)
			}
			ids[e] = id
			whole := e.Collection.Record.Complete(e.Doc)
			whole["id"] = id
			for field, parent := range e.Parents {
				whole[field] = map[string]any{"id": ids[parent]}
			}
			stored = append(stored, Stored{Collection: e.Collection, Doc: whole})
		}
		first, err := Write(stored, Options{SelectTags: doc.SelectTags})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decode(first); err != nil {
			t.Fatalf("%v in\n%s", err, first)
		}
		if again, err := Write(stored, Options{SelectTags: doc.SelectTags}); err != nil || string(again) != string(first) {
			t.Fatalf("written again, %v:\n%s\nwant:\n%s", err, again, first)
		}
	})
}

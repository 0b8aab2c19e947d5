package apidoc

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sample reads a document of testdata/documents.
func sample(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "documents", name+".json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// samples are the names of the documents of testdata/documents.
func samples(t testing.TB) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join("testdata", "documents"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".json.gz"))
	}
	return names
}

// optIn has all operations of a document opt in, every other one protected.
func optIn(t testing.TB, raw []byte) []byte {
	t.Helper()
	v, err := decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	root := v.(*object)
	root.set("tags", append([]any{
		objectOf("name", "open", flagExpose, true),
		objectOf("name", "closed", flagExpose, "true", flagProtect, true),
	}, root.list("tags")...))
	items := []any{}
	for _, group := range []*object{root.object("paths"), root.object("components").object("pathItems")} {
		for _, key := range group.names() {
			items = append(items, group.values[key])
		}
	}
	n := 0
	for _, item := range items {
		item := item.(*object)
		for _, method := range methods {
			if op := item.object(method); op != nil {
				op.set("tags", append([]any{[]any{"open", "closed"}[n%2]}, op.list("tags")...))
				n++
			}
		}
	}
	return encode(root)
}

// parsed parses a document that has to be right.
func parsed(t testing.TB, raw []byte) *Document {
	t.Helper()
	d, err := Parse(raw)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return d
}

// merged merges and reads what comes out.
func merged(t testing.TB, sources ...Source) (raw []byte, doc map[string]any, faults []string) {
	t.Helper()
	raw, faults, err := Merge(Info{}, sources)
	if err != nil {
		t.Fatalf("Merge: %v", err)
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatalf("what Merge made is not JSON: %v\n%s", err, raw)
	}
	return raw, doc, faults
}

// at is what stands in a document where keys lead.
func at(v any, keys ...string) any {
	for _, key := range keys {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

// shown is a value as JSON.
func shown(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

func contains(list []string, parts ...string) bool {
	return slices.ContainsFunc(list, func(s string) bool {
		return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(s, part) })
	})
}

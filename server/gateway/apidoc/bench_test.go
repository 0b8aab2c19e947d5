package apidoc

import (
	"fmt"
	"strings"
	"testing"
)

// large is a document of n operations.
func large(b *testing.B, service, n int) *Document {
	b.Helper()
	var paths, schemas strings.Builder
	for i := range n {
		fmt.Fprintf(&paths, `"/things%d/{id}":{"get":{"tags":["open"],"operationId":"get%d","summary":"One thing",
			"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"integer"}},{"name":"q","in":"query","schema":{"type":"string","default":"x"}}],
			"responses":{"200":{"description":"Fine","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Thing%d"},"example":{"id":1,"name":"x","tags":["a"]}}}},
			"422":{"description":"Validation Error","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Fault"}}}}}}},`, i, i, i)
		fmt.Fprintf(&schemas, `"Thing%d":{"type":"object","required":["id"],"properties":{"id":{"type":"integer"},"name":{"type":"string","maxLength":%d},
			"tags":{"type":"array","items":{"type":"string"}},"next":{"$ref":"#/components/schemas/Thing%d"}}},`, i, service+10, (i+1)%n)
	}
	d, err := Parse([]byte(document(service%2, `"paths":{`+strings.TrimSuffix(paths.String(), ",")+`},"components":{"schemas":{`+schemas.String()+
		`"Fault":{"type":"object","properties":{"detail":{"type":"array","items":{"type":"object"}}}}}}`)))
	if err != nil {
		b.Fatal(err)
	}
	return d
}

func manySources(b *testing.B) []Source {
	var sources []Source
	for i := range 200 {
		sources = append(sources, Source{Name: fmt.Sprintf("service-%03d", i), Document: large(b, i, 50), Auth: "jwt"})
	}
	return sources
}

func BenchmarkMerge(b *testing.B) {
	sources := manySources(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Merge(Info{}, sources); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMergeAgain has one document of 200 changed since the last time.
func BenchmarkMergeAgain(b *testing.B) {
	sources := manySources(b)
	other := large(b, 400, 50)
	was := sources[7].Document
	var m Merger
	if _, _, err := m.Merge(Info{}, sources); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if sources[7].Document == was {
			sources[7].Document = other
		} else {
			sources[7].Document = was
		}
		if _, _, err := m.Merge(Info{}, sources); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOperations(b *testing.B) {
	d := large(b, 0, 50)
	b.ReportAllocs()
	for b.Loop() {
		if ops, _ := d.Operations(); len(ops) != 50 {
			b.Fatal(len(ops))
		}
	}
}

func BenchmarkChanges(b *testing.B) {
	before, after := large(b, 0, 50), large(b, 2, 50)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Changes(before, after); err != nil {
			b.Fatal(err)
		}
	}
}

package oasvalidation

import (
	"fmt"
	"strings"
	"testing"
)

// largeDocument is a document of about so many bytes, as FastAPI writes them.
func largeDocument(size int) string {
	var paths, schemas strings.Builder
	for i := 0; paths.Len()+schemas.Len() < size; i++ {
		if i > 0 {
			paths.WriteByte(',')
			schemas.WriteByte(',')
		}
		fmt.Fprintf(&paths, `"/items%d/{item_id}":{"get":{"tags":["a"],"summary":"Read item","operationId":"r%d","parameters":[
			{"required":true,"schema":{"title":"Item Id","type":"integer"},"name":"item_id","in":"path"},{"required":false,"schema":{"title":"Q","type":"string"},"name":"q","in":"query"}],
			"responses":{"200":{"description":"ok","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Item%d"}}}}}},
			"post":{"requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/Item%d"}}},"required":true},"responses":{"200":{"description":"ok"}}}}`, i, i, i, i)
		fmt.Fprintf(&schemas, `"Item%d":{"title":"Item","required":["name","price"],"type":"object","properties":{"name":{"title":"Name","type":"string","maxLength":20},
			"price":{"title":"Price","type":"number","minimum":0},"tags":{"type":"array","items":{"type":"string"}},"sub":{"$ref":"#/components/schemas/Item%d"}}}`, i, max(i-1, 0))
	}
	return `{"openapi":"3.0.2","info":{"title":"x","version":"1"},"paths":{` + paths.String() + `},"components":{"schemas":{` + schemas.String() + `}}}`
}

func BenchmarkLoad(b *testing.B) {
	document := largeDocument(1 << 20)
	b.SetBytes(int64(len(document)))
	b.ReportAllocs()
	for b.Loop() {
		if err := Check(document); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	p := &plugin{config: config{ValidatePath: true, ValidateQuery: true, ValidateHeader: true}}
	var err error
	if p.document, err = load(&config{APISpec: largeDocument(1 << 20)}); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct{ name, method, query, body string }{
		{"Parameters", "GET", "q=abc", ""},
		{"Body", "POST", "", `{"name":"a book","price":12.5,"tags":["a","b","c"],"sub":{"name":"part","price":1}}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if faults := ask(p, c.method, "/items100/7", c.query, "", "application/json", c.body); faults != nil {
					b.Fatal(texts(faults))
				}
			}
		})
	}
}

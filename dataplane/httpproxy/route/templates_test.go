package route

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// The routes of services that are described by templates of paths: a regular
// expression for each operation, below the name of the service, and one route
// for the rest.
const services, operations = 200, 100

// template is the path of an operation of a service, by the shape that a service
// has: "resources" has paths as most have, under "parameters" all begin with
// one, so that they differ behind it only.
func template(shape string, i int) string {
	if shape == "parameters" {
		return fmt.Sprintf("/{tenant}/resource-%d/{id}", i)
	}
	resource := fmt.Sprintf("/resource-%d", i/5)
	return resource + [...]string{"", "/{id}", "/{id}/parts", "/{id}/parts/{part}", "/search"}[i%5]
}

func templateRoutes(shape string) []*entity.Route {
	var all []*entity.Route
	for s := range services {
		prefix := fmt.Sprintf("/service-%d", s)
		for i := range operations {
			path := template(shape, i)
			expr := strings.NewReplacer("{", "(?<", "}", ">[^/]+)").Replace(path)
			all = append(all, &entity.Route{ID: uuid.New(), Protocols: []string{"http"}, Methods: []string{"GET", "HEAD"},
				Paths: []string{"~" + prefix + expr + "$"}, RegexPriority: 100 - strings.Count(path, "{")})
		}
		all = append(all, &entity.Route{ID: uuid.New(), Protocols: []string{"http"}, Paths: []string{prefix + "/", "~" + prefix + "$"}})
	}
	return all
}

func templateTable(tb testing.TB, shape string) *Table[string] {
	tb.Helper()
	tx := (&Table[string]{}).Txn()
	for _, r := range templateRoutes(shape) {
		if err := tx.Put(r, r.Paths[0]); err != nil {
			tb.Fatal(err)
		}
	}
	return tx.Commit()
}

func BenchmarkTemplates(b *testing.B) {
	for _, shape := range []string{"resources", "parameters"} {
		table := templateTable(b, shape)
		inputs := make([]*Input, 1<<14)
		for i := range inputs {
			path := template(shape, rand.IntN(operations))
			path = strings.NewReplacer("{tenant}", "acme", "{id}", "1234", "{part}", "7").Replace(path)
			inputs[i] = &Input{Method: "GET", Host: "api.example.com", Path: fmt.Sprintf("/service-%d%s", rand.IntN(services), path)}
		}
		b.Run(shape, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if r, ok := table.Match(inputs[i&(len(inputs)-1)]); !ok || (*r.Value)[0] != '~' {
					b.Fatal("no operation")
				}
				i++
			}
		})
		b.Run(shape+"/none", func(b *testing.B) {
			in := &Input{Method: "GET", Host: "api.example.com", Path: "/service-7/nothing/of/this"}
			for b.Loop() {
				if r, ok := table.Match(in); !ok || *r.Value != "/service-7/" {
					b.Fatal("it was matched")
				}
			}
		})
	}
}

func BenchmarkTemplatesBuild(b *testing.B) {
	for b.Loop() {
		templateTable(b, "resources")
	}
}

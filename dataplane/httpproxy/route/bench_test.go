package route

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// shape is how the routes of a benchmark differ from each other.
type shape struct {
	name  string
	route func(i int) *entity.Route
	input func(i int) *Input
}

var shapes = []shape{
	{"paths", func(i int) *entity.Route {
		return &entity.Route{Protocols: []string{"http"}, Paths: []string{fmt.Sprintf("/service-%d/v1", i)}}
	}, func(i int) *Input {
		return &Input{Method: "GET", Path: fmt.Sprintf("/service-%d/v1/items/17", i), Host: "api.example.com"}
	}},
	{"hosts", func(i int) *entity.Route {
		return &entity.Route{Protocols: []string{"http"}, Hosts: []string{fmt.Sprintf("tenant-%d.example.com", i)}, Paths: []string{"/"}}
	}, func(i int) *Input {
		return &Input{Method: "GET", Path: "/items/17", Host: fmt.Sprintf("tenant-%d.example.com:8000", i)}
	}},
	{"headers", func(i int) *entity.Route {
		return &entity.Route{Protocols: []string{"http"}, Headers: map[string][]string{"x-tenant": {fmt.Sprint(i)}}, Methods: []string{"GET"}}
	}, func(i int) *Input {
		return &Input{Method: "GET", Path: "/items/17", Host: "api.example.com", Header: fields{"Accept", "*/*", "X-Tenant", fmt.Sprint(i)}}
	}},
	{"regexps", func(i int) *entity.Route {
		return &entity.Route{Protocols: []string{"http"}, Paths: []string{fmt.Sprintf(`~/service-%d/(\d+)`, i)}}
	}, func(i int) *Input {
		return &Input{Method: "GET", Path: fmt.Sprintf("/service-%d/17", i), Host: "api.example.com"}
	}},
}

func (s shape) table(tb testing.TB, n int) *Table[int] {
	tx := (&Table[int]{}).Txn()
	for i := range n {
		r := s.route(i)
		r.ID = uuid.New()
		if err := tx.Put(r, i); err != nil {
			tb.Fatal(err)
		}
	}
	return tx.Commit()
}

func BenchmarkMatch(b *testing.B) {
	for _, s := range shapes {
		for _, n := range []int{10, 100_000} {
			table := s.table(b, n)
			// hot asks for the same routes again, spread for any.
			for _, spread := range []bool{false, true} {
				kind, among := "hot", 10
				if spread {
					kind, among = "spread", n
				}
				b.Run(fmt.Sprintf("%s/%d/%s", s.name, n, kind), func(b *testing.B) {
					inputs := make([]*Input, 1<<14)
					for i := range inputs {
						inputs[i] = s.input(rand.IntN(among) * (n / among))
					}
					b.ReportAllocs()
					i := 0
					for b.Loop() {
						if _, ok := table.Match(inputs[i&(len(inputs)-1)]); !ok {
							b.Fatal("no route")
						}
						i++
					}
				})
			}
		}
	}
}

func BenchmarkChange(b *testing.B) {
	for _, s := range shapes {
		for _, n := range []int{10, 100_000} {
			b.Run(fmt.Sprintf("%s/%d", s.name, n), func(b *testing.B) {
				table := s.table(b, n)
				r := s.route(n / 2)
				r.ID = uuid.New()
				b.ReportAllocs()
				for b.Loop() {
					tx := table.Txn()
					if err := tx.Put(r, 1); err != nil {
						b.Fatal(err)
					}
					table = tx.Commit()
				}
			})
		}
	}
}

func BenchmarkBuild(b *testing.B) {
	for _, s := range shapes {
		b.Run(s.name, func(b *testing.B) {
			for b.Loop() {
				s.table(b, 100_000)
			}
		})
	}
}

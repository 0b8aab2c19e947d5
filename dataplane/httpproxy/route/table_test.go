package route

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// generator makes routes and requests that often meet.
type generator struct{ *rand.Rand }

func (g generator) id() uuid.UUID {
	var id uuid.UUID
	for i := range id {
		id[i] = byte(g.IntN(256))
	}
	return id
}

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

// some gives up to n values, or none.
func some[T any](g generator, n int, f func() T) []T {
	if g.IntN(2) == 0 {
		return nil
	}
	var all []T
	for range 1 + g.IntN(n) {
		all = append(all, f())
	}
	return all
}

func (g generator) host() string {
	return pick(g, "a.com", "b.a.com", "c.b.a.com", "A.com", "b.a.org", "x", "127.0.0.1", "[::1]", "[fe80::1]")
}

func (g generator) hostEntry() string {
	return pick(g, g.host(), g.host(), "*.a.com", "*.com", "b.*", "b.a.*", "*.B.a.com", "c.*") +
		pick(g, "", "", "", ":80", ":8000")
}

func (g generator) path() string {
	var b strings.Builder
	for range 1 + g.IntN(4) {
		b.WriteString(pick(g, "/a", "/ab", "/abc", "/", "/b", "/b-1", "/7"))
	}
	return b.String()
}

func (g generator) pathEntry() string {
	if g.IntN(3) > 0 {
		return g.path()
	}
	return "~" + pick(g, `/a`, `/(?<word>[a-z]+)`, `/ab(c)?`, `/\d`, `/a/(b|7)`, `/(?i)A`, `/(a|b)`, `(/a)+`, `/.*`, `/b-1$`, `/a|/b`, `/ab*`, `/ab?/`)
}

func (g generator) headers() map[string][]string {
	if g.IntN(2) == 0 {
		return nil
	}
	h := map[string][]string{}
	for range 1 + g.IntN(3) {
		h[pick(g, "X-A", "x-b", "X-C")] = append(some(g, 2, g.headerEntry), g.headerEntry())
	}
	return h
}

func (g generator) headerEntry() string { return pick(g, "1", "2", "One", "~*^o", "~*[12]", "") }

func (g generator) method() string { return pick(g, "GET", "POST", "PUT", "PURGE") }

func (g generator) sni() string { return pick(g, "a.com", "b.a.com", "B.a.org", "x") }

func (g generator) route() *entity.Route {
	return &entity.Route{
		ID: g.id(), CreatedAt: int64(g.IntN(3)), RegexPriority: g.IntN(3) - 1,
		Protocols: pick(g, []string{"http", "https"}, []string{"https"}, []string{"http"}, []string{"grpc", "grpcs"}, []string{"tcp"}),
		Methods:   some(g, 2, g.method),
		Hosts:     some(g, 3, g.hostEntry),
		Paths:     some(g, 4, g.pathEntry),
		Headers:   g.headers(),
		SNIs:      some(g, 2, func() string { return pick(g, g.sni(), g.sni(), "*.a.com", "b.*") }),
	}
}

func (g generator) input() *Input {
	in := &Input{
		Method: g.method(), Path: g.path() + pick(g, "", "", "/x", "\xff"),
		Host: g.host() + pick(g, "", "", ":80", ":8000", ":x", ":"),
		Port: pick(g, 80, 8000, 8443), Scheme: "http",
	}
	if g.IntN(4) > 0 {
		in.Header = fields{"X-a", g.headerEntry(), "x-B", g.headerEntry(), "x-c", "oNE", "X-A", g.headerEntry()}
	}
	if g.IntN(2) == 0 {
		in.TLS, in.Scheme, in.SNI = true, "https", g.sni()
	}
	return in
}

// compare asks the index and the scan for the same.
func compare(t testing.TB, table *Table[*entity.Route], routes []*entity.Route, in *Input) bool {
	t.Helper()
	got, ok := table.Match(in)
	want, captures := scan(routes, in)
	if !ok || want == nil {
		if ok || want != nil {
			t.Fatalf("%+v: %+v instead of %+v", in, got.Value, want)
		}
		return false
	}
	if *got.Value != want {
		t.Fatalf("%+v: found\n%+v instead of\n%+v", in, got.Value, want)
	}
	if got.Prefix != captures[0] || got.Captures != nil && !slices.Equal(got.Captures, captures) {
		t.Fatalf("%+v, route %+v: captured %q, prefix %q instead of %q", in, want, got.Captures, got.Prefix, captures)
	}
	return true
}

func TestIndexFindsWhatAScanFinds(t *testing.T) {
	matched := 0
	for seed := range uint64(1500) {
		g := generator{rand.New(rand.NewPCG(seed, 1))}
		var routes []*entity.Route
		tx := (&Table[*entity.Route]{}).Txn()
		for range 1 + g.IntN(30) {
			r := g.route()
			routes = append(routes, r)
			if err := tx.Put(r, r); err != nil {
				t.Fatal(err)
			}
		}
		table := tx.Commit()
		if table.Len() != len(routes) {
			t.Fatalf("%d routes instead of %d", table.Len(), len(routes))
		}
		for range 40 {
			if compare(t, table, routes, g.input()) {
				matched++
			}
		}
	}
	if matched < 10_000 {
		t.Fatalf("only %d requests found a route", matched)
	}
}

func TestIndexAfterChanges(t *testing.T) {
	for seed := range uint64(100) {
		g := generator{rand.New(rand.NewPCG(seed, 2))}
		type version struct {
			table  *Table[*entity.Route]
			routes []*entity.Route
		}
		now, table := map[uuid.UUID]*entity.Route{}, &Table[*entity.Route]{}
		var versions []version
		for range 30 {
			tx := table.Txn()
			for range 1 + g.IntN(6) {
				ids := slices.SortedFunc(maps.Keys(now), func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
				r := g.route()
				switch {
				case len(ids) > 0 && g.IntN(3) == 0:
					id := pick(g, ids...)
					delete(now, id)
					if !tx.Remove(id) || tx.Remove(id) {
						t.Fatal("a route is removed once")
					}
					continue
				case len(ids) > 0 && g.IntN(2) == 0:
					r.ID = pick(g, ids...)
				}
				now[r.ID] = r
				if err := tx.Put(r, r); err != nil {
					t.Fatal(err)
				}
				if g.IntN(4) == 0 { // a table in the middle, of which no more is known
					tx.Commit()
				}
			}
			table = tx.Commit()
			versions = append(versions, version{table, slices.Collect(maps.Values(now))})
		}
		for _, v := range versions { // those before are what they were
			for range 10 {
				compare(t, v.table, v.routes, g.input())
			}
		}
		tx := table.Txn()
		for id := range now {
			tx.Remove(id)
		}
		if x := tx.Commit().index; x != (index[*entity.Route]{}) {
			t.Fatalf("something is left of no routes: %+v", x)
		}
	}
}

func TestPutRefusesExpressions(t *testing.T) {
	tx := (&Table[int]{}).Txn()
	good := &entity.Route{ID: uuid.New(), Protocols: []string{"http"}, Paths: []string{"/a"}}
	if err := tx.Put(good, 1); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []*entity.Route{
		{ID: good.ID, Protocols: []string{"http"}, Paths: []string{"~/("}},
		{ID: good.ID, Protocols: []string{"http"}, Headers: map[string][]string{"a": {"~*("}}},
	} {
		if err := tx.Put(bad, 2); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	if r, ok := tx.Commit().Match(&Input{Path: "/a"}); !ok || *r.Value != 1 {
		t.Errorf("the route before is %v, %v", r, ok)
	}
}

func TestResult(t *testing.T) {
	put := func(r entity.Route) *Table[string] {
		tx := (&Table[string]{}).Txn()
		if err := tx.Put(&r, "v"); err != nil {
			t.Fatal(err)
		}
		return tx.Commit()
	}
	r, ok := put(entity.Route{Protocols: []string{"https"}, Paths: []string{`~/u/(?<id>\d+)/(.)`}}).
		Match(&Input{Path: "/u/17/xyz", Scheme: "http"})
	want := Result[string]{
		Value: r.Value, Prefix: "/u/17/x", Captures: []string{"/u/17/x", "17", "x"}, Names: []string{"", "id", ""},
		Protocols: HTTPS, NeedsTLS: true,
	}
	if !ok || *r.Value != "v" || fmt.Sprintf("%+v", r) != fmt.Sprintf("%+v", want) {
		t.Errorf("%+v instead of %+v", r, want)
	}
	for _, c := range []struct {
		protocols []string
		scheme    string
		needs     bool
		grpc      bool
	}{
		{[]string{"http"}, "https", false, false},
		{[]string{"http", "https"}, "http", false, false},
		{[]string{"https"}, "https", false, false},
		{[]string{"grpc"}, "http", false, true},
		{[]string{"grpcs"}, "http", true, true},
		{[]string{"grpcs"}, "https", false, true},
	} {
		r, ok := put(entity.Route{Protocols: c.protocols, Methods: []string{"GET"}}).Match(&Input{Method: "GET", Path: "/", Scheme: c.scheme})
		if !ok || r.NeedsTLS != c.needs || r.Protocols.GRPC() != c.grpc || r.Prefix != "" || r.Captures != nil {
			t.Errorf("%v over %s: %+v, %v", c.protocols, c.scheme, r, ok)
		}
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	for _, s := range shapes {
		table, in := s.table(t, 100), s.input(17)
		if s.name == "regexps" { // their captures do
			in.Path = "/service-17/x"
		}
		in.TLS, in.SNI = true, "a.com"
		if n := testing.AllocsPerRun(100, func() { table.Match(in) }); n != 0 {
			t.Errorf("%s: %v allocations", s.name, n)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add(uint64(1), "GET", "a.com:80", "/a/b", "b.a.com", "One")
	f.Add(uint64(2), "POST", "[::1]", "/\xff", "", "")
	f.Add(uint64(3), "", ":::", "", "*", "~*")
	f.Add(uint64(68), "0", "::1", "0", "0", "")
	f.Add(uint64(68), "0", "[::1", "0", "0", "")
	f.Add(uint64(68), "0", "[::1]0", "0", "0", "")
	f.Fuzz(func(t *testing.T, seed uint64, method, host, path, sni, header string) {
		g := generator{rand.New(rand.NewPCG(seed, 3))}
		var routes []*entity.Route
		tx := (&Table[*entity.Route]{}).Txn()
		for range 1 + g.IntN(20) {
			r := g.route()
			routes = append(routes, r)
			if err := tx.Put(r, r); err != nil {
				t.Fatal(err)
			}
		}
		in := &Input{
			Method: method, Host: host, Path: path, Port: 80, SNI: sni, TLS: sni != "",
			Header: fields{"X-A", header, "x-b", g.headerEntry()},
		}
		compare(t, tx.Commit(), routes, in)
	})
}

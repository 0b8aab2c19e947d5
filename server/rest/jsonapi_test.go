package rest

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/backplane/backplane/internal/errs"
)

const servers = `{"links":{"self":"http://h/v1/servers/"},"data":[` +
	`{"id":"s1","type":"servers","attributes":{"state":"Master, Running","parameters":{"port":3000,"address":"a","tls":null},"list":[1,[2,3]]},"relationships":{"services":{"data":[{"id":"x","type":"services"}]}},"links":{"self":"http://h/v1/servers/s1/"},"meta":1},` +
	`{"id":"s2","type":"servers","attributes":{"state":"Down","parameters":{"port":3001,"address":"b","tls":true},"list":[4]},"relationships":{},"links":{"self":"http://h/v1/servers/s2/"}},` +
	`{"id":"3","type":"servers","attributes":{"state":"Slave, Running","parameters":{"port":3e3,"address":"","tls":false},"a/b":{"~":5},"x y":7,"list":[]},"links":{"self":"http://h/v1/servers/3/"}}]}`

// listServers is a route of a collection.
func listServers() *route {
	for _, r := range loadRoutes("backplane.proxy.") {
		if r.verb == "GET" && len(r.segments) == 2 && r.segments[1] == "servers" {
			return &r
		}
	}
	return nil
}

// rows are the ids that a query leaves of a document.
func rows(t testing.TB, query, document string) []string {
	t.Helper()
	v, err := parseView(query, listServers())
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	text, err := v.shape([]byte(document))
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	var out struct{ Data []struct{ ID string } }
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatalf("%s: %v\n%s", query, err, text)
	}
	ids := []string{}
	for _, row := range out.Data {
		ids = append(ids, row.ID)
	}
	return ids
}

func TestFilter(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		`filter=/id="s1"`:                                                          "s1",
		`filter=id="s1"`:                                                           "s1",
		`filter=id=3`:                                                              "3",
		`filter=attributes/parameters/port=3000`:                                   "s1 3",
		`filter=/attributes/parameters/port=3.000e3`:                               "s1 3",
		`filter=/attributes/parameters/port="3000"`:                                "",
		`filter=/attributes/parameters/tls=null`:                                   "s1",
		`filter=/attributes/parameters/tls=true`:                                   "s2",
		`filter=/attributes/parameters/missing=null`:                               "",
		`filter=/attributes/a~1b/~0=5`:                                             "3",
		`filter=/attributes/list/1/0=2`:                                            "s1",
		`filter=/attributes/list=[4]`:                                              "s2",
		`filter=/attributes/list=[4.0]`:                                            "s2",
		`filter=/attributes/list=[]`:                                               "3",
		`filter=/relationships={}`:                                                 "s2",
		`filter=/attributes/state=eq("Down")`:                                      "s2",
		`filter=/attributes/state="Down"&filter=/id="s1"`:                          "",
		`filter[id]=lt(10)`:                                                        "3",
		`filter[$.attributes.parameters.port]=ge(3000)`:                            "s1 s2 3",
		`filter[attributes.parameters.port]=gt(3000)`:                              "s2",
		`filter[attributes['parameters']["port"]]=le( 3000 )`:                      "s1 3",
		`filter[attributes['x y']]=eq(7)`:                                          "3",
		`filter[attributes.parameters.port]=lt("9")`:                               "",
		`filter[attributes.parameters.address]=gt("a")`:                            "s2",
		`filter[attributes.parameters.tls]=lt(true)`:                               "",
		`filter[attributes.parameters.*]=eq("b")`:                                  "s2",
		`filter[attributes.parameters[*]]=eq(null)`:                                "s1",
		`filter[attributes.list[*]]=eq(4)`:                                         "s2",
		`filter[attributes.list[0]]=ge(1)`:                                         "s1 s2",
		`filter[attributes.list[0,1]]=eq([2,3])`:                                   "s1",
		`filter[attributes.list[1][0, 1]]=eq(3)`:                                   "s1",
		`filter[relationships.services.data[*].id]=eq("x")`:                        "s1",
		`filter[attributes.state]=ne("Down")`:                                      "s1 3",
		`filter[attributes.state]=not(eq("Down"))`:                                 "s1 3",
		`filter[attributes.state]=not(eq("Down"),eq("Master, Running"))`:           "3",
		`filter[attributes.state]=or(eq("Down"),and(ne("x"),gt("S")))`:             "s2 3",
		`filter[id]=ge("s")&filter[attributes.state]=eq("Down")`:                   "s2",
		`filter[id]=ge("s")&filter[id]=le("s1")`:                                   "s1",
		`filter%5Battributes.state%5D=eq(%22Down%22)`:                              "s2",
		`filter[attributes.state]="Down"`:                                          "s2",
		`filter[attributes.parameters.port]=eq(3000.0)`:                            "s1 3",
		`filter[attributes.parameters]=eq({"tls":true,"address":"b","port":3001})`: "s2",
		`filter[attributes.parameters]=ne({"tls":true,"address":"b","port":3001})`: "s1 3",
		`filter[attributes.parameters.port]=and(gt(9223372036854775807))`:          "",
		`filter[attributes.parameters.port]=lt(1e999)`:                             "s1 s2 3",
		`page[size]=2`:                             "s1 s2",
		`page[size]=2&page[number]=1`:              "3",
		`page[size]=2&page[number]=7`:              "",
		`page[size]=0`:                             "s1 s2 3",
		`page[size]=-1`:                            "s1 s2 3",
		`page[size]=x&page[number]=1`:              "s1 s2 3",
		`page[number]=1`:                           "s1 s2 3",
		`page%5Bsize%5D=1&filter[id]=not(eq(3))`:   "s1",
		`page[size]=99999999999`:                   "s1 s2 3",
		`fields[servers]=state&filter[id]=eq("3")`: "3",
	} {
		if got := strings.Join(rows(t, query, servers), " "); got != want {
			t.Errorf("%s leaves %q, want %q", query, got, want)
		}
	}
}

func TestFilterRefusals(t *testing.T) {
	t.Parallel()
	for _, query := range []string{
		`filter=`, `filter=x`, `filter==1`, `filter=/=1`, `filter=/id=`, `filter=/id=s1`, `filter=/id=eq(1`, `filter=/id=eq()`, `filter=/id=eq(1,2)`,
		`filter=/id=1 2`, `filter=/id=eq(1)x`, `filter=/id=and()`, `filter=/id=and(1)`, `filter=/id=and(eq(1),)`, `filter=/id=and(eq(1)eq(2))`,
		`filter=/id=like("s")`, `filter=/id=EQ(1)`, `filter=/id=not()`, `filter=/id={"a":1,"a":2}`, `filter=/id=eq('s1')`, `filter[]=eq(1)`,
		`filter[$]=eq(1)`, `filter[a..b]=eq(1)`, `filter[a.]=eq(1)`, `filter[a[b]]=eq(1)`, `filter[a[-1]]=eq(1)`, `filter[a[01]]=eq(1)`, `filter[a[]]=eq(1)`,
		`filter[a['b]]=eq(1)`, `filter[a['b'x]]=eq(1)`, `filter[a[0]b]=eq(1)`, `filter[a[1,]]=eq(1)`, `filter[a[%2B1]]=eq(1)`, `filter[a[*]=eq(1)`,
		`filter[id]=` + strings.Repeat("not(", 10_000) + "eq(1)" + strings.Repeat(")", 10_000),
		`filter[` + strings.Repeat("a.", 1000) + `a]=eq(1)`, `filter=` + strings.Repeat("/a", 1000) + `=1`, `fields[x]=/`, `%zz`, `filter[id]=lt(`,
	} {
		_, err := parseView(query, listServers())
		var e *errs.Error
		if !errors.As(err, &e) || e.Reason != errs.BadRequest {
			t.Errorf("%.80s is answered %v", query, err)
		}
	}
}

// TestView: what is left of a document, byte for byte.
func TestView(t *testing.T) {
	t.Parallel()
	one := func(attributes, rest string) string {
		return `{"links":{"self":"u"},"data":{"id":"a","type":"t"` + attributes + rest + `,"links":{}}}`
	}
	document := one(`,"attributes":{"s":1,"p":{"x":{"y":2},"z":[{"y":3}]},"r":{}}`, `,"relationships":{"r":{"data":[]}},"meta":{}`)
	page := `http://h/v1/servers/?page%5Bnumber%5D=`
	size := `&page%5Bsize%5D=`
	for _, c := range []struct{ query, document, want string }{
		{"", document, document},
		{"fields[other]=s", document, document},
		{"pretty=false&sync=false&x=1", document, document},
		{"fields[t]=s", document, one(`,"attributes":{"s":1}`, "")},
		{"fields[t]=", document, one("", "")},
		{"fields[t]=nothing,p/x/y/z,s/x", document, one("", "")},
		{"fields[t]=p/x/y", document, one(`,"attributes":{"p":{"x":{"y":2}}}`, "")},
		{"fields[t]=/p/x,p/x/y", document, one(`,"attributes":{"p":{"x":{"y":2}}}`, "")},
		{"fields[t]=p/z/0/y", document, one("", "")},
		{"fields[t]=p/z", document, one(`,"attributes":{"p":{"z":[{"y":3}]}}`, "")},
		{"fields[t]=r", document, one(`,"attributes":{"r":{}}`, `,"relationships":{"r":{"data":[]}}`)},
		{"fields[t]=r&fields[t]=s", document, one(`,"attributes":{"s":1,"r":{}}`, `,"relationships":{"r":{"data":[]}}`)},
		{"filter[id]=eq(2)&page[size]=1", document, document},
		{"fields[t]=s", `{"data":[1,null,{"type":"t"},{"type":7,"id":"x"}]}`, `{"data":[1,null,{"type":"t"},{"type":7,"id":"x"}]}`},
		{"page[size]=1", `{"data":null}`, `{"data":null}`},
		{"page[size]=1", `[1]`, `[1]`},
		{
			"page[size]=2", `{"links":{"self":"http://h/v1/servers/"},"data":[1,2,3,4,5]}`,
			`{"links":{"self":"http://h/v1/servers/","first":"` + page + `0` + size + `2","last":"` + page + `2` + size + `2","next":"` + page + `1` + size + `2"},"data":[1,2]}`,
		},
		{
			"page[number]=2&page[size]=2", `{"links":{"self":"http://h/v1/servers/"},"data":[1,2,3,4,5]}`,
			`{"links":{"self":"http://h/v1/servers/","first":"` + page + `0` + size + `2","last":"` + page + `2` + size + `2","prev":"` + page + `1` + size + `2"},"data":[5]}`,
		},
		{
			"page[number]=9&page[size]=2", `{"links":{"self":"http://h/v1/servers/"},"data":[1,2,3]}`,
			`{"links":{"self":"http://h/v1/servers/","first":"` + page + `0` + size + `2","last":"` + page + `1` + size + `2","prev":"` + page + `1` + size + `2"},"data":[]}`,
		},
		{
			"page[size]=100", `{"links":{"self":"http://h/v1/servers/"},"data":[]}`,
			`{"links":{"self":"http://h/v1/servers/","first":"` + page + `0` + size + `100","last":"` + page + `0` + size + `100"},"data":[]}`,
		},
		{
			`pretty=false&page[size]=1&filter[a]=not(eq("<é>"))&page%5Bnumber%5D=0`, `{"links":{"self":"u?x=1"},"data":[{"a":1},{"a":"<é>"}]}`,
			`{"links":{"self":"u?x=1","first":"u?pretty=false&filter%5Ba%5D=not(eq(%22%3C%C3%A9%3E%22))&page%5Bnumber%5D=0&page%5Bsize%5D=1",` +
				`"last":"u?pretty=false&filter%5Ba%5D=not(eq(%22%3C%C3%A9%3E%22))&page%5Bnumber%5D=0&page%5Bsize%5D=1"},"data":[{"a":1}]}`,
		},
	} {
		v, err := parseView(c.query, listServers())
		if err != nil {
			t.Errorf("%s: %v", c.query, err)
			continue
		}
		if got, err := v.shape([]byte(c.document)); err != nil || string(got) != c.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.query, err, got, c.want)
		}
	}
}

// FuzzView: whatever is asked for, a document stays one, and has no rows that
// it did not have.
func FuzzView(f *testing.F) {
	for _, query := range []string{
		`filter=/attributes/parameters/port=3000`, `filter[attributes.list[0,1][*]]=or(eq(2),not(lt("x"),ge(1)))`, `fields[servers]=state,parameters/port&page[size]=1&page[number]=1`,
		`filter[$['a'].*["b"]]=and(ne({"a":[1e3]}),gt("s"))`, `filter=a~0~1/0=null`,
	} {
		f.Add(query, servers)
	}
	f.Add(`fields[t]=a/b`, `{"data":{"type":"t","attributes":{"a":{"b":{}},"a":[]}}}`)
	list := listServers()
	f.Fuzz(func(t *testing.T, query, document string) {
		v, err := parseView(query, list)
		if err != nil {
			var e *errs.Error
			if !errors.As(err, &e) || e.Reason != errs.BadRequest {
				t.Fatalf("%q is refused as %v", query, err)
			}
			return
		}
		if !json.Valid([]byte(document)) {
			return
		}
		text, err := v.shape([]byte(document))
		if err != nil {
			t.Fatalf("%q of %q: %v", query, document, err)
		}
		if !json.Valid(text) {
			t.Fatalf("%q makes of %q\n%q", query, document, text)
		}
		if len(v.fields) == 0 && len(v.filters) == 0 && v.size == 0 && string(text) != document {
			t.Fatalf("%q changes %q to %q", query, document, text)
		}
	})
}

// FuzzFilter: an expression is true of a value or not, its negation the other
// way round, and a literal is equal to itself.
func FuzzFilter(f *testing.F) {
	for _, text := range []string{`eq(1)`, `"a"`, `and(lt("b"),ge("a"))`, `not(eq(null),or(ne([1,{"a":2}])))`, `le(1e400)`, `gt(-0.0)`, ` eq( true ) `} {
		f.Add(text, `1`)
		f.Add(text, `{"a":[1,"b",null]}`)
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		is, err := parseWanted(text)
		if err != nil {
			return
		}
		if wellFormed([]byte(value)) != nil {
			return
		}
		p := &expressions{text: value}
		p.decode()
		if wellFormed([]byte(text)) != nil {
			not, err := parseWanted("not(" + text + ")")
			if err == nil && not(p.value) == is(p.value) {
				t.Errorf("%q and its negation are both %v of %s", text, is(p.value), value)
			}
		}
		equal, err := parseWanted(value)
		if err != nil || !equal(p.value) {
			t.Errorf("%q is not equal to itself: %v", value, err)
		}
	})
}

// FuzzPath: a path that is read leads nowhere or somewhere, and not astray.
func FuzzPath(f *testing.F) {
	for _, path := range []string{`$.attributes.list[1][0,1]`, `attributes['x y']`, `/attributes/a~1b/~0`, `*.*`, `[*][*]`, `["id"]`} {
		f.Add(path)
	}
	var value any
	if err := json.Unmarshal([]byte(servers), &value); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, parse := range []func(string) (jsonPath, error){parsePath, parsePointer} {
			path, err := parse(text)
			if err != nil {
				continue
			}
			if len(path) == 0 || len(path) > maxSteps {
				t.Errorf("%q has %d steps", text, len(path))
			}
			hits := 0
			path.reach(value, func(any) bool { hits++; return false })
			if all := slices.ContainsFunc(path, func(s step) bool { return s.all || len(s.indices) > 1 }); !all && hits > 1 {
				t.Errorf("%q has %d hits", text, hits)
			}
		}
	})
}

package apidoc

import (
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// seeds are documents for fuzzers to begin with: small ones of the world, and
// some of the odd ones of other tests.
func seeds(f testing.TB) [][]byte {
	var all [][]byte
	for _, name := range samples(f) {
		if raw := optIn(f, sample(f, name)); len(raw) < 6000 {
			all = append(all, raw)
		}
	}
	for minor := range 3 {
		all = append(all,
			[]byte(document(minor, `"paths":{"/a/{b}":{"$ref":"#/components/pathItems/P"},"/c":{"get":{"tags":["closed"],"callbacks":{"x":{"y":{"$ref":"#/paths/~1c"}}}}}},"components":{"pathItems":{"P":{"put":{"tags":["open"]}}}}`)),
			[]byte(document(minor, `"paths":{"/a":{"get":{"tags":["open"],"responses":{"200":{"description":"","content":{"a/b":{"schema":{"$ref":"#/components/schemas/A"},"example":{"a":null}}}}}}}},
			"components":{"schemas":{"A":{"allOf":[{"$ref":"#/components/schemas/B"}],"default":{}},"B":{"properties":{"a":{"$ref":"#/components/schemas/A/properties/b"}},"discriminator":{"propertyName":"x"}}}}`)),
		)
	}
	return all
}

// odd are values that something may have in a document that nobody checked.
var odd = []string{
	`null`, `true`, `false`, `0`, `-1`, `1.5`, `1e400`, `9223372036854775808`, `""`, `"x"`, `"/a/{b}/{c}"`, `"#"`, `"#x"`, `"query"`, `"path"`, `"deepObject"`, `"default"`,
	`[]`, `[null]`, `["a","a"]`, `[{}]`, `{}`, `{"type":"string"}`, `{"type":["integer","null"]}`, `{"type":"null"}`, `{"nullable":true}`, `{"enum":[null,1]}`, `{"const":{"a":1}}`,
	`{"type":"array"}`, `{"items":[{},{}]}`, `{"not":{}}`, `{"$ref":"#"}`, `{"$ref":"#/paths"}`, `{"$ref":"other.json"}`, `{"$ref":"#/components/schemas/A"}`, `{"$ref":7}`,
	`{"exclusiveMinimum":true,"minimum":3}`, `{"exclusiveMinimum":3}`, `{"pattern":"(?!a)","type":"string"}`, `{"format":"date","default":"x"}`, `{"required":["a"],"default":{}}`,
	`{"anyOf":[{"$ref":"#/components/schemas/A"}],"discriminator":{"propertyName":"a","mapping":{"x":"A"}}}`, `{"value":null}`, `{"externalValue":"http://a"}`,
	`{"operationId":"a"}`, `{"x":{"value":1},"y":{"$ref":"#/components/examples/x"}}`, `{"properties":{"a":{"$ref":"#"}},"$id":"http://a/b","$defs":{"c":{"$anchor":"x"}}}`,
	`{"200":{"description":"x"}}`, `{"a/b":{"schema":{"default":1},"example":{"a":1}}}`, `{"name":"a","in":"query","content":{"a/b":{}}}`, `{"name":"b","in":"path","schema":{}}`,
	`{"prefixItems":[{"const":1}],"contains":{"type":"string"},"if":{},"then":{"minLength":3}}`, `{"unevaluatedProperties":{"$ref":"#/components/schemas/A"},"propertyNames":{"pattern":"^a"}}`,
}

// mutate changes a tree as a script tells, four bytes a step: which node, and
// what becomes of it.
func mutate(root any, script []byte) any {
	for range 24 {
		if len(script) < 4 {
			return root
		}
		var nodes []func(any)
		var of []any
		var visit func(v any, set func(any))
		visit = func(v any, set func(any)) {
			nodes, of = append(nodes, set), append(of, v)
			switch v := v.(type) {
			case []any:
				for i := range v {
					visit(v[i], func(e any) { v[i] = e })
				}
			case *object:
				for _, key := range v.keys {
					visit(v.values[key], func(e any) { v.values[key] = e })
				}
			}
		}
		visit(root, func(v any) { root = v })
		at := (int(script[0])<<8 | int(script[1])) % len(nodes)
		o, _ := of[at].(*object)
		switch arg := int(script[3]); script[2] % 6 {
		case 0:
			v, _ := decode([]byte(odd[arg%len(odd)]))
			nodes[at](v)
		case 1:
			// A copy of another place, so that nothing is in two.
			v, _ := decode(encode(of[(at*31+arg)%len(of)]))
			nodes[at](v)
		case 2:
			if len(o.names()) > 0 {
				o.remove(o.keys[arg%len(o.keys)])
			}
		case 3:
			if len(o.names()) > 0 {
				v, _ := decode([]byte(odd[arg%len(odd)]))
				o.set([]string{"$ref", "example", "default", "examples", "schema", "description", "{b}", "x-a", "allOf", "tags", "content"}[arg%11], v)
			}
		case 4:
			nodes[at](objectOf("$ref", "#/components/schemas/A"))
		case 5:
			nodes[at](objectOf("allOf", []any{of[at], objectOf("$ref", "#/components/schemas/A")}))
		}
		script = script[4:]
	}
	return root
}

// mutated is a seed that was changed.
func mutated(t testing.TB, raw, script []byte) []byte {
	t.Helper()
	v, err := decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	return encode(mutate(v, script))
}

// checkMerge merges a document alone and with another, and validates that.
func checkMerge(t *testing.T, raw []byte) {
	t.Helper()
	d, err := Parse(raw)
	if err != nil {
		return
	}
	other := parsed(t, []byte(document(1, `"paths":{"/a":{"get":{"tags":["open"],`+answers+`}}}`)))
	for _, sources := range [][]Source{{{Name: "svc", Document: d, Auth: "jwt"}}, {{Name: "svc", Document: d}, {Name: "other", Document: other}}} {
		doc, faults, err := Merge(Info{}, sources)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(doc) {
			t.Fatalf("not JSON: %s", doc)
		}
		if err := Validate(doc); err != nil {
			t.Fatalf("not valid: %v\nof %s\nbecame %s", err, raw, doc)
		}
		if contains(faults, "goroutine") || contains(faults, "nil pointer") || contains(faults, "out of range") {
			t.Fatalf("it fell over: %q\nof %s", faults, raw)
		}
	}
}

// TestMutatedDocuments is a fuzzer of a few seconds that always does the same.
func TestMutatedDocuments(t *testing.T) {
	all := seeds(t)
	random := rand.New(rand.NewPCG(1, 2))
	for range 600 {
		script := make([]byte, 4*(1+random.IntN(6)))
		for i := range script {
			script[i] = byte(random.Uint32())
		}
		checkMerge(t, mutated(t, all[random.IntN(len(all))], script))
	}
}

func FuzzOperations(f *testing.F) {
	for _, raw := range seeds(f) {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := Parse(raw)
		if err != nil {
			if d != nil || err.Error() == "" {
				t.Errorf("%v, %v", d, err)
			}
			return
		}
		exposed, _ := d.Operations()
		all := append(exposed, d.Hidden()...)
		seen := map[string]bool{}
		for i, name := range RouteNames("svc", all) {
			if seen[strings.ToLower(name)] {
				t.Errorf("two routes are named %s", name)
			}
			seen[strings.ToLower(name)] = true
			o := all[i]
			expr := o.Template.Regex("/svc")
			re, err := regexp.Compile("^(?:" + expr[1:] + ")")
			if err != nil {
				t.Fatalf("%s %s: %v", o.Method, o.Path, err)
			}
			// The template matches itself with something for its parameters.
			path, ok := normal(o.Template.write(func(Part) string { return "x" }))
			if ok && !re.MatchString("/svc"+path) {
				t.Errorf("%s does not match %q", expr, "/svc"+path)
			}
			if p := o.Template.Priority(); p < 0 || p >= 1<<53 {
				t.Errorf("the priority of %s is %d", o.Path, p)
			}
		}
	})
}

func FuzzMerge(f *testing.F) {
	for _, raw := range seeds(f) {
		f.Add(raw)
	}
	f.Fuzz(checkMerge)
}

// FuzzMergeMutated keeps to documents that are JSON.
func FuzzMergeMutated(f *testing.F) {
	all := seeds(f)
	for i := range all {
		f.Add(uint16(i), []byte("seed"))
	}
	f.Fuzz(func(t *testing.T, seed uint16, script []byte) {
		checkMerge(t, mutated(t, all[int(seed)%len(all)], script))
	})
}

func FuzzChanges(f *testing.F) {
	all := seeds(f)
	for i, raw := range all {
		f.Add(raw, all[(i+1)%len(all)])
		f.Add(raw, []byte(strings.Replace(string(raw), `"string"`, `"integer"`, 1)))
	}
	f.Fuzz(func(t *testing.T, before, after []byte) { checkChanges(t, before, after) })
}

// FuzzChangesMutated compares a document with what becomes of it.
func FuzzChangesMutated(f *testing.F) {
	all := seeds(f)
	for i := range all {
		f.Add(uint16(i), []byte("seed"))
	}
	f.Fuzz(func(t *testing.T, seed uint16, script []byte) {
		raw := all[int(seed)%len(all)]
		checkChanges(t, raw, mutated(t, raw, script))
	})
}

func checkChanges(t *testing.T, before, after []byte) {
	t.Helper()
	a, err := Parse(before)
	if err != nil {
		return
	}
	b, err := Parse(after)
	if err != nil {
		return
	}
	changes, err := Changes(a, b)
	if err != nil {
		t.Errorf("%v", err)
	}
	for _, c := range changes {
		if c.Code == "" || c.Text == "" || c.Level != LevelInfo && c.Level != LevelWarning && c.Level != LevelBreaking {
			t.Errorf("%+v", c)
		}
	}
}

package apidoc

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// seeds are documents for fuzzers to begin with: small ones of the world, and
// some of the odd ones of other tests.
func seeds(f *testing.F) [][]byte {
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
	other, err := Parse([]byte(document(1, `"paths":{"/a":{"get":{"tags":["open"],`+answers+`}}}`)))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := Parse(raw)
		if err != nil {
			return
		}
		for _, sources := range [][]Source{{{Name: "svc", Document: d, Auth: "jwt"}}, {{Name: "svc", Document: d}, {Name: "other", Document: other}}} {
			doc, _, err := Merge(Info{}, sources)
			if err != nil {
				t.Fatal(err)
			}
			if !json.Valid(doc) {
				t.Fatalf("not JSON: %s", doc)
			}
			if err := Validate(doc); err != nil {
				t.Errorf("not valid: %v\n%s", err, doc)
			}
		}
	})
}

func FuzzChanges(f *testing.F) {
	all := seeds(f)
	for i, raw := range all {
		f.Add(raw, all[(i+1)%len(all)])
		f.Add(raw, []byte(strings.Replace(string(raw), `"string"`, `"integer"`, 1)))
	}
	f.Fuzz(func(t *testing.T, before, after []byte) {
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
	})
}

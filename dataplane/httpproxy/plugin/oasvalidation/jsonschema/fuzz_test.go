package jsonschema

import (
	"testing"
)

// FuzzCheck checks any value against any schema: neither may do harm, and what
// is found does not depend on what is told.
func FuzzCheck(f *testing.F) {
	for i, schema := range keywordSchemas {
		f.Add(`{"schema":`+schema+`}`, keywordValues[i%len(keywordValues)], i%2 == 0)
	}
	f.Add(`{"schema":{"anyOf":[{"$ref":"#/schema"},{"items":{"$ref":"#/schema"}}]}}`, `[[[]]]`, true)
	f.Fuzz(func(t *testing.T, document, value string, older bool) {
		doc, err := Decode([]byte(document))
		root, ok := doc.(map[string]any)
		if err != nil || !ok {
			return
		}
		v, err := Decode([]byte(value))
		if err != nil {
			return
		}
		version := OpenAPI31
		if older {
			version = OpenAPI30
		}
		set := NewSet(root, version)
		s := set.At("#/schema", root["schema"])
		if set.Finish() != nil {
			return
		}
		o := Options{Direction: Request, Size: len(value)}
		first := s.Check(v, o)
		o.All = true
		all := s.Check(v, o)
		complex := func(faults []Fault) bool { return len(faults) == 1 && faults[0].TooComplex() }
		if complex(first) || complex(all) {
			return
		}
		if (first == nil) != (all == nil) || s.Fits(v, o) != (all == nil) {
			t.Errorf("%s fits %s: %+v at first, %+v in all", value, document, first, all)
		}
		for i := range all {
			_ = all[i].Message()
		}
		o.Lenient = true
		s.Check(v, o)
		Read(value, s, o)
	})
}

package apidoc

import (
	"testing"
	"time"
)

func TestDocumentsOfTheWorld(t *testing.T) {
	for _, name := range samples(t) {
		t.Run(name, func(t *testing.T) {
			d := parsed(t, optIn(t, sample(t, name)))
			ops, faults := d.Operations()
			start := time.Now()
			raw, doc, f := merged(t, Source{Name: "svc", Document: d, Auth: "jwt"})
			took := time.Since(start)
			n := 0
			for _, item := range doc["paths"].(map[string]any) {
				for m := range item.(map[string]any) {
					if m != "parameters" && m != "summary" && m != "description" {
						n++
					}
				}
			}
			t.Log(d.OpenAPI, "ops", len(ops), "shown", n, "faults", faults, f, took, len(raw))
			if len(raw) < 2_000_000 {
				start = time.Now()
				if err := Validate(raw); err != nil {
					t.Errorf("%v", err)
				}
				t.Log(time.Since(start))
			}
		})
	}
}

package apidoc

import (
	"fmt"
	"strings"
	"testing"
)

// shownOperations are the operations of a merged document, as "GET /path".
func shownOperations(doc map[string]any) map[string]map[string]any {
	shown := map[string]map[string]any{}
	paths, _ := doc["paths"].(map[string]any)
	for path, item := range paths {
		for _, method := range methods {
			if op, ok := at(item, method).(map[string]any); ok {
				shown[strings.ToUpper(method)+" "+path] = op
			}
		}
	}
	return shown
}

// The documents of testdata are what frameworks write and people publish. All
// of their operations are to be shown, and what comes out is to be valid for
// kin-openapi and by the schemas of the OpenAPI Initiative.
func TestDocumentsOfTheWorld(t *testing.T) {
	names := samples(t)
	if len(names) < 50 {
		t.Fatalf("there are %d documents", len(names))
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			d := parsed(t, optIn(t, sample(t, name)))
			exposed, _ := d.Operations()
			raw, doc, faults := merged(t, Source{Name: "svc", Document: d, Auth: "key-auth"})
			operations := shownOperations(doc)
			if len(operations) != len(exposed) {
				t.Errorf("%d of %d operations are shown: %q", len(operations), len(exposed), faults)
			}
			for _, o := range exposed {
				sameProse(t, o, operations)
			}
			if name == "octokit-github" {
				// kin-openapi takes minutes over all of it.
				if problems := againstSchema(0, raw); len(problems) > 0 {
					t.Errorf("not valid: %v", problems)
				}
			} else if err := Validate(raw); err != nil {
				t.Errorf("not valid: %v", err)
			}
		})
	}
}

// sameProse checks that an operation is shown with what its document says.
func sameProse(t *testing.T, o Operation, operations map[string]map[string]any) {
	t.Helper()
	for _, op := range operations {
		if at(op, "summary") == o.op.get("summary") && at(op, "description") == o.op.get("description") && at(op, "deprecated") == o.op.get("deprecated") {
			if protected := op["security"] != nil; protected == o.Protected {
				return
			}
		}
	}
	t.Errorf("%s %s is not shown as it is", o.Method, o.Path)
}

func TestDocumentsOfTheWorldMerged(t *testing.T) {
	var sources []Source
	total := 0
	for i, name := range samples(t) {
		if name == "octokit-github" {
			continue
		}
		d := parsed(t, optIn(t, sample(t, name)))
		exposed, _ := d.Operations()
		total += len(exposed)
		sources = append(sources, Source{Name: fmt.Sprintf("%s.%d", name, i), Document: d, Auth: []string{"jwt", "key-auth", "basic-auth"}[i%3]})
	}
	raw, doc, _ := merged(t, sources...)
	if n := len(shownOperations(doc)); n != total || total < 500 {
		t.Errorf("%d of %d operations are shown", n, total)
	}
	if err := Validate(raw); err != nil {
		t.Errorf("not valid: %v", err)
	}
	again := parsed(t, raw)
	if again.Title != "Gateway" || again.OpenAPI != "3.1.0" {
		t.Errorf("it is %q of %s", again.Title, again.OpenAPI)
	}
}

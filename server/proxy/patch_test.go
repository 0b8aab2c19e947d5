package proxy

import (
	"encoding/json"
	"reflect"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/backplane/backplane/internal/errs"
)

func parsed(t testing.TB, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

const patchedDocument = `{"data":{"id":"svc","type":"services","attributes":{"parameters":{"a":1,"b":null}},"relationships":{"servers":{"data":[{"id":"x"},{"id":"y"}]}}}}`

// TestPatch: all operations, and what they leave of a document (RFC 6902,
// section 4).
func TestPatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		operations, want string
		reason           errs.Reason
	}{
		{`[]`, patchedDocument, ""},
		{`[{"op":"replace","path":"/attributes/parameters/a","value":2}]`, `{"data":{"id":"svc","type":"services","attributes":{"parameters":{"a":2,"b":null}},"relationships":{"servers":{"data":[{"id":"x"},{"id":"y"}]}}}}`, ""},
		{`[{"op":"copy","from":"/attributes/parameters/a","path":"/attributes/parameters/c"},{"op":"remove","path":"/relationships/servers/data/0"}]`,
			`{"data":{"id":"svc","type":"services","attributes":{"parameters":{"a":1,"b":null,"c":1}},"relationships":{"servers":{"data":[{"id":"y"}]}}}}`, ""},
		{`[{"op":"move","from":"/data/relationships/servers/data/1","path":"/data/relationships/servers/data/0"}]`,
			`{"data":{"id":"svc","type":"services","attributes":{"parameters":{"a":1,"b":null}},"relationships":{"servers":{"data":[{"id":"y"},{"id":"x"}]}}}}`, ""},
		{`[{"op":"test","path":"/data/attributes/parameters/b","value":null}]`, patchedDocument, ""},
		{`[{"op":"test","path":"/data/id","value":"other"}]`, "", errs.TestFailed},
		{`[{"op":"remove","path":"/data/nothing"}]`, "", errs.BadRequest},
		{`[{"op":"replace","path":"/nothing/at/all","value":1}]`, "", errs.BadRequest},
		{`[{"op":"add","path":"/data/relationships/servers/data/9","value":1}]`, "", errs.BadRequest},
		{`[{"op":"add","path":"/data/relationships/servers/data/-1","value":1}]`, "", errs.BadRequest},
		{`[{"op":"fly","path":"/data"}]`, "", errs.BadRequest},
		{`[{"path":"/data"}]`, "", errs.BadRequest},
		{`["add"]`, "", errs.BadRequest},
		{`[null]`, "", errs.BadRequest},
	} {
		got, err := patch(parsed(t, patchedDocument).(map[string]any), parsed(t, c.operations).([]any))
		switch {
		case c.reason != "":
			if err == nil || errs.Convert(err).Reason != c.reason {
				t.Errorf("%s: %v, %v, want %s", c.operations, got, err, c.reason)
			}
		case err != nil || !reflect.DeepEqual(got, parsed(t, c.want)):
			t.Errorf("%s: %v, %v, want %s", c.operations, got, err, c.want)
		}
	}
}

// TestPatchTellsWhatIsGone: what a patch removes is reset, not left alone.
func TestPatchTellsWhatIsGone(t *testing.T) {
	t.Parallel()
	v, err := structpb.NewValue(parsed(t, `[{"op":"remove","path":"/attributes/parameters/a"},{"op":"remove","path":"/relationships/servers"}]`))
	if err != nil {
		t.Fatal(err)
	}
	b, err := readChange(v, func() map[string]any { return parsed(t, patchedDocument).(map[string]any) })
	if err != nil {
		t.Fatal(err)
	}
	if a, there := b.parameters["a"]; !there || a != nil {
		t.Errorf("a removed parameter is %v, %v", a, there)
	}
	if names, there := b.relations[servers]; !there || len(names) != 0 {
		t.Errorf("a removed relationship is %v, %v", names, there)
	}
}

// FuzzBody: whatever a client sends is read or refused.
func FuzzBody(f *testing.F) {
	for _, text := range []string{
		patchedDocument, `{"data":null}`, `[{"op":"test","path":"","value":1}]`, `[{"op":"test","path":"","valuE":1}]`, `[{"op":"add","path":"/data/relationships/servers/data/-","value":{"id":"z"}}]`,
		`[{"op":"copy","from":"","path":"/data/x"}]`, `[{"op":"replace","path":"/data","value":[]}]`, `{"data":{"relationships":{"servers":{"data":[[]]}}}}`, `7`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var v any
		if json.Unmarshal([]byte(text), &v) != nil {
			return
		}
		value, err := structpb.NewValue(v)
		if err != nil {
			return
		}
		b, err := readChange(value, func() map[string]any { return parsed(t, patchedDocument).(map[string]any) })
		if err != nil {
			if r := errs.Convert(err).Reason; r != errs.BadRequest && r != errs.ValidationFailed && r != errs.TestFailed {
				t.Errorf("%s: %v", text, err)
			}
			return
		}
		for _, relation := range b.order {
			for _, name := range b.relations[relation] {
				if name == "" {
					t.Errorf("%s: a member of %s has no name", text, relation)
				}
			}
		}
		b.newName(services) //nolint:errcheck // it must not panic
	})
}

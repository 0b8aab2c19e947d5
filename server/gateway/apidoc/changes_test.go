package apidoc

import (
	"fmt"
	"strings"
	"testing"
)

// change tells the changes from one document of version 3.y to another.
func change(t *testing.T, before, after string) []Change {
	t.Helper()
	changes, err := Changes(parsed(t, []byte(before)), parsed(t, []byte(after)))
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

// told finds a change by level, code, method and path.
func told(changes []Change, level Level, code, operation string) (Change, bool) {
	for _, c := range changes {
		if c.Level == level && c.Code == code && c.Method+" "+c.Path == operation {
			return c, true
		}
	}
	return Change{}, false
}

func TestChangesOfOperations(t *testing.T) {
	for name, c := range map[string]struct {
		before, after   string
		level           Level
		code, operation string
	}{
		"one goes":                {`"/a":{"get":{"tags":["open"]},"put":{"tags":["open"]}}`, `"/a":{"put":{"tags":["open"]}}`, LevelBreaking, "api-removed-without-deprecation", "GET /a"},
		"a path goes":             {`"/a":{"get":{"tags":["open"]}}`, ``, LevelBreaking, "api-path-removed-without-deprecation", "GET /a"},
		"one that was deprecated": {`"/a":{"get":{"tags":["open"],"deprecated":true}}`, ``, LevelInfo, "api-path-removed-with-deprecation", "GET /a"},
		"one is not exposed now":  {`"/a":{"get":{"tags":["open"]}}`, `"/a":{"get":{"tags":["plain"]}}`, LevelBreaking, "api-path-removed-without-deprecation", "GET /a"},
		"one comes":               {``, `"/a":{"get":{"tags":["open"]}}`, LevelInfo, "endpoint-added", "GET /a"},
		"one is exposed now":      {`"/a":{"get":{}}`, `"/a":{"get":{"tags":["open"]}}`, LevelInfo, "endpoint-added", "GET /a"},
		"one is protected now":    {`"/a":{"get":{"tags":["open"]}}`, `"/a":{"get":{"tags":["closed"]}}`, LevelBreaking, CodeProtected, "GET /a"},
		"one is open now":         {`"/a":{"get":{"tags":["closed"]}}`, `"/a":{"get":{"tags":["open"]}}`, LevelInfo, CodeUnprotected, "GET /a"},
		"a parameter is needed": {`"/a":{"get":{"tags":["open"]}}`, `"/a":{"get":{"tags":["open"],"parameters":[{"name":"q","in":"query","required":true,"schema":{"type":"string"}}]}}`,
			LevelBreaking, "new-required-request-parameter", "GET /a"},
		"a type is another": {`"/a":{"post":{"tags":["open"],"requestBody":{"content":{"application/json":{"schema":{"type":"string"}}}}}}`,
			`"/a":{"post":{"tags":["open"],"requestBody":{"content":{"application/json":{"schema":{"type":"integer"}}}}}}`, LevelBreaking, "request-body-type-changed", "POST /a"},
		"what cannot be read changes": {`"/a":{"get":{"tags":["open"],"parameters":{}}}`, `"/a":{"get":{"tags":["open"],"parameters":{"x":1}}}`, LevelWarning, CodeChanged, "GET /a"},
		"what can be read no more":    {`"/a":{"get":{"tags":["open"]}}`, `"/a":{"get":{"tags":["open"],"parameters":{}}}`, LevelWarning, CodeChanged, "GET /a"},
	} {
		changes := change(t, document(0, `"paths":{`+c.before+`}`), document(0, `"paths":{`+c.after+`}`))
		found, ok := told(changes, c.level, c.code, c.operation)
		if !ok || len(changes) != 1 || len(strings.Fields(found.Text)) < 2 {
			t.Errorf("%s: %+v", name, changes)
		}
	}
}

func TestWhatDoesNotMatterIsNoChange(t *testing.T) {
	const paths = `"/a/{id}":{"get":{"tags":["open"],"summary":"Old","responses":{"200":{"description":"old","content":{"application/json":{"schema":{"$ref":"#/components/schemas/A"},"example":1}}}}}}`
	before := document(0, `"paths":{`+paths+`,"/hidden":{"get":{}}},"components":{"schemas":{"A":{"type":"integer","description":"old"},"B":{"type":"string"}}}`)
	for name, after := range map[string]string{
		"nothing":                    before,
		"white space":                before + " \n",
		"words":                      strings.NewReplacer(`"Old"`, `"New"`, `"old"`, `"new"`, `"example":1`, `"example":2`).Replace(before),
		"a hidden operation":         strings.Replace(before, `"/hidden":{"get":{}}`, `"/hidden":{"get":{"parameters":7}},"/more":{"put":{}}`, 1),
		"the name of a parameter":    strings.Replace(before, `{id}`, `{item}`, 1),
		"what nobody refers to":      strings.Replace(before, `"B":{"type":"string"}`, `"B":{"type":"object"}`, 1),
		"the version of OpenAPI":     strings.Replace(before, `"3.0.0"`, `"3.1.0"`, 1),
		"the version of the service": strings.Replace(before, `"version":"1"`, `"version":"2"`, 1),
		"servers and security":       strings.Replace(before, `"paths"`, `"servers":[{"url":"http://a"}],"security":[{"k":[]}],"paths"`, 1),
	} {
		if changes := change(t, before, after); len(changes) > 0 {
			t.Errorf("%s: %+v", name, changes)
		}
	}
}

func TestNullableIsTheSameInAllVersions(t *testing.T) {
	schema := func(minor int, s string) string {
		return document(minor, `"paths":{"/a":{"get":{"tags":["open"],"responses":{"200":{"description":"","content":{"application/json":{"schema":`+s+`}}}}}}}`)
	}
	before := schema(0, `{"type":"object","properties":{"a":{"type":"string","nullable":true,"example":"x"},"b":{"type":"number","minimum":1,"exclusiveMinimum":true}}}`)
	after := schema(1, `{"type":"object","properties":{"a":{"type":["string","null"],"examples":["x"]},"b":{"type":"number","exclusiveMinimum":1}}}`)
	if changes := change(t, before, after); len(changes) > 0 {
		t.Errorf("%+v", changes)
	}
}

func TestChangesInWhatIsReferredTo(t *testing.T) {
	doc := func(kind string) string {
		return document(1, `"paths":{"/a":{"get":{"tags":["open"],"responses":{"200":{"$ref":"#/components/responses/R"}}}},"/b":{"get":{"tags":["open"],`+answers+`}}},
		"components":{"responses":{"R":{"description":"","content":{"application/json":{"schema":{"$ref":"#/components/schemas/A"}}}}},
		"schemas":{"A":{"type":"object","properties":{"next":{"$ref":"#/components/schemas/A"},"value":{"$ref":"#/components/schemas/V"}}},"V":{"type":"`+kind+`"}}}`)
	}
	changes := change(t, doc("string"), doc("integer"))
	if _, ok := told(changes, LevelBreaking, "response-property-type-changed", "GET /a"); !ok {
		t.Errorf("%+v", changes)
	}
	for _, c := range changes {
		if c.Path != "/a" {
			t.Errorf("%s did not change: %+v", c.Path, c)
		}
	}
}

func TestChangesAreFoundWithinBounds(t *testing.T) {
	// Followed to the end there are 2^40 schemas.
	doc := func(kind string) string {
		var schemas strings.Builder
		for i := range 40 {
			fmt.Fprintf(&schemas, `"S%d":{"type":"object","properties":{"a":{"$ref":"#/components/schemas/S%d"},"b":{"$ref":"#/components/schemas/S%d"}}},`, i, i+1, i+1)
		}
		return document(1, `"paths":{"/a":{"get":{"tags":["open"],"responses":{"200":{"description":"","content":{"a/b":{"schema":{"$ref":"#/components/schemas/S0"}}}}}}}},
			"components":{"schemas":{`+schemas.String()+`"S40":{"type":"`+kind+`"}}}`)
	}
	changes := change(t, doc("string"), doc("integer"))
	if _, ok := told(changes, LevelWarning, CodeChanged, "GET /a"); !ok || len(changes) != 1 {
		t.Errorf("%+v", changes)
	}
}

func TestChangesOfDocumentsOfTheWorld(t *testing.T) {
	for _, name := range samples(t) {
		if name == "octokit-github" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			raw := optIn(t, sample(t, name))
			before := parsed(t, raw)
			exposed, _ := before.Operations()
			if len(exposed) == 0 {
				return
			}
			after := parsed(t, []byte(strings.Replace(string(raw), `"name":"open","`+flagExpose+`":true`, `"name":"open"`, 1)))
			gone := 0
			for _, o := range exposed {
				if !o.Protected {
					gone++
				}
			}
			changes, err := Changes(before, after)
			if err != nil || len(changes) != gone {
				t.Errorf("%d changes instead of %d: %+v %v", len(changes), gone, changes, err)
			}
			for _, c := range changes {
				if !strings.Contains(c.Code, "removed") {
					t.Errorf("%+v", c)
				}
			}
			if changes, err = Changes(after, before); err != nil || len(changes) != gone {
				t.Errorf("back again %d changes instead of %d: %+v %v", len(changes), gone, changes, err)
			}
		})
	}
}

package oasvalidation

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

// schemaOf is a document with one schema.
func schemaOf(version, schema string) string {
	return content(version, "application/json", `{"schema":`+schema+`}`)
}

func TestBadDocuments(t *testing.T) {
	for document, want := range map[string]string{
		"":                                     "cannot be read",
		"x":                                    "is no object",
		"[]":                                   "is no object",
		"{":                                    "cannot be read",
		"a: b: c":                              "cannot be read",
		`{"a":1}`:                              "it must be 3.0 or 3.1",
		`{"openapi":"4.0.0"}`:                  "it must be 3.0 or 3.1",
		`{"swagger":"2.0"}`:                    "has to be converted",
		`{"openapi":"3.0.0"}`:                  "#/paths: it must be an object",
		`{"openapi":"3.1.0","paths":[]}`:       "#/paths: it must be an object",
		strings.Repeat(`{"a":`, 300):           "nested too deep",
		api("3.0.0", `"a":{}`):                 `"a" must begin with a slash`,
		api("3.0.0", `"/a":1`):                 "#/paths/~1a: it must be an object",
		api("3.0.0", `"/{a":{"get":{}}`):       "braces",
		api("3.0.0", `"/{a}{b}":{}`):           "between two parameters",
		api("3.0.0", `"/a":{"get":1}`):         "#/paths/~1a/get: it must be an object",
		api("3.0.0", `"/a":{"$ref":"#/x"}`):    `#/paths/~1a: $ref "#/x" leads nowhere`,
		api("3.0.0", `"/a":{"$ref":"b.yaml"}`): "leads out of the document",
		api("3.0.0", `"/a":{"$ref":"#/paths/~1a"}`):                                             "its references do not end",
		api("3.0.0", `"/a":{"get":{"parameters":{}}}`):                                          "#/paths/~1a/get/parameters: it must be an array",
		api("3.0.0", `"/a":{"get":{"parameters":[{"in":"query"}]}}`):                            "parameters/0: it has no name",
		api("3.0.0", `"/a":{"get":{"parameters":[{"in":"body","name":"p"}]}}`):                  `it cannot be in "body"`,
		api("3.0.0", `"/a":{"get":{"parameters":[{"in":"query","name":"p","style":"label"}]}}`): `cannot have the style "label"`,
		api("3.0.0", `"/a":{"get":{"requestBody":1}}`):                                          "requestBody: it must be an object",
		api("3.0.0", `"/a":{"get":{"responses":{"200":1}}}`):                                    "responses/200: it must be an object",
		schemaOf("3.0.0", `1`):                                     "a schema must be an object",
		schemaOf("3.0.0", `{"type":"strin"}`):                      `type must be one of null, boolean, integer, number, string, array, object, and is "strin"`,
		schemaOf("3.0.0", `{"type":["string",1]}`):                 "type must be an array of strings",
		schemaOf("3.0.0", `{"properties":[]}`):                     "properties must be an object with schemas",
		schemaOf("3.0.0", `{"properties":{"a":{"maxLength":-1}}}`): "schema/properties/a: maxLength must be a number of things",
		schemaOf("3.0.0", `{"required":true}`):                     "required must be an array of strings",
		schemaOf("3.0.0", `{"minimum":"1"}`):                       "minimum must be a number",
		schemaOf("3.0.0", `{"multipleOf":0}`):                      "multipleOf must be greater than 0",
		schemaOf("3.0.0", `{"allOf":{}}`):                          "allOf must be an array of schemas",
		schemaOf("3.0.0", `{"enum":1}`):                            "enum must be an array",
		schemaOf("3.0.0", `{"$ref":"#/components/schemas/A"}`):     `$ref "#/components/schemas/A" leads nowhere`,
		schemaOf("3.0.0", `{"$ref":"http://127.0.0.1/x#/A"}`):      "leads out of the document",
		schemaOf("3.0.0", `{"$ref":1}`):                            "$ref must be a string",
		schemaOf("3.1.0", `{"$ref":"#nowhere"}`):                   "leads nowhere",
		schemaOf("3.0.0", `{"oneOf":[{}],"discriminator":"x"}`):    "discriminator must be an object with a propertyName",
		"openapi: 3.0.0\npaths: {? [a] : b}":                       "a key must be a text",
		"openapi: 3.0.0\npaths: &a {/a: *a}":                       "nested too deep",
		"openapi: 3.0.0\nb: &a [" + strings.Repeat("x,", 1000) + "]\nc: &c [" + strings.Repeat("*a,", 100) + "]\npaths: {/d: [" + strings.Repeat("*c,", 100) + "]}": "aliases stand for too much",
	} {
		err := Check(document)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.200s: %v, not %s", document, err, want)
		}
	}
}

// A configuration with a bad document is refused, with what is wrong.
func TestConfigurations(t *testing.T) {
	r := configSchema()
	for config, want := range map[string]string{
		`{}`:                                     "api_spec: required field missing",
		`{"api_spec":"{\"openapi\":\"3.0.0\"}"}`: "schema violation (api_spec: #/paths: it must be an object)",
		`{"api_spec":"{\"openapi\":\"3.0.0\",\"paths\":{}}"}`:                                "",
		`{"api_spec":"{\"openapi\":\"3.0.0\",\"paths\":{}}","prefix":"users"}`:               "prefix: should start with: /",
		`{"api_spec":"{\"openapi\":\"3.0.0\",\"paths\":{}}","max_body":0}`:                   "max_body",
		`{"api_spec":"{\"openapi\":\"3.0.0\",\"paths\":{}}","coercion":"x"}`:                 "expected one of: strict, pydantic",
		`{"api_spec":"{\"openapi\":\"3.0.0\",\"paths\":{}}","on_large_body":"x"}`:            "expected one of: refuse, pass",
		`{"api_spec":"{\"openapi\":\"3.0.0\",\"paths\":{}}","allowed_header_parameters":""}`: "",
	} {
		if got := gatewaytest.Violations(t, &r, config); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, not %q", config, got, want)
		}
	}
}

const yamlDocument = `
openapi: 3.0.3
info: {title: T, version: 1}
x-limits: &limits
  maximum: 0x10
  minimum: 1.0
paths:
  /a:
    get:
      parameters:
        - name: n
          in: query
          schema: {<<: *limits, type: integer}
        - name: d
          in: query
          schema: {type: string, enum: [2024-01-01, yes, ~]}
      responses:
        200: {description: ok}
`

func TestWaysToWriteDocuments(t *testing.T) {
	flow := `{openapi: 3.0.3, paths: {/a: {get: {parameters: [{name: n, in: query, schema: {type: integer, maximum: 16, minimum: 1}}]}}}}`
	asJSON := `{"openapi":"3.0.3","paths":{"/a":{"get":{"parameters":[{"name":"n","in":"query","schema":{"type":"integer","maximum":16,"minimum":1}}]}}}}`
	for name, document := range map[string]string{
		"YAML": yamlDocument, "flow": flow, "JSON": asJSON, "with a mark": "\ufeff" + asJSON,
		"encoded YAML": url.QueryEscape(yamlDocument), "encoded JSON": url.PathEscape(asJSON),
	} {
		for query, status := range map[string]int{"n=1": 200, "n=16": 200, "n=17": 400, "n=0": 400, "n=x": 400} {
			if res := start(t, document, nil).Get("/a?" + query); res.StatusCode != status {
				t.Errorf("%s: %s: %s", name, query, res.Text)
			}
		}
	}
	g := start(t, yamlDocument, nil)
	for query, status := range map[string]int{"d=2024-01-01": 200, "d=yes": 200, "d=true": 400} {
		if res := g.Get("/a?" + query); res.StatusCode != status {
			t.Errorf("%s: %s", query, res.Text)
		}
	}
	r := configSchema()
	encoded := `{"api_spec_encoded":false,"api_spec":"` + url.QueryEscape(asJSON) + `"}`
	if got := gatewaytest.Violations(t, &r, encoded); !strings.Contains(got, "cannot be read") {
		t.Errorf("an encoded document where it must not be: %q", got)
	}
}

func TestPaths(t *testing.T) {
	number := `{"parameters":[{"name":"%","in":"path","required":true,"schema":{"type":"integer"}}]}`
	get := func(name string) string { return `{"get":` + strings.ReplaceAll(number, "%", name) + `}` }
	document := api("3.0.3", `"/":{"get":{}},"/a":{"get":{}},"/a/":{"post":{}},"/a/b":{"get":{}},"/a/{x}":`+get("x")+`,"/a/{x}/c":`+get("x")+`,"/a/b/{y}":`+get("y")+`,
		"/f/{n}.json":`+get("n")+`,"/f/v{n}.json":`+get("n")+`,"/f/{k}-{n}":`+get("n")+`,"/dots/{k}.{n}":`+get("n")+`,"/dots/{k}..{n}/x":`+get("n")+`,"/é/{n}":`+get("n")+`,"/a/{z}/d":{"delete":`+strings.ReplaceAll(number, "%", "z")+`},
		"/r":{"$ref":"#/paths/~1a~1%7Bx%7D"},"x-a":1,"/h":{"get":{},"head":{"parameters":[{"name":"q","in":"query","required":true,"schema":{}}]},"parameters":[]}`)
	g := start(t, document, settings{"unknown_operation": "refuse", "verbose_response": true})
	for _, c := range []struct {
		call   string
		status int
		allow  string
	}{
		{"GET /", 200, ""}, {"GET /a", 200, ""}, {"HEAD /a", 200, ""}, {"GET /a/", 405, "POST"}, {"POST /a/", 200, ""}, {"POST /a", 405, "GET, HEAD"},
		{"GET /a/b", 200, ""}, {"GET /a/5", 200, ""}, {"GET /a/x", 400, ""}, {"GET /a/5/c", 200, ""}, {"GET /a/b/5", 200, ""}, {"GET /a/b/x", 400, ""},
		{"GET /a/b/c", 400, ""}, {"GET /a/5/e", 404, ""}, {"GET /nothing", 404, ""}, {"GET /a/5/c/", 404, ""}, {"DELETE /a/5/d", 200, ""}, {"GET /a/x/d", 405, "DELETE"},
		{"GET /f/5.json", 200, ""}, {"GET /f/x.json", 400, ""}, {"GET /f/v5.json", 200, ""}, {"GET /f/a-5", 200, ""}, {"GET /f/a-x", 400, ""}, {"GET /f/-5", 404, ""},
		{"GET /dots/a.5", 200, ""}, {"GET /dots/a.x", 400, ""}, {"GET /dots/a", 404, ""}, {"GET /dots/a..5/x", 200, ""}, {"GET /dots/a..b/x", 400, ""}, {"GET /dots/a.5/x", 404, ""},
		{"GET /%C3%A9/5", 200, ""}, {"GET /%c3%a9/x", 400, ""}, {"GET /a/../a/5", 200, ""}, {"GET //a", 200, ""}, {"GET /a/5%2Fc", 400, ""},
		{"GET /r", 200, ""}, {"GET /h", 200, ""}, {"HEAD /h", 400, ""}, {"HEAD /h?q", 200, ""}, {"OPTIONS /a", 405, "GET, HEAD"},
	} {
		method, path, _ := strings.Cut(c.call, " ")
		res := g.Do(method, path, "")
		if res.StatusCode != c.status || res.Header.Get("Allow") != c.allow {
			t.Errorf("%s: %s %q %s", c.call, res.Status, res.Header.Get("Allow"), res.Text)
		}
	}
	for call, status := range map[string]int{"GET /nothing": 200, "POST /a": 200, "GET /a/x": 400} {
		method, path, _ := strings.Cut(call, " ")
		if res := start(t, document, nil).Do(method, path, ""); res.StatusCode != status {
			t.Errorf("%s: %s", call, res.Status)
		}
	}
}

func TestBasePaths(t *testing.T) {
	const paths = `"paths":{"/a":{"get":{}},"/b":{"servers":[{"url":"/own"}],"get":{}}}}`
	document := `{"openapi":"3.0.3","servers":[{"url":"https://x.test/v1/"},{"url":"https://{h}/{v}","variables":{"h":{"default":"y.test"},"v":{"default":"v2"}}}],` + paths
	for _, c := range []struct {
		settings  settings
		good, bad string
	}{
		{settings{}, "/a /b", "/v1/a /own/b"},
		{settings{"include_base_path": true}, "/v1/a /v2/a /own/b", "/a /v1/b /b"},
		{settings{"include_base_path": true, "custom_base_path": "/c/"}, "/c/a /c/b", "/a /v1/a"},
		{settings{"custom_base_path": "/c"}, "/a", "/c/a"},
		{settings{"prefix": "/users"}, "/users/a", "/a /usersa /users /users/users/a"},
		{settings{"prefix": "/users/", "include_base_path": true}, "/users/v1/a", "/v1/a"},
	} {
		c.settings["unknown_operation"] = "refuse"
		g := start(t, document, c.settings)
		for path := range strings.FieldsSeq(c.good) {
			if res := g.Get(path); res.StatusCode != http.StatusOK || res.Asked(t).Target != path {
				t.Errorf("%v: %s: %s", c.settings, path, res.Text)
			}
		}
		for path := range strings.FieldsSeq(c.bad) {
			if res := g.Get(path); res.StatusCode != http.StatusNotFound {
				t.Errorf("%v: %s: %s", c.settings, path, res.Status)
			}
		}
	}
}

// References to all that can be referred to, and schemas that refer to
// themselves.
func TestReferences(t *testing.T) {
	document := `{"openapi":"3.1.0","paths":{"/a":{"parameters":[{"$ref":"#/components/parameters/Q"}],"post":{"requestBody":{"$ref":"#/components/requestBodies/B"},
		"responses":{"200":{"$ref":"#/components/responses/R"}}}}},
		"components":{"parameters":{"Q":{"$ref":"#/components/parameters/P"},"P":{"name":"q","in":"query","schema":{"$ref":"#/components/schemas/Small"}}},
		"requestBodies":{"B":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/Tree","maxProperties":2}}}}},
		"responses":{"R":{"content":{"application/json":{"schema":{"$ref":"#anchored"}}}}},
		"schemas":{"Small":{"type":"integer","maximum":9},"Tree":{"type":"object","required":["v"],"properties":{"v":{"$ref":"#/components/schemas/Small"},
		"next":{"$ref":"#/components/schemas/Tree"},"all":{"type":"array","items":{"$ref":"#/components/schemas/Tree"}}}},"A~1":{"$anchor":"anchored","type":"object"},
		"Self":{"$ref":"#/components/schemas/Self"}}}}`
	g := start(t, document, settings{"verbose_response": true, "validate_response_body": true})
	for body, want := range map[string]string{
		`{"v":1}`: "", `{"v":1,"next":{"v":2,"next":{"v":3}}}`: "", `{"v":1,"all":[{"v":2},{"v":3,"all":[]}]}`: "",
		`{"v":10}`: "request body validation failed with error: 'v: it must be at most 9'",
		`{"v":1,"next":{"v":2,"next":{"v":"x"}}}`: "request body validation failed with error: 'next.next.v: it must be of type integer'",
		`{"v":1,"all":[{"v":2},{"all":[]}]}`:      "request body validation failed with error: 'all[1].v: it is required'",
		`{"v":1,"a":1,"b":1}`:                     "request body validation failed with error: 'it must have at most 2 properties'",
	} {
		res := g.Do(http.MethodPost, "/a?q=9", body, "Content-Type", "application/json")
		if want == "" && res.StatusCode != http.StatusOK || want != "" && res.JSON(t)["message"] != want {
			t.Errorf("%s: %s %s", body, res.Status, res.Text)
		}
	}
	if res := g.Do(http.MethodPost, "/a?q=10", `{"v":1}`); res.StatusCode != http.StatusBadRequest {
		t.Errorf("a parameter that is referred to: %s", res.Status)
	}
}

// What documents of one version say that only the other one has.
func TestVersions(t *testing.T) {
	for _, c := range []struct {
		version, schema string
		good, bad       string
	}{
		{"3.0.3", `{"type":"string","nullable":true}`, `null "a"`, `1`},
		{"3.1.0", `{"type":"string","nullable":true}`, `"a"`, `null 1`},
		{"3.1.0", `{"type":["string","null"]}`, `null "a"`, `1`},
		{"3.0.3", `{"type":"integer","minimum":1,"exclusiveMinimum":true,"maximum":5,"exclusiveMaximum":true}`, `2 4`, `1 5`},
		{"3.0.3", `{"type":"integer","exclusiveMinimum":1,"exclusiveMaximum":5}`, `2 4`, `1 5`},
		{"3.1.0", `{"type":"integer","exclusiveMinimum":1,"exclusiveMaximum":5}`, `2 4`, `1 5`},
		{"3.0.3", `{"type":"array","minItems":2,"maxItems":2,"items":[{"type":"integer"},{"type":"string"}]}`, `[1,"a"]`, `["a",1] [1]`},
		{"3.0.3", `{"const":"a"}`, `"a"`, `"b"`},
		{"3.0.3", `{"$ref":"#/x-s","maxLength":1}`, `"aa"`, `1`},
		{"3.1.0", `{"$ref":"#/x-s","maxLength":1}`, `"a"`, `"aa" 1`},
		{"3.0.3", `{"pattern":"^(?=a)"}`, `"b"`, ``},
		{"3.0.3", `{"pattern":"^\\u0061\\/\\\\u$"}`, `"a/\\u"`, `"b"`},
		{"3.0.3", `{"oneOf":[{"$ref":"#/components/schemas/Cat"},{"$ref":"#/components/schemas/Dog"}],"discriminator":{"propertyName":"kind","mapping":{"c":"Cat","d":"#/components/schemas/Dog"}}}`,
			`{"kind":"c","n":1} {"kind":"d","n":"x"} {"kind":"Cat","n":1} {"kind":"e","n":1}`, `{"kind":"c","n":"x"} {"kind":"d","n":1} {"n":true}`},
	} {
		document := strings.TrimSuffix(schemaOf(c.version, c.schema), "}") + `,"x-s":{"type":"string"},"components":{"schemas":{
			"Cat":{"properties":{"n":{"type":"integer"}}},"Dog":{"properties":{"n":{"type":"string"}}}}}}`
		g := start(t, document, nil)
		for body := range strings.FieldsSeq(c.good) {
			if res := g.Do(http.MethodPost, "/a", body, "Content-Type", "application/json"); res.StatusCode != http.StatusOK {
				t.Errorf("%s %s: %s: %s", c.version, c.schema, body, res.Text)
			}
		}
		for body := range strings.FieldsSeq(c.bad) {
			if res := g.Do(http.MethodPost, "/a", body, "Content-Type", "application/json"); res.StatusCode != http.StatusBadRequest {
				t.Errorf("%s %s: %s: %s", c.version, c.schema, body, res.Status)
			}
		}
	}
}

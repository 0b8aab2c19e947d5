package apidoc

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// mergeOne merges a document of version 3.y with the given members as service "svc".
func mergeOne(t testing.TB, minor int, members string) (doc map[string]any, faults []string) {
	t.Helper()
	raw, doc, faults := merged(t, Source{Name: "svc", Document: parsed(t, []byte(document(minor, members))), Auth: "jwt"})
	if err := Validate(raw); err != nil {
		t.Errorf("not valid: %v\n%s", err, raw)
	}
	return doc, faults
}

const answers = `"responses":{"200":{"description":"fine"}}`

func TestOperationsAreCopied(t *testing.T) {
	doc, faults := mergeOne(t, 0, `"servers":[{"url":"http://upstream"}],"security":[{"key":[]}],
		"paths":{"/items/{id}":{"summary":"Items","servers":[{"url":"http://other"}],"x-item":[1],
			"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"integer"}}],
			"get":{"tags":["open","more"],"operationId":"get","summary":"One <item>","description":"ü","deprecated":true,"x-custom":{"$ref":"kept"},
				"security":[{"key":[]}],"servers":[{"url":"http://other"}],"externalDocs":{"url":"http://docs"},
				"parameters":[{"name":"q","in":"query","example":12345678901234567890,"schema":{"type":"number"}}],
				"responses":{"200":{"description":"fine","content":{"application/json":{"schema":{"type":"object"},"example":{"$ref":"#/data","big":1.10}}}}}},
			"delete":{"tags":["closed"],"responses":{"204":{"description":"gone"},"403":{"description":"mine"}}},
			"put":{"tags":["plain"],"operationId":"hidden",`+answers+`}}},
		"components":{"securitySchemes":{"key":{"type":"apiKey","in":"header","name":"k"}},"schemas":{"Unused":{"type":"string"}}}`)
	if len(faults) > 0 {
		t.Errorf("faults: %q", faults)
	}
	item := at(doc, "paths", "/svc/items/{id}")
	for path, want := range map[string]string{
		"get tags":         `["svc"]`,
		"get operationId":  `"svc_get"`,
		"get summary":      `"One \u003citem\u003e"`,
		"get description":  `"ü"`,
		"get deprecated":   `true`,
		"get x-custom":     `{"$ref":"kept"}`,
		"get externalDocs": `{"url":"http://docs"}`,
		"get security":     `null`,
		"get servers":      `null`,
		"get responses 200 content application/json": `{"example":{"$ref":"#/data","big":1.1},"schema":{"type":"object"}}`,
		"get responses 503":                          `{"$ref":"#/components/responses/_gateway_unavailable"}`,
		"get responses 403":                          `null`,
		"delete security":                            `[{"jwt":[]}]`,
		"delete responses 403":                       `{"description":"mine"}`,
		"put":                                        `null`,
		"servers":                                    `null`,
		"summary":                                    `"Items"`,
		"x-item":                                     `[1]`,
		"parameters":                                 `[{"in":"path","name":"id","required":true,"schema":{"type":"integer"}}]`,
	} {
		if got := shown(at(item, strings.Split(path, " ")...)); got != want {
			t.Errorf("%s is %s, not %s", path, got, want)
		}
	}
	for path, want := range map[string]string{
		"openapi": `"3.0.3"`, "servers": `[{"url":"/"}]`, "security": `null`, "components schemas": `null`,
		"tags":                       `[{"description":"Test 1","name":"svc"}]`,
		"components securitySchemes": `{"jwt":{"bearerFormat":"JWT","scheme":"bearer","type":"http"}}`,
	} {
		if got := shown(at(doc, strings.Split(path, " ")...)); got != want {
			t.Errorf("%s is %s, not %s", path, got, want)
		}
	}
}

func TestNumbersAreCopiedDigitByDigit(t *testing.T) {
	raw, _, _ := merged(t, Source{Name: "svc", Document: parsed(t, []byte(document(1, `"paths":{"/a":{"get":{"tags":["open"],
		"x-n":[12345678901234567890,1.10,1E5],`+answers+`}}}`)))})
	if !bytes.Contains(raw, []byte(`"x-n":[12345678901234567890,1.10,1E5]`)) {
		t.Errorf("%s", raw)
	}
}

func TestAuthPluginsBecomeSchemes(t *testing.T) {
	d := parsed(t, []byte(document(0, `"paths":{"/a":{"get":{"tags":["closed"],`+answers+`}}}`)))
	_, doc, _ := merged(t, Source{"a", d, "jwt"}, Source{"b", d, "key-auth"}, Source{"c", d, "basic-auth"}, Source{"d", d, ""})
	want := `{"basic-auth":{"scheme":"basic","type":"http"},"jwt":{"bearerFormat":"JWT","scheme":"bearer","type":"http"},"key-auth":{"in":"header","name":"apikey","type":"apiKey"}}`
	if got := shown(at(doc, "components", "securitySchemes")); got != want {
		t.Errorf("schemes are %s", got)
	}
	for name, want := range map[string]string{"a": `[{"jwt":[]}]`, "b": `[{"key-auth":[]}]`, "c": `[{"basic-auth":[]}]`, "d": `null`} {
		if got := shown(at(doc, "paths", "/"+name+"/a", "get", "security")); got != want {
			t.Errorf("of %s security is %s", name, got)
		}
	}
}

func TestComponentsAreCopiedUnderTheServicesName(t *testing.T) {
	doc, faults := mergeOne(t, 0, `"paths":{"/a":{
			"parameters":[{"$ref":"#/components/parameters/Trace"}],
			"post":{"tags":["open"],"requestBody":{"$ref":"#/components/requestBodies/Body"},
			"responses":{"200":{"$ref":"#/components/responses/Fine"}},
			"callbacks":{"done":{"$ref":"#/components/callbacks/Done"}}}}},
		"components":{
			"parameters":{"Trace":{"name":"X-Trace","in":"header","schema":{"$ref":"#/components/schemas/Id"},"examples":{"one":{"$ref":"#/components/examples/One"}}}},
			"requestBodies":{"Body":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/Node"}}}}},
			"responses":{"Fine":{"description":"fine","headers":{"X-A":{"$ref":"#/components/headers/A"}},"links":{"again":{"$ref":"#/components/links/Again"}}}},
			"headers":{"A":{"schema":{"$ref":"#/components/schemas/Id"}}},
			"links":{"Again":{"operationRef":"#/paths/~1a/post"}},
			"examples":{"One":{"value":"x1"}},
			"callbacks":{"Done":{"{$request.body#/url}":{"post":{"tags":["a"],"operationId":"cb","security":[],"requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/Node"}}}},`+answers+`}}}},
			"schemas":{"Id":{"type":"string"},"Unused":{"type":"object"},
				"Node":{"type":"object","properties":{"id":{"$ref":"#/components/schemas/Id"},"next":{"$ref":"#/components/schemas/Node"},"$ref":{"type":"string"},
					"deep":{"allOf":[{"not":{"anyOf":[{"oneOf":[{"items":{"additionalProperties":{"$ref":"#/components/schemas/Odd%20Name~1%C3%A4"}},"type":"array"}]}]}}]}}},
				"Odd Name/ä":{"type":"integer"}}}`)
	if len(faults) > 0 {
		t.Errorf("faults: %q", faults)
	}
	names := []string{}
	for section, parts := range at(doc, "components").(map[string]any) {
		for name := range parts.(map[string]any) {
			names = append(names, section+"/"+name)
		}
	}
	slices.Sort(names)
	want := []string{
		"callbacks/svc_Done", "examples/svc_One", "headers/svc_A", "links/svc_Again", "parameters/svc_Trace", "requestBodies/svc_Body",
		"responses/_gateway_forbidden", "responses/_gateway_unavailable", "responses/svc_Fine", "schemas/svc_Id", "schemas/svc_Node", "schemas/svc_Odd_Name",
	}
	if !slices.Equal(names, want) {
		t.Errorf("components are %q", names)
	}
	for path, want := range map[string]string{
		"schemas svc_Node properties next":  `{"$ref":"#/components/schemas/svc_Node"}`,
		"schemas svc_Node properties $ref":  `{"type":"string"}`,
		"links svc_Again":                   `{"operationRef":"#/paths/~1svc~1a/post"}`,
		"parameters svc_Trace examples one": `{"$ref":"#/components/examples/svc_One"}`,
		"headers svc_A schema":              `{"$ref":"#/components/schemas/svc_Id"}`,
	} {
		if got := shown(at(at(doc, "components"), strings.Split(path, " ")...)); got != want {
			t.Errorf("%s is %s, not %s", path, got, want)
		}
	}
	if got := shown(at(doc, "components", "callbacks")); strings.Contains(got, "operationId") || strings.Contains(got, "tags") || strings.Contains(got, "security") {
		t.Errorf("the callback has what is the gateway's to tell: %s", got)
	}
}

func TestReferencesOfAllForms(t *testing.T) {
	doc, faults := mergeOne(t, 1, `"paths":{"/a/{x}":{"get":{"tags":["open"],"parameters":[{"name":"x","in":"path","required":true,"schema":{"$ref":"#anchor"}}],
			"responses":{"200":{"description":"fine","content":{"application/json":{"schema":{"type":"object","properties":{"inline":{"type":"string","const":"in"}}}}}},
			"default":{"description":"all","content":{"application/json":{"schema":{"type":"object","properties":{
				"property":{"$ref":"#/components/schemas/A/properties/b"},
				"through":{"$ref":"#/components/schemas/A/properties/c/properties/deep"},
				"path":{"$ref":"#/paths/~1a~1%7Bx%7D/get/responses/200/content/application~1json/schema/properties/inline"},
				"sibling":{"$ref":"#/components/schemas/C","description":"beside","default":{"deep":1}},
				"id":{"$ref":"https://example.com/d.json"},
				"idPart":{"$ref":"https://example.com/d.json#/$defs/e"},
				"dynamic":{"$dynamicRef":"#dyn"},
				"alias":{"$ref":"#/components/schemas/Alias"},
				"yes":{"$ref":"#/components/schemas/Yes"}}}}}}}}}},
		"components":{"schemas":{
			"A":{"type":"object","properties":{"b":{"type":"boolean"},"c":{"$ref":"#/components/schemas/C"}}},
			"C":{"type":"object","properties":{"deep":{"type":"number"}}},
			"N":{"$anchor":"anchor","type":"string","minLength":3},
			"D":{"$id":"https://example.com/d.json","$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{"e":{"$ref":"#/$defs/e"},"f":{"$ref":"d2.json"}},
				"$defs":{"e":{"type":"integer","maximum":5},"g":{"$id":"d2.json","type":"null"}}},
			"Dyn":{"$dynamicAnchor":"dyn","type":"object","properties":{"self":{"$dynamicRef":"#dyn"}}},
			"Alias":{"$ref":"#/components/schemas/C"},
			"Yes":true,
			"Pydantic":{"type":"object","properties":{"x":{"$ref":"#/$defs/X"}},"$defs":{"X":{"type":"string","enum":["x"]}}}}}`)
	if len(faults) > 0 {
		t.Errorf("faults: %q", faults)
	}
	properties := at(doc, "paths", "/svc/a/{x}", "get", "responses", "default", "content", "application/json", "schema", "properties")
	for name, want := range map[string]string{
		"property": `{"type":"boolean"}`, "through": `{"type":"number"}`, "path": `{"const":"in","type":"string"}`,
		"id":     `{"properties":{"e":{"$ref":"#/components/schemas/svc_e"},"f":{"$ref":"#/components/schemas/svc_d2.json"}},"type":"object"}`,
		"idPart": `{"maximum":5,"type":"integer"}`, "dynamic": `{"properties":{"self":{"$ref":"#/components/schemas/svc_Dyn"}},"type":"object"}`,
		"alias": `{"$ref":"#/components/schemas/svc_C"}`, "sibling": `{"properties":{"deep":{"type":"number"}},"type":"object"}`,
	} {
		ref, _ := at(properties, name, "$ref").(string)
		got := shown(at(doc, "components", "schemas", strings.TrimPrefix(ref, "#/components/schemas/")))
		if ref == "" || got != want {
			t.Errorf("%s is %s of %q, not %s", name, got, ref, want)
		}
	}
	if got := shown(at(properties, "sibling")); got != `{"$ref":"#/components/schemas/svc_C","default":{"deep":1},"description":"beside"}` {
		t.Errorf("what stands beside a reference is %s", got)
	}
	if got := shown(at(properties, "yes")); got != "true" {
		t.Errorf("a schema that is true became %s", got)
	}
}

func TestReferencesToASchemasOwnDefinitions(t *testing.T) {
	// Generators leave these when they put the schema of a model in a document.
	for _, at := range []string{"$defs", "definitions"} {
		doc, faults := mergeOne(t, 0, `"paths":{"/a":{"get":{"tags":["open"],"responses":{"200":{"description":"fine","content":{"application/json":{"schema":
			{"type":"object","properties":{"x":{"$ref":"#/`+at+`/X"},"me":{"$ref":"#"}},"`+at+`":{"X":{"type":"object","properties":{"y":{"$ref":"#/`+at+`/Y"}}},"Y":{"type":"string"}}}}}}}}}}`)
		schemas := shown(doc["components"].(map[string]any)["schemas"])
		if len(faults) > 0 || !strings.Contains(schemas, `"svc_X":{"properties":{"y":{"$ref":"#/components/schemas/svc_Y"}},"type":"object"}`) || !strings.Contains(schemas, `"svc_root"`) {
			t.Errorf("%s: %q %s", at, faults, schemas)
		}
	}
}

func TestDiscriminatorsKeepTheirValues(t *testing.T) {
	doc, faults := mergeOne(t, 0, `"paths":{"/a":{"get":{"tags":["open"],"responses":{"200":{"description":"fine","content":{"application/json":{"schema":{"type":"object","properties":{
			"implicit":{"oneOf":[{"$ref":"#/components/schemas/Cat"},{"$ref":"#/components/schemas/Dog"}],"discriminator":{"propertyName":"kind"}},
			"mixed":{"anyOf":[{"$ref":"#/components/schemas/Cat"},{"$ref":"#/components/schemas/Dog"}],"discriminator":{"propertyName":"kind","mapping":{"miau":"Cat","wuff":"#/components/schemas/Dog","gone":"#/components/schemas/None"}}},
			"parent":{"$ref":"#/components/schemas/Pet"}}}}}}}}}},
		"components":{"schemas":{"Cat":{"type":"object","properties":{"kind":{"type":"string"}}},"Dog":{"type":"object","properties":{"kind":{"type":"string"}}},
			"Pet":{"type":"object","required":["t"],"properties":{"t":{"type":"string"}},"discriminator":{"propertyName":"t"}},
			"Bird":{"allOf":[{"$ref":"#/components/schemas/Pet"},{"type":"object"}]},"Parrot":{"allOf":[{"$ref":"#/components/schemas/Bird"}]}}}`)
	properties := at(doc, "paths", "/svc/a", "get", "responses", "200", "content", "application/json", "schema", "properties")
	for name, want := range map[string]string{
		"implicit": `{"Cat":"#/components/schemas/svc_Cat","Dog":"#/components/schemas/svc_Dog"}`,
		"mixed":    `{"miau":"#/components/schemas/svc_Cat","wuff":"#/components/schemas/svc_Dog"}`,
	} {
		if got := shown(at(properties, name, "discriminator", "mapping")); got != want {
			t.Errorf("%s is mapped by %s, not %s", name, got, want)
		}
	}
	want := `{"Bird":"#/components/schemas/svc_Bird","Parrot":"#/components/schemas/svc_Parrot"}`
	if got := shown(at(doc, "components", "schemas", "svc_Pet", "discriminator", "mapping")); got != want {
		t.Errorf("those that extend a schema are mapped by %s, not %s", got, want)
	}
	if len(faults) != 1 || !strings.Contains(faults[0], `"gone"`) {
		t.Errorf("faults: %q", faults)
	}
}

func TestLinksLeadToWhatIsThere(t *testing.T) {
	doc, faults := mergeOne(t, 0, `"paths":{"/a":{"get":{"tags":["open"],"operationId":"a","responses":{"200":{"description":"fine","links":{
			"byId":{"operationId":"b"},"byRef":{"operationRef":"#/paths/~1b/get"},"noId":{"operationRef":"#/paths/~1c/get"},
			"hidden":{"operationId":"hidden"},"far":{"operationRef":"https://example.com/#/paths/~1b/get"},"none":{"operationId":"none"},
			"shared":{"$ref":"#/components/links/Hidden"},"server":{"operationId":"b","server":{"url":"http://upstream"}}}}}}},
		"/b":{"get":{"tags":["open"],"operationId":"b",`+answers+`}},"/c":{"get":{"tags":["open"],`+answers+`}},"/d":{"get":{"operationId":"hidden",`+answers+`}}},
		"components":{"links":{"Hidden":{"operationId":"hidden"}}}`)
	want := `{"byId":{"operationId":"svc_b"},"byRef":{"operationId":"svc_b"},"noId":{"operationRef":"#/paths/~1svc~1c/get"},"server":{"operationId":"svc_b"}}`
	if got := shown(at(doc, "paths", "/svc/a", "get", "responses", "200", "links")); got != want || len(faults) > 0 {
		t.Errorf("links are %s, faults %q", got, faults)
	}
}

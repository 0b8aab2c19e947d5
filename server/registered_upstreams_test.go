package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// partsDocument is one of OpenAPI 3.1, written by hand, with what FastAPI does
// not write: parameters of whole paths, of parts of segments and with names that
// are no identifiers, unions of types, local definitions, references with
// siblings, and a component called as one of the shop is.
const partsDocument = `{
  "openapi": "3.1.0", "jsonSchemaDialect": "https://spec.openapis.org/oas/3.1/dialect/base",
  "info": {"title": "Parts", "version": "4", "license": {"name": "MIT", "identifier": "MIT"}},
  "servers": [{"url": "https://parts.example/v1"}], "security": [{"elsewhere": []}],
  "tags": [{"name": "open", "x-auto-generate-in-api-gateway": "true"}, {"name": "closed"},
    {"name": "guarded", "x-auto-generate-in-api-gateway": true, "x-enable-auth-in-api-gateway": "true"}],
  "paths": {
    "/things": {
      "summary": "All of them.", "x-first": "is no method",
      "get": {"tags": ["open"], "operationId": "list", "parameters": [
        {"name": "ids", "in": "query", "explode": false, "schema": {"type": "array", "items": {"type": "integer"}}},
        {"name": "any", "in": "query", "schema": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
        {"name": "colour", "in": "query", "schema": {"$ref": "#/components/schemas/Colour", "default": "red"}},
        {"name": "X-Odd-Name", "in": "header", "schema": {"type": ["integer", "null"], "exclusiveMinimum": 0}}],
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}}}}}}},
      "post": {"tags": ["open"], "operationId": "add", "requestBody": {"content": {"application/json": {"schema":
        {"type": ["object", "null"], "$defs": {"part": {"type": "object", "properties": {"of": {"$ref": "#/components/schemas/Tree"}}}}, "properties": {"part": {"$ref": "#/components/schemas/Tree"}}}}}},
        "responses": {"201": {"$ref": "#/components/responses/Added"}}},
      "delete": {"tags": ["closed"], "responses": {"204": {"description": "gone"}}}
    },
    "/things/{thing-id}": {
      "parameters": [{"name": "thing-id", "in": "path", "required": true, "schema": {"type": "string", "pattern": "^[a-z0-9]+$"}}],
      "get": {"tags": ["open"], "operationId": "one", "responses": {"default": {"$ref": "#/components/responses/Added"}}},
      "patch": {"tags": ["guarded"], "operationId": "change", "security": [{"elsewhere": []}], "responses": {"200": {"description": "OK"}}}
    },
    "/things/latest": {"get": {"tags": ["open"], "operationId": "latest", "deprecated": true, "responses": {"200": {"description": "OK"}}}},
    "/files/{name}.{kind}": {"get": {"tags": ["open"], "operationId": "file", "parameters": [
        {"name": "name", "in": "path", "required": true, "schema": {"type": "string"}}, {"name": "kind", "in": "path", "required": true, "schema": {"enum": ["a", "b"]}}],
        "responses": {"200": {"description": "OK", "content": {"text/plain": {}}}}}},
    "/shared": {"$ref": "#/components/pathItems/Shared"}
  },
  "webhooks": {"added": {"post": {"responses": {"200": {"description": "OK"}}}}},
  "components": {
    "securitySchemes": {"elsewhere": {"type": "openIdConnect", "openIdConnectUrl": "https://id.example/"}},
    "pathItems": {"Shared": {"put": {"tags": ["open"], "operationId": "share", "responses": {"200": {"description": "OK"}}}}},
    "responses": {"Added": {"description": "Added.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Item"}}}}},
    "schemas": {
      "Colour": {"enum": ["red", "blue"], "examples": ["red"]},
      "Item": {"type": "object", "properties": {"name": {"const": "part"}, "colour": {"$ref": "#/components/schemas/Colour", "description": "With a sibling."}}, "unevaluatedProperties": false},
      "Tree": {"type": "object", "properties": {"name": {"type": ["string", "null"]}, "below": {"type": "array", "prefixItems": [{"$ref": "#/components/schemas/Tree"}]}},
        "discriminator": {"propertyName": "name", "mapping": {"tree": "#/components/schemas/Tree"}}}
    }
  }
}`

// partsServer is a service in Go that tells what it is asked for, and may be told
// to have another document.
type partsServer struct {
	*httptest.Server
	port     int
	document atomic.Pointer[string]
}

func startParts(t *testing.T) *partsServer {
	t.Helper()
	s := &partsServer{}
	s.tells(partsDocument)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Service", "parts")
		w.Header().Set("Content-Type", jsonKind)
		if r.URL.Path == "/openapi.json" {
			text := *s.document.Load()
			if text == "" {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			io.WriteString(w, text) //nolint:errcheck // who has gone does not read
			return
		}
		json.NewEncoder(w).Encode([]string{r.Method, r.RequestURI}) //nolint:errcheck // the same
	}))
	t.Cleanup(s.Close)
	s.port = portIn(t, s.URL)
	return s
}

// tells is what the document is from now on; "" is none.
func (s *partsServer) tells(document string) { s.document.Store(&document) }

// broken are documents with something wrong: each with the status that the
// service gets, and the paths that are served all the same. What only cannot be
// shown is served.
var broken = []struct {
	name, document string
	status         int32
	urls           string
}{
	{"text", "This is no document.", -2, ""}, {"empty", " ", -2, ""}, {"half", partsDocument[:len(partsDocument)/2], -2, ""}, {"list", "[]", -2, ""}, {"number", "3.1", -2, ""},
	{"nothing", "{}", -2, ""}, {"older", `{"swagger":"2.0","info":{"title":"a","version":"1"},"paths":{}}`, -2, ""}, {"yaml", "openapi: 3.0.0\npaths: {}\n", -2, ""},
	{"pathless", `{"openapi":"3.0.3","info":{"title":"a","version":"1"}}`, 200, ""}, {"oddpaths", `{"openapi":"3.0.3","info":{"title":"a","version":"1"},"paths":[]}`, 200, ""},
	{"untagged", `{"openapi":"3.0.3","info":{"title":"a","version":"1"},"paths":{"/a":{"get":{"responses":{}}}}}`, 200, ""},
	{"mixed", `{"openapi":"3.0.3","info":{"title":"a","version":"1"},"tags":[{"name":"x","x-auto-generate-in-api-gateway":true},{"name":["x"]},7,{"name":"y","x-auto-generate-in-api-gateway":1}],
		"paths":{"/good":{"get":{"tags":["x"],"responses":{"200":{"description":"OK"}}}},
		"/schemaless":{"get":{"tags":["x"],"parameters":[{"name":"a","in":"query"},{"name":"b"},7,{"$ref":"#/components/parameters/none"}],"responses":{"200":{"description":"OK"}}}},
		"/dangling":{"post":{"tags":["x"],"requestBody":{"$ref":"#/nowhere"},"responses":{"200":{"$ref":"other.json#/a"}}}},
		"/circle":{"$ref":"#/paths/~1circle"},"/item":7,"/operation":{"get":[]},"/tags":{"get":{"tags":"x"}},"no-slash":{"get":{"tags":["x"],"responses":{}}},
		"/{open":{"get":{"tags":["x"],"responses":{}}},"/twice/{a}/{a}":{"get":{"tags":["x"],"responses":{}}},"/flag":{"get":{"tags":["y"],"responses":{}}},
		"/first":{"description":"is no method","x-y":{},"get":{"tags":["x"],"responses":{"200":{"description":"OK"}}}}}}`, 200, "/good /schemaless /dangling /first"},
	{"deep", strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000), -2, ""},
}

// startBroken serves those documents, below their names, and three that cannot be
// fetched.
func startBroken(t *testing.T) (port int) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Service", "broken")
		name := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/"), ".json")
		for _, b := range broken {
			if b.name == name {
				io.WriteString(w, b.document) //nolint:errcheck // who has gone does not read
				return
			}
		}
		if status, err := strconv.Atoi(name); err == nil {
			w.WriteHeader(status)
		}
		if name == "hangup" {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "{") //nolint:errcheck // the same
		}
	}))
	t.Cleanup(s.Close)
	return portIn(t, s.URL)
}

package openapi

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/rest"
)

const (
	detailSchema = "DatabaseError"
	faultsSchema = "DatabaseFaults"
)

// addDatabaseErrors describes the failures of the dialect of databases.
func addDatabaseErrors(schemas object) {
	self := object{
		"type": "object", "required": []any{"self"},
		"properties": object{"self": object{"type": "string", "description": "URL of the request."}},
	}
	schemas[detailSchema] = object{
		"type": "object", "description": "A failure.", "required": []any{"_links", "detail"},
		"properties": object{
			"_links": self,
			"detail": object{"type": "string", "description": "What went wrong."},
		},
	}
	texts := object{"type": "array", "minItems": 1, "items": object{"type": "string"}}
	schemas[faultsSchema] = object{
		"type": "object", "required": []any{"_links"},
		"description": "What is wrong with a request: a list of messages under each faulty field, " +
			"under `error`, `__all__` or `non_field_errors` for what concerns no one field, or one text under `detail`.",
		"additionalProperties": object{"anyOf": []any{self, texts, object{"type": "string"}}},
	}
}

// databaseFailures are the reasons of failures by status, for an operation.
func databaseFailures(verb string, hasID, hasBody, lists bool) []int {
	out := []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotAcceptable, rest.StatusOf(errs.TooManyCalls), rest.StatusOf(errs.Internal)}
	if hasID || lists {
		out = append(out, http.StatusNotFound)
	}
	if hasBody {
		out = append(out, rest.StatusOf(errs.TooLarge), rest.StatusOf(errs.UnsupportedType))
	}
	if verb != "get" {
		out = append(out, rest.StatusOf(errs.InUse), rest.StatusOf(errs.BackendFailed), rest.StatusOf(errs.Unavailable))
	}
	return out
}

// completeDatabases says of the operations of a path what the protos do not.
func completeDatabases(schemas object, path string, item object) {
	verbs := []string{"HEAD", "OPTIONS"}
	for verb := range item {
		verbs = append(verbs, strings.ToUpper(verb))
	}
	slices.Sort(verbs)
	allow := object{
		"Allow": header("What is possible here: " + strings.Join(verbs, ", ") + "."),
		"Vary":  header("Always `Accept`."),
	}
	for verb, o := range item {
		op := o.(object)
		lists := completeParameters(op)
		if body, ok := op["requestBody"].(object); ok {
			completeBody(schemas, verb, body)
		}
		responses := at(op, "responses")
		completeSuccess(schemas, path, verb, op, allow)
		_, hasBody := op["requestBody"]
		for _, status := range databaseFailures(verb, strings.Contains(path, "{") || isWatch(path), hasBody, lists) {
			responses[fmt.Sprint(status)] = databaseFailure(detailSchema, "Failure: "+strings.ToLower(http.StatusText(status))+".")
		}
		at(responses, "401")["headers"] = object{"WWW-Authenticate": header("How to log in: `Basic realm=\"api\"`.")}
		responses["400"] = databaseFailure(faultsSchema, "Failure: bad request.")
		responses["default"] = databaseFailure(detailSchema, "Any other failure.")
	}
}

func databaseFailure(schema, doc string) object {
	return object{"description": doc, "content": object{"application/json": object{"schema": object{"$ref": "#/components/schemas/" + schema}}}}
}

// completeParameters says how lists are filtered, and which parameters are the
// façade's own. It reports whether the operation is a list.
func completeParameters(op object) (lists bool) {
	list, _ := op["parameters"].([]any)
	kept := list[:0]
	for _, p := range list {
		parameter := p.(object)
		switch name, in := parameter["name"], parameter["in"]; {
		case name == "update_mask" && in == "query":
			continue
		case name == "filter[string]":
			lists = true
			parameter["name"] = "filter"
			parameter["style"], parameter["explode"] = "form", true
			parameter["schema"] = object{"type": "object", "additionalProperties": object{"type": "string"}}
		case in == "path" && at(parameter, "schema")["type"] == "integer":
			at(parameter, "schema")["minimum"] = 1
		}
		kept = append(kept, parameter)
	}
	if list != nil {
		op["parameters"] = kept
	}
	return lists
}

// completeBody says that a body may be a form, which of it may be null or be
// left out, and that nothing needs no body.
func completeBody(schemas object, verb string, body object) {
	media := at(at(body, "content"), "application/json")
	schema := maps.Clone(resolve(schemas, at(media, "schema")))
	if verb == "patch" {
		delete(schema, "required") // what is left out stays what it is
	}
	needed, _ := schema["required"].([]any)
	properties := object{}
	for name, p := range at(schema, "properties") {
		property := maps.Clone(p.(object))
		if !slices.Contains(needed, any(name)) {
			property = orNull(property)
		}
		properties[name] = property
	}
	schema["properties"] = properties
	body["required"] = len(needed) > 0
	body["content"] = object{
		"application/json":                  object{"schema": schema},
		"application/x-www-form-urlencoded": object{"schema": schema},
		"multipart/form-data":               object{"schema": schema},
	}
}

// completeSuccess gives the answer of an operation the status that it has.
func completeSuccess(schemas object, path, verb string, op, headers object) {
	responses := at(op, "responses")
	good := at(responses, "200")
	delete(responses, "200")
	status := "200"
	good["headers"] = headers
	content := at(good, "content")
	switch {
	case isWatch(path):
		good["content"] = object{"text/event-stream": object{"schema": object{"type": "string"}}}
	case len(at(resolve(schemas, at(at(content, "application/json"), "schema")), "properties")) == 0:
		status = "204"
		delete(good, "content")
		good["description"] = "It is done. There is no body."
	case verb == "post" && creates(op):
		status = "201"
		good["headers"] = maps.Clone(headers)
		good["headers"].(object)["Location"] = header("URL of what was created.")
	}
	responses[status] = good
}

// isWatch reports whether a path is that of a watch, which may be one of a
// resource that is not there.
func isWatch(path string) bool { return strings.HasSuffix(path, "/watch") }

// creates reports whether an operation makes a resource.
func creates(op object) bool {
	id, _ := op["operationId"].(string)
	_, method, _ := strings.Cut(id, "_")
	return strings.HasPrefix(method, "Create") || strings.HasPrefix(method, "Clone") || method == "RestoreSnapshot"
}

// resolve follows a reference to a schema.
func resolve(schemas, schema object) object {
	if ref, ok := schema["$ref"].(string); ok {
		return at(schemas, strings.TrimPrefix(ref, "#/components/schemas/"))
	}
	return schema
}

// databaseRoot is the root of the API of databases, which is no RPC.
func databaseRoot() object {
	url := object{"type": "string", "format": "uri"}
	properties := object{"_links": object{"type": "object", "properties": object{"self": url}}}
	required := []any{"_links"}
	for _, name := range rest.DatabaseCollections() {
		properties[name] = url
		required = append(required, name)
	}
	op := object{
		"tags": []any{"DatabaseAdmin"}, "operationId": "DatabaseAdmin_Root", "security": []any{},
		"summary": "List the collections of databases as a service.",
		"responses": object{
			"200": object{
				"description": "URLs of the collections.",
				"headers":     object{"Allow": header("What is possible here: GET, HEAD, OPTIONS."), "Vary": header("Always `Accept`.")},
				"content":     object{"application/json": object{"schema": object{"type": "object", "required": required, "properties": properties}}},
			},
			"406":     databaseFailure(detailSchema, "Failure: not acceptable."),
			"default": databaseFailure(detailSchema, "Any other failure."),
		},
	}
	return object{"get": op}
}

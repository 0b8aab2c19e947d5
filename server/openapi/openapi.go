// Package openapi completes the OpenAPI document that is generated from the
// protos with what they cannot say: how to log in, what errors look like, which
// headers answers carry, and the configuration of each type of service.
package openapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/catalog"
	"github.com/backplane/backplane/server/rest"
)

type object = map[string]any

const (
	errorSchema  = "Error"
	proxySchema  = "ProxyErrors"
	configSchema = "backplane.catalog.v1.Service"
	intro        = `One control plane for the backends that services depend on.

Every call but the health checks needs a login: HTTP Basic, a token, or the cookie of a signed token. Failures have one shape: ` + "`{\"ok\":false,\"error\":\"…\",\"code\":\"…\",\"request_id\":\"…\"}`" + `, with ` + "`fields`" + ` where input was at fault. Below ` + "`/v1/`" + ` they are those of JSON:API: ` + "`{\"errors\":[{\"detail\":\"…\"}]}`" + `. Those of databases as a service, whose paths end in a slash, are ` + "`{\"_links\":{\"self\":\"…\"},\"detail\":\"…\"}`" + `, or a list of messages under each faulty field; those of service management are ` + "`{\"detail\":…}`" + `.`
)

// Build makes the document as JSON. public reports whether an RPC, by full
// method name, needs no login.
func Build(version string, public func(method string) bool, registry *connectors.Registry) ([]byte, error) {
	doc, err := Generated()
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	doc["info"] = object{
		"title": "Backplane", "version": version, "description": intro,
		"license": object{"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
	}
	doc["servers"] = []any{object{"url": "/"}}
	doc["security"] = []any{object{"basic": []any{}}, object{"bearer": []any{}}, object{"cookie": []any{}}}
	components := at(doc, "components")
	components["securitySchemes"] = securitySchemes()
	at(components, "schemas")[errorSchema] = errorObject()
	at(components, "schemas")[proxySchema] = proxyErrors()
	at(components, "schemas")[gatewaySchema] = gatewayErrors()
	addConfigs(at(components, "schemas"), registry)
	paths := at(doc, "paths")
	foldHealth(paths)
	addManagement(doc)
	for _, path := range slices.Collect(maps.Keys(paths)) {
		item := at(paths, path)
		if rest.DialectOf(path) == rest.Databases {
			delete(paths, path)
			paths[path+"/"] = item // as its links have it
			completeDatabases(at(components, "schemas"), path, item)
			continue
		}
		for verb, op := range item {
			switch {
			case ofProxy(op.(object)):
				completeProxy(at(components, "schemas"), path, verb, op.(object))
			case managementOf(op.(object)) != "":
				completeManagement(path, op.(object))
			case rest.DialectOf(path) == rest.Gateway:
				completeGateway(at(components, "schemas"), path, verb, op.(object))
			default:
				complete(path, verb, op.(object), public)
			}
		}
	}
	completeShared(at(at(paths, "/services"), "get"))
	paths["/api/"] = databaseRoot()
	addDatabaseErrors(at(components, "schemas"))
	return json.Marshal(doc)
}

// at returns the object under a key, made when it is absent.
func at(o object, key string) object {
	inner, ok := o[key].(object)
	if !ok {
		inner = object{}
		o[key] = inner
	}
	return inner
}

func errorObject() object {
	text := object{"type": "string"}
	return object{
		"type": "object", "description": "A failure.", "required": []any{"ok", "error", "code", "request_id"},
		"properties": object{
			"ok":         object{"type": "boolean", "const": false},
			"error":      object{"type": "string", "description": "What went wrong and what to change, for people."},
			"code":       object{"type": "string", "description": "The same for programs.", "enum": codes()},
			"request_id": object{"type": "string", "description": "Names the request in the log."},
			"fields": object{"type": "array", "description": "Every faulty field.", "items": object{
				"type": "object", "required": []any{"path", "message"}, "properties": object{"path": text, "message": text},
			}},
			"data": object{"description": "More about the failure, such as the result of a failed test."},
		},
	}
}

// addConfigs describes config as one of the configurations of the types.
func addConfigs(schemas object, registry *connectors.Registry) {
	var titles []string
	for _, name := range registry.Types() {
		conn, _ := registry.Lookup(name)
		s := catalog.Schema(conn.Spec())
		delete(s, "$schema")
		delete(s, "required") // an update sends only what changes
		schemas["config."+name] = s
		titles = append(titles, fmt.Sprintf("`%s`: schema `config.%s`", name, name))
	}
	config := at(at(at(schemas, configSchema), "properties"), "config")
	config["description"] = fmt.Sprintf("%s\n\nBy `service_type`: %s.", config["description"], strings.Join(titles, "; "))
}

// headers of answers, by operation.
var headers = map[string]object{
	"ServiceCatalog_ListServices": {
		"X-Index":       header("Index of the catalogue: ask for changes after it."),
		"X-Next-Cursor": header("Cursor of the next page; absent on the last."),
	},
	"ServiceCatalog_CreateService":   {"Location": header("Path of the new service."), "ETag": header("Its version.")},
	"ServiceCatalog_GetService":      {"ETag": header("Version of the service; send it as If-Match to change just this version.")},
	"ServiceCatalog_UpdateService":   {"ETag": header("Version of the service after the change.")},
	"ServiceCatalog_RollbackService": {"ETag": header("Version of the service after the change.")},
}

func header(doc string) object {
	return object{"description": doc, "schema": object{"type": "string"}}
}

// failures are the reasons that operations can give, beside those that every
// operation can.
func failures(verb string, hasBody, hasID bool) []errs.Reason {
	out := []errs.Reason{errs.BadRequest, errs.Unauthenticated, errs.Internal}
	if hasID {
		out = append(out, errs.NotFound)
	}
	if hasBody {
		out = append(out, errs.ValidationFailed, errs.TooLarge, errs.UnsupportedType, errs.NameTaken)
	}
	if verb == "put" || verb == "delete" {
		out = append(out, errs.VersionMismatch)
	}
	return out
}

func complete(path, verb string, op object, public func(string) bool) {
	responses := at(op, "responses")
	id, _ := op["operationId"].(string)
	if public(fullMethod(id)) {
		op["security"] = []any{}
	}
	failure := func(doc string) object { return failureOf(path, doc) }
	_, hasBody := op["requestBody"]
	for _, reason := range failures(verb, hasBody, strings.Contains(path, "{")) {
		responses[fmt.Sprint(rest.StatusOf(reason))] = failure("Failure: " + strings.ReplaceAll(string(reason), "_", " ") + ".")
	}
	responses["default"] = failure("Any other failure.")
	if empty, ok := empties[id]; ok {
		responses["204"] = empty
	}
	good := at(responses, "200")
	if h, ok := headers[id]; ok {
		good["headers"] = h
	}
	if strings.HasSuffix(path, "/watch") {
		good["content"] = object{"text/event-stream": object{"schema": object{"type": "string"}}}
		responses[fmt.Sprint(rest.StatusOf(errs.IndexGone))] = failure("The index is not kept any more.")
	}
	if verb == "put" || verb == "delete" {
		list, _ := op["parameters"].([]any)
		op["parameters"] = append(list, object{
			"name": "If-Match", "in": "header", "description": "Change only this version, as in its ETag.", "schema": object{"type": "string"},
		})
	}
}

// fullMethod finds the RPC of an operation: its id is Service_Method.
func fullMethod(operationID string) string {
	service, method, _ := strings.Cut(operationID, "_")
	found := ""
	protoregistry.GlobalFiles.RangeFiles(func(fd protoreflect.FileDescriptor) bool {
		if s := fd.Services().ByName(protoreflect.Name(service)); s != nil && s.Methods().ByName(protoreflect.Name(method)) != nil {
			found = "/" + string(s.FullName()) + "/" + method
		}
		return found == ""
	})
	return found
}

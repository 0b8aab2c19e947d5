package openapi

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

const (
	managementSchema  = "ServiceManagementError"
	managementDone    = "ServiceManagementDone"
	managementTag     = "Service management"
	registrationList  = "backplane.gateway.v1.ListRegistrationsResponse"
	registrationWhole = "backplane.gateway.v1.RegistrationDetails"
)

// managementOperations are those of services that are registered by their
// documents.
var managementOperations = []string{"RegisterService", "UpdateRegistration", "UnregisterService", "RefreshServices", "ListRegistrations", "GetRegistration"}

// managementOf is the name of the RPC that an operation is, if it is one of
// those; "" if not.
func managementOf(op object) string {
	id, _ := op["operationId"].(string)
	name, _ := strings.CutPrefix(id, "GatewayService_")
	name, _, _ = strings.Cut(name, "_")
	if slices.Contains(managementOperations, name) {
		return name
	}
	return ""
}

// addManagement describes what the protos do not say of service management: its
// failures, and operations that have two paths.
func addManagement(doc object) {
	schemas := at(at(doc, "components"), "schemas")
	text, integer := object{"type": "string"}, object{"type": "integer"}
	item := object{
		"type": "object", "required": []any{"loc", "msg", "type"},
		"properties": object{
			"loc":  object{"type": "array", "description": "Where: `body`, `query` or `path`, then the name, or the position in malformed JSON.", "items": object{"anyOf": []any{text, integer}}},
			"msg":  object{"type": "string", "description": "What is wrong."},
			"type": object{"type": "string", "description": "The same for programs, such as `value_error.missing`."},
			"ctx":  object{"type": "object", "description": "More about it, such as a limit."},
		},
	}
	numbered := object{
		"type": "object", "required": []any{"code"},
		"properties": object{
			"code":    object{"type": "integer", "description": "1: the name is taken; 2: no service is registered; 3: there is no such service; 4: there is no such page; 5: it is marked already; -1: anything else."},
			"msg":     object{"type": "string", "description": "What went wrong."},
			"err_msg": object{"type": "string", "description": "The same, of lists."},
		},
	}
	schemas[managementSchema] = object{
		"type": "object", "description": "A failure, as FastAPI has it.", "required": []any{"detail"},
		"properties": object{"detail": object{
			"description": "What went wrong: a text, a refusal with its number, or everything that is wrong with the request.",
			"anyOf":       []any{text, numbered, object{"type": "array", "minItems": 1, "items": item}},
		}},
	}
	schemas[managementDone] = object{
		"type": "object", "required": []any{"details"},
		"properties": object{"details": object{
			"type": "object", "required": []any{"code", "msg"},
			"properties": object{"code": object{"type": "integer", "const": 0}, "msg": object{"type": "string", "description": "What was done."}},
		}},
	}
	tags, _ := doc["tags"].([]any)
	doc["tags"] = append(tags, object{"name": managementTag, "description": "Services that describe themselves: the HTTP gateway makes routes of their OpenAPI documents."})
	paths := at(doc, "paths")
	byQuery, byPath := at(paths, "/service"), at(paths, "/service/{id_service}")
	byQuery["patch"] = again(at(byPath, "patch"), "query")
	byPath["delete"] = again(at(byQuery, "delete"), "path")
	shareList(at(at(paths, "/services"), "get"))
}

// again is an operation at another path, with the number of the service there.
func again(op object, place string) object {
	out := maps.Clone(op)
	out["operationId"] = fmt.Sprint(op["operationId"], "_1")
	out["parameters"] = []any{numberParameter(place)}
	out["responses"] = object{"200": maps.Clone(at(at(op, "responses"), "200"))}
	if body, ok := op["requestBody"].(object); ok {
		out["requestBody"] = maps.Clone(body)
	}
	return out
}

func numberParameter(place string) object {
	return object{"name": "id_service", "in": place, "description": "The service's number.", "required": true, "schema": object{"type": "integer", "format": "int64"}}
}

// shareList makes the list of the gateway's services the list of registered ones
// too, which it is with a page.
func shareList(op object) {
	list, _ := op["parameters"].([]any)
	op["parameters"] = append(list, pageParameter("Asks for a page of the registered services instead, which have another form."))
	media := mediaOf(at(at(op, "responses"), "200"))
	media["schema"] = object{"anyOf": []any{media["schema"], refTo(registrationList)}}
}

func pageParameter(doc string) object {
	return object{"name": "page", "in": "query", "description": doc + " Pages have ten, from 1.", "schema": object{"type": "integer", "minimum": 1}}
}

// completeShared says how the list that two APIs share fails: as each of them
// does.
func completeShared(op object) {
	responses := at(op, "responses")
	for _, status := range []string{"403", "404", "429", "500", "503", "default"} {
		if _, ok := responses[status]; ok {
			mediaOf(at(responses, status))["schema"] = object{"anyOf": []any{refTo(gatewaySchema), refTo(managementSchema)}}
		}
	}
	for _, status := range []int{http.StatusConflict, http.StatusUnprocessableEntity} {
		responses[fmt.Sprint(status)] = managementFailure(status)
	}
}

func refTo(schema string) object { return object{"$ref": "#/components/schemas/" + schema} }

func answerOf(doc string, schema object) object {
	return object{"description": doc, "content": object{"application/json": object{"schema": schema}}}
}

func managementFailure(status int) object {
	return answerOf("Failure: "+strings.ToLower(http.StatusText(status))+".", refTo(managementSchema))
}

// completeManagement says of an operation of service management what the protos
// do not.
func completeManagement(path string, op object) {
	op["tags"] = []any{managementTag}
	statuses := []int{http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable}
	name := managementOf(op)
	if name == "RegisterService" || name == "UpdateRegistration" {
		completeRegistration(op, name == "RegisterService")
		statuses = append(statuses, http.StatusBadRequest, http.StatusRequestEntityTooLarge)
	}
	if name == "RefreshServices" {
		statuses = append(statuses, http.StatusGatewayTimeout)
	} else {
		statuses = append(statuses, http.StatusConflict, http.StatusUnprocessableEntity)
	}
	responses := object{"default": answerOf("Any other failure.", refTo(managementSchema))}
	for _, status := range statuses {
		responses[fmt.Sprint(status)] = managementFailure(status)
	}
	good := at(at(op, "responses"), "200")
	switch name {
	case "RegisterService":
		good = answerOf("Whether the service was added: false if its name is taken. With `form=details` the form that says more, and 409 for false.",
			object{"anyOf": []any{object{"type": "boolean"}, refTo(managementDone)}})
	case "UnregisterService":
		op["parameters"] = []any{numberParameter(map[bool]string{true: "path", false: "query"}[strings.Contains(path, "{")])}
		good = answerOf("It is marked as deleted.", refTo(managementDone))
	case "RefreshServices":
		good = answerOf("Always true.", object{"type": "boolean", "const": true})
	case "ListRegistrations":
		number := numberParameter("query")
		number["description"], number["required"] = "Asks for all that is known of the service of this number instead.", false
		op["parameters"] = []any{pageParameter("Which page; 1 if it is not set."), number}
		good = answerOf("A page of the registered services, or one of them.", object{"anyOf": []any{refTo(registrationList), refTo(registrationWhole)}})
	}
	responses["200"] = good
	op["responses"] = responses
}

// completeRegistration says in which ways a service can be told of.
func completeRegistration(op object, whole bool) {
	body := at(op, "requestBody")
	schema := maps.Clone(at(at(at(body, "content"), "application/json"), "schema"))
	port := maps.Clone(at(at(schema, "properties"), "port"))
	port["minimum"], port["maximum"] = 1, 65535
	properties := maps.Clone(at(schema, "properties"))
	properties["port"], schema["properties"] = port, properties
	asForm := maps.Clone(schema)
	list, _ := op["parameters"].([]any)
	if whole {
		schema["required"] = []any{"domain", "name_service"}
		port["default"] = 80
		with := maps.Clone(properties)
		with["ip"] = object{"type": "string", "description": "The domain, which needs no scheme here."}
		asForm["properties"] = with
		query := func(name, doc string, schema object) {
			list = append(list, object{"name": name, "in": "query", "description": doc, "schema": schema})
		}
		text := object{"type": "string"}
		query("ip", "Where there is no body: the domain, which needs no scheme here.", text)
		query("domain", "Where there is no body: the same with its scheme.", text)
		query("name_service", "Where there is no body: the name.", text)
		query("port", "Where there is no body: the port.", port)
		query("form", "`details` asks for the form of the answer that says more, as `Accept: application/json;form=details` does.", text)
		op["parameters"] = list
	}
	body["required"] = !whole
	body["content"] = object{
		"application/json": object{"schema": schema}, "application/x-www-form-urlencoded": object{"schema": asForm}, "multipart/form-data": object{"schema": asForm},
	}
}

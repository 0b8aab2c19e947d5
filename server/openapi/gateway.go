package openapi

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/rest"
)

const gatewaySchema = "GatewayError"

// gatewayErrors is a failure in the gateway's dialect.
func gatewayErrors() object {
	return object{
		"type": "object", "description": "A failure, as the Kong Admin API has it.", "required": []any{"message"},
		"properties": object{
			"message": object{"type": "string", "description": "What went wrong and what to change, for people."},
			"name":    object{"type": "string", "description": "What kind of refusal it is, such as `schema violation`."},
			"code":    object{"type": "integer", "description": "The number of that, such as 2."},
			"fields":  object{"type": "object", "description": "What is wrong with which field; `@entity` is the entity as a whole."},
			"options": object{"type": "object", "description": "What is wrong with which parameter of a list, of code 11."},
		},
	}
}

// balancerHealth is a path that a parameter stands for.
const balancerHealth = "/upstreams/{upstream}/health/balancer"

// foldHealth makes the two forms of the health of upstreams one operation.
func foldHealth(paths object) {
	item := at(paths, balancerHealth)
	delete(paths, balancerHealth)
	get := at(at(paths, strings.TrimSuffix(balancerHealth, "/balancer")), "get")
	schemaOf := func(op object) any { return mediaOf(at(at(op, "responses"), "200"))["schema"] }
	mediaOf(at(at(get, "responses"), "200"))["schema"] = object{"anyOf": []any{schemaOf(get), schemaOf(at(item, "get"))}}
	list, _ := get["parameters"].([]any)
	get["parameters"] = append(list, object{
		"name": "balancer_health", "in": "query", "description": "`1` asks for the upstream as a whole.", "schema": object{"type": "string"},
	})
}

func mediaOf(answer object) object { return at(at(answer, "content"), "application/json") }

// gatewayParameters are those that queries of lists may have. The other fields
// of requests are for paths.
var gatewayParameters = []string{"size", "offset", "tags", "custom_id", "balancer_health", "page"}

// completeGateway says of an operation of the gateway what the protos do not.
func completeGateway(schemas object, path, verb string, op object) {
	list, _ := op["parameters"].([]any)
	op["parameters"] = slices.DeleteFunc(list, func(p any) bool {
		name, _ := p.(object)["name"].(string)
		return p.(object)["in"] == "query" && (verb != "get" || !slices.Contains(gatewayParameters, name))
	})
	body, hasBody := op["requestBody"].(object)
	if hasBody {
		schema := mediaOf(body)["schema"]
		if of, ok := schema.(object); !ok || len(of) == 0 {
			schema = object{"type": "object", "description": "An entity."}
		}
		body["required"] = false
		body["content"] = object{
			"application/json":                  object{"schema": schema},
			"application/x-www-form-urlencoded": object{"schema": object{"type": "object", "description": "The same: `a.b` is a field of `a`, `a[]` an element."}},
			"multipart/form-data":               object{"schema": object{"type": "object", "description": "The same."}},
		}
	}
	responses := at(op, "responses")
	statuses := []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests, http.StatusInternalServerError}
	if strings.Contains(path, "{") {
		statuses = append(statuses, http.StatusNotFound)
	}
	if hasBody {
		statuses = append(statuses, rest.StatusOf(errs.TooLarge), http.StatusConflict)
		responses["415"] = object{"description": "Failure: the body is neither JSON nor a form. There is no body."}
	}
	for _, status := range statuses {
		responses[fmt.Sprint(status)] = failureOf(path, "Failure: "+strings.ToLower(http.StatusText(status))+".")
	}
	at(responses, "401")["headers"] = object{"WWW-Authenticate": header("How to log in: `Basic realm=\"…\"`.")}
	responses["default"] = failureOf(path, "Any other failure.")

	good := at(responses, "200")
	schema := at(mediaOf(good), "schema")
	_, named := schema["$ref"] // or it is an object of any form
	switch {
	case creates(op):
		delete(responses, "200")
		responses["201"] = good
	case named && len(at(resolve(schemas, schema), "properties")) == 0:
		delete(responses, "200")
		responses["204"] = object{"description": "It is done. There is no body."}
	}
}

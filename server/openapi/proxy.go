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

// ofProxy reports whether an operation is one of the ProxyService.
func ofProxy(op object) bool {
	id, _ := op["operationId"].(string)
	return strings.HasPrefix(id, "ProxyService_")
}

// proxyParameters are the names over REST of parameters that protos cannot
// name so.
var proxyParameters = map[string]string{"page_size": "page[size]", "page_cursor": "page[cursor]"}

// completeProxy says of an operation of the ProxyService what the protos do
// not.
func completeProxy(schemas object, path, verb string, op object) {
	completeView(path, verb, op)
	if body, ok := op["requestBody"].(object); ok {
		body["required"] = true
		if content := at(at(body, "content"), "application/json"); len(at(content, "schema")) == 0 { // of any form
			content["schema"] = object{"description": "A JSON:API document, or a JSON Patch."}
		}
	}
	responses := at(op, "responses")
	for _, status := range proxyFailures(path, verb, op) {
		responses[fmt.Sprint(status)] = failureOf(path, "Failure: "+strings.ToLower(http.StatusText(status))+".")
	}
	at(responses, "401")["headers"] = object{"WWW-Authenticate": header("How to log in: `Basic realm=\"…\"`.")}
	responses["default"] = failureOf(path, "Any other failure.")
	good := at(responses, "200")
	id, _ := op["operationId"].(string)
	switch {
	case len(at(resolve(schemas, at(at(at(good, "content"), "application/json"), "schema")), "properties")) == 0:
		delete(responses, "200")
		responses["204"] = object{"description": "It is done. There is no body."}
	case strings.HasPrefix(path, "/v1/sql"):
		completeSQL(id, responses)
	case strings.HasSuffix(id, "Command"):
		responses["204"] = object{"description": "It is done, and there is nothing to tell."}
	case versioned(path) && verb == "get":
		good["headers"] = object{
			"ETag":          header("Version, which moves on with each change made through this API; send it as If-None-Match, or as If-Match with a change."),
			"Last-Modified": header("When that change was made."),
		}
	}
}

// completeSQL gives answers about connections for SQL their statuses.
func completeSQL(id string, responses object) {
	good := at(responses, "200")
	switch strings.TrimPrefix(id, "ProxyService_") {
	case "CreateConnection", "CloneConnection":
		delete(responses, "200")
		good["description"] = "It is connected. The token is in `meta` or, with `persist`, in the cookie `" + rest.ConnectionCookie + "ID`."
		responses["201"] = good
	case "RunQuery", "GetQuery":
		delete(responses, "200")
		pending := maps.Clone(good)
		good["description"], pending["description"] = "The query has ended.", "The query runs; get it again for its results."
		responses["201"], responses["202"] = good, pending
	}
}

// versioned tells the paths whose documents have a version.
func versioned(path string) bool {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if len(parts) < 2 {
		return false
	}
	switch parts[1] {
	case "services", "servers", "listeners", "filters", "monitors":
		return true
	case "maxscale":
		return len(parts) == 2
	}
	return false
}

func proxyFailures(path, verb string, op object) []int {
	out := []int{http.StatusBadRequest, http.StatusUnauthorized, rest.StatusOf(errs.TooManyCalls), http.StatusInternalServerError, http.StatusServiceUnavailable}
	if strings.Contains(path, "{") {
		out = append(out, http.StatusNotFound)
	}
	if _, ok := op["requestBody"]; ok {
		out = append(out, http.StatusRequestEntityTooLarge)
	}
	switch {
	case verb == "get":
		out = append(out, http.StatusForbidden)
	case verb == "patch":
		out = append(out, http.StatusPreconditionFailed, http.StatusConflict)
	default:
		out = append(out, http.StatusPreconditionFailed)
	}
	if verb == "patch" && strings.HasPrefix(path, "/v1/services/{name}/relationships/") || verb == "delete" && strings.HasPrefix(path, "/v1/services/{name}/listeners/") {
		out = append(out, http.StatusForbidden)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// completeView names the parameters that shape an answer, and those that REST
// takes otherwise than gRPC does.
func completeView(path, verb string, op object) {
	list, _ := op["parameters"].([]any)
	kept := list[:0]
	for _, p := range list {
		parameter := p.(object)
		name, _ := parameter["name"].(string)
		if name == "arguments" {
			continue // the parts of the query themselves
		}
		if other, ok := proxyParameters[name]; ok {
			parameter["name"] = other
		}
		kept = append(kept, parameter)
	}
	query := func(name, doc string, schema object) {
		kept = append(kept, object{"name": name, "in": "query", "description": doc, "schema": schema})
	}
	if verb == "get" {
		query("pretty", "Whether the JSON is indented.", object{"type": "boolean", "default": true})
		if !strings.Contains(path, "/logs/") {
			query("page[size]", "How many elements of a collection are on a page.", object{"type": "integer"})
			query("page[number]", "Which page, from 0.", object{"type": "integer"})
		}
		query("filter", "`POINTER=VALUE`: the elements of a collection that have the value.", object{"type": "string"})
	}
	if len(kept) > 0 {
		op["parameters"] = kept
	}
}

package openapi

import (
	"slices"

	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/rest"
)

// securitySchemes are the ways to log in.
func securitySchemes() object {
	return object{
		"basic":  object{"type": "http", "scheme": "basic"},
		"bearer": object{"type": "http", "scheme": "bearer", "description": "A token, or a signed token."},
		"cookie": object{
			"type": "apiKey", "in": "cookie", "name": rest.TokenCookie,
			"description": "A signed token, as `GET /v1/auth?persist=yes` sets it.",
		},
	}
}

// empties are the answers without a body of operations that have others too.
var empties = map[string]object{
	"IdentityAdmin_GetAuthToken": {
		"description": "The cookie is set, with `persist`, or deleted, with `logout`.",
		"headers": object{"Set-Cookie": header(
			"The cookie `" + rest.TokenCookie + "`: HttpOnly, SameSite=Strict, Secure over TLS; with Max-Age when `max-age` was given.",
		)},
	},
}

// codes are the reasons of failures, for programs.
func codes() []any {
	reasons := errs.Reasons()
	slices.Sort(reasons)
	out := make([]any, len(reasons))
	for i, r := range reasons {
		out[i] = string(r)
	}
	return out
}

// proxyErrors is a failure in the proxy's dialect.
func proxyErrors() object {
	return object{
		"type": "object", "description": "A failure, as JSON:API has it.", "required": []any{"errors"},
		"properties": object{"errors": object{"type": "array", "description": "Every fault.", "minItems": 1, "items": object{
			"type": "object", "required": []any{"status", "code", "detail"},
			"properties": object{
				"status": object{"type": "string", "description": "The HTTP status."},
				"code":   object{"type": "string", "description": "What went wrong, for programs.", "enum": codes()},
				"detail": object{"type": "string", "description": "What went wrong and what to change, for people."},
			},
		}}},
	}
}

// failureOf is a failure in the dialect of a path.
func failureOf(path, doc string) object {
	schema := errorSchema
	switch rest.DialectOf(path) {
	case rest.Proxy:
		schema = proxySchema
	case rest.Gateway:
		schema = gatewaySchema
	}
	return object{"description": doc, "content": object{
		"application/json": object{"schema": object{"$ref": "#/components/schemas/" + schema}},
	}}
}

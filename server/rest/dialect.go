package rest

import (
	"net/http"
	"strings"

	"github.com/backplane/backplane/internal/errs"
)

// Dialect names one of the ways in which the REST APIs speak.
type Dialect int

// The dialects.
const (
	// Catalog is that of the catalogue, and of every path below /api that no
	// other has: it is strict about what it is sent.
	Catalog Dialect = iota
	// Proxy is that of the proxy's API, JSON:API.
	Proxy
	// Databases is that of databases as a service: HAL-like, and lenient.
	Databases
	// Gateway is that of the HTTP gateway, and of every path that no other has.
	Gateway
	// AutoGateway is that of services that are registered by their documents.
	AutoGateway
)

// DialectOf is the dialect that a path is served in. There is one path that two
// dialects share, /services: what DialectOfRequest says.
func DialectOf(path string) Dialect {
	if _, ok := proxyPath(path); ok {
		return Proxy
	}
	below, ok := strings.CutPrefix(path, "/api")
	if !ok || below != "" && below[0] != '/' {
		if path == servicePath || strings.HasPrefix(path, servicePath+"/") {
			return AutoGateway
		}
		return Gateway
	}
	if below == "" || below == "/" {
		return Databases
	}
	collection, _, _ := strings.Cut(below[1:], "/")
	switch collection {
	case "database", "credential", "plan", "environment", "project", "engine", "engine_type", "team", "task", "snapshot", "difference":
		return Databases
	}
	return Catalog
}

// DialectOfRequest is the dialect that a request is served in. On the path of the
// gateway's services it is AutoGateway that asks for pages by number, and that
// has all documents fetched.
func DialectOfRequest(r *http.Request) Dialect {
	if strings.TrimSuffix(r.URL.Path, "/") == servicesPath {
		switch r.Method {
		case http.MethodPatch:
			return AutoGateway
		case http.MethodGet, http.MethodHead:
			if r.URL.Query().Has("page") {
				return AutoGateway
			}
		}
	}
	return DialectOf(r.URL.Path)
}

// dialect is what the APIs do differently.
type dialect interface {
	// serve finds the call that a request asks for, settles its query and its
	// body as its RPC is to get them, and makes it. The path has no trailing
	// slash.
	serve(f *facade, w http.ResponseWriter, r *http.Request, x *exchange)
	// fail writes what went wrong.
	fail(f *facade, w http.ResponseWriter, r *http.Request, x *exchange, e *errs.Error)
}

// speaker is the dialect behind the name.
func (d Dialect) speaker() dialect {
	switch d {
	case Proxy:
		return proxyDialect{}
	case Databases:
		return databaseDialect{}
	case Gateway:
		return gatewayDialect{}
	case AutoGateway:
		return autoDialect{}
	default:
		return catalogDialect{}
	}
}

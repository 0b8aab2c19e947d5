package registry

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/ent/schema"
	"github.com/backplane/backplane/server/gateway"
	"github.com/backplane/backplane/server/gateway/apidoc"
)

// The collections of what is generated, and the plugins among it.
const (
	services = "services"
	routes   = "routes"
	plugins  = "plugins"

	gatewayPlugin    = "auto-gateway"
	validationPlugin = "oas-validation"
)

// space is that of the ids of generated entities.
var space = uuid.MustParse("6d1c7a0e-53f0-5f9d-9a63-0f3c9b1f5c11")

// ownerOf is what the entities of a service are generated for.
func ownerOf(name string) string { return "registry:" + name }

// entityID is the id of a generated entity: always the same for the same key, so
// that what has not changed is not made anew.
func entityID(name, collection, key string) string {
	return uuid.NewSHA1(space, []byte(ownerOf(name)+"\x00"+collection+"\x00"+key)).String()
}

// maker makes the entities of one service.
type maker struct {
	settings
	auth     string // the plugin that protects operations
	prefix   string
	service  map[string]any // refers to the service
	entities []gateway.OwnedEntity
	faults   []string
	heads    map[string]bool // paths that have an operation for HEAD
}

// makeEntities are the entities that a service becomes with its document, and the
// operations that they serve. against is what requests and responses are checked
// against; nil for no checks.
func makeEntities(s settings, auth string, doc *apidoc.Document, against *validation) ([]gateway.OwnedEntity, []schema.RegisteredOperation, []string) {
	m := &maker{settings: s, auth: auth, prefix: "/" + s.name, service: reference(entityID(s.name, services, "")), heads: map[string]bool{}}
	var exposed []apidoc.Operation
	exposed, m.faults = doc.Operations()
	hidden := doc.Hidden()
	all := slices.Concat(exposed, hidden)
	names := apidoc.RouteNames(s.name, all)
	for _, o := range all {
		if o.Method == "HEAD" {
			m.heads[o.Template.String()] = true
		}
	}
	m.addService(guarded(exposed, doc.Others()))
	served := make([]schema.RegisteredOperation, 0, len(exposed))
	for i, o := range exposed {
		if m.addOperation(names[i], o, m.methodsOf(o)) {
			served = append(served, schema.RegisteredOperation{Method: o.Method, Path: o.Path, Protected: o.Protected, OperationID: o.OperationID, Route: names[i]})
		}
	}
	for i, o := range hidden {
		m.hide(names[len(exposed)+i], o, m.methodsOf(o))
	}
	m.addRest(exposed)
	if against != nil {
		m.addValidation(against)
	}
	return m.entities, served, m.faults
}

func reference(id string) map[string]any { return map[string]any{"id": id} }

// add adds an entity, and returns its id.
func (m *maker) add(collection, key string, doc map[string]any) string {
	id := entityID(m.name, collection, key)
	doc["id"] = id
	m.entities = append(m.entities, gateway.OwnedEntity{Collection: collection, Doc: doc, Yields: collection == "plugins"})
	return id
}

// plugin adds a plugin to the service, or to a route of it.
func (m *maker) plugin(name, key string, to map[string]any, field string, config map[string]any) {
	m.add(plugins, name+" "+key, map[string]any{"name": name, field: to, "config": config})
}

// guarded are the operations that requests must not reach by what only the service
// takes for their path: those that are protected, and those that are not exposed.
func guarded(exposed, others []apidoc.Operation) []any {
	var out []any
	add := func(o apidoc.Operation) {
		out = append(out, map[string]any{"path": o.Path, "methods": []any{o.Method}, "protected": o.Protected})
	}
	for _, o := range exposed {
		if o.Protected {
			add(o)
		}
	}
	for _, o := range others {
		o.Protected = false
		add(o)
	}
	return out
}

// addService adds the service itself, of which the prefix of its name is taken
// off.
func (m *maker) addService(guarded []any) {
	d, _ := parseDomain(m.domain)
	doc := map[string]any{"name": m.name, "protocol": d.scheme, "host": d.host, "port": int64(m.port)}
	if d.scheme == "https" {
		doc["tls_verify"] = true // as the document was fetched
	}
	m.add(services, "", doc)
	config := map[string]any{"prefix": m.prefix, "auth": m.auth}
	if len(guarded) > 0 {
		config["guarded"] = guarded
	}
	m.plugin(gatewayPlugin, "service", m.service, "service", config)
}

// route adds a route that takes whole paths. One that the gateway cannot have is
// a fault of its operation alone.
func (m *maker) route(name string, o apidoc.Operation, methods []any) (map[string]any, bool) {
	doc := map[string]any{
		"name": name, "service": m.service, "methods": methods, "paths": []any{o.Template.Regex(m.prefix)},
		"regex_priority": int64(o.Template.Priority()), "strip_path": false, "request_buffering": false, "response_buffering": false,
	}
	if _, wrong := entity.Find(routes).New(doc, time.Time{}); wrong != nil {
		m.faults = append(m.faults, fmt.Sprintf("%s %s: the gateway can have no route for it: %v", o.Method, o.Path, wrong))
		return nil, false
	}
	return reference(m.add(routes, o.Method+" "+o.Path, doc)), true
}

// addOperation tells whether the operation can be served.
func (m *maker) addOperation(name string, o apidoc.Operation, methods []any) bool {
	route, ok := m.route(name, o, methods)
	if ok && o.Protected {
		m.plugin(m.auth, o.Method+" "+o.Path, route, "route", protection(m.auth))
	}
	return ok
}

// protection is the configuration of the plugin that protects an operation.
func protection(auth string) map[string]any {
	if auth == "jwt" {
		// Without it, tokens that have ended would be good for ever.
		return map[string]any{"claims_to_verify": []any{"exp"}}
	}
	return map[string]any{}
}

// hide adds a route for an operation that is not exposed, where one of an
// exposed operation would take its requests otherwise.
func (m *maker) hide(name string, o apidoc.Operation, methods []any) {
	if route, ok := m.route(name, o, methods); ok {
		m.plugin(gatewayPlugin, o.Method+" "+o.Path, route, "route", map[string]any{"prefix": m.prefix, "auth": m.auth, "paths": []any{}})
	}
}

// restName is the name of the route that takes the rest: the service's. One with
// a dot could be that of an operation of another service, which has none that
// ends like this.
func (m *maker) restName() string {
	if strings.Contains(m.name, ".") {
		return m.name + "~"
	}
	return m.name
}

// addRest adds the route that takes whatever no operation does, to say that it
// is not there.
func (m *maker) addRest(exposed []apidoc.Operation) {
	route := reference(m.add(routes, "", map[string]any{
		"name": m.restName(), "service": m.service, "paths": []any{m.prefix + "/", "~" + regexp.QuoteMeta(m.prefix) + "$"}, "strip_path": false,
		"request_buffering": false, "response_buffering": false,
	}))
	paths := []any{}
	at := map[string]map[string]any{}
	for _, o := range exposed {
		path := o.Path
		if at[path] == nil {
			at[path] = map[string]any{"path": path, "methods": []any{}}
			paths = append(paths, at[path])
		}
		at[path]["methods"] = append(at[path]["methods"].([]any), o.Method)
	}
	m.plugin(gatewayPlugin, "rest", route, "route", map[string]any{"prefix": m.prefix, "auth": m.auth, "paths": paths})
}

// addValidation adds the plugin that checks requests and responses against the
// document. Bodies that are too long to be held are not held.
func (m *maker) addValidation(against *validation) {
	config := map[string]any{
		"api_spec": against.document, "api_spec_encoded": false, "detail_errors": true, "coercion": "pydantic", "on_large_body": "pass", "collect_all_errors": true,
		"validate_request_body": m.requests, "validate_request_header_params": m.requests, "validate_request_query_params": m.requests,
		"validate_request_uri_params": m.requests, "validate_response_body": m.responses,
	}
	if against.prefix != "" {
		config["prefix"] = against.prefix
	}
	m.plugin(validationPlugin, "service", m.service, "service", config)
}

// methodsOf are the methods of an operation's route: that of a GET takes HEAD
// too, where the document has none for the path.
func (m *maker) methodsOf(o apidoc.Operation) []any {
	if o.Method != "GET" || m.heads[o.Template.String()] {
		return []any{o.Method}
	}
	return []any{"GET", "HEAD"}
}

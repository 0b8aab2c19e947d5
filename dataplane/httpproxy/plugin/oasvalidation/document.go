package oasvalidation

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy/plugin/oasvalidation/jsonschema"
)

// document is an API, made ready for requests to be checked against it.
type document struct {
	paths *segment
	// secret are the parameters in which credentials are: they are known without
	// being parameters of operations.
	secret map[place]bool
	notes  []string
}

// place is where a parameter is.
type place struct{ in, name string }

// load reads the document of a configuration. It is refused if a part of it that
// counts for checking cannot be understood.
func load(c *config) (d *document, err error) {
	defer func() {
		// Documents come from elsewhere: one that brings out a fault in their
		// reading is a bad one.
		if r := recover(); r != nil {
			d, err = nil, fmt.Errorf("the document cannot be read: %v", r)
		}
	}()
	root, err := decodeText(c.APISpec, c.APISpecEncoded)
	if err != nil {
		return nil, err
	}
	version, err := versionOf(root)
	if err != nil {
		return nil, err
	}
	r := &reader{set: jsonschema.NewSet(root, version)}
	d = &document{paths: &segment{}, secret: r.secrets(root)}
	paths, ok := root["paths"].(map[string]any)
	if raw, has := root["paths"]; !ok && (has && raw != nil || version == jsonschema.OpenAPI30) {
		return nil, errors.New("#/paths: it must be an object")
	}
	for _, template := range slices.Sorted(maps.Keys(paths)) {
		if !strings.HasPrefix(template, "/") {
			if strings.HasPrefix(template, "x-") {
				continue
			}
			return nil, fmt.Errorf("#/paths: %q must begin with a slash", template)
		}
		operations, servers, err := r.item(jsonschema.Child("#/paths", template), paths[template])
		if err != nil {
			return nil, err
		}
		for _, base := range basePaths(c, servers, root["servers"]) {
			if err := d.paths.add(base+template, operations); err != nil {
				return nil, fmt.Errorf("%s: %w", jsonschema.Child("#/paths", template), err)
			}
		}
	}
	if err := r.set.Finish(); err != nil {
		return nil, err
	}
	d.notes = r.set.Notes()
	return d, nil
}

func versionOf(root map[string]any) (jsonschema.Version, error) {
	var text string
	switch v := root["openapi"].(type) {
	case string:
		text = v
	case json.Number:
		text = v.String()
	}
	major, minor, _ := strings.Cut(text, ".")
	minor, _, _ = strings.Cut(minor, ".")
	switch {
	case major == "3" && minor == "0":
		return jsonschema.OpenAPI30, nil
	case major == "3" && (minor == "1" || minor == "2"):
		return jsonschema.OpenAPI31, nil
	case text == "" && root["swagger"] != nil:
		return 0, errors.New("it must be a document of OpenAPI 3: one of Swagger 2 has to be converted")
	}
	return 0, fmt.Errorf("#/openapi: it must be 3.0 or 3.1, and is %q", text)
}

// basePaths are what the paths begin with.
func basePaths(c *config, servers ...any) []string {
	if !c.IncludeBasePath {
		return []string{""}
	}
	if c.CustomBasePath != "" {
		return []string{strings.TrimSuffix(c.CustomBasePath, "/")}
	}
	for _, s := range servers {
		list, _ := s.([]any)
		var bases []string
		for _, server := range list {
			object, _ := server.(map[string]any)
			if base := serverPath(object); !slices.Contains(bases, base) {
				bases = append(bases, base)
			}
		}
		if bases != nil {
			return bases
		}
	}
	return []string{""}
}

// serverPath is the path of a server, with the defaults of its variables.
func serverPath(server map[string]any) string {
	text, _ := server["url"].(string)
	variables, _ := server["variables"].(map[string]any)
	for name, raw := range variables {
		variable, _ := raw.(map[string]any)
		value, _ := variable["default"].(string)
		text = strings.ReplaceAll(text, "{"+name+"}", value)
	}
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(u.Path, "/")
}

// reader reads the parts of a document.
type reader struct{ set *jsonschema.Set }

// maxReferences bounds how often a reference may lead to another one.
const maxReferences = 32

// object is an object of the document, and its pointer, after references.
func (r *reader) object(pointer string, raw any) (string, map[string]any, error) {
	for range maxReferences {
		object, ok := raw.(map[string]any)
		if !ok {
			return "", nil, fmt.Errorf("%s: it must be an object", pointer)
		}
		ref, has := object["$ref"].(string)
		if !has {
			return pointer, object, nil
		}
		to, value, err := r.set.Resolve(ref)
		if err != nil {
			return "", nil, fmt.Errorf("%s: %w", pointer, err)
		}
		pointer, raw = to, value
	}
	return "", nil, fmt.Errorf("%s: its references do not end", pointer)
}

// schema is the schema under a keyword of an object, nil if there is none.
func (r *reader) schema(pointer string, object map[string]any) *jsonschema.Schema {
	raw, has := object["schema"]
	if !has {
		return nil
	}
	return r.set.At(jsonschema.Child(pointer, "schema"), raw)
}

// list is an array of the document under a name.
func list(pointer string, object map[string]any, name string) (string, []any, error) {
	raw, has := object[name]
	if !has {
		return "", nil, nil
	}
	pointer = jsonschema.Child(pointer, name)
	l, ok := raw.([]any)
	if !ok {
		return "", nil, fmt.Errorf("%s: it must be an array", pointer)
	}
	return pointer, l, nil
}

// sub is an object of the document under a name, nil if there is none.
func sub(pointer string, object map[string]any, name string) (string, map[string]any, error) {
	raw, has := object[name]
	if !has {
		return "", nil, nil
	}
	pointer = jsonschema.Child(pointer, name)
	o, ok := raw.(map[string]any)
	if !ok {
		return "", nil, fmt.Errorf("%s: it must be an object", pointer)
	}
	return pointer, o, nil
}

var methods = [...]string{"get", "put", "post", "delete", "options", "head", "patch", "trace", "query"}

// item reads the operations of a path, by method, and its servers.
func (r *reader) item(pointer string, raw any) (map[string]*operation, any, error) {
	if raw == nil {
		return nil, nil, nil
	}
	l, err := r.layers(pointer, raw)
	if err != nil {
		return nil, nil, err
	}
	at, object := l.with("parameters")
	shared, err := r.parameters(at, object)
	if err != nil {
		return nil, nil, err
	}
	operations := map[string]*operation{}
	for _, method := range methods {
		at, object := l.with(method)
		at, o, err := sub(at, object, method)
		if err != nil {
			return nil, nil, err
		}
		if o == nil {
			continue
		}
		if operations[strings.ToUpper(method)], err = r.operation(at, o, shared); err != nil {
			return nil, nil, err
		}
	}
	at, object = l.with("additionalOperations")
	at, others, err := sub(at, object, "additionalOperations")
	if err != nil {
		return nil, nil, err
	}
	for _, method := range slices.Sorted(maps.Keys(others)) {
		at, o, err := sub(at, others, method)
		if err != nil {
			return nil, nil, err
		}
		if operations[method], err = r.operation(at, o, shared); err != nil {
			return nil, nil, err
		}
	}
	if get := operations["GET"]; get != nil && operations["HEAD"] == nil {
		operations["HEAD"] = get
	}
	_, object = l.with("servers")
	return operations, object["servers"], nil
}

// layers are a path item and those that it refers to, one through the other: what
// stands beside a reference goes before what it leads to.
type layers []layer

type layer struct {
	pointer string
	object  map[string]any
}

func (r *reader) layers(pointer string, raw any) (layers, error) {
	var l layers
	for range maxReferences {
		object, ok := raw.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s: it must be an object", pointer)
		}
		l = append(l, layer{pointer, object})
		ref, has := object["$ref"].(string)
		if !has {
			return l, nil
		}
		var err error
		at := pointer
		if pointer, raw, err = r.set.Resolve(ref); err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
	}
	return nil, fmt.Errorf("%s: its references do not end", pointer)
}

// with is the first that has a member, or the last.
func (l layers) with(name string) (string, map[string]any) {
	for _, one := range l {
		if _, has := one.object[name]; has {
			return one.pointer, one.object
		}
	}
	last := l[len(l)-1]
	return last.pointer, last.object
}

// secrets are the parameters in which credentials are.
func (r *reader) secrets(root map[string]any) map[place]bool {
	secret := map[place]bool{}
	components, _ := root["components"].(map[string]any)
	schemes, _ := components["securitySchemes"].(map[string]any)
	for name, raw := range schemes {
		_, scheme, err := r.object(jsonschema.Child("#/components/securitySchemes", name), raw)
		if err != nil {
			continue // it is not for this plugin to check
		}
		if scheme["type"] != "apiKey" {
			secret[place{"header", "authorization"}] = true
			continue
		}
		in, _ := scheme["in"].(string)
		name, _ := scheme["name"].(string)
		if in == "header" {
			name = strings.ToLower(name)
		}
		secret[place{in, name}] = true
	}
	return secret
}

// operation is what a path has under a method.
type operation struct {
	path, query, header, cookie []*parameter
	known                       map[place]bool // the parameters
	body                        *body
	responses                   map[string]contents // by status, such as 200, 4XX, default
}

func (r *reader) operation(pointer string, object map[string]any, shared []*parameter) (*operation, error) {
	own, err := r.parameters(pointer, object)
	if err != nil {
		return nil, err
	}
	o := &operation{known: map[place]bool{}}
	for _, p := range own {
		o.add(p)
	}
	for _, p := range shared {
		if !o.known[p.place()] {
			o.add(p)
		}
	}
	for i, p := range o.query {
		with := *p // it may be that of other operations as well
		with.known, o.query[i] = o.known, &with
	}
	if raw, has := object["requestBody"]; has {
		if o.body, err = r.body(jsonschema.Child(pointer, "requestBody"), raw); err != nil {
			return nil, err
		}
	}
	at, responses, err := sub(pointer, object, "responses")
	if err != nil {
		return nil, err
	}
	o.responses = map[string]contents{}
	for _, status := range slices.Sorted(maps.Keys(responses)) {
		if strings.HasPrefix(status, "x-") {
			continue
		}
		at, response, err := r.object(jsonschema.Child(at, status), responses[status])
		if err != nil {
			return nil, err
		}
		if o.responses[strings.ToUpper(status)], err = r.contents(at, response); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func (o *operation) add(p *parameter) {
	o.known[p.place()] = true
	switch p.in {
	case "path":
		o.path = append(o.path, p)
	case "query":
		o.query = append(o.query, p)
	case "header":
		o.header = append(o.header, p)
	case "cookie":
		o.cookie = append(o.cookie, p)
	}
}

// response is what may be sent with a status.
func (o *operation) response(status int) (contents, bool) {
	text := strconv.Itoa(status)
	for _, key := range [...]string{text, text[:1] + "XX", "DEFAULT"} {
		if c, ok := o.responses[key]; ok {
			return c, true
		}
	}
	return nil, false
}

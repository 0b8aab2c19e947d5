package docs_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/openapi"
)

// api is one of the APIs.
type api struct {
	page     string // of its reference
	services []protoreflect.ServiceDescriptor
	files    []protoreflect.FileDescriptor // with its objects, in the order of the page
	// plain is set where answers are the objects themselves, and the status
	// says what was done: 201 for what was created, 204 for an empty answer.
	plain bool
}

func catalogAPI() api {
	file := catalogv1.File_backplane_catalog_v1_catalog_proto
	return api{
		page: "catalog.md", services: servicesOf(file),
		files: []protoreflect.FileDescriptor{catalogv1.File_backplane_catalog_v1_service_proto, file},
	}
}

func identityAPI() api {
	file := identityv1.File_backplane_identity_v1_identity_proto
	return api{
		page: "identity.md", services: servicesOf(file),
		files: []protoreflect.FileDescriptor{identityv1.File_backplane_identity_v1_resources_proto, file},
	}
}

func databasesAPI() api {
	files := []protoreflect.FileDescriptor{dbaasv1.File_backplane_dbaas_v1_database_admin_proto, dbaasv1.File_backplane_dbaas_v1_credential_admin_proto}
	return api{
		page: "databases.md", services: servicesOf(files...), plain: true,
		files: append([]protoreflect.FileDescriptor{dbaasv1.File_backplane_dbaas_v1_resources_proto}, files...),
	}
}

func servicesOf(files ...protoreflect.FileDescriptor) (out []protoreflect.ServiceDescriptor) {
	for _, f := range files {
		for i := range f.Services().Len() {
			out = append(out, f.Services().Get(i))
		}
	}
	return out
}

// The parts of the generated OpenAPI document that the pages use. It has the
// protos' comments, which the generated Go code has not; the order is that of
// the protos.
type (
	document struct {
		Paths      map[string]map[string]operation
		Components struct{ Schemas map[string]schema }
	}
	operation struct {
		OperationID          string
		Summary, Description string
		Parameters           []struct {
			Name, In, Description string
			Schema                schema
		}
		RequestBody *struct {
			Content map[string]struct{ Schema schema }
		}
		Responses map[string]struct {
			Content map[string]struct{ Schema schema }
		}
	}
	schema struct {
		Ref                  string `json:"$ref"`
		Type                 types
		Format, Description  string
		ReadOnly             bool
		Items                *schema
		AdditionalProperties json.RawMessage
		AllOf, AnyOf         []schema
		Properties           map[string]schema
		Required             []string
	}
	types []string // one, or one and null
)

// UnmarshalJSON implements json.Unmarshaler.
func (ts *types) UnmarshalJSON(text []byte) error {
	if text[0] != '[' {
		*ts = types{""}
		return json.Unmarshal(text, &(*ts)[0])
	}
	return json.Unmarshal(text, (*[]string)(ts))
}

func (s schema) is(kind string) bool { return slices.Contains(s.Type, kind) }

func load(t *testing.T) document {
	t.Helper()
	var doc document
	all, err := openapi.Generated()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// call is one RPC with its REST bindings and its documentation.
type call struct {
	rpc, verb, path string
	also            []binding // further bindings
	slash           bool      // paths are shown with a slash at the end
	full            string    // name of the method, as gRPC has it
	op              operation
	input           protoreflect.FieldDescriptors
}

type binding struct{ verb, path string }

// bindingOf is what an HTTP rule binds an RPC to.
func bindingOf(rule *annotations.HttpRule) binding {
	for _, b := range []binding{{"get", rule.GetGet()}, {"post", rule.GetPost()}, {"put", rule.GetPut()}, {"delete", rule.GetDelete()}, {"patch", rule.GetPatch()}} {
		if b.path != "" {
			return b
		}
	}
	return binding{}
}

func (a api) calls(t *testing.T) (out []call) {
	t.Helper()
	doc := load(t)
	for _, service := range a.services {
		for i := range service.Methods().Len() {
			m := service.Methods().Get(i)
			rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
			first := bindingOf(rule)
			if first.path == "" && m.IsStreamingServer() {
				continue // gRPC has it alone
			}
			c := call{
				rpc: string(m.Name()), full: fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name()), input: m.Input().Fields(),
				verb: first.verb, path: first.path, slash: a.plain,
			}
			for _, more := range rule.GetAdditionalBindings() {
				c.also = append(c.also, bindingOf(more))
			}
			op, ok := doc.Paths[c.path][c.verb]
			if !ok {
				t.Fatalf("the OpenAPI document lacks %s %s", c.verb, c.path)
			}
			c.op = op
			out = append(out, c)
		}
	}
	return out
}

func (c call) title() string { return c.shown(binding{c.verb, c.path}) }

func (c call) shown(b binding) string {
	if c.slash {
		b.path += "/"
	}
	return strings.ToUpper(b.verb) + " " + b.path
}

// titles are all bindings, in code.
func (c call) titles() string {
	out := []string{"`" + c.title() + "`"}
	for _, b := range c.also {
		if b.path == c.path && c.slash { // PATCH beside PUT
			out = append(out, "`"+strings.ToUpper(b.verb)+"`")
		} else if c.slash {
			out = append(out, "`"+c.shown(b)+"`")
		}
	}
	return strings.Join(out, ", ")
}

func (a api) endpoints(t *testing.T) string {
	t.Helper()
	var rows [][]string
	for _, c := range a.calls(t) {
		title := strings.Replace(c.titles(), "`"+c.title()+"`", "[`"+c.title()+"`](#"+strings.ToLower(c.rpc)+")", 1)
		rows = append(rows, []string{title, "`" + c.rpc + "`", c.op.Summary})
	}
	return table([]string{"REST", "gRPC", ""}, rows...)
}

// rights say who may make each call.
func rights(t *testing.T) string {
	t.Helper()
	access := auth.Access()
	var rows [][]string
	for _, a := range []api{catalogAPI(), identityAPI(), databasesAPI()} {
		for _, c := range a.calls(t) {
			rule := access[c.full]
			who := map[auth.Reach]string{
				auth.Public: "anyone, without a login", auth.Anyone: "whoever is logged in",
				auth.InProject: string(rule.Role) + " in the project", auth.Everywhere: "global " + string(rule.Role),
			}[rule.Reach]
			rows = append(rows, []string{"[`" + c.rpc + "`](" + a.page + "#" + strings.ToLower(c.rpc) + ")", "`" + c.title() + "`", who})
		}
	}
	return table([]string{"gRPC", "REST", "Who may call"}, rows...)
}

func (a api) operations(t *testing.T) string {
	t.Helper()
	doc := load(t)
	var b strings.Builder
	for _, c := range a.calls(t) {
		fmt.Fprintf(&b, "### %s\n\n%s\n\n%s\n\n", c.rpc, c.titles(), c.op.Summary)
		if c.op.Description != "" {
			b.WriteString(c.op.Description + "\n\n")
		}
		var rows [][]string
		for _, p := range c.op.Parameters {
			if p.In != "path" && !(a.plain && slices.Contains(usual, p.Name)) {
				rows = append(rows, []string{"`" + p.Name + "`", parameterType(p.Schema), p.Description})
			}
		}
		if len(rows) > 0 {
			b.WriteString(table([]string{"Query", "Type", "Meaning"}, rows...) + "\n")
		}
		if text := c.body(); text != "" {
			b.WriteString("Body: " + text + ".\n\n")
		}
		for _, content := range c.op.Responses["200"].Content {
			b.WriteString("Answer" + a.answerOf(doc, c, content.Schema) + ".\n\n")
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// usual are the parameters of the lists and changes of databases, which the
// page describes once.
var usual = []string{"page", "page_size", "ordering", "filter[string]", "update_mask"}

// body tells what the request's body is, or which keys it has.
func (c call) body() string {
	if c.op.RequestBody == nil {
		return ""
	}
	s := c.op.RequestBody.Content["application/json"].Schema
	if s.Ref != "" {
		return typeName(s)
	}
	var keys []string
	for i := range c.input.Len() {
		name := c.input.Get(i).JSONName()
		p, ok := s.Properties[name]
		if !ok {
			continue // it is in the path
		}
		keys = append(keys, "`"+name+"` ("+typeName(p)+"): "+strings.TrimSuffix(oneLine(p.Description), "."))
	}
	return strings.Join(keys, "; ")
}

// answerOf tells what the answer is, or what it holds in data.
func (a api) answerOf(doc document, c call, s schema) string {
	properties := doc.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")].Properties
	data, wrapped := properties["data"]
	switch {
	case a.plain && len(properties) == 0:
		return ": 204, without a body"
	case isPage(properties):
		rest := maps.Clone(properties)
		delete(rest, "_links")
		name := slices.Collect(maps.Keys(rest))[0] // there is one
		return ": a [page](#lists), with `" + name + "`: " + typeName(rest[name])
	case a.plain && c.verb == "post" && strings.HasPrefix(c.op.Summary, "Create ") || a.plain && c.creates():
		return ", with 201: " + typeName(s)
	case !wrapped:
		return ": " + typeName(s)
	default:
		return ", in `data`: " + typeName(data)
	}
}

// isPage reports whether an object is a page of a list.
func isPage(properties map[string]schema) bool {
	return len(properties) == 2 && strings.HasSuffix(typeName(properties["_links"]), "(#listlinks)")
}

// creates reports whether a call makes a resource, though it is not named for
// that.
func (c call) creates() bool {
	return c.rpc == "CloneDatabase" || c.rpc == "RestoreSnapshot" || c.rpc == "CreateSnapshot"
}

// parameterType is the type of a query parameter, where everything is text.
func parameterType(s schema) string {
	if s.is("array") {
		return parameterType(*s.Items) + ", may be repeated"
	}
	return typeName(s)
}

func typeName(s schema) string {
	for _, one := range s.AnyOf {
		return typeName(one) + " or null"
	}
	for _, one := range s.AllOf {
		return typeName(one)
	}
	if len(s.Type) > 1 && s.is("null") {
		s.Type = s.Type[:1]
		return typeName(s) + " or null"
	}
	switch {
	case strings.HasSuffix(s.Ref, "NullValue"):
		return "null"
	case s.Ref != "":
		name := s.Ref[strings.LastIndexByte(s.Ref, '.')+1:]
		return "[" + name + "](#" + strings.ToLower(name) + ")"
	case s.is("array") && s.Items != nil:
		if s.Items.Ref == "" {
			return "list of " + typeName(*s.Items) + "s"
		}
		return "list of " + typeName(*s.Items)
	case s.is("object") && len(s.AdditionalProperties) > 0:
		var of schema
		if json.Unmarshal(s.AdditionalProperties, &of) == nil && len(of.Type) > 0 {
			return "map of " + typeName(of) + "s"
		}
	case s.Format == "date-time":
		return "time"
	}
	return strings.Join(s.Type, " or ")
}

func TestTypeNames(t *testing.T) {
	for text, want := range map[string]string{
		`{"type":"integer","format":"uint64"}`:                            "integer",
		`{"type":["string","null"],"format":"date-time"}`:                 "time or null",
		`{"type":["array","null"],"items":{"type":"string"}}`:             "list of strings or null",
		`{"anyOf":[{"$ref":"#/components/schemas/a.B"},{"type":"null"}]}`: "[B](#b) or null",
		`{"allOf":[{"$ref":"#/components/schemas/a.B"}]}`:                 "[B](#b)",
		`{"type":"object","additionalProperties":{"type":"integer"}}`:     "map of integers",
	} {
		var s schema
		if err := json.Unmarshal([]byte(text), &s); err != nil || typeName(s) != want {
			t.Errorf("%s is named %q, error %v, want %q", text, typeName(s), err, want)
		}
	}
}

func (a api) objects(t *testing.T) string {
	t.Helper()
	doc := load(t)
	var b strings.Builder
	for _, file := range a.files {
		for i := range file.Messages().Len() {
			m := file.Messages().Get(i)
			s, shown := doc.Components.Schemas[string(m.FullName())]
			if _, wrapper := s.Properties["ok"]; !shown || wrapper || a.plain && len(s.Properties) == 0 || isPage(s.Properties) {
				continue
			}
			fmt.Fprintf(&b, "### %s\n\n%s\n\n", m.Name(), s.Description)
			var rows [][]string
			for j := range m.Fields().Len() {
				name := m.Fields().Get(j).JSONName()
				p := s.Properties[name]
				kind := typeName(p)
				if p.ReadOnly {
					kind += ", read-only"
				}
				rows = append(rows, []string{"`" + name + "`", kind, p.Description})
			}
			b.WriteString(table([]string{"Field", "Type", "Meaning"}, rows...) + "\n")
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

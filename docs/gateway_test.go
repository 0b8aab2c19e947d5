package docs_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	plugins "github.com/backplane/backplane/dataplane/httpproxy/builtin"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	described "github.com/backplane/backplane/dataplane/httpproxy/schema"
	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/server/auth"
)

func gatewayAPI() api {
	return api{page: "gateway.md", plain: true, services: servicesOf(
		gatewayv1.File_backplane_gateway_v1_gateway_proto, gatewayv1.File_backplane_gateway_v1_consumers_proto, gatewayv1.File_backplane_gateway_v1_node_proto,
	)}
}

// gatewayCalls are the calls of the gateway's API, with who may make them.
func gatewayCalls(t *testing.T) string {
	t.Helper()
	access := auth.Access()
	var rows [][]string
	for _, c := range gatewayAPI().calls(t) {
		c.slash = false
		titles := []string{"`" + c.title() + "`"}
		for _, b := range c.also {
			titles = append(titles, "`"+c.shown(b)+"`")
		}
		rows = append(rows, []string{strings.Join(titles, ", "), "`" + c.rpc + "`", string(access[c.full].Role), c.op.Summary})
	}
	return table([]string{"REST", "gRPC", "Role", ""}, rows...)
}

// gatewayEntities are the fields of the entities.
func gatewayEntities() string {
	var b strings.Builder
	for _, c := range entity.Collections() {
		fmt.Fprintf(&b, "### %s\n\n", c.Name)
		var notes []string
		if c.Key != "" {
			notes = append(notes, "Paths name one by id or `"+c.Key+"`.")
		}
		for _, u := range c.Unique {
			if len(u.Fields) > 1 {
				notes = append(notes, codes(u.Fields)+" together are unique.")
			}
		}
		if len(notes) > 0 {
			b.WriteString(strings.Join(notes, " ") + "\n\n")
		}
		b.WriteString(schemaTable(c.Record.Fields) + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// gatewayPlugins are the plugins with their configurations.
func gatewayPlugins() string {
	var b strings.Builder
	for _, m := range plugins.Modules() {
		fmt.Fprintf(&b, "### %s\n\nPriority %d.", m.Name, m.Priority)
		if m.Protocols != nil {
			b.WriteString(" `protocols` is " + codes(m.Protocols) + " by default.")
		}
		if m.NoConsumer {
			b.WriteString(" Not for one consumer.")
		}
		b.WriteString("\n\n" + schemaTable(m.Config.Fields) + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func schemaTable(fields []described.Field) string {
	var rows [][]string
	var walk func(prefix string, fields []described.Field)
	walk = func(prefix string, fields []described.Field) {
		for i := range fields {
			f := &fields[i]
			if f.Type == described.RecordT {
				walk(prefix+f.Name+".", f.Fields)
				continue
			}
			rows = append(rows, []string{"`" + prefix + f.Name + "`", schemaKind(f), schemaDefault(f)})
		}
	}
	walk("", fields)
	return table([]string{"Field", "Type", "Default"}, rows...)
}

// schemaKind is the type of a field, with its bounds.
func schemaKind(f *described.Field) string {
	kind := string(f.Type)
	switch f.Type {
	case described.Array, described.Set:
		kind += " of " + schemaKind(f.Elements)
	case described.Map:
		kind += " of " + schemaKind(f.Values)
	case described.Foreign:
		kind = "one of the [" + f.Reference + "](#" + f.Reference + ")"
	case described.JSON:
		kind = "any, by the plugin's schema"
	case described.RecordT:
		var names []string
		for i := range f.Fields {
			names = append(names, f.Fields[i].Name)
		}
		kind = "record with " + codes(names)
	case described.String:
		if f.UUID {
			kind = "UUID"
		}
	}
	if f.OneOf != nil {
		values := make([]string, len(f.OneOf))
		for i, v := range f.OneOf {
			if values[i] = fmt.Sprint(v); values[i] == "" {
				values[i] = `""`
			}
		}
		kind = codes(values)
	}
	if f.Between != nil {
		kind += fmt.Sprintf(", %g to %g", f.Between[0], f.Between[1])
		if f.Between[1] >= 1e6 {
			kind = fmt.Sprintf("%s, %.0f to %.0f", f.Type, f.Between[0], f.Between[1])
		}
	}
	if f.Above != nil {
		kind += fmt.Sprintf(", above %g", *f.Above)
	}
	if f.Eq {
		kind += ", must be null"
	}
	if f.Unique {
		kind += ", unique"
	}
	if f.Hidden {
		kind += ", secret"
	}
	return kind
}

func schemaDefault(f *described.Field) string {
	switch {
	case f.Default != nil:
		text, err := json.Marshal(f.Default)
		if err != nil {
			return ""
		}
		return "`" + string(text) + "`"
	case f.Auto:
		return "made up"
	case f.Required:
		return "*required*"
	}
	return ""
}

// gatewayExample is the heart of the gateway that the page shows.
func gatewayExample(t *testing.T) string {
	t.Helper()
	_, text, found := strings.Cut(read(t, "example/gateway/main.go"), "address, upstream string) error {\n")
	text, _, end := strings.Cut(text, "\n}\n")
	if !found || !end {
		t.Fatal("docs/example/gateway/main.go has changed: tell where its heart is")
	}
	return "```go\n" + regexp.MustCompile(`(?m)^\t`).ReplaceAllString(text, "") + "\n```\n"
}

// pluginExample is a plugin with a test of it, which is among the tests of
// package gatewaytest.
func pluginExample(t *testing.T) string {
	t.Helper()
	text := read(t, "../dataplane/httpproxy/gatewaytest/example_test.go")
	_, text, found := strings.Cut(text, ")\n\n//")
	if !found {
		t.Fatal("the example of a plugin has changed: tell where it begins")
	}
	return "```go\n//" + strings.TrimSuffix(text, "\n") + "\n```\n"
}

// Every plugin has its row in the part that says what it is for.
func TestEveryPluginIsDescribed(t *testing.T) {
	_, section, _ := strings.Cut(read(t, "gateway.md"), "\n## The plugins\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, m := range plugins.Modules() {
		if !strings.Contains(section, "\n| [`"+m.Name+"`](#"+m.Name+") | ") {
			t.Errorf("docs/gateway.md does not say what the plugin %s is for", m.Name)
		}
	}
}

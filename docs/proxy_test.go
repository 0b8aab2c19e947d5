package docs_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/backplane/backplane/dataplane/dbproxy"
	proxymodules "github.com/backplane/backplane/dataplane/dbproxy/builtin"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
	"github.com/backplane/backplane/server/auth"
)

func proxyAPI() api {
	return api{page: "proxy.md", services: servicesOf(proxyv1.File_backplane_proxy_v1_proxy_service_proto), plain: true}
}

// proxyExample is the heart of the proxy that the page shows.
func proxyExample(t *testing.T) string {
	t.Helper()
	_, text, found := strings.Cut(read(t, "example/proxy/main.go"), "serverPorts []string) error {\n")
	text, end := strings.CutSuffix(text, "\n}\n")
	if !found || !end {
		t.Fatal("docs/example/proxy/main.go has changed: tell where its heart is")
	}
	return "```go\n" + regexp.MustCompile(`(?m)^\t`).ReplaceAllString(text, "") + "\n```\n"
}

// proxyCalls are the calls of the proxy's API, with who may make them.
func proxyCalls(t *testing.T) string {
	t.Helper()
	access := auth.Access()
	var rows [][]string
	for _, c := range proxyAPI().calls(t) {
		c.slash = false
		rows = append(rows, []string{"`" + c.title() + "`", "`" + c.rpc + "`", string(access[c.full].Role), c.op.Summary})
	}
	return table([]string{"REST", "gRPC", "Role", ""}, rows...)
}

// proxyParameters are the parameters that the objects have, whatever their
// module.
func proxyParameters() string {
	var b strings.Builder
	for _, part := range []struct {
		title string
		specs param.Specs
	}{
		{"Parameters of servers", dbproxy.ServerSpecs()}, {"Parameters of services", dbproxy.ServiceSpecs()},
		{"Parameters of listeners", dbproxy.ListenerSpecs()}, {"Settings of the proxy", dbproxy.SettingsSpecs()},
	} {
		b.WriteString("### " + part.title + "\n\n" + parameterTable(part.specs) + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// proxyModules are the routers, filters and monitors with their parameters and
// commands.
func proxyModules() string {
	var b strings.Builder
	modules := proxymodules.Modules()
	part := func(kind, name, description string, specs param.Specs, commands []dbproxy.Command) {
		fmt.Fprintf(&b, "### %s\n\n%s. %s.\n\n", name, kind, strings.TrimSuffix(description, "."))
		if len(specs) > 0 {
			b.WriteString(parameterTable(specs) + "\n")
		}
		if len(commands) > 0 {
			b.WriteString(commandTable(commands) + "\n")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(modules.Routers)) {
		m := modules.Routers[name]
		part("Router", name, m.Description, m.Specs, m.Commands)
	}
	for _, name := range slices.Sorted(maps.Keys(modules.Monitors)) {
		m := modules.Monitors[name]
		part("Monitor", name, m.Description, m.Specs, m.Commands)
	}
	for _, name := range slices.Sorted(maps.Keys(modules.Filters)) {
		m := modules.Filters[name]
		part("Filter", name, m.Description, m.Specs, m.Commands)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// numbered are parameters of which there are several, as match01 and match02.
var numbered = regexp.MustCompile(`^(.*\D)(\d\d)$`)

func parameterTable(specs param.Specs) string {
	last := map[string]string{} // of the numbered ones
	for _, s := range specs {
		if m := numbered.FindStringSubmatch(s.Name); m != nil {
			last[m[1]] = s.Name
		}
	}
	var rows [][]string
	for _, s := range specs {
		if s.Ignored {
			continue
		}
		name := "`" + s.Name + "`"
		if m := numbered.FindStringSubmatch(s.Name); m != nil {
			if m[2] != "01" {
				continue
			}
			name += " … `" + last[m[1]] + "`"
		}
		for _, other := range s.Aliases {
			name += ", `" + other + "`"
		}
		rows = append(rows, []string{name, parameterKind(s), parameterDefault(s), s.Description})
	}
	return table([]string{"Parameter", "Type", "Default", "Meaning"}, rows...)
}

func parameterKind(s param.Spec) string {
	kind := string(s.Type)
	switch s.Type {
	case param.TypeEnum:
		kind = codes(s.Enum)
	case param.TypeEnumMask:
		kind = "several of " + codes(s.Enum)
	case param.TypeStringList:
		kind = "list of strings"
	}
	if s.Fixed {
		kind += ", fixed"
	}
	if s.Deprecated {
		kind += ", old"
	}
	return kind
}

func parameterDefault(s param.Spec) string {
	if s.Mandatory {
		return "*required*"
	}
	switch v := s.Default.(type) {
	case nil:
		return ""
	case []string:
		if slices.Equal(v, s.Enum) {
			return "all"
		}
		return codes(v)
	case time.Duration:
		text := regexp.MustCompile(`([hm])0[ms](0s)?$`).ReplaceAllString(v.String(), "$1")
		return "`" + text + "`"
	default:
		return fmt.Sprintf("`%v`", v)
	}
}

func commandTable(commands []dbproxy.Command) string {
	var rows [][]string
	for _, c := range commands {
		var args []string
		for _, a := range c.Args {
			text := strings.ToLower(a.Description) + " (" + string(a.Type) + ")"
			if a.Optional {
				text = "[" + text + "]"
			}
			args = append(args, text)
		}
		rows = append(rows, []string{"`" + c.Name + "`", c.Method, strings.Join(args, ", "), c.Description})
	}
	return table([]string{"Command", "Method", "Arguments, in this order", "Does"}, rows...)
}

// proxyMetrics are the metrics of the proxy.
func proxyMetrics(t *testing.T) string {
	t.Helper()
	p := dbproxy.New(dbproxy.Options{})
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	ch := make(chan *prometheus.Desc)
	go func() {
		defer close(ch)
		p.Describe(ch)
	}()
	var rows [][]string
	for d := range ch {
		m := desc.FindStringSubmatch(d.String())
		if m == nil {
			t.Errorf("a metric describes itself in an unknown way: %s", d)
			continue
		}
		kind := "gauge"
		switch {
		case strings.HasSuffix(m[1], "_total"):
			kind = "counter"
		case strings.HasSuffix(m[1], "request_seconds"):
			kind = "histogram"
		}
		rows = append(rows, []string{"`" + m[1] + "`", kind, codes(strings.Split(m[3], ",")), m[2]})
	}
	return table([]string{"Metric", "Kind", "Labels", "Meaning"}, rows...)
}

// Every module has its row in the part that says what it is for.
func TestEveryFilterIsDescribed(t *testing.T) {
	_, section, _ := strings.Cut(read(t, "proxy.md"), "\n## Filters\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for name := range proxymodules.Modules().Filters {
		if !strings.Contains(section, "\n| `"+name+"` | ") {
			t.Errorf("docs/proxy.md does not say what the filter %s is for", name)
		}
	}
}

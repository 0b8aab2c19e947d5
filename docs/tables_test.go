package docs_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/builtin"
	"github.com/backplane/backplane/internal/config"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/internal/telemetry"
	"github.com/backplane/backplane/server/rest"
)

// table is a Markdown table.
func table(header []string, rows ...[]string) string {
	var b strings.Builder
	line := func(cells []string) {
		for _, c := range cells {
			b.WriteString("| " + strings.ReplaceAll(oneLine(c), "|", `\|`) + " ")
		}
		b.WriteString("|\n")
	}
	line(header)
	b.WriteString(strings.Repeat("|---", len(header)) + "|\n")
	for _, r := range rows {
		line(r)
	}
	return b.String()
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func settings() string {
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	new(config.Config).Register(flags)
	var rows [][]string
	flags.SortFlags = false
	flags.VisitAll(func(f *pflag.Flag) {
		def := strings.TrimSuffix(strings.TrimPrefix(f.DefValue, "["), "]") // of a list
		if def != "" {
			def = "`" + def + "`"
		}
		key := "`" + f.Name + "`"
		if f.Name == "config" {
			key = ""
		}
		rows = append(rows, []string{"`--" + f.Name + "`", "`" + config.EnvName(f.Name) + "`", key, def, f.Usage})
	})
	return table([]string{"Flag", "Environment", "Key in the file", "Default", "Meaning"}, rows...)
}

var desc = regexp.MustCompile(`fqName: "([^"]*)", help: "([^"]*)".*variableLabels: \{([^}]*)\}`)

func metrics(t *testing.T) string {
	t.Helper()
	var rows [][]string
	v := reflect.ValueOf(telemetry.NewMetrics()).Elem()
	for i := range v.NumField() {
		c, ok := v.Field(i).Interface().(prometheus.Collector)
		if _, all := c.(*prometheus.Registry); !ok || all {
			continue
		}
		ch := make(chan *prometheus.Desc, 1)
		c.Describe(ch)
		m := desc.FindStringSubmatch((<-ch).String())
		if m == nil {
			t.Fatalf("metric %s describes itself in an unknown way", v.Type().Field(i).Name)
		}
		kind := "gauge"
		switch c.(type) {
		case *prometheus.CounterVec:
			kind = "counter"
		case *prometheus.HistogramVec:
			kind = "histogram"
		}
		labels := ""
		if m[3] != "" {
			labels = "`" + strings.ReplaceAll(m[3], ",", "`, `") + "`"
		}
		rows = append(rows, []string{"`" + m[1] + "`", kind, labels, m[2]})
	}
	return table([]string{"Metric", "Kind", "Labels", "Meaning"}, rows...)
}

func registry(t *testing.T) *connectors.Registry {
	t.Helper()
	r, err := builtin.Registry()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func serviceTypes(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	r := registry(t)
	for _, name := range r.Types() {
		c, _ := r.Lookup(name)
		spec := c.Spec()
		fmt.Fprintf(&b, "### %s\n\n%s\n\n", name, strings.TrimSuffix(spec.Doc, ".")+".")
		var rows [][]string
		for _, f := range spec.Fields {
			rows = append(rows, []string{"`" + f.Name + "`", fieldType(f), fieldDefault(f), f.Doc})
		}
		b.WriteString(table([]string{"Field", "Type", "Default", "Meaning"}, rows...) + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Every type has its row in the table of what a test proves.
func TestEveryTypeSaysWhatATestProves(t *testing.T) {
	_, section, _ := strings.Cut(read(t, "catalog.md"), "### What a test proves")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, name := range registry(t).Types() {
		if !strings.Contains(section, "\n| `"+name+"` | ") {
			t.Errorf("docs/catalog.md does not say what a test of %s proves", name)
		}
	}
}

// engineTable is what the engines of databases as a service say of themselves.
func engineTable(t *testing.T) string {
	t.Helper()
	var rows [][]string
	r := registry(t)
	for _, name := range r.Types() {
		c, _ := r.Lookup(name)
		p, ok := c.(connectors.Provisioner)
		if !ok {
			continue
		}
		rules := p.Rules()
		logins := "of the server"
		if rules.UsersPerDatabase {
			logins = "of the database"
		}
		rows = append(rows, []string{"`" + rules.EngineType + "`", "`" + name + "`", codes(rules.Reserved), codes(rules.ReservedUsers), logins, "`" + rules.Format + "`"})
	}
	slices.SortFunc(rows, func(a, b []string) int { return cmp.Compare(a[0], b[0]) })
	return table([]string{"`engine` of plans", "Type of service", "Names no database may have", "Names no login may have", "Names of logins are", "Snapshots are"}, rows...)
}

func codes(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return "`" + strings.Join(list, "`, `") + "`"
}

func fieldType(f connectors.Field) string {
	kind := map[connectors.Kind]string{
		connectors.String: "string", connectors.Integer: "integer", connectors.Boolean: "boolean", connectors.Strings: "list of strings",
	}[f.Kind]
	switch {
	case len(f.Enum) > 0:
		kind = "`" + strings.Join(f.Enum, "`, `") + "`"
	case f.Kind == connectors.Integer && (f.Min != 0 || f.Max != 0):
		kind += fmt.Sprintf(", %d to %d", f.Min, f.Max)
	case f.Kind == connectors.Strings && f.Max != 0:
		kind += fmt.Sprintf(", %d to %d", f.Min, f.Max)
	case f.Multiline:
		kind = "text of several lines"
	}
	switch {
	case f.Secret:
		kind += ", **secret**"
	case f.Sealed():
		kind += ", **secret in part**"
	}
	return kind
}

func fieldDefault(f connectors.Field) string {
	if f.Required {
		return "*required*"
	}
	if f.Default == nil {
		return ""
	}
	text, err := json.Marshal(f.Default)
	if err != nil {
		return ""
	}
	return "`" + string(text) + "`"
}

func failureCodes() string {
	codes := connectors.Codes()
	slices.Sort(codes)
	var rows [][]string
	for _, c := range codes {
		rows = append(rows, []string{"`" + string(c) + "`", (&connectors.Failure{Code: c}).Error()})
	}
	return table([]string{"`code`", "`error` begins with"}, rows...)
}

// reasons say when each error is given.
var reasons = map[errs.Reason]string{
	errs.BadRequest:       "The body is not a JSON object, has a key twice or something after it; a query parameter is unknown or wrong (`fields` names it).",
	errs.Unauthenticated:  "No login, a wrong one, or one that has expired or been revoked.",
	errs.PermissionDenied: "The caller sees the resource, but lacks the role for this; or the call needs a role that the caller has nowhere. `error` names the role.",
	errs.NotFound:         "Nothing of that id or name, nothing that the caller may see, or nothing at this path. An id that is no UUID is not found either.",
	errs.MethodNotAllowed: "The path has other methods; the header `Allow` lists them.",
	errs.TooLarge:         "The body is larger than 1 MiB.",
	errs.UnsupportedType:  "There is a body, and its `Content-Type` is not JSON.",
	errs.NameTaken:        "Another service of the project has this name (case does not count), or another user or project.",
	errs.InUse:            "A project that something belongs to, a service that databases are on or that the database proxy uses, the last global admin, or a rotation of the keys while another one runs.",
	errs.TypeImmutable:    "An update names another `service_type` than the service has.",
	errs.Disabled:         "A disabled service cannot be activated or deactivated.",
	errs.VersionMismatch:  "`If-Match` does not name the service's version, which the header `ETag` tells.",
	errs.IndexGone:        "A watch asks for changes that are no longer kept: list again, and watch from there.",
	errs.ValidationFailed: "Fields are at fault: `fields` names all of them at once, and what each should be.",
	errs.TestFailed:       "`verify` was asked for and the test failed. Nothing was stored; `data` holds the result of the test.",
	errs.TooManyTests:     "Too many connection tests are running; try again after `Retry-After` seconds.",
	errs.TooManyLogins:    "Too many wrong passwords for this user from this address, or from this address; try again after `Retry-After` seconds.",
	errs.TooManyCalls:     "The caller is over `--max-calls-per-second` or `--max-calls-at-once`; try again after `Retry-After` seconds.",
	errs.Timeout:          "The call took longer than the caller's deadline.",
	errs.Canceled:         "The caller has gone.",
	errs.Unavailable:      "The server is shutting down, or cannot be reached; connect again.",
	errs.BackendFailed:    "A database server refused what it was asked for. Of [databases](databases.md#errors) alone.",
	errs.Internal:         "A fault of the server. The log has its cause, under the same `request_id`.",
}

func errorTable(t *testing.T) string {
	t.Helper()
	all := errs.Reasons()
	slices.SortFunc(all, func(a, b errs.Reason) int {
		return cmp.Or(cmp.Compare(rest.StatusOf(a), rest.StatusOf(b)), cmp.Compare(a, b))
	})
	var rows [][]string
	for _, r := range all {
		if reasons[r] == "" {
			t.Errorf("the documentation does not say when %q is given", r)
		}
		rows = append(rows, []string{fmt.Sprint(rest.StatusOf(r)), "`" + string(r) + "`", "`" + errs.ToStatus(errs.New(r, "")).Code().String() + "`", reasons[r]})
	}
	return table([]string{"HTTP", "`code`", "gRPC", "When"}, rows...)
}

package rest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
)

const (
	asForm      = "application/x-www-form-urlencoded"
	asMultipart = "multipart/form-data; boundary=b"
)

// parts is a multipart form; what comes before `=` is the rest of the part's
// Content-Disposition.
func parts(fields ...string) string {
	var b strings.Builder
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		b.WriteString("--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n")
	}
	return b.String() + "--b--\r\n"
}

// TestDatabaseBodies: what RPCs get of bodies.
func TestDatabaseBodies(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	for _, c := range []struct{ call, kind, body, method, want string }{
		{"POST /api/database/", "application/json", `{"name":5,"plan":"/api/plan/1/","unknown":{"a":[1]},"project":null,"register":true}`, "CreateDatabase", `name: "5" plan: "/api/plan/1/" register: true`},
		{"POST /api/database/", "Application/JSON; charset=utf-8", ` {"name":1.50,"name":-2,"description":"\u00e9<"} `, "CreateDatabase", `name: "-2" description: "é<"`},
		{"POST /api/database/", asForm, "name=a+b&plan=%2Fapi%2Fplan%2F1%2F&register=on&nothing=1", "CreateDatabase", `name: "a b" plan: "/api/plan/1/" register: true`},
		{"POST /api/database/", asForm + "; charset=UTF-8", "name=a&name=b&register=", "CreateDatabase", `name: "b"`},
		{"POST /api/database/", asMultipart, parts("name=тест", `plan"; filename="x=file`, "register=0"), "CreateDatabase", `name: "тест"`},
		{"POST /api/database/", asForm, "name=%ff", "CreateDatabase", "name: \"\uFFFD\""},
		{"POST /api/database/", "text/plain", "", "CreateDatabase", ``},
		{"POST /api/database/", "", "", "CreateDatabase", ``},
		{"POST /api/plan/", "application/json", `{"name":"p","environments":["/a/",7],"is_active":false,"capacity":"12","total_size_in_bytes":1048576}`, "CreatePlan",
			`plan { name: "p" environments: "/a/" environments: "7" is_active: false capacity: 12 total_size_in_bytes: 1048576 }`},
		{"POST /api/plan/", asForm, "name=p&environments=/a/&environments=/b/&services[]=x&services[]=y&capacity=3&enforce=TRUE&is_active=f", "CreatePlan",
			`plan { name: "p" environments: "/a/" environments: "/b/" services: "x" services: "y" capacity: 3 enforce: true is_active: false }`},
		{"POST /api/plan/", asForm, "environments=/a/&environments[]=/b/&capacity=", "CreatePlan", `plan { environments: "/a/" }`},
		{"PUT /api/database/4/", "application/json", `{"project":null,"name":"x"}`, "UpdateDatabase",
			`id: 4 database {} update_mask { paths: "project" }`},
		{"PUT /api/database/4/", "", "", "UpdateDatabase", `id: 4 database {} update_mask { paths: "project" }`},
		{"PUT /api/database/4/", "application/json", `{"quarantine_dt":null,"description":""}`, "UpdateDatabase",
			`id: 4 database { description: "" } update_mask { paths: "project" paths: "quarantine_dt" paths: "description" }`},
		{"PUT /api/environment/4/", "application/json", `{"name":"e"}`, "UpdateEnvironment", `id: 4 environment { name: "e" } update_mask { paths: "name" }`},
		{"PUT /api/credential/4/", "application/json", `{"user":"e"}`, "UpdateCredential", `id: 4 credential {}`},
		{"PUT /api/project/4/", "application/json", `{"name":"e"}`, "UpdateDatabaseProject", `id: 4 project { name: "e" } update_mask { paths: "name" paths: "description" }`},
		{"PATCH /api/database/4/", "application/json", `{"quarantine_dt":null,"description":"d","id":9}`, "UpdateDatabase",
			`id: 4 database { description: "d" } update_mask { paths: "quarantine_dt" paths: "description" }`},
		{"PATCH /api/database/4", asForm, `description=`, "UpdateDatabase", `id: 4 database { description: "" } update_mask { paths: "description" }`},
		{"PATCH /api/database/4", "application/json", `{}`, "UpdateDatabase", `id: 4 database {}`},
		{"PATCH /api/database/4/?update_mask=project", "application/json", `{"name":"x"}`, "UpdateDatabase", `id: 4 database {}`},
		{"PATCH /api/plan/2/", "application/json", `{"capacity":0}`, "UpdatePlan", `id: 2 plan {} update_mask { paths: "capacity" }`},
		// Bodies that the RPC has no use for are not looked at.
		{"POST /api/credential/3/reset_password/", "text/plain", "{", "ResetPassword", `id: 3`},
		{"POST /api/credential/3/reset_password/", asForm, "", "ResetPassword", `id: 3`},
		{"POST /api/credential/3/reset_password/", "application/json", `{"id":4}`, "ResetPassword", `id: 3`},
		{"DELETE /api/credential/3/", "text/plain", "{", "DeleteCredential", `id: 3`},
		{"GET /api/credential/3/", "application/json", "{", "GetCredential", `id: 3`},
		{"POST /api/database/3/clone/", "application/json", `{"id":"x","name":"n"}`, "CloneDatabase", `id: 3 name: "n"`},
		{"POST /api/database/3/snapshot/", "application/json", `{"database":"/api/database/4/","service":"x"}`, "CreateSnapshot", `database: 3 service: "x"`},
		// A form may say what it stands for.
		{"POST /api/database/3/", asForm, "_method=delete", "DeleteDatabase", `id: 3`},
		{"POST /api/database/3/", asMultipart, parts("_method=PATCH", "description=d"), "UpdateDatabase", `id: 3 database { description: "d" } update_mask { paths: "description" }`},
		{"POST /api/database/", asForm, "_method=GET", "ListDatabases", ``},
	} {
		f.says(nil, "", nil)
		verb, path, _ := strings.Cut(c.call, " ")
		a := ask(t, s, verb, path, c.body, "Content-Type", c.kind)
		method, got, _ := f.last()
		if a.status != 200 && a.status != 204 || method != c.method {
			t.Errorf("%s %s: %d %s, calls %q", c.call, c.body, a.status, a.body, method)
			continue
		}
		if want := parse(t, got.ProtoReflect().New().Interface(), c.want); !proto.Equal(got, want) {
			t.Errorf("%s %s: the RPC gets %v, want %v", c.call, c.body, got, want)
		}
	}
}

// TestDatabaseBodiesRefused: what the façade refuses by itself.
func TestDatabaseBodiesRefused(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	for _, c := range []struct {
		call, kind, body string
		status           int
		rest             string
	}{
		{"POST /api/database/", "text/plain", "x", 415, `"detail":"Unsupported media type 'text/plain' in request."`},
		{"POST /api/database/", "", "{}", 415, `"detail":"Unsupported media type '' in request."`},
		{"PATCH /api/plan/1/", "application/xml", "<a/>", 415, `"detail":"Unsupported media type 'application/xml' in request."`},
		{"POST /api/database/", "application/json", `{"name":`, 400, `"detail":"JSON parse error - unexpected end of JSON input: line 1 column 8 (char 7)"`},
		{"POST /api/database/", "application/json", "{\n \"a\": x}", 400, `"detail":"JSON parse error - invalid character 'x' looking for beginning of value: line 2 column 7 (char 8)"`},
		{"POST /api/database/", "application/json", `{} {}`, 400, `"detail":"JSON parse error - invalid character '{' after top-level value: line 1 column 4 (char 3)"`},
		{"POST /api/database/", "application/json", "  ", 400, `"detail":"JSON parse error - unexpected end of JSON input: line 1 column 2 (char 1)"`},
		{"POST /api/database/", "application/json", "{\"name\":\"\xff\"}", 400, `"detail":"JSON parse error - the body is not UTF-8"`},
		{"POST /api/database/", "application/json", `[1]`, 400, `"non_field_errors":["Invalid data"]`},
		{"POST /api/database/", "application/json", `null`, 400, `"non_field_errors":["Invalid data"]`},
		{"POST /api/database/", "application/json", `"x"`, 400, `"non_field_errors":["Invalid data"]`},
		{"POST /api/database/", "application/json", `{"plan":5,"environment":1.5,"project":true,"team":["a"]}`, 400,
			`"plan":["Incorrect type.  Expected url string, received int."],"environment":["Incorrect type.  Expected url string, received float."],` +
				`"project":["Incorrect type.  Expected url string, received bool."],"team":["Incorrect type.  Expected url string, received list."],"name":["This field is required."]`},
		{"POST /api/database/", "application/json", `{"plan":{},"name":"","environment":null,"register":"maybe"}`, 400,
			`"plan":["Incorrect type.  Expected url string, received dict."],"register":["Must be a valid boolean."],"name":["This field is required."],"environment":["This field is required."]`},
		{"POST /api/database/", "application/json", `{"name":["x"],"plan":"p","environment":"e","description":true}`, 400, `"name":["Not a valid string."],"description":["Not a valid string."]`},
		{"POST /api/plan/", "application/json", `{"name":"p","engine":"redis","environments":"x","services":[null,{}],"capacity":"many","total_size_in_bytes":9223372036854775808}`, 400,
			`"environments":["Expected a list of items but got type \"str\"."],"services":["This field may not be null.","Not a valid string."],` +
				`"total_size_in_bytes":["Must be an integer from -9223372036854775808 to 9223372036854775807."],"capacity":["A valid integer is required."]`},
		{"PATCH /api/plan/1/", "application/json", `{"capacity":2147483648,"name":null}`, 400, `"capacity":["Must be an integer from -2147483648 to 2147483647."],"name":["This field is required."]`},
		{"PATCH /api/database/1/", "application/json", `{"project":5,"quarantine_dt":20240101}`, 400, `"project":["Incorrect type.  Expected url string, received int."]`},
		{"PATCH /api/plan/1/", asForm, `capacity=1.5`, 400, `"capacity":["A valid integer is required."]`},
		{"POST /api/database/", asForm, "name=%zz", 400, `"detail":"Form parse error - invalid URL escape \"%zz\""`},
		{"POST /api/database/", "multipart/form-data", "name=x", 400, `"detail":"Multipart form parse error - the Content-Type names no boundary"`},
		{"POST /api/database/", asMultipart, "--b\r\nname", 400, `"detail":"Multipart form parse error - malformed MIME header: missing colon: \"name\""`},
		{"POST /api/database/", asMultipart, parts(slices.Repeat([]string{"a=b"}, maxParts+1)...), 400, `"detail":"Multipart form parse error - there are too many fields"`},
		{"POST /api/database/", "application/json", `{"name":"` + strings.Repeat("x", MaxBody) + `"}`, 413, `"detail":"The body is larger than 1048576 bytes"`},
		{"POST /api/database/", asForm, "name=" + strings.Repeat("x", MaxBody), 413, `"detail":"The body is larger than 1048576 bytes"`},
		{"POST /api/engine/", asForm, "_method=trim", 405, `"detail":"Method 'TRIM' not allowed."`},
	} {
		f.says(nil, "", nil)
		verb, path, _ := strings.Cut(c.call, " ")
		what := c.call + " " + c.body[:min(len(c.body), 200)]
		wantAnswer(t, what, ask(t, s, verb, path, c.body, "Content-Type", c.kind), c.status, failure(path, c.rest))
		// With a value that does not fit the RPC is asked what else is wrong.
		method, _, _ := f.last()
		if asked, alone := method != "", strings.HasPrefix(c.rest, `"detail"`) || strings.HasPrefix(c.rest, `"non_field_errors"`); asked == alone {
			t.Errorf("%s reaches %q", what, method)
		}
	}
}

// TestDatabaseFaultsTogether: what the RPC says of other fields comes with the
// faults of types, and what it says of the call instead of them.
func TestDatabaseFaultsTogether(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	const body = `{"name":"x","plan":1,"description":"d"}`
	for _, c := range []struct {
		err    error
		status int
		rest   string
	}{
		{nil, 400, `"plan":["Incorrect type.  Expected url string, received int."],"environment":["This field is required."]`},
		{errs.Invalid(errs.Field{Path: "name", Message: "It is short."}, errs.Field{Path: "plan", Message: "This field is required."}), 400,
			`"plan":["Incorrect type.  Expected url string, received int."],"environment":["This field is required."],"name":["It is short."]`},
		{errs.New(errs.NotFound, "no such thing"), 404, `"detail":"Not found"`},
		{errs.New(errs.PermissionDenied, "not here"), 403, `"detail":"You do not have permission to perform this action."`},
	} {
		f.says(nil, "", c.err)
		wantAnswer(t, fmt.Sprint(c.err), ask(t, s, "POST", "/api/database/", body, "Content-Type", "application/json"), c.status, failure("/api/database/", c.rest))
		if _, got, _ := f.last(); got.(*dbaasv1.CreateDatabaseRequest).GetPlan() != "" || got.(*dbaasv1.CreateDatabaseRequest).GetDescription() != "d" {
			t.Errorf("the RPC gets %v", got)
		}
	}
}

// TestDatabaseBodyWithoutLength: a body that turns out to be empty is none.
func TestDatabaseBodyWithoutLength(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	for _, c := range []struct {
		body   string
		status int
	}{{"", 200}, {"x", 415}} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/api/database/", chunked{strings.NewReader(c.body)})
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("admin", fakePassword)
		resp, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("the body %q is answered %d, want %d", c.body, resp.StatusCode, c.status)
		}
	}
}

// chunked hides how long a body is.
type chunked struct{ *strings.Reader }

func (c chunked) Read(p []byte) (int, error) { return c.Reader.Read(p) }

// FuzzForm holds forms, and what becomes of them, to what every one must be:
// read without a panic, refused with faults or taken as the fields' own types.
func FuzzForm(f *testing.F) {
	for _, seed := range []struct{ kind, body string }{
		{asForm, "name=a+b&environments=/a/&environments[]=/b/&capacity=3&enforce=on"}, {asForm, "name=%zz&[]=x&=y&a[]&%ff=%ff"},
		{asMultipart, parts("name=x", "capacity=-1", `f"; filename="g=file`)}, {asMultipart, "--b\r\n\r\n"}, {"multipart/form-data; boundary=\"", "x"},
		{"application/json", `{"name":1e3,"environments":[1,"2",null],"capacity":"7","is_active":{}}`}, {"application/json", `{"a":`},
	} {
		f.Add(seed.kind, []byte(seed.body))
	}
	all := loadRoutes("backplane.dbaas.")
	route, _, err := all.find(http.MethodPost, "/api/plan")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		var sent map[string]any
		form, err := parseForm(kind, body)
		if err == nil {
			sent = form.object()
			for name, v := range sent {
				if values, ok := v.(formValues); !ok || len(values) == 0 {
					t.Fatalf("%q is %v", name, v)
				}
			}
		} else if sent, err = parseObject(body); err != nil {
			var e *errs.Error
			if !errors.As(err, &e) || e.Message == "" {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		clean, faults := coerce(sent, route, http.MethodPost)
		for _, f := range faults {
			if _, kept := clean[f.Path]; kept || f.Message == "" {
				t.Fatalf("the fault %v is of a value that stays", f)
			}
		}
		text, err := json.Marshal(clean)
		if err != nil {
			t.Fatal(err)
		}
		var plan dbaasv1.PlanInput
		if err := protojson.Unmarshal(text, &plan); err != nil {
			t.Errorf("%s is not what the RPC decodes: %v", text, err)
		}
	})
}

package rest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
)

// TestDialectOf: every path of databases as a service, and no other, is in
// their dialect.
func TestDialectOf(t *testing.T) {
	t.Parallel()
	for _, r := range loadRoutes("backplane.") {
		want := Catalog
		switch {
		case strings.HasPrefix(r.method, "/backplane.dbaas."):
			want = Databases
		case r.segments[0] == "v1":
			want = Proxy
		case r.segments[0] == "service":
			want = AutoGateway
		case strings.HasPrefix(r.method, "/backplane.gateway.") && r.segments[0] != "api":
			want = Gateway
		}
		if got := DialectOf("/" + strings.Join(r.segments, "/")); got != want {
			t.Errorf("%s %s is in dialect %d, want %d", r.verb, r.segments, got, want)
		}
	}
	for path, want := range map[string]Dialect{
		"/api": Databases, "/api/": Databases, "/api/database/": Databases, "/api/plan/1/x": Databases, "/v1/auth": Proxy,
		"/": Gateway, "/apix": Gateway, "/services": Gateway, "/servicex": Gateway, "/service": AutoGateway, "/service/": AutoGateway, "/service/1/x": AutoGateway, "/apidatabase": Gateway, "/nothing": Gateway, "/api/databases": Catalog, "/api/projects": Catalog, "/api//": Catalog, "/api/nothing": Catalog,
	} {
		if got := DialectOf(path); got != want {
			t.Errorf("%s is in dialect %d, want %d", path, got, want)
		}
	}
	for call, want := range map[string]Dialect{
		"GET /services": Gateway, "GET /services?size=1": Gateway, "GET /services?Page=1": Gateway, "GET /services?page=1": AutoGateway, "GET /services/?page": AutoGateway,
		"HEAD /services?size=1&page=2": AutoGateway, "POST /services?page=1": Gateway, "DELETE /services?page=1": Gateway, "OPTIONS /services?page=1": Gateway,
		"PATCH /services": AutoGateway, "PATCH /services/": AutoGateway, "PATCH /services/a": Gateway, "GET /services/a?page=1": Gateway, "GET /routes?page=1": Gateway,
		"POST /service": AutoGateway, "GET /api/services?page=1": Catalog,
	} {
		verb, target, _ := strings.Cut(call, " ")
		if got := DialectOfRequest(httptest.NewRequest(verb, target, nil)); got != want {
			t.Errorf("%s is in dialect %d, want %d", call, got, want)
		}
	}
}

const pageDatabase = `
	links { self: "http://localhost:8000/api/database/1/" } id: 1 name: "test_database2"
	endpoint: "mongodb://<user>:<password>@127.0.0.1:27017/test_database2"
	plan: "http://localhost:8000/api/plan/1/" environment: "http://localhost:8000/api/environment/1/"
	used_size_in_bytes: 16924 credentials: "http://localhost:8000/api/credential/1/"`

// pageAnswer is the documented answer, as the page has it.
const pageAnswer = `{
    "_links": {
        "self": "http://localhost:8000/api/database/1/"
    }, 
    "id": 1, 
    "name": "test_database2", 
    "endpoint": "mongodb://<user>:<password>@127.0.0.1:27017/test_database2", 
    "plan": "http://localhost:8000/api/plan/1/", 
    "environment": "http://localhost:8000/api/environment/1/", 
    "project": null, 
    "quarantine_dt": null, 
    "total_size_in_bytes": 0, 
    "used_size_in_bytes": 16924, 
    "credentials": [
        "http://localhost:8000/api/credential/1/"
    ]
}`

const pageList = `{
    "_links": {
        "count": 6, 
        "self": "http://localhost:8000/api/database/", 
        "previous": null, 
        "next": null
    }, 
    "database": [
        ` + pageAnswer + `
    ]
}`

const pageCredential = `{
    "_links": {
        "self": "http://localhost:8000/api/credential/1/"
    }, 
    "id": 1, 
    "user": "u_test_database2", 
    "database": "http://localhost:8000/api/database/1/", 
    "password": "PReduz6QtA"
}`

const pageCredentials = `{
    "_links": {
        "count": 10, 
        "self": "http://localhost:8000/api/credential/", 
        "previous": null, 
        "next": null
    }, 
    "credential": [
        {
            "_links": {
                "self": "http://localhost:8000/api/credential/1/"
            }, 
            "id": 1, 
            "user": "u_test_database2", 
            "database": "http://localhost:8000/api/database/1/"
        }
    ]
}`

// tight is JSON without the spaces between its tokens.
func tight(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(text)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// indented is JSON as it is written with `indent=4`; the page was made by a
// program that leaves a space at the end of lines.
func indented(text string) string { return strings.ReplaceAll(text, ", \n", ",\n") }

func parse[M proto.Message](t testing.TB, m M, text string) M {
	t.Helper()
	if err := prototext.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestDocumentedExamples holds the examples of the documentation against what
// is sent, byte for byte.
func TestDocumentedExamples(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	database := parse(t, &dbaasv1.Database{}, pageDatabase)
	credential := parse(t, &dbaasv1.Credential{}, `links { self: "http://localhost:8000/api/credential/1/" } id: 1 user: "u_test_database2"
		database: "http://localhost:8000/api/database/1/" password: "PReduz6QtA"`)
	listed := proto.CloneOf(credential)
	listed.Password = nil
	for _, c := range []struct {
		call, body   string
		answer       proto.Message
		location     string
		status       int
		want, method string
		got          proto.Message
	}{
		{
			"POST /api/database/", `{ "name": "test database2", "plan": "/api/plan/1/", "environment": "/api/environment/1/" }`,
			database, database.GetLinks().GetSelf(), 201, pageAnswer, "CreateDatabase",
			&dbaasv1.CreateDatabaseRequest{Name: "test database2", Plan: "/api/plan/1/", Environment: "/api/environment/1/"},
		},
		{
			"GET /api/database/", "", parse(t, &dbaasv1.ListDatabasesResponse{}, `links { count: 6 self: "http://localhost:8000/api/database/" } database {`+pageDatabase+`}`),
			"", 200, pageList, "ListDatabases", &dbaasv1.ListDatabasesRequest{},
		},
		{"GET /api/database/1/", "", database, "", 200, pageAnswer, "GetDatabase", &dbaasv1.GetDatabaseRequest{Id: 1}},
		{"GET /api/database/1", "", database, "", 200, pageAnswer, "GetDatabase", &dbaasv1.GetDatabaseRequest{Id: 1}},
		{"DELETE /api/database/1/", "", nil, "", 204, "", "DeleteDatabase", &dbaasv1.DeleteDatabaseRequest{Id: 1}},
		{
			"GET /api/credential/", "", &dbaasv1.ListCredentialsResponse{
				Links: &dbaasv1.ListLinks{Count: 10, Self: "http://localhost:8000/api/credential/"}, Credential: []*dbaasv1.Credential{listed},
			}, "", 200, pageCredentials, "ListCredentials", &dbaasv1.ListCredentialsRequest{},
		},
		{"GET /api/credential/1/", "", credential, "", 200, pageCredential, "GetCredential", &dbaasv1.GetCredentialRequest{Id: 1}},
		{
			"POST /api/credential/", `{ "user": "u_myusr1", "database": "/api/database/1/" }`, credential, "http://localhost:8000/api/credential/1/",
			201, pageCredential, "CreateCredential", &dbaasv1.CreateCredentialRequest{User: "u_myusr1", Database: "/api/database/1/"},
		},
		{"POST /api/credential/1/reset_password/", "", credential, "", 200, pageCredential, "ResetPassword", &dbaasv1.ResetPasswordRequest{Id: 1}},
		{"DELETE /api/credential/1/", "", nil, "", 204, "", "DeleteCredential", &dbaasv1.DeleteCredentialRequest{Id: 1}},
	} {
		verb, path, _ := strings.Cut(c.call, " ")
		want := func(accept, text string) {
			f.says(c.answer, c.location, nil)
			a := ask(t, s, verb, path, c.body, "Accept", accept)
			wantAnswer(t, c.call, a, c.status, text)
			method, got, url := f.last()
			if method != c.method || !proto.Equal(got, c.got) {
				t.Errorf("%s is %s %v, want %s %v", c.call, method, got, c.method, c.got)
			}
			if slashed := "http://localhost:8000" + strings.TrimSuffix(path, "/") + "/"; url != slashed {
				t.Errorf("%s: the RPC is told of %q", c.call, url)
			}
			if a.header.Get("Location") != c.location || a.header.Get("Vary") != "Accept" || a.header.Get("Allow") == "" {
				t.Errorf("%s has the headers %v", c.call, a.header)
			}
			if kind := a.header.Get("Content-Type"); kind != "application/json" && text != "" {
				t.Errorf("%s is %q", c.call, kind)
			}
		}
		if c.want == "" {
			want("", "")
			continue
		}
		want("", tight(t, c.want))
		if verb != "GET" || !strings.HasSuffix(path, "base/") { // whose list is nested in the page with an indent of its own
			want("application/json; indent=4", indented(c.want))
		}
	}
}

// TestDatabasePaths: what is at a path, and what may be done there.
func TestDatabasePaths(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	notFound := func(path string) string { return failure(path, `"detail":"Not found"`) }
	for _, c := range []struct {
		call, allow string
		status      int
		body        string
		headers     []string
	}{
		{call: "POST /api/credential/1/reset_password", allow: "POST, OPTIONS", status: 200},
		{call: "POST /api/credential/1/reset_password/", allow: "POST, OPTIONS", status: 200},
		{call: "GET /api/credential/1/reset_password/", allow: "POST, OPTIONS", status: 405, body: failure("/api/credential/1/reset_password/", `"detail":"Method 'GET' not allowed."`)},
		{call: "POST /api/engine/?a=b", allow: "GET, HEAD, OPTIONS", status: 405, body: failure("/api/engine/?a=b", `"detail":"Method 'POST' not allowed."`)},
		{call: "DELETE /api/database", allow: "GET, POST, HEAD, OPTIONS", status: 405, body: failure("/api/database/", `"detail":"Method 'DELETE' not allowed."`)},
		{call: "BREW /api/database/1", allow: "GET, PUT, PATCH, DELETE, HEAD, OPTIONS", status: 405, body: failure("/api/database/1/", `"detail":"Method 'BREW' not allowed."`)},
		{call: "GET /api/database/one/", status: 404, body: notFound("/api/database/one/")},
		{call: "GET /api/database/0/", status: 404, body: notFound("/api/database/0/")},
		{call: "GET /api/database/-1/", status: 404, body: notFound("/api/database/-1/")},
		{call: "GET /api/database/+1/", status: 404, body: notFound("/api/database/+1/")},
		{call: "GET /api/database/1.0/", status: 404, body: notFound("/api/database/1.0/")},
		{call: "GET /api/database/01/", status: 404, body: notFound("/api/database/01/")},
		{call: "GET /api/database/9223372036854775808/", status: 404, body: notFound("/api/database/9223372036854775808/")},
		{call: "PUT /api/plan/x", status: 404, body: notFound("/api/plan/x/")},
		{call: "GET /api/database/1/nothing?x=%22", status: 404, body: notFound("/api/database/1/nothing/?x=%22")},
		{call: "GET /api/database/a%22b", status: 404, body: notFound("/api/database/a%22b/")},
		{call: "GET /api/database//", status: 404, body: notFound("/api/database/")},
		{call: "GET /api/database/1//", status: 404, body: notFound("/api/database/1/")},
		{call: "HEAD /api/database/1/", allow: "GET, PUT, PATCH, DELETE, HEAD, OPTIONS", status: 200},
		{
			call: "OPTIONS /api/engine_type/3/", allow: "GET, HEAD, OPTIONS", status: 200,
			body: failure("/api/engine_type/3/", `"name":"Engine Type Instance","renders":["application/json"],"parses":["application/json","application/x-www-form-urlencoded","multipart/form-data"]`),
		},
		{
			call: "OPTIONS /api/task", allow: "GET, HEAD, OPTIONS", status: 200,
			body: failure("/api/task/", `"name":"Task List","renders":["application/json"],"parses":["application/json","application/x-www-form-urlencoded","multipart/form-data"]`),
		},
		{call: "POST /api/database/1/", allow: "GET, PUT, PATCH, DELETE, HEAD, OPTIONS", status: 204, headers: []string{"X-HTTP-Method-Override", "delete"}},
		{call: "PUT /api/engine/1/", allow: "GET, HEAD, OPTIONS", status: 405, headers: []string{"X-HTTP-Method-Override", "GET"}}, // of POST alone
		{call: "GET /api/databases", status: 404, body: `catalog`},
		{call: "GET /api/nothing", status: 404, body: `catalog`},
	} {
		f.says(nil, "", nil)
		verb, path, _ := strings.Cut(c.call, " ")
		a := ask(t, s, verb, path, "", c.headers...)
		if a.status != c.status || a.header.Get("Allow") != c.allow {
			t.Errorf("%s: %d, Allow: %q, want %d, %q: %s", c.call, a.status, a.header.Get("Allow"), c.status, c.allow, a.body)
		}
		switch {
		case c.body == "catalog":
			if !strings.HasPrefix(a.body, `{"ok":false,`) || a.header.Get("Vary") != "" {
				t.Errorf("%s: %s", c.call, a.body)
			}
		case c.body != "" && a.body != c.body:
			t.Errorf("%s: %s, want %s", c.call, a.body, c.body)
		case a.header.Get("Vary") != "Accept":
			t.Errorf("%s varies by %q", c.call, a.header.Get("Vary"))
		}
	}
}

func TestDatabaseRoot(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	want := failure("/api/", `"database":"http://localhost:8000/api/database/","credential":"http://localhost:8000/api/credential/",`+
		`"project":"http://localhost:8000/api/project/","plan":"http://localhost:8000/api/plan/","environment":"http://localhost:8000/api/environment/",`+
		`"engine":"http://localhost:8000/api/engine/","engine_type":"http://localhost:8000/api/engine_type/","team":"http://localhost:8000/api/team/",`+
		`"task":"http://localhost:8000/api/task/","snapshot":"http://localhost:8000/api/snapshot/"`)
	for _, path := range []string{"/api/", "/api"} {
		a := ask(t, s, "GET", path, "", "Authorization", "")
		wantAnswer(t, path, a, 200, want)
		if a.header.Get("Allow") != "GET, HEAD, OPTIONS" {
			t.Errorf("%s allows %q", path, a.header.Get("Allow"))
		}
	}
	wantAnswer(t, "POST", ask(t, s, "POST", "/api/", ""), 405, failure("/api/", `"detail":"Method 'POST' not allowed."`))
	wantAnswer(t, "POST of a stranger", ask(t, s, "POST", "/api/", "", "Authorization", ""), 401,
		failure("/api/", `"detail":"Authentication credentials were not provided."`))
	wantAnswer(t, "HEAD", ask(t, s, "HEAD", "/api/", "", "Authorization", ""), 200, "")
}

// TestDatabaseLogins: who is asked for before anything is said about the path,
// or the body is read.
func TestDatabaseLogins(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	const (
		missing = "Authentication credentials were not provided."
		wrong   = "Invalid username/password"
	)
	for _, c := range []struct{ login, detail string }{
		{"", missing},
		{"Digest username=x", missing},
		{"Basic YWRtaW46eA==", wrong},
		{"Basic bm9ib2R5Ong=", wrong},
		{"basic bm9jb2xvbg==", wrong},
		{"Basic", "Invalid basic header. No credentials provided."},
		{"Basic a b", "Invalid basic header. Credentials string should not contain spaces."},
		{"Basic !", "Invalid basic header. Credentials not correctly base64 encoded"},
		{"Bearer bp_x", "Invalid token."},
	} {
		for _, path := range []string{"/api/database/", "/api/database/x/", "/api/engine/1/nothing/"} {
			a := ask(t, s, "PUT", path, "{", "Authorization", c.login)
			wantAnswer(t, c.login+" "+path, a, 401, failure(path, `"detail":"`+c.detail+`"`))
			if got := a.header.Get("Www-Authenticate"); got != `Basic realm="api"` {
				t.Errorf("%q is challenged with %q", c.login, got)
			}
		}
		if a := ask(t, s, "GET", "/api/services", "", "Authorization", c.login); strings.Contains(a.body, c.detail) || strings.Contains(a.header.Get("Www-Authenticate"), `"api"`) {
			t.Errorf("%q: the catalogue answers %s", c.login, a.body)
		}
	}
}

// TestDatabaseErrors: what an RPC returns, as the dialect has it.
func TestDatabaseErrors(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	const path = "/api/plan/1/?a=%3C&b"
	for _, c := range []struct {
		err    error
		status int
		rest   string
	}{
		{faultsAre("plan", "one", "name", "two", "plan", "<three>"), 400, `"plan":["one","<three>"],"name":["two"]`},
		{faultsAre("error", "admin is a reserved database name"), 400, `"error":["admin is a reserved database name"]`},
		{faultsAre("__all__", "x is too long"), 400, `"__all__":["x is too long"]`},
		{errs.New(errs.ValidationFailed, "no \"fields\""), 400, `"detail":"no \"fields\""`},
		{errs.New(errs.BadRequest, "bad"), 400, `"detail":"bad"`},
		{errs.New(errs.PermissionDenied, "you need the role x"), 403, `"detail":"You do not have permission to perform this action."`},
		{errs.New(errs.NotFound, "no such row"), 404, `"detail":"Not found"`},
		{errs.New(errs.MethodNotAllowed, "no"), 405, `"detail":"Method 'GET' not allowed."`},
		{errs.New(errs.InUse, "It is in use"), 409, `"detail":"It is in use"`},
		{errs.New(errs.Unavailable, "later"), 503, `"detail":"later"`},
		{errs.New(errs.BackendFailed, "refused"), 502, `"detail":"refused"`},
		{errs.New(errs.TooManyCalls, "slow down"), 429, `"detail":"slow down"`},
		{http.ErrAbortHandler, 500, `"detail":"Internal error"`},
	} {
		f.says(nil, "", c.err)
		a := ask(t, s, "GET", path, "")
		wantAnswer(t, c.err.Error(), a, c.status, failure(path, c.rest))
		if a.header.Get("Allow") == "" || a.header.Get("Content-Type") != "application/json" || a.header.Get("Vary") != "Accept" {
			t.Errorf("%v has the headers %v", c.err, a.header)
		}
	}
	foreign := ask(t, s, "POST", "/api/database/?a", "{}", "Sec-Fetch-Site", "cross-site")
	wantAnswer(t, "a page of another site", foreign, 403, failure("/api/database/?a", `"detail":"You do not have permission to perform this action."`))
	f.says(nil, "", faultsAre("name", "x"))
	wantAnswer(t, "indented", ask(t, s, "GET", "/api/plan/1/", "", "Accept", "application/json; indent=2"), 400,
		"{\n  \"_links\": {\n    \"self\": \"http://localhost:8000/api/plan/1/\"\n  },\n  \"name\": [\n    \"x\"\n  ]\n}")
}

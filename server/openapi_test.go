package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// document loads and validates /openapi.json.
func document(t *testing.T, s *servertest.Server) *openapi3.T {
	t.Helper()
	a := s.Do(t, "GET", "/openapi.json", nil, "Authorization", "")
	if a.Status != 200 || a.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("the document answers %d %s", a.Status, a.Header.Get("Content-Type"))
	}
	doc, err := openapi3.NewLoader().LoadFromData(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	// A schema object may have keywords of our own (OpenAPI 3.1, section 4.8.24).
	if err := doc.Validate(t.Context(), openapi3.AllowExtraSiblingFields("secret")); err != nil {
		t.Fatalf("the document is not valid: %v", err)
	}
	return doc
}

// apiCall is a call to make, and what it must answer.
type apiCall struct {
	query, body string
	headers     []string
	status      int
}

// calls are the calls of every operation, in the order of the list below:
// good ones and failures. {id} stands for the service that is tried.
var calls = map[string][]apiCall{
	"ServiceCatalog_GetHealth":        {{status: 200}},
	"ServiceCatalog_ListServiceTypes": {{status: 200}, {query: "?x=1", status: 400}},
	"ServiceCatalog_GetServiceType":   {{status: 200}},
	"ServiceCatalog_CreateService": {
		{body: `{"name":"second","service_type":"sqlite","config":{"path":"/tmp/no.db"},"tags":["a"],"labels":{"k":"v"},"check":{"interval":"1000s"}}`, status: 200},
		{body: `{"name":"SECOND","service_type":"sqlite","config":{"path":"/tmp/no.db"}}`, status: 409},
		{body: `{"name":"third","service_type":"sqlite","config":{"pth":1}}`, status: 422},
		{body: `{`, status: 400},
		{body: `{}`, headers: []string{"Authorization", ""}, status: 401},
		{body: `{}`, headers: []string{"Content-Type", "text/plain"}, status: 415},
		{body: strings.Repeat(" ", 1<<20+1), status: 413},
		{query: "?verify=true", body: `{"name":"third","service_type":"redis","config":{"host":"127.0.0.1","port":1}}`, status: 422},
	},
	"ServiceCatalog_ListServices": {
		{status: 200}, {query: "?limit=1&tag=a&tag=b&label=k%3Dv&service_type=sqlite&enabled=true&status=unknown&q=x&index=0&wait=1s", status: 200},
		{query: "?limit=0", status: 400}, {headers: []string{"Authorization", ""}, status: 401},
	},
	"ServiceCatalog_GetService":          {{status: 200}, {headers: []string{"If-None-Match", `"1"`}, status: 304}},
	"ServiceCatalog_UpdateService":       {{body: `{"description":"x","config":{"database":1}}`, status: 200}, {body: `{"name":"x"}`, headers: []string{"If-Match", `"99"`}, status: 412}},
	"ServiceCatalog_TestService":         {{query: "?timeout=5", status: 200}, {query: "?timeout=99", status: 400}},
	"ServiceCatalog_TestServices":        {{query: "?service_type=redis&timeout=5", status: 200}},
	"ServiceCatalog_TestConfig":          {{body: `{"service_type":"redis","config":{"host":"127.0.0.1","port":1}}`, status: 200}, {body: `{"service_type":"redis"}`, status: 422}},
	"ServiceCatalog_DeactivateService":   {{status: 200}},
	"ServiceCatalog_ActivateService":     {{status: 200}},
	"ServiceCatalog_GetServiceHealth":    {{query: "?limit=5", status: 200}},
	"ServiceCatalog_ListServiceVersions": {{status: 200}},
	"ServiceCatalog_RollbackService":     {{body: `{"version":1}`, status: 200}, {body: `{"version":77}`, status: 422}},
	"ServiceCatalog_WatchServices":       {{query: "?index=99999", status: 410}},
	"ServiceCatalog_DeleteService":       {{headers: []string{"If-Match", `"99"`}, status: 412}, {status: 200}, {status: 404}},

	"IdentityAdmin_WhoAmI": {{status: 200}},
	"IdentityAdmin_GetAuthToken": {
		{query: "?max-age=60", status: 200}, {query: "?persist=true&max-age=60", status: 204}, {query: "?logout=true", status: 204},
		{headers: []string{"Authorization", ""}, status: 401}, {query: "?max-age=%zz", status: 400},
	},
	"IdentityAdmin_ListRoles":     {{status: 200}},
	"IdentityAdmin_CreateProject": {{body: `{"name":"walked"}`, status: 200}, {body: `{"name":"walked"}`, status: 409}, {body: `{"name":"No"}`, status: 422}},
	"IdentityAdmin_ListProjects":  {{status: 200}},
	"IdentityAdmin_GetProject":    {{status: 200}},
	"IdentityAdmin_CreateUser":    {{body: `{"username":"walker","password":"a long password","roles":[{"role":"viewer"}]}`, status: 200}, {body: `{}`, status: 422}},
	"IdentityAdmin_ListUsers":     {{status: 200}},
	"IdentityAdmin_GetUser":       {{status: 200}},
	"IdentityAdmin_UpdateUser":    {{body: `{"enabled":false}`, status: 200}, {body: `{"password":"x"}`, status: 422}},
	"IdentityAdmin_DeleteUser":    {{status: 200}, {status: 404}},
	"IdentityAdmin_CreateToken":   {{body: `{"name":"walk","expires_in":"1h","roles":[{"role":"viewer"}]}`, status: 200}, {body: `{"name":""}`, status: 422}},
	"IdentityAdmin_ListTokens":    {{status: 200}},
	"IdentityAdmin_DeleteToken":   {{status: 404}},
	"IdentityAdmin_ListAudit":     {{query: "?limit=2", status: 200}, {query: "?since=x", status: 400}},
	"IdentityAdmin_VerifyAudit":   {{status: 200}},
	"IdentityAdmin_WatchAudit":    {{query: "?index=x", status: 400}},
	"IdentityAdmin_RotateKeys":    {{status: 200}},
	"IdentityAdmin_DeleteProject": {{status: 200}, {status: 404}},

	"GatewayService_ListServiceChanges": {
		{status: 200}, {query: "?limit=1&service=a&level=breaking&cursor=9", status: 200}, {query: "?limit=0", status: 400}, {query: "?level=x", status: 400}, {query: "?x=1", status: 400},
		{headers: []string{"Authorization", ""}, status: 401},
	},
}

// order is that of the calls: what makes a state comes before what needs it.
var order = []string{
	"ServiceCatalog_GetHealth", "ServiceCatalog_ListServiceTypes", "ServiceCatalog_GetServiceType", "ServiceCatalog_CreateService",
	"ServiceCatalog_ListServices", "ServiceCatalog_GetService", "ServiceCatalog_UpdateService", "ServiceCatalog_TestService",
	"ServiceCatalog_TestServices", "ServiceCatalog_TestConfig", "ServiceCatalog_DeactivateService", "ServiceCatalog_ActivateService",
	"ServiceCatalog_GetServiceHealth", "ServiceCatalog_ListServiceVersions", "ServiceCatalog_RollbackService", "ServiceCatalog_WatchServices",
	"ServiceCatalog_DeleteService",
}

// identityOrder is the same of users, projects and the audit trail, and of what
// changed in documents.
var identityOrder = []string{
	"IdentityAdmin_WhoAmI", "IdentityAdmin_GetAuthToken", "IdentityAdmin_ListRoles",
	"IdentityAdmin_CreateProject", "IdentityAdmin_ListProjects", "IdentityAdmin_GetProject",
	"IdentityAdmin_CreateUser", "IdentityAdmin_ListUsers", "IdentityAdmin_GetUser", "IdentityAdmin_UpdateUser", "IdentityAdmin_DeleteUser",
	"IdentityAdmin_CreateToken", "IdentityAdmin_ListTokens", "IdentityAdmin_DeleteToken",
	"IdentityAdmin_ListAudit", "IdentityAdmin_VerifyAudit", "IdentityAdmin_WatchAudit",
	"IdentityAdmin_RotateKeys", "IdentityAdmin_DeleteProject",
	"GatewayService_ListServiceChanges",
}

func TestOpenAPIWalk(t *testing.T) {
	t.Parallel()
	s := start(t)
	doc := document(t, s)
	doc.Servers = openapi3.Servers{{URL: s.URL}}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	type operation struct {
		verb, path string
	}
	operations := map[string]operation{}
	for path, item := range doc.Paths.Map() {
		for verb, op := range item.Operations() {
			operations[op.OperationID] = operation{verb, path}
			if _, ok := calls[op.OperationID]; !ok && !ofDatabases(op.OperationID) && !strings.HasPrefix(op.OperationID, "ProxyService_") && !ofGateway(path) && !ofManagement(op) {
				t.Errorf("%s %s (%s) is not tried", verb, path, op.OperationID)
			}
			if op.Summary == "" || len(op.Tags) == 0 {
				t.Errorf("%s has no summary or tag", op.OperationID)
			}
		}
	}
	redis := redisBody("walked", testbed.ClosedPort(t), "password", "hidden-word")
	id := s.Create(t, redis)["id"].(string)
	for _, name := range slices.Concat(order, identityOrder) {
		op, ok := operations[name]
		if !ok {
			t.Errorf("%s is not in the document", name)
			continue
		}
		for i, c := range calls[name] {
			t.Run(fmt.Sprintf("%s %d", name, i), func(t *testing.T) {
				path := strings.NewReplacer("{id}", id, "{service_type}", "redis", "{username}", "walker", "{name}", "walked").Replace(op.path) + c.query
				tryOperation(t, s, router, op.verb, path, c)
			})
		}
	}
	if tried := len(order) + len(identityOrder); tried != len(calls) {
		t.Errorf("%d operations are tried in order, there are calls of %d", tried, len(calls))
	}
}

// tryOperation makes a call and holds the answer, and a good request, against
// the document.
func tryOperation(t *testing.T, s *servertest.Server, router routers.Router, verb, path string, c apiCall) servertest.Answer {
	t.Helper()
	var body any
	if c.body != "" {
		body = c.body
	}
	a := s.Do(t, verb, path, body, c.headers...)
	if a.Status != c.status {
		t.Fatalf("status is %d, want %d: %s", a.Status, c.status, a.Body)
	}
	req, err := servertest.NewRequest(verb, s.URL+path, body, c.headers...)
	if err != nil {
		t.Fatal(err)
	}
	route, params, err := router.FindRoute(req)
	if err != nil {
		t.Fatal(err)
	}
	options := &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true}
	in := &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route, Options: options}
	if c.status < 300 && c.status != 204 || c.status == 204 && verb == "DELETE" {
		if err := openapi3filter.ValidateRequest(t.Context(), in); err != nil {
			t.Errorf("a good request is not as the document says: %v", err)
		}
	}
	if c.status == http.StatusNotModified {
		return a // a matter of HTTP, not of the document
	}
	documented := route.Operation.Responses.Value(fmt.Sprint(c.status))
	if documented == nil {
		t.Fatalf("status %d is not in the document", c.status)
	}
	for name := range documented.Value.Headers {
		if a.Header.Get(name) == "" && name != "X-Next-Cursor" {
			t.Errorf("the documented header %s is missing", name)
		}
	}
	options.ExcludeResponseBody = strings.HasPrefix(a.Header.Get("Content-Type"), "text/event-stream")
	err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: a.Status, Header: a.Header, Body: io.NopCloser(bytes.NewReader(a.Body)), Options: options,
	})
	if err != nil {
		t.Errorf("the answer is not as the document says: %v\n%s", err, a.Body)
	}
	wantKnownKeys(t, documented.Value, a)
	return a
}

// wantKnownKeys fails for keys of the answer that the document does not have;
// to a validator they are welcome.
func wantKnownKeys(t *testing.T, r *openapi3.Response, a servertest.Answer) {
	t.Helper()
	media := r.Content.Get("application/json")
	if media == nil || !strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") {
		return
	}
	var body any
	if err := json.Unmarshal(a.Body, &body); err != nil {
		t.Fatal(err)
	}
	walkKeys(t, "", body, media.Schema.Value)
}

func walkKeys(t *testing.T, path string, v any, schema *openapi3.Schema) {
	t.Helper()
	switch v := v.(type) {
	case []any:
		if schema.Items == nil {
			return
		}
		for _, e := range v {
			walkKeys(t, path+"[]", e, schema.Items.Value)
		}
	case object:
		if len(schema.Properties) == 0 {
			return // free: a configuration, labels
		}
		for key, inner := range v {
			p, ok := schema.Properties[key]
			if !ok {
				t.Errorf("the answer has %s.%s, which the document has not", path, key)
				continue
			}
			walkKeys(t, path+"."+key, inner, p.Value)
		}
	}
}

func TestOpenAPIContent(t *testing.T) {
	t.Parallel()
	s := start(t)
	doc := document(t, s)
	if doc.Info.Version != servertest.Version || doc.Info.Title == "" {
		t.Errorf("info is %+v", doc.Info)
	}
	for _, typ := range s.Do(t, "GET", "/api/service-types", nil).List(t) {
		name := typ["service_type"].(string)
		ref := doc.Components.Schemas["config."+name]
		if ref == nil {
			t.Errorf("there is no schema of the configuration of %s", name)
			continue
		}
		for key := range typ["schema"].(object)["properties"].(object) {
			if ref.Value.Properties[key] == nil {
				t.Errorf("config.%s lacks %s", name, key)
			}
		}
	}
	public := doc.Paths.Value("/api/health").Get
	if public.Security == nil || len(*public.Security) != 0 || len(doc.Security) != 3 {
		t.Error("the document does not say which calls need a login")
	}
}

func TestDocsPage(t *testing.T) {
	t.Parallel()
	s := start(t)
	if a := s.Do(t, "GET", "/docs", nil, "Authorization", ""); a.Status != http.StatusMovedPermanently || a.Header.Get("Location") != "/docs/" {
		t.Errorf("/docs answers %d to %q", a.Status, a.Header.Get("Location"))
	}
	page := s.Do(t, "GET", "/docs/", nil, "Authorization", "")
	if page.Status != 200 || !strings.HasPrefix(page.Header.Get("Content-Type"), "text/html") {
		t.Fatalf("the page answers %d %s", page.Status, page.Header.Get("Content-Type"))
	}
	if csp := page.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'self'") {
		t.Errorf("the page may load from elsewhere: %q", csp)
	}
	if bytes.Contains(page.Body, []byte("://")) {
		t.Errorf("the page names another host:\n%s", page.Body)
	}
	linked := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(string(page.Body), -1)
	if len(linked) < 2 {
		t.Fatalf("the page loads %v", linked)
	}
	var scripts []byte
	for _, l := range linked {
		if strings.HasPrefix(l[1], "data:") {
			continue
		}
		a := s.Do(t, "GET", "/docs/"+strings.TrimPrefix(l[1], "./"), nil, "Authorization", "")
		if a.Status != 200 || len(a.Body) == 0 {
			t.Errorf("%s answers %d", l[1], a.Status)
		}
		if strings.HasSuffix(l[1], ".css") && regexp.MustCompile(`url\(["']?https?:`).Match(a.Body) {
			t.Errorf("%s loads from elsewhere", l[1])
		}
		scripts = append(scripts, a.Body...)
	}
	if !bytes.Contains(append(scripts, page.Body...), []byte("/openapi.json")) {
		t.Error("nothing on the page leads to /openapi.json")
	}
	if a := s.Do(t, "GET", "/docs/nothing", nil); a.Status != 404 {
		t.Errorf("an unknown file answers %d", a.Status)
	}
}

func TestOperationalEndpoints(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.Do(t, "POST", "/api/services", "{").JSON(t)
	s.Do(t, "POST", "/api/services/test", object{"service_type": "redis", "config": object{"host": "127.0.0.1", "port": testbed.ClosedPort(t)}}).Data(t)
	for _, path := range []string{"/healthz", "/readyz"} {
		if a := s.Do(t, "GET", path, nil); a.Status != 200 || string(a.Body) != "ok\n" {
			t.Errorf("%s answers %d %q", path, a.Status, a.Body)
		}
	}
	metrics := string(s.Do(t, "GET", "/metrics", nil).Body)
	for _, want := range []string{
		`backplane_connection_tests_total{code="refused",service_type="redis"} 1`,
		`backplane_calls_total{code="OK",method="/backplane.catalog.v1.ServiceCatalog/TestConfig"} 1`,
		`backplane_connection_test_duration_seconds_count{service_type="redis"} 1`,
		"backplane_logins_total", "backplane_watchers 0", "go_goroutines",
	} {
		if !slices.ContainsFunc(strings.Split(metrics, "\n"), func(l string) bool { return strings.HasPrefix(l, want) }) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}

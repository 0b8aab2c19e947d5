package server_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/backplane/backplane/server/rest"
	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// ofGateway reports whether a path is of the HTTP gateway.
func ofGateway(path string) bool { return rest.DialectOf(path) == rest.Gateway }

const gatewayID = "0b6d1c0e-53a3-4a53-9f4d-1d2b2f4b6a10"

// gatewayCall is a call of the gateway's API: verb and path, a body and what it
// comes to.
type gatewayCall struct {
	call, body string
	status     int
	headers    []string
}

// gatewayWalk makes what the rest of the calls need, and then every kind of
// call: good ones and failures.
var gatewayWalk = []gatewayCall{
	{"GET /", "", 200, nil}, {"GET /", "", 401, stranger}, {"GET /status", "", 200, viewer}, {"GET /endpoints", "", 200, nil}, {"GET /plugins/enabled", "", 200, nil},
	{"GET /schemas/routes", "", 200, nil}, {"GET /schemas/nothing", "", 404, nil}, {"GET /schemas/plugins/key-auth", "", 200, nil}, {"GET /schemas/plugins/nothing", "", 404, nil},
	{"GET /plugins/schema/key-auth", "", 200, nil}, {"POST /schemas/services/validate", `{"host":"h.test"}`, 200, nil}, {"POST /schemas/services/validate", `{}`, 400, nil},

	{"POST /services", `{"name":"s","host":"h.test","tags":["a"]}`, 201, nil}, {"POST /services", `{"name":"s","host":"h.test"}`, 409, nil}, {"POST /services", `{`, 400, nil},
	{"POST /services", `{}`, 401, stranger}, {"POST /services", `{}`, 403, viewer}, {"POST /services", strings.Repeat(" ", 1<<20+1), 413, nil}, {"POST /services", "x", 415, asText},
	{"GET /services", "", 200, viewer}, {"GET /services?size=1&tags=a", "", 200, nil}, {"GET /services?size=0", "", 400, nil}, {"GET /services/s", "", 200, nil}, {"GET /services/none", "", 404, nil},
	{"PUT /services/s", `{"host":"h.test"}`, 200, nil}, {"PATCH /services/s", `{"tags":["a"],"path":null}`, 200, nil}, {"PATCH /services/s", `{"port":"x"}`, 400, nil},
	{"POST /services/s/routes", `{"name":"r","paths":["/r"]}`, 201, nil}, {"GET /services/s/routes", "", 200, nil}, {"GET /routes/r/service", "", 200, nil}, {"DELETE /services/s", "", 400, nil},
	{"POST /routes", `{"name":"q","protocols":["tcp"],"sources":[{"ip":"10.0.0.0/8","port":null}]}`, 201, nil}, {"GET /routes", "", 200, nil}, {"GET /routes/q", "", 200, nil},
	{"PUT /routes/q", `{"hosts":["a.test"],"headers":{"x-a":["b"]}}`, 200, nil}, {"PATCH /routes/q", `{"methods":["GET"]}`, 200, nil}, {"PUT /routes/q/service", `{"host":"h.test","name":"t"}`, 200, nil},
	{"PATCH /routes/q/service", `{"port":81}`, 200, nil}, {"DELETE /routes/q/service", "", 204, nil}, {"GET /routes/q/service", "", 404, nil},
	{"POST /upstreams", `{"name":"u.test"}`, 201, nil}, {"GET /upstreams", "", 200, nil}, {"GET /upstreams/u.test", "", 200, nil}, {"PUT /upstreams/u.test", `{"healthchecks":{"passive":{"unhealthy":{"timeouts":1}}}}`, 200, nil},
	{"PATCH /upstreams/u.test", `{"hash_on":"ip"}`, 200, nil}, {"POST /upstreams/u.test/targets", `{"target":"127.0.0.1:1"}`, 201, nil}, {"GET /upstreams/u.test/targets", "", 200, nil},
	{"GET /upstreams/u.test/targets/all", "", 200, nil}, {"GET /upstreams/u.test/targets/127.0.0.1:1", "", 200, nil}, {"PUT /upstreams/u.test/targets/127.0.0.1:1", `{"weight":1}`, 200, nil},
	{"PATCH /upstreams/u.test/targets/127.0.0.1:1", `{"weight":2}`, 200, nil}, {"GET /upstreams/u.test/health", "", 200, nil}, {"GET /upstreams/u.test/health?balancer_health=1", "", 200, nil},
	{"PUT /upstreams/u.test/targets/127.0.0.1:1/unhealthy", "", 204, nil}, {"POST /upstreams/u.test/targets/127.0.0.1:1/healthy", "", 204, nil}, {"DELETE /upstreams/u.test/targets/none:1", "", 404, nil},
	{"DELETE /upstreams/u.test/targets/127.0.0.1:1", "", 204, nil}, {"DELETE /upstreams/u.test", "", 204, nil},

	{"POST /certificates", `{}`, 400, nil}, {"POST /certificates", `$certificate`, 201, nil}, {"GET /certificates", "", 200, nil}, {"GET /certificates/a.test", "", 200, nil},
	{"PUT /certificates/" + gatewayID, `$other`, 200, nil}, {"PATCH /certificates/a.test", `{"tags":["a"]}`, 200, nil}, {"GET /certificates/a.test/services", "", 200, nil},
	{"POST /snis", `{"name":"c.test","certificate":{"id":"` + gatewayID + `"}}`, 201, nil}, {"GET /snis", "", 200, nil}, {"GET /snis/c.test", "", 200, nil}, {"PATCH /snis/c.test", `{"tags":["a"]}`, 200, nil},
	{"PUT /snis/c.test", `{"certificate":{"id":"` + gatewayID + `"}}`, 200, nil}, {"DELETE /snis/c.test", "", 204, nil}, {"DELETE /certificates/" + gatewayID, "", 204, nil},
	{"POST /ca_certificates", `{"cert":"x"}`, 400, nil}, {"POST /ca_certificates", `$authority`, 201, nil}, {"GET /ca_certificates", "", 200, nil}, {"PUT /ca_certificates/" + gatewayID, `$authority`, 409, nil},
	{"GET /ca_certificates/x", "", 400, nil}, {"PATCH /ca_certificates/" + gatewayID, `{}`, 404, nil}, {"DELETE /ca_certificates/" + gatewayID, "", 204, nil},

	{"POST /consumers", `{"username":"c","custom_id":"x"}`, 201, nil}, {"GET /consumers?custom_id=x", "", 200, nil}, {"GET /consumers/c", "", 200, nil}, {"PUT /consumers/c", `{"tags":["a"]}`, 200, nil}, {"PATCH /consumers/c", `{"custom_id":"y"}`, 200, nil},
	{"POST /consumers/c/key-auth", `{"key":"k"}`, 201, nil}, {"GET /key-auths", "", 200, nil}, {"GET /consumers/c/key-auth/k", "", 200, nil}, {"PUT /consumers/c/key-auth/k", `{"ttl":9}`, 200, nil}, {"PATCH /key-auths/k", `{"tags":["a"]}`, 200, nil}, {"DELETE /key-auths/k", "", 204, nil},
	{"POST /consumers/c/basic-auth", `{"username":"u","password":"p"}`, 201, nil}, {"GET /basic-auths", "", 200, nil}, {"GET /consumers/c/basic-auth/u", "", 200, nil}, {"PUT /consumers/c/basic-auth/u", `{"password":"q"}`, 200, nil}, {"PATCH /basic-auths/u", `{"tags":["a"]}`, 200, nil}, {"DELETE /basic-auths/u", "", 204, nil},
	{"POST /consumers/c/jwt", `{"key":"j"}`, 201, nil}, {"GET /jwts", "", 200, nil}, {"GET /consumers/c/jwt/j", "", 200, nil}, {"PUT /consumers/c/jwt/j", `{"algorithm":"HS384"}`, 200, nil}, {"PATCH /jwts/j", `{"tags":["a"]}`, 200, nil}, {"DELETE /jwts/j", "", 204, nil},
	{"POST /consumers/c/acls", `{"group":"g"}`, 201, nil}, {"GET /acls", "", 200, nil}, {"GET /consumers/c/acls/g", "", 200, nil}, {"PUT /consumers/c/acls/g", `{"tags":["a"]}`, 200, nil}, {"PATCH /consumers/c/acls/g", `{"tags":["b"]}`, 200, nil}, {"DELETE /consumers/c/acls/g", "", 204, nil},

	{"POST /plugins", `{"name":"key-auth","instance_name":"p"}`, 201, nil}, {"POST /plugins", `{"name":"nothing"}`, 400, nil}, {"POST /plugins", `{"name":"key-auth"}`, 409, nil}, {"GET /plugins", "", 200, nil},
	{"GET /plugins/p", "", 200, nil}, {"PUT /plugins/p", `{"name":"key-auth","config":{"key_names":["k"]}}`, 200, nil}, {"PATCH /plugins/p", `{"config":{"hide_credentials":true}}`, 200, nil},
	{"POST /services/s/plugins", `{"name":"cors"}`, 201, nil}, {"GET /services/s/plugins", "", 200, nil}, {"GET /plugins/p/service", "", 404, nil}, {"DELETE /plugins/p", "", 204, nil},
	{"GET /tags", "", 200, nil}, {"GET /tags/a", "", 200, nil}, {"DELETE /proxy-cache", "", 204, nil}, {"GET /proxy-cache/k", "", 404, nil}, {"DELETE /proxy-cache/k", "", 404, nil},
	{"DELETE /consumers/c", "", 204, nil}, {"DELETE /routes/r", "", 204, nil}, {"DELETE /services/s/routes/none", "", 404, nil}, {"DELETE /services/s", "", 204, nil},
}

var numbered = regexp.MustCompile(`_[0-9]+$`)

// TestOpenAPIGateway holds the gateway's answers against the document. Of the
// paths of an RPC one is enough.
func TestOpenAPIGateway(t *testing.T) {
	t.Parallel()
	s := start(t)
	doc := document(t, s)
	doc.Servers = openapi3.Servers{{URL: s.URL}}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	ca := testbed.NewCA(t)
	one, other := ca.Issue(t, "a.test"), ca.Issue(t, "b.test")
	fill := filler(map[string]string{
		"$viewer":      s.SignIn(t, s.AddUser(t, "viewer", servertest.Role("viewer"))),
		"$certificate": textOf(t, object{"cert": one.CertPEM, "key": one.KeyPEM, "snis": []string{"a.test"}}),
		"$other":       textOf(t, object{"cert": other.CertPEM, "key": other.KeyPEM}), "$authority": textOf(t, object{"cert": ca.PEM}),
	})
	tried := map[string]bool{}
	for _, c := range gatewayWalk {
		verb, path, _ := strings.Cut(c.call, " ")
		call := apiCall{body: fill(c.body), headers: slices.Clone(c.headers), status: c.status}
		for i, h := range call.headers {
			call.headers[i] = fill(h)
		}
		t.Run(c.call, func(t *testing.T) { tryOperation(t, s, router, verb, path, call) })
		req, err := servertest.NewRequest(verb, s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if route, _, err := router.FindRoute(req); err == nil {
			tried[numbered.ReplaceAllString(route.Operation.OperationID, "")] = true
		}
	}
	for path, item := range doc.Paths.Map() {
		for verb, op := range item.Operations() {
			if ofGateway(path) && !ofManagement(op) && !tried[numbered.ReplaceAllString(op.OperationID, "")] {
				t.Errorf("%s %s (%s) is not tried", verb, path, op.OperationID)
			}
			if ofGateway(path) && (op.Summary == "" || len(op.Tags) == 0) {
				t.Errorf("%s has no summary or tag", op.OperationID)
			}
		}
	}
}

// textOf is a value as JSON.
func textOf(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

package rest

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/internal/errs"
)

// limiter is a kind of plugins.
func limiter(name string) *entity.Collection {
	if name != "limiter" {
		return nil
	}
	return entity.PluginsOf(schema.Record{Fields: []schema.Field{
		{Name: "minute", Type: schema.Integer},
		{Name: "redis", Type: schema.RecordT, Fields: []schema.Field{{Name: "port", Type: schema.Integer}, {Name: "ssl", Type: schema.Boolean}}},
	}}, nil, false)
}

// said is what an RPC got as its document, as JSON.
func said(t *testing.T, req proto.Message) string {
	t.Helper()
	m := req.ProtoReflect()
	f := m.Descriptor().Fields().ByName("document")
	if f == nil || !m.Has(f) {
		return ""
	}
	text, err := protojson.Marshal(m.Get(f).Message().Interface())
	if err != nil {
		t.Fatal(err)
	}
	return string(compact(text))
}

// multipartBody is a form of fields, and of files whose names begin with @.
func multipartBody(t *testing.T, kv ...string) (contentType, body string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i+1 < len(kv); i += 2 {
		name, file := strings.CutPrefix(kv[i], "@")
		create := w.CreateFormField
		if file {
			create = func(name string) (io.Writer, error) { return w.CreateFormFile(name, "file.pem") }
		}
		part, err := create(name)
		if err != nil {
			t.Fatal(err)
		}
		part.Write([]byte(kv[i+1])) //nolint:errcheck // into memory
	}
	w.Close() //nolint:errcheck // into memory
	return w.FormDataContentType(), b.String()
}

// TestGatewayBodies: what bodies say, by their types.
func TestGatewayBodies(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, func(o *Options) { o.PluginKind = limiter })
	parts, mixed := multipartBody(t, "name", "a", "tags[]", "x", "@host", "from a file")
	for _, c := range []struct {
		call, kind, body string
		status           int
		want             string // the document, or the body of a refusal
	}{
		{"POST /services", jsonType, `{"name":"a","port":80,"path":null,"retries":1.5}`, 201, `{"name":"a","path":null,"port":80,"retries":1.5}`},
		{"POST /services", "Application/JSON; charset=utf-8", `{"port":"80"}`, 201, `{"port":"80"}`},
		{"POST /services", formType, "name=a&port=80&enabled=false&path=&tags=x&tags=y", 201, `{"enabled":false,"name":"a","path":null,"port":80,"tags":["x","y"]}`},
		{"POST /services", formType, "url=http%3A%2F%2Fa.test%2Fb&tags=x", 201, `{"tags":["x"],"url":"http://a.test/b"}`},
		{"POST /services", formType, "client_certificate.id=abc", 201, `{"client_certificate":{"id":"abc"}}`},
		{"POST /services", formType, "what=1&is.this=true", 201, `{"is":{"this":"true"},"what":"1"}`},
		{"POST /services", formType, "name=%FF", 201, "{\"name\":\"\uFFFD\"}"},
		{"POST /services", formType, "", 201, `{}`},
		{"POST /services", "", "", 201, `{}`},
		{"POST /services", parts, mixed, 201, `{"host":"from a file","name":"a","tags":["x"]}`},
		{"PUT /routes/r", formType, "hosts[2]=b&hosts[1]=a&headers.x-v=1&regex_priority=3", 200, `{"headers":{"x-v":["1"]},"hosts":["a","b"],"regex_priority":3}`},
		{"PATCH /upstreams/u", formType, "healthchecks.active.healthy.interval=5&healthchecks.active.healthy.http_statuses[]=200", 200,
			`{"healthchecks":{"active":{"healthy":{"http_statuses":[200],"interval":5}}}}`},
		{"PATCH /upstreams/u", formType, "healthchecks[active][timeout]=5", 200, `{"healthchecks":{"active":{"timeout":5}}}`},
		{"POST /upstreams/u/targets", formType, "target=a&weight=0", 201, `{"target":"a","weight":0}`},
		{"POST /certificates", formType, "cert=c&snis[]=a&snis[]=b", 201, `{"cert":"c","snis":["a","b"]}`},
		{"PUT /ca_certificates/x", formType, "cert=c", 200, `{"cert":"c"}`},
		{"POST /consumers/c/key-auth", formType, "key=1&ttl=60", 201, `{"key":"1","ttl":60}`},
		{"POST /consumers/c/acls", formType, "group=1", 201, `{"group":"1"}`},
		{"POST /plugins", formType, "name=limiter&config.minute=5&config.redis.ssl=true", 201, `{"config":{"minute":5,"redis":{"ssl":true}},"name":"limiter"}`},
		{"POST /services/s/plugins", formType, "name=unknown&config.minute=5", 201, `{"config":{"minute":"5"},"name":"unknown"}`},
		{"POST /schemas/services/validate", formType, "port=80", 200, `{"port":80}`},
		{"POST /schemas/keyauth_credentials/validate", formType, "ttl=80", 200, `{"ttl":80}`},
		{"POST /schemas/plugins/validate", formType, "name=limiter&config.minute=5", 200, `{"config":{"minute":5},"name":"limiter"}`},
		{"POST /schemas/nothing/validate", formType, "a=b", 404, `{"message":"Not found"}`},

		{"POST /services", jsonType, "", 400, `{"message":"Cannot parse JSON body"}`},
		{"POST /services", jsonType, "{", 400, `{"message":"Cannot parse JSON body"}`},
		{"POST /services", jsonType, "[]", 400, `{"message":"Cannot parse JSON body"}`},
		{"POST /services", jsonType, "{} {}", 400, `{"message":"Cannot parse JSON body"}`},
		{"POST /services", jsonType, strings.Repeat(`{"a":`, 100), 400, `{"message":"Cannot parse JSON body"}`},
		{"POST /services", "text/plain", "name=a", 415, ""},
		{"POST /services", "text/plain", "", 415, ""},
		{"POST /services", "", "name=a", 415, ""},
		{"POST /services", formType, "name=%zz", 400, `{"message":"Cannot parse the form"}`},
		{"POST /services", multipartType, "name=a", 400, `{"message":"Cannot parse the form"}`},
		{"POST /services", formType, strings.Repeat("a=b&", 1001), 400, `{"message":"Too many arguments"}`},
		{"POST /services?" + strings.Repeat("a=b&", 1001), formType, "", 400, `{"message":"Too many arguments"}`},
		{"POST /services", formType, "host=a&host.b=c", 400, `{"message":"schema violation (host: is given in several ways that contradict each other)",` +
			`"name":"schema violation","code":2,"fields":{"host":"is given in several ways that contradict each other"}}`},
	} {
		f.says(nil, "", nil)
		verb, path, _ := strings.Cut(c.call, " ")
		headers := []string{"Content-Type", c.kind}
		a := ask(t, s, verb, path, c.body, headers...)
		_, got, _ := f.last()
		if a.status != c.status {
			t.Errorf("%.60s %q: %d %s, want %d", c.call, c.body, a.status, a.body, c.status)
			continue
		}
		if c.status >= 400 {
			if a.body != c.want || got != nil {
				t.Errorf("%.60s %.60q is answered %q, want %q; the RPC got %v", c.call, c.body, a.body, c.want, got)
			}
			continue
		}
		if doc := said(t, got); doc != c.want {
			t.Errorf("%s %q says %s, want %s", c.call, c.body, doc, c.want)
		}
	}
}

// TestGatewayPluginForms: a form that changes a plugin is read by what the
// plugin is.
func TestGatewayPluginForms(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, func(o *Options) { o.PluginKind = limiter })
	name := "limiter"
	f.says(&gatewayv1.Plugin{Name: &name}, "", nil)
	a := ask(t, s, http.MethodPatch, "/routes/r/plugins/p", "config.minute=7", "Content-Type", formType)
	_, got, _ := f.last()
	if a.status != 200 || said(t, got) != `{"config":{"minute":7}}` {
		t.Errorf("%d %s; the RPC got %v", a.status, a.body, got)
	}
	f.says(nil, "", errs.New(errs.NotFound, "Not found"))
	wantAnswer(t, "a plugin that is not there", ask(t, s, http.MethodPatch, "/plugins/p", "config.minute=7", "Content-Type", formType), 404, `{"message":"Not found"}`)
}

// TestGatewayCalls: which RPC a request is, and what of it the RPC gets.
func TestGatewayCalls(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	for _, c := range []struct {
		call   string
		status int
		method string
		want   proto.Message
	}{
		{"GET /", 200, "GetNode", &gatewayv1.GetNodeRequest{}},
		{"GET /status", 200, "GetStatus", &gatewayv1.GetStatusRequest{}},
		{"GET /services", 200, "ListServices", &gatewayv1.ListServicesRequest{}},
		{"GET /services/?size=2&tags=a,b&offset=x&page_size=3&certificate=c", 200, "ListServices",
			&gatewayv1.ListServicesRequest{Size: proto.Int32(2), Tags: proto.String("a,b"), Offset: proto.String("x")}},
		{"GET /services?size=0", 200, "ListServices", &gatewayv1.ListServicesRequest{Size: proto.Int32(0)}},
		{"GET /services?size=1.5", 200, "ListServices", &gatewayv1.ListServicesRequest{Size: proto.Int32(-1)}},
		{"GET /services?size=1e99&size=7", 200, "ListServices", &gatewayv1.ListServicesRequest{Size: proto.Int32(7)}},
		{"GET /services?tags", 200, "ListServices", &gatewayv1.ListServicesRequest{Tags: proto.String("")}},
		{"GET /services/%E4%B8%AD?route=r", 200, "GetService", &gatewayv1.GetServiceRequest{Id: "中"}},
		{"GET /consumers/a%2Fb", 200, "GetConsumer", &gatewayv1.GetConsumerRequest{Id: "a/b"}},
		{"GET /consumers?custom_id=c", 200, "ListConsumers", &gatewayv1.ListConsumersRequest{CustomId: proto.String("c")}},
		{"GET /key-auths/k/consumer", 200, "GetConsumer", &gatewayv1.GetConsumerRequest{KeyAuth: "k"}},
		{"GET /routes/r/service", 200, "GetService", &gatewayv1.GetServiceRequest{Route: "r"}},
		{"DELETE /routes/r/service", 204, "DeleteService", &gatewayv1.DeleteServiceRequest{Route: "r"}},
		{"DELETE /services/s/", 204, "DeleteService", &gatewayv1.DeleteServiceRequest{Id: "s"}},
		{"GET /upstreams/u/targets/127.0.0.1:80", 200, "GetTarget", &gatewayv1.GetTargetRequest{Upstream: "u", Id: "127.0.0.1:80"}},
		{"GET /upstreams/u/targets/[::1]:80", 200, "GetTarget", &gatewayv1.GetTargetRequest{Upstream: "u", Id: "[::1]:80"}},
		{"GET /upstreams/u/targets/all?size=1", 200, "ListAllTargets", &gatewayv1.ListAllTargetsRequest{Upstream: "u", Size: proto.Int32(1)}},
		{"POST /upstreams/u/targets/t/healthy", 204, "SetTargetHealthy", &gatewayv1.SetTargetHealthyRequest{Upstream: "u", Target: "t"}},
		{"PUT /upstreams/u/targets/t/127.0.0.1:8/unhealthy", 204, "SetTargetUnhealthy", &gatewayv1.SetTargetUnhealthyRequest{Upstream: "u", Target: "t", Address: "127.0.0.1:8"}},
		{"GET /upstreams/u/health", 200, "GetUpstreamHealth", &gatewayv1.GetUpstreamHealthRequest{Upstream: "u"}},
		{"GET /upstreams/u/health?balancer_health=1", 200, "GetBalancerHealth", &gatewayv1.GetBalancerHealthRequest{Upstream: "u"}},
		{"GET /plugins/enabled", 200, "ListEnabledPlugins", &gatewayv1.ListEnabledPluginsRequest{}},
		{"GET /plugins/schema/limiter", 200, "GetPluginConfigSchema", &gatewayv1.GetPluginConfigSchemaRequest{Name: "limiter"}},
		{"GET /schemas/plugins/limiter", 200, "GetPluginSchema", &gatewayv1.GetPluginSchemaRequest{Name: "limiter"}},
		{"GET /schemas/routes", 200, "GetSchema", &gatewayv1.GetSchemaRequest{Entity: "routes"}},
		{"GET /tags/a%20b", 200, "ListTags", &gatewayv1.ListTagsRequest{Tag: "a b"}},
		{"GET /endpoints", 200, "ListEndpoints", &gatewayv1.ListEndpointsRequest{}},
		{"DELETE /proxy-cache", 204, "PurgeCaches", &gatewayv1.PurgeCachesRequest{}},
		{"HEAD /services/s", 200, "GetService", &gatewayv1.GetServiceRequest{Id: "s"}},
	} {
		f.says(nil, "", nil)
		verb, path, _ := strings.Cut(c.call, " ")
		a := ask(t, s, verb, path, "")
		method, got, url := f.last()
		if a.status != c.status || method != c.method || !proto.Equal(got, c.want) {
			t.Errorf("%s: %d %s is %s %v, want %d %s %v", c.call, a.status, a.body, method, got, c.status, c.method, c.want)
		}
		if !strings.HasPrefix(url, "http://localhost:8000/") {
			t.Errorf("%s: the RPC is told of %q", c.call, url)
		}
		if (a.status == 204) != (a.header.Get("Content-Type") == "") || a.status == 204 && a.body != "" {
			t.Errorf("%s: %q of type %q", c.call, a.body, a.header.Get("Content-Type"))
		}
	}
}

// TestGatewayPaths: what is nowhere, and what is not possible.
func TestGatewayPaths(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	const nothing, notAllowed = `{"message":"Not found"}`, `{"message":"Method not allowed"}`
	for _, c := range []struct {
		call   string
		status int
		body   string
		allow  string
	}{
		{"GET /targets", 404, nothing, ""}, {"GET /vaults?size=1000", 404, nothing, ""}, {"GET /consumer_groups", 404, nothing, ""},
		{"GET /filter-chains", 404, nothing, ""}, {"GET /hmac-auths", 404, nothing, ""}, {"GET /oauth2", 404, nothing, ""},
		{"GET /snis/x/certificate", 404, nothing, ""}, {"GET /services//x", 404, nothing, ""}, {"GET //services", 404, nothing, ""},
		{"GET /services/%FF", 404, nothing, "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"}, {"OPTIONS /vaults", 404, nothing, ""}, {"PATCH /nothing/here", 404, nothing, ""},
		{"DELETE /services", 405, notAllowed, "GET, HEAD, OPTIONS, PATCH, POST"}, {"BREW /services/s", 405, notAllowed, "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"},
		{"POST /services/s", 405, notAllowed, "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"}, {"POST /", 405, notAllowed, "GET, HEAD, OPTIONS"},
		{"DELETE /plugins/p/service", 405, notAllowed, "GET, HEAD, OPTIONS, PATCH, PUT"},
		{"OPTIONS /services", 204, "", "GET, HEAD, OPTIONS, PATCH, POST"}, {"OPTIONS /services/s", 204, "", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"},
	} {
		verb, path, _ := strings.Cut(c.call, " ")
		a := ask(t, s, verb, path, "")
		wantAnswer(t, c.call, a, c.status, c.body)
		if a.header.Get("Allow") != c.allow {
			t.Errorf("%s: Allow: %s, want %s", c.call, a.header.Get("Allow"), c.allow)
		}
		if verb == "OPTIONS" && a.header.Get("Access-Control-Allow-Methods") != c.allow {
			t.Errorf("%s: %v", c.call, a.header)
		}
	}
	f.says(nil, "", errs.New(errs.NotFound, "Not found"))
	wantAnswer(t, "the service of a plugin that has none", ask(t, s, "DELETE", "/plugins/p/service", ""), 404, nothing)
}

// TestGatewayHeaders: what every answer has, and who may read it.
func TestGatewayHeaders(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	for _, c := range []struct {
		call, origin  string
		authorization string
		status        int
		wantOrigin    string
	}{
		{call: "GET /services", status: 200, wantOrigin: "*"},
		{call: "GET /services/", origin: "http://a.test", status: 200, wantOrigin: "*"},
		{call: "GET /services", origin: "http://a.test", authorization: "Bearer wrong", status: 401, wantOrigin: "http://a.test"},
		{call: "OPTIONS /services", origin: "http://a.test", authorization: "Basic wrong", status: 204, wantOrigin: "http://a.test"},
		{call: "GET /services", authorization: "Basic wrong", status: 401, wantOrigin: "*"},
		{call: "GET /nothing", authorization: "Basic wrong", status: 401, wantOrigin: "*"},
		{call: "POST /services", origin: "http://a.test", status: 403, wantOrigin: "*"},
	} {
		verb, path, _ := strings.Cut(c.call, " ")
		headers := []string{"Origin", c.origin}
		if c.authorization != "" {
			headers = append(headers, "Authorization", c.authorization)
		}
		a := ask(t, s, verb, path, "", headers...)
		h := a.header
		if a.status != c.status || h.Get("Server") != "kong/3.10.0" || h.Get("Access-Control-Allow-Origin") != c.wantOrigin || h.Get("Access-Control-Allow-Credentials") != "true" {
			t.Errorf("%s of %q: %d %s %v", c.call, c.origin, a.status, a.body, h)
		}
		if a.status != 204 && (h.Get("Content-Type") != "application/json; charset=utf-8" || a.status != 200 && !strings.HasPrefix(a.body, `{"message":"`)) {
			t.Errorf("%s: %v %s", c.call, h, a.body)
		}
		if a.status != 403 && !isDigits(h.Get("X-Kong-Admin-Latency")) {
			t.Errorf("%s: %v", c.call, h)
		}
	}
}

// TestGatewayErrors: what refusals look like.
func TestGatewayErrors(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	fields := func(text string) *structpb.Struct {
		out := &structpb.Struct{}
		if err := protojson.Unmarshal([]byte(text), out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, c := range []struct {
		err    error
		status int
		body   string
	}{
		{refuse(errs.ValidationFailed, 2, "schema violation", "schema violation (host: required field missing)", fields(`{"host":"required field missing"}`)), 400,
			`{"message":"schema violation (host: required field missing)","name":"schema violation","code":2,"fields":{"host":"required field missing"}}`},
		{refuse(errs.ValidationFailed, 2, "schema violation", "m", fields(`{"protocols":[null,"x"],"@entity":["y"]}`)), 400,
			`{"message":"m","name":"schema violation","code":2,"fields":{"@entity":["y"],"protocols":[null,"x"]}}`},
		{refuse(errs.NameTaken, 3, "primary key violation", "m", fields(`{"id":"a"}`)), 400, `{"message":"m","name":"primary key violation","code":3,"fields":{"id":"a"}}`},
		{refuse(errs.InUse, 4, "foreign key violation", "m", fields(`{"@referenced_by":"routes"}`)), 400, `{"message":"m","name":"foreign key violation","code":4,"fields":{"@referenced_by":"routes"}}`},
		{refuse(errs.NameTaken, 5, "unique constraint violation", `UNIQUE violation detected on '{name="x"}'`, fields(`{"name":"x"}`)), 409,
			`{"message":"UNIQUE violation detected on '{name=\"x\"}'","name":"unique constraint violation","code":5,"fields":{"name":"x"}}`},
		{refuse(errs.NotFound, 6, "not found", "m", fields(`{"id":"a"}`)), 404, `{"message":"m","name":"not found","code":6,"fields":{"id":"a"}}`},
		{refuse(errs.BadRequest, 7, "invalid offset", "m", nil), 400, `{"message":"m","name":"invalid offset","code":7}`},
		{&errs.Error{Reason: errs.BadRequest, Message: "m", Details: detailsOf(&gatewayv1.ErrorDetail{Name: "invalid options", Code: 11, Options: fields(`{"tags":"x"}`)})}, 400,
			`{"message":"m","name":"invalid options","code":11,"options":{"tags":"x"}}`},
		{errs.New(errs.NotFound, "SNI not found"), 404, `{"message":"SNI not found"}`},
		{errs.New(errs.BadRequest, "<&>"), 400, `{"message":"<&>"}`},
		{errs.New(errs.MethodNotAllowed, "no"), 405, `{"message":"Method not allowed"}`},
		{errs.New(errs.PermissionDenied, "no"), 403, `{"message":"no"}`},
		{fmt.Errorf("on fire"), 500, `{"message":"An unexpected error occurred"}`},
	} {
		f.says(nil, "", c.err)
		wantAnswer(t, c.err.Error(), ask(t, s, "GET", "/services/s", ""), c.status, c.body)
	}
	f.says(nil, "", nil)
	wantAnswer(t, "a size that is none", ask(t, s, "GET", "/services?size=x", ""), 400, `{"message":"size must be a number","name":"invalid size","code":9}`)
}

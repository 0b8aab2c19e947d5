package rest

import (
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/internal/errs"
)

// numbered is a refusal as the RPCs make theirs.
func numbered(reason errs.Reason, code int32, message string) error {
	return refuse(reason, code, "service registry", message, nil)
}

var (
	errThere  = numbered(errs.NameTaken, 1, `The "Hello" service already exists.`)
	errOther  = numbered(errs.BadRequest, -1, "A service cannot be there.")
	errNone   = numbered(errs.NotFound, 2, "Not a single service has been created yet.")
	errGone   = numbered(errs.NotFound, 3, "The service with id 7 was not found.")
	errPage   = numbered(errs.NotFound, 4, "Page not found.")
	errMarked = numbered(errs.Disabled, 5, "Service 7 has already been marked as deleted.")
)

const jsonAccept = "application/json;form=details"

// wantJSONAnswer compares an answer, which is JSON, byte for byte.
func wantJSONAnswer(t testing.TB, what string, a answer, status int, body string) {
	t.Helper()
	wantAnswer(t, what, a, status, body)
	if kind := a.header.Get("Content-Type"); kind != "application/json" {
		t.Errorf("%s is of type %q", what, kind)
	}
}

// TestRegister: what a request to register a service says to the RPC, in each of
// the ways to say it.
func TestRegister(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	hello := &gatewayv1.RegisterServiceRequest{Domain: "http://127.0.0.1", NameService: "Hello", Port: proto.Int32(8080)}
	plain := &gatewayv1.RegisterServiceRequest{Domain: "http://a.test", NameService: "a"}
	parts, mixed := multipartBody(t, "ip", "127.0.0.1", "name_service", "Hello", "port", "8080")
	at := func(domain string) *gatewayv1.RegisterServiceRequest {
		return &gatewayv1.RegisterServiceRequest{Domain: domain, NameService: "a"}
	}
	for _, c := range []struct {
		query, kind, body string
		want              *gatewayv1.RegisterServiceRequest
	}{
		{"", jsonType, `{"domain":"http://127.0.0.1","name_service":"Hello","port":8080}`, hello},
		{"", jsonType, ` {"port":"8080","name_service":"Hello","domain":"http://127.0.0.1","other":{"a":[1]}} `, hello},
		{"", jsonType, "\uFEFF" + `{"domain":"http://127.0.0.1","name_service":"Hello","port":8.08e3}`, hello},
		{"", "application/vnd.x+JSON; charset=utf-8", `{"domain":"http://127.0.0.1","name_service":"Hello","port":" +8_080 "}`, hello},
		{"", "", `{"domain":"http://127.0.0.1","name_service":"Hello","port":8080}`, hello},
		{"", "text/plain", `{"domain":"http://127.0.0.1","name_service":"Hello","port":8080}`, hello},
		{"?ip=10.0.0.1&port=x&name_service=other", jsonType, `{"domain":"http://127.0.0.1","name_service":"Hello","port":8080}`, hello}, // the body alone counts
		{"?ip=127.0.0.1&port=8080&name_service=Hello", "", "", hello},
		{"?ip=127.0.0.1&port=8080&name_service=Hello", jsonType, "", hello},
		{"?ip=127.0.0.1&port=8080&name_service=Hello", "text/plain", "something", hello},
		{"?ip=127.0.0.1&port=8080&name_service=Hello", formType, "a=b", hello},
		{"?domain=http://127.0.0.1&ip=1.1.1.1&port=1&port=8080&name_service=Hello&what=else", "", "", hello},
		{"", formType, "ip=127.0.0.1&port=8080&name_service=Hello", hello},
		{"?ip=10.0.0.1&port=9&name_service=other", formType, "domain=http%3A%2F%2F127.0.0.1&port=8080&name_service=Hello", hello},
		{"", parts, mixed, hello},
		{"", jsonType, `{"domain":"http://a.test","name_service":"a"}`, plain},
		{"", jsonType, `{"domain":"http://b.test","name_service":1.50,"domain":"http://a.test"}`, &gatewayv1.RegisterServiceRequest{Domain: "http://a.test", NameService: "1.50"}},
		{"?ip=http://a.test&name_service=a", "", "", plain}, {"?ip=a.test&name_service=a", "", "", plain},
		{"?ip=::1&name_service=a", "", "", at("http://[::1]")}, {"?ip=[::1]&name_service=a", "", "", at("http://[::1]")},
		{"?ip=https://[::1]&name_service=a", "", "", at("https://[::1]")}, {"?ip=127.0.0.1:80&name_service=a", "", "", at("http://127.0.0.1:80")},
		{"?ip=&name_service=a", "", "", at("http://")}, {"?domain=a.test&name_service=a", "", "", at("a.test")}, {"?domain=%FF&name_service=a", "", "", at("\uFFFD")},
		{"", jsonType, `{"domain":"http://a.test","name_service":"a","document_path":"/v1.json","auth":"jwt","validate_requests":true,"validate_responses":"on"}`,
			&gatewayv1.RegisterServiceRequest{Domain: "http://a.test", NameService: "a", DocumentPath: "/v1.json", Auth: "jwt", ValidateRequests: true, ValidateResponses: true}},
		{"?domain=http://a.test&name_service=a&auth=key-auth&validate_requests=Yes&validate_responses=0", "", "",
			&gatewayv1.RegisterServiceRequest{Domain: "http://a.test", NameService: "a", Auth: "key-auth", ValidateRequests: true}},
		{"", jsonType, `{"domain":"http://a.test","name_service":"a","validate_requests":1,"validate_responses":false,"Domain":"x","ip":"1.1.1.1"}`,
			&gatewayv1.RegisterServiceRequest{Domain: "http://a.test", NameService: "a", ValidateRequests: true}},
	} {
		f.says(nil, "", nil)
		a := ask(t, s, http.MethodPost, "/service"+c.query, c.body, "Content-Type", c.kind)
		wantJSONAnswer(t, c.query+c.body, a, 200, `true`)
		if method, got, _ := f.last(); method != "RegisterService" || !proto.Equal(got, c.want) {
			t.Errorf("%s %s: the RPC is %s of %v, want %v", c.query, c.body, method, got, c.want)
		}
	}
}

// TestRegisterAnswers: the outcomes in both forms.
func TestRegisterAnswers(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	const hello = `{"domain":"http://127.0.0.1","name_service":"Hello"}`
	for _, c := range []struct {
		query, accept string
		err           error
		status        int
		body          string
	}{
		{"", "", nil, 200, `true`},
		{"", "*/*", errThere, 200, `false`},
		{"", "application/json", errOther, 200, `false`},
		{"?form=details", "", nil, 200, `{"details":{"code":0,"msg":"The service has been added"}}`},
		{"?form=details", "", errThere, 409, `{"detail":{"code":1,"msg":"The \"Hello\" service already exists."}}`},
		{"?form=details", "", errOther, 409, `{"detail":{"code":-1,"msg":"A service cannot be there."}}`},
		{"", jsonAccept, nil, 200, `{"details":{"code":0,"msg":"The service has been added"}}`},
		{"", "text/html, Application/JSON; q=1; form=\"details\"", errThere, 409, `{"detail":{"code":1,"msg":"The \"Hello\" service already exists."}}`},
		{"?form=", jsonAccept, errThere, 200, `false`},
		{"?form=details&form=plain", "", nil, 200, `true`},
		{"", "text/plain;form=details", nil, 200, `true`},
		{"", "", errs.New(errs.PermissionDenied, "This needs the role admin"), 403, `{"detail":"This needs the role admin"}`},
		{"", "", errs.New(errs.MethodNotAllowed, "switched off"), 404, `{"detail":"Not Found"}`},
		{"", "", errs.New(errs.Unavailable, "The store cannot be reached"), 503, `{"detail":"The store cannot be reached"}`},
		{"", "", errs.New(errs.Internal, "secret"), 500, `{"detail":"Internal error"}`},
	} {
		f.says(nil, "", c.err)
		wantJSONAnswer(t, c.query+c.accept, ask(t, s, http.MethodPost, "/service"+c.query, hello, "Accept", c.accept), c.status, c.body)
	}
}

// TestRegisterFaults: what is said of input that is not valid. The words are
// FastAPI's own, of the version 0.88, with those of pydantic 1.10.
func TestRegisterFaults(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	const (
		noDomainGiven = `{"loc":["body","domain"],"msg":"field required","type":"value_error.missing"}`
		noNameGiven   = `{"loc":["body","name_service"],"msg":"field required","type":"value_error.missing"}`
		nameless      = `{"loc":["query","name_service"],"msg":"field required","type":"value_error.missing"}`
		wrongDomain   = `{"loc":["body","domain"],"msg":"Invalid domain","type":"assertion_error"}`
		noInteger     = `"msg":"value is not a valid integer","type":"type_error.integer"}`
		rest          = `"domain":"http://a.test","name_service":"a"`
	)
	atPort := func(text string) string { return `{"loc":["body","port"],` + text }
	for _, c := range []struct {
		query, kind, body string
		rpc               []string // what the RPC finds wrong, with fields
		want              string
	}{
		{"", jsonType, ``, nil, `{"loc":["body"],"msg":"field required","type":"value_error.missing"}`},
		{"?what=else", "", ``, nil, `{"loc":["body"],"msg":"field required","type":"value_error.missing"}`},
		{"", jsonType, `null`, nil, `{"loc":["body"],"msg":"field required","type":"value_error.missing"}`},
		{"", jsonType, `[]`, nil, `{"loc":["body"],"msg":"value is not a valid dict","type":"type_error.dict"}`},
		{"", jsonType, `"x"`, nil, `{"loc":["body"],"msg":"value is not a valid dict","type":"type_error.dict"}`},
		{"", "text/plain", `x`, nil, `{"loc":["body"],"msg":"value is not a valid dict","type":"type_error.dict"}`},
		{"", formType, `a=b`, nil, `{"loc":["body"],"msg":"value is not a valid dict","type":"type_error.dict"}`},
		{"", jsonType, `{}`, []string{"domain", "is required", "name_service", "is required"}, noDomainGiven + "," + noNameGiven},
		{"", jsonType, `{"name_service":"a"}`, []string{"domain", "is required"}, noDomainGiven},
		{"", jsonType, `{"domain":"http://a.test"}`, nil, noNameGiven},
		{"", jsonType, `{"port":"x"}`, nil, noDomainGiven + "," + noNameGiven + "," + atPort(noInteger)},
		{"", jsonType, `{"domain":"a:b","port":"x"}`, []string{"domain", "must have no port"}, wrongDomain + "," + noNameGiven + "," + atPort(noInteger)},
		{"", jsonType, `{"domain":"http://127.0.0.1:8080","name_service":"a"}`, []string{"domain", "must have no port"}, wrongDomain},
		{"", jsonType, `{"domain":{},"name_service":[],"port":[]}`, nil, `{"loc":["body","domain"],"msg":"str type expected","type":"type_error.str"},` +
			`{"loc":["body","name_service"],"msg":"str type expected","type":"type_error.str"},` + atPort(noInteger)},
		{"", jsonType, `{"domain":null,"name_service":null,"port":null}`, nil, `{"loc":["body","domain"],"msg":"none is not an allowed value","type":"type_error.none.not_allowed"},` +
			`{"loc":["body","name_service"],"msg":"none is not an allowed value","type":"type_error.none.not_allowed"},{"loc":["body","port"],"msg":"none is not an allowed value","type":"type_error.none.not_allowed"}`},
		{"", jsonType, `{` + rest + `,"port":""}`, nil, atPort(noInteger)}, {"", jsonType, `{` + rest + `,"port":"80.0"}`, nil, atPort(noInteger)},
		{"", jsonType, `{` + rest + `,"port":80.5}`, nil, atPort(noInteger)}, {"", jsonType, `{` + rest + `,"port":1e400}`, nil, atPort(noInteger)},
		{"", jsonType, `{` + rest + `,"port":true}`, nil, atPort(noInteger)}, {"", jsonType, `{` + rest + `,"port":"8__0"}`, nil, atPort(noInteger)},
		{"", jsonType, `{` + rest + `,"port":"--1"}`, nil, atPort(noInteger)}, {"", jsonType, `{` + rest + `,"port":{}}`, nil, atPort(noInteger)},
		{"", jsonType, `{` + rest + `,"port":0}`, nil, atPort(`"msg":"ensure this value is greater than or equal to 1","type":"value_error.number.not_ge","ctx":{"limit_value":1}}`)},
		{"", jsonType, `{` + rest + `,"port":-1e30}`, nil, atPort(`"msg":"ensure this value is greater than or equal to 1","type":"value_error.number.not_ge","ctx":{"limit_value":1}}`)},
		{"", jsonType, `{` + rest + `,"port":"65536"}`, nil, atPort(`"msg":"ensure this value is less than or equal to 65535","type":"value_error.number.not_le","ctx":{"limit_value":65535}}`)},
		{"", jsonType, `{` + rest + `,"port":99999999999999999999}`, nil, atPort(`"msg":"ensure this value is less than or equal to 65535","type":"value_error.number.not_le","ctx":{"limit_value":65535}}`)},
		{"", jsonType, `{"domain":"http://a.test","name_service":"-a"}`, []string{"name_service", "must be a letter"},
			`{"loc":["body","name_service"],"msg":"string does not match regex \"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$\"","type":"value_error.str.regex","ctx":{"pattern":"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"}}`},
		{"", jsonType, `{"domain":"http://a.test","name_service":"docs"}`, []string{"name_service", "must not be one of service, docs"},
			`{"loc":["body","name_service"],"msg":"must not be one of service, docs","type":"value_error"}`},
		{"", jsonType, `{` + rest + `,"auth":"x","document_path":"x"}`, []string{"document_path", "must be a path", "auth", "must be one of jwt"},
			`{"loc":["body","document_path"],"msg":"must be a path","type":"value_error"},{"loc":["body","auth"],"msg":"must be one of jwt","type":"value_error"}`},
		{"", jsonType, `{` + rest + `,"validate_requests":"maybe","validate_responses":2}`, nil,
			`{"loc":["body","validate_requests"],"msg":"value could not be parsed to a boolean","type":"type_error.bool"},{"loc":["body","validate_responses"],"msg":"value could not be parsed to a boolean","type":"type_error.bool"}`},
		{"?ip=127.0.0.1:8080", "", ``, []string{"domain", "must have no port"}, `{"loc":["query","domain"],"msg":"Invalid domain","type":"assertion_error"},` + nameless},
		{"?port=x", "", ``, nil, `{"loc":["query","domain"],"msg":"field required","type":"value_error.missing"},` + nameless + `,{"loc":["query","port"],` + noInteger},
		{"?ip=a.test&name_service=a&port=70000", "", ``, nil,
			`{"loc":["query","port"],"msg":"ensure this value is less than or equal to 65535","type":"value_error.number.not_le","ctx":{"limit_value":65535}}`},
		{"", formType, `ip=127.0.0.1&port=x`, nil, noNameGiven + "," + atPort(noInteger)},
		{"?form=details", jsonType, `{` + rest + `,"port":"x"}`, nil, atPort(noInteger)},
	} {
		var err error
		if c.rpc != nil {
			err = faultsAre(c.rpc...)
		}
		f.says(nil, "", err)
		wantJSONAnswer(t, c.query+" "+c.body, ask(t, s, http.MethodPost, "/service"+c.query, c.body, "Content-Type", c.kind), 422, `{"detail":[`+c.want+`]}`)
	}
	for kind, body := range map[string]string{"application/json": "{\"domain\":\"\xff\"}", formType: "ip=%zz", multipartType: "x", "text/json": strings.Repeat("[", 1<<15)} {
		f.says(nil, "", nil)
		wantJSONAnswer(t, kind, ask(t, s, http.MethodPost, "/service", body, "Content-Type", kind), 400, `{"detail":"There was an error parsing the body"}`)
		f.says(nil, "", errs.New(errs.PermissionDenied, "This needs the role admin"))
		wantJSONAnswer(t, kind, ask(t, s, http.MethodPost, "/service", body, "Content-Type", kind), 403, `{"detail":"This needs the role admin"}`)
	}
	f.says(nil, "", nil)
	wantJSONAnswer(t, "a large body", ask(t, s, http.MethodPost, "/service", strings.Repeat(" ", MaxBody+1)), 413, `{"detail":"The body is larger than 1048576 bytes"}`)
	f.says(nil, "", errs.New(errs.MethodNotAllowed, "switched off"))
	wantJSONAnswer(t, "where services are not managed", ask(t, s, http.MethodPost, "/service", `{`), 404, `{"detail":"Not Found"}`)
}

const (
	onePage = `services { id: 1 domain: "http://127.0.0.1" port: 8080 name: "Hello" urls: "/items/" status_code: 200 } metadata { page: 1 count_page: 1 }`
	pageOne = `{"services":[{"id":1,"domain":"http://127.0.0.1","port":8080,"name":"Hello","urls":["/items/"],"status-code":200,"delete":false}],"metadata":{"page":1,"count_page":1}}`
	fresh7  = `service { id: 7 domain: "http://127.0.0.1" port: 80 name: "Hello" } document_path: "/openapi.json"`
	details = `{"service":{"id":7,"domain":"http://127.0.0.1","port":80,"name":"Hello","urls":[],"status-code":0,"delete":false},"document_path":"/openapi.json","auth":"",` +
		`"validate_requests":false,"validate_responses":false,"error":"","faults":[],"title":"","version":"","openapi":"","document_hash":"","operations":[]`
)

// parsed is a message.
func parsed[M proto.Message](t *testing.T, m M, text string) M {
	t.Helper()
	if err := prototext.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestManagementCalls: which RPC each other request is, and what its answer is.
func TestManagementCalls(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	list := parsed(t, &gatewayv1.ListRegistrationsResponse{}, onePage)
	one := parsed(t, &gatewayv1.RegistrationDetails{}, fresh7)
	one.RegisteredAt = &timestamppb.Timestamp{Seconds: 1600000000}
	const deleted = `{"details":{"code":0,"msg":"The service has been successfully marked as deleted"}}`
	all, page, seven := &gatewayv1.ListRegistrationsRequest{}, func(n int32) proto.Message { return &gatewayv1.ListRegistrationsRequest{Page: &n} }, &gatewayv1.GetRegistrationRequest{IdService: 7}
	whole := details + `,"registered_at":"2020-09-13T12:26:40Z"}`
	change := &gatewayv1.UpdateRegistrationRequest{IdService: 7, Port: proto.Int32(81), Domain: proto.String("https://a.test")}
	for _, c := range []struct {
		call, body string
		says       proto.Message
		method     string
		got        proto.Message
		want       string
	}{
		{"GET /services?page=1", "", list, "ListRegistrations", page(1), pageOne}, {"GET /services/?page=+1+", "", list, "ListRegistrations", page(1), pageOne},
		{"GET /services?page=x&page=2&size=1", "", list, "ListRegistrations", page(2), pageOne}, {"GET /services?page=99999999999999999999", "", list, "ListRegistrations", page(1<<31 - 1), pageOne},
		{"GET /service?page=3", "", list, "ListRegistrations", page(3), pageOne}, {"GET /service", "", list, "ListRegistrations", all, pageOne}, {"GET /service/", "", list, "ListRegistrations", all, pageOne},
		{"HEAD /services?page=1", "", list, "ListRegistrations", page(1), ""}, {"GET /service", "", nil, "ListRegistrations", all, `{"services":[]}`},
		{"GET /service?id_service=7", "", one, "GetRegistration", seven, whole}, {"GET /service/7", "", one, "GetRegistration", seven, whole}, {"GET /service/%37/", "", one, "GetRegistration", seven, whole},
		{"GET /service?id_service=1&id_service=7&page=2", "", one, "GetRegistration", seven, whole}, {"HEAD /service/7", "", one, "GetRegistration", seven, ""},
		{"DELETE /service?id_service=7", "", nil, "UnregisterService", &gatewayv1.UnregisterServiceRequest{IdService: 7}, deleted},
		{"DELETE /service/7", "ignored", nil, "UnregisterService", &gatewayv1.UnregisterServiceRequest{IdService: 7}, deleted},
		{"DELETE /service?id_service=-7", "", nil, "UnregisterService", &gatewayv1.UnregisterServiceRequest{IdService: -7}, deleted},
		{"PATCH /service?id_service=7", `{"port":"81","domain":"https://a.test","x":1}`, one, "UpdateRegistration", change, whole},
		{"PATCH /service/7?port=9", `{"port":81,"domain":"https://a.test"}`, one, "UpdateRegistration", change, whole},
		{"PATCH /service?id_service=7&port=81&domain=https://a.test", "", one, "UpdateRegistration", change, whole},
		{"PATCH /service/7", `{}`, one, "UpdateRegistration", &gatewayv1.UpdateRegistrationRequest{IdService: 7}, whole},
		{"PATCH /service/7", `{"name_service":"b","document_path":"/d","auth":"","validate_requests":false,"validate_responses":true}`, one, "UpdateRegistration", &gatewayv1.UpdateRegistrationRequest{
			IdService: 7, NameService: proto.String("b"), DocumentPath: proto.String("/d"), Auth: proto.String(""), ValidateRequests: proto.Bool(false), ValidateResponses: proto.Bool(true)}, whole},
		{"PATCH /services", "", nil, "RefreshServices", &gatewayv1.RefreshServicesRequest{}, `true`}, {"PATCH /services/", "{", nil, "RefreshServices", &gatewayv1.RefreshServicesRequest{}, `true`},
		{"PATCH /services?page=x", `{"a":1}`, nil, "RefreshServices", &gatewayv1.RefreshServicesRequest{}, `true`},
	} {
		f.says(c.says, "", nil)
		verb, path, _ := strings.Cut(c.call, " ")
		wantJSONAnswer(t, c.call, ask(t, s, verb, path, c.body), 200, c.want)
		if method, got, _ := f.last(); method != c.method || !proto.Equal(got, c.got) {
			t.Errorf("%s: the RPC is %s of %v, want %s of %v", c.call, method, got, c.method, c.got)
		}
	}
	f.says(nil, "", nil)
	ask(t, s, "GET", "/services?size=1", "")
	if method, _, _ := f.last(); method != "ListServices" {
		t.Errorf("without a page the list is %s", method)
	}
}

// TestManagementRefusals: what goes wrong with calls.
func TestManagementRefusals(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	const noInteger = `"msg":"value is not a valid integer","type":"type_error.integer"}]}`
	const tooSmallPage = `{"detail":[{"loc":["query","page"],"msg":"ensure this value is greater than or equal to 1","type":"value_error.number.not_ge","ctx":{"limit_value":1}}]}`
	for _, c := range []struct {
		call, body string
		err        error
		status     int
		want       string
	}{
		{"GET /services?page=1", "", errNone, 409, `{"detail":{"code":2,"err_msg":"Not a single service has been created yet."}}`},
		{"GET /service", "", errNone, 409, `{"detail":{"code":2,"err_msg":"Not a single service has been created yet."}}`},
		{"GET /services?page=9", "", errPage, 409, `{"detail":{"code":4,"err_msg":"Page not found."}}`},
		{"GET /services?page=0", "", faultsAre("page", "must be 1 or more"), 422, tooSmallPage}, {"GET /service?page=-99999999999", "", faultsAre("page", "must be 1 or more"), 422, tooSmallPage},
		{"GET /services?page=x", "", nil, 422, `{"detail":[{"loc":["query","page"],` + noInteger}, {"GET /services?page=", "", nil, 422, `{"detail":[{"loc":["query","page"],` + noInteger},
		{"GET /services?page=1.0", "", faultsAre("page", "must be 1 or more"), 422, `{"detail":[{"loc":["query","page"],` + noInteger},
		{"DELETE /service?id_service=7", "", errGone, 409, `{"detail":{"code":3,"msg":"The service with id 7 was not found."}}`},
		{"DELETE /service/7", "", errMarked, 409, `{"detail":{"code":5,"msg":"Service 7 has already been marked as deleted."}}`},
		{"DELETE /service", "", nil, 422, `{"detail":[{"loc":["query","id_service"],"msg":"field required","type":"value_error.missing"}]}`},
		{"DELETE /service?id_service=x", "", errs.New(errs.PermissionDenied, "no"), 403, `{"detail":"no"}`},
		{"DELETE /service?id_service=", "", nil, 422, `{"detail":[{"loc":["query","id_service"],` + noInteger}, {"DELETE /service/x", "", nil, 422, `{"detail":[{"loc":["path","id_service"],` + noInteger},
		{"DELETE /service/%FF", "", nil, 422, `{"detail":[{"loc":["path","id_service"],` + noInteger},
		{"GET /service/7", "", errGone, 404, `{"detail":{"code":3,"msg":"The service with id 7 was not found."}}`},
		{"GET /service?id_service=7.5", "", nil, 422, `{"detail":[{"loc":["query","id_service"],` + noInteger},
		{"PATCH /service/7", "{}", errGone, 404, `{"detail":{"code":3,"msg":"The service with id 7 was not found."}}`}, {"PATCH /service/7", `{"name_service":"Hello"}`, errThere, 409, `{"detail":{"code":1,"msg":"The \"Hello\" service already exists."}}`},
		{"PATCH /service/7", "{}", errMarked, 409, `{"detail":{"code":5,"msg":"Service 7 has already been marked as deleted."}}`}, {"PATCH /service/7", "{}", errOther, 409, `{"detail":{"code":-1,"msg":"A service cannot be there."}}`},
		{"PATCH /service/7", "", nil, 422, `{"detail":[{"loc":["body"],"msg":"field required","type":"value_error.missing"}]}`},
		{"PATCH /service", `{"port":"x","domain":"x"}`, faultsAre("domain", "must begin with http://"), 422, `{"detail":[{"loc":["query","id_service"],"msg":"field required","type":"value_error.missing"},` +
			`{"loc":["body","domain"],"msg":"Invalid domain","type":"assertion_error"},{"loc":["body","port"],` + noInteger},
		{"PATCH /service?id_service=x", `[`, nil, 422, `{"detail":[{"loc":["query","id_service"],"msg":"value is not a valid integer","type":"type_error.integer"},{"loc":["body",1],` +
			`"msg":"Expecting value: line 1 column 2 (char 1)","type":"value_error.jsondecode","ctx":{"msg":"Expecting value","doc":"[","pos":1,"lineno":1,"colno":2}}]}`},
		{"PATCH /services", "", errs.New(errs.Timeout, "The request took too long"), 504, `{"detail":"The request took too long"}`},
		{"PATCH /services", "", errs.New(errs.MethodNotAllowed, "off"), 404, `{"detail":"Not Found"}`}, {"GET /services?page=1", "", errs.New(errs.MethodNotAllowed, "off"), 404, `{"detail":"Not Found"}`},
		{"GET /service?" + strings.Repeat("a=b&", 1001), "", nil, 400, `{"detail":"Too many arguments"}`},
		{"GET /service/7/8", "", nil, 404, `{"detail":"Not Found"}`}, {"PUT /service", "", nil, 405, `{"detail":"Method Not Allowed"}`}, {"POST /service/7", "", nil, 405, `{"detail":"Method Not Allowed"}`},
	} {
		f.says(nil, "", c.err)
		verb, path, _ := strings.Cut(c.call, " ")
		a := ask(t, s, verb, path, c.body)
		wantJSONAnswer(t, c.call+" "+c.body, a, c.status, c.want)
		allow := map[bool]string{true: "DELETE, GET, HEAD, OPTIONS, PATCH, POST", false: "DELETE, GET, HEAD, OPTIONS, PATCH"}[path == "/service"]
		if a.status == 405 && a.header.Get("Allow") != allow || a.status == 404 && strings.Contains(a.body, "Not Found") && a.header.Get("Allow") != "" {
			t.Errorf("%s allows %q", c.call, a.header.Get("Allow"))
		}
	}
}

// TestManagementLogins: who may call, and which pages may read the answer.
func TestManagementLogins(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	for _, call := range []string{"POST /service", "DELETE /service?id_service=1", "DELETE /service/1", "PATCH /services", "GET /services?page=1", "HEAD /services?page=1", "GET /service/1", "PATCH /service", "GET /service/a/b", "PUT /service"} {
		verb, path, _ := strings.Cut(call, " ")
		for _, c := range []struct{ authorization, kong, cookie, want string }{
			{"", "", "", `{"detail":"Not authenticated"}`}, {"Bearer wrong", "", "", `{"detail":"Invalid authentication credentials"}`}, {"Basic wrong", "", "", `{"detail":"Invalid authentication credentials"}`},
			{"Digest x", "", "", `{"detail":"Invalid authentication credentials"}`}, {"", "wrong", "", `{"detail":"Invalid authentication credentials"}`},
			{"", "", TokenCookie + "=wrong", `{"detail":"Invalid authentication credentials"}`},
		} {
			if verb == http.MethodHead {
				c.want = ""
			}
			f.says(nil, "", nil)
			a := ask(t, s, verb, path, "", "Authorization", c.authorization, "Kong-Admin-Token", c.kong, "Cookie", c.cookie)
			wantJSONAnswer(t, call, a, 403, c.want)
			if method, _, _ := f.last(); a.header.Get("WWW-Authenticate") != loginChallenge || method != "" {
				t.Errorf("%s: %v, and the RPC is %q", call, a.header, method)
			}
		}
	}
	for path, verbs := range map[string]string{"/service": "DELETE, GET, HEAD, OPTIONS, PATCH, POST", "/service/1": "DELETE, GET, HEAD, OPTIONS, PATCH", "/services": "GET, HEAD, OPTIONS, PATCH, POST"} {
		a := ask(t, s, http.MethodOptions, path, "", "Origin", "http://a.test", "Authorization", "")
		if a.status != 204 || a.header.Get("Access-Control-Allow-Methods") != verbs || a.header.Get("Access-Control-Allow-Origin") != "http://a.test" {
			t.Errorf("OPTIONS %s: %d %v", path, a.status, a.header)
		}
	}
	if a := ask(t, s, http.MethodGet, "/service", ""); a.header.Get("Access-Control-Allow-Origin") != "*" || a.header.Get("Server") != "" {
		t.Errorf("the headers are %v", a.header)
	}
	a := ask(t, s, http.MethodPost, "/service", "{}", "Origin", "http://a.test")
	wantJSONAnswer(t, "a page of another site", a, 403, `{"detail":"Changes asked for by pages of another site are refused"}`)
}

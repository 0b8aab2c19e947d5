package rest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
	"github.com/backplane/backplane/internal/errs"
)

// readText fills a message from its text format.
func readText(t testing.TB, m proto.Message, text string) proto.Message {
	t.Helper()
	if err := prototext.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return m
}

// fault is the body of a failure.
func fault(details ...string) string {
	var objects []string
	for i := 0; i+2 < len(details); i += 3 {
		objects = append(objects, `        {
            "status": "`+details[i]+`",
            "code": "`+details[i+1]+`",
            "detail": `+string(appendText(nil, details[i+2]))+`
        }`)
	}
	return "{\n    \"errors\": [\n" + strings.Join(objects, ",\n") + "\n    ]\n}"
}

func TestProxyPaths(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]Dialect{
		"/v1": Proxy, "/v1/": Proxy, "/v1/nothing": Proxy, "/v1/services": Proxy, "/servers": Proxy, "/servers/": Proxy, "/servers/a": Proxy,
		"/listeners": Proxy, "/filters/x": Proxy, "/monitors": Proxy, "/sessions": Proxy, "/users/inet": Proxy, "/maxscale/logs/data": Proxy, "/auth": Proxy, "/sql": Proxy,
		"/services": Gateway, "/services/x/start": Gateway, "/v1x": Gateway, "/v10/services": Gateway, "/": Gateway, "/serversx": Gateway, "/routes": Gateway,
	} {
		if got := DialectOf(path); got != want {
			t.Errorf("%s is in dialect %d, want %d", path, got, want)
		}
	}
	f := &fake{}
	s := facadeOf(t, f, nil)
	for path, method := range map[string]string{
		"/v1/services": "ListServices", "/v1/services/": "ListServices", "/v1/services/?pretty=true": "ListServices", "/servers/": "ListServers",
		"/v1/users": "ListUsers", "/users/inet": "ListUsers", "/v1/users/inet/": "ListUsers", "/v1/users/unix": "ListUnixUsers",
		"/v1/maxscale/logs/data": "GetLogData", "/v1/services/x/listeners": "ListServiceListeners", "/monitors/a%20b/": "GetMonitor",
		"/v1/maxscale/modules/mariadbmon/": "GetModule",
	} {
		f.says(nil, "", nil)
		a := ask(t, s, "GET", path, "")
		if got, _, _ := f.last(); a.status != 200 || got != method {
			t.Errorf("%s is answered %d by %s, want %s", path, a.status, got, method)
		}
	}
	if _, got, _ := f.last(); got == nil {
		t.Error("no request arrived")
	}
	for _, path := range []string{"/v1/services/x/y/z", "/v1/nothing", "/servers/x/y/z", "/v1/servers/a%2Fb", "/sql/1/2/3/4", "/v1//servers", "/v1/servers/../services"} {
		wantAnswer(t, path, ask(t, s, "GET", path, ""), 404, "")
	}
	// Who asks is settled before what there is.
	for _, path := range []string{"/v1/nothing", "/v1/services", "/servers"} {
		a := ask(t, s, "DELETE", path, "", "Authorization", "")
		if a.status != 401 || !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("a stranger's %s is answered %d, %q", path, a.status, a.header.Get("WWW-Authenticate"))
		}
	}
	for path, header := range map[string]string{"/v1": "", "/v1/": "Basic YWRtaW46MTIzNDU2", "/v1/?pretty=true": ""} {
		wantAnswer(t, path, ask(t, s, "GET", path, "", "Authorization", header), 200, "")
	}
	if a := ask(t, s, "GET", "/v1/", "", "Authorization", "Basic Og=="); a.status != 401 {
		t.Errorf("without a user the root is answered %d", a.status)
	}
}

func TestProxyVerbs(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	for path, want := range map[string]string{
		"/v1": "GET, HEAD, OPTIONS", "/v1/services": "GET, HEAD, OPTIONS, POST", "/servers/x/": "DELETE, GET, HEAD, OPTIONS, PATCH",
		"/v1/services/x/start": "OPTIONS, PUT", "/v1/sessions/restart": "DELETE, GET, HEAD, OPTIONS, PATCH, POST",
		"/v1/maxscale/modules/a/b": "GET, HEAD, OPTIONS, POST", "/v1/maxscale/logs/stream": "GET, HEAD, OPTIONS", "/auth": "GET, HEAD, OPTIONS",
		"/v1/services/x/relationships/servers": "GET, HEAD, OPTIONS, PATCH",
	} {
		a := ask(t, s, "OPTIONS", path, "")
		wantAnswer(t, path, a, 200, "")
		if got := a.header.Get("Allow"); got != want {
			t.Errorf("%s allows %q, want %q", path, got, want)
		}
		if got := a.header.Get("Accept-Patch"); strings.Contains(want, "PATCH") != (got == "application/json-patch") {
			t.Errorf("%s takes the patch %q", path, got)
		}
		a = ask(t, s, "COPY", path, "")
		wantAnswer(t, path, a, 405, fault("405", "method_not_allowed", "COPY is not possible here; the Allow header says what is"))
		if got := a.header.Get("Allow"); got != want {
			t.Errorf("instead of COPY %s allows %q, want %q", path, got, want)
		}
	}
	for _, c := range []struct{ verb, over, path, method string }{
		{"POST", "PATCH", "/v1/services/x", "UpdateService"}, {"PUT", "DELETE", "/servers/x/", "DeleteServer"}, {"GET", "POST", "/v1/filters", "CreateFilter"},
		{"POST", "get", "/v1/filters", "ListFilters"}, {"HEAD", "", "/v1/filters", "ListFilters"}, {"PATCH", "HEAD", "/v1/filters", "ListFilters"},
	} {
		f.says(nil, "", nil)
		a := ask(t, s, c.verb, c.path, "", "X-HTTP-Method-Override", c.over)
		if method, _, _ := f.last(); a.status >= 300 || method != c.method {
			t.Errorf("%+v: %d by %s", c, a.status, method)
		}
	}
	f.says(nil, "", nil)
	a := ask(t, s, "GET", "/v1/filters", `{}`, "X-HTTP-Method-Override", "POST", "Origin", "http://evil.example", "Sec-Fetch-Site", "cross-site")
	if method, _, _ := f.last(); a.status != 403 || method != "" {
		t.Errorf("a page of another site may %s: %d", method, a.status)
	}
	if a := ask(t, s, "HEAD", "/v1/filters", ""); a.status != 200 || a.body != "" || a.header.Get("Content-Length") == "" {
		t.Errorf("HEAD is answered %d %q %v", a.status, a.body, a.header)
	}
}

const listedServer = `{ id: "s1" type: "servers" attributes {
	parameters { fields { key: "port" value { number_value: 3306 } } fields { key: "socket" value { null_value: NULL_VALUE } } }
	state: "Running" uptime: 5 node_id: 4294967296 source { type: "runtime" } } relationships {} links { self: "http://localhost:8000/v1/servers/s1/" } }`

func TestProxyDocuments(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	answer := readText(t, &proxyv1.ServerCollection{}, `links { self: "http://localhost:8000/v1/servers/" } data `+listedServer)
	f.says(answer, "", nil)
	a := ask(t, s, "GET", "/servers?fields[servers]=parameters,uptime,node_id,source,last_event", "")
	wantAnswer(t, "the servers", a, 200, `{
    "links": {
        "self": "http://localhost:8000/v1/servers/"
    },
    "data": [
        {
            "id": "s1",
            "type": "servers",
            "attributes": {
                "parameters": {
                    "port": 3306,
                    "socket": null
                },
                "uptime": 5,
                "node_id": 4294967296,
                "last_event": null,
                "source": {
                    "file": null,
                    "type": "runtime"
                }
            },
            "links": {
                "self": "http://localhost:8000/v1/servers/s1/"
            }
        }
    ]
}`)
	if got := a.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("a document is %q", got)
	}
	if _, _, url := f.last(); url != "http://localhost:8000/v1/servers/?fields[servers]=parameters,uptime,node_id,source,last_event" {
		t.Errorf("the RPC is told %q", url)
	}
	whole := ask(t, s, "GET", "/v1/servers?pretty=true", "")
	for _, query := range []string{"", "?pretty=yes", "?pretty=1", "?pretty=maybe", "?sync=false", "?pretty=false&pretty=on"} {
		wantAnswer(t, query, ask(t, s, "GET", "/v1/servers"+query, ""), 200, whole.body)
	}
	flat := ask(t, s, "GET", "/v1/servers?pretty=false", "").body
	if strings.Contains(flat, "\n") || !strings.Contains(flat, `"relationships":{}`) {
		t.Errorf("without indentation: %s", flat)
	}
	for _, query := range []string{"?pretty=no", "?pretty=0", "?pretty=OFF", "?pretty=false&page[size]=0&x=y"} {
		wantAnswer(t, query, ask(t, s, "GET", "/v1/servers"+query, ""), 200, flat)
	}
	wantAnswer(t, "none", ask(t, s, "GET", `/v1/servers?pretty=false&filter=/attributes/uptime=6&page[size]=1`, ""), 200,
		`{"links":{"self":"http://localhost:8000/v1/servers/","first":"http://localhost:8000/v1/servers/?pretty=false&filter=/attributes/uptime=6&page%5Bnumber%5D=0&page%5Bsize%5D=1",`+
			`"last":"http://localhost:8000/v1/servers/?pretty=false&filter=/attributes/uptime=6&page%5Bnumber%5D=0&page%5Bsize%5D=1"},"data":[]}`)
	for _, query := range []string{"?filter=x", "?filter[id]=like(1)", "?filter[$]=eq(1)", "?%zz", "?fields[servers]=/"} {
		f.says(answer, "", nil)
		a := ask(t, s, "GET", "/v1/servers"+query, "")
		if method, _, _ := f.last(); a.status != 400 || method != "" || !strings.Contains(a.body, `"errors": [`) {
			t.Errorf("%s is answered %d %s by %q", query, a.status, a.body, method)
		}
	}
	f.says(nil, "", errs.New(errs.NotFound, "x is not a server"))
	wantAnswer(t, "unknown", ask(t, s, "GET", "/v1/servers/x?fields[servers]=a&page[size]=1", ""), 404, fault("404", "not_found", "x is not a server"))
}

func TestProxyQuery(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	for _, c := range []struct {
		verb, path, want string
	}{
		{"DELETE", "/v1/servers/x?force=yes", `name: "x" force: true`},
		{"DELETE", "/v1/servers/x/?force=no&unknown=1&sync=false", `name: "x"`},
		{"PUT", "/v1/servers/x/set?state=slave&state=maintenance&force=ON", `name: "x" state: "maintenance" force: true`},
		{"DELETE", "/v1/sessions/7?ttl=30", `name: "7" ttl: 30`},
		{"GET", "/v1/sessions?rdns=true", `rdns: true`},
		{"GET", "/v1/sessions?rdns=perhaps", ``},
		{"GET", "/v1/maxscale/logs/data?page[size]=5&page%5Bcursor%5D=17&priority=error,warning&page[number]=1", `page_size: 5 page_cursor: "17" priority: "error,warning"`},
		{"GET", "/v1/maxscale/logs/entries?page[size]=all", ``},
		{"GET", "/v1/maxscale/query_classifier/classify?sql=SELECT%20a%2Bb%3B", `sql: "SELECT a+b;"`},
		{"POST", "/v1/maxscale/modules/m/c?b%26c&a&pretty=true&a&k=v%3D&sync=false&%20x+y;z&", `module: "m" command: "c" arguments: ["b&c", "a", "a", "k=v=", " x y;z"]`},
		{"GET", "/maxscale/modules/m/c/", `module: "m" command: "c"`},
		{"GET", "/v1/maxscale/modules/m/c?page[size]=1&filter=x&arguments=y", `module: "m" command: "c" arguments: ["page[size]=1", "filter=x", "arguments=y"]`},
	} {
		f.says(nil, "", nil)
		a := ask(t, s, c.verb, c.path, "")
		_, got, _ := f.last()
		if a.status >= 300 || got == nil {
			t.Errorf("%s %s is answered %d %s", c.verb, c.path, a.status, a.body)
			continue
		}
		if want := readText(t, got.ProtoReflect().New().Interface(), c.want); !proto.Equal(got, want) {
			t.Errorf("%s %s arrives as %v", c.verb, c.path, got)
		}
	}
	for _, c := range []struct{ verb, path string }{
		{"DELETE", "/v1/sessions/7?ttl=-1"}, {"DELETE", "/v1/servers/x?force=perhaps"}, {"POST", "/v1/maxscale/modules/m/c?%zz"}, {"PUT", "/v1/servers/x/set?%zz"},
	} {
		f.says(nil, "", nil)
		a := ask(t, s, c.verb, c.path, "")
		if method, _, _ := f.last(); a.status != 400 || method != "" {
			t.Errorf("%s %s is answered %d %s by %q", c.verb, c.path, a.status, a.body, method)
		}
	}
	command := "/v1/maxscale/modules/m/c"
	f.says(readText(t, &proxyv1.CommandResponse{}, `links { self: "u" }`), "", nil)
	wantAnswer(t, "no output", ask(t, s, "POST", command, ""), 204, "")
	f.says(readText(t, &proxyv1.CommandResponse{}, `links { self: "u" } meta { string_value: "done" }`), "", nil)
	wantAnswer(t, "output", ask(t, s, "GET", command+"?pretty=false", ""), 200, `{"links":{"self":"u"},"meta":"done"}`)
	f.says(readText(t, &proxyv1.CommandResponse{}, `links { self: "u" } meta { null_value: NULL_VALUE }`), "", nil)
	wantAnswer(t, "null", ask(t, s, "GET", command+"?pretty=false", ""), 200, `{"links":{"self":"u"},"meta":null}`)
}

// TestProxyBodies: any media type is JSON, and nothing is no body.
func TestProxyBodies(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	for _, c := range []struct{ verb, path, body, kind, want string }{
		{"POST", "/v1/servers", `{"data":{"id":"a","attributes":{"parameters":{"port":3306,"x":null}}}}`, "application/x-www-form-urlencoded", ""},
		{"POST", "/v1/servers", ` {"data":[]} `, "", `{"data":[]}`},
		{"PATCH", "/v1/services/x", `[{"op":"remove","path":"/a"}]`, "application/json", ""},
		{"PATCH", "/v1/services/x", `[]`, "application/json-patch+json; charset=utf-8", ""},
		{"PATCH", "/v1/services/x", `[]`, "APPLICATION/json-patch", ""},
		{"PATCH", "/v1/services/x", `null`, "multipart/form-data", ""},
		{"PATCH", "/v1/services/x", `"é"`, "text/plain", ""},
		{"PATCH", "/v1/services/x/relationships/servers", `{"data":null}`, "text/html", ""},
		{"PATCH", "/v1/services/x", "", "application/json", "absent"},
		{"POST", "/v1/filters", "  \n", "application/json", "absent"},
		{"PUT", "/v1/services/x/start", "ignored", "text/plain", "none"},
	} {
		f.says(nil, "", nil)
		a := ask(t, s, c.verb, c.path, c.body, "Content-Type", c.kind)
		_, got, _ := f.last()
		if got == nil {
			t.Errorf("%s %s %s is answered %d %s", c.verb, c.path, c.body, a.status, a.body)
			continue
		}
		wantAnswer(t, c.path, a, 204, "")
		if _, typed := a.header["Content-Type"]; typed {
			t.Errorf("nothing has the type %q", a.header["Content-Type"])
		}
		field := got.ProtoReflect().Descriptor().Fields().ByName("body")
		if c.want == "none" || c.want == "absent" {
			if field != nil && got.ProtoReflect().Has(field) {
				t.Errorf("%q arrives as %v", c.body, got)
			}
			continue
		}
		want := new(structpb.Value)
		if err := protojson.Unmarshal([]byte(c.body), want); err != nil {
			t.Fatal(err)
		}
		if value := got.ProtoReflect().Get(field).Message().Interface(); !proto.Equal(value, want) {
			t.Errorf("%s arrives as %v", c.body, value)
		}
	}
	for _, path := range []string{"/v1/services/x", "/v1/services/x/relationships/servers", "/v1/servers/x/relationships/services"} {
		status := 400
		if strings.HasPrefix(path, "/v1/services/x/rel") {
			status = 403
		}
		for _, c := range []struct{ body, kind string }{
			{`{`, ""}, {`{data: []}`, ""}, {`{"a":1} x`, ""}, {"\"\xff\"", ""}, {`{"a":1,"a":2}`, ""}, {`a=b`, "application/x-www-form-urlencoded"},
			{`[1e999]`, ""}, {strings.Repeat("[", 150) + strings.Repeat("]", 150), ""}, {`{}`, "application/json-patch+json"}, {`7`, "application/json-patch"},
		} {
			f.says(nil, "", nil)
			a := ask(t, s, "PATCH", path, c.body, "Content-Type", c.kind)
			if method, _, _ := f.last(); a.status != status || method != "" || !strings.Contains(a.body, `"errors": [`) {
				t.Errorf("PATCH %s with %.20q is answered %d %s by %q", path, c.body, a.status, a.body, method)
			}
		}
	}
	if a := ask(t, s, "POST", "/v1/servers", `"`+strings.Repeat("a", MaxBody)+`"`); a.status != 413 {
		t.Errorf("a body that is too large is answered %d", a.status)
	}
}

func TestProxyFailures(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	object, nested, members := "/v1/servers/x", "/v1/services/x/listeners/y", "/v1/services/x/relationships/servers"
	for _, c := range []struct {
		verb, path string
		reason     errs.Reason
		status     int
	}{
		{"PATCH", object, errs.ValidationFailed, 400}, {"POST", "/v1/servers", errs.NameTaken, 400}, {"DELETE", object, errs.InUse, 400},
		{"PATCH", object, errs.TypeImmutable, 400}, {"PATCH", object, errs.BadRequest, 400}, {"PATCH", object, errs.TestFailed, 409},
		{"PATCH", object, errs.VersionMismatch, 412}, {"GET", object, errs.NotFound, 404}, {"GET", object, errs.Internal, 500}, {"GET", object, errs.Unavailable, 503},
		{"PUT", object + "/set", errs.PermissionDenied, 401}, {"DELETE", object, errs.PermissionDenied, 401}, {"GET", object, errs.PermissionDenied, 403},
		{"PATCH", members, errs.ValidationFailed, 403}, {"PATCH", members, errs.NotFound, 404}, {"PATCH", members, errs.VersionMismatch, 412},
		{"DELETE", nested, errs.InUse, 403}, {"DELETE", nested, errs.NotFound, 404}, {"DELETE", nested, errs.PermissionDenied, 401},
		{"DELETE", "/v1/listeners/y", errs.InUse, 400}, {"PATCH", "/v1/servers/x/relationships/services", errs.ValidationFailed, 400},
		{"POST", "/v1/maxscale/modules/a/b", errs.BackendFailed, 400}, {"GET", object, errs.Unauthenticated, 401},
	} {
		f.says(nil, "", errs.New(c.reason, "Something is wrong"))
		a := ask(t, s, c.verb, c.path, "")
		if a.status != c.status || !strings.Contains(a.body, `"code": "`+string(c.reason)+`"`) {
			t.Errorf("%s %s that is %s is answered %d %s, want %d", c.verb, c.path, c.reason, a.status, a.body, c.status)
		}
		if got := a.header.Get("WWW-Authenticate"); (c.status == 401) != strings.HasPrefix(got, "Basic ") {
			t.Errorf("%d says how to log in: %q", a.status, got)
		}
	}
	f.says(nil, "", faultsAre("parameters.port", "must be a number", "parameters.x", "is not known"))
	wantAnswer(t, "faults", ask(t, s, "PATCH", object, "{}"), 400,
		fault("400", "validation_failed", "parameters.port must be a number", "400", "validation_failed", "parameters.x is not known"))
	f.says(nil, "", errs.New(errs.NotFound, "<x> & \"y\" is not a server"))
	wantAnswer(t, "flat", ask(t, s, "GET", object+"?pretty=false", ""), 404, `{"errors":[{"status":"404","code":"not_found","detail":"<x> & \"y\" is not a server"}]}`)
	a := ask(t, s, "GET", "/v1/maxscale/logs/stream", "")
	if a.status != 426 || a.header.Get("Upgrade") != "websocket" {
		t.Errorf("the log without a WebSocket is answered %d, upgrade to %q", a.status, a.header.Get("Upgrade"))
	}
}

// TestProxyForbids: one setting makes all refusals of changes what they were in
// the first version.
func TestProxyForbids(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, func(o *Options) { o.ProxyForbids = true })
	f.says(nil, "", errs.New(errs.InUse, "Something is wrong"))
	for path, want := range map[string]int{"DELETE /v1/servers/x": 403, "PATCH /servers/x": 403, "GET /v1/servers/x": 400} {
		verb, path, _ := strings.Cut(path, " ")
		if a := ask(t, s, verb, path, ""); a.status != want {
			t.Errorf("%s %s is answered %d, want %d", verb, path, a.status, want)
		}
	}
	if a := ask(t, s, "POST", "/v1/servers", "{"); a.status != 403 {
		t.Errorf("malformed JSON is answered %d", a.status)
	}
}

func TestProxyConditions(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	const modified = "Fri, 05 Jan 2024 07:23:54 GMT"
	earlier, later := "Fri, 05 Jan 2024 07:23:53 GMT", "Fri, 05 Jan 2024 07:23:55 GMT"
	f.says(nil, "", nil)
	f.tells("etag", `"3"`, "last-modified", modified, "mxs-warning", "shadowed", "x-secret", "1")
	for _, c := range []struct {
		headers []string
		status  int
	}{
		{nil, 200},
		{[]string{"If-None-Match", `"3"`}, 304}, {[]string{"If-None-Match", `"1", W/"3"`}, 304}, {[]string{"If-None-Match", `*`}, 304}, {[]string{"If-None-Match", `"2"`}, 200},
		{[]string{"If-Match", `"3"`}, 200}, {[]string{"If-Match", `*`}, 200}, {[]string{"If-Match", `"2"`}, 412},
		{[]string{"If-Modified-Since", modified}, 304}, {[]string{"If-Modified-Since", later}, 304}, {[]string{"If-Modified-Since", earlier}, 200}, {[]string{"If-Modified-Since", "yesterday"}, 200},
		{[]string{"If-Unmodified-Since", modified}, 200}, {[]string{"If-Unmodified-Since", earlier}, 412}, {[]string{"If-Unmodified-Since", "x"}, 200},
		{[]string{"If-None-Match", `"2"`, "If-Modified-Since", later}, 200}, {[]string{"If-Match", `"3"`, "If-Unmodified-Since", earlier}, 200},
		{[]string{"If-Match", `"3"`, "If-None-Match", `"3"`}, 304}, {[]string{"If-Match", `"4"`, "If-None-Match", `"3"`}, 412},
	} {
		for _, verb := range []string{"GET", "HEAD"} {
			a := ask(t, s, verb, "/v1/servers", "", c.headers...)
			if a.status != c.status || (a.body == "") != (verb == "HEAD" || c.status != 200) {
				t.Errorf("%s with %v is answered %d %q, want %d", verb, c.headers, a.status, a.body, c.status)
			}
			if a.header.Get("Etag") != `"3"` || a.header.Get("Last-Modified") != modified || a.header.Get("Mxs-Warning") != "shadowed" || a.header.Get("X-Secret") != "" || a.header.Get("Date") == "" {
				t.Errorf("%v has the headers %v", c.headers, a.header)
			}
		}
	}
	a := ask(t, s, "PATCH", "/v1/servers/x", "{}", "If-Match", `"2"`, "If-Unmodified-Since", modified)
	wantAnswer(t, "a change", a, 204, "")
	f.mu.Lock()
	asked := f.asked
	f.mu.Unlock()
	if got := slices.Concat(asked.Get("if-match"), asked.Get("if-unmodified-since")); !slices.Equal(got, []string{`"2"`, modified}) {
		t.Errorf("the RPC is told %v", got)
	}
	f.says(nil, "", errs.New(errs.NotFound, "x is not a server"))
	f.tells("etag", `"3"`)
	if a := ask(t, s, "GET", "/v1/servers/x", "", "If-Match", `"2"`); a.status != http.StatusNotFound {
		t.Errorf("a failure that has a condition is answered %d", a.status)
	}
}

// FuzzProxyBody: a body arrives as the JSON that it is, or is refused.
func FuzzProxyBody(f *testing.F) {
	for _, b := range bodies {
		f.Add([]byte(b))
	}
	f.Add([]byte("0\u3000"))
	f.Add([]byte(`[{"op":"test","path":"/data/attributes/parameters/user","value":1e400}]`))
	fk := &fake{}
	s := facadeOf(f, fk, nil)
	f.Fuzz(func(t *testing.T, data []byte) {
		fk.says(nil, "", nil)
		a := ask(t, s, "PATCH", "/v1/services/x", string(data))
		_, got, _ := fk.last()
		if got == nil {
			var failed struct{ Errors []struct{ Detail string } }
			if err := json.Unmarshal([]byte(a.body), &failed); err != nil || len(failed.Errors) == 0 || a.status != 400 && a.status != 413 {
				t.Fatalf("%q is refused as %d %s", data, a.status, a.body)
			}
			return
		}
		sent := got.(*proxyv1.UpdateRequest).GetBody()
		if sent == nil && json.Valid(data) || a.status != 204 {
			t.Fatalf("%q is lost: %d", data, a.status)
		}
		if sent != nil && !json.Valid(data) {
			t.Fatalf("%q arrives as %v", data, sent)
		}
	})
}

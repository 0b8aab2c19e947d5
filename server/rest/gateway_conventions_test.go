package rest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/backplane/backplane/server/servertest"
)

const (
	idA = "0a000000-0000-4000-8000-000000000001"
	idB = "0b000000-0000-4000-8000-000000000002"
	idC = "0c000000-0000-4000-8000-000000000003"
	idN = "0f000000-0000-4000-8000-00000000000f" // of nothing
)

// form marks a body that is one.
const form = "form:"

// exchange is a request and what must come of it: the whole body, or members
// that the body has.
type exchange struct {
	call, body string
	status     int
	want       string
}

// exchanges makes calls in turn.
func exchanges(t *testing.T, s *servertest.Server, all ...exchange) {
	t.Helper()
	for _, e := range all {
		method, path, _ := strings.Cut(e.call, " ")
		var body any
		var headers []string
		if e.body != "" {
			body = e.body
		}
		if text, ok := strings.CutPrefix(e.body, form); ok {
			body, headers = text, []string{"Content-Type", "application/x-www-form-urlencoded"}
		}
		a := s.Do(t, method, path, body, headers...)
		if a.Status != e.status {
			t.Errorf("%s %s: %d %s, want %d", e.call, e.body, a.Status, a.Body, e.status)
			continue
		}
		var got, want any
		if e.want == "" {
			continue
		}
		if err := json.Unmarshal([]byte(e.want), &want); err != nil {
			t.Fatalf("%s: %v", e.want, err)
		}
		if err := json.Unmarshal(a.Body, &got); err != nil {
			t.Errorf("%s: %q: %v", e.call, a.Body, err)
			continue
		}
		if a.Status >= 400 && !same(got, want) || a.Status < 400 && !has(got, want) {
			t.Errorf("%s %s: %s, want %s", e.call, e.body, a.Body, e.want)
		}
	}
}

func same(a, b any) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

// has tells whether an object has the members of another; other values are
// compared.
func has(got, want any) bool {
	members, ok := want.(map[string]any)
	of, is := got.(map[string]any)
	if !ok || !is {
		return same(got, want)
	}
	for name, v := range members {
		there, ok := of[name]
		if !ok || !has(there, v) {
			return false
		}
	}
	return true
}

// start runs a server with nothing in it.
func start(t *testing.T) *servertest.Server {
	t.Helper()
	return servertest.Start(t, servertest.Options{LogLevel: "warn"})
}

// TestGatewayWrites: what requests that write do, with JSON and with forms.
func TestGatewayWrites(t *testing.T) {
	t.Parallel()
	s := start(t)
	const wholeService = `{"name":null,"retries":5,"protocol":"http","host":"h.test","port":80,"path":null,"connect_timeout":60000,"write_timeout":60000,"read_timeout":60000,` +
		`"tags":null,"client_certificate":null,"tls_verify":null,"tls_verify_depth":null,"ca_certificates":null,"enabled":true}`
	exchanges(t, s,
		exchange{"PUT /services/" + idA, `{"host":"h.test"}`, 200, wholeService},
		exchange{"PUT /services/" + idA, `{"id":"` + idB + `","host":"g.test","name":"a","tags":["x","x","y"],"created_at":1}`, 200, `{"id":"` + idA + `","name":"a","tags":["x","y"],"created_at":1}`},
		exchange{"PUT /services/a", `{"host":"h.test","name":"other"}`, 200, `{"id":"` + idA + `","name":"a","tags":null}`},
		exchange{"PUT /services/中.b~_-1", form + "url=https://u.test/p%3Fq=1", 200, `{"name":"中.b~_-1","host":"u.test","protocol":"https","port":443,"path":"/p"}`},
		exchange{"GET /services/%E4%B8%AD.b~_-1", "", 200, `{"host":"u.test"}`},
		exchange{"PATCH /services/a", form + "port=81&tags[]=z&retries=", 200, `{"port":81,"tags":["z"],"retries":null,"host":"h.test"}`},
		exchange{"PATCH /services/a", `{"tags":null,"url":"http://v.test:8/x"}`, 200, `{"tags":null,"host":"v.test","port":8,"path":"/x"}`},
		exchange{"PATCH /services/a", `{}`, 200, `{"port":8,"host":"v.test"}`},
		exchange{"POST /services", form + "id=" + idB + "&name=b&host=b.test&port=80&enabled=false", 201, `{"id":"` + idB + `","port":80,"enabled":false}`},
		exchange{"PATCH /services/b", `{"port":"80"}`, 400, `{"message":"schema violation (port: expected an integer)","name":"schema violation","code":2,"fields":{"port":"expected an integer"}}`},
		exchange{"PATCH /services/b", form + "port=x&what=1", 400, `{"message":"2 schema violations (port: expected an integer; what: unknown field)","name":"schema violation","code":2,"fields":{"port":"expected an integer","what":"unknown field"}}`},
		exchange{"POST /services", `{}`, 400, `{"message":"schema violation (host: required field missing)","name":"schema violation","code":2,"fields":{"host":"required field missing"}}`},
		exchange{"PATCH /services/b", form + "url=", 400, `{"message":"schema violation (host: required field missing)","name":"schema violation","code":2,"fields":{"host":"required field missing"}}`},
		exchange{"POST /services", `{"url":null,"host":"u.test","id":"` + idN + `"}`, 201, `{"host":"u.test"}`}, exchange{"DELETE /services/" + idN, "", 204, ""},
		exchange{"POST /services", form + "url=", 400, `{"message":"schema violation (host: required field missing)","name":"schema violation","code":2,"fields":{"host":"required field missing"}}`},
		exchange{"POST /services", `{"id":"` + idB + `","host":"h.test"}`, 400, `{"message":"primary key violation on key '{id=\"` + idB + `\"}'","name":"primary key violation","code":3,"fields":{"id":"` + idB + `"}}`},
		exchange{"POST /services", `{"name":"b","host":"h.test"}`, 409, `{"message":"UNIQUE violation detected on '{name=\"b\"}'","name":"unique constraint violation","code":5,"fields":{"name":"b"}}`},
		exchange{"PATCH /services/" + idN, `{}`, 404, `{"message":"could not find the entity with primary key '{id=\"` + idN + `\"}'","name":"not found","code":6,"fields":{"id":"` + idN + `"}}`},
		exchange{"GET /services/" + idN, "", 404, `{"message":"Not found"}`},
		exchange{"DELETE /services/" + idN, "", 204, ""},
		exchange{"DELETE /services/b", "", 204, ""},
		exchange{"GET /services/b", "", 404, `{"message":"Not found"}`},

		exchange{"POST /routes", `{}`, 400, `{"message":"schema violation (must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'https')","name":"schema violation","code":2,` +
			`"fields":{"@entity":["must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'https'"]}}`},
		exchange{"POST /routes", form + "name=r&hosts=a.test&hosts=b.test&headers.X-V=1&service.name=a&protocols[]=http&strip_path=false", 201,
			`{"hosts":["a.test","b.test"],"paths":null,"methods":null,"headers":{"X-V":["1"]},"service":{"id":"` + idA + `"},"protocols":["http"],"strip_path":false,"regex_priority":0}`},
		exchange{"POST /routes", `{"paths":["/a"],"service":{"name":"nobody"}}`, 400, ""},
		exchange{"POST /routes", `{"paths":["/a"],"service":{"id":"` + idN + `"}}`, 400, `{"message":"the foreign key '{id=\"` + idN + `\"}' does not reference an existing 'services' entity.",` +
			`"name":"foreign key violation","code":4,"fields":{"service":{"id":"` + idN + `"}}}`},
		exchange{"POST /routes", `{"paths":["/a"],"service":{}}`, 400, `{"message":"schema violation (service.id: missing primary key)","name":"schema violation","code":2,"fields":{"service":{"id":"missing primary key"}}}`},
		exchange{"POST /routes", `{"paths":["/a"],"protocols":["http","x"]}`, 400, ""},
		exchange{"DELETE /services/a", "", 400, `{"message":"an existing 'routes' entity references this 'services' entity","name":"foreign key violation","code":4,"fields":{"@referenced_by":"routes"}}`},
		exchange{"DELETE /services/a/routes/r", "", 204, ""}, exchange{"DELETE /services/a/routes/r", "", 404, `{"message":"Not found"}`}, exchange{"DELETE /services/a", "", 204, ""},
	)
}

// TestGatewayRelations: parents and what is below them.
func TestGatewayRelations(t *testing.T) {
	t.Parallel()
	s := start(t)
	certificate, key := pair(t)
	withNames := func(names string) string {
		text, err := json.Marshal(servertest.Object{"cert": certificate, "key": key})
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSuffix(string(text), "}") + names + "}"
	}
	exchanges(t, s,
		exchange{"PUT /services/" + idA, `{"name":"a","host":"h.test"}`, 200, ""}, exchange{"PUT /services/" + idB, `{"name":"b","host":"h.test"}`, 200, ""},
		exchange{"POST /services/a/routes", `{"name":"r","paths":["/r"],"service":{"id":"` + idB + `"}}`, 201, `{"service":{"id":"` + idA + `"}}`},
		exchange{"POST /services/nobody/routes", `{"paths":["/r"]}`, 404, `{"message":"Not found"}`},
		exchange{"GET /services/b/routes/r", "", 404, `{"message":"Not found"}`}, exchange{"PATCH /services/b/routes/r", `{}`, 404, ""}, exchange{"GET /services/a/routes/r", "", 200, `{"name":"r"}`},
		exchange{"PUT /services/b/routes/q", form + "paths[]=/q", 200, `{"name":"q","service":{"id":"` + idB + `"}}`},
		exchange{"PUT /routes/free", `{"paths":["/f"]}`, 200, `{"service":null}`},
		exchange{"GET /routes/free/service", "", 404, `{"message":"Not found"}`}, exchange{"PATCH /routes/free/service", `{}`, 404, ""},
		exchange{"PUT /routes/free/service", `{"name":"made","host":"h.test"}`, 200, `{"name":"made"}`},
		exchange{"GET /routes/free/service", "", 200, `{"name":"made"}`},
		exchange{"DELETE /services/a/client_certificate", "", 404, `{"message":"Not found"}`},

		exchange{"PUT /certificates/" + idC, withNames(`,"snis":["b.test","a.test"]`), 200, `{"id":"` + idC + `","snis":["a.test","b.test"],"cert_alt":null,"tags":null}`},
		exchange{"GET /certificates/a.test", "", 200, `{"id":"` + idC + `"}`}, exchange{"GET /certificates/c.test", "", 404, ""},
		exchange{"GET /certificates/c.test/services", "", 404, `{"message":"SNI not found"}`},
		exchange{"GET /certificates/" + idN, "", 404, `{"message":"could not find the entity with primary key '{id=\"` + idN + `\"}'","name":"not found","code":6,"fields":{"id":"` + idN + `"}}`},
		exchange{"PATCH /certificates/" + idC, `{"tags":["x"]}`, 200, `{"snis":["a.test","b.test"],"tags":["x"]}`},
		exchange{"POST /snis", `{"name":"a.test","certificate":{"id":"` + idC + `"}}`, 409, `{"message":"UNIQUE violation detected on '{name=\"a.test\"}'","name":"unique constraint violation","code":5,"fields":{"name":"a.test"}}`},
		exchange{"PUT /certificates/" + idN, withNames(`,"snis":["a.test"]`), 400, ""},
		exchange{"PUT /certificates/" + idC, withNames(``), 200, `{"snis":[]}`},
		exchange{"POST /certificates/" + idC + "/snis", form + "name=c.test", 201, `{"certificate":{"id":"` + idC + `"}}`},
		exchange{"GET /snis/c.test", "", 200, `{"name":"c.test"}`}, exchange{"GET /snis/c.test/certificate", "", 404, ""},
		exchange{"PATCH /services/a", `{"protocol":"https","client_certificate":{"id":"` + idC + `"}}`, 200, ""},
		exchange{"GET /services/a/client_certificate", "", 200, `{"id":"` + idC + `"}`},
		exchange{"DELETE /services/a/client_certificate", "", 405, `{"message":"Method not allowed"}`},
		exchange{"DELETE /certificates/" + idC, "", 400, `{"message":"an existing 'services' entity references this 'certificates' entity","name":"foreign key violation","code":4,"fields":{"@referenced_by":"services"}}`},
		exchange{"GET /ca_certificates/name", "", 400, `{"message":"invalid primary key: '{id=\"expected a valid UUID\"}'","name":"invalid primary key","code":1,"fields":{"id":"expected a valid UUID"}}`},
	)
}

// TestGatewayBelow: targets, and credentials of consumers.
func TestGatewayBelow(t *testing.T) {
	t.Parallel()
	s := start(t)
	exchanges(t, s,
		exchange{"PUT /upstreams/u.test", form + "hash_on=header&hash_on_header=X-H&healthchecks.active.healthy.interval=5", 200,
			`{"name":"u.test","algorithm":"consistent-hashing","slots":10000,"healthchecks":{"threshold":0,"active":{"timeout":1,"headers":null,"healthy":{"interval":5,"successes":0,"http_statuses":[200,302]}}}}`},
		exchange{"PUT /upstreams/u.test/targets/" + idA, `{"target":"a.test"}`, 404, `{"message":"Not found"}`},
		exchange{"POST /upstreams/u.test/targets", `{"id":"` + idA + `","target":"a.test"}`, 201, `{"id":"` + idA + `","target":"a.test:8000","weight":100,"tags":null}`},
		exchange{"POST /upstreams/u.test/targets", form + "target=a.test:8000", 409, ""},
		exchange{"PUT /upstreams/u.test/targets/a.test:8000", `{"weight":0}`, 200, `{"id":"` + idA + `","weight":0}`},
		exchange{"PATCH /upstreams/u.test/targets/" + idA, form + "weight=7", 200, `{"weight":7}`},
		exchange{"GET /targets", "", 404, `{"message":"Not found"}`},
		exchange{"DELETE /upstreams/u.test/targets/a.test:8000", "", 204, ""}, exchange{"DELETE /upstreams/u.test/targets/a.test:8000", "", 404, `{"message":"Not found"}`},

		exchange{"POST /consumers", form + "username=a/b&custom_id=c", 201, `{"username":"a/b","custom_id":"c"}`},
		exchange{"GET /consumers/a%2Fb", "", 200, `{"custom_id":"c"}`}, exchange{"GET /consumers?custom_id=c", "", 200, `{"next":null}`}, exchange{"GET /consumers?custom_id=d", "", 200, `{"data":[],"next":null}`},
		exchange{"POST /consumers", `{}`, 400, ""},
		exchange{"POST /consumers/a%2Fb/key-auth", form + "key=k", 201, `{"key":"k","ttl":null}`}, exchange{"POST /consumers/a%2Fb/key-auth", "", 201, ""},
		exchange{"GET /key-auths/k/consumer", "", 200, `{"username":"a/b"}`},
		exchange{"PUT /consumers/a%2Fb/acls/" + idB, `{"group":"g"}`, 200, `{"group":"g"}`}, exchange{"GET /consumers/a%2Fb/acls/g", "", 200, `{"id":"` + idB + `"}`},
		exchange{"POST /consumers/a%2Fb/basic-auth", form + "username=u&password=p", 201, `{"username":"u"}`},
		exchange{"POST /consumers/a%2Fb/jwt", `{"algorithm":"RS256"}`, 400, ""}, exchange{"POST /consumers/a%2Fb/jwt", form + "key=j", 201, `{"algorithm":"HS256","key":"j"}`},
		exchange{"DELETE /consumers/a%2Fb/jwt/j", "", 204, ""}, exchange{"DELETE /consumers/a%2Fb", "", 204, ""}, exchange{"GET /key-auths/k", "", 404, ""},
	)
	times := s.Do(t, http.MethodPost, "/upstreams/u.test/targets", `{"target":"b.test:1","created_at":1422386534.25}`).JSON(t)
	if times["created_at"] != 1422386534.25 {
		t.Errorf("a target has %v", times)
	}
}

// TestGatewayPages: pages of lists, and what selects from them.
func TestGatewayPages(t *testing.T) {
	t.Parallel()
	s := start(t)
	for i := range 5 {
		tags := []string{`["a b"]`, `["a b","中"]`}[i%2]
		answered(t, s, 200, http.MethodPut, fmt.Sprintf("/services/%08d-0000-4000-8000-000000000000", i), `{"host":"h.test","tags":`+tags+`}`)
		answered(t, s, 201, http.MethodPost, "/services/00000000-0000-4000-8000-000000000000/routes", fmt.Sprintf(`{"name":"r%d","paths":["/r"]}`, i))
	}
	walk := func(path string) (names []string, pages []int) {
		for path != "" {
			a := answered(t, s, 200, http.MethodGet, path, nil).JSON(t)
			data := a["data"].([]any)
			pages = append(pages, len(data))
			for _, e := range data {
				names = append(names, e.(map[string]any)["id"].(string))
			}
			next, _ := a["next"].(string)
			if (next == "") != (a["offset"] == nil) {
				t.Fatalf("%s: %v", path, a)
			}
			path = strings.TrimPrefix(next, s.URL)
		}
		return names, pages
	}
	for path, want := range map[string]string{
		"/services": "[5]", "/services?size=2": "[2 2 1]", "/services?size=5": "[5]", "/services?tags=a+b&size=3": "[3 2]", "/services?tags=%E4%B8%AD": "[2]",
		"/services?tags=a%20b,%E4%B8%AD&size=1": "[1 1]", "/services?tags=a%20b/%E4%B8%AD": "[5]", "/services?tags=none": "[0]",
		"/services/00000000-0000-4000-8000-000000000000/routes?size=2&tags=overlooked": "[2 3]",
	} {
		names, pages := walk(path)
		if fmt.Sprint(pages) != want || strings.HasPrefix(path, "/services?") && !slices.IsSorted(names) {
			t.Errorf("%s has the pages %v of %v, want %s", path, pages, names, want)
		}
	}
	exchanges(t, s,
		exchange{"GET /services?size=0", "", 400, `{"message":"size must be an integer between 1 and 1000","name":"invalid size","code":9}`},
		exchange{"GET /services?size=1001", "", 400, `{"message":"size must be an integer between 1 and 1000","name":"invalid size","code":9}`},
		exchange{"GET /services?size=x", "", 400, `{"message":"size must be a number","name":"invalid size","code":9}`},
		exchange{"GET /services?offset=x", "", 400, ""},
		exchange{"GET /services?tags=a,b/c", "", 400, `{"message":"invalid option (tags: invalid filter syntax)","name":"invalid options","code":11,"options":{"tags":"invalid filter syntax"}}`},
		exchange{"GET /services?tags=", "", 400, `{"message":"invalid option (tags: cannot be null)","name":"invalid options","code":11,"options":{"tags":"cannot be null"}}`},
		exchange{"GET /services?tags=a,b,c,d,e,f", "", 400, ""},
		exchange{"GET /routes?size=1000", "", 200, `{"next":null}`},
		exchange{"GET /tags/%E4%B8%AD", "", 200, `{"next":null}`}, exchange{"GET /tags", "", 200, ""}, exchange{"GET /tags/a,b", "", 400, ""},
	)
}

// TestGatewayInformation: what the gateway says of itself.
func TestGatewayInformation(t *testing.T) {
	t.Parallel()
	s := start(t)
	exchanges(t, s,
		exchange{"GET /", "", 200, `{"version":"3.10.0","tagline":"Welcome to kong","edition":"community","configuration":{"database":"postgres","router_flavor":"traditional_compatible"}}`},
		exchange{"GET /status", "", 200, `{"database":{"reachable":true}}`},
		exchange{"GET /schemas/nothing", "", 404, `{"message":"No entity named 'nothing'"}`}, exchange{"GET /schemas/plugins/nothing", "", 404, ""},
		exchange{"POST /schemas/services/validate", `{"host":"h.test"}`, 200, `{"message":"schema validation successful"}`},
		exchange{"POST /schemas/services/validate", form + "port=1", 400, `{"message":"schema violation (host: required field missing)","name":"schema violation","code":2,"fields":{"host":"required field missing"}}`},
		exchange{"GET /vaults", "", 404, `{"message":"Not found"}`}, exchange{"PUT /services", `{}`, 405, `{"message":"Method not allowed"}`},
	)
	for _, path := range []string{"/schemas/services", "/schemas/routes", "/schemas/upstreams", "/schemas/targets"} {
		for _, f := range answered(t, s, 200, http.MethodGet, path, nil).JSON(t)["fields"].([]any) {
			if field, ok := f.(map[string]any); !ok || len(field) != 1 {
				t.Errorf("%s has the field %v", path, f)
			}
		}
	}
	if endpoints := answered(t, s, 200, http.MethodGet, "/endpoints", nil).JSON(t)["data"].([]any); !slices.Contains(endpoints, any("/services/{services}")) {
		t.Errorf("the endpoints are %v", endpoints)
	}
	a := s.Do(t, http.MethodHead, "/services", nil)
	if a.Status != 200 || len(a.Body) != 0 || a.Header.Get("Server") != "kong/3.10.0" {
		t.Errorf("HEAD is answered %d %q %v", a.Status, a.Body, a.Header)
	}
}

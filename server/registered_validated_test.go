package server_test

import (
	"fmt"
	"testing"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
)

// TestValidated: services whose requests and answers are checked against their
// documents get what these describe, unchanged, and nothing else.
func TestValidated(t *testing.T) {
	t.Parallel()
	s, parts := openShop(t), startParts(t)
	checked := func(r *gatewayv1.RegisterServiceRequest) { r.ValidateRequests, r.ValidateResponses = true, true }
	s.add(t, "strict", s.up.Port, checked)
	id := s.add(t, "parts", parts.port, checked)
	s.refresh(t)
	if faults := s.about(t, id).GetFaults(); len(faults) > 0 {
		t.Errorf("the faults of what is checked are %q", faults)
	}
	item := `{"name": "pen", "price": 1.50, "unknown": {"kept": "100%25"}}`
	for _, call := range []struct{ method, path, kind, body string }{
		{"GET", "/items/?limit=3&tag=a&tag=b&other=1", "", ""}, {"GET", "/items/7", "", ""}, {"GET", "/items/newest", "", ""}, {"POST", "/items/", jsonKind, item},
		{"PUT", "/items/7", jsonKind, item}, {"DELETE", "/items/7", "", ""}, {"POST", "/raw", "application/octet-stream", "\x00\xff"}, {"GET", "/page", "", ""},
		{"GET", "/percent", "", ""}, {"GET", "/download", "", ""}, {"POST", "/form", "application/x-www-form-urlencoded", "user=a&word=b&word=c"},
		{"POST", "/numbers", jsonKind, "[1, 2]"}, {"GET", "/names/a%20b", "", ""}, {"HEAD", "/ping", "", ""},
	} {
		direct := ask(t, s.client, call.method, s.up.URL()+call.path, []byte(call.body), "Content-Type", call.kind)
		s.ask(t, call.method, "/strict"+call.path, []byte(call.body), "Content-Type", call.kind).want(t, call.method+" "+call.path, direct.StatusCode, direct.text)
	}
	const integer = `"msg":"value is not a valid integer","type":"type_error.integer"}`
	for _, c := range []struct {
		call, body string
		status     int
		detail     string
	}{
		{"GET /strict/items/x", "", 422, `[{"loc":["path","item_id"],` + integer + `]`},
		{"GET /strict/items/?limit=x&kind=huge", "", 422, `[{"loc":["query","limit"],` + integer + `,{"loc":["query","kind"],"msg":"value is not a valid enumeration member; ` +
			`permitted: 'small', 'large'","type":"type_error.enum","ctx":{"enum_values":["small","large"]}}]`},
		{"POST /strict/items/", `{"name":"a"}`, 422, `[{"loc":["body","price"],"msg":"field required","type":"value_error.missing"}]`},
		{"POST /strict/items/", `{"name":"","price":"x"}`, 422, `[{"loc":["body","name"],"msg":"ensure this value has at least 1 characters","type":"value_error.any_str.min_length",` +
			`"ctx":{"limit_value":1}},{"loc":["body","price"],"msg":"value is not a valid float","type":"type_error.float"}]`},
		{"POST /strict/items/", `[]`, 422, `[{"loc":["body"],"msg":"value is not a valid dict","type":"type_error.dict"}]`},
		{"GET /parts/things?ids=1,a", "", 422, `[{"loc":["query","ids",1],` + integer + `]`},
		{"GET /parts/things/UP", "", 422, `[{"loc":["path","thing-id"],"msg":"string does not match regex \"^[a-z0-9]+$\"","type":"value_error.str.regex","ctx":{"pattern":"^[a-z0-9]+$"}}]`},
		{"GET /parts/files/a.c", "", 422, `[{"loc":["path","kind"],"msg":"value is not a valid enumeration member; permitted: 'a', 'b'","type":"type_error.enum","ctx":{"enum_values":["a","b"]}}]`},
		{"GET /parts/things", "", 502, `"response doesn't conform to schema"`}, // it answers a list of texts, not of items
	} {
		var method, path string
		if _, err := fmt.Sscan(c.call, &method, &path); err != nil {
			t.Fatal(err)
		}
		got := s.ask(t, method, path, []byte(c.body), "Content-Type", jsonKind)
		got.want(t, c.call+" "+c.body, c.status, `{"detail":`+c.detail+`}`)
		if by := got.Header.Get("X-Service"); by != "" && c.status == 422 {
			t.Errorf("%s has reached %s", c.call, by)
		}
	}
	s.ask(t, "GET", "/parts/files/a.b", nil).want(t, "what is not described is not checked", 200, `["GET","/files/a.b"]`+"\n")
	// The same service without checks is asked for anything.
	if got := s.ask(t, "GET", "/shop/items/x", nil); got.Header.Get("X-Service") != "shop" {
		t.Errorf("without checks: %d %s", got.StatusCode, got.text)
	}
}

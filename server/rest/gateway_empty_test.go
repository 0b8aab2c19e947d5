package rest_test

import (
	"strings"
	"testing"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
)

// TestGatewayEmptyLists: a list that was given empty is not one that was not
// given. Clients compare the two.
func TestGatewayEmptyLists(t *testing.T) {
	t.Parallel()
	s := start(t)
	exchanges(t, s,
		exchange{"PUT /services/" + idA, `{"host":"h.test","tags":[]}`, 200, `{"tags":[],"ca_certificates":null}`},
		exchange{"GET /services/" + idA, "", 200, `{"tags":[],"ca_certificates":null}`},
		exchange{"PATCH /services/" + idA, `{"protocol":"https","tags":null,"ca_certificates":[]}`, 200, `{"tags":null,"ca_certificates":[]}`},
		exchange{"PATCH /services/" + idA, form + "tags=&port=81", 200, `{"tags":null,"ca_certificates":[]}`},
		exchange{"POST /routes", `{"id":"` + idB + `","paths":["/"],"hosts":[],"methods":[],"headers":{}}`, 201,
			`{"hosts":[],"methods":[],"headers":{},"snis":null,"destinations":null,"tags":null}`},
		exchange{"POST /upstreams", `{"name":"u.test","tags":[],"healthchecks":{"active":{"headers":{},"healthy":{"http_statuses":[]}}}}`, 201,
			`{"tags":[],"healthchecks":{"active":{"headers":{},"healthy":{"http_statuses":[]}}}}`},
		exchange{"POST /plugins", `{"name":"key-auth","tags":[],"config":{"key_names":["a"]}}`, 201, `{"tags":[]}`},
	)
	for path, want := range map[string]string{"/routes": `"hosts":[],`, "/upstreams": `"tags":[],`} {
		if got := string(s.Do(t, "GET", path, nil).Body); !strings.Contains(got, want) {
			t.Errorf("GET %s: %s", path, got)
		}
	}
	// What came over a network does not tell them apart.
	got, err := gatewayv1.NewGatewayServiceClient(s.Conn).GetService(t.Context(), &gatewayv1.GetServiceRequest{Id: idA})
	if err != nil || len(got.GetCaCertificates()) != 0 {
		t.Errorf("over gRPC: %v, %v", got, err)
	}
}

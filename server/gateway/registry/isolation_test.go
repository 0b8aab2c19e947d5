package registry_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/server/gateway/apidoc"
)

// TestBadOperationsBesideGoodOnes: whatever is wrong with one operation, the
// others of its document are served, and those of other services.
func TestBadOperationsBesideGoodOnes(t *testing.T) {
	t.Parallel()
	const flags = `"tags":[{"name":"open","x-auto-generate-in-api-gateway":true},7,{"x":1}]`
	const good = `"/good":{"get":{"tags":["open"],"responses":{"200":{"description":"OK"}}}}`
	open := func(more string) string {
		return `{"tags":["open"],` + more + `"responses":{"200":{"description":"OK"}}}`
	}
	w := newWorld(t)
	ids := map[string]int64{}
	for name, paths := range map[string]string{
		"anyof":      `"/x":{"get":` + open(`"parameters":[{"name":"a","in":"query","schema":{"anyOf":[{"type":"string"},{"type":"null"}]}}],`) + `}`,
		"noschema":   `"/x":{"get":` + open(`"parameters":[{"name":"a-b","in":"header"}],`) + `}`,
		"enumref":    `"/x":{"get":` + open(`"parameters":[{"name":"a","in":"query","schema":{"$ref":"#/components/schemas/Nowhere"}}],`) + `}`,
		"inlinebody": `"/x":{"post":` + open(`"requestBody":{"content":{"application/json":{"schema":{"type":"array","items":{"type":"string","default":"a\"b"}}}}},`) + `}`,
		"nomethod":   `"/x":{"summary":"first","parameters":[],"get":` + open("") + `}`,
		"itemnull":   `"/x":null,"/y":7,"/z":{"get":[]}`,
		"brace":      `"/x/{a":{"get":` + open("") + `}`,
		"relative":   `"x":{"get":` + open("") + `}`,
		"badtags":    `"/x":{"get":{"tags":"open"}}`,
		"far":        `"/x":{"$ref":"https://other.example/x.json"}`,
		"circle":     `"/x":{"$ref":"#/paths/~1x"}`,
		"nul":        `"/x/{a\u0000b}":{"get":` + open(`"operationId":"a\u0000b",`) + `}`,
	} {
		u := newUpstream(t, text(200, `{"openapi":"3.1.0","info":{"title":"`+name+`","version":"1"},`+flags+`,"paths":{`+paths+","+good+`}}`))
		ids[name] = w.register(t, name, u.port(t))
	}
	ids["nopaths"] = w.register(t, "nopaths", newUpstream(t, text(200, `{"openapi":"3.0.0"}`)).port(t))
	if out := w.refresh(t); int(out.GetUsable()) != len(ids) {
		t.Errorf("the refresh came to %v", out)
	}
	for name, id := range ids {
		got := w.details(t, id)
		if got.GetService().GetStatusCode() != 200 || got.GetError() != "" {
			t.Errorf("%s: %v", name, got)
		}
		switch name {
		case "itemnull", "brace", "relative", "badtags", "far", "circle", "nopaths":
			if len(got.GetFaults()) == 0 {
				t.Errorf("%s: nobody is told what is wrong", name)
			}
		}
		if name != "nopaths" {
			w.want(t, http.MethodGet, "/"+name+"/good", http.StatusOK, "GET /good")
		}
	}
}

// TestADocumentThatBreaksItsReader is recorded as one that cannot be read.
func TestADocumentThatBreaksItsReader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.registry.ParseWith(func(raw []byte) (*apidoc.Document, error) {
		if bytes.Contains(raw, []byte("/poison")) {
			panic("poisoned")
		}
		return apidoc.Parse(raw)
	})
	good := w.register(t, "good", newUpstream(t, document("GET /items/")).port(t))
	bad := newUpstream(t, document("GET /items/"))
	id := w.register(t, "bad", bad.port(t))
	w.refresh(t)
	bad.says(document("GET /items/", "GET /poison"))
	if out := w.refresh(t); out.GetUsable() != 1 {
		t.Errorf("the refresh came to %v", out)
	}
	if got := w.details(t, id); got.GetService().GetStatusCode() != -2 || got.GetError() != "its document cannot be processed" {
		t.Errorf("it is %v", got)
	}
	if got := w.details(t, good); got.GetService().GetStatusCode() != 200 {
		t.Errorf("the other is %v", got)
	}
	w.want(t, http.MethodGet, "/bad/items/", http.StatusOK, "GET /items/")
}

// TestNamesThatUsersHave: the service whose name is taken is told so, the others
// are served.
func TestNamesThatUsersHave(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := newUpstream(t, document("GET /items/"))
	own, err := w.CreateService(t.Context(), &gatewayv1.CreateServiceRequest{Service: &gatewayv1.Service{Name: proto.String("Shop"), Host: proto.String("localhost")}})
	if err != nil {
		t.Fatal(err)
	}
	shop, other := w.register(t, "Shop", u.port(t)), w.register(t, "Other", u.port(t))
	for range 2 {
		if out := w.refresh(t); out.GetServices() != 2 || out.GetUsable() != 1 {
			t.Errorf("the refresh came to %v", out)
		}
		if got := w.details(t, shop); !strings.Contains(got.GetError(), "its routes cannot be made: UNIQUE violation") || got.GetService().GetStatusCode() != 200 {
			t.Errorf("the one whose name is taken: %v", got)
		}
		if got := w.details(t, other); got.GetError() != "" {
			t.Errorf("the other: %v", got)
		}
		w.want(t, http.MethodGet, "/Other/items/", http.StatusOK, "GET /items/")
		w.want(t, http.MethodGet, "/Shop/items/", http.StatusNotFound, "")
	}
	if _, err := w.DeleteService(t.Context(), &gatewayv1.DeleteServiceRequest{Id: own.GetId()}); err != nil {
		t.Fatal(err)
	}
	if out := w.refresh(t); out.GetUsable() != 2 {
		t.Errorf("with the name free: %v", out)
	}
	w.want(t, http.MethodGet, "/Shop/items/", http.StatusOK, "GET /items/")
	if got := w.details(t, shop); got.GetError() != "" {
		t.Errorf("with the name free: %v", got)
	}
}

// TestWhatUsersDoToRoutes: what is generated is set right, what they add stays.
func TestWhatUsersDoToRoutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := newUpstream(t, document("GET /a", "GET /b"))
	w.register(t, "Shop", u.port(t))
	w.refresh(t)
	if _, err := w.DeleteRoute(t.Context(), &gatewayv1.DeleteRouteRequest{Id: "Shop.get-a"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.UpdateRoute(t.Context(), &gatewayv1.UpdateRouteRequest{Id: "Shop.get-b", Route: &gatewayv1.Route{Paths: []string{"/elsewhere"}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.CreatePlugin(t.Context(), &gatewayv1.CreatePluginRequest{Service: "Shop", Plugin: &gatewayv1.Plugin{Name: proto.String("correlation-id")}}); err != nil {
		t.Fatal(err)
	}
	w.want(t, http.MethodGet, "/Shop/a", http.StatusNotFound, "")
	if out := w.refresh(t); out.GetRoutesAdded() != 1 || out.GetRoutesChanged() != 1 {
		t.Errorf("the refresh came to %v", out)
	}
	w.want(t, http.MethodGet, "/Shop/a", http.StatusOK, "GET /a")
	w.want(t, http.MethodGet, "/Shop/b", http.StatusOK, "GET /b")
	w.want(t, http.MethodGet, "/elsewhere", http.StatusNotFound, "")
	list, err := w.ListPlugins(t.Context(), &gatewayv1.ListPluginsRequest{Service: "Shop"})
	if err != nil || len(list.GetData()) != 2 {
		t.Errorf("plugins of the service: %v %v", list, err)
	}
}

// TestNamesThatServicesShare: no operation of a service has the name of another
// service, or keeps that from being served.
func TestNamesThatServicesShare(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	named := strings.Replace(documentOf("GET /items/"), `"tags":["open"]`, `"operationId":"items","tags":["open"]`, 1)
	w.register(t, "shop", newUpstream(t, text(http.StatusOK, named)).port(t))
	w.register(t, "shop.items", newUpstream(t, document("GET /x")).port(t))
	if out := w.refresh(t); out.GetUsable() != 2 {
		t.Errorf("the refresh came to %v", out)
	}
	w.want(t, http.MethodGet, "/shop/items/", http.StatusOK, "GET /items/")
	w.want(t, http.MethodGet, "/shop.items/x", http.StatusOK, "GET /x")
	w.want(t, http.MethodGet, "/shop.items/y", http.StatusNotFound, "")
}

// TestWhatServicesTakeForAnotherPath: an operation that is open is no way to one
// that is protected, or not exposed.
func TestWhatServicesTakeForAnotherPath(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := newUpstream(t, document("GET /items/{id}", "!GET /items/{id}/secret", "-GET /items/{id}/hidden", "!GET /items/report", "-DELETE /items/{id}/parts"))
	w.register(t, "Shop", u.port(t))
	w.refresh(t)
	for _, path := range []string{
		"1%2Fsecret", "1%2fsecret", "1%2Fhidden", "1%5Csecret", `1\secret`, "1;a%2Fsecret", "1%2Fsecret;a=b", "1%2F%2Fsecret", "report;a=b", "report%3Ba", "1%2F.%2Fsecret",
	} {
		w.want(t, http.MethodGet, "/Shop/items/"+path, http.StatusNotFound, `{"detail":"Not Found"}`)
		w.want(t, http.MethodHead, "/Shop/items/"+path, http.StatusNotFound, "")
	}
	for _, path := range []string{"1", "1%2F2", "1%2Fsecrets", "1%2Fparts", "a;b", "1%252Fsecret"} {
		w.want(t, http.MethodGet, "/Shop/items/"+path, http.StatusOK, "GET /items/"+path)
	}
	w.want(t, http.MethodGet, "/Shop/items/1/secret", http.StatusForbidden, "")
}

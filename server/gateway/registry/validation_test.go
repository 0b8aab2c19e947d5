package registry_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
)

// TestRequestsAreChecked against the document, for services that want it, also
// where a part of the document is of no use.
func TestRequestsAreChecked(t *testing.T) {
	t.Parallel()
	const sound = `"/items/":{"get":{"tags":["open"],"parameters":[{"name":"limit","in":"query","schema":{"type":"integer"}}],"responses":{"200":{"description":"OK"}}}}`
	const broken = `,"/broken":{"get":{"tags":["open"],"parameters":[{"name":"a","in":"query","schema":{"type":"nothing","pattern":"("}}],"responses":{"200":{"description":"OK"}}}}`
	w := newWorld(t)
	ids := map[string]int64{}
	for name, c := range map[string]struct {
		paths string
		check bool
	}{"Sound": {sound, true}, "Broken": {sound + broken, true}, "Free": {sound, false}} {
		u := newUpstream(t, text(200, `{"openapi":"3.0.2","info":{"title":"a","version":"1"},"tags":[{"name":"open","x-auto-generate-in-api-gateway":true}],"paths":{`+c.paths+`}}`))
		port := u.port(t)
		out, err := w.RegisterService(t.Context(), &gatewayv1.RegisterServiceRequest{
			Domain: "http://127.0.0.1", NameService: name, Port: &port, ValidateRequests: c.check,
		})
		if err != nil {
			t.Fatal(err)
		}
		ids[name] = out.GetRegistration().GetService().GetId()
	}
	if out := w.refresh(t); out.GetUsable() != 3 {
		t.Errorf("the refresh came to %v", out)
	}
	for name, status := range map[string]int{"Sound": http.StatusUnprocessableEntity, "Broken": http.StatusUnprocessableEntity, "Free": http.StatusOK} {
		w.want(t, http.MethodGet, "/"+name+"/items/?limit=5", http.StatusOK, "GET /items/?limit=5")
		w.want(t, http.MethodGet, "/"+name+"/items/?limit=x", status, "")
		if said := strings.Contains(fmt.Sprint(w.details(t, ids[name]).GetFaults()), "merged document"); said != (name == "Broken") {
			t.Errorf("%s: %v", name, w.details(t, ids[name]).GetFaults())
		}
	}
}

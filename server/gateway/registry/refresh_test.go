package registry_test

import (
	"net/http"
	"testing"
)

func TestOperationsBecomeRoutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := newUpstream(t, document("GET /items/", "POST /items/", "GET /items/{item_id}", "-GET /items/secret", "!GET /safe"))
	id := w.register(t, "Shop", u.port(t))
	if got := w.details(t, id); got.GetService().GetStatusCode() != 0 || u.fetches() != 0 {
		t.Errorf("registration alone fetched the document: %v", got)
	}
	out := w.refresh(t)
	if out.GetServices() != 1 || out.GetUsable() != 1 || out.GetRoutesAdded() != 6 {
		t.Errorf("the refresh came to %v", out)
	}
	w.want(t, http.MethodGet, "/Shop/items/?q=1", http.StatusOK, "GET /items/?q=1")
	w.want(t, http.MethodPost, "/Shop/items/", http.StatusOK, "POST /items/")
	w.want(t, http.MethodGet, "/Shop/items/7", http.StatusOK, "GET /items/7")
	w.want(t, http.MethodHead, "/Shop/items/7", http.StatusOK, "")
	w.want(t, http.MethodGet, "/Shop/items/secret", http.StatusNotFound, `{"detail":"Not Found"}`)
	w.want(t, http.MethodGet, "/Shop/nothing", http.StatusNotFound, `{"detail":"Not Found"}`)
	w.want(t, http.MethodGet, "/Shop", http.StatusNotFound, `{"detail":"Not Found"}`)
	w.want(t, http.MethodDelete, "/Shop/items/7", http.StatusMethodNotAllowed, `{"detail":"Method Not Allowed"}`)
	w.want(t, http.MethodGet, "/Shop/safe", http.StatusForbidden, `{"detail":"Not authenticated"}`)
	w.want(t, http.MethodGet, "/openapi.json", http.StatusOK, "")
	got := w.details(t, id)
	if got.GetService().GetStatusCode() != 200 || len(got.GetService().GetUrls()) != 3 || len(got.GetOperations()) != 4 ||
		got.GetTitle() != "Shop" || got.GetVersion() != "1.2" || got.GetOpenapi() != "3.1.0" {
		t.Errorf("the service is %v", got)
	}
}

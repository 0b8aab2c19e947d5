package registry_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/server/gateway/registry"
)

// TestServicesThatMayNotBeThereAnyMore: the last good routes do not lead where no
// service may be, also when only another service is looked at.
func TestServicesThatMayNotBeThereAnyMore(t *testing.T) {
	t.Parallel()
	u, other := newUpstream(t, document("GET /items/")), newUpstream(t, document("GET /x"))
	at, err := netip.ParseAddrPort(strings.TrimPrefix(u.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	var own atomic.Bool
	w := newWorld(t, func(o *registry.Options) {
		of := o.Own
		o.Own = func() []netip.AddrPort {
			if own.Load() {
				return append(of(), at)
			}
			return of()
		}
	})
	id := w.register(t, "Shop", u.port(t))
	w.refresh(t)
	w.want(t, http.MethodGet, "/Shop/items/", http.StatusOK, "GET /items/")

	u.says(http.RedirectHandler("http://169.254.169.254/", http.StatusFound).ServeHTTP)
	w.refresh(t)
	w.want(t, http.MethodGet, "/Shop/items/", http.StatusOK, "GET /items/") // only its document is nowhere

	own.Store(true)
	w.refresh(t)
	w.register(t, "Other", other.port(t))
	w.refresh(t)
	w.want(t, http.MethodGet, "/Other/x", http.StatusOK, "GET /x")
	w.want(t, http.MethodGet, "/Shop/items/", http.StatusNotFound, "")
	got := w.details(t, id)
	if s := got.GetService(); s.GetStatusCode() != -1 || len(s.GetUrls()) > 0 || !strings.Contains(got.GetError(), "is an address of this program itself") ||
		got.GetDocumentHash() != "" || got.GetFetchedAt() != nil {
		t.Errorf("it is %v", got)
	}

	own.Store(false)
	u.says(document("GET /items/"))
	w.refresh(t)
	w.want(t, http.MethodGet, "/Shop/items/", http.StatusOK, "GET /items/")
}

// TestDocumentsThatAreTooLongTogether: those for which there is no room wait, and
// what was served is served.
func TestDocumentsThatAreTooLongTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.registry.Together(3 << 20)
	long := strings.Replace(documentOf("GET /items/"), `"title":"Shop"`, `"title":"Shop","description":"`+strings.Repeat("a", 2<<20)+`"`, 1)
	u := newUpstream(t, text(http.StatusOK, long))
	ids := []int64{w.register(t, "a", u.port(t)), w.register(t, "b", u.port(t))}
	small := newUpstream(t, document("GET /items/"))
	w.register(t, "c", small.port(t))
	for range 3 {
		if out := w.refresh(t); out.GetUsable() != 2 {
			t.Errorf("the refresh came to %v", out)
		}
	}
	w.want(t, http.MethodGet, "/c/items/", http.StatusOK, "GET /items/")
	full := 0
	for _, id := range ids {
		if got := w.details(t, id); strings.Contains(got.GetError(), "there is no room") && got.GetService().GetStatusCode() == -2 {
			full++
		}
	}
	if full != 1 {
		t.Errorf("there is no room for %d of two", full)
	}
	for _, id := range ids {
		if w.details(t, id).GetError() == "" {
			if _, err := w.UnregisterService(t.Context(), &gatewayv1.UnregisterServiceRequest{IdService: id}); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.refresh(t)
	if out := w.refresh(t); out.GetServices() != 2 || out.GetUsable() != 2 {
		t.Errorf("with room, the refresh came to %v", out)
	}
}

// TestTooMuchForOneDocument: the merged document has as many services as there is
// room for, the others say that they are not in it, and all are served.
func TestTooMuchForOneDocument(t *testing.T) {
	t.Parallel()
	const size, most = 900 << 10, 12 << 20
	w := newWorld(t)
	long := strings.Replace(documentOf("GET /a"), `"tags":["open"]`, `"description":"`+strings.Repeat("a", size)+`","tags":["open"]`, 1)
	u := newUpstream(t, text(http.StatusOK, long))
	ids := make([]int64, 30)
	for i := range ids {
		ids[i] = w.register(t, fmt.Sprintf("s%d", i), u.port(t))
	}
	if out := w.refresh(t); int(out.GetUsable()) != len(ids) {
		t.Errorf("the refresh came to %v", out)
	}
	_, body := w.get(t, http.MethodGet, "/openapi.json")
	if len(body) > most || len(body) < most-2*size {
		t.Errorf("the document has %d bytes", len(body))
	}
	for i, id := range ids {
		absent := slices.ContainsFunc(w.details(t, id).GetFaults(), func(f string) bool { return strings.HasPrefix(f, "it is not in the merged document") })
		if absent == strings.Contains(body, fmt.Sprintf(`"/s%d/a"`, i)) {
			t.Errorf("service %d: not in the document, it says: %t", i, absent)
		}
		w.want(t, http.MethodGet, fmt.Sprintf("/s%d/a", i), http.StatusOK, "GET /a")
	}
}

package registry_test

import (
	"net/http"
	"net/netip"
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

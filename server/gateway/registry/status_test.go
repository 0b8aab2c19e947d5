package registry_test

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/server/gateway/registry"
)

// hangs answers nothing until the client goes.
func hangs(w http.ResponseWriter, r *http.Request) {
	if f, ok := w.(http.Flusher); ok && r.URL.Query().Has("begin") {
		f.Flush()
	}
	<-r.Context().Done()
}

// drips sends a document so slowly that it does not end.
func drips(w http.ResponseWriter, r *http.Request) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			io.WriteString(w, " ")                //nolint:errcheck // the context ends when the client has gone
			http.NewResponseController(w).Flush() //nolint:errcheck // the same
		case <-r.Context().Done():
			return
		}
	}
}

// redirects sends the client to itself so often, and then answers.
func redirects(n int, then http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		at := strings.Count(r.URL.RawQuery, "x")
		if at < n {
			http.Redirect(w, r, "/openapi.json?"+strings.Repeat("x", at+1), http.StatusFound)
			return
		}
		then(w, r)
	}
}

// garbage closes the connection after something that is not HTTP.
func garbage(says string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		io.WriteString(conn, says) //nolint:errcheck // it may have gone
		conn.Close()               //nolint:errcheck // the same
	}
}

func gzipped(document string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			w.WriteHeader(http.StatusNotAcceptable)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(zipped(document)) //nolint:errcheck // the client may have gone
	}
}

// TestStatus has a service for each thing that can come of fetching a document,
// all in one registry: none is in the way of another.
func TestStatus(t *testing.T) {
	t.Parallel()
	good := document("GET /items/")
	huge := `{"openapi":"3.1.0","info":{"title":"a","version":"1"},"x":"` + strings.Repeat("a", 17<<20) + `"}`
	cases := []struct {
		name, error string
		status      int32
		document    http.HandlerFunc
	}{
		{"good", "", 200, good},
		{"gzip", "", 200, gzipped(documentOf("GET /items/"))},
		{"moved", "", 200, redirects(5, good)},
		{"hangs", "it did not answer within", -1, hangs},
		{"drips", "it did not answer within", -1, drips},
		{"garbage", "what it answers is not HTTP", -1, garbage("\x00\x01\x02 no HTTP\r\n\r\n")},
		{"banner", "what it answers is not HTTP", -1, garbage("SSH-2.0-secret\r\n")},
		{"fields", "what it answers is not HTTP", -1, garbage("HTTP/1.1 200 OK\r\nsecret\r\n\r\n")},
		{"closes", "it closed the connection", -1, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		{"short", "it closed the connection", -1, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "{") //nolint:errcheck // the client may have gone
		}},
		{"html", "looks like HTML", -2, text(200, "<!doctype html><html></html>")},
		{"empty", "empty", -2, text(200, "")},
		{"other", "not an OpenAPI document", -2, text(200, `{"a":1}`)},
		{"swagger", "Swagger 2.0", -2, text(200, `{"swagger":"2.0"}`)},
		{"deep", "nests deeper", -2, text(200, strings.Repeat("[", 10000))},
		{"huge", "longer than 16 MiB", -2, text(200, huge)},
		{"fails", "500 Internal Server Error", 500, text(500, documentOf("GET /items/"))},
		{"absent", "404 Not Found", 404, text(404, "")},
		{"created", "201 Created", 201, text(201, documentOf("GET /items/"))},
		{"circles", "6 redirects", 302, redirects(100, good)},
		{"elsewhere", "link-local", -1, nil},
		{"home", "is an address of this program itself", -1, nil},
	}
	w := newWorld(t, func(o *registry.Options) { o.Timeout = 10 * time.Second })
	cases[len(cases)-2].document = http.RedirectHandler("http://169.254.169.254/openapi.json", http.StatusFound).ServeHTTP
	cases[len(cases)-2].error = "169.254.169.254 is not among the hosts and networks"
	cases[len(cases)-1].document = http.RedirectHandler("http://"+w.addr+"/openapi.json", http.StatusFound).ServeHTTP
	ids := make([]int64, len(cases))
	for i, c := range cases {
		ids[i] = w.register(t, c.name, newUpstream(t, c.document).port(t))
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := w.register(t, "refused", int32(closed.Addr().(*net.TCPAddr).Port))
	closed.Close()
	out := w.refresh(t)
	if out.GetServices() != int32(len(cases))+1 || out.GetUsable() != 3 {
		t.Errorf("the refresh came to %v", out)
	}
	for i, c := range cases {
		got := w.details(t, ids[i])
		if got.GetService().GetStatusCode() != c.status || !strings.Contains(got.GetError(), c.error) || c.error == "" && got.GetError() != "" {
			t.Errorf("%s: %d %q, want %d with %q", c.name, got.GetService().GetStatusCode(), got.GetError(), c.status, c.error)
		}
		if got.GetCheckedAt() == nil || (got.GetFetchedAt() != nil) != (c.status == 200) {
			t.Errorf("%s was looked at at %v, and fetched at %v", c.name, got.GetCheckedAt(), got.GetFetchedAt())
		}
		if c.status == 200 {
			w.want(t, http.MethodGet, "/"+c.name+"/items/", http.StatusOK, "GET /items/")
		}
	}
	if got := w.details(t, refused); got.GetService().GetStatusCode() != -1 || got.GetError() != "it refused the connection" {
		t.Errorf("who does not listen: %v", got)
	}
}

// TestTheLastGoodRoutesStay: a service whose document cannot be had any more is
// served as before, and once it is there again, as it says.
func TestTheLastGoodRoutesStay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := newUpstream(t, document("GET /items/", "GET /users"))
	id := w.register(t, "Shop", u.port(t))
	w.refresh(t)
	hash := w.details(t, id).GetDocumentHash()
	for _, c := range []struct {
		status   int32
		document http.HandlerFunc
	}{{503, text(503, "")}, {-2, text(200, "no")}, {-1, garbage("no HTTP\n")}} {
		u.says(c.document)
		if out := w.refresh(t); out.GetUsable() != 0 || out.GetRoutesRemoved() != 0 {
			t.Errorf("the refresh came to %v", out)
		}
		got := w.details(t, id)
		if got.GetService().GetStatusCode() != c.status || got.GetError() == "" || got.GetDocumentHash() != hash || len(got.GetService().GetUrls()) != 2 {
			t.Errorf("with status %d: %v", c.status, got)
		}
		w.want(t, http.MethodGet, "/Shop/items/", http.StatusOK, "GET /items/")
	}
	u.says(document("GET /items/", "GET /orders"))
	if out := w.refresh(t); out.GetUsable() != 1 || out.GetRoutesRemoved() != 1 || out.GetRoutesAdded() != 1 {
		t.Errorf("the refresh came to %v", out)
	}
	if got := w.details(t, id); got.GetService().GetStatusCode() != 200 || got.GetError() != "" || got.GetDocumentHash() == hash {
		t.Errorf("with another document: %v", got)
	}
	w.want(t, http.MethodGet, "/Shop/orders", http.StatusOK, "GET /orders")
	w.want(t, http.MethodGet, "/Shop/users", http.StatusNotFound, `{"detail":"Not Found"}`)
	u.Server.Close()
	w.refresh(t)
	w.want(t, http.MethodGet, "/Shop/items/", http.StatusServiceUnavailable, `{"detail":"Service is unavailable."}`)
}

// TestManyServicesOfWhichSomeHang is about as large as it gets: a refresh ends
// within its deadline, and all who answer are served.
func TestManyServicesOfWhichSomeHang(t *testing.T) {
	t.Parallel()
	const all, bad = 200, 10
	w := newWorld(t, func(o *registry.Options) { o.Timeout = 10 * time.Second })
	good := newUpstream(t, document("GET /items/", "GET /items/{item_id}", "!POST /items/"))
	stuck := newUpstream(t, hangs)
	for i := range all {
		u := good
		if i%(all/bad) == 0 {
			u = stuck
		}
		w.register(t, fmt.Sprintf("service%d", i), u.port(t))
	}
	// That leaves a slow machine time for the work, and none for those who hang
	// one after the other.
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	out, err := w.RefreshServices(ctx, &gatewayv1.RefreshServicesRequest{})
	if err != nil || out.GetServices() != all || out.GetUsable() != all-bad {
		t.Fatalf("the refresh came to %v %v", out, err)
	}
	for i := range all {
		status, body := http.StatusOK, "GET /items/7"
		if i%(all/bad) == 0 {
			status, body = http.StatusNotFound, ""
		}
		w.want(t, http.MethodGet, fmt.Sprintf("/service%d/items/7", i), status, body)
	}
	page := int32(20)
	list, err := w.ListRegistrations(t.Context(), &gatewayv1.ListRegistrationsRequest{Page: &page})
	if err != nil || len(list.GetServices()) != 10 || list.GetMetadata().GetCountPage() != 20 {
		t.Errorf("the last page: %v %v", list, err)
	}
}

func TestAllowRules(t *testing.T) {
	t.Parallel()
	allow, err := registry.ParseAllow([]string{"10.0.0.0/8", "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(o *registry.Options) { o.Allow = allow })
	u := newUpstream(t, document("GET /items/"))
	port := u.port(t)
	register := func(name, domain string, port int32) error {
		_, err := w.RegisterService(t.Context(), &gatewayv1.RegisterServiceRequest{Domain: domain, NameService: name, Port: &port})
		return err
	}
	if err := register("a", "http://127.0.0.1", port); code(err) != -1 || !strings.Contains(err.Error(), "--registry-allow") {
		t.Errorf("an address that is not allowed: %v", err)
	}
	if err := register("b", "http://localhost", portOf(t, "http://"+w.addr)); code(err) != -1 || !strings.Contains(err.Error(), "this program itself") {
		t.Errorf("our own address: %v", err)
	}
	if err := register("c", "http://localhost", port); err != nil {
		t.Fatal(err)
	}
	if out := w.refresh(t); out.GetUsable() != 1 {
		t.Errorf("a host that is allowed: %v", out)
	}
	// What it is redirected to is not allowed, although the same machine.
	u.says(http.RedirectHandler(fmt.Sprintf("http://127.0.0.1:%d/openapi.json?y", port), http.StatusFound).ServeHTTP)
	if out := w.refresh(t); out.GetUsable() != 0 {
		t.Errorf("a redirect to an address that is not allowed: %v", out)
	}
	open := newWorld(t)
	for _, domain := range []string{"http://127.0.0.1", "http://0.0.0.0", "http://[::ffff:127.0.0.1]"} {
		own := netip.MustParseAddrPort(open.addr)
		port := int32(own.Port())
		_, err := open.RegisterService(t.Context(), &gatewayv1.RegisterServiceRequest{Domain: domain, NameService: "own", Port: &port})
		if code(err) != -1 {
			t.Errorf("our own address as %s: %v", domain, err)
		}
	}
}

// TestDocumentPath: the document is where the service says it is, whatever else is
// at the usual place.
func TestDocumentPath(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RequestURI() != "/v1/api?format=json" || r.Header.Get("Authorization") != "" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		document("GET /items/")(w, r)
	}))
	t.Cleanup(elsewhere.Close)
	port := portOf(t, elsewhere.URL)
	_, err := w.RegisterService(t.Context(), &gatewayv1.RegisterServiceRequest{
		Domain: "http://localhost", NameService: "Shop", Port: &port, DocumentPath: "/v1/api?format=json",
	})
	if err != nil {
		t.Fatal(err)
	}
	if out := w.refresh(t); out.GetUsable() != 1 {
		t.Errorf("the refresh came to %v", out)
	}
}

// TestCertificatesAreVerified: who cannot show who he is has nothing to say.
func TestCertificatesAreVerified(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := httptest.NewUnstartedServer(document("GET /items/"))
	secret.Config.ErrorLog = log.New(io.Discard, "", 0)
	secret.StartTLS()
	t.Cleanup(secret.Close)
	port := portOf(t, secret.URL)
	out, err := w.RegisterService(t.Context(), &gatewayv1.RegisterServiceRequest{Domain: "https://127.0.0.1", NameService: "Shop", Port: &port})
	if err != nil {
		t.Fatal(err)
	}
	w.refresh(t)
	got := w.details(t, out.GetRegistration().GetService().GetId())
	if got.GetService().GetStatusCode() != -1 || !strings.Contains(got.GetError(), "its certificate is not trusted") {
		t.Errorf("it is %v", got)
	}
}

// TestNamesOfCertificatesAreText: what stands in one goes into the store as every
// store takes it.
func TestNamesOfCertificatesAreText(t *testing.T) {
	t.Parallel()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"a\x00b"}}
	made, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	odd := httptest.NewUnstartedServer(document("GET /items/"))
	odd.Config.ErrorLog = log.New(io.Discard, "", 0)
	odd.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{made}, PrivateKey: key}}}
	odd.StartTLS()
	t.Cleanup(odd.Close)
	port := portOf(t, odd.URL)
	out, err := w.RegisterService(t.Context(), &gatewayv1.RegisterServiceRequest{Domain: "https://localhost", NameService: "Shop", Port: &port})
	if err != nil {
		t.Fatal(err)
	}
	w.refresh(t)
	got := w.details(t, out.GetRegistration().GetService().GetId()).GetError()
	if !strings.Contains(got, "its certificate is not trusted") || strings.Contains(got, "\x00") {
		t.Errorf("it is told %q", got)
	}
}

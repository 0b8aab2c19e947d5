package server_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/internal/config"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/servertest"
)

// register registers a service at a loopback port, and returns its number.
func register(t *testing.T, s *servertest.Server, name string, port int) int64 {
	t.Helper()
	out, err := s.Gateway.RegisterService(servertest.Context(t), &gatewayv1.RegisterServiceRequest{
		Domain: "http://127.0.0.1", NameService: name, Port: proto.Int32(int32(port)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.GetRegistration().GetService().GetId()
}

// describedService starts a service with an OpenAPI document, of one operation
// that is exposed, and returns its port.
func describedService(t *testing.T) int {
	t.Helper()
	const document = `{"openapi":"3.1.0","info":{"title":"Items","version":"1"},
		"tags":[{"name":"out","x-auto-generate-in-api-gateway":true}],
		"paths":{"/items/":{"get":{"tags":["out"],"operationId":"items","responses":{"200":{"description":"OK"}}}}}}`
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, ".json") {
			io.WriteString(w, document) //nolint:errcheck // who has gone does not read
			return
		}
		fmt.Fprintf(w, "%q", r.URL.Path)
	}))
	t.Cleanup(up.Close)
	return portIn(t, up.URL)
}

func portIn(t *testing.T, address string) int {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// served is what the gateway answers to a GET, as "status body".
func served(t *testing.T, s *servertest.Server, path string) (answer string, header http.Header) {
	t.Helper()
	resp, err := s.Client.Get("http://" + s.GatewayHTTP + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(resp.StatusCode, " ", string(text)), resp.Header
}

// TestRegisteredService: what is registered is served by the gateway, without
// anybody asking for it.
func TestRegisteredService(t *testing.T) {
	t.Parallel()
	s := start(t)
	if answer, _ := served(t, s, "/docs/"); !strings.HasPrefix(answer, "404 ") {
		t.Errorf("the reference of nothing: %.80s", answer)
	}
	register(t, s, "auto", describedService(t))
	servertest.Eventually(t, "it is served", func() bool {
		answer, _ := served(t, s, "/auto/items/")
		return answer == `200 "/items/"`
	})
	answer, header := served(t, s, "/openapi.json")
	if !strings.HasPrefix(answer, "200 ") || !strings.Contains(answer, `"/auto/items/"`) || !strings.HasPrefix(header.Get("Content-Type"), "application/json") {
		t.Errorf("the document of all is %s, %v", answer, header)
	}
	for path, want := range map[string]string{
		"/docs":                      "200 text/html; charset=utf-8 default-src 'self'",
		"/docs/":                     "200 text/html; charset=utf-8 default-src 'self'",
		"/docs/page.js":              "200 text/javascript; charset=utf-8 default-src 'self'",
		"/docs/swagger-ui.css":       "200 text/css; charset=utf-8 default-src 'self'",
		"/docs/swagger-ui-bundle.js": "200 text/javascript; charset=utf-8 default-src 'self'",
		"/docs/none":                 "404 application/json",
		"/redoc":                     "200 text/html; charset=utf-8 default-src 'self'",
	} {
		answer, header := served(t, s, path)
		status, body, _ := strings.Cut(answer, " ")
		if got := strings.Join([]string{status, header.Get("Content-Type"), header.Get("Content-Security-Policy")}, " "); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s: %.80s", path, got, want, body)
		}
	}
}

// TestOwnAddresses: none of the addresses that the program listens on can be
// that of a service.
func TestOwnAddresses(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{Adjust: func(c *config.Config) { c.GatewayHTTPS = "127.0.0.1:0" }})
	for name, address := range map[string]string{"rest": strings.TrimPrefix(s.URL, "http://"), "grpc": s.GRPC, "http": s.GatewayHTTP, "https": s.GatewayHTTPS} {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		for _, host := range []string{host, "localhost"} {
			_, err = s.Gateway.RegisterService(servertest.Context(t), &gatewayv1.RegisterServiceRequest{
				Domain: "http://" + host, NameService: name, Port: proto.Int32(int32(portIn(t, "//x:"+port))),
			})
			if err == nil || !strings.Contains(err.Error(), "is an address of this program itself") && errs.FromStatus(err).Fields == nil {
				t.Errorf("%s at %s: %v", name, host, err)
			}
		}
	}
}

// TestServicesNotManaged: where services are not managed, what is registered is
// served, and that is all.
func TestServicesNotManaged(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{Adjust: func(c *config.Config) { c.ServiceManagement = false }})
	_, err := s.Gateway.ListRegistrations(servertest.Context(t), &gatewayv1.ListRegistrationsRequest{})
	wantCode(t, err, codes.Unimplemented, errs.MethodNotAllowed)
	if got := s.Do(t, "PATCH", "/services", nil); got.Status != http.StatusNotFound || string(got.Body) != `{"detail":"Not Found"}` {
		t.Errorf("over REST: %d %s", got.Status, got.Body)
	}
	if got := s.Do(t, "GET", "/services", nil); got.Status != http.StatusOK {
		t.Errorf("the gateway's services: %d %s", got.Status, got.Body)
	}
}

// TestServiceChanges: the log of changes is one of the API's own paths.
func TestServiceChanges(t *testing.T) {
	t.Parallel()
	s := start(t)
	got := s.Do(t, "GET", "/api/gateway/changes?limit=5&level=breaking", nil)
	if got.Status != http.StatusOK || string(got.Body) != `{"ok":true,"data":[]}`+"\n" && string(got.Body) != `{"ok":true,"data":[]}` {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	wantError(t, s.Do(t, "GET", "/api/gateway/changes?limit=0", nil), http.StatusBadRequest, errs.BadRequest)
	wantError(t, s.Do(t, "GET", "/api/gateway/changes?level=none", nil), http.StatusBadRequest, errs.BadRequest)
	wantError(t, s.Do(t, "GET", "/api/gateway/changes?other=1", nil), http.StatusBadRequest, errs.BadRequest)
	wantError(t, s.Do(t, "POST", "/api/gateway/changes", nil), http.StatusMethodNotAllowed, errs.MethodNotAllowed)
	wantError(t, s.Do(t, "GET", "/api/gateway", nil), http.StatusNotFound, errs.NotFound)
}

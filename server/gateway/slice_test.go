package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"google.golang.org/protobuf/proto"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/server/servertest"
)

// TestChangesAreLive: what a call has made is served when it returns, and what
// it has changed or removed is not any more.
func TestChangesAreLive(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.URL.Path)
	}))
	t.Cleanup(backend.Close)
	service, err := s.Gateway.CreateService(t.Context(), &gatewayv1.CreateServiceRequest{Service: &gatewayv1.Service{
		Name: proto.String("echo"), Url: proto.String(backend.URL + "/base"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Gateway.CreateRoute(t.Context(), &gatewayv1.CreateRouteRequest{Service: "echo", Route: &gatewayv1.Route{
		Name: proto.String("all"), Paths: []string{"/echo"},
	}}); err != nil {
		t.Fatal(err)
	}
	want(t, s, "/echo/x", http.StatusOK, "/base/x")
	if _, err := s.Gateway.UpdateService(t.Context(), &gatewayv1.UpdateServiceRequest{Id: service.GetId(), Service: &gatewayv1.Service{Path: proto.String("/other")}}); err != nil {
		t.Fatal(err)
	}
	want(t, s, "/echo/x", http.StatusOK, "/other/x")
	if _, err := s.Gateway.DeleteRoute(t.Context(), &gatewayv1.DeleteRouteRequest{Id: "all"}); err != nil {
		t.Fatal(err)
	}
	want(t, s, "/echo/x", http.StatusNotFound, "")
}

// want checks what the gateway answers; any text is taken for "".
func want(t *testing.T, s *servertest.Server, path string, status int, body string) {
	t.Helper()
	resp, err := s.Client.Get("http://" + s.GatewayHTTP + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status || body != "" && string(text) != body {
		t.Errorf("GET %s: %d %q %v, want %d %q", path, resp.StatusCode, text, err, status, body)
	}
}

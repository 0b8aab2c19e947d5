package server_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"google.golang.org/protobuf/proto"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/internal/config"
	"github.com/backplane/backplane/server/servertest"
)

// catalogue is a control plane with registered services, and a client of its
// gateway that changes nothing of what it sends and gets.
type catalogue struct {
	*servertest.Server
	client *http.Client
}

// newCatalogue starts one. It refreshes only when it is told to.
func newCatalogue(t *testing.T, adjust ...func(*config.Config)) *catalogue {
	t.Helper()
	s := servertest.Start(t, servertest.Options{LogLevel: "info", Adjust: func(c *config.Config) {
		c.RegistryRefresh = 0
		for _, a := range adjust {
			a(c)
		}
	}})
	return &catalogue{Server: s, client: plainClient(t)}
}

func plainClient(t *testing.T) *http.Client {
	c := &http.Client{
		Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       servertest.Patience,
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// add registers a service at a loopback port, with what is changed of the
// request.
func (c *catalogue) add(t *testing.T, name string, port int, change ...func(*gatewayv1.RegisterServiceRequest)) (id int64) {
	t.Helper()
	req := &gatewayv1.RegisterServiceRequest{Domain: "http://127.0.0.1", NameService: name, Port: proto.Int32(int32(port))}
	for _, f := range change {
		f(req)
	}
	out, err := c.Gateway.RegisterService(servertest.Context(t), req)
	if err != nil {
		t.Fatalf("register %s: %v", name, err)
	}
	return out.GetRegistration().GetService().GetId()
}

// refresh fetches all documents again.
func (c *catalogue) refresh(t *testing.T) *gatewayv1.RefreshServicesResponse {
	t.Helper()
	out, err := c.Gateway.RefreshServices(servertest.Context(t), &gatewayv1.RefreshServicesRequest{})
	if err != nil {
		t.Fatalf("refresh: %v", err)
	}
	return out
}

// about is all that is known of a service.
func (c *catalogue) about(t *testing.T, id int64) *gatewayv1.RegistrationDetails {
	t.Helper()
	out, err := c.Gateway.GetRegistration(servertest.Context(t), &gatewayv1.GetRegistrationRequest{IdService: id})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// admin makes a change of the gateway's entities over REST, which must end with
// a status.
func (c *catalogue) admin(t *testing.T, status int, method, path string, body any) servertest.Object {
	t.Helper()
	a := c.Do(t, method, path, body)
	if a.Status != status {
		t.Fatalf("%s %s: %d %s", method, path, a.Status, a.Body)
	}
	if status == http.StatusNoContent {
		return nil
	}
	return a.JSON(t)
}

// reply is an answer, read to its end.
type reply struct {
	*http.Response
	text string
}

// ask sends a request to an address; headers are names and values in turn.
func ask(t *testing.T, client *http.Client, method, url string, body []byte, headers ...string) reply {
	t.Helper()
	out, err := try(client, method, url, body, headers...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return out
}

// try is ask for other goroutines than the test's own.
func try(client *http.Client, method, url string, body []byte, headers ...string) (reply, error) {
	var content io.Reader
	if body != nil {
		content = bytes.NewReader(body)
	}
	req, err := http.NewRequest(method, url, content)
	if err != nil {
		return reply{}, err
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return reply{resp, string(text)}, err
}

// ask asks the gateway.
func (c *catalogue) ask(t *testing.T, method, path string, body []byte, headers ...string) reply {
	t.Helper()
	return ask(t, c.client, method, "http://"+c.GatewayHTTP+path, body, headers...)
}

// want looks at the status, and at the whole text.
func (r reply) want(t *testing.T, what string, status int, text string) {
	t.Helper()
	if r.StatusCode != status || r.text != text {
		t.Errorf("%s: %d %.300s, want %d %s", what, r.StatusCode, r.text, status, text)
	}
}

// detail is what the gateway itself says on routes of registered services.
func detail(text string) string { return `{"detail":"` + text + `"}` }

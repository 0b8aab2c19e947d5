package registry_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/gateway/registry"
)

// code is the number of a refusal, 0 if it has none.
func code(err error) int32 {
	for _, d := range status.Convert(err).Details() {
		if detail, ok := d.(*gatewayv1.ErrorDetail); ok {
			return detail.GetCode()
		}
	}
	return 0
}

// fields are those that an error is about.
func fields(err error) string {
	var out []string
	for _, f := range errs.FromStatus(err).Fields {
		out = append(out, f.Path)
	}
	return strings.Join(out, " ")
}

func zipped(text string) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(text)); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func TestRegisterService(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	register := func(domain, name string, port *int32) (*gatewayv1.RegistrationDetails, error) {
		out, err := w.RegisterService(t.Context(), &gatewayv1.RegisterServiceRequest{Domain: domain, NameService: name, Port: port})
		return out.GetRegistration(), err
	}
	got, err := register("http://USERS/", "Hello", nil)
	if err != nil {
		t.Fatal(err)
	}
	if s := got.GetService(); s.GetDomain() != "http://users" || s.GetPort() != 80 || s.GetName() != "Hello" || s.GetStatusCode() != 0 ||
		s.GetDelete() || got.GetDocumentPath() != "/openapi.json" || got.GetRegisteredAt() == nil || got.GetCheckedAt() != nil {
		t.Errorf("it is %v", got)
	}
	_, err = register("http://other", "Hello", nil)
	if code(err) != 1 || status.Convert(err).Message() != `The "Hello" service already exists.` {
		t.Errorf("again: %v", err)
	}
	if _, err := w.UnregisterService(t.Context(), &gatewayv1.UnregisterServiceRequest{IdService: got.GetService().GetId()}); err != nil {
		t.Fatal(err)
	}
	if _, err = register("http://other", "Hello", nil); code(err) != 1 {
		t.Errorf("the name of one that is marked as deleted: %v", err)
	}
	port := int32(0)
	if _, err = register("http://h:8080", "a/b", &port); status.Code(err) != codes.InvalidArgument || fields(err) != "domain name_service port" || code(err) != 0 {
		t.Errorf("what is not valid: %v of %s", err, fields(err))
	}
}

func TestUpdateRegistration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := newUpstream(t, document("GET /one")), newUpstream(t, document("GET /two"))
	id := w.register(t, "Shop", one.port(t))
	other := w.register(t, "Other", one.port(t))
	w.refresh(t)
	update := func(req *gatewayv1.UpdateRegistrationRequest) error {
		_, err := w.UpdateRegistration(t.Context(), req)
		return err
	}
	port, name, taken, bad, auth := two.port(t), "Store", "Other", "http://x/y", "basic-auth"
	for _, c := range []struct {
		req    *gatewayv1.UpdateRegistrationRequest
		code   int32
		fields string
	}{
		{&gatewayv1.UpdateRegistrationRequest{IdService: 99, Port: &port}, 3, ""},
		{&gatewayv1.UpdateRegistrationRequest{IdService: id, NameService: &taken}, 1, ""},
		{&gatewayv1.UpdateRegistrationRequest{IdService: id, Domain: &bad, Auth: &bad}, 0, "domain auth"},
	} {
		if err := update(c.req); err == nil || code(err) != c.code || fields(err) != c.fields {
			t.Errorf("%v: %v of %s", c.req, err, fields(err))
		}
	}
	if err := update(&gatewayv1.UpdateRegistrationRequest{IdService: id, Port: &port, NameService: &name, Auth: &auth}); err != nil {
		t.Fatal(err)
	}
	if got := w.details(t, id); got.GetService().GetPort() != port || got.GetService().GetName() != name || got.GetAuth() != auth ||
		got.GetService().GetDomain() != "http://127.0.0.1" || got.GetService().GetStatusCode() != 200 {
		t.Errorf("it is %v", got)
	}
	w.refresh(t)
	w.want(t, http.MethodGet, "/Store/two", http.StatusOK, "GET /two")
	w.want(t, http.MethodGet, "/Shop/one", http.StatusNotFound, "")
	w.want(t, http.MethodGet, "/Other/one", http.StatusOK, "GET /one")
	if _, err := w.UnregisterService(t.Context(), &gatewayv1.UnregisterServiceRequest{IdService: other}); err != nil {
		t.Fatal(err)
	}
	if err := update(&gatewayv1.UpdateRegistrationRequest{IdService: other, Port: &port}); code(err) != 5 {
		t.Errorf("one that is marked as deleted: %v", err)
	}
}

// TestDeletion: it is marked, then gone with its routes, also when it is the
// last one.
func TestDeletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := newUpstream(t, document("GET /items/"))
	id := w.register(t, "Shop", u.port(t))
	w.refresh(t)
	w.want(t, http.MethodGet, "/openapi.json", http.StatusOK, "")
	unregister := func(id int64) (*gatewayv1.RegistrationDetails, error) {
		out, err := w.UnregisterService(t.Context(), &gatewayv1.UnregisterServiceRequest{IdService: id})
		return out.GetRegistration(), err
	}
	got, err := unregister(id)
	if err != nil || !got.GetService().GetDelete() || got.GetDeletedAt() == nil {
		t.Fatalf("%v %v", got, err)
	}
	_, err = unregister(id)
	if want := fmt.Sprintf("Service %d has already been marked as deleted.", id); code(err) != 5 || status.Convert(err).Message() != want {
		t.Errorf("again: %v", err)
	}
	_, err = unregister(77)
	if code(err) != 3 || status.Convert(err).Message() != "The service with id 77 was not found." {
		t.Errorf("one that is not there: %v", err)
	}
	w.want(t, http.MethodGet, "/Shop/items/", http.StatusOK, "")
	if out := w.refresh(t); out.GetServices() != 0 || out.GetRoutesRemoved() != 2 {
		t.Errorf("the refresh came to %v", out)
	}
	for _, path := range []string{"/Shop/items/", "/Shop", "/openapi.json"} {
		w.want(t, http.MethodGet, path, http.StatusNotFound, "")
	}
	if _, err := w.GetRegistration(t.Context(), &gatewayv1.GetRegistrationRequest{IdService: id}); code(err) != 3 {
		t.Errorf("one that is gone: %v", err)
	}
	if n, err := w.store.GatewayObject.Query().Count(t.Context()); err != nil || n != 0 {
		t.Errorf("%d entities are left: %v", n, err)
	}
	if again := w.register(t, "Shop", u.port(t)); again == id {
		t.Error("the number is given again")
	}
}

func TestListRegistrations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	list := func(page *int32) (*gatewayv1.ListRegistrationsResponse, error) {
		return w.ListRegistrations(t.Context(), &gatewayv1.ListRegistrationsRequest{Page: page})
	}
	at := func(n int32) *int32 { return &n }
	_, err := list(nil)
	if code(err) != 2 || status.Convert(err).Message() != "Not a single service has been created yet." {
		t.Errorf("an empty registry: %v", err)
	}
	for i := range 21 {
		w.register(t, fmt.Sprintf("service%d", i), 80)
	}
	for _, c := range []struct {
		page        *int32
		n           int
		first       string
		code        int32
		fields, say string
	}{
		{nil, 10, "service0", 0, "", ""},
		{at(2), 10, "service10", 0, "", ""},
		{at(3), 1, "service20", 0, "", ""},
		{at(4), 0, "", 4, "", "Page not found."},
		{at(0), 0, "", 0, "page", "page must be 1 or more"},
		{at(-1), 0, "", 0, "page", "page must be 1 or more"},
	} {
		got, err := list(c.page)
		if len(got.GetServices()) != c.n || err == nil && (got.GetServices()[0].GetName() != c.first || got.GetMetadata().GetCountPage() != 3) ||
			code(err) != c.code || fields(err) != c.fields && err != nil || err != nil && status.Convert(err).Message() != c.say {
			t.Errorf("page %v: %v %v", c.page, got, err)
		}
	}
}

func TestServiceManagementSwitchedOff(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	u := newUpstream(t, document("GET /items/"))
	first := openWorld(t, "", dir)
	first.register(t, "Shop", u.port(t))
	first.refresh(t)
	first.registry.Close()
	first.store.Close()
	w := openWorld(t, "", dir, func(o *registry.Options) { o.Enabled = false })
	for name, call := range map[string]func() error{
		"register": func() error {
			_, err := w.RegisterService(t.Context(), &gatewayv1.RegisterServiceRequest{Domain: "http://x", NameService: "x"})
			return err
		},
		"update": func() error {
			_, err := w.UpdateRegistration(t.Context(), &gatewayv1.UpdateRegistrationRequest{IdService: 1})
			return err
		},
		"unregister": func() error {
			_, err := w.UnregisterService(t.Context(), &gatewayv1.UnregisterServiceRequest{IdService: 1})
			return err
		},
		"refresh": func() error {
			_, err := w.RefreshServices(t.Context(), &gatewayv1.RefreshServicesRequest{})
			return err
		},
		"list": func() error {
			_, err := w.ListRegistrations(t.Context(), &gatewayv1.ListRegistrationsRequest{})
			return err
		},
		"get": func() error {
			_, err := w.GetRegistration(t.Context(), &gatewayv1.GetRegistrationRequest{IdService: 1})
			return err
		},
	} {
		if err := call(); status.Code(err) != codes.Unimplemented {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.ListServiceChanges(t.Context(), &gatewayv1.ListServiceChangesRequest{}); err != nil {
		t.Errorf("changes: %v", err)
	}
	w.want(t, http.MethodGet, "/Shop/items/", http.StatusOK, "GET /items/")
}

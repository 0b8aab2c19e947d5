package rest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backplane/backplane/server/servertest"
)

// itemsDocument is that of a service with one operation that is for all.
const itemsDocument = `{"openapi":"3.0.3","info":{"title":"Items","version":"1"},"tags":[{"name":"items","x-auto-generate-in-api-gateway":true}],` +
	`"paths":{"/items/":{"get":{"tags":["items"],"responses":{"200":{"description":"All items."}}}},"/hidden":{"get":{"responses":{"200":{"description":"Not for all."}}}}}}`

// items is a service that has such a document, once it may tell it.
func items(t *testing.T, told <-chan struct{}) (port string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/openapi.json":
			select {
			case <-told:
			case <-r.Context().Done():
			}
			w.Write([]byte(itemsDocument)) //nolint:errcheck // the client has gone
		case "/items/":
			w.Write([]byte(`["a"]`)) //nolint:errcheck // the client has gone
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	at, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return at.Port()
}

// TestServiceManagement goes through a service's life over the whole server:
// each answer byte for byte.
func TestServiceManagement(t *testing.T) {
	t.Parallel()
	s := start(t)
	told := make(chan struct{})
	port := items(t, told)
	is := func(call, body string, status int, want string, headers ...string) {
		t.Helper()
		verb, path, _ := strings.Cut(call, " ")
		var content any
		if body != "" {
			content = body
		}
		a := s.Do(t, verb, path, content, headers...)
		if a.Status != status || string(a.Body) != want || a.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s %s, want %d %s", call, a.Status, a.Header.Get("Content-Type"), a.Body, status, want)
		}
	}
	entry := func(urls string, status int, gone bool) string {
		return fmt.Sprintf(`{"services":[{"id":1,"domain":"http://127.0.0.1","port":%s,"name":"Hello","urls":[%s],"status-code":%d,"delete":%t}],"metadata":{"page":1,"count_page":1}}`, port, urls, status, gone)
	}
	empty, taken := `{"detail":{"code":2,"err_msg":"Not a single service has been created yet."}}`, `{"detail":{"code":1,"msg":"The \"Hello\" service already exists."}}`
	hello := `{"domain":"http://127.0.0.1","name_service":"Hello","port":` + port + `}`

	is("PATCH /services", "", 200, `true`)
	is("GET /services?page=1", "", 409, empty)
	is("POST /service", `{"domain":"http://127.0.0.1:8080","name_service":"Hello"}`, 422, `{"detail":[{"loc":["body","domain"],"msg":"Invalid domain","type":"assertion_error"}]}`)
	is("POST /service", `{"domain":"127.0.0.1","port":0}`, 422, `{"detail":[{"loc":["body","domain"],"msg":"Invalid domain","type":"assertion_error"},{"loc":["body","name_service"],"msg":"field required",`+
		`"type":"value_error.missing"},{"loc":["body","port"],"msg":"ensure this value is greater than or equal to 1","type":"value_error.number.not_ge","ctx":{"limit_value":1}}]}`)
	is("POST /service", hello, 200, `true`)
	is("POST /service", hello, 200, `false`)
	is("POST /service?form=details", hello, 409, taken)
	is("POST /service?ip=127.0.0.1&name_service=Hello&port="+port, "", 409, taken, "Accept", "application/json;form=details")
	is("GET /services?page=1", "", 200, entry("", 0, false))
	close(told)
	is("PATCH /services", "", 200, `true`)
	is("GET /services?page=1", "", 200, entry(`"/items/"`, 200, false))
	is("GET /service?page=1", "", 200, entry(`"/items/"`, 200, false))
	is("GET /service", "", 200, entry(`"/items/"`, 200, false))
	is("GET /services?page=2", "", 409, `{"detail":{"code":4,"err_msg":"Page not found."}}`)
	is("GET /services?page=0", "", 422, `{"detail":[{"loc":["query","page"],"msg":"ensure this value is greater than or equal to 1","type":"value_error.number.not_ge","ctx":{"limit_value":1}}]}`)
	if a := s.Do(t, http.MethodGet, "/service/1", nil).JSON(t); a["title"] != "Items" || a["openapi"] != "3.0.3" || a["document_path"] != "/openapi.json" || a["error"] != "" {
		t.Errorf("the details are %v", a)
	}
	if a := s.Do(t, http.MethodPatch, "/service?id_service=1", `{"validate_requests":"yes"}`).JSON(t); a["validate_requests"] != true {
		t.Errorf("after the change the details are %v", a)
	}
	if resp, err := http.Get("http://" + s.GatewayHTTP + "/Hello/items/"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("the gateway answers %v: %v", resp, err)
	} else if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	is("DELETE /service?id_service=1", "", 200, `{"details":{"code":0,"msg":"The service has been successfully marked as deleted"}}`)
	is("DELETE /service?id_service=1", "", 409, `{"detail":{"code":5,"msg":"Service 1 has already been marked as deleted."}}`)
	is("DELETE /service?id_service=7", "", 409, `{"detail":{"code":3,"msg":"The service with id 7 was not found."}}`)
	is("POST /service", hello, 200, `false`)
	is("PATCH /services", "", 200, `true`)
	is("GET /services?page=1", "", 409, empty)
	is("GET /service/1", "", 404, `{"detail":{"code":3,"msg":"The service with id 1 was not found."}}`)
	viewer := s.SignIn(t, s.AddUser(t, "viewer", servertest.Role("viewer")))
	is("GET /services?page=1", "", 409, empty, "Authorization", viewer)
	for _, call := range []string{"POST /service", "PATCH /services", "DELETE /service?id_service=1", "PATCH /service/1"} {
		verb, path, _ := strings.Cut(call, " ")
		if a := s.Do(t, verb, path, "{", "Authorization", viewer); a.Status != http.StatusForbidden || !strings.HasPrefix(string(a.Body), `{"detail":"`) {
			t.Errorf("%s of a viewer: %d %s", call, a.Status, a.Body)
		}
	}
}

// TestDocumentedClients runs the clients of the page on service management as
// they are there, but for the address, with the login that is needed here.
func TestDocumentedClients(t *testing.T) {
	t.Parallel()
	s := start(t)
	at, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	at.User = url.UserPassword("admin", servertest.Password)
	for _, c := range []struct{ file, want string }{
		{"add_service.py", "true"}, {"add_service.py", "false"}, {"refresh_services.py", "true"},
	} {
		text, err := os.ReadFile(filepath.Join("testdata", c.file))
		if err != nil {
			t.Fatal(err)
		}
		const address = "http://127.0.0.1:5000/"
		if strings.Count(string(text), `"`+address) != 1 {
			t.Fatalf("%s has another address", c.file)
		}
		client := strings.Replace(string(text), `"`+address, `"`+at.String()+"/", 1) + "\nsend_request()\n"
		said, err := exec.CommandContext(servertest.Context(t), "/usr/bin/python3", "-c", client).CombinedOutput()
		want := "Response HTTP Status Code: 200\nResponse HTTP Response Body: b'" + c.want + "'\n"
		if err != nil || string(said) != want {
			t.Errorf("%s says %q, want %q: %v", c.file, said, want, err)
		}
	}
	list := answered(t, s, 200, http.MethodGet, "/services?page=1", nil).JSON(t)
	if first, _ := list["services"].([]any)[0].(map[string]any); first["domain"] != "http://127.0.0.1" || first["port"] != 8080. || first["name"] != "Hello" {
		t.Errorf("what was added is %v", list)
	}
}

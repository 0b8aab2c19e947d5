package rest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/backplane/backplane/server/servertest"
)

// The documents of the page on services ("数据样例"), without the spaces between
// their tokens.
const (
	pageService = `{"id":"9748f662-7711-4a90-8186-dc02f10eb0f5","created_at":1422386534,"updated_at":1422386534,"name":"my-service","retries":5,"protocol":"http",` +
		`"host":"example.com","port":80,"path":"/some_api","connect_timeout":60000,"write_timeout":60000,"read_timeout":60000,"tags":["user-level","low-priority"],` +
		`"client_certificate":{"id":"4e3ad2e4-0bc4-4638-8e34-c84a417ba39b"}}`
	pageFirst = `{"id":"a5fb8d9b-a99d-40e9-9d35-72d42a62d83a","created_at":1422386534,"updated_at":1422386534,"name":"my-service","retries":5,"protocol":"http",` +
		`"host":"example.com","port":80,"path":"/some_api","connect_timeout":60000,"write_timeout":60000,"read_timeout":60000,"tags":["user-level","low-priority"],` +
		`"client_certificate":{"id":"51e77dc2-8f3e-4afa-9d0e-0e3bbbcfd515"}}`
	pageSecond = `{"id":"fc73f2af-890d-4f9b-8363-af8945001f7f","created_at":1422386534,"updated_at":1422386534,"name":"my-service","retries":5,"protocol":"http",` +
		`"host":"example.com","port":80,"path":"/another_api","connect_timeout":60000,"write_timeout":60000,"read_timeout":60000,"tags":["admin","high-priority","critical"],` +
		`"client_certificate":{"id":"4506673d-c825-444c-a25b-602e3c2ec16e"}}`
	// rest is what services have beside what the page knows of.
	pageRest = `,"tls_verify":null,"tls_verify_depth":null,"ca_certificates":null,"enabled":true}`
)

var updated = regexp.MustCompile(`"updated_at":[0-9]{10}\b`)

// onThePage is a document as the page has it: without what it does not know,
// and changed when the page says.
func onThePage(body []byte) string {
	text := strings.ReplaceAll(string(body), pageRest, "}")
	return updated.ReplaceAllString(text, `"updated_at":1422386534`)
}

// pair makes a certificate of its own with its key.
func pair(t testing.TB) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return text("CERTIFICATE", der), text("PRIVATE KEY", plain)
}

// answered fails the test unless a call came to a status.
func answered(t *testing.T, s *servertest.Server, status int, method, path string, body any, headers ...string) servertest.Answer {
	t.Helper()
	a := s.Do(t, method, path, body, headers...)
	if a.Status != status {
		t.Fatalf("%s %s %v: %d %s, want %d", method, path, body, a.Status, a.Body, status)
	}
	return a
}

// addCertificates makes those that the page refers to.
func addCertificates(t *testing.T, s *servertest.Server, ids ...string) {
	t.Helper()
	certificate, key := pair(t)
	for _, id := range ids {
		answered(t, s, 200, http.MethodPut, "/certificates/"+id, servertest.Object{"cert": certificate, "key": key})
	}
}

// TestDocumentedExamples goes through the fifteen requests of the page on
// services in their order, and through its two documents byte for byte. The
// page is of a time when names were not unique: the second of its list has
// another name.
func TestDocumentedExamples(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	const certificate = "4e3ad2e4-0bc4-4638-8e34-c84a417ba39b"
	addCertificates(t, s, certificate, "51e77dc2-8f3e-4afa-9d0e-0e3bbbcfd515", "4506673d-c825-444c-a25b-602e3c2ec16e")
	is := func(what string, a servertest.Answer, want string) {
		t.Helper()
		if got := onThePage(a.Body); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", what, got, want)
		}
	}
	const example = pageService
	is("1", answered(t, s, 201, http.MethodPost, "/services", example), example)
	id := "9748f662-7711-4a90-8186-dc02f10eb0f5"

	below := answered(t, s, 201, http.MethodPost, "/certificates/"+certificate+"/services", `{"name":"below","protocol":"https","host":"h.test"}`).JSON(t)
	if fmt.Sprint(below["client_certificate"]) != "map[id:"+certificate+"]" {
		t.Errorf("2: %v", below)
	}
	for path, want := range map[string]int{"/services": 2, "/certificates/" + certificate + "/services": 2, "/certificates/51e77dc2-8f3e-4afa-9d0e-0e3bbbcfd515/services": 0} {
		page := answered(t, s, 200, http.MethodGet, path, nil).JSON(t)
		if data, _ := page["data"].([]any); len(data) != want || data == nil || page["next"] != nil {
			t.Errorf("3, 4: %s is %v", path, page)
		}
	}
	for _, key := range []string{id, "my-service"} {
		is("5", answered(t, s, 200, http.MethodGet, "/services/"+key, nil), example)
	}
	answered(t, s, 201, http.MethodPost, "/routes", `{"name":"r","paths":["/a"],"service":{"name":"my-service"}}`)
	route := answered(t, s, 200, http.MethodGet, "/routes/r", nil).JSON(t)["id"].(string)
	for _, key := range []string{"r", route} {
		is("6", answered(t, s, 200, http.MethodGet, "/routes/"+key+"/service", nil), example)
	}
	ofPlugin := "/plugins/" + answered(t, s, 201, http.MethodPost, "/services/my-service/plugins", `{"name":"cors"}`).JSON(t)["id"].(string) + "/service"
	is("7", answered(t, s, 200, http.MethodGet, ofPlugin, nil), example)
	for _, path := range []string{"/services/my-service", "/services/" + id, "/routes/r/service", "/routes/" + route + "/service", ofPlugin} {
		if a := answered(t, s, 200, http.MethodPatch, path, `{"port":443}`).JSON(t); a["port"] != 443. || a["path"] != "/some_api" {
			t.Errorf("8, 9, 10: %v", a)
		}
		is("8, 9, 10", answered(t, s, 200, http.MethodPatch, path, `{"port":80}`), example)
	}
	for _, path := range []string{"/services/" + id, "/services/my-service", "/routes/r/service", ofPlugin} {
		is("11, 12, 13", answered(t, s, 200, http.MethodPut, path, example), example)
	}
	answered(t, s, 400, http.MethodDelete, "/services/my-service", nil) // has a route
	if a := answered(t, s, 204, http.MethodDelete, "/routes/r/service", nil); len(a.Body) != 0 {
		t.Errorf("15: %s", a.Body)
	}
	answered(t, s, 404, http.MethodGet, "/routes/r/service", nil)
	answered(t, s, 404, http.MethodGet, "/services/"+id, nil)
	answered(t, s, 404, http.MethodGet, ofPlugin, nil)
	answered(t, s, 204, http.MethodDelete, "/services/below", nil) // 14
	documentedList(t, s)
}

// documentedList is the document of the page that is a list.
func documentedList(t *testing.T, s *servertest.Server) {
	t.Helper()
	second := strings.Replace(pageSecond, "my-service", "my-service2", 1)
	for _, document := range []string{pageFirst, second} {
		answered(t, s, 201, http.MethodPost, "/services", document)
	}
	answered(t, s, 200, http.MethodPut, "/services/fd000000-0000-4000-8000-000000000000", `{"host":"h.test"}`)
	const last = "fc73f2af-890d-4f9b-8363-af8945001f7f"
	a := answered(t, s, 200, http.MethodGet, "/services?size=2", nil)
	want := `{"data":[` + pageFirst + `,` + second + `],"next":"` + s.URL + `/services?offset=` + last + `&size=2","offset":"` + last + `"}`
	if got := onThePage(a.Body); got != want {
		t.Errorf("the list is\n%s\nwant\n%s", got, want)
	}
	a = answered(t, s, 200, http.MethodGet, a.JSON(t)["next"].(string)[len(s.URL):], nil)
	if next := a.JSON(t); len(next["data"].([]any)) != 1 || next["offset"] != nil || !strings.HasSuffix(string(a.Body), `,"next":null}`) {
		t.Errorf("the last page is %s", a.Body)
	}
}

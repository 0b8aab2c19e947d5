package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/backplane/backplane/testbed"
)

// shop is a FastAPI application behind a gateway that has built its routes from
// the application's document.
type shop struct {
	*catalogue
	up *testbed.FastAPI
	id int64
}

func openShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{up: testbed.StartFastAPI(t), catalogue: newCatalogue(t)}
	s.id = s.add(t, "shop", s.up.Port)
	if got := s.refresh(t); got.GetUsable() != 1 {
		t.Fatalf("the shop cannot be used: %v, %v", got, s.about(t, s.id))
	}
	return s
}

// added are the fields of answers that the gateway adds, and those that differ
// from one answer to the next.
var added = []string{"Date", "Via", "X-Kong-Proxy-Latency", "X-Kong-Upstream-Latency", "X-Kong-Request-Id"}

// same sends a request to the application, and the same to the gateway: what is
// answered must be the same.
func (s *shop) same(t *testing.T, status int, method, path string, body []byte, headers ...string) reply {
	t.Helper()
	direct := ask(t, s.client, method, s.up.URL()+path, body, headers...)
	through := s.ask(t, method, "/shop"+path, body, headers...)
	what := method + " " + path
	if direct.StatusCode != status || through.StatusCode != status {
		t.Errorf("%s: %d, and %d through the gateway, want %d: %.300s %.300s", what, direct.StatusCode, through.StatusCode, status, direct.text, through.text)
	}
	if direct.text != through.text {
		t.Errorf("%s: %d bytes %.300q instead of %d bytes %.300q", what, len(through.text), through.text, len(direct.text), direct.text)
	}
	for _, name := range added {
		direct.Header.Del(name)
		through.Header.Del(name)
	}
	if !reflect.DeepEqual(direct.Header, through.Header) {
		t.Errorf("%s: the fields are %v instead of %v", what, through.Header, direct.Header)
	}
	if direct.ContentLength != through.ContentLength || !slices.Equal(direct.TransferEncoding, through.TransferEncoding) {
		t.Errorf("%s: the length is %d %v instead of %d %v", what, through.ContentLength, through.TransferEncoding, direct.ContentLength, direct.TransferEncoding)
	}
	return through
}

const jsonKind = "application/json"

// TestForwarded: every kind of request and answer that a FastAPI application has
// passes the gateway as it is.
func TestForwarded(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	item := []byte(` {"name": "p\u00e9n 100%25", "price": 1.50, "size": {"height": null}, "tags": ["a", "%22"], "unknown": {"kept": [1]}} `)
	everything := make([]byte, 1<<16)
	for i := range everything {
		everything[i] = byte(i * 31)
	}
	t.Run("methods", func(t *testing.T) {
		s.same(t, 200, "GET", "/items/", nil)
		s.same(t, 201, "POST", "/items/", item, "Content-Type", jsonKind)
		s.same(t, 200, "GET", "/items/7", nil)
		s.same(t, 200, "PUT", "/items/7", item, "Content-Type", jsonKind)
		s.same(t, 204, "DELETE", "/items/7", nil)
		s.same(t, 200, "PATCH", "/raw", []byte("x"), "Content-Type", "text/plain")
		s.same(t, 200, "HEAD", "/ping", nil)
		s.same(t, 200, "OPTIONS", "/ping", nil)
		s.same(t, 200, "TRACE", "/ping", nil)
		s.same(t, 405, "HEAD", "/page", nil) // it is the application that has none
	})
	t.Run("parameters of the path", func(t *testing.T) {
		for path, name := range map[string]string{
			"/names/caf%C3%A9%20100%25": "café 100%", "/names/a;b=c,d": "a;b=c,d", "/names/a+b&c=d": "a+b&c=d", "/names/...": "...",
			"/names/%22quoted%22": `"quoted"`, "/names/%E2%82%AC": "€", "/names/a:b@c!$'()*": "a:b@c!$'()*",
		} {
			var got struct{ Name, Query string }
			if err := json.Unmarshal([]byte(s.ask(t, "GET", "/shop"+path, nil).text), &got); err != nil || got.Name != name || got.Query != "" {
				t.Errorf("%s is %+v, want %q: %v", path, got, name, err)
			}
		}
		s.same(t, 200, "GET", "/items/newest", nil)
		s.same(t, 422, "GET", "/items/x", nil)
		s.same(t, 422, "GET", "/items/7.5", nil)
	})
	t.Run("parameters of the query", func(t *testing.T) {
		s.same(t, 200, "GET", "/items/?limit=5&tag=a&tag=b&kind=large&sold=true&order=%2B%20+&item-id=x", nil)
		s.same(t, 200, "GET", "/items/?undeclared=1&tag=&&=&limit=1&order=%c3%a9&order=b", nil)
		s.same(t, 200, "GET", "/items/?sold=False&order=a%25b%2526&tag=1,2;3", nil)
		s.same(t, 200, "GET", "/items/?", nil)
		s.same(t, 422, "GET", "/items/?limit=x&kind=huge", nil)
		if got := s.ask(t, "GET", "/shop/items/?a=%2f&b=?/", nil).text; !strings.Contains(got, `"query":"a=%2f&b=?/"`) {
			t.Errorf("the query is %s", got)
		}
	})
	t.Run("bodies", func(t *testing.T) {
		s.same(t, 422, "POST", "/items/", []byte(`{"name": ""}`), "Content-Type", jsonKind)
		s.same(t, 422, "POST", "/items/", []byte(`{`), "Content-Type", jsonKind)
		s.same(t, 200, "POST", "/numbers", []byte("[1, 2,\n3]"), "Content-Type", jsonKind)
		s.same(t, 200, "POST", "/raw", item, "Content-Type", "application/json; charset=utf-8")
		s.same(t, 200, "POST", "/raw", everything, "Content-Type", "application/octet-stream")
		s.same(t, 200, "POST", "/raw", []byte("<a>&lt;</a>"), "Content-Type", "application/vnd.x+xml")
		s.same(t, 200, "POST", "/raw", nil)
		s.same(t, 200, "POST", "/raw", bytes.Repeat(everything, 128)) // 8 MiB
		s.same(t, 200, "POST", "/form", []byte("user=a%20b+c&word=%C3%A9&word=&other=1"), "Content-Type", "application/x-www-form-urlencoded")
	})
	t.Run("answers", func(t *testing.T) {
		s.same(t, 204, "GET", "/nothing", nil)
		s.same(t, 200, "GET", "/page", nil)
		s.same(t, 200, "GET", "/untyped", nil)
		if got := s.same(t, 200, "GET", "/percent", nil).text; !strings.Contains(got, `"100%25, %22quoted%22, %7B%0A"`) {
			t.Errorf("percent signs are %s", got)
		}
		s.same(t, 200, "GET", "/packed", nil, "Accept-Encoding", "gzip")
		s.same(t, 200, "GET", "/cached", nil)
		s.same(t, 304, "GET", "/cached", nil, "If-None-Match", `"1"`)
		for _, status := range []int{200, 202, 400, 401, 403, 404, 409, 418, 422, 429, 500, 502, 503, 504, 599} {
			s.same(t, status, "GET", fmt.Sprint("/status/", status), nil)
		}
	})
	t.Run("files", func(t *testing.T) { s.files(t, everything) })
	t.Run("fields", s.fields)
	t.Run("redirects", func(t *testing.T) {
		for to, want := range map[string]string{"path": "/shop/items/7?a=1", "whole": "/shop/items/7?a=1", "other": "https://example.org/items/7"} {
			got := s.ask(t, "GET", "/shop/redirect/"+to, nil)
			if location := got.Header.Get("Location"); got.StatusCode != 302 || location != want && location != "http://"+s.GatewayHTTP+want {
				t.Errorf("to %s: %d to %q, want %q", to, got.StatusCode, location, want)
			}
		}
	})
}

func (s *shop) files(t *testing.T, everything []byte) {
	var body bytes.Buffer
	for _, part := range []string{
		"Content-Disposition: form-data; name=\"note\"\r\n\r\ncaf\u00e9 100%25\r\n",
		"Content-Disposition: form-data; name=\"file\"; filename=\"r\u00e9sum\u00e9 100%25.zip\"\r\nContent-Type: application/x-own; a=b\r\n\r\n" + string(everything) + "\r\n",
		"Content-Disposition: form-data; name=\"more\"; filename=\"a b.txt\"\r\nContent-Type: text/plain\r\n\r\n\r\n",
		"Content-Disposition: form-data; name=\"more\"; filename=\"c\"\r\n\r\n%00\r\n",
	} {
		body.WriteString("--the boundary\r\n" + part)
	}
	body.WriteString("--the boundary--\r\n")
	kind := `multipart/form-data; boundary="the boundary"`
	got := s.same(t, 200, "POST", "/upload", body.Bytes(), "Content-Type", kind)
	if !strings.Contains(got.text, `"name":"résumé 100%25.zip","type":"application/x-own; a=b","size":65536,`) || !strings.Contains(got.text, `"note":"café 100%25"`) {
		t.Errorf("what arrived is %s", got.text)
	}
	s.same(t, 400, "POST", "/upload", []byte("--b\r\n\r\n\r\n--b--\r\n"), "Content-Type", "multipart/form-data; boundary=b")
	got = s.same(t, 200, "GET", "/download", nil)
	if got.Header.Get("Content-Disposition") != "attachment; filename*=utf-8''r%C3%A9sum%C3%A9%20100%25.zip" || got.Header.Get("Content-Type") != "application/zip" || len(got.text) != 100_000 {
		t.Errorf("the file is %d bytes of %v", len(got.text), got.Header)
	}
	if part := s.same(t, 206, "GET", "/download", nil, "Range", "bytes=10-19").text; part != got.text[10:20] {
		t.Errorf("a part of the file is %q", part)
	}
	s.same(t, 416, "GET", "/download", nil, "Range", "bytes=900000-")
	if blob := s.same(t, 203, "GET", "/blob", nil); blob.Header.Get("X-Blob") != "kept" || blob.Header.Get("Content-Disposition") != `attachment; filename="a.bin"` {
		t.Errorf("the fields of bytes are %v", blob.Header)
	}
}

func (s *shop) fields(t *testing.T) {
	got := s.same(t, 200, "GET", "/cookies?a=1", nil, "Cookie", "session=a%20b; other=\"x\"")
	if set := got.Header.Values("Set-Cookie"); len(set) != 2 || !strings.HasPrefix(set[0], "first=1;") || !strings.HasPrefix(set[1], "second=a%20b;") {
		t.Errorf("cookies are set by %q", set)
	}
	got = s.ask(t, "GET", "/shop/headers", nil, "Authorization", "Bearer of the service's own", "X-Number", "7", "X-Twice", "1", "X-Twice", "2", "Accept", "a/b, */*;q=0.1",
		"Accept-Language", "de", "Accept-Encoding", "br", "User-Agent", "test", "Content-Type", "text/none", "Cookie", "a=1", "Connection", "X-Hop", "X-Hop", "1", "Te", "gzip",
		"Keep-Alive", "timeout=5", "Proxy-Connection", "keep-alive", "Gateway_host", "forged.test", "X-Forwarded-Prefix", "/forged")
	var arrived struct {
		Number int         `json:"x_number"`
		Fields [][2]string `json:"fields"`
	}
	if err := json.Unmarshal([]byte(got.text), &arrived); err != nil || got.Header.Get("X-Answer") != "kept" || got.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v %s: %v", got.StatusCode, got.Header, got.text, err)
	}
	fields := map[string][]string{}
	for _, f := range arrived.Fields {
		fields[f[0]] = append(fields[f[0]], f[1])
	}
	_, port, _ := strings.Cut(s.GatewayHTTP, ":")
	for name, want := range map[string]string{
		"authorization": "Bearer of the service's own", "x-number": "7", "x-twice": "1, 2", "accept": "a/b, */*;q=0.1", "accept-language": "de", "accept-encoding": "br",
		"user-agent": "test", "content-type": "text/none", "cookie": "a=1", "host": strings.TrimPrefix(s.up.URL(), "http://"), "gateway_host": s.GatewayHTTP,
		"x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http", "x-forwarded-host": "127.0.0.1", "x-forwarded-port": port, "x-forwarded-prefix": "/shop",
		"x-hop": "", "te": "", "keep-alive": "", "proxy-connection": "", "connection": "",
	} {
		if got := strings.Join(fields[name], ", "); got != want {
			t.Errorf("the field %s is %q, want %q", name, got, want)
		}
	}
	if arrived.Number != 7 {
		t.Errorf("a parameter in a field is %d", arrived.Number)
	}
}

// TestNotExposed: what the tags of operations do not opt in is not there.
func TestNotExposed(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	for path, methods := range map[string]string{
		"/shop": "GET", "/shop/": "GET", "/shop/none": "GET POST DELETE", "/shop/openapi.json": "GET", "/shop/docs": "GET", "/shop/hidden/untagged": "GET HEAD", "/shop/hidden/inside": "GET",
		"/shop/hidden/off": "GET", "/shop/hidden/undeclared": "GET", "/shop/hidden/second": "GET", "/shop/items/7/more": "GET", "/shop//hidden/off": "GET",
		"/shop/items/../hidden/off": "GET", "/shop/%68idden/off": "GET", "/shop/items/%2e%2e/hidden/off": "GET",
	} {
		for method := range strings.FieldsSeq(methods) {
			text := detail("Not Found")
			if method == "HEAD" {
				text = ""
			}
			s.ask(t, method, path, nil).want(t, method+" "+path, http.StatusNotFound, text)
		}
	}
	if got := s.ask(t, "GET", "/shop/names/..%2Fhidden%2Foff", nil); got.StatusCode == http.StatusOK {
		t.Errorf("a hidden slash leads to %s", got.text)
	}
	s.ask(t, "GET", "/shop/mixed", nil).want(t, "the first tag that is declared", 200, `"mixed"`)
	for call, allow := range map[string]string{
		"POST /shop/mixed": "GET, HEAD, OPTIONS", "DELETE /shop/items/": "GET, HEAD, OPTIONS, POST", "PATCH /shop/items/7": "DELETE, GET, HEAD, OPTIONS, PUT",
		"GET /shop/raw": "OPTIONS, PATCH, POST", "GET /shop/ping": "HEAD, OPTIONS, TRACE",
	} {
		method, path, _ := strings.Cut(call, " ")
		got := s.ask(t, method, path, nil)
		got.want(t, call, http.StatusMethodNotAllowed, detail("Method Not Allowed"))
		methods := strings.Split(got.Header.Get("Allow"), ", ")
		if slices.Sort(methods); strings.Join(methods, ", ") != allow {
			t.Errorf("%s: allowed are %v, want %s", call, methods, allow)
		}
	}
	if got := s.ask(t, "GET", "/items/", nil); got.StatusCode != 404 || !strings.Contains(got.text, "no Route matched with those values") {
		t.Errorf("without the name of the service: %d %s", got.StatusCode, got.text)
	}
	var urls []string
	for _, o := range s.about(t, s.id).GetOperations() {
		urls = append(urls, o.GetPath())
	}
	if shown := s.about(t, s.id).GetService().GetUrls(); !slices.Equal(shown, slices.Compact(urls)) || slices.ContainsFunc(shown, func(u string) bool { return strings.HasPrefix(u, "/hidden") }) {
		t.Errorf("the urls are %v, of operations at %v", shown, urls)
	}
}

package autogateway_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

func TestRedirects(t *testing.T) {
	up := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Refresh", "0;url=/items/")
		w.Header().Set("Link", "</items/>; rel=next")
		w.Header().Add("Set-Cookie", "a=1; Path=/items")
		w.Header().Add("Set-Cookie", "b=2")
		to := strings.NewReplacer("HOST", r.Host, "PROTO", r.Header.Get("X-Forwarded-Proto")).Replace(r.URL.Query().Get("to"))
		if to != "" {
			w.Header()["Location"] = []string{to}
		}
		w.Header().Set("Content-Location", "/items/7")
		w.WriteHeader(http.StatusFound)
		_, _ = io.WriteString(w, `<a href="/items/">`)
	})
	url := gatewaytest.Serve(t, up)
	s := gatewaytest.Service(url)
	entities := registered(s, "", get("/x"))
	g := start(t, append(entities, gatewaytest.Route(s, "/own"))...)
	for to, want := range map[string]string{
		"/items/?a=b#c":             "/users/items/?a=b#c",
		"http://HOST/items/":        "/users/items/",
		"PROTO://HOST/items/":       "/users/items/",
		url + "/a%2Fb":              "/users/a%2Fb",
		"//HOST/items/":             "/users/items/",
		"http://elsewhere.test/a":   "http://elsewhere.test/a",
		"http://gateway.test/other": "http://gateway.test/other",
		"items/7":                   "items/7",
		"":                          "",
	} {
		for _, base := range []string{g.URL, g.SecureURL} {
			res := g.Get(base+"/users/x?to="+strings.NewReplacer("#", "%23", "?", "%3F", "%", "%25").Replace(to), "Host", "gateway.test")
			h := res.Header
			if h.Get("Location") != want || h.Get("Content-Location") != "/users/items/7" {
				t.Errorf("%q: Location %q, Content-Location %q", to, h.Get("Location"), h.Get("Content-Location"))
			}
			if res.StatusCode != http.StatusFound || h.Get("Refresh") != "0;url=/items/" || h.Get("Link") != "</items/>; rel=next" ||
				!slices.Equal(h["Set-Cookie"], []string{"a=1; Path=/items", "b=2"}) || res.Text != `<a href="/items/">` {
				t.Errorf("%q: something else was touched: %s %v %s", to, res.Status, h, res.Text)
			}
		}
	}
	if h := g.Get("/own/x?to=/items/").Header; h.Get("Location") != "/items/" {
		t.Errorf("another route: %q", h.Get("Location"))
	}
	// Where the upstream is told the client's Host, it calls itself that.
	kept := *entities[2].(*entity.Route)
	kept.PreserveHost = true
	g.Put(&kept)
	if h := g.Get("/users/x?to=http://HOST/items/", "Host", "gateway.test").Header; h.Get("Location") != "/users/items/" {
		t.Errorf("with preserve_host: %q", h.Get("Location"))
	}
}

// content has bytes of all values.
var content = bytes.Repeat([]byte{0, 1, '%', '2', 'F', '"', 0x80, 0xff, '\r', '\n'}, 10000)

func serveAll(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/file":
		w.Header().Set("Content-Disposition", `attachment; filename="a b%2F.bin"`)
		w.Header().Set("Content-Type", "application/x-own")
		w.Header().Set("ETag", `"1"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	case "/empty":
		w.WriteHeader(http.StatusNoContent)
	case "/reset":
		w.WriteHeader(http.StatusResetContent)
	case "/compressed":
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(content)
	case "/json":
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"percent":"100%25 %22quoted%22", "space":  1}`)
	case "/untyped":
		w.Header()["Content-Type"] = nil
		_, _ = io.WriteString(w, "x")
	case "/body":
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Set("X-Type", r.Header.Get("Content-Type"))
		w.Header().Set("X-Length", fmt.Sprint(r.ContentLength))
		_, _ = w.Write(body)
	}
}

func TestResponsesPassAsTheyAre(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Serve(t, http.HandlerFunc(serveAll)))
	g := start(t, registered(s, "", all("/file"), all("/empty"), all("/reset"), all("/compressed"), all("/json"), all("/untyped"), all("/body"))...)
	for _, base := range []string{g.URL, g.SecureURL} {
		file := func(status int, body []byte, method string, header ...string) *gatewaytest.Response {
			t.Helper()
			res := g.Do(method, base+"/users/file", "", header...)
			if res.StatusCode != status || res.Text != string(body) || res.Header.Get("ETag") != `"1"` {
				t.Errorf("%s %v: %s, %d bytes, %v", method, header, res.Status, len(res.Text), res.Header)
			}
			return res
		}
		h := file(200, content, "GET").Header
		if h.Get("Content-Type") != "application/x-own" || h.Get("Content-Disposition") != `attachment; filename="a b%2F.bin"` {
			t.Errorf("a file: %v", h)
		}
		if res := file(200, nil, "HEAD"); res.ContentLength != int64(len(content)) {
			t.Errorf("HEAD: %d", res.ContentLength)
		}
		file(304, nil, "GET", "If-None-Match", `"1"`)
		if h := file(206, content[5:100], "GET", "Range", "bytes=5-99").Header; h.Get("Content-Range") != "bytes 5-99/100000" {
			t.Errorf("a part: %v", h)
		}
		for path, want := range map[string]struct {
			status      int
			contentType string
			body        string
		}{
			"/empty": {204, "", ""}, "/reset": {205, "", ""}, "/compressed": {200, "", string(content)},
			"/json":    {200, "application/json", `{"percent":"100%25 %22quoted%22", "space":  1}`},
			"/untyped": {200, "", "x"},
		} {
			res := g.Get(base + "/users" + path)
			if res.StatusCode != want.status || res.Text != want.body || path != "/compressed" && res.Header.Get("Content-Type") != want.contentType {
				t.Errorf("%s: %s %v, %d bytes", path, res.Status, res.Header, len(res.Text))
			}
		}
		const form = "multipart/form-data; boundary=x"
		res := g.Do("POST", base+"/users/body", string(content), "Content-Type", form)
		if res.Text != string(content) || res.Header.Get("X-Type") != form || res.Header.Get("X-Length") != fmt.Sprint(len(content)) {
			t.Errorf("a body: %s %v, %d bytes", res.Status, res.Header, len(res.Text))
		}
	}
}

// TestStreams is that bodies pass piece by piece: each is sent only once the one
// before has arrived.
func TestStreams(t *testing.T) {
	asked, arrived := make(chan int), make(chan string)
	s := gatewaytest.Service(gatewaytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			for lines := bufio.NewScanner(r.Body); lines.Scan(); {
				arrived <- lines.Text()
			}
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		for i := range asked {
			_, _ = fmt.Fprintf(w, "data: %d\n\n", i)
			if _ = http.NewResponseController(w).Flush(); i == 4 {
				return
			}
		}
	})))
	g := start(t, registered(s, "", all("/events"))...)
	for _, base := range []string{g.URL, g.SecureURL} {
		res, err := g.Client.Get(base + "/users/events")
		if err != nil {
			t.Fatal(err)
		}
		received := bufio.NewReader(res.Body)
		for i := range 5 {
			asked <- i
			line, err := received.ReadString('\n')
			if _, blank := received.ReadString('\n'); err != nil || blank != nil || line != fmt.Sprintf("data: %d\n", i) {
				t.Fatalf("event %d: %q %v %v", i, line, err, blank)
			}
		}
		if rest, err := io.ReadAll(received); err != nil || len(rest) != 0 || res.Header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("the end: %q %v %v", rest, err, res.Header)
		}
		_ = res.Body.Close()

		in, out := io.Pipe()
		req, err := http.NewRequestWithContext(t.Context(), "POST", base+"/users/events", in)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for i := range 5 {
				_, _ = fmt.Fprintf(out, "%d\n", i)
				if got := <-arrived; got != fmt.Sprint(i) {
					t.Errorf("piece %d arrived as %q", i, got)
				}
			}
			_ = out.Close()
		}()
		if res := g.Send(req); res.StatusCode != http.StatusOK {
			t.Error(res.Status)
		}
	}
}

// TestUpgrades is that another protocol may be spoken.
func TestUpgrades(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\nSec-WebSocket-Accept: %s\r\n\r\n",
			r.Header.Get("Upgrade"), r.Header.Get("Sec-WebSocket-Key")+r.RequestURI)
		_ = rw.Flush()
		_, _ = io.Copy(c, rw)
	})))
	g := start(t, registered(s, "", get("/socket/{room}"))...)
	c, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET /users/socket/7?a=b HTTP/1.1\r\nHost: gateway.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Key: key\r\nSec-WebSocket-Version: 13\r\n\r\n")
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 101 || res.Header.Get("Upgrade") != "websocket" || res.Header.Get("Sec-WebSocket-Accept") != "key/socket/7?a=b" {
		t.Fatalf("%s %v", res.Status, res.Header)
	}
	for _, text := range []string{"\x81\x01a\n", "\x00\xff\n"} {
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		if got, err := r.ReadString('\n'); got != text || err != nil {
			t.Errorf("%q came back as %q, %v", text, got, err)
		}
	}
}

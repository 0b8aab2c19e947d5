package oasvalidation

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

const item = `{"type":"object","required":["name"],"properties":{"name":{"type":"string","default":"x"},"price":{"type":"number"},"tags":{"type":"array","items":{"type":"string"}}}}`

// content is a document whose POST /a takes a body.
func content(version, mediaType, media string) string {
	return api(version, `"/a":{"post":{"requestBody":{"required":true,"content":{"`+mediaType+`":`+media+`}}}}`)
}

func TestBodiesOfJSON(t *testing.T) {
	both(t, func(t *testing.T, version string) {
		g := start(t, content(version, "application/json", `{"schema":`+item+`}`), settings{"verbose_response": true})
		for _, c := range []struct{ contentType, body, want string }{
			{"application/json", `{"name":"a"}`, ""},
			{"application/json; charset=utf-8", ` { "name" : "a", "unknown":[1.50, 1e3] } ` + "\n", ""},
			{"Application/JSON", `{"name":"a","price":1}`, ""},
			{"application/vnd.x+json", `{"name":"a"}`, ""},
			{"", `{"name":"a"}`, ""},
			{"application/json", "\xef\xbb\xbf" + `{"name":"a"}`, ""},
			{"application/json", `{"price":1}`, "request body validation failed with error: 'name: it is required'"},
			{"application/json", `{"name":"a","tags":["a",1]}`, "request body validation failed with error: 'tags[1]: it must be of type string'"},
			{"application/json", `[]`, "request body validation failed with error: 'it must be of type object'"},
			{"application/json", ``, "request body validation failed with error: 'it is required'"},
			{"application/json", `{"name":`, "request body validation failed with error: 'it is no valid JSON: unexpected EOF'"},
			{"application/json", `{"name"}`, "request body validation failed with error: 'it is no valid JSON: a fault at byte 8'"},
			{"application/json", `{"name":"a"}{}`, "request body validation failed with error: 'it is no valid JSON: there is more after the value'"},
			{"application/json", "{\"name\":\"\xff\"}", "request body validation failed with error: 'it is no valid JSON: it is not UTF-8'"},
			{"application/json", strings.Repeat("[", 300), "request body validation failed with error: 'it is no valid JSON: it is nested too deep'"},
			{"text/plain", `{"name":"a"}`, "validation failed: content-type of the body: its type must be application/json"},
		} {
			for _, chunked := range []bool{false, true} {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL+"/a", strings.NewReader(c.body))
				if err != nil {
					t.Fatal(err)
				}
				req.Header["Content-Type"] = []string{c.contentType}
				if c.contentType == "" {
					req.Header.Del("Content-Type")
				}
				if chunked {
					req.ContentLength, req.Body = -1, io.NopCloser(strings.NewReader(c.body))
				}
				res := g.Send(req)
				switch {
				case c.want == "" && (res.StatusCode != http.StatusOK || res.Asked(t).Body != c.body):
					t.Errorf("%s %s: %s %s", c.contentType, c.body, res.Status, res.Text)
				case c.want != "" && (res.StatusCode != http.StatusBadRequest || res.JSON(t)["message"] != c.want):
					t.Errorf("%s %.50s: %s %s, not %s", c.contentType, c.body, res.Status, res.Text, c.want)
				}
			}
		}
	})
}

func TestBodiesThatAreNotLookedInto(t *testing.T) {
	for mediaType, body := range map[string]string{
		"application/xml": "<a", "text/plain": "x", "application/octet-stream": "\x00\xff", "image/png": "x",
	} {
		for _, range_ := range []string{mediaType, strings.Split(mediaType, "/")[0] + "/*", "*/*"} {
			g := start(t, content("3.1.0", range_, `{"schema":{"type":"integer"}}`), settings{"max_body": 1})
			if res := g.Do(http.MethodPost, "/a", body, "Content-Type", mediaType); res.StatusCode != http.StatusOK {
				t.Errorf("%s as %s: %s", mediaType, range_, res.Text)
			}
			if res := g.Do(http.MethodPost, "/a", "", "Content-Type", mediaType); res.StatusCode != http.StatusBadRequest {
				t.Errorf("%s without a body: %s", mediaType, res.Status)
			}
		}
	}
	for _, document := range []string{
		api("3.0.3", `"/a":{"post":{}}`), api("3.0.3", `"/a":{"post":{"requestBody":{"content":{}}}}`), content("3.0.3", "application/json", `{}`),
		api("3.0.3", `"/a":{"post":{"requestBody":{"content":{"application/json":null}}}}`),
	} {
		if res := start(t, document, nil).Do(http.MethodPost, "/a", "x", "Content-Type", "application/json"); res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", document, res.Text)
		}
	}
	g := start(t, content("3.0.3", "application/json", `{"schema":`+item+`}`), settings{"validate_request_body": false})
	if res := g.Do(http.MethodPost, "/a", "x"); res.StatusCode != http.StatusOK {
		t.Error(res.Text)
	}
}

// A body that passes unchecked is not held back: the upstream has the first part
// before the second is sent.
func TestBodiesThatAreNotLookedIntoAreStreamed(t *testing.T) {
	first := make(chan string)
	upstream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b [5]byte
		_, _ = io.ReadFull(r.Body, b[:])
		first <- string(b[:])
		rest, _ := io.ReadAll(r.Body)
		_, _ = w.Write(rest)
	})
	service := gatewaytest.Service(gatewaytest.Serve(t, upstream))
	route := gatewaytest.Route(service, "/")
	route.RequestBuffering = false
	config := `{"api_spec":"openapi: 3.0.0\npaths: {/a: {post: {requestBody: {content: {application/octet-stream: {schema: {type: string}}}}}}}"}`
	g := gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{Module()}},
		gatewaytest.All(service, route, gatewaytest.Plugin("oas-validation", config)))
	r, w := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL+"/a", r)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	go func() {
		_, _ = io.WriteString(w, "first")
		if <-first == "first" {
			_, _ = io.WriteString(w, "second")
		}
		_ = w.Close()
	}()
	if res := g.Send(req); res.Text != "second" {
		t.Errorf("%s %q", res.Status, res.Text)
	}
}

func TestLongBodies(t *testing.T) {
	document := content("3.0.3", "application/json", `{"schema":`+item+`}`)
	long := `{"name":"` + strings.Repeat("a", 100) + `","tags":[1]}`
	for _, c := range []struct {
		settings settings
		status   int
	}{
		{settings{"max_body": len(long)}, 400}, {settings{"max_body": len(long) - 1}, 413}, {settings{"max_body": len(long) - 1, "on_large_body": "pass"}, 200},
		{settings{"max_body": len(long) - 1, "notify_only_request_validation_failure": true}, 200},
	} {
		g := start(t, document, c.settings)
		for _, chunked := range []bool{false, true} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL+"/a", strings.NewReader(long))
			if err != nil {
				t.Fatal(err)
			}
			if chunked {
				req.ContentLength = -1
			}
			req.Header.Set("Content-Type", "application/json")
			res := g.Send(req)
			if res.StatusCode != c.status || c.status == 200 && res.Asked(t).Body != long {
				t.Errorf("%v: %s %s", c.settings, res.Status, res.Text)
			}
		}
	}
	// Faults of parameters count, whether the body is looked at or not.
	g := start(t, api("3.0.3", `"/a":{"post":{"parameters":[{"name":"q","in":"query","required":true,"schema":{}}],"requestBody":{"content":{"application/json":{"schema":{}}}}}}`),
		settings{"max_body": 1, "on_large_body": "pass", "collect_all_errors": true})
	if res := g.Do(http.MethodPost, "/a", long, "Content-Type", "application/json"); res.StatusCode != http.StatusBadRequest {
		t.Errorf("a fault of a parameter, and a long body: %s", res.Status)
	}
}

func compressed(t *testing.T, w io.WriteCloser, b *bytes.Buffer, text string) string {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestCompressedBodies(t *testing.T) {
	g := start(t, content("3.0.3", "application/json", `{"schema":`+item+`}`), settings{"max_body": 1000})
	zip := func(s string) string { b := &bytes.Buffer{}; return compressed(t, gzip.NewWriter(b), b, s) }
	deflate := func(s string) string { b := &bytes.Buffer{}; return compressed(t, zlib.NewWriter(b), b, s) }
	for _, c := range []struct {
		encoding, body string
		status         int
	}{
		{"gzip", zip(`{"name":"a"}`), 200}, {"gzip", zip(`{}`), 400}, {"gzip", "x", 400}, {"gzip", zip(`{"name":"a"}`)[:20], 400},
		{"deflate", deflate(`{"name":"a"}`), 200}, {"deflate", deflate(`{}`), 400}, {"identity", `{"name":"a"}`, 200},
		{"gzip", zip(`{"name":"` + strings.Repeat("a", 1000) + `"}`), 413}, {"br", `{"name":"a"}`, 415}, {"gzip, gzip", zip(zip(`{}`)), 415},
	} {
		res := g.Do(http.MethodPost, "/a", c.body, "Content-Type", "application/json", "Content-Encoding", c.encoding)
		if res.StatusCode != c.status {
			t.Errorf("%s %q: %s %s", c.encoding, c.body, res.Status, res.Text)
		}
	}
}

func TestForms(t *testing.T) {
	both(t, func(t *testing.T, version string) {
		g := start(t, content(version, "application/x-www-form-urlencoded", `{"schema":{"type":"object","required":["n"],"additionalProperties":false,"properties":{
			"n":{"type":"integer"},"s":{"type":"string","maxLength":3},"l":{"type":"array","items":{"type":"integer"}},"c":{"type":"array","items":{"type":"integer"}},
			"o":{"type":"object","required":["a"],"properties":{"a":{"type":"integer"}}},"d":{"type":"object","properties":{"a":{"type":"integer"}}},
			"p":{"type":"object","properties":{"a":{"type":"integer"}}}}},
			"encoding":{"c":{"style":"form","explode":false},"d":{"style":"deepObject"},"p":{"style":"pipeDelimited"}}}`), nil)
		for body, status := range map[string]int{
			"n=1": 200, "n=1&s=a+b": 200, "n=1&s=a%2Bb&l=1&l=2": 200, "n=1&c=1,2,3": 200, "n=1&o=%7B%22a%22%3A1%7D": 200, "n=1&d[a]=1": 200, "n=1&d%5Ba%5D=1": 200,
			"n=1&p=a%7C1": 200, "n=1&l=1": 200,
			"": 400, "s=a": 400, "n=x": 400, "n=1&n=2": 400, "n=1&s=long": 400, "n=1&l=x": 400, "n=1&c=1,x": 400, "n=1&o=x": 400, "n=1&o=%7B%7D": 400, "n=1&d[a]=x": 400,
			"n=1&z=1": 400, "n=1&p=a%7Cx": 400,
		} {
			res := g.Do(http.MethodPost, "/a", body, "Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
			if res.StatusCode != status || status == 200 && res.Asked(t).Body != body {
				t.Errorf("%s: %s %s", body, res.Status, res.Text)
			}
		}
	})
}

// parts makes a multipart body.
func parts(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("--b\r\nContent-Disposition: form-data; " + p + "\r\n")
	}
	return b.String() + "--b--\r\n"
}

func TestMultipart(t *testing.T) {
	file := map[string]string{
		"3.0.3": `{"type":"string","format":"binary"}`, "3.1.0": `{"type":"string","contentMediaType":"application/octet-stream"}`,
	}
	both(t, func(t *testing.T, version string) {
		g := start(t, content(version, "multipart/form-data", `{"schema":{"type":"object","required":["f"],"properties":{
			"f":`+file[version]+`,"n":{"type":"integer"},"l":{"type":"array","items":{"type":"integer"}},"fs":{"type":"array","maxItems":2,"items":`+file[version]+`},
			"o":{"type":"object","required":["a"]},"j":{"type":"object","required":["a"]}}},"encoding":{"j":{"contentType":"application/json"}}}`), settings{"verbose_response": true})
		const f = `name="f"; filename="a.png"` + "\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n"
		for _, c := range []struct {
			body   string
			status int
		}{
			{parts(f), 200}, {parts(`name="f"` + "\r\n\r\nx"), 200}, {parts(f, `name=n`+"\r\n\r\n5"), 200}, {parts(f, `name="n"`+"\r\nContent-Type: text/plain\r\n\r\n5"), 200},
			{parts(`name="f"; filename=""` + "\r\n\r\nx"), 200}, {parts(f, `name="other"`+"\r\n\r\n5"), 200},
			{parts(f, `name="l"`+"\r\n\r\n1", `name="l"`+"\r\n\r\n2"), 200}, {parts(f, `name="l"`+"\r\n\r\n1"), 200},
			{parts(f, `name="fs"; filename=a`+"\r\n\r\n1"), 200}, {parts(f, `name="o"`+"\r\nContent-Type: application/json\r\n\r\n{\"a\":1}"), 200},
			{parts(f, `name="o"`+"\r\n\r\n{\"a\":1}"), 200}, {parts(f, `name="j"`+"\r\n\r\n{\"a\":1}"), 200},
			{parts(), 400}, {parts(`name="n"` + "\r\n\r\n5"), 400}, {parts(f, `name="n"`+"\r\n\r\nx"), 400}, {parts(f, `name="l"`+"\r\n\r\nx"), 400},
			{parts(f, `name="fs"; filename=a`+"\r\n\r\n1", `name="fs"; filename=a`+"\r\n\r\n1", `name="fs"; filename=a`+"\r\n\r\n1"), 400},
			{parts(f, `name="n"; filename="n"`+"\r\n\r\n5"), 400}, {parts(f, `name="o"`+"\r\nContent-Type: application/json\r\n\r\n{}"), 400},
			{parts(f, `name="o"`+"\r\nContent-Type: application/json\r\n\r\n{"), 400}, {parts(f, `name="j"`+"\r\n\r\nx"), 400},
			{parts(f, "\r\n\r\nx"), 400}, {"--b\r\n", 400}, {"x", 400},
		} {
			res := g.Do(http.MethodPost, "/a", c.body, "Content-Type", "multipart/form-data; boundary=b")
			if res.StatusCode != c.status || c.status == 200 && len(res.Asked(t).Body) == 0 {
				t.Errorf("%q: %s %s", c.body, res.Status, res.Text)
			}
		}
		if res := g.Do(http.MethodPost, "/a", parts(f), "Content-Type", "multipart/form-data"); res.StatusCode != http.StatusBadRequest {
			t.Errorf("without a boundary: %s", res.Status)
		}
	})
}

// A client that waits for a go-ahead is refused before it has sent its body.
func TestFaultsOfParametersAreToldBeforeTheBodyIsRead(t *testing.T) {
	g := start(t, api("3.0.3", `"/a":{"post":{"parameters":[{"name":"q","in":"query","required":true,"schema":{}}],
		"requestBody":{"content":{"application/json":{"schema":{}}}}}}`), nil)
	read := false
	body := readerFunc(func(p []byte) (int, error) { read = true; return copy(p, "{}"), io.EOF })
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL+"/a", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Expect", "100-continue")
	g.Client.Transport.(*http.Transport).ExpectContinueTimeout = 1 << 40
	if res := g.Send(req); res.StatusCode != http.StatusBadRequest || read {
		t.Errorf("%s, the body was read: %v", res.Status, read)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

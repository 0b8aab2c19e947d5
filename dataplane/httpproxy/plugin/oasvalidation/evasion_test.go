package oasvalidation

import (
	"net/http"
	"strings"
	"testing"
)

// send sends a request with header fields as they are, repeated ones too.
func send(t *testing.T, url, method, body string, client *http.Client, fields ...string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(fields); i += 2 {
		req.Header.Add(fields[i], fields[i+1])
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// What is checked is what the upstream takes, however it reads a request.
func TestChecksOfBodiesCannotBeAvoided(t *testing.T) {
	g := start(t, api("3.1.0", `"/a":{"post":{"requestBody":{"required":true,"content":{"application/json":{"schema":`+item+`},"application/octet-stream":{},
		"multipart/form-data":{"schema":{"type":"object"}}}}}}`), nil)
	for name, c := range map[string]struct {
		body   string
		fields []string
		status int
	}{
		"a type":                     {`{"name":"a"}`, []string{"Content-Type", "application/json"}, 200},
		"a type twice":               {`{"name":"a"}`, []string{"Content-Type", "application/json", "Content-Type", "application/json"}, 200},
		"two types, the first open":  {`{}`, []string{"Content-Type", "application/octet-stream", "Content-Type", "application/json"}, 400},
		"two types, the last open":   {`{"name":"a"}`, []string{"Content-Type", "application/json", "Content-Type", "application/octet-stream"}, 400},
		"two boundaries":             {"--a--\r\n", []string{"Content-Type", "multipart/form-data; boundary=a", "Content-Type", "multipart/form-data; boundary=b"}, 400},
		"a list of types":            {`{}`, []string{"Content-Type", "application/octet-stream, application/json"}, 400},
		"an upgrade that is none":    {`{}`, []string{"Content-Type", "application/json", "Connection", "Upgrade", "Upgrade", "websocket"}, 400},
		"an upgrade and a good body": {`{"name":"a"}`, []string{"Content-Type", "application/json", "Connection", "Upgrade", "Upgrade", "websocket"}, 200},
		"a member twice":             {`{"name":1,"name":"a"}`, []string{"Content-Type", "application/json"}, 400},
		"a member twice, escaped":    {`{"name":"a","n\u0061me":"a"}`, []string{"Content-Type", "application/json"}, 400},
	} {
		if status := send(t, g.URL+"/a", http.MethodPost, c.body, g.Client, c.fields...); status != c.status {
			t.Errorf("%s: %d, not %d", name, status, c.status)
		}
	}
}

func TestChecksOfParametersCannotBeAvoided(t *testing.T) {
	g := start(t, api("3.1.0", `"/a":{"get":{"parameters":[{"name":"X-Role","in":"header","schema":{"type":"string","pattern":"^(user|guest)"}},
		{"name":"X-Ids","in":"header","schema":{"type":"array","maxItems":3,"items":{"type":"integer"}}},
		{"name":"X-Map","in":"header","schema":{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}}}},
		{"name":"c","in":"cookie","schema":{"type":"integer"}},{"name":"j","in":"query","content":{"application/json":{"schema":{"properties":{"a":{"type":"integer"}}}}}},
		{"name":"d","in":"query","style":"deepObject","schema":{"type":"object","additionalProperties":true,"properties":{"a":{"type":"object"}}}}]}}`), nil)
	deep := "d" + strings.Repeat("[a]", 17) + "=1"
	for _, c := range []struct {
		query  string
		fields []string
		status int
	}{
		{"", []string{"X-Role", "user", "X-Role", "guest"}, 200}, {"", []string{"X-Role", "user", "X-Role", "admin"}, 400}, {"", []string{"X-Role", "admin", "X-Role", "user"}, 400},
		{"", []string{"X-Ids", "1, 2", "X-Ids", "3"}, 200}, {"", []string{"X-Ids", "1,2", "X-Ids", "3,4"}, 400}, {"", []string{"X-Ids", "1", "X-Ids", "x"}, 400},
		{"", []string{"X-Map", "a,1", "X-Map", "b,2"}, 200}, {"", []string{"X-Map", "a,1", "X-Map", "b,x"}, 400},
		{"", []string{"Cookie", "c=1"}, 200}, {"", []string{"Cookie", "c =x"}, 400}, {"", []string{"Cookie", "c= x"}, 400}, {"", []string{"Cookie", "q=1;\tc=x"}, 400},
		{"?j=%7B%22a%22:1%7D", nil, 200}, {"?j=%7B%22a%22:%22x%22,%22a%22:1%7D", nil, 400},
		{"?d[b]=1", nil, 200}, {"?" + deep, nil, 400}, {"?d[a]=x&d[a][b]=1", nil, 400}, {"?d[a][b]=1&d[a]=x", nil, 400},
	} {
		if status := send(t, g.URL+"/a"+c.query, http.MethodGet, "", g.Client, c.fields...); status != c.status {
			t.Errorf("%s %v: %d, not %d", c.query, c.fields, status, c.status)
		}
	}
}

// A part is what the upstream takes it for: a file if it has the name of one, else
// a text.
func TestChecksOfPartsCannotBeAvoided(t *testing.T) {
	g := start(t, content("3.1.0", "multipart/form-data", `{"schema":{"type":"object","properties":{"s":{"type":"string","maxLength":3},"e":{"enum":["a"]},
		"f":{"type":"string","contentMediaType":"application/octet-stream"},"g":{"type":"string","contentMediaType":"image/png"},
		"o":{"type":"object","required":["a"]}}},"encoding":{"g":{"contentType":"image/png, image/x-*"}}}`), nil)
	for _, c := range []struct {
		part   string
		status int
	}{
		{`name="s"` + "\r\nContent-Type: text/plain\r\n\r\nabc", 200}, {`name="s"` + "\r\nContent-Type: text/plain\r\n\r\nabcd", 400},
		{`name="s"` + "\r\nContent-Type: application/octet-stream\r\n\r\nabc", 200}, {`name="s"` + "\r\nContent-Type: application/octet-stream\r\n\r\nabcd", 400},
		{`name="s"; filename="x"` + "\r\n\r\nabcd", 400}, {`name="e"; filename="x"` + "\r\n\r\na", 400}, {`name="e"` + "\r\nContent-Type: image/png\r\n\r\nb", 400},
		{`name="s"` + "\r\nContent-Disposition: form-data; name=\"z\"\r\n\r\nabc", 400}, {`name="s"` + "\r\nContent-Type: text/plain\r\nContent-Type: image/png\r\n\r\nabc", 400},
		{`name="f"` + "\r\nContent-Type: application/octet-stream\r\n\r\n\xff\xfe", 200}, {`name="f"; filename="x"` + "\r\n\r\nabcd", 200},
		{`name="g"; filename="x"` + "\r\nContent-Type: image/png\r\n\r\nx", 200}, {`name="g"; filename="x"` + "\r\nContent-Type: text/html\r\n\r\nx", 400},
		{`name="g"; filename="x"` + "\r\nContent-Type: Image/X-Icon; a=b\r\n\r\nx", 200}, {`name="g"; filename="x"` + "\r\n\r\nx", 200},
		{`name="o"; filename="blob"` + "\r\nContent-Type: application/json\r\n\r\n{\"a\":1}", 200}, {`name="o"; filename="blob"` + "\r\nContent-Type: application/json\r\n\r\n{}", 400},
		{`name="o"` + "\r\nContent-Type: application/json\r\n\r\n{\"a\":1,\"a\":2}", 400},
	} {
		if res := g.Do(http.MethodPost, "/a", parts(c.part), "Content-Type", "multipart/form-data; boundary=b"); res.StatusCode != c.status {
			t.Errorf("%q: %s %s", c.part, res.Status, res.Text)
		}
	}
}

package keyauth

import (
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

var alice = gatewaytest.Consumer("alice", "a-1")

// start starts a gateway with a configuration, where alice has the key "secret".
func start(t *testing.T, config string) (*gatewaytest.Gateway, *entity.Credential) {
	key := gatewaytest.Key(alice, "secret")
	ended := gatewaytest.Key(alice, "ended")
	ended.CreatedAt -= 100
	ended.TTL = 50
	lasting := gatewaytest.Key(alice, "lasting")
	lasting.TTL = 5000
	orphan := gatewaytest.Key(gatewaytest.Consumer("gone", ""), "orphan")
	return gatewaytest.Plugged(t, []httpproxy.PluginModule{Module()},
		alice, key, ended, lasting, orphan, gatewaytest.Plugin("key-auth", config)), key
}

func TestAKeyTellsWhoTheRequestIsFrom(t *testing.T) {
	g, key := start(t, `{}`)
	res := g.Get("/", "apikey", "secret", "X-Consumer-Username", "mallory", "x-consumer-groups", "admins",
		"X-Anonymous-Consumer", "true", "X-Credential-Identifier", "mine", "X-Consumer-Id", "1", "X-Authenticated-Groups", "a")
	h := http.Header(res.Asked(t).Header)
	for name, want := range map[string]string{
		"X-Consumer-Id": alice.ID.String(), "X-Consumer-Username": "alice", "X-Consumer-Custom-Id": "a-1",
		"X-Credential-Identifier": key.ID.String(), "X-Anonymous-Consumer": "", "X-Consumer-Groups": "",
		"X-Authenticated-Groups": "", "Apikey": "secret",
	} {
		if got := strings.Join(h.Values(name), "|"); got != want {
			t.Errorf("%s: the upstream sees %q, want %q", name, got, want)
		}
	}
}

func TestKeysAreLookedForWhereTheConfigurationSays(t *testing.T) {
	form := []string{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}
	json := []string{"Content-Type", "application/json"}
	for _, c := range []struct {
		name, config, path, body string
		header                   []string
		status                   int
		message                  string
	}{
		{"in the header", `{}`, "/", "", []string{"ApiKey", "secret"}, 200, ""},
		{"in the query", `{}`, "/?apikey=secret", "", nil, 200, ""},
		{"in the query with escapes", `{}`, "/?%61pikey=se%63ret", "", nil, 200, ""},
		{"nowhere", `{}`, "/", "", nil, 401, "No API key found in request"},
		{"an empty one", `{}`, "/", "", []string{"apikey", ""}, 401, "No API key found in request"},
		{"an argument without a value", `{}`, "/?apikey", "", nil, 401, "No API key found in request"},
		{"a wrong one", `{}`, "/?apikey=wrong", "", nil, 401, "Unauthorized"},
		{"one that has ended", `{}`, "/?apikey=ended", "", nil, 401, "Unauthorized"},
		{"one that has not ended", `{}`, "/?apikey=lasting", "", nil, 200, ""},
		{"one of nobody", `{}`, "/?apikey=orphan", "", nil, 401, "Unauthorized"},
		{"two in the header", `{}`, "/", "", []string{"apikey", "secret", "apikey", "secret"}, 401, "Duplicate API key found"},
		{"two in the query", `{}`, "/?apikey=a&apikey=secret", "", nil, 401, "Duplicate API key found"},
		{"the header comes before the query", `{}`, "/?apikey=wrong", "", []string{"apikey", "secret"}, 200, ""},
		{"under another name", `{"key_names":["x-token","key"]}`, "/?key=secret", "", nil, 200, ""},
		{"no more under the first one", `{"key_names":["x-token"]}`, "/?apikey=secret", "", nil, 401, "No API key found in request"},
		{"not in the header", `{"key_in_header":false}`, "/", "", []string{"apikey", "secret"}, 401, "No API key found in request"},
		{"not in the query", `{"key_in_query":false}`, "/?apikey=secret", "", nil, 401, "No API key found in request"},
		{"not in the body", `{}`, "/", "apikey=secret", form, 401, "No API key found in request"},
		{"in a form", `{"key_in_body":true}`, "/", "a=b&apikey=secret", form, 200, ""},
		{"twice in a form", `{"key_in_body":true}`, "/", "apikey=b&apikey=secret", form, 401, "Duplicate API key found"},
		{"in JSON", `{"key_in_body":true}`, "/", `{"a":[1],"apikey":"secret"}`, json, 200, ""},
		{"several in JSON", `{"key_in_body":true}`, "/", `{"apikey":["secret"]}`, json, 401, "Duplicate API key found"},
		{"a number in JSON", `{"key_in_body":true}`, "/", `{"apikey":1}`, json, 401, "No API key found in request"},
		{"JSON that is no object", `{"key_in_body":true}`, "/", `["apikey"]`, json, 401, "No API key found in request"},
		{"what is no JSON", `{"key_in_body":true}`, "/", `{"apikey"`, json, 400, "Cannot process request body"},
		{"a body of another type", `{"key_in_body":true}`, "/", `apikey=secret`, nil, 401, "No API key found in request"},
		{"no body", `{"key_in_body":true}`, "/?apikey=secret", "", nil, 200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, _ := start(t, c.config)
			res := g.Do(http.MethodPost, c.path, c.body, c.header...)
			if res.StatusCode != c.status {
				t.Fatalf("%s %s", res.Status, res.Text)
			}
			if c.status == 200 {
				if got := res.Asked(t).Body; got != c.body {
					t.Errorf("the upstream got %q", got)
				}
				return
			}
			body := res.JSON(t)
			if body["message"] != c.message || body["request_id"] == nil {
				t.Errorf("the answer is %s", res.Text)
			}
			if challenge := res.Header.Get("WWW-Authenticate"); (challenge == "Key") != (c.status == 401) {
				t.Errorf("the challenge is %q", challenge)
			}
		})
	}
}

func TestMultipartBodies(t *testing.T) {
	var b strings.Builder
	w := multipart.NewWriter(&b)
	for _, pair := range [][2]string{{"a", "1\r\n--2"}, {"apikey", "secret"}} {
		part, _ := w.CreateFormField(pair[0])
		_, _ = io.WriteString(part, pair[1])
	}
	file, _ := w.CreateFormFile("f", "name.bin")
	_, _ = file.Write([]byte{0, 1, 2})
	_ = w.Close()
	for _, hide := range []bool{false, true} {
		config := `{"key_in_body":true}`
		if hide {
			config = `{"key_in_body":true,"hide_credentials":true}`
		}
		g, _ := start(t, config)
		res := g.Do(http.MethodPost, "/", b.String(), "Content-Type", w.FormDataContentType())
		if res.StatusCode != 200 {
			t.Fatalf("%s %s", res.Status, res.Text)
		}
		form, err := multipart.NewReader(strings.NewReader(res.Asked(t).Body), w.Boundary()).ReadForm(1 << 20)
		if err != nil {
			t.Fatal(err)
		}
		if form.Value["a"][0] != "1\r\n--2" || form.File["f"][0].Size != 3 || form.File["f"][0].Filename != "name.bin" {
			t.Errorf("the upstream got %v", form)
		}
		if _, has := form.Value["apikey"]; has == hide {
			t.Errorf("hidden %v: the upstream got %v", hide, form.Value)
		}
	}
	g, _ := start(t, `{"key_in_body":true}`)
	for _, contentType := range []string{"multipart/form-data", "multipart/form-data; boundary=other"} {
		if res := g.Do(http.MethodPost, "/", b.String(), "Content-Type", contentType); res.StatusCode != 400 {
			t.Errorf("%s: %s", contentType, res.Status)
		}
	}
}

func TestHiddenKeysDoNotReachTheUpstream(t *testing.T) {
	g, _ := start(t, `{"hide_credentials":true,"key_in_body":true}`)
	for _, c := range []struct{ name, path, body, contentType, header, target, left string }{
		{"in the header", "/p?x=1&apikey=secret", "", "", "secret", "/p?x=1", ""},
		{"in the query", "/p?a=%20&apikey=secret&b", "", "", "", "/p?a=%20&b", ""},
		{"alone in the query", "/p?apikey=secret", "", "", "", "/p", ""},
		{"in a form", "/p", "x=+&apikey=secret&y=2", "application/x-www-form-urlencoded", "", "/p", "x=+&y=2"},
		{"in JSON", "/p", `{"n":1.50,"apikey":"secret"}`, "application/json", "", "/p", `{"n":1.50}`},
		{"everywhere", "/p?apikey=secret", `{"apikey":"secret"}`, "application/json", "secret", "/p", `{}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var header []string
			if c.header != "" {
				header = append(header, "apikey", c.header)
			}
			if c.contentType != "" {
				header = append(header, "Content-Type", c.contentType)
			}
			res := g.Do(http.MethodPost, c.path, c.body, header...)
			if res.StatusCode != 200 {
				t.Fatalf("%s %s", res.Status, res.Text)
			}
			asked := res.Asked(t)
			if asked.Target != c.target || asked.Body != c.left || strings.Contains(res.Text, "secret") {
				t.Errorf("the upstream got %+v", asked)
			}
		})
	}
}

func TestPreflightsNeedNoKeyWhereTheConfigurationSays(t *testing.T) {
	for config, status := range map[string]int{`{}`: 401, `{"run_on_preflight":false}`: 200} {
		g, _ := start(t, config)
		res := g.Do(http.MethodOptions, "/", "", "X-Consumer-Username", "mallory")
		if res.StatusCode != status {
			t.Errorf("%s: %s", config, res.Status)
		}
		if status == 200 && res.Asked(t).Header["X-Consumer-Username"] != nil {
			t.Errorf("%s: the upstream sees who the client pretends to be", config)
		}
	}
}

func TestTheRealmIsInTheChallenge(t *testing.T) {
	g, _ := start(t, `{"realm":"the shop"}`)
	if got := g.Get("/").Header.Get("WWW-Authenticate"); got != `Key realm="the shop"` {
		t.Errorf("the challenge is %s", got)
	}
}

func FuzzBody(f *testing.F) {
	f.Add(typeForm, "", "a=b&apikey=c&apikey=%", "apikey")
	f.Add(typeJSON, "", `{"apikey":"x","b":[1,{}]}`, "apikey")
	f.Add(typeMultipart, "x", "--x\r\nContent-Disposition: form-data; name=\"apikey\"\r\n\r\nv\r\n--x--\r\n", "apikey")
	f.Fuzz(func(t *testing.T, kind, boundary, text, name string) {
		b, err := parse(kind, boundary, []byte(text))
		if err != nil {
			return
		}
		key, n := b.find(name)
		if n == 0 && key != "" {
			t.Fatalf("%q was found nowhere", key)
		}
		if n == 0 || b.kind == "" {
			return
		}
		without, err := b.without(name)
		if err != nil {
			return // a boundary that can be read and not written
		}
		again, err := parse(kind, boundary, without)
		if err != nil {
			t.Fatalf("what is left cannot be read: %v\n%q", err, without)
		}
		if _, n := again.find(name); n != 0 {
			t.Fatalf("it is still there: %q", without)
		}
	})
}

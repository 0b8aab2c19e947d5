package requesttransformer

import (
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

func start(t *testing.T, config string, changes ...func(*entity.Route)) *gatewaytest.Gateway {
	t.Helper()
	s := gatewaytest.Service(gatewaytest.Echo(t, "echo"))
	if changes == nil {
		changes = append(changes, func(r *entity.Route) { r.StripPath = false })
	}
	return gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{Module()}}, gatewaytest.All(
		s, gatewaytest.Route(s, "/", changes...), gatewaytest.Plugin("request-transformer", config)))
}

func TestHeaders(t *testing.T) {
	for _, test := range []struct {
		name, config string
		header       []string
		want         string // of X-A, X-B, X-C
	}{
		{"a field is removed, in any case", `{"remove": {"headers": ["x-a"]}}`, []string{"X-A", "1", "X-B", "2"}, "|2|"},
		{"a field is renamed with all its values", `{"rename": {"headers": ["X-A:X-B"]}}`,
			[]string{"X-A", "1", "X-A", "2", "X-B", "3"}, "|1,2|"},
		{"what is not there is not renamed", `{"rename": {"headers": ["X-A:X-B"]}}`, []string{"X-B", "3"}, "|3|"},
		{"a field is replaced if it is there", `{"replace": {"headers": ["X-A:9", "X-B:8"]}}`, []string{"X-A", "1", "X-A", "2"}, "9||"},
		{"a field is added if it is not there", `{"add": {"headers": ["X-A:9", "X-B:8:7"]}}`, []string{"X-A", "1"}, "1|8:7|"},
		{"a value is appended", `{"append": {"headers": ["X-A:9", "X-B:8"]}}`, []string{"X-A", "1"}, "1,9|8|"},
		{"the order is remove, rename, replace, add, append", `{"remove": {"headers": ["X-A"]}, "rename": {"headers": ["X-B:X-A"]},
			"replace": {"headers": ["X-A:r"]}, "add": {"headers": ["X-B:a"]}, "append": {"headers": ["X-B:p"]}}`,
			[]string{"X-A", "1", "X-B", "2"}, "r|a,p|"},
		{"templates have the values from before", `{"remove": {"headers": ["X-A"]}, "add": {"headers": ["X-B:<$(headers.x_a)>"]}}`,
			[]string{"X-A", "1"}, "|<1>|"},
		{"templates have defaults", `{"add": {"headers": ["X-B:$(headers['x-none'] or \"d\")", "X-C:$(headers.none)"]}}`, nil, "|d|"},
		{"templates know the query", `{"add": {"headers": ["X-B:$(query_params.q)-$(query_params[\"flag\"])"]}}`, nil, "|a b-true|"},
	} {
		t.Run(test.name, func(t *testing.T) {
			asked := start(t, test.config).Get("/?q=a+b&flag", test.header...).Asked(t)
			h := http.Header(asked.Header)
			got := strings.Join(h.Values("X-A"), ",") + "|" + strings.Join(h.Values("X-B"), ",") + "|" + strings.Join(h.Values("X-C"), ",")
			if got != test.want {
				t.Errorf("%s, not %s", got, test.want)
			}
		})
	}
}

func TestHostIsOnlyReplaced(t *testing.T) {
	g := start(t, `{"replace": {"headers": ["Host:other.test"]}}`)
	if asked := g.Get("/").Asked(t); asked.Host != "other.test" {
		t.Errorf("it was asked as %s", asked.Host)
	}
	g = start(t, `{"add": {"headers": ["Host:other.test"]}, "append": {"headers": ["Host:other.test"]}, "remove": {"headers": ["host"]},
		"rename": {"headers": ["Host:X-Host"]}}`)
	if asked := g.Get("/").Asked(t); asked.Host == "other.test" || asked.Header["X-Host"] != nil {
		t.Errorf("it was asked as %s with %v", asked.Host, asked.Header)
	}
}

func TestQuery(t *testing.T) {
	for _, test := range []struct{ name, config, query, want string }{
		{"nothing to do leaves it as it is", `{}`, "?b=%7e&a=+&c", "?b=%7e&a=+&c"},
		{"an argument is removed", `{"remove": {"querystring": ["a"]}}`, "?a=1&b=2&a=3", "?b=2"},
		{"the last argument is removed", `{"remove": {"querystring": ["a"]}}`, "?a=1", ""},
		{"an argument is renamed", `{"rename": {"querystring": ["a:b"]}}`, "?a=1&b=2&c&a=%203", "?b=1&c&b=%203"},
		{"an argument is replaced", `{"replace": {"querystring": ["a:9", "b:8"]}}`, "?a=1&c=2&a=3", "?a=9&c=2"},
		{"an argument is added", `{"add": {"querystring": ["a:9", "b:8"]}}`, "?a=1", "?a=1&b=8"},
		{"an argument is appended", `{"append": {"querystring": ["a:9", "b:8"]}}`, "?a=1", "?a=1&a=9&b=8"},
		{"a value is of a header", `{"add": {"querystring": ["u:$(headers.user_agent)&x=1"]}}`, "", "?u=Go-http-client%2F1.1%26x%3D1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if asked := start(t, test.config).Get("/p" + test.query).Asked(t); asked.Target != "/p"+test.want {
				t.Errorf("%s, not %s", asked.Target, test.want)
			}
		})
	}
}

func TestBodies(t *testing.T) {
	all := `{"remove": {"body": ["a"]}, "rename": {"body": ["b:c"]}, "replace": {"body": ["d:9", "none:9"]},
		"add": {"body": ["e:8", "d:8"]}, "append": {"body": ["f:7", "g:$(query_params.q)"]}}`
	for _, test := range []struct{ name, config, contentType, body, want string }{
		{"JSON", all, "application/json; charset=utf-8", `{"a":1,"b":[1e400,{}],"d":"x","f":"1","h":"<&>"}`,
			`{"c":[1e400,{}],"d":"9","e":"8","f":["1","7"],"g":["v"],"h":"<&>"}`},
		{"a number is kept beside what is appended", `{"append": {"body": ["f:7"]}}`, "application/json", `{"f":12345678901234567890}`,
			`{"f":[12345678901234567890,"7"]}`},
		{"JSON that is no object is left alone", all, "application/json", `[1, 2]`, `[1, 2]`},
		{"JSON that is none is left alone", all, "application/json", `{"a":`, `{"a":`},
		{"a form", all, "application/x-www-form-urlencoded", "a=1&b=%20&d=x&a=2&f=1", "c=%20&d=9&f=1&e=8&f=7&g=v"},
		{"other bodies are left alone", all, "text/plain", "a=1", "a=1"},
		{"a body grows from nothing", `{"add": {"body": ["e:8"]}}`, "application/json", "", `{"e":"8"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			res := start(t, test.config).Do("POST", "/?q=v", test.body, "Content-Type", test.contentType)
			if asked := res.Asked(t); asked.Body != test.want {
				t.Errorf("%s, not %s", asked.Body, test.want)
			}
		})
	}
}

func TestMultipart(t *testing.T) {
	body := "--xx\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n" +
		"--xx\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.bin\"\r\nContent-Type: application/x\r\n\r\n\x00\r\n\r\n" +
		"--xx\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\n2\r\n--xx--\r\n"
	g := start(t, `{"remove": {"body": ["a"]}, "rename": {"body": ["b:c"]}, "add": {"body": ["d:4", "file:5"]}, "append": {"body": ["d:6"]}}`)
	asked := g.Do("POST", "/", body, "Content-Type", `multipart/form-data; boundary=xx`).Asked(t)
	_, params, err := mime.ParseMediaType(asked.Header["Content-Type"][0])
	if err != nil {
		t.Fatal(err)
	}
	r := multipart.NewReader(strings.NewReader(asked.Body), params["boundary"])
	var got []string
	for {
		p, err := r.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, _ := io.ReadAll(p)
		got = append(got, p.FormName()+"/"+p.FileName()+"/"+p.Header.Get("Content-Type")+"="+string(data))
	}
	if all := strings.Join(got, " "); all != "file/f.bin/application/x=\x00\r\n c//=2 d//=4 d//=6" {
		t.Errorf("%q", all)
	}
}

func TestMethod(t *testing.T) {
	if asked := start(t, `{"http_method": "PUT"}`).Do("POST", "/", "x").Asked(t); asked.Method != "PUT" || asked.Body != "x" {
		t.Errorf("%+v", asked)
	}
	asked := start(t, `{"http_method": "GET"}`).Do("POST", "/?a=1", "a=2&b=%26", "Content-Type", "application/x-www-form-urlencoded").Asked(t)
	if asked.Method != "GET" || asked.Target != "/?a=1&a=2&b=%26" {
		t.Errorf("a form goes into the query: %+v", asked)
	}
	if res := start(t, `{"http_method": "HEAD"}`).Get("/"); res.StatusCode != http.StatusOK || res.Text != "" {
		t.Errorf("a response to HEAD for GET: %s %q", res.Status, res.Text)
	}
}

func TestPath(t *testing.T) {
	captures := func(r *entity.Route) { r.Paths = []string{`~/users/(?<id>[^/]+)/(\w+)`} }
	for _, test := range []struct{ name, uri, path, want string }{
		{"a path", "/fixed", "/users/1/x", "/fixed"},
		{"captures by name and by number", "/$(uri_captures.id)/$(uri_captures[2])", "/users/7/posts", "/7/posts"},
		{"what is missing is empty", "/a$(uri_captures.none)$(uri_captures[9])", "/users/7/posts", "/a"},
		{"an argument stays within the path", "/a/$(query_params.p)", "/users/7/posts?p=../../b%3fc", "/b%3Fc?p=../../b%3fc"},
	} {
		t.Run(test.name, func(t *testing.T) {
			res := start(t, `{"replace": {"uri": "`+test.uri+`"}}`, captures).Get(test.path)
			if asked := res.Asked(t); asked.Target != test.want {
				t.Errorf("%s, not %s", asked.Target, test.want)
			}
		})
	}
}

func TestAClientCannotMakeTwoFieldsOfOne(t *testing.T) {
	g := start(t, `{"add": {"headers": ["X-B:$(query_params.q)"]}}`)
	if res := g.Get("/?q=a%0d%0aX-C:1"); res.StatusCode != http.StatusBadRequest {
		t.Errorf("%s %s", res.Status, res.Text)
	}
}

func TestConfig(t *testing.T) {
	r := configSchema()
	for config, want := range map[string]string{
		`{}`:                                              "",
		`{"http_method": "get"}`:                          "invalid value",
		`{"add": {"headers": ["X-A"]}}`:                   "has no value",
		`{"add": {"headers": ["X A:1"]}}`:                 "is not a valid header",
		`{"remove": {"headers": ["X A"]}}`:                "is not a valid header",
		`{"replace": {"body": ["a:"]}}`:                   "has no value",
		`{"rename": {"querystring": ["a"]}}`:              "has no value",
		`{"add": {"headers": ["X-A:$(headers.b"]}}`:       "not in supported format",
		`{"replace": {"uri": "/$(os.exit())"}}`:           "not in supported format",
		`{"add": {"headers": ["X-A:$(shared.a.b)$(1)"]}}`: "not in supported format",
		`{"add": {"headers": ["X-A:$(shared.a.b)"]}}`:     "",
	} {
		if got := gatewaytest.Violations(t, &r, config); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, not %q", config, got, want)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"a$(headers.x)b", "$(query_params['a'] or \"b\")", "$(uri_captures[1])", "$($(", "$(shared.a.b)", "$(headers"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tpl, err := parseTemplate(s)
		if err != nil || tpl == nil {
			if err == nil && strings.Contains(s, "$(") {
				t.Error("an expression was taken for text")
			}
			return
		}
		tpl.render(nowhere{})
	})
}

type nowhere struct{}

func (nowhere) value(source, string, int) (string, bool) { return "", false }

func FuzzArguments(f *testing.F) {
	f.Add("a=1&b&c=%20+%zz&=&a=2")
	f.Fuzz(func(t *testing.T, s string) {
		a := parseArguments(s)
		again := parseArguments(a.encode())
		// An argument without a name and a value is nothing once it is written.
		for i, j := 0, 0; i < len(a); i++ {
			if a[i].bare && a[i].name == "" {
				continue
			}
			if j >= len(again) || again[j] != a[i] {
				t.Fatalf("%q: %+v, then %+v", s, a, again)
			}
			j++
		}
	})
}

func FuzzBody(f *testing.F) {
	f.Add(jsonBody, "", []byte(`{"a":[1]}`))
	f.Add(formBody, "", []byte(`a=1`))
	f.Add(multipartBody, "multipart/form-data; boundary=xx", []byte("--xx\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--xx--\r\n"))
	e := &edits{}
	e.Remove = append(e.Remove, edit("a", ""))
	e.Rename = append(e.Rename, edit("b", "c"))
	e.Append = append(e.Append, edit("d", "1"))
	f.Fuzz(func(t *testing.T, kind int, contentType string, data []byte) {
		kind = 1 + (kind&0xff)%3
		changed, err := changedBody(kind, contentType, data, &e.Edits)
		if err != nil {
			return
		}
		if _, err := changedBody(kind, contentType, changed, &e.Edits); err != nil {
			t.Errorf("what was written cannot be read: %v\n%q", err, changed)
		}
	})
}

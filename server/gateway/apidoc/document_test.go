package apidoc

import (
	"errors"
	"strings"
	"testing"
)

func TestParseTellsWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		raw     string
		notJSON bool
		says    string
	}{
		"nothing":              {"", true, "empty"},
		"white space":          {" \n ", true, "empty"},
		"HTML":                 {"<!doctype html><html></html>", true, "HTML"},
		"YAML":                 {"openapi: 3.0.0\ninfo:\n", true, "YAML: serve it as JSON"},
		"half a document":      {`{"openapi":"3.0.0","paths":{`, true, "ends too early"},
		"the line is told":     {"{\n\"openapi\": \"3.0.0\",\n\"paths\": nope}", true, "line 3"},
		"two documents":        {`{"openapi":"3.0.0"}{}`, true, "more after the end"},
		"text after it":        {`{"openapi":"3.0.0"} x`, true, "line 1"},
		"a number":             {`7`, false, "not an object"},
		"a list":               {`[{"openapi":"3.0.0"}]`, false, "not an object"},
		"some object":          {`{"hello":"world"}`, false, "not an OpenAPI document"},
		"Swagger 2.0":          {`{"swagger":"2.0","paths":{}}`, false, "Swagger 2.0"},
		"version is no text":   {`{"openapi":3.1}`, false, "must be a string"},
		"an unknown version":   {`{"openapi":"4.0.0"}`, false, `"4.0.0" is not supported`},
		"a long version":       {`{"openapi":"` + strings.Repeat("9", 9999) + `"}`, false, "…"},
		"deeper than any need": {`{"openapi":"3.0.0","x":` + strings.Repeat("[", 100_000), false, "nests deeper than 128 levels"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Parse([]byte(c.raw))
			if err == nil {
				t.Fatalf("it was parsed: %+v", d)
			}
			if errors.Is(err, ErrNotJSON) != c.notJSON {
				t.Errorf("errors.Is(%q, ErrNotJSON) = %t", err, !c.notJSON)
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q does not say %q", err, c.says)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
		})
	}
}

func TestParseTakesWhatIsServed(t *testing.T) {
	for name, c := range map[string]struct{ raw, title, version, openapi string }{
		"all there":            {`{"openapi":"3.0.3","info":{"title":"Shop","version":"2"},"paths":{}}`, "Shop", "2", "3.0.3"},
		"no paths in 3.1":      {`{"openapi":"3.1.0","info":{"title":"Shop","version":"2"}}`, "Shop", "2", "3.1.0"},
		"3.2":                  {`{"openapi":"3.2.0"}`, "", "", "3.2.0"},
		"without a patch":      {`{"openapi":"3.0"}`, "", "", "3.0"},
		"a byte order mark":    {"\xef\xbb\xbf" + `{"openapi":"3.0.0"}`, "", "", "3.0.0"},
		"info of a wrong type": {`{"openapi":"3.0.0","info":[],"paths":7}`, "", "", "3.0.0"},
		"a title that is none": {`{"openapi":"3.0.0","info":{"title":7}}`, "", "", "3.0.0"},
		"members twice":        {`{"openapi":"3.0.0","openapi":"3.1.0"}`, "", "", "3.1.0"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Parse([]byte(c.raw))
			if err != nil {
				t.Fatal(err)
			}
			if d.Title != c.title || d.Version != c.version || d.OpenAPI != c.openapi {
				t.Errorf("title %q, version %q, openapi %q", d.Title, d.Version, d.OpenAPI)
			}
		})
	}
}

func TestTreesKeepWhatTheyRead(t *testing.T) {
	for _, raw := range []string{
		`{"z":1,"a":[true,false,null],"m":{"y":{},"b":[]}}`,
		`{"number":12345678901234567890.10,"small":1e-400,"text":"\u00e4 \"x\" <&>\n"}`,
		`[]`, `"x"`, `null`, `-0.0`,
	} {
		v, err := decode([]byte(raw))
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		want := strings.ReplaceAll(raw, `\u00e4`, "ä")
		if got := string(encode(v)); got != want {
			t.Errorf("%s became %s", raw, got)
		}
	}
}

func TestPointersLeadThroughReferences(t *testing.T) {
	d := parsed(t, []byte(`{"openapi":"3.1.0","a/b":{"c~d":[10,{"$ref":"#/x"}]},"x":{"$ref":"#/y"},"y":{"z":"found","ä ö":1},
		"loop":{"$ref":"#/loop"},"ping":{"$ref":"#/pong"},"pong":{"$ref":"#/ping"}}`))
	for ref, want := range map[string]string{
		"#/a~1b/c~0d/0": "10", "#/a~1b/c~0d/1/z": `"found"`, "#/x/z": `"found"`, "#/a%7E1b/c~0d/0": "10", "#/y/%C3%A4%20%C3%B6": "1",
	} {
		v, ok := d.resolve(ref)
		if !ok || string(encode(v)) != want {
			t.Errorf("%s is %s, %t", ref, encode(v), ok)
		}
	}
	for _, ref := range []string{"", "#", "x", "#x", "#/none", "#/a~1b/c~0d/2", "#/a~1b/c~0d/01", "#/a~1b/c~0d/-1", "#/loop/x", "#/ping/x", "http://a/#/x"} {
		if v, ok := d.resolve(ref); ok {
			t.Errorf("%s is %s", ref, encode(v))
		}
	}
}
